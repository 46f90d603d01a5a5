//! Convergence slopes of every method on a nonlinear, non-autonomous system with a known solution:
//! end point, embedded estimate and dense output, forwards, backwards, and with a clipped last step.
//!
//! A slope is fitted to the six smallest errors above the rounding floor on a geometric ladder of
//! step sizes, which is as far inside the asymptotic range as f64 goes. Verner's 6(5) and 9(8) have
//! leading error coefficients so small that their next orders still dominate there: their end point
//! and dense output are held to the order from below only (`ode::tableaux` tests their order
//! conditions exactly, and that those of the next order fail).

use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem, Save};
use odeon::num::{ErrorNorm, Scalar};
use odeon::ode::tableau::Tableau;
use odeon::ode::{solve, tableaux};

type Failed = Box<dyn std::error::Error>;

/// y₁' = cos t + κ(y₁y₂ − sin t cos t), y₂' = −sin t + κ(sin²t − y₁²), solved by (sin t, cos t). Its
/// derivatives of all orders have size one, so that even order 9 has an asymptotic range above
/// rounding; κ sets how much the Jacobian weighs against the forcing.
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

const POINTS: usize = 6;

fn distance(y: &[f64], t: f64) -> f64 {
    y.iter().zip(exact(t)).fold(0.0, |worst, (y, e)| (y - e).abs().max(worst))
}

/// RMS over eight start times of the error at the end of `span` length with steps of size |h|.
fn end_error(method: &Tableau, length: f64, h: f64) -> Result<f64, Failed> {
    rms(|start| {
        // Backward from the same end as forward.
        let span = if length > 0.0 { [start, start + length] } else { [start - length, start] };
        let y0 = exact(span[0]);
        let problem = Problem { y0: &y0, span, theta: &[] };
        let solution = solve(&Generic(Forced(6.0)), method, &problem, &Options::fixed(h))?;
        Ok(distance(solution.last(), span[1]))
    })
}

/// RMS over start times of E (atol 1, rtol 0) and of the worst dense output of one step from the
/// exact solution.
fn single_step(method: &Tableau, kappa: f64, h: f64) -> Result<[f64; 2], Failed> {
    let step = |start: f64| -> Result<[f64; 2], Failed> {
        let t = start + 0.4;
        let y0 = exact(t);
        let problem = Problem { y0: &y0, span: [t, t + h], theta: &[] };
        let options = Options { norm: ErrorNorm::new(0.0, 1.0), ..Options::fixed(h.abs()).save(Save::Dense) };
        let solution = solve(&Generic(Forced(kappa)), method, &problem, &options)?;
        assert_eq!(solution.steps.len(), 1);
        let mut worst: f64 = 0.0;
        for theta in [0.21, 0.43, 0.68, 0.9] {
            let time = t + theta * h;
            worst = worst.max(distance(&solution.at(time)?, time));
        }
        Ok([solution.steps[0].error, worst])
    };
    Ok([rms(|t| Ok(step(t)?[0]))?, rms(|t| Ok(step(t)?[1]))?])
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

/// Least-squares slope of log error over log h.
fn slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<_> = points.iter().map(|(h, e)| (h.ln(), e.ln())).collect();
    let n = logs.len() as f64;
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(f).sum::<f64>() / n;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let up: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    up / logs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

/// Slope over the smallest errors above `floor` on the ladder `steps` (descending).
fn fitted(
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
        points.push((h, e));
    }
    assert!(points.len() >= POINTS, "only {} points", points.len());
    Ok(slope(&points[points.len() - POINTS..]))
}

fn superconvergent(method: &Tableau) -> bool {
    ["Vern6", "Vern9"].contains(&&*method.name)
}

/// The rounding floor: Vern6, with weights up to 176 that cancel, loses two digits more.
fn floor(method: &Tableau, usual: f64, rough: f64) -> f64 {
    if method.name == "Vern6" { rough } else { usual }
}

fn check(method: &Tableau, what: &str, measured: f64, theory: usize, from_below: bool) {
    let off = measured - theory as f64;
    assert!(
        off > -0.1 && (off < 0.1 || from_below),
        "{} {what}: slope {measured:.3}, theory {theory}",
        method.name
    );
}

/// Numbers of steps 3, 4, 5, 6, 7, 9, …, plus `part` of a step.
fn counts(part: f64) -> impl Iterator<Item = f64> {
    let next = |n: &f64| Some((n * 1.15).ceil());
    let whole = std::iter::successors(Some(3.0), next).take_while(|n| *n < 700.0);
    whole.map(move |n| n + part)
}

fn end_slopes(length: f64, part: f64, what: &str) -> Result<(), Failed> {
    for method in tableaux::all() {
        let steps = counts(part).map(|n| length.abs() / n);
        let measured = fitted(steps, floor(method, 3e-14, 1.5e-12), |h| end_error(method, length, h))?;
        check(method, what, measured, method.order, superconvergent(method));
    }
    Ok(())
}

#[test]
fn end_points_forward() -> Result<(), Failed> {
    end_slopes(0.8, 0.0, "end, forward")
}

#[test]
fn end_points_backward() -> Result<(), Failed> {
    end_slopes(-0.8, 0.0, "end, backward")
}

#[test]
fn end_points_with_a_clipped_last_step() -> Result<(), Failed> {
    end_slopes(0.8, 0.4, "end, clipped")?;
    end_slopes(-0.8, 0.4, "end, backward, clipped")
}

fn ladder(first: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(first), |h: &f64| Some(h * 0.88)).take_while(|h| *h > 1e-3)
}

#[test]
fn embedded_estimates() -> Result<(), Failed> {
    for method in tableaux::all() {
        if method.error.is_empty() {
            continue;
        }
        for sign in [1.0, -1.0] {
            let measured = fitted(ladder(1.2), floor(method, 1e-16, 1e-12), |h| {
                Ok(single_step(method, 1.0, sign * h)?[0])
            })?;
            let power = method.order.min(method.embedded_order) + 1;
            check(method, "E", measured, power, false);
        }
    }
    Ok(())
}

#[test]
fn dense_outputs() -> Result<(), Failed> {
    for method in tableaux::all() {
        let kappa = if method.dense.order < 6 { 1.0 } else { 6.0 };
        for sign in [1.0, -1.0] {
            let measured = fitted(
                ladder(0.6),
                if method.order == 9 { 1e-12 } else { floor(method, 3e-14, 1e-11) },
                |h| Ok(single_step(method, kappa, sign * h)?[1]),
            )?;
            let power = method.dense.order + 1;
            check(method, "dense", measured, power, superconvergent(method));
        }
    }
    Ok(())
}
