//! [`Duals`]: a value with derivatives along several directions at once.
// Indices into several arrays at once.
#![allow(clippy::needless_range_loop, reason = "several arrays are indexed alike")]

use super::dual::powi_slope;
use crate::num::Scalar;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// `value + Σ_k dots[k]·ε_k` with ε_j ε_k = 0: one evaluation on these gives `N` columns of a Jacobian.
/// The `value` part has the bits that the inner scalar would have given alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duals<S, const N: usize> {
    /// The value.
    pub value: S,
    /// Its derivatives.
    pub dots: [S; N],
}

impl<S: Scalar, const N: usize> Duals<S, N> {
    /// A value with given derivatives.
    #[inline(always)]
    pub fn new(value: S, dots: [S; N]) -> Self {
        Self { value, dots }
    }

    /// A value that does not depend on the directions.
    #[inline(always)]
    pub fn constant(value: S) -> Self {
        Self::new(value, [S::zero(); N])
    }

    /// The variable of direction `k`; a constant when `k ≥ N`.
    #[inline(always)]
    pub fn variable(value: S, k: usize) -> Self {
        let mut dual = Self::constant(value);
        if k < N {
            dual.dots[k] = S::one();
        }
        dual
    }

    #[inline(always)]
    fn chain(self, value: S, slope: S) -> Self {
        self.map(value, |d| slope * d)
    }

    #[inline(always)]
    fn map(self, value: S, f: impl Fn(S) -> S) -> Self {
        let mut dots = self.dots;
        for d in &mut dots {
            *d = f(*d);
        }
        Self::new(value, dots)
    }

    #[inline(always)]
    fn zip(self, other: Self, value: S, f: impl Fn(S, S) -> S) -> Self {
        let mut dots = self.dots;
        for k in 0..N {
            dots[k] = f(self.dots[k], other.dots[k]);
        }
        Self::new(value, dots)
    }
}

impl<S: Scalar, const N: usize> Default for Duals<S, N> {
    fn default() -> Self {
        Self::constant(S::zero())
    }
}

impl<S: Scalar, const N: usize> Add for Duals<S, N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.zip(b, self.value + b.value, |x, y| x + y)
    }
}

impl<S: Scalar, const N: usize> Sub for Duals<S, N> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.zip(b, self.value - b.value, |x, y| x - y)
    }
}

impl<S: Scalar, const N: usize> Mul for Duals<S, N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.zip(b, self.value * b.value, |x, y| self.value.mul_add(y, x * b.value))
    }
}

impl<S: Scalar, const N: usize> Div for Duals<S, N> {
    type Output = Self;
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        let q = self.value / b.value;
        self.zip(b, q, |x, y| (-q).mul_add(y, x) / b.value)
    }
}

impl<S: Scalar, const N: usize> Neg for Duals<S, N> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(-self.value, |d| -d)
    }
}

macro_rules! assign {
    ($($trait:ident $fn:ident $op:tt),*) => {$(
        impl<S: Scalar, const N: usize> $trait for Duals<S, N> {
            #[inline(always)]
            fn $fn(&mut self, b: Self) {
                *self = *self $op b;
            }
        }
    )*};
}
assign!(AddAssign add_assign +, SubAssign sub_assign -, MulAssign mul_assign *, DivAssign div_assign /);

impl<S: Scalar, const N: usize> Scalar for Duals<S, N> {
    #[inline(always)]
    fn of(c: f64) -> Self {
        Self::constant(S::of(c))
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        let mut dots = b.dots;
        for k in 0..N {
            dots[k] = self.value.mul_add(a.dots[k], self.dots[k].mul_add(a.value, dots[k]));
        }
        Self::new(self.value.mul_add(a.value, b.value), dots)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, S::of(0.5) / root)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.map(self.value.ln(), |d| d / self.value)
    }
    #[inline(always)]
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    #[inline(always)]
    fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        let y = self.value.tanh();
        self.chain(y, y.mul_add(-y, S::one()))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        let zero = S::zero();
        self.map(self.value.abs(), |d| {
            self.value.where_greater(zero, d, zero.where_greater(self.value, -d, zero))
        })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        other.where_greater(self, other, self)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.where_greater(other, other, self)
    }
    #[inline(always)]
    fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
        let pick = |yes, no| self.value.where_greater(other.value, yes, no);
        yes.zip(no, pick(yes.value, no.value), pick)
    }
    #[inline(always)]
    fn powi(self, n: i32) -> Self {
        self.chain(self.value.powi(n), powi_slope(self.value, n))
    }
}
