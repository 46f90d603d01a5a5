//! The penalties by name.

use crate::options::named;
use odeon::integrate::Penalty;
use odeon::num::Real;
use odeon::regularise::{Global, StepCount, Surrogate};
use std::fmt;
use std::str::FromStr;

/// What is added to the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Nothing.
    None,
    /// Σ E_j |h_j|.
    Error,
    /// Σ S_j.
    Stiffness,
    /// Predicted number of steps, Σ E_j^{1/5}.
    Steps,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::None, Self::Error, Self::Stiffness, Self::Steps];

    /// λ at the start and the end of training.
    pub fn default_lambda(self) -> [f64; 2] {
        match self {
            Self::None => [0.0; 2],
            Self::Error => [0.01, 0.01],
            Self::Stiffness => [1e-4, 1e-4],
            Self::Steps => [3e-3, 3e-3],
        }
    }

    /// The penalty on the accepted steps, if there is one.
    pub fn penalty<T: Real>(self) -> Option<Box<dyn Penalty<T>>> {
        match self {
            Self::None => None,
            Self::Error => Some(Box::new(Global::<T, _>::error())),
            Self::Stiffness => Some(Box::new(Global::<T, _>::stiffness())),
            Self::Steps => Some(Box::new(Global::sum(StepCount::new(Surrogate::PredictedSteps)))),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Error => "error",
            Self::Stiffness => "stiffness",
            Self::Steps => "steps",
        })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(text, &Self::ALL)
    }
}
