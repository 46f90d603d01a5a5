//! What is known of the best ω of SOR: Young's theory for consistently ordered matrices.

use crate::error::{Error, Result};

fn check_beta(beta: f64) -> Result<()> {
    if (0.0..1.0).contains(&beta) {
        return Ok(());
    }
    Err(Error::invalid("β = ρ(I − D⁻¹A)", beta, "0 ≤ β < 1 must hold (else Jacobi and SOR diverge)"))
}

/// ω* = 2/(1 + √(1 − β²)), which minimises the spectral radius of SOR for a consistently ordered A
/// (tridiagonal, 5- and 7-point stencils in natural or red-black order, …) whose Jacobi iteration matrix
/// has real eigenvalues, β = ρ(I − D⁻¹A) the largest (Young 1971, ch. 6).
///
/// ```
/// // The 5-point Laplacian on a 32 × 32 grid: β = cos(π/33), 110 iterations to 1e-8 instead of 1533.
/// let beta = (std::f64::consts::PI / 33.0).cos();
/// assert!((odeon::linalg::relax::optimal_omega(beta)? - 1.826).abs() < 1e-3);
/// # Ok::<(), odeon::Error>(())
/// ```
///
/// # Errors
/// β outside [0, 1).
pub fn optimal_omega(beta: f64) -> Result<f64> {
    check_beta(beta)?;
    Ok(2.0 / (1.0 + (1.0 - beta * beta).sqrt()))
}

/// The spectral radius of the SOR iteration matrix I − (D/ω + L)⁻¹A under the same assumptions:
/// ¼(ωβ + √(ω²β² − 4(ω − 1)))² for ω < ω*, ω − 1 above.
///
/// # Errors
/// ω outside (0, 2), β outside [0, 1).
pub fn sor_radius(omega: f64, beta: f64) -> Result<f64> {
    super::setup::check_omega(omega)?;
    if omega >= optimal_omega(beta)? {
        return Ok(omega - 1.0);
    }
    let square = (omega * beta).powi(2) - 4.0 * (omega - 1.0);
    Ok((omega * beta + square.max(0.0).sqrt()).powi(2) / 4.0)
}
