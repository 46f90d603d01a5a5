//! Tsitouras 5(4).
//!
//! Tsitouras, Comput. Math. Appl. 62 (2011) 770–775. The coefficients are the published ones;
//! those of the dense output (published to 16 digits) are moved by less than 2e-14 onto the order
//! conditions, continuity b_i(1) = b_i and b_i'(1) = δ_i7.

use super::row;
use crate::ode::tableau::{Dense, ExplicitRk, Row, StiffnessPair, Tableau};
use std::borrow::Cow;

/// Tsitouras 5(4), seven stages, first-same-as-last, free fourth-order dense output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tsit5;

impl ExplicitRk for Tsit5 {
    #[inline(always)]
    fn tableau(&self) -> &Tableau {
        &TABLEAU
    }
}

pub(super) static TABLEAU: Tableau = Tableau {
    name: Cow::Borrowed("Tsit5"),
    order: 5,
    embedded_order: 4,
    c: row(&C),
    a: Cow::Borrowed(&A),
    b: row(&B),
    error: row(&ERROR),
    error_low: row(&[]),
    fsal: true,
    stiffness: Some(StiffnessPair { first: 5, second: 6, stability_size: 3.5068 }),
    dense: Dense {
        order: 4,
        extra_c: row(&[]),
        extra_a: Cow::Borrowed(&[]),
        weights: Cow::Borrowed(&WEIGHTS),
    },
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 7] = [0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0];

/// Rows of a.
#[rustfmt::skip]
static A: [Row; 7] = [
    row(&[]),
    row(&[0.161]),
    row(&[-0.008480655492356989, 0.335480655492357]),
    row(&[2.8971530571054935, -6.359448489975075, 4.3622954328695815]),
    row(&[5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525]),
    row(&[
        5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401,
        -0.028269050394068383,
    ]),
    row(&[
        0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
        2.324710524099774,
    ]),
];

/// Weights b.
#[rustfmt::skip]
static B: [f64; 7] = [
    0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
    2.324710524099774, 0.0,
];

/// b̃, in the sign of the published implementations (b̂ − b of the paper; norms do not see it).
#[rustfmt::skip]
static ERROR: [f64; 7] = [
    -0.0017800110522257714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
    0.5823571654525552, -0.45808210592918697, 0.015151515151515152,
];

/// Coefficients of ϑ¹…ϑ^4 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 7] = [
    row(&[1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216]),
    row(&[0.0, 0.1317, -0.22340000000000002, 0.1017]),
    row(&[0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253]),
    row(&[0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902]),
    row(&[0.0, 37.509313416511034, -88.17890489476639, 47.379521962819275]),
    row(&[0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661]),
    row(&[0.0, 1.5, -4.0, 2.5]),
];
