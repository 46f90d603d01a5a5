//! The two scalar traits: [`Scalar`], what a right-hand side may compute with, and [`Real`], the
//! floating-point types the library stores and controls with.

use super::kernels::{self, Elementary};
use num_traits::{FromPrimitive, ToPrimitive};
use std::fmt::{Debug, Display, LowerExp};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A number that a user-written right-hand side is generic over.
///
/// Implemented by `f32`, `f64`, [`Lanes`](super::Lanes) (sixteen trajectories at once), dual numbers
/// (JVP) and tape variables (VJP). There is no ordering: a right-hand side that branches on values
/// cannot run on lanes; use [`max`](Scalar::max), [`min`](Scalar::min), [`abs`](Scalar::abs) and
/// [`where_greater`](Scalar::where_greater).
pub trait Scalar:
    Copy
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// The constant `c`.
    fn of(c: f64) -> Self;
    /// `self · a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Sine.
    fn sin(self) -> Self;
    /// Cosine.
    fn cos(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Absolute value (derivative: sign, 0 at 0).
    fn abs(self) -> Self;
    /// The larger (derivative: of the larger; of `self` when equal).
    fn max(self, other: Self) -> Self;
    /// The smaller (derivative: of the smaller; of `self` when equal).
    fn min(self, other: Self) -> Self;
    /// `yes` where `self > other`, `no` elsewhere, also where either is NaN (derivative: of the one
    /// chosen): the branch that works on lanes. Both sides are computed.
    fn where_greater(self, other: Self, yes: Self, no: Self) -> Self;
    /// Integer power.
    fn powi(self, n: i32) -> Self;
    /// Zero.
    #[inline(always)]
    fn zero() -> Self {
        Self::of(0.0)
    }
    /// One.
    #[inline(always)]
    fn one() -> Self {
        Self::of(1.0)
    }
    /// Logistic sigmoid 1/(1 + e⁻ˣ); by default (1 + tanh(x/2))/2, which never overflows but is
    /// accurate only absolutely for x ≪ 0.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let half = Self::of(0.5);
        half.mul_add((half * self).tanh(), half)
    }
    /// ln(1 + eˣ); by default max(x, 0) − ln σ(|x|), which never overflows but is accurate only
    /// absolutely for x ≪ 0.
    #[inline(always)]
    fn softplus(self) -> Self {
        self.max(Self::zero()) - self.abs().sigmoid().ln()
    }
    /// x·σ(x).
    #[inline(always)]
    fn silu(self) -> Self {
        self * self.sigmoid()
    }
    /// GELU x·Φ(x), the exact (erf) form; by default x/2 + |x|(1/2 − Φ(−|x|)), whose derivative is
    /// right at 0 too, but which is accurate only absolutely for x ≪ 0.
    #[inline(always)]
    fn gelu(self) -> Self {
        kernels::gelu_of_scalar(self)
    }
    /// xᵖ for x > 0, as exp(p ln x).
    #[inline(always)]
    fn powf(self, p: Self) -> Self {
        (p * self.ln()).exp()
    }
}

/// A floating-point type that states, parameters and times are stored in: `f32` or `f64`.
pub trait Real:
    Scalar
    + Elementary
    + PartialOrd
    + Default
    + Display
    + LowerExp
    + FromPrimitive
    + ToPrimitive
    + std::iter::Sum
    + Send
    + Sync
    + 'static
{
    /// The type's name, `"f32"` or `"f64"`.
    const NAME: &'static str;
    /// Distance from 1 to the next number.
    const EPSILON: Self;
    /// Largest finite number.
    const MAX: Self;
    /// Smallest positive normal number.
    const MIN_POSITIVE: Self;
    /// +∞.
    const INFINITY: Self;
    /// Not a number.
    const NAN: Self;

    /// The same type as faer's traits know it, for factorisations.
    type Field: faer::traits::RealField + Copy;

    /// The same numbers, for faer.
    fn field(x: &[Self]) -> &[Self::Field];
    /// The same numbers, for faer to write.
    fn field_mut(x: &mut [Self]) -> &mut [Self::Field];

    /// Whether neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The value as `f64` (exact).
    fn f64(self) -> f64;
    /// `sign(y)·|x|`.
    fn copysign(self, y: Self) -> Self;
    /// 2ˣ.
    #[inline(always)]
    fn exp2(self) -> Self {
        kernels::exp2(self)
    }
    /// Base-two logarithm.
    #[inline(always)]
    fn log2(self) -> Self {
        kernels::log2(self)
    }

    /// The larger; the other one when one is NaN.
    #[inline(always)]
    fn max_number(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// C ← α·op(A)·op(B) + β·C, column major; `op` transposes when its flag is set.
    ///
    /// `op(A)` is `m × k`, `op(B)` is `k × n`, `C` is `m × n`. One thread.
    fn gemm(
        dims: [usize; 3],
        alpha: Self,
        a: (&[Self], bool),
        b: (&[Self], bool),
        beta: Self,
        c: &mut [Self],
    );
}

macro_rules! real {
    ($t:ident) => {
        impl Scalar for $t {
            #[inline(always)]
            fn of(c: f64) -> Self {
                c as $t
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                $t::mul_add(self, a, b)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                kernels::exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                kernels::ln(self)
            }
            #[inline(always)]
            fn sin(self) -> Self {
                kernels::sin(self)
            }
            #[inline(always)]
            fn cos(self) -> Self {
                kernels::cos(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                kernels::tanh(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                kernels::sigmoid(self)
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                kernels::softplus(self)
            }
            #[inline(always)]
            fn silu(self) -> Self {
                kernels::silu(self)
            }
            #[inline(always)]
            fn gelu(self) -> Self {
                kernels::gelu(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $t::abs(self)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                if other > self { other } else { self }
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                if other < self { other } else { self }
            }
            #[inline(always)]
            fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
                if self > other { yes } else { no }
            }
            #[inline(always)]
            fn powi(self, n: i32) -> Self {
                power(self, n)
            }
        }

        impl Real for $t {
            const NAME: &'static str = stringify!($t);
            const EPSILON: Self = $t::EPSILON;
            const MAX: Self = $t::MAX;
            const MIN_POSITIVE: Self = $t::MIN_POSITIVE;
            const INFINITY: Self = $t::INFINITY;
            const NAN: Self = $t::NAN;
            type Field = $t;
            #[inline(always)]
            fn field(x: &[Self]) -> &[$t] {
                x
            }
            #[inline(always)]
            fn field_mut(x: &mut [Self]) -> &mut [$t] {
                x
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            #[inline(always)]
            fn f64(self) -> f64 {
                <f64 as From<$t>>::from(self)
            }
            #[inline(always)]
            fn copysign(self, y: Self) -> Self {
                $t::copysign(self, y)
            }
            fn gemm(
                [m, n, k]: [usize; 3],
                alpha: Self,
                (a, ta): (&[Self], bool),
                (b, tb): (&[Self], bool),
                beta: Self,
                c: &mut [Self],
            ) {
                use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};
                let view = |x, rows, cols, t| match t {
                    false => MatRef::from_column_major_slice(x, rows, cols),
                    true => MatRef::from_column_major_slice(x, cols, rows).transpose(),
                };
                let accumulate = if beta == 0.0 {
                    Accum::Replace
                } else {
                    if beta != 1.0 {
                        c.iter_mut().for_each(|v| *v *= beta);
                    }
                    Accum::Add
                };
                let (a, b) = (view(a, m, k, ta), view(b, k, n, tb));
                let c = MatMut::from_column_major_slice_mut(c, m, n);
                let (top, bottom) = c.split_at_row_mut(even_rows(m, size_of::<$t>()));
                let (a_top, a_bottom) = a.split_at_row(top.nrows());
                for (c, a) in [(top, a_top), (bottom, a_bottom)] {
                    if c.nrows() > 0 {
                        matmul(c, accumulate, a, b, alpha, Par::Seq);
                    }
                }
            }
        }
    };
}

real!(f32);
real!(f64);

/// Where to split `m` rows for the matrix product. faer takes blocks of six registers of rows; a
/// remainder of one register or less has too few sums in flight to hide the latency of an addition,
/// so it is joined to half a block (100 rows of f32: 52 + 48 instead of 96 + 4).
fn even_rows(m: usize, scalar_bytes: usize) -> usize {
    let register = 64 / scalar_bytes;
    let rest = m % (6 * register);
    if m > 6 * register && rest > 0 && rest <= register { m - 3 * register } else { m }
}

/// xⁿ by repeated squaring, the same operations for every scalar.
#[inline(always)]
pub(crate) fn power<S: Scalar>(x: S, n: i32) -> S {
    let (mut base, mut left, mut result) = (x, n.unsigned_abs(), S::one());
    while left > 0 {
        if left & 1 == 1 {
            result *= base;
        }
        left >>= 1;
        if left > 0 {
            base *= base;
        }
    }
    if n < 0 { S::one() / result } else { result }
}
