//! eˣ and what is made of it: tanh, sigmoid, softplus, silu.

use super::super::Real;
use super::logarithm::ln_1p_tail;
use super::pairs::{even_odd, fast_sum, horner, quotient, sum, times};

/// e^(x + x_low) = 2ᵏ (1 + r + tail), |r| ≤ ln2/2; gives (k, r, tail).
///
/// Cody and Waite's reduction with fused operations: x − n·LN2[0] is exact for every n in range.
#[inline(always)]
fn reduce<T: Real>(x: T, x_low: T) -> (T::Bits, T, T) {
    let (n, k) = (x * T::of(std::f64::consts::LOG2_E)).nearest();
    let high = (-n).mul_add(T::LN2[0], x);
    let (r, mut low) = fast_sum(high, -(n * T::LN2[1]));
    low += x_low;
    // e^(r + low) − 1 = m + low (1 + m) with m = e^r − 1 = r + tail.
    let tail = (r * r) * horner(T::EXP_TAIL, r);
    (k, r, low.mul_add(r + tail, low) + tail)
}

/// e^(x + x_low) = 2ᵏ (high + low); gives (k, (high, low)).
#[inline(always)]
pub(super) fn exp_pair<T: Real>(x: T, x_low: T) -> (T::Bits, (T, T)) {
    let (k, r, tail) = reduce(x, x_low);
    let (high, low) = fast_sum(T::of(1.0), r);
    (k, fast_sum(high, low + tail))
}

/// eˣ.
#[inline(always)]
pub fn exp<T: Real>(x: T) -> T {
    let (k, (high, low)) = exp_pair(x.max(T::EXP_MIN).min(T::EXP_MAX), T::of(0.0));
    (high + low).scale(k)
}

/// 2ˣ, without fused operations: as fast outside [`dispatch`](super::super::dispatch) as inside.
#[inline(always)]
pub fn exp2<T: Real>(x: T) -> T {
    // 1.5 times the limits of eˣ are beyond those of 2ˣ.
    let (low, high) = (T::EXP_MIN * T::of(1.5), T::EXP_MAX * T::of(1.5));
    let x = x.max(low).min(high);
    let (n, k) = x.nearest();
    let r = x - n;
    let tail = (r * r) * even_odd(T::EXP2_TAIL, r);
    (T::of(1.0) + (r * T::LN2[0] + tail)).scale(k)
}

/// tanh x = −m/(2 + m), m = e^(−2|x|) − 1, with x's sign.
///
/// e^(−2|x|) = 2ᵏ(1 + p), |p| < 0.42, so m = 2ᵏp + (2ᵏ − 1) loses nothing: the second summand is exact,
/// and for k < 0 it is the larger by far. The rounding of 2 + m is taken back in the quotient.
#[inline(always)]
pub fn tanh<T: Real>(x: T) -> T {
    // tanh is 1 to the last bit beyond 20.
    let twice = (x.abs() * T::of(-2.0)).max(T::of(-40.0));
    let (n, k) = (twice * T::of(std::f64::consts::LOG2_E)).nearest();
    let r = (-n).mul_add(T::LN2[1], (-n).mul_add(T::LN2[0], twice));
    let p = (r * r).mul_add(horner(T::EXP_TAIL, r), r);
    let power = T::pow2(k);
    let m = power.mul_add(p, power - T::of(1.0));
    let (d, low) = fast_sum(T::of(2.0), m);
    let inverse = T::of(1.0) / d;
    let q = m * inverse;
    let rest = (-q).mul_add(low, (-q).mul_add(d, m));
    rest.mul_add(inverse, q).abs().copysign(x)
}

/// The parts of σ(x): (q, k) with σ = q·2ᵏ for x < 0 and σ = q otherwise.
#[inline(always)]
fn logistic<T: Real>(x: T) -> ((T, T), T::Bits) {
    let (k, e) = exp_pair((-x.abs()).max(T::EXP_MIN), T::of(0.0));
    let (d, low) = fast_sum(T::of(1.0), e.0.scale(k));
    let denominator = (d, low + e.1.scale(k));
    let numerator = if x < T::of(0.0) { e } else { (T::of(1.0), T::of(0.0)) };
    (quotient(numerator, denominator), k)
}

/// Logistic sigmoid σ(x) = 1/(1 + e⁻ˣ), as e^x/(1 + e^x) for x < 0.
#[inline(always)]
pub fn sigmoid<T: Real>(x: T) -> T {
    let ((high, low), k) = logistic(x);
    let q = high + low;
    let scaled = q.scale(k);
    if x < T::of(0.0) { scaled } else { q }
}

/// SiLU (swish) x·σ(x).
#[inline(always)]
pub fn silu<T: Real>(x: T) -> T {
    let (q, k) = logistic(x);
    let value = times(x.max(T::EXP_MIN), q);
    let scaled = value.scale(k);
    let value = if x < T::of(0.0) { scaled } else { value };
    if x > T::EXP_MAX { x } else { value }
}

/// Softplus ln(1 + eˣ) = max(x, 0) + ln(1 + e^(−|x|)).
#[inline(always)]
pub fn softplus<T: Real>(x: T) -> T {
    let (k, e) = exp_pair((-x.abs()).max(T::EXP_MIN), T::of(0.0));
    let e = (e.0.scale(k), e.1.scale(k));
    // 1 + e above √2 is halved, so that the series' argument stays small.
    let halved = e.0 > T::of(std::f64::consts::SQRT_2 - 1.0);
    let (high, low) = sum(e.0, -T::of(1.0));
    let half = T::of(0.5);
    let f = if halved { (high * half, (low + e.1) * half) } else { e };
    let (s, tail) = ln_1p_tail(f);
    let zero = T::of(0.0);
    let (ln2, ln2_low) = if halved { (T::LN2_CUT[0], T::LN2_CUT[1]) } else { (zero, zero) };
    let (high, low) = fast_sum(ln2, s);
    let low = low + (tail + ln2_low);
    let (top, rest) = sum(x.max(zero), high);
    let value = top + (rest + low);
    if x > T::EXP_MAX { x } else { value }
}
