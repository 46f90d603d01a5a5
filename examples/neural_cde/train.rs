//! The model, its training and its test.

use crate::common::timed;
use crate::data::{CHANNELS, Data, spirals};
use odeon::Result;
use odeon::dataset::Batches;
use odeon::integrate::Options;
use odeon::model::{CdeModel, ControlPath, Interpolation};
use odeon::nn::{Activation, Clip, CrossEntropy, Network, Optimizer, Reduction, Rule, Schedule};
use odeon::ode::tableaux::Tsit5;
use odeon::train::{Batch, Evaluation, Record, Settings, Trainer};
use std::fmt;

/// A control path by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind(pub Interpolation);

impl Kind {
    pub const ALL: [Self; 4] = [
        Self(Interpolation::Linear),
        Self(Interpolation::Rectilinear { time: 0, before: 0.0 }),
        Self(Interpolation::Hermite),
        Self(Interpolation::NaturalSpline),
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Interpolation::Linear => "linear",
            Interpolation::Rectilinear { .. } => "rectilinear",
            Interpolation::Hermite => "hermite",
            Interpolation::NaturalSpline => "natural",
        })
    }
}

/// What all runs have in common.
pub struct Plan {
    pub iterations: u64,
    pub batch: usize,
    pub training: usize,
    pub test: usize,
    pub missing: f64,
    pub rate: f64,
    pub tol: f64,
}

/// One model to be trained.
#[derive(Clone, Copy)]
pub struct Task {
    pub kind: Kind,
    pub seed: u64,
}

/// A trained model.
pub struct Trained {
    pub task: Task,
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures use it"))]
    pub model: CdeModel,
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures use it"))]
    pub theta: Vec<f64>,
    pub records: Vec<Record>,
    pub train_s: f64,
    pub predict_s: f64,
    pub loss: f64,
    pub accuracy: f64,
    pub nfe: usize,
    pub accepted: usize,
    pub rejected: usize,
}

/// Rows of the state.
const HIDDEN: usize = 16;
/// Units of the field's layer.
const UNITS: usize = 48;
/// Gradients are cut to this norm.
const CLIP: f64 = 1.0;
/// Seed of the test data, far from those of the training.
const TEST: u64 = 1 << 40;

impl Plan {
    pub fn options(&self) -> Options<f64> {
        Options::tol(self.tol, self.tol)
    }

    /// The held-out spirals of a seed.
    pub fn held_out(&self, seed: u64) -> Result<Data> {
        spirals(TEST + seed, self.test, self.missing)
    }
}

/// The path of some series.
pub fn path(kind: Kind, data: &Data, values: &[f64]) -> Result<ControlPath<f64>> {
    ControlPath::new(kind.0, &data.times, values, CHANNELS)
}

fn model() -> Result<CdeModel> {
    let tanh = Activation::Tanh;
    let field = Network::builder(HIDDEN).dense(UNITS).activation(tanh).dense(HIDDEN * CHANNELS);
    CdeModel::new(
        Network::builder(CHANNELS).dense(HIDDEN).build()?,
        field.activation(tanh).build()?,
        Network::builder(HIDDEN).dense(2).build()?,
    )
}

impl Task {
    /// Trains, then classifies the held-out spirals.
    pub fn train(self, plan: &Plan) -> Result<Trained> {
        let model = model()?;
        let data = spirals(self.seed, plan.training, plan.missing)?;
        let mut theta: Vec<f64> = model.init(Default::default(), self.seed)?;
        let (cross, options) = (CrossEntropy::new(2)?, plan.options());
        let mut objective = |batch: &Batch<'_>, theta: &[f64], gradient: &mut [f64]| -> Result<Evaluation> {
            let (values, labels) = data.pick(batch.indices);
            let path = path(self.kind, &data, &values)?;
            let (loss, stats) = model.value_and_gradient(
                &Tsit5,
                (theta, gradient),
                (&path, &options),
                &mut [],
                |out, bar| cross.value_and_cotangent(out, &labels, Reduction::Mean, bar),
            )?;
            let (nfe, accepted, rejected) = (stats.nfe, stats.accepted, stats.rejected);
            Ok(Evaluation { loss, nfe, accepted, rejected, ..Evaluation::default() })
        };
        let rate = Schedule::Cosine { initial: plan.rate, last: 0.01 * plan.rate, over: plan.iterations };
        let mut optimizer = Optimizer::new(Rule::adam(), rate, model.layout().clone())?;
        let settings =
            Settings { clip: Some(Clip::Norm(CLIP)), progress: false, ..Settings::new(plan.iterations) };
        let batches = Batches::new(plan.training, plan.batch)?.shuffled(self.seed);
        let (outcome, train_s) =
            timed(|| Trainer::new(&mut objective, &mut optimizer, batches, settings)?.run(&mut theta))?;
        let held_out = plan.held_out(self.seed)?;
        let path = path(self.kind, &held_out, &held_out.values)?;
        let ((out, stats), predict_s) = timed(|| model.outputs(&Tsit5, &theta, &path, &options))?;
        let loss = cross.value(&out, &held_out.labels, Reduction::Mean)?;
        let right = out
            .chunks_exact(2)
            .zip(&held_out.labels)
            .filter(|(z, label)| usize::from(z[1] > z[0]) == **label);
        let accuracy = right.count() as f64 / plan.test as f64;
        Ok(Trained {
            task: self,
            records: outcome.records,
            train_s,
            predict_s,
            loss,
            accuracy,
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
            model,
            theta,
        })
    }
}
