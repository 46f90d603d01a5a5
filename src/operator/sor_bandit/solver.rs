//! [`TunedSolver`]: SSOR-preconditioned CG whose ω a policy chooses, within a safe budget.

use super::policy::Policy;
use super::theory::settled_jacobi_radius;
use crate::error::{Error, Result};
use crate::linalg::krylov::{Matrix, SsorCg};
use crate::linalg::relax::setup;
use crate::linalg::{Csr, LinearOperator, LinearSolver, Report, SequenceSolver, Settings};
use crate::num::Real;

/// What a policy is told a solve cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// Iterations, at least 1.
    #[default]
    Iterations,
    /// Multiply-adds of the products and triangular solves, in units of one product with A.
    Operations,
    /// Seconds of wall time, in units of 10⁻⁶ (not deterministic).
    Microseconds,
}

impl Cost {
    fn of(self, report: &Report) -> f64 {
        match self {
            Self::Iterations => (report.iterations as f64).max(1.0),
            // An iteration is two triangular solves: as many multiply-adds as one product.
            Self::Operations => ((report.applications + report.preconditions) as f64).max(1.0),
            Self::Microseconds => (report.time.as_secs_f64() * 1e6).max(1.0),
        }
    }
}

/// One choice of a [`TunedSolver`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The context.
    pub context: f64,
    /// The arm.
    pub arm: usize,
    /// What the policy was told.
    pub cost: f64,
    /// Whether the arm ran into the budget and the fallback finished.
    pub fell_back: bool,
}

/// SSOR-PCG for a sequence of systems, ω by a [`Policy`]. The iteration is [`SsorCg`]'s, on a matrix or on a
/// stencil ([`Matrix`]).
///
/// **Safe budget.** The fallback is symmetric Gauss–Seidel (ω = 1), which also solves the first system: its
/// iterations, F (the most it ever took), are the yardstick. An arm that has not converged after `factor`·F
/// iterations is abandoned and the fallback goes on from where it stands (CG never raises the A-norm of the
/// error), so that no solve is lost, and none takes more than `factor`·F plus what the fallback needs.
///
/// ```
/// use odeon::linalg::{LinearSolver, Settings, model};
/// use odeon::operator::sor_bandit::{TsallisInf, TunedSolver, omega_grid};
///
/// let a = model::poisson_2d::<f64>([20, 20])?;
/// let grid = omega_grid(10)?;
/// let mut solver = TunedSolver::new(a, grid, TsallisInf::new(10, 0)?, Settings::tol(1e-8))?;
/// for _ in 0..50 {
///     let mut x = vec![0.0; 400];
///     assert!(solver.solve(&[1.0; 400], &mut x)?.converged());
/// }
/// assert_eq!(solver.history().len(), 49); // the first was the fallback's
/// # Ok::<(), odeon::Error>(())
/// ```
pub struct TunedSolver<T, P> {
    a: Matrix<T>,
    /// Where the next values go, so that a refill that fails changes nothing.
    next: Matrix<T>,
    cg: SsorCg<T>,
    settings: Settings,
    omegas: Vec<f64>,
    policy: P,
    cost: Cost,
    context: f64,
    factor: f64,
    yardstick: usize,
    history: Vec<Choice>,
    map: Option<Box<dyn Fn(f64) -> f64 + Send>>,
    lanczos_steps: usize,
}

/// An estimate of β: to this part of 1 − β, which ω* takes the square root of, in so many Lanczos steps.
const LANCZOS: (f64, usize) = (0.01, 300);

impl<T: Real, P: Policy> TunedSolver<T, P> {
    /// A solver for `a`, one arm of `policy` for each of `omegas`.
    ///
    /// # Errors
    /// A matrix that is not square, symmetric with a positive diagonal; an ω outside (0, 2); another number of
    /// arms than of ω; unusable settings.
    pub fn new(a: impl Into<Matrix<T>>, omegas: Vec<f64>, policy: P, settings: Settings) -> Result<Self> {
        if policy.arms() != omegas.len() {
            let needed = format!("{}, one for each ω", omegas.len());
            return Err(Error::invalid("the arms of the policy", policy.arms(), needed));
        }
        omegas.iter().try_for_each(|omega| setup::check_omega(*omega))?;
        let a = a.into();
        Ok(Self {
            cg: SsorCg::new(&a, 1.0, settings)?,
            next: a.clone(),
            a,
            settings,
            omegas,
            policy,
            cost: Cost::Iterations,
            context: 0.0,
            factor: 2.0,
            yardstick: 0,
            history: Vec::new(),
            map: None,
            lanczos_steps: 0,
        })
    }

    /// With another cost.
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// With another factor of the safe budget (default 2).
    ///
    /// # Errors
    /// A factor below 1.
    pub fn budget(self, factor: f64) -> Result<Self> {
        if !(factor.is_finite() && factor >= 1.0) {
            return Err(Error::invalid("the factor of the safe budget", factor, "it must be at least 1"));
        }
        Ok(Self { factor, ..self })
    }

    /// With contexts mapped by `f` before the policy sees them.
    pub fn context(self, f: impl Fn(f64) -> f64 + Send + 'static) -> Self {
        Self { map: Some(Box::new(f)), ..self }
    }

    fn mapped(&self, context: f64) -> f64 {
        self.map.as_ref().map_or(context, |f| f(context))
    }

    /// Lanczos steps spent on estimates of β for a policy that asked, each about the work of one iteration.
    pub fn lanczos_steps(&self) -> usize {
        self.lanczos_steps
    }

    /// The next system's matrix and its context. A 5-point stencil on the points of the present one allocates
    /// nothing.
    ///
    /// # Errors
    /// As [`new`](Self::new); another number of unknowns. The solver then still has the old matrix.
    pub fn set_matrix(&mut self, a: impl Into<Matrix<T>>, context: f64) -> Result<()> {
        let a = a.into();
        self.cg.refill(&a)?;
        (self.a, self.context) = (a, self.mapped(context));
        Ok(())
    }

    /// The next system's matrix by its values, on the pattern of the present one.
    ///
    /// # Errors
    /// A stencil; another number of values, values that are not finite; as [`new`](Self::new). The solver then still
    /// has the old matrix.
    pub fn refill(&mut self, values: &[T], context: f64) -> Result<()> {
        let Matrix::Csr(a) = &self.a else {
            let needed = "a matrix by rows; set_matrix takes another stencil";
            return Err(Error::invalid("the matrix to refill", "a stencil", needed));
        };
        Error::check_len("the values", values.len(), a.nnz(), "the entries of the pattern")?;
        Error::check_finite("the values", values)?;
        match &mut self.next {
            Matrix::Csr(next) if next.columns() == a.columns() && next.row_starts() == a.row_starts() => {
                next.values_mut().copy_from_slice(values);
            }
            next => {
                let mut a = a.clone();
                a.values_mut().copy_from_slice(values);
                *next = a.into();
            }
        }
        self.cg.refill(&self.next)?;
        std::mem::swap(&mut self.a, &mut self.next);
        self.context = self.mapped(context);
        Ok(())
    }

    /// The matrix.
    pub fn matrix(&self) -> &Matrix<T> {
        &self.a
    }

    /// The policy.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// The policy, to inform or replace it.
    pub fn policy_mut(&mut self) -> &mut P {
        &mut self.policy
    }

    /// The parameters of the arms.
    pub fn omegas(&self) -> &[f64] {
        &self.omegas
    }

    /// Every choice so far.
    pub fn history(&self) -> &[Choice] {
        &self.history
    }

    fn run(&mut self, omega: f64, settings: Settings, b: &[T], x: &mut [T]) -> Result<Report> {
        self.cg.set_omega(omega)?;
        self.cg.set_settings(settings);
        self.cg.solve(&self.a, b, x)
    }

    /// ω = 1 with the whole budget of iterations; its count is the yardstick.
    fn fall_back(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        let report = self.run(1.0, self.settings, b, x)?;
        if report.converged() {
            self.yardstick = self.yardstick.max(report.iterations);
        }
        Ok(report)
    }
}

impl<T: Real, P: Policy> LinearSolver<T> for TunedSolver<T, P> {
    fn len(&self) -> usize {
        self.a.rows()
    }

    /// # Errors
    /// As [`SsorCg::solve`]; as the policy's.
    fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        if self.yardstick == 0 {
            return self.fall_back(b, x);
        }
        if self.policy.is_curious(self.context) {
            let (beta, steps) = settled_jacobi_radius(&self.a, LANCZOS.0, LANCZOS.1)?;
            self.lanczos_steps += steps;
            self.policy.inform(self.context, beta)?;
        }
        let arm = self.policy.choose(self.context)?;
        let limit = (self.factor * self.yardstick as f64).ceil() as usize;
        let settings = self.settings.max_iterations(limit.min(self.settings.max_iterations));
        let mut report = self.run(self.omegas[arm], settings, b, x)?;
        let fell_back = !report.converged();
        if fell_back {
            let rest = self.fall_back(b, x)?;
            report = report.followed_by(rest);
        }
        let cost = self.cost.of(&report);
        self.policy.observe(cost)?;
        self.history.push(Choice { context: self.context, arm, cost, fell_back });
        Ok(report)
    }

    /// A is symmetric.
    fn solve_transpose(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        self.solve(b, x)
    }
}

/// In an implicit integrator ω is learned over its steps:
/// [`LinearChoice::Sequence`](crate::ode::implicit::LinearChoice::Sequence).
impl<T: Real, P: Policy> SequenceSolver<T> for TunedSolver<T, P> {
    fn refill(&mut self, a: &Csr<T>, context: f64) -> Result<()> {
        let same = match &self.a {
            Matrix::Csr(own) => a.columns() == own.columns() && a.row_starts() == own.row_starts(),
            Matrix::Stencil(_) => false,
        };
        if same { Self::refill(self, a.values(), context) } else { self.set_matrix(a.clone(), context) }
    }
}
