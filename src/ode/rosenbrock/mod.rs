//! Rosenbrock methods: implicit steps whose stages are linear systems with one matrix, (M/(hγ) − J) u = r.
//! No Newton iteration, J exact in every step; methods as data ([`RosenbrockTableau`]), one step with its
//! exact reverse.
//!
//! Robertson's stiff reactions: one word chooses the method.
//!
//! ```
//! use odeon::dynamics::generic::{Generic, VectorField};
//! use odeon::integrate::{Options, Problem};
//! use odeon::num::Scalar;
//! use odeon::ode::{solve, tableaux_rosenbrock::Rodas5P};
//!
//! struct Robertson;
//! impl VectorField for Robertson {
//!     fn dim(&self) -> usize { 3 }
//!     fn num_params(&self) -> usize { 3 }
//!     #[inline(always)]
//!     fn eval<S: Scalar>(&self, _: S, y: &[S], k: &[S], dy: &mut [S]) {
//!         let (a, b, c) = (k[0] * y[0], k[1] * y[1] * y[1], k[2] * y[1] * y[2]);
//!         (dy[0], dy[1], dy[2]) = (c - a, a - c - b, b);
//!     }
//! }
//!
//! let problem = Problem { y0: &[1.0, 0.0, 0.0], span: [0.0, 1e5], theta: &[0.04, 3e7, 1e4] };
//! let solution = solve(&Generic(Robertson), &Rodas5P, &problem, &Options::tol(1e-6, 1e-10))?;
//! assert!((solution.last()[2] - 0.982134006110352).abs() < 1e-7);
//! assert!(solution.stats.accepted < 150);
//! # Ok::<(), odeon::Error>(())
//! ```

mod layout;
mod pullback;
mod step;
mod tableau;
#[cfg(test)]
mod tests;

pub use step::RosenbrockStepper;
pub use tableau::{Coefficients, RosenbrockTableau};

use super::implicit::{ImplicitMethod, ImplicitOptions, step_methods};
use super::tableaux_rosenbrock::{Rodas4, Rodas5P, Rosenbrock23};
use crate::dynamics::Dynamics;
use crate::num::Real;

/// A method given by a Rosenbrock tableau: the built-in unit structs, or a user's own tableau.
pub trait RosenbrockMethod: Sync {
    /// The coefficients.
    fn tableau(&self) -> &RosenbrockTableau;
}

impl RosenbrockMethod for RosenbrockTableau {
    fn tableau(&self) -> &RosenbrockTableau {
        self
    }
}

macro_rules! rosenbrock_methods {
    ($($name:ty),* $(,)?) => {
        $(impl<T: Real, D: Dynamics<T>> ImplicitMethod<T, D> for $name {
            type Stepper<'a>
                = RosenbrockStepper<'a, T, D>
            where
                D: 'a;

            fn stepper_with<'a>(
                &self,
                dynamics: &'a D,
                batch: usize,
                options: &ImplicitOptions<T>,
            ) -> RosenbrockStepper<'a, T, D> {
                RosenbrockStepper::new(dynamics, self.tableau(), batch, options)
            }

            fn has_error(&self) -> bool {
                true
            }
        })*
        step_methods!($($name),*);
    };
}
rosenbrock_methods!(Rosenbrock23, Rodas4, Rodas5P, RosenbrockTableau);
