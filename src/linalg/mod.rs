//! Sparse and dense linear algebra, the one layer that implicit integrators and operator modules share.
//!
//! [`LinearOperator`], [`Preconditioner`] and [`LinearSolver`] are the seams; [`Csr`] is the sparse
//! matrix. Whatever implements the seams (a stencil, a Jacobian, a network) works in every solver.

mod csr;
pub mod eigen;
pub mod grid;
pub mod krylov;
pub mod model;
mod monitor;
pub mod multigrid;
mod op;
pub mod relax;
mod report;
pub mod vector;

pub use csr::Csr;
pub use monitor::Monitor;
pub use op::{Claims, Identity, LinearOperator, LinearSolver, Preconditioner, Relaxation};
pub use report::{Outcome, Report, Settings, Side};
