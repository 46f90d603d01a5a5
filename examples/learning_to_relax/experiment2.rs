//! The heat equation with a diffusion that changes in time: Crank–Nicolson steps, SSOR-PCG.
//!
//! nx intervals a side, so (nx − 1)² unknowns: plain CG then takes the published count exactly.

use crate::common::{Row, Session, Table, timed};
use crate::experiment1::Totals;
use odeon::Result;
use odeon::linalg::krylov::Cg;
use odeon::linalg::{Csr, Identity, LinearOperator, LinearSolver, Settings, model};
use odeon::operator::sor_bandit::{
    Binned, ChebCb, Fixed, Guided, Interval, Policy, Surface, TsallisInf, TunedSolver, omega_grid,
};
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

/// The equation on m × m interior points.
struct Heat {
    m: usize,
    laplacian: Csr<f64>,
    u: Vec<f64>,
    b: Vec<f64>,
    system: Csr<f64>,
}

impl Heat {
    fn new(nx: usize) -> Result<Self> {
        let m = nx - 1;
        let laplacian = model::poisson_2d::<f64>([m, m])?;
        let mut heat = Self { m, system: laplacian.clone(), laplacian, u: Vec::new(), b: vec![0.0; m * m] };
        heat.u = heat.field(|x| bump(x, [0.5, 0.5], 0.25));
        Ok(heat)
    }

    fn field(&self, f: impl Fn([f64; 2]) -> f64) -> Vec<f64> {
        let h = 1.0 / (self.m + 1) as f64;
        let point = |k: usize| [(k % self.m + 1) as f64 * h, (k / self.m + 1) as f64 * h];
        (0..self.m * self.m).map(|k| f(point(k))).collect()
    }

    /// I + scale (−h²Δ_h) into `system`.
    fn shift(&mut self, scale: f64) {
        let Self { laplacian, system, .. } = self;
        let starts = laplacian.row_starts();
        let entries = laplacian.columns().iter().zip(laplacian.values()).zip(system.values_mut());
        for (place, ((column, value), entry)) in entries.enumerate() {
            let diagonal = (starts[*column as usize]..starts[*column as usize + 1]).contains(&place);
            *entry = f64::from(diagonal) + scale * value;
        }
    }

    /// The system of step n: A = I − ½κ dt Δ_h in `system`, (2I − A)u + dt f in `b`.
    fn prepare(&mut self, n: usize) {
        let t = (n as f64 + 0.5) * DT;
        let h = 1.0 / (self.m + 1) as f64;
        self.shift(0.5 * kappa(t) * DT / (h * h));
        self.system.apply(&self.u, &mut self.b);
        let angle = 16.0 * PI * t;
        let source =
            self.field(|x| 32.0 * bump(x, [0.5 + angle.cos() / 4.0, 0.5 + angle.sin() / 4.0], 0.125));
        for ((b, u), f) in self.b.iter_mut().zip(&self.u).zip(source) {
            *b = 2.0 * u - *b + DT * f;
        }
    }
}

/// Iterations of every step, and the seconds of the solves alone.
fn plain(nx: usize, steps: usize) -> Result<(Vec<f64>, f64)> {
    let mut heat = Heat::new(nx)?;
    let unknowns = heat.u.len();
    let mut cg = Cg::new(unknowns, Settings::tol(1e-8))?;
    let mut solver_s = 0.0;
    let mut costs = Vec::with_capacity(steps);
    for n in 0..steps {
        heat.prepare(n);
        let mut identity = Identity(unknowns);
        let Heat { system, b, u, .. } = &mut heat;
        let (report, seconds) = timed(|| cg.solve(&*system, &mut identity, b, u))?;
        solver_s += seconds;
        costs.push(report.ok()?.iterations as f64);
    }
    Ok((costs, solver_s))
}

/// The same with SSOR-PCG under a policy that sees `context(κ)`, set-up and learning included in the seconds.
fn tuned<P: Policy>(
    [nx, steps]: [usize; 2],
    omegas: &[f64],
    policy: P,
    context: impl Fn(f64) -> f64,
) -> Result<(Vec<f64>, f64)> {
    let mut heat = Heat::new(nx)?;
    heat.prepare(0);
    let mut solver = TunedSolver::new(heat.system.clone(), omegas.to_vec(), policy, Settings::tol(1e-8))?;
    let mut solver_s = 0.0;
    let mut costs = Vec::with_capacity(steps);
    for n in 0..steps {
        heat.prepare(n);
        let Heat { system, b, u, .. } = &mut heat;
        let before = solver.lanczos_steps();
        let (report, seconds) = timed(|| {
            solver.refill(system.values(), context(kappa(n as f64 * DT)))?;
            solver.solve(b, u)
        })?;
        solver_s += seconds;
        // Estimates of β count as iterations.
        costs.push((report.ok()?.iterations + solver.lanczos_steps() - before) as f64);
    }
    Ok((costs, solver_s))
}

pub fn run(session: &mut Session, rounds: usize, nx: usize) -> Result<()> {
    session
        .say(format!("heat equation, {nx} × {nx} points, {rounds} Crank–Nicolson steps, SSOR-PCG to 1e-8"))?;
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
    let size = [nx, rounds];
    let same = |kappa: f64| kappa;
    for arm in 0..GRID {
        let name = format!("ω = {:.2}", grid[arm]);
        add(&name, tuned(size, &grid, Fixed::new(GRID, arm)?, same))?;
    }
    add("Tsallis-INF", tuned(size, &grid, TsallisInf::new(GRID, seed)?, same))?;
    add("Tsallis-INF-CB", tuned(size, &grid, Binned::new(GRID, interval, 6, seed)?, same))?;
    add("ChebCB", tuned(size, &grid, ChebCb::new(GRID, interval, 6, seed)?, same))?;
    // Half of the steps have κ ≤ 0.1: the logarithm of κ dt/h² tells them apart.
    let cells = DT * (nx * nx) as f64;
    let scaled = |kappa: f64| (kappa * cells).max(1e-3).log10();
    let range = Interval::new(-3.0, (10.0 * cells).log10())?;
    // β is linear in r/(1 + r), r the ratio of the implicit part's diagonal to one.
    let share = |kappa: f64| 1.0 - 1.0 / (1.0 + 2.0 * cells * kappa.max(0.0));
    let shares = Interval::new(0.0, 1.0)?;
    add("guided", tuned(size, &fine, Guided::new(&fine, shares)?, share))?;
    add("surface", tuned(size, &fine, Surface::new(&fine, range, [8, 5])?, scaled))?;
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
        let shown = !row.0.starts_with('ω')
            || is_best
            || ["1.00", "1.30", "1.50", "1.75", "1.95"].iter().any(|w| row.0.ends_with(w));
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
