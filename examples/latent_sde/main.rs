//! A latent SDE fitted to noisy Ornstein–Uhlenbeck paths: its bound on the likelihood, which is known exactly
//! here, posterior paths and the learnt prior.
//!
//!     cargo run --release --example latent_sde
//!
//! The model of Li, Wong, Chen & Duvenaud, *Scalable Gradients for Stochastic Differential Equations* (AISTATS
//! 2020, section 5).
//!
//! What to expect. A bound with Euler's steps is that of the chain with those steps, whose transitions cannot be as
//! narrow as those of the exact posterior before an observation: the table shows the best bound that any posterior
//! drift has at the steps of the training, and how far below it the trained one stays. The encoder reads the series
//! backwards and tells the posterior on each interval what is to come; `--encoder series` gives it one context for all
//! times, which is not enough.

#[path = "../common/mod.rs"]
mod common;
mod data;
#[cfg(feature = "plot")]
mod pictures;

use clap::Parser;
use common::{Common, Row, Session, timed};
use data::{END, NOISE, POINTS};
use odeon::Result;
use odeon::dataset::Batches;
use odeon::integrate::{Options, Problem};
use odeon::model::{
    Elbo, Encoder, LatentNetworks, LatentSde, Moments, NeuralDiffusion, NeuralSde, NoiseForm, Range, Series,
};
use odeon::nn::{Activation, Clip, Gru, Initializer, Network, Optimizer, Rule, Schedule};
use odeon::num::random;
use odeon::sde::noise::FixedGrid;
use odeon::sde::problems::OrnsteinUhlenbeck;
use odeon::sde::solve;
use odeon::sde::tableaux::EulerMaruyama;
use odeon::train::{Batch, Evaluation, Settings, Trainer};
use std::process::ExitCode;

/// A latent SDE fitted to noisy Ornstein–Uhlenbeck paths.
///
/// Data: dX = 1.5 (0.5 − X) dt + 0.6 dW from 2, observed at 20 times in [0, 2] with noise of standard deviation
/// 0.1. Model: one latent row, the prior's drift 1 → 16 tanh → 1, the posterior's (z, context, time in the interval) →
/// 32 tanh → 1, one diffusion 1 → 8 tanh → 1 bounded to (0.1, 2), an encoder (a recurrent unit of 24 rows that reads
/// backwards, 8 rows of context for each interval), an affine decoder; Euler–Maruyama steps; trained by Adam on the
/// evidence lower bound. The loss is minus the bound per held-out series, to be compared with minus the true log
/// likelihood.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Series to train on
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    series: u32,

    /// Series of a mini-batch, at most --series
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    /// What the posterior knows of the observations: on each interval those to come, or one context of all
    #[arg(long, value_enum, default_value_t = Reading::Backward)]
    encoder: Reading,

    /// Optimiser steps [default: 1200, with --quick 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    iterations: Option<u64>,

    /// Optimiser steps over which the weight of the divergence rises to 1
    #[arg(long, value_name = "N", default_value_t = 200)]
    anneal: u64,

    /// Learning rate at the start; it falls to a hundredth of that (cosine)
    #[arg(long, value_name = "RATE", default_value_t = 0.01, allow_negative_numbers = true)]
    rate: f64,

    /// Euler's steps between two observations at the end of the training; powers of two cost least noise
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: u32,
}

/// How the encoder reads a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Reading {
    /// A recurrent unit from the last observation to the first, a context for each interval.
    Backward,
    /// A dense network, one context for all times.
    Series,
}

impl Reading {
    /// Rows of the context: of one for all times nearly as many as observations, since it is all that the posterior
    /// knows of them.
    fn context(self) -> usize {
        match self {
            Self::Backward => 8,
            Self::Series => 16,
        }
    }
}

/// Rows of the recurrent unit's state.
const HIDDEN: usize = 24;
/// The training begins with steps longer by this factor,
const COARSE: usize = 4;
/// for this part of its iterations.
const REFINE: f64 = 0.75;
/// Held-out series.
const HELD_OUT: usize = 256;
/// Gradients are cut to this norm.
const CLIP: f64 = 10.0;
/// Noise of the test, apart from that of the training.
const TEST: u64 = 1 << 40;

fn main() -> ExitCode {
    common::run("latent_sde", |a: &Arguments| &a.common, latent)
}

/// The model, and the networks of its prior as an equation of their own.
fn model(reading: Reading) -> Result<(LatentSde, NeuralSde)> {
    let tanh = |inputs: usize, width: usize, outputs: usize| {
        Network::builder(inputs).dense(width).activation(Activation::Tanh).dense(outputs).build()
    };
    let range = Range::Between { low: 0.1, high: 2.0 };
    let diffusion = NeuralDiffusion::new(tanh(1, 8, 1)?, NoiseForm::Rows { dim: 1 }, range)?;
    let prior = tanh(1, 16, 1)?;
    let context = reading.context();
    let posterior = Network::builder(1 + context)
        .concat_time()
        .dense(32)
        .activation(Activation::Tanh)
        .dense(1)
        .build()?;
    let networks = LatentNetworks {
        posterior,
        prior: prior.clone(),
        diffusion: diffusion.clone(),
        decoder: Network::builder(1).dense(1).build()?,
        encoder: match reading {
            Reading::Series => tanh(POINTS, 64, context + 2)?.into(),
            Reading::Backward => Encoder::Backward {
                gru: Gru::new(3, HIDDEN)?,
                head: Network::builder(HIDDEN).dense(context + 2).build()?,
            },
        },
    };
    Ok((LatentSde::new(networks, NOISE)?, NeuralSde::ito(prior, diffusion)?))
}

fn latent(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, seed) = (session.common.quick, session.common.seed);
    let iterations = arguments.iterations.unwrap_or(if quick { 30 } else { 1200 });
    let (model, prior) = model(arguments.encoder)?;
    let (times, count) = (data::times(), arguments.series as usize);
    let training = data::series(2 * seed + 1, count)?;
    let held_out = data::series(2 * seed + 2, HELD_OUT)?;
    let steps = arguments.steps as usize;
    let coarse = steps.div_ceil(COARSE);
    let [options, first] = [steps, coarse].map(|n| Options::fixed(END / ((POINTS - 1) * n) as f64));
    let refine = (REFINE * iterations as f64) as u64;
    let mut theta: Vec<f64> = model.init(Initializer::GlorotUniform, seed)?;
    let mut parts: Vec<Elbo<f64>> = Vec::new();
    let mut objective = |batch: &Batch<'_>, theta: &[f64], gradient: &mut [f64]| -> Result<Evaluation> {
        let values: Vec<f64> =
            batch.indices.iter().flat_map(|i| &training[i * POINTS..(i + 1) * POINTS]).copied().collect();
        let series = Series { times: &times, values: &values };
        let weight = ((batch.iteration + 1) as f64 / arguments.anneal.max(1) as f64).min(1.0);
        let noise = ((seed << 24) + batch.iteration, weight);
        let (options, steps) = if batch.iteration < refine { (&first, coarse) } else { (&options, steps) };
        let cells = (POINTS - 1) * steps;
        let (elbo, found) = model.elbo(theta, &series, noise, &EulerMaruyama, options)?;
        gradient.copy_from_slice(&found);
        parts.push(elbo);
        let penalty = elbo.start + elbo.path;
        Ok(Evaluation {
            loss: -elbo.log_likelihood,
            penalty,
            lambda: weight,
            nfe: cells,
            accepted: cells,
            rejected: 0,
        })
    };
    let rate = Schedule::Cosine { initial: arguments.rate, last: 0.01 * arguments.rate, over: iterations };
    let mut optimizer = Optimizer::new(Rule::adam(), rate, model.layout().clone())?;
    let settings = Settings { clip: Some(Clip::Norm(CLIP)), ..Settings::new(iterations) };
    let batches = Batches::new(count, (arguments.batch as usize).min(count))?.shuffled(seed);
    session.say(format!("{iterations} steps on {count} series of {POINTS} times …"))?;
    let (_, train_s) =
        timed(|| Trainer::new(&mut objective, &mut optimizer, batches, settings)?.run(&mut theta))?;

    let series = Series { times: &times, values: &held_out };
    let (bound, predict_s) =
        timed(|| Ok(model.elbo(&theta, &series, (TEST, 1.0), &EulerMaruyama, &options)?.0))?;
    let exact = data::log_likelihood(&held_out)?;
    let cells = (POINTS - 1) * steps;
    let mut table = common::Table::new(&["held-out, per series", "value"]);
    for (name, value) in [
        ("evidence lower bound", bound.value()),
        ("best bound of any posterior drift at these steps", data::best_bound(&held_out, steps)),
        ("ln p(x) of the true process", exact),
        ("reconstruction E ln p(x|z)", bound.log_likelihood),
        ("KL of the starts", bound.start),
        ("KL of the paths", bound.path),
    ] {
        table.row([name.to_owned(), format!("{value:.3}")]);
    }
    session.say(table)?;
    let learnt = prior_moments(&model, &prior, &theta, cells)?;
    let (t, p) = (OrnsteinUhlenbeck::THETA, OrnsteinUhlenbeck::Y0[0]);
    session.say(format!(
        "prior at t = {END}: mean {:.3} and standard deviation {:.3}, of the true process {:.3} and {:.3}",
        learnt.mean[POINTS - 1],
        learnt.variance[POINTS - 1].sqrt(),
        OrnsteinUhlenbeck::mean(t, p, END),
        OrnsteinUhlenbeck::variance(t, END).sqrt(),
    ))?;
    session.record(Row {
        method: "latent SDE".into(),
        seed,
        loss: Some(-bound.value()),
        nfe: cells,
        accepted: cells,
        rejected: 0,
        train_s,
        predict_s,
    });
    let column = |f: fn(&Elbo<f64>) -> f64| parts.iter().map(f).collect::<Vec<f64>>();
    let curves = [
        ("bound", column(Elbo::value)),
        ("reconstruction", column(|e| e.log_likelihood)),
        ("start", column(|e| e.start)),
        ("path", column(|e| e.path)),
    ];
    let columns: Vec<(&str, &[f64])> = curves.iter().map(|(n, c)| (*n, &c[..])).collect();
    session.curves("training", &columns)?;
    #[cfg(feature = "plot")]
    pictures::Results {
        model: &model,
        theta: &theta,
        held_out: &held_out,
        options: &options,
        learnt: &learnt,
    }
    .draw(session, &curves[0].1, exact)?;
    Ok(())
}

/// Paths of the prior whose moments are taken.
const PATHS: usize = 2000;

/// Moments of the decoded prior at the times of the series.
fn prior_moments(model: &LatentSde, prior: &NeuralSde, theta: &[f64], cells: usize) -> Result<Moments<f64>> {
    let layout = model.layout();
    let view = |name: &str| Ok::<_, odeon::Error>(layout.view(name, theta)?[0]);
    let (mean, sd) = (view("start.mean")?, view("start.log_sd")?.exp());
    let draw = |j: usize| random::normal_pair(random::at(TEST, 0xfd << 56, j as u64)).0;
    let y0: Vec<f64> = (0..PATHS).map(|j| mean + sd * draw(j)).collect();
    // θ of the solver: posterior, prior, g, g.
    let solver = model.solver_theta(theta);
    let end = solver.len() - layout_len(model, "diffusion.");
    let own = &solver[layout_len(model, "posterior.")..end];
    let noise = FixedGrid::new(TEST, [0.0, END], cells, 1, PATHS)?;
    let problem = Problem { y0: &y0, span: [0.0, END], theta: own };
    let options = Options::fixed(END / cells as f64).save_at(data::times());
    let z = solve(prior, &EulerMaruyama, noise, &problem, &options)?.y;
    let (scale, shift) = (view("decoder.0.weight")?, view("decoder.0.bias")?);
    Moments::of(&z.iter().map(|z| scale * z + shift).collect::<Vec<_>>(), 1, PATHS)
}

/// Parameters whose names start so.
fn layout_len(model: &LatentSde, prefix: &str) -> usize {
    model.layout().entries().iter().filter(|e| e.name.starts_with(prefix)).map(|e| e.size()).sum()
}
