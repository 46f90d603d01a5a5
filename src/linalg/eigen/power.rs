//! [`power`]: the eigenvalue of largest magnitude.

use super::{EigenSettings, Eigenpairs, check_square, residuals, start_vector};
use crate::error::Result;
use crate::linalg::op::LinearOperator;
use crate::linalg::report::Outcome;
use crate::linalg::vector::{axpy, dot, norm2, scale, scaled};
use crate::num::Real;
use std::time::Instant;

/// The eigenvalue of largest magnitude and its vector, by power iteration x ← A x/‖A x‖ from a fixed random
/// vector, with the Rayleigh quotient xᵀA x for the value. The error falls by |λ₂/λ₁| an iteration; two
/// eigenvalues of one magnitude never separate, and the outcome is then `MaxIterations`.
///
/// # Errors
/// An operator that is not square, unusable settings.
pub fn power<T, A>(a: &A, settings: EigenSettings) -> Result<Eigenpairs<T>>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
{
    let n = check_square(a)?;
    settings.check()?;
    let started = Instant::now();
    let (mut x, mut y, mut r) = (start_vector::<T>(n), vec![T::zero(); n], vec![T::zero(); n]);
    let mut length = norm2(&x);
    let (mut value, mut iterations) = (0.0, 0);
    scale(1.0 / length, &mut x);
    let outcome = loop {
        if iterations == settings.max_iterations {
            break Outcome::MaxIterations;
        }
        a.apply(&x, &mut y);
        iterations += 1;
        value = dot(&x, &y);
        length = norm2(&y);
        if !length.is_finite() {
            break Outcome::NonFinite;
        }
        r.copy_from_slice(&y);
        axpy(-value, &x, &mut r);
        if norm2(&r) <= settings.tol * length {
            break Outcome::Converged;
        }
        scaled(1.0 / length, &y, &mut x);
    };
    let residuals = residuals(a, &[value], &x);
    let (values, time) = (vec![value], started.elapsed());
    Ok(Eigenpairs { values, vectors: x, residuals, outcome, iterations, applications: iterations + 1, time })
}
