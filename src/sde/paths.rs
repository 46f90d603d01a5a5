//! Many paths over the threads, in blocks that share their steps; a path that fails does not take the others
//! along.

use super::noise::Brownian;
use super::solve::SdeMethod;
use super::system::System;
use crate::error::{Error, Result};
use crate::integrate::{Options, Partial, Problem, Save, Silent, Solution};
use crate::num::{Real, parallel};
use crate::ode::{Ensemble, Part, Solver};
use std::ops::Range;

/// A solution, and whether it is complete.
type Finished<T> = (Solution<T>, Result<(), Partial<T>>);

/// Solves every column of `problem.y0` along its own path, in blocks of `block` columns that share their steps:
/// 1 gives each path steps of its own, a few hundred is the fastest with fixed steps. `noise` makes the source
/// of a range of paths; made with `paths_from`, path i is the same in every block. θ is shared.
///
/// A path that stops early (a state that goes non-finite, a tolerance that is never met) is in
/// [`Ensemble::failures`] with its post-mortem; the paths of its block are then solved one by one, so that the
/// others are complete. With fixed steps that changes no bit of theirs; adaptive ones then have own steps.
///
/// ```
/// use odeon::dynamics::{gallery::Decay, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::sde::{Diagonal, Sde, noise::FixedGrid, solve_paths, tableaux::EulerMaruyama};
///
/// let sde = Sde::ito(Generic(Decay), Diagonal(Generic(Decay)));
/// let problem = Problem { y0: &[1.0; 1000], span: [0.0, 1.0], theta: &[-0.5, -0.5] };
/// let noise = |paths: std::ops::Range<usize>| {
///     FixedGrid::new(7, [0.0, 1.0], 100, 1, paths.len())?.paths_from(paths.start)
/// };
/// let paths = solve_paths(&sde, &EulerMaruyama, noise, &problem, &Options::fixed(0.01), 250)?;
/// let mean = paths.y.iter().sum::<f64>() / 1000.0;
/// assert!((mean - 0.5_f64.exp()).abs() < 0.1);
/// # Ok::<(), odeon::Error>(())
/// ```
///
/// # Errors
/// Inputs, options, noise or a method that do not fit.
pub fn solve_paths<T: Real, S: System<T>, B: Brownian<T>>(
    system: &S,
    method: &impl SdeMethod<T, S>,
    noise: impl Fn(Range<usize>) -> Result<B> + Sync,
    problem: &Problem<'_, T>,
    options: &Options<T>,
    block: usize,
) -> Result<Ensemble<T>> {
    let dim = system.dim();
    if problem.y0.is_empty() || dim == 0 || !problem.y0.len().is_multiple_of(dim) {
        let needed = format!("a positive multiple of the equation's {dim} rows");
        return Err(Error::Length { what: "y0", given: problem.y0.len(), needed });
    }
    if block == 0 {
        return Err(Error::invalid("the paths of a block", block, "at least one is needed"));
    }
    let t = match &options.save {
        Save::End => vec![problem.span[1]],
        Save::At(times) => times.clone(),
        other => {
            let needed = "paths save the end or given times, since blocks have different steps";
            return Err(Error::invalid("save", format!("{other:?}"), needed));
        }
    };
    let length = dim * t.len();
    let one = |range: Range<usize>| -> Result<Finished<T>> {
        let y0 = &problem.y0[range.start * dim..range.end * dim];
        let mut solver = Solver::with(method.stepper(system, noise(range)?)?);
        let outcome = solver.observe(&Problem { y0, ..*problem }, options, &mut Silent).map(drop);
        match outcome {
            Err(Partial { error, .. }) if !matches!(error, Error::Solve(_)) => Err(error),
            outcome => Ok((solver.into_solution(), outcome)),
        }
    };
    let task = |range: Range<usize>| -> Result<Part<T>> {
        let mut part = Part::new(range.len(), length);
        let (solution, outcome) = one(range.clone())?;
        if outcome.is_ok() || range.len() == 1 {
            part.enter_batch(range.start, &solution, outcome, &options.save);
            return Ok(part);
        }
        for (slot, i) in range.enumerate() {
            let (solution, outcome) = one(i..i + 1)?;
            part.enter((slot, i), &solution, outcome, &options.save);
        }
        Ok(part)
    };
    let mut all = Ensemble { dim, t, y: Vec::new(), stats: Vec::new(), failures: Vec::new() };
    for part in parallel::chunks(problem.y0.len() / dim, block, task) {
        let part = part?;
        all.y.extend_from_slice(&part.y);
        all.stats.extend_from_slice(&part.stats);
        all.failures.extend(part.failures);
    }
    all.failures.sort_by_key(|f| f.0);
    Ok(all)
}
