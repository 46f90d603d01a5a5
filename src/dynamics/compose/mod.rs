//! Combinators: dynamics made of dynamics.
//!
//! | | computes | θ |
//! |---|---|---|
//! | [`Sum`] | f + g: known physics plus a network | f's, then g's |
//! | [`Split`] | f + g, f in explicit stages and g in implicit ones ([`ode::imex`](crate::ode::imex)) | f's, then g's |
//! | [`Scaled`] | c·f | f's |
//! | [`Forced`] | f + u(t), an input signal | f's |
//! | [`Frozen`] | f with some parameters bound | the rest, in order |
//! | [`Embed`] | f acting on chosen rows of a larger state, 0 elsewhere | f's |
//! | [`Warp`] | f on a movable time axis | f's, then the window and its shifts |
//! | [`WithMass`] | f, for M y' = f | f's |
//!
//! A universal differential equation (Rackauckas et al., 2020) is `Sum(physics, Embed::new(network,
//! dim, inputs, outputs))`. What does not fit is found by [`Dynamics::validate`], which the
//! solvers call.

mod embed;
mod forced;
mod frozen;
mod split;
mod sum;
mod warp;
mod with_mass;

pub use embed::Embed;
pub use forced::{Forced, Sampled, Signal};
pub use frozen::Frozen;
pub use split::Split;
pub use sum::{Scaled, Sum};
pub use warp::Warp;
pub use with_mass::WithMass;

use super::Dynamics;
use crate::error::{Error, Result};
use crate::num::{Lanes, Real};

/// Refuses a mass matrix inside a combinator that would lose it.
fn no_mass<T: Real, A: Dynamics<T>>(inner: &A, of: &'static str) -> Result<()> {
    match inner.mass() {
        None => Ok(()),
        Some(_) => Err(Error::invalid(of, "a part with a mass matrix", "put WithMass outermost")),
    }
}

/// Calls `f` with `n` zeros of temporary memory: on the stack up to 64, which is where lanes are
/// worth while; above, from the heap.
#[inline(always)]
fn with_memory<S: Copy, R>(zero: S, n: usize, f: impl FnOnce(&mut [S]) -> R) -> R {
    match n {
        0..=8 => f(&mut [zero; 8][..n]),
        9..=64 => f(&mut [zero; 64][..n]),
        _ => f(&mut vec![zero; n]),
    }
}

/// [`with_memory`] of lanes.
#[inline(always)]
fn with_lanes<T: Real, R>(n: usize, f: impl FnOnce(&mut [Lanes<T>]) -> R) -> R {
    with_memory(Lanes::splat(T::of(0.0)), n, f)
}

#[cfg(test)]
mod tests;
