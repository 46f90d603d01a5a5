//! Factorisations of dense matrices, column-major, allocated once and refilled: [`DenseLu`],
//! [`DenseCholesky`], [`DenseQr`].
//!
//! Up to eight unknowns they are inlined code of a size known at compile time, so that an integrator's
//! step compiled under [`dispatch`](crate::num::dispatch) contains them; larger ones are compiled for
//! the CPU here, and large ones go to faer.

mod cholesky;
mod lu;
mod qr;
mod small;

pub use cholesky::DenseCholesky;
pub(super) use cholesky::not_positive;
pub use lu::DenseLu;
pub(super) use lu::{axpy, dot};
pub use qr::DenseQr;
