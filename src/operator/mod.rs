//! Learned and tuned solvers on the shared linear algebra: they implement the traits of
//! [`linalg`](crate::linalg), so that whatever takes a classical solver takes them.

pub mod baselines;
pub mod directions;
mod fourier;
pub mod mgno;
mod neural_pde;
pub mod pde;
pub mod program;
pub mod sor_bandit;
pub mod surrogate;

pub use neural_pde::{NeuralPde, NeuralPdeScratch};
pub use program::{Program, Scratch, Surrogate};
