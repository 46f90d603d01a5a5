//! Lynx and hare: a classical, a hybrid and a neural differential equation fitted to the pelts
//! traded by the Hudson's Bay Company up to 1914, and what they forecast.
//!
//!     cargo run --release --example lynx_hare

#[path = "../common/mod.rs"]
mod common;
mod data;
mod fit;
mod forecast;
mod models;
#[cfg(feature = "plot")]
mod pictures;

use clap::Parser;
use common::{Common, Session};
use data::Pelts;
use fit::{Fitted, Plan};
use forecast::Forecast;
use odeon::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Lynx and hare: neural, hybrid and classical models of the pelts of 1900–1920.
///
/// Three right-hand sides for u = ln(population), so that populations stay positive:
/// Lotka–Volterra (4 rates), Lotka–Volterra plus a network (a universal differential equation), and
/// a network alone. Each is fitted to the years up to 1914 through the discrete adjoint, the initial
/// state being a parameter, and forecasts the rest. The two with networks are trained from several
/// seeds. Nothing about the forecast years is used in training.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// CSV file with columns year, lynx, hare [default: the one that comes with the repository]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// Last year of the fit; later years are forecast
    #[arg(long, value_name = "YEAR", default_value_t = 1914.0)]
    until: f64,

    /// Networks trained from different seeds [default: 5, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: Option<u64>,

    /// Optimiser steps of each fit [default: 3000, with --quick 400]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    iterations: Option<u64>,

    /// Weight of the squared parameters of a network in the loss
    #[arg(long, value_name = "WEIGHT", default_value_t = 1e-3, allow_negative_numbers = true)]
    ridge: f64,
}

fn main() -> ExitCode {
    common::run("lynx_hare", |a: &Arguments| &a.common, lynx_hare)
}

fn lynx_hare(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, seed) = (session.common.quick, session.common.seed);
    let runs = arguments.runs.unwrap_or(if quick { 1 } else { 5 });
    let iterations = arguments.iterations.unwrap_or(if quick { 400 } else { 3000 });
    let path = arguments.data.clone().unwrap_or_else(data::path);
    let pelts = Pelts::read(&path, arguments.until)?;
    session.say(format!(
        "{} years fitted ({}–{}), {} forecast",
        pelts.fitted,
        pelts.year[0],
        arguments.until,
        pelts.year.len() - pelts.fitted
    ))?;

    let plan = Plan::new(iterations, arguments.ridge)?;
    let mut forecasts = Vec::new();
    let classical = models::classical(&pelts, &plan)?;
    forecasts.push(Forecast::new(&classical, &pelts, session)?);
    for run in seed..seed + runs {
        let hybrid = models::hybrid(&pelts, &plan, &classical, run)?;
        forecasts.push(Forecast::new(&hybrid, &pelts, session)?);
    }
    for run in seed..seed + runs {
        let neural = models::neural(&pelts, &plan, run)?;
        forecasts.push(Forecast::new(&neural, &pelts, session)?);
    }
    forecast::report(&forecasts, session)?;
    forecast::losses(&forecasts, session)?;
    #[cfg(feature = "plot")]
    pictures::draw(&forecasts, &pelts, session)?;
    Ok(())
}
