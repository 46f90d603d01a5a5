//! Switching methods: they go implicit where a problem is stiff and nowhere else, back where it no longer is,
//! do not chatter, say what they did, and have exact gradients through their switches.

#[path = "switch/gradients.rs"]
mod gradients;

use gradients::saves;
use odeon::dynamics::compose::WithMass;
use odeon::dynamics::gallery::{Arenstorf, Brusselator, Lorenz, Robertson, VanDerPol};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Mass, Point, Tangent};
use odeon::error::Failure;
use odeon::integrate::{Member, Options, Problem, Save, Silent, Solution};
use odeon::linalg::Budget;
use odeon::num::{Atol, Scalar};
use odeon::ode::implicit::ImplicitOptions;
use odeon::ode::switch::{AutoSwitch, AutoTsit5, AutoVern7, AutoVern9, Thresholds};
use odeon::ode::tableau::ExplicitRk;
use odeon::ode::tableaux::{Euler, Tsit5, Vern7};
use odeon::ode::tableaux_rosenbrock::Rodas5P;
use odeon::ode::{Solver, StepMethod, solve};
use odeon::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

type Failed = Box<dyn std::error::Error>;

fn members(solution: &Solution<f64>) -> Vec<Member> {
    solution.steps.iter().map(|s| s.member).collect()
}

#[test]
fn a_problem_that_is_not_stiff_has_the_bits_of_the_explicit_method() -> Result<()> {
    fn same<M: ExplicitRk>(method: &M, auto: &impl StepMethod<f64, Generic<Lorenz>>) -> Result<()> {
        for tol in [1e-4, 1e-6, 1e-10] {
            let times: Vec<f64> = (0..=40).map(|i| 0.5 * f64::from(i)).collect();
            let options = Options { tstops: vec![3.1, 7.0], ..Options::tol(tol, tol).save_at(times) };
            let problem = Problem { y0: &Lorenz::Y0, span: [0.0, 20.0], theta: &Lorenz::THETA };
            let a = solve(&Generic(Lorenz), method, &problem, &options)?;
            let b = solve(&Generic(Lorenz), auto, &problem, &options)?;
            assert_eq!((&a.y, &a.steps), (&b.y, &b.steps));
            assert_eq!((a.stats.nfe, a.stats.rejected), (b.stats.nfe, b.stats.rejected));
            assert_eq!((b.stats.switches, b.stats.taken_by), (0, [b.stats.accepted, 0]));
            assert_eq!(b.stats.implicit, Default::default());
        }
        Ok(())
    }
    same(&Tsit5, &AutoTsit5)?;
    same(&Vern7, &AutoVern7)
}

/// y(1e5), to 16 digits (`data/reference/robertson.csv` has the shorter times; Radau at 1e-12 this one).
const ROBERTSON: [f64; 3] = [0.017865921142130238, 7.274751468449117e-8, 0.982134006110352];

#[test]
fn robertson_goes_implicit_once_and_stays() -> Result<(), Failed> {
    let problem = Problem { y0: &Robertson::Y0, span: [0.0, 1e5], theta: &Robertson::THETA };
    let options = Options::tol(1e-6, Atol::PerRow(vec![1e-8, 1e-12, 1e-8]));
    let solutions = [
        solve(&Generic(Robertson), &AutoTsit5, &problem, &options)?,
        solve(&Generic(Robertson), &AutoVern7, &problem, &options)?,
        solve(&Generic(Robertson), &AutoVern9, &problem, &options)?,
    ];
    for s in solutions {
        let pairs = s.last().iter().zip(ROBERTSON);
        let error = pairs.fold(0.0f64, |w, (y, r)| w.max((y - r).abs() / r));
        println!("{:?} {} {error:e}", s.stats.taken_by, s.stats.nfe);
        assert!(error < 1e-6, "{error:e}");
        assert_eq!(s.stats.switches, 1);
        let [explicit, implicit] = s.stats.taken_by;
        assert!(explicit < 60 && implicit > 50 && explicit + implicit == s.stats.accepted);
        assert!(s.stats.nfe < 2_000, "{}", s.stats.nfe);
        assert!(s.stats.implicit.jacobians > 0 && s.stats.implicit.failures == 0);
    }
    // y₂ is 10⁻⁵ of the others: unscaled its stiffness is not seen, for 8800 steps.
    let tight = Options::tol(1e-8, Atol::PerRow(vec![1e-10, 1e-14, 1e-10]));
    let [explicit, _] = solve(&Generic(Robertson), &AutoTsit5, &problem, &tight)?.stats.taken_by;
    assert!(explicit < 100, "{explicit}");
    // Tsit5 alone is not at t = 1000 after five hundred times the evaluations.
    let options = Options { max_nfe: 1_000_000, max_steps: usize::MAX, ..options };
    let partial = solve(&Generic(Robertson), &Tsit5, &problem, &options).expect_err("too stiff");
    let reached = partial.solution.steps.last().map_or(0.0, |s| s.t1);
    assert!(reached < 1000.0, "{reached}");
    Ok(())
}

#[test]
fn van_der_pol_switches_twice_a_jump() -> Result<(), Failed> {
    for mu in [1e3, 1e6] {
        for tol in [1e-5, 1e-8] {
            let theta = [mu];
            let problem = Problem { y0: &VanDerPol::Y0, span: [0.0, 2.0 * mu], theta: &theta };
            let options = Options::tol(tol, tol);
            let s = solve(&Generic(VanDerPol), &AutoTsit5, &problem, &options)?;
            let tight = solve(&Generic(VanDerPol), &Rodas5P, &problem, &Options::tol(1e-11, 1e-11))?;
            let error = (s.last()[0] - tight.last()[0]).abs();
            println!("{mu} {tol}: {:?} {} {error:e}", s.stats.taken_by, s.stats.switches);
            // The start and two jumps are explicit, three slow phases implicit.
            assert_eq!(s.stats.switches, 5, "μ = {mu}, {tol}");
            assert!(error < 1e3 * tol, "μ = {mu}, {tol}: {error:e}");
            if mu == 1e3 {
                // Hairer & Wanner's test set: y(2000).
                assert!((s.last()[0] - 1.706167732170483).abs() < 1e3 * tol);
            }
        }
    }
    Ok(())
}

#[test]
fn steps_limited_by_accuracy_are_not_stiff() -> Result<()> {
    for tol in [1e-3, 1e-6, 1e-8] {
        let options = Options::tol(tol, tol);
        let problem = Problem { y0: &Brusselator::Y0, span: [0.0, 40.0], theta: &Brusselator::THETA };
        assert_eq!(solve(&Generic(Brusselator), &AutoTsit5, &problem, &options)?.stats.switches, 0, "{tol}");
        let problem = Problem { y0: &Arenstorf::Y0, span: [0.0, 34.0], theta: &Arenstorf::THETA };
        assert_eq!(solve(&Generic(Arenstorf), &AutoTsit5, &problem, &options)?.stats.switches, 0, "{tol}");
    }
    Ok(())
}

/// y₁' = p₀ sin y₂ − p₁ y₁ cos t, y₂' = −p₂ L(t) (y₂ − cos y₁), with L = 1 + 1000/(1 + e^{30(t − 1)}): stiff
/// until t = 1, and not after.
struct Fading;

impl VectorField for Fading {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        let past = (S::of(30.0) * (t - S::one())).exp();
        let rate = S::one() + S::of(1000.0) / (S::one() + past);
        dy[0] = p[0] * y[1].sin() - p[1] * y[0] * t.cos();
        dy[1] = -p[2] * rate * (y[1] - y[0].cos());
    }
}

const THETA: [f64; 3] = [1.1, 0.7, 1.3];
const SPAN: [f64; 2] = [0.0, 2.2];

#[test]
fn a_problem_that_stops_being_stiff_goes_back() -> Result<()> {
    let problem = Problem { y0: &[0.4, -0.2], span: [0.0, 6.0], theta: &THETA };
    let options = Options::tol(1e-6, 1e-6);
    let s = solve(&Generic(Fading), &AutoTsit5, &problem, &options)?;
    assert_eq!(s.stats.switches, 2, "{:?}", s.stats);
    let at = |m: Member| s.steps.iter().filter(|s| s.member == m).map(|s| s.t).fold(0.0f64, f64::max);
    assert!(at(Member::Second) > 0.9 && at(Member::Second) < 2.5, "{}", at(Member::Second));
    assert!(at(Member::First) > 5.0);
    let alone = solve(&Generic(Fading), &Tsit5, &problem, &options)?;
    assert!(2 * s.stats.nfe < alone.stats.nfe, "{} {}", s.stats.nfe, alone.stats.nfe);
    for (a, b) in s.last().iter().zip(alone.last()) {
        assert!((a - b).abs() < 1e-4);
    }
    // The same solver solves again with the same bits, and plots see who tried what.
    let f = Generic(Fading);
    let mut solver = Solver::new(&f, &AutoTsit5, 1);
    solver.solve(&problem, &options)?;
    let again = solver.solve(&problem, &options.clone().diagnostics())?;
    assert_eq!((&again.y, &again.steps), (&s.y, &s.steps));
    let seen: Vec<Member> = again.attempts.iter().filter(|a| a.accepted).map(|a| a.member).collect();
    assert_eq!(seen, members(&s));
    Ok(())
}

/// y' = −p (y − sin t) + cos t.
struct Prothero;

impl VectorField for Prothero {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = t.cos() - p[0] * (y[0] - t.sin());
    }
}

#[test]
fn no_stiffness_makes_it_chatter() -> Result<()> {
    let mut implicit = Vec::new();
    for i in 0..60 {
        let theta = [1.2f64.powi(i)];
        let problem = Problem { y0: &[0.0], span: [0.0, 60.0], theta: &theta };
        for tol in [1e-3, 1e-6] {
            let s = solve(&Generic(Prothero), &AutoTsit5, &problem, &Options::tol(tol, tol))?;
            assert!(s.stats.switches <= 1, "λ = {}, {tol}: {}", theta[0], s.stats.switches);
            implicit.push(s.stats.switches == 1);
        }
    }
    // The mild ones stay explicit, the stiff ones do not.
    assert!(!implicit[0] && !implicit[1] && implicit[118] && implicit[119]);
    Ok(())
}

#[test]
fn saved_times_and_dense_output_follow_the_step_s_own_method() -> Result<()> {
    let times: Vec<f64> = (0..=300).map(|i| 0.02 * f64::from(i)).collect();
    let problem = Problem { y0: &[0.4, -0.2], span: [0.0, 6.0], theta: &THETA };
    let options = Options { tstops: vec![0.05, 0.613, 1.2], ..Options::tol(1e-7, 1e-7) };
    let saved = solve(&Generic(Fading), &AutoVern7, &problem, &options.clone().save_at(times.clone()))?;
    let dense = solve(&Generic(Fading), &AutoVern7, &problem, &options.clone().save(Save::Dense))?;
    let tight = Options { norm: odeon::num::ErrorNorm::new(1e-12, 1e-12), ..options.clone() };
    let exact = solve(&Generic(Fading), &Rodas5P, &problem, &tight.save_at(times.clone()))?;
    assert!(dense.stats.switches >= 2 && saved.stats.switches == dense.stats.switches);
    for stop in options.tstops {
        assert!(dense.steps.iter().any(|s| s.t1 == stop));
    }
    for (i, &t) in times.iter().enumerate() {
        for (j, y) in dense.at(t)?.iter().enumerate() {
            assert!((y - saved.state(i)[j]).abs() < 1e-12, "{t}");
            assert!((y - exact.state(i)[j]).abs() < 1e-5, "{t}: {y} {}", exact.state(i)[j]);
        }
    }
    Ok(())
}

#[test]
fn a_batch_of_equal_columns_takes_the_steps_of_one() -> Result<()> {
    let one = Problem { y0: &[0.4, -0.2], span: [0.0, 4.0], theta: &THETA };
    let three = Problem { y0: &[0.4, -0.2].repeat(3), ..one };
    let options = Options::tol(1e-6, 1e-6);
    let a = solve(&Generic(Fading), &AutoTsit5, &one, &options)?;
    let b = solve(&Generic(Fading), &AutoTsit5, &three, &options)?;
    assert_eq!(members(&a), members(&b));
    for (i, y) in b.last().iter().enumerate() {
        assert!((y - a.last()[i % 2]).abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn a_replay_has_the_bits_and_the_cost_of_its_solve() -> Result<()> {
    let f = Generic(Fading);
    let problem = Problem { y0: &[0.4, -0.2], span: SPAN, theta: &THETA };
    let options = Options { tstops: vec![0.05, 0.613], ..Options::tol(1e-6, 1e-6).save(saves()[2].clone()) };
    let mut solver = Solver::new(&f, &AutoTsit5, 1);
    let recorded = solver.solve(&problem, &options)?.clone();
    assert_eq!(recorded.stats.switches, 2);
    let replayed = solver.replay(&problem, &recorded, &options, &mut Silent)?;
    assert_eq!(replayed.steps, recorded.steps);
    assert_eq!((replayed.stats.switches, replayed.stats.taken_by), (2, recorded.stats.taken_by));
    assert!(replayed.stats.nfe <= recorded.stats.nfe);
    Ok(())
}

/// A right-hand side that is NaN from its `nan_at`-th evaluation on.
struct Poisoned {
    inner: Generic<Fading>,
    nan_at: usize,
    calls: AtomicUsize,
}

impl Dynamics<f64> for Poisoned {
    type Scratch = <Generic<Fading> as Dynamics<f64>>::Scratch;
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        Dynamics::<f64>::scratch(&self.inner, batch)
    }
    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], s: &mut Self::Scratch) {
        self.inner.eval(at, dy, s);
        if self.calls.fetch_add(1, Relaxed) + 1 >= self.nan_at {
            dy[1] = f64::NAN;
        }
    }
    fn vjp(
        &self,
        at: Point<'_, f64>,
        dy_bar: &[f64],
        y_bar: &mut [f64],
        theta_bar: &mut [f64],
        s: &mut Self::Scratch,
    ) -> f64 {
        self.inner.vjp(at, dy_bar, y_bar, theta_bar, s)
    }
    fn jvp(&self, at: Point<'_, f64>, dot: Tangent<'_, f64>, out: &mut [f64], s: &mut Self::Scratch) {
        self.inner.jvp(at, dot, out, s);
    }
}

fn failure(error: &Error) -> Option<Failure> {
    match error {
        Error::Solve(mortem) => Some(mortem.failure),
        _ => None,
    }
}

#[test]
fn nan_in_either_method_is_an_error_with_the_partial_solution() {
    let problem = Problem { y0: &[0.4, -0.2], span: [0.0, 5.0], theta: &THETA };
    let options = Options::tol(1e-6, 1e-6).save(Save::EveryStep);
    let mut last = Vec::new();
    for nan_at in (1..30).chain((30..480).step_by(41)) {
        let f = Poisoned { inner: Generic(Fading), nan_at, calls: AtomicUsize::new(0) };
        let partial = solve(&f, &AutoTsit5, &problem, &options).expect_err("NaN");
        assert_eq!(failure(&partial.error), Some(Failure::NonFinite), "{nan_at}");
        assert!(partial.solution.y.iter().all(|y| y.is_finite()) && !partial.solution.y.is_empty());
        last.extend(partial.solution.steps.last().map(|s| s.member));
    }
    assert!(last.contains(&Member::First) && last.contains(&Member::Second));
}

#[test]
fn bad_input_is_refused_in_words() {
    let f = Generic(Fading);
    let problem = Problem { y0: &[0.4, -0.2], span: SPAN, theta: &THETA };
    let options = Options::default();
    let message = |e: odeon::integrate::Partial<f64>| e.error.to_string();
    let massive = WithMass { inner: Generic(Fading), mass: Mass::Diagonal(vec![1.0, 2.0]) };
    let mass = message(solve(&massive, &AutoTsit5, &problem, &options).expect_err("mass"));
    assert!(mass.contains("explicit methods take none"), "{mass}");
    let euler = AutoSwitch::new(Euler, Rodas5P);
    let none = message(solve(&f, &euler, &problem, &Options::fixed(0.01)).expect_err("no pair"));
    assert!(none.contains("no stiffness pair"), "{none}");
    let crossed = AutoTsit5.thresholds(Thresholds { calm_ratio: 0.9, ..Thresholds::DEFAULT });
    let ratios = message(solve(&f, &crossed, &problem, &options).expect_err("thresholds"));
    assert!(ratios.contains("0 < calm_ratio < stiff_ratio"), "{ratios}");
    let little = AutoTsit5.with(ImplicitOptions { budget: Budget::bytes(10), ..Default::default() });
    let budget = message(solve(&f, &little, &problem, &options).expect_err("budget"));
    assert!(budget.contains("budget"), "{budget}");
    let few = Options { max_steps: 40, ..Options::default() };
    let partial = solve(&f, &AutoTsit5, &problem, &few).expect_err("steps");
    assert_eq!(failure(&partial.error), Some(Failure::MaxSteps));
    assert!(solve(&f, &AutoTsit5, &Problem { span: [1.0, 1.0], ..problem }, &options).is_err());
}
