//! [`Dual`]: a value and one directional derivative, for Jacobian–vector products (forward mode).
//!
//! Running f on `Dual { value: x, dot: ẋ }` gives f(x) and f′(x) ẋ exactly (to rounding). The inner
//! scalar is any [`Scalar`]: `Dual<Lanes<T>>` differentiates sixteen columns at once and
//! `Dual<Dual<T>>` gives second derivatives. Source: Griewank & Walther, *Evaluating Derivatives*
//! (2nd ed., 2008), ch. 3.

use crate::num::Scalar;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// `value + dot·ε` with ε² = 0.
///
/// The `value` part has the bits that the inner scalar would have given alone.
///
/// ```
/// use odeon::dynamics::dual::Dual;
/// use odeon::num::Scalar;
///
/// // d/dx (x³) = 3x² = 12 at x = 2, and d²/dx² = 6x = 12.
/// let x = Dual::variable(Dual::variable(2.0));
/// let y = x.powi(3);
/// assert_eq!(y.dot.value, 12.0);
/// assert_eq!(y.dot.dot, 12.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dual<S> {
    /// The value.
    pub value: S,
    /// Its derivative along the chosen direction.
    pub dot: S,
}

impl<S: Scalar> Dual<S> {
    /// A value with a given derivative.
    #[inline(always)]
    pub fn new(value: S, dot: S) -> Self {
        Self { value, dot }
    }
    /// A value that does not depend on the direction: derivative 0.
    #[inline(always)]
    pub fn constant(value: S) -> Self {
        Self::new(value, S::zero())
    }
    /// The variable of differentiation: derivative 1.
    #[inline(always)]
    pub fn variable(value: S) -> Self {
        Self::new(value, S::one())
    }
    /// A function with the given value and slope at `self` (chain rule).
    #[inline(always)]
    fn chain(self, value: S, slope: S) -> Self {
        Self::new(value, slope * self.dot)
    }
}

impl<S: Scalar> Add for Dual<S> {
    type Output = Self;
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Self::new(self.value + b.value, self.dot + b.dot)
    }
}

impl<S: Scalar> Sub for Dual<S> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        Self::new(self.value - b.value, self.dot - b.dot)
    }
}

impl<S: Scalar> Mul for Dual<S> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        let dot = self.value.mul_add(b.dot, self.dot * b.value);
        Self::new(self.value * b.value, dot)
    }
}

impl<S: Scalar> Div for Dual<S> {
    type Output = Self;
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        let q = self.value / b.value;
        Self::new(q, (-q).mul_add(b.dot, self.dot) / b.value)
    }
}

impl<S: Scalar> Neg for Dual<S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self::new(-self.value, -self.dot)
    }
}

macro_rules! assign {
    ($($trait:ident $fn:ident $op:tt),*) => {$(
        impl<S: Scalar> $trait for Dual<S> {
            #[inline(always)]
            fn $fn(&mut self, b: Self) {
                *self = *self $op b;
            }
        }
    )*};
}
assign!(AddAssign add_assign +, SubAssign sub_assign -, MulAssign mul_assign *, DivAssign div_assign /);

impl<S: Scalar> Scalar for Dual<S> {
    #[inline(always)]
    fn of(c: f64) -> Self {
        Self::constant(S::of(c))
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        let dot = self.value.mul_add(a.dot, self.dot.mul_add(a.value, b.dot));
        Self::new(self.value.mul_add(a.value, b.value), dot)
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
        Self::new(self.value.ln(), self.dot / self.value)
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
        let negative = zero.where_greater(self.value, -self.dot, zero);
        Self::new(self.value.abs(), self.value.where_greater(zero, self.dot, negative))
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
        Self::new(pick(yes.value, no.value), pick(yes.dot, no.dot))
    }
    #[inline(always)]
    fn powi(self, n: i32) -> Self {
        self.chain(self.value.powi(n), powi_slope(self.value, n))
    }
}

/// n xⁿ⁻¹, and 0 for n = 0 also at x = 0.
#[inline(always)]
pub(super) fn powi_slope<S: Scalar>(x: S, n: i32) -> S {
    if n == 0 { S::zero() } else { S::of(f64::from(n)) * x.powi(n.saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::{LANES, Lanes};

    /// Every elementary function with its first and second derivative in closed form.
    type Case = (&'static str, fn(Dual<Dual<f64>>) -> Dual<Dual<f64>>, fn(f64) -> [f64; 3]);

    fn cases() -> Vec<Case> {
        vec![
            ("sqrt", Scalar::sqrt, |x| {
                let r = x.sqrt();
                [r, 0.5 / r, -0.25 / (r * x)]
            }),
            ("exp", Scalar::exp, |x| [x.exp(); 3]),
            ("ln", Scalar::ln, |x| [x.ln(), 1.0 / x, -1.0 / (x * x)]),
            ("sin", Scalar::sin, |x| [x.sin(), x.cos(), -x.sin()]),
            ("cos", Scalar::cos, |x| [x.cos(), -x.sin(), -x.cos()]),
            ("tanh", Scalar::tanh, |x| {
                let (y, s) = (x.tanh(), 1.0 / x.cosh().powi(2));
                [y, s, -2.0 * y * s]
            }),
            ("powi 5", |x| x.powi(5), |x| [x.powi(5), 5.0 * x.powi(4), 20.0 * x.powi(3)]),
            ("powi -2", |x| x.powi(-2), |x| [x.powi(-2), -2.0 * x.powi(-3), 6.0 * x.powi(-4)]),
            ("powf", |x| x.powf(Dual::of(2.5)), |x| [x.powf(2.5), 2.5 * x.powf(1.5), 3.75 * x.powf(0.5)]),
            ("reciprocal", |x| Dual::one() / x, |x| [1.0 / x, -x.powi(-2), 2.0 * x.powi(-3)]),
            (
                "x·sin x",
                |x| x * x.sin(),
                |x| {
                    let (s, c) = x.sin_cos();
                    [x * s, s + x * c, 2.0 * c - x * s]
                },
            ),
            (
                "fma x·eˣ−x",
                |x| x.mul_add(x.exp(), -x),
                |x| {
                    let e = x.exp();
                    [x * e - x, e + x * e - 1.0, 2.0 * e + x * e]
                },
            ),
        ]
    }

    #[test]
    fn first_and_second_derivatives_of_every_function_match_closed_forms() {
        for (name, f, exact) in cases() {
            for x in [0.3, 1.1, 2.7] {
                let y = f(Dual::variable(Dual::variable(x)));
                let got = [y.value.value, y.dot.value, y.dot.dot];
                for (g, e) in got.iter().zip(exact(x)) {
                    assert!((g - e).abs() <= 2e-14 * (1.0 + e.abs()), "{name}({x}): {g} {e}");
                }
                assert_eq!(y.value.dot, y.dot.value, "{name}: symmetric");
            }
        }
    }

    #[test]
    fn kinks_take_the_documented_side() {
        let d = |x: f64| Dual::new(x, 3.0);
        assert_eq!(d(-2.0).abs(), Dual::new(2.0, -3.0));
        assert_eq!(d(2.0).abs(), Dual::new(2.0, 3.0));
        assert_eq!(d(0.0).abs(), Dual::new(0.0, 0.0));
        let other = |x: f64| Dual::new(x, 7.0);
        assert_eq!(d(1.0).max(other(2.0)), other(2.0));
        assert_eq!(d(1.0).max(other(1.0)), d(1.0));
        assert_eq!(d(1.0).min(other(2.0)), d(1.0));
        assert_eq!(d(1.0).min(other(1.0)), d(1.0));
        assert_eq!(d(3.0).min(other(1.0)), other(1.0));
        assert_eq!(d(0.0).powi(0), Dual::new(1.0, 0.0));
        assert_eq!(d(0.0).powi(1), Dual::new(0.0, 3.0));
    }

    #[test]
    fn lanes_have_the_bits_of_scalars() {
        let x: [f64; LANES] = std::array::from_fn(|i| 0.4 + 0.3 * i as f64);
        fn f<S: Scalar>(x: S) -> S {
            (x.sin() * x.sqrt() + x.powi(3)).tanh() / x.exp() + x.abs().max(S::one()).mul_add(x, x.ln())
        }
        let all = f(Dual::new(Lanes(x), Lanes::splat(0.7)));
        for (lane, &x) in x.iter().enumerate() {
            let one = f(Dual::new(x, 0.7));
            assert_eq!(one.value.to_bits(), all.value[lane].to_bits());
            assert_eq!(one.dot.to_bits(), all.dot[lane].to_bits());
        }
    }
}
