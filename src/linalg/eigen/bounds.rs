//! [`extreme_eigenvalues`]: the ends of a spectrum by a few Lanczos steps without stored vectors.

use super::small::tridiagonal;
use super::start_vector;
use crate::error::{Error, Result};
use crate::linalg::op::{LinearOperator, Preconditioner};
use crate::linalg::vector::{axpy, dot, scale};
use crate::num::Real;

/// The ends of the spectrum of M⁻¹A as Lanczos sees them after a few steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extremes {
    /// The smallest Ritz value: never below the smallest eigenvalue (but for rounding).
    pub min: f64,
    /// The largest Ritz value: never above the largest eigenvalue.
    pub max: f64,
    /// An eigenvalue lies within this distance of `min`.
    pub min_error: f64,
    /// An eigenvalue lies within this distance of `max`. `max + max_error` is a safe upper end for
    /// Chebyshev iterations (Zhou and Li, J. Comput. Phys. 230, 2011).
    pub max_error: f64,
    /// Steps taken: fewer than asked for when the Krylov space was exhausted.
    pub steps: usize,
}

/// Smallest and largest eigenvalue of M⁻¹A, A symmetric and M symmetric positive definite (the
/// identity, Jacobi's D, …), by `steps` steps of the Lanczos process in the inner product of M (Saad,
/// Numerical Methods for Large Eigenvalue Problems, section 9.2.6) from a fixed random vector. Ten steps
/// give the largest eigenvalue of a Laplacian to a few per cent; the smallest one converges slowly.
///
/// # Errors
/// Shapes that do not fit, no steps, a preconditioner that is not SPD, an operator that gives NaN.
pub fn extreme_eigenvalues<T, A, M>(a: &A, m: &mut M, steps: usize) -> Result<Extremes>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
    M: Preconditioner<T> + ?Sized,
{
    settled_eigenvalues(a, m, 0.0, steps)
}

/// As [`extreme_eigenvalues`], ending before `steps` once five more of them have changed neither end by more than
/// `rtol` of itself. Where the ends converge slowly they are farther off than that.
///
/// # Errors
/// As [`extreme_eigenvalues`]; `rtol` negative or not finite.
pub fn settled_eigenvalues<T, A, M>(a: &A, m: &mut M, rtol: f64, steps: usize) -> Result<Extremes>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
    M: Preconditioner<T> + ?Sized,
{
    if !(rtol.is_finite() && rtol >= 0.0) {
        return Err(Error::invalid("the tolerance of the ends", rtol, "it must be finite and not negative"));
    }
    let n = super::check_square(a)?;
    Error::check_len("the preconditioner", m.len(), n, "the unknowns of the operator")?;
    if !m.claims().spd {
        let needed = "Lanczos needs an inner product; take the identity, or an SPD preconditioner";
        return Err(Error::invalid("the preconditioner", "not SPD by its claims", needed));
    }
    if steps == 0 {
        return Err(Error::invalid("the number of Lanczos steps", steps, "it must be at least 1"));
    }
    let (diagonal, off) = coefficients(a, m, (rtol, steps.min(n)))?;
    let k = diagonal.len();
    let (values, vectors) = tridiagonal(&diagonal, &off)?;
    let error = |j: usize| off[k - 1] * vectors[j * k + k - 1].abs();
    Ok(Extremes {
        min: values[0],
        max: values[k - 1],
        min_error: error(0),
        max_error: error(k - 1),
        steps: k,
    })
}

/// Steps between two looks at the ends.
const LOOK: usize = 5;

/// α₁ … α_k and β₂ … β_{k+1} of the Lanczos process with z = M⁻¹ v.
fn coefficients<T, A, M>(a: &A, m: &mut M, (rtol, steps): (f64, usize)) -> Result<(Vec<f64>, Vec<f64>)>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
    M: Preconditioner<T> + ?Sized,
{
    let n = a.rows();
    let (mut v, mut before) = (start_vector::<T>(n), vec![T::zero(); n]);
    let (mut z, mut w) = (vec![T::zero(); n], vec![T::zero(); n]);
    let (mut diagonal, mut off) = (Vec::new(), Vec::new());
    let mut beta = normalise(m, &mut v, &mut z)?;
    let mut largest = 0.0f64;
    let mut ends = [f64::INFINITY; 2];
    while diagonal.len() < steps {
        a.apply(&z, &mut w);
        let alpha = dot(&z, &w);
        if !alpha.is_finite() {
            return Err(Error::invalid("the operator's result", alpha, "it must be finite"));
        }
        axpy(-alpha, &v, &mut w);
        if !diagonal.is_empty() {
            axpy(-beta, &before, &mut w);
        }
        std::mem::swap(&mut before, &mut v);
        std::mem::swap(&mut v, &mut w);
        beta = normalise(m, &mut v, &mut z)?;
        diagonal.push(alpha);
        off.push(beta);
        largest = largest.max(alpha.abs()).max(beta);
        if beta <= 10.0 * T::EPSILON.f64() * largest {
            break;
        }
        if rtol > 0.0 && diagonal.len().is_multiple_of(LOOK) {
            let (values, _) = tridiagonal(&diagonal, &off)?;
            let now = [values[0], values[values.len() - 1]];
            if now.iter().zip(ends).all(|(now, then)| (now - then).abs() <= rtol * now.abs()) {
                break;
            }
            ends = now;
        }
    }
    Ok((diagonal, off))
}

/// `z` ← M⁻¹ `v`, both over √(vᵀz), which is returned.
fn normalise<T: Real, M: Preconditioner<T> + ?Sized>(m: &mut M, v: &mut [T], z: &mut [T]) -> Result<f64> {
    m.apply(v, z);
    let square = dot(v, z);
    if square.is_nan() || square < 0.0 {
        let needed = "vᵀM⁻¹v must be positive: the preconditioner claims to be SPD";
        return Err(Error::invalid("vᵀM⁻¹v", square, needed));
    }
    let norm = square.sqrt();
    if norm > 0.0 {
        scale(1.0 / norm, v);
        scale(1.0 / norm, z);
    }
    Ok(norm)
}
