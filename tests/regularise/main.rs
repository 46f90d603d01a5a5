//! Penalties of solver heuristics: their gradients and statistics.

mod global;
mod local;
mod support;
