//! W7, f32: one training iteration of a continuous normalising flow: z' = N(t, z), 2–64–64–64–2, tanh, the time a further
//! input of each layer, batch 512, exact trace, t ∈ [0, 1], Tsit5, rtol = atol = 1e-5, mean −ln p and an Adam step.

use crate::Failure;
use crate::measure::{Clock, Facts, relative_error};
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::integrate::{Options, Problem};
use odeon::model::{Flow, Trace};
use odeon::nn::{Activation, Network, Optimizer, Rule, Schedule};
use odeon::num::Real;
use odeon::ode::ExplicitStepper;
use odeon::ode::tableaux::Tsit5;

const BATCH: usize = 512;
const WIDTH: usize = 64;
/// Rows that a layer takes, the time included, and gives.
const LAYERS: [[usize; 2]; 4] = [[3, WIDTH], [WIDTH + 1, WIDTH], [WIDTH + 1, WIDTH], [WIDTH + 1, 2]];

/// Irregular numbers in (−1, 1), the same in every peer.
fn wave(i: usize) -> f64 {
    (1.7 * i as f64 + (i as f64).sqrt()).sin()
}

fn network() -> Result<Network, Failure> {
    let mut builder = Network::builder(2);
    for _ in 0..3 {
        builder = builder.concat_time().dense(WIDTH).activation(Activation::Tanh);
    }
    Ok(builder.concat_time().dense(2).build()?)
}

/// Weights 2 wave/√(inputs), biases 0.1 wave, layer by layer.
fn theta<T: Real>() -> Vec<T> {
    let mut theta = Vec::new();
    for [inputs, outputs] in LAYERS {
        for i in 0..(inputs + 1) * outputs {
            let scale = if i < inputs * outputs { 2.0 / (inputs as f64).sqrt() } else { 0.1 };
            theta.push(T::of(scale * wave(theta.len() + 1)));
        }
    }
    theta
}

fn points<T: Real>() -> Vec<T> {
    (0..2 * BATCH).map(|i| T::of(2.0 * wave(i + 100_000))).collect()
}

/// Mean −ln p, its gradient, and the counts.
struct Iteration<'a, T: Real> {
    flow: &'a Flow<T>,
    adjoint: DiscreteAdjoint<T, ExplicitStepper<'a, T, Flow<T>>>,
    y0: Vec<T>,
    options: Options<T>,
}

impl<'a, T: Real> Iteration<'a, T> {
    fn new(flow: &'a Flow<T>, tolerance: f64) -> Result<Self, Failure> {
        let mut y0 = Vec::new();
        flow.start(&points(), &mut y0)?;
        let adjoint = DiscreteAdjoint::new(ExplicitStepper::new(flow, &Tsit5, BATCH), Memory::Unlimited);
        Ok(Self { flow, adjoint, y0, options: Options::tol(T::of(tolerance), T::of(tolerance)) })
    }

    fn run(&mut self, theta: &[T]) -> Result<T, Failure> {
        let problem = Problem { y0: &self.y0, span: self.flow.span(), theta };
        let loss = self.adjoint.value_and_gradient(&problem, &self.options, &mut [], |solution, bar| {
            Ok(self.flow.loss(solution.last(), [T::zero(); 2], bar)?.nll)
        })?;
        Ok(loss.loss)
    }
}

/// Loss, gradient and Adam's step, from the same parameters each time.
pub fn iteration(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let exact = Flow::<f64>::new(network()?, Trace::Exact, 1.0)?;
    let mut reference = Iteration::new(&exact, 1e-10)?;
    reference.run(&theta())?;
    let flow = Flow::<f32>::new(network()?, Trace::Exact, 1.0)?;
    let mut single = Iteration::new(&flow, 1e-5)?;
    let start = theta::<f32>();
    let mut params = start.clone();
    let rate = Schedule::Constant(1e-3);
    let mut optimizer = Optimizer::new(Rule::adam(), rate, flow.network().layout().clone())?;
    let times = clock.time(|| {
        params.copy_from_slice(&start);
        single.run(&params)?;
        Ok(optimizer.step(&mut params, single.adjoint.theta_gradient())?)
    })?;
    let loss = single.run(&start)?;
    let gradient = single.adjoint.theta_gradient();
    let grad_rel_err = Some(relative_error(gradient.iter().copied(), reference.adjoint.theta_gradient()));
    let facts = Facts::of(&single.adjoint.solution().stats);
    Ok((times, Facts { grad_rel_err, loss: Some(f64::from(loss)), ..facts }))
}
