//! The networks' training.

use crate::Norm;
use crate::common::Session;
use crate::models::Network;
use crate::weights::Surrogate;
use odeon::Result;
use odeon::dataset::{Batches, Samples};
use odeon::nn::conv::Padding;
use odeon::nn::{Initializer, Optimizer, Rule, Schedule};
use odeon::operator::Scratch;
use odeon::operator::surrogate::{FieldNorm, Normaliser, Scope};
use odeon::train::{Batch, Evaluation, Objective, Outcome, Settings, Trainer};
use std::time::Instant;

/// Validations of a run.
const VALIDATIONS: u64 = 24;
/// The part of a run of given seconds that it is measured by, before it begins.
const MEASURED: f64 = 0.1;

/// Coefficients and solutions.
pub struct Set {
    pub inputs: Samples<f32>,
    pub outputs: Samples<f32>,
}

pub struct Setup {
    pub epochs: u64,
    /// Seconds of training instead of epochs.
    pub seconds: Option<f64>,
    pub batch: usize,
    pub rate: f64,
    pub norm: Norm,
    pub resume: bool,
}

/// H1 by differences on the interior vertices of the unit square, 0 beyond.
pub fn differences(n: usize) -> Result<FieldNorm<f32>> {
    FieldNorm::differences(&[n, n], &[1.0 / (n + 1) as f64; 2], [[Padding::Zero; 2]; 3])
}

struct Fit<'a> {
    network: &'a Network,
    norm: FieldNorm<f32>,
    l2: FieldNorm<f32>,
    output: Normaliser<f32>,
    inputs: Samples<f32>,
    targets: &'a Samples<f32>,
    /// Norms of the targets.
    sizes: Vec<f64>,
    /// Encoded inputs and targets that choose the parameters.
    validation: [Vec<f32>; 2],
    batch: Vec<f32>,
    scratch: Scratch<f32>,
}

impl Fit<'_> {
    /// The relative error of one output, before de-normalisation, and its cotangent.
    fn loss(&self, sample: usize, z: &[f32], [bar, work]: [&mut [f32]; 2]) -> Result<f64> {
        let target = self.targets.get(sample).unwrap_or_default();
        work.copy_from_slice(z);
        self.output.decode(work)?;
        work.iter_mut().zip(target).for_each(|(u, t)| *u -= t);
        let loss = self.norm.relative(work, self.sizes[sample], bar)?;
        self.output.decode_pullback(bar)?;
        Ok(loss)
    }
}

impl Objective<f32> for Fit<'_> {
    fn evaluate(&mut self, batch: &Batch<'_>, theta: &[f32], gradient: &mut [f32]) -> Result<Evaluation> {
        let mut x = std::mem::take(&mut self.batch);
        x.resize(batch.indices.len() * self.inputs.dim(), 0.0);
        self.inputs.gather(batch.indices, &mut x)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        gradient.fill(0.0);
        let share = 1.0 / batch.indices.len() as f32;
        // A loss that cannot be computed ends the run as one that is not finite.
        let loss = |i: usize, z: &[f32], [bar, work]: [&mut [f32]; 2]| {
            let loss = self.loss(batch.indices[i], z, [&mut *bar, work]).unwrap_or(f64::NAN);
            bar.iter_mut().for_each(|bar| *bar *= share);
            loss
        };
        let sum = self.network.program.gradient(theta, &x, loss, gradient, &mut scratch)?;
        (self.batch, self.scratch) = (x, scratch);
        Ok(Evaluation { loss: sum * f64::from(share), ..Evaluation::default() })
    }

    /// Mean relative L2 error.
    fn validate(&mut self, theta: &[f32]) -> Result<Option<f64>> {
        let [inputs, targets] = &self.validation;
        let mut u = vec![0.0; targets.len()];
        self.network.program.forward(theta, inputs, &mut u, &mut self.scratch)?;
        self.output.decode(&mut u)?;
        let dim = self.network.program.output_len();
        let mut sum = 0.0;
        for (u, target) in u.chunks_exact_mut(dim).zip(targets.chunks_exact(dim)) {
            u.iter_mut().zip(target).for_each(|(u, t)| *u -= t);
            sum += self.l2.norm(u)? / self.l2.norm(target)?;
        }
        Ok(Some(sum * dim as f64 / targets.len() as f64))
    }
}

fn optimizer(network: &Network, rate: f64, iterations: u64) -> Result<Optimizer<f32>> {
    let rule = Rule::Adam { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 1e-4 };
    Optimizer::new(rule, Schedule::one_cycle(rate, iterations), network.program.layout().clone())
}

/// Steps that take so many seconds, by the mean of some on a copy.
fn affordable(objective: &mut Fit<'_>, batches: &Batches, theta: &[f32], seconds: f64) -> Result<u64> {
    let (mut batches, mut theta) = (batches.clone(), theta.to_vec());
    let mut gradient = vec![0.0; theta.len()];
    let mut optimizer = optimizer(objective.network, 1e-6, 100)?;
    let mut step = || {
        let indices = batches.next_batch().to_vec();
        let batch = Batch { iteration: 0, epoch: 0, indices: &indices };
        objective.evaluate(&batch, &theta, &mut gradient)?;
        optimizer.step(&mut theta, &gradient)
    };
    // The first warms the memory.
    step()?;
    let (start, mut steps) = (Instant::now(), 0.0);
    while steps < 3.0 || start.elapsed().as_secs_f64() < MEASURED * seconds {
        step()?;
        steps += 1.0;
    }
    Ok(((seconds * steps / start.elapsed().as_secs_f64()) as u64).max(VALIDATIONS))
}

/// Trains; writes log, checkpoint and weights. With it the validation error against seconds.
pub fn train(
    session: &mut Session,
    network: Network,
    [set, validation]: [&Set; 2],
    n: usize,
    setup: &Setup,
) -> Result<(Surrogate, [Vec<f64>; 2])> {
    let dim = set.inputs.dim();
    let input = Normaliser::fit(set.inputs.data(), dim, 1, Scope::Channel)?;
    let output = Normaliser::fit(set.outputs.data(), dim, 1, Scope::Point)?;
    let encode = |samples: &Samples<f32>| {
        let mut encoded = samples.data().to_vec();
        input.encode(&mut encoded).map(|()| encoded)
    };
    let norm = match setup.norm {
        Norm::L2 => FieldNorm::l2(&[n, n])?,
        Norm::H1 => differences(n)?,
        Norm::Published => FieldNorm::published(&[n, n])?,
    };
    let sizes: Result<Vec<f64>> = set.outputs.data().chunks_exact(dim).map(|u| norm.norm(u)).collect();
    let mut objective = Fit {
        network: &network,
        norm,
        l2: FieldNorm::l2(&[n, n])?,
        output: output.clone(),
        inputs: Samples::new(set.inputs.shape(), encode(&set.inputs)?)?,
        targets: &set.outputs,
        sizes: sizes?,
        validation: [encode(&validation.inputs)?, validation.outputs.data().to_vec()],
        batch: Vec::new(),
        scratch: Scratch::new(),
    };
    let seed = session.common.seed;
    let mut theta: Vec<f32> = network.program.init(Initializer::TorchLinear, seed)?;
    let batches = Batches::new(set.inputs.count(), setup.batch)?.shuffled(seed).drop_last();
    let iterations = match setup.seconds {
        Some(seconds) => affordable(&mut objective, &batches, &theta, seconds)?,
        None => setup.epochs * batches.per_epoch() as u64,
    };
    let mut optimizer = optimizer(&network, setup.rate, iterations)?;
    let stem = network.model.stem();
    let files =
        ["log.csv", "checkpoint", "safetensors"].map(|end| session.path(&format!("{stem}_{seed}.{end}")));
    let settings = Settings {
        log: Some(files[0].clone()),
        checkpoint: Some(files[1].clone()),
        checkpoint_every: 200,
        validate_every: (iterations / VALIDATIONS).max(1),
        ..Settings::new(iterations)
    };
    let trainer = Trainer::new(&mut objective, &mut optimizer, batches, settings)?;
    let Outcome { records, best, .. } = match setup.resume {
        true => trainer.resume(&mut theta)?,
        false => trainer.run(&mut theta)?,
    };
    let mut curve = [Vec::new(), Vec::new()];
    let mut train_s = 0.0;
    for record in &records {
        train_s += record.seconds;
        if let Some(error) = record.validation {
            curve[0].push(train_s);
            curve[1].push(error);
        }
    }
    let (at, error) = best.unwrap_or((0, f64::NAN));
    session.say(format!(
        "{}: {iterations} steps of {} in {train_s:.1} s; validation error {error:.4}, lowest after step {at}",
        network.name, setup.batch
    ))?;
    let surrogate = Surrogate { network, theta, input, output, train_s };
    surrogate.save(&files[2])?;
    files.iter().for_each(|file| session.wrote(file));
    Ok((surrogate, curve))
}
