//! The learned linear preconditioner against classical ones, in seconds.

use crate::common::{Row, Session, Table, timed};
use crate::{problems, training};
use odeon::linalg::grid::{Grid, StencilOperator};
use odeon::linalg::krylov::{Cg, Narrow};
use odeon::linalg::multigrid::{Geometric, SmoothedAggregation};
use odeon::linalg::precondition::{IncompleteCholesky, Ssor};
use odeon::linalg::{Csr, Preconditioner, Settings, model};
use odeon::num::Real;
use odeon::operator::directions::{DirectionNet, LearnedPreconditioner};
use odeon::{Error, Result};
use std::path::PathBuf;

/// What the preconditioners are learned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    /// Diffusion 100 times as strong along 30° as across.
    Anisotropic,
    /// Coefficients 1 and 1000 on the fields of a 4 × 4 chessboard.
    Jump,
}

impl System {
    fn name(self) -> &'static str {
        match self {
            Self::Anisotropic => "anisotropic",
            Self::Jump => "jump",
        }
    }

    fn operator<T: Real>(self, grid: Grid) -> Result<StencilOperator<T>> {
        match self {
            Self::Anisotropic => model::rotated_anisotropic(grid, 0.01, std::f64::consts::PI / 6.0),
            Self::Jump => {
                let field = (grid.extents()[0] + 1) as f64 / 4.0;
                model::diffusion(grid, |[x, y, _]| {
                    let odd = ((x / field) as usize + (y / field) as usize) % 2 == 1;
                    if odd { 1e3 } else { 1.0 }
                })
            }
        }
    }
}

/// The network of both systems.
fn network() -> Result<DirectionNet> {
    DirectionNet::symmetric(2, 4, 5)
}

/// Sets up a preconditioner.
type Setup<'a> = Box<dyn Fn() -> Result<Box<dyn Preconditioner<f64>>> + 'a>;

fn classical<'a>(a: &'a StencilOperator<f64>, csr: &'a Csr<f64>) -> Vec<(&'static str, Setup<'a>)> {
    vec![
        ("IC(0)-CG", Box::new(|| Ok(Box::new(IncompleteCholesky::new(csr)?)))),
        ("SSOR-CG, ω = 1.5", Box::new(|| Ok(Box::new(Ssor::new(csr, 1.5)?)))),
        ("MG-CG", Box::new(|| Ok(Box::new(Geometric::symmetric().build(a.clone())?)))),
        ("SA-AMG-CG", Box::new(|| Ok(Box::new(SmoothedAggregation::default().build(csr.clone())?)))),
    ]
}

/// Both systems on n × n points, `sides` right-hand sides to 1e-8, set-up included.
pub fn run(session: &mut Session, n: usize, sides: u32, steps: Option<u64>) -> Result<()> {
    let net = network()?;
    let seed = session.common.seed;
    let mut table = Table::new(&["system", "method", "set-up (ms)", "iterations", "all (ms)"]);
    for system in [System::Anisotropic, System::Jump] {
        let name = system.name();
        let theta = match steps {
            Some(steps) => {
                let a = system.operator::<f32>(problems::grid(2, 64)?)?;
                let (theta, losses) = training::train_linear(session, &net, &a, steps, seed)?;
                let path = session.path(&format!("{name}.safetensors"));
                net.save(&path, &theta)?;
                session.wrote(&path);
                session.curves(&format!("{name}_loss"), &[("loss", &losses)])?;
                theta
            }
            None => {
                let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/dcdm");
                net.load::<f32>(data.join(format!("{name}.safetensors")))?
            }
        };
        let grid = problems::grid(2, n)?;
        let a = system.operator::<f64>(grid)?;
        let (csr, narrow) = (a.to_csr(), system.operator::<f32>(grid)?);
        let mut methods = classical(&a, &csr);
        let learned = || -> Result<Box<dyn Preconditioner<f64>>> {
            let m = LearnedPreconditioner::new(&net, grid.extents(), theta.clone(), &narrow)?;
            Ok(Box::new(Narrow::new(m)))
        };
        methods.push(("learned", Box::new(learned)));
        for (method, setup) in methods {
            let (mut m, setup_s) = match timed(&setup) {
                Ok(done) => done,
                Err(reason) => {
                    session.say(format!("{name}, {method}: {reason}"))?;
                    continue;
                }
            };
            let (mut most, mut failed) = (0, None);
            let (_, solve_s) = timed(|| {
                let mut cg = Cg::new(grid.len(), Settings::tol(1e-8).max_iterations(1000))?;
                for side in 0..sides {
                    let b = problems::right_hand_side(&grid, None, 100 + seed, side);
                    let mut x = vec![0.0; b.len()];
                    let report = cg.solve(&a, &mut m, &b, &mut x)?;
                    failed = failed.or((!report.converged()).then_some(report.outcome));
                    most = most.max(report.iterations);
                    if failed.is_some() {
                        break;
                    }
                }
                Ok::<(), Error>(())
            })?;
            if let Some(outcome) = failed {
                session.say(format!("{name}, {method}: {outcome:?}"))?;
                continue;
            }
            let cells = [1e3 * setup_s, 1e3 * (setup_s + solve_s)].map(|ms| format!("{ms:.0}"));
            let [setup, all] = cells;
            table.row([name.to_string(), method.to_string(), setup, most.to_string(), all]);
            session.record(Row {
                method: format!("{name} {n}², {method}"),
                seed,
                nfe: most,
                predict_s: setup_s + solve_s,
                ..Row::default()
            });
        }
    }
    session.say(format!("\n{sides} right-hand sides on {n} × {n} points, to 1e-8\n{table}"))
}
