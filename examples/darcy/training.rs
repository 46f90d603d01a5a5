//! The surrogate, and its training.

use crate::Norm;
use crate::common::Session;
use odeon::Result;
use odeon::dataset::{Batches, Missing, Samples, Table};
use odeon::nn::conv::Padding;
use odeon::nn::{Initializer, Optimizer, Rule, Schedule, io};
use odeon::operator::mgno::{Mgno, Scratch};
use odeon::operator::surrogate::{FieldNorm, Normaliser, Scope};
use odeon::train::{Batch, Evaluation, Objective, Settings, Trainer};

/// Coefficients and solutions.
pub struct Set {
    pub inputs: Samples<f32>,
    pub outputs: Samples<f32>,
}

pub struct Setup {
    pub epochs: u64,
    pub batch: usize,
    pub rate: f64,
    pub norm: Norm,
    pub resume: bool,
}

/// A trained network between its normalisers.
pub struct Surrogate {
    pub mgno: Mgno,
    pub theta: Vec<f32>,
    pub input: Normaliser<f32>,
    pub output: Normaliser<f32>,
    /// The training set's mean solution: what a network that knew nothing would say.
    pub mean: Vec<f32>,
    pub train_s: f64,
}

impl Surrogate {
    /// u for a, one sample.
    pub fn predict(&self, a: &[f32], u: &mut [f32], scratch: &mut Scratch<f32>) -> Result<()> {
        let mut x = a.to_vec();
        self.input.encode(&mut x)?;
        self.mgno.forward(&self.theta, &x, u, scratch)?;
        self.output.decode(u)
    }
}

/// H1 by differences on the interior vertices of the unit square, 0 beyond.
pub fn differences(n: usize) -> Result<FieldNorm<f32>> {
    FieldNorm::differences(&[n, n], &[1.0 / (n + 1) as f64; 2], [[Padding::Zero; 2]; 3])
}

struct Fit<'a> {
    mgno: &'a Mgno,
    norm: FieldNorm<f32>,
    output: Normaliser<f32>,
    inputs: Samples<f32>,
    targets: &'a Samples<f32>,
    /// Norms of the targets.
    sizes: Vec<f64>,
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
        let sum = self.mgno.gradient(theta, &x, loss, gradient, &mut scratch)?;
        (self.batch, self.scratch) = (x, scratch);
        Ok(Evaluation { loss: sum * f64::from(share), ..Evaluation::default() })
    }
}

/// Straight up over a third of the steps, then down by a cosine.
fn one_cycle(rate: f64, iterations: u64) -> Schedule {
    let up = (iterations * 3 / 10).max(1);
    let over = (iterations - up.min(iterations)).max(1);
    let down = Schedule::Cosine { initial: rate, last: 1e-3 * rate, over };
    Schedule::WarmUp { from: 0.04 * rate, over: up, then: Box::new(down) }
}

/// Trains; writes log, checkpoint and weights.
pub fn train(session: &mut Session, mgno: Mgno, set: &Set, n: usize, setup: &Setup) -> Result<Surrogate> {
    let dim = set.inputs.dim();
    let input = Normaliser::fit(set.inputs.data(), dim, 1, Scope::Channel)?;
    let output = Normaliser::fit(set.outputs.data(), dim, 1, Scope::Point)?;
    let mut encoded = set.inputs.data().to_vec();
    input.encode(&mut encoded)?;
    let norm = match setup.norm {
        Norm::L2 => FieldNorm::l2(&[n, n])?,
        Norm::H1 => differences(n)?,
        Norm::Published => FieldNorm::published(&[n, n])?,
    };
    let sizes: Result<Vec<f64>> = set.outputs.data().chunks_exact(dim).map(|u| norm.norm(u)).collect();
    let mut objective = Fit {
        mgno: &mgno,
        norm,
        output: output.clone(),
        inputs: Samples::new(set.inputs.shape(), encoded)?,
        targets: &set.outputs,
        sizes: sizes?,
        batch: Vec::new(),
        scratch: Scratch::new(),
    };
    let seed = session.common.seed;
    let mut theta: Vec<f32> = mgno.init(Initializer::TorchLinear, seed)?;
    let batches = Batches::new(set.inputs.count(), setup.batch)?.shuffled(seed).drop_last();
    let iterations = setup.epochs * batches.per_epoch() as u64;
    let rule = Rule::Adam { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 1e-4 };
    let mut optimizer = Optimizer::new(rule, one_cycle(setup.rate, iterations), mgno.layout().clone())?;
    let files =
        ["log.csv", "checkpoint", "safetensors"].map(|end| session.path(&format!("mgno_{seed}.{end}")));
    let settings = Settings {
        log: Some(files[0].clone()),
        checkpoint: Some(files[1].clone()),
        checkpoint_every: 200,
        ..Settings::new(iterations)
    };
    let trainer = Trainer::new(&mut objective, &mut optimizer, batches, settings)?;
    match setup.resume {
        true => trainer.resume(&mut theta)?,
        false => trainer.run(&mut theta)?,
    };
    io::save(&files[2], mgno.layout(), &theta, &io::Names::exact())?;
    files.iter().for_each(|file| session.wrote(file));
    let records = Table::read(&files[0], Missing::Fill(0.0))?;
    let train_s: f64 = records.column("seconds")?.iter().sum();
    let losses = records.column("loss")?;
    session.curves("loss", &[("loss", losses)])?;
    let tail = &losses[losses.len().saturating_sub(losses.len() / 10 + 1)..];
    session.say(format!(
        "trained {iterations} steps of {} in {train_s:.1} s; training loss of the last tenth {:.4}",
        setup.batch,
        tail.iter().sum::<f64>() / tail.len() as f64
    ))?;
    let mut mean = vec![0.0; dim];
    output.decode(&mut mean)?;
    Ok(Surrogate { mgno, theta, input, output, mean, train_s })
}
