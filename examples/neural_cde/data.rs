//! Spirals that turn one way or the other, observed at some of the times.

use odeon::model::control_channels;
use odeon::num::random;
use odeon::{Error, Result};
use std::f64::consts::TAU;

/// Equispaced times of a series, in \[0, 1\].
pub const TIMES: usize = 60;
/// Channels of the control path: time, two coordinates, their counts.
pub const CHANNELS: usize = 5;
/// Standard deviation of the noise.
const NOISE: f64 = 0.02;

/// Series, and which way they turn.
pub struct Data {
    pub times: Vec<f64>,
    /// Channels × times × series, NaN for what is missing.
    pub values: Vec<f64>,
    /// 1 for those that turn left.
    pub labels: Vec<usize>,
}

fn uniform(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Id of the numbers that decide what is missing.
const MISSING: u64 = 1;

/// `count` spirals (cos φ, sin φ)/(1 + 2πt), φ = φ₀ ± 4πt, each coordinate missing with probability `missing`. In each
/// channel the first observation that would be missing in all is kept.
pub fn spirals(seed: u64, count: usize, missing: f64) -> Result<Data> {
    if !(0.0..1.0).contains(&missing) {
        let needed = "the part of the observations that is missing lies in [0, 1), such as 0.7";
        return Err(Error::invalid("--missing", missing, needed));
    }
    let times: Vec<f64> = (0..TIMES).map(|k| k as f64 / (TIMES - 1) as f64).collect();
    let (mut points, mut labels) = (Vec::with_capacity(2 * TIMES * count), Vec::with_capacity(count));
    for series in 0..count {
        let stream = |component: u32| random::stream(series as u32, component);
        let bits = random::at(seed, 0, stream(0));
        let (label, start) = ((bits[0] >> 63) as usize, TAU * uniform(bits[1]));
        let turn = if label == 1 { 2.0 * TAU } else { -2.0 * TAU };
        let mut own = Vec::with_capacity(2 * TIMES);
        for (k, t) in times.iter().enumerate() {
            let (sin, cos) = (start + turn * t).sin_cos();
            let (a, b) = random::normal_pair(random::at(seed, 2, stream(k as u32)));
            let chance = random::at(seed, MISSING, stream(k as u32));
            let size = 1.0 / (1.0 + TAU * t);
            for (x, (noise, bits)) in [cos, sin].into_iter().zip([(a, chance[0]), (b, chance[1])]) {
                own.push(if uniform(bits) < missing { f64::NAN } else { size * x + NOISE * noise });
            }
        }
        for c in 0..2 {
            if own[c..].iter().step_by(2).all(|x| x.is_nan()) {
                let (sin, cos) = start.sin_cos();
                own[c] = [cos, sin][c];
            }
        }
        points.extend(own);
        labels.push(label);
    }
    Ok(Data { values: control_channels(&times, &points, 2, true)?, times, labels })
}

impl Data {
    /// The series with these numbers.
    pub fn pick(&self, indices: &[usize]) -> (Vec<f64>, Vec<usize>) {
        let length = CHANNELS * TIMES;
        let values = indices.iter().flat_map(|j| &self.values[j * length..(j + 1) * length]);
        (values.copied().collect(), indices.iter().map(|j| self.labels[*j]).collect())
    }
}
