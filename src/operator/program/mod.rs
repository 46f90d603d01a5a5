//! Networks on grids as straight lines of operations: what the multigrid neural operator and its
//! baselines have in common.
//!
//! An architecture (a [`Surrogate`]) is data. On a grid it is compiled once into a [`Program`]:
//! operations on numbered fields — convolutions of [`nn::conv`](crate::nn::conv) and transposed ones,
//! spectral convolutions, dense layers, activations, normalisations, pooling, joins — each with an
//! optional field that it is added to or subtracted from. The forward pass walks the line; the reverse
//! pass walks it backwards with hand-written pullbacks. For inference alone fields share memory as
//! their lives end.
//!
//! Samples are worked on one by one, in parallel, each with its own gradient, which are added in order:
//! bits do not depend on threads, and a gradient on several threads takes one vector of parameters for each
//! sample of the batch. What does not depend on the input (coordinates, the trunk of a DeepONet) is computed once for
//! a batch, and so is its reverse, from the samples' summed cotangents.
//!
//! Samples are channels of fields with the first axis fastest, as in [`nn::conv`](crate::nn::conv).

pub(super) mod assembly;
mod fields;
mod norm;
mod passes;
mod run;
mod spectral;

pub use assembly::Program;
pub use passes::Scratch;
pub(super) use spectral::Spectral;

use crate::error::{Error, Result};

/// An architecture that becomes a network on any grid it fits.
///
/// ```
/// use odeon::operator::baselines::Fno;
/// use odeon::operator::mgno::{Architecture, CycleSpec};
/// use odeon::operator::{Scratch, Surrogate};
///
/// let models: [&dyn Surrogate; 2] =
///     [&Fno::darcy(4, 3), &Architecture::darcy(2, 4, CycleSpec::backslash(2))];
/// for model in models {
///     let program = model.compile(&[9, 7])?;
///     let theta: Vec<f32> = program.init(Default::default(), 0)?;
///     let mut u = [0.0; 63];
///     program.forward(&theta, &[1.0; 63], &mut u, &mut Scratch::new())?;
///     assert!(u.iter().all(|u| u.is_finite()));
/// }
/// # Ok::<(), odeon::Error>(())
/// ```
pub trait Surrogate: Sync {
    /// What the field calls it.
    fn name(&self) -> &'static str;

    /// The network for fields of these extents, the first axis fastest.
    ///
    /// # Errors
    /// Numbers that make no network, extents that do not fit, with the axis and what was expected.
    fn compile(&self, extents: &[usize]) -> Result<Program>;
}

/// 1 to 3 extents, each at least `least`, with 1 beyond them.
///
/// # Errors
/// Another number of axes, a shorter axis.
pub(super) fn grid(extents: &[usize], least: usize, why: &str) -> Result<[usize; 3]> {
    if !(1..=3).contains(&extents.len()) {
        let needed = "1 to 3 axes are needed";
        return Err(Error::invalid("the extents of the field", format!("{extents:?}"), needed));
    }
    if let Some(axis) = extents.iter().position(|n| *n < least) {
        let what = format!("the extent of axis {axis}");
        return Err(Error::invalid(what, extents[axis], format!("at least {least} are needed: {why}")));
    }
    let mut all = [1; 3];
    all[..extents.len()].copy_from_slice(extents);
    Ok(all)
}

/// Refuses the first count that is 0.
pub(super) fn positive(counts: &[(&str, usize)]) -> Result<()> {
    match counts.iter().find(|(_, n)| *n == 0) {
        Some((what, n)) => Err(Error::invalid(*what, n, "it must be at least 1")),
        None => Ok(()),
    }
}
