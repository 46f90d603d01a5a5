//! The heat equation with a diffusion that changes in time: Crank–Nicolson steps, SSOR-PCG.

use crate::common::{Row, Session, Table, timed};
use crate::experiment1::Totals;
use odeon::linalg::krylov::Cg;
use odeon::linalg::{Csr, Identity, LinearOperator, LinearSolver, Settings, model};
use odeon::operator::sor_bandit::{
    Binned, ChebCb, Fixed, Interval, Policy, Surface, TsallisInf, TunedSolver, omega_grid,
};
use odeon::Result;
use std::f64::consts::PI;

const GRID: usize = 20;
const DT: f64 = 1e-3;

/// exp(1 − 1/(1 − min(1, |x − c|²/r²))).
fn bump(x: [f64; 2], c: [f64; 2], r: f64) -> f64 {
    let s = ((x[0] - c[0]).powi(2) + (x[1] - c[1]).powi(2)) / (r * r);
    if s < 1.0 { (1.0 - 1.0 / (1.0 - s)).exp() } else { 0.0 }
}

fn kappa(t: f64) -> f64 {
    let s = (2.0 * PI * t).sin();
    (0.1 * s).max(-10.0 * s)
}

/// The equation on nx × nx interior points.
struct Heat {
    nx: usize,
    laplacian: Csr<f64>,
    u: Vec<f64>,
    b: Vec<f64>,
    system: Csr<f64>,
}

impl Heat {
    fn new(nx: usize) -> Result<Self> {
        let laplacian = model::poisson_2d::<f64>([nx, nx])?;
        let mut heat = Self { nx, system: laplacian.clone(), laplacian, u: Vec::new(), b: vec![0.0; nx * nx] };
        heat.u = heat.field(|x| bump(x, [0.5, 0.5], 0.25));
        Ok(heat)
    }

    fn field(&self, f: impl Fn([f64; 2]) -> f64) -> Vec<f64> {
        let h = 1.0 / (self.nx + 1) as f64;
        let point = |k: usize| [(k % self.nx + 1) as f64 * h, (k / self.nx + 1) as f64 * h];
        (0..self.nx * self.nx).map(|k| f(point(k))).collect()
    }

    /// I + scale (−h²Δ_h) into `system`.
    fn shift(&mut self, scale: f64) {
        let values = self.laplacian.values();
        for i in 0..self.laplacian.rows() {
            for place in self.laplacian.row_starts()[i]..self.laplacian.row_starts()[i + 1] {
                let unit = f64::from(self.laplacian.columns()[place] as usize == i);
                self.system.values_mut()[place] = unit + scale * values[place];
            }
        }
    }

    /// The system of step n: A = I − ½κ dt Δ_h in `system`, (2I − A)u + dt f in `b`.
    fn prepare(&mut self, n: usize) {
        let t = (n as f64 + 0.5) * DT;
        let h = 1.0 / (self.nx + 1) as f64;
        self.shift(0.5 * kappa(t) * DT / (h * h));
        self.system.apply(&self.u, &mut self.b);
        let angle = 16.0 * PI * t;
        let source = self.field(|x| 32.0 * bump(x, [0.5 + angle.cos() / 4.0, 0.5 + angle.sin() / 4.0], 0.125));
        for ((b, u), f) in self.b.iter_mut().zip(&self.u).zip(source) {
            *b = 2.0 * u - *b + DT * f;
        }
    }
}

/// Iterations of every step, and the seconds of the solves alone.
fn plain(nx: usize, steps: usize) -> Result<(Vec<f64>, f64)> {
    let mut heat = Heat::new(nx)?;
    let mut cg = Cg::new(nx * nx, Settings::tol(1e-8))?;
    let mut solver_s = 0.0;
    let mut costs = Vec::with_capacity(steps);
    for n in 0..steps {
        heat.prepare(n);
        let mut identity = Identity(nx * nx);
        let Heat { system, b, u, .. } = &mut heat;
        let (report, seconds) = timed(|| cg.solve(&*system, &mut identity, b, u))?;
        solver_s += seconds;
        costs.push(report.ok()?.iterations as f64);
    }
    Ok((costs, solver_s))
}

/// The same with SSOR-PCG under a policy, set-up and learning included in the seconds.
fn tuned<P: Policy>(nx: usize, steps: usize, omegas: &[f64], policy: P) -> Result<(Vec<f64>, f64)> {
    let mut heat = Heat::new(nx)?;
    heat.prepare(0);
    let mut solver = TunedSolver::new(heat.system.clone(), omegas.to_vec(), policy, Settings::tol(1e-8))?;
    let mut solver_s = 0.0;
    let mut costs = Vec::with_capacity(steps);
    for n in 0..steps {
        heat.prepare(n);
        let Heat { system, b, u, .. } = &mut heat;
        let (report, seconds) = timed(|| {
            solver.refill(system.values(), kappa(n as f64 * DT))?;
            solver.solve(b, u)
        })?;
        solver_s += seconds;
        costs.push(report.ok()?.iterations as f64);
    }
    Ok((costs, solver_s))
}

pub fn run(session: &mut Session, rounds: usize, nx: usize) -> Result<()> {
    session.say(format!("heat equation, {nx} × {nx} points, {rounds} Crank–Nicolson steps, SSOR-PCG to 1e-8"))?;
    let grid = omega_grid(GRID)?;
    let fine = omega_grid(96)?;
    let interval = Interval::new(0.0, 10.0)?;
    let seed = session.common.seed;
    let mut rows: Vec<(String, Vec<f64>, f64)> = Vec::new();
    let mut add = |name: &str, run: Result<(Vec<f64>, f64)>| -> Result<()> {
        let (costs, seconds) = run?;
        rows.push((name.into(), costs, seconds));
        Ok(())
    };
    add("CG", plain(nx, rounds))?;
    for arm in 0..GRID {
        let name = format!("ω = {:.2}", grid[arm]);
        add(&name, tuned(nx, rounds, &grid, Fixed::new(GRID, arm)?))?;
    }
    add("Tsallis-INF", tuned(nx, rounds, &grid, TsallisInf::new(GRID, seed)?))?;
    add("Tsallis-INF-CB", tuned(nx, rounds, &grid, Binned::new(GRID, interval, 6, seed)?))?;
    add("ChebCB", tuned(nx, rounds, &grid, ChebCb::new(GRID, interval, 6, seed)?))?;
    add("surface", tuned(nx, rounds, &fine, Surface::new(&fine, interval, [6, 4])?.optimism(0.5)?))?;
    // The least of the fixed arms in every step; their solutions agree to the tolerance.
    let least = (0..rounds).map(|t| rows[1..=GRID].iter().map(|r| r.1[t]).fold(f64::INFINITY, f64::min));
    let least: Vec<f64> = least.collect();
    rows.push(("best arm of each step".into(), least, f64::NAN));
    report(session, rows)
}

fn report(session: &mut Session, rows: Vec<(String, Vec<f64>, f64)>) -> Result<()> {
    let total = |r: &(String, Vec<f64>, f64)| r.1.iter().sum::<f64>();
    let best = rows[1..=GRID].iter().min_by(|a, b| total(a).total_cmp(&total(b))).map(|r| r.0.clone());
    let mut table = Table::new(&["method", "total iterations", "solver seconds"]);
    let mut kept = Vec::new();
    for row in rows {
        let is_best = Some(&row.0) == best.as_ref();
        let shown = !row.0.starts_with('ω') || is_best || ["1.00", "1.30", "1.50", "1.75", "1.95"].iter().any(|w| row.0.ends_with(w));
        if !shown {
            continue;
        }
        let (name, costs, seconds) = row;
        let sum: f64 = costs.iter().sum();
        let name = if is_best { format!("{name} (best fixed)") } else { name };
        table.row([name.clone(), format!("{sum:.0}"), format!("{seconds:.3}")]);
        session.record(Row {
            method: name.clone(),
            seed: session.common.seed,
            loss: Some(sum),
            predict_s: seconds,
            ..Row::default()
        });
        kept.push(Totals { name, totals: vec![sum], running: costs });
    }
    session.say(format!("\n{table}"))?;
    let columns: Vec<(&str, &[f64])> = kept.iter().map(|r| (r.name.as_str(), &r.running[..])).collect();
    session.curves("heat", &columns)?;
    #[cfg(feature = "plot")]
    crate::pictures::heat(session, &kept, kappa, DT)?;
    Ok(())
}
