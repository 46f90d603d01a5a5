//! [`CosineField`]: Gaussian random fields on the unit square.

use crate::error::{Error, Result};
use crate::linalg::vector::axpy;
use crate::num::kernels::cos;
use crate::num::random::{at, normal_pair, stream};
use serde::{Deserialize, Serialize};
use std::f64::consts::{PI, SQRT_2};

/// U(x) = Σ_k τ^{α−1} (π²|k|² + τ²)^{−α/2} ξ_k φ_{k₀}(x₀) φ_{k₁}(x₁) over wavenumbers k ≠ 0 below
/// `modes` along each axis, with independent standard normal ξ, φ₀ = 1 and φ_k(x) = √2 cos πkx: a
/// centred Gaussian field with covariance τ^{2α−2} (−Δ + τ²)^{−α} and Neumann conditions.
///
/// At the centres of `modes`² cells it is the inverse cosine transform with which the data of the Fourier
/// neural operator were made (Z. Li et al., *Fourier Neural Operator for Parametric Partial Differential
/// Equations*, ICLR 2021, section A.3.2). ξ_k depends on seed, index and k alone, so that the same field is
/// found at any points and with more modes only gains detail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CosineField {
    /// α > 1, smoothness.
    pub alpha: f64,
    /// τ > 0, inverse length of correlation.
    pub tau: f64,
    /// Wavenumbers along each axis.
    pub modes: usize,
}

impl CosineField {
    /// α = 2 with as many modes as intervals along the longer axis between so many interior vertices.
    pub(super) fn darcy(extents: [usize; 2], tau: f64) -> Self {
        Self { alpha: 2.0, tau, modes: extents[0].max(extents[1]) + 1 }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// α not greater than 1, τ not positive, fewer than two modes.
    pub fn check(&self) -> Result<()> {
        if !(self.alpha > 1.0 && self.alpha.is_finite()) {
            let needed = "the variance is finite for alpha > 1 only";
            return Err(Error::invalid("alpha of the random field", self.alpha, needed));
        }
        if !(self.tau > 0.0 && self.tau.is_finite()) {
            return Err(Error::invalid("tau of the random field", self.tau, "it must be positive"));
        }
        if self.modes < 2 {
            let needed = "a field that is not constant needs at least 2 along each axis";
            return Err(Error::invalid("the modes of the random field", self.modes, needed));
        }
        Ok(())
    }

    /// τ^{α−1} (π²|k|² + τ²)^{−α/2}, 0 for k = 0.
    pub fn amplitude(&self, [k, l]: [usize; 2]) -> f64 {
        let square = PI * PI * (k * k + l * l) as f64;
        let decay = (square + self.tau * self.tau).powf(-0.5 * self.alpha);
        if k + l == 0 { 0.0 } else { self.tau.powf(self.alpha - 1.0) * decay }
    }

    /// Field number `index` of a seed at the points (x₀ᵢ, x₁ⱼ), i fastest.
    ///
    /// # Errors
    /// As [`check`](Self::check); no points.
    pub fn at(&self, seed: u64, index: u32, points: [&[f64]; 2]) -> Result<Vec<f64>> {
        self.check()?;
        let [n, m] = points.map(<[f64]>::len);
        if n * m == 0 {
            return Err(Error::invalid("the points of the random field", format!("{n} × {m}"), "none"));
        }
        let (modes, stream) = (self.modes, stream(index, 0));
        let [first, second] = points.map(|x| basis(x, modes));
        // Along the second axis, then along the first: Σ_l φ_l(x₁) ξ_kl, Σ_k φ_k(x₀) ….
        let (mut field, mut line) = (vec![0.0; n * m], vec![0.0; m]);
        for k in 0..modes {
            line.fill(0.0);
            for l in 0..modes {
                let pair = normal_pair(at(seed, k as u64 | ((l / 2) as u64) << 32, stream));
                let xi = if l % 2 == 0 { pair.0 } else { pair.1 };
                axpy(self.amplitude([k, l]) * xi, &second[l * m..][..m], &mut line);
            }
            for (value, row) in line.iter().zip(field.chunks_exact_mut(n)) {
                axpy(*value, &first[k * n..][..n], row);
            }
        }
        Ok(field)
    }
}

/// φ_k at every point, k after k.
fn basis(x: &[f64], modes: usize) -> Vec<f64> {
    let phi = |k: usize, x: f64| if k == 0 { 1.0 } else { SQRT_2 * cos(PI * k as f64 * x) };
    (0..modes).flat_map(|k| x.iter().map(move |x| phi(k, *x))).collect()
}
