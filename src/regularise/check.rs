//! [`check_heuristic`]: a heuristic's pullback against finite differences of its value.

use crate::error::{Error, Result};
use crate::integrate::{Heuristic, StepCotangent, StepView};
use crate::num::Real;

/// Compares `heuristic.pullback` with central differences of `heuristic.value` at `step`, entry by
/// entry of y0, y1 and the stage derivatives; t and h are constants. Differences are taken at two
/// increments and extrapolated (Richardson), so `tolerance` can be 1e-7 in f64; it is relative to
/// the largest derivative.
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
        let moved = StepView {
            y0,
            y1,
            stages,
            ..*step
        };
        heuristic.value(&moved, &mut scratch)
    };
    let mut wanted: [Vec<T>; 3] = Default::default();
    for part in 0..3 {
        let typical = crate::num::rms(&at[part]).max(T::of(1e-3));
        for i in 0..at[part].len() {
            let x = at[part][i];
            let mut difference = |d: T| {
                at[part][i] = x + d;
                let (up, high) = (value(&at), at[part][i]);
                at[part][i] = x - d;
                let (down, low) = (value(&at), at[part][i]);
                at[part][i] = x;
                (up - down) / (high - low)
            };
            let d = T::EPSILON.powf(T::of(0.2)) * x.abs().max(typical) * T::of(0.3);
            let (coarse, fine) = (difference(d), difference(d * T::of(0.5)));
            wanted[part].push(fine + (fine - coarse) / T::of(3.0));
        }
    }
    let largest = wanted
        .iter()
        .flatten()
        .fold(T::zero(), |a, x| a.max(x.abs()));
    for (part, (given, wanted)) in given.iter().zip(&wanted).enumerate() {
        for (i, (g, w)) in given.iter().zip(wanted).enumerate() {
            let close = (*g - *w).abs() <= tolerance * largest.max(T::MIN_POSITIVE);
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

/// Cotangents of y0, y1 and the stages; a stage not marked as touched counts as zero, as it does in
/// the adjoint.
fn pullback<T: Real>(heuristic: &dyn Heuristic<T>, step: &StepView<'_, T>) -> [Vec<T>; 3] {
    let n = step.len();
    let zeros = |n: usize| vec![T::zero(); n];
    let mut bars = [zeros(n), zeros(n), zeros(step.stages.len())];
    let mut touched = vec![false; step.stages.len() / n];
    let mut scratch = zeros(2 * n);
    let [y0, y1, stages] = &mut bars;
    let mut bar = StepCotangent {
        y0,
        y1,
        stages,
        touched: &mut touched,
        scratch: &mut scratch,
    };
    heuristic.pullback(step, T::one(), &mut bar);
    for (stage, touched) in bars[2].chunks_mut(n).zip(touched) {
        if !touched {
            stage.fill(T::zero());
        }
    }
    bars
}
