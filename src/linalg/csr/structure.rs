//! Taking a sparse matrix apart and reordering it: transpose, parts, permutations, the diagonal's
//! places, symmetry.

use super::{Csr, starts_of};
use crate::error::{Error, Result};
use crate::num::Real;

impl<T: Real> Csr<T> {
    /// Aᵀ.
    pub fn transpose(&self) -> Self {
        let starts = starts_of(self.cols(), self.columns().iter().map(|&j| j as usize));
        let mut next = starts.clone();
        let mut columns = vec![0u32; self.nnz()];
        let mut values = vec![T::zero(); self.nnz()];
        for i in 0..self.rows() {
            let (row, entries) = self.row(i);
            for (&j, &v) in row.iter().zip(entries) {
                let k = &mut next[j as usize];
                columns[*k] = i as u32;
                values[*k] = v;
                *k += 1;
            }
        }
        Self::from_parts([self.cols(), self.rows()], starts, columns, values)
    }

    /// The entries (i, j, aᵢⱼ) for which `keep` says so.
    pub fn filter(&self, mut keep: impl FnMut(usize, usize, T) -> bool) -> Self {
        let mut row_starts = Vec::with_capacity(self.rows() + 1);
        row_starts.push(0);
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for i in 0..self.rows() {
            let (row, entries) = self.row(i);
            for (&j, &v) in row.iter().zip(entries) {
                if keep(i, j as usize, v) {
                    columns.push(j);
                    values.push(v);
                }
            }
            row_starts.push(columns.len());
        }
        Self::from_parts(self.shape, row_starts, columns, values)
    }

    /// The lower triangle, the diagonal included.
    pub fn lower(&self) -> Self {
        self.filter(|i, j, _| j <= i)
    }

    /// The upper triangle, the diagonal included.
    pub fn upper(&self) -> Self {
        self.filter(|i, j, _| j >= i)
    }

    /// The matrix of the entries (`rows[i]`, `cols[j]`), in the order of the two lists. Rows may be
    /// repeated, columns not.
    ///
    /// # Errors
    /// Indices out of range, a column that is named twice, more rows than 32 bits count.
    pub fn submatrix(&self, rows: &[usize], cols: &[usize]) -> Result<Self> {
        super::check_extents([rows.len(), cols.len()])?;
        if let Some(&i) = rows.iter().find(|&&i| i >= self.rows()) {
            return Err(Error::invalid("a row of the submatrix", i, format!("there are {}", self.rows())));
        }
        let place = self.column_places(cols)?;
        // Where the order of the columns is kept, no row has to be sorted.
        let sorted = cols.is_sorted();
        let mut row_starts = Vec::with_capacity(rows.len() + 1);
        row_starts.push(0);
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        let mut entries: Vec<(u32, T)> = Vec::new();
        for &i in rows {
            let (row, of_row) = self.row(i);
            let found = row.iter().zip(of_row).map(|(&j, &v)| (place[j as usize], v));
            entries.clear();
            entries.extend(found.filter(|&(j, _)| j != ABSENT));
            if !sorted {
                entries.sort_unstable_by_key(|entry| entry.0);
            }
            columns.extend(entries.iter().map(|entry| entry.0));
            values.extend(entries.iter().map(|entry| entry.1));
            row_starts.push(columns.len());
        }
        Ok(Self::from_parts([rows.len(), cols.len()], row_starts, columns, values))
    }

    /// The place of every column in `cols`, `ABSENT` where it is not listed.
    fn column_places(&self, cols: &[usize]) -> Result<Vec<u32>> {
        let mut place = vec![ABSENT; self.cols()];
        for (new, &old) in cols.iter().enumerate() {
            if old >= self.cols() {
                let needed = format!("there are {}", self.cols());
                return Err(Error::invalid("a column of the submatrix", old, needed));
            }
            if place[old] != ABSENT {
                let given = format!("{old} at {} and at {new}", place[old]);
                return Err(Error::invalid("a column of the submatrix", given, "it may be named once"));
            }
            place[old] = new as u32;
        }
        Ok(place)
    }

    /// P A: row i of the result is row `order[i]`.
    ///
    /// # Errors
    /// An order that is no permutation of the rows.
    pub fn permute_rows(&self, order: &[usize]) -> Result<Self> {
        check_permutation(order, self.rows())?;
        self.submatrix(order, &(0..self.cols()).collect::<Vec<_>>())
    }

    /// A Pᵀ: column j of the result is column `order[j]`.
    ///
    /// # Errors
    /// An order that is no permutation of the columns.
    pub fn permute_cols(&self, order: &[usize]) -> Result<Self> {
        check_permutation(order, self.cols())?;
        self.submatrix(&(0..self.rows()).collect::<Vec<_>>(), order)
    }

    /// P A Pᵀ: the entry (i, j) of the result is that at (`order[i]`, `order[j]`).
    ///
    /// # Errors
    /// A matrix that is not square, an order that is no permutation.
    pub fn permute(&self, order: &[usize]) -> Result<Self> {
        check_permutation(order, self.square()?)?;
        self.submatrix(order, order)
    }

    /// Where aᵢᵢ stands in [`values`](Self::values), for every i: sweeps and factorisations begin there.
    ///
    /// # Errors
    /// A matrix that is not square; the first row whose diagonal entry is not stored.
    pub fn diagonal_places(&self) -> Result<Vec<usize>> {
        let place = |i: usize| {
            let found = self.row(i).0.binary_search(&(i as u32));
            found.map(|k| self.row_starts()[i] + k).map_err(|_| {
                Error::invalid(format!("the diagonal entry of row {i}"), "not stored", "every row needs one")
            })
        };
        (0..self.square()?).map(place).collect()
    }

    /// max |aᵢⱼ − aⱼᵢ|, 0 for a symmetric matrix.
    ///
    /// # Errors
    /// A matrix that is not square.
    pub fn asymmetry(&self) -> Result<T> {
        self.square()?;
        let difference = self.plus(T::one(), &self.transpose(), -T::one())?;
        Ok(difference.values().iter().fold(T::zero(), |most, v| most.max(v.abs())))
    }

    /// Whether max |aᵢⱼ − aⱼᵢ| ≤ `rtol`·max |aᵢⱼ|; `false` for a matrix that is not square.
    pub fn is_symmetric(&self, rtol: T) -> bool {
        self.asymmetry().is_ok_and(|a| a <= rtol * self.norm_max())
    }

    /// Whether A and Aᵀ store the same places; `false` for a matrix that is not square.
    pub fn has_symmetric_pattern(&self) -> bool {
        let (a, t) = (self, self.transpose());
        a.shape == t.shape && a.row_starts == t.row_starts && a.columns == t.columns
    }
}

/// A column that the submatrix has not.
const ABSENT: u32 = u32::MAX;

fn check_permutation(order: &[usize], n: usize) -> Result<()> {
    Error::check_len("the order", order.len(), n, "a permutation of the indices")?;
    let mut seen = vec![false; n];
    for &i in order {
        if i >= n || std::mem::replace(&mut seen[i], true) {
            let needed = format!("each of 0..{n} must occur once");
            return Err(Error::invalid("an index of the order", i, needed));
        }
    }
    Ok(())
}
