//! Partial differential equations by the method of lines: finite differences on a uniform grid in one
//! or two dimensions, one function for a point and everything else derived from it.
//!
//! A [`Medium`] says how the values at a point change given those at the point and its neighbours. As
//! [`MethodOfLines`] it is [`Dynamics`](super::Dynamics) with exact products, sparsity and Jacobian.
//! The model problems: [`Heat`], [`Transport`] (advection, diffusion, reaction), [`Burgers`],
//! [`AllenCahn`], [`Brusselator`], [`GrayScott`].

mod cycle;
mod lines;
mod models;

pub use cycle::DiffusionCycle;
pub use lines::{Edge, MethodOfLines};
pub use models::{AllenCahn, Brusselator, Burgers, GrayScott, Heat, Transport};

use crate::num::Scalar;

/// Most unknowns at a point.
pub const MAX_SPECIES: usize = 4;

/// The right-hand side at one point of the grid.
pub trait Medium: Sync {
    /// Unknowns at a point, at most [`MAX_SPECIES`].
    const SPECIES: usize;

    /// Number of parameters.
    fn num_params(&self) -> usize;

    /// `rate` ← the time derivative of the unknowns at the point that `u` looks at. Mark it
    /// `#[inline(always)]`.
    fn rate<S: Scalar>(&self, t: S, u: &Around<'_, S>, p: &[S], rate: &mut [S]);

    /// d of the diffusion d Δu of unknown `s`, for the multigrid that preconditions implicit steps
    /// ([`MethodOfLines::diffusion_cycle`]); 0 for none. It need not be exact.
    fn diffusivity(&self, p: &[f64], s: usize) -> f64 {
        let _ = (p, s);
        0.0
    }
}

/// The unknowns at a point and its four neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a, S> {
    /// Centre, x − h, x + h, y − h, y + h; the species of each together.
    pub(super) values: &'a [S],
    pub(super) species: usize,
    /// The point's coordinates.
    pub position: [f64; 2],
    /// 1/h along x and y; 0 along a dimension that the grid does not have.
    pub inverse_spacing: [f64; 2],
}

impl<S: Scalar> Around<'_, S> {
    /// Unknown `s` here.
    #[inline(always)]
    pub fn at(&self, s: usize) -> S {
        self.values[s]
    }

    /// Unknown `s` at the neighbours before and behind along `axis`.
    #[inline(always)]
    pub fn beside(&self, s: usize, axis: usize) -> [S; 2] {
        let from = (1 + 2 * axis) * self.species + s;
        [self.values[from], self.values[from + self.species]]
    }

    /// Δu by the second differences (order 2).
    #[inline(always)]
    pub fn laplacian(&self, s: usize) -> S {
        let twice = S::of(2.0) * self.at(s);
        let along = |axis: usize| {
            let [a, b] = self.beside(s, axis);
            S::of(self.inverse_spacing[axis].powi(2)) * (a + b - twice)
        };
        along(0) + along(1)
    }

    /// ∂u/∂x along `axis` by the central difference (order 2).
    #[inline(always)]
    pub fn slope(&self, s: usize, axis: usize) -> S {
        let [a, b] = self.beside(s, axis);
        S::of(0.5 * self.inverse_spacing[axis]) * (b - a)
    }
}
