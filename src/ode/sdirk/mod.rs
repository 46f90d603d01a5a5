//! Diagonally implicit Runge–Kutta methods with an explicit first stage (ESDIRK): coefficients as data
//! ([`SdirkTableau`]), the step by simplified Newton iteration, and its exact reverse by the implicit
//! function theorem.
//!
//! | method | order | stages | dense output | |
//! |---|---|---|---|---|
//! | [`TrBdf2`] | 2(3) | 3, and one that filters the estimate | 2 | Hosea & Shampine 1996 |
//! | [`Kvaerno3`] | 3(2) | 4 | 3 | Kværnø 2004 |
//! | [`Kvaerno5`] | 5(4) | 7 | 4 | Kværnø 2004 |
//! | [`Esdirk54I8L2SA`] | 5(4) | 8 | 4 | Kennedy & Carpenter 2019 |
//!
//! All are L-stable and stiffly accurate, and their error estimates and dense outputs stay bounded on
//! stiff components ([`SdirkTableau`]). The first stage is the last of the step before, so that it costs
//! nothing and carries no noise: stage derivatives are (Y_i − …)/(hγ) and never f evaluated at a
//! rounded Y_i. The additive pairs of [`imex`](super::imex) run on the same step.
//!
//! ```
//! use odeon::dynamics::{gallery::VanDerPol, generic::Generic};
//! use odeon::integrate::{Options, Problem};
//! use odeon::ode::{sdirk::Kvaerno5, solve};
//!
//! let problem = Problem { y0: &VanDerPol::Y0, span: [0.0, 2000.0], theta: &[1e3] };
//! let solution = solve(&Generic(VanDerPol), &Kvaerno5, &problem, &Options::tol(1e-6, 1e-6))?;
//! assert!((solution.last()[0] - 1.706167).abs() < 1e-4);
//! # Ok::<(), odeon::Error>(())
//! ```

mod esdirk54;
mod kvaerno3;
mod kvaerno5;
mod method;
mod part;
mod pullback;
mod stepper;
mod tableau;
#[cfg(test)]
mod tests;
mod tr_bdf2;

pub use esdirk54::Esdirk54I8L2SA;
pub use kvaerno3::Kvaerno3;
pub use kvaerno5::Kvaerno5;
pub use method::SdirkLayout;
pub use stepper::SdirkStepper;
pub(crate) use stepper::mean_square;
pub use tableau::{CHECK_TOLERANCE, SdirkTableau};
pub use tr_bdf2::TrBdf2;

use super::implicit::{ImplicitMethod, ImplicitOptions, step_methods};
use super::tableau::Row;
use crate::dynamics::Dynamics;
use crate::num::Real;
use std::borrow::Cow;

/// A row of static coefficients.
pub(crate) const fn row(values: &'static [f64]) -> Row {
    Cow::Borrowed(values)
}

/// A method given by an [`SdirkTableau`]: the built-in unit structs, and a user's table itself.
pub trait SdirkMethod: Sync {
    /// The coefficients.
    fn tableau(&self) -> &SdirkTableau;
}

impl SdirkMethod for SdirkTableau {
    fn tableau(&self) -> &SdirkTableau {
        self
    }
}

/// Every built-in method, by order.
pub fn all() -> [&'static SdirkTableau; 4] {
    [&tr_bdf2::TABLEAU, &kvaerno3::TABLEAU, &kvaerno5::TABLEAU, &esdirk54::TABLEAU]
}

/// Makes types that are [`SdirkMethod`]s methods of [`solve`](super::solve), with and without options.
macro_rules! sdirk_methods {
    ($($method:ty),*) => {
        $(impl<T: Real, D: Dynamics<T>> ImplicitMethod<T, D> for $method {
            type Stepper<'a> = SdirkStepper<'a, T, D> where D: 'a;

            fn stepper_with<'a>(
                &self,
                dynamics: &'a D,
                batch: usize,
                options: &ImplicitOptions<T>,
            ) -> SdirkStepper<'a, T, D> {
                SdirkStepper::new(dynamics, SdirkMethod::tableau(self), batch, options)
            }

            fn has_error(&self) -> bool {
                true
            }
        })*
        step_methods!($($method),*);
    };
}

sdirk_methods!(SdirkTableau, TrBdf2, Kvaerno3, Kvaerno5, Esdirk54I8L2SA);
sdirk_methods!(super::imex::KenCarp3, super::imex::KenCarp4);
