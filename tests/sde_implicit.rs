//! Drift-implicit steps: their equation to rounding, stability at h·λ = −1000, the law of a stiff linear
//! equation, linear solvers, failure, gradients.

#[allow(dead_code, reason = "some fields are for other tests")]
#[path = "sde_support/fields.rs"]
mod fields;
#[path = "sde_support/replay.rs"]
mod replay;

use fields::{Column, Drift};
use odeon::Result;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Point};
use odeon::error::{Error, Failure};
use odeon::integrate::{Observer, Options, Problem, Save, StepView};
use odeon::num::Scalar as Number;
use odeon::ode::Solver;
use odeon::ode::implicit::{ImplicitOptions, KrylovChoice, LinearChoice, NewtonOptions};
use odeon::sde::noise::{Brownian, FixedGrid, IntervalTree, Levy, VirtualTree};
use odeon::sde::tableaux::{EulerMaruyama, Sra3};
use odeon::sde::{
    Constant, Diagonal, Diffusion, DriftImplicitEuler, DriftImplicitTrapezoid, General, Scalar, Sde,
    SdeMethod, System, solve,
};
use replay::gradient_error;

fn tight<T>(linear: LinearChoice<T>) -> ImplicitOptions<T>
where
    ImplicitOptions<T>: Default,
{
    ImplicitOptions { linear, newton: NewtonOptions::tight(), ..ImplicitOptions::default() }
}

const THETA: [f64; 7] = [0.5, 0.4, 0.7, 0.6, 0.5, -0.4, 0.3];
const Y0: [f64; 6] = [0.4, 0.9, -0.3, 0.5, 1.1, 0.2];

/// What a step leaves of its equation, for three paths of general noise.
fn defect(
    method: &impl SdeMethod<f64, Sde<Generic<Drift>, General<Generic<Column>>>>,
    weight: f64,
) -> Result<f64> {
    let system = Sde::ito(Generic(Drift), General(vec![Generic(Column); 2]));
    let (t, h) = (0.25, 0.5);
    let noise = || FixedGrid::new(7, [t, t + h], 1, 2, 3);
    let problem = Problem { y0: &Y0, span: [t, t + h], theta: &THETA };
    let y1 = solve(&system, method, noise()?, &problem, &Options::fixed(h))?.y;
    let mut w = [0.0; 6];
    noise()?.increment(t, t + h, &mut w, &mut [])?;
    let (f, g) = (System::<f64>::drift(&system), System::<f64>::diffusion(&system));
    let (mut f0, mut f1, mut g0) = ([0.0; 6], [0.0; 6], [0.0; 12]);
    let mut scratch = Dynamics::<f64>::scratch(f, 3);
    f.eval(Point { t, y: &Y0, theta: &THETA[..3] }, &mut f0, &mut scratch);
    f.eval(Point { t: t + h, y: &y1, theta: &THETA[..3] }, &mut f1, &mut scratch);
    let mut scratch = Diffusion::<f64>::scratch(g, 3);
    g.eval(Point { t, y: &Y0, theta: &THETA[3..] }, &mut g0, &mut scratch);
    let mut worst: f64 = 0.0;
    for b in 0..3 {
        for i in 0..2 {
            let r = 2 * b + i;
            let noise = g0[4 * b + i] * w[2 * b] + g0[4 * b + 2 + i] * w[2 * b + 1];
            let want = Y0[r] + h * ((1.0 - weight) * f0[r] + weight * f1[r]) + noise;
            worst = worst.max((y1[r] - want).abs());
        }
    }
    Ok(worst)
}

#[test]
fn a_step_solves_its_equation() -> Result<()> {
    for (method, defect) in [
        ("Euler", defect(&DriftImplicitEuler.with(tight(LinearChoice::Auto)), 1.0)?),
        ("trapezoid", defect(&DriftImplicitTrapezoid.with(tight(LinearChoice::Auto)), 0.5)?),
    ] {
        assert!(defect < 1e-14, "{method}: {defect:.1e}");
    }
    // Not to rounding with the default options, but to the tolerance.
    let loose = defect(&DriftImplicitEuler, 1.0)?;
    assert!(loose < 1e-7, "{loose:.1e}");
    Ok(())
}

/// −p₀ y, or −p₀ (y + y³/10).
#[derive(Clone, Copy)]
struct Decay {
    cubic: bool,
}

impl VectorField for Decay {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        let cubic = if self.cubic { S::of(0.1) * y[0] * y[0] * y[0] } else { S::of(0.0) };
        dy[0] = -p[0] * (y[0] + cubic);
    }
}

/// p₀ y.
#[derive(Clone, Copy)]
struct Proportional;

impl VectorField for Proportional {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[0];
    }
}

#[test]
fn it_is_stable_where_euler_maruyama_explodes() -> Result<()> {
    // h λ = −1000, twenty steps.
    let (h, theta) = (0.05, [20_000.0, 0.8]);
    let noise = || FixedGrid::new(2, [0.0, 1.0], 20, 1, 50);
    let y0 = [1.0; 50];
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let options = Options::fixed(h);
    let largest = |y: &[f64]| y.iter().fold(0.0, |s: f64, y| s.max(y.abs()));
    for cubic in [false, true] {
        let drift = Generic(Decay { cubic });
        let additive = Sde::ito(drift, Constant::matrix(1, 1));
        let multiplicative = Sde::ito(drift, Scalar(Generic(Proportional)));
        let end = largest(&solve(&additive, &DriftImplicitEuler, noise()?, &problem, &options)?.y);
        // One step's noise, damped once, of 50 normal numbers the largest.
        assert!(end < 4.0 * 0.8 * h.sqrt() / 1001.0, "additive: {end:.1e}");
        let end = largest(&solve(&multiplicative, &DriftImplicitEuler, noise()?, &problem, &options)?.y);
        assert!(end < 1e-50, "multiplicative: {end:.1e}");
        // Not damped, but bounded by what entered.
        let end = largest(&solve(&additive, &DriftImplicitTrapezoid, noise()?, &problem, &options)?.y);
        assert!(end < 1.5, "trapezoid, additive: {end:.1e}");
        for explicit in [
            solve(&additive, &EulerMaruyama, noise()?, &problem, &options),
            solve(&multiplicative, &EulerMaruyama, noise()?, &problem, &options),
        ] {
            assert!(explicit.map_or(f64::INFINITY, |s| largest(&s.y)) > 1e50);
        }
    }
    Ok(())
}

/// Stationary variance of dX = −λX dt + σ dW at hλ = 10, from its exact recursion: σ²h/((1 + hλ)² − 1) for
/// implicit Euler, and σ²/(2λ), that of the equation itself, for the trapezoid.
#[test]
fn the_stationary_variance_is_that_of_the_recursion() -> Result<()> {
    let (lambda, sigma, paths, steps) = (40.0, 0.7, 20_000, 60);
    let h = 10.0 / lambda;
    let span = [0.0, h * f64::from(steps)];
    let system = Sde::ito(Generic(Decay { cubic: false }), Constant::matrix(1, 1));
    let y0 = vec![0.0; paths];
    let problem = Problem { y0: &y0, span, theta: &[lambda, sigma] };
    let noise = || FixedGrid::new(4, span, steps as usize, 1, paths);
    let euler = solve(&system, &DriftImplicitEuler, noise()?, &problem, &Options::fixed(h))?.y;
    let trapezoid = solve(&system, &DriftImplicitTrapezoid, noise()?, &problem, &Options::fixed(h))?.y;
    let euler_wants = sigma * sigma * h / (11.0 * 11.0 - 1.0);
    for (name, y, want) in [("Euler", euler, euler_wants), ("trapezoid", trapezoid, sigma * sigma / 80.0)] {
        let variance = y.iter().map(|y| y * y).sum::<f64>() / paths as f64;
        // Four standard deviations of a variance of so many normal numbers.
        let bound = 4.0 * (2.0 / paths as f64).sqrt();
        assert!((variance / want - 1.0).abs() < bound, "{name}: {variance:.4e}, {want:.4e}");
    }
    Ok(())
}

#[test]
fn without_noise_the_trapezoid_has_order_two() -> Result<()> {
    let system = Sde::ito(Generic(Drift), Constant::diagonal(2));
    let problem = Problem { y0: &[0.4, 0.9], span: [0.0, 1.0], theta: &[0.5, 0.4, 0.7, 0.0, 0.0] };
    let noise = || FixedGrid::new(11, [0.0, 1.0], 512, 2, 1).map(|grid| grid.levy(Levy::SpaceTime));
    let exact = solve(&system, &Sra3, noise()?, &problem, &Options::fixed(1.0 / 512.0))?.y;
    let method = DriftImplicitTrapezoid.with(tight(LinearChoice::Auto));
    let mut errors = Vec::new();
    for k in [3, 4, 5, 6] {
        let y = solve(&system, &method, noise()?, &problem, &Options::fixed(0.5_f64.powi(k)))?.y;
        errors.push(y.iter().zip(&exact).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt());
    }
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!((order - 2.0).abs() < 0.1, "{order:.3}: {errors:?}");
    }
    Ok(())
}

/// Collects (t, h, y₀, y₁, ũ) of the steps.
#[derive(Default)]
struct Seen(Vec<(f64, f64, [Vec<f64>; 3])>);

impl Observer<f64> for Seen {
    fn accepted(&mut self, step: &StepView<'_, f64>) {
        let mut error = vec![0.0; step.len()];
        assert!(step.estimates.error_vector(step, false, &mut error));
        self.0.push((step.t, step.h, [step.y0.to_vec(), step.y1.to_vec(), error]));
    }
}

/// ½h(f(t₁, y₁) − f(t, y)) + ½(G(t₁, y₁) − G(t, y))ΔW, from the states alone.
fn check_estimates(
    method: &impl SdeMethod<f64, Sde<Generic<Drift>, General<Generic<Column>>>>,
) -> Result<()> {
    let system = Sde::ito(Generic(Drift), General(vec![Generic(Column); 2]));
    let noise = || FixedGrid::new(7, [0.0, 0.5], 4, 2, 3);
    let problem = Problem { y0: &Y0, span: [0.0, 0.5], theta: &THETA };
    let mut seen = Seen::default();
    let mut solver = Solver::with(method.stepper(&system, noise()?)?);
    solver.observe(&problem, &Options::fixed(0.125), &mut seen)?;
    assert_eq!(seen.0.len(), 4);
    let (f, g) = (System::<f64>::drift(&system), System::<f64>::diffusion(&system));
    let at = |t: f64, y: &[f64]| -> ([f64; 6], [f64; 12]) {
        let (mut df, mut dg) = ([0.0; 6], [0.0; 12]);
        f.eval(Point { t, y, theta: &THETA[..3] }, &mut df, &mut Dynamics::<f64>::scratch(f, 3));
        g.eval(Point { t, y, theta: &THETA[3..] }, &mut dg, &mut Diffusion::<f64>::scratch(g, 3));
        (df, dg)
    };
    for (t, h, [y0, y1, error]) in seen.0 {
        let ((f0, g0), (f1, g1)) = (at(t, &y0), at(t + h, &y1));
        let mut w = [0.0; 6];
        noise()?.increment(t, t + h, &mut w, &mut [])?;
        for r in 0..6 {
            let (b, row) = (r / 2, r % 2);
            let along = |k: usize| (g1[4 * b + 2 * k + row] - g0[4 * b + 2 * k + row]) * w[2 * b + k];
            let want = 0.5 * h * (f1[r] - f0[r]) + 0.5 * (along(0) + along(1));
            assert!((error[r] - want).abs() < 1e-13, "t = {t}, row {r}: {} {want}", error[r]);
        }
    }
    Ok(())
}

#[test]
fn the_error_estimate_is_its_formula() -> Result<()> {
    check_estimates(&DriftImplicitEuler.with(tight(LinearChoice::Auto)))?;
    check_estimates(&DriftImplicitTrapezoid.with(tight(LinearChoice::Auto)))
}

/// On a stiff drift adaptive steps grow beyond the explicit bound 2/λ once the transient is over, and a tighter
/// tolerance takes more of them.
#[test]
fn adaptive_steps_follow_the_tolerance_not_the_stiffness() -> Result<()> {
    let system = Sde::ito(Generic(Decay { cubic: true }), Constant::matrix(1, 1));
    // The noise is small: the steps that resolve it are longer than the explicit bound.
    let problem = Problem { y0: &[1.0; 20], span: [0.0, 2.0], theta: &[400.0, 1e-3] };
    let run = |tol: f64| -> Result<(usize, f64)> {
        let noise = IntervalTree::new(3, [0.0, 2.0], 1, 20)?;
        let solution = solve(&system, &DriftImplicitEuler, noise, &problem, &Options::tol(tol, tol))?;
        let largest = solution.steps.iter().fold(0.0, |s: f64, step| s.max(step.h));
        Ok((solution.stats.accepted, largest))
    };
    let ((loose, longest), (tight, _)) = (run(1e-2)?, run(1e-4)?);
    println!("{loose} steps, the longest {longest}; {tight}");
    assert!(longest > 20.0 * 2.0 / 400.0, "{longest}");
    assert!(tight > 3 * loose, "{tight} against {loose}");
    Ok(())
}

/// A chain: diffusion and a cubic reaction.
#[derive(Clone, Copy)]
struct Chain;

const LENGTH: usize = 40;

impl VectorField for Chain {
    fn dim(&self) -> usize {
        LENGTH
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        for i in 0..LENGTH {
            let left = if i > 0 { y[i - 1] } else { S::of(0.0) };
            let right = if i + 1 < LENGTH { y[i + 1] } else { S::of(0.0) };
            dy[i] = p[0] * (left + right - S::of(2.0) * y[i]) + y[i] - y[i] * y[i] * y[i];
        }
    }
}

/// p₀ cos y_i.
#[derive(Clone, Copy)]
struct Waves;

impl VectorField for Waves {
    fn dim(&self) -> usize {
        LENGTH
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        for (dy, y) in dy.iter_mut().zip(y) {
            *dy = p[0] * y.cos();
        }
    }
}

#[test]
fn linear_solvers_agree_and_a_batch_is_its_paths() -> Result<()> {
    let system = Sde::ito(Generic(Chain), Diagonal(Generic(Waves)));
    let y0: Vec<f64> = (0..2 * LENGTH).map(|i| (i as f64 * 0.3).sin()).collect();
    let theta = [400.0, 0.3];
    let run = |linear, y0: &[f64], first: usize| -> Result<Vec<f64>> {
        let noise = FixedGrid::new(9, [0.0, 0.5], 10, LENGTH, y0.len() / LENGTH)?.paths_from(first)?;
        let problem = Problem { y0, span: [0.0, 0.5], theta: &theta };
        let method = DriftImplicitEuler.with(tight(linear));
        Ok(solve(&system, &method, noise, &problem, &Options::fixed(0.05))?.y)
    };
    let both = run(LinearChoice::Auto, &y0, 0)?;
    let off = |y: &[f64], want: &[f64]| y.iter().zip(want).fold(0.0, |s: f64, (a, b)| s.max((a - b).abs()));
    for linear in [
        LinearChoice::DenseLu,
        LinearChoice::SparseLu,
        LinearChoice::Banded,
        LinearChoice::Krylov(KrylovChoice::default()),
    ] {
        let name = format!("{linear:?}");
        let off = off(&run(linear, &y0, 0)?, &both);
        assert!(off < 1e-12, "{name}: {off:.1e}");
    }
    for path in 0..2 {
        let range = path * LENGTH..(path + 1) * LENGTH;
        let off = off(&run(LinearChoice::Auto, &y0[range.clone()], path)?, &both[range]);
        assert!(off < 1e-12, "path {path}: {off:.1e}");
    }
    Ok(())
}

/// y², whose implicit step has no solution from h y > ¼ on.
#[derive(Clone, Copy)]
struct Square;

impl VectorField for Square {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], _: &[S], dy: &mut [S]) {
        dy[0] = y[0] * y[0];
    }
}

#[test]
fn what_it_cannot_solve_or_take_is_said() -> Result<()> {
    let system = Sde::ito(Generic(Square), Constant::matrix(1, 1));
    let noise = || FixedGrid::new(2, [0.0, 1.0], 8, 1, 1);
    let problem = Problem { y0: &[1.0], span: [0.0, 1.0], theta: &[1e-3] };
    let options = Options::fixed(0.125).save(Save::EveryStep);
    let partial = solve(&system, &DriftImplicitEuler, noise()?, &problem, &options).err();
    let partial = partial.ok_or_else(|| Error::invalid("the solve", "done", "it has no solution"))?;
    let Error::Solve(post_mortem) = &partial.error else { panic!("{}", partial.error) };
    assert_eq!(post_mortem.failure, Failure::Nonlinear);
    assert_eq!(partial.solution.stats.implicit.failures, 1);
    assert!(partial.solution.t.len() > 3, "steps with a solution come first: {:?}", partial.solution.t);
    // Adaptive steps where they would bias the solution.
    let biased = Sde::ito(Generic(Decay { cubic: false }), Scalar(Generic(Proportional)));
    let linear = Problem { theta: &[1.0, 0.5], ..problem };
    for refused in [
        solve(&biased, &DriftImplicitEuler, noise()?, &linear, &Options::tol(1e-2, 1e-2)).err(),
        solve(&biased, &DriftImplicitTrapezoid, noise()?, &linear, &Options::tol(1e-2, 1e-2)).err(),
    ] {
        let message = refused.map_or(String::new(), |partial| partial.error.to_string());
        assert!(message.contains("strong order ½") && message.contains("fixed"), "{message}");
    }
    // Stratonovich's equation, but for additive noise.
    let multiplicative = Sde::stratonovich(Generic(Decay { cubic: false }), Scalar(Generic(Proportional)));
    let error = DriftImplicitTrapezoid.stepper(&multiplicative, noise()?).err().map(|e| e.to_string());
    let message = error.unwrap_or_default();
    assert!(message.contains("DriftImplicitTrapezoid is a method for Itô equations"), "{message}");
    Ok(())
}

#[test]
fn gradients_are_those_of_the_replay() -> Result<()> {
    let system = Sde::ito(Generic(Drift), General(vec![Generic(Column); 2]));
    let noise = || VirtualTree::new(5, [0.0, 0.75], 2, 3, 1e-4).unwrap();
    let options = || tight(LinearChoice::Auto);
    let euler = || DriftImplicitEuler.with(options()).stepper(&system, noise()).unwrap();
    let trapezoid = || DriftImplicitTrapezoid.with(options()).stepper(&system, noise()).unwrap();
    let krylov = tight(LinearChoice::Krylov(KrylovChoice::default()));
    let iterative = || DriftImplicitTrapezoid.with(krylov.clone()).stepper(&system, noise()).unwrap();
    // A stiff drift: rates up to −100.
    let mut stiff = THETA;
    stiff[1] = 100.0;
    for theta in [THETA, stiff] {
        for (name, [off, thinned]) in [
            ("Euler", gradient_error(euler, &Y0, &theta)?),
            ("trapezoid", gradient_error(trapezoid, &Y0, &theta)?),
            ("Krylov", gradient_error(iterative, &Y0, &theta)?),
        ] {
            println!("{name}, rate {}: {off:.1e}, thinned {thinned:.1e}", theta[1]);
            assert!(off < 1e-7, "{name}, rate {}: {off:.1e}", theta[1]);
            assert!(thinned < 1e-10, "{name}, rate {}: thinned {thinned:.1e}", theta[1]);
        }
    }
    Ok(())
}
