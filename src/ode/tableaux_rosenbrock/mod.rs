//! The Rosenbrock methods, coefficients only; [`RosenbrockTableau`] says what they mean.

mod rodas4;
mod rodas5p;
mod rosenbrock23;

pub use rodas4::Rodas4;
pub use rodas5p::Rodas5P;
pub use rosenbrock23::Rosenbrock23;

use super::rosenbrock::{RosenbrockMethod, RosenbrockTableau};
use super::tableau::Row;
use std::borrow::Cow;

/// A row of static coefficients.
const fn row(values: &'static [f64]) -> Row {
    Cow::Borrowed(values)
}

macro_rules! method {
    ($($module:ident $name:ident)*) => {$(
        impl RosenbrockMethod for $name {
            fn tableau(&self) -> &RosenbrockTableau {
                &$module::TABLEAU
            }
        }
    )*};
}
method!(rosenbrock23 Rosenbrock23 rodas4 Rodas4 rodas5p Rodas5P);

/// Every built-in Rosenbrock method, by order.
pub fn all() -> [&'static RosenbrockTableau; 3] {
    [&rosenbrock23::TABLEAU, &rodas4::TABLEAU, &rodas5p::TABLEAU]
}
