//! Stencils as a matrix.

use super::operator::StencilOperator;
use super::stencil::{CENTRE, offset};
use crate::linalg::csr::Csr;
use crate::num::Real;

impl<T: Real> StencilOperator<T> {
    /// The operator as a matrix, row and column i being unknown i. Entries that are exactly 0 are left
    /// out, the diagonal always kept.
    pub fn to_csr(&self) -> Csr<T> {
        let n = self.grid.len();
        let mut starts = Vec::with_capacity(n + 1);
        let mut columns = Vec::with_capacity(n * self.terms.len());
        let mut values = Vec::with_capacity(n * self.terms.len());
        starts.push(0);
        let mut row: Vec<(u32, T)> = Vec::with_capacity(27);
        for index in 0..n {
            self.gather(index, &mut row);
            for &(column, value) in &row {
                columns.push(column);
                values.push(value);
            }
            starts.push(columns.len());
        }
        Csr::from_parts([n, n], starts, columns, values)
    }

    /// The entries of a row in the order of their columns; periodic axes of one or two points meet the
    /// same column twice.
    fn gather(&self, index: usize, row: &mut Vec<(u32, T)>) {
        let point = self.grid.point(index);
        let stencil = self.row(point);
        row.clear();
        for &s in &self.terms {
            let value = stencil.coefficients[s];
            let Some(to) = self.grid.neighbour(point, offset(s)) else { continue };
            if value != T::zero() || s == CENTRE {
                row.push((self.grid.index(to) as u32, value));
            }
        }
        row.sort_by_key(|entry| entry.0);
        row.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
    }
}
