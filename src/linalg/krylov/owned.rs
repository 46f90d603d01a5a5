//! [`Owned`]: a method with the operator and preconditioner that it solves with, as a [`LinearSolver`].

use super::{BiCgStab, Cg, Gmres, LinearOperator, LinearSolver, Lsmr, Lsqr, MinRes, Preconditioner, Report};
use crate::error::{Error, Result};
use crate::linalg::op::Claims;
use crate::num::Real;

/// A Krylov method: everything that solves A x = b with a preconditioner.
pub trait Method<T: Real> {
    /// Solves A x = `b` from the guess in `x`.
    ///
    /// # Errors
    /// Lengths that do not fit, entries that are not finite, claims that the method cannot use.
    fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized;
}

macro_rules! methods {
    ($($method:ident),*) => {$(
        impl<T: Real> Method<T> for $method<T> {
            fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
            where
                A: LinearOperator<T> + ?Sized,
                M: Preconditioner<T> + ?Sized,
            {
                $method::solve(self, a, m, b, x)
            }
        }
    )*};
}
methods!(BiCgStab, Cg, Gmres, Lsmr, Lsqr, MinRes);

/// An operator and its preconditioner.
#[derive(Clone, Debug)]
pub struct System<A, M> {
    /// A.
    pub operator: A,
    /// M.
    pub preconditioner: M,
}

/// A method and the system it solves: a [`LinearSolver`], for whatever wants one.
///
/// ```
/// use odeon::linalg::krylov::{Cg, Owned};
/// use odeon::linalg::{Csr, Identity, LinearSolver, Settings};
///
/// let mut solver = Owned::new(Cg::new(3, Settings::default())?, Csr::<f64>::identity(3), Identity(3));
/// let mut x = [0.0; 3];
/// solver.solve(&[1.0, 2.0, 3.0], &mut x)?.ok()?;
/// assert_eq!(x, [1.0, 2.0, 3.0]);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Owned<K, S> {
    /// The method.
    pub method: K,
    /// What it solves.
    pub system: S,
}

impl<K, A, M> Owned<K, System<A, M>> {
    /// Ties the three together; sizes and claims are checked when it solves.
    pub fn new(method: K, operator: A, preconditioner: M) -> Self {
        Self { method, system: System { operator, preconditioner } }
    }
}

impl<T, K, A, M> LinearSolver<T> for Owned<K, System<A, M>>
where
    T: Real,
    K: Method<T>,
    A: LinearOperator<T>,
    M: Preconditioner<T>,
{
    fn len(&self) -> usize {
        self.system.operator.rows()
    }

    fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        let System { operator, preconditioner } = &mut self.system;
        self.method.solve(operator, preconditioner, b, x)
    }

    fn solve_transpose(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        let System { operator, preconditioner } = &mut self.system;
        solve_transpose(&mut self.method, operator, preconditioner, b, x)
    }
}

/// Solves Aᵀ x = `b` by any method, with M⁻ᵀ for its preconditioner.
///
/// # Errors
/// As the method's `solve`; a preconditioner without a transpose.
pub fn solve_transpose<T, A, M>(
    method: &mut impl Method<T>,
    a: &A,
    m: &mut M,
    b: &[T],
    x: &mut [T],
) -> Result<Report>
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
    M: Preconditioner<T> + ?Sized,
{
    let mut m = TransposedPreconditioner { inner: m, failed: None };
    let report = method.solve(&Transposed(a), &mut m, b, x);
    match m.failed {
        Some(error) => Err(error),
        None => report,
    }
}

/// Aᵀ as an operator.
struct Transposed<'a, A: ?Sized>(&'a A);

impl<T: Real, A: LinearOperator<T> + ?Sized> LinearOperator<T> for Transposed<'_, A> {
    fn rows(&self) -> usize {
        self.0.cols()
    }
    fn cols(&self) -> usize {
        self.0.rows()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        self.0.apply_transpose(x, y);
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        self.0.apply(y, x);
    }
    fn diagonal(&self) -> Option<Vec<T>> {
        self.0.diagonal()
    }
}

/// M⁻ᵀ as a preconditioner. Where M has no transpose it answers NaN, which ends the solve, and keeps
/// the reason.
struct TransposedPreconditioner<'a, M: ?Sized> {
    inner: &'a mut M,
    failed: Option<Error>,
}

impl<T: Real, M: Preconditioner<T> + ?Sized> Preconditioner<T> for TransposedPreconditioner<'_, M> {
    fn len(&self) -> usize {
        self.inner.len()
    }
    fn claims(&self) -> Claims {
        self.inner.claims()
    }
    fn is_identity(&self) -> bool {
        self.inner.is_identity()
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        if let Err(error) = self.inner.apply_transpose(r, z) {
            self.failed = Some(error);
            z.fill(T::NAN);
        }
    }
    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        self.inner.apply(r, z);
        Ok(())
    }
}
