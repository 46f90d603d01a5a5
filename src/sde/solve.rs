//! Solving a stochastic differential equation: one door for every method.

use super::noise::Brownian;
use super::srk::{SrkStepper, StochasticRk};
use super::system::System;
use crate::error::{Error, Result};
use crate::integrate::{Options, Partial, Problem, Silent, Solution, Stepper};
use crate::num::Real;
use crate::ode::Solver;

/// A method for stochastic equations: a value that makes steppers for a system `S` and its noise. The user
/// changes one word to change the method.
pub trait SdeMethod<T: Real, S: System<T>>: Sync {
    /// What takes its steps.
    type Stepper<'a>: Stepper<T>
    where
        S: 'a;

    /// Blocks of `dim × paths` that the stepper's state is made of: the solution, and what the method carries
    /// beside it, which [`solve`] hides and [`prepare`](Stepper::prepare) starts.
    const CARRIED: usize = 1;

    /// A stepper driven by `noise`, of as many columns as the noise has paths.
    ///
    /// # Errors
    /// A noise class or calculus that the method does not take, or a source that does not fit.
    fn stepper<'a>(&self, system: &'a S, noise: impl Brownian<T> + 'a) -> Result<Self::Stepper<'a>>;
}

impl<T: Real, S: System<T>, M: StochasticRk> SdeMethod<T, S> for M {
    type Stepper<'a>
        = SrkStepper<'a, T, S>
    where
        S: 'a;

    fn stepper<'a>(&self, system: &'a S, noise: impl Brownian<T> + 'a) -> Result<SrkStepper<'a, T, S>> {
        SrkStepper::new(system, self.tableau(), noise)
    }
}

/// Solves dX = f dt + G dW from `problem.y0` (`dim × paths`) along the paths of `noise`. All paths share every
/// step. Give it a method without error estimate with [`Options::fixed`].
///
/// # Errors
/// Inputs that do not fit, or a solve that stopped early; the error then carries what was reached.
pub fn solve<T: Real, S: System<T>, M: SdeMethod<T, S>>(
    system: &S,
    method: &M,
    noise: impl Brownian<T>,
    problem: &Problem<'_, T>,
    options: &Options<T>,
) -> Result<Solution<T>, Partial<T>> {
    let paths = noise.paths();
    let mut solver = Solver::with(method.stepper(system, noise)?);
    if M::CARRIED == 1 {
        solver.observe(problem, options, &mut Silent)?;
        return Ok(solver.into_solution());
    }
    Error::check_len("y0", problem.y0.len(), system.dim() * paths, "dim × paths")?;
    let y0 = problem.y0.repeat(M::CARRIED);
    let outcome = solver.observe(&Problem { y0: &y0, ..*problem }, options, &mut Silent).map(|_| ());
    outcome.map_err(|mut partial| {
        partial.solution.keep_columns(paths.min(partial.solution.batch));
        partial
    })?;
    let mut solution = solver.into_solution();
    solution.keep_columns(paths);
    Ok(solution)
}
