//! [`IncompleteCholesky`]: IC(0) and its modified and shifted variants.

use super::factors::{Factors, Triangle};
use super::incomplete_lu::Incomplete;
use crate::error::{Error, Result};
use crate::linalg::relax::setup;
use crate::linalg::{Claims, Csr, Preconditioner};
use crate::num::Real;

/// M = L̂ D̂ L̂ᵀ with unit lower L̂ on the pattern of A's lower triangle: mᵢⱼ = aᵢⱼ on the pattern, and
/// what falls outside is dropped (J. A. Meijerink and H. A. van der Vorst, Math. Comp. 31, 1977). It exists
/// for M-matrices; other SPD matrices may need a [`shift`](Incomplete::shift). The
/// [`modified`](Incomplete::modified) variant needs far fewer iterations for diffusion on fine grids:
/// O(h^(−1/2)) where IC(0) needs O(1/h).
#[derive(Clone, Debug, PartialEq)]
pub struct IncompleteCholesky<T>(Factors<T>);

impl<T: Real> IncompleteCholesky<T> {
    /// IC(0).
    ///
    /// # Errors
    /// A matrix that is not square, is empty or is not symmetric; a pivot that is not positive (row and
    /// pivot are named).
    pub fn new(a: &Csr<T>) -> Result<Self> {
        Self::with(a, Incomplete::default())
    }

    /// With a shift, or modified.
    ///
    /// # Errors
    /// As [`new`](Self::new); options out of range.
    pub fn with(a: &Csr<T>, options: Incomplete) -> Result<Self> {
        options.check()?;
        let n = a.square()?;
        if !setup::is_symmetric(a) {
            let needed = "incomplete Cholesky needs A = Aᵀ (IncompleteLu takes any square matrix)";
            return Err(Error::invalid("the matrix", "not symmetric", needed));
        }
        let mut upper = a.filter(|i, j, _| j > i);
        let d: Vec<T> = (0..n).map(|i| a.get(i, i) * T::of(1.0 + options.shift)).collect();
        let inverse = factor(a, &mut upper, d, T::of(options.modified))?;
        let starts = upper.row_starts().to_vec();
        for i in 0..n {
            upper.values_mut()[starts[i]..starts[i + 1]].iter_mut().for_each(|v| *v *= inverse[i]);
        }
        let lower = Triangle::from_strict(&upper.transpose(), true);
        let upper = Triangle::from_strict(&upper, false);
        Ok(Self(Factors { lower, upper, inverse, scale: T::one(), weight: T::one() }))
    }
}

/// Overwrites the strict upper triangle of A by D̂ L̂ᵀ; returns D̂⁻¹. When row i is taken, `next[k]`
/// is the place of (k, i) in row k, because the rows i are taken in order.
fn factor<T: Real>(a: &Csr<T>, upper: &mut Csr<T>, mut d: Vec<T>, modified: T) -> Result<Vec<T>> {
    let n = a.rows();
    let starts = upper.row_starts().to_vec();
    let columns = upper.columns().to_vec();
    let values = upper.values_mut();
    let mut next = starts[..n].to_vec();
    let mut inverse = vec![T::zero(); n];
    for i in 0..n {
        for &k in a.row(i).0.iter().take_while(|&&k| (k as usize) < i) {
            let k = k as usize;
            let here = next[k];
            next[k] += 1;
            let l = values[here] * inverse[k];
            d[i] = (-l).mul_add(values[here], d[i]);
            let mut place = starts[i];
            for from in here + 1..starts[k + 1] {
                let (j, fill) = (columns[from], l * values[from]);
                while place < starts[i + 1] && columns[place] < j {
                    place += 1;
                }
                if place < starts[i + 1] && columns[place] == j {
                    values[place] -= fill;
                } else {
                    d[i] = (-modified).mul_add(fill, d[i]);
                    d[j as usize] = (-modified).mul_add(fill, d[j as usize]);
                }
            }
        }
        let smallest = T::of(8.0) * T::EPSILON * a.get(i, i).abs();
        if !(d[i] > smallest && d[i].is_finite()) {
            let needed = "incomplete Cholesky needs positive pivots: the matrix is not positive definite, or \
                          needs a shift (Incomplete::shift), or less modification";
            return Err(Error::invalid(format!("the pivot of row {i}"), d[i], needed));
        }
        inverse[i] = T::one() / d[i];
    }
    Ok(inverse)
}

impl<T: Real> Preconditioner<T> for IncompleteCholesky<T> {
    fn len(&self) -> usize {
        self.0.inverse.len()
    }

    fn claims(&self) -> Claims {
        Claims::SPD
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        self.0.solve(r, z);
    }
}
