//! Pressures in a pore network by a convergent graph solver.
//!
//!     cargo run --release --example graph_solver

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "plot")]
mod pictures;
mod pores;

use clap::Parser;
use common::{Common, Row, Session, Table, timed};
use odeon::dataset::Batches;
use odeon::model::{FixedPointSolver, GraphSolver, GraphSolverShape};
use odeon::nn::{Activation, Initializer, Network, Optimizer, Rule, Schedule};
use odeon::{Error, Result};
use pores::Pores;
use std::process::ExitCode;

/// Steady pressures of random pore networks, predicted by the fixed points of learned contracting maps.
///
/// Pores lie at random in a square and are joined to near ones by throats of random conductance; those at the
/// left have pressure 1, those at the right 0, and flow balances in all others. The solver sees which pores have
/// a given pressure, which, and the logarithm of each conductance; it is trained on small networks and tested on
/// others as large and on larger ones (Park, Choo & Park, arXiv 2106.01680, section 5). `loss` is the mean square
/// error of held-out networks, `NFE` the iterations of the linear solves of one prediction.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// The most that a map may contract less, in (0, 1)
    #[arg(long, default_value_t = 0.9995, allow_negative_numbers = true)]
    gamma: f64,

    /// Maps
    #[arg(long, default_value_t = 4)]
    heads: usize,
}

fn main() -> ExitCode {
    common::run("graph_solver", |a: &Arguments| &a.common, graph_solver)
}

fn networks(shape: GraphSolverShape) -> Result<[Network; 3]> {
    let GraphSolverShape { nodes, edges, heads, width, outputs, .. } = shape;
    let make = |inputs: usize, outputs: usize| {
        let tanh = Activation::Tanh;
        Network::builder(inputs).dense(24).activation(tanh).dense(24).activation(tanh).dense(outputs).build()
    };
    Ok([
        make(2 * nodes + edges, heads)?,
        make(nodes, heads * (width + 1))?,
        make(heads * width + nodes, outputs)?,
    ])
}

/// Mean square error of a prediction and its cotangent.
fn loss(y: &[f64], pores: &Pores, bar: &mut Vec<f64>) -> f64 {
    let n = y.len() as f64;
    let off = y.iter().zip(&pores.pressure).map(|(y, p)| y - p);
    bar.clear();
    bar.extend(off.clone().map(|d| 2.0 * d / n));
    off.map(|d| d * d / n).sum()
}

fn graph_solver(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, seed) = (session.common.quick, session.common.seed);
    let (heads, gamma) = (arguments.heads, arguments.gamma);
    let shape = GraphSolverShape { nodes: 2, edges: 1, heads, width: 1, outputs: 1, gamma };
    let mut solver = GraphSolver::new(shape, networks(shape)?)?;
    let make = |from: u64, count: u64, pores: usize| -> Result<Vec<Pores>> {
        (from..from + count).map(|k| Pores::new(pores, seed, k)).collect()
    };
    let (train, test) = (make(0, if quick { 16 } else { 64 }, 60)?, make(1000, 16, 60)?);
    let large = make(2000, 4, if quick { 150 } else { 400 })?;
    let iterations: u64 = if quick { 120 } else { 1500 };
    session.say(format!("{} networks of about 60 pores, {iterations} iterations", train.len()))?;
    // All networks start from their own draw, the layout naming them.
    let mut theta: Vec<f64> = Vec::new();
    for (k, network) in networks(shape)?.iter().enumerate() {
        theta.extend(network.init::<f64>(Initializer::GlorotUniform, seed + k as u64)?);
    }
    let schedule = Schedule::Cosine { initial: 1e-2, last: 1e-4, over: iterations };
    let mut optimizer = Optimizer::new(Rule::adam(), schedule, solver.layout().clone())?;
    let mut batches = Batches::new(train.len(), 8)?.shuffled(seed);
    let (mut losses, mut gradient, mut bar) = (Vec::new(), vec![0.0; theta.len()], Vec::new());
    let (_, train_s) = timed(|| {
        for _ in 0..iterations {
            gradient.fill(0.0);
            let mut total = 0.0;
            let batch = batches.next_batch();
            for &k in batch {
                let pores = &train[k];
                let mut solved = solver.forward(&pores.graph, &theta)?;
                total += loss(&solved.y, pores, &mut bar) / batch.len() as f64;
                bar.iter_mut().for_each(|b| *b /= batch.len() as f64);
                solver.reverse((&pores.graph, &theta), &mut solved, &bar, &mut gradient)?;
            }
            losses.push(total);
            optimizer.step(&mut theta, &gradient)?;
        }
        Ok(())
    })?;
    session.say(format!(
        "trained in {train_s:.1} s; loss {:.2e} → {:.2e}",
        losses[0],
        losses[losses.len() - 1]
    ))?;
    let mut table = Table::new(&[
        "held-out networks",
        "solver",
        "mean square error",
        "variance",
        "largest error",
        "iterations",
    ]);
    for (name, set) in [("as large", &test), ("larger", &large)] {
        for (kind, by) in [(FixedPointSolver::Krylov, "GMRES"), (FixedPointSolver::Relaxation, "relaxation")]
        {
            solver.solver = kind;
            solver.settings.max_iterations = 200_000;
            solver.settings.stagnation = 100_000;
            let (mut error, mut variance, mut worst, mut count) = (0.0, 0.0, 0.0f64, 0);
            let (_, seconds) = timed(|| {
                for pores in set {
                    let solved = solver.forward(&pores.graph, &theta)?;
                    error += loss(&solved.y, pores, &mut bar) / set.len() as f64;
                    variance += pores.variance() / set.len() as f64;
                    let off = solved.y.iter().zip(&pores.pressure).map(|(y, p)| (y - p).abs());
                    worst = off.fold(worst, f64::max);
                    count += solved.iterations / set.len();
                }
                Ok(())
            })?;
            table.row([
                name.into(),
                by.into(),
                format!("{error:.2e}"),
                format!("{variance:.2e}"),
                format!("{worst:.3}"),
                count.to_string(),
            ]);
            let predict_s = seconds / set.len() as f64;
            let method = format!("{name}, {by}");
            session.record(Row {
                method,
                seed,
                loss: Some(error),
                nfe: count,
                train_s,
                predict_s,
                ..Row::default()
            });
        }
    }
    session.say(table)?;
    solver.solver = FixedPointSolver::Krylov;
    let shown = large
        .first()
        .ok_or_else(|| Error::invalid("the test set", "empty", "it holds the picture's network"))?;
    let predicted = solver.forward(&shown.graph, &theta)?.y;
    session.curves("losses", &[("loss", &losses[..])])?;
    session.curves("pressures", &[("true", &shown.pressure[..]), ("predicted", &predicted[..])])?;
    #[cfg(feature = "plot")]
    session.picture("pores", &pictures::pores(shown, &predicted, &losses)?)?;
    Ok(())
}
