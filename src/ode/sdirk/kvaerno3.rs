//! Kværnø 3(2).
//!
//! Kværnø, BIT 44 (2004) 489–502, section 3 (γ the middle root of 6x³ − 18x² + 9x − 1). The dense output
//! is the only one of order 3 and degree 3 whose value stays bounded on stiff components; it ends with
//! the slope f(t + h, y⁺).

use super::row;
use crate::ode::sdirk::{SdirkMethod, SdirkTableau};

use crate::ode::tableau::Row;
use std::borrow::Cow;

/// Kværnø 3(2), four stages, L-stable; the embedded solution is the third stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kvaerno3;

impl SdirkMethod for Kvaerno3 {
    fn tableau(&self) -> &SdirkTableau {
        &TABLEAU
    }
}

pub(crate) static TABLEAU: SdirkTableau = SdirkTableau {
    name: Cow::Borrowed("Kvaerno3"),
    order: 3,
    embedded_order: 2,
    gamma: 0.435866521508459,
    c: row(&C),
    a: Cow::Borrowed(&A),
    end: 3,
    explicit: Cow::Borrowed(&[]),
    error: row(&ERROR),
    stiffness: Some((2, 3)),
    dense_order: 3,
    dense: Cow::Borrowed(&WEIGHTS),
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 4] = [0.0, 0.871733043016918, 1.0, 1.0];

/// Rows of a below the diagonal.
#[rustfmt::skip]
static A: [Row; 4] = [
    row(&[]),
    row(&[0.435866521508459]),
    row(&[0.49056338842178054, 0.07357009006976042]),
    row(&[0.30880996997674653, 1.4905633884217806, -1.2352398799069861]),
];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 4] = [
    -0.18175341844503404, 1.4169932983520201, -1.671106401415445, 0.435866521508459,
];

/// Coefficients of ϑ¹…ϑ^3 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 4] = [
    row(&[1.0, -1.0735700900697605, 0.38238006004650693]),
    row(&[0.0, 4.471690165265342, -2.981126776843561]),
    row(&[1.0452602553351023, -5.796240150391163, 3.5157400151490745]),
    row(&[-1.0452602553351023, 2.3981200751955813, -0.9169932983520201]),
];
