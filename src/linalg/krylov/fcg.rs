//! What flexible CG takes beside preconditioners: [`Normalised`] proposers.

use crate::error::Result;
use crate::linalg::op::{Claims, Preconditioner};
use crate::linalg::vector::{norm2, scale, scaled};
use crate::num::Real;

/// A proposer of directions that sees only r/‖r‖₂, its answer scaled back by ‖r‖₂: what a network that
/// was trained on vectors of unit length needs. [`Cg::flexible`](super::Cg::flexible) with a window of 2
/// and a network in here is the deep conjugate direction method (Kaneda et al., ICML 2023, Algorithm 1).
#[derive(Clone, Debug)]
pub struct Normalised<P, T> {
    inner: P,
    unit: Vec<T>,
}

impl<T: Real, P: Preconditioner<T>> Normalised<P, T> {
    /// Wraps `inner`.
    pub fn new(inner: P) -> Self {
        let unit = vec![T::zero(); inner.len()];
        Self { inner, unit }
    }

    /// The proposer itself.
    pub fn into_inner(self) -> P {
        self.inner
    }

    fn with(
        &mut self,
        r: &[T],
        z: &mut [T],
        work: impl FnOnce(&mut P, &[T], &mut [T]) -> Result<()>,
    ) -> Result<()> {
        let norm = norm2(r);
        if norm == 0.0 {
            z.fill(T::zero());
            return Ok(());
        }
        scaled(1.0 / norm, r, &mut self.unit);
        work(&mut self.inner, &self.unit, z)?;
        scale(norm, z);
        Ok(())
    }
}

impl<T: Real, P: Preconditioner<T>> Preconditioner<T> for Normalised<P, T> {
    fn len(&self) -> usize {
        self.inner.len()
    }
    fn claims(&self) -> Claims {
        self.inner.claims()
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        // The work cannot fail; only the transpose can.
        let _ = self.with(r, z, |inner, r, z| {
            inner.apply(r, z);
            Ok(())
        });
    }
    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        self.with(r, z, |inner, r, z| inner.apply_transpose(r, z))
    }
}
