//! One training run, from the first iteration or from its checkpoint.

use crate::common::{Row, Session};
use crate::digits::Digits;
use crate::model::Model;
use crate::objective::{self, Classify, Test, test};
use crate::regulariser::{Annealing, Regulariser};
use odeon::adjoint::Memory;
use odeon::dataset::{Batches, Missing, Table};
use odeon::nn::{Optimizer, Rule, Schedule, io};
use odeon::train::{Settings, Trainer};
use odeon::{Error, Result};

/// Momentum.
const MOMENTUM: f64 = 0.9;

/// What all runs have in common.
pub struct Setup {
    pub epochs: u64,
    pub batch: usize,
    pub rate: f64,
    pub tol: f32,
    /// Mebibytes of the gradient.
    pub memory: Option<usize>,
    pub resume: bool,
    pub seed: u64,
}

impl Setup {
    /// Finds out before any work that it cannot be done.
    ///
    /// # Errors
    /// A batch that is empty or larger than a data set; a tolerance out of range.
    pub fn check(&self, train: &Digits, test: &Digits) -> Result<()> {
        let most = train.count().min(test.count());
        if !(1..=most).contains(&self.batch) {
            let needed = format!("it must be between 1 and the images of a set, {most}");
            return Err(Error::invalid("--batch", self.batch, needed));
        }
        objective::options(self.tol).check(0.0, 1.0, train.images.dim())?;
        Ok(())
    }

    fn memory(&self) -> Memory {
        match self.memory {
            None => Memory::Unlimited,
            Some(mib) => Memory::Bytes(mib.saturating_mul(1 << 20)),
        }
    }
}

/// A run that has ended.
pub struct Trained {
    pub method: Regulariser,
    pub lambda: Annealing,
    pub test: Test,
    pub train_s: f64,
    /// Loss and NFE in each iteration, those before a resume included.
    pub losses: Vec<f64>,
    pub nfe: Vec<f64>,
}

/// Trains, tests, writes log, checkpoint and weights.
pub fn train(
    method: Regulariser,
    lambda: Option<Annealing>,
    setup: &Setup,
    [train, held_out]: [&Digits; 2],
    session: &mut Session,
) -> Result<Trained> {
    let model = Model::new(train.classes)?;
    let mut params = model.init(setup.seed)?;
    let batches = Batches::new(train.count(), setup.batch)?.shuffled(setup.seed).drop_last();
    let iterations = setup.epochs * batches.per_epoch() as u64;
    let lambda = match method {
        Regulariser::None => method.published(),
        _ => lambda.unwrap_or(method.published()),
    };
    let sizes = (setup.batch, setup.tol, setup.memory());
    let mut objective = Classify::new(&model, train, sizes, method.penalty(), lambda.over(iterations))?;
    let rule = Rule::momentum(MOMENTUM);
    let mut optimizer = Optimizer::new(rule, Schedule::Constant(setup.rate), model.layout.clone())?;
    let log = session.path(&format!("{method}_{}.log.csv", setup.seed));
    let checkpoint = session.path(&format!("{method}_{}.checkpoint", setup.seed));
    let settings = Settings {
        log: Some(log.clone()),
        checkpoint: Some(checkpoint.clone()),
        checkpoint_every: 50,
        ..Settings::new(iterations)
    };
    let trainer = Trainer::new(&mut objective, &mut optimizer, batches, settings)?;
    match setup.resume {
        true => trainer.resume(&mut params)?,
        false => trainer.run(&mut params)?,
    };
    let weights = session.path(&format!("{method}_{}.safetensors", setup.seed));
    io::save(&weights, &model.layout, &params, &io::Names::exact())?;

    for path in [&log, &checkpoint, &weights] {
        session.wrote(path);
    }

    let records = Table::read(&log, Missing::Fill(0.0))?;
    let column = |name: &str| records.column(name).map(<[f64]>::to_vec);
    let train_s = column("seconds")?.iter().sum();
    let test = test(&model, held_out, &params, setup.batch, setup.tol)?;
    for warning in &test.warnings {
        session.say(format!("{method}: {warning}"))?;
    }
    session.record(Row {
        method: method.to_string(),
        seed: setup.seed,
        loss: Some(test.loss),
        nfe: test.nfe.round() as usize,
        accepted: test.steps[0].round() as usize,
        rejected: test.steps[1].round() as usize,
        train_s,
        predict_s: test.predict_s,
    });
    Ok(Trained { method, lambda, test, train_s, losses: column("loss")?, nfe: column("nfe")? })
}
