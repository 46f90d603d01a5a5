//! Noisy windows of pendulum trajectories.

use crate::Pendulum;
use odeon::Result;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save};
use odeon::num::random::{at, normal_pair};
use odeon::ode::solve;
use odeon::ode::tableaux::Vern9;

/// Times at which a window is observed after its start.
pub const TIMES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];
/// Observations of a trajectory.
const SAMPLES: usize = 21;

/// The pendulum's energy.
pub fn energy(q: f64, p: f64) -> f64 {
    0.5 * p * p - q.cos()
}

/// Windows: starts, and the states at [`TIMES`], as blocks of columns.
pub struct Windows {
    pub starts: Vec<f64>,
    pub targets: [Vec<f64>; TIMES.len()],
}

impl Windows {
    /// Number of windows.
    pub fn columns(&self) -> usize {
        self.starts.len() / 2
    }

    /// Some of the windows.
    pub fn pick(&self, indices: &[usize]) -> Self {
        let of = |x: &[f64]| indices.iter().flat_map(|&i| [x[2 * i], x[2 * i + 1]]).collect();
        Self { starts: of(&self.starts), targets: self.targets.each_ref().map(|t| of(t)) }
    }
}

/// What is trained and tested on.
pub struct Data {
    pub train: Windows,
    /// Without noise.
    pub test: Windows,
}

fn uniform(seed: u64, id: u64) -> [f64; 2] {
    at(seed, id, 1).map(|bits| (bits >> 11) as f64 / (1u64 << 53) as f64)
}

fn windows(trajectories: std::ops::Range<u64>, seed: u64, noise: f64) -> Result<Windows> {
    let mut all = Windows { starts: Vec::new(), targets: Default::default() };
    let times: Vec<f64> = (0..SAMPLES).map(|i| TIMES[0] * i as f64).collect();
    for k in trajectories {
        let [a, b] = uniform(seed, k);
        let y0 = [4.0 * a - 2.0, 2.4 * b - 1.2];
        let problem = Problem { y0: &y0, span: [0.0, times[SAMPLES - 1]], theta: &[] };
        let options = Options::tol(1e-11, 1e-11).save(Save::At(times.clone()));
        let mut y = solve(&Generic(Pendulum), &Vern9, &problem, &options)?.y;
        for (i, pair) in y.chunks_exact_mut(2).enumerate() {
            let (u, v) = normal_pair(at(seed, k << 16 | i as u64, 2));
            pair[0] += noise * u;
            pair[1] += noise * v;
        }
        for i in 0..SAMPLES - TIMES.len() {
            let state = |j: usize| &y[2 * j..2 * j + 2];
            all.starts.extend_from_slice(state(i));
            for (j, target) in all.targets.iter_mut().enumerate() {
                target.extend_from_slice(state(i + j + 1));
            }
        }
    }
    Ok(all)
}

impl Data {
    pub fn new(seed: u64, noise: f64) -> Result<Self> {
        Ok(Self { train: windows(0..30, seed, noise)?, test: windows(1000..1010, seed, 0.0)? })
    }
}
