//! Stratonovich methods, and those of Foster, dos Reis & Strange for additive noise.

use super::{method, on};
use crate::sde::srk::{Couple, Rows, StochasticTableau, Strength, Variate};
use crate::sde::{Calculus, NoiseClass};

/// The strengths of a method of strong order 1 where the noise commutes, with its orders on additive noise.
const fn commuting(additive: [f64; 2]) -> [Strength; 5] {
    [
        on(NoiseClass::Additive, additive[0], additive[1]),
        on(NoiseClass::Scalar, 1.0, 1.0),
        on(NoiseClass::Diagonal, 1.0, 1.0),
        on(NoiseClass::Commutative, 1.0, 1.0),
        on(NoiseClass::General, 0.5, 1.0),
    ]
}

const ORDER_ONE: &[Strength] = &commuting([1.0, 1.0]);
const SHIFTED: &[Strength] = &commuting([1.5, 2.0]);

/// ξ with the same weights in drift and diffusion arguments.
const fn both(variate: Variate, rows: Rows, solution: &'static [f64], error: &'static [f64]) -> Couple {
    Couple { variate, drift: rows, diffusion: rows, solution, error }
}

method!(
    /// Heun's rule: the trapezoid with Euler's predictor (Kloeden & Platen 15.5; Rümelin 1982). The estimate is
    /// the difference to the predictor, which goes with h.
    Heun = StochasticTableau {
        name: "Heun",
        calculus: Calculus::Stratonovich,
        strengths: ORDER_ONE,
        c0: &[0.0, 1.0],
        c1: &[0.0, 1.0],
        a0: &[&[], &[1.0]],
        a1: &[&[], &[1.0]],
        alpha: &[0.5, 0.5],
        noise: &[both(Variate::Increment, &[&[], &[1.0]], &[0.5, 0.5], &[-0.5, 0.5])],
        error: &[-0.5, 0.5],
        error_power: 1,
        stiffness: None,
    }
);

method!(
    /// Euler's rule for the drift, Heun's for the diffusion: y₁ = y + f h + ½(G(t, y) + G(t + h, y + GΔW))ΔW. The
    /// estimate is the difference to Euler's predictor, which goes with h.
    EulerHeun = StochasticTableau {
        name: "EulerHeun",
        calculus: Calculus::Stratonovich,
        strengths: ORDER_ONE,
        c0: &[0.0, 1.0],
        c1: &[0.0, 1.0],
        a0: &[],
        a1: &[],
        alpha: &[1.0, 0.0],
        noise: &[Couple {
            variate: Variate::Increment,
            drift: &[],
            diffusion: &[&[], &[1.0]],
            solution: &[0.5, 0.5],
            error: &[-0.5, 0.5],
        }],
        error: &[],
        error_power: 1,
        stiffness: None,
    }
);

method!(
    /// The explicit midpoint rule: values at y + ½fh + ½GΔW.
    Midpoint = StochasticTableau {
        name: "Midpoint",
        calculus: Calculus::Stratonovich,
        strengths: ORDER_ONE,
        c0: &[0.0, 0.5],
        c1: &[0.0, 0.5],
        a0: &[&[], &[0.5]],
        a1: &[&[], &[0.5]],
        alpha: &[0.0, 1.0],
        noise: &[both(Variate::Increment, &[&[], &[0.5]], &[0.0, 1.0], &[])],
        error: &[],
        error_power: 1,
        stiffness: None,
    }
);

method!(
    /// Milstein's method without derivatives: y₁ = y + f h + gΔW + (g(y + g√h) − g(y − g√h))ΔW²/(4√h). The central
    /// difference matters: ΔW² has a mean, and with the one-sided difference of Kloeden & Platen 11.1 the term
    /// ¼g″g²√h ΔW² adds up to an error of order ½ (measured 0.63–0.86 in this crate's order test).
    RkMilsteinStratonovich = StochasticTableau {
        name: "RkMilsteinStratonovich",
        calculus: Calculus::Stratonovich,
        strengths: &[on(NoiseClass::Scalar, 1.0, 1.0), on(NoiseClass::Diagonal, 1.0, 1.0)],
        c0: &[0.0, 0.0, 0.0],
        c1: &[0.0, 0.0, 0.0],
        a0: &[],
        a1: &[],
        alpha: &[1.0, 0.0, 0.0],
        noise: &[
            Couple::solution(Variate::Increment, &[1.0, 0.0, 0.0]),
            Couple::solution(Variate::StratonovichSquare, &[0.0, 0.5, -0.5]),
            Couple {
                variate: Variate::Root,
                drift: &[],
                diffusion: &[&[], &[1.0], &[-1.0]],
                solution: &[],
                error: &[],
            },
        ],
        error: &[],
        error_power: 1,
        stiffness: None,
    }
);

method!(
    /// Shifted Euler for additive noise (Foster, dos Reis & Strange, eq. 5.8): the drift at y + G(½ΔW + H).
    Sea = StochasticTableau {
        name: "Sea",
        calculus: Calculus::Stratonovich,
        strengths: &[on(NoiseClass::Additive, 1.0, 1.0)],
        c0: &[0.0, 0.0],
        c1: &[0.0, 0.0],
        a0: &[],
        a1: &[],
        alpha: &[0.0, 1.0],
        noise: &[
            Couple {
                variate: Variate::Increment,
                drift: &[&[], &[0.5]],
                diffusion: &[],
                solution: &[1.0, 0.0],
                error: &[],
            },
            Couple { variate: Variate::Area, drift: &[&[], &[1.0]], diffusion: &[], solution: &[], error: &[] },
        ],
        error: &[],
        error_power: 1,
        stiffness: None,
    }
);

method!(
    /// Shifted additive-noise Runge–Kutta (Foster, dos Reis & Strange, eq. 6.1):
    /// f₁ at y + GH, f₂ at y + 5/6 (h f₁ + GΔW) + GH, y₁ = y + h(0.4f₁ + 0.6f₂) + GΔW. Where G depends on t its
    /// integral is taken with G linear in time: ½(G₀ + G₁)ΔW + (G₀ − G₁)H.
    Shark = StochasticTableau {
        name: "Shark",
        calculus: Calculus::Stratonovich,
        strengths: &[on(NoiseClass::Additive, 1.5, 2.0)],
        c0: SHARK_C0,
        c1: &[0.0, 0.0, 1.0],
        a0: &[&[], &[], &[0.0, 5.0 / 6.0]],
        a1: &[],
        alpha: &[0.0, 0.4, 0.6],
        noise: &[
            Couple {
                variate: Variate::Increment,
                drift: &[&[], &[], &[5.0 / 6.0]],
                diffusion: &[],
                solution: &[0.5, 0.0, 0.5],
                error: &[],
            },
            Couple {
                variate: Variate::Area,
                drift: &[&[], &[1.0], &[1.0]],
                diffusion: &[],
                solution: &[1.0, 0.0, -1.0],
                error: &[],
            },
        ],
        error: &[0.0, -0.6, 0.6],
        error_power: 2,
        stiffness: None,
    }
);

const SHARK_C0: &[f64] = &[0.0, 0.0, 5.0 / 6.0];

method!(
    /// [`Shark`] for any noise (Foster, dos Reis & Strange, eq. 6.1): two drift and three diffusion values.
    GeneralShark = StochasticTableau {
        name: "GeneralShark",
        calculus: Calculus::Stratonovich,
        strengths: SHIFTED,
        c0: SHARK_C0,
        c1: SHARK_C0,
        a0: &[&[], &[], &[0.0, 5.0 / 6.0]],
        a1: &[&[], &[], &[0.0, 5.0 / 6.0]],
        alpha: &[0.0, 0.4, 0.6],
        noise: &[
            both(Variate::Increment, &[&[], &[], &[0.0, 5.0 / 6.0]], &[0.0, 0.4, 0.6], &[]),
            both(Variate::Area, &[&[], &[1.0], &[1.0]], &[0.0, 1.2, -1.2], &[]),
        ],
        error: &[],
        error_power: 1,
        stiffness: None,
    }
);

/// (3 − √3)/6.
const X1: f64 = 0.211_324_865_405_187_1;
/// √3/3.
const X2: f64 = 0.577_350_269_189_625_8;
/// √3.
const ROOT3: f64 = 1.732_050_807_568_877_2;

method!(
    /// The splitting-path Runge–Kutta method (Foster 2023, definition 1.6), embedded in it Heun's weights.
    Spark = StochasticTableau {
        name: "Spark",
        calculus: Calculus::Stratonovich,
        strengths: SHIFTED,
        c0: &[0.0, 0.5, 1.0],
        c1: &[0.0, 0.5, 1.0],
        a0: &[&[], &[0.5], &[0.0, 1.0]],
        a1: &[&[], &[0.5], &[0.0, 1.0]],
        alpha: &[X1, X2, X1],
        noise: &[
            both(Variate::Increment, &[&[], &[0.5], &[0.0, 1.0]], &[X1, X2, X1], &[X1 - 0.5, X2, X1 - 0.5]),
            both(Variate::Area, &[&[], &[ROOT3]], &[1.0, 0.0, -1.0], &[1.0, 0.0, -1.0]),
        ],
        error: &[X1 - 0.5, X2, X1 - 0.5],
        error_power: 2,
        stiffness: None,
    }
);
