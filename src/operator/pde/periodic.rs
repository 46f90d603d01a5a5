//! [`PeriodicField`]: Gaussian random fields on the torus.

use crate::error::{Error, Result};
use crate::num::random::{at, normal_pair, stream};
use crate::operator::fourier::Fourier;
use rustfft::num_complex::Complex64;
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// u(x) = s Σ_k (4π²|k|² + τ²)^{−α/2} √2 (ξ_k cos 2πk·x + η_k sin 2πk·x) on [0, 1) or [0, 1)², the sum over one of
/// each pair ±k ≠ 0 of wavenumbers up to `modes` along each axis, ξ and η independent and standard normal: a centred
/// Gaussian field with covariance s² (−Δ + τ²)^{−α}, without mean.
///
/// ξ_k and η_k depend on seed, index and k alone, so that the same field is found on any grid and with more modes only
/// gains detail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeriodicField {
    /// s, its scale.
    pub scale: f64,
    /// α, smoothness: above half the dimension.
    pub alpha: f64,
    /// τ ≥ 0, inverse length of correlation.
    pub tau: f64,
    /// Largest wavenumber along each axis.
    pub modes: usize,
}

impl PeriodicField {
    /// Checks the parameters for fields of one axis or two.
    ///
    /// # Errors
    /// α not above half the dimension, a scale or τ that is negative or not finite, no modes.
    pub fn check(&self, dim: usize) -> Result<()> {
        if !(self.alpha > 0.5 * dim as f64 && self.alpha.is_finite()) {
            let needed =
                format!("the variance of a field of {dim} axes is finite above {} only", 0.5 * dim as f64);
            return Err(Error::invalid("alpha of the random field", self.alpha, needed));
        }
        for (what, value) in
            [("the scale of the random field", self.scale), ("tau of the random field", self.tau)]
        {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::invalid(what, value, "it must be finite and not negative"));
            }
        }
        match self.modes {
            0 => Err(Error::invalid("the modes of the random field", 0, "at least 1 is needed")),
            _ => Ok(()),
        }
    }

    /// s (4π²|k|² + τ²)^{−α/2}, 0 for k = 0.
    pub fn amplitude(&self, [k, l]: [i64; 2]) -> f64 {
        let square = TAU * TAU * (k * k + l * l) as f64;
        if k == 0 && l == 0 {
            0.0
        } else {
            self.scale * (square + self.tau * self.tau).powf(-0.5 * self.alpha)
        }
    }

    /// Field number `index` of a seed at the points i/n (and j/m) of a grid, i fastest.
    ///
    /// # Errors
    /// As [`check`](Self::check); a grid that is too coarse for the modes, one with another number of axes than one or
    /// two.
    pub fn on(&self, extents: &[usize], seed: u64, index: u32) -> Result<Vec<f64>> {
        let (n, m) = match *extents {
            [n] => (n, 1),
            [n, m] => (n, m),
            _ => {
                let given = format!("{extents:?}");
                return Err(Error::invalid(
                    "the extents of the random field",
                    given,
                    "one or two are needed",
                ));
            }
        };
        self.check(extents.len())?;
        if let Some(n) = extents.iter().find(|n| **n <= 2 * self.modes) {
            let needed =
                format!("{} modes are told apart by at least {} points", self.modes, 2 * self.modes + 1);
            return Err(Error::invalid("an extent of the random field", n, needed));
        }
        let mut fourier = Fourier::new([n, m]);
        let mut u = vec![Complex64::ZERO; n * m];
        let most = self.modes as i64;
        let rows = if extents.len() == 1 { 0 } else { most };
        for l in 0..=rows {
            for k in if l == 0 { 1 } else { -most }..=most {
                let id = (k + (1 << 31)) as u64 | (l as u64) << 32;
                let (xi, eta) = normal_pair(at(seed, id, stream(index, 1)));
                // √2 (ξ cos + η sin) = c e^{2πi k·x} + its conjugate.
                let c = Complex64::new(xi, -eta) * (FRAC_1_SQRT_2 * self.amplitude([k, l]));
                u[fourier.place([k, l])] = c;
                u[fourier.place([-k, -l])] = c.conj();
            }
        }
        fourier.inverse(&mut u);
        Ok(u.into_iter().map(|u| u.re).collect())
    }
}
