//! The maxima of z against ρ: every trajectory of the ensemble has its own parameters.

use crate::common::Session;
use crate::divergence::complete;
use crate::{Setup, times};
use odeon::Result;
use odeon::dynamics::gallery::Lorenz;
use odeon::integrate::Problem;
use odeon::ode::solve_ensemble;

/// Swept range of ρ.
const RANGE: (f64, f64) = (20.0, 250.0);
/// Transient that is left out, and the end.
const SPAN: (f64, f64) = (40.0, 60.0);

/// Maxima of z of the settled trajectories.
pub struct Sweep {
    /// ρ of each maximum.
    pub rho: Vec<f64>,
    /// Its height.
    pub z: Vec<f64>,
    trajectories: usize,
    steps: usize,
}

impl Sweep {
    /// Solves for `count` values of ρ.
    pub fn run(setup: &Setup, count: usize) -> Result<Self> {
        let rhos = times(RANGE.0, RANGE.1, count - 1);
        let [sigma, _, beta] = Lorenz::THETA;
        let theta: Vec<f64> = rhos.iter().flat_map(|&rho| [sigma, rho, beta]).collect();
        let y0: Vec<f64> = rhos.iter().flat_map(|&rho| [1.0, 1.0, rho - 1.0]).collect();
        let problem = Problem { y0: &y0, span: [0.0, SPAN.1], theta: &theta };
        let options = setup.options().save_at(times(SPAN.0, SPAN.1, 2000));
        let ensemble = complete(solve_ensemble(&setup.dynamics, setup.method, &problem, &options)?)?;
        let (mut rho, mut z) = (Vec::new(), Vec::new());
        for (i, &r) in rhos.iter().enumerate() {
            let heights: Vec<f64> = ensemble.trajectory(i).iter().skip(2).step_by(3).copied().collect();
            for top in maxima(&heights) {
                rho.push(r);
                z.push(top);
            }
        }
        let steps = ensemble.stats.iter().map(|s| s.accepted).sum();
        Ok(Self { rho, z, trajectories: count, steps })
    }

    /// Prints what was solved, writes the maxima.
    pub fn report(&self, session: &mut Session) -> Result<()> {
        session.say(format!(
            "Sweep of ρ = {}…{}: {} trajectories, {} steps, {} maxima of z",
            RANGE.0,
            RANGE.1,
            self.trajectories,
            self.steps,
            self.z.len()
        ))?;
        session.curves("maxima", &[("rho", &self.rho), ("z", &self.z)])
    }
}

/// Heights of the parabolas through every sample that exceeds both neighbours.
fn maxima(y: &[f64]) -> Vec<f64> {
    y.windows(3)
        .filter(|w| w[1] > w[0] && w[1] >= w[2])
        .map(|w| {
            let (slope, bend) = (0.5 * (w[2] - w[0]), w[0] - 2.0 * w[1] + w[2]);
            w[1] - 0.5 * slope * slope / bend
        })
        .collect()
}
