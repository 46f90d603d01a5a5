//! Options of implicit methods, and methods that carry them.

use super::newton::NewtonOptions;
use crate::dynamics::Dynamics;
use crate::integrate::Stepper;
use crate::linalg::Budget;
use crate::num::Real;
use crate::ode::solve::StepMethod;
use std::marker::PhantomData;

/// How the linear systems (αM − J) x = b of implicit steps are solved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinearChoice {
    /// By size and structure: dense LU for systems without known sparsity and for small ones, sparse
    /// or banded LU otherwise.
    #[default]
    Auto,
    /// Dense LU, one for each column of a batch.
    DenseLu,
}

/// What a user may choose about the equations of implicit steps in `T`.
#[derive(Clone, Debug)]
pub struct ImplicitOptions<T = f64> {
    /// The linear solver.
    pub linear: LinearChoice,
    /// The nonlinear equations, for methods that have some.
    pub newton: NewtonOptions,
    /// Memory that Jacobian and factors may take; a solve that needs more is refused before anything is
    /// allocated.
    pub budget: Budget,
    #[doc(hidden)]
    pub scalar: PhantomData<T>,
}

impl<T: Real> Default for ImplicitOptions<T> {
    fn default() -> Self {
        Self {
            linear: LinearChoice::Auto,
            newton: NewtonOptions::default(),
            budget: Budget::default(),
            scalar: PhantomData,
        }
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
