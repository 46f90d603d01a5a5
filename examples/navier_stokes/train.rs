//! The training of one-step networks.

use crate::Method;
use crate::trajectories::Trajectories;
use odeon::Result;
use odeon::dataset::Batches;
use odeon::nn::conv::Padding;
use odeon::nn::{Clip, Initializer, Optimizer, Rule, Schedule};
use odeon::operator::mgno::{Architecture, CycleSpec};
use odeon::operator::surrogate::{Rollout, Through, add_noise};
use odeon::operator::{Program, Scratch, Surrogate};
use odeon::train::{Batch, Evaluation, Objective, Settings, Trainer};
use std::path::Path;

/// Bound on the gradient's norm.
const CLIP: f64 = 1.0;
/// Fewest points of the coarsest grid.
const COARSEST: usize = 4;

pub struct Plan {
    pub extents: Vec<usize>,
    pub channels: usize,
    pub layers: usize,
    /// Of the optimiser, on pairs.
    pub iterations: u64,
    pub window: usize,
    pub noise: f64,
    pub batch: usize,
    pub rate: f64,
    pub seed: u64,
    /// A channel that stays, or none: the force.
    pub fixed: Vec<f32>,
}

impl Plan {
    /// w + N(w, force), periodic, as many grids as leave 4 points.
    pub fn program(&self) -> Result<Program> {
        let least = self.extents.iter().min().copied().unwrap_or(0);
        let levels = (1..8).take_while(|level| least >> level >= COARSEST).count() + 1;
        let cycle = CycleSpec { padding: [[Padding::Circular; 2]; 3], ..CycleSpec::backslash(levels) };
        let darcy = Architecture::darcy(self.layers, self.channels, cycle);
        let inputs = if self.fixed.is_empty() { 1 } else { 2 };
        Architecture { inputs, skip: true, ..darcy }.compile(&self.extents)
    }

    pub fn train(
        &self,
        program: &Program,
        set: &Trajectories,
        method: Method,
        log: &Path,
    ) -> Result<Vec<f32>> {
        let longest = if matches!(method, Method::Window | Method::PushForward) { self.window } else { 1 };
        // As many steps of the flow are differentiated through.
        let iterations = match method {
            Method::Window => (self.iterations / longest as u64).max(1),
            _ => self.iterations,
        };
        let mut theta: Vec<f32> = program.init(Initializer::TorchLinear, self.seed)?;
        let starts = set.count() * (set.length - longest);
        let batches = Batches::new(starts, self.batch.min(starts))?.shuffled(self.seed).drop_last();
        let rule = Rule::Adam { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 };
        let schedule = Schedule::one_cycle(self.rate, iterations);
        let mut optimizer = Optimizer::new(rule, schedule, program.layout().clone())?;
        let mut fit =
            Fit { plan: self, program, set, method, longest, start: Vec::new(), scratch: Scratch::new() };
        let settings = Settings {
            clip: Some(Clip::Norm(CLIP)),
            log: Some(log.to_path_buf()),
            ..Settings::new(iterations)
        };
        Trainer::new(&mut fit, &mut optimizer, batches, settings)?.run(&mut theta)?;
        Ok(theta)
    }
}

struct Fit<'a> {
    plan: &'a Plan,
    program: &'a Program,
    set: &'a Trajectories,
    method: Method,
    /// Steps of the longest window.
    longest: usize,
    start: Vec<f32>,
    scratch: Scratch<f32>,
}

impl Objective<f32> for Fit<'_> {
    /// Mean relative L2 error of the compared states.
    fn evaluate(&mut self, batch: &Batch<'_>, theta: &[f32], gradient: &mut [f32]) -> Result<Evaluation> {
        let Self { plan, program, set, .. } = *self;
        let per_trajectory = set.length - self.longest;
        let place = |sample: usize| [sample / per_trajectory, sample % per_trajectory];
        self.start.clear();
        for &sample in batch.indices {
            let [trajectory, step] = place(sample);
            self.start.extend_from_slice(set.state(trajectory, step));
        }
        if self.method == Method::Noise {
            add_noise(&mut self.start, plan.noise, plan.seed, batch.iteration);
        }
        let through = if self.method == Method::PushForward { Through::Last } else { Through::Window };
        // Push-forward goes through all lengths in turn.
        let steps = match through {
            Through::Last => 1 + (batch.iteration % self.longest as u64) as usize,
            Through::Window => self.longest,
        };
        let compared = if through == Through::Last { 1 } else { steps };
        let share = 1.0 / (batch.indices.len() * compared) as f64;
        // A loss that cannot be computed ends the run as one that is not finite.
        let loss = |[sample, k]: [usize; 2], u: &[f32], bars: [&mut [f32]; 2]| {
            let [trajectory, step] = place(batch.indices[sample]);
            set.loss(u, [trajectory, step + k], share, bars).unwrap_or(f64::NAN)
        };
        gradient.fill(0.0);
        let mut rollout = Rollout::with_fixed(program, steps, through, plan.fixed.clone())?;
        let total = rollout.gradient(theta, &self.start, loss, gradient, &mut self.scratch)?;
        Ok(Evaluation { loss: total, ..Evaluation::default() })
    }
}
