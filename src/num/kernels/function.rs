//! [`Function`]: the elementwise functions by name, and one zero-sized type each for the loops.

use super::super::Real;
use super::trigonometric::{cos_moderate, moderate, sin_moderate};
use super::{cos, exp, gelu, gelu_slope, ln, sigmoid, silu, sin, softplus, tanh};

/// An elementwise function with its derivative, for [`apply`](super::apply),
/// [`map`](super::map) and [`pullback`](super::pullback).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Hyperbolic tangent.
    Tanh,
    /// max(x, 0); derivative 0 at 0; NaN stays NaN.
    Relu,
    /// x·Φ(x), the exact (erf) form.
    Gelu,
    /// x·σ(x), also called swish.
    Silu,
    /// ln(1 + eˣ).
    Softplus,
    /// σ(x) = 1/(1 + e⁻ˣ).
    Sigmoid,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// x³.
    Cube,
    /// eˣ.
    Exp,
    /// Natural logarithm.
    Ln,
}

/// Which value a function's derivative is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The argument x.
    Input,
    /// The value y = f(x), so that x may be overwritten by it.
    Output,
}

impl Function {
    /// Every function, for tests and tables.
    pub const ALL: [Self; 11] = [
        Self::Tanh,
        Self::Relu,
        Self::Gelu,
        Self::Silu,
        Self::Softplus,
        Self::Sigmoid,
        Self::Sin,
        Self::Cos,
        Self::Cube,
        Self::Exp,
        Self::Ln,
    ];

    /// What [`slope`](Self::slope) and [`pullback`](super::pullback) need kept from the forward
    /// pass.
    pub fn saved(self) -> Saved {
        match self {
            Self::Tanh | Self::Relu | Self::Sigmoid | Self::Exp => Saved::Output,
            _ => Saved::Input,
        }
    }

    /// f(x).
    #[inline(always)]
    pub fn value<T: Real>(self, x: T) -> T {
        match self {
            Self::Tanh => Tanh::any(x),
            Self::Relu => Relu::any(x),
            Self::Gelu => Gelu::any(x),
            Self::Silu => Silu::any(x),
            Self::Softplus => Softplus::any(x),
            Self::Sigmoid => Sigmoid::any(x),
            Self::Sin => Sin::any(x),
            Self::Cos => Cos::any(x),
            Self::Cube => Cube::any(x),
            Self::Exp => Exp::any(x),
            Self::Ln => Ln::any(x),
        }
    }

    /// f′, from the value that [`saved`](Self::saved) names.
    #[inline(always)]
    pub fn slope<T: Real>(self, saved: T) -> T {
        match self {
            Self::Tanh => Tanh::any_slope(saved),
            Self::Relu => Relu::any_slope(saved),
            Self::Gelu => Gelu::any_slope(saved),
            Self::Silu => Silu::any_slope(saved),
            Self::Softplus => Softplus::any_slope(saved),
            Self::Sigmoid => Sigmoid::any_slope(saved),
            Self::Sin => Sin::any_slope(saved),
            Self::Cos => Cos::any_slope(saved),
            Self::Cube => Cube::any_slope(saved),
            Self::Exp => Exp::any_slope(saved),
            Self::Ln => Ln::any_slope(saved),
        }
    }
}

/// One function as loops want it: `value` and `slope` branch-free wherever `moderate` holds.
pub(super) trait Elementwise: 'static {
    /// f(x) for moderate x.
    fn value<T: Real>(x: T) -> T;
    /// f′ for a moderate saved value.
    fn slope<T: Real>(saved: T) -> T;
    /// Whether `value` and `slope` serve this x.
    #[inline(always)]
    fn moderate<T: Real>(_: T) -> bool {
        true
    }
    /// f(x) for every x.
    #[inline(always)]
    fn any<T: Real>(x: T) -> T {
        Self::value(x)
    }
    /// f′ for every saved value.
    #[inline(always)]
    fn any_slope<T: Real>(saved: T) -> T {
        Self::slope(saved)
    }
}

macro_rules! elementwise {
    ($($name:ident: $x:ident $value:expr, $saved:ident $slope:expr;)*) => {$(
        pub(super) struct $name;
        impl Elementwise for $name {
            #[inline(always)]
            fn value<T: Real>($x: T) -> T {
                $value
            }
            #[inline(always)]
            fn slope<T: Real>($saved: T) -> T {
                $slope
            }
        }
    )*};
}
elementwise! {
    Tanh: x tanh(x), y (-y).mul_add(y, T::of(1.0));
    Relu: x if x < T::of(0.0) { T::of(0.0) } else { x }, y if y > T::of(0.0) { T::of(1.0) } else { y };
    Gelu: x gelu(x), x gelu_slope(x);
    Silu: x silu(x), x silu_slope(x);
    Softplus: x softplus(x), x sigmoid(x);
    Sigmoid: x sigmoid(x), y (-y).mul_add(y, y);
    Cube: x x * x * x, x T::of(3.0) * x * x;
    Exp: x exp(x), y y;
    Ln: x ln(x), x T::of(1.0) / x;
}

/// σ(x)(1 + x(1 − σ(x))), with 1 − σ(x) = σ(−x).
#[inline(always)]
fn silu_slope<T: Real>(x: T) -> T {
    // Beyond the limits of eˣ the slope is 0 or 1, and ∞·0 would be NaN.
    let x = x.max(T::EXP_MIN).min(T::EXP_MAX);
    sigmoid(x) * x.mul_add(sigmoid(-x), T::of(1.0))
}

pub(super) struct Sin;
impl Elementwise for Sin {
    #[inline(always)]
    fn value<T: Real>(x: T) -> T {
        sin_moderate(x)
    }
    #[inline(always)]
    fn slope<T: Real>(x: T) -> T {
        cos_moderate(x)
    }
    #[inline(always)]
    fn moderate<T: Real>(x: T) -> bool {
        moderate(x)
    }
    #[inline(always)]
    fn any<T: Real>(x: T) -> T {
        sin(x)
    }
    #[inline(always)]
    fn any_slope<T: Real>(x: T) -> T {
        cos(x)
    }
}

pub(super) struct Cos;
impl Elementwise for Cos {
    #[inline(always)]
    fn value<T: Real>(x: T) -> T {
        cos_moderate(x)
    }
    #[inline(always)]
    fn slope<T: Real>(x: T) -> T {
        -sin_moderate(x)
    }
    #[inline(always)]
    fn moderate<T: Real>(x: T) -> bool {
        moderate(x)
    }
    #[inline(always)]
    fn any<T: Real>(x: T) -> T {
        cos(x)
    }
    #[inline(always)]
    fn any_slope<T: Real>(x: T) -> T {
        -sin(x)
    }
}
