//! The regularisers by name.

use odeon::Result;
use odeon::integrate::Penalty;
use odeon::num::Real;
use odeon::regularise::{Global, StepCount, Surrogate};
use std::fmt;
use std::str::FromStr;

/// How a flow is regularised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Nothing.
    None,
    /// Kinetic energy + Frobenius norm of the Jacobian, integrated (RNODE).
    Rnode,
    /// R_E = Σ E_j |h_j|.
    Error,
    /// Predicted number of steps, Σ E_j^{1/5}.
    Steps,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::None, Self::Rnode, Self::Error, Self::Steps];

    /// λ at the start and the end of training.
    pub fn default_lambda(self) -> [f64; 2] {
        match self {
            Self::None => [0.0; 2],
            Self::Rnode => [0.1, 0.01],
            Self::Error => [1.0, 0.1],
            Self::Steps => [0.03, 0.003],
        }
    }

    /// The penalty on the accepted steps, if it is one.
    pub fn penalty<T: Real>(self) -> Option<Box<dyn Penalty<T>>> {
        match self {
            Self::None | Self::Rnode => None,
            Self::Error => Some(Box::new(Global::<T, _>::error())),
            Self::Steps => Some(Box::new(Global::sum(StepCount::new(Surrogate::PredictedSteps)))),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Rnode => "rnode",
            Self::Error => "error",
            Self::Steps => "steps",
        })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        crate::options::named(text, &Self::ALL)
    }
}
