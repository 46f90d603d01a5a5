//! SOR on A + c I, A the 5-point Laplacian of a 10 × 10 grid: totals of iterations.

use crate::common::{Row, Session, Table, timed};
use odeon::linalg::relax::{GaussSeidel, Stationary, Sweep, optimal_omega};
use odeon::linalg::{Csr, LinearSolver, Settings, model};
use odeon::num::parallel;
use odeon::operator::sor_bandit::theory::jacobi_radius;
use odeon::operator::sor_bandit::{
    Binned, ChebCb, Exp3, Guided, Interval, Policy, Thompson, TsallisInf, Ucb, omega_grid,
};
use odeon::{Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution, StandardNormal};

const SIDE: usize = 10;
const GRID: usize = 20;
/// Lanczos steps of an estimate of β; charged to the policy that asked as as many iterations.
const LANCZOS: usize = 30;
const FINE: usize = 381;

/// One system of the sequence, and what it costs at every ω of the grid.
struct Instance {
    context: f64,
    b: Vec<f64>,
    costs: Vec<f64>,
    /// At ω*(c), the formula with the exact β.
    formula: f64,
}

/// The laws of the context, −0.15 + 0.6 Beta(α, β).
pub const LAWS: [(&str, f64, f64); 2] = [("low variance", 2.0, 6.0), ("high variance", 0.5, 1.5)];

/// Totals of a policy over the trials, and one history for the picture.
pub struct Totals {
    pub name: String,
    pub totals: Vec<f64>,
    /// The running mean of the cost in the first trial.
    pub running: Vec<f64>,
}

fn matrix(c: f64) -> Result<Csr<f64>> {
    let mut a = model::poisson_2d::<f64>([SIDE, SIDE])?;
    for i in 0..a.rows() {
        let place = a.row_starts()[i] + a.row(i).0.iter().position(|j| *j as usize == i).unwrap_or(0);
        a.values_mut()[place] += c;
    }
    Ok(a)
}

/// SOR's iterations at these ω.
fn solve(a: &Csr<f64>, b: &[f64], omegas: &[f64]) -> Result<Vec<f64>> {
    let settings = Settings { stagnation: 10_000, ..Settings::tol(1e-8) };
    let sor = GaussSeidel::sor(a, 1.0, Sweep::Natural)?;
    let mut solver = Stationary::new(a, sor, settings)?;
    let mut x = vec![0.0; b.len()];
    let mut count = |omega: &f64| {
        solver.splitting.relaxation.set_omega(*omega)?;
        x.fill(0.0);
        Ok(solver.solve(b, &mut x)?.iterations as f64)
    };
    omegas.iter().map(&mut count).collect()
}

/// β of A + c I: the eigenvalues of A are 4 − 2 cos(iπ/11) − 2 cos(jπ/11).
fn exact_beta(c: f64) -> f64 {
    4.0 * (std::f64::consts::PI / (SIDE as f64 + 1.0)).cos() / (4.0 + c)
}

fn draw(law: (&str, f64, f64), rounds: usize, seed: u64) -> Result<Vec<Instance>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let beta = Beta::new(law.1, law.2).map_err(|e| Error::invalid("the law", e, "positive parameters"))?;
    let grid = omega_grid(GRID)?;
    let n = SIDE * SIDE;
    let mut instances = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let context = -0.15 + 0.6 * beta.sample(&mut rng);
        // A normal vector within the ball of radius √n.
        let b = loop {
            let b: Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
            if b.iter().map(|v| v * v).sum::<f64>() <= n as f64 {
                break b;
            }
        };
        instances.push(Instance { context, b, costs: Vec::new(), formula: 0.0 });
    }
    // The systems are independent: over the threads.
    let solved = parallel::chunks(rounds, 64, |range| {
        range.map(|t| cost(&instances[t], &grid)).collect::<Result<Vec<_>>>()
    });
    let solved = solved.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten();
    for (instance, mut costs) in instances.iter_mut().zip(solved) {
        instance.formula = costs.pop().unwrap_or(f64::NAN);
        instance.costs = costs;
    }
    Ok(instances)
}

fn cost(instance: &Instance, grid: &[f64]) -> Result<Vec<f64>> {
    let best = optimal_omega(exact_beta(instance.context))?;
    let omegas: Vec<f64> = grid.iter().copied().chain([best]).collect();
    solve(&matrix(instance.context)?, &instance.b, &omegas)
}

/// The costs of a policy whose arms are the grid.
fn play(policy: &mut dyn Policy, instances: &[Instance]) -> Result<Vec<f64>> {
    let mut turn = |i: &Instance| {
        let cost = i.costs[policy.choose(i.context)?];
        policy.observe(cost)?;
        Ok(cost)
    };
    instances.iter().map(&mut turn).collect()
}

/// The costs of the guided policy, estimates of β included.
fn guided(instances: &[Instance], interval: Interval) -> Result<Vec<f64>> {
    let fine: Vec<f64> = (0..FINE).map(|i| 1.0 + 0.95 * i as f64 / (FINE - 1) as f64).collect();
    let mut policy = Guided::new(&fine, interval)?;
    let mut turn = |i: &Instance| {
        let a = matrix(i.context)?;
        let mut cost = 0.0;
        if policy.is_curious(i.context) {
            policy.inform(i.context, jacobi_radius(&a, LANCZOS)?)?;
            cost += LANCZOS as f64;
        }
        let arm = policy.choose(i.context)?;
        let iterations = solve(&a, &i.b, &fine[arm..=arm])?[0];
        policy.observe(iterations)?;
        Ok(cost + iterations)
    };
    instances.iter().map(&mut turn).collect()
}

/// Every policy on one sequence.
fn trial(instances: &[Instance], seed: u64) -> Result<Vec<(String, Vec<f64>)>> {
    let grid = omega_grid(GRID)?;
    let interval = Interval::new(-0.15, 0.45)?;
    let fixed = |arm: usize| instances.iter().map(|i| i.costs[arm]).collect::<Vec<_>>();
    let total = |arm: &usize| instances.iter().map(|i| i.costs[*arm] as u64).sum::<u64>();
    let best = (0..GRID).min_by_key(total).unwrap_or(0);
    let mut rows = Vec::new();
    for arm in [0, 4, 8, 12, 16] {
        rows.push((format!("ω = {:.1}", grid[arm]), fixed(arm)));
    }
    rows.push(("best fixed ω of 20".into(), fixed(best)));
    let policies: [(&str, Box<dyn Policy>); 6] = [
        ("Exp3", Box::new(Exp3::new(GRID, seed)?)),
        ("UCB", Box::new(Ucb::new(GRID)?)),
        ("Thompson", Box::new(Thompson::new(GRID, seed)?)),
        ("Tsallis-INF", Box::new(TsallisInf::new(GRID, seed)?)),
        ("Tsallis-INF-CB", Box::new(Binned::new(GRID, interval, 6, seed)?)),
        ("ChebCB", Box::new(ChebCb::new(GRID, interval, 6, seed)?)),
    ];
    for (name, mut policy) in policies {
        rows.push((name.into(), play(&mut policy, instances)?));
    }
    rows.push(("guided".into(), guided(instances, interval)?));
    rows.push(("ω*(c), exact β".into(), instances.iter().map(|i| i.formula).collect()));
    let least = |i: &Instance| i.costs.iter().copied().fold(f64::INFINITY, f64::min);
    rows.push(("best arm of each".into(), instances.iter().map(least).collect()));
    Ok(rows)
}

fn running(costs: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let mean = |(t, c): (usize, &f64)| {
        sum += c;
        sum / (t + 1) as f64
    };
    costs.iter().enumerate().map(mean).collect()
}

pub fn run(session: &mut Session, rounds: usize, trials: usize) -> Result<()> {
    session.say(format!("SOR on Laplacian + c I, 100 unknowns, {rounds} systems, {trials} trials"))?;
    let mut both = Vec::new();
    for law in LAWS {
        let mut all: Vec<Totals> = Vec::new();
        let (_, seconds) = timed(|| {
            for trial_number in 0..trials {
                let seed = session.common.seed + 1000 * trial_number as u64;
                let instances = draw(law, rounds, seed)?;
                for (k, (name, costs)) in trial(&instances, seed)?.into_iter().enumerate() {
                    if trial_number == 0 {
                        all.push(Totals { name, totals: Vec::new(), running: running(&costs) });
                    }
                    all[k].totals.push(costs.iter().sum());
                }
            }
            Ok(())
        })?;
        table(session, law.0, &all)?;
        record(session, law.0, &all, seconds);
        both.push((law.0, all));
    }
    #[cfg(feature = "plot")]
    crate::pictures::sor(session, &both)?;
    Ok(())
}

fn table(session: &mut Session, law: &str, all: &[Totals]) -> Result<()> {
    let mut table = Table::new(&[law, "total iterations", "sd"]);
    for row in all {
        let (mean, sd) = row.moments();
        table.row([row.name.clone(), format!("{:.1}k", mean / 1e3), format!("{:.1}k", sd / 1e3)]);
    }
    session.say(format!("\n{table}"))?;
    let names: Vec<String> = all.iter().map(|r| r.name.replace(',', "")).collect();
    let columns: Vec<(&str, &[f64])> =
        names.iter().zip(all).map(|(n, r)| (n.as_str(), &r.running[..])).collect();
    session.curves(&law.replace(' ', "_"), &columns)
}

fn record(session: &mut Session, law: &str, all: &[Totals], seconds: f64) {
    for row in all {
        let (mean, _) = row.moments();
        session.record(Row {
            method: format!("{} ({law})", row.name),
            seed: session.common.seed,
            loss: Some(mean),
            train_s: seconds,
            ..Row::default()
        });
    }
}

impl Totals {
    /// Mean and standard deviation of the totals.
    pub fn moments(&self) -> (f64, f64) {
        let n = self.totals.len() as f64;
        let mean = self.totals.iter().sum::<f64>() / n;
        let square = self.totals.iter().map(|t| (t - mean).powi(2)).sum::<f64>();
        (mean, (square / (n - 1.0).max(1.0)).sqrt())
    }
}
