//! [`Multigrid`]: the recursion over levels, for any pieces.

use super::level::Level;
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, dot, norm_squared, scaled};
use crate::linalg::{Claims, Preconditioner, Settings};
use crate::num::Real;

/// How often and how the coarse problem is solved in one cycle (Trottenberg, Oosterlee & Schüller,
/// Multigrid, 2001, section 2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cycle {
    /// One coarse cycle.
    #[default]
    V,
    /// Two coarse cycles.
    W,
    /// An F-cycle and then a V-cycle; not symmetric.
    F,
    /// γ coarse cycles: 1 is V, 2 is W.
    Gamma(usize),
    /// At most two steps of flexible CG preconditioned by the coarse K-cycle (Notay & Vassilevski 2008,
    /// algorithm 3.1); nonlinear in b.
    K,
}

/// Memory of one level: its residual, and the coarse right-hand side and correction.
struct Work<T> {
    r: Vec<T>,
    b: Vec<T>,
    x: Vec<T>,
    /// Directions and their products in a K-cycle.
    krylov: Option<[Vec<T>; 4]>,
}

/// A hierarchy of levels and the cycle over it: a [`LinearSolver`](crate::linalg::LinearSolver)
/// (x ← x + B (b − A x), B one cycle from zero) and a [`Preconditioner`] (z = B r).
///
/// `levels` are the finest first, without the coarsest one, of which only its solver is needed. One
/// cycle on a level: `before` sweeps, the restricted residual solved by coarse cycles from zero, the
/// prolonged correction added, `after` sweeps.
pub struct Multigrid<T: Real, L> {
    pub(super) levels: Vec<L>,
    coarsest: Box<dyn Preconditioner<T> + Send>,
    work: Vec<Work<T>>,
    cycle: Cycle,
    sweeps: [usize; 2],
    full: Option<usize>,
    pub(super) settings: Settings,
    /// Residual and correction of a solve on the finest level.
    pub(super) residual: Vec<T>,
    pub(super) correction: Vec<T>,
}

impl<T: Real, L: Level<T>> Multigrid<T, L> {
    /// A V(1,1) hierarchy of these levels. `coarsest` solves (exactly, or approximately from zero) with
    /// the coarsest operator.
    ///
    /// # Errors
    /// No level, and lengths of neighbouring levels that do not fit.
    pub fn new(levels: Vec<L>, coarsest: Box<dyn Preconditioner<T> + Send>) -> Result<Self> {
        let Some(first) = levels.first() else {
            let needed = "a cycle needs one besides the coarsest (use the coarsest solver alone)";
            return Err(Error::invalid("the number of levels", 0, needed));
        };
        let n = first.operator().rows();
        for (i, level) in levels.iter().enumerate() {
            let next = levels.get(i + 1).map_or(coarsest.len(), |l| l.operator().rows());
            Error::check_len("a coarser level", next, level.coarse_len(), "what the restriction gives")?;
        }
        let zeros = |n| vec![T::zero(); n];
        let work = |l: &L| {
            let m = l.coarse_len();
            Work { r: zeros(l.operator().rows()), b: zeros(m), x: zeros(m), krylov: None }
        };
        let work = levels.iter().map(work).collect();
        let settings =
            Settings { check_every: 1, max_iterations: 200, stagnation: 20, ..Settings::default() };
        let (residual, correction) = (zeros(n), zeros(n));
        let (cycle, sweeps, full) = (Cycle::V, [1, 1], None);
        Ok(Self { levels, coarsest, work, cycle, sweeps, full, settings, residual, correction })
    }

    /// With this cycle.
    ///
    /// # Errors
    /// γ = 0.
    pub fn cycle(mut self, cycle: Cycle) -> Result<Self> {
        if cycle == Cycle::Gamma(0) {
            return Err(Error::invalid("γ", 0, "a cycle visits the coarse level at least once"));
        }
        for work in &mut self.work {
            let memory = || std::array::from_fn(|_| vec![T::zero(); work.b.len()]);
            work.krylov = (cycle == Cycle::K).then(memory);
        }
        Ok(Self { cycle, ..self })
    }

    /// With this many smoothing sweeps before and after the coarse correction.
    ///
    /// # Errors
    /// No sweep at all.
    pub fn sweeps(self, before: usize, after: usize) -> Result<Self> {
        if before + after == 0 {
            let needed = "the coarse correction alone does not converge: one must be positive";
            return Err(Error::invalid("the smoothing sweeps", "0 before and 0 after", needed));
        }
        Ok(Self { sweeps: [before, after], ..self })
    }

    /// With the solve's tolerances and limits.
    ///
    /// # Errors
    /// As [`Settings::check`].
    pub fn settings(self, settings: Settings) -> Result<Self> {
        settings.check()?;
        Ok(Self { settings, ..self })
    }

    /// With a first full-multigrid pass of this many cycles on each level when it solves; `None` is
    /// without.
    pub fn full(self, cycles: Option<usize>) -> Self {
        Self { full: cycles, ..self }
    }

    /// The levels, the finest first, without the coarsest.
    pub fn levels(&self) -> &[L] {
        &self.levels
    }

    /// The levels, to refill their numbers; lengths must stay.
    pub fn levels_mut(&mut self) -> &mut [L] {
        &mut self.levels
    }

    /// Replaces the solver of the coarsest level.
    ///
    /// # Errors
    /// Another length than the present one's.
    pub fn set_coarsest(&mut self, coarsest: Box<dyn Preconditioner<T> + Send>) -> Result<()> {
        Error::check_len("the coarsest solver", coarsest.len(), self.coarsest.len(), "coarsest unknowns")?;
        self.coarsest = coarsest;
        Ok(())
    }

    /// One cycle on A x = `b`; from x = 0 when `from_zero` (what `x` held does not matter then).
    pub fn cycle_once(&mut self, b: &[T], x: &mut [T], from_zero: bool) {
        let (sweeps, kind) = (self.sweeps, self.cycle);
        let coarsest = self.coarsest.as_mut();
        Parts { levels: &mut self.levels, work: &mut self.work, coarsest, sweeps }
            .cycle(kind, b, x, from_zero);
    }

    /// Full multigrid: solves on the coarsest level, then prolongs and does `cycles` cycles on each finer
    /// one; `x` ← the result (what it held does not matter). Trottenberg et al. 2001, section 2.6.
    pub fn full_multigrid(&mut self, b: &[T], x: &mut [T], cycles: usize) {
        let (sweeps, kind) = (self.sweeps, self.cycle);
        let coarsest = self.coarsest.as_mut();
        Parts { levels: &mut self.levels, work: &mut self.work, coarsest, sweeps }.full(kind, cycles, b, x);
    }

    /// How a solve improves: the first correction by full multigrid when asked for, cycles else.
    pub(super) fn correct(&mut self, first: bool) {
        let (b, mut x) = (std::mem::take(&mut self.residual), std::mem::take(&mut self.correction));
        match self.full.filter(|_| first) {
            Some(cycles) => self.full_multigrid(&b, &mut x, cycles),
            None => self.cycle_once(&b, &mut x, true),
        }
        (self.residual, self.correction) = (b, x);
    }

    /// Unknowns of the finest level.
    pub(super) fn unknowns(&self) -> usize {
        self.residual.len()
    }

    /// What one cycle from zero promises.
    pub(super) fn cycle_claims(&self) -> Claims {
        let all =
            |of: fn(Claims) -> bool| of(self.coarsest.claims()) && self.levels.iter().all(|l| of(l.claims()));
        let linear = self.cycle != Cycle::K && all(|c| c.linear);
        let symmetric = matches!(self.cycle, Cycle::V | Cycle::W | Cycle::Gamma(_));
        Claims { linear, spd: linear && symmetric && self.sweeps[0] == self.sweeps[1] && all(|c| c.spd) }
    }
}

/// The levels from some one downwards.
struct Parts<'a, T: Real, L> {
    levels: &'a mut [L],
    work: &'a mut [Work<T>],
    coarsest: &'a mut dyn Preconditioner<T>,
    sweeps: [usize; 2],
}

impl<T: Real, L: Level<T>> Parts<'_, T, L> {
    /// The finest level here, its memory, and the levels below it.
    fn split(&mut self) -> Option<(&mut L, &mut Work<T>, Parts<'_, T, L>)> {
        let (level, levels) = self.levels.split_first_mut()?;
        let (own, work) = self.work.split_first_mut()?;
        Some((level, own, Parts { levels, work, coarsest: &mut *self.coarsest, sweeps: self.sweeps }))
    }

    fn cycle(&mut self, kind: Cycle, b: &[T], x: &mut [T], from_zero: bool) {
        let [before, after] = self.sweeps;
        let Some((level, work, mut below)) = self.split() else {
            return self.coarsest.apply(b, x);
        };
        match (from_zero, before) {
            (true, 0) => {
                x.fill(T::zero());
                work.r.copy_from_slice(b);
            }
            (true, 1) => level.sweep_from_zero_with_residual(b, x, &mut work.r),
            _ => {
                for sweep in 0..before {
                    match from_zero && sweep == 0 {
                        true => level.sweep_from_zero(b, x),
                        false => level.sweep_before(b, x),
                    }
                }
                level.residual(b, x, &mut work.r);
            }
        }
        level.restrict(&work.r, &mut work.b);
        below.coarse_solve(kind, work);
        level.prolong_add(&work.x, x, &mut work.r);
        for _ in 0..after {
            level.sweep_after(b, x);
        }
    }

    /// Solves the problem of the finest level here, right-hand side and solution in `work`, by cycles.
    fn coarse_solve(&mut self, kind: Cycle, work: &mut Work<T>) {
        let visits = match kind {
            // The coarsest solver starts from zero: to call it again changes nothing.
            _ if self.levels.is_empty() => 1,
            Cycle::V => 1,
            Cycle::W | Cycle::F => 2,
            Cycle::Gamma(visits) => visits,
            Cycle::K => return self.krylov_solve(work),
        };
        self.cycle(kind, &work.b, &mut work.x, true);
        for _ in 1..visits {
            let kind = if kind == Cycle::F { Cycle::V } else { kind };
            self.cycle(kind, &work.b, &mut work.x, false);
        }
    }

    /// Two steps of flexible CG, the second only when the first reduced the residual by less than 4.
    fn krylov_solve(&mut self, work: &mut Work<T>) {
        let Work { b, x, krylov: Some([c, v, d, w]), .. } = work else { return };
        let Some(level) = self.levels.first() else { return };
        debug_assert_eq!(level.operator().rows(), b.len());
        let norm = norm_squared(b);
        self.cycle(Cycle::K, b, c, true);
        self.levels[0].operator().apply(c, v);
        let (rho, alpha) = (dot(c, v), dot(c, b));
        if !rho.is_finite() || rho <= 0.0 {
            // Not positive definite here: the plain correction.
            return x.copy_from_slice(c);
        }
        axpy(-alpha / rho, v, b);
        scaled(alpha / rho, c, x);
        if norm_squared(b) <= 0.0625 * norm {
            return;
        }
        self.cycle(Cycle::K, b, d, true);
        self.levels[0].operator().apply(d, w);
        let (gamma, beta, alpha) = (dot(d, v), dot(d, w), dot(d, b));
        let rho_second = beta - gamma * gamma / rho;
        if rho_second.is_finite() && rho_second > 0.0 {
            axpy(alpha / rho_second, d, x);
            axpy(-gamma * alpha / (rho * rho_second), c, x);
        }
    }

    fn full(&mut self, kind: Cycle, cycles: usize, b: &[T], x: &mut [T]) {
        let Some((level, work, mut below)) = self.split() else {
            return self.coarsest.apply(b, x);
        };
        level.restrict(b, &mut work.b);
        below.full(kind, cycles, &work.b, &mut work.x);
        x.fill(T::zero());
        level.prolong_add(&work.x, x, &mut work.r);
        for _ in 0..cycles {
            self.cycle(kind, b, x, false);
        }
    }
}
