//! W5: dy = f dt + diag g ∘ dW, f and g networks 2→64(tanh)→2 (322 parameters each), 1000 paths, 100 steps of
//! reversible Heun on [0, 1], f64; loss mean(y(1)²).
//!
//! The gradient is that of the reversible adjoint; it is compared with the discrete adjoint's, which keeps every
//! state, through the same steps.

use crate::Failure;
use crate::heap::peak_of;
use crate::measure::{Clock, Facts, load, relative_error};
use odeon::adjoint::{DiscreteAdjoint, Evaluation, Memory, ReversibleAdjoint};
use odeon::integrate::{Options, Problem, Solution};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Network};
use odeon::ode::Solver;
use odeon::sde::noise::FixedGrid;
use odeon::sde::reversible::ReversibleHeunStepper;
use odeon::sde::{Diagonal, ReversibleHeun, Sde, SdeMethod};

const PATHS: usize = 1000;
const STEPS: usize = 100;
const SEED: u64 = 11;

type Neural = Sde<NeuralOde, Diagonal<NeuralOde>>;
type Stepper<'a> = ReversibleHeunStepper<'a, f64, Neural>;

struct Nsde {
    sde: Neural,
    theta: Vec<f64>,
    y0: Vec<f64>,
}

impl Nsde {
    fn new() -> Result<Self, Failure> {
        let network = || Network::builder(2).dense(64).activation(Activation::Tanh).dense(2).build();
        let sde = Sde::stratonovich(NeuralOde::new(network()?)?, Diagonal(NeuralOde::new(network()?)?));
        Ok(Self { sde, theta: load("nsde_params")?, y0: load("nsde_y0")? })
    }

    fn problem(&self) -> Problem<'_, f64> {
        Problem { y0: &self.y0, span: [0.0, 1.0], theta: &self.theta }
    }

    fn options(&self) -> Options<f64> {
        Options::fixed(1.0 / STEPS as f64)
    }

    fn stepper(&self) -> Result<Stepper<'_>, Failure> {
        let noise = FixedGrid::new(SEED, [0.0, 1.0], STEPS, 2, PATHS)?;
        Ok(ReversibleHeun.stepper(&self.sde, noise)?)
    }

    fn gradient(
        &self,
        adjoint: &mut ReversibleAdjoint<f64, Stepper<'_>>,
    ) -> Result<Evaluation<f64>, Failure> {
        Ok(adjoint.value_and_gradient(&self.problem(), &self.options(), &mut [], mean_square)?)
    }

    /// The same by the discrete adjoint.
    fn reference(&self) -> Result<Vec<f64>, Failure> {
        let mut adjoint = DiscreteAdjoint::new(self.stepper()?, Memory::Unlimited);
        let y0 = self.y0.repeat(2);
        let problem = Problem { y0: &y0, ..self.problem() };
        adjoint.value_and_gradient(&problem, &self.options(), &mut [], mean_square)?;
        Ok(adjoint.theta_gradient().to_vec())
    }
}

/// mean(y(1)²) and its cotangent; a state may hold more than the solution.
fn mean_square(solution: &Solution<f64>, y_bar: &mut [f64]) -> odeon::Result<f64> {
    let n = 2 * PATHS;
    let y = &solution.last()[..n];
    y_bar.iter_mut().zip(y).for_each(|(bar, y)| *bar = 2.0 * y / n as f64);
    Ok(y.iter().map(|y| y * y).sum::<f64>() / n as f64)
}

/// y(1).
pub fn forward(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let (nsde, y0) = (Nsde::new()?, Nsde::new()?.y0.repeat(2));
    let (problem, options) = (Problem { y0: &y0, ..nsde.problem() }, nsde.options());
    let mut solver = Solver::with(nsde.stepper()?);
    let times = clock.time(|| {
        solver.solve(&problem, &options)?;
        Ok(())
    })?;
    Ok((times, Facts::of(&solver.solve(&problem, &options)?.stats)))
}

/// Loss and the gradient of all parameters.
pub fn gradient(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let nsde = Nsde::new()?;
    let (first, peak) = peak_of(|| {
        let mut adjoint = ReversibleAdjoint::new(nsde.stepper()?);
        nsde.gradient(&mut adjoint).map(|_| adjoint)
    });
    let mut adjoint = first?;
    let times = clock.time(|| nsde.gradient(&mut adjoint).map(drop))?;
    let evaluation = nsde.gradient(&mut adjoint)?;
    let gradient = adjoint.theta_gradient().iter().copied();
    let facts = Facts {
        loss: Some(evaluation.loss),
        grad_rel_err: Some(relative_error(gradient, &nsde.reference()?)),
        peak_bytes: Some(peak),
        ..Facts::of(&adjoint.solution().stats)
    };
    Ok((times, facts))
}
