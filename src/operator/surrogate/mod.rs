//! What surrogates of partial differential equations are trained and judged by: norms of fields with
//! their gradients ([`FieldNorm`]), normalisers fitted on the training set ([`Normaliser`]), roll-outs of
//! one-step surrogates ([`Rollout`]), how long they stay true ([`high_correlation_time`]) and what they keep of
//! small scales ([`shell_spectrum`]).

mod field_norm;
mod normaliser;
mod rollout;
mod spectrum;

pub use field_norm::FieldNorm;
pub use normaliser::{Normaliser, Scope};
pub use rollout::{Rollout, Through, add_noise, correlation, high_correlation_time};
pub use spectrum::shell_spectrum;
