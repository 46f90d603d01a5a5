//! What goes wrong on purpose: a right-hand side that breaks, Newton that diverges, singular matrices, the
//! smallest step, bad tables and budgets.

use crate::common::{Failed, Method, every, implicit};
use odeon::Error;
use odeon::dynamics::gallery::{Robertson, VanDerPol};
use odeon::dynamics::generic::Generic;
use odeon::dynamics::{Dynamics, Point, Tangent};
use odeon::error::Failure;
use odeon::integrate::{Options, Partial, Problem, Save};
use odeon::linalg::Budget;
use odeon::ode::radau::RadauIia5;
use odeon::ode::{ImplicitOptions, NewtonOptions, solve};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// y' = −y + t with faults: evaluations `from..to` return NaN, the Jacobian is multiplied by `slope`.
struct Faulty {
    calls: AtomicUsize,
    from: usize,
    to: usize,
    slope: f64,
    rate: f64,
}

impl Faulty {
    fn new(from: usize, to: usize, slope: f64, rate: f64) -> Self {
        Self { calls: AtomicUsize::new(0), from, to, slope, rate }
    }
}

impl Dynamics<f64> for Faulty {
    type Scratch = ();
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        0
    }
    fn scratch(&self, _: usize) {}
    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], _: &mut ()) {
        let call = self.calls.fetch_add(1, Relaxed);
        let broken = (self.from..self.to).contains(&call);
        for (dy, y) in dy.iter_mut().zip(at.y) {
            *dy = if broken { f64::NAN } else { at.t - self.rate * y };
        }
    }
    fn vjp(&self, _: Point<'_, f64>, bar: &[f64], y_bar: &mut [f64], _: &mut [f64], _: &mut ()) -> f64 {
        for (y_bar, bar) in y_bar.iter_mut().zip(bar) {
            *y_bar -= self.rate * bar;
        }
        bar.iter().sum()
    }
    fn jvp(&self, _: Point<'_, f64>, dot: Tangent<'_, f64>, out: &mut [f64], _: &mut ()) {
        for (out, y_dot) in out.iter_mut().zip(dot.y) {
            *out = dot.t - self.slope * self.rate * y_dot;
        }
    }
}

fn run(
    method: Method,
    f: &Faulty,
    options: &Options<f64>,
) -> Result<odeon::integrate::Solution<f64>, Partial<f64>> {
    let problem = Problem { y0: &[1.0], span: [0.0, 2.0], theta: &[] };
    method.solve(f, &problem, options, NewtonOptions::default())
}

fn why(result: Result<odeon::integrate::Solution<f64>, Partial<f64>>) -> (Failure, Box<Partial<f64>>) {
    let partial = result.map(|_| ()).expect_err("it must fail");
    let Error::Solve(post_mortem) = &partial.error else { panic!("{}", partial.error) };
    (post_mortem.failure, Box::new(partial))
}

#[test]
fn a_nan_at_the_kth_call_is_a_rejected_step() -> Result<(), Failed> {
    for method in every() {
        for k in [3, 7, 12, 20] {
            let f = Faulty::new(k, k + 1, 1.0, 1.0);
            let solution = run(method, &f, &Options::tol(1e-6, 1e-6))?;
            let exact = 2.0 * (-2f64).exp() + 1.0;
            let error = (solution.last()[0] - exact).abs();
            assert!(error < 1e-4, "{} {k}: {error:e}", method.name());
        }
    }
    Ok(())
}

#[test]
fn a_right_hand_side_that_stays_broken_ends_the_solve_with_what_was_reached() {
    for method in every() {
        let (failure, partial) = why(run(
            method,
            &Faulty::new(40, usize::MAX, 1.0, 1.0),
            &Options::tol(1e-8, 1e-8).save(Save::EveryStep),
        ));
        assert!(matches!(failure, Failure::Nonlinear | Failure::NonFinite), "{} {failure:?}", method.name());
        assert!(partial.solution.stats.accepted > 0 && partial.solution.y.iter().all(|y| y.is_finite()));
        let (failure, _) = why(run(method, &Faulty::new(0, usize::MAX, 1.0, 1.0), &Options::default()));
        assert_eq!(failure, Failure::NonFinite, "{}", method.name());
    }
}

#[test]
fn a_wrong_jacobian_shrinks_the_step_until_newton_converges_or_says_so() -> Result<(), Failed> {
    for method in every() {
        // Of the wrong sign and size: contraction only for h of the order 1/rate.
        let f = Faulty::new(0, 0, -3.0, 50.0);
        let solution = run(method, &f, &Options::tol(1e-3, 1e-3))?;
        assert!(solution.stats.implicit.failures > 0, "{}", method.name());
        assert!(solution.stats.rejected >= solution.stats.implicit.failures);
        let (failure, partial) = why(run(method, &Faulty::new(0, 0, -3.0, 50.0), &Options::fixed(0.5)));
        assert_eq!(failure, Failure::Nonlinear, "{}", method.name());
        assert!(partial.error.to_string().contains("Newton"), "{}", partial.error);
        assert_eq!(partial.solution.last(), [1.0]);
    }
    Ok(())
}

#[test]
fn a_singular_matrix_is_a_failed_step() {
    for method in implicit() {
        let Method::Sdirk(table) = method else { continue };
        // 1/(hγ) − J = 0 exactly.
        let h = 0.5;
        let f = Faulty::new(0, 0, 1.0, -1.0 / (h * table.gamma));
        let (failure, _) = why(run(method, &f, &Options::fixed(h)));
        assert_eq!(failure, Failure::Nonlinear, "{}", method.name());
    }
}

#[test]
fn the_smallest_step_is_respected() {
    for method in every() {
        let options = Options { dt_min: Some(1e-2), ..Options::tol(1e-9, 1e-9) };
        let problem = Problem { y0: &VanDerPol::Y0, span: [0.0, 2000.0], theta: &[1e3] };
        let result = method.solve(&Generic(VanDerPol), &problem, &options, NewtonOptions::default());
        let (failure, partial) = why(result);
        assert!(
            matches!(failure, Failure::StepTooSmall | Failure::Nonlinear),
            "{} {failure:?}",
            method.name()
        );
        assert!(partial.solution.steps.iter().all(|s| s.h.abs() >= 0.9e-2 || s.h <= s.t1 - s.t));
    }
}

#[test]
fn diagnostics_show_the_iterations() -> Result<(), Failed> {
    for method in every() {
        let problem = Problem { y0: &Robertson::Y0, span: [0.0, 40.0], theta: &Robertson::THETA };
        let options = Options::tol(1e-4, 1e-8).diagnostics();
        let solution = method.solve(&Generic(Robertson), &problem, &options, NewtonOptions::default())?;
        let work = solution.stats.implicit;
        let steps: u32 = solution.steps.iter().map(|s| s.iterations.newton).sum();
        assert!(steps > 0 && steps as usize <= work.newton_iterations, "{}", method.name());
        assert!(work.jacobians > 0 && work.factorisations >= work.jacobians);
        assert!(work.linear_solves >= work.newton_iterations);
        assert_eq!(solution.attempts.len(), solution.stats.accepted + solution.stats.rejected);
    }
    Ok(())
}

#[test]
fn memory_beyond_the_budget_is_refused_before_it_is_taken() {
    let implicit = ImplicitOptions { budget: Budget::bytes(100), ..ImplicitOptions::default() };
    let problem = Problem { y0: &Robertson::Y0, span: [0.0, 40.0], theta: &Robertson::THETA };
    let f = Generic(Robertson);
    let refused = solve(&f, &RadauIia5.with(implicit), &problem, &Options::default());
    let message = refused.map(|_| ()).expect_err("too little memory").to_string();
    assert!(message.contains("100"), "{message}");
}
