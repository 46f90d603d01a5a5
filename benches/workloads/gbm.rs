//! W5: geometric Brownian motion dX = ½X dt + ½X dW, 1000 paths from 1 on [0, 1], f64; and 10⁴ random queries of a
//! Brownian tree. The error is the root mean square of X(1) − exp((½ − ⅛) + ½W(1)) on the same paths.

use crate::Failure;
use crate::measure::{Clock, Facts};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem, Solution};
use odeon::num::Scalar;
use odeon::sde::noise::{Brownian, FixedGrid, IntervalTree, Levy, VirtualTree};
use odeon::sde::srk::StochasticRk;
use odeon::sde::{Diagonal, Sde, solve, tableaux};

const PATHS: usize = 1000;
const STEPS: usize = 100;
const MU: f64 = 0.5;
const SIGMA: f64 = 0.5;
const SEED: u64 = 5;
const QUERIES: usize = 10_000;
/// The tree's resolution, that of the peer's.
const RESOLUTION: f64 = 1.0 / 8192.0;
const FINE: f64 = 1.0 / 1_048_576.0;

/// p₀ y.
struct Linear;

impl VectorField for Linear {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[0];
    }
}

/// One solve on a fresh source.
fn run(
    method: &impl StochasticRk,
    noise: Result<impl Brownian<f64>, odeon::Error>,
    theta: &[f64],
    options: &Options<f64>,
    ito: bool,
) -> Result<Solution<f64>, Failure> {
    let (f, g) = (Generic(Linear), Diagonal(Generic(Linear)));
    let sde = if ito { Sde::ito(f, g) } else { Sde::stratonovich(f, g) };
    let y0 = [1.0; PATHS];
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta };
    Ok(solve(&sde, method, noise?, &problem, options)?)
}

/// Times `solve` and compares its end with the exact one on the paths of `noise`.
fn timed(
    clock: &Clock,
    mut noise: impl Brownian<f64>,
    solve: impl Fn() -> Result<Solution<f64>, Failure>,
) -> Result<(Vec<f64>, Facts), Failure> {
    let times = clock.time(|| solve().map(drop))?;
    let solution = solve()?;
    let mut w = vec![0.0; PATHS];
    noise.prepare([0.0, 1.0])?;
    noise.increment(0.0, 1.0, &mut w, &mut [])?;
    let exact = |w: f64| (SIGMA.mul_add(w, MU - 0.5 * SIGMA * SIGMA)).exp();
    let squares = solution.last().iter().zip(&w).map(|(x, &w)| (x - exact(w)).powi(2));
    let err_rel = Some((squares.sum::<f64>() / PATHS as f64).sqrt());
    Ok((times, Facts { err_rel, ..Facts::of(&solution.stats) }))
}

/// A hundred steps of Euler–Maruyama.
pub fn euler(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let noise = || FixedGrid::new(SEED, [0.0, 1.0], STEPS, 1, PATHS);
    let options = Options::fixed(1.0 / STEPS as f64);
    timed(clock, noise()?, || run(&tableaux::EulerMaruyama, noise(), &[MU, SIGMA], &options, true))
}

/// Adaptive steps, all paths on one, at the tolerance whose error is no larger than the peers' at 1e-3 (2.2e-3): an
/// estimate's tolerance is no error of the path. SOSRI's published estimate is large: 5e-2 leaves 1.4e-3 (at 1e-3 it
/// takes 1273 steps for 4e-6); SPaRK at 1e-4 leaves 1.8e-3.
pub fn adaptive(variant: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let noise = || Ok(IntervalTree::new(SEED, [0.0, 1.0], 1, PATHS)?.levy(Levy::SpaceTime));
    let tolerance = if variant == "spark" { 1e-4 } else { 5e-2 };
    let options = Options::tol(tolerance, tolerance);
    match variant {
        "spark" => {
            let theta = [MU - 0.5 * SIGMA * SIGMA, SIGMA];
            timed(clock, noise()?, || run(&tableaux::Spark, noise(), &theta, &options, false))
        }
        _ => timed(clock, noise()?, || run(&tableaux::Sosri, noise(), &[MU, SIGMA], &options, true)),
    }
}

/// W(t) at random times of one path: all asked at once, as the peer's `vmap` does, or (`single`) one by one; to
/// the peer's resolution or (`fine`) to 2⁻²⁰.
pub fn queries(variant: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let resolution = if variant == "fine" { FINE } else { RESOLUTION };
    let mut tree = VirtualTree::new(SEED, [0.0, 1.0], 1, 1, resolution)?;
    Brownian::<f64>::prepare(&mut tree, [0.0, 1.0])?;
    // A fixed shuffle of the unit interval: multiples of the golden ratio.
    let times = (1..=QUERIES).map(|i| (i as f64 * 0.618_033_988_749_894_9).fract().max(RESOLUTION));
    let intervals: Vec<[f64; 2]> = times.map(|t| [0.0, t]).collect();
    let mut w = vec![0.0; QUERIES];
    let seconds = clock.time(|| {
        if variant == "single" {
            for (&[from, to], w) in intervals.iter().zip(w.chunks_exact_mut(1)) {
                tree.increment(from, to, w, &mut [])?;
            }
        } else {
            tree.increments(&intervals, &mut w, &mut [])?;
        }
        Ok(())
    })?;
    if w.iter().any(|w| !w.is_finite()) {
        return Err("a value of the tree is not finite".into());
    }
    Ok((seconds, Facts::default()))
}
