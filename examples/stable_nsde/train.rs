//! Loss, training and prediction of one model.

use crate::common::timed;
use crate::data::{self, Data, POINTS, SEEN};
use crate::model::{DIM, Field, Method, Model};
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dataset::Batches;
use odeon::integrate::{Options, Problem, Reverse};
use odeon::nn::{Clip, Direction, Input, Optimizer, Rule, Schedule};
use odeon::num::parallel;
use odeon::ode::ExplicitStepper;
use odeon::ode::tableaux::Tsit5;
use odeon::sde::noise::FixedGrid;
use odeon::sde::srk::{SrkStepper, StochasticRk};
use odeon::sde::tableaux::EulerMaruyama;
use odeon::train::{Batch, Evaluation, Record, Settings, Trainer};

/// What all runs have in common.
pub struct Plan {
    pub iterations: u64,
    pub batch: usize,
    pub rate: f64,
    pub training: usize,
    pub held_out: usize,
}

/// One model to be trained.
#[derive(Clone, Copy)]
pub struct Task {
    pub method: Method,
    pub missing: f64,
    pub seed: u64,
}

/// A trained model.
pub struct Trained {
    pub task: Task,
    pub records: Vec<Record>,
    pub train_s: f64,
    pub predict_s: f64,
    /// Root mean squares of the differences to the truth: of the forecast, and at the missing ones of the times seen.
    pub forecast: f64,
    pub interpolation: f64,
    pub nfe: usize,
    pub accepted: usize,
    /// Predictions of the held-out series, one path of each draw.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
    pub paths: Vec<Vec<f64>>,
}

/// Euler's steps between two times.
const STEPS: usize = 2;
/// Draws of the noise whose mean is the prediction.
const DRAWS: usize = 8;
/// Gradients are cut to this norm.
const CLIP: f64 = 1.0;
/// Noise and data of the test, apart from those of the training.
const TEST: u64 = 1 << 40;

/// Loss or prediction of some series.
struct Pass {
    loss: f64,
    /// `POINTS × series`.
    out: Vec<f64>,
    nfe: usize,
    accepted: usize,
}

impl Model {
    /// The mean square of the differences to the observations; its derivatives go to `gradient`, if any.
    fn pass(
        &self,
        theta: &[f64],
        data: &Data,
        columns: &[usize],
        seed: u64,
        gradient: Option<&mut [f64]>,
    ) -> Result<Pass> {
        let spacing = 1.0 / (POINTS - 1) as f64;
        let cells = STEPS * (POINTS - 1);
        let euler = Options::fixed(1.0 / cells as f64);
        let noise = || FixedGrid::new(seed, [0.0, 1.0], cells, DIM, columns.len());
        let table = EulerMaruyama.tableau();
        let all = (theta, data, columns, gradient);
        match &self.field {
            Field::Ode(f) => {
                self.through(ExplicitStepper::new(f, &Tsit5, columns.len()), &Options::fixed(spacing), all)
            }
            Field::Sde(f) => self.through(SrkStepper::new(f, table, noise()?)?, &euler, all),
            Field::Stable(f) => self.through(SrkStepper::new(f, table, noise()?)?, &euler, all),
        }
    }

    fn through<S: Reverse<f64>>(
        &self,
        stepper: S,
        options: &Options<f64>,
        (theta, data, columns, gradient): (&[f64], &Data, &[usize], Option<&mut [f64]>),
    ) -> Result<Pass> {
        let (times, batch) = (data::times(), columns.len());
        let [of_gru, of_head, of_field, of_decoder] = self.places.clone().map(|p| &theta[p]);
        let mut x = Vec::with_capacity(3 * batch * SEEN);
        for (k, t) in times[..SEEN].iter().enumerate() {
            for j in columns {
                x.extend([data.values[j * POINTS + k], data.mask[j * POINTS + k], *t]);
            }
        }
        let mut unrolled = self.gru.unroll(of_gru, &x, batch, Direction::Backwards)?;
        let first = self.gru.hidden_dim() * batch;
        let (mut z0, mut head) = (vec![0.0; DIM * batch], self.head.scratch(batch));
        let state = unrolled.hidden()[..first].to_vec();
        let at_head = Input { t: 0.0, x: &state, theta: of_head };
        self.head.forward(at_head, &mut z0, &mut head);
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        let problem = Problem { y0: &z0, span: [0.0, 1.0], theta: of_field };
        let solution = adjoint.forward(&problem, &options.clone().save_at(&times[..]), &mut [])?;
        let mut decoded = vec![0.0; POINTS * batch];
        let mut decoder = self.decoder.scratch(POINTS * batch);
        let z = solution.y.clone();
        let (nfe, accepted) = (solution.stats.nfe, solution.stats.accepted);
        let at_decoder = Input { t: 0.0, x: &z, theta: of_decoder };
        self.decoder.forward(at_decoder, &mut decoded, &mut decoder);
        let (mut out, mut bar) = (vec![0.0; POINTS * batch], vec![0.0; POINTS * batch]);
        let there: f64 = columns.iter().flat_map(|j| &data.mask[j * POINTS..(j + 1) * POINTS]).sum();
        let mut loss = 0.0;
        for (column, j) in columns.iter().enumerate() {
            for k in 0..POINTS {
                let (at, got) = (j * POINTS + k, decoded[k * batch + column]);
                let off = data.mask[at] * (got - data.values[at]);
                loss += off * off / there.max(1.0);
                bar[k * batch + column] = 2.0 * off / there.max(1.0);
                out[column * POINTS + k] = got;
            }
        }
        let pass = Pass { loss, out, nfe, accepted };
        let Some(gradient) = gradient else { return Ok(pass) };
        gradient.fill(0.0);
        let mut z_bar = vec![0.0; z.len()];
        let [gru_place, head_place, field_place, decoder_place] = self.places.clone();
        self.decoder.vjp(at_decoder, &bar, &mut z_bar, &mut gradient[decoder_place], &mut decoder);
        adjoint.reverse(&z_bar, &[], &mut [])?;
        gradient[field_place].copy_from_slice(adjoint.theta_gradient());
        let mut hidden_bar = vec![0.0; unrolled.hidden().len()];
        let z0_bar = adjoint.y0_gradient();
        self.head.vjp(at_head, z0_bar, &mut hidden_bar[..first], &mut gradient[head_place], &mut head);
        let mut x_bar = vec![0.0; x.len()];
        let theta = (of_gru, &mut gradient[gru_place]);
        unrolled.pull(&self.gru, theta, &x, &mut hidden_bar, &mut x_bar)?;
        Ok(pass)
    }
}

/// Root of the mean square of `off` where `weight` is 1.
fn rms(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (sum, n) = pairs.fold((0.0, 0.0), |(s, n), (off, w)| (s + w * off * off, n + w));
    (sum / f64::max(n, 1.0)).sqrt()
}

impl Task {
    /// The held-out series of a seed; the same for all methods.
    pub fn held_out(&self, plan: &Plan) -> Data {
        data::series(TEST + self.seed, plan.held_out, self.missing)
    }

    /// Trains, then predicts.
    pub fn train(self, plan: &Plan) -> Result<Trained> {
        let (model, seed) = (Model::new(self.method)?, self.seed);
        let training = data::series(seed, plan.training, self.missing);
        let mut theta = model.init(seed)?;
        let mut objective = |batch: &Batch<'_>, theta: &[f64], gradient: &mut [f64]| -> Result<Evaluation> {
            let noise = (seed << 24) + batch.iteration;
            let pass = model.pass(theta, &training, batch.indices, noise, Some(gradient))?;
            let Pass { loss, nfe, accepted, .. } = pass;
            Ok(Evaluation { loss, nfe, accepted, ..Evaluation::default() })
        };
        let rate = Schedule::Cosine { initial: plan.rate, last: 0.01 * plan.rate, over: plan.iterations };
        let mut optimizer = Optimizer::new(Rule::adam(), rate, model.layout.clone())?;
        let clip = Some(Clip::Norm(CLIP));
        let settings = Settings { progress: false, clip, ..Settings::new(plan.iterations) };
        let batches = Batches::new(plan.training, plan.batch.min(plan.training))?.shuffled(seed);
        let (outcome, train_s) =
            timed(|| Trainer::new(&mut objective, &mut optimizer, batches, settings)?.run(&mut theta))?;
        let held_out = self.held_out(plan);
        let columns: Vec<usize> = (0..plan.held_out).collect();
        let draws = if self.method == Method::Ode { 1 } else { DRAWS };
        let (passes, predict_s) = timed(|| {
            let draw = |i: usize| model.pass(&theta, &held_out, &columns, TEST + i as u64, None);
            (0..draws).map(draw).collect::<Result<Vec<Pass>>>()
        })?;
        let off: Vec<f64> = (held_out.truth.iter().enumerate())
            .map(|(i, x)| passes.iter().map(|p| p.out[i]).sum::<f64>() / draws as f64 - x)
            .collect();
        let cells = || off.iter().enumerate().map(|(i, off)| (i, i % POINTS, *off));
        let later = |k: usize| f64::from(u8::from(k >= SEEN));
        Ok(Trained {
            task: self,
            records: outcome.records,
            train_s,
            predict_s: predict_s / draws as f64,
            forecast: rms(cells().map(|(_, k, off)| (off, later(k)))),
            interpolation: rms(cells().map(|(i, k, off)| (off, (1.0 - later(k)) * (1.0 - held_out.mask[i])))),
            nfe: passes[0].nfe,
            accepted: passes[0].accepted,
            paths: passes.into_iter().map(|p| p.out).collect(),
        })
    }
}

/// Trains every task; the results in order.
pub fn train_all(plan: &Plan, tasks: &[Task], threads: usize) -> Result<Vec<Trained>> {
    let trained = parallel::with_threads(threads, || {
        parallel::chunks(tasks.len(), 1, |range| {
            tasks[range].iter().map(|task| task.train(plan)).collect::<Result<Vec<_>>>()
        })
    })?;
    let trained: Result<Vec<Vec<_>>> = trained.into_iter().collect();
    Ok(trained?.into_iter().flatten().collect())
}
