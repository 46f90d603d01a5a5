//! What all implicit methods share: the iteration matrix W = αM − J with its linear solver
//! ([`IterationMatrix`]), and what a user may choose about it ([`ImplicitOptions`]).

mod consistent;
mod free;
mod linear;
mod matrix;
pub(crate) mod newton;
mod options;
mod sequence;
mod slope;

pub use consistent::Algebraic;
pub use free::{Linearisation, MatrixFree, MatrixFreeFactory};
pub(crate) use linear::BlockSolver;
pub use matrix::IterationMatrix;
pub(crate) use matrix::{add_mass, band, sparse_jacobian};
pub use newton::NewtonOptions;
pub(crate) use options::step_methods;
pub use options::{
    Configured, ImplicitMethod, ImplicitOptions, KrylovChoice, KrylovMethod, LinearChoice,
    PreconditionerFactory,
};
pub use sequence::{SequenceChoice, SequenceFactory};
pub(crate) use slope::Slope;
