//! What is known of the cost as a function of ω (A = D + L + Lᵀ symmetric positive definite).
//!
//! Young's ω* and spectral radius for SOR stand in [`relax`](crate::linalg::relax) and are re-exported; the
//! bounds are those of Khodak et al. (ICLR 2024), sections 2.1 and 4, and of O. Axelsson, *Iterative
//! Solution Methods* (1994), theorem 7.17.

use crate::error::{Error, Result};
use crate::linalg::LinearOperator;
use crate::linalg::eigen::settled_eigenvalues;
use crate::linalg::precondition::FromRelaxation;
use crate::linalg::relax::Jacobi;
use crate::num::Real;

pub use crate::linalg::relax::{optimal_omega, sor_radius};

/// β = ρ(I − D⁻¹A) by `steps` Lanczos steps in the inner product of D: the Ritz values of D⁻¹A are those of CG with
/// Jacobi's preconditioner (its coefficients are their tridiagonal matrix). A lower bound, which thirty
/// steps bring to the last digits for a few hundred unknowns.
///
/// # Errors
/// A matrix that is not square or has a diagonal that is not positive; no steps.
pub fn jacobi_radius<T: Real>(a: &(impl LinearOperator<T> + ?Sized), steps: usize) -> Result<f64> {
    settled_jacobi_radius(a, 0.0, steps).map(|(beta, _)| beta)
}

/// As [`jacobi_radius`], ending once five more steps change 1 − β by no more than `rtol` of itself; with the number
/// of steps.
///
/// # Errors
/// As [`jacobi_radius`]; `rtol` negative or not finite.
pub fn settled_jacobi_radius<T: Real>(
    a: &(impl LinearOperator<T> + ?Sized),
    rtol: f64,
    steps: usize,
) -> Result<(f64, usize)> {
    let mut m = FromRelaxation::new(a, Jacobi::new(a, 1.0)?, 1)?;
    let ends = settled_eigenvalues(a, &mut m, rtol, steps)?;
    Ok(((1.0 - ends.min).max(ends.max - 1.0), ends.steps))
}

/// The near-asymptotic bound of SOR's iterations to a relative residual ε,
/// U = 1 + ln ε/ln(ρ + τ(1 − ρ)), ρ = ρ(ω; β); τ ∈ [0, 1) is how far the iteration is from its asymptote,
/// max_ω (‖C^{k−1}‖^{1/(k−1)} − ρ)/(1 − ρ) with C = I − A(D/ω + L)⁻¹.
///
/// # Errors
/// ω outside (0, 2), β or τ outside [0, 1), ε outside (0, 1).
pub fn near_asymptotic(omega: f64, beta: f64, tau: f64, epsilon: f64) -> Result<f64> {
    if !(0.0..1.0).contains(&tau) {
        return Err(Error::invalid("τ", tau, "0 ≤ τ < 1"));
    }
    check_epsilon(epsilon)?;
    let rho = sor_radius(omega, beta)?;
    Ok(1.0 + epsilon.ln() / (rho + tau * (1.0 - rho)).ln())
}

/// The bound of the condition number of SSOR-preconditioned A,
/// [1 + (2 − ω)²μ/(4ω) + ωδ]/(2 − ω), μ = λmax(DA⁻¹), δ = λmax((LD⁻¹Lᵀ − D/4)A⁻¹) ≥ −¼.
///
/// # Errors
/// ω outside (0, 2), μ ≤ 0, δ < −¼.
pub fn ssor_condition(omega: f64, mu: f64, delta: f64) -> Result<f64> {
    check_constants(mu, delta)?;
    if !(omega > 0.0 && omega < 2.0) {
        return Err(Error::invalid("ω", omega, "0 < ω < 2"));
    }
    let left = 2.0 - omega;
    Ok((1.0 + left * left * mu / (4.0 * omega) + omega * delta) / left)
}

/// The minimiser 2/(1 + 2√((½ + δ)/μ)) of [`ssor_condition`].
///
/// # Errors
/// μ ≤ 0, δ < −¼.
pub fn ssor_optimal_omega(mu: f64, delta: f64) -> Result<f64> {
    check_constants(mu, delta)?;
    Ok(2.0 / (1.0 + 2.0 * ((0.5 + delta) / mu).sqrt()))
}

/// The iterations after which CG's error in the A-norm is below ε of the first one, by the
/// condition number alone: ½√κ ln(2/ε).
///
/// # Errors
/// κ < 1, ε outside (0, 1).
pub fn cg_iterations(condition: f64, epsilon: f64) -> Result<f64> {
    check_epsilon(epsilon)?;
    if condition.is_nan() || condition < 1.0 {
        return Err(Error::invalid("the condition number", condition, "it is at least 1"));
    }
    Ok(0.5 * condition.sqrt() * (2.0 / epsilon).ln())
}

fn check_epsilon(epsilon: f64) -> Result<()> {
    if epsilon > 0.0 && epsilon < 1.0 {
        return Ok(());
    }
    Err(Error::invalid("ε", epsilon, "0 < ε < 1"))
}

fn check_constants(mu: f64, delta: f64) -> Result<()> {
    if !(mu.is_finite() && mu > 0.0) {
        return Err(Error::invalid("μ = λmax(DA⁻¹)", mu, "it is positive for SPD A"));
    }
    if !(delta.is_finite() && delta >= -0.25) {
        return Err(Error::invalid("δ = λmax((LD⁻¹Lᵀ − D/4)A⁻¹)", delta, "it is at least −1/4"));
    }
    Ok(())
}
