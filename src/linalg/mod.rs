//! Sparse and dense linear algebra, the one layer that implicit integrators and operator modules share.
//!
//! [`LinearOperator`], [`Preconditioner`] and [`LinearSolver`] are the seams; [`Csr`] is the sparse
//! matrix. Whatever implements the seams (a stencil, a Jacobian, a network) works in every solver.

pub mod compose;
mod csr;
pub mod io;
mod op;
mod report;

pub use csr::Csr;
pub use op::{Claims, Identity, LinearOperator, LinearSolver, Preconditioner, Relaxation};
pub use report::{Outcome, Report, Settings, Side};
