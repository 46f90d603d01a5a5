//! One training: mean squared error at the 30 points plus λR, through the discrete adjoint.

use crate::common::timed;
use crate::data::{Data, END, POINTS, START};
use crate::method::{Draws, Method, Regulariser};
use crate::model::Model;
use crate::weights::schedule;
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dataset::Batches;
use odeon::dynamics::Dynamics;
use odeon::integrate::{ErrorEstimate, Injection, Options, Problem, Save, Solution};
use odeon::nn::{Clip, Loss, Optimizer, Reduction, Rule, Schedule};
use odeon::num::ErrorNorm;
use odeon::num::Real;
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, Solver};
use odeon::regularise::{LambdaSchedule, Local, Rnode, TotalDerivative};
use odeon::train::{Batch, Evaluation, Objective, Record, Settings, Trainer};
use odeon::{Error, Result};

/// What all runs have in common.
#[derive(Clone, Debug)]
pub struct Plan {
    pub iterations: u64,
    pub rtol: f64,
    pub atol: f64,
    /// Learning rate at the start; it falls to a hundredth (cosine).
    pub rate: f64,
    /// How local methods draw.
    pub draws: Draws,
}

/// Gradients are cut to this norm.
const CLIP: f64 = 1.0;
/// Repetitions of the prediction that is timed.
const REPEATS: usize = 31;
/// Parts of a run's seed that differ from use to use.
const DRAWS: u64 = 0x5eed_0000;

/// One method with its weight, to be trained from one seed.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub method: Method,
    /// λ at the start and the end.
    pub lambda: [f64; 2],
    pub seed: u64,
}

/// A trained model.
pub struct Trained<T> {
    pub task: Task,
    pub theta: Vec<T>,
    pub records: Vec<Record>,
    pub train_s: f64,
    /// Mean squared error at the held-out times.
    pub test: f64,
    pub nfe: usize,
    pub accepted: usize,
    pub rejected: usize,
    /// Median seconds of a prediction; measured by [`Trained::time`].
    pub predict_s: f64,
}

impl Plan {
    /// Options of training and prediction.
    pub fn options<T: Real>(&self) -> Options<T> {
        Options::tol(T::of(self.rtol), T::of(self.atol))
    }
}

impl Task {
    /// Trains, then predicts the held-out times.
    pub fn train<T: Real>(self, model: &Model, data: &Data<T>, plan: &Plan) -> Result<Trained<T>> {
        let mut theta: Vec<T> = model.init(self.seed)?;
        let rate = Schedule::Cosine { initial: plan.rate, last: 0.01 * plan.rate, over: plan.iterations };
        let mut optimizer = Optimizer::new(Rule::adam(), rate, model.layout().clone())?;
        let mut fit = Fit {
            model,
            adjoint: DiscreteAdjoint::new(ExplicitStepper::new(model, &Tsit5, 1), Memory::Unlimited),
            data,
            options: plan.options().save_at(&data.training.t[..]),
            regulariser: self.method.build(self.lambda, DRAWS + self.seed, plan.draws)?,
            lambda: schedule(self.lambda, plan.iterations)?,
        };
        let settings =
            Settings { clip: Some(Clip::Norm(CLIP)), progress: false, ..Settings::new(plan.iterations) };
        let batches = Batches::new(POINTS, POINTS)?;
        let (outcome, train_s) =
            timed(|| Trainer::new(&mut fit, &mut optimizer, batches, settings)?.run(&mut theta))?;
        let options = plan.options().save_at(&data.held_out.t[..]);
        let mut solver = Solver::new(model, &Tsit5, 1);
        let solution = solver.solve(&problem(&start(), &theta), &options)?;
        let test = Loss::Mse.value(&solution.y, &data.held_out.y, Reduction::Mean)?;
        let stats = &solution.stats;
        Ok(Trained {
            task: self,
            test: test.f64(),
            nfe: stats.nfe,
            accepted: stats.accepted,
            rejected: stats.rejected,
            theta,
            records: outcome.records,
            train_s,
            predict_s: f64::NAN,
        })
    }
}

impl<T: Real> Trained<T> {
    /// Solves as after training, with these options.
    #[cfg(feature = "plot")]
    pub fn solve(&self, model: &Model, options: &Options<T>) -> Result<Solution<T>> {
        let mut solver = Solver::new(model, &Tsit5, 1);
        Ok(solver.solve(&problem(&start(), &self.theta), options)?.clone())
    }

    /// Times the prediction of the training points.
    pub fn time(&mut self, model: &Model, data: &Data<T>, plan: &Plan) -> Result<()> {
        let options = plan.options().save_at(&data.training.t[..]);
        let mut solver = Solver::new(model, &Tsit5, 1);
        let (y0, mut seconds) = (start(), Vec::with_capacity(REPEATS));
        for _ in 0..REPEATS {
            let solve = || Ok(solver.solve(&problem(&y0, &self.theta), &options).map(drop)?);
            seconds.push(timed(solve)?.1);
        }
        seconds.sort_by(f64::total_cmp);
        self.predict_s = seconds[REPEATS / 2];
        Ok(())
    }
}

fn start<T: Real>() -> [T; 2] {
    START.map(T::of)
}

fn problem<'a, T: Real>(y0: &'a [T], theta: &'a [T]) -> Problem<'a, T> {
    Problem { y0, span: [T::zero(), T::of(END)], theta }
}

/// The training objective.
struct Fit<'a, T: Real> {
    model: &'a Model,
    adjoint: DiscreteAdjoint<T, ExplicitStepper<'a, T, Model>>,
    data: &'a Data<T>,
    options: Options<T>,
    regulariser: Regulariser<T>,
    lambda: LambdaSchedule,
}

/// Mean squared error of states of `dim` rows, of which the first two count.
fn loss<T: Real>(solution: &Solution<T>, target: &[T], bar: &mut [T]) -> Result<T> {
    Loss::Mse.value_and_cotangent(&solution.y, target, Reduction::Mean, bar)
}

impl<T: Real> Objective<T> for Fit<'_, T> {
    fn evaluate(&mut self, batch: &Batch<'_>, theta: &[T], gradient: &mut [T]) -> Result<Evaluation> {
        let n = usize::try_from(batch.iteration).unwrap_or(usize::MAX);
        let lambda = self.lambda.at(n)?;
        let y0 = start();
        let mut problem = problem(&y0, theta);
        let target = &self.data.training.y[..];
        let adjoint = &mut self.adjoint;
        let weight = T::of(lambda);
        let (value, penalty, lambda) = match &mut self.regulariser {
            Regulariser::None => {
                let value =
                    adjoint.value_and_gradient(&problem, &self.options, &mut [], |solution, bar| {
                        loss(solution, target, bar)
                    })?;
                (value.loss, T::zero(), 0.0)
            }
            Regulariser::Steer(steer) => {
                problem.span = steer.sample([T::zero(), T::of(END)])?;
                if let Save::At(times) = &mut self.options.save {
                    times[POINTS - 1] = problem.span[1];
                }
                let value =
                    adjoint.value_and_gradient(&problem, &self.options, &mut [], |solution, bar| {
                        loss(solution, target, bar)
                    })?;
                (value.loss, T::zero(), 0.0)
            }
            Regulariser::Global(penalty) => {
                let penalty = Weighted { weight, penalty: &mut **penalty };
                let value = adjoint.value_and_gradient(
                    &problem,
                    &self.options,
                    &mut [penalty],
                    |solution, bar| loss(solution, target, bar),
                )?;
                (value.loss, value.penalties[0], lambda)
            }
            Regulariser::Local(local) => {
                let setting = (&self.options, lambda);
                return locally(adjoint, local, (&problem, target), setting, gradient);
            }
            Regulariser::Rnode(seed) => {
                let rows = Rnode::new(self.model, 1, *seed + batch.iteration);
                return with_rows(&rows, &self.options, (theta, target), weight, gradient);
            }
            Regulariser::Taylor => {
                let rows = TotalDerivative::new::<T>(self.model, ORDER)?;
                return with_rows(&rows, &self.options, (theta, target), weight, gradient);
            }
        };
        gradient.copy_from_slice(adjoint.theta_gradient());
        Ok(evaluation(adjoint.solution(), [value, penalty], lambda))
    }
}

fn evaluation<T: Real>(solution: &Solution<T>, [loss, r]: [T; 2], lambda: f64) -> Evaluation {
    let stats = &solution.stats;
    Evaluation {
        loss: loss.f64(),
        penalty: r.f64(),
        lambda,
        nfe: stats.nfe,
        accepted: stats.accepted,
        rejected: stats.rejected,
    }
}

/// The objective with extra steps.
fn locally<T: Real>(
    adjoint: &mut DiscreteAdjoint<T, ExplicitStepper<'_, T, Model>>,
    local: &mut Local<T, ErrorEstimate<T>>,
    (problem, target): (&Problem<'_, T>, &[T]),
    (options, lambda): (&Options<T>, f64),
    gradient: &mut [T],
) -> Result<Evaluation> {
    let solution = adjoint.forward(problem, options, &mut [])?;
    let mut bar = vec![T::zero(); solution.y.len()];
    let value = loss(solution, target, &mut bar)?;
    gradient.fill(T::zero());
    let r = local.evaluate(adjoint, T::of(lambda), gradient)?;
    let injections: Vec<Injection<'_, T>> = local.injections().collect();
    adjoint.reverse(&bar, &injections, &mut [])?;
    for (sum, g) in gradient.iter_mut().zip(adjoint.theta_gradient()) {
        *sum += *g;
    }
    Ok(evaluation(adjoint.solution(), [value, r], lambda))
}

/// K of TayNODE.
const ORDER: usize = 3;

/// The model with further rows whose integrals are the penalty.
trait Augmented<T: Real>: Dynamics<T> {
    fn augment(&self, y: &[T], out: &mut Vec<T>) -> Result<()>;
    fn norm(&self, norm: &ErrorNorm<T>) -> ErrorNorm<T>;
    /// The penalty's value; with the weight its cotangents are added to `bar`.
    fn read(&self, y: &[T], weight: T, bar: &mut [T]) -> T;
}

impl<T: Real> Augmented<T> for Rnode<'_, T, Model> {
    fn augment(&self, y: &[T], out: &mut Vec<T>) -> Result<()> {
        Rnode::augment(self, y, out)
    }
    fn norm(&self, norm: &ErrorNorm<T>) -> ErrorNorm<T> {
        Rnode::norm(self, norm)
    }
    fn read(&self, y: &[T], weight: T, bar: &mut [T]) -> T {
        let [energy, frobenius] = Rnode::read(self, y, [weight; 2], bar);
        energy + frobenius
    }
}

impl<T: Real> Augmented<T> for TotalDerivative<'_, Model> {
    fn augment(&self, y: &[T], out: &mut Vec<T>) -> Result<()> {
        TotalDerivative::augment(self, y, out)
    }
    fn norm(&self, norm: &ErrorNorm<T>) -> ErrorNorm<T> {
        TotalDerivative::norm(self, norm)
    }
    fn read(&self, y: &[T], weight: T, bar: &mut [T]) -> T {
        TotalDerivative::read(self, y, weight, bar)
    }
}

/// The objective with more states.
fn with_rows<T: Real, A: Augmented<T>>(
    augmented: &A,
    options: &Options<T>,
    (theta, target): (&[T], &[T]),
    weight: T,
    gradient: &mut [T],
) -> Result<Evaluation> {
    let mut y0 = Vec::new();
    augmented.augment(&start::<T>(), &mut y0)?;
    let options = Options { norm: augmented.norm(&options.norm), ..options.clone() };
    let stepper = ExplicitStepper::new(augmented, &Tsit5, 1);
    let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
    let dim = y0.len();
    let own = START.len();
    let solution = adjoint.forward(&problem(&y0, theta), &options, &mut [])?;
    let rows: Vec<T> = (solution.y.chunks_exact(dim)).flat_map(|y| &y[..own]).copied().collect();
    let mut rows_bar = vec![T::zero(); rows.len()];
    let value = Loss::Mse.value_and_cotangent(&rows, target, Reduction::Mean, &mut rows_bar)?;
    let mut bar = vec![T::zero(); solution.y.len()];
    for (to, from) in bar.chunks_exact_mut(dim).zip(rows_bar.chunks_exact(own)) {
        to[..own].copy_from_slice(from);
    }
    let Some(last) = bar.chunks_exact_mut(dim).last() else {
        return Err(Error::invalid("the saved states", "none", "the end is needed"));
    };
    let total = augmented.read(solution.last(), weight, last);
    adjoint.reverse(&bar, &[], &mut [])?;
    gradient.copy_from_slice(adjoint.theta_gradient());
    Ok(evaluation(adjoint.solution(), [value, total], weight.f64()))
}
