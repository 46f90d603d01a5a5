//! GELU, exact: through the normal distribution function, not the tanh approximation.
//!
//! For t = |x|, Φ(−t) = e^(−t²/2) M(t), with M (half of Mills' ratio times √(2/π)) smooth: one
//! polynomial in u = (t−4)/(t+4) gives (t+4) M(t) over the whole range. The lower tail keeps its
//! relative accuracy down to underflow.

use super::super::{Real, Scalar};
use super::exponential::exp_pair;
use super::float::Elementary;
use super::pairs::{fast_sum, horner, product, quotient, sum, times};

/// Φ(−t) as q·2ᵏ, and e^(−t²/2) as e·2ᵏ, for 0 ≤ t ≤ GAUSS_MAX; gives (k, q, e).
#[inline(always)]
fn tail<T: Real>(t: T) -> (T::Bits, (T, T), (T, T)) {
    let four = T::of(4.0);
    let below = sum(t, four);
    let u = quotient(sum(t, -four), below);
    // The two lowest coefficients dominate: their steps are done in pairs.
    let inner = fast_sum(T::MILLS[1], u.0 * horner(&T::MILLS[2..], u.0));
    let (slope, slope_low) = product(u, inner);
    let (g, g_low) = sum(T::MILLS[0], slope);
    let mills = quotient((g, g_low + slope_low), below);
    let square = t * t;
    let half = T::of(-0.5);
    let (k, e) = exp_pair(half * square, half * t.mul_add(t, -square));
    (k, product(mills, e), e)
}

/// GELU x·Φ(x) = x/2·(1 + erf(x/√2)), the exact form.
#[inline(always)]
pub fn gelu<T: Real>(x: T) -> T {
    let t = x.abs().min(T::GAUSS_MAX);
    let (k, q, _) = tail(t);
    let lower = times(-t, q).scale(k);
    let (upper, low) = fast_sum(T::of(1.0), -q.0.scale(k));
    let upper = times(x, (upper, low - q.1.scale(k)));
    let value = if x < T::of(0.0) { lower } else { upper };
    // ∞ times a zero low part would be NaN.
    if x > T::GAUSS_MAX { x } else { value }
}

/// d gelu/dx = Φ(x) + x·e^(−x²/2)/√(2π).
#[inline(always)]
pub fn gelu_slope<T: Real>(x: T) -> T {
    let t = x.abs().min(T::GAUSS_MAX);
    let (k, q, e) = tail(t);
    let tail = (q.0 + q.1).scale(k);
    let below = x < T::of(0.0);
    let phi = if below { tail } else { T::of(1.0) - tail };
    let signed = if below { -t } else { t };
    let density = T::of(0.398_942_280_401_432_7) * (e.0 + e.1).scale(k);
    signed.mul_add(density, phi)
}

/// d²gelu/dx² = (2 − x²)·e^(−x²/2)/√(2π).
#[inline(always)]
pub fn gelu_curvature<T: Real>(x: T) -> T {
    let t = x.abs().min(T::GAUSS_MAX);
    let (k, _, e) = tail(t);
    let density = T::of(0.398_942_280_401_432_7) * (e.0 + e.1).scale(k);
    density * (-t).mul_add(t, T::of(2.0))
}

/// GELU from the operations of any scalar, so that it differentiates: x/2 + |x|(1/2 − Φ(−|x|)).
#[inline(always)]
pub fn gelu_of_scalar<S: Scalar>(x: S) -> S {
    let (half, four) = (S::of(0.5), S::of(4.0));
    let t = x.abs().min(S::of(<f64 as Elementary>::GAUSS_MAX));
    let u = (t - four) / (t + four);
    let mut g = S::zero();
    for &c in <f64 as Elementary>::MILLS.iter().rev() {
        g = g.mul_add(u, S::of(c));
    }
    let lower = (-(half * t * t)).exp() * g / (t + four);
    x.abs().mul_add(half - lower, half * x)
}
