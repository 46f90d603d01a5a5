//! Problems and losses that the tests share.

use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::Dynamics;
use odeon::dynamics::generic::VectorField;
use odeon::integrate::{Options, Problem, Solution};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Network};
use odeon::num::Scalar;
use odeon::ode::ExplicitStepper;
use odeon::ode::tableaux::Tsit5;

/// y₁' = p₀ sin y₂ − p₁ y₁ cos t, y₂' = −p₂ y₁ + p₀ y₂/(1 + y₁²) − t y₂/4.
pub struct Twist;

pub const TWIST: [f64; 3] = [0.8, 0.5, 1.3];

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

/// Numbers without pattern.
pub fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

/// A small network that sees the time.
pub fn network() -> (NeuralOde, Vec<f64>) {
    let builder = Network::builder(2).concat_time().dense(5).activation(Activation::Tanh).dense(2);
    let network = NeuralOde::new(builder.build().unwrap()).unwrap();
    let theta = wave(Dynamics::<f64>::num_params(&network), 0.3).iter().map(|w| 0.7 * w).collect();
    (network, theta)
}

/// L = Σ w·y + |y|²/2 over all saved states, and its cotangents.
pub fn loss(solution: &Solution<f64>, y_bar: &mut [f64]) -> odeon::Result<f64> {
    let w = wave(solution.y.len(), 0.4);
    let mut sum = 0.0;
    for ((bar, y), w) in y_bar.iter_mut().zip(&solution.y).zip(&w) {
        sum += w * y + 0.5 * y * y;
        *bar = w + y;
    }
    Ok(sum)
}

/// The largest difference over the largest of `want`.
pub fn off(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let size = want.iter().fold(0.0f64, |s, x| s.max(x.abs()));
    let worst = got.iter().zip(want).fold(0.0f64, |s, (a, b)| s.max((a - b).abs()));
    assert!(worst.is_finite());
    worst / size.max(1e-300)
}

/// (ȳ0, θ̄) by the discrete adjoint of Tsit5.
pub fn discrete<D: Dynamics<f64>>(f: &D, problem: &Problem<'_, f64>, options: &Options<f64>) -> Vec<f64> {
    let batch = problem.y0.len() / f.dim();
    let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(f, &Tsit5, batch), Memory::Unlimited);
    adjoint.value_and_gradient(problem, options, &mut [], loss).unwrap();
    [adjoint.y0_gradient(), adjoint.theta_gradient()].concat()
}
