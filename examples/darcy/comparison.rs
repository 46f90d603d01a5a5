//! The surrogates against each other and against the solver.

use crate::common::{Session, Table, timed};
use crate::training::{Set, differences};
use crate::weights::Surrogate;
use odeon::Result;
use odeon::num::parallel;
use odeon::operator::Scratch;
use odeon::operator::pde::Darcy;
use odeon::operator::surrogate::FieldNorm;

/// What is known of one way to an answer: means over the test set, one sample on one thread.
#[derive(Default)]
pub struct Tested {
    pub name: String,
    /// Mean relative errors: L2, H1 by differences, spectral, as published.
    pub errors: [f64; 4],
    pub predict_s: f64,
    /// Operator and hierarchy, and the iteration to the tolerance from this answer.
    pub setup_s: f64,
    pub solve_s: f64,
    pub iterations: f64,
    pub applications: f64,
    /// Relative residuals of the first sample's iterations.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
    pub history: Vec<f64>,
    /// The answer to the first test sample.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
    pub first: Vec<f32>,
}

impl Tested {
    /// Seconds from the coefficient to a solution, the hierarchy at hand or not.
    pub fn total_s(&self, warm: bool) -> f64 {
        self.predict_s + self.solve_s + if warm { 0.0 } else { self.setup_s }
    }
}

/// Tests, measures, prints the tables: first the solver from zero, then each surrogate.
pub fn compare(
    session: &Session,
    surrogates: &[Surrogate],
    (darcy, tolerance): (&Darcy, f64),
    test: &Set,
) -> Result<Vec<Tested>> {
    parallel::with_threads(1, || alone(session, surrogates, (darcy, tolerance), test))?
}

fn wide(field: &[f32]) -> Vec<f64> {
    field.iter().map(|v| f64::from(*v)).collect()
}

fn alone(
    session: &Session,
    surrogates: &[Surrogate],
    (darcy, tolerance): (&Darcy, f64),
    test: &Set,
) -> Result<Vec<Tested>> {
    let [n, _] = darcy.extents;
    let dim = test.inputs.dim();
    let norms = [
        FieldNorm::l2(&[n, n])?,
        differences(n)?,
        FieldNorm::spectral(&[n, n], &[1.0; 2])?,
        FieldNorm::published(&[n, n])?,
    ];
    let header = ["mean relative error", "L2", "H1", "H1 spectral", "H1 published"];
    let mut table = Table::new(&header);
    let mut line = |name: &str, errors: [f64; 4]| {
        table.row(std::iter::once(name.to_string()).chain(errors.iter().map(|e| format!("{e:.4}"))));
    };
    let zero = vec![0.0; test.inputs.data().len()];
    let mut all = vec![(Tested { name: "zero".into(), ..Tested::default() }, zero)];
    for surrogate in surrogates {
        let (predict_s, guesses) = predictions(surrogate, test)?;
        let errors = errors(&norms, test, |k| &guesses[k * dim..][..dim])?;
        line(surrogate.network.name, errors);
        let name = surrogate.network.name.to_string();
        all.push((Tested { name, errors, predict_s, ..Tested::default() }, guesses));
    }
    if let Some(surrogate) = surrogates.first() {
        line("mean of the training set", errors(&norms, test, |_| surrogate.mean())?);
    }
    session.say(format!("\n{table}"))?;
    certificates(session, darcy, test, &all[1..])?;
    for (tested, guesses) in &mut all {
        correct(darcy, tolerance, test, tested, guesses)?;
        tested.first = guesses[..dim].to_vec();
    }
    let header = ["from", "iterations", "predict", "set-up", "solve", "total", "set-up at hand"];
    let mut table = Table::new(&header);
    let milli = |s: f64| format!("{:.2}", 1e3 * s);
    for (tested, _) in &all {
        let Tested { name, predict_s, setup_s, solve_s, iterations, .. } = tested;
        let times = [*predict_s, *setup_s, *solve_s, tested.total_s(false), tested.total_s(true)];
        table.row([name.clone(), format!("{iterations:.1}")].into_iter().chain(times.map(milli)));
    }
    let what = format!("Multigrid-CG to a relative residual of {tolerance:.0e}, ms a sample, one thread:");
    session.say(format!("\n{what}\n\n{table}"))?;
    Ok(all.into_iter().map(|(tested, _)| tested).collect())
}

/// Seconds of one prediction, and all predictions.
fn predictions(surrogate: &Surrogate, test: &Set) -> Result<(f64, Vec<f32>)> {
    let (dim, count) = (test.inputs.dim(), test.inputs.count());
    let mut scratch = Scratch::new();
    let mut guesses = vec![0.0f32; dim * count];
    // Once to warm the memory.
    surrogate.predict(&test.inputs.data()[..dim], &mut guesses[..dim], &mut scratch)?;
    let ((), seconds) = timed(|| {
        let mut pairs = test.inputs.data().chunks_exact(dim).zip(guesses.chunks_exact_mut(dim));
        pairs.try_for_each(|(a, u)| surrogate.predict(a, u, &mut scratch))
    })?;
    Ok((seconds / count as f64, guesses))
}

/// Mean relative errors of answers.
fn errors<'a>(
    norms: &[FieldNorm<f32>; 4],
    test: &Set,
    answer: impl Fn(usize) -> &'a [f32],
) -> Result<[f64; 4]> {
    let mut errors = [0.0; 4];
    for (k, u) in test.outputs.data().chunks_exact(test.outputs.dim()).enumerate() {
        let apart: Vec<f32> = u.iter().zip(answer(k)).map(|(u, v)| v - u).collect();
        for (error, norm) in errors.iter_mut().zip(norms) {
            *error += norm.norm(&apart)? / norm.norm(u)? / test.outputs.count() as f64;
        }
    }
    Ok(errors)
}

/// What the residuals say of the errors.
fn certificates(session: &Session, darcy: &Darcy, test: &Set, all: &[(Tested, Vec<f32>)]) -> Result<()> {
    let (dim, share) = (test.inputs.dim(), 1.0 / test.inputs.count() as f64);
    let f = vec![1.0; dim];
    let norm = |e: &[f64]| e.iter().map(|e| e * e).sum::<f64>().sqrt();
    let header = ["of the answers of", "relative residual", "L2 error", "estimated", "guaranteed below"];
    let mut table = Table::new(&header);
    for (tested, guesses) in all {
        let mut means = [0.0; 3];
        let fields = test.inputs.data().chunks_exact(dim).zip(test.outputs.data().chunks_exact(dim));
        for ((a, truth), guess) in fields.zip(guesses.chunks_exact(dim)) {
            let certificate = darcy.certificate(&wide(a), &f, &wide(guess))?;
            let size = norm(&wide(truth));
            let found = [certificate.residual, certificate.estimate / size, certificate.bound / size];
            means.iter_mut().zip(found).for_each(|(mean, one)| *mean += share * one);
        }
        let numbers = [means[0], tested.errors[0], means[1], means[2]].map(|v| format!("{v:.4}"));
        table.row(std::iter::once(tested.name.clone()).chain(numbers));
    }
    session.say(format!("\n{table}"))
}

/// Iterations and seconds from these answers to the tolerance.
fn correct(darcy: &Darcy, tolerance: f64, test: &Set, tested: &mut Tested, guesses: &[f32]) -> Result<()> {
    let (dim, share) = (test.inputs.dim(), 1.0 / test.inputs.count() as f64);
    let f = vec![1.0; dim];
    let pairs = test.inputs.data().chunks_exact(dim).zip(guesses.chunks_exact(dim));
    for (number, (a, guess)) in pairs.enumerate() {
        let (a, guess) = (wide(a), wide(guess));
        // The second of two: the first warms caches and allocator.
        darcy.correct(&a, &f, &guess, tolerance)?;
        let corrected = darcy.correct(&a, &f, &guess, tolerance)?;
        let report = &corrected.report;
        tested.setup_s += share * corrected.setup.as_secs_f64();
        tested.solve_s += share * corrected.warm_s();
        tested.iterations += share * report.iterations as f64;
        tested.applications += share * report.applications as f64;
        if number == 0 {
            tested.history = report.residuals.iter().map(|r| r / report.scale).collect();
        }
    }
    Ok(())
}
