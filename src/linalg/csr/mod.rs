//! [`Csr`]: the sparse matrix, compressed by rows.
//!
//! Here is what it holds and how it is built; `kernels` multiplies it with vectors, `product` with
//! sparse matrices, `algebra` adds, scales and measures, `structure` takes it apart and reorders it,
//! `convert` knows other libraries' matrices.

mod algebra;
mod convert;
mod kernels;
mod product;
mod structure;

pub(crate) use product::Factor;

use crate::error::{Error, Result};
use crate::num::Real;

/// A sparse matrix, compressed by rows: row i holds the entries `row_starts[i]..row_starts[i + 1]`,
/// its columns strictly increasing. Column indices have 32 bits, which is a third less to read in products.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr<T> {
    shape: [usize; 2],
    row_starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<T>,
}

impl<T: Real> Csr<T> {
    /// A `rows × cols` matrix from its three arrays.
    ///
    /// # Errors
    /// Arrays that do not fit together, columns out of range or not strictly increasing in a row,
    /// values that are not finite, more rows or columns than 32 bits count.
    pub fn new(
        [rows, cols]: [usize; 2],
        row_starts: Vec<usize>,
        columns: Vec<u32>,
        values: Vec<T>,
    ) -> Result<Self> {
        check_extents([rows, cols])?;
        Error::check_len("row_starts", row_starts.len(), rows + 1, "rows + 1")?;
        Error::check_len("values", values.len(), columns.len(), "one for each column index")?;
        let ends = [row_starts[0], row_starts[rows]];
        if ends != [0, columns.len()] {
            let needed = format!("it must run from 0 to {}, the number of entries", columns.len());
            return Err(Error::invalid("row_starts", format!("{} … {}", ends[0], ends[1]), needed));
        }
        for (i, w) in row_starts.windows(2).enumerate() {
            if w[0] > w[1] || w[1] > columns.len() {
                let given = format!("{} … {} at row {i}", w[0], w[1]);
                return Err(Error::invalid("row_starts", given, "it must not decrease nor pass the entries"));
            }
            let row = &columns[w[0]..w[1]];
            if let Some(&j) = row.iter().find(|&&j| j as usize >= cols) {
                let needed = format!("columns must be below {cols}");
                return Err(Error::invalid(format!("a column index of row {i}"), j, needed));
            }
            if let Some(pair) = row.windows(2).find(|p| p[0] >= p[1]) {
                let given = format!("{} before {}", pair[0], pair[1]);
                let needed = "columns must increase strictly within a row (sort them; from_triplets does)";
                return Err(Error::invalid(format!("the column order of row {i}"), given, needed));
            }
        }
        Error::check_finite("the matrix's values", &values)?;
        Ok(Self::from_parts([rows, cols], row_starts, columns, values))
    }

    /// [`new`](Self::new) for arrays known to be valid.
    pub(crate) fn from_parts(
        [rows, cols]: [usize; 2],
        row_starts: Vec<usize>,
        columns: Vec<u32>,
        values: Vec<T>,
    ) -> Self {
        debug_assert!(row_starts.windows(2).all(|w| columns[w[0]..w[1]].is_sorted_by(|a, b| a < b)));
        Self { shape: [rows, cols], row_starts, columns, values }
    }

    /// A `rows × cols` matrix from (row, column, value) triplets in any order; duplicates are added in
    /// the order they come in.
    ///
    /// # Errors
    /// Indices out of range, values or sums that are not finite, more rows or columns than 32 bits count.
    pub fn from_triplets([rows, cols]: [usize; 2], triplets: &[(usize, usize, T)]) -> Result<Self> {
        check_extents([rows, cols])?;
        for &(i, j, value) in triplets {
            if i >= rows || j >= cols {
                let needed = format!("rows must be below {rows} and columns below {cols}");
                return Err(Error::invalid("a triplet's place", format!("({i}, {j})"), needed));
            }
            if !value.is_finite() {
                return Err(Error::invalid(format!("the entry ({i}, {j})"), value, "it must be finite"));
            }
        }
        let starts = starts_of(rows, triplets.iter().map(|t| t.0));
        let mut next = starts.clone();
        let mut entries = vec![(0u32, T::zero()); triplets.len()];
        for &(i, j, value) in triplets {
            entries[next[i]] = (j as u32, value);
            next[i] += 1;
        }
        let mut row_starts = Vec::with_capacity(rows + 1);
        row_starts.push(0);
        let (mut columns, mut values) =
            (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for (i, w) in starts.windows(2).enumerate() {
            let row = &mut entries[w[0]..w[1]];
            row.sort_by_key(|entry| entry.0);
            for same in row.chunk_by(|a, b| a.0 == b.0) {
                let sum = same[1..].iter().fold(same[0].1, |sum, entry| sum + entry.1);
                if !sum.is_finite() {
                    let what = format!("the sum of the entries ({i}, {})", same[0].0);
                    return Err(Error::invalid(what, sum, "it must be finite"));
                }
                columns.push(same[0].0);
                values.push(sum);
            }
            row_starts.push(columns.len());
        }
        Ok(Self::from_parts([rows, cols], row_starts, columns, values))
    }

    /// The square matrix with this diagonal.
    ///
    /// # Errors
    /// Entries that are not finite.
    pub fn from_diagonal(diagonal: &[T]) -> Result<Self> {
        let n = diagonal.len();
        check_extents([n, n])?;
        Error::check_finite("the diagonal", diagonal)?;
        Ok(Self::from_parts([n, n], (0..=n).collect(), (0..n as u32).collect(), diagonal.to_vec()))
    }

    /// The `n × n` identity.
    pub fn identity(n: usize) -> Self {
        Self::from_parts([n, n], (0..=n).collect(), (0..n as u32).collect(), vec![T::one(); n])
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.shape[1]
    }

    /// Stored entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// Where each row's entries start; one more than rows.
    pub fn row_starts(&self) -> &[usize] {
        &self.row_starts
    }

    /// Column of each entry.
    pub fn columns(&self) -> &[u32] {
        &self.columns
    }

    /// Value of each entry.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Value of each entry, for refilling a fixed pattern.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Columns and values of row i.
    #[inline(always)]
    pub fn row(&self, i: usize) -> (&[u32], &[T]) {
        let starts = self.row_starts();
        let range = starts[i]..starts[i + 1];
        (&self.columns()[range.clone()], &self.values()[range])
    }

    /// The entry (i, j), 0 where none is stored.
    pub fn get(&self, i: usize, j: usize) -> T {
        let (columns, values) = self.row(i);
        columns.binary_search(&(j as u32)).map_or(T::zero(), |k| values[k])
    }

    /// Checks that the matrix is square and not empty; returns n.
    ///
    /// # Errors
    /// What was given.
    pub fn square(&self) -> Result<usize> {
        if self.rows() == self.cols() && self.rows() > 0 {
            return Ok(self.rows());
        }
        let given = format!("{} × {}", self.rows(), self.cols());
        Err(Error::invalid("the matrix", given, "it must be square and not empty"))
    }
}

/// Refuses extents whose indices do not fit into 32 bits (those of the transpose neither).
fn check_extents(shape: [usize; 2]) -> Result<()> {
    for (what, n) in ["the number of rows", "the number of columns"].into_iter().zip(shape) {
        if u32::try_from(n).is_err() {
            return Err(Error::invalid(what, n, "at most 2³² − 1 are supported"));
        }
    }
    Ok(())
}

/// Where each of `n` groups starts when members with these group numbers are sorted by group.
fn starts_of(n: usize, groups: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut starts = vec![0; n + 1];
    for group in groups {
        starts[group + 1] += 1;
    }
    for i in 0..n {
        starts[i + 1] += starts[i];
    }
    starts
}
