//! W1: the Lorenz system from (1, 1, 1), Tsit5, rtol = atol = 1e-8, the end alone.

use crate::Failure;
use crate::measure::{Clock, Facts, load, max_error};
use odeon::dynamics::gallery::Lorenz;
use odeon::dynamics::generic::Generic;
use odeon::dynamics::{Dynamics, Point, Tangent};
use odeon::integrate::{Options, Problem};
use odeon::num::{Kernel, dispatch, parallel};
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{Ensemble, Solver, solve_ensemble};

const SIGMA: f64 = 10.0;
const BETA: f64 = 8.0 / 3.0;
const TOLERANCE: f64 = 1e-8;
const COUNT: usize = 10_000;

/// ρ = linspace(20, 35, 10 000), as NumPy rounds it.
fn rho(i: usize) -> f64 {
    if i + 1 == COUNT {
        return 35.0;
    }
    20.0 + i as f64 * (15.0 / (COUNT - 1) as f64)
}

/// One trajectory to t = 5, or 10.
pub fn single(t10: bool, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let ends = load::<f64>("lorenz_single")?;
    let (t1, end) = if t10 { (10.0, &ends[3..]) } else { (5.0, &ends[..3]) };
    let dynamics = Generic(Lorenz);
    let problem = Problem { y0: &[1.0; 3], span: [0.0, t1], theta: &[SIGMA, 28.0, BETA] };
    let options = Options::tol(TOLERANCE, TOLERANCE);
    let mut solver = Solver::new(&dynamics, &Tsit5, 1);
    let times = clock.time(|| {
        solver.solve(&problem, &options)?;
        Ok(())
    })?;
    let solution = solver.solve(&problem, &options)?;
    let facts = Facts { err_max: Some(max_error(solution.last(), end)), ..Facts::of(&solution.stats) };
    Ok((times, facts))
}

/// 10 000 trajectories, each with its own steps.
pub fn own(threads: usize, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let reference = load::<f64>("lorenz_ensemble")?;
    let theta: Vec<f64> = (0..COUNT).flat_map(|i| [SIGMA, rho(i), BETA]).collect();
    let y0 = vec![1.0; 3 * COUNT];
    let problem = Problem { y0: &y0, span: [0.0, 5.0], theta: &theta };
    let options = Options::tol(TOLERANCE, TOLERANCE);
    parallel::with_threads(threads, || -> Result<_, String> {
        let say = |e: Failure| e.to_string();
        let solve = || -> Result<Ensemble<f64>, Failure> {
            let ensemble = solve_ensemble(&Generic(Lorenz), &Tsit5, &problem, &options)?;
            match ensemble.failures.first() {
                None => Ok(ensemble),
                Some((i, error)) => Err(format!("trajectory {i}: {error}").into()),
            }
        };
        let times = clock.time(|| solve().map(drop)).map_err(say)?;
        let ensemble = solve().map_err(say)?;
        let mean = |count: fn(&odeon::ode::TrajectoryStatistics) -> usize| {
            Some(ensemble.stats.iter().map(count).sum::<usize>() as f64 / COUNT as f64)
        };
        let facts = Facts {
            nfe: mean(|s| s.nfe),
            accepted: mean(|s| s.accepted),
            rejected: mean(|s| s.rejected),
            err_max: Some(max_error(&ensemble.y, &reference)),
            ..Facts::default()
        };
        Ok((times, facts))
    })?
    .map_err(Failure::from)
}

/// All trajectories in one state, so that they share their steps: rows x of all, then y, then z.
struct Together;

struct Rates<'a> {
    y: &'a [f64],
    rho: &'a [f64],
    dy: &'a mut [f64],
}

impl Kernel for Rates<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.rho.len();
        let (x, rest) = self.y.split_at(n);
        let (y, z) = rest.split_at(n);
        let (dx, rest) = self.dy.split_at_mut(n);
        let (dy, dz) = rest.split_at_mut(n);
        for i in 0..n {
            dx[i] = SIGMA * (y[i] - x[i]);
            dy[i] = x[i].mul_add(self.rho[i] - z[i], -y[i]);
            dz[i] = x[i].mul_add(y[i], -(BETA * z[i]));
        }
    }
}

impl Dynamics<f64> for Together {
    type Scratch = ();

    fn dim(&self) -> usize {
        3 * COUNT
    }

    fn num_params(&self) -> usize {
        COUNT
    }

    fn scratch(&self, _batch: usize) {}

    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], _: &mut ()) {
        let (y, rho) = (at.y, at.theta);
        dispatch(Rates { y, rho, dy });
    }

    fn vjp(
        &self,
        at: Point<'_, f64>,
        dy_bar: &[f64],
        y_bar: &mut [f64],
        theta_bar: &mut [f64],
        _: &mut (),
    ) -> f64 {
        for i in 0..COUNT {
            let [x, y, z] = [0, 1, 2].map(|row| at.y[i + row * COUNT]);
            let [a, b, c] = [0, 1, 2].map(|row| dy_bar[i + row * COUNT]);
            y_bar[i] += (at.theta[i] - z) * b + y * c - SIGMA * a;
            y_bar[i + COUNT] += SIGMA * a - b + x * c;
            y_bar[i + 2 * COUNT] -= x * b + BETA * c;
            theta_bar[i] += x * b;
        }
        0.0
    }

    fn jvp(&self, at: Point<'_, f64>, dot: Tangent<'_, f64>, dy_dot: &mut [f64], _: &mut ()) {
        for i in 0..COUNT {
            let [x, y, z] = [0, 1, 2].map(|row| at.y[i + row * COUNT]);
            let [a, b, c] = [0, 1, 2].map(|row| dot.y[i + row * COUNT]);
            let rho_dot = dot.theta.get(i).copied().unwrap_or(0.0);
            dy_dot[i] = SIGMA * (b - a);
            dy_dot[i + COUNT] = a * (at.theta[i] - z) + x * (rho_dot - c) - b;
            dy_dot[i + 2 * COUNT] = a * y + x * b - BETA * c;
        }
    }
}

/// 10 000 trajectories with one step size.
pub fn shared(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let reference = load::<f64>("lorenz_ensemble")?;
    let theta: Vec<f64> = (0..COUNT).map(rho).collect();
    let problem = Problem { y0: &vec![1.0; 3 * COUNT], span: [0.0, 5.0], theta: &theta };
    let options = Options::tol(TOLERANCE, TOLERANCE);
    let mut solver = Solver::new(&Together, &Tsit5, 1);
    let times = clock.time(|| {
        solver.solve(&problem, &options)?;
        Ok(())
    })?;
    let solution = solver.solve(&problem, &options)?;
    let rows = solution.last();
    let columns: Vec<f64> =
        (0..COUNT).flat_map(|i| [rows[i], rows[i + COUNT], rows[i + 2 * COUNT]]).collect();
    let facts = Facts { err_max: Some(max_error(&columns, &reference)), ..Facts::of(&solution.stats) };
    Ok((times, facts))
}
