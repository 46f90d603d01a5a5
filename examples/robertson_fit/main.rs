//! Recovers the three rate constants of Robertson's stiff kinetics from noisy data, by the exact
//! gradient of an implicit method's steps.
//!
//!     cargo run --release --example robertson_fit

#[path = "../common/mod.rs"]
mod common;
mod fit;
#[cfg(feature = "plot")]
mod pictures;

use clap::Parser;
use common::{Common, Row, Session, Table, timed};
use fit::{Data, Fit};
use odeon::Result;
use odeon::ode::solve;
use odeon::ode::tableaux_rosenbrock::Rodas5P;
use std::process::ExitCode;

/// Robertson's rate constants from noisy data.
///
/// y₁' = −k₁y₁ + k₃y₂y₃, y₂' = k₁y₁ − k₃y₂y₃ − k₂y₂², y₃' = k₂y₂², over eleven decades of time. The
/// data are the solution for k = (0.04, 3·10⁷, 10⁴) at logarithmically spaced times, each value
/// multiplied by 1 + noise·N(0, 1). The fit starts from rate constants that are wrong by the
/// factors `--start`, and minimises ½ Σ (relative residual)² over log k with Adam; every gradient
/// comes from the discrete adjoint of Rodas5P (order 5, implicit). `loss` is the mean squared
/// relative residual; the standard errors are those of the linearised fit.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Relative noise of the data
    #[arg(long, default_value_t = 0.02, allow_negative_numbers = true)]
    noise: f64,

    /// Observed times
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    times: u32,

    /// Factors on the true rate constants that the fit starts from
    #[arg(long, value_delimiter = ',', num_args = 3, default_values_t = [3.0, 0.2, 4.0])]
    start: Vec<f64>,

    /// Iterations of Adam [default: 600, with --quick 150]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: Option<u32>,

    /// Relative tolerance of the solves
    #[arg(long, default_value_t = 1e-6, allow_negative_numbers = true)]
    rtol: f64,
}

fn main() -> ExitCode {
    common::run("robertson_fit", |a: &Arguments| &a.common, robertson)
}

fn robertson(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let data = Data::simulate(arguments.times as usize, arguments.noise, session.common.seed)?;
    let quick = session.common.quick;
    let iterations = arguments.iterations.unwrap_or(if quick { 150 } else { 600 });
    session.say(format!(
        "{} times of three species, noise {:.1} %; {iterations} iterations from k·({})",
        data.times.len(),
        100.0 * arguments.noise,
        arguments.start.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
    ))?;
    let start = fit::start(&arguments.start)?;
    let (fit, seconds) = timed(|| Fit::run(&data, start, iterations, arguments.rtol))?;
    report(session, &fit, &data)?;
    let dynamics = fit::dynamics();
    let problem = fit::problem(&fit.theta);
    let (solution, predict) =
        timed(|| Ok(solve(&dynamics, &Rodas5P, &problem, &fit::options(&data, arguments.rtol))?))?;
    session.record(Row {
        method: "Rodas5P".into(),
        seed: session.common.seed,
        loss: Some(fit.losses.last().copied().unwrap_or(f64::NAN)),
        nfe: solution.stats.nfe,
        accepted: solution.stats.accepted,
        rejected: solution.stats.rejected,
        train_s: seconds,
        predict_s: predict,
    });
    let iteration: Vec<f64> = (0..fit.losses.len()).map(|i| i as f64).collect();
    session.curves("loss", &[("iteration", &iteration), ("loss", &fit.losses)])?;
    let species = |y: &[f64], c: usize| -> Vec<f64> { y.iter().skip(c).step_by(3).copied().collect() };
    let columns: Vec<Vec<f64>> =
        [&data.values, &solution.y].into_iter().flat_map(|y| (0..3).map(move |c| species(y, c))).collect();
    let names = ["y1 data", "y2 data", "y3 data", "y1 fit", "y2 fit", "y3 fit"];
    let mut all: Vec<(&str, &[f64])> = vec![("t", &data.times)];
    all.extend(names.into_iter().zip(columns.iter().map(Vec::as_slice)));
    session.curves("fit", &all)?;
    #[cfg(feature = "plot")]
    pictures::draw(session, &data, &fit, &columns)?;
    Ok(())
}

fn report(session: &Session, fit: &Fit, data: &Data) -> Result<()> {
    let errors = fit.standard_errors(data)?;
    let mut table =
        Table::new(&["rate constant", "true", "start", "fitted", "error (%)", "standard error (%)"]);
    for (c, error) in errors.iter().enumerate() {
        let (truth, fitted) = (fit::TRUTH[c], fit.theta[c].exp());
        table.row([
            format!("k{}", c + 1),
            format!("{truth:.4e}"),
            format!("{:.4e}", fit.start[c].exp()),
            format!("{fitted:.4e}"),
            format!("{:+.2}", 100.0 * (fitted / truth - 1.0)),
            format!("{:.2}", 100.0 * error),
        ]);
    }
    session.say(format!("\n{table}"))
}
