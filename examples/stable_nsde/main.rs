//! Stable neural SDEs on series with missing observations, against a plain neural SDE and a neural ODE.
//!
//!     cargo run --release --example stable_nsde
//!     cargo run --release --example stable_nsde -- --methods ode,langevin --seeds 5
//!
//! The classes are those of Oh, Lim & Kim, *Stable Neural Stochastic Differential Equations in Analyzing Irregular
//! Time Series Data* (ICLR 2024): Langevin-type, linear noise, geometric. Theirs are driven by the observations along
//! the path; here they enter by the state at the start, so that the equation itself has to carry the series.

#[path = "../common/mod.rs"]
mod common;
mod data;
mod model;
#[path = "../common/options.rs"]
mod options;
#[cfg(feature = "plot")]
mod pictures;
mod train;

use clap::Parser;
use common::{Common, Row, Session};
use model::Method;
use odeon::{Error, Result};
use std::process::ExitCode;
use train::{Plan, Task, Trained};

/// Forecasts of irregularly observed series: neural ODE, neural SDE and three stable neural SDEs.
///
/// Data: a e^{−γt} cos(ωt + φ), each series with its own a, γ, ω and φ, at 30 times in [0, 1] with noise of standard
/// deviation 0.05; 30, 50 and 70 % of the observations are missing. Model: a recurrent unit of 24 rows reads the first
/// 20 times from the last to the first, z(0) of 8 rows is affine in its state, the equation's drift is 8 → 32 tanh → 8,
/// x is affine in z; Tsit5 for the ODE, two Euler–Maruyama steps between times otherwise. Trained by Adam on the mean
/// square of the differences to the observations that are there, of all 30 times. The loss is the root mean square of
/// the differences of the forecast (the last 10 times; the mean of 8 paths) to the truth without noise. Runs are
/// trained in parallel; results do not depend on the number of threads, times do.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Comma-separated methods: ode, sde, langevin, linear-noise, geometric, or all
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "all")]
    methods: Vec<String>,

    /// Comma-separated parts of the observations that are missing
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0.3,0.5,0.7")]
    missing: Vec<f64>,

    /// Seeds of each method, counted from --seed [default: 3, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,

    /// Optimiser steps of each run [default: 500, with --quick 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    iterations: Option<u64>,

    /// Learning rate at the start; it falls to a hundredth of that (cosine)
    #[arg(long, value_name = "RATE", default_value_t = 0.01, allow_negative_numbers = true)]
    rate: f64,

    /// Series to train on
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    series: u32,

    /// Series of a mini-batch, at most --series
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    /// Threads [0: one for each core]
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

/// Held-out series.
const HELD_OUT: usize = 128;

fn main() -> ExitCode {
    common::run("stable_nsde", |a: &Arguments| &a.common, stable)
}

fn stable(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, first) = (session.common.quick, session.common.seed);
    let plan = Plan {
        iterations: arguments.iterations.unwrap_or(if quick { 30 } else { 500 }),
        batch: arguments.batch as usize,
        rate: arguments.rate,
        training: arguments.series as usize,
        held_out: HELD_OUT,
    };
    let methods: Vec<Method> = options::methods(&arguments.methods, &Method::ALL)?;
    let missing = &arguments.missing[..];
    if let Some(part) = missing.iter().find(|p| !(0.0..1.0).contains(*p)) {
        let needed = "parts of the observations lie in [0, 1), such as 0.3";
        return Err(Error::invalid("--missing", part, needed));
    }
    let seeds = arguments.seeds.unwrap_or(if quick { 1 } else { 3 });
    let mut tasks = Vec::new();
    for &method in &methods {
        for &missing in missing {
            tasks.extend((first..first + seeds).map(|seed| Task { method, missing, seed }));
        }
    }
    session.say(format!("{} trainings of {} steps …", tasks.len(), plan.iterations))?;
    let runs = train::train_all(&plan, &tasks, arguments.threads)?;
    for (title, pick) in [
        ("forecast", (|r| r.forecast) as fn(&Trained) -> f64),
        ("interpolation at the missing times", |r| r.interpolation),
    ] {
        session.say(format!(
            "\nroot mean square error of the {title}, mean ± standard deviation over {seeds} seeds"
        ))?;
        session.say(table(&runs, &methods, missing, pick))?;
    }
    let scale = tasks[0].held_out(&plan).truth;
    let rms = (scale.iter().map(|x| x * x).sum::<f64>() / scale.len() as f64).sqrt();
    session.say(format!("the root mean square of the series themselves is {rms:.3}"))?;
    for run in &runs {
        let Task { method, missing, seed } = run.task;
        session.record(Row {
            method: format!("{method}, {:.0} % missing", 100.0 * missing),
            seed,
            loss: Some(run.forecast),
            nfe: run.nfe,
            accepted: run.accepted,
            rejected: 0,
            train_s: run.train_s,
            predict_s: run.predict_s,
        });
    }
    let columns: Vec<(String, Vec<f64>)> = (runs.iter())
        .map(|run| {
            let Task { method, missing, seed } = run.task;
            let losses = run.records.iter().map(|r| r.loss).collect();
            (format!("{method} missing {missing} seed {seed}"), losses)
        })
        .collect();
    let columns: Vec<(&str, &[f64])> = columns.iter().map(|(l, c)| (&l[..], &c[..])).collect();
    session.curves("loss", &columns)?;
    #[cfg(feature = "plot")]
    pictures::draw(session, &plan, &runs)?;
    Ok(())
}

/// Mean and standard deviation (n − 1) over the seeds.
fn spread(runs: &[Trained], (method, missing): (Method, f64), pick: fn(&Trained) -> f64) -> [f64; 2] {
    let mine = runs.iter().filter(|r| r.task.method == method && r.task.missing == missing);
    let values: Vec<f64> = mine.map(pick).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    [mean, (squares / (n - 1.0).max(1.0)).sqrt()]
}

fn table(runs: &[Trained], methods: &[Method], missing: &[f64], pick: fn(&Trained) -> f64) -> common::Table {
    let names: Vec<String> = missing.iter().map(|p| format!("{:.0} % missing", 100.0 * p)).collect();
    let header: Vec<&str> = std::iter::once("method").chain(names.iter().map(|n| &n[..])).collect();
    let mut table = common::Table::new(&header);
    for &method in methods {
        let cell = |part: &f64| {
            let [mean, sd] = spread(runs, (method, *part), pick);
            format!("{mean:.4} ± {sd:.4}")
        };
        table.row(std::iter::once(method.to_string()).chain(missing.iter().map(cell)));
    }
    table
}
