//! Symplectic methods and the models they are for; models defined by fixed points.

#[path = "geometric/fixed_points.rs"]
mod fixed_points;
#[path = "geometric/models.rs"]
mod models;
#[path = "geometric/symplectic.rs"]
mod symplectic;

type Failed = Box<dyn std::error::Error>;
type Outcome = Result<(), Failed>;
