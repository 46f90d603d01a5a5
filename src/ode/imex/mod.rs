//! Implicit–explicit (additive) Runge–Kutta methods for y' = f_E + f_I: the stiff part f_I in the
//! implicit stages of an ESDIRK method, f_E in the stages of an explicit one with the same abscissae and
//! weights ([`sdirk`](super::sdirk) holds the step and its reverse). The sum is given as
//! [`Split`](crate::dynamics::compose::Split); a right-hand side of one part is integrated as all
//! implicit. Only f_I's Jacobian is formed, and f_E limits the step as it does in an explicit method.
//!
//! | method | order | stages | dense output |
//! |---|---|---|---|
//! | [`KenCarp3`] | 3(2) | 4 | 2 |
//! | [`KenCarp4`] | 4(3) | 6 | 3 |
//!
//! Source: Kennedy & Carpenter, *Additive Runge–Kutta schemes for convection–diffusion–reaction
//! equations*, Appl. Numer. Math. 44 (2003) 139–181; coefficients and dense outputs are the published
//! ones. They have no stages of equal abscissa, hence no stiffness estimate.
//!
//! ```
//! use odeon::dynamics::{compose::Split, gallery::{Decay, LotkaVolterra}, generic::Generic};
//! use odeon::dynamics::compose::Embed;
//! use odeon::integrate::{Options, Problem};
//! use odeon::ode::{imex::KenCarp4, solve};
//!
//! // Lotka–Volterra with a fast decay of the first species, which alone is implicit.
//! let fast = Embed::new(Generic(Decay), 2, &[0], &[0]);
//! let f = Split::new(Generic(LotkaVolterra), fast);
//! let theta = [1.5, 1.0, 3.0, 1.0, 1e4];
//! let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 2.0], theta: &theta };
//! let solution = solve(&f, &KenCarp4, &problem, &Options::tol(1e-6, 1e-8))?;
//! assert!(solution.stats.accepted < 200);
//! # Ok::<(), odeon::Error>(())
//! ```

mod kencarp3;
mod kencarp4;

pub use kencarp3::KenCarp3;
pub use kencarp4::KenCarp4;

use super::sdirk::SdirkTableau;

/// Every built-in pair, by order.
pub fn all() -> [&'static SdirkTableau; 2] {
    [&kencarp3::TABLEAU, &kencarp4::TABLEAU]
}
