//! Damped oscillations with noise, of which a part of the observations is missing.

use odeon::num::random;

/// Equispaced times in [0, 1].
pub const POINTS: usize = 30;
/// The encoder sees the first of them; the others are to be forecast.
pub const SEEN: usize = 20;
/// Standard deviation of the observation noise.
pub const NOISE: f64 = 0.05;
/// Ids of the random numbers, apart from those of Brownian sources: of a series, and of its observations.
const SHAPE: u64 = 0xf0 << 56;
const OBSERVED: u64 = 0xf1 << 56;
const MISSING: u64 = 0xf2 << 56;

/// Series in columns of [`POINTS`].
pub struct Data {
    /// Without noise.
    pub truth: Vec<f64>,
    /// Observations; 0 where one is missing.
    pub values: Vec<f64>,
    /// 1 where there is one, 0 where it is missing.
    pub mask: Vec<f64>,
}

/// t = k/29.
pub fn times() -> Vec<f64> {
    (0..POINTS).map(|k| k as f64 / (POINTS - 1) as f64).collect()
}

fn uniform(bits: u64, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// a e^{−γt} cos(ωt + φ) with a in (0.7, 1.3), γ in (0.5, 1.5), ω in (8, 12), any φ; `missing` of the observations
/// at random. The same series and noise for every part that is missing.
pub fn series(seed: u64, count: usize, missing: f64) -> Data {
    let times = times();
    let [mut truth, mut values, mut mask] = std::array::from_fn(|_| Vec::with_capacity(POINTS * count));
    for j in 0..count as u64 {
        let [a, decay] = random::at(seed, SHAPE, j);
        let [omega, phase] = random::at(seed, SHAPE | 1, j);
        let (a, decay) = (uniform(a, [0.7, 1.3]), uniform(decay, [0.5, 1.5]));
        let (omega, phase) = (uniform(omega, [8.0, 12.0]), uniform(phase, [0.0, std::f64::consts::TAU]));
        for (k, t) in times.iter().enumerate() {
            let x = a * (-decay * t).exp() * (omega * t + phase).cos();
            let noise = random::normal_pair(random::at(seed, OBSERVED | k as u64, j)).0;
            let there = uniform(random::at(seed, MISSING | k as u64, j)[0], [0.0, 1.0]) >= missing;
            let there = f64::from(u8::from(there));
            truth.push(x);
            values.push(there * (x + NOISE * noise));
            mask.push(there);
        }
    }
    Data { truth, values, mask }
}
