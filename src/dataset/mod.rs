//! Readers (CSV, NPY, IDX) and mini-batches.
//!
//! Every reader ends in [`Samples`]: a column-major `dim × count` matrix, one sample to a column,
//! the layout that dynamics and losses take. A file is read whole and checked whole: malformed
//! contents are [`Error::Malformed`] with file, line (or byte offset) and reason, a file without
//! samples is an error, and no reader lets a NaN or infinity through.

mod batches;
mod idx;
mod npy;
mod simulated;
mod table;

pub use batches::{BatchState, Batches};
pub use idx::read_idx;
pub use npy::read_npy;
pub use simulated::{Manifest, Simulated};
pub use table::{Missing, Table};

use crate::num::Real;
use crate::{Error, Result};

/// A data set: `count` samples of `dim` numbers, column major (`dim × count`).
#[derive(Clone, Debug, PartialEq)]
pub struct Samples<T> {
    shape: Vec<usize>,
    dim: usize,
    data: Vec<T>,
}

impl<T: Real> Samples<T> {
    /// A data set from its numbers, sample after sample; `shape` is the shape of one sample
    /// (empty for scalars) and `dim` its product.
    ///
    /// # Errors
    /// No samples, a zero in `shape`, a length that is not a multiple of `dim`, a NaN or infinity.
    pub fn new(shape: &[usize], data: Vec<T>) -> Result<Self> {
        let dim = shape
            .iter()
            .try_fold(1usize, |product, &n| product.checked_mul(n))
            .filter(|&dim| dim > 0)
            .ok_or_else(|| {
                let needed = "every extent must be positive and the product representable";
                Error::invalid("the shape of a sample", format!("{shape:?}"), needed)
            })?;
        if data.is_empty() {
            return Err(Error::invalid("the data set", "empty", "it needs at least one sample"));
        }
        if !data.len().is_multiple_of(dim) {
            return Err(Error::Length {
                what: "data",
                given: data.len(),
                needed: format!("a multiple of {dim} (numbers in one sample)"),
            });
        }
        Error::check_finite("data", &data)?;
        Ok(Self { shape: shape.to_vec(), dim, data })
    }

    /// Numbers in one sample.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many samples.
    pub fn count(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Shape of one sample as in the file, e.g. `[28, 28]` (slowest index first); empty for scalars.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// All numbers, `dim × count` column major.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// Sample `i`; `None` past the end.
    pub fn get(&self, i: usize) -> Option<&[T]> {
        self.data.chunks_exact(self.dim).nth(i)
    }

    /// Copies the samples `indices` into the columns of `out` (`dim × indices.len()`).
    ///
    /// # Errors
    /// `out` of the wrong length, or an index past the end.
    pub fn gather(&self, indices: &[usize], out: &mut [T]) -> Result<()> {
        Error::check_len("out", out.len(), self.dim * indices.len(), "dim × indices")?;
        for (column, &i) in out.chunks_exact_mut(self.dim).zip(indices) {
            let sample = self.get(i).ok_or_else(|| {
                let needed = format!("the data set has {} samples", self.count());
                Error::invalid("sample index", i, needed)
            })?;
            column.copy_from_slice(sample);
        }
        Ok(())
    }

    /// Multiplies every number by `factor` (for example 1/255 for 8-bit images).
    ///
    /// # Errors
    /// A factor that is not finite, or that overflows a number; the data are then unchanged.
    pub fn scale(&mut self, factor: T) -> Result<()> {
        if let Some(x) = self.data.iter().find(|&&x| !(x * factor).is_finite()) {
            let given = format!("{factor} (times {x})");
            return Err(Error::invalid("factor", given, "every product must be finite"));
        }
        self.data.iter_mut().for_each(|x| *x *= factor);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_columns() -> Result<()> {
        let mut s = Samples::new(&[2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
        assert_eq!((s.dim(), s.count()), (2, 3));
        assert_eq!(s.get(1), Some(&[3.0, 4.0][..]));
        assert_eq!(s.get(3), None);
        let mut out = [0.0; 4];
        s.gather(&[2, 0], &mut out)?;
        assert_eq!(out, [5.0, 6.0, 1.0, 2.0]);
        s.scale(2.0)?;
        assert_eq!(s.data()[5], 12.0);
        Ok(())
    }

    #[test]
    fn bad_samples_say_why() -> Result<()> {
        let reason = |r: Result<Samples<f64>>| r.expect_err("must fail").to_string();
        assert!(reason(Samples::new(&[2], vec![])).contains("at least one sample"));
        assert!(reason(Samples::new(&[2], vec![1.0; 3])).contains("a multiple of 2"));
        assert!(reason(Samples::new(&[0], vec![1.0])).contains("positive"));
        assert!(reason(Samples::new(&[usize::MAX, 2], vec![1.0])).contains("representable"));
        assert!(reason(Samples::new(&[1], vec![1.0, f64::NAN])).contains("data[1]"));

        let mut s = Samples::new(&[1], vec![1.0, 1e300])?;
        assert!(s.scale(1e300).is_err());
        assert_eq!(s.data(), [1.0, 1e300], "a refused scaling changes nothing");
        let past = s.gather(&[2], &mut [0.0]).expect_err("past the end");
        assert!(past.to_string().contains("2 samples"), "{past}");
        assert!(s.gather(&[0], &mut [0.0; 2]).is_err());
        Ok(())
    }
}
