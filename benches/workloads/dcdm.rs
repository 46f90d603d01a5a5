//! Learned directions: −Δ with unit spacing and Dirichlet ends on 256² and 64³ points, b ~ N(0, 1), x0 = 0, to a
//! true relative residual of 1e-8; the solve alone, set-up apart. The network, of f32, was trained on 64² (32³).

use crate::Failure;
use crate::measure::{Clock, Facts};
use odeon::linalg::grid::Grid;
use odeon::linalg::krylov::{Cg, GuardedCg, Narrow};
use odeon::linalg::multigrid::{Geometric, SmoothedAggregation};
use odeon::linalg::precondition::IncompleteCholesky;
use odeon::linalg::{Identity, LinearOperator, Preconditioner, Settings, model};
use odeon::num::random::{at, normal_pair};
use odeon::operator::directions::{DirectionNet, Proposer};
use std::path::Path;

/// Times `variant` (`2d` or `3d`, a hyphen, the method).
pub fn run(variant: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let (dim, method) = variant.split_once("d-").ok_or("a variant is DIMd-METHOD")?;
    let dim: usize = dim.parse()?;
    let grid = Grid::vertices(&vec![if dim == 2 { 256 } else { 64 }; dim], &vec![1.0; dim])?;
    let n = grid.len();
    let a = model::poisson::<f64>(grid)?;
    let b: Vec<f64> = (0..n as u64).map(|i| normal_pair(at(1, i, 0)).0).collect();
    let mut x = vec![0.0; n];
    let settings = Settings::tol(1e-8);
    let (times, iterations) = if method == "learned" {
        let net = DirectionNet::self_similar(dim, if dim == 2 { 8 } else { 6 }, 0.2)?;
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dcdm");
        let theta = net.load::<f32>(data.join(format!("poisson_{dim}d.safetensors")))?;
        let mut proposer = Narrow::new(Proposer::new(&net, grid.extents(), theta)?);
        let mut cg = GuardedCg::new(n, settings, 2)?;
        let mut iterations = 0;
        let times = clock.time(|| {
            x.fill(0.0);
            let (report, _) = cg.solve(&a, (&mut proposer, &mut Identity(n)), &b, &mut x)?;
            iterations = report.ok()?.iterations;
            Ok(())
        })?;
        (times, iterations)
    } else {
        let csr = a.to_csr();
        let mut m: Box<dyn Preconditioner<f64>> = match method {
            "cg" => Box::new(Identity(n)),
            "ic0" => Box::new(IncompleteCholesky::new(&csr)?),
            "amg" => Box::new(SmoothedAggregation::default().build(csr)?),
            _ => Box::new(Geometric::symmetric().build(a.clone())?),
        };
        let mut cg = Cg::new(n, settings)?;
        let mut iterations = 0;
        let times = clock.time(|| {
            x.fill(0.0);
            iterations = cg.solve(&a, &mut m, &b, &mut x)?.ok()?.iterations;
            Ok(())
        })?;
        (times, iterations)
    };
    let mut r = vec![0.0; n];
    LinearOperator::residual(&a, &b, &x, &mut r);
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let facts =
        Facts { err_rel: Some(norm(&r) / norm(&b)), iterations: Some(iterations as f64), ..Facts::default() };
    Ok((times, facts))
}
