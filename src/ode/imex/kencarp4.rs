//! ARK4(3)6L[2]SA.
//!
//! Kennedy & Carpenter, Appl. Numer. Math. 44 (2003) 139–181. The dense output of order 3 is ours, the only
//! one that is bounded on stiff components and of order 3 there too
//! ([`stiff_slopes`](crate::ode::sdirk::SdirkTableau::stiff_slopes)); theirs, of order 2 there, errs by up to
//! 0.16 h³φ‴/6.

use crate::ode::sdirk::row;
use crate::ode::sdirk::{SdirkMethod, SdirkTableau};
use crate::ode::tableau::Row;
use std::borrow::Cow;

/// ARK4(3)6L\[2\]SA of Kennedy & Carpenter, known as KenCarp4: an additive pair of six stages, order 4(3),
/// the implicit part L-stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KenCarp4;

impl SdirkMethod for KenCarp4 {
    fn tableau(&self) -> &SdirkTableau {
        &TABLEAU
    }
}

pub(crate) static TABLEAU: SdirkTableau = SdirkTableau {
    name: Cow::Borrowed("KenCarp4"),
    order: 4,
    embedded_order: 3,
    gamma: 0.25,
    c: row(&C),
    a: Cow::Borrowed(&A),
    end: 5,
    explicit: Cow::Borrowed(&EXPLICIT),
    error: row(&ERROR),
    stiffness: None,
    dense_order: 3,
    dense: Cow::Borrowed(&WEIGHTS),
};

/// Abscissae.
#[rustfmt::skip]
static C: [f64; 6] = [0.0, 0.5, 0.332, 0.62, 0.85, 1.0];

/// Rows of a below the diagonal.
#[rustfmt::skip]
static A: [Row; 6] = [
    row(&[]),
    row(&[0.25]),
    row(&[0.137776, -0.055776]),
    row(&[0.14463686602698217, -0.22393190761334475, 0.4492950415863626]),
    row(&[0.09825878328356477, -0.5915442428196704, 0.8101210538282996, 0.283164405707806]),
    row(&[
        0.15791629516167136, 0.0, 0.18675894052400077, 0.6805652953093346,
        -0.27524053099500667,
    ]),
];

/// Rows of the explicit part's a.
#[rustfmt::skip]
static EXPLICIT: [Row; 6] = [
    row(&[]),
    row(&[0.5]),
    row(&[0.221776, 0.110224]),
    row(&[-0.04884659515311858, -0.177720652326401, 0.8465672474795196]),
    row(&[-0.15541685842491548, -0.3567050098221991, 1.0587258798684427, 0.30339598837867193]),
    row(&[
        0.20142435067267633, 0.008742057842904185, 0.15993995707168115, 0.4038290605220775,
        0.22606457389066084,
    ]),
];

/// b̃ = b − b̂.
#[rustfmt::skip]
static ERROR: [f64; 6] = [
    0.0032044943984591762, 0.0, -0.0024462511366794577, -0.02148007591958727,
    0.043946868068572426, -0.02322503541076487,
];

/// Coefficients of ϑ¹…ϑ^3 in b_i(ϑ).
#[rustfmt::skip]
static WEIGHTS: [Row; 6] = [
    row(&[0.7225634345872354, -1.0022391252335519, 0.4375919858079878]),
    row(&[0.0, 0.0, 0.0]),
    row(&[0.9699987448805054, -1.356161849481829, 0.5729220451253247]),
    row(&[-1.1421254587835479, 4.532812405647823, -2.7101216515549402]),
    row(&[0.4232338544689009, -2.095423156391722, 1.3969487709278143]),
    row(&[0.026329424846906157, -0.07898827454071879, 0.3026588496938127]),
];
