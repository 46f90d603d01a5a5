//! Noisy observations of Ornstein–Uhlenbeck paths, whose likelihood is known.

use odeon::Result;
use odeon::linalg::DenseCholesky;
use odeon::num::random;
use odeon::sde::noise::{IntervalTree, Levy};
use odeon::sde::problems::OrnsteinUhlenbeck;

/// Times of a series.
pub const POINTS: usize = 20;
/// End of the time span.
pub const END: f64 = OrnsteinUhlenbeck::T_END;
/// Standard deviation of the observation noise.
pub const NOISE: f64 = 0.1;
/// Steps of the exact recursion between two times: what W and H leave out is then below 10⁻⁵.
const STEPS: usize = 8;
/// Id of the observation noise's random numbers, apart from those of Brownian sources.
const OBSERVED: u64 = 0xfe << 56;

/// Equispaced times in [0, END].
pub fn times() -> Vec<f64> {
    (0..POINTS).map(|k| END * k as f64 / (POINTS - 1) as f64).collect()
}

/// `count` series, `POINTS × count`.
pub fn series(seed: u64, count: usize) -> Result<Vec<f64>> {
    let theta = OrnsteinUhlenbeck::THETA;
    let mut noise = IntervalTree::new(seed, [0.0, END], 1, count)?.levy(Levy::SpaceTime);
    let fine = (POINTS - 1) * STEPS;
    let grid: Vec<f64> = (1..=fine).map(|i| END * i as f64 / fine as f64).collect();
    let start = OrnsteinUhlenbeck::Y0[0];
    let path = OrnsteinUhlenbeck::path(theta, start, (0.0, &grid), &mut noise)?;
    let mut values = vec![0.0; POINTS * count];
    for j in 0..count {
        for k in 0..POINTS {
            let x = if k == 0 { start } else { path[(k * STEPS - 1) * count + j] };
            let bits = random::at(seed, OBSERVED | k as u64, j as u64);
            values[j * POINTS + k] = x + NOISE * random::normal_pair(bits).0;
        }
    }
    Ok(values)
}

/// ln p of the series under the true process, mean over them: that of N(m, C + NOISE² I).
pub fn log_likelihood(values: &[f64]) -> Result<f64> {
    let (theta, t) = (OrnsteinUhlenbeck::THETA, times());
    let mut covariance = vec![0.0; POINTS * POINTS];
    for i in 0..POINTS {
        for j in 0..POINTS {
            let own = if i == j { NOISE * NOISE } else { 0.0 };
            covariance[i * POINTS + j] = OrnsteinUhlenbeck::covariance(theta, t[i], t[j]) + own;
        }
    }
    let mut factor = DenseCholesky::new(POINTS);
    factor.factor(&covariance)?;
    let constant = -0.5 * (factor.log_det() + POINTS as f64 * std::f64::consts::TAU.ln());
    let mut sum = 0.0;
    for x in values.chunks_exact(POINTS) {
        let start = OrnsteinUhlenbeck::Y0[0];
        let off: Vec<f64> =
            x.iter().zip(&t).map(|(x, t)| x - OrnsteinUhlenbeck::mean(theta, start, *t)).collect();
        let mut solved = off.clone();
        factor.solve(&mut solved);
        sum += constant - 0.5 * off.iter().zip(&solved).map(|(a, b)| a * b).sum::<f64>();
    }
    Ok(sum / (values.len() / POINTS) as f64)
}

/// The largest bound on ln p that any posterior drift has at `steps` of Euler's between two times, mean over the
/// series; prior, start and decoder being the true ones.
///
/// Minus the bound is the cost E Σ_k (x_k − z_k)²/(2s²) + ½ Σ u²h of the control z' = z + h f(z) + h σ u + σ√h ε, so
/// that the least is found by Bellman's recursion with V(z) = ½ P z² + q z + c: a step back gives, with
/// f(z) = θ_0 (θ_1 − z) and w = (1 − θ_0 h) z + θ_0 θ_1 h,
///
/// V(z) = c + ½ P σ² h + (½ P w² + q w − ½ h σ² q²)/(1 + h σ² P).
pub fn best_bound(values: &[f64], steps: usize) -> f64 {
    let [rate, level, sigma] = OrnsteinUhlenbeck::THETA;
    let h = END / ((POINTS - 1) * steps) as f64;
    let (a, b, noise) = (1.0 - rate * h, rate * level * h, sigma * sigma * h);
    let precision = NOISE.powi(-2);
    let mut sum = 0.0;
    for x in values.chunks_exact(POINTS) {
        let [mut p, mut q, mut c] = [0.0; 3];
        for (k, x) in x.iter().enumerate().rev() {
            p += precision;
            q -= precision * x;
            c += 0.5 * precision * x * x;
            for _ in 0..if k > 0 { steps } else { 0 } {
                let d = 1.0 + noise * p;
                c += 0.5 * (p * noise + (p * b * b + 2.0 * q * b - noise * q * q) / d);
                q = (p * b + q) * a / d;
                p *= a * a / d;
            }
        }
        let start = OrnsteinUhlenbeck::Y0[0];
        sum -= 0.5 * p * start * start + q * start + c;
    }
    let constant = POINTS as f64 * (NOISE.ln() + 0.5 * std::f64::consts::TAU.ln());
    sum / (values.len() / POINTS) as f64 - constant
}
