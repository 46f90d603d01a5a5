//! Gauss–Seidel from zero fused with the residual it leaves, for multigrid.

use super::GaussSeidel;
use crate::linalg::Csr;
use crate::num::{Kernel, Real, dispatch};

impl<T: Real> GaussSeidel<T> {
    /// `x` ← (D + L)⁻¹ `b` and `r` ← `b` − A `x` = −U `x`, for A = Aᵀ (which is not looked at): one
    /// sweep from zero in natural order with ω = 1, whatever order and ω this one has.
    pub(crate) fn symmetric_from_zero(&self, a: &Csr<T>, b: &[T], x: &mut [T], r: &mut [T]) {
        dispatch(Fused { a, places: &self.places, inverse: &self.inverse, b, x, r });
    }
}

/// For A = Aᵀ, where U x needs no entries but those of L: one pass over half of the matrix.
struct Fused<'a, T> {
    a: &'a Csr<T>,
    places: &'a [u32],
    inverse: &'a [T],
    b: &'a [T],
    x: &'a mut [T],
    r: &'a mut [T],
}

impl<T: Real> Kernel for Fused<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { a, places, inverse, b, x, r } = self;
        let n = places.len();
        let (b, x, r, inverse) = (&b[..n], &mut x[..n], &mut r[..n], &inverse[..n]);
        let mut last = T::zero();
        for i in 0..n {
            let (columns, values) = a.row(i);
            let place = places[i] as usize;
            let (mut columns, mut values) = (&columns[..place], &values[..place]);
            // The unknown that was just computed enters last, from a register.
            let mut coupling = T::zero();
            if let ([rest @ .., j], [before @ .., v]) = (columns, values)
                && *j as usize + 1 == i
            {
                (columns, values, coupling) = (rest, before, *v);
            }
            let mut sum = b[i];
            for (&j, &v) in columns.iter().zip(values) {
                sum = (-v).mul_add(x[j as usize], sum);
            }
            last = (-(coupling * inverse[i])).mul_add(last, sum * inverse[i]);
            x[i] = last;
            r[i] = T::zero();
            if i > 0 {
                r[i - 1] = (-coupling).mul_add(last, r[i - 1]);
            }
            for (&j, &v) in columns.iter().zip(values) {
                let r = &mut r[j as usize];
                *r = (-v).mul_add(last, *r);
            }
        }
    }
}
