//! Linear solvers side by side: every iteration with every preconditioner on a model problem or on a
//! Matrix Market file.
//!
//!     cargo run --release --example poisson
//!     cargo run --release --example poisson -- --problem jumps --n 512
//!     cargo run --release --example poisson -- --matrix FILE.mtx.gz

#[path = "../common/mod.rs"]
mod common;
mod methods;
#[cfg(feature = "plot")]
mod pictures;
mod problem;

use clap::Parser;
use common::{Common, Row, Session, Table, timed};
use methods::{Run, methods};
use odeon::linalg::Settings;
use odeon::{Error, Result};
use problem::{Kind, Problem};
use std::path::PathBuf;
use std::process::ExitCode;

/// Every linear solver with every preconditioner on one system: iterations, times, true residuals.
///
/// The right-hand side is drawn from N(0, 1), the guess is zero. `train (s)` in the last table is
/// set-up, `predict (s)` the solve, `NFE` applications of the matrix; a method that does not converge
/// says why. The picture shows the residuals that the methods saw, against iterations.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Model problem
    #[arg(long, value_enum, default_value_t = Kind::Poisson2d)]
    problem: Kind,

    /// Points along each axis [default: 256 in 2-D, 40 in 3-D, with --quick 48 and 12]
    #[arg(long, value_parser = clap::value_parser!(u32).range(3..=4096))]
    n: Option<u32>,

    /// A square Matrix Market file (.mtx or .mtx.gz) instead of a model problem
    #[arg(long, value_name = "FILE", conflicts_with_all = ["problem", "n"])]
    matrix: Option<PathBuf>,

    /// Relative tolerance of the true residual
    #[arg(long, value_name = "TOL", default_value_t = 1e-8, allow_negative_numbers = true)]
    rtol: f64,

    /// Most iterations of one solve
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    max_iterations: u32,
}

fn main() -> ExitCode {
    common::run("poisson", |a: &Arguments| &a.common, poisson)
}

fn poisson(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let settings = Settings::tol(arguments.rtol).max_iterations(arguments.max_iterations as usize);
    settings.check()?;
    let problem = match &arguments.matrix {
        Some(path) => Problem::read(path, session.common.seed)?,
        None => {
            let n = arguments.n.unwrap_or(arguments.problem.default_extent(session.common.quick));
            Problem::model(arguments.problem, n as usize, session.common.seed)?
        }
    };
    session.say(&problem)?;
    let mut runs = Vec::new();
    let ((), seconds) = timed(|| {
        for method in methods() {
            let run = method.run(&problem, settings);
            runs.push((method, run));
        }
        Ok(())
    })?;
    session.say(format!("{} combinations in {seconds:.1} s", runs.len()))?;
    report(session, &runs)?;
    let solved: Vec<(String, &Run)> =
        runs.iter().filter_map(|(m, r)| r.as_ref().ok().map(|run| (m.to_string(), run))).collect();
    for (name, run) in &solved {
        session.record(Row {
            method: name.clone(),
            seed: session.common.seed,
            loss: None,
            nfe: run.report.applications,
            accepted: run.report.iterations,
            rejected: 0,
            train_s: run.setup,
            predict_s: run.report.time.as_secs_f64(),
        });
    }
    let columns: Vec<(&str, &[f64])> =
        solved.iter().map(|(name, run)| (name.as_str(), &run.report.residuals[..])).collect();
    session.curves("residuals", &columns)?;
    #[cfg(feature = "plot")]
    session.picture("residuals", &pictures::residuals(&problem, &solved)?)?;
    match solved.iter().any(|(_, run)| run.report.converged()) {
        true => Ok(()),
        false => Err(Error::invalid(
            "the system",
            "not solved by any method",
            "raise --max-iterations or loosen --rtol",
        )),
    }
}

/// The table of iterations, times and residuals, with the reason where one did not converge.
fn report(session: &Session, runs: &[(methods::Combination, Result<Run>)]) -> Result<()> {
    let header = ["solver + preconditioner", "iterations", "set-up (s)", "solve (s)", "residual", "outcome"];
    let mut table = Table::new(&header);
    for (method, run) in runs {
        match run {
            Ok(run) => table.row([
                method.to_string(),
                run.report.iterations.to_string(),
                format!("{:.2e}", run.setup),
                format!("{:.2e}", run.report.time.as_secs_f64()),
                format!("{:.1e}", run.report.relative_residual()),
                format!("{:?}", run.report.outcome),
            ]),
            Err(_) => table.row([
                method.to_string(),
                "–".into(),
                "–".into(),
                "–".into(),
                "–".into(),
                "not applicable".to_string(),
            ]),
        }
    }
    session.say(format!("\n{table}"))?;
    for (method, run) in runs {
        if let Err(error) = run {
            session.say(format!("{method}: {error}"))?;
        }
    }
    Ok(())
}
