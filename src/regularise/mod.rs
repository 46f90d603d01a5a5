//! Penalties made of solver heuristics: what a training loss adds so that the learned equation is
//! cheap to solve.
//!
//! - [`Global`]: a heuristic aggregated over all accepted steps (Pal, Ma, Shah & Rackauckas,
//!   "Opening the Blackbox", ICML 2021). Its gradient comes with the discrete adjoint.
//! - [`Local`]: one extra step at a random time (Pal, Edelman & Rackauckas, "Locally Regularized
//!   Neural Differential Equations", ICML 2023) and unbiased estimators of the global sum; it works
//!   with every adjoint.
//! - Baselines: [`Steer`], [`KineticEnergy`], [`Rnode`], [`TotalDerivative`] (TayNODE).
//! - λ over the iterations: [`LambdaSchedule`] and the NFE [`Budget`].
//!
//! Held constant in every gradient: all step sizes (the automatic first one included), the
//! accept/reject decisions and the random draws.

mod baseline;
mod budget;
mod check;
mod combine;
mod extra;
mod global;
mod local;
mod rnode;
mod rows;
mod schedule;
mod surrogate;
mod total_derivative;

pub use baseline::{KineticEnergy, Steer};
pub use budget::{Budget, DualStep};
pub use check::check_heuristic;
pub use combine::{Combined, HeuristicSum};
pub use extra::{ExtraStep, FirstStage, Size};
pub use global::{Aggregation, Global, StepWeight};
pub use local::{Draw, Local, Sampling};
pub use rnode::Rnode;
pub use schedule::LambdaSchedule;
pub use surrogate::{StepCount, Surrogate};
pub use total_derivative::{TotalDerivative, TotalDerivativeScratch};
