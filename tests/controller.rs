//! Gradients with the step sizes as variables, against differences of whole adaptive solves.

use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory, StepSizeGradient, StepSizes, step_size_gradient};
use odeon::dynamics::gallery::{CubicSpiral, LotkaVolterra, VanDerPol};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Controller, Options, Problem, Save, Solution};
use odeon::num::Scalar;
use odeon::ode::tableau::ExplicitRk;
use odeon::ode::tableaux::{Bs3, Dop853, Dp5, Tsit5, Vern6, Vern7};
use odeon::ode::{ExplicitStepper, solve};

/// y' = −p₀ y + sin(p₁ t), z' = y z/(1 + t): depends on the time.
#[derive(Clone, Copy)]
struct Driven;
impl VectorField for Driven {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = -p[0] * y[0] + (p[1] * t).sin();
        dy[1] = y[0] * y[1] / (S::one() + t);
    }
}

/// Σ w sin y over the saved states.
fn loss(solution: &Solution<f64>, bar: &mut [f64]) -> Result<f64> {
    let mut sum = 0.0;
    for (i, (y, bar)) in solution.y.iter().zip(bar).enumerate() {
        let w = 1.0 + 0.3 * i as f64;
        sum += w * y.sin();
        *bar = w * y.cos();
    }
    Ok(sum)
}

struct Case<'a> {
    y0: &'a [f64],
    theta: &'a [f64],
    span: [f64; 2],
    options: Options<f64>,
}

/// The gradient along every direction against central differences of the adaptive solve; no decision may flip between
/// them. Returns the gradient and the number of rejected attempts.
fn check<F: VectorField + Copy, M: ExplicitRk>(f: F, method: &M, case: &Case<'_>) -> Result<usize> {
    let f = Generic(f);
    let run = |y0: &[f64], theta: &[f64], span: [f64; 2]| -> Result<(f64, [usize; 2])> {
        let mut options = case.options.clone();
        if let Save::At(times) = &options.save {
            options.tstops.extend_from_slice(times);
        }
        let solution = solve(&f, method, &Problem { y0, span, theta }, &options)?;
        let mut unused = vec![0.0; solution.y.len()];
        let stats = &solution.stats;
        Ok((loss(&solution, &mut unused)?, [stats.accepted, stats.rejected]))
    };
    let problem = Problem { y0: case.y0, span: case.span, theta: case.theta };
    let found = step_size_gradient(&f, method, &problem, &case.options, StepSizes::Controlled, loss)?;
    let (value, decisions) = run(case.y0, case.theta, case.span)?;
    assert_eq!(found.value.loss, value);
    let all: Vec<f64> = [&found.y0[..], &found.theta, &found.span].concat();
    // E is a difference of stages, known to some digits fewer than they are: so are the next sizes, and the loss is known to
    // 1e-13 or so, which differences divide by d.
    let size = all.iter().fold(1.0f64, |s, g| s.max(g.abs()));
    let (n, p) = (case.y0.len(), case.theta.len());
    for (i, got) in all.iter().enumerate() {
        let moved = |d: f64| -> Result<f64> {
            let (mut y0, mut theta, mut span) = (case.y0.to_vec(), case.theta.to_vec(), case.span);
            match i {
                i if i < n => y0[i] += d,
                i if i < n + p => theta[i - n] += d,
                i => span[i - n - p] += d,
            }
            let (value, here) = run(&y0, &theta, span)?;
            assert_eq!(here, decisions, "a decision flipped: the test is no test");
            Ok(value)
        };
        let d = 3e-6;
        let want = (8.0 * (moved(d)? - moved(-d)?) - moved(2.0 * d)? + moved(-2.0 * d)?) / (12.0 * d);
        let what = &method.tableau().name;
        assert!(
            (got - want).abs() < 1e-7 * size,
            "{what}, {:?}, {i} of {n} + {p} + 2: {got} {want}",
            case.options.controller
        );
    }
    Ok(decisions[1])
}

fn options(tol: f64) -> Options<f64> {
    // A first step that is far too short has an estimate that is all rounding, and so has what follows.
    Options { h0: Some(0.6), ..Options::tol(tol, tol) }
}

#[test]
fn differences_of_adaptive_solves_agree() -> Result<()> {
    let mut rejected = 0;
    for controller in [Controller::integral(), Controller::pi(), Controller::pid()] {
        let coarse = Options { controller, ..options(1e-2) };
        let oscillating = Case {
            y0: &[1.0, 0.3],
            theta: &[4.0],
            span: [0.0, 3.0],
            options: Options { controller, ..options(1e-2) },
        };
        rejected += check(VanDerPol, &Tsit5, &oscillating)?;
        let spiral =
            Case { y0: &[2.0, 0.1], theta: &CubicSpiral::THETA, span: [0.0, 1.3], options: coarse.clone() };
        rejected += check(CubicSpiral, &Dp5, &spiral)?;
        let driven = Case { y0: &[0.4, 1.0], theta: &[3.0, 2.2], span: [0.2, 3.0], options: coarse };
        rejected += check(Driven, &Bs3, &driven)?;
    }
    assert!(rejected > 5, "{rejected} attempts were rejected");
    // Three columns that share their steps, saved times inside, a largest step, a stop.
    let save = Options { dt_max: Some(0.31), tstops: vec![1.0], ..options(1e-2) }.save_at(vec![0.45, 1.7]);
    let predators = Case {
        y0: &[1.0, 1.2, 0.7, 0.9, 2.0, 0.5],
        theta: &LotkaVolterra::THETA,
        span: [0.0, 2.0],
        options: save,
    };
    check(LotkaVolterra, &Tsit5, &predators)?;
    // A method that does not end in its last stage, and one of order 7.
    let stiffer = |tol| Case { y0: &[1.0, 0.3], theta: &[4.0], span: [0.0, 3.0], options: options(tol) };
    check(VanDerPol, &Vern6, &stiffer(1e-3))?;
    check(VanDerPol, &Vern7, &stiffer(1e-3))?;
    Ok(())
}

/// The loss of the computed end at a coarse tolerance: that of the frozen steps is another function.
#[test]
fn frozen_steps_miss_what_the_controller_does() -> Result<()> {
    let f = Generic(VanDerPol);
    let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 4.0], theta: &[5.0] };
    let options = options(3e-2);
    let exact = solve(&f, &Vern6, &problem, &Options::tol(1e-12, 1e-12))?.last().to_vec();
    // The squared error of the solve itself.
    let error = |solution: &Solution<f64>, bar: &mut [f64]| -> Result<f64> {
        let off: Vec<f64> = solution.last().iter().zip(&exact).map(|(y, e)| y - e).collect();
        bar.iter_mut().zip(&off).for_each(|(bar, d)| *bar = 2.0 * d);
        Ok(off.iter().map(|d| d * d).sum())
    };
    let whole = step_size_gradient(&f, &Tsit5, &problem, &options, StepSizes::Controlled, error)?;
    let mut frozen = DiscreteAdjoint::new(ExplicitStepper::new(&f, &Tsit5, 1), Memory::Unlimited);
    frozen.value_and_gradient(&problem, &options, &mut [], error)?;
    let at = |y: f64| -> Result<f64> {
        let solution = solve(&f, &Tsit5, &Problem { y0: &[y, 0.0], ..problem }, &options)?;
        error(&solution, &mut [0.0; 2])
    };
    let d = 1e-6;
    let want = (at(2.0 + d)? - at(2.0 - d)?) / (2.0 * d);
    assert!((whole.y0[0] - want).abs() < 1e-5 * want.abs(), "{} {want}", whole.y0[0]);
    let missed = (frozen.y0_gradient()[0] - want).abs() / want.abs();
    assert!(missed > 0.2, "frozen {} whole {want}", frozen.y0_gradient()[0]);
    // A step along the whole gradient lowers the loss by what it promises.
    let (slope, step) = (whole.y0[0], 1e-4 / whole.y0[0].abs());
    let lower = at(2.0 - step * slope)?;
    let promised = step * slope * slope;
    assert!((whole.value.loss - lower - promised).abs() < 0.1 * promised, "{lower} {}", whole.value.loss);
    Ok(())
}

/// Steps that are fractions of the interval, against replays of stretched steps.
#[test]
fn ends_move_the_steps() -> Result<()> {
    let f = Generic(Driven);
    let (y0, theta, span) = ([0.4, 1.0], [3.0, 2.2], [0.2, 3.0]);
    let problem = Problem { y0: &y0, span, theta: &theta };
    let options = options(1e-2).save_at(vec![1.1, 3.0]);
    let found: StepSizeGradient<f64> =
        step_size_gradient(&f, &Tsit5, &problem, &options, StepSizes::Scaled, loss)?;
    let mut stops = options.clone();
    stops.tstops.extend_from_slice(&[1.1, 3.0]);
    let recorded = solve(&f, &Tsit5, &problem, &stops)?;
    let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&f, &Tsit5, 1), Memory::Unlimited);
    let mut at = |[t0, t1]: [f64; 2]| -> Result<f64> {
        let scale = |t: f64| t0 + (t - span[0]) * ((t1 - t0) / (span[1] - span[0]));
        let mut moved = recorded.clone();
        for step in &mut moved.steps {
            (step.h, step.t) = (step.h * ((t1 - t0) / (span[1] - span[0])), scale(step.t));
            step.t1 = scale(step.t1);
        }
        moved.t.iter_mut().for_each(|t| *t = scale(*t));
        let problem = Problem { y0: &y0, span: [t0, t1], theta: &theta };
        let solution = adjoint.replay(&problem, &moved, &options, &mut [])?;
        loss(solution, &mut vec![0.0; solution.y.len()])
    };
    let d = 1e-5;
    let start = (at([0.2 + d, 3.0])? - at([0.2 - d, 3.0])?) / (2.0 * d);
    let end = (at([0.2, 3.0 + d])? - at([0.2, 3.0 - d])?) / (2.0 * d);
    for (got, want) in found.span.iter().zip([start, end]) {
        assert!((got - want).abs() < 1e-8 * (1.0 + want.abs()), "{got} {want}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_served_is_refused() {
    let f = Generic(LotkaVolterra);
    let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 1.0], theta: &LotkaVolterra::THETA };
    let sizes = StepSizes::Controlled;
    let refused = step_size_gradient(&f, &Dop853, &problem, &options(1e-3), sizes, loss).unwrap_err();
    assert!(refused.to_string().contains("second error estimate"), "{refused}");
    let dense = Options { save: Save::Dense, ..options(1e-3) };
    let refused = step_size_gradient(&f, &Tsit5, &problem, &dense, sizes, loss).unwrap_err();
    assert!(refused.to_string().contains("Save::At"), "{refused}");
    let short = Problem { theta: &[1.0], ..problem };
    assert!(step_size_gradient(&f, &Tsit5, &short, &options(1e-3), sizes, loss).is_err());
}
