//! Solving one initial value problem, or a batch that shares its steps.

use super::explicit::ExplicitStepper;
use super::tableau::ExplicitRk;
use crate::dynamics::Dynamics;
use crate::error::{Error, Result};
use crate::integrate::{Drive, Observer, Options, Partial, Problem, Silent, Solution, Stepper};
use crate::num::Real;

/// Solves y' = f(t, y; θ), y(t0) = y0. The columns of y0 (`dim × batch`) share every step.
///
/// # Errors
/// Inputs or options that do not fit, or a solve that stopped early; the error then carries what
/// was reached.
pub fn solve<T: Real, D: Dynamics<T>>(
    dynamics: &D,
    method: &impl ExplicitRk,
    problem: &Problem<'_, T>,
    options: &Options<T>,
) -> Result<Solution<T>, Partial<T>> {
    let batch = batch_of(dynamics, problem.y0)?;
    let mut solver = Solver::new(dynamics, method, batch);
    solver.run(problem, options, &mut Silent)?;
    Ok(solver.drive.solution)
}

/// The number of columns of `y`.
///
/// # Errors
/// An empty state, or a length that is no multiple of the right-hand side's dimension.
pub(crate) fn batch_of<T: Real, D: Dynamics<T>>(dynamics: &D, y: &[T]) -> Result<usize> {
    let dim = dynamics.dim();
    if y.is_empty() || dim == 0 || !y.len().is_multiple_of(dim) {
        let needed = format!("a positive multiple of the right-hand side's dimension {dim}");
        return Err(Error::Length { what: "y0", given: y.len(), needed });
    }
    Ok(y.len() / dim)
}

/// A solver whose memory is reused from problem to problem: after the first, solves allocate
/// nothing but what they save.
pub struct Solver<'a, T: Real, D: Dynamics<T>> {
    pub(crate) stepper: ExplicitStepper<'a, T, D>,
    pub(crate) drive: Drive<T>,
}

impl<'a, T: Real, D: Dynamics<T>> Solver<'a, T, D> {
    /// A solver for states of `batch` columns.
    pub fn new(dynamics: &'a D, method: &impl ExplicitRk, batch: usize) -> Self {
        let stepper = ExplicitStepper::new(dynamics, method, batch);
        Self { drive: Drive::new(stepper.len()), stepper }
    }

    /// Solves; the solution stays in the solver's memory.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn solve(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
    ) -> Result<&Solution<T>, Partial<T>> {
        self.run(problem, options, &mut Silent)?;
        Ok(&self.drive.solution)
    }

    /// Solves with an observer of the accepted steps.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn observe(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        observer: &mut impl Observer<T>,
    ) -> Result<&Solution<T>, Partial<T>> {
        self.run(problem, options, observer)?;
        Ok(&self.drive.solution)
    }

    /// Takes the steps of `recorded` again, h frozen, saving at its saved times.
    ///
    /// # Errors
    /// Inputs that do not fit, or a state that goes non-finite.
    pub fn replay(
        &mut self,
        problem: &Problem<'_, T>,
        recorded: &Solution<T>,
        options: &Options<T>,
        observer: &mut impl Observer<T>,
    ) -> Result<&Solution<T>> {
        self.check(problem)?;
        self.stepper.set_theta(problem.theta);
        let steps = (&recorded.steps[..], &recorded.located[..], &recorded.t[..]);
        self.drive.replay(&mut self.stepper, problem.y0, steps, options, observer)?;
        Ok(&self.drive.solution)
    }

    fn check(&self, problem: &Problem<'_, T>) -> Result<()> {
        batch_of(self.stepper.dynamics, problem.y0)?;
        Error::check_len("y0", problem.y0.len(), self.stepper.len(), "dim × batch")?;
        Error::check_len(
            "theta",
            problem.theta.len(),
            self.stepper.num_params(),
            "the right-hand side's parameters",
        )?;
        Error::check_finite("y0", problem.y0)?;
        Error::check_finite("theta", problem.theta)
    }

    pub(crate) fn run(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        observer: &mut impl Observer<T>,
    ) -> Result<(), Partial<T>> {
        self.check(problem)?;
        self.stepper.set_theta(problem.theta);
        self.drive.solution.dense.weights.clone_from(&self.stepper.method().dense);
        let outcome = self.drive.run(&mut self.stepper, problem.y0, problem.span, options, observer);
        outcome.map_err(|error| Partial { error, solution: Box::new(self.drive.solution.clone()) })
    }
}
