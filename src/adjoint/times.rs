//! Derivatives of a loss with respect to the ends of the solve.

use crate::dynamics::{Dynamics, Point, check_shapes};
use crate::error::{Error, Result};
use crate::integrate::{Problem, Solution};
use crate::num::Real;

/// [dL/dt0, dL/dt1] of a loss of the saved states, from their cotangents `y_bar` and that of y0, `y0_bar`, which any
/// adjoint gives. A state that is saved at an end moves with it; all other saved times stay. With λ = ȳ0 less
/// what was saved at t0 itself,
///
/// dL/dt1 = Σ_{t_i = t1} ∂L/∂y(t_i)·f(t1, y(t1)),   dL/dt0 = −λ·f(t0, y0).
///
/// These are the derivatives of the equation's solution: those of the computed one differ by the error of the
/// solve.
///
/// # Errors
/// Lengths that do not fit.
pub fn time_gradients<T: Real, D: Dynamics<T>>(
    dynamics: &D,
    problem: &Problem<'_, T>,
    solution: &Solution<T>,
    y_bar: &[T],
    y0_bar: &[T],
) -> Result<[T; 2]> {
    let (n, [t0, t1]) = (problem.y0.len(), problem.span);
    let batch = check_shapes(dynamics, problem.y0, problem.theta)?;
    let why = "one for each saved number";
    Error::check_len("the cotangent of the saved states", y_bar.len(), solution.y.len(), why)?;
    Error::check_len("the cotangent of y0", y0_bar.len(), n, "dim × batch")?;
    Error::check_len(
        "the saved states",
        solution.y.len(),
        n * solution.t.len(),
        "dim × batch for each time",
    )?;
    let (mut scratch, mut dy) = (dynamics.scratch(batch), vec![T::zero(); n]);
    let dot = |a: &[T], b: &[T]| a.iter().zip(b).fold(T::zero(), |sum, (a, b)| a.mul_add(*b, sum));
    dynamics.eval(Point { t: t0, y: problem.y0, theta: problem.theta }, &mut dy, &mut scratch);
    let (mut at_start, mut at_end) = (-dot(y0_bar, &dy), T::zero());
    let saved = solution.t.iter().zip(y_bar.chunks_exact(n)).enumerate();
    for (i, (&t, bar)) in saved {
        if t == t0 {
            at_start += dot(bar, &dy);
        } else if t == t1 {
            // The derivative at t0 is not wanted any more: saved times are in order.
            dynamics.eval(Point { t, y: solution.state(i), theta: problem.theta }, &mut dy, &mut scratch);
            at_end += dot(bar, &dy);
        }
    }
    Ok([at_start, at_end])
}
