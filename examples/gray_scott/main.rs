//! Patterns of the Gray–Scott reaction in two dimensions, by implicit steps with sparse linear algebra.
//!
//!     cargo run --release --example gray_scott
//!     cargo run --release --example gray_scott -- --feed 0.03 --kill 0.062 --n 256

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "plot")]
mod pictures;
mod simulation;

use clap::Parser;
use common::{Common, Row, Session, Table, timed};
use odeon::integrate::Solution;
use odeon::ode::sdirk::{self, SdirkTableau};
use odeon::{Error, Result};
use simulation::{Linear, Setup};
use std::process::ExitCode;

/// Spots and stripes of the Gray–Scott reaction, implicit against explicit.
///
/// u' = 2·10⁻⁵ Δu − uv² + F(1 − u), v' = 10⁻⁵ Δv + uv² − (F + k)v on a periodic square
/// (Pearson, Science 261, 1993), by five-point differences on n × n points. Solved by an implicit method,
/// its linear systems by BiCGStab with ILU(0) or by sparse LU, and by Tsit5 at the same tolerance.
/// Diffusion limits Tsit5's steps in proportion to 1/n², the implicit ones follow the pattern alone and
/// grow as it settles; but a step of Tsit5 costs far less, so that it is the faster one on grids like the
/// default, and the slower one only on much finer grids or over much longer times.
/// Pictures: the concentration v at four times, and the step sizes. Nothing is trained: `predict (s)` in
/// the last table is the time of the solve.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Points along each side [default: 128, with --quick 64]
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=1024))]
    n: Option<u32>,

    /// End of the simulation [default: 8000, with --quick 2000]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    t_end: Option<f64>,

    /// Side of the square; Pearson's is 2.5
    #[arg(long, default_value_t = 1.25, allow_negative_numbers = true)]
    side: f64,

    /// Feed rate F
    #[arg(long, default_value_t = 0.04, allow_negative_numbers = true)]
    feed: f64,

    /// Kill rate k
    #[arg(long, default_value_t = 0.06, allow_negative_numbers = true)]
    kill: f64,

    /// Implicit method by name: TrBdf2, Kvaerno3, Kvaerno5 or Esdirk54I8L2SA
    #[arg(long, value_name = "NAME", default_value = "Esdirk54I8L2SA")]
    method: String,

    /// Solver of its linear systems
    #[arg(long, value_enum, default_value_t = Linear::Krylov)]
    linear: Linear,

    /// Relative tolerance; the absolute one is a tenth of it
    #[arg(long, value_name = "TOL", default_value_t = 1e-4, allow_negative_numbers = true)]
    rtol: f64,

    /// Relative tolerance of BiCGStab; Newton's iteration corrects what it leaves
    #[arg(long, value_name = "TOL", default_value_t = 0.1, allow_negative_numbers = true)]
    linear_rtol: f64,
}

fn main() -> ExitCode {
    common::run("gray_scott", |a: &Arguments| &a.common, gray_scott)
}

fn gray_scott(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let quick = session.common.quick;
    let n = arguments.n.unwrap_or(if quick { 64 } else { 128 }) as usize;
    let t_end = arguments.t_end.unwrap_or(if quick { 2000.0 } else { 8000.0 });
    let linear_rtol = arguments.linear_rtol;
    if !(linear_rtol > 0.0 && linear_rtol < 1.0) {
        return Err(Error::invalid("--linear-rtol", linear_rtol, "it must lie between 0 and 1"));
    }
    let method = by_name(&arguments.method)?;
    let rates = [arguments.feed, arguments.kill];
    let setup = Setup::new(n, arguments.side, rates, t_end, session.common.seed)?;
    let setup = Setup { rtol: arguments.rtol, linear_rtol, ..setup };
    session.say(format!(
        "{n} × {n} points, {} unknowns, F = {}, k = {}, t = 0…{t_end}, rtol {:e}",
        setup.y0.len(),
        arguments.feed,
        arguments.kill,
        arguments.rtol
    ))?;
    let linear = match arguments.linear {
        Linear::Krylov => "BiCGStab + ILU(0)",
        Linear::Lu => "sparse LU",
    };
    let name = format!("{}, {linear}", method.name);
    session.say(format!("{name} …"))?;
    let (implicit, implicit_s) = timed(|| setup.implicit(method, arguments.linear))?;
    session.say("Tsit5 …")?;
    let (explicit, explicit_s) = timed(|| setup.explicit())?;
    let runs = [(name.as_str(), &implicit, implicit_s), ("Tsit5", &explicit, explicit_s)];
    report(session, &runs)?;
    compare(session, &setup, &implicit, &explicit)?;
    steps(session, &runs)?;
    #[cfg(feature = "plot")]
    {
        session.picture("pattern", &pictures::pattern(&setup, &implicit)?)?;
        session.picture("steps", &pictures::steps(&setup, &runs)?)?;
    }
    Ok(())
}

fn by_name(name: &str) -> Result<&'static SdirkTableau> {
    let wanted = name.to_lowercase();
    let methods = sdirk::all();
    let names: Vec<&str> = methods.iter().map(|m| &*m.name).collect();
    methods
        .into_iter()
        .find(|m| m.name.to_lowercase() == wanted)
        .ok_or_else(|| Error::invalid("--method", name, format!("one of {} is needed", names.join(", "))))
}

/// A solve by name, with its seconds.
pub type Named<'a> = (&'a str, &'a Solution<f64>, f64);

fn report(session: &mut Session, runs: &[Named<'_>]) -> Result<()> {
    let header = [
        "method",
        "steps",
        "rejected",
        "f",
        "Jacobians",
        "factors",
        "Newton",
        "linear",
        "linear/system",
        "s",
    ];
    let mut table = Table::new(&header);
    for &(name, solution, seconds) in runs {
        let (stats, work) = (&solution.stats, solution.stats.implicit);
        let each = work.linear_iterations as f64 / work.linear_solves.max(1) as f64;
        table.row([
            name.to_string(),
            stats.accepted.to_string(),
            stats.rejected.to_string(),
            stats.nfe.to_string(),
            work.jacobians.to_string(),
            work.factorisations.to_string(),
            work.newton_iterations.to_string(),
            work.linear_iterations.to_string(),
            format!("{each:.1}"),
            format!("{seconds:.2}"),
        ]);
        session.record(Row {
            method: name.to_string(),
            seed: session.common.seed,
            loss: None,
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
            train_s: 0.0,
            predict_s: seconds,
        });
    }
    session.say(format!("\n{table}"))
}

/// How far the two solutions are apart at the end, and what the pattern looks like in numbers.
fn compare(session: &Session, setup: &Setup, a: &Solution<f64>, b: &Solution<f64>) -> Result<()> {
    let (a, b) = (setup.concentration(a.last()), setup.concentration(b.last()));
    let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let highest = a.iter().copied().fold(0.0, f64::max);
    let covered = a.iter().filter(|&&v| v > 0.1).count() as f64 / a.len() as f64;
    session.say(format!(
        "At the end v reaches {highest:.3}, exceeds 0.1 on {:.0} % of the area; the two solutions differ by at most {apart:.1e}",
        100.0 * covered
    ))
}

/// The step sizes as a CSV file.
fn steps(session: &mut Session, runs: &[Named<'_>]) -> Result<()> {
    let column = |solution: &Solution<f64>| -> [Vec<f64>; 2] {
        [solution.steps.iter().map(|s| s.t).collect(), solution.steps.iter().map(|s| s.h).collect()]
    };
    let [a, b] = [column(runs[0].1), column(runs[1].1)];
    let columns: [(&str, &[f64]); 4] =
        [("t implicit", &a[0]), ("h implicit", &a[1]), ("t Tsit5", &b[0]), ("h Tsit5", &b[1])];
    session.curves("steps", &columns)
}
