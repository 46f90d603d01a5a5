//! [`Proposer`]: a network as what CG asks for directions.

use super::net::DirectionNet;
use super::run::NetRun;
use crate::error::{Error, Result};
use crate::linalg::grid::Mask;
use crate::linalg::vector::{norm2, scale, scaled};
use crate::linalg::{Claims, Preconditioner};
use crate::num::Real;

/// r ↦ ‖r‖ f(r/‖r‖) with a [`DirectionNet`] f and its parameters. It claims nothing, so that plain CG
/// refuses it; [`Cg::flexible`](crate::linalg::krylov::Cg::flexible) with window 2 is the deep conjugate
/// direction method, [`GuardedCg`](crate::linalg::krylov::GuardedCg) the same with a safeguard.
/// [`Narrow`](crate::linalg::krylov::Narrow) runs one of `f32` inside an iteration in `f64`.
#[derive(Clone, Debug)]
pub struct Proposer<T> {
    run: NetRun<T>,
    theta: Vec<T>,
    unit: Vec<T>,
}

impl<T: Real> Proposer<T> {
    /// `net` with the parameters `theta` on a grid of these extents. NaN among them is no error here:
    /// [`GuardedCg`](crate::linalg::krylov::GuardedCg) refuses what they give.
    ///
    /// # Errors
    /// Parameters of another number, extents that do not fit.
    pub fn new(net: &DirectionNet, extents: [usize; 3], theta: Vec<T>) -> Result<Self> {
        net.layout().check_len("theta", theta.len())?;
        let run = NetRun::new(net, extents)?;
        let unit = vec![T::zero(); run.points()];
        Ok(Self { run, theta, unit })
    }

    /// On a grid with obstacles.
    ///
    /// # Errors
    /// A mask of another grid.
    pub fn with_mask(mut self, mask: &Mask) -> Result<Self> {
        self.run.set_mask(mask)?;
        Ok(self)
    }

    /// With these channels of the geometry.
    ///
    /// # Errors
    /// As [`NetRun::set_geometry`].
    pub fn with_geometry(mut self, channels: &[T]) -> Result<Self> {
        self.run.set_geometry(channels)?;
        Ok(self)
    }

    fn propose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        Error::check_len("r", r.len(), self.unit.len(), "the points of the network's grid")?;
        let norm = norm2(r);
        if norm == 0.0 {
            z.fill(T::zero());
            return Ok(());
        }
        scaled(1.0 / norm, r, &mut self.unit);
        self.run.forward(&self.theta, &self.unit, z)?;
        scale(norm, z);
        Ok(())
    }
}

impl<T: Real> Preconditioner<T> for Proposer<T> {
    fn len(&self) -> usize {
        self.unit.len()
    }
    fn claims(&self) -> Claims {
        Claims::NONE
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        // Lengths were checked where the solve began; were one wrong, the iteration would say NaN.
        if self.propose(r, z).is_err() {
            z.fill(T::NAN);
        }
    }
}
