//! Elementwise activations: names for the functions of [`num::kernels`](crate::num::kernels).

use super::products::add_rows;
use crate::num::Real;
use crate::num::kernels::{self, Function, Saved};

/// Entries that stay in the first-level cache between adding a bias and applying the function.
const BLOCK: usize = 1024;

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

    /// The kernel.
    pub fn function(self) -> Function {
        match self {
            Self::Tanh => Function::Tanh,
            Self::Relu => Function::Relu,
            Self::Gelu => Function::Gelu,
            Self::Silu => Function::Silu,
            Self::Softplus => Function::Softplus,
            Self::Sigmoid => Function::Sigmoid,
            Self::Sin => Function::Sin,
            Self::Cube => Function::Cube,
        }
    }

    /// Whether the slope is computed from the output, so that the input need not be kept.
    pub(super) fn slope_from_output(self) -> bool {
        self.function().saved() == Saved::Output
    }

    /// `x` ← a(x).
    pub(super) fn in_place<T: Real>(self, x: &mut [T]) {
        kernels::apply(self.function(), x);
    }

    /// `x[:, j]` ← a(x[:, j] + bias) for every column, in one pass over memory.
    pub(super) fn after_bias<T: Real>(self, x: &mut [T], bias: &[T]) {
        let columns = BLOCK.div_ceil(bias.len());
        for block in x.chunks_mut(columns * bias.len()) {
            add_rows(block, bias);
            self.in_place(block);
        }
    }

    /// `bar` ← a′ ⊙ `out_bar`, for `at` as in [`scale_by_slope`](Activation::scale_by_slope).
    pub(super) fn slope_times<T: Real>(self, at: &[T], out_bar: &[T], bar: &mut [T]) {
        let done = kernels::pullback(self.function(), at, out_bar, bar);
        debug_assert!(done.is_ok(), "the callers cut all to one length");
    }

    /// The reverse of (y, ẏ) = (a(x), a′(x) ⊙ ẋ) in place, for one direction or several, as
    /// [`kernels::pullback_tangent`] says, for `at` as in
    /// [`scale_by_slope`](Activation::scale_by_slope).
    pub(super) fn reverse_tangent<T: Real>(self, at: &[T], x_dot: &[T], bars: [&mut [T]; 2]) {
        let done = kernels::pullback_tangent(self.function(), at, x_dot, bars);
        debug_assert!(done.is_ok(), "the callers cut all to one length");
    }

    /// `bar` ← a′ ⊙ `bar`; `at` is the output when
    /// [`slope_from_output`](Activation::slope_from_output), else the input. The same length as
    /// `bar`.
    pub(super) fn scale_by_slope<T: Real>(self, at: &[T], bar: &mut [T]) {
        let done = kernels::pullback_in_place(self.function(), at, bar);
        debug_assert!(done.is_ok(), "the callers cut both to one length");
    }
}
