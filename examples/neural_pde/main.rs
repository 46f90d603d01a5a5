//! A partial differential equation learned from its solutions: the method of lines with a multigrid neural operator as the
//! right-hand side, with and without penalties on the solver's heuristics.
//!
//!     cargo run --release --example neural_pde
//!     cargo run --release --example neural_pde -- --known --methods none,error --lambda error=0.1

#[path = "../common/mod.rs"]
mod common;
mod method;
#[path = "../common/options.rs"]
mod options;
#[cfg(feature = "plot")]
mod pictures;
#[path = "../common/simulated.rs"]
mod simulated;
mod train;
#[path = "../common/trajectories.rs"]
mod trajectories;
#[path = "../common/weights.rs"]
mod weights;

use clap::Parser;
use common::{Common, Row, Session};
use method::Method;
use odeon::num::parallel;
use odeon::operator::pde::Burgers;
use odeon::{Error, Result};
use std::process::ExitCode;
use train::{Plan, Trained};
use trajectories::Trajectories;
use weights::Weight;

/// u' = N(u; θ), N a multigrid neural operator on the circle, learned from solutions of the viscous Burgers equation
/// through the adaptive integrator (Tsit5, discrete adjoint).
///
/// Windows of --window saved times of the training trajectories are solved from their first state; the loss is the mean
/// relative L2 error at the others. Penalties on the accepted steps (`error`: Σ E_j |h_j|; `stiffness`: Σ S_j; `steps`: the
/// predicted number of steps) make the learned equation cheap to solve. With --known the diffusion ν u_xx is given and the
/// network learns the rest. Test trajectories are solved whole, at the same tolerance. `loss` is the mean relative L2 error over them,
/// `NFE` the evaluations of the solve of all of them together; the last row but one is the true equation by the method of lines.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Penalties, separated by commas, or 'all'
    #[arg(long, value_delimiter = ',', default_value = "all")]
    methods: Vec<String>,

    /// Points [default: 64, with --quick 32]
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=4096))]
    n: Option<u32>,

    /// ν
    #[arg(long, default_value_t = 0.02, allow_negative_numbers = true)]
    viscosity: f64,

    /// Time between saved states
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    interval: f64,

    /// Saved states of a trajectory after the first
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: u32,

    /// Of them those of a window
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    window: u32,

    /// Training trajectories [default: 256, with --quick 16]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trajectories: Option<u32>,

    /// Test trajectories [default: 32, with --quick 8]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    test: Option<u32>,

    /// Steps of the optimiser [default: 400, with --quick 20]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    iterations: Option<u64>,

    /// Windows of a step
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,

    /// Channels [default: 12, with --quick 6]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    channels: Option<u32>,

    /// Layers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16))]
    layers: u32,

    /// Give the diffusion, learn the rest
    #[arg(long)]
    known: bool,

    /// Relative and absolute tolerance of all solves
    #[arg(long, default_value_t = 1e-5, allow_negative_numbers = true)]
    tol: f64,

    /// Highest learning rate
    #[arg(long, default_value_t = 5e-3, allow_negative_numbers = true)]
    rate: f64,

    /// METHOD=FROM or METHOD=FROM:TO: weight of a penalty, annealed exponentially; may be repeated
    #[arg(long, value_name = "METHOD=λ")]
    lambda: Vec<Weight<Method>>,

    /// Threads [default: all cores]
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    threads: u32,
}

fn main() -> ExitCode {
    common::run(
        "neural_pde",
        |a: &Arguments| &a.common,
        |arguments, session| {
            parallel::with_threads(arguments.threads as usize, || learn(arguments, session))?
        },
    )
}

fn check(arguments: &Arguments) -> Result<()> {
    let positive = [("--rate", arguments.rate), ("--tol", arguments.tol), ("--interval", arguments.interval)];
    if let Some((name, value)) = positive.iter().find(|(_, v)| !(*v > 0.0 && v.is_finite())) {
        return Err(Error::invalid(*name, value, "it must be positive and finite"));
    }
    if arguments.window > arguments.steps {
        let needed = format!("a window must fit into the --steps of a trajectory, {}", arguments.steps);
        return Err(Error::invalid("--window", arguments.window, needed));
    }
    Ok(())
}

fn learn(arguments: &Arguments, session: &mut Session) -> Result<()> {
    check(arguments)?;
    let quick = session.common.quick;
    let count = |given: Option<u32>, plain, quickly| given.unwrap_or(if quick { quickly } else { plain });
    let (n, steps) = (count(arguments.n, 64, 32) as usize, arguments.steps as usize);
    let burgers = Burgers::new(n, arguments.viscosity, arguments.interval, steps);
    let seed = session.common.seed;
    let set = |part: &str, number: u32, offset: u64, scale: Option<f32>| {
        let stem =
            format!("{n}_{}_{}_{part}_{number}x{steps}_{seed}", arguments.viscosity, arguments.interval);
        let [start, later] =
            simulated::simulate(session, &burgers, &stem, number, seed.wrapping_add(offset))?;
        Trajectories::new(&start, &later, scale)
    };
    let training = set("train", count(arguments.trajectories, 256, 16), 0, Some(1.0))?;
    let test = set("test", count(arguments.test, 32, 8), 1_000_000, Some(1.0))?;
    let plan = Plan {
        n,
        viscosity: arguments.viscosity as f32,
        interval: arguments.interval as f32,
        window: arguments.window as usize,
        iterations: arguments.iterations.unwrap_or(if quick { 20 } else { 400 }),
        batch: arguments.batch as usize,
        channels: count(arguments.channels, 12, 6) as usize,
        layers: arguments.layers as usize,
        known: arguments.known,
        tol: arguments.tol as f32,
        rate: arguments.rate,
        seed,
    };
    let mut all = Vec::new();
    for method in options::methods(&arguments.methods, &Method::ALL)? {
        let given = arguments.lambda.iter().filter(|w| w.method == method).map(|w| w.lambda);
        let mut lambdas: Vec<[f64; 2]> = given.collect();
        if lambdas.is_empty() {
            lambdas.push(method.default_lambda());
        }
        for lambda in lambdas {
            let trained = plan.train(&training, &test, method, lambda)?;
            session.say(format!(
                "{}: test error {:.3e}, {} evaluations, {:.1} s",
                trained.name, trained.error, trained.solve.nfe, trained.train_s
            ))?;
            all.push(trained);
        }
    }
    let truth = plan.truth(&test)?;
    for trained in all.iter().chain([&truth]) {
        report(session, trained, seed);
    }
    let times: Vec<f64> = (1..=steps).map(|k| k as f64 * arguments.interval).collect();
    let mut columns: Vec<(&str, &[f64])> = vec![("t", &times)];
    columns.extend(all.iter().chain([&truth]).map(|t| (t.name.as_str(), &t.errors[..])));
    session.curves("errors", &columns)?;
    #[cfg(feature = "plot")]
    {
        session.picture("solutions", &pictures::solutions(&test, &all, &truth, arguments.interval)?)?;
        session.picture("training", &pictures::training(&all, &truth, &times)?)?;
    }
    Ok(())
}

fn report(session: &mut Session, trained: &Trained, seed: u64) {
    session.record(Row {
        method: trained.name.clone(),
        seed,
        loss: Some(trained.error),
        nfe: trained.solve.nfe,
        accepted: trained.solve.accepted,
        rejected: trained.solve.rejected,
        train_s: trained.train_s,
        predict_s: trained.predict_s,
    });
    if trained.parameters > 0 {
        session.line(serde_json::json!({
            "method": trained.name,
            "seed": seed,
            "test_l2": trained.error,
            "nfe": trained.solve.nfe,
            "params": trained.parameters,
            "train_s": trained.train_s,
            "predict_s": trained.predict_s,
        }));
    }
}
