//! Elementwise activations and their slopes.

use crate::num::{Kernel, Real, dispatch};
use std::marker::PhantomData;

/// An elementwise function of a layer's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activation {
    /// tanh x.
    Tanh,
    /// max(x, 0); slope 0 at 0. NaN stays NaN.
    Relu,
    /// x Φ(x), Φ the standard normal distribution function (exact, through erf; PyTorch's default).
    Gelu,
    /// x σ(x), also called swish.
    Silu,
    /// ln(1 + eˣ).
    Softplus,
    /// σ(x) = 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// sin x.
    Sin,
    /// x³.
    Cube,
}

impl Activation {
    /// Every activation.
    pub const ALL: [Self; 8] = [
        Self::Tanh,
        Self::Relu,
        Self::Gelu,
        Self::Silu,
        Self::Softplus,
        Self::Sigmoid,
        Self::Sin,
        Self::Cube,
    ];

    /// Its usual name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Softplus => "softplus",
            Self::Sigmoid => "sigmoid",
            Self::Sin => "sin",
            Self::Cube => "cube",
        }
    }

    /// Whether the slope is computed from the output, so that the input need not be kept.
    pub(super) fn slope_from_output(self) -> bool {
        matches!(self, Self::Tanh | Self::Relu | Self::Sigmoid)
    }

    /// `x` ← a(x).
    pub(super) fn in_place<T: Real>(self, x: &mut [T]) {
        self.visit(Apply { x, bias: &[] });
    }

    /// `x[:, j]` ← a(x[:, j] + bias) for every column.
    pub(super) fn after_bias<T: Real>(self, x: &mut [T], bias: &[T]) {
        self.visit(Apply { x, bias });
    }

    /// `bar` ← a′ ⊙ `bar`; `at` is the output when
    /// [`slope_from_output`](Activation::slope_from_output), else the input.
    pub(super) fn scale_by_slope<T: Real>(self, at: &[T], bar: &mut [T]) {
        self.visit(Slope { at, bar });
    }

    #[inline(always)]
    fn visit<V: Visitor>(self, visitor: V) {
        match self {
            Self::Tanh => visitor.visit::<Tanh>(),
            Self::Relu => visitor.visit::<Relu>(),
            Self::Gelu => visitor.visit::<Gelu>(),
            Self::Silu => visitor.visit::<Silu>(),
            Self::Softplus => visitor.visit::<Softplus>(),
            Self::Sigmoid => visitor.visit::<Sigmoid>(),
            Self::Sin => visitor.visit::<Sin>(),
            Self::Cube => visitor.visit::<Cube>(),
        }
    }
}

/// The maths of one activation; the enum picks a type once per slice, not per element.
trait Function {
    fn value<T: Real>(x: T) -> T;
    /// The derivative, from the output or the input (`slope_from_output`).
    fn slope<T: Real>(at: T) -> T;
}

macro_rules! functions {
    ($($name:ident: |$x:ident| $value:expr, |$at:ident| $slope:expr;)*) => {$(
        struct $name;
        impl Function for $name {
            #[inline(always)]
            fn value<T: Real>($x: T) -> T {
                $value
            }
            #[inline(always)]
            fn slope<T: Real>($at: T) -> T {
                $slope
            }
        }
    )*};
}

functions! {
    Tanh: |x| x.tanh(), |y| (-y).mul_add(y, T::of(1.0));
    Relu: |x| x.max(T::of(0.0)), |y| if y > T::of(0.0) { T::of(1.0) } else { T::of(0.0) };
    Gelu: |x| x * normal_cdf(x), |x| x.mul_add(normal_density(x), normal_cdf(x));
    Silu: |x| x * logistic(x), |x| {
        let s = logistic(x);
        s * x.mul_add(T::of(1.0) - s, T::of(1.0))
    };
    Softplus: |x| x.max(T::of(0.0)) + log_one_plus((-x.abs()).exp()), |x| logistic(x);
    Sigmoid: |x| logistic(x), |y| y * (T::of(1.0) - y);
    Sin: |x| x.sin(), |x| x.cos();
    Cube: |x| x * x * x, |x| T::of(3.0) * x * x;
}

#[inline(always)]
fn logistic<T: Real>(x: T) -> T {
    T::of(1.0) / (T::of(1.0) + (-x).exp())
}

#[inline(always)]
fn normal_cdf<T: Real>(x: T) -> T {
    T::of(0.5 * erfc(-x.f64() * std::f64::consts::FRAC_1_SQRT_2))
}

/// The complementary error function in f64: a series of positive terms (Abramowitz & Stegun 7.1.6)
/// below 3, the continued fraction 7.1.14 from there.
fn erfc(x: f64) -> f64 {
    let z = x.abs();
    let factor = (-z * z).exp() * std::f64::consts::FRAC_2_SQRT_PI;
    if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..80 {
            term *= 2.0 * z * z / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - (factor * sum).copysign(x);
    }
    let mut fraction = z;
    for n in (1..60).rev() {
        fraction = z + 0.5 * f64::from(n) / fraction;
    }
    let tail = 0.5 * factor / fraction;
    if x > 0.0 { tail } else { 2.0 - tail }
}

#[inline(always)]
fn normal_density<T: Real>(x: T) -> T {
    const FACTOR: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 * 0.5;
    T::of(FACTOR) * (T::of(-0.5) * x * x).exp()
}

/// ln(1 + u) for u ≥ 0 to a few ulp, small u included: the rounding error of 1 + u is put back.
#[inline(always)]
fn log_one_plus<T: Real>(u: T) -> T {
    let w = T::of(1.0) + u;
    w.ln() + (u - (w - T::of(1.0))) / w
}

/// Work to be done for a [`Function`] known at compile time.
trait Visitor {
    fn visit<F: Function>(self);
}

struct Apply<'a, T> {
    x: &'a mut [T],
    /// Added first; empty for none.
    bias: &'a [T],
}

impl<T: Real> Visitor for Apply<'_, T> {
    #[inline(always)]
    fn visit<F: Function>(self) {
        dispatch(Of::<F, _>(self, PhantomData));
    }
}

impl<F: Function, T: Real> Kernel for Of<F, Apply<'_, T>> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Apply { x, bias } = self.0;
        if bias.is_empty() {
            for x in x {
                *x = F::value(*x);
            }
            return;
        }
        for column in x.chunks_exact_mut(bias.len()) {
            for (x, &b) in column.iter_mut().zip(bias) {
                *x = F::value(*x + b);
            }
        }
    }
}

struct Slope<'a, T> {
    at: &'a [T],
    bar: &'a mut [T],
}

impl<T: Real> Visitor for Slope<'_, T> {
    #[inline(always)]
    fn visit<F: Function>(self) {
        dispatch(Of::<F, _>(self, PhantomData));
    }
}

impl<F: Function, T: Real> Kernel for Of<F, Slope<'_, T>> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Slope { at, bar } = self.0;
        for (bar, &at) in bar.iter_mut().zip(at) {
            *bar *= F::slope(at);
        }
    }
}

/// A visitor for one function, as a [`Kernel`].
struct Of<F, V>(V, PhantomData<F>);
