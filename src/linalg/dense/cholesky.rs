//! [`DenseCholesky`]: A = L Lᵀ.

use super::lu::{axpy, dot};
use crate::error::{Error, Result};
use crate::linalg::budget::Budget;
use crate::linalg::direct::Factors;
use crate::num::{Kernel, Real, dispatch};

/// A = L Lᵀ of a symmetric positive definite `n × n` matrix, column-major, of which only the lower
/// triangle is read. Source: Golub & Van Loan, *Matrix Computations* (4th ed., 2013), §4.2.
///
/// ```
/// use odeon::linalg::DenseCholesky;
///
/// let mut f = DenseCholesky::new(2);
/// f.factor(&[4.0, 2.0, 2.0, 5.0])?;
/// let mut x = [8.0, 12.0];
/// f.solve(&mut x);
/// assert_eq!(x, [1.0, 2.0]);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DenseCholesky<T> {
    n: usize,
    l: Vec<T>,
}

impl<T: Real> DenseCholesky<T> {
    /// Memory for n unknowns.
    pub fn new(n: usize) -> Self {
        Self { n, l: vec![T::zero(); n * n] }
    }

    /// Memory for n unknowns, if that keeps the budget.
    ///
    /// # Errors
    /// n = 0, and an n² that exceeds the budget (nothing is allocated then).
    pub fn within(n: usize, budget: Budget) -> Result<Self> {
        if n == 0 {
            return Err(Error::invalid("the size of a dense Cholesky", 0, "it must be at least 1"));
        }
        let bytes = (n as u128 * n as u128).saturating_mul(size_of::<T>() as u128);
        budget.check(&format!("a dense Cholesky of {n} unknowns"), bytes)?;
        Ok(Self::new(n))
    }

    /// n.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether n = 0.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Factors `a`, column-major, of length n².
    ///
    /// # Errors
    /// A wrong length; a matrix that is not positive definite, with the column and its pivot ℓ²; a NaN
    /// or infinity.
    pub fn factor(&mut self, a: &[T]) -> Result<()> {
        Error::check_len("the matrix of a dense Cholesky", a.len(), self.l.len(), "n²")?;
        self.l.copy_from_slice(a);
        match dispatch(Factor(self.n, &mut self.l)) {
            None => Ok(()),
            Some((column, pivot)) => Err(not_positive("the dense Cholesky", column, pivot.f64())),
        }
    }

    /// ln det A of the matrix that was factored last.
    pub fn log_det(&self) -> T {
        let two = T::of(2.0);
        (0..self.n).map(|i| two * self.l[i * self.n + i].ln()).sum()
    }

    /// `x` ← A⁻¹ `x`.
    pub fn solve(&self, x: &mut [T]) {
        dispatch(Solve(self.n, &self.l, x));
    }
}

/// The error of a matrix that is not positive definite.
#[cold]
pub(in crate::linalg) fn not_positive(what: &str, column: usize, pivot: f64) -> Error {
    let needed = if pivot.is_finite() {
        "it must be positive: the matrix is not SPD (use LU)"
    } else {
        "the matrix must be finite"
    };
    Error::invalid(format!("the pivot of column {column} in {what}"), pivot, needed)
}

impl<T: Real> Factors<T> for DenseCholesky<T> {
    fn len(&self) -> usize {
        self.n
    }
    fn solve(&mut self, x: &mut [T]) {
        Self::solve(self, x);
    }
    fn solve_transpose(&mut self, x: &mut [T]) {
        Self::solve(self, x);
    }
}

/// Right-looking, by columns; returns the first pivot that is not positive.
struct Factor<'a, T>(usize, &'a mut [T]);

impl<T: Real> Kernel for Factor<'_, T> {
    type Output = Option<(usize, T)>;
    #[inline(always)]
    fn run(self) -> Self::Output {
        let Self(n, l) = self;
        for j in 0..n {
            let (left, right) = l.split_at_mut((j + 1) * n);
            let column = &mut left[j * n + j..];
            let pivot = column[0];
            if !(pivot > T::zero() && pivot.is_finite()) {
                return Some((j, pivot));
            }
            let root = pivot.sqrt();
            let reciprocal = T::one() / root;
            column[0] = root;
            column[1..].iter_mut().for_each(|v| *v *= reciprocal);
            for (c, next) in right.chunks_exact_mut(n).enumerate() {
                axpy(-column[1 + c], &column[1 + c..], &mut next[j + 1 + c..]);
            }
        }
        None
    }
}

struct Solve<'a, T>(usize, &'a [T], &'a mut [T]);

impl<T: Real> Kernel for Solve<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(n, l, x) = self;
        for (j, column) in l.chunks_exact(n.max(1)).enumerate() {
            x[j] /= column[j];
            axpy(-x[j], &column[j + 1..], &mut x[j + 1..]);
        }
        for (j, column) in l.chunks_exact(n.max(1)).enumerate().rev() {
            x[j] = (x[j] - dot(&column[j + 1..], &x[j + 1..])) / column[j];
        }
    }
}
