//! Ordinary differential equations: explicit Runge–Kutta methods as data ([`tableau`],
//! [`tableaux`]) and one step with its exact reverse.

pub mod tableau;
pub mod tableaux;
