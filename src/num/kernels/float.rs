//! [`Elementary`]: the bit-level operations and tables that the kernels need of a float type.

use super::coefficients::{of_f32, of_f64};
use super::trigonometric::{cos_far, sin_far};

/// What the kernels know about a float type's bits; implemented by `f32` and `f64` only.
///
/// Every operation is branch-free, so that a loop over it vectorises.
pub trait Elementary: Copy + 'static {
    /// An integer as wide as the float, two's complement.
    type Bits: Copy;
    /// (eʳ − 1 − r)/r².
    const EXP_TAIL: &'static [Self];
    /// (2ʳ − 1 − r ln2)/r².
    const EXP2_TAIL: &'static [Self];
    /// (ln((2+S)/(2−S)) − S)/S³, in S².
    const LN_TAIL: &'static [Self];
    /// (sin r − r)/r³, in r².
    const SIN_TAIL: &'static [Self];
    /// (cos r − 1 + r²/2)/r⁴, in r².
    const COS_TAIL: &'static [Self];
    /// (t+4) Φ(−t) e^(t²/2), in (t−4)/(t+4).
    const MILLS: &'static [Self];
    /// ln 2 in two parts.
    const LN2: [Self; 2];
    /// ln 2 in two parts, products of the first with an exponent being exact.
    const LN2_CUT: [Self; 2];
    /// 1/ln 2 in two parts, the first of half a significand.
    const LOG2E_CUT: [Self; 2];
    /// π/2 in three parts.
    const HALF_PI: [Self; 3];
    /// Below this eˣ, x eˣ and the like are 0.
    const EXP_MIN: Self;
    /// Above this eˣ is infinite, and 1 + e⁻ˣ = 1.
    const EXP_MAX: Self;
    /// Where the normal tail t Φ(−t) has become 0.
    const GAUSS_MAX: Self;
    /// Largest |x| that the three-part reduction by π/2 serves.
    const TRIG_MAX: Self;

    /// The nearest integer, as float and as integer; |x| below a quarter of 2^(significand bits).
    fn nearest(self) -> (Self, Self::Bits);
    /// x · 2ᵏ, rounded once; overflows and underflows as it should.
    fn scale(self, k: Self::Bits) -> Self;
    /// 2ᵏ for exponents of normal numbers.
    fn pow2(k: Self::Bits) -> Self;
    /// Whether k is odd, and whether its second bit is set.
    fn quadrant(k: Self::Bits) -> (bool, bool);
    /// m in [√½, √2) and k with m · 2ᵏ = x, for positive finite x.
    fn decompose(self) -> (Self, Self);
    /// x without the lower half of its significand.
    fn head(self) -> Self;
    /// Sine beyond `TRIG_MAX`.
    fn far_sin(self) -> Self;
    /// Cosine beyond `TRIG_MAX`.
    fn far_cos(self) -> Self;
}

macro_rules! elementary {
    ($t:ident, $bits:ident, $tables:ident, $mantissa:literal, $sqrt_half:literal, $head:literal,
     exp $exp_min:literal $exp_max:literal, gauss $gauss:literal, trig $trig:literal) => {
        impl Elementary for $t {
            type Bits = $bits;
            const EXP_TAIL: &'static [Self] = $tables::EXP;
            const EXP2_TAIL: &'static [Self] = $tables::EXP2;
            const LN_TAIL: &'static [Self] = $tables::LN;
            const SIN_TAIL: &'static [Self] = $tables::SIN;
            const COS_TAIL: &'static [Self] = $tables::COS;
            const MILLS: &'static [Self] = $tables::MILLS;
            const LN2: [Self; 2] = $tables::LN2;
            const LN2_CUT: [Self; 2] = $tables::LN2_CUT;
            const LOG2E_CUT: [Self; 2] = $tables::LOG2E_CUT;
            const HALF_PI: [Self; 3] = $tables::HALF_PI;
            const EXP_MIN: Self = $exp_min;
            const EXP_MAX: Self = $exp_max;
            const GAUSS_MAX: Self = $gauss;
            const TRIG_MAX: Self = $trig;

            #[inline(always)]
            fn nearest(self) -> (Self, $bits) {
                // Adding 1.5 · 2^mantissa leaves the rounded integer in the low bits.
                const MAGIC: $t = 1.5 * ((1 as $bits) << $mantissa) as $t;
                let shifted = self + MAGIC;
                (shifted - MAGIC, shifted.to_bits().wrapping_sub(MAGIC.to_bits()))
            }
            #[inline(always)]
            fn scale(self, k: $bits) -> Self {
                // Two factors, each a normal number; only the second product can round.
                const OFFSET: $bits = 2 * $t::MAX_EXP as $bits;
                let sum = k.wrapping_add(OFFSET);
                let half = sum >> 1;
                let factor = |e: $bits| $t::from_bits(e.wrapping_sub(1) << $mantissa);
                self * factor(half) * factor(sum.wrapping_sub(half))
            }
            #[inline(always)]
            fn pow2(k: $bits) -> Self {
                $t::from_bits(k.wrapping_add($t::MAX_EXP as $bits - 1) << $mantissa)
            }
            #[inline(always)]
            fn quadrant(k: $bits) -> (bool, bool) {
                (k & 1 != 0, k & 2 != 0)
            }
            #[inline(always)]
            fn decompose(self) -> (Self, Self) {
                const UP: $t = ((1 as $bits) << ($mantissa + 1)) as $t;
                const ONE: $bits = (1.0 as $t).to_bits();
                const INTEGER: $t = ((1 as $bits) << $mantissa) as $t;
                let subnormal = self < $t::MIN_POSITIVE;
                let x = if subnormal { self * UP } else { self };
                let bits = x.to_bits().wrapping_add(ONE - $sqrt_half);
                let m = (bits & (((1 as $bits) << $mantissa) - 1)) + $sqrt_half;
                // The exponent as a float without an integer conversion, which AVX2 lacks.
                let k = $t::from_bits((bits >> $mantissa) | INTEGER.to_bits());
                let zero = INTEGER + ($t::MAX_EXP - 1) as $t;
                let shift = if subnormal { ($mantissa + 1) as $t } else { 0.0 };
                ($t::from_bits(m), k - zero - shift)
            }
            #[inline(always)]
            fn head(self) -> Self {
                $t::from_bits(self.to_bits() & $head)
            }
            fn far_sin(self) -> Self {
                sin_far(f64::from(self)) as $t
            }
            fn far_cos(self) -> Self {
                cos_far(f64::from(self)) as $t
            }
        }
    };
}

elementary!(f64, u64, of_f64, 52, 0x3fe6_a09e_667f_3bcd, 0xffff_ffff_0000_0000,
    exp -1000.0 720.0, gauss 40.0, trig 1e9);
elementary!(f32, u32, of_f32, 23, 0x3f35_04f3, 0xffff_f000,
    exp -120.0 100.0, gauss 15.0, trig 1e5);
