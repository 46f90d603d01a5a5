//! The estimates of a stochastic Runge–Kutta step, forms in its values.
//!
//! With a table's weights the error estimate is ũ = h Σ_j w_j f_j + Σ_j G_j Σ_r v_rj ξ_r. Published (Rackauckas
//! & Nie, Discrete Contin. Dyn. Syst. B 22, 2017): ũ = δE₁ + E₂ with E₁ = h Σ_j f_j and
//! E₂ = Σ_j G_j (β³_j ξ_(1,0) + β⁴_j ξ_(1,1,1)); E₁ is not a difference of two solutions and goes with h, so
//! that steps are shorter than the tolerance asks. Embedded: E₁ = h Σ_j (α_j − [j = 1]) f_j with the same E₂, the
//! difference to Euler's drift with Milstein's noise, a solution of strong order 1.
//!
//! Stiffness: S = ‖f_b − f_a‖/‖X_b − X_a‖ for two drift stages a, b with the same abscissa.

use super::form::{Form, Layout};
use super::tableau::StochasticTableau;
use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::Real;

/// Two drift stages at the same abscissa.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub first: usize,
    pub second: usize,
    /// X_second − X_first.
    pub difference: Form,
    pub stability_size: f64,
}

/// A method's estimates with what they need of the problem.
#[derive(Clone, Debug)]
pub(super) struct SrkEstimates {
    pub error: Form,
    pub stiffness: Option<Pair>,
    power: usize,
    layout: Layout,
    weights: Vec<f64>,
}

impl SrkEstimates {
    pub fn new(table: &StochasticTableau, layout: Layout) -> Self {
        let pair = |(first, second, stability_size): (usize, usize, f64)| {
            let difference = table.drift_argument(second).minus(&table.drift_argument(first));
            Pair { first, second, difference, stability_size }
        };
        Self {
            error: table.error_form(),
            stiffness: table.stiffness.map(pair),
            power: table.error_power,
            layout,
            weights: table.alpha.to_vec(),
        }
    }
}

impl<T: Real> Estimates<T> for SrkEstimates {
    fn error_power(&self) -> Option<usize> {
        (!self.error.is_zero()).then_some(self.power)
    }

    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        if low || self.error.is_zero() {
            return false;
        }
        out.fill(T::zero());
        self.error.add(out, step.h, step.stages, &self.layout);
        true
    }

    fn error_vector_pullback(
        &self,
        step: &StepView<'_, T>,
        low: bool,
        out_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        if !low {
            self.error.pullback(out_bar, step.h, step.stages, &self.layout, (bar.stages, bar.touched));
        }
    }

    fn stiffness_vectors(
        &self,
        step: &StepView<'_, T>,
        dk: &mut [T],
        dg: &mut [T],
    ) -> Option<StiffnessForms> {
        let pair = self.stiffness.as_ref()?;
        for ((d, b), a) in dk.iter_mut().zip(step.stage(pair.second)).zip(step.stage(pair.first)) {
            *d = *b - *a;
        }
        dg.fill(T::zero());
        pair.difference.add(dg, step.h, step.stages, &self.layout);
        Some(StiffnessForms { stability_size: pair.stability_size })
    }

    fn stiffness_pullback(
        &self,
        step: &StepView<'_, T>,
        dk_bar: &[T],
        dg_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        let Some(pair) = &self.stiffness else { return };
        bar.stage(pair.second).iter_mut().zip(dk_bar).for_each(|(k, d)| *k += *d);
        bar.stage(pair.first).iter_mut().zip(dk_bar).for_each(|(k, d)| *k -= *d);
        pair.difference.pullback(dg_bar, step.h, step.stages, &self.layout, (bar.stages, bar.touched));
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }
}
