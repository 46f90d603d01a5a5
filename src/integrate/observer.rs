//! [`Observer`]: who sees the steps of a solve.

use super::control::Decision;
use super::step::StepView;
use crate::error::Error;
use crate::num::Real;

/// Sees every accepted step, in order.
pub trait Observer<T: Real> {
    /// Whether there is anything to see; when false the loop does not build views.
    const ACTIVE: bool = true;
    /// Whether the stages of a view must include those of the dense output.
    const DENSE: bool = false;
    /// Whether it sees every attempt as the controller did.
    const ATTEMPTS: bool = false;
    /// Whether it may refuse to go on.
    const FALLIBLE: bool = false;
    /// Called once for each accepted step.
    fn accepted(&mut self, step: &StepView<'_, T>);
    /// Called once for each attempt, before [`accepted`](Self::accepted), where [`ATTEMPTS`](Self::ATTEMPTS) is
    /// set.
    fn attempted(&mut self, decision: &Decision<T>) {
        let _ = decision;
    }
    /// Why the solve must end after the step just accepted (say nothing more can be kept of it); asked where
    /// [`FALLIBLE`](Self::FALLIBLE) is set.
    fn refusal(&mut self) -> Option<Error> {
        None
    }
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl<T: Real> Observer<T> for Silent {
    const ACTIVE: bool = false;
    fn accepted(&mut self, _: &StepView<'_, T>) {}
}
