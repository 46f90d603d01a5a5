//! Initial parameters, drawn from named distributions.
//!
//! One seed, one result: the parameter at position i of the layout is drawn from ChaCha8 seeded by
//! `seed_from_u64(seed)` on stream i, in storage order and in f64, then rounded to the scalar. So a
//! parameter's values do not depend on the other parameters or on the precision.

use super::params::{Entry, Layout, Role};
use crate::num::Real;
use crate::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// How weights are drawn; n_in and n_out are the columns and rows of the weight (the time input
/// counts). Biases start at 0 except with [`TorchLinear`](Initializer::TorchLinear); gains of
/// normalisations start at 1 and their shifts at 0 with every initializer.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum Initializer {
    /// U(−a, a), a = √(6/(n_in + n_out)) (Glorot & Bengio 2010, eq. 16).
    GlorotUniform,
    /// N(0, 2/(n_in + n_out)).
    GlorotNormal,
    /// U(−a, a), a = √(6/n_in) (He et al. 2015, for relu).
    HeUniform,
    /// N(0, 2/n_in) (He et al. 2015, eq. 10).
    HeNormal,
    /// PyTorch's default for `nn.Linear`: weight and bias U(−a, a), a = 1/√n_in.
    #[default]
    TorchLinear,
    /// `gain` times a random matrix with orthonormal rows or columns, whichever are fewer, uniform
    /// over such matrices (Saxe, McClelland & Ganguli 2014).
    Orthogonal {
        /// The common singular value.
        gain: f64,
    },
    /// N(0, σ²).
    Normal {
        /// σ ≥ 0.
        sigma: f64,
    },
    /// All zero.
    Zeros,
}

impl Initializer {
    fn check(self) -> Result<()> {
        let scale = match self {
            Self::Orthogonal { gain } => gain,
            Self::Normal { sigma } => sigma,
            _ => return Ok(()),
        };
        if scale >= 0.0 && scale.is_finite() {
            return Ok(());
        }
        let needed = "it must be non-negative and finite";
        Err(Error::invalid("initializer's scale", scale, needed))
    }
}

/// Draws every parameter of `layout`; see [`Network::init_with`](super::Network::init_with).
pub(crate) fn draw<T: Real>(
    layout: &Layout,
    choose: impl Fn(&Entry) -> Initializer,
    seed: u64,
) -> Result<Vec<T>> {
    let mut theta = Vec::with_capacity(layout.len());
    for (stream, entry) in (0..).zip(layout.entries()) {
        let initializer = choose(entry);
        initializer.check()?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let values = entry_values(entry, initializer, &mut rng);
        theta.extend(values.into_iter().map(T::of));
    }
    Ok(theta)
}

fn entry_values(entry: &Entry, initializer: Initializer, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let n = entry.size();
    let (fan_in, fan_out) = match entry.role {
        Role::Gain => return vec![1.0; n],
        Role::Shift => return vec![0.0; n],
        Role::Bias { fan_in } => {
            return match initializer {
                Initializer::TorchLinear => uniform(n, (fan_in as f64).sqrt().recip(), rng),
                _ => vec![0.0; n],
            };
        }
        Role::Weight { fan_in, fan_out } => (fan_in, fan_out),
    };
    let (inputs, both) = (fan_in as f64, (fan_in + fan_out) as f64);
    match initializer {
        Initializer::GlorotUniform => uniform(n, (6.0 / both).sqrt(), rng),
        Initializer::GlorotNormal => normal(n, (2.0 / both).sqrt(), rng),
        Initializer::HeUniform => uniform(n, (6.0 / inputs).sqrt(), rng),
        Initializer::HeNormal => normal(n, (2.0 / inputs).sqrt(), rng),
        Initializer::TorchLinear => uniform(n, inputs.sqrt().recip(), rng),
        Initializer::Orthogonal { gain } => orthogonal([fan_out, fan_in], gain, rng),
        Initializer::Normal { sigma } => normal(n, sigma, rng),
        Initializer::Zeros => vec![0.0; n],
    }
}

fn uniform(n: usize, bound: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..n).map(|_| bound * (2.0 * rng.random::<f64>() - 1.0)).collect()
}

fn normal(n: usize, sigma: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..n).map(|_| sigma * rng.sample::<f64, _>(StandardNormal)).collect()
}

/// Gram–Schmidt, done twice for orthogonality to rounding, on Gaussian vectors as long as the longer
/// side; a positive diagonal of R makes the distribution uniform (Mezzadri 2007).
fn orthogonal([rows, columns]: [usize; 2], gain: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut v = normal(length, 1.0, rng);
        let before = norm(&v);
        for _ in 0..2 {
            for q in &basis {
                let along: f64 = q.iter().zip(&v).map(|(q, v)| q * v).sum();
                v.iter_mut().zip(q).for_each(|(v, q)| *v -= along * q);
            }
        }
        let after = norm(&v);
        // A vector that was almost inside the span is rounding noise: draw another.
        if after > 1e-8 * before {
            v.iter_mut().for_each(|v| *v /= after);
            basis.push(v);
        }
    }
    let entry = |i: usize, j: usize| match rows <= columns {
        true => basis[i][j],
        false => basis[j][i],
    };
    (0..rows * columns).map(|at| gain * entry(at / columns, at % columns)).collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, Network};
    use super::*;

    fn network() -> Result<Network> {
        let builder = Network::builder(64).dense(48).activation(Activation::Tanh);
        builder.layer_norm().dense(96).build()
    }

    /// Sample mean and variance, and largest magnitude.
    fn moments(x: &[f64]) -> (f64, f64, f64) {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        (mean, variance, x.iter().fold(0.0, |m, x| x.abs().max(m)))
    }

    #[test]
    fn distributions_have_their_published_moments() -> Result<()> {
        let network = network()?;
        // 0.weight has n_in = 64, n_out = 48; the bounds of uniforms are √(3·variance).
        for (initializer, variance, bounded) in [
            (Initializer::GlorotUniform, 2.0 / 112.0, true),
            (Initializer::GlorotNormal, 2.0 / 112.0, false),
            (Initializer::HeUniform, 2.0 / 64.0, true),
            (Initializer::HeNormal, 2.0 / 64.0, false),
            (Initializer::TorchLinear, 1.0 / (3.0 * 64.0), true),
            (Initializer::Normal { sigma: 0.1 }, 0.01, false),
        ] {
            let theta: Vec<f64> = network.init(initializer, 7)?;
            let weight = network.layout().view("0.weight", &theta)?;
            let (mean, sampled, largest) = moments(weight);
            let n = weight.len() as f64;
            assert!(mean.abs() < 4.0 * (variance / n).sqrt(), "{initializer:?}: {mean}");
            let spread = 4.0 * variance * (2.0 / n).sqrt();
            assert!((sampled - variance).abs() < spread, "{initializer:?}: {sampled}");
            let bound = (3.0 * variance).sqrt();
            assert_eq!(largest <= bound, bounded, "{initializer:?}: {largest}");
            assert!(largest > 0.98 * bound, "{initializer:?}: {largest}");
        }
        Ok(())
    }

    #[test]
    fn orthogonal_weights_have_orthonormal_rows_or_columns() -> Result<()> {
        let network = network()?;
        let theta: Vec<f64> = network.init(Initializer::Orthogonal { gain: 1.5 }, 3)?;
        let (wide, tall) =
            (network.layout().view("0.weight", &theta)?, network.layout().view("3.weight", &theta)?);
        let check = |count: usize, length: usize, entry: &dyn Fn(usize, usize) -> f64| {
            for a in 0..count {
                for b in 0..count {
                    let dot: f64 = (0..length).map(|i| entry(a, i) * entry(b, i)).sum();
                    let expected = if a == b { 2.25 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-13, "({a}, {b}): {dot}");
                }
            }
        };
        check(48, 64, &|row, i| wide[row * 64 + i]);
        check(48, 96, &|column, i| tall[i * 48 + column]);
        Ok(())
    }

    #[test]
    fn seeds_streams_and_precision_are_as_documented() -> Result<()> {
        let network = network()?;
        let theta: Vec<f64> = network.init(Initializer::TorchLinear, 5)?;
        assert_eq!(theta, network.init::<f64>(Initializer::TorchLinear, 5)?);
        assert_ne!(theta, network.init::<f64>(Initializer::TorchLinear, 6)?);
        let single: Vec<f32> = network.init(Initializer::TorchLinear, 5)?;
        assert!(theta.iter().zip(&single).all(|(&d, &s)| d as f32 == s));
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        rng.set_stream(1);
        let first = 0.125 * (2.0 * rng.random::<f64>() - 1.0);
        assert_eq!(network.layout().view("0.bias", &theta)?[0], first);
        assert!(network.layout().view("2.weight", &theta)?.iter().all(|&g| g == 1.0));
        assert!(network.layout().view("2.bias", &theta)?.iter().all(|&g| g == 0.0));
        let mixed: Vec<f64> = network.init_with(
            |entry| match entry.name.starts_with("0.") {
                true => Initializer::Zeros,
                false => Initializer::TorchLinear,
            },
            5,
        )?;
        assert!(mixed[..64 * 48 + 48].iter().all(|&w| w == 0.0));
        assert_eq!(mixed[64 * 48 + 48..], theta[64 * 48 + 48..]);
        assert!(network.init::<f64>(Initializer::Normal { sigma: -1.0 }, 0).is_err());
        Ok(())
    }
}
