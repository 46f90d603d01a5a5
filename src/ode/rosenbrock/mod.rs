//! Rosenbrock methods: implicit steps whose stages are linear systems with one matrix, (M/(hγ) − J) u = r.
//! No Newton iteration, J exact in every step; methods as data ([`RosenbrockTableau`]), one step with its
//! exact reverse.

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
