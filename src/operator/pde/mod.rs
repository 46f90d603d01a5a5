//! Partial differential equations that data are made of: random coefficients and fields
//! ([`CosineField`]), equations with our own solvers ([`Darcy`]), and what is common to them
//! ([`Generator`]); `dataset::Simulated` writes their samples to files.
//!
//! A sample is a function of seed and index: whatever the number of threads, the order and the cut into
//! files, the same bits come out.

mod correct;
mod darcy;
mod field;

pub use correct::{Correction, Corrector, MultigridCorrector};
pub use darcy::{Certificate, Darcy};
pub use field::CosineField;

use crate::error::Result;

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
