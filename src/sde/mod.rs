//! Stochastic differential equations dX = f dt + G dW on the same loop as ordinary ones: noise as a pure
//! function ([`noise`]), methods as data ([`tableaux`], [`srk`]), the same options, records and adjoints.

mod diffusion;
pub mod noise;
mod paths;
pub mod problems;
pub mod reversible;
mod solve;
pub mod srk;
mod system;
pub mod tableaux;

pub use diffusion::{
    Additive, Columns, Commutative, Constant, Crossed, Diagonal, Diffusion, General, NoiseClass, Scalar,
    Shape,
};
pub use paths::solve_paths;
pub use reversible::ReversibleHeun;
pub use solve::{SdeMethod, solve};
pub use system::{Calculus, Sde, System, check_class};
