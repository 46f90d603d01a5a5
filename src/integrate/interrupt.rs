//! [`Interrupt`]: what may end a solve inside an accepted step.

use super::solution::StepInfo;
use super::step::Stepper;
use crate::error::Result;
use crate::num::Real;

/// Looks at every accepted step before the next one starts, and may end the solve inside it.
///
/// The loop is compiled for [`Never`] without a trace of it, so that solves without interrupts cost
/// nothing more.
pub trait Interrupt<T: Real> {
    /// Whether there is anything to look at.
    const ACTIVE: bool = true;

    /// The `step` that `stepper` has just taken (with its index) from `y[0]` to `y[1]`: `Some(ϑ)`, ϑ ∈ [0, 1],
    /// ends the solve at y(t + ϑh). `place` is free memory of one state.
    ///
    /// # Errors
    /// Whatever must end the solve as a failure.
    fn look<S: Stepper<T>>(
        &mut self,
        stepper: &mut S,
        step: (usize, &StepInfo<T>),
        y: [&[T]; 2],
        place: &mut [T],
    ) -> Result<Option<T>>;
}

/// Never ends a solve.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl<T: Real> Interrupt<T> for Never {
    const ACTIVE: bool = false;

    fn look<S: Stepper<T>>(
        &mut self,
        _: &mut S,
        _: (usize, &StepInfo<T>),
        _: [&[T]; 2],
        _: &mut [T],
    ) -> Result<Option<T>> {
        Ok(None)
    }
}
