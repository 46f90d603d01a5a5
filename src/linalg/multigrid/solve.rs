//! [`Multigrid`] as a solver and as a preconditioner.

use super::cycle::Multigrid;
use super::level::Level;
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, norm2};
use crate::linalg::{Claims, LinearSolver, Monitor, Preconditioner, Report};
use crate::num::Real;

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
        let mut monitor = Monitor::begin(&self.settings, self.unknowns(), b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        let mut norm = self.true_residual(b, x, &mut monitor);
        while !monitor.verify(norm) {
            self.correct(monitor.iterations() == 0);
            monitor.preconditioned(1);
            axpy(1.0, &self.correction, x);
            norm = self.true_residual(b, x, &mut monitor);
            monitor.observe(norm);
        }
        Ok(monitor.finish())
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
    fn true_residual(&mut self, b: &[T], x: &[T], monitor: &mut Monitor) -> f64 {
        monitor.applied(1);
        self.levels[0].residual(b, x, &mut self.residual);
        norm2(&self.residual)
    }
}
