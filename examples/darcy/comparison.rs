//! The surrogate against the solver.

use crate::common::{Session, Table, timed};
use crate::training::{Set, Surrogate, differences};
use odeon::Result;
use odeon::num::parallel;
use odeon::operator::mgno::Scratch;
use odeon::operator::pde::Darcy;
use odeon::operator::surrogate::FieldNorm;

/// Relative residual that the solver is asked for.
const TOLERANCE: f64 = 1e-6;

pub struct Comparison {
    /// Mean relative errors: L2, H1 by differences, spectral, as published.
    pub errors: [f64; 4],
    /// Of the solver from zero, the network and the solver from its answer, the network alone: seconds of
    /// one sample on one thread, applications of the matrix, iterations.
    pub seconds: [f64; 3],
    pub applications: [usize; 3],
    pub iterations: [usize; 3],
    /// The prediction of the first test sample.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
    pub first: Vec<f32>,
}

/// Tests, measures, prints the tables.
pub fn compare(session: &Session, surrogate: &Surrogate, darcy: &Darcy, test: &Set) -> Result<Comparison> {
    parallel::with_threads(1, || alone(session, surrogate, darcy, test))?
}

fn alone(session: &Session, surrogate: &Surrogate, darcy: &Darcy, test: &Set) -> Result<Comparison> {
    let [n, _] = darcy.extents;
    let norms = [
        FieldNorm::l2(&[n, n])?,
        differences(n)?,
        FieldNorm::spectral(&[n, n], &[1.0; 2])?,
        FieldNorm::published(&[n, n])?,
    ];
    let (dim, count) = (test.inputs.dim(), test.inputs.count());
    let mut scratch = Scratch::new();
    let (mut errors, mut trivial) = ([0.0; 4], [0.0; 4]);
    let mut guesses = vec![0.0f32; dim * count];
    let fields = || test.inputs.data().chunks_exact(dim).zip(test.outputs.data().chunks_exact(dim));
    // Once to warm the memory.
    surrogate.predict(&test.inputs.data()[..dim], &mut guesses[..dim], &mut scratch)?;
    let ((), predict_s) = timed(|| {
        for ((a, _), u) in fields().zip(guesses.chunks_exact_mut(dim)) {
            surrogate.predict(a, u, &mut scratch)?;
        }
        Ok(())
    })?;
    for ((_, u), guess) in fields().zip(guesses.chunks_exact(dim)) {
        let apart = |other: &[f32]| -> Vec<f32> { u.iter().zip(other).map(|(u, v)| v - u).collect() };
        let (error, none) = (apart(guess), apart(&surrogate.mean));
        for (k, norm) in norms.iter().enumerate() {
            let size = norm.norm(u)?;
            errors[k] += norm.norm(&error)? / size / count as f64;
            trivial[k] += norm.norm(&none)? / size / count as f64;
        }
    }
    let header = ["mean relative error", "L2", "H1", "H1 spectral", "H1 published"];
    let mut table = Table::new(&header);
    for (name, errors) in [("MgNO", errors), ("mean of the training set", trivial)] {
        table.row(std::iter::once(name.to_string()).chain(errors.iter().map(|e| format!("{e:.4}"))));
    }
    session.say(format!("\n{table}"))?;
    let predict_s = predict_s / count as f64;
    let work = solver(session, darcy, test, &guesses, predict_s)?;
    let [seconds, applications, iterations] = [0, 1, 2].map(|what| [work[0][what], work[1][what]]);
    let rounded = |mean: [f64; 2]| [mean[0].round() as usize, mean[1].round() as usize, 0];
    Ok(Comparison {
        errors,
        seconds: [seconds[0], seconds[1], predict_s],
        applications: rounded(applications),
        iterations: rounded(iterations),
        first: guesses[..dim].to_vec(),
    })
}

/// Seconds, applications and iterations a sample of the solver from zero and from the network's answers;
/// what residuals say of the errors.
fn solver(
    session: &Session,
    darcy: &Darcy,
    test: &Set,
    guesses: &[f32],
    predict_s: f64,
) -> Result<[[f64; 3]; 2]> {
    let (dim, share) = (test.inputs.dim(), 1.0 / test.inputs.count() as f64);
    let wide = |field: &[f32]| -> Vec<f64> { field.iter().map(|v| f64::from(*v)).collect() };
    let solving = Darcy { tolerance: TOLERANCE, ..*darcy };
    let f = vec![1.0; dim];
    let mut work = [[0.0; 3]; 2];
    let (mut residual, mut estimate, mut bound, mut error) = (0.0, 0.0, 0.0, 0.0);
    let norm = |e: &[f64]| e.iter().map(|e| e * e).sum::<f64>().sqrt();
    let fields = test.inputs.data().chunks_exact(dim).zip(test.outputs.data().chunks_exact(dim));
    for ((a, truth), guess) in fields.zip(guesses.chunks_exact(dim)) {
        let (a, truth, guess) = (wide(a), wide(truth), wide(guess));
        let certificate = darcy.certificate(&a, &f, &guess)?;
        let apart: Vec<f64> = guess.iter().zip(&truth).map(|(g, t)| g - t).collect();
        residual += share * certificate.residual;
        estimate += share * certificate.estimate / norm(&truth);
        bound += share * certificate.bound / norm(&truth);
        error += share * norm(&apart) / norm(&truth);
        for (own, start) in work.iter_mut().zip([vec![0.0; dim], guess]) {
            // The second of two solves: the first warms caches and allocator.
            solving.solve(&a, &f, &mut start.clone())?;
            let mut u = start;
            let (report, seconds) = timed(|| solving.solve(&a, &f, &mut u))?;
            let all = [seconds, report.applications as f64, report.iterations as f64];
            own.iter_mut().zip(all).for_each(|(own, one)| *own += share * one);
        }
    }
    work[1][0] += predict_s;
    session.say(format!(
        "\nOf the network's answers: relative residual {residual:.2e}; relative L2 error {error:.4}, estimated \
         {estimate:.4} from the residual by a V-cycle, guaranteed below {bound:.3}"
    ))?;
    let header = [format!("to a residual of {TOLERANCE:.0e}"), "iterations".into(), "ms a sample".into()];
    let mut table = Table::new(&header.each_ref().map(String::as_str));
    let names = ["multigrid-CG from zero", "network, then multigrid-CG"];
    for (name, [seconds, _, iterations]) in names.iter().zip(work) {
        table.row([(*name).into(), format!("{iterations:.1}"), format!("{:.2}", 1e3 * seconds)]);
    }
    let alone = format!("{:.2}", 1e3 * predict_s);
    table.row(["network alone (no tolerance)".into(), "–".to_string(), alone]);
    session.say(format!("\n{table}"))?;
    Ok(work)
}
