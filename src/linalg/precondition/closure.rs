//! [`Closure`]: any function as a preconditioner.

use crate::error::{Error, Result};
use crate::linalg::{Claims, Preconditioner};
use crate::num::Real;
use std::fmt;

type Function<'a, T> = Box<dyn FnMut(&[T], &mut [T]) + 'a>;

/// z = f(r) for the caller's f, with the caller's claims. What is claimed is believed: CG with a map
/// that is not SPD may stall or stop with
/// [`IndefinitePreconditioner`](crate::linalg::Outcome::IndefinitePreconditioner).
pub struct Closure<'a, T> {
    n: usize,
    claims: Claims,
    apply: Function<'a, T>,
    transpose: Option<Function<'a, T>>,
}

impl<'a, T: Real> Closure<'a, T> {
    /// `apply(r, z)` writes z = M⁻¹ r, both of length `n`.
    pub fn new(n: usize, claims: Claims, apply: impl FnMut(&[T], &mut [T]) + 'a) -> Self {
        Self { n, claims, apply: Box::new(apply), transpose: None }
    }

    /// With M⁻ᵀ, for transposed solves; SPD ones need none.
    pub fn with_transpose(self, transpose: impl FnMut(&[T], &mut [T]) + 'a) -> Self {
        Self { transpose: Some(Box::new(transpose)), ..self }
    }
}

impl<T> fmt::Debug for Closure<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closure").field("n", &self.n).field("claims", &self.claims).finish_non_exhaustive()
    }
}

impl<T: Real> Preconditioner<T> for Closure<'_, T> {
    fn len(&self) -> usize {
        self.n
    }

    fn claims(&self) -> Claims {
        self.claims
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        (self.apply)(r, z);
    }

    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        match &mut self.transpose {
            Some(transpose) => transpose(r, z),
            None if self.claims.spd => (self.apply)(r, z),
            None => {
                let needed = "a transposed solve needs Closure::with_transpose";
                return Err(Error::invalid("the preconditioner", "a closure without transpose", needed));
            }
        }
        Ok(())
    }
}
