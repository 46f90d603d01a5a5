//! Elementary functions and activations, over scalars and slices.
//!
//! Each function is written once, generic over `f32` and `f64`, branch-free and with explicit
//! fused operations, so that a loop over it inside [`dispatch`](super::dispatch) becomes AVX-512,
//! AVX2+FMA or NEON code. [`Scalar`](super::Scalar) for the two float types calls the same
//! functions, so a value has the same bits alone, in a [`Lanes`](super::Lanes) and anywhere in a
//! slice. Errors are at most 2 ulp over the whole range (tests/kernels.rs measures them; most are
//! below 1): polynomials interpolate in 60 digits (`data/kernels/coefficients.py`), and the last
//! operations work on unevaluated pairs of numbers.
//!
//! Sines and cosines of |x| beyond 10⁹ (`f64`) or 10⁵ (`f32`) take a slower scalar reduction, per
//! element; `f32` goes through `f64` there.
//!
//! Sources: Cody and Waite, *Software Manual for the Elementary Functions* (1980) for reductions;
//! Payne and Hanek (1983) for that of huge
//! arguments; fdlibm's `e_log2.c` for the splitting in log₂; Dekker (1971) for pairs.

mod coefficients;
mod exponential;
mod float;
mod function;
mod gauss;
mod logarithm;
mod pairs;
mod slices;
mod trigonometric;

pub use exponential::{exp, exp2, sigmoid, silu, softplus, tanh};
pub use float::Elementary;
pub use function::{Function, Saved};
pub(super) use gauss::gelu_of_scalar;
pub use gauss::{gelu, gelu_curvature, gelu_slope};
pub use logarithm::{ln, log2};
pub(super) use pairs::horner;
pub use slices::{apply, map, pullback, pullback_in_place, pullback_tangent};
pub use trigonometric::{cos, sin};
pub(super) use trigonometric::{cos_moderate, moderate, sin_moderate};
