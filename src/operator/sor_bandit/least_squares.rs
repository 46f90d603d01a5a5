//! Least squares kept as a Gram matrix, so that a round costs the same at any age.

use crate::error::Result;
use crate::linalg::dense::DenseCholesky;
use serde::{Deserialize, Serialize};

/// G = Σ φφᵀ, g = Σ φ y and Σ y² of the data so far, and the coefficients fitted to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fit {
    gram: Vec<f64>,
    moment: Vec<f64>,
    square: f64,
    pub(super) theta: Vec<f64>,
}

impl Fit {
    pub(super) fn new(features: usize) -> Self {
        let zeros = vec![0.0; features];
        Self { gram: vec![0.0; features * features], moment: zeros.clone(), square: 0.0, theta: zeros }
    }

    pub(super) fn add(&mut self, features: &[f64], y: f64) {
        let m = features.len();
        for (row, a) in self.gram.chunks_exact_mut(m).zip(features) {
            row.iter_mut().zip(features).for_each(|(g, b)| *g += a * b);
        }
        self.moment.iter_mut().zip(features).for_each(|(g, f)| *g += f * y);
        self.square += y * y;
    }

    pub(super) fn predict(&self, features: &[f64]) -> f64 {
        self.theta.iter().zip(features).map(|(t, f)| t * f).sum()
    }

    /// Σ (y − φᵀθ)².
    pub(super) fn residual(&self) -> f64 {
        let m = self.theta.len();
        let row = |i: usize| self.gram[i * m..][..m].iter().zip(&self.theta).map(|(g, t)| g * t).sum::<f64>();
        let cross: f64 = (0..m).map(|i| self.theta[i] * (row(i) - 2.0 * self.moment[i])).sum();
        (self.square + cross).max(0.0)
    }

    /// The θ with |θ_j| ≤ `limits`_j of the least residual, by cyclic coordinate descent from the
    /// present θ (convex, so that it ends at the minimum).
    pub(super) fn solve_in_box(&mut self, limits: &[f64]) {
        let m = self.theta.len();
        for (t, limit) in self.theta.iter_mut().zip(limits) {
            *t = t.clamp(-limit, *limit);
        }
        for _ in 0..1000 {
            let mut moved: f64 = 0.0;
            for (j, limit) in limits.iter().enumerate() {
                let row = &self.gram[j * m..][..m];
                let curvature = row[j];
                if curvature <= 0.0 {
                    continue;
                }
                let product: f64 = row.iter().zip(&self.theta).map(|(g, t)| g * t).sum();
                let best = self.theta[j] + (self.moment[j] - product) / curvature;
                let best = best.clamp(-limit, *limit);
                moved = moved.max((best - self.theta[j]).abs());
                self.theta[j] = best;
            }
            let size = self.theta.iter().fold(0.0_f64, |a, t| a.max(t.abs()));
            if moved <= 1e-9 * size {
                break;
            }
        }
    }

    /// Ridge regression: θ = (G + `ridge` I)⁻¹ g; the factor stays in `factor` for the widths.
    pub(super) fn solve_ridge(&mut self, ridge: f64, factor: &mut DenseCholesky<f64>) -> Result<()> {
        let m = self.theta.len();
        let mut shifted = self.gram.clone();
        shifted.iter_mut().step_by(m + 1).for_each(|d| *d += ridge);
        factor.factor(&shifted)?;
        self.theta.copy_from_slice(&self.moment);
        factor.solve(&mut self.theta);
        Ok(())
    }
}

/// T_0(x) … T_{m−1}(x).
pub(super) fn chebyshev(x: f64, m: usize) -> impl Iterator<Item = f64> + Clone {
    let next = move |[a, b]: &[f64; 2]| Some([*b, 2.0 * x * b - a]);
    std::iter::successors(Some([1.0, x]), next).map(|[t, _]| t).take(m)
}
