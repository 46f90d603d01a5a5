//! [`Narrow`]: an `f32` preconditioner in an `f64` iteration.

use crate::error::Result;
use crate::linalg::op::{Claims, Preconditioner};

/// An `f32` preconditioner as one of `f64`: half the memory to read, the solution still to `f64`.
///
/// r is scaled by a power of two to a largest entry in [1, 2) before it is rounded to `f32`, so that no
/// size of r overflows or vanishes, and z is scaled back; entries 2⁻¹⁰⁰ times the largest are rounded
/// to 0. The claims are those of the inner one. They hold to rounding in `f32`: M⁻¹ is linear and
/// symmetric to 6e-8, which CG and GMRES tolerate (the true residual is `f64` throughout) unless M⁻¹ A
/// has a condition number near 1e7; then take flexible CG or flexible GMRES.
#[derive(Clone, Debug)]
pub struct Narrow<P> {
    inner: P,
    r: Vec<f32>,
    z: Vec<f32>,
}

impl<P: Preconditioner<f32>> Narrow<P> {
    /// Wraps `inner`.
    pub fn new(inner: P) -> Self {
        let n = inner.len();
        Self { inner, r: vec![0.0; n], z: vec![0.0; n] }
    }

    /// The preconditioner itself.
    pub fn into_inner(self) -> P {
        self.inner
    }

    fn with(
        &mut self,
        r: &[f64],
        z: &mut [f64],
        work: impl FnOnce(&mut P, &[f32], &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        // NaN is passed on, so that the iteration reports it.
        let largest = r.iter().fold(0.0, |m: f64, r| if r.abs() > m || r.is_nan() { r.abs() } else { m });
        if largest == 0.0 {
            z.fill(0.0);
            return Ok(());
        }
        // Two factors: for subnormal r the inverse scale alone would overflow.
        let exponent = if largest.is_finite() { largest.log2().floor() as i32 } else { 0 };
        let (half, rest) = (exponent / 2, exponent - exponent / 2);
        let (down, down_rest) = (2f64.powi(-half), 2f64.powi(-rest));
        for (narrow, r) in self.r.iter_mut().zip(r) {
            let r = r * down * down_rest;
            *narrow = if r.abs() < 1e-30 { 0.0 } else { r as f32 };
        }
        work(&mut self.inner, &self.r, &mut self.z)?;
        let (up, up_rest) = (2f64.powi(half), 2f64.powi(rest));
        for (z, narrow) in z.iter_mut().zip(&self.z) {
            *z = f64::from(*narrow) * up * up_rest;
        }
        Ok(())
    }
}

impl<P: Preconditioner<f32>> Preconditioner<f64> for Narrow<P> {
    fn len(&self) -> usize {
        self.inner.len()
    }
    fn claims(&self) -> Claims {
        self.inner.claims()
    }
    fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        // The work cannot fail; only the transpose can.
        let _ = self.with(r, z, |inner, r, z| {
            inner.apply(r, z);
            Ok(())
        });
    }
    fn apply_transpose(&mut self, r: &[f64], z: &mut [f64]) -> Result<()> {
        self.with(r, z, |inner, r, z| inner.apply_transpose(r, z))
    }
}
