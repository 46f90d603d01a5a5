//! Stochastic differential equations dX = f dt + G dW on the same loop as ordinary ones: noise as a pure
//! function ([`noise`]), methods as data ([`tableaux`], [`srk`]), the same options, records and adjoints.
//!
//! Methods that are no tables: [`Milstein`] and [`MilsteinDifferences`] (strong order 1 where the noise
//! commutes), [`LogOde`] (general noise, by expected Lévy areas), [`DriftImplicitEuler`] and [`DriftImplicitTrapezoid`] (stiff drifts, Itô). [`Converted`] puts an
//! equation into the other calculus, for methods of that one.

mod bound;
mod companion;
mod convert;
mod diffusion;
mod implicit;
mod log_ode;
mod milstein;
pub mod noise;
mod paths;
pub mod problems;
pub mod reversible;
mod second_order;
mod solve;
pub mod srk;
mod system;
pub mod tableaux;

pub use convert::{Converted, ConvertedDrift, ConvertedScratch};
pub use diffusion::{
    Additive, Columns, Commutative, Constant, Crossed, Diagonal, Diffusion, General, NoiseClass, Scalar,
    Shape,
};
pub use implicit::{DriftImplicitEuler, DriftImplicitStepper, DriftImplicitTrapezoid};
pub use log_ode::{LogOde, LogOdeStepper};
pub use milstein::{DifferencesStepper, Milstein, MilsteinDifferences, MilsteinStepper};
pub use paths::solve_paths;
pub use reversible::ReversibleHeun;
pub use second_order::{ContractionMemory, SecondOrderDiffusion};
pub use solve::{SdeMethod, solve};
pub(crate) use system::check_noise;
pub use system::{Calculus, Sde, System, check_class};
