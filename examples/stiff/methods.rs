//! The methods under one type.

use odeon::Result;
use odeon::dynamics::Dynamics;
use odeon::integrate::{Options, Problem, Solution};
#[cfg(feature = "diffsol")]
use odeon::ode::diffsol;
use odeon::ode::radau::RadauIia5;
use odeon::ode::sdirk::{Esdirk54I8L2SA, Kvaerno3, Kvaerno5, TrBdf2};
use odeon::ode::switch::AutoTsit5;
use odeon::ode::tableaux_rosenbrock::{Rodas4, Rodas5P, Rosenbrock23};
use odeon::ode::{Solver, StepMethod};
use std::time::Instant;

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Rosenbrock23,
    Rodas4,
    Rodas5P,
    TrBdf2,
    Kvaerno3,
    Kvaerno5,
    Esdirk54,
    Radau,
    /// Tsit5 and Rodas5P, by stiffness.
    Auto,
    #[cfg(feature = "diffsol")]
    Bdf,
}

/// A solve, and the least of its times over some repetitions.
pub struct Run {
    pub solution: Solution<f64>,
    pub seconds: f64,
}

impl Method {
    pub const ALL: &[Self] = &[
        Self::Rosenbrock23,
        Self::Rodas4,
        Self::Rodas5P,
        Self::TrBdf2,
        Self::Kvaerno3,
        Self::Kvaerno5,
        Self::Esdirk54,
        Self::Radau,
        Self::Auto,
        #[cfg(feature = "diffsol")]
        Self::Bdf,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Rosenbrock23 => "Rosenbrock23",
            Self::Rodas4 => "Rodas4",
            Self::Rodas5P => "Rodas5P",
            Self::TrBdf2 => "TR-BDF2",
            Self::Kvaerno3 => "Kvaerno3",
            Self::Kvaerno5 => "Kvaerno5",
            Self::Esdirk54 => "ESDIRK54I8L2SA",
            Self::Radau => "Radau IIA 5",
            Self::Auto => "Tsit5 ↔ Rodas5P",
            #[cfg(feature = "diffsol")]
            Self::Bdf => "BDF (diffsol)",
        }
    }

    /// Solves until `seconds` have passed, once at least; memory is reused, as it would be in a loop.
    ///
    /// # Errors
    /// As [`odeon::ode::solve`].
    pub fn run<D: Dynamics<f64>>(
        self,
        dynamics: &D,
        problem: &Problem<'_, f64>,
        options: &Options<f64>,
        seconds: f64,
    ) -> Result<Run> {
        match self {
            Self::Rosenbrock23 => repeat(dynamics, &Rosenbrock23, problem, options, seconds),
            Self::Rodas4 => repeat(dynamics, &Rodas4, problem, options, seconds),
            Self::Rodas5P => repeat(dynamics, &Rodas5P, problem, options, seconds),
            Self::TrBdf2 => repeat(dynamics, &TrBdf2, problem, options, seconds),
            Self::Kvaerno3 => repeat(dynamics, &Kvaerno3, problem, options, seconds),
            Self::Kvaerno5 => repeat(dynamics, &Kvaerno5, problem, options, seconds),
            Self::Esdirk54 => repeat(dynamics, &Esdirk54I8L2SA, problem, options, seconds),
            Self::Radau => repeat(dynamics, &RadauIia5, problem, options, seconds),
            Self::Auto => repeat(dynamics, &AutoTsit5, problem, options, seconds),
            #[cfg(feature = "diffsol")]
            Self::Bdf => {
                least(seconds, || Ok(diffsol::solve(dynamics, diffsol::Implicit::Bdf, problem, options)?))
            }
        }
    }
}

fn repeat<D: Dynamics<f64>>(
    dynamics: &D,
    method: &impl StepMethod<f64, D>,
    problem: &Problem<'_, f64>,
    options: &Options<f64>,
    seconds: f64,
) -> Result<Run> {
    let mut solver = Solver::new(dynamics, method, 1);
    least(seconds, || Ok(solver.solve(problem, options)?.clone()))
}

/// The least time of `solve` by its own clock.
fn least(seconds: f64, mut solve: impl FnMut() -> Result<Solution<f64>>) -> Result<Run> {
    let start = Instant::now();
    let solution = solve()?;
    let mut least = solution.stats.time;
    while start.elapsed().as_secs_f64() < seconds {
        least = least.min(solve()?.stats.time);
    }
    Ok(Run { solution, seconds: least.as_secs_f64() })
}
