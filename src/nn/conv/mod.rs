//! Convolutions in one, two and three dimensions: forward, and backward to input, weights and bias;
//! stride and dilation; zero, reflecting and circular padding per side; transposed convolutions; pooling
//! by means and nearest upsampling.
//!
//! y\[j, p\] = b\[j\] + Σ_{i, t} W\[j, i, t\] x̃\[i, s∘p + d∘t\], x̃ being x with its padding: what the field
//! calls a convolution and is a correlation (Goodfellow, Bengio and Courville, *Deep Learning*, 2016,
//! eq. (9.6)), as in PyTorch and Keras.
//!
//! # Layout
//!
//! A sample is its channels one after the other, each a field on the grid with the first axis fastest,
//! as the vectors of [`linalg::grid`](crate::linalg::grid) are: x(i, j, k) of channel c stands at
//! i + n₀(j + n₁(k + n₂c)); samples follow each other. So the residual of a solver is an input of one
//! channel without a copy, and a batch is `dim × batch` column-major like every state of the library.
//! Weights are `[outputs, inputs, k₂, k₁, k₀]` row-major, PyTorch's order for fields whose last axis is
//! the first one here.
//!
//! # How
//!
//! Channels first would waste vector registers on short rows if rows were worked on one by one. They
//! are not: a padded field is one run of memory with fixed strides, a tap of the kernel is a shift of
//! it, and a convolution is a sum of weighted shifted runs, `Σ_τ w_τ source[start_τ + p]` for all p,
//! the few places between rows being thrown away. The same code serves all dimensions; stride is a
//! matter of which of the sᵈ phases of the input a tap reads. The gradient for the input is a sum of
//! the same kind, that for the weights the scalar products of the same runs. Tiles of 24 registers
//! hold the sums.
//!
//! Each output is one chain of fused multiply-adds, each weight's gradient sixteen chains a sample (on
//! fields of up to 256 points a product of matrices), samples added in order: bits do not depend on threads,
//! and but for that product not on the instruction set.

mod correlate;
mod geometry;
mod layer;
mod pack;
mod product;
mod resample;
mod spec;

pub use layer::{Conv, ConvTranspose, Scratch};
pub use resample::Resample;
pub use spec::{ConvSpec, Padding};
