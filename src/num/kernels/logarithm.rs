//! ln and log₂.

use super::super::Real;
use super::pairs::{even_odd, fast_sum, horner, quotient};

/// ln(1 + f) = S + tail for a pair f in [√½ − 1, √2 − 1], S = 2f/(2 + f).
#[inline(always)]
pub(super) fn ln_1p_tail<T: Real>(f: (T, T)) -> (T, T) {
    let two = T::of(2.0);
    let (d, low) = fast_sum(two, f.0);
    let (s, s_low) = quotient((two * f.0, two * f.1), (d, low + f.1));
    let square = s * s;
    (s, (s * square).mul_add(horner(T::LN_TAIL, square), s_low))
}

/// `value` for positive finite x; the logarithm's limits elsewhere.
#[inline(always)]
fn limits<T: Real>(x: T, value: T) -> T {
    let value = if x > T::MAX { x } else { value };
    let value = if x == T::of(0.0) { -T::INFINITY } else { value };
    if x >= T::of(0.0) { value } else { T::NAN }
}

/// Natural logarithm; −∞ at ±0, NaN below.
#[inline(always)]
pub fn ln<T: Real>(x: T) -> T {
    let (m, k) = x.decompose();
    let (s, tail) = ln_1p_tail((m - T::of(1.0), T::of(0.0)));
    let (high, low) = fast_sum(k * T::LN2_CUT[0], s);
    limits(x, high + (low + k.mul_add(T::LN2_CUT[1], tail)))
}

/// Base-two logarithm, without fused operations (the splitting of fdlibm's `e_log2.c`): as fast
/// outside [`dispatch`](super::super::dispatch) as inside; exact at powers of two.
#[inline(always)]
pub fn log2<T: Real>(x: T) -> T {
    let (m, k) = x.decompose();
    let f = m - T::of(1.0);
    let half_square = T::of(0.5) * f * f;
    let s = f / (T::of(2.0) + f);
    let square = T::of(4.0) * (s * s);
    // ln(1 + f) = f − f²/2 + s(f²/2 + R), R = 2 S² P(S²).
    let rest = s * (half_square + T::of(2.0) * square * even_odd(T::LN_TAIL, square));
    let high = (f - half_square).head();
    let low = (f - high) - half_square + rest;
    // `high` and LOG2E_CUT[0] have half a significand each: their product is exact.
    let top = high * T::LOG2E_CUT[0];
    let below = (low + high) * T::LOG2E_CUT[1] + low * T::LOG2E_CUT[0];
    let (value, error) = fast_sum(k, top);
    limits(x, value + (error + below))
}
