//! Sine and cosine.

use super::super::Real;
use super::pairs::{fast_sum, horner, sum};

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

/// Sine; the standard library's for |x| beyond 10⁹ (`f64`) or 10⁵ (`f32`).
#[inline(always)]
pub fn sin<T: Real>(x: T) -> T {
    if moderate(x) {
        sin_moderate(x)
    } else {
        x.std_sin()
    }
}

/// Cosine; the standard library's for |x| beyond 10⁹ (`f64`) or 10⁵ (`f32`).
#[inline(always)]
pub fn cos<T: Real>(x: T) -> T {
    if moderate(x) {
        cos_moderate(x)
    } else {
        x.std_cos()
    }
}
