//! Hybrid systems: a bouncing ball, a thermostat, doses of a drug fitted through the events.
//!
//!     cargo run --release --example events
//!     cargo run --release --example events -- --problem dosing

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "plot")]
mod pictures;

use clap::{Parser, ValueEnum};
use common::{Common, Row, Session, Table, timed};
use odeon::adjoint::{EventAdjoint, Memory};
use odeon::dynamics::Dynamics;
use odeon::dynamics::compose::Warp;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save};
use odeon::nn::{Layout, Optimizer, Role, Rule, Schedule};
use odeon::ode::events::gallery::{BouncingBall, Dosing, Thermostat};
use odeon::ode::events::{EventOptions, EventSolution, Events, solve};
use odeon::ode::tableaux::Tsit5;
use odeon::{Error, Result};
use std::process::ExitCode;

/// Events on dense output, with actions, and gradients through them.
///
/// bouncing-ball: bounces at the known times until they follow each other without end, which is detected.
/// thermostat: a heater that goes on and off, against the known switching times.
/// dosing: the dose and the period of a drug are fitted so that its level stays in a window, by the gradient
/// of the discrete adjoint through every dose. `loss` in the table is the largest error of an event time,
/// or, after the fit, the mean square of the level's relative distance from its target and the burden of the doses.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// One problem only [default: all]
    #[arg(long, value_enum)]
    problem: Option<Kind>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    BouncingBall,
    Thermostat,
    Dosing,
}

fn main() -> ExitCode {
    common::run("events", |a: &Arguments| &a.common, events)
}

fn events(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let wants = |kind| arguments.problem.is_none_or(|p| p == kind);
    if wants(Kind::BouncingBall) {
        bouncing_ball(session)?;
    }
    if wants(Kind::Thermostat) {
        thermostat(session)?;
    }
    if wants(Kind::Dosing) {
        dosing(session)?;
    }
    Ok(())
}

/// What was solved and how far its events are from `wanted`.
fn report(
    session: &mut Session,
    name: &str,
    solution: &EventSolution<f64>,
    wanted: &[f64],
    seconds: f64,
) -> Result<()> {
    let mut table = Table::new(&["event", "time", "exact", "error"]);
    let mut worst = 0.0f64;
    for (i, (record, wanted)) in solution.log.iter().zip(wanted).enumerate() {
        let off = (record.t - wanted).abs();
        worst = worst.max(off);
        if i < 6 {
            table.row([
                record.event.to_string(),
                format!("{:.12}", record.t),
                format!("{wanted:.12}"),
                format!("{off:.1e}"),
            ]);
        }
    }
    let more = solution.log.len().saturating_sub(6);
    session.say(format!("{table}\nand {more} more events; largest error of a time {worst:.1e}"))?;
    let (nfe, accepted, rejected) = (solution.stats.nfe, solution.stats.accepted, solution.stats.rejected);
    let seed = session.common.seed;
    let row = Row {
        method: name.into(),
        seed,
        loss: Some(worst),
        nfe,
        accepted,
        rejected,
        train_s: 0.0,
        predict_s: seconds,
    };
    session.record(row);
    let times: Vec<f64> = solution.log.iter().map(|r| r.t).collect();
    let events: Vec<f64> = solution.log.iter().map(|r| r.event as f64).collect();
    session.curves(&format!("{name}_log"), &[("t", &times[..]), ("event", &events[..])])
}

/// A dense solve and its seconds.
fn dense<D: Dynamics<f64>, E: Events>(
    f: &D,
    events: &E,
    problem: &Problem<'_, f64>,
) -> Result<(EventSolution<f64>, f64)> {
    let options = Options::tol(1e-10, 1e-10).save(Save::Dense);
    timed(|| Ok(solve(f, &Tsit5, events, problem, &options, &EventOptions::default())?))
}

/// The solution at evenly spaced times and, twice, at the events.
fn sampled(solution: &EventSolution<f64>, points: usize) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let (mut t, mut y) = (Vec::new(), Vec::new());
    for segment in &solution.segments {
        let [a, b] = segment.span;
        t.push(a);
        y.push(segment.y0.clone());
        let total = solution.segments.last().map_or(b, |s| s.span[1]) - solution.segments[0].span[0];
        let own = ((points as f64 * (b - a) / total).ceil() as usize).max(2);
        for k in 1..=own {
            let time = a + (b - a) * k as f64 / own as f64;
            if b > a {
                t.push(time);
                y.push(segment.solution.at(time)?);
            }
        }
    }
    Ok((t, y))
}

fn bouncing_ball(session: &mut Session) -> Result<()> {
    let (g, e, h) = (9.81, 0.75, 2.0f64);
    let first = (2.0 * h / g).sqrt();
    let limit = first * (1.0 + e) / (1.0 - e);
    session.say("A ball dropped from 2 m, restitution 0.75")?;
    let wanted: Vec<f64> =
        (0..200).map(|k| first * (1.0 + 2.0 * (1..=k).map(|j| f64::powi(e, j)).sum::<f64>())).collect();
    let count = if session.common.quick { 8 } else { 20 };
    let problem =
        Problem { y0: &[h, 0.0], span: [0.0, 0.5 * (wanted[count - 1] + wanted[count])], theta: &[g, e] };
    let (solution, seconds) = dense(&Generic(BouncingBall), &BouncingBall, &problem)?;
    report(session, "bouncing_ball", &solution, &wanted, seconds)?;
    let (t, y) = sampled(&solution, 600)?;
    let height: Vec<f64> = y.iter().map(|y| y[0]).collect();
    let speed: Vec<f64> = y.iter().map(|y| y[1]).collect();
    session.curves("bouncing_ball", &[("t", &t[..]), ("h", &height[..]), ("v", &speed[..])])?;
    #[cfg(feature = "plot")]
    session.picture("bouncing_ball", &pictures::ball(&t, [&height, &speed], &solution)?)?;
    // Beyond the limit there is no solution with bounces: the solve must say so.
    let beyond = Problem { span: [0.0, limit + 1.0], ..problem };
    match dense(&Generic(BouncingBall), &BouncingBall, &beyond) {
        Ok(_) => {
            Err(Error::invalid("the solve past the last bounce", "finished", "it must report the chattering"))
        }
        Err(error) => session.say(format!(
            "To t = {:.2}, past all bounces (they end at {limit:.6}):\n  {error}\n",
            limit + 1.0
        )),
    }
}

fn thermostat(session: &mut Session) -> Result<()> {
    let [k, out, q, low, high] = [0.3f64, 5.0, 6.0, 19.0, 21.0];
    session.say("A room heated between 19 °C and 21 °C, 5 °C outside (hours)")?;
    let hot = out + q / k;
    let [on, off] = [((hot - low) / (hot - high)).ln() / k, ((high - out) / (low - out)).ln() / k];
    let mut wanted = vec![((hot - 15.0) / (hot - high)).ln() / k];
    for i in 0..200 {
        wanted.push(wanted[i] + if i % 2 == 0 { off } else { on });
    }
    let end = if session.common.quick { 8.0 } else { 12.0 };
    let theta = [k, out, q, low, high, 1.0];
    let problem = Problem { y0: &[15.0], span: [0.0, end], theta: &theta };
    let (solution, seconds) = dense(&Generic(Thermostat), &Thermostat, &problem)?;
    report(session, "thermostat", &solution, &wanted, seconds)?;
    session.say("")?;
    let (t, y) = sampled(&solution, 600)?;
    let temperature: Vec<f64> = y.iter().map(|y| y[0]).collect();
    session.curves("thermostat", &[("t", &t[..]), ("temperature", &temperature[..])])?;
    #[cfg(feature = "plot")]
    session.picture("thermostat", &pictures::thermostat(&t, &temperature, &solution)?)?;
    Ok(())
}

/// Absorption and elimination per hour.
const RATES: [f64; 2] = [1.1, 0.12];
/// The level that is wanted (mg), from this time on (h), to this one.
const TARGET: (f64, f64, f64) = (250.0, 24.0, 72.0);

/// What a dose a day costs, in units of the mean square distance.
const BURDEN: f64 = 0.002;

fn dosing(session: &mut Session) -> Result<()> {
    let iterations = if session.common.quick { 150 } else { 400 };
    session.say(format!(
        "A drug taken regularly: dose and period fitted so that from {} h on its level is {} mg",
        TARGET.1, TARGET.0
    ))?;
    let f = Generic(Dosing);
    let field = Warp::new(&f);
    let mut adjoint = EventAdjoint::new(&field, &Tsit5, Memory::Unlimited, EventOptions::default());
    let times: Vec<f64> = (0..=96).map(|i| TARGET.1 + (TARGET.2 - TARGET.1) * f64::from(i) / 96.0).collect();
    let options = Options::tol(1e-7, 1e-7).save(Save::At(times.clone()));
    // Logarithms of the dose and of the period.
    let start = [100.0f64, 9.0];
    let mut logs = start.map(f64::ln).to_vec();
    let theta_of = |logs: &[f64]| [RATES[0], RATES[1], logs[0].exp(), 0.0, logs[1].exp()];
    let mut layout = Layout::new();
    layout.push("log dose and log period", &[2], Role::Bias { fan_in: 1 })?;
    let mut optimizer = Optimizer::new(Rule::adam(), Schedule::Constant(0.02), layout)?;
    let mut losses = Vec::new();
    let (_, seconds) = timed(|| {
        for _ in 0..iterations {
            let theta = theta_of(&logs);
            let problem = Problem { y0: &[0.0, 0.0], span: [0.0, TARGET.2], theta: &theta };
            let loss = adjoint.value_and_gradient(&Dosing, &problem, &options, |s, bar| {
                let mut sum = 0.0;
                let n = times.len() as f64;
                for (y, bar) in s.y.chunks_exact(2).zip(bar.y.chunks_exact_mut(2)) {
                    let off = y[1] / TARGET.0 - 1.0;
                    sum += off * off / n;
                    bar[1] = 2.0 * off / TARGET.0 / n;
                }
                Ok(sum)
            })?;
            // Every dose is a burden: without it the best period is 0.
            let burden = BURDEN * 24.0 / theta[4];
            losses.push(loss + burden);
            let g = adjoint.theta_gradient();
            optimizer.step(&mut logs, &[g[2] * theta[2], g[4] * theta[4] - burden])?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&["", "dose (mg)", "period (h)", "loss"]);
    let last = losses.last().copied().unwrap_or(f64::NAN);
    let fitted = theta_of(&logs);
    table.row([
        "start".into(),
        format!("{:.1}", start[0]),
        format!("{:.2}", start[1]),
        format!("{:.3e}", losses[0]),
    ]);
    table.row([
        "fitted".into(),
        format!("{:.1}", fitted[2]),
        format!("{:.2}", fitted[4]),
        format!("{last:.3e}"),
    ]);
    session.say(format!("{table}\n{iterations} gradients in {seconds:.2} s"))?;
    let run = |theta: &[f64]| {
        let problem = Problem { y0: &[0.0, 0.0], span: [0.0, TARGET.2], theta };
        dense(&f, &Dosing, &problem)
    };
    let ((before, _), (after, predict_s)) = (run(&theta_of(&start.map(f64::ln)))?, run(&fitted)?);
    let (nfe, accepted, rejected) = (after.stats.nfe, after.stats.accepted, after.stats.rejected);
    let seed = session.common.seed;
    session.record(Row {
        method: "dosing".into(),
        seed,
        loss: Some(last),
        nfe,
        accepted,
        rejected,
        train_s: seconds,
        predict_s,
    });
    let level = |s: &EventSolution<f64>| -> Result<(Vec<f64>, Vec<f64>)> {
        let (t, y) = sampled(s, 800)?;
        Ok((t, y.iter().map(|y| y[1]).collect()))
    };
    let (before, after) = (level(&before)?, level(&after)?);
    session.curves("dosing", &[("t", &after.0[..]), ("level", &after.1[..])])?;
    session.curves("dosing_losses", &[("loss", &losses[..])])?;
    #[cfg(feature = "plot")]
    session.picture("dosing", &pictures::dosing([&before, &after], &losses, TARGET)?)?;
    #[cfg(not(feature = "plot"))]
    drop(before);
    Ok(())
}
