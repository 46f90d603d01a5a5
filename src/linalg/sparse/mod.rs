//! Direct factorisations of sparse matrices: analysed once, refactored for new values of the same
//! pattern.

mod front;
mod general;
mod lu;
mod symbolic;

pub use lu::SparseLu;
