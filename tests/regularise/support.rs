//! A small network as right-hand side, and the gradient of a whole training loss against finite
//! differences at replayed steps.

use odeon::adjoint::Memory;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Solution};
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
        (0..5 * UNITS)
            .map(|i| 0.9 * (1.3 * i as f64 + 0.4).sin())
            .collect()
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
        Self {
            batch: 3,
            span: [0.0, 3.0],
            options: Options::tol(1e-2, 1e-3),
            memory: Memory::Unlimited,
        }
    }
}

impl Setup {
    pub fn y0(&self) -> Vec<f64> {
        (0..2 * self.batch)
            .map(|i| 1.2 * (2.1 * i as f64 + 0.6).cos())
            .collect()
    }
}

/// A loss that every saved number enters differently, and its cotangent.
pub fn loss(solution: &Solution<f64>, y_bar: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    for (i, (y, bar)) in solution.y.iter().zip(y_bar).enumerate() {
        let w = 0.3 + 0.1 * (i as f64).sin();
        sum += w * y * y;
        *bar = 2.0 * w * y;
    }
    sum
}

/// Derivative of `f` at 0: central differences with the increment halved from 0.02, extrapolated
/// twice; the one that agrees best with its neighbours counts.
pub fn difference(mut f: impl FnMut(f64) -> f64) -> f64 {
    let central: Vec<f64> = (0..13)
        .map(|level| 0.02 * 0.5f64.powi(level))
        .map(|d| (f(d) - f(-d)) / (2.0 * d))
        .collect();
    let twice = |w: &[f64]| {
        let (r0, r1) = ((4.0 * w[1] - w[0]) / 3.0, (4.0 * w[2] - w[1]) / 3.0);
        (16.0 * r1 - r0) / 15.0
    };
    let best = central.windows(5).map(|w| {
        let r = [twice(&w[..3]), twice(&w[1..4]), twice(&w[2..])];
        (r[1], (r[1] - r[0]).abs().max((r[2] - r[1]).abs()))
    });
    best.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
}
