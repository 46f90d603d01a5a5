//! Products of two sparse matrices, row by row (F. G. Gustavson, "Two fast algorithms for sparse
//! matrices: multiplication and permuted transposition", ACM TOMS 4, 1978).

use super::Csr;
use crate::error::{Error, Result};
use crate::num::{Kernel, Real, dispatch, parallel};
use std::ops::Range;

/// Rows of A below which a product stays on the caller's thread.
const PARALLEL: usize = 1 << 13;

/// One row of C as it is summed: a value for every column, and which columns are in use.
struct Accumulator<T> {
    /// The row that a column was last used in, plus one.
    used: Vec<u32>,
    sums: Vec<T>,
    columns: Vec<u32>,
}

/// Rows of C, before they are joined.
struct Piece<T> {
    ends: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<T>,
}

/// The rows `rows` of C = A B.
struct Rows<'a, T> {
    a: &'a Csr<T>,
    b: &'a Csr<T>,
    rows: Range<usize>,
}

impl<T: Real> Kernel for Rows<'_, T> {
    type Output = Piece<T>;
    #[inline(always)]
    fn run(self) -> Piece<T> {
        let Self { a, b, rows } = self;
        let cols = b.cols();
        let mut row = Accumulator { used: vec![0; cols], sums: vec![T::zero(); cols], columns: Vec::new() };
        let mut piece =
            Piece { ends: Vec::with_capacity(rows.len()), columns: Vec::new(), values: Vec::new() };
        for (i, stamp) in rows.zip(1u32..) {
            row.columns.clear();
            let (ks, scales) = a.row(i);
            for (&k, &scale) in ks.iter().zip(scales) {
                let (js, values) = b.row(k as usize);
                for (&j, &v) in js.iter().zip(values) {
                    let (used, sum) = (&mut row.used[j as usize], &mut row.sums[j as usize]);
                    if *used == stamp {
                        *sum = scale.mul_add(v, *sum);
                    } else {
                        *used = stamp;
                        *sum = scale * v;
                        row.columns.push(j);
                    }
                }
            }
            row.columns.sort_unstable();
            piece.columns.extend_from_slice(&row.columns);
            piece.values.extend(row.columns.iter().map(|&j| row.sums[j as usize]));
            piece.ends.push(piece.columns.len());
        }
        piece
    }
}

/// The pieces as one matrix.
fn join<T: Real>(shape: [usize; 2], pieces: Vec<Piece<T>>) -> Csr<T> {
    let mut starts = Vec::with_capacity(shape[0] + 1);
    starts.push(0);
    let mut pieces = pieces.into_iter();
    let Some(first) = pieces.next() else {
        return Csr::from_parts(shape, vec![0; shape[0] + 1], Vec::new(), Vec::new());
    };
    starts.extend_from_slice(&first.ends);
    let (mut columns, mut values) = (first.columns, first.values);
    for piece in pieces {
        let offset = columns.len();
        starts.extend(piece.ends.iter().map(|end| end + offset));
        columns.extend_from_slice(&piece.columns);
        values.extend_from_slice(&piece.values);
    }
    columns.shrink_to_fit();
    values.shrink_to_fit();
    Csr::from_parts(shape, starts, columns, values)
}

impl<T: Real> Csr<T> {
    /// A·B (`self` is A). Every column that a row can reach is stored, also where the sum is 0.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn matmul(&self, b: &Self) -> Result<Self> {
        if self.cols() != b.rows() {
            let needed = format!("B must have {} rows, as many as A has columns", self.cols());
            return Err(Error::invalid(
                "B in the product A B",
                format!("{} × {}", b.rows(), b.cols()),
                needed,
            ));
        }
        let rows = self.rows();
        let threads = parallel::threads();
        let part = |rows| dispatch(Rows { a: self, b, rows });
        let pieces = if rows < PARALLEL || threads == 1 {
            vec![part(0..rows)]
        } else {
            parallel::chunks(rows, rows.div_ceil(threads), part)
        };
        Ok(join([rows, b.cols()], pieces))
    }

    /// The Galerkin product R A P (`self` is A), associated as R (A P).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn galerkin(&self, r: &Self, p: &Self) -> Result<Self> {
        r.matmul(&self.matmul(p)?)
    }
}
