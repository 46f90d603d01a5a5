//! The true process: moments at the training times.

use odeon::Result;
use odeon::integrate::{Options, Problem};
use odeon::model::Moments;
use odeon::num::parallel;
use odeon::sde::noise::{FixedGrid, Levy};
use odeon::sde::problems::StochasticSpiral;
use odeon::sde::solve;
use odeon::sde::tableaux::Sriw1;

/// Rows of the state.
pub const DIM: usize = 2;
/// Equispaced times in [0, 1], both ends included.
pub const POINTS: usize = 30;
/// End of the time span.
pub const END: f64 = StochasticSpiral::T_END;
/// Fixed steps of the true process between two points.
const STEPS: usize = 16;
/// Paths that are solved together.
const CHUNK: usize = 500;

/// t = k/29.
pub fn times() -> Vec<f64> {
    (0..POINTS).map(|k| END * k as f64 / (POINTS - 1) as f64).collect()
}

/// Samples of several solves, `2 × paths` blocks for each time, as one sample.
pub fn pool(samples: &[Vec<f64>]) -> Vec<f64> {
    let mut all = Vec::with_capacity(samples.iter().map(Vec::len).sum());
    for k in 0..POINTS {
        for sample in samples {
            let block = sample.len() / POINTS;
            all.extend_from_slice(&sample[k * block..(k + 1) * block]);
        }
    }
    all
}

/// Means and variances of `paths` paths of the true process, by SRIW1 at fixed steps.
pub fn truth(seed: u64, paths: usize) -> Result<Moments<f64>> {
    let (sde, times) = (StochasticSpiral::sde(), times());
    let cells = STEPS * (POINTS - 1);
    let options = Options::fixed(END / cells as f64).save_at(&times[..]);
    let samples = parallel::chunks(paths, CHUNK, |range| {
        let noise = FixedGrid::new(seed, [0.0, END], cells, DIM, range.len())?;
        let noise = noise.levy(Levy::SpaceTime).paths_from(range.start)?;
        let y0 = StochasticSpiral::Y0.repeat(range.len());
        let problem = Problem { y0: &y0, span: [0.0, END], theta: &StochasticSpiral::THETA };
        Ok(solve(&sde, &Sriw1, noise, &problem, &options)?.y)
    });
    let samples: Vec<Vec<f64>> = samples.into_iter().collect::<Result<_>>()?;
    Moments::of(&pool(&samples), DIM, paths)
}
