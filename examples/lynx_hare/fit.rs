//! One way to fit them all: mean squared logarithmic error over a growing number of years, through
//! the discrete adjoint.

use crate::common::timed;
use crate::data::Pelts;
use crate::models::RATES;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dataset::Batches;
use odeon::dynamics::Dynamics;
use odeon::integrate::{Options, Problem, Save, Solution};
use odeon::nn::{Clip, Layout, Loss, Optimizer, Reduction, Role, Rule, Schedule};
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, solve};
use odeon::train::{Batch, Evaluation, Objective, Settings, Trainer};
use odeon::{Error, Result};
use std::ops::Range;

/// How long and how to train.
pub struct Plan {
    iterations: u64,
    /// Weight of the squared weights and biases of a network in the loss.
    pub ridge: f64,
    /// Learning rate at the start and the end (cosine).
    rate: (f64, f64),
    /// Part of the iterations over which the fitted years grow from the first [`YEARS`] to all.
    growth: f64,
}

/// Years fitted at first: long fits from a bad start are rough, short ones are not.
const YEARS: usize = 4;
/// Gradients are cut to this norm.
const CLIP: f64 = 1.0;
/// Tolerance of the solves.
const TOL: f64 = 1e-6;

impl Plan {
    /// The plan all models follow.
    ///
    /// # Errors
    /// A ridge that is negative or not finite.
    pub fn new(iterations: u64, ridge: f64) -> Result<Self> {
        if !(ridge >= 0.0 && ridge.is_finite()) {
            let needed = "it weighs squared parameters in the loss and must be finite and ≥ 0";
            return Err(Error::invalid("--ridge", ridge, needed));
        }
        Ok(Self { iterations, ridge, rate: (0.02, 2e-4), growth: 0.4 })
    }

    /// Years fitted in iteration `k`, of `all`.
    fn years(&self, k: u64, all: usize) -> usize {
        let part = k as f64 / (self.growth * self.iterations as f64).max(1.0);
        let more = (part * (all + 1 - YEARS) as f64) as usize;
        (YEARS + more).min(all)
    }
}

/// A model before its fit.
pub struct Model<D> {
    pub name: &'static str,
    pub dynamics: D,
    pub layout: Layout,
    pub theta: Vec<f64>,
    /// Initial state.
    pub start: Vec<f64>,
    /// [`Plan::ridge`], or 0 without a network.
    pub ridge: f64,
    pub seed: u64,
}

/// A model after its fit.
pub struct Fitted {
    pub name: &'static str,
    pub seed: u64,
    pub theta: Vec<f64>,
    pub start: Vec<f64>,
    /// Training loss in each iteration.
    pub losses: Vec<f64>,
    pub train_s: f64,
    /// The populations, 48 times a year, from the first year to the last.
    pub curve: Solution<f64>,
    /// The populations in the years of the data.
    pub yearly: Vec<f64>,
    pub predict_s: f64,
}

impl<D: Dynamics<f64>> Model<D> {
    /// Trains parameters and initial state, then predicts.
    pub fn fit(self, pelts: &Pelts, plan: &Plan) -> Result<Fitted> {
        let mut layout = Layout::new();
        layout.append("", &self.layout)?;
        layout.push("start", &[2], Role::Shift)?;
        let mut params = [&self.theta[..], &self.start].concat();
        let schedule = Schedule::Cosine { initial: plan.rate.0, last: plan.rate.1, over: plan.iterations };
        let mut optimizer = Optimizer::new(Rule::adam(), schedule, layout)?;
        let time = pelts.time();
        let mut objective = Fit {
            adjoint: DiscreteAdjoint::new(ExplicitStepper::new(&self.dynamics, &Tsit5, 1), Memory::Unlimited),
            network: network(&self.layout),
            time: &time,
            data: &pelts.log,
            fitted: pelts.fitted,
            plan,
            ridge: self.ridge,
        };
        let settings = Settings { clip: Some(Clip::Norm(CLIP)), ..Settings::new(plan.iterations) };
        let batches = Batches::new(pelts.fitted, pelts.fitted)?;
        let (outcome, train_s) =
            timed(|| Trainer::new(&mut objective, &mut optimizer, batches, settings)?.run(&mut params))?;
        let (theta, start) = params.split_at(self.theta.len());
        let problem = Problem { y0: start, span: [0.0, time[time.len() - 1]], theta };
        let predict = |times: Vec<f64>| -> Result<Solution<f64>> {
            let options = Options::tol(TOL, TOL).save(Save::At(times));
            Ok(solve(&self.dynamics, &Tsit5, &problem, &options)?)
        };
        let points = (48.0 * time[time.len() - 1]).round() as usize;
        let end = time[time.len() - 1];
        let curve = predict((0..=points).map(|i| end * i as f64 / points as f64).collect())?;
        let (yearly, predict_s) = timed(|| predict(time.clone()))?;
        Ok(Fitted {
            name: self.name,
            seed: self.seed,
            theta: theta.to_vec(),
            start: start.to_vec(),
            losses: outcome.records.iter().map(|r| r.loss).collect(),
            train_s,
            curve,
            yearly: yearly.y,
            predict_s,
        })
    }
}

/// A model's name in file names and JSON.
pub fn file_name(name: &str) -> String {
    name.replace([' ', '–'], "_").to_lowercase()
}

/// Where the network's parameters lie: behind the rates, if there are any.
fn network(layout: &Layout) -> Range<usize> {
    let rates = layout.get(RATES).map_or(0, |e| e.range().end);
    rates..layout.len()
}

/// The training loss: mean squared error of the logarithms, plus ridge · |network's parameters|².
struct Fit<'a, D: Dynamics<f64>> {
    adjoint: DiscreteAdjoint<f64, ExplicitStepper<'a, f64, D>>,
    /// The network's place in θ.
    network: Range<usize>,
    time: &'a [f64],
    data: &'a [f64],
    fitted: usize,
    plan: &'a Plan,
    ridge: f64,
}

impl<D: Dynamics<f64>> Objective<f64> for Fit<'_, D> {
    fn evaluate(&mut self, batch: &Batch<'_>, params: &[f64], gradient: &mut [f64]) -> Result<Evaluation> {
        let years = self.plan.years(batch.iteration, self.fitted);
        let (theta, start) = params
            .split_at_checked(params.len().saturating_sub(2))
            .ok_or_else(|| Error::invalid("params", params.len(), "they end with the initial state"))?;
        let problem = Problem { y0: start, span: [0.0, self.time[years - 1]], theta };
        let options = Options::tol(TOL, TOL).save_at(&self.time[..years]);
        let target = &self.data[..2 * years];
        let value = self.adjoint.value_and_gradient(&problem, &options, &mut [], |solution, bar| {
            Loss::Mse.value_and_cotangent(&solution.y, target, Reduction::Mean, bar)
        })?;
        let (theta_bar, start_bar) = gradient.split_at_mut(theta.len());
        theta_bar.copy_from_slice(self.adjoint.theta_gradient());
        start_bar.copy_from_slice(self.adjoint.y0_gradient());
        let network = &theta[self.network.clone()];
        for (bar, w) in theta_bar[self.network.clone()].iter_mut().zip(network) {
            *bar += 2.0 * self.ridge * w;
        }
        let statistics = &self.adjoint.solution().stats;
        Ok(Evaluation {
            loss: value.loss,
            penalty: network.iter().map(|w| w * w).sum(),
            lambda: self.ridge,
            nfe: statistics.nfe,
            accepted: statistics.accepted,
            rejected: statistics.rejected,
        })
    }
}
