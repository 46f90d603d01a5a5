//! Stiff problems by every implicit method: error against time.
//!
//!     cargo run --release --example stiff
//!     cargo run --release --example stiff -- --problem hires

#[path = "../common/mod.rs"]
mod common;
mod methods;
#[cfg(feature = "plot")]
mod pictures;
mod problems;

use clap::Parser;
use common::{Common, Row, Session, Table, timed};
use methods::{Method, Run};
use odeon::integrate::{Save, Solution};
use odeon::{Error, Result};
use problems::Kind;
use std::process::ExitCode;

/// Work and precision of the implicit methods on classic stiff problems.
///
/// Robertson's kinetics to t = 10¹¹, van der Pol's oscillator with μ = 10⁶, HIRES and OREGO, each solved
/// over a range of tolerances. The error is the largest relative error of an unknown at the end, against
/// the published solution; every time is the least of several solves on one thread. The published
/// solutions are checked first by Radau IIA and Rodas5P at tight tolerances. A table for each problem has
/// every method's fastest solve with an error of at most `--target`; `f` there does not count what
/// Jacobians cost, and `loss` in the last table is the error. Pictures: work and precision for each
/// problem, which steps through van der Pol's oscillation the automatic switch takes by Tsit5 and which
/// by Rodas5P, and the solver's page of an ESDIRK solve of it: step sizes, errors, stiffness, iterations.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// One problem only [default: all, with --quick robertson and van-der-pol]
    #[arg(long, value_enum)]
    problem: Option<Kind>,

    /// Error that the tables compare the methods at
    #[arg(long, default_value_t = 1e-5, allow_negative_numbers = true)]
    target: f64,
}

/// A solve at one tolerance.
pub struct Point {
    pub rtol: f64,
    pub error: f64,
    pub run: Run,
}

/// All solves of a problem by one method.
pub struct Curve {
    pub method: Method,
    pub points: Vec<Point>,
}

fn main() -> ExitCode {
    common::run("stiff", |a: &Arguments| &a.common, stiff)
}

fn stiff(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, target) = (session.common.quick, arguments.target);
    if !(target.is_finite() && target > 0.0) {
        return Err(Error::invalid("--target", target, "an error is positive and finite"));
    }
    let kinds = match arguments.problem {
        Some(kind) => vec![kind],
        None if quick => vec![Kind::Robertson, Kind::VanDerPol],
        None => Kind::ALL.to_vec(),
    };
    let tolerances: Vec<f64> = match quick {
        true => vec![1e-4, 1e-7],
        false => (4..=20).map(|i| 10f64.powf(-0.5 * f64::from(i))).collect(),
    };
    session.say("Published solutions against tight solves, digits that agree:")?;
    check_references(session, &kinds)?;
    for &kind in &kinds {
        session.say(format!(
            "\n{}: {} methods at {} tolerances",
            kind.title(),
            Method::ALL.len(),
            tolerances.len()
        ))?;
        let repeat = if quick { 0.01 } else { 0.1 };
        let (curves, seconds) = timed(|| measure(session, kind, &tolerances, repeat))?;
        session.say(format!("measured in {seconds:.1} s"))?;
        report(session, kind, &curves, target)?;
        csv(session, kind, &curves)?;
        #[cfg(feature = "plot")]
        session.picture(&file_name(kind), &pictures::work_precision(kind, &curves)?)?;
    }
    if kinds.contains(&Kind::VanDerPol) {
        let solution = van_der_pol_steps(session)?;
        #[cfg(feature = "plot")]
        {
            session.picture("van_der_pol_steps", &pictures::steps(&solution)?)?;
            let options = Kind::VanDerPol.options(1e-5).save(Save::End).diagnostics();
            let solution = Kind::VanDerPol.run(Method::Esdirk54, &options, 0.0)?.solution;
            let title = "Van der Pol, μ = 10⁶: ESDIRK5(4)8L[2]SA at rtol 10⁻⁵";
            session
                .picture("van_der_pol_solver", &odeon::plot::panels::solver_page(title, &solution, None)?)?;
        }
        #[cfg(not(feature = "plot"))]
        drop(solution);
    }
    Ok(())
}

fn file_name(kind: Kind) -> String {
    kind.name().replace(' ', "_").to_lowercase()
}

/// How far two methods of different kinds, at tolerances far tighter than the comparison's, are from
/// the published solutions.
fn check_references(session: &Session, kinds: &[Kind]) -> Result<()> {
    let mut table = Table::new(&["problem", "Radau IIA 5, rtol 1e-12", "Rodas5P, rtol 1e-12"]);
    for &kind in kinds {
        let digits = |method: Method| -> Result<String> {
            let run = kind.run(method, &kind.options(1e-12), 0.0)?;
            Ok(format!("{:.1}", -kind.error(run.solution.last()).max(1e-16).log10()))
        };
        table.row([kind.name().to_string(), digits(Method::Radau)?, digits(Method::Rodas5P)?]);
    }
    session.say(table)
}

/// Every method at every tolerance; what a method cannot do is said and left out.
fn measure(session: &Session, kind: Kind, tolerances: &[f64], seconds: f64) -> Result<Vec<Curve>> {
    let mut curves = Vec::new();
    for &method in Method::ALL {
        let mut points = Vec::new();
        for &rtol in tolerances {
            match kind.run(method, &kind.options(rtol), seconds) {
                Ok(run) => points.push(Point { rtol, error: kind.error(run.solution.last()), run }),
                Err(error) => {
                    let reason = error.to_string();
                    let first = reason.split(". ").next().unwrap_or_default();
                    session.say(format!("{} stops at rtol {rtol:.1e}: {first}", method.name()))?;
                    break;
                }
            }
        }
        curves.push(Curve { method, points });
    }
    Ok(curves)
}

/// The fastest solve of each method that is accurate enough.
fn report(session: &mut Session, kind: Kind, curves: &[Curve], target: f64) -> Result<()> {
    let header = [
        "method",
        "rtol",
        "error",
        "ms",
        "steps",
        "rejected",
        "f",
        "Jacobians",
        "LU",
        "systems",
        "Newton failures",
    ];
    let mut table = Table::new(&header);
    for Curve { method, points } in curves {
        let accurate = points.iter().filter(|p| p.error <= target);
        let Some(best) = accurate.min_by(|a, b| a.run.seconds.total_cmp(&b.run.seconds)) else {
            table.row([method.name().to_string(), "–".into(), format!("no solve to {target:.0e}")]);
            continue;
        };
        let (stats, work) = (&best.run.solution.stats, best.run.solution.stats.implicit);
        // diffsol does not say.
        let count = |n: usize| if work.linear_solves == 0 { "–".to_string() } else { n.to_string() };
        table.row([
            method.name().to_string(),
            format!("{:.1e}", best.rtol),
            format!("{:.1e}", best.error),
            format!("{:.3}", 1e3 * best.run.seconds),
            stats.accepted.to_string(),
            stats.rejected.to_string(),
            stats.nfe.to_string(),
            count(work.jacobians),
            count(work.factorisations),
            count(work.linear_solves),
            count(work.failures),
        ]);
        session.record(Row {
            method: format!("{}, {}", kind.name(), method.name()),
            seed: session.common.seed,
            loss: Some(best.error),
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
            train_s: 0.0,
            predict_s: best.run.seconds,
        });
    }
    for Curve { points, .. } in curves.iter().filter(|c| c.method == Method::Auto) {
        if let Some(Point { rtol, run, .. }) = points.last() {
            let [explicit, implicit] = run.solution.stats.taken_by;
            session.say(format!(
                "Tsit5 ↔ Rodas5P at rtol {rtol:.1e}: {explicit} explicit and {implicit} implicit steps, {} switches",
                run.solution.stats.switches
            ))?;
        }
    }
    session.say(format!("Fastest solve with an error of at most {target:.0e}\n{table}"))
}

fn csv(session: &mut Session, kind: Kind, curves: &[Curve]) -> Result<()> {
    let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
    for Curve { method, points } in curves {
        let mut column = |what: &str, value: fn(&Point) -> f64| {
            columns.push((format!("{} {what}", method.name()), points.iter().map(value).collect()));
        };
        column("rtol", |p| p.rtol);
        column("error", |p| p.error);
        column("seconds", |p| p.run.seconds);
        column("f", |p| p.run.solution.stats.nfe as f64);
        column("LU", |p| p.run.solution.stats.implicit.factorisations as f64);
    }
    let columns: Vec<(&str, &[f64])> = columns.iter().map(|(n, c)| (n.as_str(), &c[..])).collect();
    session.curves(&file_name(kind), &columns)
}

/// Van der Pol's oscillation by the automatic switch with every attempted step kept.
fn van_der_pol_steps(session: &Session) -> Result<Solution<f64>> {
    let kind = Kind::VanDerPol;
    let options = kind.options(1e-6).save(Save::EveryStep).diagnostics();
    let solution = kind.run(Method::Auto, &options, 0.0)?.solution;
    let h = |pick: fn(f64, f64) -> f64, start: f64| solution.steps.iter().map(|s| s.h).fold(start, pick);
    session.say(format!(
        "\nVan der Pol by Tsit5 ↔ Rodas5P at rtol 1e-6: {} explicit and {} implicit steps, {} switches, {} rejected, h from {:.1e} to {:.1e}",
        solution.stats.taken_by[0],
        solution.stats.taken_by[1],
        solution.stats.switches,
        solution.stats.rejected,
        h(f64::min, f64::INFINITY),
        h(f64::max, 0.0),
    ))?;
    Ok(solution)
}
