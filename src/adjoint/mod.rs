//! Gradients of losses on solutions, and of penalties on their steps, with respect to θ and y0.

mod checkpoint;
mod discrete;

pub use crate::integrate::Injection;
pub use checkpoint::Memory;
pub use discrete::{AdjointStatistics, DiscreteAdjoint, Evaluation, Weighted};
