//! [`check_heuristic`]: a heuristic's pullback against finite differences of its value.

use crate::error::{Error, Result};
use crate::integrate::{Heuristic, StepCotangent, StepView};
use crate::num::Real;

/// Compares `heuristic.pullback` with central differences of `heuristic.value` at `step`, entry by
/// entry of y0, y1 and the stage derivatives; t and h are constants. Increments are swept and
/// extrapolated, so `tolerance`, relative to the largest derivative, can be 1e-7 in f64; what the
/// differences leave uncertain is allowed for.
///
/// The step comes from an [`Observer`](crate::integrate::Observer) of a solve.
///
/// # Errors
/// The first entry that is off, with both numbers: "the pullback of speed at k_2\[0\] is 1.3, but
/// finite differences of its value give 2.6".
pub fn check_heuristic<T: Real>(
    heuristic: &dyn Heuristic<T>,
    step: &StepView<'_, T>,
    tolerance: T,
) -> Result<()> {
    let n = step.len();
    let mut at = [step.y0.to_vec(), step.y1.to_vec(), step.stages.to_vec()];
    let given = pullback(heuristic, step);
    let mut scratch = vec![T::zero(); 2 * n];
    let mut value = |[y0, y1, stages]: &[Vec<T>; 3]| {
        let moved = StepView { y0, y1, stages, ..*step };
        heuristic.value(&moved, &mut scratch)
    };
    let mut wanted: [Vec<[f64; 2]>; 3] = Default::default();
    for part in 0..3 {
        let typical = crate::num::rms(&at[part]).max(T::of(1e-3));
        for i in 0..at[part].len() {
            let x = at[part][i];
            let size = x.abs().max(typical).f64();
            let derivative = swept(size, T::EPSILON.f64(), |d| {
                at[part][i] = x + T::of(d);
                let (v, moved) = (value(&at), at[part][i]);
                at[part][i] = x;
                [v.f64(), (moved - x).f64()]
            });
            wanted[part].push(derivative);
        }
    }
    let largest = wanted.iter().flatten().fold(0.0, |a: f64, x| a.max(x[0].abs()));
    let tolerance = tolerance.f64() * largest;
    for (part, (given, wanted)) in given.iter().zip(&wanted).enumerate() {
        for (i, (g, [w, uncertain])) in given.iter().zip(wanted).enumerate() {
            let close = (g.f64() - w).abs() <= tolerance + uncertain;
            if !close {
                let entry = match part {
                    0 | 1 => format!("y{part}[{i}]"),
                    _ => format!("k_{}[{}]", i / n + 1, i % n),
                };
                let what = format!("the pullback of {} at {entry}", heuristic.name());
                let needed = format!("finite differences of its value give {w:e}");
                return Err(Error::invalid(what, format!("{g:e}"), needed));
            }
        }
    }
    Ok(())
}

/// Halvings of the increment in [`swept`].
const LEVELS: usize = 22;

/// The derivative of `f` at 0 with its uncertainty; `f(d)` gives the value at d and the d that was
/// really added. Central differences at increments halved from a tenth of `size` are extrapolated
/// twice (error d⁶); the one that agrees best with its neighbours counts, so that neither curvature
/// nor rounding decides.
fn swept(size: f64, epsilon: f64, mut f: impl FnMut(f64) -> [f64; 2]) -> [f64; 2] {
    let mut central = [[0.0; 2]; LEVELS];
    for (level, c) in central.iter_mut().enumerate() {
        let d = 0.1 * size * 0.5f64.powi(level as i32);
        let ([up, high], [down, low]) = (f(d), f(-d));
        let rounding = epsilon * up.abs().max(down.abs()) / (high - low);
        *c = [(up - down) / (high - low), rounding];
    }
    let twice = |w: &[[f64; 2]]| {
        let (r0, r1) = ((4.0 * w[1][0] - w[0][0]) / 3.0, (4.0 * w[2][0] - w[1][0]) / 3.0);
        [(16.0 * r1 - r0) / 15.0, 3.0 * w[2][1]]
    };
    let mut best = [f64::NAN, f64::INFINITY];
    for w in central.windows(5) {
        let r = [twice(&w[..3]), twice(&w[1..4]), twice(&w[2..])];
        let gap = (r[1][0] - r[0][0]).abs().max((r[2][0] - r[1][0]).abs()) + r[1][1];
        if gap < best[1] {
            best = [r[1][0], gap];
        }
    }
    best
}

/// Cotangents of y0, y1 and the stages; a stage not marked as touched counts as zero, as it does in
/// the adjoint.
fn pullback<T: Real>(heuristic: &dyn Heuristic<T>, step: &StepView<'_, T>) -> [Vec<T>; 3] {
    let n = step.len();
    let zeros = |n: usize| vec![T::zero(); n];
    let mut bars = [zeros(n), zeros(n), zeros(step.stages.len())];
    let mut touched = vec![false; step.stages.len() / n];
    let mut scratch = zeros(2 * n);
    let [y0, y1, stages] = &mut bars;
    let mut bar = StepCotangent { y0, y1, stages, touched: &mut touched, scratch: &mut scratch };
    heuristic.pullback(step, T::one(), &mut bar);
    for (stage, touched) in bars[2].chunks_mut(n).zip(touched) {
        if !touched {
            stage.fill(T::zero());
        }
    }
    bars
}
