//! The adjoint equation: all three ways of having the state, against the discrete adjoint at tight tolerances.

use crate::common::{TWIST, Twist, discrete, loss, network, off, wave};
use odeon::Error;
use odeon::adjoint::{Continuous, ContinuousAdjoint, Memory, OnDrift, WayBack};
use odeon::dynamics::Dynamics;
use odeon::dynamics::Mass;
use odeon::dynamics::compose::WithMass;
use odeon::dynamics::gallery::{LotkaVolterra, Robertson};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save, Solution, Warning};
use odeon::ode::solve;
use odeon::ode::tableaux::{Dp5, Rk4, Tsit5, Vern7};
use odeon::ode::tableaux_rosenbrock::Rodas5P;

const KINDS: [Continuous; 3] = [
    Continuous::Backsolve,
    Continuous::Interpolating(Memory::Unlimited),
    Continuous::Quadrature(Memory::Unlimited),
];

fn gradient<D: Dynamics<f64>>(
    f: &D,
    kind: Continuous,
    settings: WayBack<f64>,
    problem: &Problem<'_, f64>,
    options: &Options<f64>,
) -> (Vec<f64>, [f64; 2], f64) {
    let batch = problem.y0.len() / f.dim();
    let mut adjoint = ContinuousAdjoint::new(f, &Tsit5, batch, kind, settings).unwrap();
    let mut y_bar = Vec::new();
    let noting = |solution: &Solution<f64>, bar: &mut [f64]| {
        let value = loss(solution, bar);
        y_bar = bar.to_vec();
        value
    };
    let value = adjoint.value_and_gradient(problem, options, noting).unwrap().loss;
    let times = adjoint.time_gradients(&y_bar).unwrap();
    ([adjoint.y0_gradient(), adjoint.theta_gradient()].concat(), times, value)
}

fn saves() -> Vec<Save<f64>> {
    vec![Save::End, Save::At(vec![0.0, 0.0, 0.31, 0.8, 0.8, 1.5]), Save::At(vec![0.4, 1.1]), Save::EveryStep]
}

#[test]
fn all_kinds_agree_with_the_discrete_adjoint_on_every_save_mode_and_direction() {
    let y0 = wave(6, 0.2);
    for save in saves() {
        for back in [false, true] {
            let mut options = Options::tol(1e-10, 1e-10).save(save.clone());
            let span = if back { [1.5, 0.0] } else { [0.0, 1.5] };
            if let (Save::At(times), true) = (&mut options.save, back) {
                times.reverse();
            }
            options.tstops = vec![0.7];
            let problem = Problem { y0: &y0, span, theta: &TWIST };
            let f = Generic(Twist);
            let want = discrete(&f, &problem, &options);
            for kind in KINDS {
                for settings in [WayBack::default(), WayBack::seminorm()] {
                    let (got, ..) = gradient(&f, kind, settings, &problem, &options);
                    let error = off(&got, &want);
                    assert!(error < 2e-8, "{save:?} {back} {kind:?}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn batches_of_networks_agree_with_the_discrete_adjoint() {
    let (f, theta) = network();
    let y0 = wave(8, 0.7);
    let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &theta };
    let options = Options::tol(1e-10, 1e-10).save_at(vec![0.5, 1.5]);
    let want = discrete(&f, &problem, &options);
    for kind in KINDS {
        let (got, ..) = gradient(&f, kind, WayBack::seminorm(), &problem, &options);
        assert!(off(&got, &want) < 1e-8, "{kind:?}: {:e}", off(&got, &want));
    }
}

/// The error falls with the tolerance of both ways, and with that of the way back alone only so far.
#[test]
fn gradients_converge_with_the_tolerances() {
    let f = Generic(LotkaVolterra);
    let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 3.0], theta: &LotkaVolterra::THETA };
    let options = |tol: f64| Options::tol(tol, tol).save_at(vec![1.0, 3.0]);
    let exact = discrete(&f, &problem, &options(1e-12));
    for kind in KINDS {
        let error = |tol: f64, back: Option<f64>| {
            let own = back.map(|tol| Options::tol(tol, tol));
            let settings = WayBack { options: own, on_drift: OnDrift::Warn, ..WayBack::default() };
            off(&gradient(&f, kind, settings, &problem, &options(tol)).0, &exact)
        };
        let (coarse, fine) = (error(1e-5, None), error(1e-9, None));
        assert!(coarse < 1e-2 && fine < 1e-7 && fine < 1e-2 * coarse, "{kind:?} {coarse:e} {fine:e}");
        let one_sided = error(1e-5, Some(1e-11));
        assert!(one_sided > 10.0 * fine && one_sided < 1e-3, "{kind:?} {one_sided:e}");
    }
}

#[test]
fn time_gradients_match_differences() {
    let f = Generic(Twist);
    let y0 = wave(4, 0.2);
    for save in [Save::End, Save::At(vec![0.6, 1.5]), Save::At(vec![0.6])] {
        // A state saved at the end moves with it.
        let value = |span: [f64; 2]| {
            let mut save = save.clone();
            if let Save::At(times) = &mut save {
                times.iter_mut().filter(|t| **t == 1.5).for_each(|t| *t = span[1]);
            }
            let options = Options::tol(1e-12, 1e-12).save(save);
            let solution = solve(&f, &Vern7, &Problem { y0: &y0, span, theta: &TWIST }, &options).unwrap();
            loss(&solution, &mut vec![0.0; solution.y.len()]).unwrap()
        };
        let d = 1e-4;
        let want = [
            (value([d, 1.5]) - value([-d, 1.5])) / (2.0 * d),
            (value([0.0, 1.5 + d]) - value([0.0, 1.5 - d])) / (2.0 * d),
        ];
        let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &TWIST };
        for kind in KINDS {
            let options = Options::tol(1e-10, 1e-10).save(save.clone());
            let (_, got, _) = gradient(&f, kind, WayBack::default(), &problem, &options);
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() < 1e-6 * (1.0 + want.abs()), "{save:?} {kind:?} {got} {want}");
            }
        }
    }
}

/// Under a budget the steps are taken again where they do not fit.
#[test]
fn budgets_of_the_way_there_are_kept() {
    let f = Generic(Twist);
    let y0 = wave(4, 0.2);
    let problem = Problem { y0: &y0, span: [0.0, 6.0], theta: &TWIST };
    let options = Options::tol(1e-9, 1e-9).save_at(vec![2.0, 6.0]);
    for quadrature in [false, true] {
        let run = |memory| {
            let kind =
                if quadrature { Continuous::Quadrature(memory) } else { Continuous::Interpolating(memory) };
            let mut adjoint = ContinuousAdjoint::new(&f, &Dp5, 2, kind, WayBack::default()).unwrap();
            adjoint.value_and_gradient(&problem, &options, loss).unwrap();
            let statistics = adjoint.statistics();
            ([adjoint.y0_gradient(), adjoint.theta_gradient()].concat(), statistics)
        };
        let (want, all) = run(Memory::Unlimited);
        assert!(all.replayed == 0 && all.accepted > 20);
        let half = all.checkpoint_bytes / 2;
        let (got, fewer) = run(Memory::Bytes(half));
        assert!(fewer.checkpoint_bytes <= half && fewer.replayed > 0, "{fewer:?}");
        // The way back ends at the bounds of the segments: other steps, but the same state to read off.
        assert!(off(&got, &want) < 1e-7, "{:e}", off(&got, &want));
        let kind = Continuous::Interpolating(Memory::Bytes(200));
        let mut adjoint = ContinuousAdjoint::new(&f, &Dp5, 2, kind, WayBack::default()).unwrap();
        let error = adjoint.value_and_gradient(&problem, &options, loss).unwrap_err().to_string();
        assert!(
            error.contains("the memory of the way there is 200 bytes") && error.contains("Backsolve"),
            "{error}"
        );
    }
}

/// y' = −p y³ − 30 y contracts by e³⁰ and more: back, every error grows by as much.
#[test]
fn drift_is_refused_or_told_and_absent_where_the_state_is_kept() {
    struct Contracting;
    impl odeon::dynamics::generic::VectorField for Contracting {
        fn dim(&self) -> usize {
            1
        }
        fn num_params(&self) -> usize {
            1
        }
        #[inline(always)]
        fn eval<S: odeon::num::Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
            dy[0] = -(p[0] * (y[0] - S::one()) * S::of(30.0));
        }
    }
    let f = Generic(Contracting);
    let problem = Problem { y0: &[2.0], span: [0.0, 1.0], theta: &[1.0] };
    let options = Options::tol(1e-6, 1e-6);
    let run = |kind, settings, options: &Options<f64>| {
        let mut adjoint = ContinuousAdjoint::new(&f, &Tsit5, 1, kind, settings).unwrap();
        let outcome = adjoint.value_and_gradient(&problem, options, loss).map(drop);
        (outcome, adjoint.warnings().to_vec(), adjoint.drift())
    };
    let (outcome, warnings, drift) = run(Continuous::Backsolve, WayBack::default(), &options);
    let Err(Error::Drift { t, relative, bound }) = outcome else { panic!("{outcome:?}") };
    assert!(t == 0.0 && relative == drift && drift > 1e-2 && bound == 1e-3 && warnings.is_empty());
    let (outcome, ..) = run(Continuous::Backsolve, WayBack::seminorm(), &options);
    assert!(matches!(outcome, Err(Error::Drift { bound: 1e-3, .. })), "{outcome:?}");
    let told = WayBack { on_drift: OnDrift::Warn, ..WayBack::default() };
    let (outcome, warnings, _) = run(Continuous::Backsolve, told, &options);
    assert!(outcome.is_ok() && matches!(warnings[..], [Warning::Drift { .. }]), "{warnings:?}");
    let wide = WayBack { drift_bound: Some(1e9), ..WayBack::default() };
    assert!(run(Continuous::Backsolve, wide, &options).0.is_ok());
    for kind in &KINDS[1..] {
        let (outcome, warnings, drift) = run(*kind, WayBack::default(), &options);
        assert!(outcome.is_ok() && warnings.is_empty() && drift == 0.0);
    }
    // The state is taken anew at every saved time: many of them keep the drift small.
    let often = options.save_at((0..=100).map(|i| 0.01 * f64::from(i)).collect::<Vec<_>>());
    let (outcome, _, small) = run(Continuous::Backsolve, WayBack::default(), &often);
    assert!(outcome.is_ok() && small < 1e-4, "{small:e}");
}

/// Many parameters whose cotangents change faster than λ: leaving them out of the norm spares steps.
#[test]
fn seminorms_spare_steps_and_keep_the_accuracy() {
    struct Driven;
    impl odeon::dynamics::generic::VectorField for Driven {
        fn dim(&self) -> usize {
            2
        }
        fn num_params(&self) -> usize {
            6
        }
        #[inline(always)]
        fn eval<S: odeon::num::Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
            dy[0] = y[1];
            dy[1] = -y[0];
            for (k, p) in p.iter().enumerate() {
                dy[1] += *p * (S::of(3.0 + 2.0 * k as f64) * t).sin();
            }
        }
    }
    let f = Generic(Driven);
    let theta = [1e-3; 6];
    let problem = Problem { y0: &[1.0, 0.0], span: [0.0, 6.0], theta: &theta };
    let options = Options::tol(1e-7, 1e-7);
    let want = discrete(&f, &problem, &Options::tol(1e-12, 1e-12));
    let run = |settings| {
        let mut adjoint = ContinuousAdjoint::new(&f, &Tsit5, 1, Continuous::Backsolve, settings).unwrap();
        adjoint.value_and_gradient(&problem, &options, loss).unwrap();
        let error = off(&[adjoint.y0_gradient(), adjoint.theta_gradient()].concat(), &want);
        (adjoint.statistics(), error)
    };
    let ((full, full_error), (semi, error)) = (run(WayBack::default()), run(WayBack::seminorm()));
    assert!(4 * semi.nfe < 3 * full.nfe, "{} {}", semi.nfe, full.nfe);
    assert!(full_error < 1e-5 && error < 1e-4, "{full_error:e} {error:e}");
}

#[test]
fn other_methods_back_and_fixed_steps() {
    let f = Generic(Twist);
    let y0 = wave(2, 0.2);
    let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &TWIST };
    let want = discrete(&f, &problem, &Options::tol(1e-12, 1e-12));
    for kind in KINDS {
        let mut adjoint =
            ContinuousAdjoint::with_methods(&f, (&Vern7, &Dp5), 1, kind, WayBack::default()).unwrap();
        adjoint.value_and_gradient(&problem, &Options::tol(1e-10, 1e-10), loss).unwrap();
        assert!(off(adjoint.theta_gradient(), &want[2..]) < 1e-8);
        // A stiff method there, an explicit one back.
        let mut adjoint =
            ContinuousAdjoint::with_methods(&f, (&Rodas5P, &Tsit5), 1, kind, WayBack::default()).unwrap();
        adjoint.value_and_gradient(&problem, &Options::tol(1e-9, 1e-9), loss).unwrap();
        assert!(off(adjoint.theta_gradient(), &want[2..]) < 1e-6);
        // Order four on fixed steps.
        let error = |h: f64| {
            let mut adjoint = ContinuousAdjoint::new(&f, &Rk4, 1, kind, WayBack::default()).unwrap();
            adjoint.value_and_gradient(&problem, &Options::fixed(h), loss).unwrap();
            off(adjoint.theta_gradient(), &want[2..])
        };
        let order = (error(0.05) / error(0.025)).log2();
        let least = if kind == Continuous::Backsolve { 3.7 } else { 2.7 };
        assert!(order > least, "{kind:?} {order}");
    }
}

#[test]
fn bad_input_is_refused_by_name() {
    let f = Generic(Twist);
    let say = |error: Error| error.to_string();
    let refused = |error: Error, parts: [&str; 2]| {
        let text = say(error);
        assert!(parts.iter().all(|p| text.contains(p)), "{text}");
    };
    let kind = Continuous::Backsolve;
    let new = ContinuousAdjoint::new(&f, &Rodas5P, 1, kind, WayBack::<f64>::default());
    refused(new.err().unwrap(), ["the method of the way back", "DiscreteAdjoint"]);
    let massive = WithMass { inner: Generic(Robertson), mass: Mass::Diagonal(vec![1.0, 1.0, 0.0]) };
    let new = ContinuousAdjoint::new(&massive, &Tsit5, 1, kind, WayBack::<f64>::default());
    refused(new.err().unwrap(), ["the mass matrix", "DiscreteAdjoint"]);
    let settings = WayBack { drift_bound: Some(0.0), ..WayBack::default() };
    let new = ContinuousAdjoint::new(&f, &Tsit5, 1, kind, settings);
    refused(new.err().unwrap(), ["the bound on the drift", "positive"]);
    let mut adjoint = ContinuousAdjoint::new(&f, &Tsit5, 1, kind, WayBack::default()).unwrap();
    refused(adjoint.reverse(&[]).unwrap_err(), ["the forward pass", "missing"]);
    let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 1.0], theta: &TWIST };
    adjoint.forward(&problem, &Options::default()).unwrap();
    refused(adjoint.reverse(&[1.0]).unwrap_err(), ["the cotangent of the saved states", "length 1"]);
    let bad = Problem { y0: &[1.0; 4], ..problem };
    refused(adjoint.forward(&bad, &Options::default()).unwrap_err().into(), ["y0", "length 4"]);
    let bad = Problem { theta: &[f64::NAN; 3], ..problem };
    refused(adjoint.forward(&bad, &Options::default()).unwrap_err().into(), ["theta[0]", "NaN"]);
}
