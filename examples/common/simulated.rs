//! Data that the library computes itself, kept in the output directory and found again.

use crate::common::Session;
use odeon::Result;
use odeon::dataset::{Samples, Simulated};
use odeon::operator::pde::Generator;

/// Inputs and outputs of `count` samples under this name, with a progress bar.
pub fn simulate<T: odeon::num::Real>(
    session: &Session,
    generator: &dyn Generator,
    name: &str,
    count: u32,
    seed: u64,
) -> Result<[Samples<T>; 2]> {
    let bar = indicatif::ProgressBar::new(count.into());
    let set = Simulated::generate(generator, [count, 64.min(count)], seed, session.path(name), |done| {
        bar.set_position(done as u64);
        Ok(())
    })?;
    bar.finish_and_clear();
    set.read_all()
}
