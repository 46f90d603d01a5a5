//! The iteration matrix of implicit methods, W = αM − J with α = 1/(hγ), and its linear solver.
//!
//! Rosenbrock methods solve W u = r for their stages; Newton's iteration of a diagonally implicit
//! stage g = … + hγ f(g) solves W δ = residual/(hγ). Columns of a batch are independent, so that W is
//! block-diagonal with one block for each column, which are factored one by one.

use super::linear::{BlockSolver, Krylov};
use super::options::{ImplicitOptions, LinearChoice};
use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point};
use crate::error::Result;
use crate::integrate::ImplicitWork;
use crate::linalg::{BandedLu, Budget, DenseLu, LinearOperator, Pattern, SparseLu};
use crate::num::Real;

/// J = ∂f/∂y and ∂f/∂t at a point, W = αM − J and its factors.
pub struct IterationMatrix<T: Real> {
    dim: usize,
    mass: Option<Mass<T>>,
    blocks: Vec<Block<T>>,
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
            LinearChoice::SparseLu => Self::sparse(sparse_jacobian(dynamics)?, options.budget),
            LinearChoice::Banded => Self::banded(sparse_jacobian(dynamics)?, options.budget),
            LinearChoice::Krylov(choice) => {
                let jacobian = Jacobian::of(dynamics)?.and_time();
                if jacobian.pattern().is_none() {
                    dense_fits::<T>(dynamics.dim(), batch, options.budget)?;
                }
                let solver = BlockSolver::Krylov(Box::new(Krylov::new(&jacobian, choice)?));
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
fn sparse_jacobian<T: Real, D: Dynamics<T>>(dynamics: &D) -> Result<Jacobian<T>> {
    let pattern = dynamics.sparsity().unwrap_or_else(|| Pattern::full(dynamics.dim()));
    let pattern = match dynamics.mass() {
        Some(mass) => pattern.union(&mass.pattern())?,
        None => pattern,
    };
    Ok(Jacobian::sparse(&pattern)?.and_time())
}

/// The widest band (below and above the diagonal together) that [`LinearChoice::Auto`] factors as one:
/// chains of reactions and 1-D grids of a few components. Wider ones are left to the sparse LU's ordering.
const NARROW: usize = 12;

/// The bandwidths of a pattern, and whether they are narrow.
fn band(pattern: &Pattern) -> ([usize; 2], bool) {
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
        let blocks: Vec<Block<T>> =
            (0..batch).map(|_| Block::new(dynamics, options, batch)).collect::<Result<_>>()?;
        let entries = blocks.first().map_or(0, |b| b.jacobian.values().len());
        Ok(Self {
            dim,
            mass: dynamics.mass().cloned(),
            blocks,
            entries: vec![T::zero(); entries],
            time: vec![T::zero(); dim * batch],
            counts: ImplicitWork::default(),
            linear: 0,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let block = |b: &Block<T>| b.jacobian.values().len() + 3 * self.dim + b.solver.numbers();
        let numbers = self.entries.len() + self.time.len() + self.blocks.iter().map(block).sum::<usize>();
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

    /// J of column `column` of the batch, at the last [`evaluate`](Self::evaluate).
    pub fn jacobian(&self, column: usize) -> &Jacobian<T> {
        &self.blocks[column].jacobian
    }

    /// `y` ← J `x`, J being that of the last [`evaluate`](Self::evaluate).
    pub fn jacobian_product(&self, x: &[T], y: &mut [T]) {
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
        let Self { blocks, entries, mass, .. } = self;
        for block in blocks {
            block.jacobian.shifted(alpha, mass.as_ref(), -T::one(), entries);
            if !block.solver.factor(&block.jacobian, entries) {
                return false;
            }
        }
        true
    }

    /// `x` ← W⁻¹ `x`; false when the solver did not converge.
    #[inline(always)]
    pub fn solve(&mut self, x: &mut [T]) -> bool {
        self.solve_blocks(x, false)
    }

    /// `x` ← W⁻ᵀ `x`; false when the solver did not converge.
    #[inline(always)]
    pub fn solve_transpose(&mut self, x: &mut [T]) -> bool {
        self.solve_blocks(x, true)
    }

    #[inline(always)]
    fn solve_blocks(&mut self, x: &mut [T], transposed: bool) -> bool {
        self.counts.linear_solves += 1;
        for (x, block) in x.chunks_exact_mut(self.dim).zip(&mut self.blocks) {
            let Some(iterations) = block.solver.solve(x, transposed) else {
                return false;
            };
            self.counts.linear_iterations += iterations;
            self.linear += iterations as u32;
        }
        true
    }

    /// M; `None` for the identity.
    #[inline(always)]
    pub fn mass(&self) -> Option<&Mass<T>> {
        self.mass.as_ref()
    }

    /// `y` += `scale` · M `x`.
    #[inline(always)]
    pub fn add_mass(&self, scale: T, x: &[T], y: &mut [T]) {
        match &self.mass {
            None => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = scale.mul_add(*x, *y);
                }
            }
            Some(mass) => add_product(mass, scale, x, y, false),
        }
    }

    /// `y` += `scale` · Mᵀ `x`.
    #[inline(always)]
    pub fn add_mass_transpose(&self, scale: T, x: &[T], y: &mut [T]) {
        match &self.mass {
            Some(mass) => add_product(mass, scale, x, y, true),
            None => self.add_mass(scale, x, y),
        }
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
