//! One training through the discrete adjoint of fixed steps.

use crate::common::timed;
use crate::data::{Data, TIMES, Windows};
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dataset::Batches;
use odeon::dynamics::Dynamics;
use odeon::integrate::{Options, Problem, Reverse, Save, Solution};
use odeon::nn::{Initializer, Layout, Network, Optimizer, Rule, Schedule};
use odeon::ode::{StepMethod, solve};

/// The step size.
pub const STEP: f64 = 0.125;
/// Windows of a batch.
const BATCH: usize = 64;

/// A trained model.
pub struct Trained {
    pub theta: Vec<f64>,
    pub losses: Vec<f64>,
    pub test: f64,
    pub seconds: f64,
}

fn options() -> Options<f64> {
    Options::fixed(STEP).save(Save::At(TIMES.to_vec()))
}

/// Mean square error, and its cotangents.
fn loss(s: &Solution<f64>, windows: &Windows, bar: &mut [f64]) -> f64 {
    let count = s.y.len() as f64;
    let targets = windows.targets.iter().flatten();
    s.y.iter().zip(targets).zip(bar).fold(0.0, |sum, ((y, target), bar)| {
        *bar = 2.0 * (y - target) / count;
        sum + (y - target) * (y - target) / count
    })
}

/// Trains `model`, whose parameters are those of `networks`, by steps of `method`.
pub fn train<'a, D, M>(
    model: &'a D,
    networks: &[&Network],
    method: &M,
    data: &Data,
    iterations: u64,
    seed: u64,
) -> Result<Trained>
where
    D: Dynamics<f64>,
    M: StepMethod<f64, D>,
    M::Stepper<'a>: Reverse<f64>,
{
    let (mut theta, mut layout) = (Vec::new(), Layout::new());
    for (k, network) in networks.iter().enumerate() {
        theta.extend(network.init::<f64>(Initializer::GlorotUniform, seed + k as u64)?);
        layout.append(&k.to_string(), network.layout())?;
    }
    let schedule = Schedule::Cosine { initial: 5e-3, last: 5e-5, over: iterations };
    let mut optimizer = Optimizer::new(Rule::adam(), schedule, layout)?;
    let mut batches = Batches::new(data.train.columns(), BATCH)?.shuffled(seed).drop_last();
    let mut adjoint = DiscreteAdjoint::new(method.stepper(model, BATCH), Memory::Unlimited);
    let mut losses = Vec::new();
    let (_, seconds) = timed(|| {
        for _ in 0..iterations {
            let batch = data.train.pick(batches.next_batch());
            let problem = Problem { y0: &batch.starts, span: [0.0, 1.0], theta: &theta };
            let value = adjoint
                .value_and_gradient(&problem, &options(), &mut [], |s, bar| Ok(loss(s, &batch, bar)))?;
            losses.push(value.loss);
            optimizer.step(&mut theta, adjoint.theta_gradient())?;
        }
        Ok(())
    })?;
    let problem = Problem { y0: &data.test.starts, span: [0.0, 1.0], theta: &theta };
    let s = solve(model, method, &problem, &options())?;
    let mut nowhere = vec![0.0; s.y.len()];
    let test = loss(&s, &data.test, &mut nowhere);
    Ok(Trained { theta, losses, test, seconds })
}
