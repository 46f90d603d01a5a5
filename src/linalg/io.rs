//! Matrix Market files: sparse matrices and dense vectors, plain or gzipped.
//!
//! Format: R. F. Boisvert, R. Pozo and K. A. Remington, "The Matrix Market exchange formats: initial
//! design", NISTIR 5935, 1996. Read: `coordinate` and `array`; `real`, `integer`, `pattern` (every entry
//! 1); `general`, `symmetric`, `skew-symmetric` (stored as their lower triangle, given back in full).
//! Complex matrices are refused. Writing is whole or not at all, with values that read back to the
//! same bits.

mod read;

pub use read::{read_matrix, read_vectors};

use super::csr::Csr;
use crate::error::{Error, Result};
use crate::files;
use crate::num::Real;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::Path;

/// Writes the matrix as `coordinate real general`, gzipped where the name ends in `.gz`.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written; a file of that name is then untouched.
pub fn write_matrix<T: Real>(path: impl AsRef<Path>, a: &Csr<T>) -> Result<()> {
    write(path.as_ref(), |w| {
        writeln!(w, "%%MatrixMarket matrix coordinate real general")?;
        writeln!(w, "{} {} {}", a.rows(), a.cols(), a.nnz())?;
        for i in 0..a.rows() {
            let (columns, values) = a.row(i);
            for (&j, &v) in columns.iter().zip(values) {
                writeln!(w, "{} {} {v:e}", i + 1, u64::from(j) + 1)?;
            }
        }
        Ok(())
    })
}

/// Writes a dense column-major `rows × columns` array (a right-hand side: one column) as `array real
/// general`, gzipped where the name ends in `.gz`.
///
/// # Errors
/// A length that `rows` does not divide, entries that are not finite; [`Error::Io`] when the file cannot
/// be written, a file of that name being untouched.
pub fn write_vectors<T: Real>(path: impl AsRef<Path>, x: &[T], rows: usize) -> Result<()> {
    if rows == 0 || !x.len().is_multiple_of(rows) {
        let needed =
            format!("the length of the array, {}, must be a multiple of it, and it positive", x.len());
        return Err(Error::invalid("the number of rows", rows, needed));
    }
    Error::check_finite("the array", x)?;
    write(path.as_ref(), |w| {
        writeln!(w, "%%MatrixMarket matrix array real general")?;
        writeln!(w, "{rows} {}", x.len() / rows)?;
        x.iter().try_for_each(|v| writeln!(w, "{v:e}"))
    })
}

fn write(path: &Path, body: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    files::write_atomic(path, |w| {
        if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz")) {
            return body(w);
        }
        let mut zipped = GzEncoder::new(w, Compression::default());
        body(&mut zipped)?;
        zipped.finish().map(|_| ())
    })
}
