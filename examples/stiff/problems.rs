//! The problems: data, tolerances, published solutions.

use crate::methods::{Method, Run};
use clap::ValueEnum;
use odeon::Result;
use odeon::dynamics::gallery::{Hires, Orego, Robertson, StiffVanDerPol};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save};
use odeon::num::Atol;

/// A problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Robertson's kinetics over eleven decades of time, 3 unknowns
    Robertson,
    /// Van der Pol's oscillator with μ = 10⁶ (ε = 10⁻⁶), 2 unknowns
    VanDerPol,
    /// Response of seedlings to light, 8 unknowns
    Hires,
    /// The Oregonator, an oscillating reaction, 3 unknowns
    Orego,
}

/// What a solve of a problem needs, and its result to 16 digits.
pub struct Data {
    pub y0: &'static [f64],
    pub theta: &'static [f64],
    pub end: f64,
    /// Absolute tolerances over rtol: what of each unknown is below notice.
    pub atol: &'static [f64],
    /// The solution at the end.
    pub reference: &'static [f64],
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Robertson, Self::VanDerPol, Self::Hires, Self::Orego];

    pub fn name(self) -> &'static str {
        match self {
            Self::Robertson => "Robertson",
            Self::VanDerPol => "van der Pol",
            Self::Hires => "HIRES",
            Self::Orego => "OREGO",
        }
    }

    /// With what is usually said about it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Robertson => "Robertson, t = 10¹¹",
            Self::VanDerPol => "Van der Pol, μ = 10⁶, t = 2",
            Self::Hires => "HIRES, t = 321.8122",
            Self::Orego => "OREGO, t = 360",
        }
    }

    /// The solutions at the end are those of the Test Set for IVP Solvers (Mazzia & Magherini, release
    /// 2.4), by RADAU5 in quadruple precision. Van der Pol's and Robertson's are those of
    /// `data/reference` (Radau IIA with 7 stages, 40 digits), which agree with the published ones to 13
    /// digits and more.
    pub fn data(self) -> Data {
        match self {
            Self::Robertson => Data {
                y0: &Robertson::Y0,
                theta: &Robertson::THETA,
                end: 1e11,
                atol: &[1e-6, 1e-12, 1e-6],
                reference: &[2.0833401497012942e-8, 8.3333607703347834e-14, 9.999999791665152e-1],
            },
            Self::VanDerPol => Data {
                y0: &StiffVanDerPol::Y0,
                theta: &StiffVanDerPol::THETA,
                end: StiffVanDerPol::T_END,
                atol: &[1.0, 1.0],
                reference: &[1.7061677321704650, -8.9280970102481655e-1],
            },
            Self::Hires => Data {
                y0: &Hires::Y0,
                theta: &Hires::THETA,
                end: Hires::T_END,
                atol: &[1e-4; 8],
                reference: &[
                    0.7371312573325668e-3,
                    0.1442485726316185e-3,
                    0.5888729740967575e-4,
                    0.1175651343283149e-2,
                    0.2386356198831331e-2,
                    0.6238968252742796e-2,
                    0.2849998395185769e-2,
                    0.2850001604814231e-2,
                ],
            },
            Self::Orego => Data {
                y0: &Orego::Y0,
                theta: &Orego::THETA,
                end: Orego::T_END,
                atol: &[1e-2; 3],
                reference: &[0.1000814870318523e1, 0.1228178521549917e4, 0.1320554942846706e3],
            },
        }
    }

    /// One solve by `method`, repeated for `seconds`.
    pub fn run(self, method: Method, options: &Options<f64>, seconds: f64) -> Result<Run> {
        let data = self.data();
        let problem = Problem { y0: data.y0, span: [0.0, data.end], theta: data.theta };
        match self {
            Self::Robertson => method.run(&Generic(Robertson), &problem, options, seconds),
            Self::VanDerPol => method.run(&Generic(StiffVanDerPol), &problem, options, seconds),
            Self::Hires => method.run(&Generic(Hires), &problem, options, seconds),
            Self::Orego => method.run(&Generic(Orego), &problem, options, seconds),
        }
    }

    /// Options at relative tolerance `rtol`; only the end is kept.
    pub fn options(self, rtol: f64) -> Options<f64> {
        let atol = self.data().atol.iter().map(|a| a * rtol).collect();
        let mut options = Options::tol(rtol, Atol::PerRow(atol)).save(Save::End);
        // Methods of order 2 would take many more than is sensible at tight tolerances.
        options.max_steps = 30_000;
        options
    }

    /// The largest relative error of an unknown at the end: 10^−scd of the test set.
    pub fn error(self, y: &[f64]) -> f64 {
        let reference = self.data().reference;
        y.iter().zip(reference).map(|(y, r)| ((y - r) / r).abs()).fold(0.0, f64::max)
    }
}
