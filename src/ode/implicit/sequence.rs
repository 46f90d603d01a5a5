//! [`LinearChoice::Sequence`](super::LinearChoice::Sequence): a solver of the user's for the assembled matrices
//! W = αM − J of a solve, one after the other, so that it can learn from each for the next.

use crate::dynamics::jacobian::Jacobian;
use crate::error::{Error, Result};
use crate::linalg::{Csr, Outcome, Pattern, SequenceSolver};
use crate::num::Real;
use std::fmt;
use std::sync::Arc;

/// Makes the solver from the first W of a column.
pub type SequenceFactory<T> = dyn Fn(&Csr<T>) -> Result<Box<dyn SequenceSolver<T> + Send>> + Send + Sync;

/// A solver for the sequence of W. It is given every new W with the context log₁₀ hγ = −log₁₀ α.
///
/// Errors of Newton's iteration and of a gradient cannot be smaller than what its tolerance leaves.
#[derive(Clone)]
pub struct SequenceChoice<T = f64> {
    /// Makes the solver of one column of the batch, at its first W.
    pub make: Arc<SequenceFactory<T>>,
}

impl<T: Real> SequenceChoice<T> {
    /// From a closure. To look at the solver afterwards, return a clone of an `Arc<Mutex<_>>` of it.
    pub fn new(
        make: impl Fn(&Csr<T>) -> Result<Box<dyn SequenceSolver<T> + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self { make: Arc::new(make) }
    }
}

impl<T> fmt::Debug for SequenceChoice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a solver for the sequence of matrices")
    }
}

/// The solver of one column, its matrix and work space.
pub(crate) struct Sequence<T: Real> {
    choice: SequenceChoice<T>,
    matrix: Csr<T>,
    solver: Option<Box<dyn SequenceSolver<T> + Send>>,
    /// Of the next matrix.
    pub alpha: T,
    x: Vec<T>,
}

impl<T: Real> Sequence<T> {
    pub fn new(jacobian: &Jacobian<T>, choice: &SequenceChoice<T>) -> Self {
        let n = jacobian.dim();
        let matrix = jacobian.matrix().map_or_else(|| Pattern::full(n).zeros(), Clone::clone);
        Self { choice: choice.clone(), matrix, solver: None, alpha: T::one(), x: vec![T::zero(); n] }
    }

    pub fn numbers(&self) -> usize {
        2 * self.matrix.nnz() + self.x.len()
    }

    /// Takes the entries of W = αM − J.
    pub fn factor(&mut self, entries: &[T], dense: bool) -> Result<()> {
        fill(&mut self.matrix, entries, dense)?;
        let solver = match &mut self.solver {
            Some(solver) => solver,
            none => {
                let solver = (self.choice.make)(&self.matrix)?;
                Error::check_len("the solver", solver.len(), self.x.len(), "the unknowns of the system")?;
                none.insert(solver)
            }
        };
        solver.refill(&self.matrix, -self.alpha.f64().log10())
    }

    /// Solves in place; the iterations it took, `None` when it did not converge.
    pub fn solve(&mut self, b: &mut [T], transposed: bool) -> Option<usize> {
        let Self { solver, x, .. } = self;
        let solver = solver.as_mut()?;
        x.fill(T::zero());
        let report = if transposed { solver.solve_transpose(b, x) } else { solver.solve(b, x) };
        let report = report.ok().filter(|r| r.outcome == Outcome::Converged)?;
        b.copy_from_slice(x);
        Some(report.iterations)
    }
}

/// The entries of a block (column-major where it is dense) into a CSR matrix.
///
/// # Errors
/// Entries that are not finite.
pub(super) fn fill<T: Real>(matrix: &mut Csr<T>, entries: &[T], dense: bool) -> Result<()> {
    let n = matrix.rows();
    let values = matrix.values_mut();
    if dense {
        for (k, v) in values.iter_mut().enumerate() {
            *v = entries[(k % n) * n + k / n];
        }
    } else {
        values.copy_from_slice(entries);
    }
    Error::check_finite("the iteration matrix", matrix.values())
}
