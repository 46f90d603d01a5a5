//! Roll-outs of trained networks against the truth.

use crate::Method;
use crate::common::{Session, timed};
use crate::train::Plan;
use crate::trajectories::Trajectories;
use odeon::Result;
use odeon::operator::surrogate::{Rollout, Through, correlation, high_correlation_time, shell_spectrum};
use odeon::operator::{Program, Scratch};

/// Correlation above which a roll-out counts as true.
const CORRELATED: f64 = 0.9;

/// What the roll-outs of a network came to.
pub struct Tested {
    pub name: &'static str,
    /// Mean relative L2 error after each step.
    pub errors: Vec<f64>,
    /// Mean time for which they are correlated with the truth.
    pub correlated: f64,
    /// The states of the first test trajectory after each step.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "for pictures"))]
    pub first: Vec<f32>,
    /// Mean spectrum at the end.
    pub spectrum: Vec<f64>,
    pub train_s: f64,
    /// Of one roll-out.
    pub predict_s: f64,
}

impl Tested {
    /// The initial state for ever.
    pub fn persistence(test: &Trajectories, extents: &[usize], interval: f64) -> Result<Self> {
        let states: Vec<Vec<f32>> =
            (0..test.count()).map(|i| test.state(i, 0).repeat(test.length - 1)).collect();
        Self::judge("nothing (persistence)", &states, test, extents, interval)
    }

    pub fn of(
        (program, theta): (&Program, &[f32]),
        test: &Trajectories,
        (plan, interval): (&Plan, f64),
        method: Method,
        train_s: f64,
    ) -> Result<Self> {
        let fixed = plan.fixed.clone();
        let mut rollout = Rollout::with_fixed(program, test.length - 1, Through::Window, fixed)?;
        let mut scratch = Scratch::new();
        let mut run = |i: usize| -> Result<Vec<f32>> {
            Ok(rollout.forward(theta, test.state(i, 0), &mut scratch)?[test.dim..].to_vec())
        };
        // The first call warms the memory.
        run(0)?;
        let (states, seconds) = timed(|| (0..test.count()).map(&mut run).collect::<Result<Vec<_>>>())?;
        let tested = Self::judge(method.name(), &states, test, &plan.extents, interval)?;
        Ok(Self { train_s, predict_s: seconds / test.count() as f64, ..tested })
    }

    fn judge(
        name: &'static str,
        states: &[Vec<f32>],
        test: &Trajectories,
        extents: &[usize],
        interval: f64,
    ) -> Result<Self> {
        let steps = test.length - 1;
        let times: Vec<f64> = (1..=steps).map(|k| k as f64 * interval).collect();
        let (mut errors, mut correlated) = (vec![0.0; steps], 0.0);
        let mut spectrum = Vec::new();
        let share = 1.0 / test.count() as f64;
        for (i, states) in states.iter().enumerate() {
            let mut correlations = Vec::with_capacity(steps);
            for (k, u) in states.chunks_exact(test.dim).enumerate() {
                errors[k] += share * test.error(u, [i, k + 1])?;
                correlations.push(correlation(u, test.state(i, k + 1))?);
            }
            correlated += share * high_correlation_time(&times, &correlations, CORRELATED)?;
            add(&mut spectrum, &shell_spectrum(extents, &states[(steps - 1) * test.dim..])?, share);
        }
        let first = states[0].clone();
        Ok(Self { name, errors, correlated, first, spectrum, train_s: 0.0, predict_s: 0.0 })
    }
}

fn add(sum: &mut Vec<f64>, term: &[f64], share: f64) {
    sum.resize(term.len(), 0.0);
    sum.iter_mut().zip(term).for_each(|(sum, term)| *sum += share * term);
}

/// The mean spectrum of the truth at the end.
pub fn true_spectrum(test: &Trajectories, extents: &[usize]) -> Result<Vec<f64>> {
    let mut spectrum = Vec::new();
    for i in 0..test.count() {
        let end = shell_spectrum(extents, test.state(i, test.length - 1))?;
        add(&mut spectrum, &end, 1.0 / test.count() as f64);
    }
    Ok(spectrum)
}

/// Errors and spectra as CSV files.
pub fn curves(
    session: &mut Session,
    name: &str,
    test: &Trajectories,
    all: &[Tested],
    (extents, interval): (&[usize], f64),
) -> Result<()> {
    let times: Vec<f64> = (1..test.length).map(|k| k as f64 * interval).collect();
    let mut columns: Vec<(&str, &[f64])> = vec![("t", &times)];
    columns.extend(all.iter().map(|t| (t.name, &t.errors[..])));
    session.curves(&format!("{name}_errors"), &columns)?;
    let truth = true_spectrum(test, extents)?;
    let waves: Vec<f64> = (0..truth.len()).map(|k| k as f64).collect();
    let mut columns: Vec<(&str, &[f64])> = vec![("k", &waves), ("truth", &truth)];
    columns.extend(all.iter().map(|t| (t.name, &t.spectrum[..])));
    session.curves(&format!("{name}_spectra"), &columns)
}
