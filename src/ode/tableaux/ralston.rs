//! Ralston's second-order method.
//!
//! Ralston, Math. Comp. 16 (1962) 431–437.
//! Dense output: cubic Hermite, through f(t + h, y⁺), an extra stage that the next step reuses.

use super::row;
use crate::ode::tableau::{Dense, ExplicitRk, Row, Tableau};
use std::borrow::Cow;

/// Ralston's method, order 2(1), two stages: the two-stage method of order 2 with the smallest
/// error bound; the error estimate is against Euler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ralston;

impl ExplicitRk for Ralston {
    #[inline(always)]
    fn tableau(&self) -> &Tableau {
        &TABLEAU
    }
}

pub(super) static TABLEAU: Tableau = Tableau {
    name: Cow::Borrowed("Ralston"),
    order: 2,
    embedded_order: 1,
    c: row(&C),
    a: Cow::Borrowed(&A),
    b: row(&B),
    error: row(&ERROR),
    error_low: row(&[]),
    fsal: false,
    stiffness: None,
    dense: Dense {
        order: 2,
        extra_c: row(&EXTRA_C),
        extra_a: Cow::Borrowed(&EXTRA_A),
        weights: Cow::Borrowed(&WEIGHTS),
    },
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 2] = [0.0, 2.0 / 3.0];

/// Rows of a.
#[rustfmt::skip]
static A: [Row; 2] = [
    row(&[]),
    row(&[2.0 / 3.0]),
];

/// Weights b.
#[rustfmt::skip]
static B: [f64; 2] = [1.0 / 4.0, 3.0 / 4.0];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 2] = [-3.0 / 4.0, 3.0 / 4.0];

/// Abscissae of the extra stages.
#[rustfmt::skip]
static EXTRA_C: [f64; 1] = [1.0];

/// Rows of a of the extra stages.
#[rustfmt::skip]
static EXTRA_A: [Row; 1] = [
    row(&[1.0 / 4.0, 3.0 / 4.0]),
];

/// Coefficients of ϑ¹…ϑ^3 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 3] = [
    row(&[1.0, -5.0 / 4.0, 1.0 / 2.0]),
    row(&[0.0, 9.0 / 4.0, -3.0 / 2.0]),
    row(&[0.0, -1.0, 1.0]),
];
