//! Stochastic problems against their exact moments and paths; neural, stable and latent SDEs and the losses that
//! fit them against finite differences, on the same noise.

#[path = "sde_models/common.rs"]
mod common;
#[path = "sde_models/fit.rs"]
mod fit;
#[path = "sde_models/latent.rs"]
mod latent;
#[path = "sde_models/models.rs"]
mod models;
#[path = "sde_models/problems.rs"]
mod problems;
