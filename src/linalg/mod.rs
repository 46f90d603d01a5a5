//! Sparse and dense linear algebra, the one layer that implicit integrators and operator modules share.
//!
//! [`LinearOperator`], [`Preconditioner`] and [`LinearSolver`] are the seams; [`Csr`] is the sparse
//! matrix. Whatever implements the seams (a stencil, a Jacobian, a network) works in every solver.

mod banded;
mod budget;
mod color;
mod csr;
pub mod dense;
mod direct;
mod op;
mod pattern;
mod report;
mod sparse;

pub use banded::BandedLu;
pub use budget::Budget;
pub use color::Coloring;
pub use csr::Csr;
pub use dense::{DenseCholesky, DenseLu, DenseQr};
pub use direct::{Direct, Factors};
pub use op::{Claims, Identity, LinearOperator, LinearSolver, Preconditioner, Relaxation};
pub use pattern::Pattern;
pub use report::{Outcome, Report, Settings, Side};
pub use sparse::{SparseCholesky, SparseLu, SparseQr};
