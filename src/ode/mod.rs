//! Ordinary differential equations: explicit Runge–Kutta methods as data ([`tableau`],
//! [`tableaux`]) and one step with its exact reverse.

mod custom;
pub mod order;
mod stability;
pub mod tableau;
pub mod tableaux;
pub mod trees;
