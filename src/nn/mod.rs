//! Networks over flat parameters: layers with hand-written reverse and tangent passes,
//! initialisation, losses, optimisers, schedules and files.
//!
//! Everything is column-major `dim × batch` slices and one flat vector θ whose parts are named by a
//! [`Layout`]. A [`Network`] knows nothing of differential equations; `model` makes right-hand sides
//! of it.

mod activation;
mod clip;
pub mod conv;
mod dense;
mod gru;
pub mod init;
pub mod io;
pub mod loss;
mod network;
mod norm;
pub mod optim;
mod packed;
mod params;
mod products;
mod run;
mod schedule;
mod second_order;
mod taylor;

pub use activation::Activation;
pub use clip::Clip;
pub use gru::{Direction, Gru, GruScratch, Unrolled};
pub use init::Initializer;
pub use loss::{CrossEntropy, Loss, Reduction};
pub use network::{Builder, Network};
pub use optim::{Optimizer, OptimizerState, Rule};
pub use params::{Entry, Layout, Role};
pub use run::{Input, Scratch};
pub use schedule::Schedule;
pub use second_order::SecondOrderScratch;
pub use taylor::{MAX_ORDER, SeriesScratch};
