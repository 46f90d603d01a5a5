//! [`Coarsest`]: the direct solve at the bottom of a hierarchy.

use crate::error::{Error, Result};
use crate::linalg::{Claims, Csr, DenseLu, LinearOperator, Preconditioner};
use crate::num::Real;

/// The most unknowns a [`Coarsest`] takes: its dense factors then hold 128 MB in f64.
pub const COARSEST_LIMIT: usize = 4000;

/// Exact solve with a small matrix by a dense factorisation.
pub struct Coarsest<T> {
    n: usize,
    /// Column major: L of A = L Lᵀ, with 1/Lᵢᵢ on the diagonal; or A⁺; or 1/aᵢᵢ.
    factor: Vec<T>,
    kind: Kind<T>,
}

enum Kind<T> {
    Cholesky,
    Inverse,
    Diagonal,
    Lu(DenseLu<T>),
}

impl<T: Real> Coarsest<T> {
    /// The Cholesky factorisation of a symmetric positive definite matrix, of which the lower triangle
    /// is read.
    ///
    /// # Errors
    /// A matrix that is not square, empty, above [`COARSEST_LIMIT`], or not positive definite (with the
    /// pivot).
    pub fn cholesky(a: &Csr<T>) -> Result<Self> {
        let n = size(a)?;
        let mut l = dense(a, n);
        for k in 0..n {
            let (left, right) = l.split_at_mut(k * n);
            let column = &mut right[..n];
            for j in 0..k {
                let l_kj = left[j * n + k];
                for (c, l) in column[k..].iter_mut().zip(&left[j * n + k..(j + 1) * n]) {
                    *c = (-l_kj).mul_add(*l, *c);
                }
            }
            // A pivot that cancelled to rounding is a null vector, whatever its sign.
            let (pivot, of) = (column[k], a.get(k, k).abs());
            if !pivot.is_finite() || pivot <= T::of(32.0 * n as f64) * T::EPSILON * of {
                let needed = "it must be positive: the coarsest matrix is singular or indefinite (for a \
                              singular consistent system, as with pure Neumann conditions, ask for \
                              semi-definite coarse solves)";
                return Err(Error::invalid(format!("pivot {k} of the coarsest matrix"), pivot, needed));
            }
            let scale = T::one() / pivot.sqrt();
            column[k] = scale;
            column[k + 1..].iter_mut().for_each(|c| *c *= scale);
        }
        Ok(Self { n, factor: l, kind: Kind::Cholesky })
    }

    /// The LU factorisation of a matrix that need not be symmetric.
    ///
    /// # Errors
    /// A matrix that is not square, empty, above [`COARSEST_LIMIT`], or singular to the digits of `T` (by
    /// a solve for a known vector).
    pub fn lu(a: &Csr<T>) -> Result<Self> {
        let n = size(a)?;
        let mut lu = DenseLu::new(n);
        lu.factor(&dense(a, n))?;
        let known: Vec<T> = (0..n).map(|i| T::of(1.0 + ((i * 7919) % 101) as f64 / 101.0)).collect();
        let mut x = vec![T::zero(); n];
        a.apply(&known, &mut x);
        lu.solve(&mut x);
        let error = x.iter().zip(&known).fold(T::zero(), |m, (x, k)| m.max_number((*x - *k).abs()));
        if error >= T::of(0.01) || x.iter().any(|x| !x.is_finite()) {
            let needed = "it must not be singular: a solve for a known vector of size 1 errs by this";
            return Err(Error::invalid("the coarsest matrix's error", error, needed));
        }
        Ok(Self { n, factor: Vec::new(), kind: Kind::Lu(lu) })
    }

    /// Division by the diagonal, for any number of unknowns: exact where there is nothing else.
    ///
    /// # Errors
    /// A matrix that is not square, is empty, or has a diagonal entry that is not positive.
    pub fn diagonal(a: &Csr<T>) -> Result<Self> {
        let n = a.square()?;
        let diagonal = a.diagonal().unwrap_or_default();
        if let Some(i) = diagonal.iter().position(|d| *d <= T::zero() || !d.is_finite()) {
            let what = format!("the diagonal entry of row {i}");
            return Err(Error::invalid(what, diagonal[i], "it must be positive"));
        }
        let factor = diagonal.iter().map(|d| T::one() / *d).collect();
        Ok(Self { n, factor, kind: Kind::Diagonal })
    }

    /// The pseudo-inverse of a symmetric positive semi-definite matrix: eigenvalues below n ε λmax count
    /// as 0, and the solution has no part along their vectors.
    ///
    /// # Errors
    /// As [`cholesky`](Self::cholesky), except that the matrix may be singular; a matrix with negative
    /// eigenvalues.
    pub fn semidefinite(a: &Csr<T>) -> Result<Self> {
        let n = size(a)?;
        let full = dense(a, n);
        let view = faer::MatRef::from_column_major_slice(T::field(&full), n, n);
        let eigen = view.self_adjoint_eigen(faer::Side::Lower);
        let eigen = eigen.map_err(|_| {
            Error::invalid("the coarsest matrix", "without eigenvalues", "its entries must be moderate")
        })?;
        let mut values = vec![T::zero(); n];
        T::field_mut(&mut values).iter_mut().enumerate().for_each(|(i, v)| *v = eigen.S()[i]);
        let mut vectors = vec![T::zero(); n * n];
        for (k, v) in T::field_mut(&mut vectors).iter_mut().enumerate() {
            *v = eigen.U()[(k % n, k / n)];
        }
        let (least, most) = (values[0], values[n - 1]);
        let cut = T::of(n as f64) * T::EPSILON * most.abs();
        if !least.is_finite() || least < -cut {
            let needed = "it must not be negative: the matrix is indefinite";
            return Err(Error::invalid("the least eigenvalue of the coarsest matrix", least, needed));
        }
        let mut factor = vec![T::zero(); n * n];
        let mut scaled = vectors.clone();
        for (column, value) in scaled.chunks_mut(n).zip(&values) {
            let inverse = if *value > cut { T::one() / *value } else { T::zero() };
            column.iter_mut().for_each(|v| *v *= inverse);
        }
        T::gemm([n, n, n], T::one(), (&scaled, false), (&vectors, true), T::zero(), &mut factor);
        Ok(Self { n, factor, kind: Kind::Inverse })
    }
}

fn size<T: Real>(a: &Csr<T>) -> Result<usize> {
    let n = a.square()?;
    if n > COARSEST_LIMIT {
        let needed = format!("at most {COARSEST_LIMIT} are solved densely: coarsen further");
        return Err(Error::invalid("the unknowns of the coarsest level", n, needed));
    }
    Ok(n)
}

fn dense<T: Real>(a: &Csr<T>, n: usize) -> Vec<T> {
    let mut full = vec![T::zero(); n * n];
    for i in 0..n {
        let (columns, values) = a.row(i);
        columns.iter().zip(values).for_each(|(&j, &v)| full[j as usize * n + i] = v);
    }
    full
}

impl<T: Real> Preconditioner<T> for Coarsest<T> {
    fn len(&self) -> usize {
        self.n
    }

    /// Of a pseudo-inverse, on the space where the matrix is definite.
    fn claims(&self) -> Claims {
        if let Kind::Lu(_) = self.kind { Claims::LINEAR } else { Claims::SPD }
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        let (n, columns) = (self.n, self.factor.chunks(self.n));
        match &self.kind {
            Kind::Cholesky => {}
            Kind::Diagonal => {
                return z.iter_mut().zip(r).zip(&self.factor).for_each(|((z, r), d)| *z = *r * *d);
            }
            Kind::Inverse => {
                z.fill(T::zero());
                for (column, &r) in columns.zip(r) {
                    z.iter_mut().zip(column).for_each(|(z, c)| *z = r.mul_add(*c, *z));
                }
                return;
            }
            Kind::Lu(lu) => {
                z.copy_from_slice(r);
                return lu.solve(z);
            }
        }
        z.copy_from_slice(r);
        for (k, column) in columns.enumerate() {
            let (top, bottom) = z.split_at_mut(k + 1);
            let pivot = top[k] * column[k];
            top[k] = pivot;
            bottom.iter_mut().zip(&column[k + 1..]).for_each(|(z, l)| *z = (-pivot).mul_add(*l, *z));
        }
        for k in (0..n).rev() {
            let column = &self.factor[k * n..(k + 1) * n];
            let below = column[k + 1..].iter().zip(&z[k + 1..]);
            let sum = below.fold(z[k], |sum, (l, z)| (-*l).mul_add(*z, sum));
            z[k] = sum * column[k];
        }
    }
}
