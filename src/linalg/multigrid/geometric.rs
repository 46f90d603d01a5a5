//! [`Geometric`]: hierarchies of grids.

use super::coarsest::Coarsest;
use super::cycle::{Cycle, Multigrid};
use super::geometric_coarsest::CoarsestLu;
use super::geometric_operator::{galerkin, rediscretised};
use super::geometric_transfer::{GridInterpolation, Thinning};
use super::level::Level;
use crate::error::{Error, Result};
use crate::linalg::grid::{Centring, Grid, RedBlack, StencilOperator};
use crate::linalg::relax::{Chebyshev, Jacobi};
use crate::linalg::{Claims, LinearOperator, Preconditioner, Relaxation, Settings};
use crate::num::Real;

/// The relaxation of a grid's levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GridSmoother {
    /// [`RedBlack`] Gauss–Seidel with ω.
    RedBlack {
        /// ω; `None` is 1.18, in three dimensions 1.2 on cells and 1.3 where coarse points are not fine ones
        /// (even extents, symmetric cycles on cells), whose wider weighting takes less of the smooth error.
        omega: Option<f64>,
    },
    /// Weighted Jacobi with ω; `None` is 4/5, 6/7 in three dimensions and 2/3 in one.
    Jacobi {
        /// ω.
        omega: Option<f64>,
    },
    /// A Chebyshev polynomial of this degree on [λ/2d, λ], λ being the largest eigenvalue of D⁻¹A: in d
    /// dimensions what a grid of half the points per axis does not see.
    Chebyshev {
        /// Its degree, the operator's applications a sweep.
        degree: usize,
    },
}

/// Where the coarse operators come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoarseOperators {
    /// Rediscretised where one stencil serves all points, Galerkin else.
    #[default]
    Automatic,
    /// The same differential operator on the coarse grid, for constant stencils: every difference
    /// is scaled by its power of the spacing. The coarse grids have intervals of equal length, so that
    /// extents other than 2ᵏ − 1 (vertices) and 2ᵏ (cells) give the same convergence.
    Rediscretised,
    /// R A P by rows, on every second vertex (the last interval may be half as long). On cells R and P are
    /// constant on pairs and the differences in R A P are halved (D. Braess, *Towards algebraic multigrid for
    /// elliptic problems of second order*, Computing 55, 1995).
    Galerkin,
}

/// What to build a geometric hierarchy from, as the basis of a solver or a preconditioner.
///
/// Defaults: V(1,1), red–black Gauss–Seidel, bi- or trilinear interpolation P and full weighting R = cPᵀ (means
/// over coarse cells on cells, see [`GridInterpolation`]), rediscretised coarse operators (Galerkin for per-point stencils), semi-coarsening where a grid's axes
/// couple unequally, coarsest level factorised.
#[derive(Clone, Debug, PartialEq)]
pub struct Geometric {
    /// The relaxation.
    pub smoother: GridSmoother,
    /// The coarse operators.
    pub coarse: CoarseOperators,
    /// Whether the sweeps after the coarse correction are the adjoints of those before it (colours in
    /// reverse order), which makes a cycle symmetric, for CG. Without, V(1,1) converges faster by itself:
    /// two colours after two colours smooth as two sweeps, while the reversed ones repeat one colour.
    pub symmetric: bool,
    /// The cycle.
    pub cycle: Cycle,
    /// Sweeps before and after the coarse correction.
    pub sweeps: [usize; 2],
    /// Whether a solve starts with a full-multigrid pass of this many cycles a level.
    pub full: Option<usize>,
    /// An axis is coarsened only where its coupling is at least this part of the strongest axis's; 0
    /// coarsens all alike.
    pub semicoarsening: f64,
    /// Coarsening ends at so many unknowns, which are solved directly.
    pub coarsest: usize,
    /// Whether the operator may be singular with a consistent right-hand side (Neumann or periodic on all
    /// sides): the coarsest level is then solved by its pseudo-inverse.
    pub semidefinite: bool,
    /// Tolerances and limits when the hierarchy solves by itself.
    pub settings: Settings,
}

impl Default for Geometric {
    fn default() -> Self {
        Self {
            smoother: GridSmoother::RedBlack { omega: None },
            coarse: CoarseOperators::Automatic,
            symmetric: false,
            cycle: Cycle::V,
            sweeps: [1, 1],
            full: None,
            semicoarsening: 0.5,
            coarsest: 100,
            semidefinite: false,
            settings: Settings { check_every: 1, max_iterations: 100, stagnation: 10, ..Settings::default() },
        }
    }
}

impl Geometric {
    /// With symmetric cycles, which CG needs.
    pub fn symmetric() -> Self {
        Self { symmetric: true, ..Self::default() }
    }

    /// A hierarchy for `a`, its coarse operators made from it.
    ///
    /// # Errors
    /// A grid too small to be coarsened, a relaxation that does not exist for the operator (zero diagonal,
    /// odd periodic extents), rediscretisation of per-point stencils, a singular coarsest operator
    /// (see [`semidefinite`](Self::semidefinite)).
    pub fn build<T: Real>(&self, a: StencilOperator<T>) -> Result<Multigrid<T, GridLevel<T>>> {
        let rediscretise = match self.coarse {
            CoarseOperators::Automatic => a.is_constant(),
            CoarseOperators::Rediscretised => true,
            CoarseOperators::Galerkin => false,
        };
        if rediscretise && !a.is_constant() {
            let needed = "rediscretisation needs one stencil for all points (use Galerkin, or build_from)";
            return Err(Error::invalid("the operator", "a stencil per point", needed));
        }
        let kind = if rediscretise { Thinning::Even } else { Thinning::Nested };
        self.levels(a, kind, |a, grid, p| match rediscretise {
            true => rediscretised(a, grid),
            false => Ok(galerkin(a, grid, p)),
        })
    }

    /// A hierarchy whose operators are `problem(grid)` on every grid, the finest first: variable
    /// coefficients, masks.
    ///
    /// # Errors
    /// What `problem` returns, an operator on another grid, and as [`build`](Self::build).
    pub fn build_from<T: Real>(
        &self,
        grid: Grid,
        mut problem: impl FnMut(Grid) -> Result<StencilOperator<T>>,
    ) -> Result<Multigrid<T, GridLevel<T>>> {
        let a = problem(grid)?;
        self.levels(a, Thinning::Even, |_, grid, _| {
            let a = problem(grid)?;
            if *a.grid() != grid {
                let needed = format!("it must live on the grid that was asked for, {grid:?}");
                return Err(Error::invalid("the coarse operator's grid", format!("{:?}", a.grid()), needed));
            }
            Ok(a)
        })
    }

    fn levels<T: Real>(
        &self,
        mut a: StencilOperator<T>,
        kind: Thinning,
        mut coarser: impl FnMut(&StencilOperator<T>, Grid, &GridInterpolation<T>) -> Result<StencilOperator<T>>,
    ) -> Result<Multigrid<T, GridLevel<T>>> {
        let mut levels = Vec::new();
        while a.grid().len() > self.coarsest || levels.is_empty() {
            let thinning = self.thinning(&a, kind);
            if thinning == [Thinning::Keep; 3] {
                break;
            }
            let (grid, mut p) = GridInterpolation::new(a.grid(), thinning);
            if kind == Thinning::Even && a.grid().centring() == Centring::Cell && !self.is_symmetric() {
                p = p.averaging();
            }
            let coarse = coarser(&a, grid, &p)?;
            levels.push(GridLevel::new(a, p, self)?);
            a = coarse;
        }
        if levels.is_empty() {
            let given = format!("{:?}", a.grid().extents());
            return Err(Error::invalid(
                "the grid's extents",
                given,
                "no axis can be coarsened: solve directly",
            ));
        }
        let coarsest = self.coarsest_solver(&a)?;
        let [before, after] = self.sweeps;
        let multigrid = Multigrid::new(levels, coarsest)?.cycle(self.cycle)?.sweeps(before, after)?;
        Ok(multigrid.settings(self.settings)?.full(self.full))
    }

    /// Whether cycles are symmetric: asked for, or because the sweeps are their own adjoints.
    fn is_symmetric(&self) -> bool {
        self.symmetric || !matches!(self.smoother, GridSmoother::RedBlack { .. })
    }

    /// Cholesky for a positive definite coarsest operator, LU for others.
    fn coarsest_solver<T: Real>(&self, a: &StencilOperator<T>) -> Result<Box<dyn Preconditioner<T> + Send>> {
        let matrix = a.to_csr();
        if self.semidefinite {
            return Ok(Box::new(Coarsest::semidefinite(&matrix)?));
        }
        if !a.is_symmetric() {
            return Ok(Box::new(CoarsestLu::new(&matrix)?));
        }
        match Coarsest::cholesky(&matrix) {
            Ok(solver) => Ok(Box::new(solver)),
            // Indefinite is well with LU; singular is not.
            Err(reason) => match CoarsestLu::new(&matrix) {
                Ok(solver) => Ok(Box::new(solver)),
                Err(_) => Err(reason),
            },
        }
    }

    /// The axes to thin: those that couple strongly and can be thinned.
    fn thinning<T: Real>(&self, a: &StencilOperator<T>, kind: Thinning) -> [Thinning; 3] {
        let grid = a.grid();
        let strength = a.couplings();
        let can = [0, 1, 2].map(|axis| axis < grid.dim() && can_thin(grid, axis, kind));
        let strongest = (0..3).filter(|&axis| can[axis]).map(|axis| strength[axis]).fold(0.0, f64::max);
        [0, 1, 2].map(|axis| {
            let strong = strength[axis] >= self.semicoarsening * strongest;
            if can[axis] && strong { kind } else { Thinning::Keep }
        })
    }
}

/// Whether an axis has enough intervals for a coarse one.
fn can_thin(grid: &Grid, axis: usize, kind: Thinning) -> bool {
    let intervals = grid.intervals(axis);
    let odd_ring = grid.wraps(axis) && kind == Thinning::Nested && intervals % 2 == 1;
    let enough = match grid.centring() {
        _ if grid.wraps(axis) => intervals >= 4,
        Centring::Vertex => intervals >= 3,
        Centring::Cell => intervals >= 2,
    };
    enough && !odd_ring
}

/// One grid of a hierarchy: its operator, relaxation and interpolation from the next coarser grid.
pub struct GridLevel<T: Real> {
    a: StencilOperator<T>,
    smoother: Box<dyn Relaxation<T, StencilOperator<T>> + Send>,
    interpolation: GridInterpolation<T>,
    /// Points without neighbours (solid ones): they take no part in the coarse correction.
    decoupled: Vec<u32>,
    /// Whether sweeps after the coarse correction are the adjoint ones.
    symmetric: bool,
    claims: Claims,
}

impl<T: Real> GridLevel<T> {
    fn new(a: StencilOperator<T>, interpolation: GridInterpolation<T>, options: &Geometric) -> Result<Self> {
        let smoother: Box<dyn Relaxation<T, StencilOperator<T>> + Send> = match options.smoother {
            GridSmoother::RedBlack { omega } => {
                let best = match a.grid().dim() {
                    3 if interpolation.averages() => 1.2,
                    3 if !interpolation.is_nested() => 1.3,
                    _ => 1.18,
                };
                Box::new(RedBlack::new(&a, omega.unwrap_or(best))?)
            }
            GridSmoother::Jacobi { omega } => {
                let best = [2.0 / 3.0, 0.8, 6.0 / 7.0][a.grid().dim() - 1];
                Box::new(Jacobi::new(&a, omega.unwrap_or(best))?)
            }
            GridSmoother::Chebyshev { degree } => {
                let [_, most] = Chebyshev::smoother(&a, degree)?.bounds();
                let least = most / (2 * a.grid().dim()) as f64;
                Box::new(Chebyshev::with_bounds(&a, degree, [least, most])?)
            }
        };
        let positive = a.has_positive_diagonal();
        let symmetric = options.is_symmetric();
        let claims = if symmetric && positive && a.is_symmetric() { Claims::SPD } else { Claims::LINEAR };
        let decoupled = a.decoupled();
        Ok(Self { a, smoother, interpolation, decoupled, symmetric, claims })
    }

    /// A.
    pub fn stencils(&self) -> &StencilOperator<T> {
        &self.a
    }

    /// P from the next coarser grid.
    pub fn interpolation(&self) -> &GridInterpolation<T> {
        &self.interpolation
    }
}

impl<T: Real> Level<T> for GridLevel<T> {
    fn operator(&self) -> &dyn LinearOperator<T> {
        &self.a
    }
    fn coarse_len(&self) -> usize {
        self.interpolation.cols()
    }
    fn sweep_before(&mut self, b: &[T], x: &mut [T]) {
        self.smoother.sweep(&self.a, b, x);
    }
    fn sweep_from_zero(&mut self, b: &[T], x: &mut [T]) {
        self.smoother.sweep_from_zero(&self.a, b, x);
    }
    fn sweep_after(&mut self, b: &[T], x: &mut [T]) {
        match self.symmetric {
            true => self.smoother.sweep_adjoint(&self.a, b, x),
            false => self.smoother.sweep(&self.a, b, x),
        }
    }
    fn restrict(&mut self, fine: &[T], coarse: &mut [T]) {
        self.interpolation.restrict(fine, coarse);
    }
    fn prolong_add(&mut self, coarse: &[T], fine: &mut [T], scratch: &mut [T]) {
        for (s, &i) in scratch.iter_mut().zip(&self.decoupled) {
            *s = fine[i as usize];
        }
        self.interpolation.prolong_add(coarse, fine);
        for (s, &i) in scratch.iter().zip(&self.decoupled) {
            fine[i as usize] = *s;
        }
    }
    fn residual(&mut self, b: &[T], x: &[T], r: &mut [T]) {
        self.a.residual(b, x, r);
        for &i in &self.decoupled {
            r[i as usize] = T::zero();
        }
    }
    fn claims(&self) -> Claims {
        self.claims
    }
}
