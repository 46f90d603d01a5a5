//! [`Lanczos`]: the Lanczos process with full re-orthogonalisation; Ritz values and vectors.

use super::small::tridiagonal;
use super::{EigenSettings, Eigenpairs, End};
use super::{check_count, check_square, combinations, orthogonalise, pseudo_random, residuals, start_vector};
use crate::error::{Error, Result};
use crate::linalg::op::LinearOperator;
use crate::linalg::report::Outcome;
use crate::linalg::vector::{norm2, scaled};
use crate::num::Real;
use std::time::Instant;

/// The Lanczos process A V = V T + β v eᵀ for symmetric A (Golub and Van Loan, Matrix Computations,
/// section 10.1), every new vector orthogonalised twice against all before, so that V stays orthonormal
/// to rounding and no Ritz value comes twice that is not double. It holds n numbers a step.
///
/// When the Krylov space is exhausted it goes on from a new vector orthogonal to it, so that n steps
/// give the whole spectrum, multiplicities included.
#[derive(Clone, Debug)]
pub struct Lanczos<T> {
    n: usize,
    basis: Vec<T>,
    diagonal: Vec<f64>,
    /// β_2 … β_{k+1}; the last belongs to `next`.
    off: Vec<f64>,
    next: Vec<T>,
    exhausted: u64,
}

/// Ritz pairs of a [`Lanczos`] process.
#[derive(Clone, Debug, PartialEq)]
pub struct Ritz {
    /// Ritz values, ascending.
    pub values: Vec<f64>,
    /// ‖A y_j − θ_j y_j‖₂ of each pair, from the recurrence: β |e_kᵀ s_j|.
    pub residuals: Vec<f64>,
    /// The eigenvectors s_j of T, column major.
    weights: Vec<f64>,
}

impl<T: Real> Lanczos<T> {
    /// A process from this start.
    ///
    /// # Errors
    /// A start that is empty, zero or not finite.
    pub fn new(start: &[T]) -> Result<Self> {
        Error::check_finite("the start of the Lanczos process", start)?;
        let norm = norm2(start);
        if norm == 0.0 {
            return Err(Error::invalid("the start of the Lanczos process", "zero", "it must not vanish"));
        }
        let mut next = vec![T::zero(); start.len()];
        scaled(1.0 / norm, start, &mut next);
        let none = Vec::new;
        Ok(Self { n: start.len(), basis: Vec::new(), diagonal: none(), off: none(), next, exhausted: 0 })
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.diagonal.len()
    }

    /// The orthonormal basis v_1, v_2, …, one vector after the other.
    pub fn basis(&self) -> &[T] {
        &self.basis
    }

    /// Takes up to `steps` more steps; fewer when the basis fills the space.
    ///
    /// # Errors
    /// An operator of another shape, one that gives NaN or infinity.
    pub fn extend<A: LinearOperator<T> + ?Sized>(&mut self, a: &A, steps: usize) -> Result<()> {
        Error::check_len("the operator", check_square(a)?, self.n, "the length of the start")?;
        let mut w = vec![T::zero(); self.n];
        for _ in 0..steps.min(self.n - self.steps()) {
            self.basis.extend_from_slice(&self.next);
            a.apply(&self.next, &mut w);
            let size = norm2(&w);
            if !size.is_finite() {
                return Err(Error::invalid("the operator's result", size, "it must be finite"));
            }
            let mut products = vec![0.0; self.steps() + 1];
            let mut beta = orthogonalise(&self.basis, &mut w, &mut products);
            self.diagonal.push(products[products.len() - 1]);
            let scale = self.diagonal.iter().chain(&self.off).fold(size, |m, x| m.max(x.abs()));
            if beta <= 10.0 * T::EPSILON.f64() * scale {
                beta = 0.0;
                self.renew(&mut w);
            } else {
                scaled(1.0 / beta, &w, &mut self.next);
            }
            self.off.push(beta);
        }
        Ok(())
    }

    /// A new direction, orthogonal to the basis.
    fn renew(&mut self, w: &mut [T]) {
        while self.steps() < self.n {
            self.exhausted += 1;
            w.copy_from_slice(&pseudo_random::<T>(self.n, self.exhausted));
            let before = norm2(w);
            let mut products = vec![0.0; self.steps()];
            let after = orthogonalise(&self.basis, w, &mut products);
            if after > 1e-6 * before {
                return scaled(1.0 / after, w, &mut self.next);
            }
        }
    }

    /// The Ritz values and what is needed for their vectors.
    ///
    /// # Errors
    /// No steps yet.
    pub fn ritz(&self) -> Result<Ritz> {
        let k = self.steps();
        if k == 0 {
            return Err(Error::invalid("the Lanczos process", "without steps", "call extend first"));
        }
        let (values, weights) = tridiagonal(&self.diagonal, &self.off)?;
        let beta = if k == self.n { 0.0 } else { self.off[k - 1] };
        let residuals = weights.chunks(k).map(|s| beta * s[k - 1].abs()).collect();
        Ok(Ritz { values, residuals, weights })
    }

    /// The Ritz vectors y_j = V s_j of these indices, one after the other.
    pub fn vectors(&self, ritz: &Ritz, indices: impl IntoIterator<Item = usize>) -> Vec<T> {
        let k = ritz.values.len();
        let weights: Vec<&[f64]> = indices.into_iter().map(|j| &ritz.weights[j * k..(j + 1) * k]).collect();
        combinations(self.n, &self.basis[..k * self.n], &weights)
    }
}

/// The `k` smallest or largest eigenvalues of a symmetric operator and their vectors, by [`Lanczos`]
/// from a fixed random vector, with as many steps as the tolerance needs, at most
/// [`max_iterations`](EigenSettings::max_iterations). For clustered or multiple eigenvalues take
/// [`lobpcg`](super::lobpcg), for those inside the spectrum [`ShiftInvert`](super::ShiftInvert).
///
/// # Errors
/// Shapes and counts that do not fit, unusable settings, an operator that gives NaN.
pub fn lanczos<T, A>(a: &A, k: usize, end: End, settings: EigenSettings) -> Result<Eigenpairs<T>>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
{
    let n = check_square(a)?;
    check_count(k, n)?;
    settings.check()?;
    let started = Instant::now();
    let most = settings.max_iterations.clamp(k, n);
    let mut process = Lanczos::new(&start_vector::<T>(n))?;
    let (ritz, wanted, done) = loop {
        // A check costs an eigenproblem of T: at geometric distances.
        process.extend(a, (most - process.steps()).min(k + 8 + process.steps() / 3))?;
        let ritz = process.ritz()?;
        let m = ritz.values.len();
        let wanted: Vec<usize> = match end {
            End::Smallest => (0..k).collect(),
            End::Largest => (m - k..m).rev().collect(),
        };
        let size = ritz.values[0].abs().max(ritz.values[m - 1].abs());
        let done = wanted.iter().all(|&j| ritz.residuals[j] <= settings.tol * size);
        if done || m == most {
            break (ritz, wanted, done);
        }
    };
    let outcome = if done { Outcome::Converged } else { Outcome::MaxIterations };
    let vectors = process.vectors(&ritz, wanted.iter().copied());
    let values: Vec<f64> = wanted.iter().map(|&j| ritz.values[j]).collect();
    let residuals = residuals(a, &values, &vectors);
    let iterations = process.steps();
    let (applications, time) = (iterations + k, started.elapsed());
    Ok(Eigenpairs { values, vectors, residuals, outcome, iterations, applications, time })
}
