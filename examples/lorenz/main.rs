//! The Lorenz system: a trajectory and how the solver stepped through it, the divergence of
//! neighbours, and a sweep over ρ, the latter two as ensembles whose trajectories choose their own
//! steps.
//!
//!     cargo run --release --example lorenz

#[path = "../common/mod.rs"]
mod common;
mod divergence;
#[cfg(feature = "plot")]
mod pictures;
mod sweep;
mod throughput;

use clap::Parser;
use common::{Common, Row, Session, timed};
use divergence::Divergence;
use odeon::dynamics::gallery::Lorenz;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save, Solution};
use odeon::ode::tableau::Tableau;
use odeon::ode::{Solver, solve, tableaux};
use odeon::{Error, Result};
use std::process::ExitCode;
use sweep::Sweep;

/// The Lorenz system: an orbit, the divergence of neighbours, a sweep over ρ.
///
/// Solves x' = σ(y − x), y' = x(ρ − z) − y, z' = xy − βz with σ = 10, β = 8/3. Pictures: the
/// attractor at ρ = 28; the solver's steps (size h, error estimate E, stiffness h·S, rejections);
/// how far pairs of neighbours drift apart, and the Lyapunov exponent read off it; a cloud of
/// neighbours spreading over the attractor; the maxima of z against ρ. Nothing is trained: the rows
/// of the table are ways of solving, NFE and steps are totals over the ensemble.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Trajectories of the ensemble of neighbours [default: 10000, with --quick 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    trajectories: Option<u32>,

    /// Relative and absolute tolerance
    #[arg(long, value_name = "TOL", default_value_t = 1e-8, allow_negative_numbers = true)]
    tol: f64,

    /// Explicit method by name
    #[arg(long, value_name = "NAME", default_value = "Tsit5")]
    method: String,
}

/// What every part solves with.
struct Setup {
    dynamics: Generic<Lorenz>,
    method: &'static Tableau,
    tol: f64,
    seed: u64,
    /// Trajectories of the ensembles.
    count: usize,
}

fn main() -> ExitCode {
    common::run("lorenz", |a: &Arguments| &a.common, lorenz)
}

fn lorenz(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let quick = session.common.quick;
    let count = arguments.trajectories.unwrap_or(if quick { 1000 } else { 10_000 });
    let setup = Setup {
        dynamics: Generic(Lorenz),
        method: tableaux::by_name(&arguments.method)?,
        tol: arguments.tol,
        seed: session.common.seed,
        count: count as usize,
    };
    let orbit = orbit(&setup, session)?;
    let steps = steps(&setup, session)?;
    let divergence = Divergence::measure(&setup)?;
    divergence.report(session)?;
    throughput::report(&setup, &divergence, session)?;
    let cloud = divergence::cloud(&setup, &orbit, session)?;
    let sweep = Sweep::run(&setup, if quick { 200 } else { 1500 })?;
    sweep.report(session)?;
    #[cfg(feature = "plot")]
    pictures::draw(
        session,
        &pictures::Results {
            orbit: &orbit,
            steps: &steps,
            stability: setup.method.stiffness.map(|s| s.stability_size),
            divergence: &divergence,
            cloud: &cloud,
            sweep: &sweep,
        },
    )?;
    #[cfg(not(feature = "plot"))]
    drop((steps, cloud, sweep));
    Ok(())
}

impl Setup {
    fn options(&self) -> Options<f64> {
        Options::tol(self.tol, self.tol)
    }
}

/// Rows of a `3 × n` block.
fn row(states: &[f64], row: usize) -> Vec<f64> {
    states.iter().skip(row).step_by(3).copied().collect()
}

/// `n + 1` equispaced times from `from` to `to`.
fn times(from: f64, to: f64, n: usize) -> Vec<f64> {
    let step = (to - from) / n as f64;
    let inside = (0..n).map(|i| from + step * i as f64);
    inside.chain([to]).collect()
}

/// A long orbit on the attractor, the transient left out.
fn orbit(setup: &Setup, session: &mut Session) -> Result<Solution<f64>> {
    let problem = Problem { y0: &Lorenz::Y0, span: [0.0, 110.0], theta: &Lorenz::THETA };
    let options = setup.options().save_at(times(10.0, 110.0, 20_000));
    let orbit = solve(&setup.dynamics, setup.method, &problem, &options)?;
    let (x, y, z) = (row(&orbit.y, 0), row(&orbit.y, 1), row(&orbit.y, 2));
    session.curves("orbit", &[("t", &orbit.t), ("x", &x), ("y", &y), ("z", &z)])?;
    Ok(orbit)
}

/// The usual trajectory with every attempted step kept, and the time it takes without.
fn steps(setup: &Setup, session: &mut Session) -> Result<Solution<f64>> {
    let problem = Problem { y0: &Lorenz::Y0, span: [0.0, Lorenz::T_END], theta: &Lorenz::THETA };
    let plain = setup.options();
    let mut solver = Solver::new(&setup.dynamics, setup.method, 1);
    let repeats = 100;
    let ((), seconds) = timed(|| {
        (0..repeats).try_for_each(|_| -> Result<()> {
            solver.solve(&problem, &plain)?;
            Ok(())
        })
    })?;
    let options = setup.options().save(Save::EveryStep).diagnostics();
    let solution = solve(&setup.dynamics, setup.method, &problem, &options)?;
    let statistics = &solution.stats;
    session.say(format!(
        "One trajectory, t = 0…{}, {} at tolerance {:e}: {} steps, {} rejected, {} evaluations, first step {:.2e}, {:.1} µs a step",
        Lorenz::T_END,
        setup.method.name,
        setup.tol,
        statistics.accepted,
        statistics.rejected,
        statistics.nfe,
        statistics.first_h,
        1e6 * seconds / f64::from(repeats) / (statistics.accepted + statistics.rejected) as f64,
    ))?;
    session.record(Row {
        method: "one trajectory".into(),
        seed: setup.seed,
        nfe: statistics.nfe,
        accepted: statistics.accepted,
        rejected: statistics.rejected,
        predict_s: seconds / f64::from(repeats),
        ..Row::default()
    });
    let attempts = &solution.attempts;
    let column = |f: fn(&odeon::error::Attempt) -> f64| attempts.iter().map(f).collect::<Vec<_>>();
    session.curves(
        "steps",
        &[
            ("t", &column(|a| a.t)),
            ("h", &column(|a| a.h)),
            ("error", &column(|a| a.error)),
            ("stiffness", &column(|a| a.stiffness)),
            ("accepted", &column(|a| f64::from(u8::from(a.accepted)))),
        ],
    )?;
    Ok(solution)
}

/// The state of the orbit at its saved time `i`.
fn point(orbit: &Solution<f64>, i: usize) -> Result<[f64; 3]> {
    let state = orbit.state(i);
    <[f64; 3]>::try_from(state)
        .map_err(|_| Error::invalid("a state", format!("{state:?}"), "three numbers are needed"))
}
