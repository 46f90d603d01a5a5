//! The classical Runge–Kutta method.
//!
//! Kutta (1901).
//! Dense output: cubic Hermite, through f(t + h, y⁺), an extra stage that the next step reuses.

use super::row;
use crate::ode::tableau::{Dense, ExplicitRk, Row, StiffnessPair, Tableau};
use std::borrow::Cow;

/// The classical Runge–Kutta method, order 4, four stages, no error estimate. Stages 2 and 3 share
/// c = 1/2 and give a stiffness estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rk4;

impl ExplicitRk for Rk4 {
    #[inline(always)]
    fn tableau(&self) -> &Tableau {
        &TABLEAU
    }
}

pub(super) static TABLEAU: Tableau = Tableau {
    name: Cow::Borrowed("Rk4"),
    order: 4,
    embedded_order: 0,
    c: row(&C),
    a: Cow::Borrowed(&A),
    b: row(&B),
    error: row(&[]),
    error_low: row(&[]),
    fsal: false,
    stiffness: Some(StiffnessPair { first: 1, second: 2, stability_size: 2.7852936 }),
    dense: Dense {
        order: 3,
        extra_c: row(&EXTRA_C),
        extra_a: Cow::Borrowed(&EXTRA_A),
        weights: Cow::Borrowed(&WEIGHTS),
    },
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 4] = [0.0, 1.0 / 2.0, 1.0 / 2.0, 1.0];

/// Rows of a.
#[rustfmt::skip]
static A: [Row; 4] = [
    row(&[]),
    row(&[1.0 / 2.0]),
    row(&[0.0, 1.0 / 2.0]),
    row(&[0.0, 0.0, 1.0]),
];

/// Weights b.
#[rustfmt::skip]
static B: [f64; 4] = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];

/// Abscissae of the extra stages.
#[rustfmt::skip]
static EXTRA_C: [f64; 1] = [1.0];

/// Rows of a of the extra stages.
#[rustfmt::skip]
static EXTRA_A: [Row; 1] = [
    row(&[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0]),
];

/// Coefficients of ϑ¹…ϑ^3 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 5] = [
    row(&[1.0, -3.0 / 2.0, 2.0 / 3.0]),
    row(&[0.0, 1.0, -2.0 / 3.0]),
    row(&[0.0, 1.0, -2.0 / 3.0]),
    row(&[0.0, 1.0 / 2.0, -1.0 / 3.0]),
    row(&[0.0, -1.0, 1.0]),
];
