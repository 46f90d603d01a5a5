//! The estimated error of a loss against the true one, on problems with known solutions.

use crate::common::off;
use odeon::adjoint::{DiscreteAdjoint, LossError, Memory};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem, Reverse};
use odeon::num::Scalar;
use odeon::ode::StepMethod;
use odeon::ode::tableaux::{Dp5, Heun, Rk4, Tsit5};
use odeon::ode::tableaux_rosenbrock::Rodas4;

/// y₁' = p y₁(1 − y₁) cos t, y₂' = y₁: logistic growth in the time sin t, and a quadrature.
struct Logistic;

impl VectorField for Logistic {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[0] * (S::one() - y[0]) * t.cos();
        dy[1] = y[0] * t.cos();
    }
}

const RATE: f64 = 3.0;
const START: f64 = 0.1;

/// L = y₁(2)² + y₂(1.3): y₁ = 1/(1 + c e^{−ps}) and y₂ = ln((e^{ps} + c)/(1 + c))/p with s = sin t and c =
/// 1/y₁(0) − 1.
fn exact() -> f64 {
    let c = 1.0 / START - 1.0;
    let y1 = |t: f64| 1.0 / (1.0 + c * (-RATE * t.sin()).exp());
    let y2 = |t: f64| (((RATE * t.sin()).exp() + c) / (1.0 + c)).ln() / RATE;
    y1(2.0).powi(2) + y2(1.3)
}

/// The certificate and the true error.
fn run<M: StepMethod<f64, Generic<Logistic>>>(method: &M, options: &Options<f64>) -> (LossError<f64>, f64)
where
    for<'a> M::Stepper<'a>: Reverse<f64>,
{
    let f = Generic(Logistic);
    let problem = Problem { y0: &[START, 0.0], span: [0.0, 2.0], theta: &[RATE] };
    // The saved time is the end of a step.
    let options = Options { tstops: vec![1.3], ..options.clone().save_at(vec![1.3, 2.0]) };
    let mut adjoint = DiscreteAdjoint::new(method.stepper(&f, 1), Memory::Unlimited);
    let y = adjoint.forward(&problem, &options, &mut []).unwrap().y.clone();
    let computed = y[2] * y[2] + y[1];
    let y_bar = [0.0, 1.0, 2.0 * y[2], 0.0];
    let error = adjoint.certify(&y_bar, &mut method.stepper(&f, 1), &[RATE]).unwrap();
    let certified = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
    adjoint.forward(&problem, &options, &mut []).unwrap();
    adjoint.reverse(&y_bar, &[], &mut []).unwrap();
    assert!(off(&certified, &[adjoint.y0_gradient(), adjoint.theta_gradient()].concat()) < 1e-13);
    assert_eq!(error.steps.len(), adjoint.solution().steps.len());
    (error, exact() - computed)
}

#[test]
fn the_estimate_tends_to_the_true_error() {
    fn check<M: StepMethod<f64, Generic<Logistic>>>(
        name: &str,
        method: &M,
        options: &[Options<f64>],
        within: f64,
    ) where
        for<'a> M::Stepper<'a>: Reverse<f64>,
    {
        let mut last = f64::INFINITY;
        for options in options {
            let (estimate, truth) = run(method, options);
            let quotient = estimate.total / truth;
            assert!((quotient - 1.0).abs() < within, "{name}: {} {truth:e} {quotient}", estimate.total);
            assert!(estimate.magnitude >= estimate.total.abs());
            assert!(truth.abs() < last, "{name}: {truth:e}");
            last = truth.abs();
        }
    }
    let fixed = |h: f64| [Options::fixed(h), Options::fixed(h / 2.0), Options::fixed(h / 4.0)];
    let adaptive = [1e-4, 1e-6, 1e-8].map(|tol| Options::tol(tol, tol));
    check("Heun", &Heun, &fixed(0.05), 0.1);
    check("Rk4", &Rk4, &fixed(0.1), 0.1);
    check("Tsit5", &Tsit5, &adaptive, 0.15);
    check("Dp5", &Dp5, &adaptive, 0.15);
    check("Rodas4", &Rodas4, &adaptive, 0.15);
}

#[test]
fn another_stepper_must_fit() {
    let f = Generic(Logistic);
    let problem = Problem { y0: &[START, 0.0], span: [0.0, 2.0], theta: &[RATE] };
    let mut adjoint = DiscreteAdjoint::new(StepMethod::<f64, _>::stepper(&Tsit5, &f, 1), Memory::Unlimited);
    adjoint.forward(&problem, &Options::default(), &mut []).unwrap();
    let mut wide = StepMethod::<f64, _>::stepper(&Tsit5, &f, 2);
    let error = adjoint.certify(&[1.0, 0.0], &mut wide, &[RATE]).unwrap_err().to_string();
    assert!(error.contains("the state of the second stepper has length 4"), "{error}");
}
