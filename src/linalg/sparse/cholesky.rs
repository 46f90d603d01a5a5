//! [`SparseCholesky`] and [`SparseQr`], by faer.

use crate::error::{Error, Result};
use crate::linalg::dense::not_positive;
use crate::linalg::{Budget, Csr, Factors, Pattern};
use crate::num::Real;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::solvers::{LltError, SolveLstsqCore};
use faer::sparse::linalg::cholesky::{
    LltRef, SymbolicCholesky, SymmetricOrdering, factorize_symbolic_cholesky,
};
use faer::sparse::linalg::qr::factorize_symbolic_qr;
use faer::sparse::linalg::solvers::{Qr, SymbolicQr};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, MatMut, Par, Side};

/// P A Pᵀ = L Lᵀ of a sparse symmetric positive definite matrix: analysed once, refactored for new
/// values. Only entries with j ≥ i are read. (faer's scratch is allocated in each call.)
///
/// ```
/// use odeon::linalg::{Budget, Csr, SparseCholesky};
///
/// let a = Csr::from_triplets([2, 2], &[(0, 0, 4.0), (0, 1, 2.0), (1, 0, 2.0), (1, 1, 5.0)])?;
/// let mut f = SparseCholesky::of(&a, Budget::default())?;
/// let mut x = [8.0, 12.0];
/// f.solve(&mut x);
/// assert!((x[0] - 1.0f64).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Debug)]
pub struct SparseCholesky<T> {
    pattern: Pattern,
    starts: Vec<u32>,
    symbolic: SymbolicCholesky<u32>,
    l: Vec<T>,
}

fn narrow(starts: &[usize]) -> Result<Vec<u32>> {
    let last = starts.last().copied().unwrap_or(0);
    if u32::try_from(last).is_err() {
        return Err(Error::invalid("the entries", last, "at most 2³² − 1 are supported"));
    }
    Ok(starts.iter().map(|&s| s as u32).collect())
}

fn failed(e: faer::sparse::FaerError) -> Error {
    Error::invalid("the pattern to factor", format!("{e:?}"), "it must fit into memory")
}

impl<T: Real> SparseCholesky<T> {
    /// Analyses `pattern` and allocates, if that keeps the budget.
    ///
    /// # Errors
    /// A pattern that is empty or not square, factors beyond the budget.
    pub fn new(pattern: &Pattern, budget: Budget) -> Result<Self> {
        let n = pattern.rows();
        if n != pattern.cols() || n == 0 {
            let given = format!("{} × {}", n, pattern.cols());
            return Err(Error::invalid("the pattern", given, "it must be square and not empty"));
        }
        let starts = narrow(pattern.row_starts())?;
        let a = SymbolicSparseColMatRef::new_checked(n, n, &starts, None, pattern.columns());
        let order = SymmetricOrdering::Amd;
        // Rows as columns: entries with j ≥ i are faer's lower triangle.
        let symbolic =
            factorize_symbolic_cholesky(a, Side::Lower, order, Default::default()).map_err(failed)?;
        let bytes = symbolic.len_val() as u128 * size_of::<T>() as u128;
        budget.check(&format!("a sparse Cholesky of {n} unknowns"), bytes)?;
        let l = vec![T::zero(); symbolic.len_val()];
        Ok(Self { pattern: pattern.clone(), starts, symbolic, l })
    }

    /// The factors of `a`.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`factor`](Self::factor); a matrix that is not symmetric.
    pub fn of(a: &Csr<T>, budget: Budget) -> Result<Self> {
        let largest = a.values().iter().fold(T::zero(), |m, v| m.max(v.abs()));
        for i in 0..a.rows() {
            let (columns, values) = a.row(i);
            for (&j, &v) in columns.iter().zip(values) {
                let other = if (j as usize) < a.rows() { a.get(j as usize, i) } else { T::zero() };
                if (v - other).abs() > T::of(64.0) * T::EPSILON * largest {
                    let needed = format!("the entry ({j}, {i}) is {other}: the matrix must be symmetric");
                    return Err(Error::invalid(format!("the entry ({i}, {j})"), v, needed));
                }
            }
        }
        let mut cholesky = Self::new(&Pattern::of(a), budget)?;
        cholesky.factor(a.values())?;
        Ok(cholesky)
    }

    /// Factors the matrix with these values in the analysed pattern.
    ///
    /// # Errors
    /// A wrong number of values, one that is not finite, a matrix that is not positive definite (with
    /// the number of the pivot in the order of elimination).
    pub fn factor(&mut self, values: &[T]) -> Result<()> {
        let n = self.pattern.rows();
        Error::check_len(
            "the values",
            values.len(),
            self.pattern.nnz(),
            "one for each entry of the pattern",
        )?;
        Error::check_finite("the matrix's values", values)?;
        let a = SymbolicSparseColMatRef::new_checked(n, n, &self.starts, None, self.pattern.columns());
        let a = SparseColMatRef::new(a, T::field(values));
        let request = self.symbolic.factorize_numeric_llt_scratch::<T::Field>(Par::Seq, Default::default());
        let mut memory = MemBuffer::new(request);
        let (l, stack) = (T::field_mut(&mut self.l), MemStack::new(&mut memory));
        let none = Default::default();
        let done =
            self.symbolic.factorize_numeric_llt(l, a, Side::Lower, none, Par::Seq, stack, Default::default());
        match done {
            Ok(_) => Ok(()),
            Err(LltError::NonPositivePivot { index }) => {
                Err(not_positive("the sparse Cholesky (in the order of elimination)", index, 0.0))
            }
        }
    }

    /// `x` ← A⁻¹ `x`.
    pub fn solve(&self, x: &mut [T]) {
        let request = self.symbolic.solve_in_place_scratch::<T::Field>(1, Par::Seq);
        let mut memory = MemBuffer::new(request);
        let x = MatMut::from_column_major_slice_mut(T::field_mut(x), self.pattern.rows(), 1);
        let l = LltRef::new(&self.symbolic, T::field(&self.l));
        l.solve_in_place_with_conj(Conj::No, x, Par::Seq, MemStack::new(&mut memory));
    }
}

impl<T: Real> Factors<T> for SparseCholesky<T> {
    fn len(&self) -> usize {
        self.pattern.rows()
    }
    fn solve(&mut self, x: &mut [T]) {
        Self::solve(self, x);
    }
    fn solve_transpose(&mut self, x: &mut [T]) {
        Self::solve(self, x);
    }
}

/// A P = Q R of a sparse `m × n` matrix with m ≥ n: analysed once, refactored for new values;
/// [`solve`](Self::solve) minimises ‖A x − b‖₂. (faer allocates in each call.)
#[derive(Clone, Debug)]
pub struct SparseQr<T: Real> {
    /// The transpose's pattern (faer's columns), and the entry of A that each of its entries is.
    columns: Pattern,
    starts: Vec<u32>,
    from: Vec<u32>,
    symbolic: SymbolicQr<u32>,
    values: Vec<T>,
    qr: Qr<u32, T::Field>,
}

impl<T: Real> SparseQr<T> {
    /// The factors of `a`, if that keeps the budget.
    ///
    /// # Errors
    /// No columns, fewer rows than columns, factors beyond the budget, and as [`factor`](Self::factor).
    pub fn of(a: &Csr<T>, budget: Budget) -> Result<Self> {
        let (m, n) = (a.rows(), a.cols());
        if n == 0 || m < n {
            let given = format!("{m} × {n}");
            return Err(Error::invalid(
                "the matrix of a least-squares problem",
                given,
                "it needs n ≥ 1 and m ≥ n",
            ));
        }
        Error::check_finite("the matrix's values", a.values())?;
        let columns = Pattern::of(a).transpose();
        let starts = narrow(columns.row_starts())?;
        let mut next = columns.row_starts().to_vec();
        let mut from = vec![0; a.nnz()];
        for (k, &j) in a.columns().iter().enumerate() {
            from[next[j as usize]] = k as u32;
            next[j as usize] += 1;
        }
        let values: Vec<T> = from.iter().map(|&k| a.values()[k as usize]).collect();
        let pattern = SymbolicSparseColMatRef::new_checked(m, n, &starts, None, columns.columns());
        // faer's owner of an analysis does not tell its size: it is made once more for the estimate.
        let estimate = factorize_symbolic_qr(pattern, Default::default()).map_err(failed)?;
        let bytes = estimate.len_val() as u128 * size_of::<T>() as u128 + 4 * estimate.len_idx() as u128;
        budget.check(&format!("a sparse QR of {m} × {n}"), bytes)?;
        let symbolic = SymbolicQr::try_new(pattern).map_err(failed)?;
        let matrix = SparseColMatRef::new(pattern, T::field(&values));
        let qr = Qr::try_new_with_symbolic(symbolic.clone(), matrix).map_err(failed)?;
        let all = Self { columns, starts, from, symbolic, values, qr };
        all.probe().map(|()| all)
    }

    /// Factors the matrix with these values in the pattern of the first.
    ///
    /// # Errors
    /// A wrong number of values, one that is not finite, columns that are linearly dependent as far as a
    /// probe shows (its solution is not finite).
    pub fn factor(&mut self, values: &[T]) -> Result<()> {
        Error::check_len("the values", values.len(), self.values.len(), "one for each entry of the pattern")?;
        Error::check_finite("the matrix's values", values)?;
        for (to, &k) in self.values.iter_mut().zip(&self.from) {
            *to = values[k as usize];
        }
        let (m, n) = (self.columns.cols(), self.columns.rows());
        let a = SymbolicSparseColMatRef::new_checked(m, n, &self.starts, None, self.columns.columns());
        let a = SparseColMatRef::new(a, T::field(&self.values));
        self.qr = Qr::try_new_with_symbolic(self.symbolic.clone(), a).map_err(failed)?;
        self.probe()
    }

    fn probe(&self) -> Result<()> {
        let mut ones = vec![T::one(); self.columns.cols()];
        match self.solve(&mut ones).iter().find(|v| !v.is_finite()) {
            None => Ok(()),
            Some(v) => {
                let needed = "the columns must be linearly independent";
                Err(Error::invalid("the solution of a probe with the sparse QR", v, needed))
            }
        }
    }

    /// Solves min ‖A x − b‖₂; `b` (length m) is overwritten, x stands in front and is returned.
    pub fn solve<'b>(&self, b: &'b mut [T]) -> &'b [T] {
        let (m, n) = (self.columns.cols(), self.columns.rows());
        let rhs = MatMut::from_column_major_slice_mut(T::field_mut(b), m, 1);
        self.qr.solve_lstsq_in_place_with_conj(Conj::No, rhs);
        &b[..n]
    }
}
