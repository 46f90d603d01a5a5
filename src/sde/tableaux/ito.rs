//! Itô methods, and those for additive noise of Rößler's family.

use super::{method, on};
use crate::sde::srk::{Couple, StochasticTableau, Strength, Variate};
use crate::sde::{Calculus, NoiseClass};

/// Euler–Maruyama's.
const EULER: &[Strength] = &[
    on(NoiseClass::Additive, 1.0, 1.0),
    on(NoiseClass::Scalar, 0.5, 1.0),
    on(NoiseClass::Diagonal, 0.5, 1.0),
    on(NoiseClass::Commutative, 0.5, 1.0),
    on(NoiseClass::General, 0.5, 1.0),
];

/// Milstein's.
const MILSTEIN: &[Strength] = &[on(NoiseClass::Scalar, 1.0, 1.0), on(NoiseClass::Diagonal, 1.0, 1.0)];

/// Rößler's SRI: SRIW1.
const SRI: &[Strength] = &[
    on(NoiseClass::Additive, 1.5, 2.0),
    on(NoiseClass::Scalar, 1.5, 2.0),
    on(NoiseClass::Diagonal, 1.5, 2.0),
];

/// The stability-optimised SRI. They are announced with weak order 2; on geometric Brownian motion the exact mean
/// of a step of SOSRI has a term in h^{5/2} (coefficient about 5e-4), hence 1.5.
const OPTIMISED: &[Strength] = &[
    on(NoiseClass::Additive, 1.5, 2.0),
    on(NoiseClass::Scalar, 1.5, 1.5),
    on(NoiseClass::Diagonal, 1.5, 1.5),
];

/// Rößler's SRA.
const SRA: &[Strength] = &[on(NoiseClass::Additive, 1.5, 2.0)];

method!(
    /// y₁ = y + f h + G ΔW (Maruyama 1955; Kloeden & Platen 10.2.4).
    EulerMaruyama = StochasticTableau {
        name: "EulerMaruyama",
        calculus: Calculus::Ito,
        strengths: EULER,
        c0: &[0.0],
        c1: &[0.0],
        a0: &[],
        a1: &[],
        alpha: &[1.0],
        noise: &[Couple::solution(Variate::Increment, &[1.0])],
        error: &[],
        error_power: 1,
        stiffness: None,
    }
);

method!(
    /// Milstein's method without derivatives (Kloeden & Platen 11.1.3):
    /// y₁ = y + f h + gΔW + (g(t, y + f h + g√h) − g)(ΔW² − h)/(2√h).
    RkMilstein = StochasticTableau {
        name: "RkMilstein",
        calculus: Calculus::Ito,
        strengths: MILSTEIN,
        c0: &[0.0, 0.0],
        c1: &[0.0, 0.0],
        a0: &[],
        a1: &[&[], &[1.0]],
        alpha: &[1.0, 0.0],
        noise: &[
            Couple::solution(Variate::Increment, &[1.0, 0.0]),
            Couple::solution(Variate::Square, &[-1.0, 1.0]),
            Couple { variate: Variate::Root, drift: &[], diffusion: &[&[], &[1.0]], solution: &[], error: &[] },
        ],
        error: &[],
        error_power: 1,
        stiffness: None,
    }
);

/// Rößler's SRIW1 (2010, table 6.2); δ = 1/6.
const SRIW1: StochasticTableau = StochasticTableau {
    name: "SRIW1",
    calculus: Calculus::Ito,
    strengths: SRI,
    c0: &[0.0, 0.75, 0.0, 0.0],
    c1: &[0.0, 0.25, 1.0, 0.25],
    a0: &[&[], &[0.75]],
    a1: &[&[], &[0.25], &[1.0], &[0.0, 0.0, 0.25]],
    alpha: &[1.0 / 3.0, 2.0 / 3.0, 0.0, 0.0],
    noise: &[
        Couple::solution(Variate::Increment, &[-1.0, 4.0 / 3.0, 2.0 / 3.0, 0.0]),
        Couple::solution(Variate::Square, &[-1.0, 4.0 / 3.0, -1.0 / 3.0, 0.0]),
        Couple {
            variate: Variate::TimeIntegral,
            drift: &[&[], &[1.5]],
            diffusion: &[],
            solution: &[2.0, -4.0 / 3.0, -2.0 / 3.0, 0.0],
            error: &[2.0, -4.0 / 3.0, -2.0 / 3.0, 0.0],
        },
        Couple {
            variate: Variate::Cube,
            drift: &[],
            diffusion: &[],
            solution: &[-2.0, 5.0 / 3.0, -2.0 / 3.0, 1.0],
            error: &[-2.0, 5.0 / 3.0, -2.0 / 3.0, 1.0],
        },
        Couple {
            variate: Variate::Root,
            drift: &[],
            diffusion: &[&[], &[0.5], &[-1.0], &[-5.0, 3.0, 0.5]],
            solution: &[],
            error: &[],
        },
    ],
    error: &[1.0 / 6.0, 1.0 / 6.0, 0.0, 0.0],
    error_power: 1,
    stiffness: None,
};

method!(
    /// Rößler's SRIW1 (2010, table 6.2); δ = 1/6. Error estimate as published.
    Sriw1 = SRIW1
);

/// [`Sriw1`] with the embedded error estimate.
pub static SRIW1_EMBEDDED: StochasticTableau = StochasticTableau {
    name: "SRIW1embedded",
    error: &[-2.0 / 3.0, 2.0 / 3.0, 0.0, 0.0],
    error_power: 2,
    ..SRIW1
};

/// Stability-optimised SRI (Rackauckas & Nie 2018); δ = 1.
const SOSRI: StochasticTableau = StochasticTableau {
    name: "SOSRI",
    calculus: Calculus::Ito,
    strengths: OPTIMISED,
    c0: &[0.0, -0.04199224421316468, 0.7898405466170333, 3.7504010171562823],
    c1: &[0.0, 0.26204282091330466, 0.05879875232001766, 0.758661169101175],
    a0: &[
        &[],
        &[-0.04199224421316468],
        &[2.842612915017106, -2.0527723684000727],
        &[4.338237071435815, -2.8895936137439793, 2.3017575594644466],
    ],
    a1: &[
        &[],
        &[0.26204282091330466],
        &[0.20903646383505375, -0.1502377115150361],
        &[0.05836595312746999, 0.6149440396332373, 0.08535117634046772],
    ],
    alpha: &[1.140099274172029, -0.6401334255743456, 0.4736296532772559, 0.026404498125060714],
    noise: &[
        Couple::solution(
            Variate::Increment,
            &[-1.8453464565104432, 2.688764531100726, -0.2523866501071323, 0.40896857551684956],
        ),
        Couple::solution(
            Variate::Square,
            &[0.4969658141589478, -0.5771202869753592, -0.12919702470322217, 0.2093514975196336],
        ),
        Couple {
            variate: Variate::TimeIntegral,
            drift: &[
                &[],
                &[-0.21641093549612528],
                &[1.5336352863679572, 0.26066223492647056],
                &[-1.0536037558179159, 1.7015284721089472, -0.20725685784180017],
            ],
            diffusion: &[],
            solution: &[2.8453464565104425, -2.688764531100725, 0.2523866501071322, -0.40896857551684945],
            error: &[2.8453464565104425, -2.688764531100725, 0.2523866501071322, -0.40896857551684945],
        },
        Couple {
            variate: Variate::Cube,
            drift: &[],
            diffusion: &[],
            solution: &[0.11522663875443433, -0.57877086147738, 0.2857851028163886, 0.17775911990655704],
            error: &[0.11522663875443433, -0.57877086147738, 0.2857851028163886, 0.17775911990655704],
        },
        Couple {
            variate: Variate::Root,
            drift: &[],
            diffusion: &[
                &[],
                &[-0.5119011827621657],
                &[2.67767339866713, -4.9395031322250995],
                &[0.15580956238299215, 3.2361551006624674, -1.4223118283355949],
            ],
            solution: &[],
            error: &[],
        },
    ],
    error: &[1.0, 1.0, 1.0, 1.0],
    error_power: 1,
    stiffness: None,
};

method!(
    /// Stability-optimised SRI (Rackauckas & Nie 2018); δ = 1. Error estimate as published.
    Sosri = SOSRI
);

/// [`Sosri`] with the embedded error estimate.
pub static SOSRI_EMBEDDED: StochasticTableau = StochasticTableau {
    name: "SOSRIembedded",
    error: &[0.14009927417202905, -0.6401334255743456, 0.4736296532772559, 0.026404498125060714],
    error_power: 2,
    ..SOSRI
};

/// Stability-optimised SRI with two stages at c = 1 (Rackauckas & Nie 2018); δ = 1.
const SOSRI2: StochasticTableau = StochasticTableau {
    name: "SOSRI2",
    calculus: Calculus::Ito,
    strengths: OPTIMISED,
    c0: &[0.0, 0.13804532298278663, 1.0, 1.0],
    c1: &[0.0, 0.45605532163856893, 1.0, 1.0],
    a0: &[
        &[],
        &[0.13804532298278663],
        &[0.5818361298250374, 0.4181638701749618],
        &[0.4670018408674211, 0.8046204792187386, -0.27162232008616016],
    ],
    a1: &[
        &[],
        &[0.45605532163856893],
        &[0.7555807846451692, 0.24441921535482677],
        &[0.6981181143266059, 0.3453277086024727, -0.04344582292908241],
    ],
    alpha: &[-0.15036858140642623, 0.7545275856696072, 0.686995463807979, -0.2911544680711602],
    noise: &[
        Couple::solution(
            Variate::Increment,
            &[-0.45315689727309133, 0.8330937231303951, 0.3792843195533544, 0.24077885458934192],
        ),
        Couple::solution(
            Variate::Square,
            &[-0.4994383733810986, 0.9181786186154077, -0.25613778661003145, -0.16260245862427797],
        ),
        Couple {
            variate: Variate::TimeIntegral,
            drift: &[
                &[],
                &[0.08852381537667678],
                &[1.0317752458971061, 0.4563552922077882],
                &[1.73078280444124, -0.46089678470929774, -0.9637509618944188],
            ],
            diffusion: &[],
            solution: &[1.4531568972730915, -0.8330937231303933, -0.3792843195533583, -0.24077885458934023],
            error: &[1.4531568972730915, -0.8330937231303933, -0.3792843195533583, -0.24077885458934023],
        },
        Couple {
            variate: Variate::Cube,
            drift: &[],
            diffusion: &[],
            solution: &[-0.4976090683622265, 0.9148155835648892, -1.4102107084476505, 0.9930041932449877],
            error: &[-0.4976090683622265, 0.9148155835648892, -1.4102107084476505, 0.9930041932449877],
        },
        Couple {
            variate: Variate::Root,
            drift: &[],
            diffusion: &[
                &[],
                &[0.6753186815412179],
                &[-0.07452812525785148, -0.49783736486149366],
                &[-0.5591906709928903, 0.022696571806569924, -0.8984927888368557],
            ],
            solution: &[],
            error: &[],
        },
    ],
    error: &[1.0, 1.0, 1.0, 1.0],
    error_power: 1,
    stiffness: Some((2, 3, 10.6)),
};

method!(
    /// Stability-optimised SRI with two stages at c = 1 (Rackauckas & Nie 2018); δ = 1. Error estimate as published.
    Sosri2 = SOSRI2
);

/// [`Sosri2`] with the embedded error estimate.
pub static SOSRI2_EMBEDDED: StochasticTableau = StochasticTableau {
    name: "SOSRI2embedded",
    error: &[-1.1503685814064262, 0.7545275856696072, 0.686995463807979, -0.2911544680711602],
    error_power: 2,
    ..SOSRI2
};

/// Rößler's SRA1 (2010, table 6.3).
const SRA1: StochasticTableau = StochasticTableau {
    name: "SRA1",
    calculus: Calculus::Ito,
    strengths: SRA,
    c0: &[0.0, 0.75],
    c1: &[1.0, 0.0],
    a0: &[&[], &[0.75]],
    a1: &[],
    alpha: &[1.0 / 3.0, 2.0 / 3.0],
    noise: &[
        Couple::solution(Variate::Increment, &[1.0, 0.0]),
        Couple {
            variate: Variate::TimeIntegral,
            drift: &[&[], &[1.5]],
            diffusion: &[],
            solution: &[-1.0, 1.0],
            error: &[-1.0, 1.0],
        },
    ],
    error: &[1.0, 1.0],
    error_power: 1,
    stiffness: None,
};

method!(
    /// Rößler's SRA1 (2010, table 6.3). Error estimate as published.
    Sra1 = SRA1
);

/// Rößler's SRA3 (2010, table 6.3).
const SRA3: StochasticTableau = StochasticTableau {
    name: "SRA3",
    calculus: Calculus::Ito,
    strengths: SRA,
    c0: &[0.0, 1.0, 0.5],
    c1: &[1.0, 0.0, 0.0],
    a0: &[&[], &[1.0], &[0.25, 0.25]],
    a1: &[],
    alpha: &[1.0 / 6.0, 1.0 / 6.0, 2.0 / 3.0],
    noise: &[
        Couple::solution(Variate::Increment, &[1.0, 0.0, 0.0]),
        Couple {
            variate: Variate::TimeIntegral,
            drift: &[&[], &[], &[1.0, 0.5]],
            diffusion: &[],
            solution: &[-1.0, 1.0, 0.0],
            error: &[-1.0, 1.0, 0.0],
        },
    ],
    error: &[1.0, 1.0, 1.0],
    error_power: 1,
    stiffness: None,
};

method!(
    /// Rößler's SRA3 (2010, table 6.3). Error estimate as published.
    Sra3 = SRA3
);

/// Stability-optimised SRA (Rackauckas & Nie 2018).
const SOSRA: StochasticTableau = StochasticTableau {
    name: "SOSRA",
    calculus: Calculus::Ito,
    strengths: SRA,
    c0: &[0.0, 0.6923962376159507, 1.0],
    c1: &[0.0, 0.041248171110700504, 1.0],
    a0: &[&[], &[0.6923962376159507], &[-3.1609142252828395, 4.1609142252828395]],
    a1: &[],
    alpha: &[0.2889874966892885, 0.6859880440839937, 0.025024459226717772],
    noise: &[
        Couple::solution(Variate::Increment, &[-16.792534242221663, 17.514995785380226, 0.27753845684143835]),
        Couple {
            variate: Variate::TimeIntegral,
            drift: &[&[], &[1.3371632704399763], &[1.442371048468624, 1.8632741501139225]],
            diffusion: &[],
            solution: &[0.4237535769069274, 0.6010381474428539, -1.0247917243497813],
            error: &[0.4237535769069274, 0.6010381474428539, -1.0247917243497813],
        },
    ],
    error: &[1.0, 1.0, 1.0],
    error_power: 1,
    stiffness: None,
};

method!(
    /// Stability-optimised SRA (Rackauckas & Nie 2018). Error estimate as published.
    Sosra = SOSRA
);

/// [`Sosra`] with the embedded error estimate.
pub static SOSRA_EMBEDDED: StochasticTableau = StochasticTableau {
    name: "SOSRAembedded",
    error: &[-0.7110125033107115, 0.6859880440839937, 0.025024459226717772],
    error_power: 2,
    ..SOSRA
};
