//! Partial differential equations that data are made of: random coefficients and fields ([`CosineField`],
//! [`PeriodicField`]), equations with our own solvers, and what is common to them ([`Generator`]);
//! `dataset::Simulated` writes their samples to files.
//!
//! On the unit square [`Darcy`], [`Poisson`] and [`Helmholtz`]; on the torus [`NavierStokes`], [`Burgers`],
//! [`Advection`] and [`Heat`], whose samples are an initial state and its [`Snapshots`]. [`Plume`] makes sequences of
//! pressure systems around obstacles.
//!
//! A sample is a function of seed and index: whatever the number of threads, the order and the cut into
//! files, the same bits come out.

mod correct;
mod darcy;
mod elliptic;
mod field;
mod navier_stokes;
mod periodic;
mod plume;
mod semilinear;
mod torus;

pub use correct::{Correction, Corrector, MultigridCorrector};
pub use darcy::{Certificate, Coefficient, Darcy};
pub use elliptic::{Helmholtz, Poisson};
pub use field::CosineField;
pub use navier_stokes::NavierStokes;
pub use periodic::PeriodicField;
pub use plume::Plume;
pub use semilinear::Snapshots;
pub use torus::{Advection, Burgers, Heat};

use crate::error::{Error, Result};

/// An equation with random data: input fields and the output fields that solve it.
pub trait Generator: Sync {
    /// Its name in manifests.
    fn equation(&self) -> &'static str;

    /// All that decides the samples besides seed and index, solver tolerances included.
    ///
    /// # Errors
    /// Parameters that cannot be written as JSON.
    fn parameters(&self) -> Result<serde_json::Value>;

    /// Checks the parameters.
    ///
    /// # Errors
    /// What is outside its range.
    fn check(&self) -> Result<()>;

    /// The shape of one input and of one output, slowest index first as in NPY files.
    fn shapes(&self) -> [Vec<usize>; 2];

    /// The input of a sample.
    ///
    /// # Errors
    /// Parameters outside their range.
    fn input(&self, seed: u64, index: u32) -> Result<Vec<f64>>;

    /// The output for an input.
    ///
    /// # Errors
    /// An input outside the equation's domain, a solve that does not converge.
    fn output(&self, input: &[f64]) -> Result<Vec<f64>>;
}

/// Parameters as JSON.
fn json(parameters: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(parameters).map_err(|e| Error::invalid("the parameters", e, "JSON must hold them"))
}

/// The places of n interior vertices of [0, 1].
fn line(n: usize) -> Vec<f64> {
    (1..=n).map(|i| i as f64 / (n + 1) as f64).collect()
}
