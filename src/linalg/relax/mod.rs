//! Stationary iterations x ← x + M⁻¹(b − A x), with A = D + L + U (diagonal, strictly lower,
//! strictly upper part):
//!
//! | method | M |
//! |---|---|
//! | [`Richardson`] | I/ω |
//! | [`Jacobi`] | D/ω |
//! | [`GaussSeidel`], natural | D/ω + L (ω = 1: Gauss–Seidel, else SOR) |
//! | [`GaussSeidel`], reverse | D/ω + U |
//! | [`GaussSeidel`], symmetric | (D + ωL) D⁻¹ (D + ωU)/(ω(2−ω)) (SSOR) |
//!
//! Each is a smoother of multigrid, a solver and a preconditioner.
//! Sources: Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., ch. 4; D. M. Young,
//! Iterative Solution of Large Linear Systems (1971).

mod fused;
mod gauss_seidel;
mod jacobi;
mod richardson;
mod setup;
mod sor;

pub use gauss_seidel::{GaussSeidel, Sweep};
pub use jacobi::Jacobi;
pub use richardson::Richardson;
pub use sor::{optimal_omega, sor_radius};
