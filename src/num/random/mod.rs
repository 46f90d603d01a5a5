//! Random numbers as a function of a counter: no state, so any number can be drawn at any time, in any
//! order and on any thread, and many are drawn at once in SIMD registers.
//!
//! A normal pair has the address (seed, id, stream): the seed is the key of [`philox()`], the `u64` id
//! and the `u64` [`stream`] (a path and a component) are its counter. Everything is computed in `f64`
//! with explicit fused operations, so that the bits do not depend on the CPU.

mod normal;
mod philox;

pub use normal::{Addresses, Consecutive, Ids, Streams, fill_normal_pairs, normal_pair, normal_pairs};
pub use philox::{at, philox, stream, uniform};

#[cfg(test)]
mod tests;
