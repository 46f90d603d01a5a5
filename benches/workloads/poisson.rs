//! W6: −Δ with unit spacing and Dirichlet ends, b ~ N(0, 1), x0 = 0, to a true relative residual of
//! 1e-6; set-up and solve together, as the peers' rows are.

use crate::Failure;
use crate::measure::{Clock, Facts};
use odeon::linalg::grid::{Grid, StencilOperator};
use odeon::linalg::krylov::{Cg, Narrow};
use odeon::linalg::multigrid::{Geometric, SmoothedAggregation};
use odeon::linalg::{Csr, Identity, LinearOperator, LinearSolver, Report, Settings, model};
use std::sync::Arc;

const RTOL: f64 = 1e-6;

/// Extents of a workload's grid.
fn extents(name: &str) -> Vec<usize> {
    match name {
        "poisson-2d-512" => vec![512; 2],
        "poisson-3d-64" => vec![64; 3],
        _ => vec![128; 3],
    }
}

/// The finaliser of SplitMix64 at count `i`, in (0, 1).
fn uniform(i: u64) -> f64 {
    let mut z = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    ((z >> 11) as f64 + 0.5) * f64::powi(2.0, -53)
}

/// b_i by Box and Muller from uniform numbers 2i and 2i + 1, as `benches/peers/workloads.py` draws it.
fn normal(i: usize) -> f64 {
    let [u, v] = [0, 1].map(|k| uniform(2 * i as u64 + k));
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// One way of solving: set-up included.
type Solve = fn(&StencilOperator<f64>, &Arc<Csr<f64>>, &[f64], &mut [f64]) -> odeon::Result<Report>;

fn amg(_: &StencilOperator<f64>, a: &Arc<Csr<f64>>, b: &[f64], x: &mut [f64]) -> odeon::Result<Report> {
    let mut amg = SmoothedAggregation::default().build(Arc::clone(a))?;
    Cg::new(b.len(), Settings::tol(RTOL))?.solve(a.as_ref(), &mut amg, b, x)
}

/// The hierarchy in `f32`, the iteration in `f64`.
fn amg_mixed(_: &StencilOperator<f64>, a: &Arc<Csr<f64>>, b: &[f64], x: &mut [f64]) -> odeon::Result<Report> {
    let mut amg = Narrow::new(SmoothedAggregation::default().build(a.cast::<f32>()?)?);
    Cg::new(b.len(), Settings::tol(RTOL))?.solve(a.as_ref(), &mut amg, b, x)
}

fn geometric(a: &StencilOperator<f64>, _: &Arc<Csr<f64>>, b: &[f64], x: &mut [f64]) -> odeon::Result<Report> {
    let defaults = Geometric::default();
    let settings = Settings { rtol: RTOL, ..defaults.settings };
    Geometric { settings, full: Some(1), ..defaults }.build(a.clone())?.solve(b, x)
}

fn cg(a: &StencilOperator<f64>, _: &Arc<Csr<f64>>, b: &[f64], x: &mut [f64]) -> odeon::Result<Report> {
    Cg::new(b.len(), Settings::tol(RTOL))?.solve(a, &mut Identity(b.len()), b, x)
}

fn cg_csr(_: &StencilOperator<f64>, a: &Arc<Csr<f64>>, b: &[f64], x: &mut [f64]) -> odeon::Result<Report> {
    Cg::new(b.len(), Settings::tol(RTOL))?.solve(a.as_ref(), &mut Identity(b.len()), b, x)
}

/// Times `variant` on `name`.
pub fn solve(name: &str, variant: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let extents = extents(name);
    let grid = Grid::vertices(&extents, &vec![1.0; extents.len()])?;
    let operator = model::poisson::<f64>(grid)?;
    let matrix = Arc::new(operator.to_csr());
    let n = matrix.rows();
    let b: Vec<f64> = (0..n).map(normal).collect();
    let solve: Solve = match variant {
        "amg" => amg,
        "amg-mixed" => amg_mixed,
        "geometric" => geometric,
        "cg" => cg,
        _ => cg_csr,
    };
    let mut x = vec![0.0; n];
    let mut report = None;
    let times = clock.time(|| {
        x.fill(0.0);
        report = Some(solve(&operator, &matrix, &b, &mut x)?.ok()?);
        Ok(())
    })?;
    let mut r = vec![0.0; n];
    LinearOperator::residual(matrix.as_ref(), &b, &x, &mut r);
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let facts = Facts {
        err_rel: Some(norm(&r) / norm(&b)),
        iterations: report.map(|r| r.iterations as f64),
        ..Facts::default()
    };
    Ok((times, facts))
}
