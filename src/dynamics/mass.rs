//! [`Mass`]: the matrix M of M y' = f(t, y; θ).

use crate::error::{Error, Result};
use crate::linalg::{Csr, LinearOperator, Pattern};
use crate::num::Real;

/// A constant mass matrix (it depends neither on t nor on y or θ). It may be singular: rows of zeros
/// are algebraic equations 0 = f_i, and the system is a differential-algebraic one, which the solvers
/// take when it is of index 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Mass<T> {
    /// M = diag(d).
    Diagonal(Vec<T>),
    /// A sparse M.
    Sparse(Csr<T>),
}

impl<T: Real> Mass<T> {
    /// n.
    pub fn len(&self) -> usize {
        match self {
            Self::Diagonal(d) => d.len(),
            Self::Sparse(m) => m.rows(),
        }
    }

    /// Whether n = 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks M against a state of `dim` rows.
    ///
    /// # Errors
    /// A wrong size, an entry that is not finite, M = 0.
    pub fn check(&self, dim: usize) -> Result<()> {
        let values = match self {
            Self::Diagonal(d) => d,
            Self::Sparse(m) => {
                Error::check_len("the mass matrix's columns", m.cols(), dim, "the rows of the state")?;
                m.values()
            }
        };
        Error::check_len("the mass matrix", self.len(), dim, "the rows of the state")?;
        Error::check_finite("the mass matrix", values)?;
        if values.iter().all(|&v| v == T::zero()) {
            return Err(Error::invalid("the mass matrix", "0", "it must have an entry that is not 0"));
        }
        Ok(())
    }

    /// The places of its entries.
    pub fn pattern(&self) -> Pattern {
        match self {
            Self::Diagonal(d) => Pattern::diagonal(d.len()),
            Self::Sparse(m) => Pattern::of(m),
        }
    }

    /// `y` ← M `x`, column by column of n × batch.
    pub fn apply(&self, x: &[T], y: &mut [T]) {
        let n = self.len();
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            match self {
                Self::Diagonal(d) => product(d, x, y),
                Self::Sparse(m) => m.apply(x, y),
            }
        }
    }

    /// `x` ← Mᵀ `y`, column by column of n × batch.
    pub fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        let n = self.len();
        for (y, x) in y.chunks_exact(n).zip(x.chunks_exact_mut(n)) {
            match self {
                Self::Diagonal(d) => product(d, y, x),
                Self::Sparse(m) => m.apply_transpose(y, x),
            }
        }
    }

    /// The rows of M that are 0, increasing: the algebraic equations, as far as M shows them.
    pub fn algebraic_rows(&self) -> Vec<usize> {
        let zero = |i: &usize| match self {
            Self::Diagonal(d) => d[*i] == T::zero(),
            Self::Sparse(m) => m.row(*i).1.iter().all(|&v| v == T::zero()),
        };
        (0..self.len()).filter(zero).collect()
    }
}

fn product<T: Real>(d: &[T], x: &[T], y: &mut [T]) {
    for ((y, &d), &x) in y.iter_mut().zip(d).zip(x) {
        *y = d * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_transposes_and_algebraic_rows() {
        let m = Mass::Sparse(Csr::from_triplets([3, 3], &[(0, 0, 2.0), (0, 1, 3.0), (2, 2, 0.0)]).unwrap());
        let mut y = [9.0; 6];
        m.apply(&[1.0, 2.0, 3.0, 1.0, 0.0, 0.0], &mut y);
        assert_eq!(y, [8.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
        m.apply_transpose(&[1.0, 5.0, 5.0, 2.0, 0.0, 0.0], &mut y);
        assert_eq!(y, [2.0, 3.0, 0.0, 4.0, 6.0, 0.0]);
        assert_eq!(m.algebraic_rows(), [1, 2]);
        let d = Mass::Diagonal(vec![1.0, 0.0]);
        let mut y = [9.0; 2];
        d.apply(&[3.0, 4.0], &mut y);
        assert_eq!((y, d.algebraic_rows()), ([3.0, 0.0], vec![1]));
        assert!(m.check(3).is_ok() && d.check(2).is_ok());
        for (bad, dim) in [(&d, 3), (&Mass::Diagonal(vec![0.0; 2]), 2), (&Mass::Diagonal(vec![f64::NAN]), 1)]
        {
            assert!(bad.check(dim).is_err());
        }
    }
}
