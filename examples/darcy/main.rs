//! Darcy's law learned by a multigrid neural operator, and compared with the solver that made the data.
//!
//!     cargo run --release --example darcy
//!     cargo run --release --example darcy -- --n 32 --samples 512 --epochs 8

#[path = "../common/mod.rs"]
mod common;
mod comparison;
#[cfg(feature = "plot")]
mod pictures;
mod training;

use clap::{Parser, ValueEnum};
use common::{Common, Row, Session, timed};
use odeon::dataset::Simulated;
use odeon::num::parallel;
use odeon::operator::mgno::{Architecture, CoarsePoints, CycleSpec, Mgno};
use odeon::operator::pde::Darcy;
use odeon::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;
use training::Set;

/// −∇·(a∇u) = 1 on the unit square with u = 0 on its sides: the map from a to u learned from samples.
///
/// Coefficients take two values as a Gaussian random field is positive or not; our own multigrid-CG makes
/// the training set (kept in the output directory and used again). A multigrid neural operator is trained
/// with Adam and a one-cycle schedule on the relative H1 norm by differences, or L2. Reported on unseen
/// samples: relative errors in L2 and H1 (and both spectral H1), beside those of the training set's mean;
/// what the residual says of the error; the time of the network, of the solver, and of the solver started
/// from the network's answer. In the last table `NFE` are applications of the matrix and `accepted`
/// iterations, means over the test set; `loss` is the relative L2 error. Weights, log, checkpoint and a picture are written.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Law of the coefficient
    #[arg(long, value_enum, default_value_t = Law::Smooth)]
    law: Law,

    /// Interior points along each axis [default: 32, with --quick 15]
    #[arg(long, value_parser = clap::value_parser!(u32).range(7..=1024))]
    n: Option<u32>,

    /// Training samples [default: 512, with --quick 64]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    samples: Option<u32>,

    /// Test samples [default: 64, with --quick 8]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    test: Option<u32>,

    /// Passes over the training set [default: 8, with --quick 20]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    epochs: Option<u64>,

    /// Channels [default: 24, with --quick 8]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    channels: Option<u32>,

    /// Layers [default: 4, with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    layers: Option<u32>,

    /// Grids of each layer [default: as many as leave 3 or 4 points, at most 6]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    levels: Option<u32>,

    /// Samples of a step
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,

    /// Highest learning rate
    #[arg(long, default_value_t = 1e-3, allow_negative_numbers = true)]
    rate: f64,

    /// Norm that is trained on
    #[arg(long, value_enum, default_value_t = Norm::H1)]
    loss: Norm,

    /// Threads [default: all cores]
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    threads: u32,

    /// Go on from the checkpoint in the output directory
    #[arg(long)]
    resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Law {
    /// α = 2, τ = 3, a ∈ {12, 3}
    Smooth,
    /// α = 2, τ = 5, a ∈ {12, 2}
    Rough,
}

/// What is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Norm {
    /// Relative L2
    L2,
    /// Relative H1 by differences
    H1,
    /// Relative H1 as published: Fourier, without 2π, cut at 20 periods
    Published,
}

fn main() -> ExitCode {
    common::run(
        "darcy",
        |a: &Arguments| &a.common,
        |arguments, session| {
            parallel::with_threads(arguments.threads as usize, || darcy(arguments, session))?
        },
    )
}

/// The network: coarse points where the sides stand still for 2ᵏ − 1 points, as published for others.
fn network(arguments: &Arguments, n: usize, quick: bool) -> Result<(Mgno, String)> {
    // Intervals of the coarsest grid, or its points where sides move: four at least.
    let fit = ((n + n % 2) / 4).ilog2() as usize + 1;
    let levels = arguments.levels.map_or(fit.clamp(1, 6), |l| l as usize);
    let count = |given: Option<u32>, plain, quickly| {
        given.map_or(if quick { quickly } else { plain }, |c| c as usize)
    };
    let layers = count(arguments.layers, 4, 2);
    let channels = count(arguments.channels, 24, 8);
    let coarse_points = if n % 2 == 1 { CoarsePoints::Odd } else { CoarsePoints::Even };
    let cycle = CycleSpec { coarse_points, ..CycleSpec::backslash(levels) };
    let mgno = Mgno::new(&Architecture::darcy(layers, channels, cycle), &[n, n])?;
    let text = format!(
        "MgNO: {layers} layers of {levels} grids, {channels} channels, {} parameters",
        mgno.layout().len()
    );
    Ok((mgno, text))
}

/// The samples, computed or found; the test set has the next seed.
fn data(session: &Session, darcy: &Darcy, law: Law, counts: [u32; 2]) -> Result<([Set; 2], f64)> {
    let seed = session.common.seed;
    let mut sets = Vec::new();
    let (_, seconds) = timed(|| {
        for (name, count, seed) in
            [("train", counts[0], seed), ("test", counts[1], seed.wrapping_add(1_000_000))]
        {
            let stem = format!("{law:?}_{}_{name}_{count}_{seed}", darcy.extents[0]).to_lowercase();
            let directory: PathBuf = session.path(&stem);
            let bar = indicatif::ProgressBar::new(count.into());
            let set = Simulated::generate(darcy, [count, 64.min(count)], seed, &directory, |done| {
                bar.set_position(done as u64);
                Ok(())
            })?;
            bar.finish_and_clear();
            let [inputs, outputs] = set.read_all()?;
            sets.push(Set { inputs, outputs });
        }
        Ok(())
    })?;
    match <[Set; 2]>::try_from(sets) {
        Ok(sets) => Ok((sets, seconds)),
        Err(_) => Err(Error::invalid("the data sets", "not two", "this is a defect of the example")),
    }
}

fn darcy(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let quick = session.common.quick;
    let count = |given: Option<u32>, plain, quickly| given.unwrap_or(if quick { quickly } else { plain });
    let n = count(arguments.n, 32, 15) as usize;
    let counts = [count(arguments.samples, 512, 64), count(arguments.test, 64, 8)];
    if !(arguments.rate > 0.0 && arguments.rate.is_finite()) {
        return Err(Error::invalid("--rate", arguments.rate, "it must be positive and finite"));
    }
    if arguments.batch > counts[0] {
        let needed = format!("there are {} training samples", counts[0]);
        return Err(Error::invalid("--batch", arguments.batch, needed));
    }
    let (mgno, text) = network(arguments, n, quick)?;
    session.say(text)?;
    let darcy = match arguments.law {
        Law::Smooth => Darcy::smooth([n, n]),
        Law::Rough => Darcy::rough([n, n]),
    };
    let ([train, test], data_s) = data(session, &darcy, arguments.law, counts)?;
    session.say(format!(
        "{} training and {} test samples at {n} × {n} in {data_s:.1} s",
        train.inputs.count(),
        test.inputs.count()
    ))?;
    let setup = training::Setup {
        epochs: arguments.epochs.unwrap_or(if quick { 20 } else { 8 }),
        batch: arguments.batch as usize,
        rate: arguments.rate,
        norm: arguments.loss,
        resume: arguments.resume,
    };
    let surrogate = training::train(session, mgno, &train, n, &setup)?;
    let comparison = comparison::compare(session, &surrogate, &darcy, &test)?;
    #[cfg(feature = "plot")]
    session.picture("sample", &pictures::sample(n, &test, &comparison.first)?)?;
    let train_s = surrogate.train_s;
    for (k, name) in ["multigrid-CG", "MgNO, multigrid-CG", "MgNO"].into_iter().enumerate() {
        session.record(Row {
            method: name.into(),
            seed: session.common.seed,
            loss: (k == 2).then_some(comparison.errors[0]),
            nfe: comparison.applications[k],
            accepted: comparison.iterations[k],
            rejected: 0,
            train_s: if k == 0 { 0.0 } else { train_s },
            predict_s: comparison.seconds[k],
        });
    }
    session.line(serde_json::json!({
        "method": "MgNO",
        "seed": session.common.seed,
        "test_l2": comparison.errors[0],
        "test_h1": comparison.errors[1],
        "params": surrogate.mgno.layout().len(),
        "train_s": train_s,
        "predict_s": comparison.seconds[2],
        "solve_s": comparison.seconds[0],
        "correct_s": comparison.seconds[1],
    }));
    Ok(())
}
