//! Rosenbrock23 (ode23s; Shampine & Reichelt, "The MATLAB ODE suite", SIAM J. Sci. Comput. 18, 1997): order
//! 2, embedded order 3, three stages, L-stable, dense output of order 2.
//!
//! The paper's stages are k_1 = κ_1, k_2 = κ_1 + κ_2, k_3 = κ_3 + e₃₂κ_2 + 2κ_1 with u = hdκ, d = 1/(2 + √2),
//! e₃₂ = 6 + √2: the third evaluation of f is at (t + h, y⁺), and y⁺ + h/6 (k_1 − 2k_2 + k_3) has order 3.

use super::row;
use crate::ode::rosenbrock::RosenbrockTableau;
use std::borrow::Cow;

/// Rosenbrock23: order 2(3), three stages, dense output of order 2. See the module for its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rosenbrock23;

pub(super) static TABLEAU: RosenbrockTableau = RosenbrockTableau {
    name: "Rosenbrock23",
    order: 2,
    embedded_order: 3,
    gamma: 0.2928932188134525,
    c: row(&[0.0, 0.5, 1.0]),
    d: row(&[0.2928932188134525, 0.0, -0.2928932188134525]),
    a: Cow::Borrowed(&[row(&[]), row(&[1.7071067811865475]), row(&[3.414213562373095, 3.414213562373095])]),
    coupling: Cow::Borrowed(&[
        row(&[]),
        row(&[-3.414213562373095]),
        row(&[-6.82842712474619, -25.31370849898476]),
    ]),
    m: row(&[3.414213562373095, 3.414213562373095, 0.0]),
    error: row(&[-0.5690355937288492, -3.080880229039762, -0.5690355937288492]),
    dense_order: 2,
    dense: Cow::Borrowed(&[
        row(&[3.414213562373095, 0.0]),
        row(&[-4.82842712474619, 8.242640687119286]),
        row(&[0.0, 0.0]),
    ]),
    stiffly_accurate: false,
    stiffness: None,
};
