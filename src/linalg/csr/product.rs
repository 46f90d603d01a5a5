//! Products of two sparse matrices, row by row (F. G. Gustavson, "Two fast algorithms for sparse
//! matrices: multiplication and permuted transposition", ACM TOMS 4, 1978).
//!
//! Rows are short, so that what costs is not the arithmetic but branches that cannot be foreseen: whether a
//! column is new in its row, and the order of a row's columns. Neither is branched on here: a column is written
//! to the row's list whether it is new or not, and the list grows by one or none; the order of a short row is
//! found by counting, for each column, those below it.

use super::Csr;
use crate::error::{Error, Result};
use crate::num::{Kernel, Real, dispatch, parallel};
use std::ops::Range;

/// Rows of A below which a product stays on the caller's thread.
const PARALLEL: usize = 1 << 13;
/// Columns that are compared at once.
const LANES: usize = 16;
/// The longest row whose columns are ordered by counting, which is quadratic.
const COUNTED: usize = 96;

/// What becomes of A's entries before they are multiplied with the rows of B.
pub(crate) trait Factor<T>: Copy + Sync {
    /// A number of row i.
    fn of_row(self, i: usize) -> T;
    /// The factor that stands for aᵢₖ, given the number of row i.
    fn of_entry(self, of_row: T, on_diagonal: bool, a: T) -> T;
}

/// A B itself.
#[derive(Clone, Copy)]
struct Plain;

impl<T: Real> Factor<T> for Plain {
    #[inline(always)]
    fn of_row(self, _: usize) -> T {
        T::one()
    }
    #[inline(always)]
    fn of_entry(self, _: T, _: bool, a: T) -> T {
        a
    }
}

/// One row of C as it is summed: a value for every column, and which columns are in use.
struct Row<T> {
    /// The row (counted from 1) that a column was last used in.
    used: Vec<u32>,
    sums: Vec<T>,
    columns: Vec<u32>,
    len: usize,
}

impl<T: Real> Row<T> {
    fn new(cols: usize) -> Self {
        // One place beyond the last, and whole lanes.
        let columns = vec![0; cols + LANES];
        Self { used: vec![0; cols], sums: vec![T::zero(); cols], columns, len: 0 }
    }

    /// Adds scale·v at column j of the row that `stamp` counts.
    #[inline(always)]
    fn add(&mut self, stamp: u32, j: u32, scale: T, v: T) {
        let (used, sum) = (&mut self.used[j as usize], &mut self.sums[j as usize]);
        let known = *used == stamp;
        let old = if known { *sum } else { T::zero() };
        *sum = scale.mul_add(v, old);
        *used = stamp;
        self.columns[self.len] = j;
        self.len += usize::from(!known);
    }

    /// Appends the row to `piece`, in the order of its columns when `sorted`.
    #[inline(always)]
    fn append(&mut self, piece: &mut Piece<T>, sorted: bool) {
        let (len, start) = (self.len, piece.columns.len());
        if !sorted {
            let columns = &self.columns[..len];
            piece.columns.extend(columns.iter().copied());
            piece.values.extend(columns.iter().map(|&j| self.sums[j as usize]));
            return;
        }
        piece.columns.resize(start + len, 0);
        piece.values.resize(start + len, T::zero());
        let (columns, values) = (&mut piece.columns[start..], &mut piece.values[start..]);
        if len > COUNTED {
            columns.copy_from_slice(&self.columns[..len]);
            columns.sort_unstable();
            for (v, &j) in values.iter_mut().zip(&*columns) {
                *v = self.sums[j as usize];
            }
            return;
        }
        let whole = len.next_multiple_of(LANES);
        self.columns[len..whole].fill(u32::MAX);
        let lanes = self.columns[..whole].as_chunks::<LANES>().0;
        for &j in &self.columns[..len] {
            let below = |lanes: &[u32; LANES]| lanes.iter().map(|&k| u32::from(k < j)).sum::<u32>();
            let place = lanes.iter().map(below).sum::<u32>() as usize;
            columns[place] = j;
            values[place] = self.sums[j as usize];
        }
    }
}

/// Rows of C, before they are joined.
struct Piece<T> {
    ends: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<T>,
}

/// The rows `rows` of C = A B.
struct Rows<'a, T, F> {
    a: &'a Csr<T>,
    b: &'a Csr<T>,
    rows: Range<usize>,
    factor: F,
    sorted: bool,
}

impl<T: Real, F: Factor<T>> Kernel for Rows<'_, T, F> {
    type Output = Piece<T>;
    #[inline(always)]
    fn run(self) -> Piece<T> {
        let Self { a, b, rows, factor, sorted } = self;
        let mut row = Row::new(b.cols());
        let (most, guess) = (rows.len(), rows.len() * 4);
        let mut piece = Piece {
            ends: Vec::with_capacity(most),
            columns: Vec::with_capacity(guess),
            values: Vec::with_capacity(guess),
        };
        for (i, stamp) in rows.zip(1u32..) {
            row.len = 0;
            let of_row = factor.of_row(i);
            let (ks, entries) = a.row(i);
            for (&k, &entry) in ks.iter().zip(entries) {
                let scale = factor.of_entry(of_row, k as usize == i, entry);
                let (js, values) = b.row(k as usize);
                for (&j, &v) in js.iter().zip(values) {
                    row.add(stamp, j, scale, v);
                }
            }
            row.append(&mut piece, sorted);
            piece.ends.push(piece.columns.len());
        }
        piece
    }
}

/// The pieces as one matrix, whose rows need not be sorted.
fn join<T: Real>(shape: [usize; 2], pieces: Vec<Piece<T>>) -> Csr<T> {
    let mut row_starts = Vec::with_capacity(shape[0] + 1);
    row_starts.push(0);
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for piece in pieces {
        let offset = columns.len();
        row_starts.extend(piece.ends.iter().map(|end| end + offset));
        if offset == 0 {
            (columns, values) = (piece.columns, piece.values);
        } else {
            columns.extend_from_slice(&piece.columns);
            values.extend_from_slice(&piece.values);
        }
    }
    row_starts.resize(shape[0] + 1, columns.len());
    columns.shrink_to_fit();
    values.shrink_to_fit();
    Csr { shape, row_starts, columns, values }
}

impl<T: Real> Csr<T> {
    /// A·B (`self` is A). Every column that a row can reach is stored, also where the sum is 0.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn matmul(&self, b: &Self) -> Result<Self> {
        self.product(b, Plain, true)
    }

    /// A′·B with `factor`'s entries in the place of A's.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub(crate) fn matmul_with(&self, b: &Self, factor: impl Factor<T>) -> Result<Self> {
        self.product(b, factor, true)
    }

    fn product(&self, b: &Self, factor: impl Factor<T>, sorted: bool) -> Result<Self> {
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
        let part = |rows| dispatch(Rows { a: self, b, rows, factor, sorted });
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
        // Nobody sees A P: its rows stay in the order they are summed in.
        r.product(&self.product(p, Plain, false)?, Plain, true)
    }
}
