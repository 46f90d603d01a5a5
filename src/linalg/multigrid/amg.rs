//! [`Amg`]: a hierarchy made from the matrix alone, whatever coarsens it.

use super::coarsest::{COARSEST_LIMIT, Coarsest};
use super::cycle::{Cycle, Multigrid};
use super::level::Level;
use super::strength::dominated;
use crate::error::{Error, Result};
use crate::linalg::relax::{Chebyshev, GaussSeidel, Jacobi, Sweep, setup};
use crate::linalg::{
    Claims, Csr, LinearOperator, LinearSolver, Preconditioner, Relaxation, Report, Settings,
};
use crate::num::Real;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The relaxation of an algebraic hierarchy's levels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Smoother {
    /// Gauss–Seidel in natural order before the coarse correction and in reverse order after it: the
    /// cheapest, since half of its first sweep and of the residual falls away for symmetric A.
    #[default]
    GaussSeidel,
    /// Gauss–Seidel in both orders at every sweep.
    SymmetricGaussSeidel,
    /// Jacobi with this ω, below 2/λmax(D⁻¹A): 2/3 is usual.
    Jacobi(f64),
    /// The Chebyshev iteration of this degree on the upper part of the spectrum of D⁻¹A, for symmetric
    /// positive definite A.
    Chebyshev(usize),
}

/// A smoother set up for its matrix.
enum Relax<T: Real> {
    GaussSeidel(GaussSeidel<T>),
    Other(Box<dyn Relaxation<T, Csr<T>> + Send>),
}

impl Smoother {
    fn relax<T: Real>(self, a: &Csr<T>) -> Result<Relax<T>> {
        Ok(Relax::Other(match self {
            Self::GaussSeidel => return Ok(Relax::GaussSeidel(GaussSeidel::new(a, Sweep::Natural)?)),
            Self::SymmetricGaussSeidel => Box::new(GaussSeidel::new(a, Sweep::Symmetric)?),
            Self::Jacobi(omega) => Box::new(Jacobi::new(a, omega)?),
            Self::Chebyshev(degree) => Box::new(Chebyshev::smoother(a, degree)?),
        }))
    }
}

impl<T: Real> Relax<T> {
    fn any(&mut self) -> &mut dyn Relaxation<T, Csr<T>> {
        match self {
            Self::GaussSeidel(relax) => relax,
            Self::Other(relax) => relax.as_mut(),
        }
    }
}

/// What every algebraic hierarchy has.
#[derive(Clone, Debug, PartialEq)]
pub struct AmgOptions {
    /// The relaxation.
    pub smoother: Smoother,
    /// The cycle.
    pub cycle: Cycle,
    /// Sweeps before and after the coarse correction.
    pub sweeps: [usize; 2],
    /// Coarsening ends at so many unknowns, which are solved directly.
    pub coarsest: usize,
    /// The most levels, the coarsest included.
    pub max_levels: usize,
    /// Whether the matrix may be singular with a consistent right-hand side (pure Neumann conditions):
    /// the coarsest level is then solved by its pseudo-inverse, which is symmetric positive
    /// semi-definite.
    pub semidefinite: bool,
    /// Tolerances and limits when the hierarchy solves by itself.
    pub settings: Settings,
}

impl Default for AmgOptions {
    fn default() -> Self {
        Self {
            smoother: Smoother::GaussSeidel,
            cycle: Cycle::V,
            sweeps: [1, 1],
            coarsest: 200,
            max_levels: 25,
            semidefinite: false,
            settings: Settings { check_every: 1, max_iterations: 200, stagnation: 20, ..Settings::default() },
        }
    }
}

/// How a level is made coarser. It keeps what it decided on each level, so that only numbers are
/// computed anew for another matrix with the same pattern.
pub(super) trait Coarsening<T: Real> {
    /// Decides how to coarsen `a` (with this diagonal), the next deeper level, and returns the coarse unknowns. Nothing is
    /// kept when these are none, or no fewer than `a` has.
    fn plan(&mut self, a: &Csr<T>, diagonal: &[T]) -> Result<usize>;

    /// P of the level at this depth for the present numbers.
    fn prolongation(&self, a: &Csr<T>, diagonal: &[T], depth: usize) -> Result<Csr<T>>;
}

/// One level of an algebraic hierarchy: A, P, R = Pᵀ and the relaxation.
pub struct AmgLevel<T: Real> {
    a: Arc<Csr<T>>,
    p: Csr<T>,
    r: Csr<T>,
    relax: Relax<T>,
    symmetric: bool,
}

impl<T: Real> AmgLevel<T> {
    fn new(a: Arc<Csr<T>>, p: Csr<T>, smoother: Smoother, symmetric: bool) -> Result<Self> {
        let relax = smoother.relax(&a)?;
        let r = p.transpose();
        Ok(Self { a, p, r, relax, symmetric })
    }

    /// A.
    pub fn matrix(&self) -> &Csr<T> {
        &self.a
    }

    /// P.
    pub fn prolongation(&self) -> &Csr<T> {
        &self.p
    }

    /// R = Pᵀ.
    pub fn restriction(&self) -> &Csr<T> {
        &self.r
    }
}

impl<T: Real> Level<T> for AmgLevel<T> {
    fn operator(&self) -> &dyn LinearOperator<T> {
        self.a.as_ref()
    }
    fn coarse_len(&self) -> usize {
        self.p.cols()
    }
    fn sweep_before(&mut self, b: &[T], x: &mut [T]) {
        self.relax.any().sweep(&self.a, b, x);
    }
    fn sweep_from_zero(&mut self, b: &[T], x: &mut [T]) {
        self.relax.any().sweep_from_zero(&self.a, b, x);
    }
    fn sweep_after(&mut self, b: &[T], x: &mut [T]) {
        self.relax.any().sweep_adjoint(&self.a, b, x);
    }
    fn restrict(&mut self, fine: &[T], coarse: &mut [T]) {
        self.r.apply(fine, coarse);
    }
    fn prolong_add(&mut self, coarse: &[T], fine: &mut [T], scratch: &mut [T]) {
        self.p.apply_add(coarse, fine, scratch);
    }
    fn residual(&mut self, b: &[T], x: &[T], r: &mut [T]) {
        self.a.residual(b, x, r);
    }
    fn sweep_from_zero_with_residual(&mut self, b: &[T], x: &mut [T], r: &mut [T]) {
        match &mut self.relax {
            Relax::GaussSeidel(relax) if self.symmetric => relax.symmetric_from_zero(&self.a, b, x, r),
            relax => {
                relax.any().sweep_from_zero(&self.a, b, x);
                self.a.residual(b, x, r);
            }
        }
    }
    fn claims(&self) -> Claims {
        if self.symmetric { Claims::SPD } else { Claims::LINEAR }
    }
}

/// Sizes of a hierarchy and what its set-up took.
#[derive(Clone, Debug, PartialEq)]
pub struct HierarchyReport {
    /// Unknowns of each level, the coarsest last.
    pub unknowns: Vec<usize>,
    /// Stored entries of each level's matrix.
    pub nnz: Vec<usize>,
    /// Wall time of the set-up (or of the last refresh).
    pub setup: Duration,
}

impl HierarchyReport {
    /// Stored entries of all levels over those of the finest: the work of one cycle in units of the
    /// finest level's.
    pub fn operator_complexity(&self) -> f64 {
        self.nnz.iter().sum::<usize>() as f64 / self.nnz[0] as f64
    }

    /// Unknowns of all levels over those of the finest.
    pub fn grid_complexity(&self) -> f64 {
        self.unknowns.iter().sum::<usize>() as f64 / self.unknowns[0] as f64
    }
}

impl std::fmt::Display for HierarchyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "level   unknowns        nnz   nnz/row")?;
        for (i, (&n, &nnz)) in self.unknowns.iter().zip(&self.nnz).enumerate() {
            writeln!(f, "{i:5} {n:10} {nnz:10} {:9.1}", nnz as f64 / n as f64)?;
        }
        write!(
            f,
            "operator complexity {:.2}, grid complexity {:.2}, set up in {:.1} ms",
            self.operator_complexity(),
            self.grid_complexity(),
            1e3 * self.setup.as_secs_f64()
        )
    }
}

/// An algebraic multigrid hierarchy: a [`LinearSolver`] and a [`Preconditioner`]. Made by
/// [`SmoothedAggregation`](super::SmoothedAggregation).
pub struct Amg<T: Real> {
    multigrid: Multigrid<T, AmgLevel<T>>,
    coarsening: Box<dyn Coarsening<T> + Send>,
    options: AmgOptions,
    report: HierarchyReport,
}

impl<T: Real> Amg<T> {
    pub(super) fn build(
        a: Arc<Csr<T>>,
        mut coarsening: Box<dyn Coarsening<T> + Send>,
        options: &AmgOptions,
    ) -> Result<Self> {
        let start = Instant::now();
        if options.coarsest == 0 || options.max_levels < 2 {
            let given = format!("{} unknowns, {} levels", options.coarsest, options.max_levels);
            let needed = "at least 1 unknown and 2 levels are needed";
            return Err(Error::invalid("the limits of coarsening", given, needed));
        }
        let symmetric = is_symmetric_positive(&a);
        let mut levels = Vec::new();
        let mut next = a;
        loop {
            let n = next.square()?;
            let mut p = None;
            if n > options.coarsest && levels.len() + 1 < options.max_levels {
                let diagonal = next.diagonal().unwrap_or_default();
                let m = coarsening.plan(&next, &diagonal)?;
                if m > 0 && m < n {
                    p = Some(coarsening.prolongation(&next, &diagonal, levels.len())?);
                }
            }
            // A matrix that is small at once is its own coarse problem: one level with P = I.
            let p = match p {
                None if levels.is_empty() => Csr::identity(n),
                None => break,
                Some(p) => p,
            };
            let identity = p.rows() == p.cols();
            let level = AmgLevel::new(next, p, options.smoother, symmetric)?;
            next = Arc::new(if identity { level.a.as_ref().clone() } else { galerkin(&level)? });
            levels.push(level);
            if identity {
                break;
            }
        }
        let sizes = levels.iter().map(|l| l.a.as_ref()).chain([next.as_ref()]);
        let (unknowns, nnz) = sizes.map(|a| (a.rows(), a.nnz())).unzip();
        let coarsest = coarsest(&next, symmetric, options)?;
        let [before, after] = options.sweeps;
        let multigrid = Multigrid::new(levels, coarsest)?.cycle(options.cycle)?.sweeps(before, after)?;
        let multigrid = multigrid.settings(options.settings)?;
        let report = HierarchyReport { unknowns, nnz, setup: start.elapsed() };
        Ok(Self { multigrid, coarsening, options: options.clone(), report })
    }

    /// Sizes and set-up time.
    pub fn report(&self) -> &HierarchyReport {
        &self.report
    }

    /// The levels but the coarsest, the finest first.
    pub fn levels(&self) -> &[AmgLevel<T>] {
        self.multigrid.levels()
    }

    /// The finest matrix, to share with a Krylov method.
    pub fn matrix(&self) -> Arc<Csr<T>> {
        Arc::clone(&self.multigrid.levels()[0].a)
    }

    /// The cycles underneath, for single cycles and full multigrid.
    pub fn multigrid(&mut self) -> &mut Multigrid<T, AmgLevel<T>> {
        &mut self.multigrid
    }

    /// Sets the hierarchy up for a matrix with the same pattern and other values, on the same
    /// aggregates or splitting.
    ///
    /// # Errors
    /// Another pattern, and as the set-up. The hierarchy is then as it was.
    pub fn refresh(&mut self, a: impl Into<Arc<Csr<T>>>) -> Result<()> {
        let (start, a) = (Instant::now(), a.into());
        let old = &self.multigrid.levels()[0].a;
        if (a.rows(), a.row_starts(), a.columns()) != (old.rows(), old.row_starts(), old.columns()) {
            let given = format!("{} × {} with {} entries", a.rows(), a.cols(), a.nnz());
            let needed = "it must have the places of entries that the hierarchy was built for";
            return Err(Error::invalid("the matrix", given, needed));
        }
        let symmetric = is_symmetric_positive(&a);
        let mut levels = Vec::new();
        let mut next = a;
        for depth in 0..self.multigrid.levels().len() {
            let identity = self.multigrid.levels()[depth].p.rows() == self.multigrid.levels()[depth].p.cols();
            let p = match identity {
                true => Csr::identity(next.rows()),
                false => {
                    let diagonal = next.diagonal().unwrap_or_default();
                    self.coarsening.prolongation(&next, &diagonal, depth)?
                }
            };
            let level = AmgLevel::new(next, p, self.options.smoother, symmetric)?;
            next = Arc::new(galerkin(&level)?);
            levels.push(level);
        }
        let coarsest = coarsest(&next, symmetric, &self.options)?;
        self.report.nnz = levels.iter().map(|l| l.a.nnz()).chain([next.nnz()]).collect();
        self.multigrid.levels_mut().swap_with_slice(&mut levels);
        self.multigrid.set_coarsest(coarsest)?;
        self.report.setup = start.elapsed();
        Ok(())
    }
}

/// A = Aᵀ with a positive diagonal, so that a symmetric cycle may claim to be SPD. The transpose is made only
/// where one pass without it does not settle the question (zeros stored on one side).
fn is_symmetric_positive<T: Real>(a: &Csr<T>) -> bool {
    a.diagonal().is_some_and(|d| d.iter().all(|d| *d > T::zero()))
        && (setup::is_symmetric(a) || a.is_symmetric(T::of(64.0) * T::EPSILON))
}

/// R A P.
fn galerkin<T: Real>(level: &AmgLevel<T>) -> Result<Csr<T>> {
    level.a.galerkin(&level.r, &level.p)
}

fn coarsest<T: Real>(
    a: &Csr<T>,
    symmetric: bool,
    options: &AmgOptions,
) -> Result<Box<dyn Preconditioner<T> + Send>> {
    let alone = a.rows() > COARSEST_LIMIT && (0..a.rows()).all(|i| dominated(a, i));
    Ok(Box::new(match (symmetric, options.semidefinite) {
        // Nothing was left to coarsen: a diagonal, or all but one.
        (true, _) if alone => Coarsest::diagonal(a)?,
        (true, true) => Coarsest::semidefinite(a)?,
        (true, false) => Coarsest::cholesky(a)?,
        (false, false) => Coarsest::lu(a)?,
        (false, true) => {
            let needed = "semi-definite coarse solves need a symmetric matrix with a positive diagonal";
            return Err(Error::invalid("the matrix", "not symmetric", needed));
        }
    }))
}

impl<T: Real> Preconditioner<T> for Amg<T> {
    fn len(&self) -> usize {
        Preconditioner::len(&self.multigrid)
    }
    fn claims(&self) -> Claims {
        self.multigrid.claims()
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        self.multigrid.apply(r, z);
    }
}

impl<T: Real> LinearSolver<T> for Amg<T> {
    fn len(&self) -> usize {
        LinearSolver::len(&self.multigrid)
    }
    fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        self.multigrid.solve(b, x)
    }
    fn solve_transpose(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        self.multigrid.solve_transpose(b, x)
    }
}
