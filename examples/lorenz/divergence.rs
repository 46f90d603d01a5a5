//! Neighbours drift apart: pairs all over the attractor, and a cloud around one point.

use crate::common::Session;
use crate::{Setup, point, row, times};
use odeon::Result;
use odeon::dynamics::gallery::Lorenz;
use odeon::integrate::{Problem, Solution};
use odeon::ode::{Ensemble, solve_ensemble};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Distance of a pair at the start.
const APART: f64 = 1e-6;
/// When a perturbation has turned into the unstable direction.
const ALIGNED: f64 = 4.0;
/// The fit ends where the typical distance leaves the linear regime.
const LINEAR: f64 = 0.01;
/// Largest Lyapunov exponent at the usual parameters (D. Viswanath, thesis, Cornell 1998).
pub const LYAPUNOV: f64 = 0.905_63;
/// Times of the cloud's snapshots.
pub const SNAPSHOTS: [f64; 4] = [4.0, 8.0, 10.0, 16.0];

/// Distances within pairs over time.
pub struct Divergence {
    /// The starts, neighbours side by side.
    pub y0: Vec<f64>,
    /// Times.
    pub t: Vec<f64>,
    /// exp of the mean logarithm of the distance.
    pub typical: Vec<f64>,
    /// 10 % quantile.
    pub low: Vec<f64>,
    /// 90 % quantile.
    pub high: Vec<f64>,
    /// Slope and intercept of ln(distance), fitted to times in `fitted`.
    pub line: (f64, f64),
    /// Standard error of the slope, from pair to pair.
    pub slope_error: f64,
    /// Times of the fit.
    pub fitted: (f64, f64),
}

impl Divergence {
    /// Solves the pairs, which start at independent points of the attractor.
    pub fn measure(setup: &Setup) -> Result<Self> {
        let pairs = setup.count / 2;
        let mut random = ChaCha8Rng::seed_from_u64(setup.seed);
        let starts = settled(setup, pairs, &mut random)?;
        let mut y0 = Vec::with_capacity(6 * pairs);
        for start in starts.chunks_exact(3) {
            y0.extend(start);
            y0.extend(neighbour(start, &mut random));
        }
        let t = times(0.0, 30.0, 120);
        let ensemble = over_time(setup, &y0, &t)?;
        let distance = |pair: usize, time: usize| {
            let at = |i| &ensemble.trajectory(i)[3 * time..3 * time + 3];
            apart(at(2 * pair), at(2 * pair + 1))
        };
        let (mut typical, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
        for time in 0..t.len() {
            let mut all: Vec<f64> = (0..pairs).map(|pair| distance(pair, time)).collect();
            all.sort_by(f64::total_cmp);
            low.push(all[(pairs - 1) / 10]);
            high.push(all[(pairs - 1) * 9 / 10]);
            typical.push((all.iter().map(|d| d.ln()).sum::<f64>() / pairs as f64).exp());
        }
        let from = t.partition_point(|&t| t < ALIGNED);
        let to = typical.partition_point(|&d| d < LINEAR).clamp(from + 2, t.len());
        let logs: Vec<f64> = typical.iter().map(|d| d.ln()).collect();
        let line = fit(&t[from..to], &logs[from..to]);
        let slopes = (0..pairs).map(|pair| {
            let logs: Vec<f64> = (from..to).map(|time| distance(pair, time).ln()).collect();
            fit(&t[from..to], &logs).0
        });
        let spread = slopes.map(|s| (s - line.0).powi(2)).sum::<f64>();
        let slope_error = (spread / (pairs * pairs) as f64).sqrt();
        let fitted = (t[from], t[to - 1]);
        Ok(Self { y0, t, typical, low, high, line, slope_error, fitted })
    }

    /// Prints the exponent, writes the curves.
    pub fn report(&self, session: &mut Session) -> Result<()> {
        session.say(format!(
            "{} pairs {APART:e} apart: Lyapunov exponent {:.3} ± {:.3} (fitted over t = {}…{}; literature {LYAPUNOV:.4})",
            self.y0.len() / 6,
            self.line.0,
            self.slope_error,
            self.fitted.0,
            self.fitted.1,
        ))?;
        let columns = [
            ("t", &self.t[..]),
            ("distance", &self.typical),
            ("quantile_10", &self.low),
            ("quantile_90", &self.high),
        ];
        session.curves("divergence", &columns)
    }
}

/// Where `count` random starts around the attractor have got to when their transient is over (it
/// is long for those near the unstable foci).
fn settled(setup: &Setup, count: usize, random: &mut ChaCha8Rng) -> Result<Vec<f64>> {
    let mut y0 = Vec::with_capacity(3 * count);
    for _ in 0..count {
        let direction: [f64; 3] = std::array::from_fn(|_| StandardNormal.sample(random));
        y0.extend([0.0, 0.0, 25.0].iter().zip(direction).map(|(c, d)| c + 10.0 * d));
    }
    Ok(over_time(setup, &y0, &[30.0])?.y)
}

/// The ensemble that starts at `y0`, saved at `t`.
fn over_time(setup: &Setup, y0: &[f64], t: &[f64]) -> Result<Ensemble<f64>> {
    let problem = Problem { y0, span: [0.0, t[t.len() - 1]], theta: &Lorenz::THETA };
    complete(solve_ensemble(&setup.dynamics, setup.method, &problem, &setup.options().save_at(t))?)
}

/// The ensemble, or the error of its first trajectory that stopped early.
pub fn complete(mut ensemble: Ensemble<f64>) -> Result<Ensemble<f64>> {
    match ensemble.failures.is_empty() {
        true => Ok(ensemble),
        false => Err(ensemble.failures.swap_remove(0).1),
    }
}

/// A point at distance [`APART`], in a uniformly random direction.
fn neighbour(start: &[f64], random: &mut ChaCha8Rng) -> [f64; 3] {
    let direction: [f64; 3] = std::array::from_fn(|_| StandardNormal.sample(random));
    let scale = APART / apart(&direction, &[0.0; 3]);
    std::array::from_fn(|i| start[i] + scale * direction[i])
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    let square = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    square.sum::<f64>().sqrt()
}

/// Least-squares slope and intercept.
fn fit(x: &[f64], y: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xy, mut xx) = (0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        xy += (x - mx) * (y - my);
        xx += (x - mx).powi(2);
    }
    (xy / xx, my - xy / xx * mx)
}

/// x and z of a cloud of neighbours at each of [`SNAPSHOTS`].
pub fn cloud(setup: &Setup, orbit: &Solution<f64>, session: &mut Session) -> Result<Vec<[Vec<f64>; 2]>> {
    const RADIUS: f64 = 1e-2;
    let mut random = ChaCha8Rng::seed_from_u64(setup.seed);
    random.set_stream(1);
    let centre = point(orbit, 0)?;
    let near = |c: f64, random: &mut ChaCha8Rng| {
        let shift: f64 = StandardNormal.sample(random);
        c + RADIUS * shift
    };
    let y0: Vec<f64> = (0..setup.count).flat_map(|_| centre.map(|c| near(c, &mut random))).collect();
    let ensemble = over_time(setup, &y0, &SNAPSHOTS)?;
    let snapshot = |time: usize| {
        let states: Vec<f64> =
            (0..setup.count).flat_map(|i| ensemble.trajectory(i)[3 * time..3 * time + 3].to_vec()).collect();
        [row(&states, 0), row(&states, 2)]
    };
    let snapshots: Vec<_> = (0..SNAPSHOTS.len()).map(snapshot).collect();
    let names: Vec<[String; 2]> =
        SNAPSHOTS.iter().map(|t| [format!("x_at_{t}"), format!("z_at_{t}")]).collect();
    let columns: Vec<(&str, &[f64])> = names
        .iter()
        .zip(&snapshots)
        .flat_map(|(n, s)| [(n[0].as_str(), &s[0][..]), (n[1].as_str(), &s[1][..])])
        .collect();
    session.curves("cloud", &columns)?;
    Ok(snapshots)
}
