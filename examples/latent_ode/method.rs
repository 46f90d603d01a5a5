//! The regularisers by name.

use odeon::Result;
use std::fmt;
use std::str::FromStr;

/// How the latent equation is regularised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Nothing.
    None,
    /// R_E = Σ E_j |h_j| over all steps.
    Global,
    /// Its estimate by a few extra steps.
    Local,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::None, Self::Global, Self::Local];

    /// λ at the start and the end of training, in nats per series.
    pub fn default_lambda(self) -> [f64; 2] {
        match self {
            Self::None => [0.0; 2],
            Self::Global | Self::Local => [100.0, 10.0],
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Global => "global",
            Self::Local => "local",
        })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        crate::options::named(text, &Self::ALL)
    }
}
