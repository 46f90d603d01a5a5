//! [`arnoldi`]: eigenvalues of largest magnitude of operators that are not symmetric.

use super::small::general;
use super::{EigenSettings, check_count, check_square, combinations, orthogonalise, pseudo_random};
use crate::error::{Error, Result};
use crate::linalg::op::LinearOperator;
use crate::linalg::report::Outcome;
use crate::linalg::vector::{axpy, norm2, scaled};
use crate::num::Real;
use std::time::{Duration, Instant};

/// Eigenvalues and vectors of a real operator that is not symmetric.
#[derive(Clone, Debug, PartialEq)]
pub struct ComplexPairs<T> {
    /// [real part, imaginary part], largest magnitude first; of a conjugate pair the one with the
    /// positive imaginary part first.
    pub values: Vec<[f64; 2]>,
    /// The real and the imaginary parts of the vectors, one after the other, each of norm 1.
    pub vectors: [Vec<T>; 2],
    /// ‖A v_j − λ_j v_j‖₂, computed from the vectors.
    pub residuals: Vec<f64>,
    /// Converged, or why not.
    pub outcome: Outcome,
    /// Steps, the vectors held.
    pub iterations: usize,
    /// Applications of A.
    pub applications: usize,
    /// Wall time.
    pub time: Duration,
}

/// A V = V H + v eᵀ β.
struct Arnoldi<T> {
    n: usize,
    basis: Vec<T>,
    /// Columns of H, column j with j + 2 entries.
    columns: Vec<Vec<f64>>,
    next: Vec<T>,
}

impl<T: Real> Arnoldi<T> {
    fn extend<A: LinearOperator<T> + ?Sized>(&mut self, a: &A, steps: usize) -> Result<()> {
        let mut w = vec![T::zero(); self.n];
        for _ in 0..steps {
            self.basis.extend_from_slice(&self.next);
            a.apply(&self.next, &mut w);
            let size = norm2(&w);
            if !size.is_finite() {
                return Err(Error::invalid("the operator's result", size, "it must be finite"));
            }
            let mut column = vec![0.0; self.columns.len() + 1];
            let mut beta = orthogonalise(&self.basis, &mut w, &mut column);
            let scale = self.columns.iter().flatten().fold(size, |m, x| m.max(x.abs()));
            if beta > 10.0 * T::EPSILON.f64() * scale {
                scaled(1.0 / beta, &w, &mut self.next);
            } else {
                // An invariant subspace: go on from outside it.
                beta = 0.0;
                w.copy_from_slice(&pseudo_random::<T>(self.n, column.len() as u64));
                let mut products = vec![0.0; column.len()];
                let after = orthogonalise(&self.basis, &mut w, &mut products);
                if column.len() < self.n {
                    scaled(1.0 / after, &w, &mut self.next);
                }
            }
            column.push(beta);
            self.columns.push(column);
        }
        Ok(())
    }

    /// H without its last row, column major.
    fn square(&self) -> Vec<f64> {
        let k = self.columns.len();
        let mut h = vec![0.0; k * k];
        for (j, column) in self.columns.iter().enumerate() {
            let rows = column.len().min(k);
            h[j * k..j * k + rows].copy_from_slice(&column[..rows]);
        }
        h
    }
}

/// The `k` eigenvalues of largest magnitude and their vectors, by Arnoldi's process with full
/// orthogonalisation (Saad, Numerical Methods for Large Eigenvalue Problems, Algorithm 6.1) from a fixed
/// random vector, with as many steps as the tolerance needs, at most
/// [`max_iterations`](EigenSettings::max_iterations). The smallest ones, or those near any number, are the
/// largest of a [`ShiftInvert`](super::ShiftInvert).
///
/// # Errors
/// Shapes and counts that do not fit, unusable settings, an operator that gives NaN.
pub fn arnoldi<T, A>(a: &A, k: usize, settings: EigenSettings) -> Result<ComplexPairs<T>>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
{
    let n = check_square(a)?;
    check_count(k, n)?;
    settings.check()?;
    let started = Instant::now();
    let start = pseudo_random::<T>(n, 0);
    let mut next = vec![T::zero(); n];
    scaled(1.0 / norm2(&start), &start, &mut next);
    let mut process = Arnoldi { n, basis: Vec::new(), columns: Vec::new(), next };
    let most = settings.max_iterations.clamp(k, n);
    loop {
        let steps = process.columns.len();
        process.extend(a, (most - steps).min(k + 8 + steps / 3))?;
        let m = process.columns.len();
        let (values, [re, im]) = general(m, &process.square())?;
        let order = sorted(&values, k);
        let size = values[order[0]][0].hypot(values[order[0]][1]);
        let beta = if m == n { 0.0 } else { process.columns[m - 1][m] };
        let estimate = |j: usize| {
            let column = j * m..(j + 1) * m;
            let length = norm2(&re[column.clone()]).hypot(norm2(&im[column]));
            beta * re[(j + 1) * m - 1].hypot(im[(j + 1) * m - 1]) / length
        };
        let done = order.iter().all(|&j| estimate(j) <= settings.tol * size);
        if !done && m < most {
            continue;
        }
        let weights = |part: &[f64]| {
            let columns: Vec<&[f64]> = order.iter().map(|&j| &part[j * m..(j + 1) * m]).collect();
            combinations(n, &process.basis, &columns)
        };
        let vectors = [weights(&re), weights(&im)];
        let values: Vec<[f64; 2]> = order.iter().map(|&j| values[j]).collect();
        let (vectors, residuals) = finish(a, &values, vectors);
        let outcome = if done { Outcome::Converged } else { Outcome::MaxIterations };
        let (applications, time) = (m + 2 * k, started.elapsed());
        return Ok(ComplexPairs { values, vectors, residuals, outcome, iterations: m, applications, time });
    }
}

/// The first `k` indices by magnitude, conjugates with the positive imaginary part first.
fn sorted(values: &[[f64; 2]], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let size = |j: usize| values[j][0].hypot(values[j][1]);
    let largest = order.iter().fold(0.0, |m: f64, &j| m.max(size(j)));
    // Conjugates are equal to rounding only: compared on a grid.
    let key = |j: usize| (size(j) / (1e-10 * largest.max(f64::MIN_POSITIVE))).round();
    order.sort_by(|&i, &j| key(j).total_cmp(&key(i)).then(values[j][1].total_cmp(&values[i][1])));
    order.truncate(k);
    order
}

/// The vectors at unit length and their residuals: with v = x + i y and λ = μ + i ν,
/// A v − λ v = (A x − μ x + ν y) + i (A y − μ y − ν x).
fn finish<T: Real>(
    a: &(impl LinearOperator<T> + ?Sized),
    values: &[[f64; 2]],
    [mut re, mut im]: [Vec<T>; 2],
) -> ([Vec<T>; 2], Vec<f64>) {
    let n = a.rows();
    let mut r = vec![T::zero(); n];
    let mut residuals = Vec::with_capacity(values.len());
    for ((&[mu, nu], x), y) in values.iter().zip(re.chunks_mut(n)).zip(im.chunks_mut(n)) {
        let length = norm2(x).hypot(norm2(y));
        crate::linalg::vector::scale(1.0 / length, x);
        crate::linalg::vector::scale(1.0 / length, y);
        let mut part = |x: &[T], y: &[T], nu: f64| {
            a.apply(x, &mut r);
            axpy(-mu, x, &mut r);
            axpy(nu, y, &mut r);
            norm2(&r)
        };
        let (real, imaginary) = (part(x, y, nu), part(y, x, -nu));
        residuals.push(real.hypot(imaginary));
    }
    ([re, im], residuals)
}
