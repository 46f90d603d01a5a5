//! Extreme eigenvalues and vectors: power iteration, Lanczos, LOBPCG, Arnoldi, shift and invert.

mod bounds;
mod small;

pub use bounds::{Extremes, extreme_eigenvalues};

use super::op::LinearOperator;
use crate::error::{Error, Result};
use crate::num::Real;

/// Checks that an operator is square and not empty; returns n.
fn check_square<T: Real>(a: &(impl LinearOperator<T> + ?Sized)) -> Result<usize> {
    let (rows, cols) = (a.rows(), a.cols());
    if rows == cols && rows > 0 {
        return Ok(rows);
    }
    Err(Error::invalid("the operator", format!("{rows} × {cols}"), "it must be square and not empty"))
}

/// A fixed vector with entries in (−1, 1) that look random: a start that is orthogonal to nothing.
fn start_vector<T: Real>(n: usize) -> Vec<T> {
    // SplitMix64 (Steele, Lea and Flood 2014) of the index.
    let mix = |i: u64| {
        let mut z = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) >> 11
    };
    (0..n as u64).map(|i| T::of(mix(i) as f64 * 2f64.powi(-52) - 1.0)).collect()
}
