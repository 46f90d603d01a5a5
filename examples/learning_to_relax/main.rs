//! Relaxation factors learned by bandits over a sequence of linear systems.
//!
//!     cargo run --release --example learning_to_relax

#[path = "../common/mod.rs"]
mod common;
mod experiment1;
mod experiment2;
mod experiment3;
#[cfg(feature = "plot")]
mod pictures;

use clap::Parser;
use common::{Common, Session};
use odeon::{Error, Result};
use std::process::ExitCode;

/// The two experiments of "Learning to Relax" (Khodak et al., ICLR 2024), and one inside an integrator.
///
/// 1: SOR on Laplacian + c I, 10 × 10, c random in [-0.15, 0.45] with low and high variance; total iterations of fixed
/// factors, Tsallis-INF, Tsallis-INF-CB, ChebCB, Young's formula and of this library's guided policy. 2: the heat equation with
/// a diffusion that changes in time, by Crank-Nicolson and SSOR-preconditioned CG, the factor chosen in every
/// step. 3: Allen–Cahn by an implicit integrator that owns such a solver. `loss` in the JSON lines is the total of iterations (the mean over trials).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Which experiment
    #[arg(long, value_name = "1|2|3", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    experiment: u8,

    /// Experiment 1: independent repetitions [default: 6, with --quick 1; published 40]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    trials: Option<u32>,

    /// Systems in the sequence [default: 5000, with --quick 300]
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    rounds: Option<u32>,

    /// Experiments 2 and 3: intervals a side
    #[arg(long, value_name = "NX", default_value_t = 25, value_parser = clap::value_parser!(u32).range(4..=400))]
    nx: u32,

    /// Experiment 2: alternating repetitions, of which each step's shortest time counts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    repeats: u8,

    /// Experiment 2: at most so many of the 20 fixed factors, evenly chosen
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=20))]
    arms: u8,
}

fn main() -> ExitCode {
    common::run("learning_to_relax", |a: &Arguments| &a.common, learning_to_relax)
}

fn learning_to_relax(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let quick = session.common.quick;
    let rounds = arguments.rounds.unwrap_or(if quick { 300 } else { 5000 }) as usize;
    let trials = arguments.trials.unwrap_or(if quick { 1 } else { 6 }) as usize;
    match arguments.experiment {
        1 => experiment1::run(session, rounds, trials),
        2 => {
            let [repeats, arms] = [arguments.repeats, arguments.arms].map(usize::from);
            experiment2::run(session, rounds, arguments.nx as usize, repeats, arms)
        }
        3 => experiment3::run(session, arguments.nx as usize),
        other => Err(Error::invalid("--experiment", other, "1, 2 or 3")),
    }
}
