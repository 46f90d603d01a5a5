//! Flows and fronts stepped by a multigrid neural operator: errors of one step and of many, by how it is trained.
//!
//!     cargo run --release --example navier_stokes
//!     cargo run --release --example navier_stokes -- --equation burgers --methods pairs,window

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "plot")]
mod pictures;
#[path = "../common/simulated.rs"]
mod simulated;
mod test;
mod train;
#[path = "../common/trajectories.rs"]
mod trajectories;

use clap::{Parser, ValueEnum};
use common::{Common, Row, Session, Table, timed};
use odeon::num::parallel;
use odeon::operator::pde::{Burgers, Generator, NavierStokes};
use odeon::{Error, Result};
use std::f64::consts::TAU;
use std::process::ExitCode;
use test::Tested;
use train::Plan;
use trajectories::Trajectories;

/// One-step networks w(t) ↦ w(t + Δt) for the vorticity of a two-dimensional flow (its force being a second channel), or
/// for the viscous Burgers equation, on the torus, applied to their own answers.
///
/// The data are our own pseudo-spectral solver's (kept in the output directory and used again). The same network is
/// trained in four ways: on pairs; on pairs with noise on the first state; on windows of --window steps, differentiated
/// through all of them; and by push-forward: the last step of windows of 1 to --window steps alone is compared and
/// differentiated. Windows of K steps take --iterations / K steps of the optimiser, so that all are differentiated through as
/// many steps of the flow. Test trajectories go on for twice the time of the training set's. Reported: relative L2 errors
/// after one step and at the end, how long the correlation with the truth stays above 0.9, spectra. In the last table
/// `NFE` are the network's applications in a roll-out and `loss` is the error at the end.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// What flows
    #[arg(long, value_enum, default_value_t = Equation::NavierStokes)]
    equation: Equation,

    /// Ways of training
    #[arg(long, value_enum, value_delimiter = ',', default_value = "pairs,noise,window,push-forward")]
    methods: Vec<Method>,

    /// Points along each axis [default: 32, of Burgers' line 128; with --quick 16 and 32]
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=512))]
    n: Option<u32>,

    /// ν [default: 1e-3, Burgers 1e-2]
    #[arg(long, allow_negative_numbers = true)]
    viscosity: Option<f64>,

    /// Time of a step [default: 1, Burgers 0.05]
    #[arg(long, allow_negative_numbers = true)]
    interval: Option<f64>,

    /// Steps of a training trajectory
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: u32,

    /// Training trajectories [default: 96, with --quick 8]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trajectories: Option<u32>,

    /// Test trajectories [default: 16, with --quick 4]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    test: Option<u32>,

    /// Steps of the optimiser on pairs [default: 1600, with --quick 60]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    iterations: Option<u64>,

    /// Steps of a window
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=64))]
    window: u32,

    /// Deviation of the noise, relative to that of the data
    #[arg(long, default_value_t = 0.01, allow_negative_numbers = true)]
    noise: f64,

    /// Channels [default: 16, with --quick 6]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    channels: Option<u32>,

    /// Layers [default: 4, with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    layers: Option<u32>,

    /// Samples of a step of the optimiser
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,

    /// Highest learning rate
    #[arg(long, default_value_t = 2e-3, allow_negative_numbers = true)]
    rate: f64,

    /// Threads [default: all cores]
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    threads: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Equation {
    /// Vorticity on the torus
    NavierStokes,
    /// u_t + (u²/2)_x = ν u_xx on the circle
    Burgers,
}

/// How the network is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// One step
    Pairs,
    /// One step from a state with noise
    Noise,
    /// Windows, differentiated through all steps
    Window,
    /// Windows, the last step alone
    PushForward,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pairs => "pairs",
            Self::Noise => "noise",
            Self::Window => "window",
            Self::PushForward => "push-forward",
        }
    }
}

fn main() -> ExitCode {
    common::run(
        "navier_stokes",
        |a: &Arguments| &a.common,
        |arguments, session| {
            parallel::with_threads(arguments.threads as usize, || flows(arguments, session))?
        },
    )
}

fn check(arguments: &Arguments) -> Result<()> {
    if !(arguments.rate > 0.0 && arguments.rate.is_finite()) {
        return Err(Error::invalid("--rate", arguments.rate, "it must be positive and finite"));
    }
    if !(arguments.noise >= 0.0 && arguments.noise.is_finite()) {
        return Err(Error::invalid("--noise", arguments.noise, "it must be finite and not negative"));
    }
    if arguments.window > arguments.steps {
        let needed = format!("a window must fit into the --steps of a trajectory, {}", arguments.steps);
        return Err(Error::invalid("--window", arguments.window, needed));
    }
    let methods = &arguments.methods;
    match (1..methods.len()).find(|&i| methods[..i].contains(&methods[i])) {
        Some(i) => Err(Error::invalid("--methods", format!("{} twice", methods[i].name()), "name each once")),
        None => Ok(()),
    }
}

fn flows(arguments: &Arguments, session: &mut Session) -> Result<()> {
    check(arguments)?;
    let quick = session.common.quick;
    let count = |given: Option<u32>, plain, quickly| given.unwrap_or(if quick { quickly } else { plain });
    let (trajectories, tests) = (count(arguments.trajectories, 96, 8), count(arguments.test, 16, 4));
    let steps = arguments.steps as usize;
    let (extents, name) = match arguments.equation {
        Equation::NavierStokes => (vec![count(arguments.n, 32, 16) as usize; 2], "flow"),
        Equation::Burgers => (vec![count(arguments.n, 128, 32) as usize], "burgers"),
    };
    let (viscosity, interval) = match arguments.equation {
        Equation::NavierStokes => (arguments.viscosity.unwrap_or(1e-3), arguments.interval.unwrap_or(1.0)),
        Equation::Burgers => (arguments.viscosity.unwrap_or(1e-2), arguments.interval.unwrap_or(0.05)),
    };
    let generator = |steps: usize| -> Box<dyn Generator> {
        match extents[..] {
            [n, m] => Box::new(NavierStokes::new([n, m], viscosity, interval, steps)),
            _ => Box::new(Burgers::new(extents[0], viscosity, interval, steps)),
        }
    };
    let seed = session.common.seed;
    let set = |part: &str, [steps, number]: [u32; 2], offset: u64, scale: Option<f32>| {
        let stem = format!("{name}_{}_{viscosity}_{interval}_{part}_{number}x{steps}_{seed}", extents[0]);
        let seed = seed.wrapping_add(offset);
        let [start, later] = simulated::simulate(session, &*generator(steps as usize), &stem, number, seed)?;
        Trajectories::new(&start, &later, scale)
    };
    let (training, data_s) = timed(|| set("train", [arguments.steps, trajectories], 0, None))?;
    let test = set("test", [2 * arguments.steps, tests], 1_000_000, Some(training.scale))?;
    session.say(format!(
        "{trajectories} trajectories of {steps} steps, {tests} of {} on {extents:?} points in {data_s:.1} s",
        2 * steps
    ))?;
    let (_, solver_s) = timed(|| {
        let solver = generator(2 * steps);
        solver.output(&solver.input(seed, u32::MAX)?)
    })?;
    // Where the force is cannot be seen from the vorticity.
    let fixed = match extents[..] {
        [n, m] => {
            let angle = |at: usize| TAU * ((at % n) as f64 / n as f64 + (at / n) as f64 / m as f64);
            (0..n * m).map(|at| (angle(at).sin() + angle(at).cos()) as f32).collect()
        }
        _ => Vec::new(),
    };
    let plan = Plan {
        extents,
        channels: count(arguments.channels, 16, 6) as usize,
        layers: count(arguments.layers, 4, 2) as usize,
        iterations: arguments.iterations.unwrap_or(if quick { 60 } else { 1600 }),
        window: arguments.window as usize,
        noise: arguments.noise,
        batch: arguments.batch as usize,
        rate: arguments.rate,
        seed,
        fixed,
    };
    let program = plan.program()?;
    let parameters = program.layout().len();
    session
        .say(format!("MgNO: {} layers, {} channels, {parameters} parameters", plan.layers, plan.channels))?;
    let mut all = vec![Tested::persistence(&test, &plan.extents, interval)?];
    for &method in &arguments.methods {
        let file = session.path(&format!("{name}_{}_{seed}.log.csv", method.name()));
        let (theta, train_s) = timed(|| plan.train(&program, &training, method, &file))?;
        session.wrote(&file);
        all.push(Tested::of((&program, &theta), &test, (&plan, interval), method, train_s)?);
    }
    report(session, &all, (parameters, solver_s, 2 * steps))?;
    test::curves(session, name, &test, &all, (&plan.extents, interval))?;
    #[cfg(feature = "plot")]
    {
        session
            .picture(&format!("{name}_rollout"), &pictures::rollout(&test, &all, &plan.extents, interval)?)?;
        session
            .picture(&format!("{name}_errors"), &pictures::errors(&test, &all, &plan.extents, interval)?)?;
    }
    Ok(())
}

fn report(
    session: &mut Session,
    all: &[Tested],
    (parameters, solver_s, steps): (usize, f64, usize),
) -> Result<()> {
    let mut table = Table::new(&[
        "trained on",
        "error, 1 step",
        "at the end",
        "correlated until",
        "train (s)",
        "roll-out (s)",
    ]);
    for tested in all {
        table.row([
            tested.name.to_string(),
            format!("{:.2e}", tested.errors[0]),
            format!("{:.2e}", tested.errors[tested.errors.len() - 1]),
            format!("{:.3}", tested.correlated),
            format!("{:.1}", tested.train_s),
            format!("{:.2e}", tested.predict_s),
        ]);
    }
    session
        .say(format!("\n{table}\nthe solver that made the data takes {solver_s:.2e} s for a trajectory"))?;
    let seed = session.common.seed;
    for tested in &all[1..] {
        let end = tested.errors[tested.errors.len() - 1];
        session.record(Row {
            method: tested.name.to_string(),
            seed,
            loss: Some(end),
            nfe: steps,
            accepted: steps,
            rejected: 0,
            train_s: tested.train_s,
            predict_s: tested.predict_s,
        });
        session.line(serde_json::json!({
            "method": tested.name,
            "seed": seed,
            "test_l2": tested.errors[0],
            "rollout_l2": end,
            "correlated_until": tested.correlated,
            "params": parameters,
            "train_s": tested.train_s,
            "predict_s": tested.predict_s,
            "solver_s": solver_s,
        }));
    }
    Ok(())
}
