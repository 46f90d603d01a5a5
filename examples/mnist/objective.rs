//! Loss and gradient of a mini-batch, and the loss on the test set.

use crate::common::timed;
use crate::digits::Digits;
use crate::model::Model;
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::integrate::{BelowResolution, Options, Penalty, Problem};
use odeon::model::NeuralOde;
use odeon::nn::{CrossEntropy, Reduction, Scratch};
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, Solver};
use odeon::regularise::LambdaSchedule;
use odeon::train::{Batch, Evaluation, Objective};
use odeon::{Error, Result};

/// Time runs from 0 to 1.
const SPAN: [f32; 2] = [0.0, 1.0];

/// Options of every solve; tolerances below what f32 resolves are allowed, and said.
pub fn options(tol: f32) -> Options<f32> {
    Options { below_resolution: BelowResolution::Warn, ..Options::tol(tol, tol) }
}

/// The training loss on mini-batches of one size.
pub struct Classify<'a> {
    model: &'a Model,
    data: &'a Digits,
    options: Options<f32>,
    adjoint: DiscreteAdjoint<f32, ExplicitStepper<'a, f32, NeuralOde>>,
    loss: CrossEntropy,
    penalty: Option<Box<dyn Penalty<f32>>>,
    lambda: LambdaSchedule,
    scratch: Scratch<f32>,
    images: Vec<f32>,
    labels: Vec<usize>,
    logits: Vec<f32>,
    logits_bar: Vec<f32>,
    end_bar: Vec<f32>,
}

impl<'a> Classify<'a> {
    /// For batches of `batch` images.
    pub fn new(
        model: &'a Model,
        data: &'a Digits,
        (batch, tol, memory): (usize, f32, Memory),
        penalty: Option<Box<dyn Penalty<f32>>>,
        lambda: LambdaSchedule,
    ) -> Result<Self> {
        let stepper = ExplicitStepper::new(&model.ode, &Tsit5, batch);
        let zeros = |rows: usize| vec![0.0; rows * batch];
        Ok(Self {
            model,
            data,
            options: options(tol),
            adjoint: DiscreteAdjoint::new(stepper, memory),
            loss: CrossEntropy::new(data.classes)?,
            penalty,
            lambda,
            scratch: model.head.scratch(batch),
            images: zeros(data.images.dim()),
            labels: vec![0; batch],
            logits: zeros(data.classes),
            logits_bar: zeros(data.classes),
            end_bar: zeros(data.images.dim()),
        })
    }
}

impl Objective<f32> for Classify<'_> {
    fn evaluate(&mut self, batch: &Batch<'_>, params: &[f32], gradient: &mut [f32]) -> Result<Evaluation> {
        self.data.images.gather(batch.indices, &mut self.images)?;
        for (label, &i) in self.labels.iter_mut().zip(batch.indices) {
            *label = self.data.labels[i];
        }
        let (theta, head) = params.split_at(self.model.split);
        let (theta_bar, head_bar) = gradient.split_at_mut(self.model.split);
        let lambda = self.lambda.at(usize::try_from(batch.iteration).unwrap_or(usize::MAX))?;
        let mut weighted: Vec<Weighted<'_, f32>> = Vec::new();
        if let Some(penalty) = &mut self.penalty {
            weighted.push(Weighted { weight: lambda as f32, penalty: penalty.as_mut() });
        }
        let problem = Problem { y0: &self.images, span: SPAN, theta };
        let solution = self.adjoint.forward(&problem, &self.options, &mut weighted)?;
        let at = self.model.head.at(SPAN[1], solution.last(), head)?;
        self.model.head.forward(at, &mut self.logits, &mut self.scratch);
        let loss = self.loss.value_and_cotangent(
            &self.logits,
            &self.labels,
            Reduction::Mean,
            &mut self.logits_bar,
        )?;
        self.end_bar.fill(0.0);
        head_bar.fill(0.0);
        self.model.head.vjp(at, &self.logits_bar, &mut self.end_bar, head_bar, &mut self.scratch);
        let statistics = solution.stats.clone();
        self.adjoint.reverse(&self.end_bar, &[], &mut weighted)?;
        theta_bar.copy_from_slice(self.adjoint.theta_gradient());
        Ok(Evaluation {
            loss: f64::from(loss),
            penalty: weighted.first().map_or(0.0, |w| f64::from(w.penalty.value())),
            lambda,
            nfe: statistics.nfe,
            accepted: statistics.accepted,
            rejected: statistics.rejected,
        })
    }
}

/// How good and how expensive a trained model is.
#[derive(Clone, Debug, Default)]
pub struct Test {
    /// Mean cross-entropy.
    pub loss: f64,
    /// Part of the images classified correctly.
    pub accuracy: f64,
    /// Right-hand side evaluations of a batch, mean over full batches.
    pub nfe: f64,
    /// Accepted and rejected steps of a batch, likewise.
    pub steps: [f64; 2],
    /// Seconds to predict a full batch, median.
    pub predict_s: f64,
    /// What the solver wants known.
    pub warnings: Vec<String>,
}

/// Evaluates all of `data` in batches of `batch`.
pub fn test(model: &Model, data: &Digits, params: &[f32], batch: usize, tol: f32) -> Result<Test> {
    let (theta, head) = params.split_at(model.split);
    let loss = CrossEntropy::new(data.classes)?;
    let options = options(tol);
    let mut test = Test::default();
    let mut seconds = Vec::new();
    let pixels = data.images.dim();
    let mut solver = Solver::new(&model.ode, &Tsit5, batch);
    for (images, labels) in data.images.data().chunks(pixels * batch).zip(data.labels.chunks(batch)) {
        let full = labels.len() == batch;
        if !full {
            solver = Solver::new(&model.ode, &Tsit5, labels.len());
        }
        let problem = Problem { y0: images, span: SPAN, theta };
        let mut logits = vec![0.0; data.classes * labels.len()];
        let mut scratch = model.head.scratch(labels.len());
        let (statistics, elapsed) = timed(|| {
            let solution = solver.solve(&problem, &options)?;
            let at = model.head.at(SPAN[1], solution.last(), head)?;
            model.head.forward(at, &mut logits, &mut scratch);
            Ok(solution.stats.clone())
        })?;
        if full {
            seconds.push(elapsed);
            test.nfe += statistics.nfe as f64;
            test.steps[0] += statistics.accepted as f64;
            test.steps[1] += statistics.rejected as f64;
            test.warnings = statistics.warnings.iter().map(ToString::to_string).collect();
        }
        test.loss += f64::from(loss.value(&logits, labels, Reduction::Sum)?);
        test.accuracy += loss.correct(&logits, labels)? as f64;
    }
    if seconds.is_empty() {
        let needed = "the test set must hold at least one full batch";
        return Err(Error::invalid("--batch", batch, needed));
    }
    let (images, batches) = (data.count() as f64, seconds.len() as f64);
    test.loss /= images;
    test.accuracy /= images;
    test.nfe /= batches;
    test.steps = test.steps.map(|s| s / batches);
    seconds.sort_by(f64::total_cmp);
    test.predict_s = seconds[seconds.len() / 2];
    Ok(test)
}
