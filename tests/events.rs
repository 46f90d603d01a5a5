//! Events on the engine: times to rounding, directions, actions, order, limits; their gradients against
//! closed forms and finite differences.

#[path = "events/adjoint.rs"]
mod adjoint;
#[path = "events/problems.rs"]
mod problems;
#[path = "events/rules.rs"]
mod rules;

type Failed = Box<dyn std::error::Error>;
type Outcome = Result<(), Failed>;
