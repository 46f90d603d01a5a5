//! Symplectic methods and the models they are for.

#[path = "geometric/models.rs"]
mod models;
#[path = "geometric/symplectic.rs"]
mod symplectic;

type Failed = Box<dyn std::error::Error>;
type Outcome = Result<(), Failed>;
