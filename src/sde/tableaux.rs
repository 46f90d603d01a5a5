//! The explicit stochastic methods by name.
//!
//! | method | calculus | noise | strong / weak order | estimate |
//! |---|---|---|---|---|
//! | [`EulerMaruyama`] | Itô | all | ½ / 1 (additive 1 / 1) | – |
//! | [`RkMilstein`] | Itô | scalar, diagonal | 1 / 1 | – |
//! | [`Sriw1`] | Itô | scalar, diagonal, additive | 1.5 / 2 | published and embedded |
//! | [`Sosri`], [`Sosri2`] | Itô | scalar, diagonal, additive | 1.5 / 1.5 (additive 1.5 / 2) | published and embedded |
//! | [`Sra1`], [`Sra3`], [`Sosra`] | both | additive | 1.5 / 2 | published and embedded |
//! | [`Heun`] | Stratonovich | all | 1 / 1 where the noise commutes, else ½ / 1 | embedded |
//! | [`EulerHeun`] | Stratonovich | all | 1 / 1 where the noise commutes, else ½ / 1 | embedded |
//! | [`Midpoint`] | Stratonovich | all | 1 / 1 where the noise commutes, else ½ / 1 | – |
//! | [`RkMilsteinStratonovich`] | Stratonovich | scalar, diagonal | 1 / 1 | – |
//! | [`Sea`] | both | additive | 1 / 1 | – |
//! | [`Shark`] | both | additive | 1.5 / 2 | embedded |
//! | [`GeneralShark`] | Stratonovich | all | 1.5 additive, 1 commutative, ½ general | – |
//! | [`Spark`] | Stratonovich | all | 1.5 additive, 1 commutative, ½ general | embedded |
//!
//! Sources: Kloeden & Platen, *Numerical Solution of SDEs* (1992), sections 10.2–11.1; Rößler, SIAM J. Numer.
//! Anal. 48 (2010), tables 6.1–6.3; Rackauckas & Nie, *Stability-Optimized High Order Methods* (2018), arXiv
//! 1804.04344; Foster, dos Reis & Strange (2024), arXiv 2210.17543, eqs. 5.8 and 6.1; Foster (2023), arXiv
//! 2311.14201, definition 1.6.

mod ito;
mod stratonovich;

pub use ito::{
    EulerMaruyama, RkMilstein, SOSRA_EMBEDDED, SOSRI_EMBEDDED, SOSRI2_EMBEDDED, SRIW1_EMBEDDED, Sosra, Sosri,
    Sosri2, Sra1, Sra3, Sriw1,
};
pub use stratonovich::{EulerHeun, GeneralShark, Heun, Midpoint, RkMilsteinStratonovich, Sea, Shark, Spark};

use super::NoiseClass;
use super::srk::{StochasticRk, StochasticTableau, Strength};

/// Every table, for tests and lists.
pub fn all() -> Vec<&'static StochasticTableau> {
    vec![
        EulerMaruyama.tableau(),
        RkMilstein.tableau(),
        Sriw1.tableau(),
        Sosri.tableau(),
        Sosri2.tableau(),
        &SRIW1_EMBEDDED,
        &SOSRI_EMBEDDED,
        &SOSRI2_EMBEDDED,
        Sra1.tableau(),
        Sra3.tableau(),
        Sosra.tableau(),
        &SOSRA_EMBEDDED,
        Heun.tableau(),
        EulerHeun.tableau(),
        Midpoint.tableau(),
        RkMilsteinStratonovich.tableau(),
        Sea.tableau(),
        Shark.tableau(),
        GeneralShark.tableau(),
        Spark.tableau(),
    ]
}

/// The table of this name, whatever its case.
pub fn by_name(name: &str) -> Option<&'static StochasticTableau> {
    all().into_iter().find(|t| t.name.eq_ignore_ascii_case(name))
}

/// A strength on a class.
const fn on(class: NoiseClass, strong: f64, weak: f64) -> Strength {
    Strength { class, strong, weak }
}

/// A method named by a unit type, from its table.
macro_rules! method {
    ($(#[$doc:meta])* $kind:ident = $table:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $kind;

        impl $crate::sde::srk::StochasticRk for $kind {
            fn tableau(&self) -> &'static $crate::sde::srk::StochasticTableau {
                static TABLE: $crate::sde::srk::StochasticTableau = $table;
                &TABLE
            }
        }
    };
}
use method;
