//! Reversible Runge–Kutta methods and the asynchronous leapfrog: order, inverse, and gradients that are the discrete
//! adjoint's through the same steps.

use crate::common::{TWIST, Twist, loss, network, off, wave};
use odeon::adjoint::{DiscreteAdjoint, Memory, ReversibleAdjoint, Weighted};
use odeon::dynamics::Dynamics;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{ErrorEstimate, Options, Problem, Reversible, Save, Solution};
use odeon::ode::reversible::{AsynchronousLeapfrog, Coupled};
use odeon::ode::tableaux::{Bs3, Dop853, Dp5, Euler, Heun, Rk4, Tsit5, Vern7, Vern9};
use odeon::ode::{StepMethod, solve, solve_ensemble};
use odeon::regularise::{Aggregation, Global, StepWeight};

fn error_penalty() -> Global<f64, ErrorEstimate<f64>> {
    Global::new(ErrorEstimate::default(), Aggregation::Sum, StepWeight::One).unwrap()
}

/// Slopes of the error at the end over halved steps, and at a time inside a step.
fn slopes<M: StepMethod<f64, Generic<Twist>>>(method: &M, h: [f64; 4], backwards: bool) -> [f64; 2] {
    let f = Generic(Twist);
    let y0 = wave(4, 0.2);
    let span = if backwards { [1.5, 0.0] } else { [0.0, 1.5] };
    let problem = Problem { y0: &y0, span, theta: &TWIST };
    let saved = Options { save: Save::At(vec![0.77, span[1]]), ..Options::tol(1e-14, 1e-14) };
    let exact = solve(&f, &Vern9, &problem, &saved).unwrap();
    let errors = h.map(|h| {
        let options = Options { save: saved.save.clone(), ..Options::fixed(h) };
        let got = solve(&f, method, &problem, &options).unwrap();
        [off(got.last(), exact.last()).ln(), off(got.state(0), exact.state(0)).ln()]
    });
    [0, 1].map(|which| {
        let mean = |f: &dyn Fn(usize) -> f64| (0..4).map(f).sum::<f64>() / 4.0;
        let (x, y) = (mean(&|i| h[i].ln()), mean(&|i| errors[i][which]));
        let up = mean(&|i| (h[i].ln() - x) * (errors[i][which] - y));
        up / mean(&|i| (h[i].ln() - x).powi(2))
    })
}

#[test]
fn coupled_methods_keep_the_order_of_their_base() {
    let halved = |h: f64| [h, h / 2.0, h / 4.0, h / 8.0];
    for backwards in [false, true] {
        let check = |name: &str, slopes: [f64; 2], order: f64| {
            assert!((slopes[0] - order).abs() < 0.15, "{name} {backwards}: {slopes:?}");
            assert!(slopes[1] > order - 0.5, "{name} {backwards} inside: {slopes:?}");
        };
        // With λ near 1 the method is nearly symmetric: its error of order one is small beside the next.
        let euler = Coupled::new(Euler).coupling(0.5).unwrap();
        check("Euler", slopes(&euler, halved(0.02), backwards), 1.0);
        check("Heun", slopes(&Coupled::new(Heun), halved(0.04), backwards), 2.0);
        check("Bs3", slopes(&Coupled::new(Bs3), halved(0.06), backwards), 3.0);
        check("Rk4", slopes(&Coupled::new(Rk4), halved(0.06), backwards), 4.0);
        if !backwards {
            // Backwards Dp5 itself is not asymptotic before rounding is reached.
            check("Dp5", slopes(&Coupled::new(Dp5), halved(0.25), backwards), 5.0);
        }
        check("ALF", slopes(&AsynchronousLeapfrog::default(), halved(0.04), backwards), 2.0);
        let damped = AsynchronousLeapfrog::damped(0.9).unwrap();
        check("damped ALF", slopes(&damped, halved(0.01), backwards), 1.0);
    }
}

/// Gradient (ȳ0, θ̄) through the same steps by the discrete adjoint, whose y₀ is given twice.
fn discrete<D: Dynamics<f64>, S: Reversible<f64>>(
    _: &D,
    stepper: S,
    memory: Memory,
    problem: &Problem<'_, f64>,
    options: &Options<f64>,
    penalties: &mut [Weighted<'_, f64>],
) -> (Vec<f64>, Solution<f64>) {
    let n = problem.y0.len();
    let mut adjoint = DiscreteAdjoint::new(stepper, memory);
    let twice = problem.y0.repeat(2);
    let visible = |solution: &Solution<f64>, y_bar: &mut [f64]| {
        // The loss of the first half of every state.
        let kept: Vec<f64> = solution.y.chunks(2 * n).flat_map(|y| y[..n].to_vec()).collect();
        let mut bar = vec![0.0; kept.len()];
        let mut seen = Solution::default();
        seen.y = kept;
        let value = loss(&seen, &mut bar)?;
        y_bar.chunks_mut(2 * n).zip(bar.chunks(n)).for_each(|(y, bar)| y[..n].copy_from_slice(bar));
        Ok(value)
    };
    adjoint.value_and_gradient(&Problem { y0: &twice, ..*problem }, options, penalties, visible).unwrap();
    let gradient = [&adjoint.y0_gradient()[..n], adjoint.theta_gradient()].concat();
    (gradient, adjoint.solution().clone())
}

fn agree<D: Dynamics<f64> + 'static, M: StepMethod<f64, D>>(
    name: &str,
    f: &D,
    method: &M,
    problem: &Problem<'_, f64>,
    options: &Options<f64>,
) where
    for<'a> M::Stepper<'a>: Reversible<f64>,
{
    let batch = problem.y0.len() / f.dim();
    for penalised in [false, true] {
        let mut penalties: Vec<Global<f64, ErrorEstimate<f64>>> =
            (0..usize::from(penalised)).map(|_| error_penalty()).collect();
        let mut weighted: Vec<Weighted<'_, f64>> =
            penalties.iter_mut().map(|penalty| Weighted { weight: 0.3, penalty }).collect();
        let mut adjoint = ReversibleAdjoint::new(method.stepper(f, batch));
        adjoint.value_and_gradient(problem, options, &mut weighted, loss).unwrap();
        let got = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        let mut options = options.clone();
        if let Save::At(times) = &options.save {
            options.tstops.extend(times);
        }
        for memory in [Memory::Unlimited, Memory::Bytes(adjoint.statistics().work_bytes + 8000)] {
            let stepper = method.stepper(f, batch);
            let (want, _) = discrete(f, stepper, memory, problem, &options, &mut weighted);
            let error = off(&got, &want);
            // An error estimate is a difference of nearly equal stages: its gradient has fewer digits.
            let bound = if penalised { 1e-10 } else { 1e-12 };
            assert!(error < bound, "{name} {penalised} {memory:?}: {error:e}");
        }
        assert!(adjoint.drift() < 1e-12, "{name}: {:e}", adjoint.drift());
    }
}

#[test]
fn gradients_are_the_discrete_ones_to_rounding() {
    let f = Generic(Twist);
    let y0 = wave(4, 0.2);
    let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &TWIST };
    let saved = |options: Options<f64>| Options { tstops: vec![0.9], ..options.save_at(vec![0.4, 1.5]) };
    for options in [saved(Options::fixed(0.03)), saved(Options::tol(1e-5, 1e-5)), Options::fixed(0.1)] {
        agree("Tsit5", &f, &Coupled::new(Tsit5), &problem, &options);
        agree("Dop853", &f, &Coupled::new(Dop853), &problem, &options);
        agree("Heun", &f, &Coupled::new(Heun).coupling(0.99).unwrap(), &problem, &options);
        agree("Dp5, λ = 1", &f, &Coupled::new(Dp5).coupling(1.0).unwrap(), &problem, &options);
        agree("ALF", &f, &AsynchronousLeapfrog::default(), &problem, &options);
    }
    agree("Rk4", &f, &Coupled::new(Rk4), &problem, &Options::fixed(0.05));
    let (f, theta) = network();
    let problem = Problem { theta: &theta, ..problem };
    agree("Tsit5", &f, &Coupled::new(Tsit5), &problem, &Options::fixed(0.03));
    agree("ALF", &f, &AsynchronousLeapfrog::default(), &problem, &Options::fixed(0.03));
}

/// Against differences of the replayed solve, with saved times inside steps.
#[test]
fn the_discrete_gradient_matches_differences() {
    fn check<M: StepMethod<f64, Generic<Twist>>>(method: &M)
    where
        for<'a> M::Stepper<'a>: Reversible<f64>,
    {
        let f = Generic(Twist);
        let y0 = wave(4, 0.2);
        let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &TWIST };
        let options = Options::fixed(0.13).save_at(vec![0.31, 0.9, 1.2]);
        let (got, recorded) =
            discrete(&f, method.stepper(&f, 2), Memory::Unlimited, &problem, &options, &mut []);
        let value = |y0: &[f64], theta: &[f64]| {
            let mut solver = odeon::ode::Solver::with(method.stepper(&f, 2));
            let problem = Problem { y0: &y0.repeat(2), span: [0.0, 1.5], theta };
            let solution =
                solver.replay(&problem, &recorded, &options, &mut odeon::integrate::Silent).unwrap();
            let kept = solution.y.chunks(8).flat_map(|y| y[..4].to_vec()).collect();
            let mut seen = Solution::default();
            seen.y = kept;
            loss(&seen, &mut vec![0.0; seen.y.len()]).unwrap()
        };
        for (i, got) in got.iter().enumerate() {
            let moved = |d: f64| {
                let (mut y, mut p) = (y0.clone(), TWIST.to_vec());
                if i < 4 {
                    y[i] += d
                } else {
                    p[i - 4] += d
                }
                value(&y, &p)
            };
            let d = 1e-4;
            let first = (moved(d) - moved(-d)) / (2.0 * d);
            let want = (4.0 * first - (moved(2.0 * d) - moved(-2.0 * d)) / (4.0 * d)) / 3.0;
            assert!((got - want).abs() < 1e-9 * (1.0 + want.abs()), "{i}: {got} {want}");
        }
    }
    check(&Coupled::new(Tsit5));
    check(&Coupled::new(Vern7));
    check(&Coupled::new(Rk4).coupling(0.97).unwrap());
    check(&AsynchronousLeapfrog::default());
    check(&AsynchronousLeapfrog::damped(0.8).unwrap());
}

#[test]
fn memory_does_not_grow_with_the_steps() {
    let (f, theta) = network();
    let y0 = wave(20, 0.1);
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let bytes = |h: f64| {
        let mut adjoint = ReversibleAdjoint::new(Coupled::new(Tsit5).stepper(&f, 10));
        adjoint.value_and_gradient(&problem, &Options::fixed(h), &mut [], loss).unwrap();
        assert!(adjoint.statistics().checkpoint_bytes == 0);
        (adjoint.statistics().work_bytes, adjoint.statistics().nfe)
    };
    let ((few, nfe), (many, more)) = (bytes(0.1), bytes(0.01));
    assert_eq!(few, many);
    // Six stages of each of the two increments.
    assert_eq!((nfe, more), (120, 1200));
}

#[test]
fn bad_settings_are_refused() {
    for lambda in [0.0, 1.1, f64::NAN, -0.5] {
        let error = Coupled::new(Tsit5).coupling(lambda).unwrap_err().to_string();
        assert!(error.contains("coupling") && error.contains("(0, 1]"), "{error}");
    }
    for eta in [0.5, 1.2, f64::NAN] {
        let error = AsynchronousLeapfrog::damped(eta).unwrap_err().to_string();
        assert!(error.contains("damping") && error.contains("(½, 1]"), "{error}");
    }
    let f = Generic(Twist);
    let problem = Problem { y0: &[1.0; 4], span: [0.0, 1.0], theta: &TWIST };
    let error = solve_ensemble(&f, &Coupled::new(Tsit5), &problem, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("a reversible one"), "{error}");
    let dense = Options::default().save(Save::Dense);
    let error = solve(&f, &Coupled::new(Tsit5), &problem, &dense).unwrap_err();
    assert!(error.to_string().contains("Save::At"), "{error}");
}
