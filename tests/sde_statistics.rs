//! The statistics of stochastic methods: strong and weak orders with confidence intervals for every method and
//! class of noise that it claims, and the bias of rejections; from 10⁴ paths, in release builds only.
//!
//!     cargo test --release --test sde_statistics

#[macro_use]
#[allow(dead_code, reason = "some fields are for other tests")]
#[path = "sde_support/fields.rs"]
mod fields;
#[path = "sde_statistics/implicit.rs"]
mod implicit;
#[path = "sde/methods.rs"]
mod methods;
#[path = "sde_statistics/milstein.rs"]
mod milstein;
#[path = "sde_statistics/order.rs"]
mod order;
#[allow(dead_code, reason = "some fields are for other tests")]
#[path = "sde/problems.rs"]
mod problems;
#[path = "sde_statistics/rejection.rs"]
mod rejection;
#[path = "sde_statistics/reversible.rs"]
mod reversible;
#[path = "sde_statistics/strong.rs"]
mod strong;
#[path = "sde/study.rs"]
mod study;
