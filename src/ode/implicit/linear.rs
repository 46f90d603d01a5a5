//! [`BlockSolver`]: the linear solver of one block of W, direct or iterative.

use super::options::{KrylovChoice, KrylovMethod};
use crate::dynamics::jacobian::Jacobian;
use crate::error::{Error, Result};
use crate::linalg::krylov::{BiCgStab, Gmres, Method, solve_transpose};
use crate::linalg::precondition::IncompleteLu;
use crate::linalg::{BandedLu, Csr, DenseLu, Outcome, Pattern, Preconditioner, Report, SparseLu};
use crate::num::Real;

/// Solves with one block of W.
pub(super) enum BlockSolver<T: Real> {
    Dense(DenseLu<T>),
    Sparse(Box<SparseLu<T>>),
    /// With the pattern, and the number of numbers in the band.
    Banded(Box<(BandedLu<T>, Pattern, usize)>),
    Krylov(Box<Krylov<T>>),
}

/// A Krylov method, the assembled block and its preconditioner.
pub(super) struct Krylov<T: Real> {
    choice: KrylovChoice<T>,
    method: Iteration<T>,
    matrix: Csr<T>,
    preconditioner: Option<Box<dyn Preconditioner<T> + Send>>,
    x: Vec<T>,
}

enum Iteration<T> {
    Gmres(Box<Gmres<T>>),
    BiCgStab(Box<BiCgStab<T>>),
}

impl<T: Real> Krylov<T> {
    pub fn new(jacobian: &Jacobian<T>, choice: &KrylovChoice<T>) -> Result<Self> {
        let n = jacobian.dim();
        let method = match choice.method {
            KrylovMethod::Gmres { restart } => {
                Iteration::Gmres(Box::new(Gmres::new(n, restart, choice.settings)?))
            }
            KrylovMethod::BiCgStab => Iteration::BiCgStab(Box::new(BiCgStab::new(n, choice.settings)?)),
        };
        let matrix = match jacobian.matrix() {
            Some(matrix) => matrix.clone(),
            None => Pattern::full(n).zeros(),
        };
        Ok(Self { choice: choice.clone(), method, matrix, preconditioner: None, x: vec![T::zero(); n] })
    }

    /// Takes the entries of the block (column-major where it is dense) and builds the preconditioner.
    fn factor(&mut self, entries: &[T], dense: bool) -> Result<()> {
        let n = self.x.len();
        let values = self.matrix.values_mut();
        if dense {
            for (k, v) in values.iter_mut().enumerate() {
                *v = entries[(k % n) * n + k / n];
            }
        } else {
            values.copy_from_slice(entries);
        }
        Error::check_finite("the iteration matrix", self.matrix.values())?;
        self.preconditioner = Some(match &self.choice.preconditioner {
            Some(factory) => factory(&self.matrix)?,
            None => Box::new(IncompleteLu::new(&self.matrix)?),
        });
        Ok(())
    }

    /// Solves in place; the iterations it took, `None` when it did not converge.
    fn solve(&mut self, b: &mut [T], transposed: bool) -> Option<usize> {
        let Self { method, matrix, preconditioner, x, .. } = self;
        let m = preconditioner.as_mut()?;
        x.fill(T::zero());
        let report = match method {
            Iteration::Gmres(method) => run(&mut **method, matrix, m, b, x, transposed),
            Iteration::BiCgStab(method) => run(&mut **method, matrix, m, b, x, transposed),
        };
        let report = report.ok().filter(|r| r.outcome == Outcome::Converged)?;
        b.copy_from_slice(x);
        Some(report.iterations)
    }
}

fn run<T: Real>(
    method: &mut impl Method<T>,
    matrix: &Csr<T>,
    m: &mut Box<dyn Preconditioner<T> + Send>,
    b: &[T],
    x: &mut [T],
    transposed: bool,
) -> Result<Report> {
    match transposed {
        false => method.solve(matrix, m.as_mut(), b, x),
        true => solve_transpose(method, matrix, m.as_mut(), b, x),
    }
}

impl<T: Real> BlockSolver<T> {
    /// Numbers held.
    pub fn numbers(&self) -> usize {
        match self {
            Self::Dense(lu) => (lu.len() + 2) * lu.len(),
            Self::Sparse(lu) => lu.nnz_factors(),
            Self::Banded(banded) => banded.2,
            Self::Krylov(k) => {
                let vectors = match k.choice.method {
                    KrylovMethod::Gmres { restart } => restart + 4,
                    KrylovMethod::BiCgStab => 8,
                };
                2 * k.matrix.nnz() + (vectors + 1) * k.matrix.rows()
            }
        }
    }

    /// Factors the block with these entries (in the layout of `jacobian`); false when it cannot.
    #[inline(always)]
    pub fn factor(&mut self, jacobian: &Jacobian<T>, entries: &[T]) -> bool {
        match self {
            Self::Dense(lu) => lu.factor(entries).is_ok(),
            Self::Sparse(lu) => lu.factor(entries).is_ok(),
            Self::Banded(banded) => banded.0.factor_sparse(&banded.1, entries).is_ok(),
            Self::Krylov(k) => k.factor(entries, jacobian.pattern().is_none()).is_ok(),
        }
    }

    /// `x` ← W⁻¹ `x`, or W⁻ᵀ `x`; the iterations it took, `None` when it did not converge.
    #[inline(always)]
    pub fn solve(&mut self, x: &mut [T], transposed: bool) -> Option<usize> {
        match self {
            Self::Dense(lu) => {
                match transposed {
                    false => lu.solve(x),
                    true => lu.solve_transpose(x),
                }
                Some(0)
            }
            Self::Sparse(lu) => {
                match transposed {
                    false => lu.solve(x),
                    true => lu.solve_transpose(x),
                }
                Some(0)
            }
            Self::Banded(banded) => {
                match transposed {
                    false => banded.0.solve(x),
                    true => banded.0.solve_transpose(x),
                }
                Some(0)
            }
            Self::Krylov(k) => k.solve(x, transposed),
        }
    }
}
