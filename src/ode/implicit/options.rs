//! Options of implicit methods, and methods that carry them.

use super::free::MatrixFree;
use super::newton::NewtonOptions;
use super::sequence::SequenceChoice;
use crate::dynamics::Dynamics;
use crate::error::Result;
use crate::integrate::Stepper;
use crate::linalg::{Budget, Csr, Preconditioner, Settings};
use crate::num::Real;
use crate::ode::solve::StepMethod;
use std::fmt;
use std::sync::Arc;

/// How the linear systems (αM − J) x = b of implicit steps are solved.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum LinearChoice<T = f64> {
    /// By size and structure: dense LU for systems without known sparsity and for small ones, sparse
    /// or banded LU otherwise.
    #[default]
    Auto,
    /// Dense LU, one for each column of a batch.
    DenseLu,
    /// Sparse LU, one for each column of a batch, analysed once.
    SparseLu,
    /// LU of a banded matrix, whose bandwidth is that of the pattern.
    Banded,
    /// An iteration on the assembled matrix, with any preconditioner (Newton–Krylov for methods with
    /// Newton's iteration).
    Krylov(KrylovChoice<T>),
    /// An iteration on W v = αM v − J v by products with J, nothing being assembled, with any
    /// preconditioner.
    MatrixFree(MatrixFree<T>),
    /// A solver of the user's for the assembled matrices, one after the other, which may learn from each for the next
    /// ([`TunedSolver`](crate::operator::sor_bandit::TunedSolver), say).
    Sequence(SequenceChoice<T>),
}

/// Builds a preconditioner from the assembled matrix of one column, anew for every factorisation.
pub type PreconditionerFactory<T> =
    dyn Fn(&Csr<T>) -> Result<Box<dyn Preconditioner<T> + Send>> + Send + Sync;

/// A Krylov method for the linear systems, with its preconditioner.
#[derive(Clone)]
pub struct KrylovChoice<T = f64> {
    /// The iteration.
    pub method: KrylovMethod,
    /// Tolerances and limits. The tolerance is relative to the right-hand side; the error of a step
    /// cannot be smaller than what it leaves, nor a gradient more exact.
    pub settings: Settings,
    /// What preconditions it; `None` for ILU(0).
    pub preconditioner: Option<Arc<PreconditionerFactory<T>>>,
}

/// Which Krylov method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KrylovMethod {
    /// GMRES, restarted after so many iterations.
    Gmres {
        /// Vectors kept.
        restart: usize,
    },
    /// BiCGStab.
    BiCgStab,
    /// Flexible GMRES, which takes preconditioners that are not linear, restarted after so many iterations.
    FlexibleGmres {
        /// Vectors kept, twice.
        restart: usize,
    },
}

impl<T: Real> Default for KrylovChoice<T> {
    /// GMRES(30) to 1e-10, at most 300 iterations, ILU(0).
    fn default() -> Self {
        Self {
            method: KrylovMethod::Gmres { restart: 30 },
            settings: Settings::tol(1e-10).max_iterations(300),
            preconditioner: None,
        }
    }
}

impl<T: Real> KrylovChoice<T> {
    /// With another preconditioner: a closure from the assembled matrix (multigrid, say, or a learned one).
    pub fn preconditioned(
        self,
        factory: impl Fn(&Csr<T>) -> Result<Box<dyn Preconditioner<T> + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self { preconditioner: Some(Arc::new(factory)), ..self }
    }
}

impl<T> fmt::Debug for KrylovChoice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preconditioner = if self.preconditioner.is_some() { "given" } else { "ILU(0)" };
        write!(f, "{:?} to {:e}, preconditioner {preconditioner}", self.method, self.settings.rtol)
    }
}

/// What a user may choose about the equations of implicit steps in `T`.
#[derive(Clone, Debug)]
pub struct ImplicitOptions<T = f64> {
    /// The linear solver.
    pub linear: LinearChoice<T>,
    /// The nonlinear equations, for methods that have some.
    pub newton: NewtonOptions,
    /// Memory that Jacobian and factors may take; a solve that needs more is refused before anything is
    /// allocated.
    pub budget: Budget,
}

impl<T: Real> Default for ImplicitOptions<T> {
    fn default() -> Self {
        let (newton, budget) = (NewtonOptions::default(), Budget::default());
        Self { linear: LinearChoice::Auto, newton, budget }
    }
}

/// An implicit method: a [`StepMethod`] whose equations have options. Bare, as `&Rodas5P`, it takes the
/// default ones.
pub trait ImplicitMethod<T: Real, D: Dynamics<T>>: Sync {
    /// What takes its steps.
    type Stepper<'a>: Stepper<T>
    where
        D: 'a;

    /// A stepper for states of `batch` columns.
    fn stepper_with<'a>(
        &self,
        dynamics: &'a D,
        batch: usize,
        options: &ImplicitOptions<T>,
    ) -> Self::Stepper<'a>;

    /// Whether the method estimates its error.
    fn has_error(&self) -> bool;
}

/// An implicit method with options other than the default ones: what `Rodas5P.with(…)` returns.
#[derive(Clone, Debug)]
pub struct Configured<M, T = f64> {
    /// The method.
    pub method: M,
    /// Its options.
    pub options: ImplicitOptions<T>,
}

impl<T: Real, D: Dynamics<T>, M: ImplicitMethod<T, D>> StepMethod<T, D> for Configured<M, T> {
    type Stepper<'a>
        = M::Stepper<'a>
    where
        D: 'a;

    fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> M::Stepper<'a> {
        self.method.stepper_with(dynamics, batch, &self.options)
    }

    fn has_error(&self) -> bool {
        self.method.has_error()
    }
}

/// Makes implicit methods step methods with the default options, and gives them `with`. (A blanket
/// implementation would collide with that of the explicit methods.)
macro_rules! step_methods {
    ($($name:ty),* $(,)?) => {$(
        impl<T: $crate::num::Real, D: $crate::dynamics::Dynamics<T>> $crate::ode::StepMethod<T, D> for $name {
            type Stepper<'a>
                = <Self as $crate::ode::implicit::ImplicitMethod<T, D>>::Stepper<'a>
            where
                D: 'a;

            fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> Self::Stepper<'a> {
                let options = $crate::ode::implicit::ImplicitOptions::default();
                $crate::ode::implicit::ImplicitMethod::stepper_with(self, dynamics, batch, &options)
            }

            fn has_error(&self) -> bool {
                $crate::ode::implicit::ImplicitMethod::<T, D>::has_error(self)
            }
        }

        impl $name {
            /// The method with these options of its equations.
            pub fn with<T>(
                &self,
                options: $crate::ode::implicit::ImplicitOptions<T>,
            ) -> $crate::ode::implicit::Configured<Self, T> {
                $crate::ode::implicit::Configured { method: self.clone(), options }
            }
        }
    )*};
}
pub(crate) use step_methods;
