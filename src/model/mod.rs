//! Models: right-hand sides made of networks.

mod neural;

pub use neural::NeuralOde;
