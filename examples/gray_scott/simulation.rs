//! The reaction on its grid, and a solve of it.

use odeon::dynamics::pde::{Edge, GrayScott, MethodOfLines};
use odeon::integrate::{Options, Problem, Solution};
use odeon::linalg::Settings;
use odeon::ode::implicit::{KrylovChoice, KrylovMethod};
use odeon::ode::sdirk::SdirkTableau;
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ImplicitOptions, LinearChoice, solve};
use odeon::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Side of the square domain (Pearson 1993).
pub const SIDE: f64 = 2.5;

/// How the linear systems of the implicit steps are solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Linear {
    /// BiCGStab preconditioned by ILU(0)
    Krylov,
    /// Sparse LU factors
    Lu,
}

/// The grid, its start and its parameters.
pub struct Setup {
    pub grid: MethodOfLines<GrayScott>,
    pub y0: Vec<f64>,
    pub theta: [f64; 4],
    pub rtol: f64,
    /// When pictures are taken; the last is the end.
    pub times: Vec<f64>,
}

impl Setup {
    pub fn new(n: usize, [feed, kill]: [f64; 2], rtol: f64, t_end: f64, seed: u64) -> Result<Self> {
        for (what, value) in [("--feed", feed), ("--kill", kill), ("--t-end", t_end)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::invalid(what, value, "it must be positive and finite"));
            }
        }
        let grid = MethodOfLines::new(GrayScott, &[n, n], &[SIDE, SIDE], Edge::Periodic)?;
        let y0 = start(&grid, seed);
        let [du, dv, ..] = GrayScott::THETA;
        let times = [1.0 / 12.0, 1.0 / 3.0, 1.0].map(|part| part * t_end).to_vec();
        Ok(Self { grid, y0, theta: [du, dv, feed, kill], rtol, times })
    }

    /// Points along a side.
    pub fn n(&self) -> usize {
        self.grid.extents()[0]
    }

    fn problem(&self) -> Problem<'_, f64> {
        Problem { y0: &self.y0, span: [0.0, self.times[self.times.len() - 1]], theta: &self.theta }
    }

    fn options(&self) -> Options<f64> {
        Options::tol(self.rtol, 0.1 * self.rtol).save_at(self.times.clone()).diagnostics()
    }

    /// A solve by an implicit method. Newton's iteration corrects what the iterative solver leaves, so
    /// that four digits of each linear system are enough.
    pub fn implicit(&self, method: &SdirkTableau, linear: Linear) -> Result<Solution<f64>> {
        let linear = match linear {
            Linear::Lu => LinearChoice::SparseLu,
            Linear::Krylov => LinearChoice::Krylov(KrylovChoice {
                method: KrylovMethod::BiCgStab,
                settings: Settings::tol(1e-4).max_iterations(200),
                preconditioner: None,
            }),
        };
        let options = ImplicitOptions { linear, ..ImplicitOptions::default() };
        Ok(solve(&self.grid, &method.with(options), &self.problem(), &self.options())?)
    }

    /// A solve by Tsit5.
    pub fn explicit(&self) -> Result<Solution<f64>> {
        Ok(solve(&self.grid, &Tsit5, &self.problem(), &self.options())?)
    }

    /// v at every point, row by row along x, of a state.
    pub fn concentration(&self, state: &[f64]) -> Vec<f64> {
        let n = self.n();
        (0..n * n).map(|k| state[2 * ((k % n) * n + k / n) + 1]).collect()
    }
}

/// Pearson's start, u = 1 and v = 0 but for squares with (u, v) = (1/2, 1/4), each value disturbed by up
/// to a hundredth of it; twelve squares at random places instead of one fill the domain sooner.
fn start(grid: &MethodOfLines<GrayScott>, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let centres: Vec<[f64; 2]> =
        (0..12).map(|_| [rng.random_range(0.0..SIDE), rng.random_range(0.0..SIDE)]).collect();
    let half = 0.08;
    // On the torus.
    let near = |x: f64, c: f64| {
        let d = (x - c).abs();
        d.min(SIDE - d) <= half
    };
    let inside = |[x, y]: [f64; 2]| centres.iter().any(|c| near(x, c[0]) && near(y, c[1]));
    let calm = grid.sample::<f64>(|at, s| match (inside(at), s) {
        (true, 0) => 0.5,
        (true, _) => 0.25,
        (false, 0) => 1.0,
        (false, _) => 0.0,
    });
    calm.into_iter().map(|y| y * rng.random_range(0.99..1.01)).collect()
}
