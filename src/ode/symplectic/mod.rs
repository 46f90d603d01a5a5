//! Symplectic methods for Hamiltonian systems, at fixed steps: y = (q, p), the first half of the rows
//! positions, the second momenta.
//!
//! The Störmer–Verlet step of a separable system q′ = f_q(p), p′ = f_p(q),
//!
//! p½ = p + h/2 f_p(q),  q⁺ = q + h f_q(p½),  p⁺ = p½ + h/2 f_p(q⁺),
//!
//! is symplectic and symmetric, of order 2. Steps of sizes w₁h, …, w_m h one after the other with Σ w_i = 1
//! and w_i = w_{m+1−i} have order 4, 6, 8 for Yoshida's numbers (kicks that meet are joined). The implicit
//! midpoint rule y⁺ = y + h f(t + h/2, (y + y⁺)/2) is symplectic for every Hamiltonian and keeps quadratic
//! invariants.
//!
//! | method | order | evaluations a step | for |
//! |---|---|---|---|
//! | [`Verlet`] | 2 | 2 | separable systems |
//! | [`Yoshida4`], [`Yoshida6`], [`Yoshida8`] | 4, 6, 8 | 6, 14, 30 | separable systems |
//! | [`ImplicitMidpoint`] | 2 | its iterations | all |
//!
//! An evaluation is one of the whole right-hand side, of which a stage uses a half. The methods have no
//! error estimate: varying steps would spoil the long-time behaviour that they are for, so they take fixed
//! ones ([`Options::fixed`](crate::integrate::Options::fixed)). A system that is not separable at the
//! initial state (∂f_q/∂q or ∂f_p/∂p is not 0) is refused. Time-dependent systems are integrated with the
//! kicks at the ends and the drift in the middle of each substep, which keeps symmetry and order. Dense
//! output is the cubic Hermite interpolant. Every step has its exact reverse.
//!
//! Sources: Hairer, Lubich & Wanner, *Geometric Numerical Integration* (2nd ed., 2006), I.1.4, II.4, V.3.2
//! and VIII.6; Yoshida, Phys. Lett. A 150 (1990) 262–268; the numbers of order 8: Suzuki & Umeno (1993).
//!
//! ```
//! use odeon::dynamics::generic::{Generic, VectorField};
//! use odeon::integrate::{Options, Problem};
//! use odeon::num::Scalar;
//! use odeon::ode::{solve, symplectic::Yoshida4};
//!
//! struct Pendulum;
//! impl VectorField for Pendulum {
//!     fn dim(&self) -> usize { 2 }
//!     fn num_params(&self) -> usize { 0 }
//!     #[inline(always)]
//!     fn eval<S: Scalar>(&self, _t: S, y: &[S], _p: &[S], dy: &mut [S]) {
//!         dy[0] = y[1];
//!         dy[1] = -y[0].sin();
//!     }
//! }
//!
//! let energy = |y: &[f64]| 0.5 * y[1] * y[1] - y[0].cos();
//! let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 1000.0], theta: &[] };
//! let solution = solve(&Generic(Pendulum), &Yoshida4, &problem, &Options::fixed(0.1))?;
//! assert!((energy(solution.last()) - energy(&[2.0, 0.0])).abs() < 1e-4);
//! # Ok::<(), odeon::Error>(())
//! ```

mod composition;
mod midpoint;
mod pullback;

pub use composition::CompositionStepper;
pub use midpoint::MidpointStepper;

use super::StepMethod;
use crate::dynamics::Dynamics;
use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::Real;

/// Steps of a second-order symmetric method that make one of higher order: their shares of h.
pub trait Composition: Sync {
    /// w₁ … w_m.
    fn shares(&self) -> &'static [f64];

    /// The order.
    fn order(&self) -> usize;
}

macro_rules! compositions {
    ($($(#[$doc:meta])* $name:ident, $order:literal, $shares:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl Composition for $name {
            fn shares(&self) -> &'static [f64] {
                &$shares
            }
            fn order(&self) -> usize {
                $order
            }
        }

        impl<T: Real, D: Dynamics<T>> StepMethod<T, D> for $name {
            type Stepper<'a> = CompositionStepper<'a, T, D> where D: 'a;

            fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> CompositionStepper<'a, T, D> {
                CompositionStepper::new(dynamics, self, batch)
            }

            fn has_error(&self) -> bool {
                false
            }
        }
    )* };
}

compositions! {
    /// The Störmer–Verlet method (leapfrog, velocity Verlet), order 2.
    Verlet, 2, ONE;
    /// Order 4, of three Störmer–Verlet steps (Yoshida 1990; Forest & Ruth, Suzuki).
    Yoshida4, 4, FOUR;
    /// Order 6, of seven Störmer–Verlet steps (Yoshida 1990, solution A).
    Yoshida6, 6, SIX;
    /// Order 8, of fifteen Störmer–Verlet steps (Suzuki & Umeno 1993, whose error is far below Yoshida's).
    Yoshida8, 8, EIGHT;
}

/// The implicit midpoint rule, order 2: symplectic for any Hamiltonian. Its equation is iterated to
/// rounding as a fixed point, which converges where h‖∂f/∂y‖ < 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImplicitMidpoint;

impl<T: Real, D: Dynamics<T>> StepMethod<T, D> for ImplicitMidpoint {
    type Stepper<'a>
        = MidpointStepper<'a, T, D>
    where
        D: 'a;

    fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> MidpointStepper<'a, T, D> {
        MidpointStepper::new(dynamics, batch)
    }

    fn has_error(&self) -> bool {
        false
    }
}

static ONE: [f64; 1] = [1.0];

/// 1/(2 − ∛2) and 1 minus twice that.
static FOUR: [f64; 3] = [1.351_207_191_959_657_8, -1.702_414_383_919_315_3, 1.351_207_191_959_657_8];

#[allow(clippy::excessive_precision)] // As published.
#[rustfmt::skip]
static SIX: [f64; 7] = [
    0.784_513_610_477_557_263_8, 0.235_573_213_359_358_133_7, -1.177_679_984_178_871_006_9,
    1.315_186_320_683_911_218_9,
    -1.177_679_984_178_871_006_9, 0.235_573_213_359_358_133_7, 0.784_513_610_477_557_263_8,
];

#[allow(clippy::excessive_precision)] // As published.
#[rustfmt::skip]
static EIGHT: [f64; 15] = [
    0.741_670_364_350_612_953_4, -0.409_100_825_800_031_593_9, 0.190_754_710_296_238_379_9,
    -0.573_862_471_116_082_266_6, 0.299_064_181_303_655_923_8, 0.334_624_918_245_298_183_8,
    0.315_293_092_396_766_596_6,
    -0.796_887_939_352_916_354_0,
    0.315_293_092_396_766_596_6, 0.334_624_918_245_298_183_8, 0.299_064_181_303_655_923_8,
    -0.573_862_471_116_082_266_6, 0.190_754_710_296_238_379_9, -0.409_100_825_800_031_593_9,
    0.741_670_364_350_612_953_4,
];

/// What methods without estimates say of themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct NoEstimates {
    /// Quadrature weights of the stages.
    weights: Vec<f64>,
}

impl<T: Real> Estimates<T> for NoEstimates {
    fn error_power(&self) -> Option<usize> {
        None
    }
    fn error_vector(&self, _: &StepView<'_, T>, _: bool, _: &mut [T]) -> bool {
        false
    }
    fn error_vector_pullback(&self, _: &StepView<'_, T>, _: bool, _: &[T], _: &mut StepCotangent<'_, T>) {}
    fn stiffness_vectors(&self, _: &StepView<'_, T>, _: &mut [T], _: &mut [T]) -> Option<StiffnessForms> {
        None
    }
    fn stiffness_pullback(&self, _: &StepView<'_, T>, _: &[T], _: &[T], _: &mut StepCotangent<'_, T>) {}
    fn weights(&self) -> &[f64] {
        &self.weights
    }
}

/// Weights of the cubic Hermite interpolant y0 + h (b₀(ϑ) k_start + b(ϑ) (y1 − y0)/h + b₁(ϑ) k_end), by powers of ϑ.
pub(super) const HERMITE: [[f64; 3]; 3] = [[1.0, -2.0, 1.0], [0.0, 3.0, -2.0], [0.0, -1.0, 1.0]];
