//! Dormand–Prince 5(4).
//!
//! Dormand & Prince, J. Comp. Appl. Math. 6 (1980) 19–26; dense output: Shampine (1986), as in
//! Hairer's DOPRI5 (Hairer, Nørsett & Wanner I, II.6).

use super::row;
use crate::ode::tableau::{Dense, ExplicitRk, Row, StiffnessPair, Tableau};
use std::borrow::Cow;

/// Dormand–Prince 5(4), seven stages, first-same-as-last, free fourth-order dense output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dp5;

impl ExplicitRk for Dp5 {
    #[inline(always)]
    fn tableau(&self) -> &Tableau {
        &TABLEAU
    }
}

pub(super) static TABLEAU: Tableau = Tableau {
    name: Cow::Borrowed("Dp5"),
    order: 5,
    embedded_order: 4,
    c: row(&C),
    a: Cow::Borrowed(&A),
    b: row(&B),
    error: row(&ERROR),
    error_low: row(&[]),
    fsal: true,
    stiffness: Some(StiffnessPair { first: 5, second: 6, stability_size: 3.3065679 }),
    dense: Dense {
        order: 4,
        extra_c: row(&[]),
        extra_a: Cow::Borrowed(&[]),
        weights: Cow::Borrowed(&WEIGHTS),
    },
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 7] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];

/// Rows of a.
#[rustfmt::skip]
static A: [Row; 7] = [
    row(&[]),
    row(&[1.0 / 5.0]),
    row(&[3.0 / 40.0, 9.0 / 40.0]),
    row(&[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0]),
    row(&[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0]),
    row(&[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0]),
    row(&[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0]),
];

/// Weights b.
#[rustfmt::skip]
static B: [f64; 7] = [
    35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0, 0.0,
];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 7] = [
    71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0,
    -1.0 / 40.0,
];

/// Coefficients of ϑ¹…ϑ^4 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 7] = [
    row(&[
        1.0, -8048581381.0 / 2820520608.0, 8663915743.0 / 2820520608.0,
        -12715105075.0 / 11282082432.0,
    ]),
    row(&[0.0, 0.0, 0.0, 0.0]),
    row(&[
        0.0, 131558114200.0 / 32700410799.0, -68118460800.0 / 10900136933.0,
        87487479700.0 / 32700410799.0,
    ]),
    row(&[
        0.0, -1754552775.0 / 470086768.0, 14199869525.0 / 1410260304.0,
        -10690763975.0 / 1880347072.0,
    ]),
    row(&[
        0.0, 127303824393.0 / 49829197408.0, -318862633887.0 / 49829197408.0,
        701980252875.0 / 199316789632.0,
    ]),
    row(&[
        0.0, -282668133.0 / 205662961.0, 2019193451.0 / 616988883.0, -1453857185.0 / 822651844.0,
    ]),
    row(&[0.0, 40617522.0 / 29380423.0, -110615467.0 / 29380423.0, 69997945.0 / 29380423.0]),
];
