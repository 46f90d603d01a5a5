//! Latent ODEs of irregular series, plain and regularised: locally, globally.
//!
//!     cargo run --release --example latent_ode
//!     cargo run --release --example latent_ode -- --data set-a --grid 1 --latent 12
//!
//! The weights were not searched: 100:10 in nats per series is what was tried, after 300:30 on shorter trainings.
//!
//! `--data` takes a directory of the PhysioNet 2012 challenge (one file `Time,Parameter,Value` for each record) or one
//! file with the columns `RecordID,Time,Parameter,Value`.

#[path = "../common/mod.rs"]
mod common;
mod data;
mod method;
#[path = "../common/options.rs"]
mod options;
mod physionet;
#[cfg(feature = "plot")]
mod pictures;
mod train;
#[path = "../common/weights.rs"]
mod weights;

use clap::Parser;
use common::{Common, Row, Session, Table};
use method::Method;
use odeon::Result;
use std::path::PathBuf;
use std::process::ExitCode;
use train::{Plan, Task, Trained};
use weights::Weight;

/// Latent ODEs of spirals with irregular times, or of medical records: interpolation, extrapolation, NFE.
///
/// Data: spirals from a random start with their own growth, speed and direction, observed with noise at 40 % of 60
/// times, each at others. Model: a recurrent unit of 32 rows reads the observations of the first half of the times
/// backwards, z(0) is normal with mean and variance affine in its state, dz/dt = f(z) with f of two tanh layers of 32,
/// x by a layer of 32; Tsit5, trained by Adam on the evidence lower bound of the observations at all times through the
/// discrete adjoint, the weight of the KL rising from 0 to 1 in the first 30 % of the training. The loss is the mean
/// square of the differences to the truth of held-out series at all times. Runs are trained in parallel; results do not
/// depend on the number of threads, times do.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Records in the format of the PhysioNet 2012 challenge instead of spirals
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// Hours to which the times of the records are rounded
    #[arg(long, value_name = "HOURS", default_value_t = 1.0, allow_negative_numbers = true)]
    grid: f64,

    /// Comma-separated methods: none, global, local, or all
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "all")]
    methods: Vec<String>,

    /// Seeds of each method, counted from --seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,

    /// Optimiser steps of each run [default: 2500, with --quick 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    iterations: Option<u64>,

    /// Spirals to train on
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    series: u32,

    /// Series of a mini-batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    /// Standard deviation s of the observations in the model [default: 0.1, with --data 0.5]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    sd: Option<f64>,

    /// Rows of the latent state
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    latent: u32,

    /// Between observations the reader's state follows an equation of its own (ODE-RNN)
    #[arg(long)]
    ode_rnn: bool,

    /// Relative and absolute tolerance
    #[arg(long, value_name = "TOL", default_value_t = 1e-5, allow_negative_numbers = true)]
    tol: f64,

    /// Learning rate at the start; it falls to a hundredth of that (cosine)
    #[arg(long, value_name = "RATE", default_value_t = 1e-2, allow_negative_numbers = true)]
    rate: f64,

    /// METHOD=FROM or METHOD=FROM:TO: weight of a penalty, annealed exponentially; may be repeated
    #[arg(long, value_name = "METHOD=λ")]
    lambda: Vec<Weight<Method>>,

    /// Threads [0: one for each core]
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

/// Seed of the held-out spirals, far from that of the training.
const TEST: u64 = 1 << 40;
/// Part of the records to train on.
const TRAINING: f64 = 0.8;

fn main() -> ExitCode {
    common::run("latent_ode", |a: &Arguments| &a.common, latent)
}

fn latent(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, first) = (session.common.quick, session.common.seed);
    let plan = Plan {
        iterations: arguments.iterations.unwrap_or(if quick { 30 } else { 2500 }),
        batch: arguments.batch as usize,
        rate: arguments.rate,
        tol: arguments.tol,
        latent: arguments.latent as usize,
        ode_rnn: arguments.ode_rnn,
        observation_sd: arguments.sd.unwrap_or(if arguments.data.is_some() { 0.5 } else { 0.1 }),
    };
    let [training, held_out] = match &arguments.data {
        Some(path) => {
            let all = physionet::read(path, arguments.grid)?;
            let training = (TRAINING * all.count() as f64) as usize;
            session.say(format!("{} records of {}", all.count(), all.names.join(", ")))?;
            all.split(training)
        }
        None => {
            let test = if quick { 64 } else { 256 };
            [data::spirals(first, arguments.series as usize), data::spirals(TEST + first, test)]
        }
    };
    let mut tasks = Vec::new();
    for method in options::methods(&arguments.methods, &Method::ALL)? {
        let given = arguments.lambda.iter().filter(|w| w.method == method).map(|w| w.lambda);
        let mut lambdas: Vec<[f64; 2]> = given.collect();
        if lambdas.is_empty() {
            lambdas.push(method.default_lambda());
        }
        for lambda in lambdas {
            tasks.extend((first..first + arguments.seeds).map(|seed| Task { method, lambda, seed }));
        }
    }
    session.say(format!("{} trainings of {} steps …", tasks.len(), plan.iterations))?;
    let runs = train::train_all(&plan, &tasks, [&training, &held_out], arguments.threads)?;
    session.say(table(&runs))?;
    for run in &runs {
        session.record(Row {
            method: run.task.method.to_string(),
            seed: run.task.seed,
            loss: Some(run.mse[0]),
            nfe: run.nfe,
            accepted: run.accepted,
            rejected: run.rejected,
            train_s: run.train_s,
            predict_s: run.predict_s,
        });
    }
    let columns = |pick: fn(&odeon::train::Record) -> f64| -> Vec<(String, Vec<f64>)> {
        let label = |t: Task| format!("{} {:e}:{:e} seed {}", t.method, t.lambda[0], t.lambda[1], t.seed);
        runs.iter().map(|run| (label(run.task), run.records.iter().map(pick).collect())).collect()
    };
    for (name, columns) in [("loss", columns(|r| r.loss)), ("nfe", columns(|r| r.nfe as f64))] {
        let columns: Vec<(&str, &[f64])> = columns.iter().map(|(l, c)| (&l[..], &c[..])).collect();
        session.curves(name, &columns)?;
    }
    #[cfg(feature = "plot")]
    pictures::draw(session, &held_out, &runs, arguments.data.is_none())?;
    Ok(())
}

/// Errors and evaluations beside those of the plain model of the same seed.
fn table(runs: &[Trained]) -> Table {
    let mut table = Table::new(&["method", "λ", "seed", "MSE", "×", "read times", "later times", "NFE", "×"]);
    for run in runs {
        let Task { method, lambda, seed } = run.task;
        let plain = runs.iter().find(|r| r.task.method == Method::None && r.task.seed == seed);
        let ratio = |f: fn(&Trained) -> f64| match plain {
            Some(plain) => format!("{:.2}", f(run) / f(plain)),
            None => "–".into(),
        };
        table.row([
            method.to_string(),
            format!("{:.1e}→{:.1e}", lambda[0], lambda[1]),
            seed.to_string(),
            format!("{:.2e}", run.mse[0]),
            ratio(|r| r.mse[0]),
            format!("{:.2e}", run.mse[1]),
            format!("{:.2e}", run.mse[2]),
            run.nfe.to_string(),
            ratio(|r| r.nfe as f64),
        ]);
    }
    table
}
