//! The pressures of a plume of smoke: systems whose masks change from step to step.

use crate::common::{Row, Session, Table, timed};
use odeon::Result;
use odeon::linalg::grid::{Mask, StencilOperator};
use odeon::linalg::krylov::{Cg, GuardedCg, Narrow};
use odeon::linalg::multigrid::SmoothedAggregation;
use odeon::linalg::precondition::IncompleteCholesky;
use odeon::linalg::{Identity, Preconditioner, Settings};
use odeon::operator::directions::{DirectionNet, Proposer};
use odeon::operator::pde::Plume;

const TOLERANCE: f64 = 1e-4;
const STEP: f64 = 0.04;
const BUOYANCY: f64 = 6.0;
const WINDOW: usize = 2;
const METHODS: [&str; 4] = ["CG", "IC(0)-CG", "SA-AMG-CG", "learned, k=2"];

/// A disc or ball that swings through the plume.
fn obstacle([x, y, z]: [f64; 3], t: f64, dim: usize) -> bool {
    let (height, across) = if dim == 2 { (y, 0.5) } else { (z, y) };
    let centre = 0.5 + 0.25 * (1.5 * t).sin();
    ((x - centre).powi(2) + (height - 0.6).powi(2) + (across - 0.5).powi(2)).sqrt() < 0.13
}

/// Iterations of every step, seconds of all, set-up included.
struct Record {
    iterations: Vec<f64>,
    seconds: f64,
    refused: usize,
}

/// All methods solve each system of one flow, which goes on with the last one's answer.
pub fn run(
    session: &mut Session,
    net: (&DirectionNet, &[f32]),
    extents: &[usize],
    steps: usize,
) -> Result<()> {
    let dim = extents.len();
    let mut plume = Plume::new(extents, BUOYANCY, move |x, t| obstacle(x, t, dim))?;
    let empty = || Record { iterations: Vec::new(), seconds: 0.0, refused: 0 };
    let mut records: Vec<Record> = METHODS.iter().map(|_| empty()).collect();
    let mut shown = Vec::new();
    for step in 0..steps {
        plume.step(STEP, |a, mask, b, x| {
            let start = x.to_vec();
            for (method, record) in records.iter_mut().enumerate() {
                x.copy_from_slice(&start);
                let ((iterations, refused), seconds) = timed(|| solve(method, net, (a, mask), b, x))?;
                record.iterations.push(iterations as f64);
                record.seconds += seconds;
                record.refused += refused;
            }
            Ok(())
        })?;
        if [steps / 3, 2 * steps / 3, steps - 1].contains(&step) {
            shown.push((plume.time(), plume.density().to_vec(), plume.mask().solid().to_vec()));
        }
    }
    let mut table = Table::new(&[
        "method",
        "iterations, mean",
        "most",
        "refused proposals",
        "ms a step, set-up included",
    ]);
    for (name, record) in METHODS.iter().zip(&records) {
        let mean = record.iterations.iter().sum::<f64>() / steps as f64;
        let most = record.iterations.iter().copied().fold(0.0, f64::max);
        table.row([
            name.to_string(),
            format!("{mean:.1}"),
            format!("{most}"),
            record.refused.to_string(),
            format!("{:.2}", 1e3 * record.seconds / steps as f64),
        ]);
        session.record(Row {
            method: format!("smoke {extents:?}, {name}"),
            seed: session.common.seed,
            nfe: mean.round() as usize,
            accepted: most as usize,
            predict_s: record.seconds / steps as f64,
            ..Row::default()
        });
    }
    session.say(format!("{steps} steps on {extents:?} cells, pressures to {TOLERANCE:e}\n\n{table}"))?;
    let columns: Vec<(&str, &[f64])> =
        METHODS.iter().zip(&records).map(|(name, r)| (*name, &r.iterations[..])).collect();
    session.curves("smoke_iterations", &columns)?;
    #[cfg(feature = "plot")]
    draw(session, extents, &shown, &columns)?;
    #[cfg(not(feature = "plot"))]
    let _ = shown;
    Ok(())
}

/// Iterations and refused proposals of one method on one system.
fn solve(
    method: usize,
    (net, theta): (&DirectionNet, &[f32]),
    (a, mask): (&StencilOperator<f64>, &Mask),
    b: &[f64],
    x: &mut [f64],
) -> Result<(usize, usize)> {
    let (n, settings) = (b.len(), Settings::tol(TOLERANCE));
    if method == 3 {
        let proposer = Proposer::new(net, a.grid().extents(), theta.to_vec())?.with_mask(mask)?;
        let mut cg = GuardedCg::new(n, settings, WINDOW)?;
        let (report, guidance) = cg.solve(a, (&mut Narrow::new(proposer), &mut Identity(n)), b, x)?;
        return Ok((report.ok()?.iterations, guidance.refused()));
    }
    let mut m: Box<dyn Preconditioner<f64>> = match method {
        0 => Box::new(Identity(n)),
        1 => Box::new(IncompleteCholesky::new(&a.to_csr())?),
        _ => Box::new(SmoothedAggregation::default().build(a.to_csr())?),
    };
    Ok((Cg::new(n, settings)?.solve(a, &mut m, b, x)?.ok()?.iterations, 0))
}

/// The smoke at three times (in three dimensions its middle section), and the iterations of every step.
#[cfg(feature = "plot")]
fn draw(
    session: &mut Session,
    extents: &[usize],
    shown: &[(f64, Vec<f64>, Vec<bool>)],
    curves: &[(&str, &[f64])],
) -> Result<()> {
    use odeon::plot::{Figure, HeatMap, Panel};
    let (n, up) = (extents[0], extents[extents.len() - 1]);
    let mut figure = Figure::new(1500, 560)?.columns(shown.len() + 1);
    for (t, density, solid) in shown {
        let layer = if extents.len() == 2 { n } else { n * extents[1] };
        let middle = if extents.len() == 2 { 0 } else { extents[1] / 2 * n };
        let section = (0..up).flat_map(|k| (0..n).map(move |i| k * layer + middle + i));
        let values: Vec<f64> = section.map(|at| if solid[at] { f64::NAN } else { density[at] }).collect();
        let h = 1.0 / n as f64;
        let map = HeatMap::new(n, &values, (0.5 * h, 1.0 - 0.5 * h), (0.5 * h, (up as f64 - 0.5) * h))?;
        let mut panel = Panel::new(format!("Smoke at t = {t:.2}"));
        panel.x_label("x").y_label("height").heat_map(map.range(0.0, 1.0)?.label("density"))?;
        figure = figure.with(panel);
    }
    let mut panel = Panel::new("Iterations to 1e-4");
    panel.x_label("step").y_label("iterations").log_y();
    for (name, iterations) in curves {
        let steps: Vec<f64> = (1..=iterations.len()).map(|k| k as f64).collect();
        panel.line(&steps, iterations, *name)?;
    }
    session.picture("smoke", &figure.with(panel))
}
