//! The multigrid neural operator: networks whose linear maps are multigrid cycles with learnable
//! kernels (J. He, X. Liu and J. Xu, *MgNO: Efficient Parameterization of Linear Operators via
//! Multigrid*, ICLR 2024, arXiv 2310.19809).
//!
//! A layer is u ← σ(W u + B u + b): W one cycle from f = u over [`steps.len()`](CycleSpec::steps) grids,
//! B a 1 × 1 convolution; the last map is 1 × 1 to the outputs. Nothing is lifted, projected or padded
//! with coordinates. On grid l with kernels A (u to f) and S (f to u) of their own for each step,
//!
//! ```text
//! first    u = S f                                       (finest grid; coarser ones start from Π u)
//! steps    u ← u + S (f − A u)                           3ᵈ, stride 1
//! down     f' = R f  or  R (f − A u),   u' = Π u          3ᵈ, stride 2
//! up       u ← u + T u'                                  transposed, 4 wide for even extents, 3 for odd
//! steps    u ← u + S (f − A u)                           none of them: the "backslash" cycle
//! ```
//!
//! all without biases and nonlinearities. With A the stencil of a discretised operator, S = ω/diag A,
//! R full weighting, T bilinear interpolation, Π = 0 and the residual restricted this *is* the cycle of
//! [`linalg::multigrid`](crate::linalg::multigrid): [`Mgno::init_stencils`] writes those numbers, and
//! training may start there. The kinds of cycle are [`Cycle`](crate::linalg::multigrid::Cycle)'s; a
//! grid that is visited again uses the same kernels, so that W has as many parameters as V.
//!
//! # How
//!
//! A network on a grid is compiled once into a straight line of operations on numbered fields: see
//! [`program`](super::program), which the baselines share.
//!
//! Samples are channels of fields with the first axis fastest, as in [`nn::conv`](crate::nn::conv).

mod cycle;
mod network;
mod spec;
mod stencil;

pub use super::program::Scratch;
pub use network::Mgno;
pub use spec::{Architecture, CoarsePoints, CycleSpec, Restriction};
