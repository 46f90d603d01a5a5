//! Sparse and dense linear algebra, the one layer that implicit integrators and operator modules share.
//!
//! [`LinearOperator`], [`Preconditioner`] and [`LinearSolver`] are the seams; [`Csr`] is the sparse
//! matrix. Whatever implements the seams (a stencil, a Jacobian, a network) works in every solver.

mod banded;
mod budget;
mod color;
pub mod compose;
mod csr;
mod deflation;
pub mod dense;
mod direct;
pub mod eigen;
pub mod grid;
pub mod io;
pub mod krylov;
pub mod model;
mod monitor;
pub mod multigrid;
mod op;
mod pattern;
pub mod precondition;
pub mod relax;
mod report;
mod sparse;
pub mod vector;

pub use banded::BandedLu;
pub use budget::Budget;
pub use color::Coloring;
pub use csr::Csr;
pub use deflation::Deflation;
pub use dense::{DenseCholesky, DenseLu, DenseQr};
pub use direct::{Direct, Factors};
pub use monitor::Monitor;
pub use op::{Claims, Identity, LinearOperator, LinearSolver, Preconditioner, Relaxation, SequenceSolver};
pub use pattern::Pattern;
pub use report::{Outcome, Report, Settings, Side};
pub use sparse::{SparseCholesky, SparseLu, SparseQr};
