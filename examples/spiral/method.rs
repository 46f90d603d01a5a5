//! The regularisers by name, with the weights the search found.

use crate::data::{END, POINTS};
use odeon::integrate::{ErrorEstimate, Penalty};
use odeon::num::Real;
use odeon::regularise::{FirstStage, Global, Local, Sampling, Steer, StepCount, Surrogate};
use odeon::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// How a model is regularised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Nothing.
    None,
    /// The end time is drawn from U(T − b, T + b).
    Steer,
    /// Kinetic energy + Frobenius norm of the Jacobian, integrated.
    Rnode,
    /// TayNODE: |d³y/dt³|², integrated.
    Taylor,
    /// R_E = Σ E_j |h_j|.
    Error,
    /// R_S = Σ S_j |h_j|.
    Stiffness,
    /// R_E + w R_S.
    ErrorStiffness,
    /// One extra step from a uniform time, as published.
    LocalUnbiased,
    /// One extra step from the start of a random step, as published.
    LocalBiased,
    /// One of the solve's own steps, weighted so that R_E is estimated without bias.
    LocalStep,
    /// Predicted number of steps, Σ E_j^{1/5}.
    Steps,
    /// Σ ln E_j.
    LogError,
}

/// S is of the order of 50 on this problem and E of 0.5.
const STIFFNESS_SHARE: f64 = 0.01;

impl Method {
    /// Every method.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Steer,
        Self::Rnode,
        Self::Taylor,
        Self::Error,
        Self::Stiffness,
        Self::ErrorStiffness,
        Self::LocalUnbiased,
        Self::LocalBiased,
        Self::LocalStep,
        Self::Steps,
        Self::LogError,
    ];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Steer => "steer",
            Self::Rnode => "rnode",
            Self::Taylor => "taynode",
            Self::Error => "error",
            Self::Stiffness => "stiffness",
            Self::ErrorStiffness => "error+stiffness",
            Self::LocalUnbiased => "local-unbiased",
            Self::LocalBiased => "local-biased",
            Self::LocalStep => "local-step",
            Self::Steps => "steps",
            Self::LogError => "log-error",
        }
    }

    /// λ at the start and the end (exponential between them); STEER's b in units of the spacing of
    /// the points.
    pub fn default_lambda(self) -> Option<[f64; 2]> {
        let [from, to] = match self {
            Self::None => return None,
            Self::Steer => [0.1, 0.1],
            Self::Rnode => [1e-4, 1e-7],
            Self::Taylor => [1e-8, 1e-11],
            Self::Error => [1e-2, 1e-6],
            Self::Stiffness => [1e-4, 1e-5],
            Self::ErrorStiffness => [1e-1, 1e-7],
            Self::LocalUnbiased => [1e-1, 1e-4],
            Self::LocalBiased => [3e-1, 1e-5],
            Self::LocalStep => [1e-1, 1e-7],
            Self::Steps => [5e-3, 3e-8],
            Self::LogError => [1e-3, 3e-9],
        };
        Some([from, to])
    }
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

/// A method at work.
pub enum Regulariser<T: Real> {
    None,
    Steer(Box<Steer<T>>),
    /// Seed of the probes.
    Rnode(u64),
    Taylor,
    Global(Box<dyn Penalty<T>>),
    Local(Box<Local<T, ErrorEstimate<T>>>),
}

impl Method {
    /// The regulariser; `lambda` matters to STEER alone.
    pub fn build<T: Real>(self, lambda: [f64; 2], seed: u64, draws: Draws) -> Result<Regulariser<T>> {
        let global = |which| Regulariser::Global(Box::new(Global::sum(StepCount::new(which))));
        Ok(match self {
            Self::None => Regulariser::None,
            Self::Steer => {
                let spacing = END / (POINTS - 1) as f64;
                if lambda[0] >= 1.0 {
                    let needed = "it must be less than the distance of the points, which is 1";
                    return Err(Error::invalid("STEER's b", lambda[0], needed));
                }
                let steer = Steer::new(T::of(lambda[0] * spacing), seed)?;
                Regulariser::Steer(Box::new(steer))
            }
            Self::Rnode => Regulariser::Rnode(seed),
            Self::Taylor => Regulariser::Taylor,
            Self::Error => Regulariser::Global(Box::new(Global::<T, _>::error())),
            Self::Stiffness => Regulariser::Global(Box::new(Global::<T, _>::stiffness())),
            Self::ErrorStiffness => {
                let both = Global::error_stiffness(T::of(STIFFNESS_SHARE));
                Regulariser::Global(Box::new(both))
            }
            Self::LocalUnbiased => draws.local(Sampling::UnbiasedInTime, seed)?,
            Self::LocalBiased => draws.local(Sampling::BiasedInTime, seed)?,
            Self::LocalStep => draws.local(Sampling::UniformStep, seed)?,
            Self::Steps => global(Surrogate::PredictedSteps),
            Self::LogError => global(Surrogate::LogError),
        })
    }
}

/// How local methods draw their extra steps.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// Steps in each iteration.
    pub count: usize,
    /// As published: k_1 and the state u* are constants of the gradient.
    pub published: bool,
}

impl Draws {
    /// Stratified draws. Unless `published`, k_1 and u* are differentiated: the
    /// estimate's weights sum to zero, so with k_1 constant its gradient misses a term that
    /// cancels the others, and at a tolerance of 1e-8 what is left is large and points elsewhere.
    fn local<T: Real>(self, sampling: Sampling, seed: u64) -> Result<Regulariser<T>> {
        let local = Local::new(ErrorEstimate::default(), sampling, seed).draws(self.count)?;
        let local = local.stratified();
        Ok(Regulariser::Local(Box::new(match self.published {
            true => local,
            false => local.first_stage(FirstStage::Differentiated).through_state(),
        })))
    }
}
