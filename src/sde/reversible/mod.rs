//! Reversible Heun, the method of strong order 1 whose steps can be taken back exactly.
//!
//! Beside the solution y it carries ŷ, both y₀ at the start. With f̂_n = f(t_n, ŷ_n) and Ĝ_n = G(t_n, ŷ_n),
//!
//! ŷ_{n+1} = 2y_n − ŷ_n + f̂_n h + Ĝ_n ΔW,
//! y_{n+1} = y_n + ½(f̂_n + f̂_{n+1})h + ½(Ĝ_n + Ĝ_{n+1})ΔW
//!
//! (Kidger, Foster, Li & Lyons, *Efficient and accurate gradients for neural SDEs*, NeurIPS 2021, algorithm 1),
//! and the inverse is the same step with −h and −ΔW (algorithm 2):
//!
//! ŷ_n = 2y_{n+1} − ŷ_{n+1} − f̂_{n+1} h − Ĝ_{n+1} ΔW,
//! y_n = y_{n+1} − ½(f̂_n + f̂_{n+1})h − ½(Ĝ_n + Ĝ_{n+1})ΔW.
//!
//! One evaluation of f and of G a step: the values at the end are those of the next step's start. The error
//! estimate is the difference to Euler's step, ½(f̂_{n+1} − f̂_n)h + ½(Ĝ_{n+1} − Ĝ_n)ΔW, which goes with h.
//! With G = 0 this is a method of order 2 for ordinary equations, stable on a part of the imaginary axis
//! only (section 3 there): strongly contracting equations grow parasitic oscillations of ŷ − y.
//!
//! The stepper's state holds y and then ŷ, `dim × 2·paths`. [`solve`](super::solve) and
//! [`ReversibleAdjoint`](crate::adjoint::ReversibleAdjoint) hide ŷ; who drives the
//! [stepper](ReversibleHeunStepper) otherwise gives y₀ twice and reads the first half of every state.

mod estimates;
mod pullback;
mod retrace;
mod step;

pub use step::ReversibleHeunStepper;

use super::noise::Brownian;
use super::solve::SdeMethod;
use super::srk::form::Form;
use super::{Calculus, Diffusion, NoiseClass, System};
use crate::error::{Error, Result};
use crate::num::Real;

/// Reversible Heun, for Stratonovich equations with any noise: strong order 1 where the noise commutes (on
/// additive noise too), ½ elsewhere; weak order 1.
///
/// ```
/// use odeon::dynamics::{gallery::CubicSpiral, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::sde::{Constant, ReversibleHeun, Sde, noise::FixedGrid, solve};
///
/// let sde = Sde::stratonovich(Generic(CubicSpiral), Constant::diagonal(2));
/// let theta = [&CubicSpiral::THETA[..], &[0.1, 0.1]].concat();
/// let noise = FixedGrid::new(7, [0.0, 1.0], 100, 2, 1)?;
/// let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 1.0], theta: &theta };
/// let solution = solve(&sde, &ReversibleHeun, noise, &problem, &Options::fixed(0.01))?;
/// assert_eq!(solution.last().len(), 2);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReversibleHeun;

impl<T: Real, S: System<T>> SdeMethod<T, S> for ReversibleHeun {
    type Stepper<'a>
        = ReversibleHeunStepper<'a, T, S>
    where
        S: 'a;

    const CARRIED: usize = 2;

    fn stepper<'a>(
        &self,
        system: &'a S,
        noise: impl Brownian<T> + 'a,
    ) -> Result<ReversibleHeunStepper<'a, T, S>> {
        ReversibleHeunStepper::new(system, noise)
    }
}

/// Checks that the equation is Stratonovich's, or both are the same.
fn check_calculus<T: Real, S: System<T>>(system: &S) -> Result<()> {
    let calculus = system.calculus();
    if calculus == Calculus::Stratonovich || system.diffusion().class() == NoiseClass::Additive {
        return Ok(());
    }
    let needed = "ReversibleHeun is a method for Stratonovich equations: convert the equation (Converted) or take another method";
    Err(Error::invalid("the calculus of the equation", calculus, needed))
}

/// The lines of a step as forms in (f̂_n, f̂_{n+1}; Ĝ_n, Ĝ_{n+1}) and (ΔW, the interpolant's bridge).
#[derive(Clone, Debug)]
struct Forms {
    /// ŷ_{n+1} − (2y_n − ŷ_n).
    forward: Form,
    /// y_{n+1} − y_n.
    solution: Form,
    /// ŷ_n − (2y_{n+1} − ŷ_{n+1}).
    backward: Form,
    /// y_n − y_{n+1}.
    undo: Form,
    /// Ĝ_n times the bridge.
    bridge: Form,
}

impl Forms {
    fn new() -> Self {
        let line = |w: [f64; 2]| Form::new(w.to_vec(), &[w.to_vec(), vec![0.0; 2]]);
        Self {
            forward: line([1.0, 0.0]),
            solution: line([0.5, 0.5]),
            backward: line([0.0, -1.0]),
            undo: line([-0.5, -0.5]),
            bridge: Form::new(vec![0.0; 2], &[vec![0.0; 2], vec![1.0, 0.0]]),
        }
    }
}

/// `out` ← 2y − ŷ.
fn reflect<T: Real>(out: &mut [T], y: &[T], hat: &[T]) {
    for ((out, y), hat) in out.iter_mut().zip(y).zip(hat) {
        *out = T::of(2.0).mul_add(*y, -*hat);
    }
}

/// The reverse of (y, ŷ) → (y, 2y − ŷ) on cotangents: ȳ += 2ŷ̄, ŷ̄ ← −ŷ̄.
fn reflect_bars<T: Real>(y_bar: &mut [T], hat_bar: &mut [T]) {
    for (y, hat) in y_bar.iter_mut().zip(hat_bar) {
        *y = T::of(2.0).mul_add(*hat, *y);
        *hat = -*hat;
    }
}
