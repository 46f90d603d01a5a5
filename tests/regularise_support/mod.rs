//! A small network as right-hand side, and a solve of it.

use odeon::adjoint::Memory;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::Options;
use odeon::num::Scalar;

/// y' = V tanh(W y³ + w t) with three units, V, W, w in θ.
#[derive(Clone, Copy)]
pub struct Net;

const UNITS: usize = 3;

impl Net {
    pub fn field() -> Generic<Self> {
        Generic(Self)
    }

    pub fn theta() -> Vec<f64> {
        (0..5 * UNITS).map(|i| 0.9 * (1.3 * i as f64 + 0.4).sin()).collect()
    }
}

impl VectorField for Net {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        5 * UNITS
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = S::zero();
        dy[1] = S::zero();
        for p in p.chunks_exact(5) {
            let unit = (p[0] * y[0].powi(3) + p[1] * y[1].powi(3) + p[2] * t).tanh();
            dy[0] += p[3] * unit;
            dy[1] += p[4] * unit;
        }
    }
}

/// A solve of [`Net`].
#[derive(Clone)]
pub struct Setup {
    pub batch: usize,
    pub span: [f64; 2],
    pub options: Options<f64>,
    pub memory: Memory,
}

impl Default for Setup {
    fn default() -> Self {
        Self { batch: 3, span: [0.0, 3.0], options: Options::tol(1e-2, 1e-3), memory: Memory::Unlimited }
    }
}

impl Setup {
    pub fn y0(&self) -> Vec<f64> {
        (0..2 * self.batch).map(|i| 1.2 * (2.1 * i as f64 + 0.6).cos()).collect()
    }
}
