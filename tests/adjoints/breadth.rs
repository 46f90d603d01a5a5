//! Every explicit method by every adjoint, both scalar types, and failures on purpose.

use crate::common::{TWIST, Twist, loss, off, wave};
use odeon::Error;
use odeon::adjoint::{
    Adjoint, Continuous, ContinuousAdjoint, Memory, OnDrift, ReversibleAdjoint, WayBack, value_and_gradient,
};
use odeon::dynamics::generic::Generic;
use odeon::dynamics::{Dynamics, Point, Tangent};
use odeon::error::Failure;
use odeon::integrate::{Options, Problem, Solution};
use odeon::ode::StepMethod;
use odeon::ode::reversible::Coupled;
use odeon::ode::tableaux::{self, Tsit5};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[test]
fn every_explicit_method_by_every_adjoint() {
    let f = Generic(Twist);
    let y0 = wave(2, 0.2);
    let problem = Problem { y0: &y0, span: [0.0, 1.2], theta: &TWIST };
    for method in tableaux::all() {
        let adaptive = !method.error.is_empty();
        let (options, close) = match (adaptive, method.order) {
            (true, _) => (Options::tol(1e-7, 1e-7), 1e-4),
            (false, order) => (Options::fixed(0.02), [1.0, 0.1, 5e-3, 5e-4, 1e-5][order.min(4)]),
        };
        let options = options.save_at(vec![0.5, 1.2]);
        let gradient = |adjoint: Adjoint<f64>| {
            let mut loss = loss;
            let g = value_and_gradient(&f, method, &adjoint, &problem, &options, &mut [], &mut loss).unwrap();
            [g.y0, g.theta].concat()
        };
        let exact = gradient(Adjoint::discrete());
        assert!(off(&gradient(Adjoint::Forward), &exact) < 1e-11, "{}", method.name);
        for kind in [
            Continuous::Backsolve,
            Continuous::Interpolating(Memory::Unlimited),
            Continuous::Quadrature(Memory::Unlimited),
        ] {
            // Steps of Euler's method drift as far as they err.
            let back = WayBack { drift_bound: Some(0.1), ..WayBack::seminorm() };
            let error = off(&gradient(Adjoint::Continuous { kind, back }), &exact);
            assert!(error < close, "{} {kind:?}: {error:e}", method.name);
        }
        let mut adjoint = ReversibleAdjoint::new(Coupled::new(method.clone()).stepper(&f, 1));
        adjoint.value_and_gradient(&problem, &options, &mut [], loss).unwrap();
        let got = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        assert!(off(&got, &exact) < 3.0 * close, "{} coupled: {:e}", method.name, off(&got, &exact));
    }
}

#[test]
fn single_precision_agrees_with_double() {
    let f = Generic(Twist);
    let y0 = wave(4, 0.2);
    let single: Vec<f32> = y0.iter().map(|y| *y as f32).collect();
    let theta = TWIST.map(|p| p as f32);
    let problem = Problem { y0: &y0, span: [0.0, 1.2], theta: &TWIST };
    let small = Problem { y0: &single, span: [0.0, 1.2], theta: &theta };
    let mut square = |solution: &Solution<f64>, y_bar: &mut [f64]| {
        y_bar.copy_from_slice(&solution.y);
        Ok(solution.y.iter().map(|y| 0.5 * y * y).sum())
    };
    let mut square_single = |solution: &Solution<f32>, y_bar: &mut [f32]| {
        y_bar.copy_from_slice(&solution.y);
        Ok(solution.y.iter().map(|y| 0.5 * y * y).sum())
    };
    let tight = Options::tol(1e-10, 1e-10);
    let want =
        value_and_gradient(&f, &Tsit5, &Adjoint::discrete(), &problem, &tight, &mut [], &mut square).unwrap();
    let want = [want.y0, want.theta].concat();
    let options = Options::<f32>::tol(1e-5, 1e-5);
    for adjoint in [
        Adjoint::discrete(),
        Adjoint::backsolve(),
        Adjoint::interpolating(),
        Adjoint::quadrature(),
        Adjoint::Forward,
    ] {
        let got = value_and_gradient(&f, &Tsit5, &adjoint, &small, &options, &mut [], &mut square_single);
        let got = got.unwrap();
        let got: Vec<f64> = got.y0.iter().chain(&got.theta).map(|g| f64::from(*g)).collect();
        assert!(off(&got, &want) < 1e-3, "{}: {:e}", adjoint.name(), off(&got, &want));
    }
    let method = Coupled::new(Tsit5);
    let got =
        value_and_gradient(&f, &method, &Adjoint::Reversible, &small, &options, &mut [], &mut square_single);
    let got = got.unwrap();
    let got: Vec<f64> = got.y0.iter().chain(&got.theta).map(|g| f64::from(*g)).collect();
    assert!(off(&got, &want) < 1e-3, "{:e}", off(&got, &want));
}

/// y' = −y, whose products turn NaN after so many calls.
struct Failing {
    calls: AtomicUsize,
    good: usize,
}

impl Failing {
    fn factor(&self) -> f64 {
        if self.calls.fetch_add(1, Relaxed) < self.good { -1.0 } else { f64::NAN }
    }
}

impl Dynamics<f64> for Failing {
    type Scratch = ();
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        0
    }
    fn scratch(&self, _: usize) {}
    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], (): &mut ()) {
        dy[0] = -at.y[0];
    }
    fn vjp(&self, _: Point<'_, f64>, bar: &[f64], y_bar: &mut [f64], _: &mut [f64], (): &mut ()) -> f64 {
        y_bar[0] += self.factor() * bar[0];
        0.0
    }
    fn jvp(&self, _: Point<'_, f64>, dot: Tangent<'_, f64>, dy_dot: &mut [f64], (): &mut ()) {
        dy_dot[0] = self.factor() * dot.y[0];
    }
}

#[test]
fn products_that_are_not_finite_end_in_an_error() {
    let problem = Problem { y0: &[1.0], span: [0.0, 3.0], theta: &[] };
    let options = Options::tol(1e-8, 1e-8);
    let run = |adjoint: &Adjoint<f64>, good| {
        let f = Failing { calls: AtomicUsize::new(0), good };
        let mut loss = loss;
        let outcome = value_and_gradient(&f, &Tsit5, adjoint, &problem, &options, &mut [], &mut loss);
        outcome.map(|g| g.y0[0])
    };
    for adjoint in [
        Adjoint::discrete(),
        Adjoint::backsolve(),
        Adjoint::interpolating(),
        Adjoint::quadrature(),
        Adjoint::Forward,
    ] {
        let value = run(&adjoint, usize::MAX).unwrap();
        assert!((value + (-3f64).exp() * -(0.4f64.sin() + (-3f64).exp())).abs() < 1e-6, "{value}");
        for good in [0, 10] {
            let error = run(&adjoint, good).unwrap_err().to_string();
            let said = error.contains("NaN") || error.contains("every entry must be finite");
            assert!(said, "{}: {error}", adjoint.name());
        }
    }
}

/// A way back that stops early says so, and where.
#[test]
fn guards_of_the_way_back_hold() {
    let f = Generic(Twist);
    let problem = Problem { y0: &[1.0, 0.5], span: [0.0, 5.0], theta: &TWIST };
    let back = WayBack {
        options: Some(Options { max_steps: 3, ..Options::tol(1e-9, 1e-9) }),
        on_drift: OnDrift::Warn,
        ..WayBack::default()
    };
    let mut adjoint = ContinuousAdjoint::new(&f, &Tsit5, 1, Continuous::Backsolve, back).unwrap();
    let error = adjoint.value_and_gradient(&problem, &Options::default(), loss).unwrap_err();
    let Error::Solve(post_mortem) = error else { panic!("{error}") };
    assert_eq!(post_mortem.failure, Failure::MaxSteps);
    assert!(post_mortem.t > 3.0 && post_mortem.t < 5.0, "{}", post_mortem.t);
    // The next call starts afresh.
    let error = adjoint.reverse(&[1.0, 1.0]).unwrap_err().to_string();
    assert!(error.contains("the forward pass is missing"), "{error}");
    let backwards = Problem { span: [1.0, 1.0], ..problem };
    let error = adjoint.forward(&backwards, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("the time span"), "{error}");
}
