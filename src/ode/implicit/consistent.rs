//! Consistent initial values of index-1 systems M y' = f with rows of zeros in M: the algebraic
//! equations 0 = f_i(t0, y, θ) are solved by Newton's method for the algebraic variables, those whose
//! columns of M are zero too; the other variables keep the values they were given.

use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point};
use crate::error::{Error, Result};
use crate::linalg::DenseLu;
use crate::num::{ErrorNorm, Real};

/// Newton iterations before the algebraic equations count as unsolvable.
const ITERATIONS: usize = 50;

/// The algebraic equations and variables of a mass matrix, with memory to solve them.
#[derive(Clone, Debug)]
pub struct Algebraic<T: Real> {
    rows: Vec<usize>,
    columns: Vec<usize>,
    jacobian: Jacobian<T>,
    entries: Vec<T>,
    factors: DenseLu<T>,
    residual: Vec<T>,
    f: Vec<T>,
}

impl<T: Real> Algebraic<T> {
    /// `None` when M has no rows of zeros.
    ///
    /// # Errors
    /// As many algebraic variables as equations are needed.
    pub fn of<D: Dynamics<T>>(dynamics: &D) -> Result<Option<Self>> {
        let Some(mass) = dynamics.mass() else {
            return Ok(None);
        };
        let (dim, rows) = (dynamics.dim(), mass.algebraic_rows());
        if rows.is_empty() {
            return Ok(None);
        }
        let columns = match mass {
            Mass::Diagonal(_) => rows.clone(),
            Mass::Sparse(m) => Mass::Sparse(m.transpose()).algebraic_rows(),
        };
        if columns.len() != rows.len() {
            let given = format!("{} rows and {} columns of zeros", rows.len(), columns.len());
            let needed = "an index-1 system in semi-explicit form has as many of one as of the other";
            return Err(Error::invalid("the mass matrix", given, needed));
        }
        let m = rows.len();
        Ok(Some(Self {
            rows,
            columns,
            jacobian: Jacobian::dense(dim),
            entries: vec![T::zero(); m * m],
            factors: DenseLu::new(m),
            residual: vec![T::zero(); m],
            f: vec![T::zero(); dim],
        }))
    }

    /// Factors ∂f_rows/∂y_columns at `at` (one column of the batch).
    fn factor<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        at: Point<'_, T>,
        scratch: &mut D::Scratch,
    ) -> Result<()> {
        dynamics.jacobian(at, &mut self.jacobian, scratch);
        let (dim, m) = (self.f.len(), self.rows.len());
        for (j, &column) in self.columns.iter().enumerate() {
            for (i, &row) in self.rows.iter().enumerate() {
                self.entries[j * m + i] = self.jacobian.values()[column * dim + row];
            }
        }
        self.factors.factor(&self.entries).map_err(|error| {
            let needed = "the algebraic equations must determine the algebraic variables (index 1): \
                          their Jacobian is singular at the initial state";
            Error::invalid("the system with a singular mass matrix", error, needed)
        })
    }

    /// Makes `y` consistent at t, every column of the batch.
    ///
    /// # Errors
    /// A singular Jacobian of the algebraic equations, or no convergence.
    pub fn solve<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        (t, theta): (T, &[T]),
        y: &mut [T],
        norm: &ErrorNorm<T>,
        scratch: &mut D::Scratch,
    ) -> Result<()> {
        let dim = self.f.len();
        for y in y.chunks_exact_mut(dim) {
            self.column(dynamics, (t, theta), y, norm, scratch)?;
        }
        Ok(())
    }

    /// Newton's method until corrections stop falling: to rounding, so that the result is a function of the
    /// data that can be differentiated.
    fn column<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        (t, theta): (T, &[T]),
        y: &mut [T],
        norm: &ErrorNorm<T>,
        scratch: &mut D::Scratch,
    ) -> Result<()> {
        let mut last = T::INFINITY;
        for _ in 0..ITERATIONS {
            dynamics.eval(Point { t, y, theta }, &mut self.f, scratch);
            for (r, &row) in self.residual.iter_mut().zip(&self.rows) {
                *r = self.f[row];
            }
            if self.residual.iter().any(|r| !r.is_finite()) {
                break;
            }
            self.factor(dynamics, Point { t, y, theta }, scratch)?;
            self.factors.solve(&mut self.residual);
            self.f.fill(T::zero());
            for (r, &column) in self.residual.iter().zip(&self.columns) {
                self.f[column] = *r;
            }
            let size = norm.value(&self.f, y, y, y.len());
            if !size.is_finite() || (size >= last && size < T::of(1e-3)) {
                break;
            }
            last = size;
            for (r, &column) in self.residual.iter().zip(&self.columns) {
                y[column] -= *r;
            }
            if size == T::zero() {
                break;
            }
        }
        if last < T::of(1e-3) {
            return Ok(());
        }
        let needed = "no consistent state was found by Newton's method from it: give algebraic variables \
                      that satisfy 0 = f (or nearly so)";
        Err(Error::invalid("the initial state of the algebraic equations", format!("{y:?}"), needed))
    }

    /// The reverse of [`solve`](Self::solve) at its result `y`: `y_bar` from the cotangent of the
    /// consistent state to that of the given one; ACCUMULATES into `theta_bar`.
    ///
    /// With μ = (∂f_a/∂y_a)⁻ᵀ ȳ_a: ȳ_d −= (∂f_a/∂y_d)ᵀ μ, θ̄ −= (∂f_a/∂θ)ᵀ μ, ȳ_a = 0.
    ///
    /// # Errors
    /// A singular Jacobian of the algebraic equations.
    pub fn pullback<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        (t, theta): (T, &[T]),
        y: &[T],
        [y_bar, theta_bar]: [&mut [T]; 2],
        scratch: &mut D::Scratch,
    ) -> Result<()> {
        let dim = self.f.len();
        for (y, y_bar) in y.chunks_exact(dim).zip(y_bar.chunks_exact_mut(dim)) {
            let at = Point { t, y, theta };
            self.factor(dynamics, at, scratch)?;
            for (r, &column) in self.residual.iter_mut().zip(&self.columns) {
                *r = -y_bar[column];
            }
            self.factors.solve_transpose(&mut self.residual);
            self.f.fill(T::zero());
            for (r, &row) in self.residual.iter().zip(&self.rows) {
                self.f[row] = *r;
            }
            dynamics.vjp(at, &self.f, y_bar, theta_bar, scratch);
            self.columns.iter().for_each(|&column| y_bar[column] = T::zero());
        }
        Ok(())
    }
}
