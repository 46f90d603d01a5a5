//! Gradients of losses on solutions, and of penalties on their steps, with respect to θ and y0.

mod backsolve;
mod checkpoint;
mod discrete;
mod events;
mod reversible;

pub use crate::integrate::Injection;
pub use backsolve::Backsolve;
pub use checkpoint::Memory;
pub use discrete::{AdjointStatistics, DiscreteAdjoint, Evaluation, Weighted};
pub use events::{EventAdjoint, EventCotangent};
pub use reversible::ReversibleAdjoint;
