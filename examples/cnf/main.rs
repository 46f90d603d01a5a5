//! Continuous normalising flows on the plane, plain and regularised.
//!
//!     cargo run --release --example cnf
//!     cargo run --release --example cnf -- --data checkerboard --methods none,rnode,error
//!
//! The weights were not searched: those of `rnode` and `error` are the first that were tried, on moons, seed 0.

#[path = "../common/mod.rs"]
mod common;
mod data;
mod method;
#[path = "../common/options.rs"]
mod options;
#[cfg(feature = "plot")]
mod pictures;
mod train;
#[path = "../common/weights.rs"]
mod weights;

use clap::Parser;
use common::{Common, Row, Session, Table};
use data::Shape;
use method::Method;
use odeon::Result;
use odeon::num::parallel;
use std::process::ExitCode;
use train::{Plan, Task, Trained};
use weights::Weight;

/// Densities of two moons, eight Gaussians or a checkerboard by a continuous normalising flow.
///
/// Model: dz/dt = N(t, z) on [0, 1] from the data to a standard normal distribution, N of tanh layers with the time
/// as a further input of each, the trace of its Jacobian exact; Tsit5 in single precision, trained by Adam on the mean
/// of −ln p of fresh samples through the discrete adjoint. The loss is the mean of −ln p of 4096 test points in nats,
/// NFE the evaluations of a solve of 512 of them at the tolerance of training. Runs are trained in parallel; results
/// do not depend on the number of threads, times do.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// moons, gaussians or checkerboard
    #[arg(long, value_name = "NAME", default_value = "moons")]
    data: Shape,

    /// Comma-separated methods: none, rnode, error, steps, or all
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "none,rnode,error")]
    methods: Vec<String>,

    /// Seeds of each method, counted from --seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,

    /// Optimiser steps of each run [default: 800, with --quick 40]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    iterations: Option<u64>,

    /// Samples of a step [default: 512, with --quick 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: Option<u32>,

    /// Units of a layer
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    width: u32,

    /// Hidden layers
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    depth: u32,

    /// Relative and absolute tolerance of training and test
    #[arg(long, value_name = "TOL", default_value_t = 1e-5, allow_negative_numbers = true)]
    tol: f64,

    /// Learning rate at the start; it falls to a hundredth of that (cosine)
    #[arg(long, value_name = "RATE", default_value_t = 5e-3, allow_negative_numbers = true)]
    rate: f64,

    /// METHOD=FROM or METHOD=FROM:TO: weight of a penalty, annealed exponentially; may be repeated
    #[arg(long, value_name = "METHOD=λ")]
    lambda: Vec<Weight<Method>>,

    /// Threads [0: one for each core]
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    common::run("cnf", |a: &Arguments| &a.common, flows)
}

fn flows(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, first) = (session.common.quick, session.common.seed);
    let plan = Plan {
        shape: arguments.data,
        iterations: arguments.iterations.unwrap_or(if quick { 40 } else { 800 }),
        batch: arguments.batch.unwrap_or(if quick { 128 } else { 512 }) as usize,
        rate: arguments.rate,
        width: arguments.width as usize,
        depth: arguments.depth as usize,
        tol: arguments.tol,
        test: if quick { 512 } else { 4096 },
    };
    let mut tasks = Vec::new();
    for method in options::methods(&arguments.methods, &Method::ALL)? {
        let given = (arguments.lambda.iter()).filter(|w| w.method == method).map(|w| w.lambda);
        let mut lambdas: Vec<[f64; 2]> = given.collect();
        if lambdas.is_empty() {
            lambdas.push(method.default_lambda());
        }
        for lambda in lambdas {
            tasks.extend((first..first + arguments.seeds).map(|seed| Task { method, lambda, seed }));
        }
    }
    session.say(format!("{}: {} trainings of {} steps …", plan.shape, tasks.len(), plan.iterations))?;
    let trained = parallel::with_threads(arguments.threads, || {
        parallel::chunks(tasks.len(), 1, |range| {
            tasks[range].iter().map(|task| task.train(&plan)).collect::<Result<Vec<_>>>()
        })
    })?;
    let trained: Result<Vec<Vec<Trained>>> = trained.into_iter().collect();
    let runs: Vec<Trained> = trained?.into_iter().flatten().collect();
    session.say(table(&runs))?;
    for run in &runs {
        session.record(Row {
            method: format!("{} on {}", run.task.method, plan.shape),
            seed: run.task.seed,
            loss: Some(run.nll),
            nfe: run.nfe,
            accepted: run.accepted,
            rejected: run.rejected,
            train_s: run.train_s,
            predict_s: run.predict_s,
        });
    }
    let columns = |pick: fn(&odeon::train::Record) -> f64| -> Vec<(String, Vec<f64>)> {
        let label = |task: Task| {
            format!("{} {:e}:{:e} seed {}", task.method, task.lambda[0], task.lambda[1], task.seed)
        };
        runs.iter().map(|run| (label(run.task), run.records.iter().map(pick).collect())).collect()
    };
    for (name, columns) in [("loss", columns(|r| r.loss)), ("nfe", columns(|r| r.nfe as f64))] {
        let columns: Vec<(&str, &[f64])> = columns.iter().map(|(l, c)| (&l[..], &c[..])).collect();
        session.curves(&format!("{}_{name}", plan.shape), &columns)?;
    }
    #[cfg(feature = "plot")]
    pictures::draw(session, &plan, &runs, &chosen(&runs))?;
    Ok(())
}

/// A regularised flow may lose this many nats.
#[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
const ALLOWED: f64 = 0.05;

/// The plain flow of the first seed, and of its regularised ones that with the fewest evaluations within 0.05 nats
/// (the fewest of all when there is none).
#[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
fn chosen(runs: &[Trained]) -> Vec<&Trained> {
    let mine = || runs.iter().filter(|r| r.task.seed == runs[0].task.seed);
    let plain = mine().find(|r| r.task.method == Method::None);
    let others = || mine().filter(|r| r.task.method != Method::None);
    let good = |r: &&Trained| plain.is_none_or(|p| r.nll <= p.nll + ALLOWED);
    let best = others().filter(good).min_by_key(|r| r.nfe).or_else(|| others().min_by_key(|r| r.nfe));
    plain.into_iter().chain(best).collect()
}

/// Test likelihoods and evaluations beside those of the plain flow of the same seed.
fn table(runs: &[Trained]) -> Table {
    let mut table = Table::new(&["method", "λ", "seed", "−ln p (nats)", "Δ", "NFE", "×"]);
    for run in runs {
        let Task { method, lambda, seed } = run.task;
        let plain = runs.iter().find(|r| r.task.method == Method::None && r.task.seed == seed);
        let beside = |f: fn(&Trained, &Trained) -> f64, digits: usize| match plain {
            Some(plain) => format!("{:.digits$}", f(run, plain)),
            None => "–".into(),
        };
        table.row([
            method.to_string(),
            format!("{:.1e}→{:.1e}", lambda[0], lambda[1]),
            seed.to_string(),
            format!("{:.4}", run.nll),
            beside(|r, p| r.nll - p.nll, 4),
            run.nfe.to_string(),
            beside(|r, p| r.nfe as f64 / p.nfe as f64, 2),
        ]);
    }
    table
}
