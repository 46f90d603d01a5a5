//! The regularisers by name.

use odeon::Result;
use odeon::integrate::{ErrorEstimate, Penalty};
use odeon::regularise::{Global, Local, Sampling, StepCount, Surrogate};
use odeon::sde::srk::{StochasticRk, StochasticTableau};
use odeon::sde::tableaux::{SOSRI_EMBEDDED, SOSRI2_EMBEDDED, Sosri, Sosri2};
use std::fmt;
use std::str::FromStr;

/// How a model is regularised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Nothing.
    None,
    /// R_E = Σ E_j h_j.
    Error,
    /// One of the solve's own steps, weighted so that R_E is estimated without bias.
    Local,
    /// Predicted number of steps.
    Steps,
    /// Nothing, by SOSRI2: what stiffness is to be compared with.
    NoneSosri2,
    /// R_S = Σ S_j h_j, by SOSRI2, which has two stages at one time.
    Stiffness,
}

impl Method {
    /// Every method, the plain ones before those that are compared with them.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Error, Self::Local, Self::Steps, Self::NoneSosri2, Self::Stiffness];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Error => "error",
            Self::Local => "local",
            Self::Steps => "steps",
            Self::NoneSosri2 => "none-sosri2",
            Self::Stiffness => "stiffness",
        }
    }

    /// Whether nothing is added to the loss.
    pub fn is_plain(self) -> bool {
        matches!(self, Self::None | Self::NoneSosri2)
    }

    /// The unregularised training by the same tableau.
    pub fn plain(self) -> Self {
        if matches!(self, Self::NoneSosri2 | Self::Stiffness) { Self::NoneSosri2 } else { Self::None }
    }

    /// The solver's tableau.
    pub fn tableau(self, estimate: Estimate) -> &'static StochasticTableau {
        match (self.plain(), estimate) {
            (Self::NoneSosri2, Estimate::Published) => Sosri2.tableau(),
            (Self::NoneSosri2, Estimate::Embedded) => &SOSRI2_EMBEDDED,
            (_, Estimate::Published) => Sosri.tableau(),
            (_, Estimate::Embedded) => &SOSRI_EMBEDDED,
        }
    }

    /// λ, where --lambda does not say otherwise.
    pub fn default_lambda(self, estimate: Estimate) -> f64 {
        match (self, estimate) {
            (Self::None | Self::NoneSosri2, _) => 0.0,
            (Self::Error | Self::Local, _) => 0.1,
            (Self::Steps, Estimate::Published) => 1e-3,
            (Self::Steps, Estimate::Embedded) => 1e-2,
            (Self::Stiffness, Estimate::Published) => 1e-2,
            (Self::Stiffness, Estimate::Embedded) => 2e-2,
        }
    }

    /// The regulariser at work.
    pub fn build(self, seed: u64) -> Result<Regulariser> {
        Ok(match self {
            Self::None | Self::NoneSosri2 => Regulariser::None,
            Self::Error => Regulariser::Global(Box::new(Global::<f64, _>::error())),
            Self::Stiffness => Regulariser::Global(Box::new(Global::<f64, _>::stiffness())),
            Self::Steps => {
                Regulariser::Global(Box::new(Global::sum(StepCount::new(Surrogate::PredictedSteps))))
            }
            Self::Local => {
                let local = Local::new(ErrorEstimate::default(), Sampling::UniformStep, seed);
                Regulariser::Local(Box::new(local.draws(DRAWS)?.stratified().through_state()))
            }
        })
    }
}

/// Extra steps of the local method in each iteration.
const DRAWS: usize = 4;

/// A method at work.
pub enum Regulariser {
    None,
    Global(Box<dyn Penalty<f64>>),
    Local(Box<Local<f64, ErrorEstimate<f64>>>),
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        crate::options::named(text, &Self::ALL)
    }
}

/// Which error estimate controls the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Estimate {
    /// h Σ f_i and the noise's share, as published: of first order in h.
    Published,
    /// The difference to an embedded method of order 1.
    Embedded,
}

impl Estimate {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Embedded => "embedded",
        }
    }

    /// The tolerance: as published, and where the solution is about as accurate.
    pub fn default_tolerance(self) -> f64 {
        match self {
            Self::Published => 0.3,
            Self::Embedded => 0.03,
        }
    }
}
