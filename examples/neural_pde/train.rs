//! Training and test of learned right-hand sides.

use crate::common::timed;
use crate::method::Method;
use crate::trajectories::Trajectories;
use crate::weights::schedule;
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dataset::Batches;
use odeon::dynamics::Dynamics;
use odeon::dynamics::compose::{Frozen, Sum};
use odeon::dynamics::pde::{Burgers, Edge, Heat, MethodOfLines};
use odeon::integrate::{Options, Penalty, Problem, Save, Statistics};
use odeon::nn::conv::Padding;
use odeon::nn::{Clip, Initializer, Optimizer, Rule, Schedule};
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, solve};
use odeon::operator::mgno::{Architecture, CycleSpec};
use odeon::operator::{NeuralPde, Surrogate};
use odeon::regularise::LambdaSchedule;
use odeon::train::{Batch, Evaluation, Objective, Record, Settings, Trainer};

/// Bound on the gradient's norm.
const CLIP: f64 = 1.0;
/// Fewest points of the coarsest grid.
const COARSEST: usize = 4;

/// What is known of the equation, and what is learned.
type Equation = Sum<Frozen<MethodOfLines<Heat>, f32>, NeuralPde>;

pub struct Plan {
    pub n: usize,
    pub viscosity: f32,
    pub interval: f32,
    pub window: usize,
    pub iterations: u64,
    pub batch: usize,
    pub channels: usize,
    pub layers: usize,
    pub known: bool,
    pub tol: f32,
    pub rate: f64,
    pub seed: u64,
}

/// A learned equation and its solutions.
pub struct Trained {
    pub name: String,
    pub parameters: usize,
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "for pictures"))]
    pub records: Vec<Record>,
    pub train_s: f64,
    pub predict_s: f64,
    pub solve: Statistics,
    /// Mean relative L2 error at each saved time, and over all.
    pub errors: Vec<f64>,
    pub error: f64,
    /// The first test trajectory.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "for pictures"))]
    pub first: Vec<f32>,
}

impl Plan {
    fn equation(&self) -> Result<Equation> {
        let levels = (1..8).take_while(|level| self.n >> level >= COARSEST).count() + 1;
        let cycle = CycleSpec { padding: [[Padding::Circular; 2]; 3], ..CycleSpec::backslash(levels) };
        let network = Architecture::darcy(self.layers, self.channels, cycle).compile(&[self.n])?;
        let heat = MethodOfLines::new(Heat, &[self.n], &[1.0], Edge::Periodic)?;
        let diffusivity = if self.known { self.viscosity } else { 0.0 };
        Ok(Sum(Frozen::new(heat, &[(0, diffusivity)]), NeuralPde::new(network)?))
    }

    fn options(&self, saved: usize) -> Options<f32> {
        let times = (1..=saved).map(|k| k as f32 * self.interval).collect();
        Options { save: Save::At(times), ..Options::tol(self.tol, self.tol) }
    }

    pub fn train(
        &self,
        set: &Trajectories,
        test: &Trajectories,
        method: Method,
        lambda: [f64; 2],
    ) -> Result<Trained> {
        let equation = self.equation()?;
        let program = equation.1.program();
        let mut theta: Vec<f32> = program.init(Initializer::TorchLinear, self.seed)?;
        let starts = set.count() * (set.length - self.window);
        let size = self.batch.min(starts);
        let batches = Batches::new(starts, size)?.shuffled(self.seed).drop_last();
        let rate = Schedule::one_cycle(self.rate, self.iterations);
        let mut optimizer = Optimizer::new(Rule::adam(), rate, program.layout().clone())?;
        let mut fit = Fit {
            plan: self,
            set,
            adjoint: DiscreteAdjoint::new(ExplicitStepper::new(&equation, &Tsit5, size), Memory::Unlimited),
            options: self.options(self.window),
            penalty: method.penalty(),
            lambda: schedule(lambda, self.iterations)?,
            start: Vec::new(),
            work: vec![0.0; self.n],
        };
        let settings = Settings { clip: Some(Clip::Norm(CLIP)), ..Settings::new(self.iterations) };
        let (outcome, train_s) =
            timed(|| Trainer::new(&mut fit, &mut optimizer, batches, settings)?.run(&mut theta))?;
        let name = match method {
            Method::None => method.to_string(),
            _ if lambda[0] == lambda[1] => format!("{method}, λ = {}", lambda[0]),
            _ => format!("{method}, λ = {} to {}", lambda[0], lambda[1]),
        };
        let tested = self.test(&equation, &theta, test, name)?;
        Ok(Trained { records: outcome.records, train_s, parameters: theta.len(), ..tested })
    }

    /// The equation itself by the method of lines on the same points.
    pub fn truth(&self, test: &Trajectories) -> Result<Trained> {
        let lines = MethodOfLines::new(Burgers, &[self.n], &[1.0], Edge::Periodic)?;
        self.test(&lines, &[self.viscosity], test, "the true equation".into())
    }

    /// All test trajectories in one solve.
    fn test<D: Dynamics<f32>>(
        &self,
        equation: &D,
        theta: &[f32],
        test: &Trajectories,
        name: String,
    ) -> Result<Trained> {
        let saved = test.length - 1;
        let y0: Vec<f32> = (0..test.count()).flat_map(|i| test.state(i, 0)).copied().collect();
        let problem = Problem { y0: &y0, span: [0.0, saved as f32 * self.interval], theta };
        let (solution, predict_s) = timed(|| Ok(solve(equation, &Tsit5, &problem, &self.options(saved))?))?;
        let (mut errors, mut first) = (vec![0.0; saved], Vec::new());
        for (k, error) in errors.iter_mut().enumerate() {
            let state = solution.state(k);
            first.extend_from_slice(&state[..self.n]);
            for (i, u) in state.chunks_exact(self.n).enumerate() {
                *error += test.error(u, [i, k + 1])? / test.count() as f64;
            }
        }
        let error = errors.iter().sum::<f64>() / saved as f64;
        let solve = solution.stats;
        let (records, train_s, parameters) = (Vec::new(), 0.0, 0);
        Ok(Trained { name, parameters, records, train_s, predict_s, solve, errors, error, first })
    }
}

struct Fit<'a> {
    plan: &'a Plan,
    set: &'a Trajectories,
    adjoint: DiscreteAdjoint<f32, ExplicitStepper<'a, f32, Equation>>,
    options: Options<f32>,
    penalty: Option<Box<dyn Penalty<f32>>>,
    lambda: LambdaSchedule,
    start: Vec<f32>,
    work: Vec<f32>,
}

impl Objective<f32> for Fit<'_> {
    /// Mean relative L2 error at the saved times.
    fn evaluate(&mut self, batch: &Batch<'_>, theta: &[f32], gradient: &mut [f32]) -> Result<Evaluation> {
        let Self { plan, set, adjoint, options, penalty, start, work, .. } = self;
        let lambda = self.lambda.at(usize::try_from(batch.iteration).unwrap_or(usize::MAX))?;
        let per_trajectory = set.length - plan.window;
        let place = |sample: usize| [sample / per_trajectory, sample % per_trajectory];
        start.clear();
        for &sample in batch.indices {
            let [trajectory, step] = place(sample);
            start.extend_from_slice(set.state(trajectory, step));
        }
        let problem = Problem { y0: start, span: [0.0, plan.window as f32 * plan.interval], theta };
        let weight = lambda as f32;
        let mut penalties: Vec<Weighted<'_, f32>> =
            penalty.iter_mut().map(|p| Weighted { weight, penalty: &mut **p }).collect();
        let share = 1.0 / (batch.indices.len() * plan.window) as f64;
        let mut total = 0.0;
        let value = adjoint.value_and_gradient(&problem, options, &mut penalties, |solution, bar| {
            let states = solution.y.chunks_exact(plan.n).zip(bar.chunks_exact_mut(plan.n));
            for (i, (u, bar)) in states.enumerate() {
                let [trajectory, step] = place(batch.indices[i % batch.indices.len()]);
                let at = [trajectory, step + 1 + i / batch.indices.len()];
                total += set.loss(u, at, share, [bar, work])?;
            }
            Ok(total as f32)
        })?;
        gradient.copy_from_slice(adjoint.theta_gradient());
        let stats = &adjoint.solution().stats;
        Ok(Evaluation {
            loss: total,
            penalty: value.penalties.first().map_or(0.0, |p| f64::from(*p)),
            lambda,
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
        })
    }
}
