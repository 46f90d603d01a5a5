//! The one error type: what was given, what is needed, where, and what to try.

use std::fmt;
use std::path::PathBuf;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice of the wrong length.
    #[error("{what} has length {given}, but {needed} is needed")]
    Length {
        /// Which argument.
        what: &'static str,
        /// Its length.
        given: usize,
        /// The length it must have, and why.
        needed: String,
    },
    /// A NaN or infinity in an input.
    #[error("{what}[{index}] is {value}: every entry must be finite")]
    NonFiniteInput {
        /// Which argument.
        what: &'static str,
        /// First offending entry.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// An argument outside its range.
    #[error("{what} is {given}, but {needed}")]
    Invalid {
        /// Which argument.
        what: String,
        /// What was given.
        given: String,
        /// What is needed, as a clause ("it must be positive").
        needed: String,
    },
    /// A way back in time that missed the states of the way there.
    #[error(
        "the state that was integrated backwards is off by {relative:.2e} (relative) at t = {t:.6e}, but at most \
         {bound:.1e} is taken for small: tighten the tolerance of the way back, save more times (the state is taken \
         anew at each), or take an adjoint that keeps the states (DiscreteAdjoint, Interpolating, Quadrature)"
    )]
    Drift {
        /// Where it was furthest off.
        t: f64,
        /// Largest difference over the largest |y|.
        relative: f64,
        /// The bound.
        bound: f64,
    },
    /// A solve that stopped early.
    #[error("{0}")]
    Solve(Box<PostMortem>),
    /// A file that could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file whose contents are malformed.
    #[error("{}{}: {reason}", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// 1-based line (text files) where known.
        line: Option<usize>,
        /// What is wrong and what was expected.
        reason: String,
    },
}

impl Error {
    /// An argument outside its range.
    pub fn invalid(what: impl Into<String>, given: impl fmt::Display, needed: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), given: given.to_string(), needed: needed.into() }
    }

    /// A file error with its path.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// A malformed file, with the 1-based line where known.
    pub fn malformed(path: impl Into<PathBuf>, line: Option<usize>, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), line, reason: reason.into() }
    }

    /// Checks a slice's length; `needed` says where the length comes from.
    pub fn check_len(what: &'static str, given: usize, needed: usize, why: &str) -> Result<()> {
        if given == needed {
            return Ok(());
        }
        Err(Self::Length { what, given, needed: format!("{needed} ({why})") })
    }

    /// Checks that every entry is finite.
    pub fn check_finite<T: crate::num::Real>(what: &'static str, values: &[T]) -> Result<()> {
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(index) => Err(Self::NonFiniteInput { what, index, value: values[index].f64() }),
        }
    }
}

/// Why a solve stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The right-hand side or the state became NaN or infinite.
    NonFinite,
    /// The controller asked for a step below the smallest allowed.
    StepTooSmall,
    /// The step budget is spent.
    MaxSteps,
    /// The budget of right-hand side evaluations is spent.
    MaxNfe,
    /// The nonlinear equations of an implicit step could not be solved, however small the step.
    Nonlinear,
    /// The function of an event became NaN or infinite.
    Guard,
    /// Events follow each other without end: chattering, or infinitely many in finite time (Zeno).
    Chattering,
    /// The budget of events is spent.
    MaxEvents,
}

impl Failure {
    /// One sentence on what to try.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NonFinite => {
                "The model left its domain: check the right-hand side there, lower the learning rate \
                 or clip gradients if this happened in training, or set a smaller first step."
            }
            Self::StepTooSmall => {
                "The problem looks singular or stiff there: loosen rtol/atol, put a tstop at a \
                 discontinuity, or use an implicit method."
            }
            Self::MaxSteps => {
                "Raise max_steps, loosen rtol/atol, or use an implicit method if h·S exceeds the \
                 stability size (see the diagnostics)."
            }
            Self::MaxNfe => {
                "Raise max_nfe, loosen rtol/atol, or regularise the model so that it needs fewer steps."
            }
            Self::Nonlinear => {
                "Compare the right-hand side's jvp with finite differences (check_gradient), put a \
                 tstop at a discontinuity, or try an explicit method."
            }
            Self::Guard => {
                "Check the event's function there: it must be finite wherever the solution can go, \
                 also where the event does not occur."
            }
            Self::Chattering => {
                "The model sticks or bounces ever faster there: end the solve at such an event (Then::Terminate), \
                 change the mode once the motion is small, or widen the guards (hysteresis)."
            }
            Self::MaxEvents => "Raise EventOptions::max_events, or end the solve earlier.",
        }
    }
}

/// Which of its two methods takes a step of a switching method (`ode::switch`). A method that is one
/// takes all steps as the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Member {
    /// The first: the explicit one.
    #[default]
    First,
    /// The second: the implicit one.
    Second,
}

/// One attempted step, for histories and diagnostics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempt {
    /// Start of the step.
    pub t: f64,
    /// Signed step size.
    pub h: f64,
    /// Scaled error estimate E (accepted when ≤ 1; NaN when not available).
    pub error: f64,
    /// Stiffness estimate S, NaN when the method has none or it was not asked for.
    pub stiffness: f64,
    /// Whether the step was accepted.
    pub accepted: bool,
    /// Which method of a switching method made the attempt.
    pub member: Member,
}

/// Where and how a solve died.
#[derive(Clone, Debug, PartialEq)]
pub struct PostMortem {
    /// Why.
    pub failure: Failure,
    /// Time reached.
    pub t: f64,
    /// Index of the attempted step (accepted and rejected).
    pub step: usize,
    /// Step size of the last attempt.
    pub h: f64,
    /// Row of the state that first went non-finite or dominates the error norm.
    pub component: Option<usize>,
    /// Column (trajectory of the batch) of that component.
    pub trajectory: Option<usize>,
    /// Network layer or model part whose output first went non-finite, or the event concerned.
    pub part: Option<String>,
    /// The last attempts, oldest first.
    pub history: Vec<Attempt>,
}

impl fmt::Display for PostMortem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.failure {
            Failure::NonFinite => "the solution became NaN or infinite",
            Failure::StepTooSmall => "the step size fell below the smallest allowed",
            Failure::MaxSteps => "max_steps was reached",
            Failure::MaxNfe => "max_nfe was reached",
            Failure::Nonlinear => "Newton's iteration of an implicit step did not converge",
            Failure::Guard => "an event's function became NaN or infinite",
            Failure::Chattering => "events follow each other without end",
            Failure::MaxEvents => "max_events was reached",
        };
        write!(f, "{what} at t = {:.6e} in step {} (h = {:.3e}", self.t, self.step, self.h)?;
        if let Some(c) = self.component {
            write!(f, ", component {c}")?;
        }
        if let Some(c) = self.trajectory {
            write!(f, " of trajectory {c}")?;
        }
        if let Some(part) = &self.part {
            let of_event = matches!(self.failure, Failure::Guard | Failure::Chattering | Failure::MaxEvents);
            write!(f, ", {} {part}", if of_event { "by" } else { "first in" })?;
        }
        write!(f, "). {}", self.failure.advice())?;
        if !self.history.is_empty() {
            write!(f, " Last steps (t, h, E):")?;
            for a in &self.history {
                let mark = if a.accepted { "" } else { " rejected" };
                write!(f, " ({:.4e}, {:.2e}, {:.2e}{mark})", a.t, a.h, a.error)?;
            }
        }
        Ok(())
    }
}
