//! The comparison.

use crate::common::{Row, Session, Table, timed};
use crate::problems::{self, Geometry};
use odeon::Result;
use odeon::linalg::grid::{Mask, StencilOperator};
use odeon::linalg::krylov::{Cg, GuardedCg, Narrow};
use odeon::linalg::multigrid::{Geometric, SmoothedAggregation};
use odeon::linalg::precondition::IncompleteCholesky;
use odeon::linalg::{Identity, Preconditioner, Report, Settings};
use odeon::operator::directions::{DirectionNet, Proposer};

/// One method on one problem: histories of the first right-hand side, iterations, seconds.
pub struct Outcome {
    pub method: &'static str,
    pub history: Vec<f64>,
    pub iterations: [usize; 2],
    pub seconds: f64,
}

/// One problem.
#[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
pub struct Case {
    pub name: String,
    pub extents: [usize; 3],
    pub solution: Vec<f64>,
    pub solid: Vec<bool>,
    pub outcomes: Vec<Outcome>,
}

/// Windows of the learned directions: as published, and the cheap robust one.
const WINDOWS: [(&str, usize); 2] = [("learned, k=2", 2), ("learned, k=8", 8)];
const TOLERANCES: [f64; 2] = [1e-4, 1e-8];

/// All problems by all methods.
pub fn all(
    session: &mut Session,
    net: &DirectionNet,
    theta: &[f32],
    cases: &[(usize, Geometry)],
    sides: u32,
) -> Result<Vec<Case>> {
    let seed = session.common.seed;
    let mut table = Table::new(&["problem", "method", "to 1e-4", "to 1e-8", "ms (1e-8)"]);
    let mut results = Vec::new();
    for &(n, geometry) in cases {
        let grid = problems::grid(net.dim(), n)?;
        let mask = problems::mask(&grid, geometry)?;
        let a = problems::operator::<f64>(grid, mask.as_ref())?;
        let name = format!("{n}{} {geometry}", if net.dim() == 2 { "²" } else { "³" });
        let b: Vec<Vec<f64>> =
            (0..sides).map(|s| problems::right_hand_side(&grid, mask.as_ref(), 100 + seed, s)).collect();
        let mut case = Case {
            name: name.clone(),
            extents: grid.extents(),
            solution: vec![0.0; grid.len()],
            solid: mask.as_ref().map_or_else(Vec::new, |m| m.solid().to_vec()),
            outcomes: classical(&a, &b)?,
        };
        for (method, window) in WINDOWS {
            case.outcomes.push(learned(
                (net, theta),
                (&a, mask.as_ref()),
                &b,
                (method, window),
                &mut case.solution,
            )?);
        }
        for o in &case.outcomes {
            let [loose, tight] = o.iterations;
            table.row([
                name.clone(),
                o.method.to_string(),
                loose.to_string(),
                tight.to_string(),
                format!("{:.1}", 1e3 * o.seconds),
            ]);
            session.record(Row {
                method: format!("{name}, {}", o.method),
                seed,
                nfe: tight,
                accepted: loose,
                predict_s: o.seconds,
                ..Row::default()
            });
        }
        results.push(case);
    }
    session.say(format!("\n{table}"))?;
    Ok(results)
}

/// Iterations (the most of all right-hand sides) and seconds of `solve`.
fn measure(
    method: &'static str,
    b: &[Vec<f64>],
    mut solve: impl FnMut(Settings, &[f64], &mut [f64]) -> Result<Report>,
) -> Result<(Outcome, Vec<f64>)> {
    let mut outcome = Outcome { method, history: Vec::new(), iterations: [0; 2], seconds: 0.0 };
    let mut x = Vec::new();
    for (side, b) in b.iter().enumerate() {
        for (i, tol) in TOLERANCES.into_iter().enumerate() {
            let mut here = vec![0.0; b.len()];
            let (report, seconds) = timed(|| solve(Settings::tol(tol), b, &mut here)?.ok())?;
            outcome.iterations[i] = outcome.iterations[i].max(report.iterations);
            if i == 1 {
                outcome.seconds += seconds;
                if side == 0 {
                    outcome.history = report.residuals.iter().map(|r| r / report.scale).collect();
                    x = here;
                }
            }
        }
    }
    outcome.seconds /= b.len() as f64;
    Ok((outcome, x))
}

/// CG, IC(0), geometric multigrid and smoothed aggregation.
fn classical(a: &StencilOperator<f64>, b: &[Vec<f64>]) -> Result<Vec<Outcome>> {
    let n = a.grid().len();
    let csr = a.to_csr();
    let mut preconditioners: Vec<(&'static str, Box<dyn Preconditioner<f64>>)> = vec![
        ("CG", Box::new(Identity(n))),
        ("IC(0)-CG", Box::new(IncompleteCholesky::new(&csr)?)),
        ("SA-AMG-CG", Box::new(SmoothedAggregation::default().build(csr.clone())?)),
    ];
    if a.is_constant() {
        preconditioners.push(("MG-CG", Box::new(Geometric::symmetric().build(a.clone())?)));
    }
    let run = |(method, m): (&'static str, Box<dyn Preconditioner<f64>>)| {
        let mut m = m;
        Ok(measure(method, b, |settings, b, x| Cg::new(n, settings)?.solve(a, &mut m, b, x))?.0)
    };
    preconditioners.into_iter().map(run).collect()
}

/// The network in f32 inside the iteration in f64, safeguarded by Jacobi (a multiple of the identity).
fn learned(
    (net, theta): (&DirectionNet, &[f32]),
    (a, mask): (&StencilOperator<f64>, Option<&Mask>),
    b: &[Vec<f64>],
    (method, window): (&'static str, usize),
    solution: &mut Vec<f64>,
) -> Result<Outcome> {
    let n = a.grid().len();
    let mut proposer = Proposer::new(net, a.grid().extents(), theta.to_vec())?;
    if let Some(mask) = mask {
        proposer = proposer.with_mask(mask)?;
    }
    let mut proposer = Narrow::new(proposer);
    let mut warnings = Vec::new();
    let (outcome, x) = measure(method, b, |settings, b, x| {
        let mut cg = GuardedCg::new(n, settings, window)?;
        let (report, guidance) = cg.solve(a, (&mut proposer, &mut Identity(n)), b, x)?;
        warnings.extend(guidance.warning());
        Ok(report)
    })?;
    if let Some(first) = warnings.first() {
        eprintln!("{method} on {:?}: {first}", &a.grid().extents()[..net.dim()]);
    }
    *solution = x;
    Ok(outcome)
}
