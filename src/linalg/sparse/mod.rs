//! Direct factorisations of sparse matrices: analysed once, refactored for new values of the same
//! pattern.

mod cholesky;
mod front;
mod general;
mod lu;
mod symbolic;

pub use cholesky::{SparseCholesky, SparseQr};
pub use lu::SparseLu;
