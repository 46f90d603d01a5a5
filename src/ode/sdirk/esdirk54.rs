//! ESDIRK5(4)8L[2]SA.
//!
//! Kennedy & Carpenter, Appl. Numer. Math. 146 (2019) 221–244. The dense output of order 4 is ours:
//! bounded on stiff components, of order 3 on them ([`stiff_slopes`](super::SdirkTableau::stiff_slopes)),
//! and with the least residuals of the conditions of order 5 among those. Order 4 on them would contradict
//! the others: the conditions have rank 7 in 8 stages.
//!
//! The choice, measured. Local errors of the dense output at ϑ = 0.1, …, 0.9 of every step, against Radau
//! IIA at rtol 10⁻¹⁰ from the same start, in units of the tolerance at rtol 10⁻⁷, root mean square (largest):
//!
//! | weights | Robertson | van der Pol, μ = 10³ | OREGO | HIRES |
//! |---|---|---|---|---|
//! | these | 17 (214) | 10 (84) | 1.8 (19) | 12 (99) |
//! | of order 2 on stiff components, end slope f(t + h, y⁺) | 42 (561) | 26 (184) | 3.9 (49) | 27 (217) |
//! | least error for φ = t³, t⁴, t⁵ over all hλ < 0 | 23 (269) | 5 (48) | 1.9 (20) | 7 (55) |
//!
//! Neither of the first and the last is better everywhere; these have the smaller worst error and the
//! smallest medians. Newton's errors are not what is seen: Σ|bᵢ(ϑ)| is at most 20, and that of the weights
//! on the stages' arguments, b(ϑ)ᵀÂ⁻¹, is 56 at ϑ = 0.7 for the first two, 52 for the last; with κ = 10⁻⁵
//! the errors stay. What is left is 0.0013 h⁴φ⁗ at ϑ ≤ 0.2, which no weights of order 3 there can change.

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
    row(&[0.9854488292951059, -2.0899673375286167, 1.7629021814698642, -0.5246863638517484]),
    row(&[0.8212105350421929, -1.2270320269714343, -0.779132670887889, 0.9810901840546259]),
    row(&[-4.530621472822288, 34.70809321412859, -72.32800920585821, 37.88729938517867]),
    row(&[-0.42501107229624485, 5.822426702672276, -0.6760053796954906, -2.2395360070600576]),
    row(&[6.216772141844934, -48.470045560457365, 107.74877567005122, -57.88879495892501]),
    row(&[-2.425497400018209, 12.743966695837914, -37.54117730700909, 22.237548913721017]),
    row(&[4.507079270686613, -26.129152843526427, 40.659515076639146, -19.057459193714056]),
    row(&[-4.149380831732103, 24.641711155845066, -38.846868364709536, 18.60453804059656]),
];
