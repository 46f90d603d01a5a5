//! The iteration matrix of implicit methods, W = αM − J with α = 1/(hγ), and its linear solver.
//!
//! Rosenbrock methods solve W u = r for their stages; Newton's iteration of a diagonally implicit
//! stage g = … + hγ f(g) solves W δ = residual/(hγ). Columns of a batch are independent, so that W is
//! block-diagonal with one block for each column, which are factored one by one.

use super::free::Free;
use super::linear::{BlockSolver, Krylov};
use super::options::{ImplicitOptions, LinearChoice};
use super::sequence::Sequence;
use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point};
use crate::error::{Error, Result};
use crate::integrate::ImplicitWork;
use crate::linalg::{BandedLu, Budget, DenseLu, LinearOperator, Pattern, SparseLu};
use crate::num::Real;

/// J = ∂f/∂y and ∂f/∂t at a point, W = αM − J and its factors.
pub struct IterationMatrix<T: Real> {
    dim: usize,
    mass: Option<Mass<T>>,
    /// Empty when `free` stands in their place.
    blocks: Vec<Block<T>>,
    free: Option<Box<Free<T>>>,
    /// α of [`factor`](Self::factor).
    alpha: T,
    /// The relative residual that the last solve left; 0 for direct solvers.
    inexactness: T,
    /// The entries of one block of W, before it is factored.
    entries: Vec<T>,
    /// ∂f/∂t.
    time: Vec<T>,
    /// Counts since it was made.
    pub counts: ImplicitWork,
    /// Iterations of the linear solver since [`start_step`](Self::start_step).
    linear: u32,
}

/// One column of the batch.
struct Block<T: Real> {
    jacobian: Jacobian<T>,
    solver: BlockSolver<T>,
}

impl<T: Real> Block<T> {
    fn new<D: Dynamics<T>>(dynamics: &D, options: &ImplicitOptions<T>, batch: usize) -> Result<Self> {
        match &options.linear {
            LinearChoice::Auto => {
                let jacobian = Jacobian::of(dynamics)?.and_time();
                match jacobian.pattern().map(band) {
                    Some((_, banded)) if banded => Self::banded(jacobian, options.budget),
                    Some(_) => Self::sparse(jacobian, options.budget),
                    None => Self::dense(jacobian, options.budget, batch),
                }
            }
            LinearChoice::DenseLu => {
                Self::dense(Jacobian::dense(dynamics.dim()).and_time(), options.budget, batch)
            }
            LinearChoice::SparseLu => Self::sparse(sparse_jacobian(dynamics)?.and_time(), options.budget),
            LinearChoice::Banded => Self::banded(sparse_jacobian(dynamics)?.and_time(), options.budget),
            // Not reached: it has no blocks.
            LinearChoice::MatrixFree(_) => {
                let needed = "an assembled block: the matrix-free choice has none";
                Err(Error::invalid("the linear solver of a block", format!("{:?}", options.linear), needed))
            }
            LinearChoice::Krylov(choice) => {
                let jacobian = Jacobian::of(dynamics)?.and_time();
                if jacobian.pattern().is_none() {
                    dense_fits::<T>(dynamics.dim(), batch, options.budget)?;
                }
                let solver = BlockSolver::Krylov(Box::new(Krylov::new(&jacobian, choice)?));
                Ok(Self { jacobian, solver })
            }
            LinearChoice::Sequence(choice) => {
                let jacobian = Jacobian::of(dynamics)?.and_time();
                if jacobian.pattern().is_none() {
                    dense_fits::<T>(dynamics.dim(), batch, options.budget)?;
                }
                let solver = BlockSolver::Sequence(Box::new(Sequence::new(&jacobian, choice)));
                Ok(Self { jacobian, solver })
            }
        }
    }

    fn dense(jacobian: Jacobian<T>, budget: Budget, batch: usize) -> Result<Self> {
        dense_fits::<T>(jacobian.dim(), batch, budget)?;
        Ok(Self { solver: BlockSolver::Dense(DenseLu::new(jacobian.dim())), jacobian })
    }

    fn banded(jacobian: Jacobian<T>, budget: Budget) -> Result<Self> {
        let (n, full) = (jacobian.dim(), || Pattern::full(jacobian.dim()));
        let pattern = jacobian.pattern().cloned().unwrap_or_else(full);
        let ([lower, upper], _) = band(&pattern);
        let lu = BandedLu::new(n, [lower, upper], budget)?;
        let solver = BlockSolver::Banded(Box::new((lu, pattern, (2 * lower + upper + 2) * n)));
        Ok(Self { jacobian, solver })
    }

    fn sparse(jacobian: Jacobian<T>, budget: Budget) -> Result<Self> {
        let pattern = jacobian.pattern().cloned().unwrap_or_else(|| Pattern::full(jacobian.dim()));
        let solver = BlockSolver::Sparse(Box::new(SparseLu::new(&pattern, budget)?));
        Ok(Self { jacobian, solver })
    }
}

/// Memory for a Jacobian kept sparse whether that pays or not.
pub(crate) fn sparse_jacobian<T: Real, D: Dynamics<T>>(dynamics: &D) -> Result<Jacobian<T>> {
    let pattern = dynamics.sparsity().unwrap_or_else(|| Pattern::full(dynamics.dim()));
    let pattern = match dynamics.mass() {
        Some(mass) => pattern.union(&mass.pattern())?,
        None => pattern,
    };
    Jacobian::sparse(&pattern)
}

/// The widest band (below and above the diagonal together) that [`LinearChoice::Auto`] factors as one:
/// chains of reactions and 1-D grids of a few components. Wider ones are left to the sparse LU's ordering.
const NARROW: usize = 12;

/// The bandwidths of a pattern, and whether they are narrow.
pub(crate) fn band(pattern: &Pattern) -> ([usize; 2], bool) {
    let [lower, upper] = pattern.bandwidth();
    ([lower, upper], lower + upper <= NARROW)
}

/// Checks what dense Jacobians, one matrix and factors take.
fn dense_fits<T>(dim: usize, batch: usize, budget: Budget) -> Result<()> {
    let numbers = (dim as u128 * dim as u128).saturating_mul(2 * batch as u128 + 1);
    let bytes = numbers.saturating_mul(size_of::<T>() as u128);
    budget.check(&format!("a dense iteration matrix of {batch} × {dim} unknowns"), bytes)
}

impl<T: Real> IterationMatrix<T> {
    /// Memory for `dynamics` on `batch` columns.
    ///
    /// # Errors
    /// Memory beyond the budget of `options`, a linear solver that does not fit the problem, a mass matrix
    /// or a sparsity pattern of the wrong size.
    pub fn new<D: Dynamics<T>>(dynamics: &D, batch: usize, options: &ImplicitOptions<T>) -> Result<Self> {
        dynamics.validate()?;
        let dim = dynamics.dim();
        let (free, columns) = match &options.linear {
            LinearChoice::MatrixFree(choice) => {
                let free = Free::new(choice, [dim, batch, dynamics.num_params()])?;
                let bytes = (free.numbers() * size_of::<T>()) as u128;
                options.budget.check("the vectors of a matrix-free Krylov method", bytes)?;
                (Some(Box::new(free)), 0)
            }
            _ => (None, batch),
        };
        let blocks: Vec<Block<T>> =
            (0..columns).map(|_| Block::new(dynamics, options, batch)).collect::<Result<_>>()?;
        let entries = blocks.first().map_or(0, |b| b.jacobian.values().len());
        Ok(Self {
            dim,
            mass: dynamics.mass().cloned(),
            blocks,
            free,
            alpha: T::zero(),
            inexactness: T::zero(),
            entries: vec![T::zero(); entries],
            time: vec![T::zero(); dim * batch],
            counts: ImplicitWork::default(),
            linear: 0,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let block = |b: &Block<T>| b.jacobian.values().len() + 3 * self.dim + b.solver.numbers();
        let blocks = self.blocks.iter().map(block).sum::<usize>();
        let free = self.free.as_ref().map_or(0, |free| free.numbers());
        let numbers = self.entries.len() + self.time.len() + blocks + free;
        numbers * size_of::<T>()
    }

    /// Evaluates J and ∂f/∂t at `at`; false when any of it is not finite.
    #[inline(always)]
    pub fn evaluate<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        at: Point<'_, T>,
        scratch: &mut D::Scratch,
    ) -> bool {
        let dim = self.dim;
        self.counts.jacobians += 1;
        if let Some(free) = &mut self.free {
            free.evaluate(dynamics, at, &mut self.time, scratch);
            return self.time.iter().all(|t| t.is_finite());
        }
        let columns = at.y.chunks_exact(dim).zip(self.time.chunks_exact_mut(dim));
        let mut sum = T::zero();
        for ((y, time), block) in columns.zip(&mut self.blocks) {
            dynamics.jacobian(Point { y, ..at }, &mut block.jacobian, scratch);
            // 0 · x is NaN for an x that is not finite.
            for j in block.jacobian.values() {
                sum = j.mul_add(T::zero(), sum);
            }
            for (to, from) in time.iter_mut().zip(block.jacobian.time().unwrap_or(&[])) {
                *to = *from;
                sum = from.mul_add(T::zero(), sum);
            }
        }
        sum == T::zero()
    }

    /// ∂f/∂t of the last [`evaluate`](Self::evaluate).
    #[inline(always)]
    pub fn time_derivative(&self) -> &[T] {
        &self.time
    }

    /// J of column `column` of the batch, at the last [`evaluate`](Self::evaluate); `None` where it is not
    /// assembled.
    pub fn jacobian(&self, column: usize) -> Option<&Jacobian<T>> {
        self.blocks.get(column).map(|block| &block.jacobian)
    }

    /// `y` ← J `x`, J being that of the last [`evaluate`](Self::evaluate).
    pub fn jacobian_product<D: Dynamics<T>>(
        &self,
        dynamics: &D,
        scratch: &mut D::Scratch,
        x: &[T],
        y: &mut [T],
    ) {
        if let Some(free) = &self.free {
            return free.product(dynamics, scratch, x, y);
        }
        let columns = x.chunks_exact(self.dim).zip(y.chunks_exact_mut(self.dim));
        for ((x, y), block) in columns.zip(&self.blocks) {
            if let Some(matrix) = block.jacobian.matrix() {
                matrix.apply(x, y);
                continue;
            }
            y.fill(T::zero());
            for (column, x) in block.jacobian.values().chunks_exact(self.dim).zip(x) {
                for (y, j) in y.iter_mut().zip(column) {
                    *y = j.mul_add(*x, *y);
                }
            }
        }
    }

    /// Factors W = `alpha` M − J; false when it is singular.
    #[inline(always)]
    pub fn factor(&mut self, alpha: T) -> bool {
        self.counts.factorisations += 1;
        self.alpha = alpha;
        let Self { blocks, entries, mass, free, .. } = self;
        if let Some(free) = free {
            return free.factor(alpha, mass.as_ref()).is_ok();
        }
        for block in blocks {
            block.jacobian.shifted(alpha, mass.as_ref(), -T::one(), entries);
            block.solver.announce(alpha);
            if !block.solver.factor(&block.jacobian, entries) {
                return false;
            }
        }
        true
    }

    /// Checks what a matrix-free solver was given, by building its preconditioner at `at`, so that a
    /// preconditioner that does not fit is refused by name.
    ///
    /// # Errors
    /// What the factory refuses, a wrong length, claims that the method cannot use.
    pub fn check<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        at: Point<'_, T>,
        scratch: &mut D::Scratch,
    ) -> Result<()> {
        let Self { free: Some(free), mass, time, .. } = self else {
            return Ok(());
        };
        free.evaluate(dynamics, at, time, scratch);
        free.factor(T::one(), mass.as_ref())?;
        free.check()
    }

    /// What refused a transposed solve: a preconditioner without the transpose that gradients need, say.
    ///
    /// # Errors
    /// That, once.
    pub fn refused(&mut self) -> Result<()> {
        match self.free.as_mut().and_then(|free| free.refusal.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Takes another α without new factors, where it can: then the solves that follow are with it. A
    /// matrix-free solver keeps its preconditioner.
    #[inline(always)]
    pub fn shift(&mut self, alpha: T) -> bool {
        if self.free.is_some() {
            self.alpha = alpha;
        }
        self.alpha == alpha
    }

    /// Whether its solves are direct, and so cannot fail.
    #[inline(always)]
    pub fn is_direct(&self) -> bool {
        let iterates = |b: &Block<T>| matches!(b.solver, BlockSolver::Krylov(_) | BlockSolver::Sequence(_));
        self.free.is_none() && !self.blocks.iter().any(iterates)
    }

    /// Starts a Newton iteration.
    #[inline(always)]
    pub fn start_iteration(&mut self) {
        if let Some(free) = &mut self.free {
            free.start_iteration();
        }
    }

    /// The relative residual that the last solve left, where the solver is iterative and matrix-free.
    #[inline(always)]
    pub fn inexactness(&self) -> T {
        self.inexactness
    }

    /// `x` ← W⁻¹ `x`; false when the solver did not converge.
    #[inline(always)]
    pub fn solve<D: Dynamics<T>>(&mut self, dynamics: &D, scratch: &mut D::Scratch, x: &mut [T]) -> bool {
        self.solve_blocks((dynamics, scratch), x, None, false)
    }

    /// [`solve`](Self::solve) within a Newton iteration, to which a relative residual of `wanted` is enough.
    #[inline(always)]
    pub fn correct<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        scratch: &mut D::Scratch,
        x: &mut [T],
        wanted: T,
    ) -> bool {
        self.solve_blocks((dynamics, scratch), x, Some(wanted), false)
    }

    /// `x` ← W⁻ᵀ `x`; false when the solver did not converge.
    #[inline(always)]
    pub fn solve_transpose<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        scratch: &mut D::Scratch,
        x: &mut [T],
    ) -> bool {
        self.solve_blocks((dynamics, scratch), x, None, true)
    }

    #[inline(always)]
    fn solve_blocks<D: Dynamics<T>>(
        &mut self,
        with: (&D, &mut D::Scratch),
        x: &mut [T],
        wanted: Option<T>,
        transposed: bool,
    ) -> bool {
        self.counts.linear_solves += 1;
        if self.free.is_some() {
            return self.iterate(with, x, wanted, transposed);
        }
        for (x, block) in x.chunks_exact_mut(self.dim).zip(&mut self.blocks) {
            let Some(iterations) = block.solver.solve(x, transposed) else {
                return false;
            };
            self.counts.linear_iterations += iterations;
            self.linear += iterations as u32;
        }
        true
    }

    #[inline(never)]
    fn iterate<D: Dynamics<T>>(
        &mut self,
        with: (&D, &mut D::Scratch),
        x: &mut [T],
        wanted: Option<T>,
        transposed: bool,
    ) -> bool {
        let Self { free: Some(free), mass, alpha, .. } = self else {
            return false;
        };
        let eta = wanted.map(|wanted| free.forcing(x, wanted.f64()));
        match free.solve(with, (*alpha, mass.as_ref()), x, eta, transposed) {
            Some((iterations, left)) => {
                self.counts.linear_iterations += iterations;
                self.linear += iterations as u32;
                self.inexactness = T::of(left);
                true
            }
            None => false,
        }
    }

    /// M; `None` for the identity.
    #[inline(always)]
    pub fn mass(&self) -> Option<&Mass<T>> {
        self.mass.as_ref()
    }

    /// `y` += `scale` · M `x`.
    #[inline(always)]
    pub fn add_mass(&self, scale: T, x: &[T], y: &mut [T]) {
        add_mass(self.mass.as_ref(), scale, x, y, false);
    }

    /// `y` += `scale` · Mᵀ `x`.
    #[inline(always)]
    pub fn add_mass_transpose(&self, scale: T, x: &[T], y: &mut [T]) {
        add_mass(self.mass.as_ref(), scale, x, y, true);
    }

    /// Starts counting the linear iterations of a step.
    #[inline(always)]
    pub fn start_step(&mut self) {
        self.linear = 0;
    }

    /// Linear iterations since [`start_step`](Self::start_step).
    #[inline(always)]
    pub fn linear_iterations(&self) -> u32 {
        self.linear
    }
}

/// `y` += `scale` · M `x`, or Mᵀ `x`; M = I for `None`.
#[inline(always)]
pub(crate) fn add_mass<T: Real>(mass: Option<&Mass<T>>, scale: T, x: &[T], y: &mut [T], transposed: bool) {
    match mass {
        None => {
            for (y, x) in y.iter_mut().zip(x) {
                *y = scale.mul_add(*x, *y);
            }
        }
        Some(mass) => add_product(mass, scale, x, y, transposed),
    }
}

/// `y` += `scale` · M `x`, or Mᵀ, column by column of the batch.
fn add_product<T: Real>(mass: &Mass<T>, scale: T, x: &[T], y: &mut [T], transposed: bool) {
    let n = mass.len();
    for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
        match mass {
            Mass::Diagonal(d) => {
                for ((y, x), d) in y.iter_mut().zip(x).zip(d) {
                    *y = (scale * *d).mul_add(*x, *y);
                }
            }
            Mass::Sparse(m) => {
                for i in 0..n {
                    let (columns, values) = m.row(i);
                    for (&j, &v) in columns.iter().zip(values) {
                        let (to, from) = if transposed { (j as usize, i) } else { (i, j as usize) };
                        y[to] = (scale * v).mul_add(x[from], y[to]);
                    }
                }
            }
        }
    }
}
