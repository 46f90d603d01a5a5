//! The loop.

use super::checkpoint::State;
use super::{Batch, Checkpoint, CsvLog, Evaluation, Objective, Optimize, Record};
use crate::dataset::{BatchState, Batches};
use crate::nn::Clip;
use crate::num::Real;
use crate::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::PathBuf;
use std::time::Instant;

/// How long to train, and what to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Optimiser steps in all (a resumed run counts those before).
    pub iterations: u64,
    /// Bound on the gradient; none without.
    pub clip: Option<Clip>,
    /// Steps between validations; 0 for none.
    pub validate_every: u64,
    /// Stop after this many validations in a row without a new lowest loss.
    pub patience: Option<usize>,
    /// How much lower than the lowest so far a validation loss must be to count.
    pub min_delta: f64,
    /// CSV file of the records.
    pub log: Option<PathBuf>,
    /// File to resume from; written at the end and every `checkpoint_every` steps.
    pub checkpoint: Option<PathBuf>,
    /// Steps between checkpoints; 0 for one at the end only.
    pub checkpoint_every: u64,
    /// Whether to draw a progress bar on standard error (never drawn when that is no terminal).
    pub progress: bool,
}

impl Settings {
    /// `iterations` steps; no clipping, validation, files; progress drawn.
    pub fn new(iterations: u64) -> Self {
        Self {
            iterations,
            clip: None,
            validate_every: 0,
            patience: None,
            min_delta: 0.0,
            log: None,
            checkpoint: None,
            checkpoint_every: 0,
            progress: true,
        }
    }

    fn check(&self) -> Result<()> {
        if let Some(clip) = self.clip {
            clip.apply::<f64>(&mut [])?;
        }
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            return Err(Error::invalid("min_delta", self.min_delta, "it must be finite and ≥ 0"));
        }
        if self.patience.is_some() && self.validate_every == 0 {
            let needed = "early stopping looks at validations: set validate_every";
            return Err(Error::invalid("patience", "set without validation", needed));
        }
        if self.patience == Some(0) {
            return Err(Error::invalid("patience", 0, "it must be at least 1"));
        }
        Ok(())
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// One record per step of this run (a resumed run's start after the checkpoint).
    pub records: Vec<Record>,
    /// Optimiser steps in all.
    pub iterations: u64,
    /// Iteration and loss of the best validation.
    pub best: Option<(u64, f64)>,
    /// Whether patience ran out.
    pub stopped_early: bool,
}

/// A training run: objective, optimiser, batches, settings.
pub struct Trainer<'a, T> {
    objective: &'a mut dyn Objective<T>,
    optimizer: &'a mut dyn Optimize<T>,
    batches: Batches,
    /// The current batch (kept, so that steps do not allocate).
    indices: Vec<usize>,
    settings: Settings,
}

/// Where a run stands, apart from optimiser and objective.
struct Standing<T> {
    iteration: u64,
    best: Option<(u64, f64)>,
    best_params: Vec<T>,
    stale: usize,
}

impl<'a, T: Real> Trainer<'a, T> {
    /// A run that starts at the place of `batches`.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn new(
        objective: &'a mut dyn Objective<T>,
        optimizer: &'a mut dyn Optimize<T>,
        batches: Batches,
        settings: Settings,
    ) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            objective,
            optimizer,
            indices: Vec::with_capacity(batches.state().size),
            batches,
            settings,
        })
    }

    /// Trains from the start; on return `params` are the best validated ones, or without
    /// validation the last ones. (The checkpoint keeps both.)
    ///
    /// # Errors
    /// Non-finite parameters, whatever the objective returns, a loss or gradient that is not finite
    /// (with the iteration), unwritable files. `params` are then those of the last good step.
    pub fn run(self, params: &mut [T]) -> Result<Outcome> {
        Error::check_finite("params", params)?;
        let log = self.settings.log.as_ref().map(CsvLog::create).transpose()?;
        let standing = Standing { iteration: 0, best: None, best_params: Vec::new(), stale: 0 };
        self.train(params, standing, log)
    }

    /// Continues from the checkpoint file, to the same bits as a run never interrupted; starts from
    /// `params` when the file does not exist yet.
    ///
    /// # Errors
    /// As [`run`](Self::run); no checkpoint named; a corrupt checkpoint; a checkpoint of another
    /// run (scalar type, number of parameters, batches).
    pub fn resume(mut self, params: &mut [T]) -> Result<Outcome> {
        let Some(path) = self.settings.checkpoint.clone() else {
            let needed = "resuming needs the file's name (Settings::checkpoint)";
            return Err(Error::invalid("checkpoint", "not set", needed));
        };
        if !path.exists() {
            return self.run(params);
        }
        let checkpoint = Checkpoint::load(&path)?;
        let foreign = |reason: String| Error::malformed(&path, None, reason);
        let State { scalar, iteration, batches, best, stale, .. } = checkpoint.state;
        if scalar != T::NAME {
            return Err(foreign(format!("a checkpoint of {scalar} numbers, this run has {}", T::NAME)));
        }
        let needed = params.len();
        if checkpoint.params.len() != needed {
            let given = checkpoint.params.len();
            return Err(foreign(format!("{given} parameters, this run has {needed}")));
        }
        let best_length = if best.is_some() { needed } else { 0 };
        if checkpoint.best.len() != best_length {
            return Err(foreign("best parameters of another length than parameters".into()));
        }
        let origin = |state| BatchState { epoch: 0, position: 0, ..state };
        let here = self.batches.state();
        if origin(batches) != origin(here) {
            return Err(foreign(format!(
                "batches of {} out of {} (seed {:?}, drop_last {}), this run has {} out of {} (seed {:?}, drop_last {})",
                batches.size,
                batches.samples,
                batches.seed,
                batches.drop_last,
                here.size,
                here.samples,
                here.seed,
                here.drop_last,
            )));
        }
        self.batches = Batches::resume(batches)?;
        self.optimizer.import(&checkpoint.optimizer)?;
        self.objective.restore(&checkpoint.objective)?;
        let log = self.settings.log.as_ref();
        let log = log.map(|log| CsvLog::resume(log, iteration)).transpose()?;
        params.iter_mut().zip(&checkpoint.params).for_each(|(p, &x)| *p = T::of(x));
        let best_params = checkpoint.best.iter().map(|&x| T::of(x)).collect();
        self.train(params, Standing { iteration, best, best_params, stale }, log)
    }

    fn train(
        mut self,
        params: &mut [T],
        mut standing: Standing<T>,
        mut log: Option<CsvLog>,
    ) -> Result<Outcome> {
        let mut gradient = vec![T::of(0.0); params.len()];
        let mut records = Vec::new();
        let bar = self.progress(standing.iteration);
        let out_of_patience = |stale: usize, patience: Option<usize>| patience.is_some_and(|p| stale >= p);
        let patience = self.settings.patience;
        while standing.iteration < self.settings.iterations && !out_of_patience(standing.stale, patience) {
            let mut record = self.step(params, &mut gradient, standing.iteration)?;
            standing.iteration = record.iteration;
            let every = self.settings.validate_every;
            if every > 0
                && (standing.iteration.is_multiple_of(every)
                    || standing.iteration == self.settings.iterations)
            {
                record.validation = self.validate(params, &mut standing)?;
            }
            if let Some(log) = &mut log {
                log.append(&record)?;
            }
            if !bar.is_hidden() {
                bar.set_message(message(&record));
                bar.inc(1);
            }
            records.push(record);
            let every = self.settings.checkpoint_every;
            if every > 0 && standing.iteration.is_multiple_of(every) {
                self.save(params, &standing)?;
            }
        }
        self.save(params, &standing)?;
        bar.finish_and_clear();
        if standing.best.is_some() {
            params.copy_from_slice(&standing.best_params);
        }
        Ok(Outcome {
            records,
            iterations: standing.iteration,
            best: standing.best,
            stopped_early: out_of_patience(standing.stale, patience),
        })
    }

    /// One batch, one update.
    fn step(&mut self, params: &mut [T], gradient: &mut [T], iteration: u64) -> Result<Record> {
        let start = Instant::now();
        self.indices.clear();
        self.indices.extend_from_slice(self.batches.next_batch());
        let epoch = self.batches.state().epoch;
        let batch = Batch { iteration, epoch, indices: &self.indices };
        let Evaluation { loss, penalty, lambda, nfe, accepted, rejected } =
            self.objective.evaluate(&batch, params, gradient)?;
        let gradient_norm = gradient.iter().map(|g| g.f64() * g.f64()).sum::<f64>().sqrt();
        let rate = self.optimizer.learning_rate();
        let advice = "it must be finite: lower the learning rate, clip gradients, or start nearer";
        let numbers = [
            ("the loss", loss),
            ("the penalty", penalty),
            ("the gradient norm", gradient_norm),
            ("the learning rate", rate),
        ];
        if let Some((name, value)) = numbers.into_iter().find(|(_, v)| !v.is_finite()) {
            let what = format!("{name} in iteration {}", iteration + 1);
            return Err(Error::invalid(what, value, advice));
        }
        if let Some(clip) = self.settings.clip {
            clip.apply(gradient)?;
        }
        self.optimizer.step(params, gradient)?;
        Ok(Record {
            iteration: iteration + 1,
            epoch,
            loss,
            penalty,
            lambda,
            nfe,
            accepted,
            rejected,
            seconds: start.elapsed().as_secs_f64(),
            learning_rate: rate,
            gradient_norm,
            validation: None,
        })
    }

    fn validate(&mut self, params: &[T], standing: &mut Standing<T>) -> Result<Option<f64>> {
        let Some(loss) = self.objective.validate(params)? else {
            let needed = "validate_every is set: the objective must implement validate";
            return Err(Error::invalid("the validation loss", "absent", needed));
        };
        // A NaN is no improvement; patience ends a run that has only those.
        let bar = standing.best.map_or(f64::INFINITY, |(_, best)| best - self.settings.min_delta);
        if loss < bar {
            standing.best = Some((standing.iteration, loss));
            standing.best_params.clear();
            standing.best_params.extend_from_slice(params);
            standing.stale = 0;
        } else {
            standing.stale += 1;
        }
        Ok(Some(loss))
    }

    fn save(&self, params: &[T], standing: &Standing<T>) -> Result<()> {
        let Some(path) = &self.settings.checkpoint else {
            return Ok(());
        };
        let wide = |values: &[T]| values.iter().map(|v| v.f64()).collect::<Vec<_>>();
        let optimizer = self.optimizer.export();
        let state = State {
            scalar: T::NAME.to_string(),
            iteration: standing.iteration,
            batches: self.batches.state(),
            best: standing.best,
            stale: standing.stale,
            optimizer: optimizer.iter().map(|(name, _)| name.clone()).collect(),
        };
        let (params, best) = (wide(params), wide(&standing.best_params));
        let objective = self.objective.state();
        Checkpoint { state, params, best, objective, optimizer }.save(path)
    }

    fn progress(&self, iteration: u64) -> ProgressBar {
        let target = match self.settings.progress {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(self.settings.iterations), target);
        let template = "{bar:30} {pos}/{len} [{elapsed} < {eta}] {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.with_position(iteration)
    }
}

fn message(record: &Record) -> String {
    let Record { loss, penalty, nfe, validation, .. } = record;
    let validation = validation.map(|v| format!("  validation {v:.3e}")).unwrap_or_default();
    format!("loss {loss:.3e}  R {penalty:.2e}  NFE {nfe}{validation}")
}
