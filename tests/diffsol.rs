//! The implicit reference back end against independent references, the explicit methods and
//! diffsol's own sensitivities.
#![cfg(feature = "diffsol")]

use diffsol::{MatrixCommon, NalgebraLU, NalgebraMat, OdeBuilder, SensitivitiesOdeSolverMethod};
use nalgebra::DMatrix;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dataset::{Missing, Table};
use odeon::dynamics::gallery::{Decay, Lorenz, LotkaVolterra, Robertson, Swirl, VanDerPol};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Point, Tangent};
use odeon::error::{Error, Failure};
use odeon::integrate::{BelowResolution, Controller, Options, Problem, Save};
use odeon::num::{Atol, Over, Scalar};
use odeon::ode::diffsol::{Implicit, LARGEST, solve};
use odeon::ode::tableaux::{Tsit5, Vern9};
use odeon::ode::{self, ExplicitStepper};
use std::path::Path;

const METHODS: [Implicit; 3] = [Implicit::Bdf, Implicit::TrBdf2, Implicit::Esdirk34];

fn problem<'a>(y0: &'a [f64], t1: f64, theta: &'a [f64]) -> Problem<'a, f64> {
    let span = [0.0, t1];
    Problem { y0, span, theta }
}

/// Times and states of `data/reference/{name}.csv`, the initial value left out.
fn reference(name: &str) -> (Vec<f64>, Vec<Vec<f64>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/reference/{name}.csv"));
    let table = Table::read(path, Missing::Refuse).unwrap();
    let column = |name: &String| table.column(name).unwrap();
    let rows = (1..table.rows()).map(|i| {
        let states = table.names()[1..].iter();
        states.map(|name| column(name)[i]).collect()
    });
    (table.column("t").unwrap()[1..].to_vec(), rows.collect())
}

/// Largest error over atol + |reference|.
fn worst(solution: &odeon::integrate::Solution<f64>, rows: &[Vec<f64>], atol: &[f64]) -> f64 {
    let mut worst = 0.0f64;
    for (i, row) in rows.iter().enumerate() {
        for ((got, want), atol) in solution.state(i).iter().zip(row).zip(atol) {
            worst = worst.max((got - want).abs() / (atol + want.abs()));
        }
    }
    worst
}

#[test]
fn robertson_agrees_with_the_reference_over_eleven_decades() {
    let (times, rows) = reference("robertson");
    let published = [0.2083340149701255e-7, 0.8333360770334713e-13, 0.999_999_979_166_505];
    for (got, want) in rows[rows.len() - 1].iter().zip(published) {
        assert!((got - want).abs() < 1e-11 * want, "{got} {want}");
    }
    let atol = Atol::PerRow(vec![1e-14, 1e-18, 1e-14]);
    for method in METHODS {
        let options = Options::tol(1e-8, atol.clone()).save_at(times.clone());
        let problem = problem(&Robertson::Y0, 1e11, &Robertson::THETA);
        let solution = solve(&Generic(Robertson), method, &problem, &options).unwrap();
        let error = worst(&solution, &rows, &[1e-7, 1e-12, 1e-7]);
        println!("{method:?}: {error:.1e}, {:?}", solution.stats);
        assert!(error < 1e-5, "{method:?}: {error:e}");
        assert_eq!(solution.t, times);
        assert_eq!(solution.stats.accepted, solution.steps.len());
    }
}

#[test]
fn stiff_van_der_pol_agrees_with_the_reference_through_its_jumps() {
    let (times, rows) = reference("van_der_pol_1000");
    for method in METHODS {
        let errors = [1e-6, 1e-8].map(|rtol| {
            let options = Options::tol(rtol, rtol).save_at(times.clone());
            let problem = problem(&VanDerPol::Y0, 2000.0, &[1000.0]);
            let solution = solve(&Generic(VanDerPol), method, &problem, &options).unwrap();
            println!("{method:?} {rtol:e}: {:?}", solution.stats);
            worst(&solution, &rows, &[1.0, 1.0])
        });
        println!("{method:?}: {errors:?}");
        assert!(errors[0] < 2e-4 && errors[1] < 1e-5, "{method:?}: {errors:?}");
    }
}

#[test]
fn agrees_with_an_explicit_method_where_nothing_is_stiff() {
    let times: Vec<f64> = (0..=20).map(|i| 0.5 * i as f64).collect();
    let problem = problem(&LotkaVolterra::Y0, 10.0, &LotkaVolterra::THETA);
    let f = Generic(LotkaVolterra);
    let tolerance = |tol: f64| Options::tol(tol, tol).save_at(times.clone());
    let explicit = ode::solve(&f, &Tsit5, &problem, &tolerance(1e-12)).unwrap();
    for method in METHODS {
        let [loose, tight] = [1e-6, 1e-9].map(|tol| {
            let implicit = solve(&f, method, &problem, &tolerance(tol)).unwrap();
            assert_eq!(implicit.t, explicit.t);
            assert_eq!(implicit.state(0), LotkaVolterra::Y0);
            let pairs = implicit.y.iter().zip(&explicit.y);
            pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()))
        });
        // TR-BDF2 has order 2: its global error falls like tol^(2/3).
        println!("{method:?}: {loose:.1e} {tight:.1e}");
        assert!(loose < 5e-3, "{method:?}: {loose:e}");
        assert!(tight < loose / 50.0, "{method:?}: {loose:e} {tight:e}");
    }
}

#[test]
fn a_batch_is_solved_as_one_system() {
    let y0 = [1.0, 1.0, 2.0, 0.5];
    let options = Options::tol(1e-8, Atol::PerRow(vec![1e-8, 1e-9]));
    let theta = &LotkaVolterra::THETA;
    let f = Generic(LotkaVolterra);
    let both = solve(&f, Implicit::Bdf, &problem(&y0, 3.0, theta), &options).unwrap();
    assert_eq!((both.dim, both.batch), (2, 2));
    for (j, column) in y0.chunks(2).enumerate() {
        let alone = ode::solve(&f, &Vern9, &problem(column, 3.0, theta), &options).unwrap();
        for (a, b) in both.last()[2 * j..].iter().zip(alone.last()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}

#[test]
fn integrates_backward_in_time() {
    let omega = Swirl::THETA[0];
    let start = Swirl::solution(omega, 0.8);
    let span = [0.8, 0.0];
    let theta = &Swirl::THETA;
    let problem = Problem { y0: &start, span, theta };
    for method in METHODS {
        let options = Options::tol(1e-9, 1e-9).save_at([0.8, 0.4, 0.0]);
        let solution = solve(&Generic(Swirl), method, &problem, &options).unwrap();
        assert_eq!(solution.t, [0.8, 0.4, 0.0]);
        for (i, &t) in solution.t.iter().enumerate() {
            for (a, b) in solution.state(i).iter().zip(Swirl::solution(omega, t)) {
                assert!((a - b).abs() < 1e-6, "{method:?} at {t}: {a} {b}");
            }
        }
        assert!(solution.steps.iter().all(|s| s.h < 0.0));
    }
}

#[test]
fn saves_the_end_every_step_and_locates_what_it_saves() {
    let theta = &Lorenz::THETA;
    let problem = problem(&Lorenz::Y0, 1.0, theta);
    let f = Generic(Lorenz);
    for method in METHODS {
        let options = Options::tol(1e-7, 1e-7);
        let end = solve(&f, method, &problem, &options).unwrap();
        assert_eq!((end.t.as_slice(), end.y.len()), ([1.0].as_slice(), 3));
        let every = solve(&f, method, &problem, &options.save(Save::EveryStep)).unwrap();
        assert_eq!(every.t.len(), every.steps.len() + 1);
        assert_eq!(every.last(), end.last());
        assert_eq!(every.steps[0].t, 0.0);
        assert!(every.steps.windows(2).all(|w| w[0].t1 == w[1].t));
        for (located, t) in every.located.iter().zip(&every.t) {
            let step = every.steps[located.step];
            assert!((step.t + located.theta * step.h - t).abs() <= 1e-15);
        }
    }
}

/// y' = 1 before t = 1 and −1 from there on.
struct Switch;

impl Dynamics<f64> for Switch {
    type Scratch = ();
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        0
    }
    fn scratch(&self, _: usize) {}
    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], _: &mut ()) {
        dy[0] = if at.t < 1.0 { 1.0 } else { -1.0 };
    }
    fn vjp(&self, _: Point<'_, f64>, _: &[f64], _: &mut [f64], _: &mut [f64], _: &mut ()) -> f64 {
        0.0
    }
    fn jvp(&self, _: Point<'_, f64>, _: Tangent<'_, f64>, dy_dot: &mut [f64], _: &mut ()) {
        dy_dot[0] = 0.0;
    }
}

#[test]
fn stops_end_steps_exactly_at_discontinuities() {
    for method in METHODS {
        let mut options = Options::tol(1e-6, 1e-6).save_at([0.5, 1.0, 1.5, 2.0]);
        options.tstops = vec![1.0];
        let solution = solve(&Switch, method, &problem(&[0.0], 2.0, &[]), &options);
        let solution = solution.unwrap();
        assert!(solution.steps.iter().any(|s| s.t1 == 1.0 && s.to_stop));
        for (y, want) in solution.y.iter().zip([0.5, 1.0, 0.5, 0.0]) {
            assert!((y - want).abs() < 1e-12, "{method:?}: {y} {want}");
        }
    }
}

/// y' = y², which is infinite at t = 1/y0.
struct Blowup;

impl VectorField for Blowup {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        0
    }
    fn eval<S: Scalar>(&self, _: S, y: &[S], _: &[S], dy: &mut [S]) {
        dy[0] = y[0] * y[0];
    }
}

/// NaN from t = 1/2 on.
struct Cliff;

impl VectorField for Cliff {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        0
    }
    fn eval<S: Scalar>(&self, t: S, y: &[S], _: &[S], dy: &mut [S]) {
        dy[0] = -y[0];
        dy[1] = (S::of(0.5) - t).sqrt();
    }
}

fn died<F: VectorField>(field: F, y0: &[f64], method: Implicit) -> (Failure, f64, usize) {
    let options = Options::tol(1e-8, 1e-8).save(Save::EveryStep);
    let partial = solve(&Generic(field), method, &problem(y0, 2.0, &[]), &options).unwrap_err();
    let Error::Solve(dead) = &partial.error else {
        panic!("{}", partial.error);
    };
    assert!(partial.solution.t.len() > 3, "{partial}");
    assert!(partial.solution.y.iter().all(|v| v.is_finite()));
    assert!(!dead.history.is_empty());
    (dead.failure, dead.t, dead.component.unwrap_or(0))
}

#[test]
fn a_solve_that_dies_says_where_and_keeps_what_it_reached() {
    for method in METHODS {
        let (failure, t, _) = died(Blowup, &[1.0], method);
        assert!((t - 1.0).abs() < 1e-4, "{method:?}: {failure:?} at {t}");
        let (failure, t, component) = died(Cliff, &[1.0, 0.0], method);
        assert_eq!((failure, component), (Failure::NonFinite, 1), "{method:?}");
        assert!((t - 0.5).abs() < 1e-4, "{method:?}: {t}");
    }
}

#[test]
fn budgets_are_kept() {
    for method in METHODS {
        let theta = &Lorenz::THETA;
        let problem = problem(&Lorenz::Y0, 20.0, theta);
        let mut options = Options::tol(1e-8, 1e-8);
        options.max_steps = 30;
        let partial = solve(&Generic(Lorenz), method, &problem, &options).unwrap_err();
        assert!(partial.to_string().contains("max_steps"), "{partial}");
        let stats = &partial.solution.stats;
        assert!(stats.accepted + stats.rejected >= 30 && stats.accepted <= 30);
        options = Options::tol(1e-8, 1e-8);
        options.max_nfe = 100;
        let partial = solve(&Generic(Lorenz), method, &problem, &options).unwrap_err();
        assert!(partial.to_string().contains("max_nfe"), "{partial}");
        options = Options::tol(1e-8, 1e-8);
        options.dt_min = Some(0.1);
        let partial = solve(&Generic(Lorenz), method, &problem, &options).unwrap_err();
        assert!(partial.to_string().contains("step size"), "{partial}");
    }
}

/// A field whose Jacobian product makes Newton's matrix I − cJ singular or worse for every step.
struct BadJacobian(f64);

impl Dynamics<f64> for BadJacobian {
    type Scratch = ();
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        0
    }
    fn scratch(&self, _: usize) {}
    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], _: &mut ()) {
        dy[0] = -at.y[0];
    }
    fn vjp(&self, _: Point<'_, f64>, _: &[f64], _: &mut [f64], _: &mut [f64], _: &mut ()) -> f64 {
        0.0
    }
    fn jvp(&self, _: Point<'_, f64>, dot: Tangent<'_, f64>, dy_dot: &mut [f64], _: &mut ()) {
        dy_dot[0] = self.0 * dot.y[0];
    }
}

#[test]
fn a_singular_or_broken_newton_matrix_is_an_error_and_not_a_panic() {
    for method in METHODS {
        for jacobian in [f64::NAN, f64::INFINITY, 1e300] {
            let mut options = Options::tol(1e-6, 1e-6);
            options.h0 = Some(1.0);
            options.max_steps = 1000;
            let problem = problem(&[1.0], 2.0, &[]);
            match solve(&BadJacobian(jacobian), method, &problem, &options) {
                Ok(solution) => panic!("{method:?}, J = {jacobian}: {solution:?}"),
                Err(partial) => {
                    let said = partial.to_string();
                    assert!(said.contains("Newton"), "{method:?}, J = {jacobian}: {said}");
                }
            }
        }
    }
}

#[test]
fn what_is_unsupported_is_refused_by_name() {
    let theta = &Decay::THETA;
    let refused = |y0: &[f64], change: &dyn Fn(&mut Options<f64>), part: &str| {
        let mut options = Options::tol(1e-6, 1e-6);
        change(&mut options);
        let result = solve(&Generic(Decay), Implicit::Bdf, &problem(y0, 1.0, theta), &options);
        let message = result.unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(&[1.0], &|o| o.save = Save::Dense, "options.save is Dense");
    refused(&[1.0], &|o| o.controller = Controller::Fixed { h: 0.1 }, "controller is Fixed");
    refused(&[1.0], &|o| o.dt_max = Some(0.1), "dt_max");
    refused(&[1.0], &|o| o.diagnostics = true, "diagnostics");
    refused(&[1.0, 2.0], &|o| o.norm.over = Over::Trajectory, "norm.over");
    refused(&[1.0], &|o| o.norm.atol = Atol::Scalar(0.0), "atol is 0");
    refused(&vec![1.0; LARGEST + 1], &|_| {}, "at most 4096 unknowns");
    refused(&[f64::NAN], &|_| {}, "y[0] is NaN");
    refused(&[], &|_| {}, "y has length 0");
    refused(&[1.0], &|o| o.save = Save::At(vec![2.0]), "save times[0]");
    let mut options = Options::tol(1e-17, 1e-17);
    options.below_resolution = BelowResolution::Refuse;
    let result = solve(&Generic(Decay), Implicit::Bdf, &problem(&[1.0], 1.0, theta), &options);
    assert!(result.unwrap_err().to_string().contains("rtol is"));
}

/// Sensitivities ∂y(T)/∂(θ, y0) of Lotka–Volterra by diffsol's forward sensitivity equations, one
/// column for each of the six parameters.
fn forward_sensitivities(t1: f64, tolerance: f64) -> (Vec<f64>, DMatrix<f64>) {
    let f = Generic(LotkaVolterra);
    let scratch = || f.scratch(1);
    let p: Vec<f64> = [LotkaVolterra::THETA.as_slice(), &LotkaVolterra::Y0].concat();
    let ode = OdeBuilder::<NalgebraMat<f64>>::new()
        .rtol(tolerance)
        .atol([tolerance])
        .sens_rtol(tolerance)
        .sens_atol([tolerance])
        .p(p.clone())
        .rhs_sens_implicit(
            |y: &[f64], p: &[f64], t, dy: &mut [f64]| {
                let theta = &p[..4];
                f.eval(Point { t, y, theta }, dy, &mut scratch());
            },
            |y: &[f64], p: &[f64], t, v: &[f64], out: &mut [f64]| {
                let (theta, none) = (&p[..4], &[]);
                let dot = Tangent { t: 0.0, y: v, theta: none };
                f.jvp(Point { t, y, theta }, dot, out, &mut scratch());
            },
            |y: &[f64], p: &[f64], t, v: &[f64], out: &mut [f64]| {
                let theta = &p[..4];
                let dot = Tangent { t: 0.0, y: &[0.0; 2], theta: &v[..4] };
                f.jvp(Point { t, y, theta }, dot, out, &mut scratch());
            },
        )
        .init_sens(
            |p: &[f64], _, y: &mut [f64]| y.copy_from_slice(&p[4..]),
            |_: &[f64], _, v: &[f64], y: &mut [f64]| y.copy_from_slice(&v[4..]),
            2,
        )
        .build()
        .unwrap();
    let mut solver = ode.bdf_sens::<NalgebraLU<f64>>().unwrap();
    let (y, sensitivities, _) = solver.solve_dense_sensitivities(&[t1]).unwrap();
    let columns: Vec<_> = sensitivities.iter().map(|s| s.inner().column(0).into_owned()).collect();
    (y.inner().column(0).iter().copied().collect(), DMatrix::from_columns(&columns))
}

#[test]
fn the_discrete_adjoint_agrees_with_diffsols_forward_sensitivities() {
    let t1 = 4.0;
    let (y, sensitivities) = forward_sensitivities(t1, 1e-11);
    let f = Generic(LotkaVolterra);
    let stepper = ExplicitStepper::new(&f, &Vern9, 1);
    let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
    let options = Options::tol(1e-12, 1e-12);
    let problem = problem(&LotkaVolterra::Y0, t1, &LotkaVolterra::THETA);
    // Loss w·y(T): its gradient is wᵀ times the sensitivities.
    let weights = [0.7, -1.3];
    adjoint
        .value_and_gradient(&problem, &options, &mut [], |solution, y_bar| {
            y_bar.copy_from_slice(&weights);
            for (a, b) in solution.last().iter().zip(&y) {
                assert!((a - b).abs() < 1e-7, "{a} {b}");
            }
            Ok(weights.iter().zip(solution.last()).map(|(w, y)| w * y).sum())
        })
        .unwrap();
    let gradient = [adjoint.theta_gradient(), adjoint.y0_gradient()].concat();
    for (k, got) in gradient.iter().enumerate() {
        let column = sensitivities.column(k);
        let want = weights[0] * column[0] + weights[1] * column[1];
        assert!((got - want).abs() < 1e-6 * (1.0 + want.abs()), "{k}: {got} {want}");
    }
}
