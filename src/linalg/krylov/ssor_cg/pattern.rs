//! [`Entries`]: which entry of a symmetric matrix is where, and whether its values are symmetric.

use crate::error::{Error, Result};
use crate::linalg::Csr;
use crate::num::Real;
use std::ops::Range;

/// A symmetric pattern with a full diagonal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entries {
    starts: Vec<usize>,
    columns: Vec<u32>,
    /// The entry of each row that is on the diagonal.
    diagonal: Vec<u32>,
    /// Entries (i, j) and (j, i), i > j.
    twins: Vec<[u32; 2]>,
}

pub(super) fn refuse(given: String) -> Error {
    let needed = "SSOR-CG needs a symmetric one with a positive diagonal; GMRES takes any";
    Error::invalid("the matrix", given, needed)
}

impl Entries {
    /// # Errors
    /// A matrix that is not square or is empty, whose pattern is not symmetric or lacks an entry of the diagonal.
    pub(super) fn new<T: Real>(a: &Csr<T>) -> Result<Self> {
        let n = a.square()?;
        let (starts, columns) = (a.row_starts(), a.columns());
        let find = |i: usize, j: usize| {
            let row = &columns[starts[i]..starts[i + 1]];
            row.binary_search(&(j as u32)).ok().map(|k| (starts[i] + k) as u32)
        };
        let (mut diagonal, mut twins) = (Vec::with_capacity(n), Vec::with_capacity(columns.len() / 2));
        for i in 0..n {
            let own = find(i, i).ok_or_else(|| refuse(format!("without a diagonal entry in row {i}")))?;
            diagonal.push(own);
            let row = starts[i]..starts[i + 1];
            for (k, &j) in row.clone().zip(&columns[row]) {
                let j = j as usize;
                let twin =
                    find(j, i).ok_or_else(|| refuse(format!("with ({i}, {j}) and without ({j}, {i})")))?;
                if j < i {
                    twins.push([k as u32, twin]);
                }
            }
        }
        Ok(Self { starts: starts.to_vec(), columns: columns.to_vec(), diagonal, twins })
    }

    pub(super) fn len(&self) -> usize {
        self.diagonal.len()
    }

    pub(super) fn columns(&self) -> &[u32] {
        &self.columns
    }

    pub(super) fn diagonal(&self) -> &[u32] {
        &self.diagonal
    }

    /// The entries of a row below (left of) the diagonal, or above.
    pub(super) fn triangle(&self, i: usize, lower: bool) -> Range<usize> {
        let own = self.diagonal[i] as usize;
        if lower { self.starts[i]..own } else { own + 1..self.starts[i + 1] }
    }

    /// Whether this is the pattern of `a`.
    pub(super) fn is_of<T: Real>(&self, a: &Csr<T>) -> bool {
        a.row_starts() == self.starts && a.columns() == self.columns
    }

    /// # Errors
    /// Values that are not symmetric up to rounding in the assembly, a diagonal entry that is not positive and
    /// finite (the row is named).
    pub(super) fn check<T: Real>(&self, values: &[T]) -> Result<()> {
        let d = |i: usize| values[self.diagonal[i] as usize];
        if let Some(i) = (0..self.len()).find(|&i| !(d(i) > T::zero() && d(i).is_finite())) {
            return Err(refuse(format!("with {} on the diagonal of row {i}", d(i))));
        }
        let apart = |&[k, twin]: &[u32; 2]| {
            let (lower, upper) = (values[k as usize], values[twin as usize]);
            let size = lower.abs() + upper.abs() + d(self.columns[k as usize] as usize);
            // NaN is apart from everything.
            let near = (lower - upper).abs() <= T::of(64.0) * T::EPSILON * size;
            !near
        };
        match self.twins.iter().find(|pair| apart(pair)) {
            None => Ok(()),
            Some(&[lower, upper]) => {
                let (i, j) = (self.row_of(lower), self.columns[lower as usize]);
                let [v, w] = [lower, upper].map(|k| values[k as usize]);
                Err(refuse(format!("with {v} at ({i}, {j}) and {w} at ({j}, {i})")))
            }
        }
    }

    fn row_of(&self, entry: u32) -> usize {
        self.starts.partition_point(|&start| start <= entry as usize) - 1
    }
}
