//! [`FromRelaxation`]: sweeps from zero.

use crate::error::{Error, Result};
use crate::linalg::relax::{Splitting, setup};
use crate::linalg::vector::{axpy, subtract_from};
use crate::linalg::{Claims, LinearOperator, Preconditioner, Relaxation};
use crate::num::Real;
use std::ops::Deref;

/// z = Σ_{i<k} (I − M⁻¹A)ⁱ M⁻¹ r: k sweeps of a relaxation on A z = r, from z = 0. With
/// [`Chebyshev`](crate::linalg::relax::Chebyshev) it is polynomial preconditioning.
///
/// `S` is the [`Splitting`] that it sweeps with.
#[derive(Clone, Debug)]
pub struct FromRelaxation<S, T> {
    splitting: S,
    sweeps: usize,
    /// Residual and correction of transposed sweeps.
    scratch: [Vec<T>; 2],
}

impl<T: Real, A: Deref, R> FromRelaxation<Splitting<A, R>, T>
where
    A::Target: LinearOperator<T>,
    R: Relaxation<T, A::Target>,
{
    /// `sweeps` sweeps of a relaxation that was set up for this operator.
    ///
    /// # Errors
    /// An operator that is not square or is empty; no sweeps.
    pub fn new(operator: A, relaxation: R, sweeps: usize) -> Result<Self> {
        let n = setup::square(&*operator)?;
        if sweeps == 0 {
            return Err(Error::invalid("sweeps", 0, "at least one is needed"));
        }
        let splitting = Splitting { operator, relaxation };
        Ok(Self { splitting, sweeps, scratch: [vec![T::zero(); n], vec![T::zero(); n]] })
    }
}

impl<T: Real, A: Deref, R> Preconditioner<T> for FromRelaxation<Splitting<A, R>, T>
where
    A::Target: LinearOperator<T>,
    R: Relaxation<T, A::Target>,
{
    fn len(&self) -> usize {
        self.scratch[0].len()
    }

    fn claims(&self) -> Claims {
        if self.splitting.relaxation.sweeps_are_spd(self.sweeps) { Claims::SPD } else { Claims::LINEAR }
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        let Splitting { operator, relaxation } = &mut self.splitting;
        relaxation.sweep_from_zero(operator, r, z);
        for _ in 1..self.sweeps {
            relaxation.sweep(operator, r, z);
        }
    }

    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        let Splitting { operator, relaxation } = &mut self.splitting;
        let [residual, correction] = &mut self.scratch;
        relaxation.transpose_from_zero(operator, r, z)?;
        for _ in 1..self.sweeps {
            operator.apply_transpose(z, residual);
            subtract_from(r, residual);
            relaxation.transpose_from_zero(operator, residual, correction)?;
            axpy(1.0, correction, z);
        }
        Ok(())
    }
}
