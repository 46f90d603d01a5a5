//! One training: mean −ln p of fresh samples plus λR, through the discrete adjoint.

use crate::common::timed;
use crate::data::Shape;
use crate::method::Method;
use crate::weights::schedule;
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dataset::Batches;
use odeon::integrate::{Options, Penalty, Problem};
use odeon::model::{Flow, Trace};
use odeon::nn::{Activation, Clip, Network, Optimizer, Rule, Schedule};
use odeon::ode::ExplicitStepper;
use odeon::ode::tableaux::Tsit5;
use odeon::regularise::LambdaSchedule;
use odeon::train::{Batch, Evaluation, Objective, Record, Settings, Trainer};

/// Single precision: the tolerances are far above its resolution.
pub type Real = f32;

/// What all runs have in common.
#[derive(Clone, Debug)]
pub struct Plan {
    pub shape: Shape,
    pub iterations: u64,
    pub batch: usize,
    pub rate: f64,
    pub width: usize,
    pub depth: usize,
    pub tol: f64,
    pub test: usize,
}

/// One flow to be trained.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub method: Method,
    pub lambda: [f64; 2],
    pub seed: u64,
}

/// A trained flow.
#[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
pub struct Trained {
    pub task: Task,
    pub flow: Flow<Real>,
    pub theta: Vec<Real>,
    pub records: Vec<Record>,
    pub train_s: f64,
    pub predict_s: f64,
    /// Mean −ln p of the test points, in nats.
    pub nll: f64,
    pub nfe: usize,
    pub accepted: usize,
    pub rejected: usize,
}

/// Gradients are cut to this norm.
const CLIP: f64 = 5.0;
/// Seed of the test points, far from those of the batches.
const TEST: u64 = 1 << 40;
/// Test points that are solved together.
const CHUNK: usize = 512;

impl Plan {
    /// 2 → `depth` layers of `width` tanh units → 2, each with the time as a further input.
    pub fn network(&self) -> Result<Network> {
        let mut builder = Network::builder(2);
        for _ in 0..self.depth {
            builder = builder.concat_time().dense(self.width).activation(Activation::Tanh);
        }
        builder.concat_time().dense(2).build()
    }

    pub fn options(&self) -> Options<Real> {
        Options::tol(self.tol as Real, self.tol as Real)
    }
}

struct Fit<'a> {
    flow: &'a Flow<Real>,
    plan: &'a Plan,
    task: Task,
    adjoint: DiscreteAdjoint<Real, ExplicitStepper<'a, Real, Flow<Real>>>,
    options: Options<Real>,
    penalty: Option<Box<dyn Penalty<Real>>>,
    lambda: LambdaSchedule,
    y0: Vec<Real>,
}

impl Objective<Real> for Fit<'_> {
    fn evaluate(&mut self, batch: &Batch<'_>, theta: &[Real], gradient: &mut [Real]) -> Result<Evaluation> {
        let lambda = self.lambda.at(usize::try_from(batch.iteration).unwrap_or(usize::MAX))?;
        let x: Vec<Real> = self.plan.shape.draw((self.task.seed << 24) + batch.iteration, self.plan.batch);
        self.flow.start(&x, &mut self.y0)?;
        let problem = Problem { y0: &self.y0, span: self.flow.span(), theta };
        let weight = lambda as Real;
        let own = if self.task.method == Method::Rnode { weight } else { 0.0 };
        let (mut nll, mut collected) = (0.0, 0.0);
        let mut penalties: Vec<Weighted<'_, Real>> =
            self.penalty.iter_mut().map(|p| Weighted { weight, penalty: &mut **p }).collect();
        let value =
            self.adjoint.value_and_gradient(&problem, &self.options, &mut penalties, |solution, bar| {
                let loss = self.flow.loss(solution.last(), [own; 2], bar)?;
                (nll, collected) = (loss.nll, loss.kinetic + loss.jacobian);
                Ok(nll + own * collected)
            })?;
        gradient.copy_from_slice(self.adjoint.theta_gradient());
        let stats = &self.adjoint.solution().stats;
        Ok(Evaluation {
            loss: f64::from(nll),
            penalty: f64::from(value.penalties.first().copied().unwrap_or(collected)),
            lambda,
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
        })
    }
}

impl Task {
    /// Trains, then measures on the test points.
    pub fn train(self, plan: &Plan) -> Result<Trained> {
        let network = plan.network()?;
        let layout = network.layout().clone();
        let mut theta: Vec<Real> = network.init(Default::default(), self.seed)?;
        let plain = Flow::new(network, Trace::Exact, 1.0)?;
        let flow = if self.method == Method::Rnode { plain.clone().regularised() } else { plain.clone() };
        let rate = Schedule::Cosine { initial: plan.rate, last: 0.01 * plan.rate, over: plan.iterations };
        let mut optimizer = Optimizer::new(Rule::adam(), rate, layout)?;
        let options = plan.options();
        let mut fit = Fit {
            flow: &flow,
            plan,
            task: self,
            adjoint: DiscreteAdjoint::new(ExplicitStepper::new(&flow, &Tsit5, plan.batch), Memory::Unlimited),
            options: Options { norm: flow.norm(&options.norm), ..options },
            penalty: self.method.penalty(),
            lambda: schedule(self.lambda, plan.iterations)?,
            y0: Vec::new(),
        };
        let settings =
            Settings { clip: Some(Clip::Norm(CLIP)), progress: false, ..Settings::new(plan.iterations) };
        let batches = Batches::new(plan.batch, plan.batch)?;
        let (outcome, train_s) =
            timed(|| Trainer::new(&mut fit, &mut optimizer, batches, settings)?.run(&mut theta))?;
        drop(fit);
        let x: Vec<Real> = plan.shape.draw(TEST + self.seed, plan.test);
        let (mut nll, mut counts, mut solves) = (0.0, [0; 3], 0);
        let (_, predict_s) = timed(|| {
            for chunk in x.chunks(2 * CHUNK) {
                let (log_p, stats) = plain.log_likelihood(&Tsit5, &theta, chunk, &plan.options())?;
                nll -= log_p.iter().map(|p| f64::from(*p)).sum::<f64>();
                counts = [counts[0] + stats.nfe, counts[1] + stats.accepted, counts[2] + stats.rejected];
                solves += 1;
            }
            Ok(())
        })?;
        let [nfe, accepted, rejected] = counts.map(|c| (c as f64 / solves as f64).round() as usize);
        Ok(Trained {
            task: self,
            flow: plain,
            theta,
            records: outcome.records,
            train_s,
            predict_s: predict_s / solves as f64,
            nll: nll / plan.test as f64,
            nfe,
            accepted,
            rejected,
        })
    }
}
