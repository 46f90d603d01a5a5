//! [`lobpcg`]: a few extreme eigenvalues at once, with a preconditioner.

use super::small::symmetric;
use super::{EigenSettings, Eigenpairs, End};
use super::{append, check_count, check_square, combinations, pseudo_random, residuals};
use crate::error::{Error, Result};
use crate::linalg::op::{LinearOperator, Preconditioner};
use crate::linalg::report::Outcome;
use crate::linalg::vector::{axpy, dots, norm2};
use crate::num::Real;
use std::time::Instant;

/// The `k` smallest or largest eigenvalues of a symmetric operator, multiple ones included, by the locally
/// optimal block preconditioned conjugate gradient method (Knyazev, SIAM J. Sci. Comput. 23, 2001):
/// Rayleigh–Ritz over X, the preconditioned residuals and the last directions, on an orthonormal basis
/// (Hetmaniuk and Lehoucq, J. Comput. Phys. 218, 2006) whose dependent vectors are left out. It holds
/// 9k vectors. `m` approximates A⁻¹ for the smallest eigenvalues; the identity serves for the largest. A
/// block a little larger than what is wanted converges faster.
///
/// # Errors
/// Shapes and counts that do not fit (3k ≤ n is needed), unusable settings, an operator or preconditioner
/// that gives NaN.
pub fn lobpcg<T, A, M>(a: &A, m: &mut M, k: usize, end: End, settings: EigenSettings) -> Result<Eigenpairs<T>>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
    M: Preconditioner<T> + ?Sized,
{
    let n = check_square(a)?;
    check_count(k, n / 3)?;
    Error::check_len("the preconditioner", m.len(), n, "the unknowns of the operator")?;
    settings.check()?;
    let started = Instant::now();
    let mut block = Block { n, x: Vec::new(), p: Vec::new(), values: Vec::new(), size: 0.0, applications: 0 };
    let starts = (0..k as u64).flat_map(|j| pseudo_random::<T>(n, j)).collect();
    block.rayleigh_ritz(a, [starts, Vec::new()], k, end)?;
    let mut iterations = 0;
    let outcome = loop {
        let (w, worst) = block.residuals(a);
        if worst <= settings.tol * block.size {
            break Outcome::Converged;
        }
        if iterations == settings.max_iterations {
            break Outcome::MaxIterations;
        }
        let mut z = vec![T::zero(); w.len()];
        for (w, z) in w.chunks(n).zip(z.chunks_mut(n)) {
            m.apply(w, z);
        }
        let p = std::mem::take(&mut block.p);
        block.rayleigh_ritz(a, [z, p], k, end)?;
        iterations += 1;
    };
    let residuals = residuals(a, &block.values, &block.x);
    let (values, vectors, applications) = (block.values, block.x, block.applications + k);
    let time = started.elapsed();
    Ok(Eigenpairs { values, vectors, residuals, outcome, iterations, applications, time })
}

/// The present eigenvectors X and directions P.
struct Block<T> {
    n: usize,
    x: Vec<T>,
    p: Vec<T>,
    values: Vec<f64>,
    /// The largest |θ| of all projected problems so far.
    size: f64,
    applications: usize,
}

impl<T: Real> Block<T> {
    /// A X − X Λ, and the largest norm of its columns.
    fn residuals<A: LinearOperator<T> + ?Sized>(&mut self, a: &A) -> (Vec<T>, f64) {
        let mut w = vec![T::zero(); self.x.len()];
        let mut worst = 0.0f64;
        for ((x, w), value) in self.x.chunks(self.n).zip(w.chunks_mut(self.n)).zip(&self.values) {
            a.apply(x, w);
            axpy(-value, x, w);
            worst = worst.max(norm2(w));
        }
        self.applications += self.values.len();
        (w, worst)
    }

    /// The best `k` pairs over the span of X and `more`; the new directions are the parts of the new X
    /// outside the old one.
    fn rayleigh_ritz<A>(&mut self, a: &A, more: [Vec<T>; 2], k: usize, end: End) -> Result<()>
    where
        A: LinearOperator<T> + ?Sized,
    {
        let n = self.n;
        let mut basis = Vec::with_capacity(3 * k * n);
        for mut x in self.x.chunks(n).map(<[T]>::to_vec) {
            append(&mut basis, &mut x);
        }
        let old = basis.len() / n;
        for mut column in more.iter().flat_map(|m| m.chunks(n)).map(<[T]>::to_vec) {
            append(&mut basis, &mut column);
        }
        let size = basis.len() / n;
        let mut projected = vec![0.0; size * size];
        let mut image = vec![T::zero(); n];
        for (v, column) in basis.chunks(n).zip(projected.chunks_mut(size)) {
            a.apply(v, &mut image);
            dots(&basis, &image, column);
        }
        self.applications += size;
        Error::check_finite("the operator's projection", &projected)?;
        let (values, weights) = symmetric(size, &projected)?;
        let wanted: Vec<usize> = match end {
            End::Smallest => (0..k.min(size)).collect(),
            End::Largest => (0..size).rev().take(k).collect(),
        };
        self.size = self.size.max(values[0].abs()).max(values[size - 1].abs());
        let columns: Vec<&[f64]> = wanted.iter().map(|&j| &weights[j * size..(j + 1) * size]).collect();
        self.values = wanted.iter().map(|&j| values[j]).collect();
        self.x = combinations(n, &basis, &columns);
        let outside: Vec<&[f64]> = columns.iter().map(|c| &c[old..]).collect();
        self.p = if old == 0 { Vec::new() } else { combinations(n, &basis[old * n..], &outside) };
        Ok(())
    }
}
