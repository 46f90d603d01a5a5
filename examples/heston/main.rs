//! Heston's stock and its variance, and the strong and weak errors of the stochastic methods.
//!
//!     cargo run --release --example heston

#[path = "../common/mod.rs"]
mod common;
mod orders;
#[cfg(feature = "plot")]
mod pictures;

use clap::Parser;
use common::{Common, Row, Session, timed};
use odeon::integrate::{Options, Problem};
use odeon::ode::Ensemble;
use odeon::sde::noise::FixedGrid;
use odeon::sde::problems::Heston;
use odeon::sde::{solve_paths, tableaux::EulerMaruyama};
use odeon::{Error, Result};
use std::process::ExitCode;

/// Heston's model: paths, moments against the exact ones, an option's price; strong and weak orders.
///
/// Simulates dS = μS dt + √v S dW₁, dv = κ(ϑ − v) dt + ξ√v dW₂ by Euler–Maruyama with full truncation, each path on
/// noise of its own, over the threads; compares E S, E v and Var v with their formulas and prices a European call.
/// Then measures strong and weak errors of the methods on geometric Brownian motion against the exact solution
/// on the same paths. The rows of the table are ways of solving; nothing is trained.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Paths of the simulation [default: 100000, with --quick 4000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    paths: Option<u32>,

    /// Steps to t = 1
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(50..=100_000))]
    steps: u32,

    /// Correlation of price and variance
    #[arg(long, value_name = "RHO", default_value_t = -0.6, allow_negative_numbers = true)]
    rho: f64,

    /// Volatility of the variance
    #[arg(long, value_name = "XI", default_value_t = 0.25)]
    xi: f64,

    /// Strike of the call, as a multiple of the price today
    #[arg(long, value_name = "K", default_value_t = 1.0)]
    strike: f64,
}

/// Times of the pictures.
const SAVED: u32 = 50;
/// Paths that share the steps of a block.
const BLOCK: usize = 500;

/// What the simulation gave.
pub struct Simulation {
    pub t: Vec<f64>,
    /// The price's and the variance's quantiles at each time.
    pub quantiles: [[Vec<f64>; 3]; 2],
    /// A few paths of each.
    pub shown: [Vec<Vec<f64>>; 2],
    pub theta: [f64; 5],
}

fn main() -> ExitCode {
    common::run("heston", |a: &Arguments| &a.common, heston)
}

fn heston(arguments: &Arguments, session: &mut Session) -> Result<()> {
    for (what, given, low, high) in [
        ("--rho", arguments.rho, -1.0, 1.0),
        ("--xi", arguments.xi, 0.0, 10.0),
        ("--strike", arguments.strike, 0.0, 1e6),
    ] {
        if !(low..=high).contains(&given) {
            return Err(Error::invalid(what, given, format!("it must lie in [{low}, {high}]")));
        }
    }
    let simulation = simulate(arguments, session)?;
    simulation.curves(session)?;
    let orders = orders::measure(session)?;
    orders.curves(session)?;
    #[cfg(feature = "plot")]
    pictures::draw(session, &simulation, &orders)?;
    Ok(())
}

fn simulate(arguments: &Arguments, session: &mut Session) -> Result<Simulation> {
    let quick = session.common.quick;
    let count = arguments.paths.unwrap_or(if quick { 4000 } else { 100_000 }) as usize;
    let steps = arguments.steps.next_multiple_of(SAVED);
    let [a, b] = Heston::factors(arguments.xi, arguments.rho);
    let [mu, kappa, level, ..] = Heston::THETA;
    let theta = [mu, kappa, level, a, b];
    let seed = session.common.seed;
    let t: Vec<f64> = (0..=SAVED).map(|i| f64::from(i) / f64::from(SAVED)).collect();
    let noise = |paths: std::ops::Range<usize>| {
        FixedGrid::new(seed, [0.0, 1.0], steps as usize, 2, paths.len())?.paths_from(paths.start)
    };
    let y0 = Heston::Y0.repeat(count);
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let options = Options::fixed(1.0 / f64::from(steps)).save_at(t.clone());
    let (paths, seconds) =
        timed(|| solve_paths(&Heston::sde(), &EulerMaruyama, noise, &problem, &options, BLOCK))?;
    if let Some((path, error)) = paths.failures.first() {
        session.say(format!("{} paths failed, the first of them {path}: {error}", paths.failures.len()))?;
    }
    session.record(Row {
        method: format!("Heston, {count} paths"),
        seed,
        nfe: steps as usize,
        accepted: steps as usize,
        predict_s: seconds,
        ..Row::default()
    });
    moments(&paths, count, &theta, session)?;
    price(&paths, count, arguments.strike, mu, session)?;
    let quantiles = [0, 1].map(|row| quantiles(&paths, count, row));
    let shown = [0, 1].map(|row| {
        let path = |i: usize| paths.trajectory(i).iter().skip(row).step_by(2).copied().collect();
        (0..8.min(count)).map(path).collect()
    });
    Ok(Simulation { t, quantiles, shown, theta })
}

impl Simulation {
    /// The quantiles, the exact means and a few paths.
    fn curves(&self, session: &mut Session) -> Result<()> {
        let [[low, middle, high], [v_low, v_middle, v_high]] = &self.quantiles;
        let exact = |row: usize| self.exact_mean(row);
        session.curves(
            "quantiles",
            &[
                ("t", &self.t),
                ("s_10", low),
                ("s_50", middle),
                ("s_90", high),
                ("s_mean", &exact(0)),
                ("v_10", v_low),
                ("v_50", v_middle),
                ("v_90", v_high),
                ("v_mean", &exact(1)),
            ],
        )?;
        for (name, paths) in ["prices", "variances"].into_iter().zip(&self.shown) {
            let names: Vec<String> = (0..paths.len()).map(|i| format!("path_{i}")).collect();
            let columns = names.iter().zip(paths).map(|(name, path)| (&name[..], &path[..]));
            session.curves(name, &[("t", &self.t[..])].into_iter().chain(columns).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// The exact mean of a row at each saved time.
    pub fn exact_mean(&self, row: usize) -> Vec<f64> {
        self.t.iter().map(|&t| Heston::mean(self.theta, Heston::Y0, t)[row]).collect()
    }
}

/// The end of row `row` on every path.
fn ends(paths: &Ensemble<f64>, count: usize, row: usize) -> impl Iterator<Item = f64> + '_ {
    (0..count).map(move |i| paths.trajectory(i)[2 * SAVED as usize + row])
}

/// Mean and standard error.
pub fn mean(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (n, sum, square) = values.fold((0.0, 0.0, 0.0), |(n, s, q), v| (n + 1.0, s + v, q + v * v));
    let mean = sum / n;
    [mean, ((square / n - mean * mean).max(0.0) / n).sqrt()]
}

fn moments(paths: &Ensemble<f64>, count: usize, theta: &[f64; 5], session: &Session) -> Result<()> {
    let [s, v] = Heston::mean(*theta, Heston::Y0, 1.0);
    let spread = Heston::variance_of_variance(*theta, Heston::Y0[1], 1.0);
    let rows = [
        ("E S(1)", mean(ends(paths, count, 0)), s),
        ("E v(1)", mean(ends(paths, count, 1)), v),
        ("Var v(1)", mean(ends(paths, count, 1).map(|x| (x - v).powi(2))), spread),
    ];
    let mut table =
        common::Table::new(&["moment", "simulated", "± standard error", "exact", "off by (s.e.)"]);
    for (name, [found, error], exact) in rows {
        table.row([
            name.to_string(),
            format!("{found:.6}"),
            format!("{error:.1e}"),
            format!("{exact:.6}"),
            format!("{:+.2}", (found - exact) / error),
        ]);
    }
    session.say(format!("{table}"))
}

fn price(paths: &Ensemble<f64>, count: usize, strike: f64, rate: f64, session: &Session) -> Result<()> {
    let payoff = |s: f64| (-rate).exp() * (s - strike).max(0.0);
    let [call, error] = mean(ends(paths, count, 0).map(payoff));
    session.say(format!("European call, strike {strike}, one year: {call:.5} ± {error:.5}\n"))
}

/// The 10 %, 50 % and 90 % quantiles of a row at each saved time.
fn quantiles(paths: &Ensemble<f64>, count: usize, row: usize) -> [Vec<f64>; 3] {
    let mut all: [Vec<f64>; 3] = Default::default();
    for time in 0..=SAVED as usize {
        let mut values: Vec<f64> = (0..count).map(|i| paths.trajectory(i)[2 * time + row]).collect();
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        for (list, q) in all.iter_mut().zip([0.1, 0.5, 0.9]) {
            let place = (q * (values.len().max(1) - 1) as f64).round() as usize;
            list.push(values.get(place).copied().unwrap_or(f64::NAN));
        }
    }
    all
}
