//! A heuristic of one's own: its value and pullback in ten lines, checked against finite
//! differences, then used as a penalty. Here it is the acceleration of the solution, whose penalty
//! straightens the paths of a learnt map, so that the solver needs fewer steps.
//!
//!     cargo run --release --example custom_heuristic

#[path = "common/mod.rs"]
mod common;

use clap::Parser;
use common::{Common, Row, Session, Table, timed};
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dataset::Batches;
use odeon::integrate::{Heuristic, Observer, Options, Problem, Save, Solution, StepCotangent, StepView};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Initializer, Loss, Network, Optimizer, Reduction, Rule, Schedule};
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, Solver};
use odeon::regularise::{Global, check_heuristic};
use odeon::train::{Batch, Evaluation, Settings, Trainer};
use std::f64::consts::TAU;
use std::process::ExitCode;

/// Mean square of (k_7 − k_1)/h: how much the velocity changes over a step, per unit of time. Summed
/// over the steps with weight |h| it approximates ∫ |y″|²/n dt.
struct Acceleration;

impl Heuristic<f64> for Acceleration {
    fn name(&self) -> &str {
        "acceleration"
    }

    fn value(&self, step: &StepView<'_, f64>, _: &mut [f64]) -> f64 {
        let change = step.stage(6).iter().zip(step.stage(0)).map(|(b, a)| (b - a) / step.h);
        change.map(|c| c * c).sum::<f64>() / step.len() as f64
    }

    fn pullback(&self, step: &StepView<'_, f64>, seed: f64, bar: &mut StepCotangent<'_, f64>) {
        let factor = 2.0 * seed / (step.h * step.h * step.len() as f64);
        for (i, (b, a)) in step.stage(6).iter().zip(step.stage(0)).enumerate() {
            bar.stage(6)[i] += factor * (b - a);
            bar.stage(0)[i] -= factor * (b - a);
        }
    }
}

/// A user's own heuristic: the acceleration of the solution, checked and used as a penalty.
///
/// A neural ODE (2 → 32 tanh → 2, with time, from large random weights) learns to turn a disc of points by a sixth of a circle
/// and move it. Only the end is prescribed, the way is free: penalising ∫ |y″|² dt makes the
/// paths straight and the solver's steps long. Test loss: mean squared error at points between the
/// training points.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Comma-separated weights of the penalty
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "0,1e-4,1e-3,1e-2,1e-1",
        allow_negative_numbers = true
    )]
    lambda: Vec<f64>,

    /// Optimiser steps of each training [default: 1500, with --quick 150]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    iterations: Option<u64>,

    /// Relative and absolute tolerance
    #[arg(long, value_name = "TOL", default_value_t = 1e-7, allow_negative_numbers = true)]
    tol: f64,
}

/// Large first weights make a rough field; plain training has no reason to smooth it.
const START: Initializer = Initializer::Normal { sigma: 1.0 };

/// Points before and after the map, `2 × n`.
struct Points {
    from: Vec<f64>,
    to: Vec<f64>,
}

impl Points {
    /// `rings` rings of 6, 12, 18, … points in the unit disc, turned by `offset` of a gap.
    fn disc(rings: usize, offset: f64) -> Self {
        let (mut from, mut to) = (Vec::new(), Vec::new());
        let (sin, cos) = (TAU / 6.0).sin_cos();
        for ring in 1..=rings {
            let radius = (ring as f64 - offset) / rings as f64;
            for i in 0..6 * ring {
                let angle = TAU * (i as f64 + offset) / (6 * ring) as f64;
                let [x, y] = [radius * angle.cos(), radius * angle.sin()];
                from.extend([x, y]);
                to.extend([2.0 + cos * x - sin * y, 0.5 + sin * x + cos * y]);
            }
        }
        Self { from, to }
    }

    fn count(&self) -> usize {
        self.from.len() / 2
    }

    fn problem<'a>(&'a self, theta: &'a [f64]) -> Problem<'a, f64> {
        Problem { y0: &self.from, span: [0.0, 1.0], theta }
    }
}

/// What one training came to.
struct Trained {
    lambda: f64,
    test: f64,
    /// R of the prediction.
    acceleration: f64,
    /// Training loss and NFE over the iterations.
    losses: Vec<f64>,
    nfe: Vec<f64>,
    row: Row,
    /// Some of the test points on their way.
    paths: Solution<f64>,
}

fn main() -> ExitCode {
    common::run("custom_heuristic", |a: &Arguments| &a.common, custom_heuristic)
}

fn custom_heuristic(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let iterations = arguments.iterations.unwrap_or(if session.common.quick { 150 } else { 1500 });
    let network = Network::builder(2)
        .concat_time()
        .dense(32)
        .activation(Activation::Tanh)
        .concat_time()
        .dense(2)
        .build()?;
    let model = NeuralOde::new(network)?;
    let options = Options::tol(arguments.tol, arguments.tol);
    let steps = check(&model, session.common.seed, &options)?;
    session.say(format!(
        "the pullback agrees with finite differences at {steps} steps (relative tolerance 1e-7)"
    ))?;
    let mut trained = Vec::new();
    for &lambda in &arguments.lambda {
        let run = train(&model, lambda, (iterations, &options), session.common.seed)?;
        session.record(run.row.clone());
        trained.push(run);
    }
    session.say(table(&trained))?;
    let names: Vec<String> = trained.iter().map(|t| format!("lambda {:e}", t.lambda)).collect();
    for (name, pick) in [("loss", (|t| &t.losses) as fn(&Trained) -> &Vec<f64>), ("nfe", |t| &t.nfe)] {
        let columns: Vec<(&str, &[f64])> =
            (names.iter().zip(&trained)).map(|(n, t)| (&n[..], &pick(t)[..])).collect();
        session.curves(name, &columns)?;
    }
    #[cfg(feature = "plot")]
    pictures::draw(&trained, session)?;
    Ok(())
}

/// Checks the pullback at every step of an untrained model's solve; returns their number.
fn check(model: &NeuralOde, seed: u64, options: &Options<f64>) -> Result<usize> {
    struct Checker(usize, Result<()>);
    impl Observer<f64> for Checker {
        fn accepted(&mut self, step: &StepView<'_, f64>) {
            if self.1.is_ok() {
                self.1 = check_heuristic(&Acceleration, step, 1e-7);
            }
            self.0 += 1;
        }
    }
    let points = Points::disc(1, 0.0);
    let theta = model.network().init(START, seed)?;
    let mut checker = Checker(0, Ok(()));
    let mut solver = Solver::new(model, &Tsit5, points.count());
    solver.observe(&points.problem(&theta), options, &mut checker)?;
    checker.1.map(|()| checker.0)
}

fn train(
    model: &NeuralOde,
    lambda: f64,
    (iterations, options): (u64, &Options<f64>),
    seed: u64,
) -> Result<Trained> {
    let (points, test) = (Points::disc(4, 0.0), Points::disc(4, 0.5));
    let mut theta = model.network().init(START, seed)?;
    let layout = model.network().layout().clone();
    let rate = Schedule::Cosine { initial: 0.02, last: 2e-4, over: iterations };
    let mut optimizer = Optimizer::new(Rule::adam(), rate, layout)?;
    let stepper = ExplicitStepper::new(model, &Tsit5, points.count());
    let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
    let mut penalty = Global::integral(Acceleration);
    let mut objective = |_: &Batch<'_>, theta: &[f64], gradient: &mut [f64]| {
        let penalties = &mut [Weighted { weight: lambda, penalty: &mut penalty }];
        let problem = points.problem(theta);
        let value = adjoint.value_and_gradient(&problem, options, penalties, |solution, bar| {
            Loss::Mse.value_and_cotangent(&solution.y, &points.to, Reduction::Mean, bar)
        })?;
        gradient.copy_from_slice(adjoint.theta_gradient());
        let stats = &adjoint.solution().stats;
        Ok(Evaluation {
            loss: value.loss,
            penalty: value.penalties[0],
            lambda,
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
        })
    };
    let settings = Settings { progress: false, ..Settings::new(iterations) };
    let batches = Batches::new(1, 1)?;
    let (outcome, train_s) =
        timed(|| Trainer::new(&mut objective, &mut optimizer, batches, settings)?.run(&mut theta))?;
    let records = &outcome.records;
    let losses = records.iter().map(|r| r.loss).collect();
    let nfe = records.iter().map(|r| r.nfe as f64).collect();
    predict(
        model,
        &test,
        &theta,
        options,
        Trained {
            lambda,
            test: f64::NAN,
            acceleration: f64::NAN,
            losses,
            nfe,
            row: Row { method: format!("λ = {lambda}"), seed, train_s, ..Row::default() },
            paths: Solution::default(),
        },
    )
}

/// Fills in what the trained model predicts.
fn predict(
    model: &NeuralOde,
    test: &Points,
    theta: &[f64],
    options: &Options<f64>,
    mut run: Trained,
) -> Result<Trained> {
    let stepper = ExplicitStepper::new(model, &Tsit5, test.count());
    let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
    let mut penalty = Global::integral(Acceleration);
    let value = adjoint.value_and_gradient(
        &test.problem(theta),
        options,
        &mut [Weighted { weight: 0.0, penalty: &mut penalty }],
        |solution, bar| Loss::Mse.value_and_cotangent(&solution.y, &test.to, Reduction::Mean, bar),
    )?;
    (run.test, run.acceleration) = (value.loss, value.penalties[0]);
    let mut solver = Solver::new(model, &Tsit5, test.count());
    let (stats, predict_s) = timed(|| Ok(solver.solve(&test.problem(theta), options)?.stats.clone()))?;
    run.row.loss = Some(run.test);
    (run.row.nfe, run.row.accepted, run.row.rejected) = (stats.nfe, stats.accepted, stats.rejected);
    run.row.predict_s = predict_s;
    let times: Vec<f64> = (0..=60).map(|i| f64::from(i) / 60.0).collect();
    let rim = Points::disc(2, 0.0);
    let mut solver = Solver::new(model, &Tsit5, rim.count());
    let options = options.clone().save(Save::At(times));
    run.paths = solver.solve(&rim.problem(theta), &options)?.clone();
    Ok(run)
}

fn table(trained: &[Trained]) -> Table {
    let mut table = Table::new(&["λ", "test loss", "∫|y″|²/n dt", "NFE", "× NFE"]);
    let first = trained.first().map_or(f64::NAN, |t| t.row.nfe as f64);
    for t in trained {
        table.row([
            format!("{:.0e}", t.lambda),
            format!("{:.2e}", t.test),
            format!("{:.3}", t.acceleration),
            t.row.nfe.to_string(),
            format!("{:.2}", t.row.nfe as f64 / first),
        ]);
    }
    table
}

#[cfg(feature = "plot")]
mod pictures {
    use super::{Session, Trained};
    use odeon::Result;
    use odeon::plot::{Color, Figure, Marker, Panel, Style, panels};

    /// The paths of the first and the last model, and NFE over the iterations.
    pub fn draw(trained: &[Trained], session: &mut Session) -> Result<()> {
        let ends = match trained {
            [] => return Ok(()),
            [only] => vec![only],
            [first, .., last] => vec![first, last],
        };
        let mut figure = Figure::new(800, 400)?.columns(2);
        for run in ends {
            figure = figure.with(paths(run)?);
        }
        session.picture("paths", &figure)?;
        let names: Vec<String> = trained.iter().map(|t| format!("λ = {}", t.lambda)).collect();
        let curves: Vec<(&str, &[f64])> =
            (names.iter().zip(trained)).map(|(n, t)| (&n[..], &t.nfe[..])).collect();
        let nfe = panels::nfe_curves("NFE while training", &curves)?;
        let losses: Vec<(&str, &[f64])> =
            (names.iter().zip(trained)).map(|(n, t)| (&n[..], &t.losses[..])).collect();
        let loss = panels::training_curves("Training loss", "mean squared error", &losses)?;
        session.picture("training", &Figure::new(800, 600)?.with(nfe).with(loss))
    }

    fn paths(run: &Trained) -> Result<Panel> {
        let mut panel = Panel::new(format!("λ = {}: {} NFE", run.lambda, run.row.nfe));
        panel.x_label("y₁").y_label("y₂");
        let n = run.paths.dim * run.paths.batch;
        let coordinate = |i: usize| -> Vec<f64> { run.paths.y.iter().skip(i).step_by(n).copied().collect() };
        let (mut starts, mut ends) = ((vec![], vec![]), (vec![], vec![]));
        for i in (0..n).step_by(2) {
            let (x, y) = (coordinate(i), coordinate(i + 1));
            panel.line(&x, &y, Style::default().color(Color::Sky).size(1.1))?;
            for (list, at) in [(&mut starts, 0), (&mut ends, x.len() - 1)] {
                list.0.push(x[at]);
                list.1.push(y[at]);
            }
        }
        let style = Style::new("t = 0").color(Color::Blue).size(5.5);
        panel.points(&starts.0, &starts.1, style)?;
        let style = Style::new("t = 1").color(Color::Vermillion).marker(Marker::Square);
        panel.points(&ends.0, &ends.1, style.size(5.5))?;
        Ok(panel)
    }
}
