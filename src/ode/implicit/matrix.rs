//! The iteration matrix of implicit methods, W = αM − J with α = 1/(hγ), and its linear solver.
//!
//! Rosenbrock methods solve W u = r for their stages; Newton's iteration of a diagonally implicit
//! stage g = … + hγ f(g) solves W δ = residual/(hγ). Columns of a batch are independent, so that W is
//! block-diagonal with one block for each column: a dense solver factors each by itself.

use super::options::ImplicitOptions;
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::Result;
use crate::integrate::ImplicitWork;
use crate::linalg::DenseLu;
use crate::num::Real;

/// J = ∂f/∂y at a point, W = αM − J, its factors, and ∂f/∂t.
#[derive(Clone, Debug)]
pub struct IterationMatrix<T: Real> {
    dim: usize,
    batch: usize,
    /// Blocks of J, column-major, one for each column of the batch.
    jacobian: Vec<T>,
    /// One block of W, before it is factored.
    block: Vec<T>,
    factors: Vec<DenseLu<T>>,
    /// ∂f/∂t.
    time: Vec<T>,
    /// A direction, then a column of J in every block.
    work: Vec<T>,
    /// Counts since it was made.
    pub counts: ImplicitWork,
    /// Iterations of the linear solver since [`start_step`](Self::start_step).
    linear: u32,
}

impl<T: Real> IterationMatrix<T> {
    /// Memory for `dynamics` on `batch` columns.
    ///
    /// # Errors
    /// Memory beyond the budget of `options`, or a linear solver that does not fit the problem.
    pub fn new<D: Dynamics<T>>(dynamics: &D, batch: usize, options: &ImplicitOptions<T>) -> Result<Self> {
        let dim = dynamics.dim();
        let numbers = (dim as u128 * dim as u128).saturating_mul(2 * batch as u128 + 1);
        let bytes = numbers.saturating_mul(size_of::<T>() as u128);
        options.budget.check(&format!("a dense iteration matrix of {batch} × {dim} unknowns"), bytes)?;
        let zeros = |n| vec![T::zero(); n];
        Ok(Self {
            dim,
            batch,
            jacobian: zeros(dim * dim * batch),
            block: zeros(dim * dim),
            factors: vec![DenseLu::new(dim); batch],
            time: zeros(dim * batch),
            work: zeros(2 * dim * batch),
            counts: ImplicitWork::default(),
            linear: 0,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let factors = self.factors.len() * (self.dim + 1) * self.dim;
        let numbers = self.jacobian.len() + self.block.len() + self.time.len() + self.work.len() + factors;
        numbers * size_of::<T>()
    }

    /// Evaluates J at `at`, and ∂f/∂t with `time`; false when any of it is not finite.
    pub fn evaluate<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        at: Point<'_, T>,
        time: bool,
        scratch: &mut D::Scratch,
    ) -> bool {
        let (dim, n) = (self.dim, self.dim * self.batch);
        let (direction, column) = self.work.split_at_mut(n);
        direction.fill(T::zero());
        self.counts.jacobians += 1;
        if time {
            let dot = Tangent { t: T::one(), y: direction, theta: &[] };
            dynamics.jvp(at, dot, &mut self.time, scratch);
        }
        for j in 0..dim {
            direction.iter_mut().skip(j).step_by(dim).for_each(|d| *d = T::one());
            dynamics.jvp(at, Tangent { t: T::zero(), y: direction, theta: &[] }, column, scratch);
            direction.iter_mut().skip(j).step_by(dim).for_each(|d| *d = T::zero());
            for (block, column) in self.jacobian.chunks_exact_mut(dim * dim).zip(column.chunks_exact(dim)) {
                block[j * dim..(j + 1) * dim].copy_from_slice(column);
            }
        }
        let finite = |x: &[T]| x.iter().all(|v| v.is_finite());
        finite(&self.jacobian) && (!time || finite(&self.time))
    }

    /// ∂f/∂t of the last [`evaluate`](Self::evaluate) that asked for it.
    pub fn time_derivative(&self) -> &[T] {
        &self.time
    }

    /// Factors W = `alpha` M − J; false when it is singular.
    pub fn factor(&mut self, alpha: T) -> bool {
        let dim = self.dim;
        self.counts.factorisations += 1;
        for (jacobian, lu) in self.jacobian.chunks_exact(dim * dim).zip(&mut self.factors) {
            for (w, j) in self.block.iter_mut().zip(jacobian) {
                *w = -*j;
            }
            self.block.iter_mut().step_by(dim + 1).for_each(|w| *w += alpha);
            if lu.factor(&self.block).is_err() {
                return false;
            }
        }
        true
    }

    /// `x` ← W⁻¹ `x`; false when the solver did not converge.
    pub fn solve(&mut self, x: &mut [T]) -> bool {
        self.counts.linear_solves += 1;
        for (x, lu) in x.chunks_exact_mut(self.dim).zip(&self.factors) {
            lu.solve(x);
        }
        true
    }

    /// `x` ← W⁻ᵀ `x`; false when the solver did not converge.
    pub fn solve_transpose(&mut self, x: &mut [T]) -> bool {
        self.counts.linear_solves += 1;
        for (x, lu) in x.chunks_exact_mut(self.dim).zip(&self.factors) {
            lu.solve_transpose(x);
        }
        true
    }

    /// `y` += `scale` · M `x`.
    pub fn add_mass(&self, scale: T, x: &[T], y: &mut [T]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = scale.mul_add(*x, *y);
        }
    }

    /// `y` += `scale` · Mᵀ `x`.
    pub fn add_mass_transpose(&self, scale: T, x: &[T], y: &mut [T]) {
        self.add_mass(scale, x, y);
    }

    /// Whether M = I.
    pub fn identity_mass(&self) -> bool {
        true
    }

    /// Starts counting the linear iterations of a step.
    pub fn start_step(&mut self) {
        self.linear = 0;
    }

    /// Linear iterations since [`start_step`](Self::start_step).
    pub fn linear_iterations(&self) -> u32 {
        self.linear
    }
}
