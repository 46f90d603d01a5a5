//! Options of implicit methods, and methods that carry them.

use crate::linalg::Budget;

/// How the linear systems (αM − J) x = b of implicit steps are solved.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum LinearChoice {
    /// By size and structure: dense LU for systems without known sparsity and for small ones, sparse
    /// or banded LU otherwise.
    #[default]
    Auto,
    /// Dense LU, one for each column of a batch.
    DenseLu,
}

/// What a user may choose about the equations of implicit steps.
#[derive(Clone, Debug, Default)]
pub struct ImplicitOptions {
    /// The linear solver.
    pub linear: LinearChoice,
    /// Memory that Jacobian and factors may take; a solve that needs more is refused before anything is
    /// allocated.
    pub budget: Budget,
}

/// An implicit method with options other than the default ones: what `Rodas5P.with(…)` returns.
#[derive(Clone, Debug, Default)]
pub struct Configured<M> {
    /// The method.
    pub method: M,
    /// Its options.
    pub options: ImplicitOptions,
}
