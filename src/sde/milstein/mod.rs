//! Milstein's method for noise that commutes, of strong order 1, with derivatives and without.
//!
//! y₁ = y + f h + GΔW + ½ Σ_{k,l} (∂g_k/∂y) g_l (ΔW_k ΔW_l − δ_kl h)
//!
//! for Itô equations; for Stratonovich ones without the −δ_kl h (Kloeden & Platen, eqs. 10.3.16 and
//! 10.3.21). The sum over l is taken first: with v = GΔW and u_k = ½(v ΔW_k − h g_k) the last term is
//! Σ_k (∂g_k/∂y) u_k, one Jacobian–vector product for each column of G
//! ([`Diffusion::contraction`](super::Diffusion::contraction)); its reverse takes second derivatives.
//!
//! The error estimate is the difference to Euler–Maruyama's step with the trapezoidal drift,
//! ½h(f(t + h, y₁) − f(t, y)) + Σ_k (∂g_k/∂y) u_k ([`companion`](super::companion)).
//!
//! Noise that does not commute needs Lévy areas and is refused; [`RkMilstein`](super::tableaux::RkMilstein) is
//! the same as [`MilsteinDifferences`] for scalar and diagonal noise, as a table.

mod differences;
mod exact;

pub use differences::DifferencesStepper;
pub use exact::MilsteinStepper;

use super::diffusion::{Diffusion, NoiseClass};
use super::noise::Brownian;
use super::solve::SdeMethod;
use super::srk::accepts;
use super::system::{Calculus, System};
use crate::error::Result;
use crate::num::Real;

/// Milstein's method with the derivatives of G, in the system's calculus:
/// y₁ = y + f h + GΔW + ½ Σ_{k,l} (∂g_k/∂y) g_l (ΔW_k ΔW_l − δ_kl h), without −δ_kl h for Stratonovich's (Kloeden &
/// Platen, section 10.3). Scalar, diagonal, commutative and additive noise, strong and weak order 1.
/// Gradients take second derivatives of G ([`SecondOrderDiffusion`](super::SecondOrderDiffusion)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Milstein;

/// Milstein's method without derivatives, for Itô equations: (∂g_k/∂y) g_l ≈ (g_k(t, Υ_l) − g_k(t, y))/√h
/// with Υ_l = y + f h + g_l √h (Kloeden & Platen, eqs. 11.1.3 and 11.1.7, the double integrals of commutative
/// noise in them). The classes and orders of [`Milstein`]; its gradients take first derivatives only.
///
/// The quotient's error, ½ g″g² √h, meets ΔW² − h, of mean zero. Stratonovich's ΔW² has mean h, and the order
/// would fall to ½: there [`EulerHeun`](super::tableaux::EulerHeun) is the method without derivatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MilsteinDifferences;

/// The classes that both take.
const TAKES: [NoiseClass; 4] =
    [NoiseClass::Additive, NoiseClass::Scalar, NoiseClass::Diagonal, NoiseClass::Commutative];

fn check<T: Real, S: System<T>>(system: &S, method: (&str, Option<Calculus>)) -> Result<()> {
    accepts(method, &TAKES, system.diffusion().class(), system.calculus())
}

impl<T: Real, S: System<T>> SdeMethod<T, S> for Milstein {
    type Stepper<'a>
        = MilsteinStepper<'a, T, S>
    where
        S: 'a;

    fn stepper<'a>(&self, system: &'a S, noise: impl Brownian<T> + 'a) -> Result<MilsteinStepper<'a, T, S>> {
        MilsteinStepper::new(system, noise)
    }
}

impl<T: Real, S: System<T>> SdeMethod<T, S> for MilsteinDifferences {
    type Stepper<'a>
        = DifferencesStepper<'a, T, S>
    where
        S: 'a;

    fn stepper<'a>(
        &self,
        system: &'a S,
        noise: impl Brownian<T> + 'a,
    ) -> Result<DifferencesStepper<'a, T, S>> {
        DifferencesStepper::new(system, noise)
    }
}
