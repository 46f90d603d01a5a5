//! Which way does a spiral turn? A neural controlled differential equation, most observations missing.
//!
//!     cargo run --release --example neural_cde
//!     cargo run --release --example neural_cde -- --paths all --missing 0.9

#[path = "../common/mod.rs"]
mod common;
mod data;
#[path = "../common/options.rs"]
mod options;
#[cfg(feature = "plot")]
mod pictures;
mod train;

use clap::Parser;
use common::{Common, Row, Session, Table};
use odeon::num::parallel;
use odeon::{Error, Result};
use std::process::ExitCode;
use train::{Kind, Plan, Task, Trained};

/// Classification of spirals by a neural controlled differential equation driven by their irregular observations.
///
/// Data: spirals from a random angle that turn left or right, 60 times, noise of standard deviation 0.02, each
/// coordinate at each time missing by itself. Channels of the control path: the time, the two coordinates, and how many
/// observations of each there have been. Model: 5 → 16 → field 16 → 48 tanh → 80 tanh → 2 logits from the state at the
/// end; Tsit5, trained by Adam on the cross-entropy through the discrete adjoint. The loss is the cross-entropy of 512
/// held-out spirals. Runs are trained in parallel; results do not depend on the number of threads, times do.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Comma-separated control paths: linear, rectilinear, hermite, natural, or all
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "hermite")]
    paths: Vec<String>,

    /// Part of the observations that is missing
    #[arg(long, value_name = "P", default_value_t = 0.7, allow_negative_numbers = true)]
    missing: f64,

    /// Seeds of each path, counted from --seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,

    /// Optimiser steps of each run [default: 600, with --quick 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    iterations: Option<u64>,

    /// Series to train on
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    series: u32,

    /// Series of a mini-batch, at most --series
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    /// Relative and absolute tolerance
    #[arg(long, value_name = "TOL", default_value_t = 1e-3, allow_negative_numbers = true)]
    tol: f64,

    /// Learning rate at the start; it falls to a hundredth of that (cosine)
    #[arg(long, value_name = "RATE", default_value_t = 5e-3, allow_negative_numbers = true)]
    rate: f64,

    /// Threads [0: one for each core]
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    common::run("neural_cde", |a: &Arguments| &a.common, spirals)
}

fn spirals(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, first) = (session.common.quick, session.common.seed);
    if arguments.batch > arguments.series {
        let needed = format!("there are {} series to train on", arguments.series);
        return Err(Error::invalid("--batch", arguments.batch, needed));
    }
    let plan = Plan {
        iterations: arguments.iterations.unwrap_or(if quick { 30 } else { 600 }),
        batch: arguments.batch as usize,
        training: arguments.series as usize,
        test: if quick { 128 } else { 512 },
        missing: arguments.missing,
        rate: arguments.rate,
        tol: arguments.tol,
    };
    let kinds = options::methods(&arguments.paths, &Kind::ALL)?;
    let seeds = first..first + arguments.seeds;
    let tasks: Vec<Task> =
        kinds.iter().flat_map(|kind| seeds.clone().map(|seed| Task { kind: *kind, seed })).collect();
    session.say(format!("{} trainings of {} steps …", tasks.len(), plan.iterations))?;
    let trained = parallel::with_threads(arguments.threads, || {
        parallel::chunks(tasks.len(), 1, |range| {
            tasks[range].iter().map(|task| task.train(&plan)).collect::<Result<Vec<_>>>()
        })
    })?;
    let trained: Result<Vec<Vec<Trained>>> = trained.into_iter().collect();
    let runs: Vec<Trained> = trained?.into_iter().flatten().collect();
    let mut table = Table::new(&["path", "seed", "accuracy", "cross-entropy", "NFE"]);
    for run in &runs {
        let Task { kind, seed } = run.task;
        table.row([
            kind.to_string(),
            seed.to_string(),
            format!("{:.2} %", 100.0 * run.accuracy),
            format!("{:.4}", run.loss),
            run.nfe.to_string(),
        ]);
        session.record(Row {
            method: format!("{kind}, {:.0} % missing, accuracy {:.4}", 100.0 * plan.missing, run.accuracy),
            seed,
            loss: Some(run.loss),
            nfe: run.nfe,
            accepted: run.accepted,
            rejected: run.rejected,
            train_s: run.train_s,
            predict_s: run.predict_s,
        });
    }
    session.say(table)?;
    let columns: Vec<(String, Vec<f64>)> = (runs.iter())
        .map(|run| {
            let label = format!("{} seed {}", run.task.kind, run.task.seed);
            (label, run.records.iter().map(|r| r.loss).collect())
        })
        .collect();
    let columns: Vec<(&str, &[f64])> = columns.iter().map(|(l, c)| (&l[..], &c[..])).collect();
    session.curves("loss", &columns)?;
    #[cfg(feature = "plot")]
    pictures::draw(session, &plan, &runs)?;
    Ok(())
}
