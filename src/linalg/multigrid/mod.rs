//! Multigrid: one cycle over any pieces ([`Multigrid`], [`Level`], [`Cycle`]), and algebraic hierarchies
//! made from the matrix alone ([`SmoothedAggregation`], [`RugeStuben`], both giving an [`Amg`]).
//!
//! A hierarchy owns, for every level but the coarsest, an operator, smoothing sweeps and transfers
//! ([`Level`]; [`Pieces`] puts one together from the crate's operators and relaxations), and a solver of
//! the coarsest problem. The cycle is the same code whoever made the pieces: a grid, an algebraic set-up,
//! a network.

mod aggregation;
mod amg;
mod coarsest;
mod cycle;
mod geometric;
mod geometric_coarsest;
mod geometric_operator;
mod geometric_transfer;
mod interpolation;
mod level;
mod ruge_stuben;
mod smoothed;
mod solve;
mod splitting;
mod strength;

pub use aggregation::Aggregation;
pub use amg::{Amg, AmgLevel, AmgOptions, HierarchyReport, Smoother};
pub use coarsest::{COARSEST_LIMIT, Coarsest};
pub use cycle::{Cycle, Multigrid};
pub use geometric::{CoarseOperators, Geometric, GridLevel, GridSmoother};
pub use geometric_transfer::GridInterpolation;
pub use interpolation::Interpolation;
pub use level::{Level, Pieces};
pub use ruge_stuben::{RugeStuben, Splitting, Strength};
pub use smoothed::SmoothedAggregation;
