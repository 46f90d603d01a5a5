//! The error estimate of the asynchronous leapfrog.

use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::Real;

/// The difference to Euler's step, of y alone: the mean over y and v is half of that over y.
pub(super) struct EulerDifference;

impl<T: Real> Estimates<T> for EulerDifference {
    fn error_power(&self) -> Option<usize> {
        Some(2)
    }

    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        if low {
            return false;
        }
        let (out, rest) = out.split_at_mut(step.len() / 2);
        let (u, v) = step.stage(0).split_at(out.len());
        for (out, (u, v)) in out.iter_mut().zip(u.iter().zip(v)) {
            *out = step.h * (*u - *v);
        }
        rest.fill(T::zero());
        true
    }

    fn error_vector_pullback(
        &self,
        step: &StepView<'_, T>,
        low: bool,
        out_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        if low {
            return;
        }
        let n = step.len() / 2;
        let (u, v) = bar.stage(0).split_at_mut(n);
        for ((u, v), out) in u.iter_mut().zip(v).zip(&out_bar[..n]) {
            *u += step.h * *out;
            *v -= step.h * *out;
        }
    }

    fn stiffness_vectors(&self, _: &StepView<'_, T>, _: &mut [T], _: &mut [T]) -> Option<StiffnessForms> {
        None
    }

    fn stiffness_pullback(&self, _: &StepView<'_, T>, _: &[T], _: &[T], _: &mut StepCotangent<'_, T>) {}

    fn weights(&self) -> &[f64] {
        &[1.0]
    }
}
