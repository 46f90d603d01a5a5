//! [`Stationary`]: a relaxation as a solver.

use crate::error::Result;
use crate::linalg::{LinearOperator, LinearSolver, Monitor, Relaxation, Report, Settings, vector};
use crate::num::Real;
use std::ops::Deref;

/// An operator (behind a reference, a `Box`, an `Arc`, …) and the relaxation that was set up for it.
#[derive(Clone, Debug)]
pub struct Splitting<A, R> {
    /// A.
    pub operator: A,
    /// M.
    pub relaxation: R,
}

/// Sweeps until the residual meets the tolerance. There is no recurrence for it, so b − A x is
/// computed after every sweep and every residual of the report is a true one.
///
/// ```
/// use odeon::linalg::relax::{GaussSeidel, Stationary, Sweep};
/// use odeon::linalg::{Csr, LinearSolver, Settings};
///
/// let a = Csr::from_triplets([2, 2], &[(0, 0, 4.0), (0, 1, 1.0), (1, 0, 1.0), (1, 1, 3.0)])?;
/// let sor = GaussSeidel::sor(&a, 1.02, Sweep::Natural)?;
/// let mut x = [0.0; 2];
/// let report = Stationary::new(&a, sor, Settings::tol(1e-10))?.solve(&[1.0, 2.0], &mut x)?.ok()?;
/// assert!(report.iterations < 10 && (x[0] - 1.0 / 11.0f64).abs() < 1e-9);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stationary<S, T> {
    /// The operator and its relaxation.
    pub splitting: S,
    settings: Settings,
    residual: Vec<T>,
    correction: Vec<T>,
}

impl<T: Real, A: Deref, R> Stationary<Splitting<A, R>, T>
where
    A::Target: LinearOperator<T>,
    R: Relaxation<T, A::Target>,
{
    /// A solver with a relaxation that was set up for this operator.
    ///
    /// # Errors
    /// An operator that is not square or is empty; unusable settings.
    pub fn new(operator: A, relaxation: R, settings: Settings) -> Result<Self> {
        let n = super::setup::square(&*operator)?;
        settings.check()?;
        let splitting = Splitting { operator, relaxation };
        Ok(Self { splitting, settings, residual: vec![T::zero(); n], correction: Vec::new() })
    }

    /// Runs `step(x, r)` until the monitor ends it; `residual(x, r)` writes r and returns ‖r‖.
    fn iterate(
        &mut self,
        b: &[T],
        x: &mut [T],
        mut step: impl FnMut(&mut Splitting<A, R>, &mut [T], &[T]) -> Result<()>,
        residual: impl Fn(&A::Target, &[T], &mut [T]) -> f64,
    ) -> Result<Report> {
        let mut monitor = Monitor::begin(&self.settings, self.residual.len(), b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        let r = &mut self.residual;
        let mut norm = residual(&self.splitting.operator, x, r);
        monitor.applied(1);
        let mut ended = monitor.verify(norm);
        while !ended {
            step(&mut self.splitting, x, r)?;
            norm = residual(&self.splitting.operator, x, r);
            monitor.preconditioned(1);
            monitor.applied(1);
            ended = monitor.observe(norm) && monitor.verify(norm);
        }
        Ok(monitor.finish())
    }
}

impl<T: Real, A: Deref, R> LinearSolver<T> for Stationary<Splitting<A, R>, T>
where
    A::Target: LinearOperator<T>,
    R: Relaxation<T, A::Target>,
{
    fn len(&self) -> usize {
        self.residual.len()
    }

    fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        let sweep = |s: &mut Splitting<A, R>, x: &mut [T], _: &[T]| {
            s.relaxation.sweep(&s.operator, b, x);
            Ok(())
        };
        self.iterate(b, x, sweep, |a, x, r| {
            a.residual(b, x, r);
            vector::norm2(r)
        })
    }

    /// x ← x + M⁻ᵀ(b − Aᵀx).
    fn solve_transpose(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        let mut correction = std::mem::take(&mut self.correction);
        correction.resize(self.residual.len(), T::zero());
        let step = |s: &mut Splitting<A, R>, x: &mut [T], r: &[T]| {
            s.relaxation.transpose_from_zero(&s.operator, r, &mut correction)?;
            vector::axpy(1.0, &correction, x);
            Ok(())
        };
        let report = self.iterate(b, x, step, |a, x, r| {
            a.apply_transpose(x, r);
            vector::subtract_from(b, r).sqrt()
        });
        self.correction = correction;
        report
    }
}
