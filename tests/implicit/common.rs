//! Every method under one type, and the systems of these tests.

use odeon::dynamics::Dynamics;
use odeon::dynamics::generic::VectorField;
use odeon::integrate::{Options, Partial, Problem, Solution};
use odeon::num::Scalar;
use odeon::ode::radau::RadauIia5;
use odeon::ode::sdirk::{self, SdirkTableau};
use odeon::ode::{ImplicitOptions, NewtonOptions, imex, solve};

pub type Failed = Box<dyn std::error::Error>;

/// A method under test.
#[derive(Clone, Copy)]
pub enum Method {
    Sdirk(&'static SdirkTableau),
    Radau,
}

impl Method {
    pub fn name(&self) -> &str {
        match self {
            Self::Sdirk(t) => &t.name,
            Self::Radau => "RadauIia5",
        }
    }

    /// Orders of the end, and of the dense output; power of h of the estimate.
    pub fn orders(&self) -> [usize; 3] {
        match self {
            Self::Sdirk(t) => [t.order, t.dense_order, t.order.min(t.embedded_order) + 1],
            Self::Radau => [5, 3, 4],
        }
    }

    pub fn solve<D: Dynamics<f64>>(
        &self,
        dynamics: &D,
        problem: &Problem<'_, f64>,
        options: &Options<f64>,
        newton: NewtonOptions,
    ) -> Result<Solution<f64>, Partial<f64>> {
        let implicit = ImplicitOptions { newton, ..ImplicitOptions::default() };
        match self {
            Self::Sdirk(t) => solve(dynamics, &t.with(implicit), problem, options),
            Self::Radau => solve(dynamics, &RadauIia5.with(implicit), problem, options),
        }
    }
}

/// All but the additive pairs.
pub fn implicit() -> Vec<Method> {
    sdirk::all().into_iter().map(Method::Sdirk).chain([Method::Radau]).collect()
}

pub fn additive() -> Vec<Method> {
    imex::all().into_iter().map(Method::Sdirk).collect()
}

pub fn every() -> Vec<Method> {
    [implicit(), additive()].concat()
}

/// The system solved by (sin t, cos t) of `tests/order.rs`, whole or in two parts.
#[derive(Clone, Copy)]
pub struct Forced {
    pub kappa: f64,
    pub part: Side,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Side {
    Whole,
    Explicit,
    Implicit,
}

impl VectorField for Forced {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], _: &[S], dy: &mut [S]) {
        let (sin, cos) = (t.sin(), t.cos());
        let strength = S::of(self.kappa);
        // Both parts act on both rows, so that every coupling condition matters.
        let explicit = [
            cos + strength * (y[0] * y[1] - sin * cos) - S::of(0.7) * (y[1] * y[1] - cos * cos),
            S::of(0.9) * (y[0] * y[1] - sin * cos),
        ];
        let implicit = [
            S::of(0.7) * (y[1] * y[1] - cos * cos),
            strength * (sin * sin - y[0] * y[0]) - sin - S::of(0.9) * (y[0] * y[1] - sin * cos),
        ];
        for i in 0..2 {
            dy[i] = match self.part {
                Side::Whole => explicit[i] + implicit[i],
                Side::Explicit => explicit[i],
                Side::Implicit => implicit[i],
            };
        }
    }
}

/// y₁' = p₀ sin y₂ − p₁ y₁ cos t, y₂' = −p₂ y₁ + p₀ y₂/(1 + y₁²) − t y₂/4, of `tests/gradients.rs`.
pub struct Twist;

impl VectorField for Twist {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[1].sin() - p[1] * y[0] * t.cos();
        let spread = S::one() + y[0] * y[0];
        dy[1] = p[0] * y[1] / spread - p[2] * y[0] - S::of(0.25) * t * y[1];
    }
}
