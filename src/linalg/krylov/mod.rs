//! Krylov iterations: conjugate gradients in all its forms, MINRES, GMRES, BiCGStab, LSQR and LSMR.
//!
//! | method | for | preconditioner | vectors held | A per iteration |
//! |---|---|---|---|---|
//! | [`Cg`] | A symmetric positive definite | SPD; anything with a window | 4, or 2 + 2k | 1 |
//! | [`SsorCg`] | A symmetric positive definite | SSOR, built in | 5 | two triangular solves |
//! | [`GuardedCg`] | A symmetric positive definite | any proposer, SPD behind it | 5 + 2k | 1 or 2 |
//! | [`MinRes`] | A symmetric | SPD | 7 | 1 |
//! | [`Gmres`] | any A | linear; anything when flexible | m + 4, 2m + 4 flexible | 1 |
//! | [`BiCgStab`] | any A | linear | 8 | 2 |
//! | [`Lsqr`], [`Lsmr`] | any shape, least squares | linear, from the right | 6, 7 | A and Aᵀ |
//!
//! A method is built for n unknowns and holds its work space; `solve` takes the operator, the
//! preconditioner, b and the initial guess in x, and returns a [`Report`]. [`Owned`] ties the three
//! together as a [`LinearSolver`]. Convergence is always that of the true residual b − A x
//! ([`Monitor`]): when a recurrence claims it and the truth disagrees, the truth replaces the
//! recurrence and the iteration goes on.

mod bicgstab;
mod bidiagonal;
mod cg;
mod fcg;
mod gmres;
mod guarded;
mod hessenberg;
mod lsmr;
mod lsqr;
mod minres;
mod narrow;
mod owned;
mod ssor_cg;

pub use bicgstab::BiCgStab;
pub use cg::{Cg, Directions};
pub use fcg::Normalised;
pub use gmres::Gmres;
pub use guarded::{GuardedCg, Guidance};
pub use lsmr::Lsmr;
pub use lsqr::Lsqr;
pub use minres::MinRes;
pub use narrow::Narrow;
pub use owned::{Method, Owned, System, solve_transpose};
pub use ssor_cg::{Matrix, SsorCg};

use super::monitor::Monitor;
use super::op::{LinearOperator, LinearSolver, Preconditioner};
use super::report::{Outcome, Report, Settings};
use super::vector::norm2;
use crate::error::{Error, Result};
use crate::num::Real;

/// Checks the settings and that there are unknowns.
fn check_new(n: usize, settings: &Settings) -> Result<()> {
    if n == 0 {
        return Err(Error::invalid("the number of unknowns", n, "it must be at least 1"));
    }
    settings.check()
}

/// Checks that a square operator and its preconditioner have `n` unknowns.
fn check_square<T: Real>(
    n: usize,
    a: &(impl LinearOperator<T> + ?Sized),
    m: &(impl Preconditioner<T> + ?Sized),
) -> Result<()> {
    if [a.rows(), a.cols()] != [n, n] {
        let given = format!("{} × {}", a.rows(), a.cols());
        return Err(Error::invalid("the operator", given, format!("this method was built for {n} × {n}")));
    }
    Error::check_len("the preconditioner", m.len(), n, "the unknowns of the operator")
}

/// Refuses preconditioners that are not symmetric positive definite; `instead` is what takes them.
fn require_spd<T: Real>(method: &str, m: &(impl Preconditioner<T> + ?Sized), instead: &str) -> Result<()> {
    if m.claims().spd {
        return Ok(());
    }
    let needed = format!("{method} needs one that is SPD; {instead}");
    Err(Error::invalid("the preconditioner", "not symmetric positive definite by its claims", needed))
}

/// Refuses preconditioners that are not linear.
fn require_linear<T: Real>(method: &str, m: &(impl Preconditioner<T> + ?Sized)) -> Result<()> {
    if m.claims().linear {
        return Ok(());
    }
    let needed = format!("{method} needs a linear one; flexible GMRES (Gmres::flexible) takes any");
    Err(Error::invalid("the preconditioner", "not linear by its claims", needed))
}

/// `r` ← b − A x; its norm.
fn true_residual<T: Real>(
    a: &(impl LinearOperator<T> + ?Sized),
    [b, x]: [&[T]; 2],
    r: &mut [T],
    monitor: &mut Monitor,
) -> f64 {
    a.residual(b, x, r);
    monitor.applied(1);
    norm2(r)
}
