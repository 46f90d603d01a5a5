//! [`Csr`]: the sparse matrix, compressed by rows; sprs matrices at the boundary.

mod kernels;
mod product;

use crate::error::{Error, Result};
use crate::num::Real;
use sprs::CsMatI;

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
    /// values that are not finite, more columns than 32 bits count.
    pub fn new(
        [rows, cols]: [usize; 2],
        row_starts: Vec<usize>,
        columns: Vec<u32>,
        values: Vec<T>,
    ) -> Result<Self> {
        if u32::try_from(cols).is_err() {
            return Err(Error::invalid("the number of columns", cols, "at most 2³² − 1 are supported"));
        }
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

    /// A `rows × cols` matrix from (row, column, value) triplets in any order; duplicates are added.
    ///
    /// # Errors
    /// Indices out of range, values that are not finite.
    pub fn from_triplets([rows, cols]: [usize; 2], triplets: &[(usize, usize, T)]) -> Result<Self> {
        for &(i, j, value) in triplets {
            if i >= rows || j >= cols {
                let needed = format!("rows must be below {rows} and columns below {cols}");
                return Err(Error::invalid("a triplet's place", format!("({i}, {j})"), needed));
            }
            if !value.is_finite() {
                return Err(Error::invalid(format!("the entry ({i}, {j})"), value, "it must be finite"));
            }
        }
        let mut order: Vec<usize> = (0..triplets.len()).collect();
        order.sort_by_key(|&k| (triplets[k].0, triplets[k].1));
        let mut row_starts = vec![0; rows + 1];
        let (mut columns, mut values): (Vec<u32>, Vec<T>) = (Vec::new(), Vec::new());
        let mut last = None;
        for (i, j, value) in order.into_iter().map(|k| triplets[k]) {
            if last == Some((i, j)) {
                if let Some(sum) = values.last_mut() {
                    *sum += value;
                }
                continue;
            }
            last = Some((i, j));
            columns.push(j as u32);
            values.push(value);
            row_starts[i + 1] = columns.len();
        }
        for i in 0..rows {
            row_starts[i + 1] = row_starts[i + 1].max(row_starts[i]);
        }
        Self::new([rows, cols], row_starts, columns, values)
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

    /// The matrix as an sprs one; its three arrays are moved, not copied.
    ///
    /// # Panics
    /// Never: the arrays satisfy what sprs checks.
    pub fn into_sprs(self) -> CsMatI<T, u32, usize> {
        CsMatI::new((self.shape[0], self.shape[1]), self.row_starts, self.columns, self.values)
    }

    /// Aᵀ.
    pub fn transpose(&self) -> Self {
        let (rows, cols) = (self.rows(), self.cols());
        let mut starts = vec![0; cols + 1];
        for &j in self.columns() {
            starts[j as usize + 1] += 1;
        }
        for j in 0..cols {
            starts[j + 1] += starts[j];
        }
        let mut next = starts.clone();
        let mut columns = vec![0u32; self.nnz()];
        let mut values = vec![T::zero(); self.nnz()];
        for i in 0..rows {
            let (row, entries) = self.row(i);
            for (&j, &v) in row.iter().zip(entries) {
                let k = &mut next[j as usize];
                columns[*k] = i as u32;
                values[*k] = v;
                *k += 1;
            }
        }
        Self::from_parts([cols, rows], starts, columns, values)
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
