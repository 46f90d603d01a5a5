//! Solving a stochastic differential equation: one door for every method.

use super::noise::Brownian;
use super::srk::{SrkStepper, StochasticRk};
use super::system::System;
use crate::error::Result;
use crate::integrate::{Options, Partial, Problem, Silent, Solution, Stepper};
use crate::num::Real;
use crate::ode::Solver;

/// A method for stochastic equations: a value that makes steppers for a system `S` and its noise. The user
/// changes one word to change the method.
pub trait SdeMethod<T: Real, S: System<T>>: Sync {
    /// What takes its steps.
    type Stepper<'a>: Stepper<T>
    where
        S: 'a;

    /// A stepper driven by `noise`, of as many columns as the noise has paths.
    ///
    /// # Errors
    /// A noise class or calculus that the method does not take, or a source that does not fit.
    fn stepper<'a>(&self, system: &'a S, noise: impl Brownian<T> + 'a) -> Result<Self::Stepper<'a>>;
}

impl<T: Real, S: System<T>, M: StochasticRk> SdeMethod<T, S> for M {
    type Stepper<'a>
        = SrkStepper<'a, T, S>
    where
        S: 'a;

    fn stepper<'a>(&self, system: &'a S, noise: impl Brownian<T> + 'a) -> Result<SrkStepper<'a, T, S>> {
        SrkStepper::new(system, self.tableau(), noise)
    }
}

/// Solves dX = f dt + G dW from `problem.y0` (`dim × paths`) along the paths of `noise`. All paths share every
/// step. Give it a method without error estimate with [`Options::fixed`].
///
/// # Errors
/// Inputs that do not fit, or a solve that stopped early; the error then carries what was reached.
pub fn solve<T: Real, S: System<T>>(
    system: &S,
    method: &impl SdeMethod<T, S>,
    noise: impl Brownian<T>,
    problem: &Problem<'_, T>,
    options: &Options<T>,
) -> Result<Solution<T>, Partial<T>> {
    let mut solver = Solver::with(method.stepper(system, noise)?);
    solver.observe(problem, options, &mut Silent)?;
    Ok(solver.into_solution())
}
