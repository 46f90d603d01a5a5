//! Rosenbrock methods: convergence orders, mass matrices and algebraic equations, failures, and gradients
//! three ways.
// Matrices are indexed by row and column.
#![allow(clippy::needless_range_loop)]

use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dynamics::compose::WithMass;
use odeon::dynamics::dual::Dual;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Mass, Point, SecondOrder, Tangent};
use odeon::error::Failure;
use odeon::integrate::{ErrorEstimate, Options, Problem, Save, Solution, Stiffness};
use odeon::linalg::Settings;
use odeon::linalg::precondition::Ssor;
use odeon::num::{ErrorNorm, Scalar};
use odeon::ode::implicit::{ImplicitOptions, KrylovChoice, KrylovMethod, LinearChoice};
use odeon::ode::rosenbrock::RosenbrockTableau;
use odeon::ode::tableaux::Tsit5;
use odeon::ode::tableaux_rosenbrock::{self, Rodas5P};
use odeon::ode::{StepMethod, solve, solve_ensemble};
use odeon::regularise::Global;
use odeon::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

type Failed = Box<dyn std::error::Error>;

/// y₁' = cos t + κ(y₁y₂ − sin t cos t), y₂' = −sin t + κ(sin²t − y₁²), solved by (sin t, cos t).
struct Forced(f64);

impl VectorField for Forced {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], _: &[S], dy: &mut [S]) {
        let (sin, cos) = (t.sin(), t.cos());
        let strength = S::of(self.0);
        dy[0] = cos + strength * (y[0] * y[1] - sin * cos);
        dy[1] = strength * (sin * sin - y[0] * y[0]) - sin;
    }
}

fn exact(t: f64) -> [f64; 2] {
    [t.sin(), t.cos()]
}

fn distance(y: &[f64], t: f64) -> f64 {
    y.iter().zip(exact(t)).fold(0.0, |worst, (y, e)| (y - e).abs().max(worst))
}

/// RMS over several start times, so that no sign change of an error spoils a slope.
fn rms(error: impl Fn(f64) -> Result<f64, Failed>) -> Result<f64, Failed> {
    let starts = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2];
    let mut squares = 0.0;
    for start in starts {
        squares += error(start)?.powi(2);
    }
    Ok((squares / starts.len() as f64).sqrt())
}

/// Slope of log error over log h, fitted to the six smallest errors above `floor`.
fn slope(
    steps: impl Iterator<Item = f64>,
    floor: f64,
    error: impl Fn(f64) -> Result<f64, Failed>,
) -> Result<f64, Failed> {
    let mut points = Vec::new();
    for h in steps {
        let e = error(h)?;
        if e < floor {
            break;
        }
        points.push((h.ln(), e.ln()));
    }
    assert!(points.len() >= 6, "only {} points", points.len());
    let points = &points[points.len() - 6..];
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / 6.0;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let up: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    Ok(up / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>())
}

fn near(name: &str, what: &str, slope: f64, theory: usize) {
    println!("{name} {what}: {slope:.3} ({theory})");
    assert!((slope - theory as f64).abs() < 0.1, "{name} {what}: slope {slope:.3}, theory {theory}");
}

fn end_slopes(length: f64, part: f64, what: &str) -> Result<(), Failed> {
    for method in tableaux_rosenbrock::all() {
        let next = |n: &f64| Some((n * 1.2).ceil());
        let counts = std::iter::successors(Some(4.0), next).take_while(|n| *n < 400.0);
        let steps = counts.map(|n| length.abs() / (n + part));
        let measured = slope(steps, 3e-13, |h| {
            rms(|start| {
                let span = if length > 0.0 { [start, start + length] } else { [start - length, start] };
                let y0 = exact(span[0]);
                let problem = Problem { y0: &y0, span, theta: &[] };
                let solution = solve(&Generic(Forced(3.0)), method, &problem, &Options::fixed(h))?;
                Ok(distance(solution.last(), span[1]))
            })
        })?;
        near(method.name, what, measured, method.order);
    }
    Ok(())
}

#[test]
fn end_points() -> Result<(), Failed> {
    end_slopes(0.8, 0.0, "end, forward")?;
    end_slopes(-0.8, 0.0, "end, backward")?;
    end_slopes(0.8, 0.4, "end, clipped")
}

fn ladder(first: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(first), |h: &f64| Some(h * 0.85)).take_while(|h| *h > 1e-3)
}

#[test]
fn embedded_estimates_and_dense_output() -> Result<(), Failed> {
    for method in tableaux_rosenbrock::all() {
        for sign in [1.0, -1.0] {
            let one = |h: f64, start: f64| -> Result<[f64; 2], Failed> {
                let t = start + 0.4;
                let y0 = exact(t);
                let problem = Problem { y0: &y0, span: [t, t + h], theta: &[] };
                let norm = ErrorNorm::new(0.0, 1.0);
                let options = Options { norm, ..Options::fixed(h.abs()).save(Save::Dense) };
                let solution = solve(&Generic(Forced(2.0)), method, &problem, &options)?;
                let mut worst: f64 = 0.0;
                for theta in [0.21, 0.43, 0.68, 0.9] {
                    let time = t + theta * h;
                    worst = worst.max(distance(&solution.at(time)?, time));
                }
                Ok([solution.steps[0].error, worst])
            };
            let estimate = slope(ladder(0.4), 2e-14, |h| rms(|t| Ok(one(sign * h, t)?[0])))?;
            near(method.name, "E", estimate, method.order.min(method.embedded_order) + 1);
            let dense = slope(ladder(0.3), 1e-13, |h| rms(|t| Ok(one(sign * h, t)?[1])))?;
            near(method.name, "dense", dense, method.dense_order + 1);
        }
    }
    Ok(())
}

/// Robertson's reactions, θ = (0.04, 3e7, 1e4).
struct Robertson;

const RATES: [f64; 3] = [0.04, 3e7, 1e4];

impl VectorField for Robertson {
    fn dim(&self) -> usize {
        3
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], k: &[S], dy: &mut [S]) {
        let (a, b, c) = (k[0] * y[0], k[1] * y[1] * y[1], k[2] * y[1] * y[2]);
        dy[0] = c - a;
        dy[1] = a - c - b;
        dy[2] = b;
    }
}

/// The same with the third equation replaced by conservation.
struct RobertsonDae;

impl VectorField for RobertsonDae {
    fn dim(&self) -> usize {
        3
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], k: &[S], dy: &mut [S]) {
        let (a, b, c) = (k[0] * y[0], k[1] * y[1] * y[1], k[2] * y[1] * y[2]);
        dy[0] = c - a;
        dy[1] = a - c - b;
        dy[2] = y[0] + y[1] + y[2] - S::one();
    }
}

/// y(1e5) of Robertson's problem by Radau at rtol 1e-12 (the peers' reference).
const REFERENCE: [f64; 3] = [0.017865921142130238, 7.274751468449117e-8, 0.982134006110352];

fn robertson_error(y: &[f64]) -> f64 {
    y.iter().zip(REFERENCE).fold(0.0f64, |w, (y, r)| w.max((y - r).abs() / r.abs()))
}

#[test]
fn robertson_as_ode_and_as_dae() -> Result<(), Failed> {
    let dae = WithMass { inner: Generic(RobertsonDae), mass: Mass::Diagonal(vec![1.0, 1.0, 0.0]) };
    let options = Options::tol(1e-8, odeon::num::Atol::PerRow(vec![1e-10, 1e-14, 1e-10]));
    for method in tableaux_rosenbrock::all() {
        let problem = Problem { y0: &[1.0, 0.0, 0.0], span: [0.0, 1e5], theta: &RATES };
        let solution = solve(&Generic(Robertson), method, &problem, &options)?;
        let stats = &solution.stats;
        println!("{} {} {:e}", method.name, stats.accepted, robertson_error(solution.last()));
        assert!(robertson_error(solution.last()) < 1e-5, "{}", method.name);
        assert_eq!(stats.implicit.factorisations, stats.accepted + stats.rejected);
        assert!(stats.implicit.jacobians <= stats.accepted + 1);
        // y₃ is inconsistent and found.
        let problem = Problem { y0: &[1.0, 0.0, 0.7], ..problem };
        let solution = solve(&dae, method, &problem, &options)?;
        println!("{} DAE {} {:e}", method.name, solution.stats.accepted, robertson_error(solution.last()));
        assert!(robertson_error(solution.last()) < 1e-5, "{} DAE", method.name);
        let sum: f64 = solution.last().iter().sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }
    Ok(())
}

/// y₁' = p₀ sin y₂ − p₁ y₁ cos t, y₂' = −p₂ y₁ + p₀ y₂/(1 + y₁²) − t y₂/4.
struct Twist;

impl VectorField for Twist {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[1].sin() - p[1] * y[0] * t.cos();
        let spread = S::one() + y[0] * y[0];
        dy[1] = p[0] * y[1] / spread - p[2] * y[0] - S::of(0.25) * t * y[1];
    }
}

/// Twist for y₁, with y₂ from 0 = y₂ + p₀ y₂³ − sin t − p₁ y₁.
struct TwistDae;

impl VectorField for TwistDae {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[1].sin() - p[1] * y[0] * t.cos();
        dy[1] = y[1] + p[0] * y[1] * y[1] * y[1] - t.sin() - p[1] * y[0];
    }
}

fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

/// Gaussian elimination in place: the pivots of these tests' matrices need no exchange.
fn eliminate<S: Scalar>(w: &mut [Vec<S>], r: &mut [S]) {
    let n = r.len();
    for k in 0..n {
        for i in k + 1..n {
            let l = w[i][k] / w[k][k];
            for j in k..n {
                let x = w[k][j];
                w[i][j] -= l * x;
            }
            let x = r[k];
            r[i] -= l * x;
        }
    }
    for k in (0..n).rev() {
        for j in k + 1..n {
            let x = r[j];
            r[k] -= w[k][j] * x;
        }
        r[k] /= w[k][k];
    }
}

/// The recorded steps of one column written again from the tableau's definition, over any scalar: dual
/// numbers push tangents through them. `save(l, y)` sees the saved states.
fn again<S: Scalar, F: VectorField>(
    (field, method, mass): (&F, &RosenbrockTableau, &[f64]),
    recorded: &Solution<f64>,
    mut y: Vec<S>,
    theta: &[S],
    mut save: impl FnMut(usize, &[S]),
) {
    let (n, s) = (y.len(), method.stages());
    let mut saved = 0;
    for (index, step) in recorded.steps.iter().enumerate() {
        let (t, h) = (S::of(step.t), S::of(step.h));
        let constants = |x: &[S]| x.iter().map(|&x| Dual::constant(x)).collect::<Vec<_>>();
        let (theta2, mut columns) = (constants(theta), Vec::new());
        for j in 0..=n {
            let (mut y2, mut out) = (constants(&y), constants(&y));
            let mut t2 = Dual::constant(t);
            match y2.get_mut(j) {
                Some(y) => y.dot = S::one(),
                None => t2.dot = S::one(),
            }
            field.eval(t2, &y2, &theta2, &mut out);
            columns.push(out.iter().map(|d| d.dot).collect::<Vec<S>>());
        }
        let mut u: Vec<Vec<S>> = Vec::new();
        for i in 0..s {
            let sum = |w: &dyn Fn(usize) -> f64, r: usize| {
                (0..u.len()).fold(S::zero(), |acc, j| acc + S::of(w(j)) * u[j][r])
            };
            let g: Vec<S> = (0..n).map(|r| y[r] + sum(&|j| method.a[i][j], r)).collect();
            let mut right = g.clone();
            field.eval(t + S::of(method.c[i]) * h, &g, theta, &mut right);
            let mut w: Vec<Vec<S>> = (0..n).map(|r| (0..n).map(|c| -columns[c][r]).collect()).collect();
            for r in 0..n {
                let m = S::of(mass[r]);
                right[r] +=
                    m / h * sum(&|j| method.coupling[i][j], r) + h * S::of(method.d[i]) * columns[n][r];
                w[r][r] += m / (h * S::of(method.gamma));
            }
            eliminate(&mut w, &mut right);
            u.push(right);
        }
        let at = |w: &dyn Fn(usize) -> f64| -> Vec<S> {
            (0..n).map(|r| (0..s).fold(y[r], |acc, j| acc + S::of(w(j)) * u[j][r])).collect()
        };
        let end = at(&|j| method.m[j]);
        while let Some(l) = recorded.located.get(saved).filter(|l| l.step == index) {
            let inside = |j: usize| method.dense[j].iter().rev().fold(0.0, |acc, w| (acc + w) * l.theta);
            match l.theta {
                0.0 => save(saved, &y),
                1.0 => save(saved, &end),
                _ => save(saved, &at(&inside)),
            }
            saved += 1;
        }
        y = end;
    }
    assert_eq!(saved, recorded.t.len());
}

struct Setup<'a, D, F> {
    dynamics: &'a D,
    field: &'a F,
    mass: &'a [f64],
    method: &'a RosenbrockTableau,
    y0: Vec<f64>,
    theta: Vec<f64>,
    span: [f64; 2],
    options: Options<f64>,
}

fn cotangents(solution: &Solution<f64>) -> Vec<f64> {
    let w = wave(solution.y.len(), 0.4);
    w.iter().zip(&solution.y).map(|(w, y)| w + y).collect()
}

impl<D: SecondOrder<f64>, F: VectorField> Setup<'_, D, F> {
    fn problem(&self) -> Problem<'_, f64> {
        Problem { y0: &self.y0, span: self.span, theta: &self.theta }
    }

    fn place(&self) -> String {
        format!("{} {:?} {} {:?}", self.method.name, self.span, self.y0.len() / 2, self.options.save)
    }

    /// dL along (y0, θ) direction `e`, by dual numbers. Algebraic variables follow their equation.
    fn tangent(&self, recorded: &Solution<f64>, e: usize) -> f64 {
        let (n, dim) = (self.y0.len(), self.mass.len());
        let bar = cotangents(recorded);
        let seed = |x: f64, i: usize| Dual::new(x, f64::from(u8::from(i == e)));
        let theta: Vec<Dual<f64>> = self.theta.iter().enumerate().map(|(i, &p)| seed(p, n + i)).collect();
        let mut total = 0.0;
        for column in 0..n / dim {
            let first = column * dim;
            let mut y: Vec<Dual<f64>> = (first..first + dim).map(|i| seed(self.y0[i], i)).collect();
            if self.mass[dim - 1] == 0.0 {
                self.consistent(&mut y, &theta);
            }
            again((self.field, self.method, self.mass), recorded, y, &theta, |l, y| {
                for (i, y) in y.iter().enumerate() {
                    total += y.dot * bar[l * n + first + i];
                }
            });
        }
        total
    }

    /// Newton's method for the last variable, tangents included.
    fn consistent(&self, y: &mut [Dual<f64>], theta: &[Dual<f64>]) {
        let t = Dual::constant(self.span[0]);
        for _ in 0..40 {
            let mut f = y.to_vec();
            self.field.eval(t, y, theta, &mut f);
            let residual = f[y.len() - 1];
            let last = y.len() - 1;
            let mut inner: Vec<Dual<Dual<f64>>> = y.iter().map(|&y| Dual::constant(y)).collect();
            inner[last] = Dual::variable(y[last]);
            let mut out = inner.clone();
            let constants: Vec<_> = theta.iter().map(|&p| Dual::constant(p)).collect();
            self.field.eval(Dual::constant(t), &inner, &constants, &mut out);
            y[last] -= residual / out[last].dot;
        }
    }

    fn adjoint(&self, memory: Memory) -> Result<(Vec<f64>, Solution<f64>)> {
        let batch = self.y0.len() / self.mass.len();
        let mut adjoint = DiscreteAdjoint::new(self.method.stepper(self.dynamics, batch), memory);
        let bar = cotangents(adjoint.forward(&self.problem(), &self.options, &mut [])?);
        adjoint.reverse(&bar, &[], &mut [])?;
        Ok(([adjoint.y0_gradient(), adjoint.theta_gradient()].concat(), adjoint.solution().clone()))
    }

    /// Largest deviation from tangents, relative to the gradient.
    fn deviation(&self) -> Result<f64> {
        let (gradient, solution) = self.adjoint(Memory::Unlimited)?;
        assert!(solution.steps.len() >= 3, "{} steps", solution.steps.len());
        let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        let off = |(e, g): (usize, &f64)| (g - self.tangent(&solution, e)).abs() / size;
        Ok(gradient.iter().enumerate().map(off).fold(0.0, f64::max))
    }

    /// The total of loss and penalties with its gradient, by the adjoint and by differences of the replay.
    fn with_penalties(&self) -> Result<f64> {
        let batch = self.y0.len() / self.mass.len();
        let mut adjoint = DiscreteAdjoint::new(self.method.stepper(self.dynamics, batch), Memory::Unlimited);
        let mut error = Global::sum(ErrorEstimate::default());
        let mut other = Global::error();
        let mut stiffness = Global::sum(Stiffness::default());
        let mut penalties = [
            Weighted { weight: 0.5, penalty: &mut error },
            Weighted { weight: 0.25, penalty: &mut other },
            Weighted { weight: 0.1, penalty: &mut stiffness },
        ];
        let half = |s: &Solution<f64>, bar: &mut [f64]| {
            bar.copy_from_slice(&cotangents(s));
            let w = wave(s.y.len(), 0.4);
            Ok(w.iter().zip(&s.y).map(|(w, y)| w * y + 0.5 * y * y).sum())
        };
        adjoint.value_and_gradient(&self.problem(), &self.options, &mut penalties, half)?;
        let recorded = adjoint.solution().clone();
        let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        let n = self.y0.len();
        let mut worst = 0.0f64;
        for (e, g) in gradient.iter().enumerate() {
            let mut moved = |by: f64| -> Result<f64> {
                let (mut y0, mut theta) = (self.y0.clone(), self.theta.clone());
                match e < n {
                    true => y0[e] += by,
                    false => theta[e - n] += by,
                }
                let problem = Problem { y0: &y0, theta: &theta, ..self.problem() };
                let solution = adjoint.replay(&problem, &recorded, &self.options, &mut penalties)?;
                let loss = half(solution, &mut vec![0.0; recorded.y.len()])?;
                Ok(penalties.iter().fold(loss, |sum, p| sum + p.weight * p.penalty.value()))
            };
            // Truncation and rounding leave different increments for different terms: the best of a sweep.
            let mut best = f64::INFINITY;
            for step in [1e-3, 3e-4, 1e-4, 3e-5] {
                let near = moved(step)? - moved(-step)?;
                let far = moved(2.0 * step)? - moved(-2.0 * step)?;
                best = best.min((g - (8.0 * near - far) / (12.0 * step)).abs() / size);
            }
            worst = worst.max(best);
        }
        Ok(worst)
    }
}

fn saves([a, b]: [f64; 2]) -> [Save<f64>; 3] {
    let inside = |w: f64| a + (b - a) * w;
    let times = vec![a, inside(0.13), inside(0.5), inside(0.5), inside(0.81), b, b];
    [Save::End, Save::EveryStep, Save::At(times)]
}

#[test]
fn adjoint_and_tangents_agree_for_every_method_and_save() -> Result<()> {
    let dae = WithMass { inner: Generic(TwistDae), mass: Mass::Diagonal(vec![2.0, 0.0]) };
    for method in tableaux_rosenbrock::all() {
        for span in [[0.2, 2.3], [1.9, 0.1]] {
            for save in saves(span) {
                for batch in [1, 3] {
                    let mut ode = Setup {
                        dynamics: &Generic(Twist),
                        field: &Twist,
                        mass: &[1.0, 1.0],
                        method,
                        y0: wave(2 * batch, 0.9),
                        theta: vec![1.1, 0.7, 1.3],
                        span,
                        options: Options::tol(1e-4, 1e-4).save(save.clone()),
                    };
                    for stops in [vec![], vec![0.613, 1.2]] {
                        ode.options.tstops = stops;
                        let off = ode.deviation()?;
                        assert!(off < 1e-10, "{}: {off:e}", ode.place());
                    }
                    let alike = Setup {
                        dynamics: &dae,
                        field: &TwistDae,
                        mass: &[2.0, 0.0],
                        method,
                        y0: ode.y0,
                        theta: ode.theta,
                        span,
                        options: Options::tol(1e-4, 1e-4).save(save.clone()),
                    };
                    let off = alike.deviation()?;
                    assert!(off < 1e-10, "{} DAE: {off:e}", alike.place());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn penalties_and_differences_agree() -> Result<()> {
    for method in tableaux_rosenbrock::all() {
        for batch in [1, 3] {
            let setup = Setup {
                dynamics: &Generic(Twist),
                field: &Twist,
                mass: &[1.0, 1.0],
                method,
                y0: wave(2 * batch, 0.9),
                theta: vec![1.1, 0.7, 1.3],
                span: [0.2, 2.3],
                options: Options::tol(1e-3, 1e-3).save(saves([0.2, 2.3])[2].clone()),
            };
            let off = setup.with_penalties()?;
            assert!(off < 1e-7, "{}: {off:e}", setup.place());
        }
    }
    Ok(())
}

#[test]
fn the_gradient_is_the_same_under_every_budget() -> Result<()> {
    let setup = Setup {
        dynamics: &Generic(Twist),
        field: &Twist,
        mass: &[1.0, 1.0],
        method: tableaux_rosenbrock::all()[2],
        y0: wave(2, 0.9),
        theta: vec![1.1, 0.7, 1.3],
        span: [0.2, 2.3],
        options: Options { dt_max: Some(0.1), ..Options::tol(1e-4, 1e-4) },
    };
    let (gradient, _) = setup.adjoint(Memory::Unlimited)?;
    for bytes in [4000, 3200] {
        let (other, _) = setup.adjoint(Memory::Bytes(bytes))?;
        for (a, b) in gradient.iter().zip(&other) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }
    Ok(())
}

/// A right-hand side whose `nan_at`-th evaluation, counted from 1, is NaN, and all later ones.
struct Poisoned {
    inner: Generic<Twist>,
    nan_at: usize,
    calls: AtomicUsize,
}

impl Dynamics<f64> for Poisoned {
    type Scratch = <Generic<Twist> as Dynamics<f64>>::Scratch;
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
fn nan_at_any_call_is_an_error_with_the_partial_solution() {
    let theta = [1.1, 0.7, 1.3];
    for method in tableaux_rosenbrock::all() {
        for nan_at in [1, 2, 3, 4, 9, 17, 40] {
            let f = Poisoned { inner: Generic(Twist), nan_at, calls: AtomicUsize::new(0) };
            let problem = Problem { y0: &[0.4, -0.2], span: [0.0, 5.0], theta: &theta };
            let options = Options::tol(1e-6, 1e-6).save(Save::EveryStep);
            let partial = solve(&f, method, &problem, &options).expect_err("NaN");
            assert_eq!(failure(&partial.error), Some(Failure::NonFinite), "{} {nan_at}", method.name);
            assert!(partial.solution.y.iter().all(|y| y.is_finite()) && !partial.solution.y.is_empty());
            let fixed = Options::fixed(0.1);
            let f = Poisoned { inner: Generic(Twist), nan_at, calls: AtomicUsize::new(0) };
            let partial = solve(&f, method, &problem, &fixed).expect_err("NaN");
            assert_eq!(failure(&partial.error), Some(Failure::NonFinite), "{} {nan_at}", method.name);
        }
    }
}

/// y' = p y: W = 1/(hγ) − p.
struct Linear;

impl VectorField for Linear {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[0];
    }
}

#[test]
fn a_singular_matrix_is_a_rejected_step_and_a_count() -> Result<()> {
    for method in tableaux_rosenbrock::all() {
        // 1/(hγ) = p to the last bit at h = 1.
        let theta = [1.0 / method.gamma];
        let problem = Problem { y0: &[1.0], span: [0.0, 3.0], theta: &theta };
        let partial = solve(&Generic(Linear), method, &problem, &Options::fixed(1.0)).expect_err("singular");
        assert_eq!(failure(&partial.error), Some(Failure::Nonlinear));
        let options = Options { h0: Some(1.0), ..Options::tol(1e-6, 1e-6) };
        let solution = solve(&Generic(Linear), method, &problem, &options)?;
        assert_eq!(solution.stats.implicit.failures, 1, "{}", method.name);
        assert!(solution.stats.rejected >= 1);
        let exact = (3.0 * theta[0]).exp();
        assert!((solution.last()[0] / exact - 1.0).abs() < 1e-3, "{}", method.name);
    }
    Ok(())
}

/// y₁' = −y₁, with 0 = g(y₁, y₂): p selects g.
struct Constraint;

impl VectorField for Constraint {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = -y[0];
        // p = 0: 0 = y₁ − 1 does not determine y₂ (index 2); p = 1: 0 = y₂² + y₁ has no solution.
        dy[1] = p[0] * (y[1] * y[1] + y[0]) + (S::one() - p[0]) * (y[0] - S::one());
    }
}

#[test]
fn bad_input_is_refused_in_words() {
    let dae = WithMass { inner: Generic(Constraint), mass: Mass::Diagonal(vec![1.0, 0.0]) };
    let solve_dae = |p: f64| {
        let problem = Problem { y0: &[1.0, 0.5], span: [0.0, 1.0], theta: &[p] };
        solve(&dae, &Rodas5P, &problem, &Options::default()).expect_err("refused").to_string()
    };
    assert!(solve_dae(0.0).contains("index 1"), "{}", solve_dae(0.0));
    assert!(solve_dae(1.0).contains("no consistent state"), "{}", solve_dae(1.0));
    let problem = Problem { y0: &[1.0, 0.5], span: [0.0, 1.0], theta: &[1.0] };
    let options = Options::default();
    let message = solve(&dae, &Tsit5, &problem, &options).expect_err("explicit").to_string();
    assert!(message.contains("explicit methods take none"), "{message}");
    let message = solve_ensemble(&dae, &Tsit5, &problem, &options).expect_err("explicit").to_string();
    assert!(message.contains("explicit methods take none"), "{message}");
    let little = ImplicitOptions { budget: odeon::linalg::Budget::bytes(10), ..Default::default() };
    let message = solve(&Generic(Constraint), &Rodas5P.with(little), &problem, &options).expect_err("budget");
    assert!(message.to_string().contains("budget"), "{message}");
    let wrong = WithMass { inner: Generic(Constraint), mass: Mass::Diagonal(vec![1.0]) };
    assert!(solve(&wrong, &Rodas5P, &problem, &options).is_err());
}

#[test]
fn ensembles_have_the_bits_of_single_solves() -> Result<()> {
    let theta: Vec<f64> = (0..7).flat_map(|i| [0.04 + 0.001 * f64::from(i), 3e7, 1e4]).collect();
    let y0 = [1.0, 0.0, 0.0].repeat(7);
    let problem = Problem { y0: &y0, span: [0.0, 100.0], theta: &theta };
    let options = Options::tol(1e-6, 1e-9);
    let all = solve_ensemble(&Generic(Robertson), &Rodas5P, &problem, &options)?;
    assert!(all.failures.is_empty());
    for i in 0..7 {
        let problem = Problem { y0: &y0[..3], span: [0.0, 100.0], theta: &theta[3 * i..3 * i + 3] };
        let one = solve(&Generic(Robertson), &Rodas5P, &problem, &options)?;
        assert_eq!(one.last(), all.trajectory(i));
        assert_eq!(one.stats.accepted, all.stats[i].accepted);
    }
    Ok(())
}

#[test]
fn a_batch_of_equal_columns_takes_the_steps_of_one() -> Result<()> {
    let theta = [1.1, 0.7, 1.3];
    let one = Problem { y0: &[0.4, -0.2], span: [0.0, 5.0], theta: &theta };
    let three = Problem { y0: &[0.4, -0.2].repeat(3), ..one };
    let options = Options::tol(1e-6, 1e-6);
    for method in tableaux_rosenbrock::all() {
        let a = solve(&Generic(Twist), method, &one, &options)?;
        let b = solve(&Generic(Twist), method, &three, &options)?;
        assert_eq!(a.steps.len(), b.steps.len());
        for (i, y) in b.last().iter().enumerate() {
            assert!((y - a.last()[i % 2]).abs() < 1e-12);
        }
    }
    Ok(())
}

/// Prothero and Robinson: y' = λ(y − sin t) + cos t with λ = −10⁶, for information the slope that stiff order
/// reduction leaves; held to is only the size of the error, a tenth of h² (an explicit method overflows).
#[test]
fn stiff_order_on_prothero_and_robinson() -> Result<(), Failed> {
    struct Stiff;
    impl VectorField for Stiff {
        fn dim(&self) -> usize {
            1
        }
        fn num_params(&self) -> usize {
            1
        }
        #[inline(always)]
        fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
            dy[0] = p[0] * (y[0] - t.sin()) + t.cos();
        }
    }
    for method in tableaux_rosenbrock::all() {
        let error = |h: f64| {
            rms(|start| {
                let y0 = [start.sin()];
                let problem = Problem { y0: &y0, span: [start, start + 1.5], theta: &[-1e6] };
                let solution = solve(&Generic(Stiff), method, &problem, &Options::fixed(h))?;
                Ok((solution.last()[0] - (start + 1.5).sin()).abs())
            })
        };
        let measured = slope([0.2, 0.15, 0.1, 0.07, 0.05, 0.03].into_iter(), 0.0, error)?;
        println!("{} stiff order {measured:.2}, {:.1e} at h = 0.1", method.name, error(0.1)?);
        assert!(error(0.1)? < 1e-3, "{}: {:e}", method.name, error(0.1)?);
    }
    Ok(())
}

/// A chain of reactions y_i' = p (y_{i−1} − 2y_i + y_{i+1}) + y_i (1 − y_i) + sin(t) y_{i+1}, of any length.
struct Chain(usize);

impl VectorField for Chain {
    fn dim(&self) -> usize {
        self.0
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        let n = self.0;
        for i in 0..n {
            let left = if i > 0 { y[i - 1] } else { S::zero() };
            let right = if i + 1 < n { y[i + 1] } else { S::zero() };
            let spread = left - S::of(2.0) * y[i] + right;
            dy[i] = p[0] * spread + y[i] * (S::one() - y[i]) + t.sin() * right;
        }
    }
}

#[test]
fn every_linear_solver_gives_the_same_solution_and_gradient() -> Result<()> {
    let (f, theta) = (Generic(Chain(40)), [30.0]);
    let y0: Vec<f64> = wave(80, 0.3).iter().map(|y| y.abs()).collect();
    let problem = Problem { y0: &y0, span: [0.1, 0.9], theta: &theta };
    let options = Options::fixed(0.05);
    let krylov = |method| KrylovChoice { method, settings: Settings::tol(1e-13), ..KrylovChoice::default() };
    let ssor = krylov(KrylovMethod::BiCgStab).preconditioned(|w| Ok(Box::new(Ssor::new(w, 1.0)?)));
    let choices = [
        LinearChoice::DenseLu,
        LinearChoice::Auto,
        LinearChoice::SparseLu,
        LinearChoice::Banded,
        LinearChoice::Krylov(krylov(KrylovMethod::Gmres { restart: 20 })),
        LinearChoice::Krylov(ssor),
    ];
    let mut first: Option<Vec<f64>> = None;
    for linear in choices {
        let place = format!("{linear:?}");
        let method = Rodas5P.with(ImplicitOptions { linear, ..Default::default() });
        let mut adjoint = DiscreteAdjoint::new(method.stepper(&f, 2), Memory::Unlimited);
        let solution = adjoint.forward(&problem, &options, &mut [])?.clone();
        adjoint.reverse(&cotangents(&solution), &[], &mut [])?;
        let all = [solution.last(), adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        let iterations = solution.stats.implicit.linear_iterations;
        assert_eq!(iterations > 0, place.starts_with("Krylov"), "{place}: {iterations}");
        let steps: u32 = solution.steps.iter().map(|s| s.iterations.linear).sum();
        assert_eq!(steps as usize, iterations);
        let want = first.get_or_insert_with(|| all.clone());
        for (a, b) in all.iter().zip(want) {
            assert!((a - *b).abs() < 1e-10 * (1.0 + b.abs()), "{place}: {a} {b}");
        }
    }
    Ok(())
}

#[test]
fn a_krylov_solver_that_gives_up_is_a_failure_with_the_partial_solution() {
    let choice = KrylovChoice { settings: Settings::tol(1e-13).max_iterations(1), ..KrylovChoice::default() };
    let choice = choice.preconditioned(|w| Ok(Box::new(Ssor::new(w, 1.0)?)));
    let method = Rodas5P.with(ImplicitOptions { linear: LinearChoice::Krylov(choice), ..Default::default() });
    let y0 = vec![0.5; 40];
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &[1e3] };
    let fixed = solve(&Generic(Chain(40)), &method, &problem, &Options::fixed(0.1)).expect_err("no solution");
    assert_eq!(failure(&fixed.error), Some(Failure::Nonlinear));
    assert_eq!(fixed.solution.stats.implicit.failures, 1);
}

#[test]
fn single_precision_solves_and_differentiates() -> Result<()> {
    let theta = [1.1f32, 0.7, 1.3];
    let problem = Problem { y0: &[0.4f32, -0.2], span: [0.0, 3.0], theta: &theta };
    let double = Problem { y0: &[0.4, -0.2], span: [0.0, 3.0], theta: &[1.1, 0.7, 1.3] };
    let want = solve(&Generic(Twist), &Rodas5P, &double, &Options::tol(1e-9, 1e-9))?;
    let mut adjoint =
        DiscreteAdjoint::new(StepMethod::<f32, _>::stepper(&Rodas5P, &Generic(Twist), 1), Memory::Unlimited);
    let solution = adjoint.forward(&problem, &Options::tol(1e-4, 1e-4), &mut [])?;
    for (a, b) in solution.last().iter().zip(want.last()) {
        assert!((f64::from(*a) - b).abs() < 1e-3, "{a} {b}");
    }
    adjoint.reverse(&[1.0, 0.5], &[], &mut [])?;
    assert!(adjoint.theta_gradient().iter().all(|g| g.is_finite() && g.abs() > 1e-4));
    Ok(())
}
