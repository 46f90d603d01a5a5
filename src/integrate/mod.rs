//! The one engine: the adaptive loop, its controllers, step records, dense output, saving,
//! statistics and heuristics. It knows steppers, not vector fields, and does not know that adjoints exist.

mod control;
mod controller;
mod drive;
mod heuristic;
mod initial;
mod interrupt;
mod observer;
mod options;
mod reversible;
mod solution;
mod step;

pub use crate::error::Member;
pub use control::{ControlCotangent, Decision};
pub use controller::{Controller, History};
pub(crate) use controller::{exp2, log_error};
pub use drive::Drive;
#[cfg(feature = "diffsol")]
pub(crate) use drive::sorted_stops;
pub(crate) use drive::view;
pub(crate) use drive::{NON_FINITE_TRIES, check_estimate, shrinks_away, smallest_step, takes_remainder};
pub(crate) use heuristic::error_square;
pub use heuristic::{ErrorEstimate, Heuristic, LinearIterations, NewtonIterations, Stiffness, StiffnessKind};
pub use initial::initial_step;
pub use interrupt::{Interrupt, Never};
pub use observer::{Observer, Silent};
pub use options::{BelowResolution, Options, Problem, Save};
pub use reversible::Reversible;
pub(crate) use solution::{DenseRecord, polynomial};
pub use solution::{ImplicitWork, Iterations, Located, Partial, Solution, Statistics, StepInfo, Warning};
pub use step::{
    AcceptedSteps, Backward, Estimates, Injection, Penalty, Reverse, SavedSteps, StepCotangent, StepView,
    Stepper, StiffnessForms, take,
};
pub(crate) use step::{check_step, end_time, pass_on};
