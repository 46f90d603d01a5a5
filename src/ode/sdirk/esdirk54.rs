//! ESDIRK5(4)8L[2]SA.
//!
//! Kennedy & Carpenter, Appl. Numer. Math. 146 (2019) 221–244. The dense output of order 4 is ours:
//! bounded on stiff components, ending with the slope f(t + h, y⁺), and with the least residuals of the
//! conditions of order 5 among those.

use super::row;
use crate::ode::sdirk::{SdirkMethod, SdirkTableau};

use crate::ode::tableau::Row;
use std::borrow::Cow;

/// ESDIRK5(4)8L\[2\]SA of Kennedy & Carpenter, eight stages, L-stable, the embedded solution too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Esdirk54I8L2SA;

impl SdirkMethod for Esdirk54I8L2SA {
    fn tableau(&self) -> &SdirkTableau {
        &TABLEAU
    }
}

pub(crate) static TABLEAU: SdirkTableau = SdirkTableau {
    name: Cow::Borrowed("Esdirk54I8L2SA"),
    order: 5,
    embedded_order: 4,
    gamma: 0.25,
    c: row(&C),
    a: Cow::Borrowed(&A),
    end: 7,
    explicit: Cow::Borrowed(&[]),
    error: row(&ERROR),
    stiffness: Some((6, 7)),
    dense_order: 4,
    dense: Cow::Borrowed(&WEIGHTS),
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 8] = [0.0, 0.5, 0.8535533905932737, 0.53, 0.8, 0.68, 1.0, 1.0];

/// Rows of a below the diagonal.
#[rustfmt::skip]
static A: [Row; 8] = [
    row(&[]),
    row(&[0.25]),
    row(&[0.30177669529663687, 0.30177669529663687]),
    row(&[0.1914039030905011, 0.1914039030905011, -0.10280780618100219]),
    row(&[0.28240705587394466, 0.28240705587394466, -0.04126691018786242, 0.026452798439973117]),
    row(&[
        0.23835518790251256, 0.2552834985916606, -0.19539385777416787, 0.018765913020685827,
        0.11298925825930888,
    ]),
    row(&[
        0.12371171764236197, -0.30513942215186096, -5.475399871109475, 2.9975825630620987,
        9.742587241281745, -6.333342228724871,
    ]),
    row(&[
        0.13369730938460478, -0.20386397876250517, -4.263238079373237, 2.4818742436204877,
        7.606707292513777, -4.985159097468383, -0.02001768991474364,
    ]),
];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 8] = [
    -0.019747011499980874, -0.20027729922253804, -2.397111103590602, 1.0198392221032244,
    4.2238103659369495, -2.6661001655393632, 0.5339736057291588, -0.4943876139168489,
];

/// Coefficients of ϑ¹…ϑ^4 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 8] = [
    row(&[0.9768301757627995, -2.3051677152095467, 2.214634140669114, -0.752599291837762]),
    row(&[0.7337987941624532, -3.409628134420193, 3.802403971303005, -1.330438609807771]),
    row(&[-5.576849155442547, 8.58468639703645, -17.49177764523821, 10.220702324271068]),
    row(&[0.02010139011229258, 16.936502661489772, -24.00581251883447, 9.531082710852893]),
    row(&[8.060269226465747, -2.4395064075805846, 11.125034305819034, -9.13908983219042]),
    row(&[-3.589126317195711, -16.310848133220205, 23.44843882815401, -8.533623475206477]),
    row(&[0.20247909811011042, -0.5455237565265321, 0.40353945906375827, -0.08051249056208026]),
    row(&[0.17249678802485408, -0.5105149115691602, 0.5035394590637583, 0.08447866448054792]),
];
