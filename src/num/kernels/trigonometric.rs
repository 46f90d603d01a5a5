//! Sine and cosine.

use super::super::Real;
use super::coefficients::TWO_OVER_PI;
use super::float::Elementary;
use super::pairs::{fast_sum, horner, product, sum};

/// |x| = n·π/2 + r + low, |r| ≤ π/4; gives (n, r, low).
///
/// Cody and Waite's reduction in three parts; |x| − n·HALF_PI[0] is exact with fused operations.
#[inline(always)]
fn reduce<T: Real>(x: T) -> (T::Bits, T, T) {
    let (n, k) = (x * T::of(std::f64::consts::FRAC_2_PI)).nearest();
    let first = (-n).mul_add(T::HALF_PI[0], x);
    let second = n * T::HALF_PI[1];
    let second_low = n.mul_add(T::HALF_PI[1], -second);
    let (high, low) = sum(first, -second);
    let low = (-n).mul_add(T::HALF_PI[2], low - second_low);
    let (r, low) = fast_sum(high, low);
    (k, r, low)
}

/// sin(r + low), or cos(r + low) where `odd`.
#[inline(always)]
fn reduced<T: Real>(odd: bool, r: T, low: T) -> T {
    let square = r * r;
    let half = T::of(0.5) * square;
    // sin(r + low) = r + (r³ S + low (1 − r²/2)).
    let sine = r + (r * square).mul_add(horner(T::SIN_TAIL, square), low - half * low);
    // cos(r + low) = 1 − r²/2 + (r⁴ C − r low).
    let (top, rest) = fast_sum(T::of(1.0), -half);
    let square_low = r.mul_add(r, -square);
    let rest = T::of(-0.5).mul_add(square_low, rest);
    let tail = (square * square).mul_add(horner(T::COS_TAIL, square), -(r * low));
    let cosine = top + (rest + tail);
    if odd { cosine } else { sine }
}

/// Whether x is within the reduction's reach (false for NaN).
#[inline(always)]
pub fn moderate<T: Real>(x: T) -> bool {
    x.abs() <= T::TRIG_MAX
}

/// sin x for [`moderate`] x, branch-free.
#[inline(always)]
pub fn sin_moderate<T: Real>(x: T) -> T {
    let (k, r, low) = reduce(x.abs());
    let (odd, negative) = T::quadrant(k);
    let value = reduced(odd, r, low);
    let value = if negative { -value } else { value };
    // sin is odd: the sign of x, −0 included, multiplies the sign of the value.
    value * T::of(1.0).copysign(x)
}

/// cos x for [`moderate`] x, branch-free.
#[inline(always)]
pub fn cos_moderate<T: Real>(x: T) -> T {
    let (k, r, low) = reduce(x.abs());
    let (odd, second) = T::quadrant(k);
    let value = reduced(!odd, r, low);
    if odd != second { -value } else { value }
}

/// Sine; |x| beyond 10⁹ (`f64`) or 10⁵ (`f32`) takes a slower reduction, exact for every x.
#[inline(always)]
pub fn sin<T: Real>(x: T) -> T {
    if moderate(x) { sin_moderate(x) } else { x.far_sin() }
}

/// Cosine; |x| beyond 10⁹ (`f64`) or 10⁵ (`f32`) takes a slower reduction, exact for every x.
#[inline(always)]
pub fn cos<T: Real>(x: T) -> T {
    if moderate(x) { cos_moderate(x) } else { x.far_cos() }
}

/// |x| = n·π/2 + r + low for finite |x| ≥ 1; gives (n mod 4, r, low).
///
/// Payne and Hanek's reduction: of x·2/π = m·2ᵉ·2/π only the 192 binary digits of 2/π that make
/// the last two bits of the integer part and the fraction are multiplied. The closest double to a
/// multiple of π/2 leaves a fraction of about 2⁻⁶², so more than 70 of its bits are right.
fn reduce_far(x: f64) -> (u64, f64, f64) {
    let bits = x.abs().to_bits();
    let m = (bits & ((1 << 52) - 1)) | (1 << 52);
    // |x| = m·2ᵉ; the first digit kept is the one that 2ᵉ makes worth 2, and 64 precede the point.
    let shift = (bits >> 52) as usize - 1013;
    let (word, offset) = (shift / 64, (shift % 64) as u32);
    let digits = |i: usize| {
        let pair = u128::from(TWO_OVER_PI[word + i]) << 64 | u128::from(TWO_OVER_PI[word + i + 1]);
        ((pair << offset) >> 64) as u64
    };
    let wide = u128::from(m);
    let p2 = wide * u128::from(digits(2));
    let p1 = wide * u128::from(digits(1)) + (p2 >> 64);
    let p0 = m.wrapping_mul(digits(0)).wrapping_add((p1 >> 64) as u64);
    let (p1, p2) = (p1 as u64, p2 as u64);
    // Two bits of integer part, then the fraction, taken to the nearer integer.
    let mut fraction = [p0 << 2 | p1 >> 62, p1 << 2 | p2 >> 62, p2 << 2];
    let up = fraction[0] >> 63;
    if up == 1 {
        fraction = fraction.map(|w| !w);
    }
    let part = |w: u64, exponent: i32| w as f64 * <f64 as Elementary>::pow2(i64::from(exponent) as u64);
    let [a, b, c] = fraction;
    let (high, low) = fast_sum(part(a >> 32, -32), part(a & 0xffff_ffff, -64));
    let rest = part(b >> 32, -96) + (part(b & 0xffff_ffff, -128) + part(c >> 32, -160));
    let sign = if up == 1 { -1.0 } else { 1.0 };
    let (high, low) = fast_sum(high, low + rest);
    let half_pi = (<f64 as Elementary>::HALF_PI[0], <f64 as Elementary>::HALF_PI[1]);
    let (r, low) = product((sign * high, sign * low), half_pi);
    ((p0 >> 62).wrapping_add(up), r, low)
}

/// sin x for |x| ≥ 1; NaN for infinities.
pub(super) fn sin_far(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let (k, r, low) = reduce_far(x);
    let (odd, negative) = <f64 as Elementary>::quadrant(k);
    let value = reduced(odd, r, low);
    if negative != (x < 0.0) { -value } else { value }
}

/// cos x for |x| ≥ 1; NaN for infinities.
pub(super) fn cos_far(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let (k, r, low) = reduce_far(x);
    let (odd, second) = <f64 as Elementary>::quadrant(k);
    let value = reduced(!odd, r, low);
    if odd != second { -value } else { value }
}
