//! Rodas4 (Hairer & Wanner II, IV.10, code RODAS with method 1): order 4, embedded order 3, six stages,
//! stiffly accurate, L-stable, dense output of order 3.

use super::row;
use crate::ode::rosenbrock::RosenbrockTableau;
use std::borrow::Cow;

/// Rodas4: order 4(3), 6 stages, dense output of order 3. See the module for its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rodas4;

pub(super) static TABLEAU: RosenbrockTableau = RosenbrockTableau {
    name: "Rodas4",
    order: 4,
    embedded_order: 3,
    gamma: 0.25,
    c: row(&[0.0, 0.386, 0.21, 1.0, 1.0, 1.0]),
    d: row(&[0.25, -0.1043, 0.1035, 0.0, 0.0, 0.0]),
    a: Cow::Borrowed(&[
        row(&[]),
        row(&[1.544]),
        row(&[0.9466785280815826, 0.2557011698983284]),
        row(&[3.314825187068521, 2.896124015972201, 0.9986419139977817]),
        row(&[3.314825187068521, 2.896124015972201, 0.9986419139977817, 1.0]),
        row(&[3.314825187068521, 2.896124015972201, 0.9986419139977817, 1.0, 1.0]),
    ]),
    coupling: Cow::Borrowed(&[
        row(&[]),
        row(&[-5.6688]),
        row(&[-2.430093356833875, -0.2063599157091915]),
        row(&[-0.1073529058151375, -9.594562251023355, -20.47028614809616]),
        row(&[7.496443313967647, -10.24680431464352, -33.99990352819905, 11.7089089320616]),
        row(&[
            8.083246795921522,
            -7.981132988064893,
            -31.52159432874371,
            16.31930543123136,
            -6.058818238834054,
        ]),
    ]),
    m: row(&[3.314825187068521, 2.896124015972201, 0.9986419139977817, 1.0, 1.0, 1.0]),
    error: row(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
    dense_order: 3,
    dense: Cow::Borrowed(&[
        row(&[13.441060270514381, -10.802515422725985, 0.6762803392801253]),
        row(&[-4.591871861637966, 13.575710529290182, -6.087714651680015]),
        row(&[-33.80227670155969, 51.23176182448225, -16.43084320892478]),
        row(&[-6.992771707568823, 32.75999682175269, -24.76722511418386]),
        row(&[2.025137723295662, -7.619526849012534, 6.594389125716872]),
        row(&[1.0, 0.0, 0.0]),
    ]),
    stiffness: Some((4, 5)),
};
