//! Multigrid: one cycle over any pieces ([`Multigrid`], [`Level`], [`Cycle`]).
//!
//! A hierarchy owns, for every level but the coarsest, an operator, smoothing sweeps and transfers
//! ([`Level`]; [`Pieces`] puts one together from the crate's operators and relaxations), and a solver of
//! the coarsest problem. The cycle is the same code whoever made the pieces: a grid, an algebraic set-up,
//! a network.

mod coarsest;
mod cycle;
mod level;
mod solve;

pub use coarsest::{COARSEST_LIMIT, Coarsest};
pub use cycle::{Cycle, Multigrid};
pub use level::{Level, Pieces};
