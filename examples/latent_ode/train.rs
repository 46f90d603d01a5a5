//! The model, its training and its test.

use crate::common::timed;
use crate::data::Data;
use crate::method::Method;
use crate::weights::schedule;
use odeon::dataset::Batches;
use odeon::integrate::{ErrorEstimate, Options};
use odeon::model::{LatentOde, NeuralOde, Reader, Series, StepPenalty};
use odeon::nn::{Activation, Clip, Gru, Network, Optimizer, Rule, Schedule};
use odeon::num::parallel;
use odeon::ode::tableaux::Tsit5;
use odeon::regularise::{Global, LambdaSchedule, Local, Sampling};
use odeon::train::{Batch, Evaluation, Record, Settings, Trainer};
use odeon::{Error, Result};

/// What all runs have in common.
pub struct Plan {
    pub iterations: u64,
    pub batch: usize,
    pub rate: f64,
    pub tol: f64,
    pub latent: usize,
    pub ode_rnn: bool,
    pub observation_sd: f64,
}

/// One model to be trained.
#[derive(Clone, Copy)]
pub struct Task {
    pub method: Method,
    pub lambda: [f64; 2],
    pub seed: u64,
}

/// A trained model.
pub struct Trained {
    pub task: Task,
    pub records: Vec<Record>,
    pub train_s: f64,
    pub predict_s: f64,
    /// Mean square of the differences to the truth over all times, over the times read, over the later ones.
    pub mse: [f64; 3],
    pub nfe: usize,
    pub accepted: usize,
    pub rejected: usize,
    /// Predictions of the held-out series, rows × series for each time.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
    pub predicted: Vec<f64>,
}

/// Rows of the recurrent unit's state.
const HIDDEN: usize = 32;
/// Units of the other layers.
const UNITS: usize = 32;
/// Gradients are cut to this norm, in nats per series.
const CLIP: f64 = 100.0;
/// Extra steps of the local method.
const DRAWS: usize = 4;
/// ln σ of z(0) at the start of the training.
const LOG_SD: f64 = -3.0;
/// Part of the training over which the weight of the KL rises to 1.
const ANNEALING: f64 = 0.3;

impl Plan {
    pub fn options(&self) -> Options<f64> {
        Options::tol(self.tol, self.tol)
    }

    fn model(&self, rows: usize) -> Result<LatentOde> {
        let (tanh, d) = (Activation::Tanh, self.latent);
        let field = Network::builder(d).dense(UNITS).activation(tanh).dense(UNITS).activation(tanh);
        let gru = Gru::new(2 * rows + 1, HIDDEN)?;
        let reader = match self.ode_rnn {
            false => Reader::Recurrent(gru),
            true => {
                let between = Network::builder(HIDDEN).dense(UNITS).activation(tanh).dense(HIDDEN).build()?;
                Reader::OdeRnn { gru, between: NeuralOde::new(between)?, steps: 1 }
            }
        };
        LatentOde::new(
            field.dense(d).build()?,
            Network::builder(d).dense(UNITS).activation(tanh).dense(rows).build()?,
            (reader, Network::builder(HIDDEN).dense(2 * d).build()?),
            self.observation_sd,
        )
    }
}

impl Task {
    /// Trains, then predicts the held-out series.
    pub fn train(self, plan: &Plan, [training, held_out]: [&Data; 2]) -> Result<Trained> {
        let model = plan.model(training.rows)?;
        let mut theta: Vec<f64> = model.init(Default::default(), self.seed)?;
        // A start that is nearly known, or the noise of z(0) drowns the first gradients.
        let bias = model.layout().view_mut("head.0.bias", &mut theta)?;
        bias[plan.latent..].fill(LOG_SD);
        let options = plan.options();
        let warm = ((ANNEALING * plan.iterations as f64) as usize).max(1);
        let annealing = LambdaSchedule::Linear { from: 0.0, to: 1.0, over: warm };
        let (lambda, mut global) = (schedule(self.lambda, plan.iterations)?, Global::<f64, _>::error());
        let mut local = Local::new(ErrorEstimate::default(), Sampling::UniformStep, self.seed);
        local = local.draws(DRAWS)?.stratified().through_state();
        let mut objective = |batch: &Batch<'_>, theta: &[f64], gradient: &mut [f64]| -> Result<Evaluation> {
            let n = usize::try_from(batch.iteration).unwrap_or(usize::MAX);
            let (kl_weight, lambda) = (annealing.at(n)?, lambda.at(n)?);
            let [seen, all] = training.pick(batch.indices);
            let seen = Series { times: &training.times[..training.seen], values: &seen };
            let target = Series { times: &training.times, values: &all };
            let penalty = match self.method {
                Method::None => StepPenalty::None,
                Method::Global => StepPenalty::Global(lambda, &mut global),
                Method::Local => StepPenalty::Local(lambda, &mut local),
            };
            let draw = ((self.seed << 24) + batch.iteration, kl_weight);
            let own = (theta, gradient);
            let (bound, stats) =
                model.value_and_gradient(&Tsit5, own, [&seen, &target], &options, penalty, draw)?;
            Ok(Evaluation {
                loss: bound.kl - bound.log_likelihood,
                penalty: bound.penalty,
                lambda,
                nfe: stats.nfe,
                accepted: stats.accepted,
                rejected: stats.rejected,
            })
        };
        let rate = Schedule::Cosine { initial: plan.rate, last: 0.01 * plan.rate, over: plan.iterations };
        let mut optimizer = Optimizer::new(Rule::adam(), rate, model.layout().clone())?;
        let settings =
            Settings { clip: Some(Clip::Norm(CLIP)), progress: false, ..Settings::new(plan.iterations) };
        let batches = Batches::new(training.count(), plan.batch.min(training.count()))?.shuffled(self.seed);
        let (outcome, train_s) =
            timed(|| Trainer::new(&mut objective, &mut optimizer, batches, settings)?.run(&mut theta))?;
        let [seen, _] = held_out.pick(&(0..held_out.count()).collect::<Vec<_>>());
        let seen = Series { times: &held_out.times[..held_out.seen], values: &seen };
        let ((predicted, stats), predict_s) =
            timed(|| model.predict(&Tsit5, &theta, (&seen, &held_out.times), &options))?;
        Ok(Trained {
            task: self,
            records: outcome.records,
            train_s,
            predict_s,
            mse: errors(&predicted, held_out),
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
            predicted,
        })
    }
}

/// Mean squares over all times, the ones read, the later ones.
fn errors(predicted: &[f64], data: &Data) -> [f64; 3] {
    let (rows, points, count) = (data.rows, data.times.len(), data.count());
    let (mut squares, mut numbers) = ([0.0; 2], [0.0; 2]);
    for (i, p) in predicted.iter().enumerate() {
        let (row, j, k) = (i % rows, i / rows % count, i / (rows * count));
        let truth = data.truth[(j * points + k) * rows + row];
        if !truth.is_nan() {
            let later = usize::from(k >= data.seen);
            squares[later] += (p - truth) * (p - truth);
            numbers[later] += 1.0;
        }
    }
    let all = (squares[0] + squares[1]) / (numbers[0] + numbers[1]);
    [all, squares[0] / numbers[0], squares[1] / numbers[1]]
}

/// Trains every task on the threads; the results in order.
pub fn train_all(plan: &Plan, tasks: &[Task], data: [&Data; 2], threads: usize) -> Result<Vec<Trained>> {
    if let Some(bad) = data.iter().find(|d| d.count() == 0) {
        return Err(Error::invalid("the number of series", bad.count(), "at least one is needed"));
    }
    let trained = parallel::with_threads(threads, || {
        parallel::chunks(tasks.len(), 1, |range| {
            tasks[range].iter().map(|task| task.train(plan, data)).collect::<Result<Vec<_>>>()
        })
    })?;
    let trained: Result<Vec<Vec<Trained>>> = trained.into_iter().collect();
    Ok(trained?.into_iter().flatten().collect())
}
