//! Scalars, SIMD dispatch, norms, elementary-function kernels and random numbers by counter.
//!
//! Everything numerical in this crate is written once, as plain scalar code with explicit
//! [`Scalar::mul_add`], marked `#[inline(always)]`, and run inside [`dispatch`], which recompiles it
//! for AVX-512, AVX2+FMA, NEON or the baseline and picks at run time. Because fused multiply-adds
//! are explicit and reductions use a fixed number of partial sums, results do not depend on the
//! instruction set that was picked.

mod combine;
pub mod kernels;
mod lanes;
mod norm;
pub mod parallel;
pub mod random;
pub mod root;
mod scalar;

pub use combine::{accumulate, combine, combine_differences};
pub use lanes::{LANES, Lanes};
pub use norm::{Atol, ErrorNorm, Over, rms};
pub use scalar::{Real, Scalar};

/// A piece of work that [`dispatch`] recompiles for each instruction set.
///
/// `run` and everything it should vectorise must be `#[inline(always)]`.
pub trait Kernel {
    /// What the work returns.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}

struct Op<K>(K);

impl<K: Kernel> pulp::NullaryFnOnce for Op<K> {
    type Output = K::Output;
    #[inline(always)]
    fn call(self) -> K::Output {
        self.0.run()
    }
}

/// Runs `kernel` compiled for the widest instruction set of this CPU (AVX-512, AVX2+FMA, NEON,
/// baseline), found at run time, so that a default `cargo build` reaches it.
#[inline(always)]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    pulp::Arch::new().dispatch(Op(kernel))
}

/// Bytes of a vector register of the instruction set that [`dispatch`] picks: 64 for AVX-512.
pub(crate) fn register_bytes() -> usize {
    struct Look;
    impl pulp::WithSimd for Look {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> usize {
            size_of::<S::f32s>()
        }
    }
    pulp::Arch::new().dispatch(Look)
}
