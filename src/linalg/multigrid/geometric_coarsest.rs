//! The coarsest grid's solve where the operator is not positive definite.

use super::coarsest::COARSEST_LIMIT;
use crate::error::{Error, Result};
use crate::linalg::{Claims, Csr, DenseLu, LinearOperator, Preconditioner};
use crate::num::Real;

/// Exact solve with a small matrix by LU.
pub(super) struct CoarsestLu<T>(DenseLu<T>);

impl<T: Real> CoarsestLu<T> {
    /// # Errors
    /// A matrix above [`COARSEST_LIMIT`], or singular to working precision.
    pub fn new(a: &Csr<T>) -> Result<Self> {
        let n = a.square()?;
        if n > COARSEST_LIMIT {
            let needed = format!("at most {COARSEST_LIMIT} are solved densely: coarsen further");
            return Err(Error::invalid("the unknowns of the coarsest level", n, needed));
        }
        let mut full = vec![T::zero(); n * n];
        for i in 0..n {
            let (columns, values) = a.row(i);
            columns.iter().zip(values).for_each(|(&j, &v)| full[j as usize * n + i] = v);
        }
        let mut lu = DenseLu::new(n);
        lu.factor(&full)?;
        // A pivot that is rounding only shows in a solution that is known.
        let (ones, mut x) = (vec![T::one(); n], vec![T::zero(); n]);
        a.apply(&ones, &mut x);
        lu.solve(&mut x);
        if !x.iter().all(|x| (*x - T::one()).abs() < T::of(1e-3)) {
            let needed = "its solves must have some digits (for a singular consistent system, as with \
                          Neumann or periodic conditions on all sides, ask for semi-definite coarse solves)";
            return Err(Error::invalid("the coarsest matrix", "singular to working precision", needed));
        }
        Ok(Self(lu))
    }
}

impl<T: Real> Preconditioner<T> for CoarsestLu<T> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn claims(&self) -> Claims {
        Claims::LINEAR
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        z.copy_from_slice(r);
        self.0.solve(z);
    }
    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        z.copy_from_slice(r);
        self.0.solve_transpose(z);
        Ok(())
    }
}
