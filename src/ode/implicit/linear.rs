//! [`BlockSolver`]: the linear solver of one block of W, direct or iterative.

use super::options::{KrylovChoice, KrylovMethod};
use super::sequence::{Sequence, fill};
use crate::dynamics::jacobian::Jacobian;
use crate::error::Result;
use crate::linalg::SparseLu;
use crate::linalg::krylov::{self, BiCgStab, Gmres, solve_transpose};
use crate::linalg::precondition::IncompleteLu;
use crate::linalg::{
    BandedLu, Csr, DenseLu, LinearOperator, Outcome, Pattern, Preconditioner, Report, Settings,
};
use crate::num::Real;

/// Solves with one block of W.
pub(crate) enum BlockSolver<T: Real> {
    Dense(DenseLu<T>),
    Sparse(Box<SparseLu<T>>),
    /// With the pattern, and the number of numbers in the band.
    Banded(Box<(BandedLu<T>, Pattern, usize)>),
    Krylov(Box<Krylov<T>>),
    Sequence(Box<Sequence<T>>),
}

/// A Krylov method, the assembled block and its preconditioner.
pub(crate) struct Krylov<T: Real> {
    choice: KrylovChoice<T>,
    method: Method<T>,
    matrix: Csr<T>,
    preconditioner: Option<Box<dyn Preconditioner<T> + Send>>,
    x: Vec<T>,
}

/// A Krylov method with its work space.
pub(crate) enum Method<T> {
    Gmres(Box<Gmres<T>>),
    BiCgStab(Box<BiCgStab<T>>),
}

impl<T: Real> Method<T> {
    pub fn new(n: usize, method: KrylovMethod, settings: Settings) -> Result<Self> {
        Ok(match method {
            KrylovMethod::Gmres { restart } => Self::Gmres(Box::new(Gmres::new(n, restart, settings)?)),
            KrylovMethod::FlexibleGmres { restart } => {
                Self::Gmres(Box::new(Gmres::flexible(n, restart, settings)?))
            }
            KrylovMethod::BiCgStab => Self::BiCgStab(Box::new(BiCgStab::new(n, settings)?)),
        })
    }

    /// Vectors held.
    pub fn vectors(&self) -> usize {
        match self {
            Self::Gmres(method) => method.vectors(),
            Self::BiCgStab(_) => 8,
        }
    }

    /// Another relative tolerance.
    pub fn set_tolerance(&mut self, rtol: f64) {
        match self {
            Self::Gmres(method) => method.set_tolerance(rtol),
            Self::BiCgStab(method) => method.set_tolerance(rtol),
        }
    }

    /// Solves W x = `b` from the guess in `x`, or its transpose.
    pub fn solve<A: LinearOperator<T>>(
        &mut self,
        w: &A,
        m: &mut Box<dyn Preconditioner<T> + Send>,
        b: &[T],
        x: &mut [T],
        transposed: bool,
    ) -> Result<Report> {
        match self {
            Self::Gmres(method) => run(&mut **method, w, m, b, x, transposed),
            Self::BiCgStab(method) => run(&mut **method, w, m, b, x, transposed),
        }
    }
}

impl<T: Real> Krylov<T> {
    pub fn new(jacobian: &Jacobian<T>, choice: &KrylovChoice<T>) -> Result<Self> {
        let n = jacobian.dim();
        let method = Method::new(n, choice.method, choice.settings)?;
        let matrix = match jacobian.matrix() {
            Some(matrix) => matrix.clone(),
            None => Pattern::full(n).zeros(),
        };
        Ok(Self { choice: choice.clone(), method, matrix, preconditioner: None, x: vec![T::zero(); n] })
    }

    /// Takes the entries of the block (column-major where it is dense) and builds the preconditioner.
    fn factor(&mut self, entries: &[T], dense: bool) -> Result<()> {
        fill(&mut self.matrix, entries, dense)?;
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
        let report = method.solve(matrix, m, b, x, transposed);
        let report = report.ok().filter(|r| r.outcome == Outcome::Converged)?;
        b.copy_from_slice(x);
        Some(report.iterations)
    }
}

fn run<T: Real>(
    method: &mut impl krylov::Method<T>,
    matrix: &impl LinearOperator<T>,
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
            Self::Sequence(s) => s.numbers(),
            Self::Krylov(k) => 2 * k.matrix.nnz() + (k.method.vectors() + 1) * k.matrix.rows(),
        }
    }

    /// Says the α of the block that is factored next.
    #[inline(always)]
    pub fn announce(&mut self, alpha: T) {
        if let Self::Sequence(s) = self {
            s.alpha = alpha;
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
            Self::Sequence(s) => s.factor(entries, jacobian.pattern().is_none()).is_ok(),
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
            Self::Sequence(s) => s.solve(x, transposed),
        }
    }
}
