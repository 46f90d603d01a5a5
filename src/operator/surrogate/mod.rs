//! What surrogates of partial differential equations are trained and judged by: norms of fields with
//! their gradients ([`FieldNorm`]) and normalisers fitted on the training set ([`Normaliser`]).

mod field_norm;
mod normaliser;

pub use field_norm::FieldNorm;
pub use normaliser::{Normaliser, Scope};
