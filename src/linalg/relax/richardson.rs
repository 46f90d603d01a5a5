//! [`Richardson`]: M = I/ω.

use super::setup;
use crate::error::{Error, Result};
use crate::linalg::{LinearOperator, Relaxation, vector};
use crate::num::Real;

/// Richardson's iteration x ← x + ω (b − A x), for any operator. For SPD A it converges where
/// 0 < ω < 2/λmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Richardson<T> {
    omega: f64,
    residual: Vec<T>,
}

impl<T: Real> Richardson<T> {
    /// With the step ω (negative for a negative definite operator).
    ///
    /// # Errors
    /// An operator that is not square or is empty; ω zero or not finite.
    pub fn new(a: &(impl LinearOperator<T> + ?Sized), omega: f64) -> Result<Self> {
        let n = setup::square(a)?;
        if omega == 0.0 || !omega.is_finite() {
            return Err(Error::invalid("ω", omega, "it must be finite and not 0"));
        }
        Ok(Self { omega, residual: vec![T::zero(); n] })
    }

    /// With ω = 2/(λmin + λmax), which minimises ρ(I − ωA) for spectra in [λmin, λmax]: it is
    /// (κ − 1)/(κ + 1) then, κ = λmax/λmin (Saad, eq. 4.33).
    ///
    /// # Errors
    /// As [`new`](Self::new); bounds that are not 0 < λmin ≤ λmax.
    pub fn optimal(a: &(impl LinearOperator<T> + ?Sized), bounds: [f64; 2]) -> Result<Self> {
        setup::check_bounds(bounds)?;
        Self::new(a, 2.0 / (bounds[0] + bounds[1]))
    }
}

impl<T: Real, A: LinearOperator<T> + ?Sized> Relaxation<T, A> for Richardson<T> {
    fn sweep(&mut self, a: &A, b: &[T], x: &mut [T]) {
        a.residual(b, x, &mut self.residual);
        vector::axpy(self.omega, &self.residual, x);
    }

    fn sweep_adjoint(&mut self, a: &A, b: &[T], x: &mut [T]) {
        self.sweep(a, b, x);
    }

    fn sweep_from_zero(&mut self, _: &A, b: &[T], x: &mut [T]) {
        vector::scaled(self.omega, b, x);
    }

    fn transpose_from_zero(&mut self, _: &A, b: &[T], x: &mut [T]) -> Result<()> {
        vector::scaled(self.omega, b, x);
        Ok(())
    }

    fn is_spd(&self) -> bool {
        self.omega > 0.0
    }
}
