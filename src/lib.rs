//! **odeon**: neural differential equations whose solver heuristics (local error, stiffness) are
//! values you can read, plot, minimise and differentiate, with exact discrete adjoints.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod adjoint;
pub mod dataset;
pub mod dynamics;
pub mod error;
pub mod files;
pub mod integrate;
pub mod interop;
pub mod linalg;
pub mod model;
pub mod nn;
pub mod num;
pub mod ode;
pub mod operator;
#[cfg(feature = "plot")]
pub mod plot;
pub mod regularise;
pub mod sde;
pub mod train;

pub use error::{Error, Result};

/// The programs of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
