//! **odeon**: neural differential equations whose solver heuristics (local error, stiffness) are
//! values you can read, plot, minimise and differentiate, with exact discrete adjoints.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod adjoint;
pub mod dynamics;
pub mod error;
pub mod integrate;
pub mod num;
pub mod ode;
pub mod regularise;

pub use error::{Error, Result};
