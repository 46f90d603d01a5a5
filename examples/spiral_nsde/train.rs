//! One training: the distance of the moments of 100 paths plus λR, through the discrete adjoint, on new noise in
//! every iteration.

use crate::common::timed;
use crate::data::{DIM, END, pool, times};
use crate::method::{Estimate, Method, Regulariser};
use crate::weights::schedule;
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dataset::Batches;
use odeon::integrate::{Injection, Options, Problem, Solution};
use odeon::model::{Moments, NeuralDiffusion, NeuralSde, NoiseForm, Range};
use odeon::nn::{Activation, Initializer, Network, Optimizer, Rule, Schedule};
use odeon::num::parallel;
use odeon::regularise::LambdaSchedule;
use odeon::sde::noise::{IntervalTree, Levy};
use odeon::sde::problems::StochasticSpiral;
use odeon::sde::solve;
use odeon::sde::srk::{SrkStepper, StochasticTableau};
use odeon::train::{Batch, Evaluation, Objective, Record, Settings, Trainer};

/// What all runs have in common.
#[derive(Clone, Debug)]
pub struct Plan {
    pub iterations: u64,
    pub tolerance: f64,
    pub rate: f64,
    /// Paths of an iteration and of a prediction.
    pub paths: usize,
    /// Predictions of the test.
    pub predictions: usize,
    pub estimate: Estimate,
}

/// Seeds of the noise of tests, apart from those of trainings.
const TEST: u64 = 1 << 40;

/// One method with its weight, to be trained from one seed.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub method: Method,
    /// λ at the start and the end.
    pub lambda: [f64; 2],
    pub seed: u64,
}

/// A trained model.
pub struct Trained {
    pub task: Task,
    pub records: Vec<Record>,
    pub train_s: f64,
    /// Moments of all predictions together, and their distance to the truth.
    pub moments: Moments<f64>,
    pub test: f64,
    /// Means over the predictions.
    pub nfe: f64,
    pub accepted: f64,
    pub rejected: f64,
    /// Median seconds of a prediction.
    pub predict_s: f64,
}

/// Drift x³ → 50 tanh → 2 and diffusion Dense(2, 2), whose outputs are the diagonal, as published: it mixes the
/// rows, so that the noise is not diagonal in SOSRI's sense and its strong order is ½. The loss sees moments only, for
/// which the weak order 1 that remains is what counts ([`NoiseForm::Diagonal`]).
pub fn model() -> Result<NeuralSde> {
    let drift = Network::builder(DIM)
        .activation(Activation::Cube)
        .dense(50)
        .activation(Activation::Tanh)
        .dense(DIM)
        .build()?;
    let diffusion = Network::builder(DIM).dense(DIM).build()?;
    NeuralSde::ito(drift, NeuralDiffusion::new(diffusion, NoiseForm::Diagonal, Range::Any)?)
}

impl Plan {
    fn options(&self) -> Options<f64> {
        Options::tol(self.tolerance, self.tolerance).save_at(times())
    }

    fn noise(&self, seed: u64) -> Result<IntervalTree<f64>> {
        Ok(IntervalTree::new(seed, [0.0, END], DIM, self.paths)?.levy(Levy::SpaceTime))
    }

    fn start(&self) -> Vec<f64> {
        StochasticSpiral::Y0.repeat(self.paths)
    }
}

/// Evaluations of the drift that the true process takes: no model that has its moments can do with far fewer
/// where the estimate goes with the drift itself.
pub fn true_nfe(method: Method, plan: &Plan) -> Result<f64> {
    let (sde, options, y0) = (StochasticSpiral::sde(), plan.options(), plan.start());
    let problem = Problem { y0: &y0, span: [0.0, END], theta: &StochasticSpiral::THETA };
    let mut sum = 0;
    for k in 0..plan.predictions {
        let noise = plan.noise(TEST + k as u64)?;
        sum += solve(&sde, method.tableau(plan.estimate), noise, &problem, &options)?.stats.nfe;
    }
    Ok(sum as f64 / plan.predictions as f64)
}

impl Task {
    /// Trains, then predicts.
    pub fn train(self, model: &NeuralSde, truth: &Moments<f64>, plan: &Plan) -> Result<Trained> {
        let mut theta: Vec<f64> = model.init(Initializer::GlorotUniform, self.seed)?;
        let rate = Schedule::Constant(plan.rate);
        let mut optimizer = Optimizer::new(Rule::adabelief(), rate, model.layout().clone())?;
        let mut fit = Fit {
            model,
            truth,
            plan,
            table: self.method.tableau(plan.estimate),
            options: plan.options(),
            y0: plan.start(),
            seed: self.seed,
            regulariser: self.method.build(self.seed)?,
            lambda: schedule(self.lambda, plan.iterations)?,
        };
        let settings = Settings { progress: false, ..Settings::new(plan.iterations) };
        let batches = Batches::new(1, 1)?;
        let (outcome, train_s) =
            timed(|| Trainer::new(&mut fit, &mut optimizer, batches, settings)?.run(&mut theta))?;
        self.predict(model, truth, plan, &theta, (outcome.records, train_s))
    }

    fn predict(
        self,
        model: &NeuralSde,
        truth: &Moments<f64>,
        plan: &Plan,
        theta: &[f64],
        (records, train_s): (Vec<Record>, f64),
    ) -> Result<Trained> {
        let (table, options, y0) = (self.method.tableau(plan.estimate), plan.options(), plan.start());
        let problem = Problem { y0: &y0, span: [0.0, END], theta };
        let (mut samples, mut seconds, mut counts) = (Vec::new(), Vec::new(), [0; 3]);
        for k in 0..plan.predictions {
            // The same noise for every model.
            let noise = plan.noise(TEST + k as u64)?;
            let (solution, s) = timed(|| Ok(solve(model, table, noise, &problem, &options)?))?;
            let stats = &solution.stats;
            for (sum, n) in counts.iter_mut().zip([stats.nfe, stats.accepted, stats.rejected]) {
                *sum += n;
            }
            seconds.push(s);
            samples.push(solution.y);
        }
        seconds.sort_by(f64::total_cmp);
        let moments = Moments::of(&pool(&samples), DIM, plan.paths * plan.predictions)?;
        let [nfe, accepted, rejected] = counts.map(|c| c as f64 / plan.predictions as f64);
        Ok(Trained {
            task: self,
            records,
            train_s,
            test: truth.distance(&moments)?,
            moments,
            nfe,
            accepted,
            rejected,
            predict_s: seconds[seconds.len() / 2],
        })
    }
}

/// Trains every task; the results in order.
pub fn train_all(
    model: &NeuralSde,
    truth: &Moments<f64>,
    plan: &Plan,
    tasks: &[Task],
    threads: usize,
) -> Result<Vec<Trained>> {
    let trained = parallel::with_threads(threads, || {
        parallel::chunks(tasks.len(), 1, |range| {
            tasks[range].iter().map(|task| task.train(model, truth, plan)).collect::<Result<Vec<_>>>()
        })
    })?;
    let trained: Result<Vec<Vec<_>>> = trained.into_iter().collect();
    Ok(trained?.into_iter().flatten().collect())
}

/// The training objective.
struct Fit<'a> {
    model: &'a NeuralSde,
    truth: &'a Moments<f64>,
    plan: &'a Plan,
    table: &'static StochasticTableau,
    options: Options<f64>,
    y0: Vec<f64>,
    seed: u64,
    regulariser: Regulariser,
    lambda: LambdaSchedule,
}

impl Objective<f64> for Fit<'_> {
    fn evaluate(&mut self, batch: &Batch<'_>, theta: &[f64], gradient: &mut [f64]) -> Result<Evaluation> {
        let lambda = self.lambda.at(usize::try_from(batch.iteration).unwrap_or(usize::MAX))?;
        let noise = self.plan.noise((self.seed << 20) + batch.iteration)?;
        let stepper = SrkStepper::new(self.model, self.table, noise)?;
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        let problem = Problem { y0: &self.y0, span: [0.0, END], theta };
        let loss = |solution: &Solution<f64>, bar: &mut [f64]| {
            self.truth.value_and_cotangent(&solution.y, self.plan.paths, bar)
        };
        let (value, penalty) = match &mut self.regulariser {
            Regulariser::None => {
                (adjoint.value_and_gradient(&problem, &self.options, &mut [], loss)?.loss, 0.0)
            }
            Regulariser::Global(penalty) => {
                let penalty = Weighted { weight: lambda, penalty: &mut **penalty };
                let found = adjoint.value_and_gradient(&problem, &self.options, &mut [penalty], loss)?;
                (found.loss, found.penalties[0])
            }
            Regulariser::Local(local) => {
                let solution = adjoint.forward(&problem, &self.options, &mut [])?;
                let mut bar = vec![0.0; solution.y.len()];
                let value = loss(solution, &mut bar)?;
                gradient.fill(0.0);
                let r = local.evaluate(&mut adjoint, lambda, gradient)?;
                let injections: Vec<Injection<'_, f64>> = local.injections().collect();
                adjoint.reverse(&bar, &injections, &mut [])?;
                gradient.iter_mut().zip(adjoint.theta_gradient()).for_each(|(sum, g)| *sum += g);
                (value, r)
            }
        };
        if !matches!(self.regulariser, Regulariser::Local(_)) {
            gradient.copy_from_slice(adjoint.theta_gradient());
        }
        let stats = &adjoint.solution().stats;
        Ok(Evaluation {
            loss: value,
            penalty,
            lambda,
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
        })
    }
}
