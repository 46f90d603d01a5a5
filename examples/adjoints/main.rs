//! Every adjoint on one neural ODE: memory, time and accuracy against the number of steps.
//!
//!     cargo run --release --example adjoints

#[path = "../common/mod.rs"]
mod common;
mod measure;
#[cfg(feature = "plot")]
mod pictures;

use clap::Parser;
use common::{Common, Row, Session, Table, timed};
use measure::{Method, Problem};
use odeon::{Error, Result};
use std::process::ExitCode;

/// Every adjoint on one problem: memory, time and accuracy.
///
/// The neural ODE y' = W₂ tanh(W₁ y³ + b₁) + b₂ of the spiral, weights at random, is solved for a batch of
/// states over a range of fixed steps, and the gradient of mean y(T)² with respect to its parameters and the
/// initial states computed by every adjoint. The error is the largest difference to the gradient of the
/// equation (by the discrete adjoint at tolerance 10⁻¹²), relative to its largest entry: for adjoints that are
/// exact for the computed solution it is the error of the solve, for those of the adjoint equation that of both
/// solves. Memory is what the adjoint says it holds, work space included; time is the least of several
/// gradients on one thread. Forward sensitivities carry a tangent for each parameter and row, and are left out
/// beyond 64 steps. In the last table `loss` is the error and `accepted` the steps of the solve.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Hidden units of the network
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=2000))]
    width: u32,

    /// Trajectories of the batch
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,

    /// Budget of the adjoints that are given one, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    budget: u32,
}

/// A gradient at a number of steps.
pub struct Point {
    pub steps: usize,
    pub error: f64,
    pub bytes: usize,
    pub seconds: f64,
    /// Evaluations and products of the way back.
    pub nfe: usize,
    pub nvjp: usize,
}

/// All gradients by one adjoint.
pub struct Curve {
    pub method: Method,
    pub points: Vec<Point>,
}

fn main() -> ExitCode {
    common::run("adjoints", |a: &Arguments| &a.common, adjoints)
}

fn adjoints(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let quick = session.common.quick;
    let steps: &[usize] = match quick {
        true => &[16, 64, 256],
        false => &[8, 16, 32, 64, 128, 256, 512, 1024, 2048],
    };
    let problem = Problem::new(arguments.width, arguments.batch, session.common.seed)?;
    let budget = 1024 * arguments.budget as usize;
    session.say(format!(
        "{} parameters, {} states of 2 rows, fixed steps of Tsit5 (ALF: its own), f64, one thread",
        problem.parameters(),
        arguments.batch
    ))?;
    let seconds = if quick { 0.02 } else { 0.3 };
    let (curves, total) = timed(|| measure_all(session, &problem, (steps, budget, seconds)))?;
    session.say(format!("measured in {total:.1} s"))?;
    for &count in steps {
        report(session, &curves, count)?;
    }
    keep(session, &curves)?;
    #[cfg(feature = "plot")]
    session.picture("against_steps", &pictures::against_steps(&curves)?)?;
    Ok(())
}

/// Every adjoint at every number of steps; what one cannot do is said and left out.
fn measure_all(
    session: &Session,
    problem: &Problem,
    (steps, budget, seconds): (&[usize], usize, f64),
) -> Result<Vec<Curve>> {
    let mut curves = Vec::new();
    for method in Method::ALL {
        let mut points = Vec::new();
        for &count in steps.iter().filter(|&&n| method != Method::Forward || n <= 64) {
            match problem.gradient(method, count, budget, seconds) {
                Ok(point) => points.push(point),
                // A budget that is too small, or a way back that drifts: both are said.
                Err(error @ (Error::Invalid { .. } | Error::Drift { .. })) => {
                    let text = error.to_string();
                    session.say(format!("{} at {count} steps: {text}", method.name()))?;
                }
                Err(error) => return Err(error),
            }
        }
        curves.push(Curve { method, points });
    }
    Ok(curves)
}

/// Curves as files, and the last point of each for the summary.
fn keep(session: &mut Session, curves: &[Curve]) -> Result<()> {
    for Curve { method, points } in curves {
        let column = |f: fn(&Point) -> f64| points.iter().map(f).collect::<Vec<f64>>();
        let name = method.name().replace([' ', ',', '(', ')'], "_");
        session.curves(
            &name,
            &[
                ("steps", &column(|p| p.steps as f64)),
                ("error", &column(|p| p.error)),
                ("bytes", &column(|p| p.bytes as f64)),
                ("seconds", &column(|p| p.seconds)),
            ],
        )?;
        if let Some(last) = points.last() {
            session.record(Row {
                method: method.name().into(),
                seed: session.common.seed,
                loss: Some(last.error),
                nfe: last.nfe,
                accepted: last.steps,
                predict_s: last.seconds,
                ..Row::default()
            });
        }
    }
    Ok(())
}

/// The table at one number of steps.
fn report(session: &Session, curves: &[Curve], steps: usize) -> Result<()> {
    let name = format!("{steps} steps");
    let mut table = Table::new(&[&name, "error", "memory (KiB)", "ms", "f back", "vjp"]);
    for Curve { method, points } in curves {
        let Some(p) = points.iter().find(|p| p.steps == steps) else { continue };
        table.row([
            method.name().to_string(),
            format!("{:.1e}", p.error),
            format!("{:.0}", p.bytes as f64 / 1024.0),
            format!("{:.3}", 1e3 * p.seconds),
            p.nfe.to_string(),
            p.nvjp.to_string(),
        ]);
    }
    session.say(format!("\n{table}"))
}
