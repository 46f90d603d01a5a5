//! [`Lsqr`]: least squares by the Golub–Kahan process, as conjugate gradients on AᵀA would do it.

use super::bidiagonal::{Bidiagonal, Coefficients, Norms, Recurrence};
use super::{LinearOperator, Preconditioner, Report, Settings};
use crate::error::Result;
use crate::linalg::vector::{axpy, xpby};
use crate::num::Real;

/// LSQR (Paige and Saunders, ACM Trans. Math. Softw. 8, 1982) for A of any shape: the x with the least
/// ‖b − A x‖; started from x = 0 and without a preconditioner, the shortest of those. In exact arithmetic
/// its iterates are those of CG on AᵀA x = Aᵀb.
///
/// A preconditioner acts from the right: min ‖b − A M⁻¹ y‖, x = x₀ + M⁻¹ y; it must be linear and have a
/// transpose. A solve has converged when ‖b − A x‖ meets the tolerance
/// ([`Outcome::Converged`](crate::linalg::Outcome::Converged)), or when
/// ‖Âᵀr‖ ≤ rtol ‖Â‖_F ‖r‖ with Â = A M⁻¹
/// ([`Outcome::LeastSquares`](crate::linalg::Outcome::LeastSquares)); both are computed from x.
#[derive(Clone, Debug)]
pub struct Lsqr<T> {
    process: Bidiagonal<T>,
    recurrence: Rotations<T>,
}

/// QR of the bidiagonal matrix, a rotation a step.
#[derive(Clone, Debug)]
struct Rotations<T> {
    w: Vec<T>,
    rho_bar: f64,
    phi_bar: f64,
}

impl<T: Real> Recurrence<T> for Rotations<T> {
    fn begin(&mut self, beta: f64, alpha: f64, v: &[T]) {
        self.w.copy_from_slice(v);
        (self.rho_bar, self.phi_bar) = (alpha, beta);
    }

    fn step(&mut self, k: Coefficients, v: &[T], y: &mut [T]) -> Norms {
        let rho = self.rho_bar.hypot(k.beta);
        if rho == 0.0 {
            return Norms { residual: self.phi_bar, normal: 0.0 };
        }
        let (c, s) = (self.rho_bar / rho, k.beta / rho);
        let phi = c * self.phi_bar;
        self.phi_bar *= s;
        self.rho_bar = -c * k.alpha;
        axpy(phi / rho, &self.w, y);
        xpby(v, -s * k.alpha / rho, &mut self.w);
        Norms { residual: self.phi_bar, normal: self.phi_bar * k.alpha * c.abs() }
    }
}

impl<T: Real> Lsqr<T> {
    /// LSQR for matrices of this shape, [rows, columns].
    ///
    /// # Errors
    /// An empty shape, unusable settings.
    pub fn new(shape: [usize; 2], settings: Settings) -> Result<Self> {
        let process = Bidiagonal::new(shape, settings)?;
        let w = vec![T::zero(); shape[1]];
        Ok(Self { process, recurrence: Rotations { w, rho_bar: 0.0, phi_bar: 0.0 } })
    }

    /// Minimises ‖`b` − A x‖ from the guess in `x`.
    ///
    /// # Errors
    /// Lengths that do not fit, entries that are not finite, a preconditioner that is not linear or has
    /// no transpose.
    pub fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        self.process.solve(&mut self.recurrence, a, m, b, x)
    }
}
