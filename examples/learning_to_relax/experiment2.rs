//! The heat equation with a diffusion that changes in time: Crank–Nicolson steps, SSOR-PCG.
//!
//! nx intervals a side, so (nx − 1)² unknowns: plain CG then takes the published count exactly.

use crate::common::{Row, Session, Table, timed};
use crate::experiment1::Totals;
use odeon::Result;
use odeon::linalg::grid::{Grid, StencilOperator};
use odeon::linalg::krylov::{Cg, Matrix};
use odeon::linalg::{Csr, Identity, LinearOperator, LinearSolver, Settings, model};
use odeon::operator::sor_bandit::{
    Binned, ChebCb, Fixed, Guided, Interval, Policy, Surface, TsallisInf, TunedSolver, omega_grid,
};
use std::f64::consts::PI;

const GRID: usize = 20;
const DT: f64 = 1e-3;
/// Factor of the safe budget.
const BUDGET: f64 = 16.0;

/// exp(1 − 1/(1 − min(1, |x − c|²/r²))).
fn bump(x: [f64; 2], c: [f64; 2], r: f64) -> f64 {
    let s = ((x[0] - c[0]).powi(2) + (x[1] - c[1]).powi(2)) / (r * r);
    if s < 1.0 { (1.0 - 1.0 / (1.0 - s)).exp() } else { 0.0 }
}

fn kappa(t: f64) -> f64 {
    let s = (2.0 * PI * t).sin();
    (0.1 * s).max(-10.0 * s)
}

/// What the systems are kept as.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Stencil,
    Matrix,
}

/// The equation on m × m interior points.
struct Heat {
    m: usize,
    form: Form,
    laplacian: StencilOperator<f64>,
    assembled: Csr<f64>,
    u: Vec<f64>,
    b: Vec<f64>,
}

impl Heat {
    fn new(nx: usize, form: Form) -> Result<Self> {
        let m = nx - 1;
        let laplacian = model::poisson(Grid::vertices(&[m, m], &[1.0; 2])?)?;
        let assembled = laplacian.to_csr();
        let mut heat = Self { m, form, laplacian, assembled, u: Vec::new(), b: vec![0.0; m * m] };
        heat.u = heat.field(|x| bump(x, [0.5, 0.5], 0.25));
        Ok(heat)
    }

    fn field(&self, f: impl Fn([f64; 2]) -> f64) -> Vec<f64> {
        let h = 1.0 / (self.m + 1) as f64;
        let point = |k: usize| [(k % self.m + 1) as f64 * h, (k / self.m + 1) as f64 * h];
        (0..self.m * self.m).map(|k| f(point(k))).collect()
    }

    /// I + scale (−h²Δ_h).
    fn shifted(&self, scale: f64) -> Result<Matrix<f64>> {
        if self.form == Form::Stencil {
            return Ok(self.laplacian.clone().affine(scale, 1.0)?.into());
        }
        let mut system = self.assembled.clone();
        for i in 0..system.rows() {
            for place in system.row_starts()[i]..system.row_starts()[i + 1] {
                let diagonal = system.columns()[place] as usize == i;
                let value = &mut system.values_mut()[place];
                *value = f64::from(diagonal) + scale * *value;
            }
        }
        Ok(system.into())
    }

    /// The system of step n: returns A = I − ½κ dt Δ_h and leaves (2I − A)u + dt f in `b`.
    fn prepare(&mut self, n: usize) -> Result<Matrix<f64>> {
        let t = (n as f64 + 0.5) * DT;
        let h = 1.0 / (self.m + 1) as f64;
        let system = self.shifted(0.5 * kappa(t) * DT / (h * h))?;
        system.apply(&self.u, &mut self.b);
        let angle = 16.0 * PI * t;
        let source =
            self.field(|x| 32.0 * bump(x, [0.5 + angle.cos() / 4.0, 0.5 + angle.sin() / 4.0], 0.125));
        for ((b, u), f) in self.b.iter_mut().zip(&self.u).zip(source) {
            *b = 2.0 * u - *b + DT * f;
        }
        Ok(system)
    }
}

/// Iterations and seconds of the solver in every step, set-up and learning included.
#[derive(Clone, Default)]
struct Run {
    iterations: Vec<f64>,
    seconds: Vec<f64>,
    /// CPU seconds of the whole run less those of preparing its systems; NaN where the system does not tell.
    cpu: f64,
}

/// CPU seconds of this process's first thread, which all of this runs on (Linux).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok());
    nanoseconds.map_or(f64::NAN, |ns| 1e-9 * ns)
}

/// What `work` takes of it.
fn on_cpu<R>(work: impl FnOnce() -> Result<R>) -> Result<(R, f64)> {
    let before = cpu_seconds();
    let done = work()?;
    Ok((done, cpu_seconds() - before))
}

/// The systems and right-hand sides alone.
fn prepare_all(nx: usize, steps: usize, form: Form) -> Result<f64> {
    let prepare = || {
        let mut heat = Heat::new(nx, form)?;
        (0..steps).try_for_each(|n| heat.prepare(n).map(|_| ()))
    };
    Ok(on_cpu(prepare)?.1)
}

impl Run {
    fn total(&self) -> f64 {
        self.iterations.iter().sum()
    }

    fn time(&self) -> f64 {
        self.seconds.iter().sum()
    }

    /// The same run again: the shorter time of each step, for machines that do other work.
    fn merge(&mut self, again: &Self) {
        self.seconds.iter_mut().zip(&again.seconds).for_each(|(s, t)| *s = s.min(*t));
        self.cpu = self.cpu.min(again.cpu);
    }
}

fn plain(nx: usize, steps: usize, form: Form) -> Result<Run> {
    let mut heat = Heat::new(nx, form)?;
    let unknowns = heat.u.len();
    let mut cg = Cg::new(unknowns, Settings::tol(1e-8))?;
    let mut run = Run::default();
    for n in 0..steps {
        let system = heat.prepare(n)?;
        let Heat { b, u, .. } = &mut heat;
        // The form is not looked up in every product.
        let (report, seconds) = timed(|| match &system {
            Matrix::Csr(a) => cg.solve(a, &mut Identity(unknowns), b, u),
            Matrix::Stencil(a) => cg.solve(a, &mut Identity(unknowns), b, u),
        })?;
        run.seconds.push(seconds);
        run.iterations.push(report.ok()?.iterations as f64);
    }
    Ok(run)
}

/// SSOR-PCG under a policy that sees `context(κ)`.
fn tuned<P: Policy>(
    (nx, steps, form): (usize, usize, Form),
    omegas: &[f64],
    policy: P,
    context: impl Fn(f64) -> f64,
) -> Result<Run> {
    let mut heat = Heat::new(nx, form)?;
    let solver = TunedSolver::new(heat.prepare(0)?, omegas.to_vec(), policy, Settings::tol(1e-8))?;
    // The first step, the yardstick of the budget, is far easier than those of large κ.
    let mut solver = solver.budget(BUDGET)?;
    let mut run = Run::default();
    for n in 0..steps {
        let system = heat.prepare(n)?;
        let Heat { b, u, .. } = &mut heat;
        let before = solver.lanczos_steps();
        let (report, seconds) = timed(|| {
            let context = context(kappa(n as f64 * DT));
            match system {
                Matrix::Csr(a) => solver.refill(a.values(), context)?,
                stencil => solver.set_matrix(stencil, context)?,
            }
            solver.solve(b, u)
        })?;
        run.seconds.push(seconds);
        // Estimates of β count as iterations.
        run.iterations.push((report.ok()?.iterations + solver.lanczos_steps() - before) as f64);
    }
    Ok(run)
}

/// One of the methods that are compared.
struct Method<'a> {
    name: String,
    form: Form,
    run: Box<dyn Fn() -> Result<Run> + 'a>,
}

pub fn run(session: &mut Session, rounds: usize, nx: usize, repeats: usize, arms: usize) -> Result<()> {
    session.say(format!(
        "heat equation, {nx} × {nx} points, {rounds} Crank–Nicolson steps, SSOR-PCG to 1e-8; seconds are the solver's, \
         learning included: of wall time the least of {repeats} alternating runs in each step, of the CPU the least of \
         their totals; ratios are those of CPU seconds"
    ))?;
    let grid = omega_grid(GRID)?;
    let fine = omega_grid(96)?;
    let interval = Interval::new(0.0, 10.0)?;
    let seed = session.common.seed;
    let size = (nx, rounds, Form::Stencil);
    let same = |kappa: f64| kappa;
    // Half of the steps have κ ≤ 0.1: the logarithm of κ dt/h² tells them apart.
    let cells = DT * (nx * nx) as f64;
    let scaled = move |kappa: f64| (kappa * cells).max(1e-3).log10();
    let range = Interval::new(-3.0, (10.0 * cells).log10())?;
    // β is linear in r/(1 + r), r the ratio of the implicit part's diagonal to one.
    let share = move |kappa: f64| 1.0 - 1.0 / (1.0 + 2.0 * cells * kappa.max(0.0));
    let shares = Interval::new(0.0, 1.0)?;
    let (grid, fine) = (&grid[..], &fine[..]);
    let mut methods: Vec<Method> = Vec::new();
    let mut add = |name: String, run: Box<dyn Fn() -> Result<Run>>| {
        let form = if name.contains("matrix") { Form::Matrix } else { Form::Stencil };
        methods.push(Method { name, form, run });
    };
    add("CG, matrix".into(), Box::new(move || plain(nx, rounds, Form::Matrix)));
    add("CG, stencil".into(), Box::new(move || plain(nx, rounds, Form::Stencil)));
    for (arm, omega) in grid.iter().enumerate() {
        if arm % GRID.div_ceil(arms) == 0 {
            let play = move || tuned(size, grid, Fixed::new(GRID, arm)?, same);
            add(format!("ω = {omega:.2}"), Box::new(play));
        }
    }
    add("Tsallis-INF".into(), Box::new(move || tuned(size, grid, TsallisInf::new(GRID, seed)?, same)));
    add(
        "Tsallis-INF-CB".into(),
        Box::new(move || tuned(size, grid, Binned::new(GRID, interval, 6, seed)?, same)),
    );
    add("ChebCB".into(), Box::new(move || tuned(size, grid, ChebCb::new(GRID, interval, 6, seed)?, same)));
    add("guided".into(), Box::new(move || tuned(size, fine, Guided::new(fine, shares)?, share)));
    add("surface".into(), Box::new(move || tuned(size, fine, Surface::new(fine, range, [8, 5])?, scaled)));
    let by_rows = (nx, rounds, Form::Matrix);
    add("guided, matrix".into(), Box::new(move || tuned(by_rows, fine, Guided::new(fine, shares)?, share)));
    let mut runs: Vec<Run> = Vec::new();
    for repeat in 0..repeats {
        let stencils = prepare_all(nx, rounds, Form::Stencil)?;
        let matrices = prepare_all(nx, rounds, Form::Matrix)?;
        for (k, method) in methods.iter().enumerate() {
            let (mut run, cpu) = on_cpu(&method.run)?;
            run.cpu = cpu - if method.form == Form::Matrix { matrices } else { stencils };
            if repeat == 0 {
                runs.push(run);
            } else {
                runs[k].merge(&run);
            }
        }
    }
    let rows = methods.into_iter().map(|method| method.name).zip(runs).collect();
    report(session, rows)
}

/// The least of the fixed arms in every step; their solutions agree to the tolerance. CPU seconds of single steps are
/// not known.
fn instance_optimal(rows: &[(String, Run)]) -> Run {
    let mut best = Run::default();
    for (_, run) in rows.iter().filter(|r| r.0.starts_with('ω')) {
        if best.iterations.is_empty() {
            best = run.clone();
        }
        best.merge(run);
        best.iterations.iter_mut().zip(&run.iterations).for_each(|(s, t)| *s = s.min(*t));
    }
    best.cpu = f64::NAN;
    best
}

fn report(session: &mut Session, mut rows: Vec<(String, Run)>) -> Result<()> {
    let optimal = instance_optimal(&rows);
    rows.push(("best arm of each step".into(), optimal));
    let least = |of: fn(&Run) -> f64| {
        let fixed = rows.iter().filter(|r| r.0.starts_with('ω'));
        fixed.min_by(|a, b| of(&a.1).total_cmp(&of(&b.1))).map(|r| r.0.clone()).unwrap_or_default()
    };
    let [by_iterations, by_seconds] = [least(Run::total), least(|run| run.cpu)];
    let time = |name: &str| rows.iter().find(|r| r.0 == name).map_or(f64::NAN, |r| r.1.cpu);
    let [matrix, stencil, fixed] = [time("CG, matrix"), time("CG, stencil"), time(&by_seconds)];
    let head =
        ["method", "iterations", "seconds", "CPU seconds", "× CG, matrix", "× CG, stencil", "× best fixed ω"];
    let mut table = Table::new(&head);
    let mut kept = Vec::new();
    for (name, run) in rows {
        let mut shown = name.clone();
        if name == by_iterations {
            shown += " (fewest iterations)";
        }
        if name == by_seconds {
            shown += " (fewest seconds)";
        }
        let (total, seconds) = (run.total(), run.time());
        let ratio = |other: f64| format!("{:.2}", run.cpu / other);
        let [seconds_shown, cpu_shown] = [seconds, run.cpu].map(|s| format!("{s:.3}"));
        table.row([
            shown.clone(),
            format!("{total:.0}"),
            seconds_shown,
            cpu_shown,
            ratio(matrix),
            ratio(stencil),
            ratio(fixed),
        ]);
        session.record(Row {
            method: shown.clone(),
            seed: session.common.seed,
            loss: Some(total),
            predict_s: seconds,
            ..Row::default()
        });
        let is_best = name == by_iterations;
        if !name.starts_with('ω') || is_best {
            let name = if is_best { format!("{name} (best fixed)") } else { name };
            kept.push(Totals { name, totals: vec![total], running: run.iterations });
        }
    }
    session.say(format!("\n{table}"))?;
    let names: Vec<String> = kept.iter().map(|r| r.name.replace(',', "")).collect();
    let columns: Vec<(&str, &[f64])> =
        names.iter().zip(&kept).map(|(name, r)| (name.as_str(), &r.running[..])).collect();
    session.curves("heat", &columns)?;
    #[cfg(feature = "plot")]
    {
        // One row for each count.
        kept.retain(|r| !["CG, stencil", "guided, matrix"].contains(&r.name.as_str()));
        crate::pictures::heat(session, &kept, kappa, DT)?;
    }
    Ok(())
}
