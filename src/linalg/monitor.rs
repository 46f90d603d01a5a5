//! [`Monitor`]: watches one iterative solve and decides when it ends, the same way for every method.

use super::report::{Outcome, Report, Settings};
use super::vector::norm2;
use crate::error::{Error, Result};
use crate::num::Real;
use std::time::Instant;

/// A residual counts as a new smallest one when it is below this part of the smallest so far.
const PROGRESS: f64 = 0.999;
/// So many times may a claimed convergence be contradicted without the true residual having fallen by
/// a tenth in between.
const CONTRADICTIONS: usize = 4;
/// Entries of the history that are reserved at the start, at most.
const RESERVED: usize = 1 << 16;

/// The judge of an iterative solve. The method reports the residual norm that it sees to
/// [`observe`](Self::observe); when that asks for it, the method computes b − A x and reports its norm
/// to [`verify`](Self::verify), which says whether the solve ends. Convergence is declared by `verify`
/// alone, that is on true residuals.
///
/// ```text
/// monitor.verify(‖b − A x‖)  → ends?         (before the first iteration)
/// repeat: one iteration
///         monitor.observe(‖r‖) → check?      if so: monitor.verify(‖b − A x‖) → ends?
/// monitor.finish()
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    settings: Settings,
    report: Report,
    pending: Option<Outcome>,
    first: f64,
    best: f64,
    best_at: usize,
    contradictions: usize,
    contradicted_at: f64,
    started: Instant,
}

impl Monitor {
    /// Begins a solve with a right-hand side of norm `scale`.
    pub fn new(settings: &Settings, scale: f64) -> Self {
        let started = Instant::now();
        let checks = settings.max_iterations / settings.check_every;
        let report = Report {
            outcome: Outcome::MaxIterations,
            iterations: 0,
            residuals: Vec::with_capacity((settings.max_iterations + 1).min(RESERVED)),
            true_residuals: Vec::with_capacity((checks + 8).min(RESERVED)),
            scale,
            applications: 0,
            preconditions: 0,
            time: std::time::Duration::ZERO,
        };
        Self {
            settings: *settings,
            report,
            pending: None,
            first: f64::INFINITY,
            best: f64::INFINITY,
            best_at: 0,
            contradictions: 0,
            contradicted_at: f64::INFINITY,
            started,
        }
    }

    /// Checks a system of `n` unknowns and begins its solve. For b = 0 it sets x = 0 and the monitor
    /// comes back [`finished`](Self::is_finished).
    ///
    /// # Errors
    /// Empty systems, wrong lengths, entries that are not finite.
    pub fn begin<T: Real>(settings: &Settings, n: usize, b: &[T], x: &mut [T]) -> Result<Self> {
        Self::begin_rectangular(settings, [n, n], b, x)
    }

    /// [`begin`](Self::begin) for b of length `rows` and x of length `cols`.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_rectangular<T: Real>(
        settings: &Settings,
        [rows, cols]: [usize; 2],
        b: &[T],
        x: &mut [T],
    ) -> Result<Self> {
        if rows == 0 || cols == 0 {
            return Err(Error::invalid("the linear system", "empty", "it must have at least one unknown"));
        }
        Error::check_len("b", b.len(), rows, "the rows of the operator")?;
        Error::check_len("x", x.len(), cols, "the columns of the operator")?;
        Error::check_finite("b", b)?;
        let mut monitor = Self::new(settings, norm2(b));
        if monitor.report.scale == 0.0 {
            x.fill(T::zero());
            monitor.verify(0.0);
            return Ok(monitor);
        }
        Error::check_finite("x", x)?;
        Ok(monitor)
    }

    /// Whether the solve has ended.
    pub fn is_finished(&self) -> bool {
        self.report.outcome == Outcome::Converged
    }

    /// The residual norm that counts as converged.
    pub fn target(&self) -> f64 {
        self.settings.target(self.report.scale)
    }

    /// ‖b‖₂, as it was given at the start.
    pub fn scale(&self) -> f64 {
        self.report.scale
    }

    /// Iterations so far.
    pub fn iterations(&self) -> usize {
        self.report.iterations
    }

    /// Counts applications of A or Aᵀ.
    pub fn applied(&mut self, times: usize) {
        self.report.applications += times;
    }

    /// Counts applications of the preconditioner.
    pub fn preconditioned(&mut self, times: usize) {
        self.report.preconditions += times;
    }

    /// Records the residual norm after one more iteration; whether the true residual is needed now:
    /// because the method claims convergence, every [`check_every`](Settings::check_every)
    /// iterations, or because the solve is about to end without.
    pub fn observe(&mut self, norm: f64) -> bool {
        self.observe_merit(norm, norm)
    }

    /// [`observe`](Self::observe) where progress is that of another quantity: of ‖Aᵀr‖ in least
    /// squares, whose residual does not go to zero.
    pub fn observe_merit(&mut self, norm: f64, merit: f64) -> bool {
        self.report.iterations += 1;
        self.report.residuals.push(norm);
        let k = self.report.iterations;
        if !norm.is_finite() {
            self.pending = Some(Outcome::NonFinite);
        } else if norm > self.settings.divergence * self.first {
            self.pending = Some(Outcome::Diverged);
        } else if merit < PROGRESS * self.best {
            (self.best, self.best_at) = (merit, k);
        } else if k - self.best_at >= self.settings.stagnation {
            self.pending = Some(Outcome::Stagnated);
        }
        if k >= self.settings.max_iterations && self.pending.is_none() {
            self.pending = Some(Outcome::MaxIterations);
        }
        self.pending.is_some() || norm <= self.target() || k.is_multiple_of(self.settings.check_every)
    }

    /// Takes over the iterations of an inner solve for a correction whose residual is that of this one.
    pub(crate) fn absorb(&mut self, inner: &Report) {
        self.report.iterations += inner.iterations;
        self.report.residuals.extend(inner.residuals.iter().skip(1));
        self.report.applications += inner.applications;
        self.report.preconditions += inner.preconditions;
    }

    /// Ends the solve for this reason at the next [`verify`](Self::verify), unless the true residual
    /// turns out to meet the tolerance.
    pub fn stop(&mut self, outcome: Outcome) {
        self.pending = Some(outcome);
    }

    /// Records the true residual norm ‖b − A x‖₂ of the present x; whether the solve ends.
    pub fn verify(&mut self, norm: f64) -> bool {
        let k = self.report.iterations;
        let claimed = self.report.residuals.last().is_some_and(|&seen| seen <= self.target());
        self.report.true_residuals.push((k, norm));
        if self.report.residuals.is_empty() {
            self.report.residuals.push(norm);
            self.first = norm;
            if self.settings.max_iterations == 0 {
                self.pending = Some(Outcome::MaxIterations);
            }
        }
        if norm <= self.target() {
            self.pending = Some(Outcome::Converged);
        } else if !norm.is_finite() {
            self.pending = Some(Outcome::NonFinite);
        } else if claimed && self.pending.is_none() {
            self.contradict(norm);
        }
        if let Some(outcome) = self.pending {
            self.report.outcome = outcome;
        }
        self.pending.is_some()
    }

    /// A claim of convergence that the true residual `norm` contradicts.
    fn contradict(&mut self, norm: f64) {
        if norm < 0.9 * self.contradicted_at {
            (self.contradicted_at, self.contradictions) = (norm, 0);
        } else {
            self.contradictions += 1;
        }
        if self.contradictions >= CONTRADICTIONS {
            self.pending = Some(Outcome::Stagnated);
        }
    }

    /// The report.
    pub fn finish(mut self) -> Report {
        self.report.time = self.started.elapsed();
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(settings: Settings) -> Monitor {
        let mut monitor = Monitor::new(&settings, 1.0);
        assert!(!monitor.verify(1.0));
        monitor
    }

    #[test]
    fn only_true_residuals_converge() {
        let mut m = monitor(Settings { check_every: 3, ..Settings::tol(1e-3) });
        assert!(!m.observe(0.1) && !m.observe(0.01) && m.observe(2e-3), "checked every three");
        assert!(!m.verify(2e-3));
        assert!(m.observe(1e-4), "a claim is checked");
        assert!(!m.verify(2e-3), "and contradicted");
        assert!(m.observe(1e-4) && m.verify(9e-4));
        let report = m.finish();
        assert!(report.converged());
        assert_eq!(report.iterations, 5);
        assert_eq!(report.true_residuals, [(0, 1.0), (3, 2e-3), (4, 2e-3), (5, 9e-4)]);
        assert_eq!(report.residuals, [1.0, 0.1, 0.01, 2e-3, 1e-4, 1e-4]);
    }

    #[test]
    fn repeated_contradiction_is_stagnation() {
        let mut m = monitor(Settings::tol(1e-3));
        let ends: Vec<bool> = (0..5).map(|_| m.observe(1e-4) && m.verify(2e-3)).collect();
        assert_eq!(ends, [false, false, false, false, true]);
        assert_eq!(m.finish().outcome, Outcome::Stagnated);
    }

    #[test]
    fn every_other_end_has_its_reason() {
        let run = |settings: Settings, norms: &[f64]| {
            let mut m = monitor(settings);
            for &norm in norms {
                if m.observe(norm) && m.verify(norm) {
                    break;
                }
            }
            m.finish()
        };
        let s = Settings { stagnation: 2, ..Settings::tol(1e-3) };
        let stagnated = run(s, &[0.5, 0.5, 0.4999, 0.1]);
        assert_eq!((stagnated.outcome, stagnated.iterations), (Outcome::Stagnated, 3));
        assert_eq!(run(s, &[2e5]).outcome, Outcome::Diverged);
        assert_eq!(run(s, &[f64::NAN]).outcome, Outcome::NonFinite);
        assert_eq!(run(s.max_iterations(2), &[0.5, 0.4, 0.3]).outcome, Outcome::MaxIterations);
        let mut none = Monitor::new(&s.max_iterations(0), 1.0);
        assert!(none.verify(1.0));
        assert_eq!(none.finish().outcome, Outcome::MaxIterations);
    }
}
