//! The training loop against itself: interrupted and resumed runs end with the same bits.

use odeon::dataset::{Batches, Missing, Table};
use odeon::nn::{Clip, Layout, Optimizer, Role, Rule, Schedule};
use odeon::train::{Batch, Checkpoint, Evaluation, Objective, Optimize, Outcome, Settings, Trainer};
use odeon::{Error, Result};
use std::path::Path;

/// Adam (D. P. Kingma and J. L. Ba, 2015, algorithm 1), a rule with state.
#[derive(Default)]
struct Adam {
    t: i32,
    m: Vec<f64>,
    v: Vec<f64>,
}

impl Optimize<f64> for Adam {
    fn learning_rate(&self) -> f64 {
        0.05 / (1.0 + 0.02 * f64::from(self.t))
    }

    fn step(&mut self, params: &mut [f64], gradient: &[f64]) -> Result<()> {
        let rate = self.learning_rate();
        self.t += 1;
        self.m.resize(params.len(), 0.0);
        self.v.resize(params.len(), 0.0);
        for (i, g) in gradient.iter().enumerate() {
            self.m[i] = 0.9 * self.m[i] + 0.1 * g;
            self.v[i] = 0.999 * self.v[i] + 0.001 * g * g;
            let m = self.m[i] / (1.0 - 0.9f64.powi(self.t));
            let v = self.v[i] / (1.0 - 0.999f64.powi(self.t));
            params[i] -= rate * m / (v.sqrt() + 1e-8);
        }
        Ok(())
    }

    fn export(&self) -> Vec<(String, Vec<f64>)> {
        let t = vec![f64::from(self.t)];
        vec![("t".into(), t), ("m".into(), self.m.clone()), ("v".into(), self.v.clone())]
    }

    fn import(&mut self, state: &[(String, Vec<f64>)]) -> Result<()> {
        for (name, values) in state {
            match name.as_str() {
                "t" => self.t = values[0] as i32,
                "m" => self.m = values.clone(),
                _ => self.v = values.clone(),
            }
        }
        Ok(())
    }
}

const SAMPLES: usize = 23;

/// Least squares of a line through noisy samples, with a weight λ that follows its own history
/// (state that must survive a resume) and a planned crash.
struct Line {
    lambda: f64,
    crash_at: Option<u64>,
    seen: Vec<usize>,
    validations: Vec<f64>,
}

impl Line {
    fn new(crash_at: Option<u64>) -> Self {
        Self { lambda: 1.0, crash_at, seen: vec![0; SAMPLES], validations: Vec::new() }
    }

    fn sample(i: usize) -> (f64, f64) {
        let x = i as f64 / SAMPLES as f64;
        (x, 3.0 * x - 1.0 + 0.1 * (17.0 * x).sin())
    }
}

impl Objective<f64> for Line {
    fn evaluate(&mut self, batch: &Batch<'_>, p: &[f64], g: &mut [f64]) -> Result<Evaluation> {
        if self.crash_at == Some(batch.iteration) {
            return Err(Error::invalid("the machine", "on fire", "it must be extinguished"));
        }
        g.fill(0.0);
        let mut loss = 0.0;
        for &i in batch.indices {
            self.seen[i] += 1;
            let (x, y) = Self::sample(i);
            let r = p[0] * x + p[1] - y;
            loss += r * r;
            g[0] += 2.0 * r * x;
            g[1] += 2.0 * r;
        }
        let penalty = p[0] * p[0];
        g[0] += 2e-3 * self.lambda * p[0];
        let lambda = 1e-3 * self.lambda;
        self.lambda = 0.9 * self.lambda + 0.01 * loss;
        Ok(Evaluation { loss, penalty, lambda, nfe: 6 * batch.indices.len(), accepted: 5, rejected: 1 })
    }

    fn validate(&mut self, p: &[f64]) -> Result<Option<f64>> {
        if !self.validations.is_empty() {
            return Ok(Some(self.validations.remove(0)));
        }
        Ok(Some((p[0] - 3.0).powi(2) + (p[1] + 1.0).powi(2)))
    }

    fn state(&self) -> Vec<f64> {
        vec![self.lambda]
    }

    fn restore(&mut self, state: &[f64]) -> Result<()> {
        Error::check_len("objective state", state.len(), 1, "λ")?;
        self.lambda = state[0];
        Ok(())
    }
}

fn settings(dir: &Path, iterations: u64) -> Settings {
    Settings {
        clip: Some(Clip::Norm(5.0)),
        validate_every: 4,
        log: Some(dir.join("log.csv")),
        checkpoint: Some(dir.join("run.safetensors")),
        checkpoint_every: 6,
        progress: false,
        ..Settings::new(iterations)
    }
}

fn train(objective: &mut Line, settings: Settings, params: &mut [f64], resume: bool) -> Result<Outcome> {
    let mut adam = Adam::default();
    let batches = Batches::new(SAMPLES, 5)?.shuffled(9);
    let trainer = Trainer::new(objective, &mut adam, batches, settings)?;
    if resume { trainer.resume(params) } else { trainer.run(params) }
}

const START: [f64; 2] = [0.3, 0.2];

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The log without its column of seconds.
fn log(dir: &Path) -> Vec<Vec<u64>> {
    let table = Table::read(dir.join("log.csv"), Missing::Fill(-1.0)).expect("a log");
    let names = table.names().iter().filter(|n| *n != "seconds");
    names.map(|n| bits(table.column(n).expect("listed"))).collect()
}

fn whole_run(dir: &Path, iterations: u64) -> (Vec<f64>, Outcome) {
    let mut params = START.to_vec();
    let outcome = train(&mut Line::new(None), settings(dir, iterations), &mut params, false);
    (params, outcome.expect("trains"))
}

#[test]
fn training_lowers_the_loss_and_records_everything() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (params, outcome) = whole_run(dir.path(), 1000);
    assert!((params[0] - 3.0).abs() < 0.3 && (params[1] + 1.0).abs() < 0.2, "{params:?}");
    assert_eq!((outcome.records.len(), outcome.iterations), (1000, 1000));
    let r = &outcome.records[6];
    assert_eq!((r.iteration, r.epoch, r.nfe, r.accepted, r.rejected), (7, 1, 30, 5, 1));
    assert_eq!(r.learning_rate, 0.05 / (1.0 + 0.02 * 6.0));
    assert!(r.validation.is_none() && outcome.records[7].validation.is_some());
    let (at, best) = outcome.best.expect("validated");
    let lowest = outcome.records.iter().filter_map(|r| r.validation).fold(f64::INFINITY, f64::min);
    assert_eq!(best, lowest);
    assert_eq!(outcome.records[at as usize - 1].validation, Some(best));
    // The parameters returned are the best ones.
    assert_eq!(Line::new(None).validate(&params).expect("fine"), Some(best));
}

#[test]
fn stopping_anywhere_and_resuming_gives_the_same_bits() {
    let whole = tempfile::tempdir().expect("tempdir");
    let (params, outcome) = whole_run(whole.path(), 40);
    for stop in [1, 4, 5, 7, 23, 39] {
        let dir = tempfile::tempdir().expect("tempdir");
        whole_run(dir.path(), stop);
        let mut resumed = vec![f64::NAN; 2];
        let rest = train(&mut Line::new(None), settings(dir.path(), 40), &mut resumed, true);
        let rest = rest.expect("resumes");
        assert_eq!(rest.records.len() as u64, 40 - stop);
        if stop.is_multiple_of(4) {
            // Validation also happens at the end of a run, so only these stops see the same ones.
            assert_eq!(bits(&resumed), bits(&params), "stopped after {stop}");
            assert_eq!(rest.best, outcome.best);
            assert_eq!(log(dir.path()), log(whole.path()), "stopped after {stop}");
        }
        let ends = [whole.path(), dir.path()].map(|d| Checkpoint::load(d.join("run.safetensors")));
        let [a, b] = ends.map(|c| c.expect("intact"));
        assert_eq!(bits(&a.params), bits(&b.params), "stopped after {stop}");
        assert_eq!(a.optimizer, b.optimizer);
        assert_eq!((a.objective, a.state.batches), (b.objective, b.state.batches));
    }
}

#[test]
fn a_crash_resumes_from_the_last_checkpoint_without_duplicate_lines() {
    let whole = tempfile::tempdir().expect("tempdir");
    let (params, _) = whole_run(whole.path(), 40);
    for crash in [0, 3, 6, 17, 33] {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut crashed = START.to_vec();
        let error = train(&mut Line::new(Some(crash)), settings(dir.path(), 40), &mut crashed, false);
        assert!(error.expect_err("crashes").to_string().contains("on fire"));
        let mut resumed = START.to_vec();
        train(&mut Line::new(None), settings(dir.path(), 40), &mut resumed, true).expect("resumes");
        assert_eq!(bits(&resumed), bits(&params), "crash at {crash}");
        assert_eq!(log(dir.path()), log(whole.path()), "crash at {crash}");
    }
}

#[test]
fn patience_ends_a_run_and_keeps_the_best() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut objective = Line::new(None);
    objective.validations = vec![5.0, 3.0, 4.0, 2.9, f64::NAN, 3.5, 1.0];
    let settings = Settings { patience: Some(2), min_delta: 0.2, ..settings(dir.path(), 100) };
    let mut params = START.to_vec();
    let outcome = train(&mut objective, settings.clone(), &mut params, false).expect("trains");
    // 2.9 is lower than 3.0 by less than min_delta, so validations 3 and 4 exhaust the patience.
    assert_eq!((outcome.iterations, outcome.best, outcome.stopped_early), (16, Some((8, 3.0)), true));
    let checkpoint = Checkpoint::load(dir.path().join("run.safetensors")).expect("intact");
    assert_eq!(bits(&checkpoint.best), bits(&params));
    assert_ne!(bits(&checkpoint.params), bits(&params));
    // Resuming a run that has stopped does nothing.
    let again = train(&mut Line::new(None), settings, &mut params, true).expect("resumes");
    assert_eq!((again.records.len(), again.stopped_early), (0, true));
    assert_eq!(bits(&checkpoint.best), bits(&params));
}

#[test]
fn non_finite_losses_end_the_run_before_the_update() {
    let mut objective = |batch: &Batch<'_>, p: &[f64], g: &mut [f64]| -> Result<Evaluation> {
        g.copy_from_slice(p);
        let loss = if batch.iteration == 3 { f64::NAN } else { 1.0 };
        Ok(Evaluation { loss, ..Evaluation::default() })
    };
    let mut adam = Adam::default();
    let batches = Batches::new(4, 2).expect("sizes");
    let quiet = Settings { progress: false, ..Settings::new(10) };
    let trainer = Trainer::new(&mut objective, &mut adam, batches, quiet).expect("fine");
    let mut params = vec![1.0, 2.0];
    let message = trainer.run(&mut params).expect_err("NaN").to_string();
    assert!(message.contains("the loss in iteration 4 is NaN"), "{message}");
    assert!(message.contains("lower the learning rate"), "{message}");
    assert!(params.iter().all(|p| p.is_finite()));
    assert_eq!(adam.t, 3, "no update with a NaN");
}

#[test]
fn clipping_bounds_the_update() {
    struct Plain(Vec<f64>);
    impl Optimize<f64> for Plain {
        fn learning_rate(&self) -> f64 {
            1.0
        }
        fn step(&mut self, _: &mut [f64], gradient: &[f64]) -> Result<()> {
            self.0 = gradient.to_vec();
            Ok(())
        }
        fn export(&self) -> Vec<(String, Vec<f64>)> {
            Vec::new()
        }
        fn import(&mut self, _: &[(String, Vec<f64>)]) -> Result<()> {
            Ok(())
        }
    }
    let mut objective = |_: &Batch<'_>, _: &[f64], g: &mut [f64]| -> Result<Evaluation> {
        g.copy_from_slice(&[3.0, 4.0]);
        Ok(Evaluation::default())
    };
    for (clip, want) in [(2.5, [1.5, 2.0]), (6.0, [3.0, 4.0])] {
        let settings = Settings { clip: Some(Clip::Norm(clip)), progress: false, ..Settings::new(1) };
        let mut rule = Plain(Vec::new());
        let batches = Batches::new(1, 1).expect("sizes");
        let trainer = Trainer::new(&mut objective, &mut rule, batches, settings);
        let outcome = trainer.expect("fine").run(&mut [0.0, 0.0]).expect("trains");
        assert_eq!(outcome.records[0].gradient_norm, 5.0);
        assert_eq!(rule.0, want);
    }
}

#[test]
fn foreign_and_corrupt_checkpoints_are_refused_untouched() {
    let dir = tempfile::tempdir().expect("tempdir");
    whole_run(dir.path(), 12);
    let resume = |params: &mut [f64], size: usize| {
        let (mut line, mut adam) = (Line::new(None), Adam::default());
        let batches = Batches::new(SAMPLES, size)?.shuffled(9);
        let settings = settings(dir.path(), 20);
        Trainer::new(&mut line, &mut adam, batches, settings)?.resume(params)
    };
    let mut three = [1.0, 2.0, 3.0];
    let message = resume(&mut three, 5).expect_err("three").to_string();
    assert!(message.contains("2 parameters, this run has 3"), "{message}");
    assert_eq!(three, [1.0, 2.0, 3.0]);
    let message = resume(&mut [1.0, 2.0], 6).expect_err("six").to_string();
    assert!(message.contains("batches of 5 out of 23"), "{message}");

    let path = dir.path().join("run.safetensors");
    let mut bytes = std::fs::read(&path).expect("there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).expect("writable");
    let mut two = [1.0, 2.0];
    let message = resume(&mut two, 5).expect_err("corrupt").to_string();
    assert!(message.contains("checksum"), "{message}");
    assert_eq!(two, [1.0, 2.0]);
}

#[test]
fn bad_settings_say_what_is_needed() {
    let try_with = |settings: Settings| {
        let (mut line, mut adam) = (Line::new(None), Adam::default());
        let batches = Batches::new(SAMPLES, 5)?;
        Trainer::new(&mut line, &mut adam, batches, settings)?.resume(&mut [0.0, 0.0])
    };
    let base = Settings { progress: false, ..Settings::new(3) };
    let cases = [
        (Settings { clip: Some(Clip::Norm(0.0)), ..base.clone() }, "clipping bound is 0"),
        (Settings { min_delta: -1.0, ..base.clone() }, "min_delta is -1"),
        (Settings { patience: Some(3), ..base.clone() }, "set validate_every"),
        (Settings { patience: Some(0), validate_every: 1, ..base.clone() }, "at least 1"),
        (base, "Settings::checkpoint"),
    ];
    for (settings, words) in cases {
        let message = try_with(settings).expect_err("bad").to_string();
        assert!(message.contains(words), "'{message}' does not say '{words}'");
    }
    let (mut line, mut adam) = (Line::new(None), Adam::default());
    let batches = Batches::new(SAMPLES, 5).expect("sizes");
    let quiet = Settings { progress: false, ..Settings::new(3) };
    let trainer = Trainer::new(&mut line, &mut adam, batches, quiet).expect("fine");
    assert!(trainer.run(&mut [0.0, f64::NAN]).is_err());
}

/// The library's own optimisers, in f32, resumed through their checkpoint files.
#[test]
fn every_rule_resumes_with_the_same_bits() {
    let mut layout = Layout::new();
    layout.push("weight", &[3], Role::Bias { fan_in: 1 }).expect("a first name");
    let rules = [
        Rule::sgd(),
        Rule::momentum(0.9),
        Rule::adam(),
        Rule::adamw(0.01),
        Rule::adabelief(),
        Rule::adamax(),
        Rule::rmsprop(),
    ];

    for rule in rules {
        let dir = tempfile::tempdir().expect("tempdir");
        let run = |iterations: u64, file: &str| {
            let mut objective = |b: &Batch<'_>, p: &[f32], g: &mut [f32]| -> Result<Evaluation> {
                let target = b.indices[0] as f32;
                g.iter_mut().zip(p).for_each(|(g, p)| *g = p - target);
                Ok(Evaluation { loss: f64::from(g[0] * g[0]), ..Evaluation::default() })
            };
            let (initial, last) = (0.02, 0.001);
            let schedule = Schedule::Cosine { initial, last, over: 30 };
            let mut optimizer = Optimizer::new(rule, schedule, layout.clone()).expect("valid");
            let checkpoint = Some(dir.path().join(file));
            let settings = Settings { checkpoint, progress: false, ..Settings::new(iterations) };
            let batches = Batches::new(4, 1).expect("sizes").shuffled(2);
            let trainer = Trainer::new(&mut objective, &mut optimizer, batches, settings);
            let mut params = [0.5f32, -0.25, 1.0];
            trainer.expect("fine").resume(&mut params).expect("trains");
            params.map(f32::to_bits)
        };
        let whole = run(25, "whole");
        run(11, "parts");
        assert_eq!(run(25, "parts"), whole, "{rule:?}");
        assert_ne!(run(24, "shorter"), whole, "{rule:?}");
    }
}
