//! Columns with additional rows below them: what penalties that are states of their own share.

use crate::error::{Error, Result};
use crate::num::Real;

/// `out` ← the columns of `y`, `dim` numbers each, with `rows` zeros below each.
///
/// # Errors
/// A `y` that is not a whole number of columns.
pub(super) fn augment<T: Real>(y: &[T], dim: usize, rows: usize, out: &mut Vec<T>) -> Result<()> {
    if y.is_empty() || !y.len().is_multiple_of(dim) {
        let needed = format!("a positive multiple of {dim}");
        return Err(Error::Length { what: "y", given: y.len(), needed });
    }
    out.clear();
    for column in y.chunks_exact(dim) {
        out.extend_from_slice(column);
        out.resize(out.len() + rows, T::zero());
    }
    Ok(())
}

/// `out` ← the columns of `y` without the `rows` below their `dim` numbers.
pub(super) fn split<T: Real>(y: &[T], dim: usize, rows: usize, out: &mut Vec<T>) {
    out.clear();
    for column in y.chunks_exact(dim + rows) {
        out.extend_from_slice(&column[..dim]);
    }
}

/// ACCUMULATES the columns of `from`, `dim` numbers each, into those of `to`, which have `rows` more.
pub(super) fn add_columns<T: Real>(from: &[T], dim: usize, rows: usize, to: &mut [T]) {
    for (to, from) in to.chunks_exact_mut(dim + rows).zip(from.chunks_exact(dim)) {
        to.iter_mut().zip(from).for_each(|(a, b)| *a += *b);
    }
}
