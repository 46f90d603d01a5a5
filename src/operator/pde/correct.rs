//! [`Corrector`]: an answer brought to a tolerance.

use super::Darcy;
use crate::error::Result;
use crate::linalg::grid::StencilOperator;
use crate::linalg::krylov::Cg;
use crate::linalg::multigrid::{GridLevel, Multigrid};
use crate::linalg::{LinearOperator, Preconditioner, Report, Settings};
use std::time::{Duration, Instant};

/// Iterations that a correction is given.
const ITERATIONS: usize = 200;

/// A u = f, A symmetric positive definite, with what solves it ready: a preconditioner and the memory of
/// conjugate gradients. It corrects the answers of surrogates, or solves from 0, any number of times.
///
/// ```
/// use odeon::operator::pde::{Darcy, Generator};
///
/// let darcy = Darcy::smooth([31, 31]);
/// let (a, f) = (darcy.input(0, 0)?, vec![1.0; 31 * 31]);
/// let truth = darcy.output(&a)?;
/// // An answer that is 1 % too large everywhere.
/// let answer: Vec<f64> = truth.iter().map(|u| 1.01 * u).collect();
/// let mut corrector = darcy.corrector(&a)?;
/// let corrected = corrector.correct(&f, &answer, 1e-8)?;
/// assert!((corrected.before - 0.01).abs() < 1e-6 && corrected.report.relative_residual() < 1e-8);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Corrector<A, M> {
    operator: A,
    preconditioner: M,
    cg: Cg<f64>,
    setup: Duration,
}

/// An answer that meets a tolerance, and what that took.
#[derive(Clone, Debug)]
pub struct Correction {
    /// The solution.
    pub u: Vec<f64>,
    /// The relative residual ‖f − A u‖₂/‖f‖₂ of the answer that was given (absolute for f = 0).
    pub before: f64,
    /// Iterations, residuals at each of them, applications, and the time of the iteration.
    pub report: Report,
    /// The time that operator and preconditioner took to make: to be added where they are not at hand.
    pub setup: Duration,
}

impl Correction {
    /// Seconds of set-up and iteration together.
    pub fn cold_s(&self) -> f64 {
        (self.setup + self.report.time).as_secs_f64()
    }

    /// Seconds of the iteration, operator and preconditioner being at hand.
    pub fn warm_s(&self) -> f64 {
        self.report.time.as_secs_f64()
    }
}

impl<A: LinearOperator<f64>, M: Preconditioner<f64>> Corrector<A, M> {
    /// From the operator and a preconditioner, which must be symmetric positive definite.
    ///
    /// # Errors
    /// What making them fails with; an operator without rows.
    pub fn new(make: impl FnOnce() -> Result<(A, M)>) -> Result<Self> {
        let start = Instant::now();
        let (operator, preconditioner) = make()?;
        let setup = start.elapsed();
        let cg = Cg::new(operator.rows(), Settings::default())?;
        Ok(Self { operator, preconditioner, cg, setup })
    }

    /// The operator.
    pub fn operator(&self) -> &A {
        &self.operator
    }

    /// Corrects the answer `u` to ‖f − A u‖₂ ≤ `tolerance` ‖f‖₂ by preconditioned conjugate gradients.
    ///
    /// # Errors
    /// A tolerance that is not positive, lengths that do not fit, entries that are not finite, no
    /// convergence within 200 iterations (with the residual that was reached and what to try).
    pub fn correct(&mut self, f: &[f64], u: &[f64], tolerance: f64) -> Result<Correction> {
        let settings = Settings::tol(tolerance).max_iterations(ITERATIONS);
        settings.check()?;
        self.cg.set_settings(settings);
        let mut u = u.to_vec();
        let report = self.cg.solve(&self.operator, &mut self.preconditioner, f, &mut u)?.ok()?;
        let first = report.true_residuals.first().map_or(0.0, |r| r.1);
        let before = if report.scale > 0.0 { first / report.scale } else { first };
        Ok(Correction { u, before, report, setup: self.setup })
    }
}

/// Multigrid-CG on a stencil.
pub type MultigridCorrector = Corrector<StencilOperator<f64>, Multigrid<f64, GridLevel<f64>>>;

impl Darcy {
    /// The corrector of answers for the coefficient `a`: multigrid-CG as in [`solve`](Self::solve).
    ///
    /// # Errors
    /// As [`operator`](Self::operator) and [`cycle`](Self::cycle).
    pub fn corrector(&self, a: &[f64]) -> Result<MultigridCorrector> {
        Corrector::new(|| {
            let operator = self.operator(a)?;
            let cycle = self.cycle(operator.clone())?;
            Ok((operator, cycle))
        })
    }

    /// Corrects one answer `u` for the coefficient `a` and the source `f`: [`corrector`](Self::corrector)
    /// and [`Corrector::correct`] at once.
    ///
    /// # Errors
    /// As those two.
    pub fn correct(&self, a: &[f64], f: &[f64], u: &[f64], tolerance: f64) -> Result<Correction> {
        self.corrector(a)?.correct(f, u, tolerance)
    }
}
