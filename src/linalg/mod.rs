//! Sparse and dense linear algebra, the one layer that implicit integrators and operator modules share.
//!
//! [`LinearOperator`], [`Preconditioner`] and [`LinearSolver`] are the seams; [`Csr`] is the sparse
//! matrix. Whatever implements the seams (a stencil, a Jacobian, a network) works in every solver.

mod csr;
mod deflation;
pub mod eigen;
pub mod krylov;
mod monitor;
mod op;
mod report;
pub mod vector;

pub use csr::Csr;
pub use deflation::Deflation;
pub use monitor::Monitor;
pub use op::{Claims, Identity, LinearOperator, LinearSolver, Preconditioner, Relaxation};
pub use report::{Outcome, Report, Settings, Side};
