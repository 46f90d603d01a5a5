//! Solver parameters tuned by bandits while the systems are solved: the relaxation factor ω of SOR and of
//! SSOR-preconditioned CG, or any other finite choice.
//!
//! A sequence of systems A_t x = b_t is solved; before each a policy sees a context c_t (a diffusion
//! coefficient, a step size) and chooses an arm, after it the policy learns the cost (iterations,
//! operations, seconds). [`TsallisInf`] competes with the best fixed arm, [`Binned`] and [`ChebCb`] with
//! the best arm of every context; [`Guided`] starts from Young's formula with β estimated by Lanczos, and
//! [`Surface`] fits the cost as a smooth function of context and parameter.
//!
//! Source: Khodak, Chow, Balcan, Talwalkar, *Learning to Relax: Setting Solver Parameters Across a Sequence of
//! Linear System Instances*, ICLR 2024 (arXiv 2310.02246). [`TsallisInf`], [`Binned`] and [`ChebCb`]
//! are theirs; [`Guided`], [`Surface`] and the safe budget of [`TunedSolver`] are this library's.
//!
//! ```
//! use odeon::operator::sor_bandit::{Policy, TsallisInf};
//!
//! // Three arms of costs 20, 10 and 15: the second is found.
//! let mut policy = TsallisInf::new(3, 7)?;
//! let mut chosen = [0; 3];
//! for _ in 0..1000 {
//!     let arm = policy.choose(0.0)?;
//!     chosen[arm] += 1;
//!     policy.observe([20.0, 10.0, 15.0][arm])?;
//! }
//! assert!(chosen[1] > 600);
//! # Ok::<(), odeon::Error>(())
//! ```

mod baselines;
mod chebyshev;
mod guided;
mod least_squares;
mod policy;
mod solver;
mod surface;
pub mod theory;
mod tsallis;

pub use baselines::{Exp3, Fixed, Thompson, Ucb};
pub use chebyshev::ChebCb;
pub use guided::Guided;
pub use policy::{Interval, Policy, load, omega_grid, save};
pub use solver::{Choice, Cost, TunedSolver};
pub use surface::Surface;
pub use tsallis::{Binned, TsallisInf};
