//! ARK3(2)4L[2]SA.
//!
//! Kennedy & Carpenter, Appl. Numer. Math. 44 (2003) 139–181, with its dense output of order 2.

use crate::ode::sdirk::row;
use crate::ode::sdirk::{SdirkMethod, SdirkTableau};
use crate::ode::tableau::Row;
use std::borrow::Cow;

/// ARK3(2)4L\[2\]SA of Kennedy & Carpenter, known as KenCarp3: an additive pair of four stages, order 3(2),
/// the implicit part L-stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KenCarp3;

impl SdirkMethod for KenCarp3 {
    fn tableau(&self) -> &SdirkTableau {
        &TABLEAU
    }
}

pub(crate) static TABLEAU: SdirkTableau = SdirkTableau {
    name: Cow::Borrowed("KenCarp3"),
    order: 3,
    embedded_order: 2,
    gamma: 0.435866521508459,
    c: row(&C),
    a: Cow::Borrowed(&A),
    end: 3,
    explicit: Cow::Borrowed(&EXPLICIT),
    error: row(&ERROR),
    stiffness: None,
    dense_order: 2,
    dense: Cow::Borrowed(&WEIGHTS),
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 4] = [0.0, 0.871733043016918, 0.6, 1.0];

/// Rows of a below the diagonal.
#[rustfmt::skip]
static A: [Row; 4] = [
    row(&[]),
    row(&[0.435866521508459]),
    row(&[0.2576482460664272, -0.09351476757488625]),
    row(&[0.18764102434672383, -0.595297473576955, 0.9717899277217721]),
];

/// Rows of the explicit part's a.
#[rustfmt::skip]
static EXPLICIT: [Row; 4] = [
    row(&[]),
    row(&[0.871733043016918]),
    row(&[0.5275890119763004, 0.0724109880236996]),
    row(&[0.3990960076760701, -0.4375576546135194, 1.0384616469374492]),
];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 4] = [
    -0.027099261876665316, -0.11013520969201586, 0.10306492520138458, 0.0341695463672966,
];

/// Coefficients of ϑ¹…ϑ^2 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 4] = [
    row(&[0.20352450885253262, -0.015883484505808787]),
    row(&[-1.8886417335445254, 1.2933442599675704]),
    row(&[2.5968145478511913, -1.625024620129419]),
    row(&[0.08830267684080172, 0.3475638446676573]),
];
