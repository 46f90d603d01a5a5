//! Networks over flat parameters: layers with hand-written reverse and tangent passes,
//! initialisation, losses, optimisers, schedules and files.
//!
//! Everything is column-major `dim × batch` slices and one flat vector θ whose parts are named by a
//! [`Layout`]. A [`Network`] knows nothing of differential equations; `model` makes right-hand sides
//! of it.

mod activation;
mod dense;
pub mod init;
mod network;
mod norm;
mod params;
mod products;
mod run;

pub use activation::Activation;
pub use init::Initializer;
pub use network::{Builder, Network};
pub use params::{Entry, Layout, Role};
pub use run::{Input, Scratch};
