//! The coefficients of the built-in methods, one file a family, data only.
//!
//! | method | order | stages | FSAL | dense output (extra stages) | real stability |
//! |---|---|---|---|---|---|
//! | [`Euler`] | 1 | 1 | | 1 (1) | 2 |
//! | [`Midpoint`], [`Heun`], [`Ralston`] | 2(1) | 2 | | 2 (1) | 2 |
//! | [`Rk4`] | 4 | 4 | | 3 (1) | 2.785 |
//! | [`Bs3`] | 3(2) | 4 | yes | 3 (0) | 2.513 |
//! | [`Dp5`] | 5(4) | 7 | yes | 4 (0) | 3.307 |
//! | [`Tsit5`] | 5(4) | 7 | yes | 4 (0) | 3.507 |
//! | [`Vern6`] | 6(5) | 9 | yes | 6 (3) | 4.855 |
//! | [`Vern7`] | 7(6) | 10 | | 7 (7) | 4.640 |
//! | [`Vern9`] | 9(8) | 16 | | 9 (10) | 4.476 |
//! | [`Dop853`] | 8(5,3) | 12 | | 7 (4) | 6.394 |
//!
//! Without FSAL the first extra stage is f(t + h, y⁺) (abscissa 1, row equal to b): the engine
//! reuses it as the next step's first stage.

mod bs3;
mod dop853;
mod dp5;
mod euler;
mod heun;
mod midpoint;
mod ralston;
mod rk4;
mod tsit5;
mod vern6;
mod vern7;
mod vern9;

#[cfg(test)]
mod tests;

pub use bs3::Bs3;
pub use dop853::Dop853;
pub use dp5::Dp5;
pub use euler::Euler;
pub use heun::Heun;
pub use midpoint::Midpoint;
pub use ralston::Ralston;
pub use rk4::Rk4;
pub use tsit5::Tsit5;
pub use vern6::Vern6;
pub use vern7::Vern7;
pub use vern9::Vern9;

use super::tableau::{Row, Tableau};
use crate::error::{Error, Result};
use std::borrow::Cow;

/// A row of static coefficients.
const fn row(values: &'static [f64]) -> Row {
    Cow::Borrowed(values)
}

/// Every built-in method, by order.
pub fn all() -> [&'static Tableau; 12] {
    [
        &euler::TABLEAU,
        &midpoint::TABLEAU,
        &heun::TABLEAU,
        &ralston::TABLEAU,
        &bs3::TABLEAU,
        &rk4::TABLEAU,
        &dp5::TABLEAU,
        &tsit5::TABLEAU,
        &vern6::TABLEAU,
        &vern7::TABLEAU,
        &dop853::TABLEAU,
        &vern9::TABLEAU,
    ]
}

/// The built-in method called `name`, upper or lower case (`"Tsit5"`, `"dop853"`).
///
/// # Errors
/// [`Error::Invalid`] listing the names, when there is no such method.
pub fn by_name(name: &str) -> Result<&'static Tableau> {
    let methods = all();
    let found = methods.iter().find(|t| t.name.eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = methods.iter().map(|t| &*t.name).collect();
        Error::invalid("method", name, format!("it must be one of {}", names.join(", ")))
    })
}
