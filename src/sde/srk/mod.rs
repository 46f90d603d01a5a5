//! Explicit stochastic Runge–Kutta methods as data, one step for all of them, and its exact reverse.
//!
//! With drift values f_i = f(t + c⁰_i h, X_i), diffusion values G_i = G(t + c¹_i h, Z_i) and random
//! vectors ξ_r ([`Variate`]) of the size of √h,
//!
//! X_i = y + h Σ_j a⁰_ij f_j + Σ_j G_j Σ_r b⁰_rij ξ_r,
//! Z_i = y + h Σ_j a¹_ij f_j + Σ_j G_j Σ_r b¹_rij ξ_r,      j < i,
//! y₁ = y + h Σ_j α_j f_j + Σ_j G_j Σ_r β_rj ξ_r.
//!
//! Rößler's SRI and SRA (SIAM J. Numer. Anal. 48, 2010, eqs. 6.1 and 5.1), the Heun and midpoint rules
//! and the Lévy-area methods of Foster, dos Reis & Strange (SIAM J. Numer. Anal. 62, 2024) are tables of
//! this form ([`tableaux`](super::tableaux)). Each of its lines is a form, linear in the values; the
//! error estimate and the stiffness pair are forms too, so that the reverse of every one of them is
//! written once.
//!
//! Between the ends of a step y(t + ϑh) = (1 − ϑ)y + ϑy₁ + G(t, y)(W(t + ϑh) − W(t) − ϑ(W(t + h) − W(t))):
//! the chord and the Brownian bridge that the path really has there, of strong order 1 where y₁ has it
//! (the chord alone has order ½).

mod estimates;
pub(crate) mod form;
mod pullback;
mod step;
mod tableau;

pub(crate) use form::{Layout, product, product_pullback};
pub(super) use pullback::bridge;
pub(super) use step::Scratch;
pub use step::SrkStepper;
pub(crate) use step::draw_variate;
pub(crate) use tableau::accepts;
pub use tableau::{Couple, Rows, StochasticRk, StochasticTableau, Strength, Variate};
