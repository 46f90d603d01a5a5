//! Neural controlled differential equations (Kidger, Morrill, Foster & Lyons, *Neural Controlled Differential Equations
//! for Irregular Time Series*, NeurIPS 2020, arXiv 2005.08926).

mod dynamics;
mod interpolate;
mod network;
mod path;

pub use dynamics::{CdeScratch, NeuralCde};
pub use interpolate::Interpolation;
pub use network::CdeModel;
pub use path::{ControlPath, control_channels};
