//! The loss: how much of b is left after the line search along f(b).

use crate::error::{Error, Result};
use crate::linalg::LinearOperator;
use crate::linalg::vector::{axpy, combine, dot, dot2, norm_squared, scaled};
use crate::num::Real;

/// The loss of one direction, and the line search inside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// ‖b − αA f‖²/‖b‖², or that part of the energy.
    pub value: f64,
    /// α = (f·b)/(f·Af).
    pub alpha: f64,
}

/// ‖b − αA f‖²/‖b‖² with α = (f·b)/(f·Af) for symmetric A (Kaneda et al., eq. for L; the line search is
/// inside the loss, so that the length of f does not matter). `f_bar` ← its gradient in f,
///
/// −2αA e/‖b‖² + c (b − 2αA f)/(f·Af), e = b − αA f, c = −2 (A f·e)/‖b‖²;
///
/// `residual` ← e, a right-hand side as the iteration itself would meet it; `work` is free memory.
///
/// # Errors
/// Lengths that do not fit, b = 0, f·Af that is not positive (A is not positive definite, or f vanishes).
pub fn line_search_loss<T, A>(
    a: &A,
    [b, f]: [&[T]; 2],
    f_bar: &mut [T],
    residual: &mut [T],
    work: &mut [T],
) -> Result<Loss>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
{
    for (what, length) in
        [("b", b.len()), ("f", f.len()), ("f_bar", f_bar.len()), ("residual", residual.len())]
    {
        Error::check_len(what, length, a.rows(), "the rows of the operator")?;
    }
    Error::check_len("work", work.len(), a.rows(), "the rows of the operator")?;
    let curvature = a.apply_dot(f, work);
    let (descent, size) = (dot(f, b), norm_squared(b));
    if !(curvature > 0.0 && size > 0.0 && descent.is_finite()) {
        let given = format!("f·Af = {curvature:e}, ‖b‖² = {size:e}, f·b = {descent:e}");
        let needed = "A must be positive definite, b and f finite and not zero";
        return Err(Error::invalid("the line search of the loss", given, needed));
    }
    let alpha = descent / curvature;
    residual.copy_from_slice(b);
    combine(-alpha, work, 0.0, b, 1.0, residual);
    let [along, left] = dot2(residual, work, residual);
    let c = -2.0 * along / size;
    a.apply(residual, f_bar);
    // c (b − 2αA f)/(f·Af) − 2αA e/‖b‖².
    let scale = c / curvature;
    combine(scale, b, -2.0 * alpha * scale, work, -2.0 * alpha / size, f_bar);
    Ok(Loss { value: left / size, alpha })
}

/// ‖x − αf‖_A²/‖x‖_A² = 1 − (f·b)²/((f·Af)(x·b)) with b = A x and α = (f·b)/(f·Af) for symmetric A: what CG
/// itself makes small, where the solution x is known. `f_bar` ← its gradient in f, −2α(b − αA f)/(x·b);
/// `residual` ← b − αA f.
///
/// # Errors
/// As [`line_search_loss`]; x·b that is not positive.
pub fn energy_loss<T, A>(
    a: &A,
    [b, f, x]: [&[T]; 3],
    f_bar: &mut [T],
    residual: &mut [T],
    work: &mut [T],
) -> Result<Loss>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
{
    for (what, length) in [
        ("b", b.len()),
        ("f", f.len()),
        ("x", x.len()),
        ("f_bar", f_bar.len()),
        ("residual", residual.len()),
        ("work", work.len()),
    ] {
        Error::check_len(what, length, a.rows(), "the rows of the operator")?;
    }
    let curvature = a.apply_dot(f, work);
    let (descent, energy) = (dot(f, b), dot(x, b));
    if !(curvature > 0.0 && energy > 0.0 && descent.is_finite()) {
        let given = format!("f·Af = {curvature:e}, x·b = {energy:e}, f·b = {descent:e}");
        let needed = "A must be positive definite, x and f finite and not zero";
        return Err(Error::invalid("the line search of the loss", given, needed));
    }
    let alpha = descent / curvature;
    residual.copy_from_slice(b);
    axpy(-alpha, work, residual);
    scaled(-2.0 * alpha / energy, residual, f_bar);
    Ok(Loss { value: 1.0 - alpha * descent / energy, alpha })
}
