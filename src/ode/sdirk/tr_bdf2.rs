//! TR-BDF2.
//!
//! Hosea & Shampine, Appl. Numer. Math. 20 (1996) 21–37, γ = 2 − √2 there. The fourth stage filters the
//! estimate (see [`super::tableau`]). The dense output is the one of order 2 whose value stays bounded on
//! stiff components; it ends with the slope f(t + h, y⁺).

use super::row;
use crate::ode::sdirk::{SdirkMethod, SdirkTableau};

use crate::ode::tableau::Row;
use std::borrow::Cow;

/// TR-BDF2, order 2(3), L-stable: the trapezoidal rule to t + (2 − √2)h, then BDF2. One stage more than
/// usual filters the estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrBdf2;

impl SdirkMethod for TrBdf2 {
    fn tableau(&self) -> &SdirkTableau {
        &TABLEAU
    }
}

pub(crate) static TABLEAU: SdirkTableau = SdirkTableau {
    name: Cow::Borrowed("TrBdf2"),
    order: 2,
    embedded_order: 3,
    gamma: 0.2928932188134525,
    c: row(&C),
    a: Cow::Borrowed(&A),
    end: 2,
    explicit: Cow::Borrowed(&[]),
    error: row(&ERROR),
    stiffness: Some((2, 3)),
    dense_order: 2,
    dense: Cow::Borrowed(&WEIGHTS),
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 4] = [0.0, 0.585786437626905, 1.0, 1.0];

/// Rows of a below the diagonal.
#[rustfmt::skip]
static A: [Row; 4] = [
    row(&[]),
    row(&[0.2928932188134525]),
    row(&[0.3535533905932738, 0.3535533905932738]),
    row(&[0.21548220313557542, 0.6868867239266071, -0.19526214587563498]),
];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 4] = [
    0.13807118745769836, -0.3333333333333333, 0.48815536468908743, -0.2928932188134525,
];

#[allow(clippy::approx_constant)] // 1/√2 is a coefficient here, as the others are.
/// Coefficients of ϑ¹…ϑ^2 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 4] = [
    row(&[0.7071067811865476, -0.3535533905932738]),
    row(&[0.7071067811865476, -0.3535533905932738]),
    row(&[-0.41421356237309503, 0.7071067811865476]),
    row(&[0.0, 0.0]),
];
