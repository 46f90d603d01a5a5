//! Gradients of losses on solutions, and of penalties on their steps, with respect to θ, y0 and the ends of time.
//!
//! [`value_and_gradient`] takes the adjoint as a value, [`Adjoint`]. Behind it, for who calls many times:
//! [`DiscreteAdjoint`] (through the accepted steps, checkpointed by a byte budget), [`ReversibleAdjoint`]
//! (through steps that are taken back algebraically), [`ContinuousAdjoint`] (the adjoint equation, a solve of
//! its own), [`ForwardSensitivity`] (tangents carried along) with [`GaussNewton`] for least squares,
//! [`Hessian`] (second derivatives along a direction), [`step_size_gradient`] (through the controller).
//! [`DiscreteAdjoint::certify`] estimates the error of a loss, [`check_gradient`] compares a gradient with
//! differences. `docs/adjoints.md` says which when. [`Backsolve`] is the continuous adjoint of stochastic equations.

mod backsolve;
mod certificate;
mod check;
mod checkpoint;
mod choice;
mod continuous;
mod discrete;
mod evaluation;
mod events;
mod forward;
mod gauss_newton;
mod hessian;
mod reversible;
mod spill;
mod step_sizes;
mod times;

pub use crate::integrate::Injection;
pub use backsolve::Backsolve;
pub use certificate::LossError;
pub use check::{SolveCheckOptions, SolveEntry, SolveReport, check_gradient};
pub use checkpoint::Memory;
pub use choice::{Adjoint, Gradient, GradientMethod, Loss, value_and_gradient};
pub use continuous::{Augmented, AugmentedScratch, Continuous, ContinuousAdjoint, OnDrift, WayBack};
pub use discrete::DiscreteAdjoint;
pub use evaluation::{AdjointStatistics, Evaluation, Weighted};
pub use events::{EventAdjoint, EventCotangent};
pub use forward::{Directions, ForwardGradient, ForwardSensitivity, forward_gradient};
pub use gauss_newton::GaussNewton;
pub use hessian::{Hessian, HessianProduct, SecondOrderLoss};
pub use reversible::ReversibleAdjoint;
pub use spill::Spill;
pub use step_sizes::{StepSizeGradient, StepSizes, step_size_gradient};
pub use times::time_gradients;
