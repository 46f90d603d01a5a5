//! Products of a sparse matrix with vectors and with a few vectors at once.
//!
//! Every row is summed in an order that depends on its length alone, so neither the number of threads
//! nor the instruction set changes a bit; `residual` and `apply_add` round as `apply` does.

use super::Csr;
use crate::linalg::op::LinearOperator;
use crate::num::{Kernel, Real, dispatch, parallel};

/// Entries below which a product stays on the caller's thread (a wake-up costs about 10 µs).
const PARALLEL: usize = 1 << 16;
/// Rows of one piece of parallel work.
const ROWS: usize = 1 << 12;

/// What happens to Σⱼ aᵢⱼ xⱼ.
trait Finish<T>: Copy + Sync {
    fn finish(self, i: usize, sum: T, old: T) -> T;
}

/// y ← A x.
#[derive(Clone, Copy)]
struct Set;
/// y ← y + A x.
#[derive(Clone, Copy)]
struct Add;
/// y ← b − A x.
#[derive(Clone, Copy)]
struct Subtract<'a, T>(&'a [T]);

impl<T: Real> Finish<T> for Set {
    #[inline(always)]
    fn finish(self, _: usize, sum: T, _: T) -> T {
        sum
    }
}

impl<T: Real> Finish<T> for Add {
    #[inline(always)]
    fn finish(self, _: usize, sum: T, old: T) -> T {
        old + sum
    }
}

impl<T: Real> Finish<T> for Subtract<'_, T> {
    #[inline(always)]
    fn finish(self, i: usize, sum: T, _: T) -> T {
        self.0[i] - sum
    }
}

/// Σ values·x[columns]: one chain in short rows, unrolled for the lengths that stencils and prolongations
/// have; four partial sums in long ones, where the latency of a chain would show.
#[inline(always)]
fn dot<T: Real>(columns: &[u32], values: &[T], x: &[T]) -> T {
    match columns.len() {
        3 => unrolled::<T, 3>(columns, values, x),
        4 => unrolled::<T, 4>(columns, values, x),
        5 => unrolled::<T, 5>(columns, values, x),
        6 => unrolled::<T, 6>(columns, values, x),
        7 => unrolled::<T, 7>(columns, values, x),
        8 => unrolled::<T, 8>(columns, values, x),
        9 => unrolled::<T, 9>(columns, values, x),
        0..16 => chain(columns, values, x),
        _ => {
            let ((fours, last_columns), (of_fours, last)) =
                (columns.as_chunks::<4>(), values.as_chunks::<4>());
            let mut sums = [T::zero(); 4];
            for (columns, values) in fours.iter().zip(of_fours) {
                for (sum, (&j, &v)) in sums.iter_mut().zip(columns.iter().zip(values)) {
                    *sum = v.mul_add(x[j as usize], *sum);
                }
            }
            (sums[0] + sums[1]) + (sums[2] + sums[3]) + chain(last_columns, last, x)
        }
    }
}

#[inline(always)]
fn chain<T: Real>(columns: &[u32], values: &[T], x: &[T]) -> T {
    columns.iter().zip(values).fold(T::zero(), |sum, (&j, &v)| v.mul_add(x[j as usize], sum))
}

/// The chain of a known length: no loop whose end has to be guessed.
#[inline(always)]
fn unrolled<T: Real, const N: usize>(columns: &[u32], values: &[T], x: &[T]) -> T {
    match (columns.first_chunk::<N>(), values.first_chunk::<N>()) {
        (Some(columns), Some(values)) => chain(columns, values, x),
        _ => T::zero(),
    }
}

/// The rows `first..first + y.len()` of a product.
struct Rows<'a, T, F> {
    a: &'a Csr<T>,
    x: &'a [T],
    first: usize,
    y: &'a mut [T],
    finish: F,
}

impl<T: Real, F: Finish<T>> Kernel for Rows<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { a, x, first, y, finish } = self;
        let starts = &a.row_starts[first..=first + y.len()];
        for (i, (y, w)) in y.iter_mut().zip(starts.windows(2)).enumerate() {
            let sum = dot(&a.columns[w[0]..w[1]], &a.values[w[0]..w[1]], x);
            *y = finish.finish(first + i, sum, *y);
        }
    }
}

fn product<T: Real, F: Finish<T>>(a: &Csr<T>, x: &[T], y: &mut [T], finish: F) {
    if a.nnz() < PARALLEL {
        dispatch(Rows { a, x, first: 0, y, finish });
    } else {
        parallel::parts(y, ROWS, |first, y| dispatch(Rows { a, x, first, y, finish }));
    }
}

/// The columns `first..first + x.len()` of x ← Aᵀ y, all terms of an entry in the order of the rows.
struct Scatter<'a, T> {
    a: &'a Csr<T>,
    y: &'a [T],
    first: usize,
    x: &'a mut [T],
}

impl<T: Real> Kernel for Scatter<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { a, y, first, x } = self;
        let whole = x.len() == a.cols();
        x.fill(T::zero());
        for (w, &y) in a.row_starts.windows(2).zip(y) {
            let (mut columns, mut values) = (&a.columns[w[0]..w[1]], &a.values[w[0]..w[1]]);
            if !whole {
                let from = columns.partition_point(|&j| (j as usize) < first);
                let to = columns.partition_point(|&j| (j as usize) < first + x.len());
                (columns, values) = (&columns[from..to], &values[from..to]);
            }
            for (&j, &v) in columns.iter().zip(values) {
                let x = &mut x[j as usize - first];
                *x = v.mul_add(y, *x);
            }
        }
    }
}

/// Rows `first..` of Y ← A X for K columns at once: each entry of A is read once for all of them.
struct Block<'a, T, const K: usize> {
    a: &'a Csr<T>,
    x: [&'a [T]; K],
    first: usize,
    y: [&'a mut [T]; K],
}

impl<T: Real, const K: usize> Kernel for Block<'_, T, K> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { a, x, first, mut y } = self;
        let rows = y[0].len();
        let starts = &a.row_starts[first..=first + rows];
        for (i, w) in starts.windows(2).enumerate() {
            let mut sums = [T::zero(); K];
            for (&j, &v) in a.columns[w[0]..w[1]].iter().zip(&a.values[w[0]..w[1]]) {
                for (s, x) in sums.iter_mut().zip(&x) {
                    *s = v.mul_add(x[j as usize], *s);
                }
            }
            for (y, s) in y.iter_mut().zip(sums) {
                y[i] = s;
            }
        }
    }
}

/// K columns of Y ← A X, cut into pieces of rows.
fn block<T: Real, const K: usize>(a: &Csr<T>, x: &[T], y: &mut [T]) {
    let (rows, cols) = (a.rows(), a.cols());
    let x: [&[T]; K] = std::array::from_fn(|k| &x[k * cols..(k + 1) * cols]);
    let chunk = if a.nnz() * K < PARALLEL || parallel::threads() == 1 { rows } else { ROWS };
    let mut columns = y.chunks_exact_mut(rows).map(|y| y.chunks_mut(chunk)).collect::<Vec<_>>();
    let pieces = (0..rows.div_ceil(chunk)).map(|piece| {
        let y: [&mut [T]; K] = std::array::from_fn(|k| columns[k].next().unwrap_or_default());
        (piece * chunk, y)
    });
    parallel::each(pieces.collect(), |(first, y)| dispatch(Block { a, x, first, y }));
}

impl<T: Real> Csr<T> {
    /// `Y` ← A `X` for `columns` right-hand sides, X (`cols × columns`) and Y (`rows × columns`)
    /// column-major. Four, two and one at a time: eight gain nothing more, and where the columns lie a
    /// power of two apart they throw each other out of the first cache (three times as slow).
    ///
    /// # Errors
    /// Wrong lengths.
    pub fn apply_block(&self, x: &[T], y: &mut [T], columns: usize) -> crate::Result<()> {
        let (rows, cols) = (self.rows(), self.cols());
        crate::Error::check_len("X", x.len(), cols * columns, "the matrix's columns × right-hand sides")?;
        crate::Error::check_len("Y", y.len(), rows * columns, "the matrix's rows × right-hand sides")?;
        let mut done = 0;
        while done < columns && rows > 0 {
            let (left, x, y) = (columns - done, &x[done * cols..], &mut y[done * rows..]);
            let step = [4, 2].into_iter().find(|&k| k <= left).unwrap_or(1);
            let (x, y) = (&x[..step * cols], &mut y[..step * rows]);
            match step {
                4 => block::<T, 4>(self, x, y),
                2 => block::<T, 2>(self, x, y),
                _ => self.apply(x, y),
            }
            done += step;
        }
        Ok(())
    }
}

impl<T: Real> LinearOperator<T> for Csr<T> {
    fn rows(&self) -> usize {
        self.shape[0]
    }

    fn cols(&self) -> usize {
        self.shape[1]
    }

    fn apply(&self, x: &[T], y: &mut [T]) {
        product(self, x, y, Set);
    }

    /// The columns are shared out among the threads; each entry is summed in the order of the rows, so
    /// that the bits do not depend on their number. Where Aᵀ x is needed often, hold the
    /// [`transpose`](Csr::transpose): its rows are gathered, not scattered.
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        let threads = if self.nnz() < PARALLEL { 1 } else { parallel::threads() };
        let chunk = x.len().div_ceil(threads).max(1);
        parallel::parts(x, chunk, |first, x| dispatch(Scatter { a: self, y, first, x }));
    }

    fn residual(&self, b: &[T], x: &[T], r: &mut [T]) {
        product(self, x, r, Subtract(b));
    }

    fn apply_add(&self, x: &[T], y: &mut [T], _: &mut [T]) {
        product(self, x, y, Add);
    }

    fn diagonal(&self) -> Option<Vec<T>> {
        (self.rows() == self.cols()).then(|| (0..self.rows()).map(|i| self.get(i, i)).collect())
    }
}
