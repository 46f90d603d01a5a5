//! Ensembles: many trajectories of one system, each with its own steps (and, if wanted, its own
//! parameters). Small systems written generically run sixteen at a time in SIMD lanes; everything
//! else runs one at a time; both are spread over threads. Each trajectory has the bits of solving it alone.

use super::explicit::refuse_mass;
use super::lanes::LaneSolver;
use super::solve::{Solver, StepMethod, batch_of};
use crate::dynamics::Dynamics;
use crate::error::{Error, Result};
use crate::integrate::{Options, Partial, Problem, Save, Silent, Solution, check_estimate};
use crate::num::{Real, parallel};
use std::ops::Range;

/// Counts of one trajectory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrajectoryStatistics {
    /// Evaluations of the right-hand side.
    pub nfe: usize,
    /// Accepted steps.
    pub accepted: usize,
    /// Rejected steps.
    pub rejected: usize,
}

/// The trajectories' saved states.
#[derive(Debug)]
pub struct Ensemble<T> {
    /// Rows of a state.
    pub dim: usize,
    /// Saved times, the same for all trajectories.
    pub t: Vec<T>,
    /// For each trajectory its saved states, `dim × times`; NaN where a failed trajectory did not get to.
    pub y: Vec<T>,
    /// Counts of each trajectory.
    pub stats: Vec<TrajectoryStatistics>,
    /// Trajectories that stopped early, and why; the others are complete.
    pub failures: Vec<(usize, Error)>,
}

impl<T: Real> Ensemble<T> {
    /// Saved states of trajectory `i`, `dim × times`.
    pub fn trajectory(&self, i: usize) -> &[T] {
        let n = self.dim * self.t.len();
        &self.y[i * n..(i + 1) * n]
    }
}

/// Trajectories a task takes.
const CHUNK: usize = 1024;

/// What a task gives back.
pub(crate) struct Part<T> {
    pub y: Vec<T>,
    pub stats: Vec<TrajectoryStatistics>,
    pub failures: Vec<(usize, Error)>,
}

impl<T: Real> Part<T> {
    pub fn new(count: usize, length: usize) -> Self {
        Self { y: vec![T::NAN; count * length], stats: vec![Default::default(); count], failures: Vec::new() }
    }
}

impl<T: Real> Part<T> {
    /// Enters the columns of a solution that they share the steps of, the first of them trajectory `first`.
    pub fn enter_batch(
        &mut self,
        first: usize,
        solution: &Solution<T>,
        outcome: Result<(), Partial<T>>,
        save: &Save<T>,
    ) {
        let (dim, batch) = (solution.dim, solution.batch);
        if batch == 1 {
            return self.enter((0, first), solution, outcome, save);
        }
        let length = self.y.len() / self.stats.len();
        for (time, block) in solution.y.chunks_exact(dim * batch).enumerate() {
            for (slot, y) in block.chunks_exact(dim).enumerate() {
                self.y[slot * length + time * dim..][..dim].copy_from_slice(y);
            }
        }
        let s = &solution.stats;
        self.stats.fill(TrajectoryStatistics { nfe: s.nfe, accepted: s.accepted, rejected: s.rejected });
    }

    /// Enters trajectory `i` in `slot`: its saved states (none for an end it did not reach), counts
    /// and failure.
    pub fn enter(
        &mut self,
        (slot, i): (usize, usize),
        solution: &Solution<T>,
        outcome: Result<(), Partial<T>>,
        save: &Save<T>,
    ) {
        if outcome.is_ok() || *save != Save::End {
            let length = self.y.len() / self.stats.len();
            self.y[slot * length..][..solution.y.len()].copy_from_slice(&solution.y);
        }
        let s = &solution.stats;
        self.stats[slot] = TrajectoryStatistics { nfe: s.nfe, accepted: s.accepted, rejected: s.rejected };
        if let Err(partial) = outcome {
            self.failures.push((i, partial.error));
        }
    }
}

/// Solves every column of `problem.y0` by itself. `problem.theta` holds one set of parameters for
/// all, or one for each trajectory, one after the other. Saves the end or given times.
///
/// # Errors
/// Inputs or options that do not fit. A trajectory that stops early is in `failures`.
pub fn solve_ensemble<T: Real, D: Dynamics<T>, M: StepMethod<T, D>>(
    dynamics: &D,
    method: &M,
    problem: &Problem<'_, T>,
    options: &Options<T>,
) -> Result<Ensemble<T>> {
    let (dim, params) = (dynamics.dim(), dynamics.num_params());
    let count = batch_of(dim, problem.y0)?;
    let shared = problem.theta.len() == params;
    if !shared {
        Error::check_len(
            "theta",
            problem.theta.len(),
            params * count,
            "one set of parameters, or one for each trajectory",
        )?;
    }
    Error::check_finite("y0", problem.y0)?;
    Error::check_finite("theta", problem.theta)?;
    options.check(problem.span[0], problem.span[1], dim)?;
    check_estimate(options, method.has_error().then_some(1))?;
    if method.explicit().is_some() {
        refuse_mass(dynamics)?;
    }
    if M::CARRIED > 1 {
        let needed = "ensembles run methods whose state is the solution alone: solve one batch (ode::solve) or take a \
                      method that is not reversible";
        return Err(Error::invalid("the method of the ensemble", "a reversible one", needed));
    }
    let t = match &options.save {
        Save::End => vec![problem.span[1]],
        Save::At(times) => times.clone(),
        other => {
            let needed =
                "an ensemble saves the end or given times, since its trajectories have different steps";
            return Err(Error::invalid("save", format!("{other:?}"), needed));
        }
    };
    let theta = |i: usize| {
        if shared { problem.theta } else { &problem.theta[i * params..(i + 1) * params] }
    };
    let task = Task { dynamics, problem, options, length: dim * t.len(), theta: &theta };
    let lanes = method.explicit().filter(|t| D::SIMD_LANES && LaneSolver::<T, D>::serves(t, options));
    let parts = parallel::chunks(count, CHUNK, |range| match lanes {
        Some(tableau) => LaneSolver::new(&task, tableau, range).run(),
        None => task.one_by_one(method, range),
    });
    let mut all = Ensemble {
        dim,
        t,
        y: Vec::with_capacity(count * task.length),
        stats: Vec::new(),
        failures: Vec::new(),
    };
    for part in parts {
        all.y.extend_from_slice(&part.y);
        all.stats.extend_from_slice(&part.stats);
        all.failures.extend(part.failures);
    }
    all.failures.sort_by_key(|f| f.0);
    Ok(all)
}

/// What every task shares.
pub(crate) struct Task<'a, T, D> {
    pub dynamics: &'a D,
    pub problem: &'a Problem<'a, T>,
    pub options: &'a Options<T>,
    /// Numbers saved for each trajectory.
    pub length: usize,
    /// Parameters of trajectory i.
    pub theta: &'a (dyn Fn(usize) -> &'a [T] + Sync),
}

impl<T: Real, D: Dynamics<T>> Task<'_, T, D> {
    /// The problem of trajectory `i`.
    pub fn single(&self, i: usize) -> Problem<'_, T> {
        let dim = self.dynamics.dim();
        Problem {
            y0: &self.problem.y0[i * dim..(i + 1) * dim],
            span: self.problem.span,
            theta: (self.theta)(i),
        }
    }

    fn one_by_one(&self, method: &impl StepMethod<T, D>, range: Range<usize>) -> Part<T> {
        let mut solver = Solver::new(self.dynamics, method, 1);
        let mut part = Part::new(range.len(), self.length);
        for (slot, i) in range.enumerate() {
            let outcome = solver.run(&self.single(i), self.options, &mut Silent);
            let solution = &solver.drive.solution;
            part.enter((slot, i), solution, outcome, &self.options.save);
        }
        part
    }
}
