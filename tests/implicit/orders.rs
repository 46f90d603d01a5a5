//! Convergence slopes on a nonlinear, non-autonomous system with a known solution: end point, embedded
//! estimate and dense output, forwards, backwards and with a clipped last step; additive methods with
//! both parts at work.

use crate::common::{Failed, Forced, Method, Side, additive, every, implicit};
use odeon::dynamics::Dynamics;
use odeon::dynamics::compose::Split;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save, Solution};
use odeon::num::ErrorNorm;
use odeon::ode::NewtonOptions;

const POINTS: usize = 5;

fn exact(t: f64) -> [f64; 2] {
    [t.sin(), t.cos()]
}

fn distance(y: &[f64], t: f64) -> f64 {
    y.iter().zip(exact(t)).fold(0.0, |worst, (y, e)| (y - e).abs().max(worst))
}

fn run<D: Dynamics<f64>>(
    dynamics: &D,
    method: Method,
    span: [f64; 2],
    options: &Options<f64>,
) -> Result<Solution<f64>, Failed> {
    let y0 = exact(span[0]);
    let problem = Problem { y0: &y0, span, theta: &[] };
    Ok(method.solve(dynamics, &problem, options, NewtonOptions::tight())?)
}

/// RMS over start times, so that no sign change of an error spoils a slope.
fn rms(error: impl Fn(f64) -> Result<f64, Failed>) -> Result<f64, Failed> {
    let starts = [0.5, 0.65, 0.8, 0.95, 1.1];
    let mut squares = 0.0;
    for start in starts {
        squares += error(start)?.powi(2);
    }
    Ok((squares / starts.len() as f64).sqrt())
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<_> = points.iter().map(|(h, e)| (h.ln(), e.ln())).collect();
    let n = logs.len() as f64;
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(f).sum::<f64>() / n;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let up: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    up / logs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

/// Slope over the smallest errors above `floor` on the descending ladder `steps`.
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

fn near(method: Method, what: &str, measured: f64, theory: usize) {
    assert!(
        (measured - theory as f64).abs() < 0.1,
        "{} {what}: slope {measured:.3}, theory {theory}",
        method.name()
    );
}

/// Step sizes length/n.
fn ladder(length: f64, part: f64) -> impl Iterator<Item = f64> {
    let next = |n: &f64| Some((n * 1.3).ceil());
    let counts = std::iter::successors(Some(4.0), next).take_while(|n| *n < 400.0);
    counts.map(move |n| length / (n + part))
}

fn end_slope<D: Dynamics<f64>>(dynamics: &D, method: Method, length: f64, part: f64) -> Result<f64, Failed> {
    fitted(ladder(length.abs(), part), 3e-13, |h| {
        rms(|start| {
            // Backward from the same end as forward.
            let span = if length > 0.0 { [start, start + length] } else { [start - length, start] };
            let solution = run(dynamics, method, span, &Options::fixed(h))?;
            Ok(distance(solution.last(), span[1]))
        })
    })
}

/// E (atol 1, rtol 0) and the worst dense output of one step from the exact solution.
fn step_slopes<D: Dynamics<f64>>(dynamics: &D, method: Method, sign: f64) -> Result<[f64; 2], Failed> {
    let single = |start: f64, h: f64| -> Result<[f64; 2], Failed> {
        let norm = ErrorNorm::new(0.0, 1.0);
        let options = Options { norm, ..Options::fixed(h).save(Save::Dense) };
        let t = start + 0.4;
        let solution = run(dynamics, method, [t, t + sign * h], &options)?;
        let mut worst: f64 = 0.0;
        for theta in [0.21, 0.43, 0.68, 0.9] {
            let time = t + theta * sign * h;
            worst = worst.max(distance(&solution.at(time)?, time));
        }
        Ok([solution.steps[0].error, worst])
    };
    let sizes = || std::iter::successors(Some(0.4), |h: &f64| Some(h * 0.8)).take_while(|h| *h > 2e-3);
    let pick = |k: usize, floor: f64| fitted(sizes(), floor, |h| rms(|start| Ok(single(start, h)?[k])));
    Ok([pick(0, 1e-14)?, pick(1, 1e-13)?])
}

const WHOLE: Generic<Forced> = Generic(Forced { kappa: 2.0, part: Side::Whole });

fn split() -> Split<Generic<Forced>, Generic<Forced>> {
    let part = |part| Generic(Forced { kappa: 2.0, part });
    Split::new(part(Side::Explicit), part(Side::Implicit))
}

#[test]
fn end_points() -> Result<(), Failed> {
    for (length, part) in [(0.8, 0.0), (-0.8, 0.0), (0.8, 0.4)] {
        for method in implicit() {
            let measured = end_slope(&WHOLE, method, length, part)?;
            near(method, &format!("end of {length} with {part}"), measured, method.orders()[0]);
        }
        for method in additive() {
            let measured = end_slope(&split(), method, length, part)?;
            near(method, &format!("end of {length} with {part}"), measured, method.orders()[0]);
        }
    }
    Ok(())
}

#[test]
fn embedded_estimates_and_dense_outputs() -> Result<(), Failed> {
    for sign in [1.0, -1.0] {
        for (method, [error, dense]) in implicit()
            .into_iter()
            .map(|m| Ok((m, step_slopes(&WHOLE, m, sign)?)))
            .chain(additive().into_iter().map(|m| Ok((m, step_slopes(&split(), m, sign)?))))
            .collect::<Result<Vec<_>, Failed>>()?
        {
            near(method, "E", error, method.orders()[2]);
            near(method, "dense", dense, method.orders()[1] + 1);
        }
    }
    Ok(())
}

#[test]
fn an_additive_method_on_a_whole_system_is_its_implicit_part() -> Result<(), Failed> {
    for method in additive() {
        let measured = end_slope(&WHOLE, method, 0.8, 0.0)?;
        near(method, "whole", measured, method.orders()[0]);
    }
    Ok(())
}

/// A batch shares its steps: equal columns give the bits of one alone.
#[test]
fn a_batch_of_equal_columns_is_one_of_them() -> Result<(), Failed> {
    for method in every() {
        let one = [0.6, 0.8];
        let two = [0.6, 0.8, 0.6, 0.8];
        let options = Options::tol(1e-6, 1e-6);
        let solve = |y0: &[f64]| {
            let problem = Problem { y0, span: [0.5, 2.0], theta: &[] };
            method.solve(&WHOLE, &problem, &options, NewtonOptions::default())
        };
        let (a, b) = (solve(&one)?, solve(&two)?);
        assert_eq!(a.steps.len(), b.steps.len(), "{}", method.name());
        for column in b.last().chunks(2) {
            for (x, y) in column.iter().zip(a.last()) {
                assert!((x - y).abs() < 1e-12, "{}: {x} {y}", method.name());
            }
        }
    }
    Ok(())
}

/// The counts of the steps, as heuristics: Newton iterates in every step of a nonlinear problem, and the
/// steps' counts add up to at most the statistics' (rejected attempts iterate too).
#[test]
fn newton_iterations_are_a_heuristic() {
    use odeon::dynamics::{gallery::VanDerPol, generic::Generic};
    use odeon::integrate::{
        Heuristic, LinearIterations, NewtonIterations, Observer, Options, Problem, StepView,
    };
    use odeon::ode::{Solver, sdirk::Kvaerno3};

    struct Count(Vec<[f64; 2]>);
    impl Observer<f64> for Count {
        fn accepted(&mut self, step: &StepView<'_, f64>) {
            self.0.push([NewtonIterations.value(step, &mut []), LinearIterations.value(step, &mut [])]);
        }
    }
    let dynamics = Generic(VanDerPol);
    let problem = Problem { y0: &VanDerPol::Y0, span: [0.0, 2.0], theta: &[10.0] };
    let mut solver = Solver::new(&dynamics, &Kvaerno3, 1);
    let mut count = Count(Vec::new());
    let solution = solver.observe(&problem, &Options::tol(1e-6, 1e-6), &mut count).unwrap();
    let total: f64 = count.0.iter().map(|c| c[0]).sum();
    assert_eq!(count.0.len(), solution.stats.accepted);
    assert!(count.0.iter().all(|c| c[0] >= 3.0 && c[1] == 0.0), "{:?}", count.0);
    assert!(total > 0.0 && total <= solution.stats.implicit.newton_iterations as f64);
}
