//! [`Multigrid`] as a solver and as a preconditioner.

use super::cycle::Multigrid;
use super::level::Level;
use crate::error::{Error, Result};
use crate::linalg::{Claims, LinearSolver, Outcome, Preconditioner, Report};
use crate::num::Real;
use std::time::Instant;

impl<T: Real, L: Level<T>> Preconditioner<T> for Multigrid<T, L> {
    fn len(&self) -> usize {
        self.unknowns()
    }

    /// SPD when every level and the coarsest solver are, there are as many sweeps after as before, and
    /// the cycle is V, W or γ. A W-cycle is positive definite only if the coarse V-cycle converges.
    fn claims(&self) -> Claims {
        self.cycle_claims()
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        self.cycle_once(r, z, true);
    }
}

impl<T: Real, L: Level<T>> LinearSolver<T> for Multigrid<T, L> {
    fn len(&self) -> usize {
        self.unknowns()
    }

    /// Cycles until the true residual, which every cycle starts from, meets the tolerance.
    fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        let start = Instant::now();
        let n = self.unknowns();
        Error::check_len("b", b.len(), n, "the operator's rows")?;
        Error::check_len("x", x.len(), n, "the operator's columns")?;
        Error::check_finite("b", b)?;
        Error::check_finite("x", x)?;
        let scale = norm(b);
        let target = self.settings.target(scale);
        let mut history: Vec<f64> = Vec::new();
        let (mut smallest, mut since) = (f64::INFINITY, 0);
        let outcome = loop {
            let residual = self.levels[0].operator();
            residual.residual(b, x, &mut self.residual);
            let now = norm(&self.residual);
            history.push(now);
            (smallest, since) = if now < smallest { (now, 0) } else { (smallest, since + 1) };
            if let Some(outcome) = self.stop(&history, target, since) {
                break outcome;
            }
            self.correct(history.len() == 1);
            x.iter_mut().zip(&self.correction).for_each(|(x, c)| *x += *c);
        };
        let iterations = history.len() - 1;
        Ok(Report {
            outcome,
            iterations,
            true_residuals: history.iter().copied().enumerate().collect(),
            applications: history.len(),
            residuals: history,
            scale,
            preconditions: iterations,
            time: start.elapsed(),
        })
    }

    /// A symmetric hierarchy solves its transposed system as itself.
    fn solve_transpose(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        if self.levels.iter().all(|l| l.claims().spd) {
            return self.solve(b, x);
        }
        let needed = "a transposed solve needs levels that claim to be SPD (or a hierarchy of Aᵀ)";
        Err(Error::invalid("the hierarchy", "not symmetric", needed))
    }
}

impl<T: Real, L: Level<T>> Multigrid<T, L> {
    fn stop(&self, history: &[f64], target: f64, since: usize) -> Option<Outcome> {
        let (first, now) = (*history.first()?, *history.last()?);
        match () {
            () if !now.is_finite() => Some(Outcome::NonFinite),
            () if now <= target => Some(Outcome::Converged),
            () if now > self.settings.divergence * first => Some(Outcome::Diverged),
            () if since >= self.settings.stagnation => Some(Outcome::Stagnated),
            () if history.len() > self.settings.max_iterations => Some(Outcome::MaxIterations),
            () => None,
        }
    }
}

fn norm<T: Real>(x: &[T]) -> f64 {
    x.iter().map(|x| x.f64() * x.f64()).sum::<f64>().sqrt()
}
