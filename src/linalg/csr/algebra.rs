//! Sums, multiples and norms of sparse matrices.

use super::Csr;
use crate::error::{Error, Result};
use crate::num::Real;

impl<T: Real> Csr<T> {
    /// αA + βB (`self` is A). Every place of either is stored, also where the sum is 0.
    ///
    /// # Errors
    /// Shapes that differ, factors that are not finite.
    pub fn plus(&self, alpha: T, b: &Self, beta: T) -> Result<Self> {
        if self.shape != b.shape {
            let needed = format!("it must be {} × {} as A", self.rows(), self.cols());
            return Err(Error::invalid("B in the sum", format!("{} × {}", b.rows(), b.cols()), needed));
        }
        Error::check_finite("the factors of a sum", &[alpha, beta])?;
        let mut row_starts = Vec::with_capacity(self.rows() + 1);
        row_starts.push(0);
        let most = self.nnz().max(b.nnz());
        let (mut columns, mut values) = (Vec::with_capacity(most), Vec::with_capacity(most));
        for i in 0..self.rows() {
            let (ours, theirs) = (self.row(i), b.row(i));
            let (mut k, mut l) = (0, 0);
            while k < ours.0.len() || l < theirs.0.len() {
                // Beyond the end stands a column that no row has.
                let (p, q) = (at(ours.0, k), at(theirs.0, l));
                let mut sum = T::zero();
                if p <= q {
                    sum = alpha * ours.1[k];
                    k += 1;
                }
                if q <= p {
                    sum = beta.mul_add(theirs.1[l], sum);
                    l += 1;
                }
                columns.push(p.min(q));
                values.push(sum);
            }
            row_starts.push(columns.len());
        }
        Ok(Self::from_parts(self.shape, row_starts, columns, values))
    }

    /// A + σI: the diagonal is stored in full.
    ///
    /// # Errors
    /// A matrix that is not square, a shift that is not finite.
    pub fn shift(&self, sigma: T) -> Result<Self> {
        self.plus(T::one(), &Self::identity(self.square()?), sigma)
    }

    /// A ← αA.
    pub fn scale(&mut self, alpha: T) {
        self.values.iter_mut().for_each(|v| *v *= alpha);
    }

    /// A ← diag(d) A: row i is multiplied by `d[i]`.
    ///
    /// # Errors
    /// A wrong length, factors that are not finite.
    pub fn scale_rows(&mut self, d: &[T]) -> Result<()> {
        Error::check_len("the factors of the rows", d.len(), self.rows(), "one for each row")?;
        Error::check_finite("the factors of the rows", d)?;
        for (w, &d) in self.row_starts.windows(2).zip(d) {
            self.values[w[0]..w[1]].iter_mut().for_each(|v| *v *= d);
        }
        Ok(())
    }

    /// A ← A diag(d): column j is multiplied by `d[j]`.
    ///
    /// # Errors
    /// A wrong length, factors that are not finite.
    pub fn scale_cols(&mut self, d: &[T]) -> Result<()> {
        Error::check_len("the factors of the columns", d.len(), self.cols(), "one for each column")?;
        Error::check_finite("the factors of the columns", d)?;
        for (v, &j) in self.values.iter_mut().zip(&self.columns) {
            *v *= d[j as usize];
        }
        Ok(())
    }

    /// max |aᵢⱼ|.
    pub fn norm_max(&self) -> T {
        self.values().iter().fold(T::zero(), |most, v| most.max(v.abs()))
    }

    /// ‖A‖∞, the largest sum of a row's magnitudes.
    pub fn norm_inf(&self) -> T {
        let sum = |i| self.row(i).1.iter().map(|v| v.abs()).sum();
        (0..self.rows()).map(sum).fold(T::zero(), T::max)
    }

    /// ‖A‖₁, the largest sum of a column's magnitudes.
    pub fn norm_one(&self) -> T {
        let mut sums = vec![T::zero(); self.cols()];
        for (&j, v) in self.columns().iter().zip(self.values()) {
            sums[j as usize] += v.abs();
        }
        sums.into_iter().fold(T::zero(), T::max)
    }

    /// The Frobenius norm (Σ aᵢⱼ²)^½, without overflow on the way.
    pub fn norm_frobenius(&self) -> T {
        let most = self.norm_max();
        if most == T::zero() {
            return most;
        }
        let square = |v: &T| (*v / most) * (*v / most);
        most * self.values().iter().map(square).sum::<T>().sqrt()
    }

    /// The same matrix in another precision.
    ///
    /// # Errors
    /// A value beyond the range of the other type.
    pub fn cast<S: Real>(&self) -> Result<Csr<S>> {
        let values: Vec<S> = self.values().iter().map(|v| S::of(v.f64())).collect();
        Error::check_finite("the values in the other precision", &values)?;
        Ok(Csr::from_parts(self.shape, self.row_starts.clone(), self.columns.clone(), values))
    }
}

fn at(columns: &[u32], k: usize) -> u32 {
    columns.get(k).copied().unwrap_or(u32::MAX)
}
