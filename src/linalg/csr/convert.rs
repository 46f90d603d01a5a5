//! Other libraries' matrices: sprs, faer, nalgebra, and dense column-major slices.
//!
//! What comes in is checked as [`Csr::new`] checks it, and copied at most once; arrays of the right type
//! are moved.

use super::{Csr, check_extents, starts_of};
use crate::error::{Error, Result};
use crate::num::Real;
use faer::sparse::{
    SparseColMat, SparseColMatRef, SparseRowMat, SparseRowMatRef, SymbolicSparseColMat, SymbolicSparseRowMat,
};
use faer::{Index, MatRef};
use nalgebra::{DMatrix, Dim, Matrix, RawStorage};
use sprs::{CsMat, CsMatI, SpIndex};
use std::any::Any;
use std::ops::Range;

impl<T: Real> Csr<T> {
    /// An sprs matrix, compressed by rows or by columns, with indices of any type. By rows its values
    /// are moved, and its indices where they have our types (`CsMatI<T, u32, usize>`).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_sprs<I, P>(matrix: CsMatI<T, I, P>) -> Result<Self>
    where
        I: SpIndex + 'static,
        P: SpIndex + 'static,
    {
        let shape = [matrix.rows(), matrix.cols()];
        check_extents(shape)?;
        let by_rows = matrix.is_csr();
        let (starts, indices, values) = matrix.into_raw_storage();
        let starts = converted(starts, |p| p.index());
        if by_rows {
            return Self::new(shape, starts, converted(indices, |i| i.index_unchecked() as u32), values);
        }
        by_columns(shape, |j| starts[j]..starts[j + 1], |k| indices[k].index_unchecked(), &values)
    }

    /// The matrix as an sprs one; its three arrays are moved, not copied.
    ///
    /// # Panics
    /// Never: the arrays satisfy what sprs checks.
    pub fn into_sprs(self) -> CsMatI<T, u32, usize> {
        CsMatI::new((self.shape[0], self.shape[1]), self.row_starts, self.columns, self.values)
    }

    /// The matrix as an sprs one with its default indices; the values are moved.
    ///
    /// # Panics
    /// Never: the arrays satisfy what sprs checks.
    pub fn into_sprs_usize(self) -> CsMat<T> {
        CsMat::new((self.shape[0], self.shape[1]), self.row_starts, widened(&self.columns), self.values)
    }

    /// A faer matrix compressed by rows.
    ///
    /// # Errors
    /// As [`new`](Self::new): faer admits unsorted rows, this does not.
    pub fn from_faer_rows<I: Index>(matrix: SparseRowMatRef<'_, I, T>) -> Result<Self> {
        let shape = [matrix.nrows(), matrix.ncols()];
        check_extents(shape)?;
        let pattern = matrix.symbolic();
        let ranges = || (0..shape[0]).map(|i| pattern.row_range(i));
        let mut row_starts = Vec::with_capacity(shape[0] + 1);
        row_starts.push(0);
        row_starts.extend(ranges().scan(0, |sum, row| {
            *sum += row.len();
            Some(*sum)
        }));
        let columns = ranges().flat_map(|row| &pattern.col_idx()[row]).map(|j| j.zx() as u32).collect();
        let values = ranges().flat_map(|row| &matrix.val()[row]).copied().collect();
        Self::new(shape, row_starts, columns, values)
    }

    /// A faer matrix compressed by columns, the rows of a column in any order.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_faer_cols<I: Index>(matrix: SparseColMatRef<'_, I, T>) -> Result<Self> {
        let shape = [matrix.nrows(), matrix.ncols()];
        check_extents(shape)?;
        let pattern = matrix.symbolic();
        by_columns(shape, |j| pattern.col_range(j), |k| pattern.row_idx()[k].zx(), matrix.val())
    }

    /// The matrix as faer's, compressed by rows.
    ///
    /// # Panics
    /// Never: the arrays satisfy what faer checks.
    pub fn to_faer_rows(&self) -> SparseRowMat<usize, T> {
        let (starts, columns) = (self.row_starts().to_vec(), widened(self.columns()));
        let pattern =
            SymbolicSparseRowMat::<usize>::new_checked(self.rows(), self.cols(), starts, None, columns);
        SparseRowMat::new(pattern, self.values().to_vec())
    }

    /// The matrix as faer's, compressed by columns, as its factorisations want it.
    ///
    /// # Panics
    /// Never: the arrays satisfy what faer checks.
    pub fn to_faer_cols(&self) -> SparseColMat<usize, T> {
        let t = self.transpose();
        let rows = widened(t.columns());
        let pattern =
            SymbolicSparseColMat::<usize>::new_checked(self.rows(), self.cols(), t.row_starts, None, rows);
        SparseColMat::new(pattern, t.values)
    }

    /// The entries of a dense column-major matrix that are not zero.
    ///
    /// # Errors
    /// A wrong length, entries that are not finite.
    pub fn from_dense([rows, cols]: [usize; 2], dense: &[T]) -> Result<Self> {
        check_extents([rows, cols])?;
        Error::check_len("the dense matrix", dense.len(), rows * cols, "rows × columns")?;
        Self::from_entries([rows, cols], |i, j| dense[i + rows * j])
    }

    /// The entries of an nalgebra matrix or view that are not zero.
    ///
    /// # Errors
    /// Entries that are not finite, more rows or columns than 32 bits count.
    pub fn from_nalgebra<R, C, S>(dense: &Matrix<T, R, C, S>) -> Result<Self>
    where
        R: Dim,
        C: Dim,
        S: RawStorage<T, R, C>,
    {
        Self::from_entries([dense.nrows(), dense.ncols()], |i, j| dense[(i, j)])
    }

    /// The entries of a dense faer matrix that are not zero.
    ///
    /// # Errors
    /// Entries that are not finite, more rows or columns than 32 bits count.
    pub fn from_faer(dense: MatRef<'_, T>) -> Result<Self> {
        Self::from_entries([dense.nrows(), dense.ncols()], |i, j| dense[(i, j)])
    }

    fn from_entries([rows, cols]: [usize; 2], entry: impl Fn(usize, usize) -> T) -> Result<Self> {
        check_extents([rows, cols])?;
        let mut row_starts = Vec::with_capacity(rows + 1);
        row_starts.push(0);
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for i in 0..rows {
            for (j, v) in (0..cols).map(|j| (j, entry(i, j))).filter(|(_, v)| *v != T::zero()) {
                columns.push(j as u32);
                values.push(v);
            }
            row_starts.push(columns.len());
        }
        Self::new([rows, cols], row_starts, columns, values)
    }

    /// The matrix in full, column-major.
    ///
    /// # Errors
    /// More memory than there is, with the amount.
    pub fn to_dense(&self) -> Result<Vec<T>> {
        let count = self.rows() as u128 * self.cols() as u128;
        let mut dense = Vec::new();
        if usize::try_from(count).is_err() || dense.try_reserve_exact(count as usize).is_err() {
            let what = format!("the dense form of a {} × {} matrix", self.rows(), self.cols());
            let given = format!("{:.1e} bytes", count as f64 * size_of::<T>() as f64);
            return Err(Error::invalid(what, given, "it must fit into memory"));
        }
        dense.resize(count as usize, T::zero());
        for i in 0..self.rows() {
            let (columns, values) = self.row(i);
            for (&j, &v) in columns.iter().zip(values) {
                dense[i + self.rows() * j as usize] = v;
            }
        }
        Ok(dense)
    }

    /// The matrix in full, as nalgebra's.
    ///
    /// # Errors
    /// More memory than there is, with the amount.
    pub fn to_nalgebra(&self) -> Result<DMatrix<T>> {
        Ok(DMatrix::from_vec(self.rows(), self.cols(), self.to_dense()?))
    }
}

/// The vector itself where `A` is `B`, converted entry by entry where not.
fn converted<A: Copy + 'static, B: 'static>(mut from: Vec<A>, convert: impl Fn(A) -> B) -> Vec<B> {
    match (&mut from as &mut dyn Any).downcast_mut::<Vec<B>>() {
        Some(same) => std::mem::take(same),
        None => from.into_iter().map(convert).collect(),
    }
}

fn widened(indices: &[u32]) -> Vec<usize> {
    indices.iter().map(|&j| j as usize).collect()
}

/// The matrix whose column j has the entries `range(j)`, the k-th of them in row `row(k)`.
fn by_columns<T: Real>(
    [rows, cols]: [usize; 2],
    range: impl Fn(usize) -> Range<usize>,
    row: impl Fn(usize) -> usize,
    values: &[T],
) -> Result<Csr<T>> {
    for j in 0..cols {
        if let Some(i) = range(j).map(&row).find(|&i| i >= rows) {
            let needed = format!("rows must be below {rows}");
            return Err(Error::invalid(format!("a row index of column {j}"), i, needed));
        }
    }
    let row_starts = starts_of(rows, (0..cols).flat_map(&range).map(&row));
    let mut next = row_starts.clone();
    let mut columns = vec![0; row_starts[rows]];
    let mut by_rows = vec![T::zero(); row_starts[rows]];
    for j in 0..cols {
        for k in range(j) {
            let place = &mut next[row(k)];
            columns[*place] = j as u32;
            by_rows[*place] = values[k];
            *place += 1;
        }
    }
    Csr::new([rows, cols], row_starts, columns, by_rows)
}
