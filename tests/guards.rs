//! Bad input and failure injection: every refusal is a specific error that says what was given and
//! what is needed, and every solve that dies says where, why, and keeps what it reached.

use odeon::dynamics::gallery::{Decay, Lorenz};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Point, Tangent};
use odeon::error::{Failure, PostMortem};
use odeon::integrate::{BelowResolution, Controller, Options, Partial, Problem, Save, Silent};
use odeon::num::{Atol, ErrorNorm, Scalar};
use odeon::ode::tableaux::{self, Bs3, Dp5, Midpoint, Rk4, Tsit5};
use odeon::ode::{Solver, solve, solve_ensemble};
use odeon::{Error, Result};
use std::cell::Cell;

/// y' = f(t, y, entry, number of the call), each entry by itself.
struct Injected<F> {
    dim: usize,
    f: F,
}

fn injected<F: Fn(f64, f64, usize, usize) -> f64 + Sync>(dim: usize, f: F) -> Injected<F> {
    Injected { dim, f }
}

impl<F: Fn(f64, f64, usize, usize) -> f64 + Sync> Dynamics<f64> for Injected<F> {
    type Scratch = Cell<usize>;
    fn dim(&self) -> usize {
        self.dim
    }
    fn num_params(&self) -> usize {
        0
    }
    fn scratch(&self, _: usize) -> Cell<usize> {
        Cell::new(0)
    }
    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], calls: &mut Cell<usize>) {
        calls.set(calls.get() + 1);
        for (i, (dy, y)) in dy.iter_mut().zip(at.y).enumerate() {
            *dy = (self.f)(at.t, *y, i, calls.get());
        }
    }
    fn vjp(&self, _: Point<'_, f64>, _: &[f64], _: &mut [f64], _: &mut [f64], _: &mut Cell<usize>) -> f64 {
        f64::NAN
    }
    fn jvp(&self, _: Point<'_, f64>, _: Tangent<'_, f64>, _: &mut [f64], _: &mut Cell<usize>) {}
}

fn lorenz(y0: &[f64], theta: &[f64], span: [f64; 2], options: &Options<f64>) -> String {
    let problem = Problem { y0, span, theta };
    let single = solve(&Generic(Lorenz), &Tsit5, &problem, options);
    let message = single.map(|_| String::new()).unwrap_or_else(|partial| {
        assert!(partial.solution.steps.is_empty());
        assert!(!matches!(partial.error, Error::Solve(_)));
        partial.error.to_string()
    });
    let ensemble = solve_ensemble(&Generic(Lorenz), &Tsit5, &problem, options);
    assert_eq!(ensemble.is_err(), !message.is_empty(), "{message}");
    message
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

const Y0: [f64; 3] = [1.0, 2.0, 3.0];
const THETA: [f64; 3] = Lorenz::THETA;

#[test]
fn states_and_parameters_are_checked() {
    let o = Options::default();
    let span = [0.0, 1.0];
    assert_eq!(lorenz(&Y0, &THETA, span, &o), "");
    says(&lorenz(&[], &THETA, span, &o), &["y0", "length 0", "3"]);
    says(&lorenz(&[1.0; 4], &THETA, span, &o), &["y0", "length 4"]);
    let nan = [1.0, f64::NAN, 3.0];
    says(&lorenz(&nan, &THETA, span, &o), &["y0[1] is NaN", "finite"]);
    let inf = [1.0, 2.0, f64::INFINITY];
    says(&lorenz(&inf, &THETA, span, &o), &["y0[2] is inf"]);
    says(&lorenz(&Y0, &inf, span, &o), &["theta[2] is inf"]);
    says(&lorenz(&Y0, &[1.0], span, &o), &["theta", "length 1", "3"]);
    says(&lorenz(&Y0, &[], span, &o), &["theta", "length 0", "3"]);
}

#[test]
fn spans_are_checked() {
    let o = Options::default();
    says(&lorenz(&Y0, &THETA, [2.0, 2.0], &o), &["[2, 2]", "differ"]);
    for bad in [[0.0, f64::NAN], [f64::INFINITY, 1.0]] {
        says(&lorenz(&Y0, &THETA, bad, &o), &["span", "finite"]);
    }
}

#[test]
fn save_times_and_stops_are_checked() {
    let at = |times: &[f64]| {
        let options = Options::default().save_at(times);
        lorenz(&Y0, &THETA, [0.0, 1.0], &options)
    };
    assert_eq!(at(&[0.0, 0.5, 0.5, 1.0]), "");
    says(&at(&[]), &["save times", "empty"]);
    says(&at(&[0.5, 0.25]), &["save times[1]", "0.25", "0.5"]);
    says(&at(&[0.5, 1.5]), &["save times[1]", "1.5", "[0, 1]"]);
    says(&at(&[-0.1]), &["save times[0]", "-0.1", "[0, 1]"]);
    says(&at(&[0.1, f64::NAN]), &["save times[1] is NaN"]);
    let backward = Options::default().save_at([0.25, 0.5]);
    says(&lorenz(&Y0, &THETA, [1.0, 0.0], &backward), &["save times[1]", "direction"]);
    let stops = Options { tstops: vec![0.5, f64::NAN], ..Options::default() };
    says(&lorenz(&Y0, &THETA, [0.0, 1.0], &stops), &["tstops", "finite"]);
}

#[test]
fn tolerances_are_checked() {
    let tol = |rtol: f64, atol: f64| lorenz(&Y0, &THETA, [0.0, 0.1], &Options::tol(rtol, atol));
    assert_eq!(tol(0.0, 1e-6), "");
    assert_eq!(tol(1e-6, 0.0), "");
    says(&tol(-1e-6, 1e-6), &["rtol", "-0.000001", "not negative"]);
    says(&tol(1e-6, -1e-6), &["atol", "-0.000001", "not negative"]);
    says(&tol(0.0, 0.0), &["rtol and atol", "positive"]);
    says(&tol(f64::NAN, 1e-6), &["rtol", "NaN"]);
    says(&tol(1e-6, f64::INFINITY), &["atol", "inf"]);
    says(&tol(1e-17, 1e-17), &["rtol", "resolves", "Warn"]);
    let rows = Options::tol(1e-6, Atol::PerRow(vec![1e-6, 1e-6]));
    says(&lorenz(&Y0, &THETA, [0.0, 1.0], &rows), &["atol", "length 2", "3"]);
}

#[test]
fn tolerance_below_resolution_warns_when_asked() -> Result<()> {
    let problem = Problem { y0: &[1.0f32], span: [0.0, 1.0], theta: &[1.0] };
    let mut options = Options::tol(2f32.powi(-30), 2f32.powi(-30));
    let refused = solve(&Generic(Decay), &Tsit5, &problem, &options).map_err(Error::from);
    says(&refused.map(|_| ()).unwrap_err().to_string(), &["rtol", "f32", "f64"]);
    options.below_resolution = BelowResolution::Warn;
    let solution = solve(&Generic(Decay), &Tsit5, &problem, &options)?;
    assert_eq!(solution.stats.warnings.len(), 1);
    says(&solution.stats.warnings[0].to_string(), &["9.313225746154785e-10", "f64"]);
    Ok(())
}

#[test]
fn guards_and_controllers_are_checked() {
    let check = |edit: &dyn Fn(&mut Options<f64>)| {
        let mut options = Options::default();
        edit(&mut options);
        lorenz(&Y0, &THETA, [0.0, 1.0], &options)
    };
    says(&check(&|o| o.h0 = Some(0.0)), &["h0", "positive"]);
    says(&check(&|o| o.h0 = Some(-0.1)), &["h0", "-0.1"]);
    says(&check(&|o| o.dt_min = Some(f64::NAN)), &["dt_min", "NaN"]);
    says(&check(&|o| o.dt_max = Some(0.0)), &["dt_max", "positive"]);
    says(&check(&|o| o.controller = Controller::Fixed { h: -1.0 }), &["fixed step", "-1"]);
    says(&check(&|o| o.norm = ErrorNorm::new(f64::NAN, 1.0)), &["rtol"]);
}

#[test]
fn an_adaptive_solve_needs_an_error_estimate() {
    for tableau in [tableaux::by_name("Euler"), tableaux::by_name("RK4")] {
        let tableau = tableau.unwrap();
        let problem = Problem { y0: &Y0, span: [0.0, 1.0], theta: &THETA };
        let single = solve(&Generic(Lorenz), tableau, &problem, &Options::default());
        let message = single.unwrap_err().error.to_string();
        says(&message, &["no error estimate", "fixed"]);
        let ensemble = solve_ensemble(&Generic(Lorenz), tableau, &problem, &Options::default());
        says(&ensemble.unwrap_err().to_string(), &["no error estimate"]);
    }
}

#[test]
fn a_solver_of_no_columns_refuses() {
    let field = Generic(Lorenz);
    let problem = Problem { y0: &[], span: [0.0, 1.0], theta: &THETA };
    let mut solver = Solver::new(&field, &Tsit5, 0);
    let error = solver.solve(&problem, &Options::default()).unwrap_err().error;
    assert!(matches!(error, Error::Length { what: "y0", .. }), "{error}");
}

fn died<T>(result: std::result::Result<T, Partial<f64>>) -> (PostMortem, odeon::integrate::Solution<f64>) {
    match result.map(|_| ()).unwrap_err() {
        Partial { error: Error::Solve(post), solution } => (*post, *solution),
        other => panic!("{other}"),
    }
}

#[test]
fn step_budgets_stop_the_solve_with_what_was_reached() {
    let problem = Problem { y0: &Y0, span: [0.0, 10.0], theta: &THETA };
    for save in [Save::End, Save::EveryStep, Save::Dense, Save::At(vec![0.0, 0.1, 9.0])] {
        let options = Options { max_steps: 40, ..Options::default().save(save.clone()) };
        let (post, solution) = died(solve(&Generic(Lorenz), &Tsit5, &problem, &options));
        assert_eq!((post.failure, post.step), (Failure::MaxSteps, 40));
        assert_eq!(solution.stats.accepted + solution.stats.rejected, 40);
        assert_eq!(solution.steps.len(), solution.stats.accepted);
        let reached = solution.steps[solution.steps.len() - 1].t1;
        assert_eq!(post.t, reached);
        assert!(post.t > 0.1 && post.t < 9.0, "{}", post.t);
        assert!(post.component.is_some_and(|c| c < 3));
        assert_eq!(post.trajectory, None);
        assert_eq!(post.history.len(), 6);
        assert!(post.history.windows(2).all(|w| w[0].t <= w[1].t));
        says(&post.to_string(), &["max_steps", "step 40", "Raise"]);
        // The states saved are those of the complete solve.
        let complete = Options { max_steps: 1000, ..options };
        let whole = solve(&Generic(Lorenz), &Tsit5, &problem, &complete).unwrap();
        match save {
            Save::End => {
                assert_eq!(solution.t, [reached]);
                assert!(solution.last().iter().all(|y| y.is_finite()));
            }
            Save::At(_) => assert_eq!(solution.t, [0.0, 0.1]),
            _ => assert_eq!(solution.t.len(), solution.steps.len() + 1),
        }
        if save != Save::End {
            assert_eq!(solution.y, whole.y[..solution.y.len()]);
        }
        if save == Save::Dense {
            assert_eq!(solution.at(0.3).unwrap(), whole.at(0.3).unwrap());
        }
    }
}

#[test]
fn evaluation_budgets_count_each_solve_by_itself() {
    let problem = Problem { y0: &Y0, span: [0.0, 1.0], theta: &THETA };
    let field = Generic(Lorenz);
    let mut solver = Solver::new(&field, &Tsit5, 1);
    let nfe = |s: &mut Solver<f64, _>, o: &Options<f64>| s.solve(&problem, o).map(|s| s.stats.nfe);
    let needed = nfe(&mut solver, &Options::default()).unwrap();
    let enough = Options { max_nfe: needed, ..Options::default() };
    for _ in 0..3 {
        assert_eq!(nfe(&mut solver, &enough).unwrap(), needed);
    }
    let short = Options { max_nfe: needed / 2, ..Options::default() };
    let (post, solution) = died(nfe(&mut solver, &short));
    assert_eq!(post.failure, Failure::MaxNfe);
    assert!(solution.stats.nfe >= needed / 2 && solution.stats.nfe < needed / 2 + 6);
    // An ensemble's trajectories have a budget each.
    let many = Problem { y0: &Y0.repeat(5), ..problem };
    let ensemble = solve_ensemble(&field, &Tsit5, &many, &enough).unwrap();
    assert!(ensemble.failures.is_empty(), "{:?}", ensemble.failures);
}

#[test]
fn steps_below_the_smallest_stop_the_solve() {
    // The derivative jumps by 1e6 at t = 0.5.
    let jump = injected(2, |t, _, row, _| if row == 1 && t > 0.5 { 1e6 } else { 1.0 });
    let problem = Problem { y0: &[0.0, 0.0], span: [0.0, 1.0], theta: &[] };
    let options = Options { dt_min: Some(1e-7), ..Options::tol(1e-8, 1e-8) };
    let (post, solution) = died(solve(&jump, &Dp5, &problem, &options));
    assert_eq!((post.failure, post.component), (Failure::StepTooSmall, Some(1)));
    assert!((post.t - 0.5).abs() < 1e-5, "{}", post.t);
    assert!(post.history.iter().any(|a| !a.accepted));
    assert!((solution.last()[0] - post.t).abs() < 1e-9);
    says(&post.to_string(), &["below the smallest", "component 1", "tstop"]);
}

/// Finite-time blow-up y' = y², y(t) = 1/(1 − t).
#[test]
fn blow_up_ends_near_the_pole() {
    let square = injected(1, |_, y, _, _| y * y);
    let problem = Problem { y0: &[1.0], span: [0.0, 2.0], theta: &[] };
    for method in tableaux::all() {
        if method.error.is_empty() {
            continue;
        }
        let options = Options::tol(1e-6, 1e-9).save(Save::EveryStep);
        let (post, solution) = died(solve(&square, method, &problem, &options));
        assert!(post.t > 0.99 && post.t < 1.01, "{} {}", method.name, post.t);
        assert!(post.step > 5 && post.history.len() == 6);
        // Nearer the pole the error of its place, ~1e-6, is no longer small against 1 − t.
        let far = solution.t.iter().zip(&solution.y).take_while(|(t, _)| **t < 0.99);
        for (t, y) in far {
            assert!((y * (1.0 - t) - 1.0).abs() < 1e-3, "{} {t}", method.name);
        }
        assert!(solution.y.iter().all(|y| y.is_finite()));
    }
}

#[test]
fn a_nan_at_the_kth_call_is_survived_or_named() {
    let problem = Problem { y0: &[1.0, 1.0, 1.0], span: [0.0, 1.0], theta: &[] };
    let options = Options::tol(1e-6, 1e-6).save(Save::EveryStep);
    for method in tableaux::all() {
        if method.error.is_empty() {
            continue;
        }
        for k in 1..40 {
            // Once: a smaller step avoids it, unless it hits the very first evaluation.
            let once = injected(3, move |_, y, row, call| if call == k && row == 1 { f64::NAN } else { -y });
            match solve(&once, method, &problem, &options) {
                Ok(s) => {
                    assert!(s.y.iter().all(|y| y.is_finite()));
                    for (t, y) in s.t.iter().zip(s.y.chunks(3)) {
                        assert!((y[1] - (-t).exp()).abs() < 1e-4, "{} {k}", method.name);
                    }
                }
                Err(partial) => {
                    assert!(partial.solution.y.iter().all(|y| y.is_finite()));
                    let Error::Solve(post) = &partial.error else { panic!("{partial}") };
                    let named = (post.failure, post.component);
                    assert_eq!(named, (Failure::NonFinite, Some(1)), "{} {k}", method.name);
                }
            }
            // From then on: it must fail, with what was reached before.
            let always =
                injected(3, move |_, y, row, call| if call >= k && row == 1 { f64::NAN } else { -y });
            if let Err(partial) = solve(&always, method, &problem, &options) {
                let Error::Solve(post) = &partial.error else { panic!("{partial}") };
                assert_eq!(
                    (post.failure, post.component, post.trajectory),
                    (Failure::NonFinite, Some(1), None)
                );
                assert!(post.history.iter().rev().take(3).all(|a| !a.accepted));
                let s = &partial.solution;
                assert!(s.y.iter().all(|y| y.is_finite()));
                assert_eq!(s.t.last().copied(), Some(post.t));
            } else {
                assert!(k > 7, "{} {k}", method.name);
            }
        }
    }
}

#[test]
fn the_trajectory_of_a_batch_is_named() {
    let field = injected(2, |t, y, entry, _| if entry == 5 && t > 0.3 { f64::NAN } else { -y });
    let problem = Problem { y0: &[1.0; 8], span: [0.0, 1.0], theta: &[] };
    for options in [Options::default(), Options::fixed(0.05)] {
        let (post, solution) = died(solve(&field, &Tsit5, &problem, &options));
        assert_eq!((post.component, post.trajectory), (Some(1), Some(2)));
        says(&post.to_string(), &["component 1 of trajectory 2"]);
        assert!(post.t <= 0.3 && post.t > 0.2, "{}", post.t);
        assert_eq!(solution.t, [post.t]);
        assert!((solution.last()[0] - (-post.t).exp()).abs() < 1e-4);
    }
}

/// Rows depend on each other, so that a NaN spreads: the part named is where it started.
struct Coupled;

impl VectorField for Coupled {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], _: &[S], dy: &mut [S]) {
        dy[0] = y[1];
        dy[1] = (S::one() - t).sqrt() - y[0];
    }
}

#[test]
fn the_part_that_first_went_non_finite_is_named() {
    let problem = Problem { y0: &[1.0, 0.0], span: [0.0, 2.0], theta: &[] };
    for options in [Options::tol(1e-6, 1e-6), Options::fixed(0.3)] {
        let (post, _) = died(solve(&Generic(Coupled), &Tsit5, &problem, &options));
        assert_eq!(post.component, Some(1));
        let part = post.part.unwrap_or_default();
        says(&part, &["row 1 of column 0"]);
    }
}

#[test]
fn nan_from_the_start_is_named_before_any_step() {
    let field = injected(2, |_, _, row, _| if row == 1 { f64::NAN } else { 0.0 });
    let problem = Problem { y0: &[1.0, 2.0], span: [0.5, 1.0], theta: &[] };
    for save in [Save::End, Save::EveryStep, Save::Dense, Save::At(vec![0.5, 0.7])] {
        let options = Options::default().save(save);
        let (post, solution) = died(solve(&field, &Tsit5, &problem, &options));
        assert_eq!((post.t, post.step, post.component), (0.5, 0, Some(1)));
        assert_eq!(post.failure, Failure::NonFinite);
        assert!(post.history.is_empty() && solution.steps.is_empty());
        assert_eq!((&solution.t[..], solution.last()), (&[0.5][..], &[1.0, 2.0][..]));
        assert_eq!(solution.stats.nfe, 1);
    }
}

/// f = (1 − t)^{−1/2} is infinite at the end of the span: methods that evaluate there fail near it
/// and say so, the others end with a finite state.
#[test]
fn an_infinite_derivative_at_the_end() {
    let field = injected(1, |t, _, _, _| 1.0 / (1.0 - t).sqrt());
    let problem = Problem { y0: &[0.0], span: [0.0, 1.0], theta: &[] };
    let options = Options::fixed(0.125);
    for (fails, result) in [
        (true, solve(&field, &Tsit5, &problem, &options)),
        (true, solve(&field, &Bs3, &problem, &options)),
        (true, solve(&field, &Rk4, &problem, &options)),
        (false, solve(&field, &Midpoint, &problem, &options)),
    ] {
        if fails {
            let (post, solution) = died(result);
            assert_eq!((post.failure, post.t), (Failure::NonFinite, 0.875));
            assert_eq!(solution.t, [0.875]);
        } else {
            let solution = result.unwrap();
            assert!((solution.last()[0] - 2.0).abs() < 0.3);
        }
    }
    // Adaptive: shrinks towards the end, then says where it stopped.
    let (post, solution) = died(solve(&field, &Tsit5, &problem, &Options::tol(1e-6, 1e-6)));
    assert!(post.t > 0.9999 && post.t < 1.0, "{post}");
    assert!((solution.last()[0] - 2.0 * (1.0 - (1.0 - post.t).sqrt())).abs() < 1e-4);
}

#[test]
fn a_solver_is_sound_after_a_failure() -> Result<()> {
    let field = Generic(Coupled);
    let mut solver = Solver::new(&field, &Tsit5, 1);
    let good = Problem { y0: &[1.0, 0.0], span: [0.0, 0.9], theta: &[] };
    let options = Options::default().save(Save::EveryStep);
    let before = solver.solve(&good, &options).map_err(Error::from)?.clone();
    let bad = Problem { span: [0.0, 2.0], ..good };
    assert!(solver.observe(&bad, &options, &mut Silent).is_err());
    let after = solver.solve(&good, &options).map_err(Error::from)?;
    assert_eq!((&before.y, &before.steps), (&after.y, &after.steps));
    Ok(())
}

#[test]
fn fixed_steps_leave_no_sliver() -> Result<()> {
    let steps = |n: usize| -> Result<[usize; 2]> {
        let h = 1.0 / n as f64;
        let double = Problem { y0: &[1.0], span: [0.0, 1.0], theta: &[1.0] };
        let single = Problem { y0: &[1.0f32], span: [0.0, 1.0], theta: &[1.0] };
        let double = solve(&Generic(Decay), &Rk4, &double, &Options::fixed(h))?;
        let single = solve(&Generic(Decay), &Rk4, &single, &Options::fixed(h))?;
        Ok([double.steps.len(), single.steps.len()])
    };
    for n in [3, 7, 10, 30, 49, 100] {
        assert_eq!(steps(n)?, [n, n]);
    }
    Ok(())
}
