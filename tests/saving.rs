//! What is saved, and where: the end, given times, every step, dense; replays; stops.

use odeon::dynamics::gallery::{Lorenz, Swirl};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Controller, Options, Problem, Save, Silent, Solution};
use odeon::num::Scalar;
use odeon::ode::tableau::Tableau;
use odeon::ode::tableaux::{self, Dop853, Tsit5};
use odeon::ode::{Solver, solve};
use odeon::{Error, Result};

/// Options with which `method` is accurate to 1e-6 or so.
fn options(method: &Tableau, save: Save<f64>) -> Options<f64> {
    let order = method.order as f64;
    let controller = match method.error.is_empty() {
        true => Controller::Fixed { h: 1e-6f64.powf(1.0 / order).max(1e-4) },
        false => Controller::integral(),
    };
    let tolerance = if method.order < 3 { 1e-6 } else { 1e-8 };
    Options::tol(tolerance, tolerance).controller(controller).save(save)
}

/// The error that [`options`] lead to at most.
fn bound(method: &Tableau) -> f64 {
    match method.order {
        1 => 1e-3,
        2 => 2e-4,
        _ => 2e-6,
    }
}

const SPANS: [[f64; 2]; 2] = [[0.2, 1.3], [1.3, 0.2]];

fn swirl(method: &Tableau, span: [f64; 2], options: &Options<f64>) -> Result<Solution<f64>> {
    let y0 = Swirl::solution(1.0, span[0]);
    let problem = Problem { y0: &y0, span, theta: &[1.0] };
    Ok(solve(&Generic(Swirl), method, &problem, options)?)
}

fn distance(y: &[f64], t: f64) -> f64 {
    let exact = Swirl::solution(1.0, t);
    (y[0] - exact[0]).abs().max((y[1] - exact[1]).abs())
}

/// Save times from t0 to t1, both included, with duplicates.
fn times([t0, t1]: [f64; 2]) -> Vec<f64> {
    let mut times: Vec<f64> = (0..=20).map(|i| t0 + (t1 - t0) * f64::from(i) / 20.0).collect();
    times[20] = t1;
    times.insert(7, times[7]);
    times.insert(0, t0);
    times.push(t1);
    times
}

#[test]
fn what_is_saved_does_not_change_the_solve() -> Result<()> {
    for method in tableaux::all() {
        for span in SPANS {
            let end = swirl(method, span, &options(method, Save::End))?;
            assert_eq!((&end.t[..], end.located.len()), (&span[1..], 1));
            for save in [Save::EveryStep, Save::Dense, Save::At(times(span))] {
                let other = swirl(method, span, &options(method, save.clone()))?;
                assert_eq!(end.steps, other.steps, "{} {save:?}", method.name);
                assert_eq!(end.last(), other.last(), "{} {save:?}", method.name);
            }
        }
    }
    Ok(())
}

#[test]
fn every_step_has_its_state() -> Result<()> {
    for method in tableaux::all() {
        for span in SPANS {
            let every = swirl(method, span, &options(method, Save::EveryStep))?;
            let dense = swirl(method, span, &options(method, Save::Dense))?;
            assert_eq!((&every.t, &every.y), (&dense.t, &dense.y));
            assert_eq!(every.t.len(), every.steps.len() + 1);
            assert_eq!(every.t[0], span[0]);
            assert_eq!(every.state(0), Swirl::solution(1.0, span[0]));
            for (i, step) in every.steps.iter().enumerate() {
                assert_eq!((every.t[i], every.t[i + 1]), (step.t, step.t1));
                assert!(distance(every.state(i + 1), step.t1) < bound(method));
            }
        }
    }
    Ok(())
}

#[test]
fn given_times_are_saved_as_asked() -> Result<()> {
    for method in tableaux::all() {
        for span in SPANS {
            let wanted = times(span);
            let at = swirl(method, span, &options(method, Save::At(wanted.clone())))?;
            assert_eq!(at.t, wanted);
            assert_eq!(at.state(0), Swirl::solution(1.0, span[0]));
            assert_eq!(at.state(0), at.state(1));
            assert_eq!(at.state(8), at.state(9));
            let end = swirl(method, span, &options(method, Save::End))?;
            assert_eq!(at.last(), end.last());
            assert_eq!(at.last(), at.state(wanted.len() - 2));
            for (i, &t) in wanted.iter().enumerate() {
                let error = distance(at.state(i), t);
                assert!(error < bound(method), "{} {t} {error:e}", method.name);
            }
            // Times inside only: the end is not saved.
            let inside = swirl(method, span, &options(method, Save::At(vec![0.7])))?;
            assert_eq!((&inside.t[..], &inside.y.len()), (&[0.7][..], &2));
            assert_eq!(inside.steps, end.steps);
        }
    }
    Ok(())
}

#[test]
fn dense_solutions_are_accurate_everywhere() -> Result<()> {
    for method in tableaux::all() {
        for span in SPANS {
            let dense = swirl(method, span, &options(method, Save::Dense))?;
            let at = swirl(method, span, &options(method, Save::At(times(span))))?;
            for i in 0..=300 {
                let t = (span[0] + (span[1] - span[0]) * f64::from(i) / 300.0).clamp(0.2, 1.3);
                let error = distance(&dense.at(t)?, t);
                assert!(error < bound(method), "{} {t} {error:e}", method.name);
            }
            for (i, &t) in at.t.iter().enumerate() {
                // Verner's interpolants cancel large terms and lose digits to rounding.
                let rough = ["Vern6", "Vern9"].contains(&&*method.name);
                let rounding = if rough { 1e-11 } else { 1e-13 };
                for (a, b) in dense.at(t)?.iter().zip(at.state(i)) {
                    assert!((a - b).abs() < rounding, "{} {t}", method.name);
                }
            }
            for bad in [0.199, 1.301, f64::NAN] {
                assert!(matches!(dense.at(bad), Err(Error::Invalid { .. })));
            }
            assert!(matches!(at.at(0.5), Err(Error::Invalid { .. })));
        }
    }
    assert!(Solution::<f64>::default().at(0.0).is_err());
    Ok(())
}

#[test]
fn replays_have_the_same_bits() -> Result<()> {
    let field = Generic(Lorenz);
    for method in tableaux::all() {
        for batch in [1, 3] {
            for span in [[0.0, 1.0], [1.0, 0.75]] {
                for save in
                    [Save::End, Save::EveryStep, Save::Dense, Save::At(vec![span[0], 0.8, 0.8, span[1]])]
                {
                    let y0: Vec<f64> = (0..3 * batch).map(|i| 1.0 + 0.3 * i as f64).collect();
                    let problem = Problem { y0: &y0, span, theta: &Lorenz::THETA };
                    let mut options = options(method, save.clone());
                    options.tstops = vec![0.77, 0.9];
                    if let Controller::Fixed { h } = &mut options.controller {
                        *h = 0.01;
                    } else {
                        options.norm = odeon::num::ErrorNorm::new(1e-4, 1e-4);
                    }
                    let mut solver = Solver::new(&field, method, batch);
                    let first = solver.solve(&problem, &options).map_err(Error::from)?.clone();
                    let again = solver.replay(&problem, &first, &options, &mut Silent)?;
                    let place = format!("{} {save:?} {batch}", method.name);
                    assert_eq!((&first.t, &first.y), (&again.t, &again.y), "{place}");
                    assert_eq!(first.steps, again.steps, "{place}");
                    assert_eq!(first.located, again.located, "{place}");
                }
            }
        }
    }
    Ok(())
}

/// y' = 1 + y²/4 before `at`, −2 − t y after; at `at` itself the branch given by `late`.
struct Jump {
    at: f64,
    late: bool,
}

impl VectorField for Jump {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], _: &[S], dy: &mut [S]) {
        let before = S::one() + S::of(0.25) * y[0] * y[0];
        let after = -S::of(2.0) - t * y[0];
        let at = S::of(self.at);
        dy[0] =
            if self.late { at.where_greater(t, before, after) } else { t.where_greater(at, after, before) };
    }
}

fn jump(
    method: &Tableau,
    (at, late): (f64, bool),
    span: [f64; 2],
    h: f64,
    stop: bool,
) -> Result<Solution<f64>> {
    let problem = Problem { y0: &[0.3], span, theta: &[] };
    let mut options = Options::fixed(h).save(Save::Dense);
    if stop {
        // Out of order, repeated, and outside the span.
        options.tstops = vec![5.0, at, at, -9.0];
    }
    Ok(solve(&Generic(Jump { at, late }), method, &problem, &options)?)
}

/// Two solves with no discontinuity inside, by a method of order 8 with small steps.
fn jump_reference(at: f64, span: [f64; 2], t: f64) -> Result<f64> {
    let inside = (t - at) * (span[0] - at) < 0.0;
    let first_end = if inside { at } else { t };
    let part = |y: f64, from: f64, to: f64| -> Result<f64> {
        // A jump far away on the right side: one branch everywhere.
        let early = from.min(to) < at;
        let far = if early { 1e9 } else { -1e9 };
        let problem = Problem { y0: &[y], span: [from, to], theta: &[] };
        let field = Generic(Jump { at: far, late: true });
        Ok(solve(&field, &Dop853, &problem, &Options::fixed(0.01))?.last()[0])
    };
    let y = part(0.3, span[0], first_end)?;
    if inside { part(y, at, t) } else { Ok(y) }
}

#[test]
fn stops_are_hit_exactly_and_keep_the_order() -> Result<()> {
    for method in tableaux::all() {
        for at in [0.437, 0.0, -0.211] {
            for late in [true, false] {
                for span in [[at - 0.5, at + 0.6], [at + 0.6, at - 0.5]] {
                    let error = |h: f64, stop: bool| -> Result<f64> {
                        let solution = jump(method, (at, late), span, h, stop)?;
                        if stop {
                            let hit = solution.steps.iter().filter(|s| s.t1 == at).count();
                            assert_eq!(hit, 1);
                        }
                        Ok((solution.last()[0] - jump_reference(at, span, span[1])?).abs())
                    };
                    let place = format!("{} {at} {late} {span:?}", method.name);
                    let with = error(0.1, true)?;
                    let halved = error(0.05, true)?;
                    let order = (with / halved).log2();
                    assert!(
                        halved < 5e-13 || order > method.order as f64 - 0.6,
                        "{place}: {with:e} {halved:e}"
                    );
                    let without = error(0.0499, false)?;
                    assert!(without > 1e-4, "{place}: {without:e}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn dense_output_sees_the_right_side_of_a_stop() -> Result<()> {
    for method in tableaux::all() {
        for late in [true, false] {
            for span in [[0.0, 1.0], [1.0, 0.0]] {
                let worst = |h: f64| -> Result<f64> {
                    let solution = jump(method, (0.437, late), span, h, true)?;
                    let mut worst: f64 = 0.0;
                    for t in [0.38, 0.41, 0.43, 0.4369, 0.4371, 0.44, 0.46, 0.5] {
                        let error = solution.at(t)?[0] - jump_reference(0.437, span, t)?;
                        worst = worst.max(error.abs());
                    }
                    Ok(worst)
                };
                let (coarse, fine) = (worst(0.1)?, worst(0.025)?);
                let order = (coarse / fine).log2() / 2.0;
                let expected = method.order.min(method.dense.order + 1) as f64;
                assert!(
                    fine < 1e-12 || order > expected - 0.7,
                    "{} {late} {span:?}: {coarse:e} {fine:e} {order}",
                    method.name
                );
            }
        }
    }
    Ok(())
}

#[test]
fn steps_regain_their_size_after_a_stop() -> Result<()> {
    let problem = Problem { y0: &Lorenz::Y0, span: [0.0, 5.0], theta: &Lorenz::THETA };
    let solved = |stops: Vec<f64>| {
        let options = Options { tstops: stops, ..Options::tol(1e-6, 1e-6) };
        solve(&Generic(Lorenz), &Tsit5, &problem, &options).map_err(Error::from)
    };
    let free = solved(vec![])?.steps.len();
    let stops: Vec<f64> = (1..10).map(|i| 0.5 * f64::from(i)).collect();
    let stopped = solved(stops.clone())?;
    assert!(stopped.steps.len() <= free + 2 * stops.len());
    for stop in stops {
        assert!(stopped.steps.iter().any(|s| s.t1 == stop && s.to_stop));
    }
    Ok(())
}
