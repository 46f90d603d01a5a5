//! [`Pattern`]: where a sparse matrix has entries.

use super::csr::Csr;
use crate::error::{Error, Result};
use crate::num::Real;
use std::sync::Arc;

/// The places of a sparse matrix's entries, compressed by rows as in [`Csr`]; cheap to clone (shared).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Arc<Structure>);

#[derive(Debug, PartialEq, Eq)]
struct Structure {
    shape: [usize; 2],
    row_starts: Vec<usize>,
    columns: Vec<u32>,
}

impl Pattern {
    /// A `rows × cols` pattern from the columns of each row, in any order; repeated ones count once.
    ///
    /// # Errors
    /// A wrong number of rows, columns out of range, more columns than 32 bits count.
    pub fn from_rows([rows, cols]: [usize; 2], entries: &[Vec<usize>]) -> Result<Self> {
        Error::check_len("the rows of a pattern", entries.len(), rows, "the number of rows")?;
        if u32::try_from(cols).is_err() {
            return Err(Error::invalid("the number of columns", cols, "at most 2³² − 1 are supported"));
        }
        let (mut row_starts, mut columns) = (vec![0], Vec::new());
        for (i, row) in entries.iter().enumerate() {
            if let Some(&j) = row.iter().find(|&&j| j >= cols) {
                let needed = format!("columns must be below {cols}");
                return Err(Error::invalid(format!("a column of row {i} of a pattern"), j, needed));
            }
            let from = columns.len();
            columns.extend(row.iter().map(|&j| j as u32));
            columns[from..].sort_unstable();
            let kept = dedup(&mut columns[from..]);
            columns.truncate(from + kept);
            row_starts.push(columns.len());
        }
        Ok(Self::from_parts([rows, cols], row_starts, columns))
    }

    /// A pattern from arrays known to be valid.
    pub(crate) fn from_parts(shape: [usize; 2], row_starts: Vec<usize>, columns: Vec<u32>) -> Self {
        debug_assert!(row_starts.windows(2).all(|w| columns[w[0]..w[1]].is_sorted_by(|a, b| a < b)));
        Self(Arc::new(Structure { shape, row_starts, columns }))
    }

    /// The pattern of a matrix: its stored entries, zeros among them included.
    pub fn of<T: Real>(a: &Csr<T>) -> Self {
        Self::from_parts([a.rows(), a.cols()], a.row_starts().to_vec(), a.columns().to_vec())
    }

    /// The diagonal of an n × n matrix.
    pub fn diagonal(n: usize) -> Self {
        Self::from_parts([n, n], (0..=n).collect(), (0..n as u32).collect())
    }

    /// Every place of an n × n matrix.
    pub fn full(n: usize) -> Self {
        let columns = (0..n).flat_map(|_| 0..n as u32).collect();
        Self::from_parts([n, n], (0..=n).map(|i| i * n).collect(), columns)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.0.shape[0]
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.0.shape[1]
    }

    /// Entries.
    pub fn nnz(&self) -> usize {
        self.0.columns.len()
    }

    /// Where each row's entries start; one more than rows.
    pub fn row_starts(&self) -> &[usize] {
        &self.0.row_starts
    }

    /// Column of each entry.
    pub fn columns(&self) -> &[u32] {
        &self.0.columns
    }

    /// Columns of row i, increasing.
    pub fn row(&self, i: usize) -> &[u32] {
        &self.0.columns[self.0.row_starts[i]..self.0.row_starts[i + 1]]
    }

    /// Number of the entry (i, j), if there is one.
    pub fn find(&self, i: usize, j: usize) -> Option<usize> {
        let j = u32::try_from(j).ok()?;
        self.row(i).binary_search(&j).ok().map(|k| self.0.row_starts[i] + k)
    }

    /// The largest i − j and j − i of its entries, at least 0.
    pub fn bandwidth(&self) -> [usize; 2] {
        (0..self.rows()).fold([0, 0], |[lower, upper], i| {
            let first = self.row(i).first().map_or(i, |&j| j as usize);
            let last = self.row(i).last().map_or(i, |&j| j as usize);
            [lower.max(i.saturating_sub(first)), upper.max(last.saturating_sub(i))]
        })
    }

    /// The pattern of the transpose.
    pub fn transpose(&self) -> Self {
        let mut starts = vec![0; self.cols() + 1];
        for &j in self.columns() {
            starts[j as usize + 1] += 1;
        }
        for j in 0..self.cols() {
            starts[j + 1] += starts[j];
        }
        let (mut next, mut columns) = (starts.clone(), vec![0u32; self.nnz()]);
        for i in 0..self.rows() {
            for &j in self.row(i) {
                columns[next[j as usize]] = i as u32;
                next[j as usize] += 1;
            }
        }
        Self::from_parts([self.cols(), self.rows()], starts, columns)
    }

    /// The entries of both.
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn union(&self, other: &Self) -> Result<Self> {
        if self.0.shape != other.0.shape {
            let [given, needed] = [other, self].map(|p| format!("{} × {}", p.rows(), p.cols()));
            return Err(Error::invalid("the shape of a pattern", given, format!("it must be {needed}")));
        }
        let (mut row_starts, mut columns) = (vec![0], Vec::with_capacity(self.nnz()));
        for i in 0..self.rows() {
            let from = columns.len();
            columns.extend_from_slice(self.row(i));
            columns.extend_from_slice(other.row(i));
            columns[from..].sort_unstable();
            let kept = dedup(&mut columns[from..]);
            columns.truncate(from + kept);
            row_starts.push(columns.len());
        }
        Ok(Self::from_parts(self.0.shape, row_starts, columns))
    }

    /// A matrix of zeros with this pattern.
    pub fn zeros<T: Real>(&self) -> Csr<T> {
        let values = vec![T::zero(); self.nnz()];
        Csr::from_parts(self.0.shape, self.0.row_starts.clone(), self.0.columns.clone(), values)
    }
}

/// Moves the distinct entries of a sorted slice to its front; returns how many there are.
fn dedup(x: &mut [u32]) -> usize {
    let mut kept = 0;
    for i in 0..x.len() {
        if i == 0 || x[i] != x[kept - 1] {
            x[kept] = x[i];
            kept += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_counted_once_and_unions_and_transposes_agree_with_dense() {
        let p = Pattern::from_rows([2, 3], &[vec![2, 0, 2], vec![1]]).unwrap();
        assert_eq!((p.row(0), p.row(1), p.nnz()), (&[0, 2][..], &[1][..], 3));
        assert_eq!((p.find(0, 2), p.find(1, 1), p.find(1, 2)), (Some(1), Some(2), None));
        let t = p.transpose();
        assert_eq!((t.rows(), t.row(0), t.row(1), t.row(2)), (3, &[0][..], &[1][..], &[0][..]));
        assert_eq!(t.transpose(), p);
        let q = Pattern::from_rows([2, 3], &[vec![1], vec![1, 2]]).unwrap();
        let u = p.union(&q).unwrap();
        assert_eq!((u.row(0), u.row(1)), (&[0, 1, 2][..], &[1, 2][..]));
        assert_eq!(Pattern::of(&u.zeros::<f64>()), u);
        assert_eq!(Pattern::full(2).union(&Pattern::diagonal(2)).unwrap(), Pattern::full(2));
        assert!(p.union(&t).is_err());
        assert!(Pattern::from_rows([1, 2], &[vec![2]]).is_err());
        assert!(Pattern::from_rows([2, 2], &[vec![]]).is_err());
    }
}
