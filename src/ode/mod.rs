//! Ordinary differential equations: explicit Runge–Kutta methods as data ([`tableau`],
//! [`tableaux`], checked by [`trees`]), one step with its exact reverse, solves and ensembles.

mod custom;
#[cfg(feature = "diffsol")]
pub mod diffsol;
mod ensemble;
pub mod events;
mod explicit;
pub mod imex;
pub mod implicit;
mod lanes;
mod method;
pub mod order;
mod pullback;
pub mod radau;
pub mod reversible;
pub mod rosenbrock;
pub mod sdirk;
mod solve;
mod stability;
pub mod switch;
pub mod symplectic;
pub mod tableau;
pub mod tableaux;
pub mod tableaux_rosenbrock;
pub mod trees;

pub(crate) use ensemble::Part;
pub use ensemble::{Ensemble, TrajectoryStatistics, solve_ensemble};
pub use explicit::ExplicitStepper;
pub use implicit::{Configured, ImplicitOptions, LinearChoice, NewtonOptions};
pub use method::Method;
pub use solve::{Solver, StepMethod, solve};
