//! Unevaluated sums of two numbers, high + low (Dekker 1971, Knuth): what keeps the last
//! operations of a kernel from adding their roundings up.

use super::super::Real;

/// a + b and its rounding error, exact for |a| ≥ |b| (or a = 0).
#[inline(always)]
pub(super) fn fast_sum<T: Real>(a: T, b: T) -> (T, T) {
    let high = a + b;
    (high, b - (high - a))
}

/// a + b and its rounding error, exact.
#[inline(always)]
pub(super) fn sum<T: Real>(a: T, b: T) -> (T, T) {
    let high = a + b;
    let of_b = high - a;
    (high, (a - (high - of_b)) + (b - of_b))
}

/// n / d for pairs, off by a few squared roundings; one division.
#[inline(always)]
pub(super) fn quotient<T: Real>(n: (T, T), d: (T, T)) -> (T, T) {
    let inverse = T::of(1.0) / d.0;
    let high = n.0 * inverse;
    let rest = (-high).mul_add(d.0, n.0) + (-high).mul_add(d.1, n.1);
    (high, rest * inverse)
}

/// a · b for pairs, the product of the low parts dropped.
#[inline(always)]
pub(super) fn product<T: Real>(a: (T, T), b: (T, T)) -> (T, T) {
    let high = a.0 * b.0;
    let low = a.0.mul_add(b.0, -high);
    (high, a.0.mul_add(b.1, a.1.mul_add(b.0, low)))
}

/// x · p for a pair p, rounded about once.
#[inline(always)]
pub(super) fn times<T: Real>(x: T, p: (T, T)) -> T {
    x.mul_add(p.0, x * p.1)
}

/// Σ cᵢ xⁱ by Horner's rule.
#[inline(always)]
pub(in crate::num) fn horner<T: Real>(c: &[T], x: T) -> T {
    // From the highest coefficient itself: 0·x + c would not be dropped, for x might not be finite.
    let Some((&last, rest)) = c.split_last() else { return T::of(0.0) };
    let mut value = last;
    for &c in rest.iter().rev() {
        value = value.mul_add(x, c);
    }
    value
}

/// Σ cᵢ xⁱ as even(x²) + x·odd(x²) without fused operations: half the latency, and the same bits
/// at the same speed where a fused operation would be a library call.
#[inline(always)]
pub(super) fn even_odd<T: Real>(c: &[T], x: T) -> T {
    let (mut even, mut odd) = (T::of(0.0), T::of(0.0));
    let square = x * x;
    let mut i = c.len();
    while i > 0 {
        i -= 1;
        if i.is_multiple_of(2) {
            even = even * square + c[i];
        } else {
            odd = odd * square + c[i];
        }
    }
    even + x * odd
}
