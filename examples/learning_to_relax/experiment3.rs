//! Allen–Cahn by an implicit integrator whose linear solver learns ω over the steps, from a cold start.

use crate::common::{Row, Session, Table, timed};
use odeon::dynamics::pde::{AllenCahn, Edge, MethodOfLines};
use odeon::integrate::{Options, Problem};
use odeon::linalg::{SequenceSolver, Settings};
use odeon::ode::implicit::{ImplicitOptions, LinearChoice, SequenceChoice};
use odeon::ode::sdirk::Kvaerno3;
use odeon::ode::solve;
use odeon::operator::sor_bandit::{
    ChebCb, Choice, Fixed, Guided, Interval, Policy, TsallisInf, TunedSolver, omega_grid,
};
use odeon::{Error, Result};
use std::f64::consts::PI;
use std::sync::{Arc, Mutex, PoisonError};

const GRID: usize = 20;
/// ε² and r.
const THETA: [f64; 2] = [0.05, 10.0];
const END: f64 = 2.0;

/// A solver that is looked at while the integrator owns it.
type Shared<P> = Arc<Mutex<TunedSolver<f64, P>>>;

/// Total iterations with estimates of β, seconds, and every choice.
type Outcome = (f64, f64, Vec<Choice>);

fn run_with<P: Policy + Clone + Send + Sync + 'static>(
    f: &MethodOfLines<AllenCahn>,
    y0: &[f64],
    omegas: &[f64],
    policy: P,
    context: impl Fn(f64) -> f64 + Copy + Send + Sync + 'static,
) -> Result<Outcome> {
    let kept: Arc<Mutex<Option<Shared<P>>>> = Arc::default();
    let (place, arms) = (kept.clone(), omegas.to_vec());
    let make = move |w: &odeon::linalg::Csr<f64>| {
        let solver = TunedSolver::new(w.clone(), arms.clone(), policy.clone(), Settings::tol(1e-8))?;
        let solver = Arc::new(Mutex::new(solver.context(context)));
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(solver.clone());
        Ok(Box::new(solver) as Box<dyn SequenceSolver<f64> + Send>)
    };
    let linear = LinearChoice::Sequence(SequenceChoice::new(make));
    let method = Kvaerno3.with(ImplicitOptions { linear, ..Default::default() });
    let problem = Problem { y0, span: [0.0, END], theta: &THETA };
    let (solution, seconds) =
        timed(|| solve(f, &method, &problem, &Options::tol(1e-5, 1e-5)).map_err(|e| e.error))?;
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let missing = || Error::invalid("the solver", "never made", "at least one step");
    let solver = kept.ok_or_else(missing)?;
    let solver = solver.lock().unwrap_or_else(PoisonError::into_inner);
    let total = solution.stats.implicit.linear_iterations + solver.lanczos_steps();
    Ok((total as f64, seconds, solver.history().to_vec()))
}

pub fn run(session: &mut Session, n: usize) -> Result<()> {
    session.say(format!(
        "Allen–Cahn on {n} × {n} cells, Kvaerno3 to 1e-5, SSOR-PCG to 1e-8 tuned over the steps"
    ))?;
    let f = MethodOfLines::new(AllenCahn, &[n, n], &[1.0, 1.0], Edge::Periodic)?;
    let y0 = f.sample(|[x, y], _| {
        0.4 * (4.0 * PI * x).sin() * (2.0 * PI * y).cos() + 0.1 * (14.0 * PI * x * y).cos()
    });
    let (grid, fine) = (omega_grid(GRID)?, omega_grid(96)?);
    let same = |context: f64| context;
    let logs = Interval::new(-7.0, 1.0)?;
    // The part of W's diagonal that is the Laplacian's: β is about linear in it.
    let cells = 4.0 * THETA[0] * (n * n) as f64;
    let share = move |context: f64| 1.0 - 1.0 / (1.0 + cells * 10f64.powf(context));
    let seed = session.common.seed;
    let mut rows: Vec<(String, Outcome)> = Vec::new();
    for arm in 0..GRID {
        let name = format!("ω = {:.2}", grid[arm]);
        rows.push((name, run_with(&f, &y0, &grid, Fixed::new(GRID, arm)?, same)?));
    }
    let best = rows.iter().map(|r| r.1.0).fold(f64::INFINITY, f64::min);
    rows.retain(|r| r.1.0 == best || ["1.00", "1.50", "1.95"].iter().any(|w| r.0.ends_with(w)));
    rows.push(("Tsallis-INF".into(), run_with(&f, &y0, &grid, TsallisInf::new(GRID, seed)?, same)?));
    rows.push(("ChebCB".into(), run_with(&f, &y0, &grid, ChebCb::new(GRID, logs, 6, seed)?, same)?));
    let shares = Interval::new(0.0, 1.0)?;
    rows.push(("guided".into(), run_with(&f, &y0, &fine, Guided::new(&fine, shares)?, share)?));
    let mut table = Table::new(&["method", "solves", "iterations", "× best fixed", "seconds"]);
    for (name, (total, seconds, choices)) in rows {
        let name = if total == best { format!("{name} (best fixed)") } else { name };
        table.row([
            name.clone(),
            choices.len().to_string(),
            format!("{total:.0}"),
            format!("{:.3}", total / best),
            format!("{seconds:.3}"),
        ]);
        session.record(Row { method: name, seed, loss: Some(total), predict_s: seconds, ..Row::default() });
    }
    session.say(format!("\n{table}"))
}
