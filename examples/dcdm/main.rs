//! Poisson's equation by learned search directions (the deep conjugate direction method).
//!
//!     cargo run --release --example dcdm
//!     cargo run --release --example dcdm -- --train

#[path = "../common/mod.rs"]
mod common;
mod linear;
#[cfg(feature = "plot")]
mod pictures;
mod problems;
mod smoke;
mod solve;
mod training;

use clap::Parser;
use common::{Common, Session};
use odeon::Result;
use odeon::operator::directions::DirectionNet;
use problems::Geometry;
use std::path::PathBuf;
use std::process::ExitCode;

/// Conjugate gradients with directions from a network, against classical preconditioners, on -Laplace(u) = b
/// with random b: sizes and obstacles that the network never saw. It was trained on the empty square of 64 x 64
/// (cube of 32 x 32 x 32) alone; its weights are in data/dcdm. In the JSON lines `accepted` are the iterations
/// to a relative residual of 1e-4, `nfe` those to 1e-8 (the most of all right-hand sides), `predict_s` the
/// seconds of a solve to 1e-8, set-up of preconditioners excluded.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Dimensions
    #[arg(long, value_name = "2|3", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    dim: u8,

    /// Train the network first, and use what that gives (some 3 minutes on one core)
    #[arg(long)]
    train: bool,

    /// The learned linear preconditioner on anisotropic and jumping diffusion instead, with set-up, 20 right-hand
    /// sides
    #[arg(long)]
    linear: bool,

    /// The pressures of a plume of smoke around an obstacle that moves instead: a sequence of systems
    #[arg(long, conflicts_with = "linear")]
    smoke: bool,

    /// Steps of the training [default: 1500, in three dimensions 600, with --quick 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    steps: Option<u32>,

    /// Weights to read instead of those in data/dcdm
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// Right-hand sides of each problem [default: 3, with --quick 1; with --linear 20 and 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    sides: Option<u8>,
}

fn main() -> ExitCode {
    common::run("dcdm", |a: &Arguments| &a.common, dcdm)
}

/// The network whose weights are in data/dcdm.
fn network(dim: usize) -> Result<DirectionNet> {
    DirectionNet::self_similar(dim, if dim == 2 { 8 } else { 6 }, 0.2)
}

fn dcdm(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (dim, quick, seed) = (usize::from(arguments.dim), session.common.quick, session.common.seed);
    if arguments.linear {
        let steps = arguments.train.then(|| arguments.steps.unwrap_or(if quick { 30 } else { 1500 }).into());
        let sides = arguments.sides.unwrap_or(if quick { 2 } else { 20 });
        return linear::run(session, if quick { 64 } else { 256 }, sides.into(), steps);
    }
    let net = network(dim)?;
    let shipped =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("data/dcdm/poisson_{dim}d.safetensors"));
    let theta = if arguments.train {
        let steps = arguments.steps.unwrap_or(if quick {
            30
        } else if dim == 2 {
            1500
        } else {
            600
        });
        let (theta, losses) = training::train(session, &net, steps.into(), seed)?;
        let path = session.path(&format!("poisson_{dim}d.safetensors"));
        net.save(&path, &theta)?;
        session.wrote(&path);
        session.curves("loss", &[("loss", &losses)])?;
        theta
    } else {
        net.load(arguments.weights.as_ref().unwrap_or(&shipped))?
    };
    if arguments.smoke {
        let (extents, steps) = match (dim, quick) {
            (2, true) => (vec![32, 48], 6),
            (2, false) => (vec![128, 192], 60),
            (_, true) => (vec![12, 12, 16], 3),
            _ => (vec![32, 32, 48], 30),
        };
        return smoke::run(session, (&net, &theta), &extents, steps);
    }
    let sizes: &[usize] = match (dim, quick) {
        (2, true) => &[64],
        (2, false) => &[64, 128, 256],
        (_, true) => &[16],
        _ => &[32, 64],
    };
    let mut cases: Vec<(usize, Geometry)> = sizes.iter().map(|n| (*n, Geometry::Empty)).collect();
    cases.extend(Geometry::OBSTACLES.map(|g| (sizes[0], g)));
    let sides = arguments.sides.unwrap_or(if quick { 1 } else { 3 });
    let session_words = format!("{} parameters, {sides} right-hand sides a problem", theta.len());
    session.say(session_words)?;
    let results = solve::all(session, &net, &theta, &cases, sides.into())?;
    #[cfg(feature = "plot")]
    pictures::draw(session, &results)?;
    #[cfg(not(feature = "plot"))]
    let _ = results;
    Ok(())
}
