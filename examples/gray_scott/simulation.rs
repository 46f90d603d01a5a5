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

/// Squares that the reaction starts from, and half of their sides.
const SQUARES: usize = 5;
const HALF: f64 = 0.06;

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
    /// Side of the square.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
    // The pictures' axes.
    pub side: f64,
    pub rtol: f64,
    /// Of the linear systems, when they are solved by iteration.
    pub linear_rtol: f64,
    /// When pictures are taken; the last is the end.
    pub times: Vec<f64>,
}

impl Setup {
    pub fn new(n: usize, side: f64, [feed, kill]: [f64; 2], t_end: f64, seed: u64) -> Result<Self> {
        let positive = [("--side", side), ("--feed", feed), ("--kill", kill), ("--t-end", t_end)];
        if let Some((what, value)) = positive.into_iter().find(|(_, v)| !(v.is_finite() && *v > 0.0)) {
            return Err(Error::invalid(what, value, "it must be positive and finite"));
        }
        let grid = MethodOfLines::new(GrayScott, &[n, n], &[side, side], Edge::Periodic)?;
        let y0 = start(&grid, side, seed);
        let [du, dv, ..] = GrayScott::THETA;
        let times = [1.0 / 12.0, 1.0 / 3.0, 1.0].map(|part| part * t_end).to_vec();
        Ok(Self { grid, y0, theta: [du, dv, feed, kill], side, rtol: 1e-4, linear_rtol: 0.1, times })
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
    /// that one digit of each linear system is enough.
    pub fn implicit(&self, method: &SdirkTableau, linear: Linear) -> Result<Solution<f64>> {
        let linear = match linear {
            Linear::Lu => LinearChoice::SparseLu,
            Linear::Krylov => LinearChoice::Krylov(KrylovChoice {
                method: KrylovMethod::BiCgStab,
                settings: Settings::tol(self.linear_rtol).max_iterations(200),
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
/// to a hundredth of it; several squares at random places instead of one fill the domain sooner.
fn start(grid: &MethodOfLines<GrayScott>, side: f64, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let centres: Vec<[f64; 2]> =
        (0..SQUARES).map(|_| [rng.random_range(0.0..side), rng.random_range(0.0..side)]).collect();
    // On the torus.
    let near = |x: f64, c: f64| {
        let d = (x - c).abs();
        d.min(side - d) <= HALF
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
