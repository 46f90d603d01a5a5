//! [`Deflation`]: conjugate gradients with given vectors taken out of the spectrum.

use super::krylov::Cg;
use super::monitor::Monitor;
use super::op::{LinearOperator, Preconditioner};
use super::report::{Outcome, Report, Settings};
use super::vector::{axpy, dots, norm2};
use crate::error::{Error, Result};
use crate::num::{Real, accumulate};
use std::cell::RefCell;

/// How often CG may be begun anew when its claim of convergence does not hold for the whole system.
const ROUNDS: usize = 5;

/// Deflated CG for A symmetric positive definite (Nicolaides, SIAM J. Numer. Anal. 24, 1987; Tang,
/// Nabben, Vuik and Erlangga, J. Sci. Comput. 39, 2009, method DEF1): with the columns of W (approximate
/// eigenvectors of the smallest eigenvalues, indicators of subdomains, …), E = WᵀAW and
/// P = I − A W E⁻¹ Wᵀ, it solves P A e = P r by CG, and x += W E⁻¹ Wᵀ r + Pᵀ e. The eigenvalues that W
/// spans no longer slow CG down. P A e − P r is the residual of the whole system, so the tolerances mean
/// the same as for [`Cg`].
#[derive(Clone, Debug)]
pub struct Deflation<T> {
    n: usize,
    settings: Settings,
    cg: Cg<T>,
    space: Space<T>,
    r: Vec<T>,
    rhs: Vec<T>,
    e: Vec<T>,
}

/// W, A W and the Cholesky factor of E, with room for coefficients.
#[derive(Clone, Debug)]
struct Space<T> {
    w: Vec<T>,
    aw: Vec<T>,
    factor: Vec<f64>,
    coefficients: RefCell<Vec<f64>>,
}

impl<T: Real> Deflation<T> {
    /// Deflates the vectors that stand one after the other in `vectors` (n each) from `a`.
    ///
    /// # Errors
    /// No vectors or more than n, lengths that do not fit, entries that are not finite, vectors that
    /// depend on each other or an A that is not positive definite on them (the pivot is named), unusable
    /// settings.
    pub fn new<A>(a: &A, vectors: &[T], settings: Settings) -> Result<Self>
    where
        A: LinearOperator<T> + ?Sized,
    {
        let n = a.rows();
        let cg = Cg::new(n, settings)?;
        if a.cols() != n {
            let given = format!("{n} × {}", a.cols());
            return Err(Error::invalid("the operator", given, "it must be square"));
        }
        if vectors.is_empty() || !vectors.len().is_multiple_of(n) || vectors.len() > n * n {
            let needed = format!("it must be a multiple of n = {n}, for 1 to {n} vectors");
            return Err(Error::invalid("the length of the deflated vectors", vectors.len(), needed));
        }
        Error::check_finite("the deflated vectors", vectors)?;
        let k = vectors.len() / n;
        let mut aw = vec![T::zero(); n * k];
        let mut e = vec![0.0; k * k];
        for ((v, image), column) in vectors.chunks(n).zip(aw.chunks_mut(n)).zip(e.chunks_mut(k)) {
            a.apply(v, image);
            dots(vectors, image, column);
        }
        let factor = cholesky(k, e, T::EPSILON.f64())?;
        let space = Space { w: vectors.to_vec(), aw, factor, coefficients: RefCell::new(vec![0.0; k]) };
        let zeros = || vec![T::zero(); n];
        Ok(Self { n, settings, cg, space, r: zeros(), rhs: zeros(), e: zeros() })
    }

    /// Solves A x = `b` from the guess in `x`, with the operator that was deflated.
    ///
    /// # Errors
    /// As [`Cg::solve`].
    pub fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        let n = self.n;
        if [a.rows(), a.cols()] != [n, n] {
            let given = format!("{} × {}", a.rows(), a.cols());
            return Err(Error::invalid("the operator", given, format!("{n} × {n} was deflated")));
        }
        let mut monitor = Monitor::begin(&self.settings, n, b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        a.residual(b, x, &mut self.r);
        monitor.applied(1);
        let mut ended = monitor.verify(norm2(&self.r));
        let mut rounds = 0;
        while !ended {
            let target = Settings { rtol: 0.0, atol: monitor.target(), ..self.settings };
            let left = self.settings.max_iterations - monitor.iterations();
            self.cg.set_settings(target.max_iterations(left));
            self.rhs.copy_from_slice(&self.r);
            self.space.project(&mut self.rhs);
            self.e.fill(T::zero());
            let inner = self.cg.solve(&Deflated { a, space: &self.space }, m, &self.rhs, &mut self.e)?;
            // x += W E⁻¹ Wᵀ (r − A e) + e, the same as with Pᵀ.
            a.residual(&self.r, &self.e, &mut self.rhs);
            axpy(1.0, &self.e, x);
            self.space.correct(&self.rhs, x);
            a.residual(b, x, &mut self.r);
            monitor.applied(2);
            rounds += 1;
            monitor.absorb(&inner);
            match inner.outcome {
                Outcome::Converged if rounds < ROUNDS => {}
                Outcome::Converged => monitor.stop(Outcome::Stagnated),
                outcome => monitor.stop(outcome),
            }
            ended = monitor.verify(norm2(&self.r));
        }
        Ok(monitor.finish())
    }
}

impl<T: Real> Space<T> {
    /// `y` −= A W E⁻¹ Wᵀ `y`.
    fn project(&self, y: &mut [T]) {
        let mut c = self.coefficients.borrow_mut();
        dots(&self.w, y, &mut c);
        self.back(&mut c);
        c.iter_mut().for_each(|c| *c = -*c);
        accumulate(y, T::one(), &c, &self.aw);
    }

    /// `x` += W E⁻¹ Wᵀ `r`.
    fn correct(&self, r: &[T], x: &mut [T]) {
        let mut c = self.coefficients.borrow_mut();
        dots(&self.w, r, &mut c);
        self.back(&mut c);
        accumulate(x, T::one(), &c, &self.w);
    }

    /// c ← E⁻¹ c.
    fn back(&self, c: &mut [f64]) {
        let k = c.len();
        let at = |i: usize, j: usize| self.factor[j * k + i];
        for i in 0..k {
            let known: f64 = (0..i).map(|j| at(i, j) * c[j]).sum();
            c[i] = (c[i] - known) / at(i, i);
        }
        for i in (0..k).rev() {
            let known: f64 = (i + 1..k).map(|j| at(j, i) * c[j]).sum();
            c[i] = (c[i] - known) / at(i, i);
        }
    }
}

/// The lower Cholesky factor of a `k × k` matrix, column major.
fn cholesky(k: usize, mut e: Vec<f64>, epsilon: f64) -> Result<Vec<f64>> {
    for j in 0..k {
        let size = e[j * k + j];
        let pivot = size - (0..j).map(|l| e[l * k + j] * e[l * k + j]).sum::<f64>();
        if pivot.is_nan() || pivot <= 100.0 * epsilon * size || size <= 0.0 {
            let needed = "the vectors must be independent and A positive definite on them";
            return Err(Error::invalid(format!("pivot {j} of WᵀAW"), pivot, needed));
        }
        let root = pivot.sqrt();
        e[j * k + j] = root;
        for i in j + 1..k {
            let known: f64 = (0..j).map(|l| e[l * k + i] * e[l * k + j]).sum();
            e[j * k + i] = (e[j * k + i] - known) / root;
        }
    }
    Ok(e)
}

/// P A.
struct Deflated<'a, A: ?Sized, T> {
    a: &'a A,
    space: &'a Space<T>,
}

impl<T: Real, A: LinearOperator<T> + ?Sized> LinearOperator<T> for Deflated<'_, A, T> {
    fn rows(&self) -> usize {
        self.a.rows()
    }
    fn cols(&self) -> usize {
        self.a.cols()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        self.a.apply(x, y);
        self.space.project(y);
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        // (P A)ᵀ = Aᵀ Pᵀ = P A for A symmetric.
        self.apply(y, x);
    }
}
