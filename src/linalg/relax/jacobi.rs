//! [`Jacobi`]: M = D/ω.

use super::setup;
use crate::error::Result;
use crate::linalg::{Claims, LinearOperator, Preconditioner, Relaxation};
use crate::num::{Kernel, Real, dispatch};

/// The (weighted) Jacobi iteration x ← x + ω D⁻¹ (b − A x), for any operator with a diagonal; as a
/// preconditioner z = ω D⁻¹ r. For smoothing, ω = 4/(3 λmax(D⁻¹A)) in general, 4/5 for the 5-point and
/// 6/7 for the 7-point Laplacian (U. Trottenberg et al., Multigrid, section 2.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Jacobi<T> {
    /// ω/dᵢ.
    weights: Vec<T>,
    residual: Vec<T>,
    positive: bool,
}

impl<T: Real> Jacobi<T> {
    /// With the weight ω; 1 is Jacobi's own method.
    ///
    /// # Errors
    /// An operator that is not square, is empty, or has no diagonal or a zero on it (the row is named);
    /// ω outside (0, 2).
    pub fn new(a: &(impl LinearOperator<T> + ?Sized), omega: f64) -> Result<Self> {
        setup::check_omega(omega)?;
        let d = setup::diagonal(a)?;
        let positive = d.iter().all(|&d| d > T::zero());
        let weights: Vec<T> = d.iter().map(|&d| T::of(omega) / d).collect();
        Ok(Self { residual: vec![T::zero(); d.len()], weights, positive })
    }
}

impl<T: Real, A: LinearOperator<T> + ?Sized> Relaxation<T, A> for Jacobi<T> {
    fn sweep(&mut self, a: &A, b: &[T], x: &mut [T]) {
        a.residual(b, x, &mut self.residual);
        dispatch(AddScaled { weights: &self.weights, r: &self.residual, x });
    }

    fn sweep_adjoint(&mut self, a: &A, b: &[T], x: &mut [T]) {
        self.sweep(a, b, x);
    }

    fn sweep_from_zero(&mut self, _: &A, b: &[T], x: &mut [T]) {
        dispatch(Scaled { weights: &self.weights, r: b, x });
    }

    fn transpose_from_zero(&mut self, _: &A, b: &[T], x: &mut [T]) -> Result<()> {
        dispatch(Scaled { weights: &self.weights, r: b, x });
        Ok(())
    }

    fn is_spd(&self) -> bool {
        self.positive
    }
}

impl<T: Real> Preconditioner<T> for Jacobi<T> {
    fn len(&self) -> usize {
        self.weights.len()
    }

    fn claims(&self) -> Claims {
        if self.positive { Claims::SPD } else { Claims::LINEAR }
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        dispatch(Scaled { weights: &self.weights, r, x: z });
    }

    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        dispatch(Scaled { weights: &self.weights, r, x: z });
        Ok(())
    }
}

/// xᵢ += wᵢ rᵢ.
struct AddScaled<'a, T> {
    weights: &'a [T],
    r: &'a [T],
    x: &'a mut [T],
}

impl<T: Real> Kernel for AddScaled<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for ((x, &w), &r) in self.x.iter_mut().zip(self.weights).zip(self.r) {
            *x = w.mul_add(r, *x);
        }
    }
}

/// xᵢ = wᵢ rᵢ.
struct Scaled<'a, T> {
    weights: &'a [T],
    r: &'a [T],
    x: &'a mut [T],
}

impl<T: Real> Kernel for Scaled<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for ((x, &w), &r) in self.x.iter_mut().zip(self.weights).zip(self.r) {
            *x = w * r;
        }
    }
}
