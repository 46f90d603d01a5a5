//! Linear maps ([`LinearOperator`]), approximate inverses ([`Preconditioner`]) and solvers
//! ([`LinearSolver`]): what every iteration, every grid, every multigrid cycle and every learned
//! module implements or takes.
//!
//! Vectors are slices. Lengths are checked where a solve begins; the methods here trust them.

use super::csr::Csr;
use super::report::Report;
use super::vector::dot;
use crate::error::{Error, Result};
use crate::num::Real;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A linear map x ↦ A x from ℝⁿ (`cols`) to ℝᵐ (`rows`), with its transpose.
///
/// An operator that needs memory to be applied (a product, a matrix-free Jacobian) keeps it behind a
/// `RefCell`, so that solvers can share the operator by reference.
pub trait LinearOperator<T: Real> {
    /// m, the length of A x.
    fn rows(&self) -> usize;

    /// n, the length of x.
    fn cols(&self) -> usize;

    /// `y` ← A `x`.
    fn apply(&self, x: &[T], y: &mut [T]);

    /// `x` ← Aᵀ `y`.
    fn apply_transpose(&self, y: &[T], x: &mut [T]);

    /// `r` ← `b` − A `x`.
    fn residual(&self, b: &[T], x: &[T], r: &mut [T]) {
        self.apply(x, r);
        for (r, b) in r.iter_mut().zip(b) {
            *r = *b - *r;
        }
    }

    /// `y` ← A `x` of a square operator; returns x·y, which operators may take in the same pass.
    fn apply_dot(&self, x: &[T], y: &mut [T]) -> f64 {
        self.apply(x, y);
        dot(x, y)
    }

    /// ACCUMULATES: `y` += A `x`. `scratch` is free memory of y's length.
    fn apply_add(&self, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.apply(x, scratch);
        for (y, s) in y.iter_mut().zip(scratch) {
            *y += *s;
        }
    }

    /// The diagonal of a square operator, where it is known without applying it.
    fn diagonal(&self) -> Option<Vec<T>> {
        None
    }
}

impl<T: Real, A: LinearOperator<T> + ?Sized> LinearOperator<T> for &A {
    fn rows(&self) -> usize {
        (**self).rows()
    }
    fn cols(&self) -> usize {
        (**self).cols()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        (**self).apply(x, y);
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        (**self).apply_transpose(y, x);
    }
    fn residual(&self, b: &[T], x: &[T], r: &mut [T]) {
        (**self).residual(b, x, r);
    }
    fn apply_dot(&self, x: &[T], y: &mut [T]) -> f64 {
        (**self).apply_dot(x, y)
    }
    fn apply_add(&self, x: &[T], y: &mut [T], scratch: &mut [T]) {
        (**self).apply_add(x, y, scratch);
    }
    fn diagonal(&self) -> Option<Vec<T>> {
        (**self).diagonal()
    }
}

/// What a preconditioner promises about r ↦ M⁻¹ r. Solvers check it: CG and MINRES take only
/// [`Claims::SPD`], GMRES and BiCGStab only linear ones, the flexible methods anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The map is linear and the same in every call.
    pub linear: bool,
    /// The map is linear, symmetric and positive definite.
    pub spd: bool,
}

impl Claims {
    /// Nothing: the map may depend on r nonlinearly and change from call to call.
    pub const NONE: Self = Self { linear: false, spd: false };
    /// Linear and the same in every call.
    pub const LINEAR: Self = Self { linear: true, spd: false };
    /// Linear, symmetric and positive definite.
    pub const SPD: Self = Self { linear: true, spd: true };
}

/// An approximate inverse z = M⁻¹ r; with flexible CG also a proposer of search directions, which may
/// be nonlinear (a network).
pub trait Preconditioner<T: Real> {
    /// Length of r and z.
    fn len(&self) -> usize;

    /// Whether it acts on empty vectors (it never does in a solve).
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it promises.
    fn claims(&self) -> Claims;

    /// Whether M = I, so that methods skip it.
    fn is_identity(&self) -> bool {
        false
    }

    /// `z` ← M⁻¹ `r`.
    fn apply(&mut self, r: &[T], z: &mut [T]);

    /// `z` ← M⁻ᵀ `r`; the same as [`apply`](Self::apply) for an SPD one.
    ///
    /// # Errors
    /// A preconditioner that has no transpose.
    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        if !self.claims().spd {
            let needed = "a transposed solve needs apply_transpose, or a preconditioner that is SPD";
            return Err(Error::invalid("the preconditioner", "without a transpose", needed));
        }
        self.apply(r, z);
        Ok(())
    }
}

impl<T: Real, P: Preconditioner<T> + ?Sized> Preconditioner<T> for &mut P {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn claims(&self) -> Claims {
        (**self).claims()
    }
    fn is_identity(&self) -> bool {
        (**self).is_identity()
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        (**self).apply(r, z);
    }
    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        (**self).apply_transpose(r, z)
    }
}

impl<T: Real, P: Preconditioner<T> + ?Sized> Preconditioner<T> for Box<P> {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn claims(&self) -> Claims {
        (**self).claims()
    }
    fn is_identity(&self) -> bool {
        (**self).is_identity()
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        (**self).apply(r, z);
    }
    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        (**self).apply_transpose(r, z)
    }
}

/// M = I.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(
    /// The length of its vectors.
    pub usize,
);

impl<T: Real> Preconditioner<T> for Identity {
    fn len(&self) -> usize {
        self.0
    }
    fn claims(&self) -> Claims {
        Claims::SPD
    }
    fn is_identity(&self) -> bool {
        true
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        z.copy_from_slice(r);
    }
}

/// A stationary iteration x ← x + M⁻¹(b − A x) for an operator of type `A`: a smoother of multigrid, a
/// solver of its own, or (one sweep from zero) a preconditioner. It holds what its set-up computed
/// (a diagonal, colours, factors); the operator is passed in, so that a hierarchy can own both.
pub trait Relaxation<T: Real, A: ?Sized> {
    /// One sweep on A x = `b`, in place.
    fn sweep(&mut self, a: &A, b: &[T], x: &mut [T]);

    /// One sweep of the adjoint iteration x ← x + M⁻ᵀ(b − A x) for symmetric A: after `sweep`
    /// before the coarse correction and this one after it, a cycle is symmetric.
    fn sweep_adjoint(&mut self, a: &A, b: &[T], x: &mut [T]);

    /// One sweep from x = 0: `x` ← M⁻¹ `b` (what x held does not matter). Methods that save work
    /// there override it.
    fn sweep_from_zero(&mut self, a: &A, b: &[T], x: &mut [T]) {
        x.fill(T::zero());
        self.sweep(a, b, x);
    }

    /// One step of the transposed iteration from zero: `x` ← M⁻ᵀ `b`, for any A (symmetric or not).
    ///
    /// # Errors
    /// A method without a transpose.
    fn transpose_from_zero(&mut self, a: &A, b: &[T], x: &mut [T]) -> Result<()> {
        if !self.is_spd() {
            let needed = "a transposed solve needs transpose_from_zero, or a symmetric method";
            return Err(Error::invalid("the relaxation", "without a transpose", needed));
        }
        self.sweep_from_zero(a, b, x);
        Ok(())
    }

    /// Whether M = Mᵀ > 0, so that one sweep from zero is an SPD preconditioner.
    fn is_spd(&self) -> bool {
        false
    }

    /// Whether k sweeps from zero, Σ_{i<k} (I − M⁻¹A)ⁱ M⁻¹, are an SPD preconditioner. One sweep is
    /// when M is. For more, A must be symmetric too; then an odd k is, and an even k is where
    /// λmax(M⁻¹A) < 2. Methods that know so override it.
    fn sweeps_are_spd(&self, sweeps: usize) -> bool {
        sweeps == 1 && self.is_spd()
    }
}

/// A solver of A x = b that was set up once and solves for many b.
pub trait LinearSolver<T: Real> {
    /// Length of b and x.
    fn len(&self) -> usize;

    /// Whether the system is empty (constructors refuse that).
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Solves A x = `b`. `x` is the initial guess on entry (direct solvers ignore it). A solve that
    /// does not converge is no error: the report says why, and `x` holds the best it has.
    ///
    /// # Errors
    /// Wrong lengths, entries that are not finite, a preconditioner whose claims the method cannot use.
    fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report>;

    /// Solves Aᵀ x = `b`, as [`solve`](Self::solve).
    ///
    /// # Errors
    /// As [`solve`](Self::solve).
    fn solve_transpose(&mut self, b: &[T], x: &mut [T]) -> Result<Report>;
}

/// A solver for a sequence of systems that share their pattern: it may carry over what it has learned or analysed
/// (orderings, parameters tuned by the cost of earlier solves). Shared behind `Arc<Mutex<_>>` it can be looked
/// at while an integrator owns it.
pub trait SequenceSolver<T: Real>: LinearSolver<T> {
    /// Takes the next matrix, of the pattern of the first. `context` describes it to solvers that learn: implicit
    /// integrators give log₁₀ hγ.
    ///
    /// # Errors
    /// Another size or pattern, values that it cannot serve; a context that is not finite.
    fn refill(&mut self, a: &Csr<T>, context: f64) -> Result<()>;
}

fn locked<S>(shared: &Mutex<S>) -> MutexGuard<'_, S> {
    // A panic elsewhere leaves numbers that the next refill overwrites.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Real, S: LinearSolver<T>> LinearSolver<T> for Arc<Mutex<S>> {
    fn len(&self) -> usize {
        locked(self).len()
    }

    fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        locked(self).solve(b, x)
    }

    fn solve_transpose(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        locked(self).solve_transpose(b, x)
    }
}

impl<T: Real, S: SequenceSolver<T>> SequenceSolver<T> for Arc<Mutex<S>> {
    fn refill(&mut self, a: &Csr<T>, context: f64) -> Result<()> {
        locked(self).refill(a, context)
    }
}
