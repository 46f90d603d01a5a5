//! [`IncompleteLu`]: ILU(0) and its modified and shifted variants.

use super::factors::{Factors, Triangle};
use crate::error::{Error, Result};
use crate::linalg::{Claims, Csr, Preconditioner};
use crate::num::Real;

/// Options of incomplete factorisations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Incomplete {
    /// A + shift·diag(A) is factored: positive values keep pivots away from 0 for matrices that are not
    /// M-matrices (T. A. Manteuffel, Math. Comp. 34, 1980). At least 0.
    pub shift: f64,
    /// The part of the dropped fill that is subtracted from the diagonal, in [0, 1]. 1 keeps row sums,
    /// M 1 = A 1 (I. Gustafsson, BIT 18, 1978); a little less, such as 0.97, is more robust.
    pub modified: f64,
}

impl Incomplete {
    /// Checks the options.
    ///
    /// # Errors
    /// A shift that is negative or not finite, `modified` outside [0, 1].
    pub fn check(&self) -> Result<()> {
        if !(self.shift.is_finite() && self.shift >= 0.0) {
            return Err(Error::invalid("shift", self.shift, "it must be finite and not negative"));
        }
        if !(0.0..=1.0).contains(&self.modified) {
            return Err(Error::invalid("modified", self.modified, "it must lie in [0, 1]"));
        }
        Ok(())
    }
}

/// M = L̂ D̂ Û with unit triangles on the pattern of A: mᵢⱼ = aᵢⱼ on the pattern, and what falls
/// outside is dropped (Saad, algorithm 10.4).
#[derive(Clone, Debug, PartialEq)]
pub struct IncompleteLu<T>(Factors<T>);

impl<T: Real> IncompleteLu<T> {
    /// ILU(0).
    ///
    /// # Errors
    /// A matrix that is not square or is empty; a pivot that is 0 (its row is named).
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
        let mut factors = a.clone();
        let inverse = factor(&mut factors, options)?;
        let lower = Triangle::from_strict(&factors, true);
        let upper = Triangle::new(n, false, |i, put| {
            let (columns, values) = factors.row(i);
            columns.iter().zip(values).for_each(|(&j, &v)| put(j as usize, v * inverse[i]));
        });
        Ok(Self(Factors { lower, upper, inverse, scale: T::one(), weight: T::one() }))
    }
}

/// Overwrites A by L̂ (strict lower part) and D̂ Û (upper part, row by row); returns D̂⁻¹.
fn factor<T: Real>(a: &mut Csr<T>, options: Incomplete) -> Result<Vec<T>> {
    const NONE: usize = usize::MAX;
    let n = a.rows();
    let (starts, columns) = (a.row_starts().to_vec(), a.columns().to_vec());
    let values = a.values_mut();
    let modified = T::of(options.modified);
    // Where column j stands in the present row; where the diagonal stands in the rows above.
    let (mut place, mut diagonal) = (vec![NONE; n], vec![0; n]);
    let mut inverse = vec![T::zero(); n];
    for i in 0..n {
        let row = starts[i]..starts[i + 1];
        row.clone().for_each(|e| place[columns[e] as usize] = e);
        let here = place[i];
        if here == NONE {
            return Err(bad_pivot(i, T::zero()));
        }
        let smallest = T::of(8.0) * T::EPSILON * values[here].abs();
        values[here] *= T::of(1.0 + options.shift);
        for e in starts[i]..here {
            let k = columns[e] as usize;
            let l = values[e] * inverse[k];
            values[e] = l;
            for from in diagonal[k] + 1..starts[k + 1] {
                let fill = l * values[from];
                match place[columns[from] as usize] {
                    NONE => values[here] = (-modified).mul_add(fill, values[here]),
                    to => values[to] -= fill,
                }
            }
        }
        let pivot = values[here];
        if !(pivot.abs() > smallest && pivot.is_finite() && (T::one() / pivot).is_finite()) {
            return Err(bad_pivot(i, pivot));
        }
        (inverse[i], diagonal[i]) = (T::one() / pivot, here);
        row.for_each(|e| place[columns[e] as usize] = NONE);
    }
    Ok(inverse)
}

fn bad_pivot<T: Real>(row: usize, pivot: T) -> Error {
    let needed = "incomplete LU divides by it: shift the diagonal (Incomplete::shift), reorder the rows, or \
                  use a direct method";
    Error::invalid(format!("the pivot of row {row}"), pivot, needed)
}

impl<T: Real> Preconditioner<T> for IncompleteLu<T> {
    fn len(&self) -> usize {
        self.0.inverse.len()
    }

    fn claims(&self) -> Claims {
        Claims::LINEAR
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        self.0.solve(r, z);
    }

    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        self.0.solve_transpose(r, z);
        Ok(())
    }
}
