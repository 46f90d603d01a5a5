//! Gradients of losses on solutions, and of penalties on their steps, with respect to θ and y0.

mod backsolve;
mod checkpoint;
mod continuous;
mod discrete;
mod reversible;

pub use crate::integrate::Injection;
pub use backsolve::Backsolve;
pub use checkpoint::Memory;
pub use continuous::{Augmented, AugmentedScratch, Continuous, ContinuousAdjoint, OnDrift, WayBack};
pub use discrete::{AdjointStatistics, DiscreteAdjoint, Evaluation, Weighted};
pub use reversible::ReversibleAdjoint;
