//! The implicit part of a right-hand side as a right-hand side.

use crate::dynamics::{Dynamics, Jacobian, Mass, Part, Point, Tangent};
use crate::error::Result;
use crate::linalg::Pattern;
use crate::num::Real;

/// f_I of f = f_E + f_I, with f's parameters and scratch; f itself where it is not split.
pub(crate) struct Implicit<'a, D>(pub &'a D);

impl<T: Real, D: Dynamics<T>> Dynamics<T> for Implicit<'_, D> {
    type Scratch = D::Scratch;

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn num_params(&self) -> usize {
        self.0.num_params()
    }

    fn scratch(&self, batch: usize) -> D::Scratch {
        self.0.scratch(batch)
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut D::Scratch) {
        match D::SPLIT {
            true => self.0.eval_part(Part::Implicit, at, dy, scratch),
            false => self.0.eval(at, dy, scratch),
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut D::Scratch,
    ) -> T {
        self.0.vjp_part(Part::Implicit, at, dy_bar, [y_bar, theta_bar], scratch)
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut D::Scratch) {
        self.0.jvp_implicit(at, dot, dy_dot, scratch);
    }

    /// A part's pattern is within the whole's.
    fn sparsity(&self) -> Option<Pattern> {
        self.0.sparsity()
    }

    #[inline(always)]
    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, scratch: &mut D::Scratch) {
        match D::SPLIT {
            true => j.by_products(self, at, scratch),
            false => self.0.jacobian(at, j, scratch),
        }
    }

    fn mass(&self) -> Option<&Mass<T>> {
        self.0.mass()
    }

    fn validate(&self) -> Result<()> {
        self.0.validate()
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.0.locate_non_finite(at)
    }
}
