//! The fully and diagonally implicit methods: orders, stiff problems against references, gradients three
//! ways, differential-algebraic systems, failures.
// Matrices are indexed by row and column; states are pairs of vectors.
#![allow(clippy::needless_range_loop, clippy::type_complexity)]

#[path = "implicit/allocation.rs"]
mod allocation;
#[path = "implicit/common.rs"]
mod common;
#[path = "implicit/failures.rs"]
mod failures;
#[path = "implicit/gradients.rs"]
mod gradients;
#[path = "implicit/linear.rs"]
mod linear;
#[path = "implicit/mass.rs"]
mod mass;
#[path = "implicit/orders.rs"]
mod orders;
#[path = "implicit/stiff.rs"]
mod stiff;
