//! [`BandedLu`]: P A = L U of a banded matrix.
// Indices into several arrays at once.
#![allow(clippy::needless_range_loop, reason = "several arrays are indexed alike")]

use super::direct::{Factors, singular};
use super::{Budget, Pattern};
use crate::error::{Error, Result};
use crate::num::{Kernel, Real, dispatch};

/// LU of an n × n matrix with entries at −`lower` ≤ j − i ≤ `upper` only, with partial pivoting
/// (LAPACK's `gbtrf`, unblocked): n (2·lower + upper + 1) numbers, about 2 n·lower·(lower + upper) flops.
/// Source: Golub & Van Loan, *Matrix Computations* (4th ed., 2013), §4.3.
///
/// ```
/// use odeon::linalg::{BandedLu, Budget};
///
/// // [2 1; 1 3]: a column of the band holds the entries from row j − 1 to j + 1.
/// let mut lu = BandedLu::new(2, [1, 1], Budget::default())?;
/// lu.factor(&[0.0, 2.0, 1.0, 1.0, 3.0, 0.0])?;
/// let mut x = [4.0, 7.0];
/// lu.solve(&mut x);
/// assert_eq!(x, [1.0, 2.0]);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BandedLu<T> {
    n: usize,
    lower: usize,
    upper: usize,
    /// Column j holds rows j − upper − lower ..= j + lower: exchanges fill `lower` more diagonals of U.
    band: Vec<T>,
    swaps: Vec<u32>,
}

impl<T: Real> BandedLu<T> {
    /// Memory for n unknowns and bands of [lower, upper] diagonals.
    ///
    /// # Errors
    /// n = 0, bands as wide as the matrix, memory beyond the budget.
    pub fn new(n: usize, [lower, upper]: [usize; 2], budget: Budget) -> Result<Self> {
        if n == 0 || lower >= n || upper >= n {
            let needed = format!("they must be below the {n} unknowns");
            return Err(Error::invalid(
                "the lower and upper bandwidths",
                format!("{lower} and {upper}"),
                needed,
            ));
        }
        let rows = 2 * lower + upper + 1;
        let bytes = rows as u128 * n as u128 * size_of::<T>() as u128;
        budget.check(&format!("a banded LU of {n} unknowns"), bytes)?;
        Ok(Self { n, lower, upper, band: vec![T::zero(); rows * n], swaps: vec![0; n] })
    }

    /// n.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether n = 0 (it never is).
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Numbers in a column of the memory.
    fn stride(&self) -> usize {
        2 * self.lower + self.upper + 1
    }

    /// Factors the matrix whose entry (i, j) is `band[j (lower + upper + 1) + upper + i − j]`; entries
    /// outside the matrix do not matter.
    ///
    /// # Errors
    /// A wrong length, a pivot that is 0, infinite or NaN.
    pub fn factor(&mut self, band: &[T]) -> Result<()> {
        let (width, stride, n) = (self.lower + self.upper + 1, self.stride(), self.n);
        Error::check_len("the band", band.len(), width * n, "(lower + upper + 1) n")?;
        for (j, (to, from)) in self.band.chunks_exact_mut(stride).zip(band.chunks_exact(width)).enumerate() {
            to[..self.lower].fill(T::zero());
            for (r, (to, &from)) in to[self.lower..].iter_mut().zip(from).enumerate() {
                let inside = (self.upper..self.upper + n).contains(&(j + r));
                *to = if inside { from } else { T::zero() };
            }
        }
        self.eliminate()
    }

    /// Factors the matrix with `values` in the order of `pattern`.
    ///
    /// # Errors
    /// A pattern that does not fit into the band, and as [`factor`](Self::factor).
    pub fn factor_sparse(&mut self, pattern: &Pattern, values: &[T]) -> Result<()> {
        Error::check_len("the pattern's rows", pattern.rows(), self.n, "the size of the band")?;
        Error::check_len("the values", values.len(), pattern.nnz(), "one for each entry")?;
        let [lower, upper] = pattern.bandwidth();
        if lower > self.lower || upper > self.upper || pattern.cols() != self.n {
            let needed = format!("at most {} and {} fit", self.lower, self.upper);
            return Err(Error::invalid("the pattern's bandwidths", format!("{lower} and {upper}"), needed));
        }
        self.band.fill(T::zero());
        let (stride, diagonal) = (self.stride(), self.lower + self.upper);
        for i in 0..self.n {
            for k in pattern.row_starts()[i]..pattern.row_starts()[i + 1] {
                let j = pattern.columns()[k] as usize;
                self.band[j * stride + diagonal + i - j] = values[k];
            }
        }
        self.eliminate()
    }

    fn eliminate(&mut self) -> Result<()> {
        let Self { n, lower, upper, band, swaps } = self;
        dispatch(Factor { n: *n, lower: *lower, upper: *upper, band, swaps });
        let (stride, diagonal) = (self.stride(), self.lower + self.upper);
        let pivots = (0..self.n).map(|j| self.band[j * stride + diagonal]).enumerate();
        match pivots.into_iter().find(|(_, p)| *p == T::zero() || !p.is_finite()) {
            None => Ok(()),
            Some((j, pivot)) => Err(singular("the banded LU", j, pivot.f64())),
        }
    }

    /// `x` ← A⁻¹ `x`.
    pub fn solve(&self, x: &mut [T]) {
        dispatch(Solve { lu: self, x, turned: false });
    }

    /// `x` ← A⁻ᵀ `x`.
    pub fn solve_transpose(&self, x: &mut [T]) {
        dispatch(Solve { lu: self, x, turned: true });
    }
}

impl<T: Real> Factors<T> for BandedLu<T> {
    fn len(&self) -> usize {
        self.n
    }
    fn solve(&mut self, x: &mut [T]) {
        Self::solve(self, x);
    }
    fn solve_transpose(&mut self, x: &mut [T]) {
        Self::solve_transpose(self, x);
    }
}

struct Factor<'a, T> {
    n: usize,
    lower: usize,
    upper: usize,
    band: &'a mut [T],
    swaps: &'a mut [u32],
}

impl<T: Real> Kernel for Factor<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { n, lower, upper, band, swaps } = self;
        let (stride, diagonal) = (2 * lower + upper + 1, lower + upper);
        for j in 0..n {
            let below = lower.min(n - 1 - j);
            let (left, right) = band.split_at_mut((j + 1) * stride);
            let column = &mut left[j * stride + diagonal..][..=below];
            let (mut at, mut largest) = (0, column[0].abs());
            for (r, v) in column.iter().enumerate().skip(1) {
                if v.abs() > largest {
                    (at, largest) = (r, v.abs());
                }
            }
            swaps[j] = at as u32;
            column.swap(0, at);
            let reciprocal = T::one() / column[0];
            column[1..].iter_mut().for_each(|v| *v *= reciprocal);
            // Row j + at may reach as far as column j + at + upper.
            for (c, next) in right.chunks_exact_mut(stride).take(upper + lower).enumerate() {
                let top = diagonal - 1 - c;
                next.swap(top, top + at);
                let x = -next[top];
                for (v, l) in next[top + 1..].iter_mut().zip(&column[1..]) {
                    *v = l.mul_add(x, *v);
                }
            }
        }
    }
}

struct Solve<'a, T> {
    lu: &'a BandedLu<T>,
    x: &'a mut [T],
    turned: bool,
}

impl<T: Real> Kernel for Solve<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { lu, x, turned } = self;
        let (n, stride, diagonal) = (lu.n, lu.stride(), lu.lower + lu.upper);
        let columns = || lu.band.chunks_exact(stride).enumerate();
        let lower = |j: usize| lu.lower.min(n - 1 - j);
        if turned {
            for (j, column) in columns() {
                let above = diagonal.min(j);
                let terms = column[diagonal - above..diagonal].iter().zip(&x[j - above..j]);
                let sum = terms.fold(x[j], |sum, (&u, &x)| (-u).mul_add(x, sum));
                x[j] = sum / column[diagonal];
            }
            for (j, column) in columns().rev() {
                let terms = column[diagonal + 1..].iter().zip(&x[j + 1..]).take(lower(j));
                x[j] = terms.fold(x[j], |sum, (&l, &x)| (-l).mul_add(x, sum));
                x.swap(j, j + lu.swaps[j] as usize);
            }
            return;
        }
        for (j, column) in columns() {
            x.swap(j, j + lu.swaps[j] as usize);
            let pivot = -x[j];
            for (v, &l) in x[j + 1..].iter_mut().zip(&column[diagonal + 1..]).take(lower(j)) {
                *v = l.mul_add(pivot, *v);
            }
        }
        for (j, column) in columns().rev() {
            x[j] /= column[diagonal];
            let (pivot, above) = (-x[j], diagonal.min(j));
            for (v, &u) in x[j - above..j].iter_mut().zip(&column[diagonal - above..diagonal]) {
                *v = u.mul_add(pivot, *v);
            }
        }
    }
}
