//! Extreme eigenvalues and vectors: power iteration, Lanczos, LOBPCG, Arnoldi, shift and invert.

mod arnoldi;
mod bounds;
mod lanczos;
mod lobpcg;
mod power;
mod shift;
mod small;

pub use arnoldi::{ComplexPairs, arnoldi};
pub use bounds::{Extremes, extreme_eigenvalues, settled_eigenvalues};
pub use lanczos::{Lanczos, Ritz, lanczos};
pub use lobpcg::lobpcg;
pub use power::power;
pub use shift::ShiftInvert;

use super::op::LinearOperator;
use super::report::Outcome;
use super::vector::{axpy, dots, norm2, scale};
use crate::error::{Error, Result};
use crate::num::{Real, accumulate};
use std::time::Duration;

/// Which end of a real spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The smallest (most negative) eigenvalues.
    Smallest,
    /// The largest eigenvalues.
    Largest,
}

/// Tolerance and limit of an eigenvalue iteration: a pair has converged when
/// ‖A v − λ v‖₂ ≤ `tol` · max |θ| with ‖v‖₂ = 1 and θ the Ritz values, whose largest estimates ‖A‖₂. For
/// symmetric A an eigenvalue then lies within that distance of λ; well separated ones are known to its
/// square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EigenSettings {
    /// Relative tolerance of the residuals.
    pub tol: f64,
    /// Most iterations; for Lanczos and Arnoldi the most vectors held.
    pub max_iterations: usize,
}

impl Default for EigenSettings {
    fn default() -> Self {
        Self { tol: 1e-8, max_iterations: 300 }
    }
}

impl EigenSettings {
    fn check(&self) -> Result<()> {
        if !(self.tol.is_finite() && self.tol > 0.0) {
            return Err(Error::invalid("the eigenvalue tolerance", self.tol, "it must be positive"));
        }
        if self.max_iterations == 0 {
            return Err(Error::invalid("max_iterations", 0, "it must be at least 1"));
        }
        Ok(())
    }
}

/// Eigenvalues and vectors of a symmetric operator, with what they are worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigenpairs<T> {
    /// λ_1, λ_2, …: ascending for the smallest ones, descending for the largest.
    pub values: Vec<f64>,
    /// Their vectors, one after the other, each of length n and norm 1.
    pub vectors: Vec<T>,
    /// ‖A v_j − λ_j v_j‖₂, computed from the vectors.
    pub residuals: Vec<f64>,
    /// Converged, or why not.
    pub outcome: Outcome,
    /// Iterations.
    pub iterations: usize,
    /// Applications of A.
    pub applications: usize,
    /// Wall time.
    pub time: Duration,
}

impl<T> Eigenpairs<T> {
    /// Whether every pair meets the tolerance.
    pub fn converged(&self) -> bool {
        self.outcome == Outcome::Converged
    }

    /// The j-th vector.
    pub fn vector(&self, j: usize) -> &[T] {
        let n = self.vectors.len() / self.values.len();
        &self.vectors[j * n..(j + 1) * n]
    }
}

/// ‖A v − λ v‖₂ of each pair.
fn residuals<T: Real>(a: &(impl LinearOperator<T> + ?Sized), values: &[f64], vectors: &[T]) -> Vec<f64> {
    let n = a.rows();
    let mut r = vec![T::zero(); n];
    let residual = |(&value, v): (&f64, &[T])| {
        a.apply(v, &mut r);
        axpy(-value, v, &mut r);
        norm2(&r)
    };
    values.iter().zip(vectors.chunks(n)).map(residual).collect()
}

/// Checks that 1 ≤ `k` ≤ n.
fn check_count(k: usize, n: usize) -> Result<()> {
    if (1..=n).contains(&k) {
        return Ok(());
    }
    Err(Error::invalid("the number of eigenvalues", k, format!("it must be between 1 and {n}")))
}

/// Orthogonalises `w` against the orthonormal `basis` (Gram–Schmidt, twice), adding the coefficients
/// to `products`; returns ‖w‖ after.
fn orthogonalise<T: Real>(basis: &[T], w: &mut [T], products: &mut [f64]) -> f64 {
    let mut pass = vec![0.0; products.len()];
    for _ in 0..2 {
        dots(basis, w, &mut pass);
        for (total, product) in products.iter_mut().zip(&mut pass) {
            *total += *product;
            *product = -*product;
        }
        accumulate(w, T::one(), &pass, basis);
    }
    norm2(w)
}

/// Appends `w` to the orthonormal `basis`, orthogonalised and of unit length; false, and nothing
/// appended, when it depends on the basis.
fn append<T: Real>(basis: &mut Vec<T>, w: &mut [T]) -> bool {
    let before = norm2(w);
    let mut products = vec![0.0; basis.len() / w.len()];
    let after = orthogonalise(basis, w, &mut products);
    // A remainder of rounding size is no direction.
    if after.is_nan() || after <= 1e3 * T::EPSILON.f64() * before {
        return false;
    }
    scale(1.0 / after, w);
    // What is left of the basis after scaling up a small remainder.
    let again = orthogonalise(basis, w, &mut products);
    scale(1.0 / again, w);
    basis.extend_from_slice(w);
    true
}

/// Columns of `basis` (n each) combined by the columns of `weights`.
fn combinations<T: Real>(n: usize, basis: &[T], weights: &[&[f64]]) -> Vec<T> {
    let mut out = vec![T::zero(); n * weights.len()];
    for (column, weights) in out.chunks_mut(n).zip(weights) {
        accumulate(column, T::one(), weights, basis);
    }
    out
}

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
    pseudo_random(n, 0)
}

/// The `stream`-th of such vectors.
fn pseudo_random<T: Real>(n: usize, stream: u64) -> Vec<T> {
    // SplitMix64 (Steele, Lea and Flood 2014) of the index.
    let mix = |i: u64| {
        let mut z = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) >> 11
    };
    (0..n as u64).map(|i| T::of(mix(i ^ (stream << 40)) as f64 * 2f64.powi(-52) - 1.0)).collect()
}
