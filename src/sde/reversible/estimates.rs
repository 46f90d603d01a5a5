//! The error estimate of reversible Heun: the difference to Euler's step, the same vector for y and ŷ.

use super::super::srk::form::{Form, Layout};
use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::Real;

/// The estimate as a form in the values of a step.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub error: Form,
    pub layout: Layout,
}

impl Difference {
    pub fn new(layout: Layout) -> Self {
        let weights = vec![-0.5, 0.5];
        Self { error: Form::new(weights.clone(), &[weights, vec![0.0; 2]]), layout }
    }

    /// `out` ← the estimate, twice.
    #[inline(always)]
    pub fn write<T: Real>(&self, h: T, values: &[T], out: &mut [T]) {
        let (y, hat) = out.split_at_mut(self.layout.len());
        y.fill(T::zero());
        self.error.add(y, h, values, &self.layout);
        hat.copy_from_slice(y);
    }
}

impl<T: Real> Estimates<T> for Difference {
    fn error_power(&self) -> Option<usize> {
        Some(1)
    }

    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        if !low {
            self.write(step.h, step.stages, out);
        }
        !low
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
        for half in out_bar.chunks_exact(self.layout.len()) {
            self.error.send(half, step.h, step.stages, &self.layout, bar.stages);
        }
        bar.touched.fill(true);
    }

    fn stiffness_vectors(&self, _: &StepView<'_, T>, _: &mut [T], _: &mut [T]) -> Option<StiffnessForms> {
        None
    }

    fn stiffness_pullback(&self, _: &StepView<'_, T>, _: &[T], _: &[T], _: &mut StepCotangent<'_, T>) {}

    /// Stage 0 holds the drift at both ends: its mean is the trapezoidal rule.
    fn weights(&self) -> &[f64] {
        &[1.0]
    }
}
