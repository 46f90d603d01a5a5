//! Solving one initial value problem, or a batch that shares its steps: one door for every method.

use super::explicit::ExplicitStepper;
use super::tableau::ExplicitRk;
use crate::dynamics::Dynamics;
use crate::error::{Error, Result};
use crate::integrate::{Drive, Observer, Options, Partial, Problem, Silent, Solution, Stepper};
use crate::num::Real;

/// A one-step method: a value that makes steppers for right-hand sides `D`. `&Tsit5` and `&Rodas5P` are
/// two of them, so that a user changes one word to change the method.
pub trait StepMethod<T: Real, D: Dynamics<T>>: Sync {
    /// What takes its steps.
    type Stepper<'a>: Stepper<T>
    where
        D: 'a;

    /// Blocks of `dim × batch` that the stepper's state is made of: the solution, and what the method carries beside
    /// it, which [`solve`] hides and [`prepare`](Stepper::prepare) starts.
    const CARRIED: usize = 1;

    /// A stepper for states of `batch` columns.
    fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> Self::Stepper<'a>;

    /// Whether the method estimates its error, which adaptive steps need.
    fn has_error(&self) -> bool;

    /// The method as a table of explicit coefficients, where it is one (SIMD lanes run it).
    fn explicit(&self) -> Option<&super::tableau::Tableau> {
        None
    }
}

impl<T: Real, D: Dynamics<T>, M: ExplicitRk> StepMethod<T, D> for M {
    type Stepper<'a>
        = ExplicitStepper<'a, T, D>
    where
        D: 'a;

    fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> ExplicitStepper<'a, T, D> {
        ExplicitStepper::new(dynamics, self, batch)
    }

    fn has_error(&self) -> bool {
        !self.tableau().error.is_empty()
    }

    fn explicit(&self) -> Option<&super::tableau::Tableau> {
        Some(self.tableau())
    }
}

/// Solves y' = f(t, y; θ), y(t0) = y0. The columns of y0 (`dim × batch`) share every step.
///
/// # Errors
/// Inputs or options that do not fit, or a solve that stopped early; the error then carries what
/// was reached.
pub fn solve<T: Real, D: Dynamics<T>, M: StepMethod<T, D>>(
    dynamics: &D,
    method: &M,
    problem: &Problem<'_, T>,
    options: &Options<T>,
) -> Result<Solution<T>, Partial<T>> {
    let batch = batch_of(dynamics.dim(), problem.y0)?;
    let mut solver = Solver::with(method.stepper(dynamics, batch));
    if M::CARRIED == 1 {
        solver.run(problem, options, &mut Silent)?;
        return Ok(solver.drive.solution);
    }
    let y0 = problem.y0.repeat(M::CARRIED);
    let outcome = solver.run(&Problem { y0: &y0, ..*problem }, options, &mut Silent);
    outcome.map_err(|mut partial| {
        partial.solution.keep_columns(batch.min(partial.solution.batch));
        partial
    })?;
    solver.drive.solution.keep_columns(batch);
    Ok(solver.drive.solution)
}

/// The number of columns of `y`.
///
/// # Errors
/// An empty state, or a length that is no multiple of the right-hand side's dimension.
pub(crate) fn batch_of<T: Real>(dim: usize, y: &[T]) -> Result<usize> {
    if y.is_empty() || dim == 0 || !y.len().is_multiple_of(dim) {
        let needed = format!("a positive multiple of the right-hand side's dimension {dim}");
        return Err(Error::Length { what: "y0", given: y.len(), needed });
    }
    Ok(y.len() / dim)
}

/// A solver whose memory is reused from problem to problem: after the first, solves allocate
/// nothing but what they save. `S` is what takes the steps ([`StepMethod::Stepper`]).
pub struct Solver<T: Real, S> {
    pub(crate) stepper: S,
    pub(crate) drive: Drive<T>,
}

impl<T: Real, S: Stepper<T>> Solver<T, S> {
    /// A solver for states of `batch` columns.
    pub fn new<'a, D, M>(dynamics: &'a D, method: &M, batch: usize) -> Self
    where
        D: Dynamics<T>,
        M: StepMethod<T, D, Stepper<'a> = S>,
    {
        Self::with(method.stepper(dynamics, batch))
    }

    /// A solver that steps by `stepper`.
    pub fn with(stepper: S) -> Self {
        Self { drive: Drive::new(stepper.len()), stepper }
    }

    /// The last solution.
    pub fn into_solution(self) -> Solution<T> {
        self.drive.solution
    }

    /// The last solution.
    pub fn solution(&self) -> &Solution<T> {
        &self.drive.solution
    }

    /// The stepper.
    pub fn stepper(&self) -> &S {
        &self.stepper
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
        batch_of(self.stepper.dim(), problem.y0)?;
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
        let outcome = self.drive.run(&mut self.stepper, problem.y0, problem.span, options, observer);
        outcome.map_err(|error| Partial { error, solution: Box::new(self.drive.solution.clone()) })
    }
}
