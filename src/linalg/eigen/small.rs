//! Small dense eigenproblems of projected matrices, in `f64`, by faer.

use crate::error::{Error, Result};
use crate::num::Real;
use faer::{MatRef, Side};

fn failed(what: &str) -> Error {
    Error::invalid(what.to_string(), "without convergence of its QR iteration", "its entries must be finite")
}

/// Eigenvalues (ascending) and orthonormal eigenvectors (column major) of a symmetric `n × n` matrix.
pub(super) fn symmetric(n: usize, matrix: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
    let view = MatRef::from_column_major_slice(f64::field(matrix), n, n);
    let eigen = view.self_adjoint_eigen(Side::Lower).map_err(|_| failed("the projected matrix"))?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let columns = (0..n).flat_map(|j| (0..n).map(move |i| vectors[(i, j)])).collect();
    Ok(((0..n).map(|i| values[i]).collect(), columns))
}

/// [`symmetric`] of the tridiagonal matrix with this diagonal and off-diagonal.
pub(super) fn tridiagonal(diagonal: &[f64], off: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
    let n = diagonal.len();
    let mut matrix = vec![0.0; n * n];
    for i in 0..n {
        matrix[i * n + i] = diagonal[i];
        if i + 1 < n {
            matrix[i * n + i + 1] = off[i];
            matrix[(i + 1) * n + i] = off[i];
        }
    }
    symmetric(n, &matrix)
}

/// Eigenvalues [real, imaginary] and eigenvectors (real parts, imaginary parts; column major) of an
/// `n × n` matrix, in no order.
#[allow(clippy::type_complexity, reason = "a pair of arrays, used once")]
pub(super) fn general(n: usize, matrix: &[f64]) -> Result<(Vec<[f64; 2]>, [Vec<f64>; 2])> {
    let view = MatRef::from_column_major_slice(f64::field(matrix), n, n);
    let eigen = view.eigen().map_err(|_| failed("the Hessenberg matrix"))?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let part = |f: fn(&faer::c64) -> f64| {
        (0..n).flat_map(|j| (0..n).map(move |i| f(&vectors[(i, j)]))).collect::<Vec<f64>>()
    };
    let values = (0..n).map(|i| [values[i].re, values[i].im]).collect();
    Ok((values, [part(|c| c.re), part(|c| c.im)]))
}
