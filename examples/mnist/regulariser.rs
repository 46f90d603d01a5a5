//! Which penalty, and how much of it.

use clap::ValueEnum;
use odeon::integrate::Penalty;
use odeon::regularise::{Global, LambdaSchedule};
use odeon::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A penalty on the solver's estimates, in the published form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Regulariser {
    /// None
    None,
    /// mean(E·h): the error estimate
    Error,
    /// max(S)/3.5068: the stiffness estimate
    Stiffness,
    /// mean(E·h + 0.1·S/3.5068)
    ErrorStiffness,
}

impl fmt::Display for Regulariser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Error => "error",
            Self::Stiffness => "stiffness",
            Self::ErrorStiffness => "error-stiffness",
        })
    }
}

impl Regulariser {
    /// The penalty.
    pub fn penalty(self) -> Option<Box<dyn Penalty<f32>>> {
        match self {
            Self::None => None,
            Self::Error => Some(Box::new(Global::mean_error())),
            Self::Stiffness => Some(Box::new(Global::max_stiffness())),
            Self::ErrorStiffness => Some(Box::new(Global::mean_error_stiffness())),
        }
    }

    /// The published λ.
    pub fn published(self) -> Annealing {
        let (first, last) = match self {
            Self::None => (0.0, 0.0),
            Self::Error | Self::ErrorStiffness => (100.0, 10.0),
            Self::Stiffness => (0.0285, 0.0285),
        };
        Annealing { first, last }
    }
}

/// λ from the first iteration to the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Annealing {
    first: f64,
    last: f64,
}

impl Annealing {
    /// λ over `iterations`.
    pub fn over(self, iterations: u64) -> LambdaSchedule {
        match self.first == self.last {
            true => LambdaSchedule::Constant(self.first),
            false => LambdaSchedule::Exponential {
                from: self.first,
                to: self.last,
                over: usize::try_from(iterations).unwrap_or(usize::MAX),
            },
        }
    }
}

impl FromStr for Annealing {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |t: &str| t.parse::<f64>().map_err(|_| format!("'{t}' is not a number"));
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let annealing = Self { first: number(first)?, last: number(last)? };
        annealing.over(1).check().map_err(|e| e.to_string())?;
        Ok(annealing)
    }
}

impl fmt::Display for Annealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first == self.last, self.first == 0.0) {
            (true, true) => write!(f, "–"),
            (true, false) => write!(f, "{}", self.first),
            (false, _) => write!(f, "{}:{}", self.first, self.last),
        }
    }
}

/// λ is on a scale of its own for each penalty, so one is named for one.
///
/// # Errors
/// A λ for several penalties, or for none; a method twice.
pub fn check(methods: &[Regulariser], lambda: Option<Annealing>) -> Result<()> {
    let listed = || methods.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    if (1..methods.len()).any(|i| methods[..i].contains(&methods[i])) {
        return Err(Error::invalid("--methods", listed(), "each must be named once"));
    }
    let penalties = methods.iter().filter(|m| **m != Regulariser::None).count();
    if let Some(lambda) = lambda
        && penalties != 1
    {
        let needed = format!("it needs exactly one regularised method, not --methods {}", listed());
        return Err(Error::invalid("--lambda", lambda, needed));
    }
    Ok(())
}
