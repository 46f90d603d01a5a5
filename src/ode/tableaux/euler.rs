//! Forward Euler.
//!
//! Euler (1768).
//! Dense output: cubic Hermite, through f(t + h, y⁺), an extra stage that the next step reuses.

use super::row;
use crate::ode::tableau::{Dense, ExplicitRk, Row, Tableau};
use std::borrow::Cow;

/// Forward Euler, order 1, one stage, no error estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Euler;

impl ExplicitRk for Euler {
    #[inline(always)]
    fn tableau(&self) -> &Tableau {
        &TABLEAU
    }
}

pub(super) static TABLEAU: Tableau = Tableau {
    name: Cow::Borrowed("Euler"),
    order: 1,
    embedded_order: 0,
    c: row(&C),
    a: Cow::Borrowed(&A),
    b: row(&B),
    error: row(&[]),
    error_low: row(&[]),
    fsal: false,
    stiffness: None,
    dense: Dense {
        order: 1,
        extra_c: row(&EXTRA_C),
        extra_a: Cow::Borrowed(&EXTRA_A),
        weights: Cow::Borrowed(&WEIGHTS),
    },
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 1] = [0.0];

/// Rows of a.
#[rustfmt::skip]
static A: [Row; 1] = [
    row(&[]),
];

/// Weights b.
#[rustfmt::skip]
static B: [f64; 1] = [1.0];

/// Abscissae of the extra stages.
#[rustfmt::skip]
static EXTRA_C: [f64; 1] = [1.0];

/// Rows of a of the extra stages.
#[rustfmt::skip]
static EXTRA_A: [Row; 1] = [
    row(&[1.0]),
];

/// Coefficients of ϑ¹…ϑ^3 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 2] = [
    row(&[1.0, 1.0, -1.0]),
    row(&[0.0, -1.0, 1.0]),
];
