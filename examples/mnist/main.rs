//! MNIST by a neural differential equation on the pixels: a 784-state network integrated over
//! t = 0…1, a linear classifier on the end, plain or regularised by the solver's own estimates.
//!
//!     cargo run --release --example mnist -- --data DIR

#[path = "../common/mod.rs"]
mod common;
mod digits;
mod glyphs;
mod model;
mod objective;
#[cfg(feature = "plot")]
mod pictures;
mod regulariser;
mod training;

use clap::Parser;
use common::{Common, Session, Table};
use digits::Digits;
use odeon::Result;
use regulariser::Regulariser;
use std::path::PathBuf;
use std::process::ExitCode;
use training::{Setup, Trained};

/// A neural ODE on the 784 pixels of handwritten digits, plain or regularised.
///
/// x' = tanh(W₂ [tanh(W₁ [x; t] + b₁); t] + b₂) with 100 hidden units over t = 0…1 by Tsit5 in f32,
/// a linear layer from x(1) to the classes, cross-entropy; both trained together through the
/// discrete adjoint with momentum (Pal et al., "Opening the Blackbox", ICML 2021). Every run writes
/// a CSV log, a checkpoint (see --resume) and its weights as safetensors.
///
/// Without --data it trains on ten generated classes of noisy strokes, so that it runs anywhere.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Directory of MNIST's four IDX files, plain or .gz: train-images-idx3-ubyte,
    /// train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// What to train, in turn
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "none,error")]
    methods: Vec<Regulariser>,

    /// λ of the regulariser, or FIRST:LAST for exponential annealing over the run; one method at a
    /// time [default: the published 100:10 (error, error-stiffness) and 0.0285 (stiffness)]
    #[arg(long, value_name = "λ", allow_hyphen_values = true)]
    lambda: Option<regulariser::Annealing>,

    /// Passes over the data [default: 10 with --data; 15 generated, 2 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    epochs: Option<u64>,

    /// Images in a mini-batch [default: 512; 256 generated, 64 with --quick]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,

    /// Learning rate (momentum 0.9)
    #[arg(long, value_name = "RATE", default_value_t = 0.1, allow_negative_numbers = true)]
    rate: f64,

    /// Relative and absolute tolerance; the published 1.4e-8 is below what f32 resolves, and spends
    /// most of its steps on rounding noise
    #[arg(long, value_name = "TOL", default_value_t = 1e-5, allow_negative_numbers = true)]
    tol: f32,

    /// Mebibytes the gradient may use; recomputes what does not fit [default: no limit]
    #[arg(long, value_name = "MIB")]
    memory: Option<usize>,

    /// Continue from the checkpoints in the output directory, to the same bits
    #[arg(long)]
    resume: bool,
}

fn main() -> ExitCode {
    common::run("mnist", |a: &Arguments| &a.common, mnist)
}

fn mnist(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let quick = session.common.quick;
    let (train, test) = match &arguments.data {
        Some(directory) => digits::read(directory)?,
        None => {
            session.say(WITHOUT_DATA)?;
            let (train, test) = if quick { (256, 128) } else { (4096, 1024) };
            glyphs::generate(train, test, session.common.seed)?
        }
    };
    let real = arguments.data.is_some();
    let setup = Setup {
        epochs: arguments.epochs.unwrap_or(match (real, quick) {
            (_, true) => 2,
            (true, _) => 10,
            (false, _) => 15,
        }),
        batch: arguments.batch.unwrap_or(match (real, quick) {
            (true, _) => 512,
            (false, true) => 64,
            (false, false) => 256,
        }),
        rate: arguments.rate,
        tol: arguments.tol,
        memory: arguments.memory,
        resume: arguments.resume,
        seed: session.common.seed,
    };
    setup.check(&train, &test)?;
    regulariser::check(&arguments.methods, arguments.lambda)?;
    session.say(format!(
        "{} images to train, {} to test, {} classes, batches of {}, {} epochs, tolerance {:e}",
        train.count(),
        test.count(),
        train.classes,
        setup.batch,
        setup.epochs,
        setup.tol
    ))?;
    let mut trained = Vec::new();
    for &method in &arguments.methods {
        trained.push(training::train(method, arguments.lambda, &setup, [&train, &test], session)?);
    }
    report(&trained, session)?;
    curves(&trained, session)?;
    #[cfg(feature = "plot")]
    pictures::draw(&trained, session)?;
    Ok(())
}

const WITHOUT_DATA: &str = "\
No --data DIR: training on generated strokes. For MNIST put these files, plain or gzipped (.gz), in
one directory and name it with --data:
  train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte
";

fn report(trained: &[Trained], session: &Session) -> Result<()> {
    let mut table =
        Table::new(&["method", "λ", "test accuracy", "test loss", "NFE", "train (s)", "predict a batch (s)"]);
    for run in trained {
        table.row([
            run.method.to_string(),
            run.lambda.to_string(),
            format!("{:.2} %", 100.0 * run.test.accuracy),
            format!("{:.4}", run.test.loss),
            format!("{:.1}", run.test.nfe),
            format!("{:.1}", run.train_s),
            format!("{:.4}", run.test.predict_s),
        ]);
    }
    session.say(format!("\n{table}"))
}

/// Loss and NFE of all runs over the iterations, side by side.
fn curves(trained: &[Trained], session: &mut Session) -> Result<()> {
    let names: Vec<[String; 2]> =
        trained.iter().map(|run| [format!("{}_loss", run.method), format!("{}_nfe", run.method)]).collect();
    let columns: Vec<(&str, &[f64])> = names
        .iter()
        .zip(trained)
        .flat_map(|([loss, nfe], run)| [(loss.as_str(), &run.losses[..]), (nfe.as_str(), &run.nfe[..])])
        .collect();
    session.curves("training", &columns)
}

/// Images and labels, training before test.
type Split = (Digits, Digits);
