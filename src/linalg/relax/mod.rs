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
//! | [`Multicolor`] | the same with colours for rows, in parallel |
//! | [`BlockJacobi`], [`BlockGaussSeidel`] | the same with blocks for entries |
//! | [`Chebyshev`] | a polynomial in D⁻¹A |
//!
//! Each is a smoother of multigrid, a solver ([`Stationary`]) and a preconditioner
//! ([`FromRelaxation`](super::precondition::FromRelaxation)).
//! Sources: Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., ch. 4; D. M. Young,
//! Iterative Solution of Large Linear Systems (1971).

mod block;
mod chebyshev;
mod fused;
mod gauss_seidel;
mod jacobi;
mod multicolor;
mod richardson;
pub(crate) mod setup;
mod solver;
mod sor;

pub use block::{BlockGaussSeidel, BlockJacobi};
pub use chebyshev::Chebyshev;
pub use gauss_seidel::{GaussSeidel, Sweep};
pub use jacobi::Jacobi;
pub use multicolor::Multicolor;
pub use richardson::Richardson;
pub use solver::{Splitting, Stationary};
pub use sor::{optimal_omega, sor_radius};
