//! Darcy's law learned by neural operators, compared with each other and with the solver that made the data.
//!
//!     cargo run --release --example darcy
//!     cargo run --release --example darcy -- --train --models mgno,fno,unet,dilresnet,deeponet --seconds 60

#[path = "../common/mod.rs"]
mod common;
mod comparison;
mod models;
#[cfg(feature = "plot")]
mod pictures;
#[path = "../common/simulated.rs"]
mod simulated;
mod training;
mod weights;

use clap::{Parser, ValueEnum};
use common::{Common, Row, Session, timed};
use models::{Model, Sizes};
use odeon::num::parallel;
use odeon::operator::pde::Darcy;
use odeon::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use training::Set;
use weights::Surrogate;

/// −∇·(a∇u) = 1 on the unit square with u = 0 on its sides: the map from a to u learned from samples.
///
/// Coefficients take two values as a Gaussian random field is positive or not (or vary on six scales); our own multigrid-CG makes
/// the data (kept in the output directory and used again). Without --train the multigrid neural operator of
/// data/darcy predicts at once. With --train each of --models is trained on the same samples with Adam and a
/// one-cycle schedule on the relative H1 norm by differences, or L2, for --epochs or, each alike, for
/// --seconds; the parameters with the lowest error on a validation set are kept. Reported on unseen samples:
/// relative errors in L2 and H1 (and both spectral H1), beside those of the training set's mean; what the
/// residual says of the error; the time of the networks, of the solver, and of the solver started from their
/// answers, with its set-up and without. In the last table `NFE` are applications of the matrix and
/// `accepted` iterations, means over the test set; `loss` is the relative L2 error. Weights, logs,
/// checkpoints and pictures are written.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Train first (with --quick always)
    #[arg(long)]
    train: bool,

    /// What is trained, the pictures showing the first
    #[arg(long, value_enum, value_delimiter = ',', default_value = "mgno")]
    models: Vec<Model>,

    /// Seconds of training of each model instead of --epochs
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    seconds: Option<f64>,

    /// Relative residual that the solver is asked for
    #[arg(long, default_value_t = 1e-6, allow_negative_numbers = true)]
    tolerance: f64,

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

    /// Channels of the multigrid neural operator [default: 16, with --quick 8]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    channels: Option<u32>,

    /// Its layers [default: 4, with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    layers: Option<u32>,

    /// Grids of each of them [default: as many as leave 3 or 4 points, at most 6]
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

    /// Go on from the checkpoints in the output directory
    #[arg(long)]
    resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Law {
    /// α = 2, τ = 3, a ∈ {12, 3}
    Smooth,
    /// α = 2, τ = 5, a ∈ {12, 2}
    Rough,
    /// Six scales, a between 2⁻¹² and 130
    Multiscale,
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

/// The weights that are shipped, for the default law, grid and sizes.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/darcy/mgno_32.safetensors")
}

/// The samples, computed or found; each set has its own seed.
fn data(session: &Session, darcy: &Darcy, law: Law, parts: &[(&str, u32, u64)]) -> Result<(Vec<Set>, f64)> {
    timed(|| {
        let part = |&(name, count, offset): &(&str, u32, u64)| {
            let seed = session.common.seed.wrapping_add(offset);
            let stem = format!("{law:?}_{}_{name}_{count}_{seed}", darcy.extents[0]).to_lowercase();
            let [inputs, outputs] = simulated::simulate(session, darcy, &stem, count, seed)?;
            Ok(Set { inputs, outputs })
        };
        parts.iter().map(part).collect()
    })
}

fn check(arguments: &Arguments, samples: u32) -> Result<()> {
    let positive = [
        ("--rate", arguments.rate),
        ("--tolerance", arguments.tolerance),
        ("--seconds", arguments.seconds.unwrap_or(1.0)),
    ];
    if let Some((name, value)) = positive.iter().find(|(_, v)| !(*v > 0.0 && v.is_finite())) {
        return Err(Error::invalid(*name, value, "it must be positive and finite"));
    }
    if arguments.batch > samples {
        let needed = format!("there are {samples} training samples");
        return Err(Error::invalid("--batch", arguments.batch, needed));
    }
    let models = &arguments.models;
    match (1..models.len()).find(|&i| models[..i].contains(&models[i])) {
        Some(i) => Err(Error::invalid("--models", format!("{} twice", models[i].stem()), "name each once")),
        None => Ok(()),
    }
}

fn darcy(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let quick = session.common.quick;
    let count = |given: Option<u32>, plain, quickly| given.unwrap_or(if quick { quickly } else { plain });
    let n = count(arguments.n, 32, 15) as usize;
    let [samples, tests] = [count(arguments.samples, 512, 64), count(arguments.test, 64, 8)];
    check(arguments, samples)?;
    let sizes = Sizes {
        layers: count(arguments.layers, 4, 2) as usize,
        channels: count(arguments.channels, 16, 8) as usize,
        levels: arguments.levels.map_or(Sizes::levels(n), |l| l as usize),
        quick,
    };
    let darcy = match arguments.law {
        Law::Smooth => Darcy::smooth([n, n]),
        Law::Rough => Darcy::rough([n, n]),
        Law::Multiscale => Darcy::multiscale([n, n]),
    };
    let train = arguments.train || quick;
    let mut parts = vec![("test", tests, 1_000_000)];
    if train {
        parts.extend([("train", samples, 0), ("validation", tests, 2_000_000)]);
    } else {
        let default = Sizes { layers: 4, channels: 16, levels: Sizes::levels(32), quick: false };
        let same = (n, arguments.law, sizes) == (32, Law::Smooth, default);
        if !same || arguments.models != [Model::Mgno] || arguments.seconds.is_some() || arguments.resume {
            let needed = "weights are shipped for the default network, grid and law alone: add --train";
            return Err(Error::invalid("the network asked for", "not the shipped one", needed));
        }
    }
    let (sets, data_s) = data(session, &darcy, arguments.law, &parts)?;
    let counts: Vec<String> = parts.iter().map(|(name, n, _)| format!("{n} {name}")).collect();
    session.say(format!("{} samples at {n} × {n} in {data_s:.1} s", counts.join(", ")))?;
    let setup = training::Setup {
        epochs: arguments.epochs.unwrap_or(if quick { 20 } else { 8 }),
        seconds: arguments.seconds,
        batch: arguments.batch as usize,
        rate: arguments.rate,
        norm: arguments.loss,
        resume: arguments.resume,
    };
    let (mut surrogates, mut curves) = (Vec::new(), Vec::new());
    for model in &arguments.models {
        let (network, text) = model.build(n, sizes)?;
        session.say(text)?;
        surrogates.push(match &sets[..] {
            [_, set, validation] => {
                let name = network.name.to_string();
                let (surrogate, curve) = training::train(session, network, [set, validation], n, &setup)?;
                curves.push((name, curve));
                surrogate
            }
            _ => Surrogate::load(&shipped(), network)?,
        });
    }
    let test = &sets[0];
    let tested = comparison::compare(session, &surrogates, (&darcy, arguments.tolerance), test)?;
    for (name, [seconds, errors]) in &curves {
        let columns: [(&str, &[f64]); 2] = [("seconds", seconds), ("validation_l2", errors)];
        session.curves(&format!("validation_{}", name.to_lowercase().replace('-', "")), &columns)?;
    }
    #[cfg(feature = "plot")]
    {
        session.picture("sample", &pictures::sample(n, test, &tested[1])?)?;
        session.picture("comparison", &pictures::comparison(&curves, &tested)?)?;
    }
    let seed = session.common.seed;
    for (number, tested) in tested.iter().enumerate() {
        let surrogate = number.checked_sub(1).map(|at| &surrogates[at]);
        let train_s = surrogate.map_or(0.0, |s| s.train_s);
        session.record(Row {
            method: format!("{}, multigrid-CG", tested.name),
            seed,
            loss: surrogate.map(|_| tested.errors[0]),
            nfe: tested.applications.round() as usize,
            accepted: tested.iterations.round() as usize,
            rejected: 0,
            train_s,
            predict_s: tested.total_s(false),
        });
        let Some(surrogate) = surrogate else { continue };
        session.line(serde_json::json!({
            "method": tested.name,
            "seed": seed,
            "test_l2": tested.errors[0],
            "test_h1": tested.errors[1],
            "params": surrogate.network.program.layout().len(),
            "train_s": train_s,
            "predict_s": tested.predict_s,
            "correct_cold_s": tested.total_s(false),
            "correct_warm_s": tested.total_s(true),
            "iterations": tested.iterations,
        }));
    }
    Ok(())
}
