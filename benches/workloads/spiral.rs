//! W2: y' = W2 tanh(W1 y³ + b1) + b2, 2–50–2, batch 20, f64, ten output times, rtol 1e-7, atol 1e-9.

use crate::Failure;
use crate::heap::peak_of;
use crate::measure::{Clock, Facts, load, max_error, relative_error};
use odeon::adjoint::{Continuous, ContinuousAdjoint, DiscreteAdjoint, Evaluation, Memory, WayBack};
use odeon::integrate::{Options, Problem, Solution};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Network};
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, Solver};

const BATCH: usize = 20;

struct Spiral {
    dynamics: NeuralOde,
    theta: Vec<f64>,
    /// Ten blocks 2 × 20; the first is the initial state.
    truth: Vec<f64>,
    times: Vec<f64>,
}

type Adjoint<'a> = DiscreteAdjoint<f64, ExplicitStepper<'a, f64, NeuralOde>>;

impl Spiral {
    fn new(weights: &str) -> Result<Self, Failure> {
        let network = Network::builder(2)
            .activation(Activation::Cube)
            .dense(50)
            .activation(Activation::Tanh)
            .dense(2)
            .build()?;
        Ok(Self {
            dynamics: NeuralOde::new(network)?,
            theta: load(&format!("spiral_{weights}_params"))?,
            truth: load("spiral_truth")?,
            // The first of linspace(0, 25, 1000).
            times: (0..10).map(|i| f64::from(i) * (25.0 / 999.0)).collect(),
        })
    }

    fn problem(&self) -> Problem<'_, f64> {
        Problem { y0: &self.truth[..2 * BATCH], span: [self.times[0], self.times[9]], theta: &self.theta }
    }

    fn options(&self) -> Options<f64> {
        Options::tol(1e-7, 1e-9).save_at(self.times.clone())
    }

    fn adjoint(&self) -> Adjoint<'_> {
        let stepper = ExplicitStepper::new(&self.dynamics, &Tsit5, BATCH);
        DiscreteAdjoint::new(stepper, Memory::Unlimited)
    }

    /// mean |prediction − truth| and its cotangent.
    fn loss(&self, solution: &Solution<f64>, y_bar: &mut [f64]) -> odeon::Result<f64> {
        let n = self.truth.len() as f64;
        let mut sum = 0.0;
        for ((bar, y), truth) in y_bar.iter_mut().zip(&solution.y).zip(&self.truth) {
            let difference = y - truth;
            sum += difference.abs();
            *bar = if difference == 0.0 { 0.0 } else { difference.signum() / n };
        }
        Ok(sum / n)
    }

    fn gradient(
        &self,
        adjoint: &mut Adjoint<'_>,
        options: &Options<f64>,
    ) -> Result<Evaluation<f64>, Failure> {
        let loss = |solution: &Solution<f64>, y_bar: &mut [f64]| self.loss(solution, y_bar);
        Ok(adjoint.value_and_gradient(&self.problem(), options, &mut [], loss)?)
    }
}

/// The predictions alone.
pub fn forward(weights: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let spiral = Spiral::new(weights)?;
    let reference = load::<f64>(&format!("spiral_{weights}_outputs"))?;
    let (problem, options) = (spiral.problem(), spiral.options());
    let mut solver = Solver::new(&spiral.dynamics, &Tsit5, BATCH);
    let times = clock.time(|| {
        solver.solve(&problem, &options)?;
        Ok(())
    })?;
    let solution = solver.solve(&problem, &options)?;
    let facts = Facts { err_max: Some(max_error(&solution.y, &reference)), ..Facts::of(&solution.stats) };
    Ok((times, facts))
}

/// Loss and the gradient of all 252 parameters.
pub fn gradient(weights: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let spiral = Spiral::new(weights)?;
    let reference = load::<f64>(&format!("spiral_{weights}_gradient"))?;
    let options = spiral.options();
    let (first, peak) = peak_of(|| {
        let mut adjoint = spiral.adjoint();
        spiral.gradient(&mut adjoint, &options).map(|_| adjoint)
    });
    let mut adjoint = first?;
    let times = clock.time(|| spiral.gradient(&mut adjoint, &options).map(drop))?;
    let evaluation = spiral.gradient(&mut adjoint, &options)?;
    let facts = Facts {
        loss: Some(evaluation.loss),
        grad_rel_err: Some(relative_error(adjoint.theta_gradient().iter().copied(), &reference)),
        peak_bytes: Some(peak),
        ..Facts::of(&adjoint.solution().stats)
    };
    Ok((times, facts))
}

/// The same by the adjoint equation, the state integrated backwards with it, at the same tolerances and in the
/// full norm.
pub fn backsolve(weights: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let spiral = Spiral::new(weights)?;
    let reference = load::<f64>(&format!("spiral_{weights}_gradient"))?;
    let (problem, options) = (spiral.problem(), spiral.options());
    let loss = |solution: &Solution<f64>, y_bar: &mut [f64]| spiral.loss(solution, y_bar);
    let (first, peak) = peak_of(|| {
        let kind = Continuous::Backsolve;
        let mut adjoint = ContinuousAdjoint::new(&spiral.dynamics, &Tsit5, BATCH, kind, WayBack::default())?;
        adjoint.value_and_gradient(&problem, &options, loss)?;
        Ok::<_, Failure>(adjoint)
    });
    let mut adjoint = first?;
    let times = clock.time(|| {
        adjoint.value_and_gradient(&problem, &options, loss)?;
        Ok(())
    })?;
    let evaluation = adjoint.value_and_gradient(&problem, &options, loss)?;
    let facts = Facts {
        loss: Some(evaluation.loss),
        grad_rel_err: Some(relative_error(adjoint.theta_gradient().iter().copied(), &reference)),
        peak_bytes: Some(peak),
        ..Facts::of(&adjoint.solution().stats)
    };
    Ok((times, facts))
}

/// Everything from reading the data to one gradient.
pub fn first_gradient() -> Result<(), Failure> {
    let spiral = Spiral::new("init")?;
    let mut adjoint = spiral.adjoint();
    spiral.gradient(&mut adjoint, &spiral.options()).map(drop)
}
