//! Models: right-hand sides made of networks.

mod neural;
mod second_order;

pub use neural::NeuralOde;
