//! Step-count surrogates: what the controller would make of the error estimate.
//!
//! A controller takes steps of size ∝ E^{−1/k}, k = min(p, p̂) + 1, so Σ_j E_j^{1/k} is the number of
//! steps it would have needed to take with E = 1 everywhere, and Σ_j ln E_j its geometric relative.

use crate::integrate::{ErrorEstimate, Heuristic, StepCotangent, StepView};
use crate::num::Real;

/// Which function of E.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surrogate {
    /// ½ ln(E² + ε²).
    LogError,
    /// (E² + ε²)^{1/(2k)}, the number of E = 1 steps that this step stands for.
    #[default]
    PredictedSteps,
}

/// A step-count surrogate of the error estimate; sum it over steps with
/// [`Global::sum`](super::Global::sum). 0 for a method without an estimate. Its slope is finite at
/// E = 0, where both functions of E alone are singular.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCount<T> {
    which: Surrogate,
    /// E², with the norm and probe the user chose.
    estimate: ErrorEstimate<T>,
    epsilon: T,
}

impl<T: Real> StepCount<T> {
    /// `which` of the controller's own estimate.
    pub fn new(which: Surrogate) -> Self {
        Self::of(which, ErrorEstimate::default())
    }

    /// `which` of `estimate`, whose norm, probe step and ε are kept.
    pub fn of(which: Surrogate, estimate: ErrorEstimate<T>) -> Self {
        Self {
            which,
            // Of ε = 0 the slope at E = 0 would be infinite.
            epsilon: estimate.epsilon.max(T::of(1e-12)),
            estimate: ErrorEstimate { squared: true, ..estimate },
        }
    }

    /// The value and its derivative with respect to E².
    fn both(&self, square: T, power: usize) -> [T; 2] {
        let x = self.epsilon.mul_add(self.epsilon, square);
        match self.which {
            Surrogate::LogError => [T::of(0.5) * x.ln(), T::of(0.5) / x],
            Surrogate::PredictedSteps => {
                let exponent = T::of(0.5 / power as f64);
                let value = x.powf(exponent);
                [value, exponent * value / x]
            }
        }
    }
}

impl<T: Real> Heuristic<T> for StepCount<T> {
    fn name(&self) -> &str {
        match self.which {
            Surrogate::LogError => "log error",
            Surrogate::PredictedSteps => "predicted steps",
        }
    }

    fn value(&self, step: &StepView<'_, T>, scratch: &mut [T]) -> T {
        match step.estimates.error_power() {
            Some(power) => self.both(self.estimate.value(step, scratch), power)[0],
            None => T::zero(),
        }
    }

    fn pullback(&self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>) {
        if let Some(power) = step.estimates.error_power() {
            let square = self.estimate.value(step, bar.scratch);
            let slope = self.both(square, power)[1];
            self.estimate.pullback(step, seed * slope, bar);
        }
    }
}
