//! Radau IIA of order 5: three collocation stages solved together, for the stiffest problems and for
//! differential-algebraic ones.
//!
//! Y_i = y + z_i, i = 1, 2, 3, with M k_i = f(t + c_i h, Y_i), z = h(A ⊗ I)k; y⁺ = Y_3. Newton's linear
//! systems are taken apart into a real one and a complex one ([`RadauStepper`]), factored densely, sparse or banded. The
//! error estimate is Hairer & Wanner's, err = hγ₀ f(t, y + err) + h Σ (eᵀA)_j k_j with γ₀ = 1/γ̂ (IV.8,
//! eqs. 8.19–8.20), solved as one more implicit stage k_e at t: its first Newton iterate is their
//! (I − hγ₀J)⁻¹(…), and being a stage it has an exact derivative. The dense output is the collocation
//! polynomial, of order 3.
//!
//! A step records k_0 (the derivative at its start, the k_3 of the step before), k_1, k_2, k_3, k_e.
//!
//! Source: Hairer & Wanner, *Solving Ordinary Differential Equations II* (2nd ed., 1996), IV.8.
//!
//! ```
//! use odeon::dynamics::{gallery::Robertson, generic::Generic};
//! use odeon::integrate::{Options, Problem};
//! use odeon::num::Atol;
//! use odeon::ode::{radau::RadauIia5, solve};
//!
//! let problem = Problem { y0: &Robertson::Y0, span: [0.0, 1e11], theta: &Robertson::THETA };
//! let options = Options::tol(1e-7, Atol::PerRow(vec![1e-10, 1e-14, 1e-10]));
//! let solution = solve(&Generic(Robertson), &RadauIia5, &problem, &options)?;
//! assert!((solution.last()[0] - 0.2083340149701255e-7).abs() < 1e-12);
//! # Ok::<(), odeon::Error>(())
//! ```

mod estimates;
mod matrix;
mod pullback;
mod stepper;
mod tableau;

pub use stepper::RadauStepper;

use super::implicit::{ImplicitMethod, ImplicitOptions, step_methods};
use crate::dynamics::Dynamics;
use crate::num::Real;

/// Radau IIA, three stages, order 5, L-stable, error estimate of order 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RadauIia5;

impl<T: Real, D: Dynamics<T>> ImplicitMethod<T, D> for RadauIia5 {
    type Stepper<'a>
        = RadauStepper<'a, T, D>
    where
        D: 'a;

    fn stepper_with<'a>(
        &self,
        dynamics: &'a D,
        batch: usize,
        options: &ImplicitOptions<T>,
    ) -> RadauStepper<'a, T, D> {
        RadauStepper::new(dynamics, batch, options)
    }

    fn has_error(&self) -> bool {
        true
    }
}

step_methods!(RadauIia5);
