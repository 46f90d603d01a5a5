//! Kværnø 5(4).
//!
//! Kværnø, BIT 44 (2004) 489–502, section 3 (γ = 0.26; published to 17 digits). The dense output of
//! order 4 is ours: bounded on stiff components, ending with the slope f(t + h, y⁺), and with the least
//! residuals of the conditions of order 5 among those.
//!
//! Limit. Inside a step the stiff components are good to order 2 only, with an error of up to
//! 0.046 h³φ‴/6 ([`stiff_slopes`](super::SdirkTableau::stiff_slopes)): on these seven stages the condition of
//! order 3 contradicts those of order 4 and boundedness. (The cubic Hermite polynomial of other codes has
//! 0.050, and no bound.) At rtol 10⁻⁷ the ends of steps miss the tolerance by 4 (Robertson) and 6 (van der
//! Pol, μ = 10³), states saved inside steps by up to 359 and 741. Where those matter make the times
//! `tstops`, or take [`KenCarp4`](crate::ode::imex::KenCarp4), whose dense output is good to order 3 there.

use super::row;
use crate::ode::sdirk::{SdirkMethod, SdirkTableau};

use crate::ode::tableau::Row;
use std::borrow::Cow;

/// Kværnø 5(4), seven stages, L-stable; the embedded solution is the sixth stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kvaerno5;

impl SdirkMethod for Kvaerno5 {
    fn tableau(&self) -> &SdirkTableau {
        &TABLEAU
    }
}

pub(crate) static TABLEAU: SdirkTableau = SdirkTableau {
    name: Cow::Borrowed("Kvaerno5"),
    order: 5,
    embedded_order: 4,
    gamma: 0.26,
    c: row(&C),
    a: Cow::Borrowed(&A),
    end: 6,
    explicit: Cow::Borrowed(&[]),
    error: row(&ERROR),
    stiffness: Some((5, 6)),
    dense_order: 4,
    dense: Cow::Borrowed(&WEIGHTS),
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 7] = [
    0.0, 0.52, 1.230333209967908, 0.8957659843500759, 0.43639360985864756, 1.0, 1.0,
];

/// Rows of a below the diagonal.
#[rustfmt::skip]
static A: [Row; 7] = [
    row(&[]),
    row(&[0.26]),
    row(&[0.13, 0.8403332099679081]),
    row(&[0.22371961478320504, 0.476755323197997, -0.06470895363112615]),
    row(&[0.16648564323248322, 0.1045001884159172, 0.03631482272098715, -0.13090704451073998]),
    row(&[
        0.13855640231268224, 0.0, -0.04245337201752043, 0.02446657898003141,
        0.6194303907248068,
    ]),
    row(&[
        0.13659751177640292, 0.0, -0.05496908796538376, -0.04118626728321046,
        0.629933048990164, 0.06962479448202728,
    ]),
];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 7] = [
    -0.00195889053627933, 0.0, -0.01251571594786333, -0.06565284626324187, 0.01050265826535727,
    -0.1903752055179727, 0.26,
];

/// Coefficients of ϑ¹…ϑ^4 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 7] = [
    row(&[0.98586460615793, -2.0712739777088998, 1.7313441840496215, -0.5093373007222486]),
    row(&[0.0, 0.0, 0.0, 0.0]),
    row(&[-0.09031366013669716, 0.8476031723103736, -1.6441417160721907, 0.8318831159331306]),
    row(&[-0.47375227027563727, -0.6409930425067247, 2.5384978267075193, -1.4649387812083678]),
    row(&[0.07578739506878013, 3.2528346875742, -4.213299364394084, 1.514610330741268]),
    row(&[-0.03738558661804177, -0.16637263030845945, 0.7234011983991534, -0.45001818699062485]),
    row(&[0.5397995158036661, -1.221798209360489, 0.86419787130998, 0.07780082224684302]),
];
