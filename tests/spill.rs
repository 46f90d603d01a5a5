//! Checkpoints on disk, and solves that run into a singularity.

use odeon::adjoint::{AdjointStatistics, DiscreteAdjoint, Memory, Spill};
use odeon::dynamics::gallery::LotkaVolterra;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem};
use odeon::num::Scalar;
use odeon::ode::tableaux::{Tsit5, Vern9};
use odeon::ode::{ExplicitStepper, solve, solve_ensemble};
use odeon::{Error, Result};
use std::path::PathBuf;

const STATES: usize = 64;

/// Gradient of Σ y(T)² + Σ y(T/3) for 32 systems over some hundred steps, with what it took.
fn gradient(memory: Memory, spill: Option<Spill>) -> Result<(Vec<f64>, AdjointStatistics)> {
    let f = Generic(LotkaVolterra);
    let y0: Vec<f64> = (0..STATES).map(|i| 1.0 + 0.01 * i as f64).collect();
    let problem = Problem { y0: &y0, span: [0.0, 8.0], theta: &LotkaVolterra::THETA };
    let options = Options::tol(1e-8, 1e-8).save_at(vec![4.0, 8.0]);
    let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&f, &Tsit5, STATES / 2), memory);
    if let Some(spill) = spill {
        adjoint = adjoint.spill(spill);
    }
    // Twice: the second finds the file of the first.
    for _ in 0..2 {
        adjoint.value_and_gradient(&problem, &options, &mut [], |solution, bar| {
            let (first, last) = bar.split_at_mut(STATES);
            first.fill(1.0);
            last.iter_mut().zip(solution.last()).for_each(|(bar, y)| *bar = 2.0 * y);
            Ok(solution.last().iter().map(|y| y * y).sum())
        })?;
    }
    Ok(([adjoint.y0_gradient(), adjoint.theta_gradient()].concat(), adjoint.statistics()))
}

/// Bytes of work space.
fn work() -> Result<usize> {
    Ok(gradient(Memory::Unlimited, None)?.1.work_bytes)
}

#[test]
fn spilled_gradients_have_the_bits_of_those_in_memory() -> Result<()> {
    let (want, all) = gradient(Memory::Unlimited, None)?;
    let state = STATES * size_of::<f64>();
    let work = work()?;
    for states in [12, 20, 60] {
        let memory = Memory::Bytes(work + states * state);
        let (got, spilled) = gradient(memory, Some(Spill::default()))?;
        assert_eq!(got, want, "{states} states");
        assert!(spilled.disk_bytes > 0 && spilled.checkpoint_bytes <= states * state);
        // Nothing is taken twice but each step once for its stages; without the disk most are.
        let (again, thinned) = gradient(memory, None)?;
        assert_eq!(again, want);
        assert_eq!(thinned.disk_bytes, 0);
        assert!(spilled.replayed < thinned.replayed, "{} {}", spilled.replayed, thinned.replayed);
    }
    // What fits in memory, beside the bytes in transit, stays there.
    let (_, kept) = gradient(Memory::Bytes(work + 2 * all.checkpoint_bytes), Some(Spill::default()))?;
    assert_eq!((kept.disk_bytes, kept.replayed), (0, 0));
    Ok(())
}

#[test]
fn a_disk_that_cannot_hold_them_is_an_error() -> Result<()> {
    let memory = Memory::Bytes(work()? + 20 * STATES * size_of::<f64>());
    let limited = Spill { max_bytes: 20_000, ..Spill::default() };
    let error = gradient(memory, Some(limited)).unwrap_err().to_string();
    assert!(error.contains("Spill::max_bytes") && error.contains("20000"), "{error}");
    let nowhere = Spill { folder: Some(PathBuf::from("/no/such/folder")), ..Spill::default() };
    let error = gradient(memory, Some(nowhere)).unwrap_err();
    assert!(matches!(&error, Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("Spill::folder"), "{error}");
    Ok(())
}

/// y' = y²: from 1 it has a pole at t = 1.
struct Pole;
impl VectorField for Pole {
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

#[test]
fn time_does_not_stand_still_before_a_pole() -> Result<()> {
    let options = Options::tol(1e-8, 1e-8);
    let problem = Problem { y0: &[1.0], span: [0.0, 2.0], theta: &[] };
    for partial in [
        solve(&Generic(Pole), &Tsit5, &problem, &options).unwrap_err(),
        solve(&Generic(Pole), &Vern9, &problem, &options).unwrap_err(),
    ] {
        let steps = &partial.solution.steps;
        // Steps that grow or that take what remains may be small; none before the pole does either.
        assert!(steps.iter().all(|s| s.h > f64::EPSILON * s.t), "{}", partial.error);
        assert!(steps.len() < 2000 && (partial.solution.t.last().copied().unwrap_or(0.0) - 1.0).abs() < 1e-6);
    }
    // In lanes as alone.
    let y0: Vec<f64> = (0..40).map(|i| if i % 3 == 0 { 1.0 } else { 0.1 }).collect();
    let ensemble = solve_ensemble(&Generic(Pole), &Tsit5, &Problem { y0: &y0, ..problem }, &options)?;
    let failed: Vec<usize> = ensemble.failures.iter().map(|(i, _)| *i).collect();
    assert_eq!(failed, (0..40).step_by(3).collect::<Vec<_>>());
    let alone = solve(&Generic(Pole), &Tsit5, &problem, &options).unwrap_err().error.to_string();
    for (_, error) in &ensemble.failures {
        assert_eq!(error.to_string().split(" at ").next(), alone.split(" at ").next());
    }
    Ok(())
}
