//! What a solve may be asked for, and how far its steps may shrink.

use crate::error::{Error, Result};
use crate::integrate::options::{Options, Save};
use crate::num::Real;

/// Whether a step of size h takes all that remains: a remainder within rounding of h is taken whole,
/// so that no sliver of a step is left.
#[inline(always)]
pub(crate) fn takes_remainder<T: Real>(h: T, remaining: T) -> bool {
    let slack = T::of(1e-9).max(T::of(1000.0) * T::EPSILON);
    h.abs() * (T::one() + slack) >= remaining.abs()
}

/// Checks that a controller that judges steps by their error has an error to judge by.
pub(crate) fn check_estimate<T: Real>(options: &Options<T>, error_power: Option<usize>) -> Result<()> {
    if error_power.is_some() || !options.controller.is_adaptive() {
        return Ok(());
    }
    let needed = "this method has no error estimate: take fixed steps (Options::fixed), or a method with one";
    Err(Error::invalid("the controller", "adaptive", needed))
}

/// Refuses adaptive steps that would not tend to the solution.
pub(super) fn check_steering<T: Real>(options: &Options<T>, steers: bool) -> Result<()> {
    if steers || !options.controller.is_adaptive() {
        return Ok(());
    }
    let needed = "this method has strong order ½ for this noise, and steps that depend on the path would bias it: take \
                  fixed steps (Options::fixed), or a method of strong order 1";
    Err(Error::invalid("the controller", "adaptive", needed))
}

/// Checks that a solve that keeps every step densely has a method whose steps can be kept so.
pub(super) fn check_dense<T: Real>(options: &Options<T>, dense_weights: &[Vec<f64>]) -> Result<()> {
    if options.save != Save::Dense || !dense_weights.is_empty() {
        return Ok(());
    }
    let needed = "this method's output between steps takes more than its stages (say the noise): name the times with \
                  Save::At";
    Err(Error::invalid("what is saved", "Save::Dense", needed))
}

/// Whether the step proposed after an accepted one is smaller than that and below the smallest allowed: time
/// would stand still before a singularity, step after accepted step. A step that grows may be small, and so may
/// the last one before `stop`.
#[inline(always)]
pub(crate) fn shrinks_away<T: Real>(next: T, taken: T, (t, stop): (T, T), options: &Options<T>) -> bool {
    next.abs() < taken.abs()
        && next.abs() < smallest_step(t, stop, options)
        && !takes_remainder(next, stop - t)
}

/// The step size below which the solve gives up.
pub(crate) fn smallest_step<T: Real>(t: T, t1: T, options: &Options<T>) -> T {
    let scale = t.abs().max(t1.abs() * T::EPSILON).max(T::MIN_POSITIVE);
    options.dt_min.unwrap_or(T::of(16.0) * T::EPSILON * scale)
}

/// Stops strictly inside the span in the direction of integration, then the end.
pub(crate) fn sorted_stops<T: Real>(stops: &[T], [t0, t1]: [T; 2]) -> Vec<T> {
    let forward = t1 > t0;
    let inside = |t: T| {
        if forward { t > t0 && t < t1 } else { t < t0 && t > t1 }
    };
    let mut sorted: Vec<T> = stops.iter().copied().filter(|&t| inside(t)).collect();
    sorted.sort_by(|a, b| {
        let order = a.f64().total_cmp(&b.f64());
        if forward { order } else { order.reverse() }
    });
    sorted.dedup();
    sorted.push(t1);
    sorted
}
