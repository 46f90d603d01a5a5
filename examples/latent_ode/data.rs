//! Irregular series on common times, NaN where nothing was observed.

use odeon::num::random;
use std::f64::consts::TAU;

/// Series of `rows` rows at common times.
pub struct Data {
    pub rows: usize,
    pub names: Vec<String>,
    pub times: Vec<f64>,
    /// Times that are read; the others are extrapolated.
    pub seen: usize,
    /// Rows × times × series.
    pub values: Vec<f64>,
    /// What is to be predicted: the values without noise where they are known, else the observations.
    pub truth: Vec<f64>,
}

/// Times of the spirals, in \[0, 1\].
const TIMES: usize = 60;
/// Part of them at which a spiral is observed.
const OBSERVED: f64 = 0.4;
/// Standard deviation of the noise.
const NOISE: f64 = 0.05;

fn uniform(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// `count` spirals r (cos φ, sin φ), r = 0.3 + g t, φ = φ₀ ± ω t, each with its own growth g, speed ω, start φ₀ and
/// direction, observed at 40 % of the times; the first half of the times is read.
pub fn spirals(seed: u64, count: usize) -> Data {
    let times: Vec<f64> = (0..TIMES).map(|k| k as f64 / (TIMES - 1) as f64).collect();
    let (mut values, mut truth) = (Vec::new(), Vec::new());
    for series in 0..count {
        let stream = |component: u32| random::stream(series as u32, component);
        let [a, b] = random::at(seed, 0, stream(0));
        let [c, d] = random::at(seed, 0, stream(1));
        let (start, turn) = (TAU * uniform(a), if b >> 63 == 0 { 1.0 } else { -1.0 });
        let (growth, speed) = (0.5 + 0.5 * uniform(c), TAU * (1.0 + 0.5 * uniform(d)));
        for (k, t) in times.iter().enumerate() {
            let (sin, cos) = (start + turn * speed * t).sin_cos();
            let r = 0.3 + growth * t;
            let (e, f) = random::normal_pair(random::at(seed, 1, stream(k as u32)));
            let there = uniform(random::at(seed, 2, stream(k as u32))[0]) < OBSERVED;
            truth.extend([r * cos, r * sin]);
            for (x, noise) in [(r * cos, e), (r * sin, f)] {
                values.push(if there { x + NOISE * noise } else { f64::NAN });
            }
        }
    }
    let names = vec!["x₁".into(), "x₂".into()];
    Data { rows: 2, names, times, seen: TIMES / 2, values, truth }
}

impl Data {
    /// Series.
    pub fn count(&self) -> usize {
        self.values.len() / (self.rows * self.times.len())
    }

    /// What is read of the series with these numbers, and all of them.
    pub fn pick(&self, indices: &[usize]) -> [Vec<f64>; 2] {
        let length = self.rows * self.times.len();
        let part = |n: usize| -> Vec<f64> {
            indices
                .iter()
                .flat_map(|j| &self.values[j * length..j * length + self.rows * n])
                .copied()
                .collect()
        };
        [part(self.seen), part(self.times.len())]
    }

    /// The series from `first` on, and those before.
    pub fn split(mut self, first: usize) -> [Self; 2] {
        let length = self.rows * self.times.len();
        let rest = Self {
            names: self.names.clone(),
            times: self.times.clone(),
            values: self.values.split_off(first * length),
            truth: self.truth.split_off(first * length),
            ..self
        };
        [self, rest]
    }
}
