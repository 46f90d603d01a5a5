//! [`DenseQr`]: A = Q R by Householder reflections, for least squares.

use super::lu::{axpy, dot};
use crate::error::{Error, Result};
use crate::linalg::budget::Budget;
use crate::num::{Kernel, Real, dispatch};

/// A = Q R of an `m × n` matrix with m ≥ n, column-major; [`solve`](Self::solve) minimises ‖A x − b‖₂.
/// Source: Golub & Van Loan, *Matrix Computations* (4th ed., 2013), §5.2.
///
/// ```
/// use odeon::linalg::{Budget, DenseQr};
///
/// // The line through (0, 1), (1, 3), (2, 5): intercept 1, slope 2.
/// let mut qr = DenseQr::new([3, 2], Budget::default())?;
/// qr.factor(&[1.0, 1.0, 1.0, 0.0, 1.0, 2.0])?;
/// let mut b = [1.0, 3.0, 5.0];
/// let x = qr.solve(&mut b);
/// assert!((x[0] - 1.0f64).abs() < 1e-14 && (x[1] - 2.0).abs() < 1e-14);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DenseQr<T> {
    m: usize,
    n: usize,
    /// R above the diagonal; the reflections' vectors on and below it.
    qr: Vec<T>,
    /// 2/vᵀv of each reflection.
    tau: Vec<T>,
    /// R's diagonal.
    diagonal: Vec<T>,
}

impl<T: Real> DenseQr<T> {
    /// Memory for `[rows, columns]`.
    ///
    /// # Errors
    /// No columns, fewer rows than columns, memory beyond the budget.
    pub fn new([m, n]: [usize; 2], budget: Budget) -> Result<Self> {
        if n == 0 || m < n {
            let given = format!("{m} × {n}");
            return Err(Error::invalid(
                "the matrix of a least-squares problem",
                given,
                "it needs n ≥ 1 and m ≥ n",
            ));
        }
        let bytes = (m as u128 * n as u128).saturating_mul(size_of::<T>() as u128);
        budget.check(&format!("a dense QR of {m} × {n}"), bytes)?;
        let zeros = vec![T::zero(); n];
        Ok(Self { m, n, qr: vec![T::zero(); m * n], tau: zeros.clone(), diagonal: zeros })
    }

    /// Factors `a`, column-major, of length m n.
    ///
    /// # Errors
    /// A wrong length, a NaN or infinity, columns that are linearly dependent (|r_jj| ≤ m ε ‖a_j‖₂).
    pub fn factor(&mut self, a: &[T]) -> Result<()> {
        Error::check_len("the matrix of a dense QR", a.len(), self.qr.len(), "m n")?;
        self.qr.copy_from_slice(a);
        let Self { m, n, qr, tau, diagonal } = self;
        dispatch(Factor { m: *m, n: *n, qr, tau, diagonal });
        for (j, (r, column)) in self.diagonal.iter().zip(a.chunks_exact(self.m)).enumerate() {
            let norm = column.iter().map(|v| v.f64() * v.f64()).sum::<f64>().sqrt();
            let smallest = self.m as f64 * T::EPSILON.f64() * norm;
            let size = r.f64().abs();
            if size.is_nan() || size.is_infinite() {
                let what = format!("the diagonal entry {j} of R");
                return Err(Error::invalid(what, r, "the matrix must be finite"));
            }
            if size <= smallest {
                let needed =
                    format!("column {j} depends on those before it (|r| must exceed {smallest:.1e})");
                return Err(Error::invalid(format!("the diagonal entry {j} of R"), r, needed));
            }
        }
        Ok(())
    }

    /// Solves min ‖A x − b‖₂; `b` (length m) is overwritten by Qᵀb with x in front, which is returned.
    /// The norm of what follows x is that of the residual.
    pub fn solve<'b>(&self, b: &'b mut [T]) -> &'b [T] {
        dispatch(Solve { qr: self, b });
        &b[..self.n]
    }
}

struct Factor<'a, T> {
    m: usize,
    n: usize,
    qr: &'a mut [T],
    tau: &'a mut [T],
    diagonal: &'a mut [T],
}

impl<T: Real> Kernel for Factor<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { m, n, qr, tau, diagonal } = self;
        for j in 0..n {
            let (left, right) = qr.split_at_mut((j + 1) * m);
            let v = &mut left[j * m + j..];
            let norm = dot(v, v).sqrt();
            // Away from cancellation: v₀ and −r have one sign.
            let r = -norm.copysign(v[0]);
            diagonal[j] = r;
            v[0] -= r;
            tau[j] = if norm > T::zero() { T::of(2.0) / dot(v, v) } else { T::zero() };
            for column in right.chunks_exact_mut(m) {
                let scale = -tau[j] * dot(v, &column[j..]);
                axpy(scale, v, &mut column[j..]);
            }
        }
    }
}

struct Solve<'a, 'b, T> {
    qr: &'a DenseQr<T>,
    b: &'b mut [T],
}

impl<T: Real> Kernel for Solve<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let DenseQr { m, n, qr, tau, diagonal } = self.qr;
        let b = self.b;
        for (j, column) in qr.chunks_exact(*m).enumerate() {
            let scale = -tau[j] * dot(&column[j..], &b[j..]);
            axpy(scale, &column[j..], &mut b[j..]);
        }
        for (j, column) in qr.chunks_exact(*m).enumerate().take(*n).rev() {
            b[j] /= diagonal[j];
            let x = -b[j];
            axpy(x, &column[..j], &mut b[..j]);
        }
    }
}
