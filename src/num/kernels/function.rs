//! [`Function`]: the elementwise functions by name, and one zero-sized type each for the loops.

use super::super::Real;
use super::trigonometric::{cos_moderate, moderate, sin_moderate};
use super::{cos, exp, gelu, gelu_curvature, gelu_slope, ln, sigmoid, silu, sin, softplus, tanh};

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

    /// f″, from the value that [`saved`](Self::saved) names; 0 for [`Relu`](Self::Relu).
    #[inline(always)]
    pub fn curvature<T: Real>(self, saved: T) -> T {
        match self {
            Self::Tanh => Tanh::any_curvature(saved),
            Self::Relu => Relu::any_curvature(saved),
            Self::Gelu => Gelu::any_curvature(saved),
            Self::Silu => Silu::any_curvature(saved),
            Self::Softplus => Softplus::any_curvature(saved),
            Self::Sigmoid => Sigmoid::any_curvature(saved),
            Self::Sin => Sin::any_curvature(saved),
            Self::Cos => Cos::any_curvature(saved),
            Self::Cube => Cube::any_curvature(saved),
            Self::Exp => Exp::any_curvature(saved),
            Self::Ln => Ln::any_curvature(saved),
        }
    }
}

/// One function as loops want it: `value`, `slope` and `curvature` branch-free wherever `moderate` holds.
pub(super) trait Elementwise: 'static {
    /// f(x) for moderate x.
    fn value<T: Real>(x: T) -> T;
    /// f′ for a moderate saved value.
    fn slope<T: Real>(saved: T) -> T;
    /// f″ for a moderate saved value.
    fn curvature<T: Real>(saved: T) -> T;
    /// Whether `value`, `slope` and `curvature` serve this x.
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
    /// f″ for every saved value.
    #[inline(always)]
    fn any_curvature<T: Real>(saved: T) -> T {
        Self::curvature(saved)
    }
}

macro_rules! elementwise {
    ($($name:ident: $x:ident $value:expr, $saved:ident $slope:expr, $curvature:expr;)*) => {$(
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
            #[inline(always)]
            fn curvature<T: Real>($saved: T) -> T {
                $curvature
            }
        }
    )*};
}
elementwise! {
    Tanh: x tanh(x), y (-y).mul_add(y, T::of(1.0)), T::of(-2.0) * y * (-y).mul_add(y, T::of(1.0));
    Relu: x if x < T::of(0.0) { T::of(0.0) } else { x }, y if y > T::of(0.0) { T::of(1.0) } else { y },
        if y > T::of(0.0) { T::of(0.0) } else { y };
    Gelu: x gelu(x), x gelu_slope(x), gelu_curvature(x);
    Silu: x silu(x), x silu_slope(x), silu_curvature(x);
    Softplus: x softplus(x), x sigmoid(x), sigmoid(x) * sigmoid(-x);
    Sigmoid: x sigmoid(x), y (-y).mul_add(y, y), (-y).mul_add(y, y) * T::of(-2.0).mul_add(y, T::of(1.0));
    Cube: x x * x * x, x T::of(3.0) * x * x, T::of(6.0) * x;
    Exp: x exp(x), y y, y;
    Ln: x ln(x), x T::of(1.0) / x, T::of(-1.0) / (x * x);
}

/// σ(x)(1 + x(1 − σ(x))), with 1 − σ(x) = σ(−x).
#[inline(always)]
fn silu_slope<T: Real>(x: T) -> T {
    // Beyond the limits of eˣ the slope is 0 or 1, and ∞·0 would be NaN.
    let x = x.max(T::EXP_MIN).min(T::EXP_MAX);
    sigmoid(x) * x.mul_add(sigmoid(-x), T::of(1.0))
}

/// σ(x)σ(−x)(2 + x(σ(−x) − σ(x))).
#[inline(always)]
fn silu_curvature<T: Real>(x: T) -> T {
    let x = x.max(T::EXP_MIN).min(T::EXP_MAX);
    let (above, below) = (sigmoid(x), sigmoid(-x));
    above * below * x.mul_add(below - above, T::of(2.0))
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
    fn curvature<T: Real>(x: T) -> T {
        -sin_moderate(x)
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
    #[inline(always)]
    fn any_curvature<T: Real>(x: T) -> T {
        -sin(x)
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
    fn curvature<T: Real>(x: T) -> T {
        -cos_moderate(x)
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
    #[inline(always)]
    fn any_curvature<T: Real>(x: T) -> T {
        -cos(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curvatures_match_differences_of_slopes() {
        for function in Function::ALL {
            let saved = |x: f64| match function.saved() {
                Saved::Input => x,
                Saved::Output => function.value(x),
            };
            for i in 0..200 {
                let x = match function {
                    Function::Ln => 0.1 + 0.05 * f64::from(i),
                    _ => -7.013 + 0.07 * f64::from(i),
                };
                let (d, got) = (1e-3, function.curvature(saved(x)));
                let slope = |d: f64| function.slope(saved(x + d));
                let near = 8.0 * (slope(d) - slope(-d));
                let want = (near - slope(2.0 * d) + slope(-2.0 * d)) / (12.0 * d);
                // At the kink of relu there is none.
                let smooth = function != Function::Relu || x.abs() > 2.0 * d;
                let error = (got - want).abs();
                assert!(!smooth || error <= 1e-6 * want.abs() + 1e-9, "{function:?} at {x}: {got} {want}");
            }
        }
    }

    #[test]
    fn curvatures_vanish_where_slopes_are_constant() {
        use Function::{Gelu, Relu, Sigmoid, Silu, Softplus, Tanh};
        for function in [Tanh, Relu, Gelu, Silu, Softplus, Sigmoid] {
            for x in [1e4, -1e4, f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY] {
                let saved = match function.saved() {
                    Saved::Input => x,
                    Saved::Output => function.value(x),
                };
                let got = function.curvature(saved);
                assert!(got.abs() < 1e-300, "{function:?} at {x}: {got}");
            }
        }
    }
}
