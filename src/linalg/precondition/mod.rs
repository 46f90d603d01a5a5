//! Preconditioners that are made of the matrix's entries.
//!
//! | type | M | SPD where |
//! |---|---|---|
//! | [`Jacobi`](super::relax::Jacobi) | D/ω | D > 0 |
//! | [`Ssor`] | (D + ωL) D⁻¹ (D + ωU)/(ω(2−ω)) | A = Aᵀ, D > 0 |
//! | [`IncompleteCholesky`] | L̂ D̂ L̂ᵀ ≈ A on A's pattern | always (else there is none) |
//! | [`IncompleteLu`] | L̂ D̂ Û ≈ A on A's pattern | – |
//! | [`FromRelaxation`] | k sweeps of any relaxation from zero | symmetric sweeps |
//! | [`Closure`] | what the caller writes | as the caller claims |
//!
//! The triangular solves are most of their cost: the notes in `factors.rs` say how they are laid out.

mod closure;
mod factors;
mod from_relaxation;
mod incomplete_cholesky;
mod incomplete_lu;
mod ssor;

pub use closure::Closure;
pub(crate) use factors::Triangle;
pub use from_relaxation::FromRelaxation;
pub use incomplete_cholesky::IncompleteCholesky;
pub use incomplete_lu::{Incomplete, IncompleteLu};
pub use ssor::Ssor;
