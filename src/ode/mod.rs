//! Ordinary differential equations: explicit Runge–Kutta methods as data ([`tableau`],
//! [`tableaux`]) and one step with its exact reverse.

mod ensemble;
mod explicit;
mod lanes;
mod method;
mod pullback;
mod solve;
pub mod tableau;
pub mod tableaux;

pub use ensemble::{Ensemble, TrajectoryStatistics, solve_ensemble};
pub use explicit::ExplicitStepper;
pub use method::Method;
pub use solve::{Solver, solve};
