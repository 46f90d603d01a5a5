//! What all factorisations have in common ([`Factors`]), and a matrix with its factors as a
//! [`LinearSolver`] ([`Direct`]).

use super::op::{LinearOperator, LinearSolver};
use super::report::{Outcome, Report};
use crate::error::{Error, Result};
use crate::num::Real;
use std::time::Instant;

/// A factored square matrix: solves in place, again and again.
pub trait Factors<T: Real> {
    /// n.
    fn len(&self) -> usize;

    /// Whether n = 0.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `x` ← A⁻¹ `x`. The length is trusted; nothing is allocated.
    fn solve(&mut self, x: &mut [T]);

    /// `x` ← A⁻ᵀ `x`. The length is trusted; nothing is allocated.
    fn solve_transpose(&mut self, x: &mut [T]);
}

impl<T: Real, F: Factors<T> + ?Sized> Factors<T> for &mut F {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn solve(&mut self, x: &mut [T]) {
        (**self).solve(x);
    }
    fn solve_transpose(&mut self, x: &mut [T]) {
        (**self).solve_transpose(x);
    }
}

/// A matrix and its factors: a [`LinearSolver`] whose report holds the true residual b − A x.
///
/// A solve counts as converged when the residual is that of a backward stable one:
/// ‖b − A x‖₂ ≤ 100 n ε (‖A‖ ‖x‖₂ + ‖b‖₂), where ‖A‖ is estimated from below by the largest
/// ‖A v‖₂/‖v‖₂ seen (v = 1, and x itself). If it is not, one step of iterative refinement is tried.
/// Source: Higham, *Accuracy and Stability of Numerical Algorithms* (2nd ed., 2002), §7.1 and ch. 12.
#[derive(Clone, Debug)]
pub struct Direct<T, A, F> {
    matrix: A,
    factors: F,
    norm: f64,
    residual: Vec<T>,
    correction: Vec<T>,
}

impl<T: Real, A: LinearOperator<T>, F: Factors<T>> Direct<T, A, F> {
    /// `factors` of `matrix`.
    ///
    /// # Errors
    /// Sizes that differ.
    pub fn new(matrix: A, factors: F) -> Result<Self> {
        let n = factors.len();
        Error::check_len("the matrix's rows", matrix.rows(), n, "the size of the factors")?;
        Error::check_len("the matrix's columns", matrix.cols(), n, "the size of the factors")?;
        let (ones, mut image) = (vec![T::one(); n], vec![T::zero(); n]);
        matrix.apply(&ones, &mut image);
        let norm = norm2(&image) / (n as f64).sqrt();
        Ok(Self { matrix, factors, norm, residual: image, correction: ones })
    }

    /// The matrix.
    pub fn matrix(&self) -> &A {
        &self.matrix
    }

    /// The factors.
    pub fn factors(&self) -> &F {
        &self.factors
    }

    /// `residual` ← b − op(A) x; returns its norm and the tolerance it is measured against.
    fn measure(&mut self, b: &[T], x: &[T], transposed: bool) -> (f64, f64) {
        if transposed {
            self.matrix.apply_transpose(x, &mut self.residual);
        } else {
            self.matrix.apply(x, &mut self.residual);
        }
        let (size, image) = (norm2(x), norm2(&self.residual));
        for (r, b) in self.residual.iter_mut().zip(b) {
            *r = *b - *r;
        }
        let norm = if size > 0.0 { self.norm.max(image / size) } else { self.norm };
        let unit = 100.0 * b.len() as f64 * T::EPSILON.f64();
        (norm2(&self.residual), unit * (norm * size + norm2(b)))
    }

    fn run(&mut self, b: &[T], x: &mut [T], transposed: bool) -> Result<Report> {
        let (n, start) = (self.factors.len(), Instant::now());
        Error::check_len("b", b.len(), n, "the size of the system")?;
        Error::check_len("x", x.len(), n, "the size of the system")?;
        Error::check_finite("b", b)?;
        let back = |factors: &mut F, x: &mut [T]| {
            if transposed { factors.solve_transpose(x) } else { factors.solve(x) }
        };
        x.copy_from_slice(b);
        back(&mut self.factors, x);
        let (mut norm, mut target) = self.measure(b, x, transposed);
        let mut history = vec![(0, norm2(b)), (1, norm)];
        if norm > target {
            self.correction.copy_from_slice(&self.residual);
            back(&mut self.factors, &mut self.correction);
            for (x, d) in x.iter_mut().zip(&self.correction) {
                *x += *d;
            }
            (norm, target) = self.measure(b, x, transposed);
            history.push((2, norm));
        }
        let outcome = match norm {
            norm if norm <= target => Outcome::Converged,
            norm if norm.is_finite() => Outcome::Stagnated,
            _ => Outcome::NonFinite,
        };
        let solves = history.len() - 1;
        Ok(Report {
            outcome,
            iterations: solves,
            residuals: history.iter().map(|r| r.1).collect(),
            true_residuals: history,
            scale: norm2(b),
            applications: solves,
            preconditions: solves,
            time: start.elapsed(),
        })
    }
}

impl<T: Real, A: LinearOperator<T>, F: Factors<T>> LinearSolver<T> for Direct<T, A, F> {
    fn len(&self) -> usize {
        self.factors.len()
    }
    fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        self.run(b, x, false)
    }
    fn solve_transpose(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        self.run(b, x, true)
    }
}

/// ‖x‖₂ in f64, scaled so that it neither overflows nor vanishes.
fn norm2<T: Real>(x: &[T]) -> f64 {
    let largest = x.iter().fold(0.0, |m: f64, v| if v.f64().abs() <= m { m } else { v.f64().abs() });
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * x.iter().map(|v| (v.f64() / largest).powi(2)).sum::<f64>().sqrt()
}

/// The error of a factorisation that met a pivot it cannot divide by.
#[cold]
pub(super) fn singular(what: &str, column: usize, pivot: f64) -> Error {
    let needed = if pivot.is_finite() {
        "it must not be 0: the matrix is singular (an equation is missing or repeated)"
    } else {
        "the matrix must be finite: a NaN or infinity was given, or the elimination overflowed"
    };
    Error::invalid(format!("the pivot of column {column} in {what}"), pivot, needed)
}
