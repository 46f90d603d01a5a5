//! Radau's estimates as functions of the record (k_0, k_1, k_2, k_3, k_e).

use super::tableau::{A, DENSE, ERROR, GAMMA};
use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::{Real, accumulate, combine_differences};
use crate::ode::method::differences_pullback;

/// Vectors that a step records.
pub(super) const COLUMNS: usize = 5;

/// Weights of the error estimate, of y⁺, and of the dense output over the record.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub error: [f64; COLUMNS],
    pub b: [f64; COLUMNS],
    pub dense: Vec<Vec<f64>>,
}

impl Layout {
    pub fn new() -> Self {
        let mut dense = vec![vec![0.0; 3]; COLUMNS];
        for (row, weights) in dense[1..4].iter_mut().zip(DENSE) {
            row.copy_from_slice(&weights);
        }
        Self {
            error: [0.0, ERROR[0], ERROR[1], ERROR[2], 1.0 / GAMMA],
            b: [0.0, A[2][0], A[2][1], A[2][2], 0.0],
            dense,
        }
    }
}

impl<T: Real> Estimates<T> for Layout {
    fn error_power(&self) -> Option<usize> {
        Some(4)
    }

    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        if !low {
            combine_differences(out, step.h, &self.error, step.stages);
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
        if !low {
            differences_pullback(&self.error, step.h, out_bar, bar);
        }
    }

    /// k_e − k_0 = f(t, y + err) − f(t, y) over err.
    fn stiffness_vectors(
        &self,
        step: &StepView<'_, T>,
        dk: &mut [T],
        dg: &mut [T],
    ) -> Option<StiffnessForms> {
        for ((d, b), a) in dk.iter_mut().zip(step.stage(4)).zip(step.stage(0)) {
            *d = *b - *a;
        }
        combine_differences(dg, step.h, &self.error, step.stages);
        Some(StiffnessForms { stability_size: f64::INFINITY })
    }

    fn stiffness_pullback(
        &self,
        step: &StepView<'_, T>,
        dk_bar: &[T],
        dg_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        accumulate(bar.stage(4), T::one(), &[1.0], dk_bar);
        accumulate(bar.stage(0), T::one(), &[-1.0], dk_bar);
        differences_pullback(&self.error, step.h, dg_bar, bar);
    }

    fn weights(&self) -> &[f64] {
        &self.b
    }
}
