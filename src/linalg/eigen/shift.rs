//! [`ShiftInvert`]: eigenvalues near a number, by any linear solver.

use crate::error::{Error, Result};
use crate::linalg::op::{LinearOperator, LinearSolver};
use crate::linalg::report::Report;
use crate::num::Real;
use std::cell::RefCell;

/// (A − σI)⁻¹ as an operator, by a solver of A − σI (a factorisation, or an iteration to a tolerance below
/// that of the eigenvalues). Its largest eigenvalues θ belong to the eigenvalues λ = σ + 1/θ of A nearest
/// to σ; the vectors are the same.
///
/// A solve that fails gives NaN, which ends the eigenvalue iteration; [`check`](Self::check) then says why.
#[derive(Debug)]
pub struct ShiftInvert<S> {
    solver: RefCell<S>,
    shift: f64,
    failed: RefCell<Option<Error>>,
}

impl<S> ShiftInvert<S> {
    /// Wraps a solver of A − `shift` I.
    pub fn new(solver: S, shift: f64) -> Self {
        Self { solver: RefCell::new(solver), shift, failed: RefCell::new(None) }
    }

    /// λ = σ + 1/θ for a real θ.
    pub fn eigenvalue(&self, theta: f64) -> f64 {
        self.shift + 1.0 / theta
    }

    /// λ = σ + 1/θ for θ = [real, imaginary].
    pub fn complex_eigenvalue(&self, [re, im]: [f64; 2]) -> [f64; 2] {
        let square = re * re + im * im;
        [self.shift + re / square, -im / square]
    }

    /// The solver itself.
    pub fn into_inner(self) -> S {
        self.solver.into_inner()
    }

    /// Whether every solve went well.
    ///
    /// # Errors
    /// That of the first solve that failed.
    pub fn check(&self) -> Result<()> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn run<T: Real>(&self, x: &mut [T], work: impl FnOnce(&mut S, &mut [T]) -> Result<Report>) {
        x.fill(T::zero());
        let report = work(&mut self.solver.borrow_mut(), x);
        if let Err(error) = report.and_then(Report::ok) {
            x.fill(T::NAN);
            self.failed.borrow_mut().get_or_insert(error);
        }
    }
}

impl<T: Real, S: LinearSolver<T>> LinearOperator<T> for ShiftInvert<S> {
    fn rows(&self) -> usize {
        self.solver.borrow().len()
    }
    fn cols(&self) -> usize {
        self.solver.borrow().len()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        self.run(y, |solver, y| solver.solve(x, y));
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        self.run(x, |solver, x| solver.solve_transpose(y, x));
    }
}
