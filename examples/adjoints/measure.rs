//! The problem, and one gradient of it by each adjoint.

use crate::Point;
use odeon::Result;
use odeon::adjoint::{
    AdjointStatistics, Continuous, ContinuousAdjoint, DiscreteAdjoint, Memory, ReversibleAdjoint, WayBack,
    forward_gradient,
};
use odeon::integrate::{self, Options, Solution};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Initializer, Network};
use odeon::ode::reversible::{AsynchronousLeapfrog, Coupled};
use odeon::ode::tableaux::{Tsit5, Vern9};
use odeon::ode::{ExplicitStepper, StepMethod};
use std::time::Instant;

/// End of the time span.
const END: f64 = 4.0;

/// An adjoint with the method that it goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Discrete,
    Budgeted,
    Reversible,
    Leapfrog,
    Backsolve,
    Interpolating,
    Quadrature,
    Checkpoints,
    Forward,
}

impl Method {
    pub const ALL: [Self; 9] = [
        Self::Discrete,
        Self::Budgeted,
        Self::Reversible,
        Self::Leapfrog,
        Self::Backsolve,
        Self::Interpolating,
        Self::Quadrature,
        Self::Checkpoints,
        Self::Forward,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Budgeted => "discrete, budget",
            Self::Reversible => "reversible (Tsit5)",
            Self::Leapfrog => "reversible (ALF)",
            Self::Backsolve => "backsolve",
            Self::Interpolating => "interpolating",
            Self::Quadrature => "quadrature",
            Self::Checkpoints => "quadrature, budget",
            Self::Forward => "forward",
        }
    }
}

/// The neural ODE, its parameters and initial states, and the gradient of the equation.
pub struct Problem {
    dynamics: NeuralOde,
    theta: Vec<f64>,
    y0: Vec<f64>,
    exact: Vec<f64>,
}

type Gradient = (Vec<f64>, AdjointStatistics);

/// mean y(T)² and its cotangent.
fn loss(solution: &Solution<f64>, y_bar: &mut [f64]) -> Result<f64> {
    let n = y_bar.len();
    let y = &solution.last()[..n];
    y_bar.iter_mut().zip(y).for_each(|(bar, y)| *bar = 2.0 * y / n as f64);
    Ok(y.iter().map(|y| y * y).sum::<f64>() / n as f64)
}

fn flat(y0: &[f64], theta: &[f64]) -> Vec<f64> {
    [y0, theta].concat()
}

impl Problem {
    pub fn new(width: u32, batch: u32, seed: u64) -> Result<Self> {
        let network = Network::builder(2)
            .activation(Activation::Cube)
            .dense(width as usize)
            .activation(Activation::Tanh)
            .dense(2)
            .build()?;
        let theta = network.init(Initializer::GlorotUniform, seed)?;
        let angle = |i: u32| f64::from(i) * 2.399_963;
        let y0 = (0..batch).flat_map(|i| [1.2 * angle(i).cos(), 1.2 * angle(i).sin()]).collect();
        let mut problem = Self { dynamics: NeuralOde::new(network)?, theta, y0, exact: Vec::new() };
        let stepper = ExplicitStepper::new(&problem.dynamics, &Vern9, batch as usize);
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        adjoint.value_and_gradient(&problem.solve(), &Options::tol(1e-12, 1e-12), &mut [], loss)?;
        let exact = flat(adjoint.y0_gradient(), adjoint.theta_gradient());
        problem.exact = exact;
        Ok(problem)
    }

    pub fn parameters(&self) -> usize {
        self.theta.len()
    }

    fn batch(&self) -> usize {
        self.y0.len() / 2
    }

    fn solve(&self) -> integrate::Problem<'_, f64> {
        integrate::Problem { y0: &self.y0, span: [0.0, END], theta: &self.theta }
    }

    fn error(&self, gradient: &[f64]) -> f64 {
        let size = self.exact.iter().fold(0.0f64, |s, x| s.max(x.abs()));
        let pairs = gradient.iter().zip(&self.exact);
        pairs.fold(0.0f64, |s, (a, b)| s.max((a - b).abs())) / size
    }

    /// The gradient in `steps` fixed steps, repeated for about so many seconds.
    pub fn gradient(&self, method: Method, steps: usize, budget: usize, seconds: f64) -> Result<Point> {
        let options = Options::fixed(END / steps as f64);
        let (f, batch, problem) = (&self.dynamics, self.batch(), self.solve());
        let memory = Memory::Bytes(budget);
        let continuous = |kind| -> Result<ContinuousAdjoint<'_, f64, NeuralOde>> {
            ContinuousAdjoint::new(
                f,
                &Tsit5,
                batch,
                kind,
                WayBack { drift_bound: Some(0.1), ..WayBack::default() },
            )
        };
        let discrete = |memory| DiscreteAdjoint::new(ExplicitStepper::new(f, &Tsit5, batch), memory);
        let run: Box<dyn FnMut() -> Result<Gradient> + '_> = match method {
            Method::Discrete | Method::Budgeted => {
                let mut adjoint =
                    discrete(if method == Method::Budgeted { memory } else { Memory::Unlimited });
                Box::new(move || {
                    adjoint.value_and_gradient(&problem, &options, &mut [], loss)?;
                    Ok((flat(adjoint.y0_gradient(), adjoint.theta_gradient()), adjoint.statistics()))
                })
            }
            Method::Reversible => {
                let mut adjoint = ReversibleAdjoint::new(Coupled::new(Tsit5).stepper(f, batch));
                Box::new(move || {
                    adjoint.value_and_gradient(&problem, &options, &mut [], loss)?;
                    Ok((flat(adjoint.y0_gradient(), adjoint.theta_gradient()), adjoint.statistics()))
                })
            }
            Method::Leapfrog => {
                let mut adjoint = ReversibleAdjoint::new(AsynchronousLeapfrog::default().stepper(f, batch));
                Box::new(move || {
                    adjoint.value_and_gradient(&problem, &options, &mut [], loss)?;
                    Ok((flat(adjoint.y0_gradient(), adjoint.theta_gradient()), adjoint.statistics()))
                })
            }
            Method::Forward => Box::new(move || {
                let gradient = forward_gradient(f, &Tsit5, &problem, &options, loss)?;
                Ok((flat(&gradient.y0, &gradient.theta), gradient.sensitivity.statistics()))
            }),
            kind => {
                let mut adjoint = continuous(match kind {
                    Method::Interpolating => Continuous::Interpolating(Memory::Unlimited),
                    Method::Quadrature => Continuous::Quadrature(Memory::Unlimited),
                    Method::Checkpoints => Continuous::Quadrature(memory),
                    _ => Continuous::Backsolve,
                })?;
                Box::new(move || {
                    adjoint.value_and_gradient(&problem, &options, loss)?;
                    Ok((flat(adjoint.y0_gradient(), adjoint.theta_gradient()), adjoint.statistics()))
                })
            }
        };
        self.point(steps, run, seconds)
    }

    fn point(
        &self,
        steps: usize,
        mut run: Box<dyn FnMut() -> Result<Gradient> + '_>,
        seconds: f64,
    ) -> Result<Point> {
        let (gradient, statistics) = run()?;
        let (start, mut least) = (Instant::now(), f64::INFINITY);
        loop {
            let one = Instant::now();
            run()?;
            least = least.min(one.elapsed().as_secs_f64());
            if start.elapsed().as_secs_f64() > seconds {
                break;
            }
        }
        Ok(Point {
            steps,
            error: self.error(&gradient),
            bytes: statistics.work_bytes + statistics.checkpoint_bytes,
            seconds: least,
            nfe: statistics.nfe,
            nvjp: statistics.nvjp,
        })
    }
}
