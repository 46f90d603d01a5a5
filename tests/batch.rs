//! Batches with shared steps, and ensembles: every trajectory has the bits and the counts of solving
//! it alone, in SIMD lanes or one by one, whatever the number of threads.

use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Controller, Options, Problem, Save};
use odeon::num::{Atol, ErrorNorm, Over, Real, Scalar, parallel};
use odeon::ode::tableau::Tableau;
use odeon::ode::tableaux::{self, Dp5, Tsit5};
use odeon::ode::{Ensemble, solve, solve_ensemble};
use odeon::{Error, Result};

/// A ring of `0` nonlinear oscillating rows with forcing: y_i' = p₀ sin(y_{i+1}) − p₁ y_i + cos(t + i)
/// − y_i³/10, and √(p₀ − y₀) in the first row, which ends trajectories whose p₀ is small.
struct Ring(usize);

impl VectorField for Ring {
    fn dim(&self) -> usize {
        self.0
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        let n = self.0;
        for i in 0..n {
            let pull = p[0] * y[(i + 1) % n].sin() - p[1] * y[i];
            dy[i] = pull + (t + S::of(i as f64)).cos() - S::of(0.1) * y[i].powi(3);
        }
        dy[0] += (p[0] - y[0]).sqrt();
    }
}

struct Case<T> {
    dim: usize,
    y0: Vec<T>,
    theta: Vec<T>,
    count: usize,
}

/// `count` trajectories; every fifth fails on its way when `failing`.
fn case<T: Real>(dim: usize, count: usize, failing: bool) -> Case<T> {
    let wave = |i: usize| T::of(0.8 * (1.3 * i as f64 + 0.2).sin());
    let theta = |i: usize| {
        let p0 = if failing && i % 5 == 3 { 0.3 } else { 9.0 };
        [T::of(p0 + 0.01 * i as f64), T::of(0.3 + 0.05 * (i % 7) as f64)]
    };
    Case { dim, y0: (0..dim * count).map(wave).collect(), theta: (0..count).flat_map(theta).collect(), count }
}

impl<T: Real> Case<T> {
    fn ensemble(&self, m: &Tableau, span: [T; 2], options: &Options<T>) -> Result<Ensemble<T>> {
        let problem = Problem { y0: &self.y0, span, theta: &self.theta };
        solve_ensemble(&Generic(Ring(self.dim)), m, &problem, options)
    }

    /// [`check`](Self::check), where forward solves must all succeed.
    fn sound(&self, m: &Tableau, span: [T; 2], options: &Options<T>) -> Result<()> {
        let failures = self.check(m, span, options)?;
        assert!(failures == 0 || span[0] > span[1], "{} {failures}", m.name);
        Ok(())
    }

    /// Compares every trajectory with its solve alone; returns the number of failures.
    fn check(&self, m: &Tableau, span: [T; 2], options: &Options<T>) -> Result<usize> {
        let ensemble = self.ensemble(m, span, options)?;
        let place = format!("{} {} dim {} {span:?}", m.name, T::NAME, self.dim);
        assert_eq!((ensemble.dim, ensemble.stats.len()), (self.dim, self.count));
        let mut failures = ensemble.failures.iter();
        for i in 0..self.count {
            let problem = Problem {
                y0: &self.y0[i * self.dim..(i + 1) * self.dim],
                span,
                theta: &self.theta[2 * i..2 * i + 2],
            };
            let alone = solve(&Generic(Ring(self.dim)), m, &problem, options);
            let (solution, error) = match alone {
                Ok(solution) => (solution, None),
                Err(partial) => (*partial.solution, Some(partial.error)),
            };
            let (y, s) = (ensemble.trajectory(i), ensemble.stats[i]);
            let counts = (s.nfe, s.accepted, s.rejected);
            let stats = &solution.stats;
            let wanted = (stats.nfe, stats.accepted, stats.rejected);
            assert_eq!(counts, wanted, "{place}: trajectory {i}");
            let reached = match (&error, &options.save) {
                (Some(_), Save::End) => 0,
                _ => solution.y.len(),
            };
            assert_eq!(y[..reached], solution.y[..reached], "{place}: {i}");
            assert!(y[reached..].iter().all(|y| !y.is_finite()), "{place}: {i}");
            match error {
                None => {
                    assert_eq!(ensemble.t, solution.t);
                    assert_eq!(reached, y.len());
                }
                Some(error) => {
                    let (failed, why) = failures.next().expect("a failure is missing");
                    assert_eq!((*failed, why.to_string()), (i, error.to_string()));
                }
            }
        }
        assert!(failures.next().is_none());
        Ok(ensemble.failures.len())
    }
}

fn options<T: Real>(m: &Tableau) -> Options<T> {
    let tolerance = if m.order < 3 { 1e-3 } else { 1e-5 };
    let options = Options::tol(T::of(tolerance), T::of(tolerance));
    match m.error.is_empty() {
        true => options.controller(Controller::Fixed { h: 0.02 }),
        false => options,
    }
}

fn spans<T: Real>() -> [[T; 2]; 2] {
    [[T::of(0.1), T::of(1.6)], [T::of(0.7), T::of(0.1)]]
}

fn times<T: Real>([a, b]: [T; 2]) -> Vec<T> {
    let middle = |w: f64| a + (b - a) * T::of(w);
    vec![a, middle(0.1), middle(0.5), middle(0.5), middle(0.52), b, b]
}

fn every_method<T: Real>(dim: usize, count: usize) -> Result<()> {
    let case = case::<T>(dim, count, false);
    for m in tableaux::all() {
        for span in spans() {
            let options = options::<T>(m);
            case.sound(m, span, &options)?;
            let at = options.clone().save_at(times(span));
            case.sound(m, span, &at)?;
            let end = options.save_at([span[1]]);
            case.sound(m, span, &end)?;
        }
    }
    Ok(())
}

#[test]
fn trajectories_have_the_bits_of_solving_them_alone_f64() -> Result<()> {
    for (dim, count) in [(1, 11), (2, 1), (3, 19), (4, 8), (5, 9), (6, 17)] {
        every_method::<f64>(dim, count)?;
    }
    Ok(())
}

#[test]
fn trajectories_have_the_bits_of_solving_them_alone_f32() -> Result<()> {
    for (dim, count) in [(1, 9), (2, 17), (3, 7), (4, 12), (5, 10), (6, 3)] {
        every_method::<f32>(dim, count)?;
    }
    Ok(())
}

#[test]
fn options_act_on_each_trajectory_as_alone() -> Result<()> {
    let case = case::<f64>(3, 13, false);
    type Edit<'a> = &'a dyn Fn(&mut Options<f64>);
    let edits: [Edit<'_>; 9] = [
        &|o| o.h0 = Some(0.3),
        &|o| o.h0 = Some(5.0),
        &|o| o.dt_max = Some(0.05),
        &|o| o.controller = Controller::integral(),
        &|o| o.controller = Controller::pid(),
        &|o| o.norm = ErrorNorm::new(1e-6, Atol::PerRow(vec![1e-4, 1e-6, 1e-8])),
        &|o| o.norm.over = Over::Trajectory,
        &|o| o.tstops = vec![0.5, 0.9],
        &|o| o.diagnostics = true,
    ];
    for name in ["Tsit5", "DP5", "BS3", "Vern6", "Vern7", "DOP853"] {
        let m = tableaux::by_name(name)?;
        for edit in edits {
            for span in spans() {
                let mut options = options::<f64>(m);
                edit(&mut options);
                case.sound(m, span, &options)?;
                let options = options.save_at(times(span));
                case.sound(m, span, &options)?;
            }
        }
    }
    Ok(())
}

#[test]
fn failing_trajectories_are_reported_and_the_others_finish() -> Result<()> {
    let case = case::<f64>(2, 33, true);
    for name in ["Tsit5", "Vern6", "Midpoint", "RK4", "DOP853"] {
        let m = tableaux::by_name(name)?;
        let span = [0.1, 3.0];
        for save in [Save::End, Save::At(times(span))] {
            let plain = options::<f64>(m).save(save);
            let failed = case.check(m, span, &plain)?;
            assert!(failed > 2 && failed < 8, "{name} {failed}");
            // Budgets: all that need more fail.
            let steps = Options { max_steps: 12, ..plain.clone() };
            assert!(case.check(m, span, &steps)? > 0);
            let evaluations = Options { max_nfe: 80, ..plain };
            assert!(case.check(m, span, &evaluations)? > 0);
        }
    }
    Ok(())
}

#[test]
fn the_number_of_threads_changes_no_bit() -> Result<()> {
    // More than two chunks of trajectories.
    let case = case::<f64>(2, 700, true);
    for name in ["Tsit5", "Vern7"] {
        let m = tableaux::by_name(name)?;
        let run = |threads: usize| -> Result<_> {
            let options = options::<f64>(m).save_at([0.5, 1.6]);
            let e = parallel::with_threads(threads, || case.ensemble(m, [0.1, 1.6], &options))??;
            let bits: Vec<u64> = e.y.iter().map(|y| y.to_bits()).collect();
            let failures: Vec<_> = e.failures.iter().map(|f| (f.0, f.1.to_string())).collect();
            Ok((bits, e.stats, failures))
        };
        let one = run(1)?;
        assert!(!one.2.is_empty());
        assert_eq!(one, run(2)?);
        assert_eq!(one, run(3)?);
    }
    Ok(())
}

#[test]
fn parameters_are_shared_or_each_ones_own() -> Result<()> {
    let case = case::<f64>(2, 5, false);
    let field = Generic(Ring(2));
    let shared = Problem { y0: &case.y0, span: [0.1, 1.0], theta: &case.theta[..2] };
    let repeated = case.theta[..2].repeat(5);
    let own = Problem { theta: &repeated, ..shared };
    let a = solve_ensemble(&field, &Tsit5, &shared, &Options::default())?;
    let b = solve_ensemble(&field, &Tsit5, &own, &Options::default())?;
    assert_eq!((a.y, a.stats), (b.y, b.stats));
    let wrong = Problem { theta: &repeated[..6], ..shared };
    let error = solve_ensemble(&field, &Tsit5, &wrong, &Options::default()).map(|_| ());
    let error = error.expect_err("refused");
    assert!(matches!(error, Error::Length { what: "theta", given: 6, .. }));
    let every = Options::default().save(Save::EveryStep);
    let error = solve_ensemble(&field, &Tsit5, &shared, &every).map(|_| ());
    assert!(error.expect_err("refused").to_string().contains("given times"));
    Ok(())
}

#[test]
fn a_batch_shares_its_steps() -> Result<()> {
    let case = case::<f64>(3, 6, false);
    let field = Generic(Ring(3));
    let batch = Problem { y0: &case.y0, span: [0.1, 2.0], theta: &case.theta[..2] };
    for m in tableaux::all() {
        let options = options::<f64>(m).save_at([0.7, 2.0]);
        let together = solve(&field, m, &batch, &options)?;
        assert_eq!((together.dim, together.batch), (3, 6));
        // Each column alone on the batch's steps ends in the same state, to rounding.
        for j in 0..6 {
            let column = Problem { y0: &case.y0[3 * j..3 * j + 3], ..batch };
            let mut solver = odeon::ode::Solver::new(&field, m, 1);
            let mut silent = odeon::integrate::Silent;
            let alone = solver.replay(&column, &together, &options, &mut silent)?;
            for s in 0..2 {
                for (a, b) in alone.state(s).iter().zip(&together.state(s)[3 * j..]) {
                    assert!((a - b).abs() < 1e-12, "{} {j}", m.name);
                }
            }
        }
    }
    Ok(())
}

/// E of a batch is the RMS of the trajectories' E, or their largest.
#[test]
fn norms_are_over_the_batch_or_the_worst_trajectory() -> Result<()> {
    let case = case::<f64>(3, 6, false);
    let field = Generic(Ring(3));
    let first_error = |y0: &[f64], over: Over| -> Result<f64> {
        let problem = Problem { y0, span: [0.1, 0.15], theta: &case.theta[..2] };
        let mut options = Options::fixed(0.05);
        options.norm = ErrorNorm { over, ..ErrorNorm::new(1e-5, Atol::PerRow(vec![1e-5, 1e-6, 1e-4])) };
        Ok(solve(&field, &Dp5, &problem, &options)?.steps[0].error)
    };
    let columns: Vec<f64> =
        case.y0.chunks(3).map(|y0| first_error(y0, Over::Batch)).collect::<Result<_>>()?;
    let mean = (columns.iter().map(|e| e * e).sum::<f64>() / 6.0).sqrt();
    let largest = columns.iter().fold(0.0, |a: f64, &e| a.max(e));
    assert!(largest > 1.2 * mean);
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
    close(first_error(&case.y0, Over::Batch)?, mean);
    close(first_error(&case.y0, Over::Trajectory)?, largest);
    Ok(())
}
