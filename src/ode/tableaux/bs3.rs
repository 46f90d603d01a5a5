//! Bogacki–Shampine 3(2).
//!
//! Bogacki & Shampine, Appl. Math. Lett. 2 (1989) 321–325.

use super::row;
use crate::ode::tableau::{Dense, ExplicitRk, Row, Tableau};
use std::borrow::Cow;

/// Bogacki–Shampine 3(2), four stages, first-same-as-last, cubic Hermite dense output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bs3;

impl ExplicitRk for Bs3 {
    #[inline(always)]
    fn tableau(&self) -> &Tableau {
        &TABLEAU
    }
}

pub(super) static TABLEAU: Tableau = Tableau {
    name: Cow::Borrowed("Bs3"),
    order: 3,
    embedded_order: 2,
    c: row(&C),
    a: Cow::Borrowed(&A),
    b: row(&B),
    error: row(&ERROR),
    error_low: row(&[]),
    fsal: true,
    stiffness: None,
    dense: Dense {
        order: 3,
        extra_c: row(&[]),
        extra_a: Cow::Borrowed(&[]),
        weights: Cow::Borrowed(&WEIGHTS),
    },
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 4] = [0.0, 1.0 / 2.0, 3.0 / 4.0, 1.0];

/// Rows of a.
#[rustfmt::skip]
static A: [Row; 4] = [
    row(&[]),
    row(&[1.0 / 2.0]),
    row(&[0.0, 3.0 / 4.0]),
    row(&[2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0]),
];

/// Weights b.
#[rustfmt::skip]
static B: [f64; 4] = [2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0, 0.0];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 4] = [-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0];

/// Coefficients of ϑ¹…ϑ^3 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 4] = [
    row(&[1.0, -4.0 / 3.0, 5.0 / 9.0]),
    row(&[0.0, 1.0, -2.0 / 3.0]),
    row(&[0.0, 4.0 / 3.0, -8.0 / 9.0]),
    row(&[0.0, -1.0, 1.0]),
];
