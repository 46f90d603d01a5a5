//! [`Layout`]: a Rosenbrock tableau laid out for stepping, and its estimates as functions of a step.

use super::tableau::RosenbrockTableau;
use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::{Real, accumulate, combine_differences};
use crate::ode::method::differences_pullback;

/// A [`RosenbrockTableau`] laid out for stepping.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub(super) order: usize,
    pub(super) power: usize,
    pub(super) gamma: f64,
    pub(super) c: Vec<f64>,
    pub(super) d: Vec<f64>,
    /// Rows of a and of C.
    pub(super) a: Vec<Vec<f64>>,
    pub(super) coupling: Vec<Vec<f64>>,
    /// (a_ij, C_ij) for j < i, row after row, and the rows of Γ⁻¹ the same way: for small systems.
    pub(super) pairs: Vec<[f64; 2]>,
    pub(super) to_k_flat: Vec<f64>,
    pub(super) m: Vec<f64>,
    pub(super) e: Vec<f64>,
    /// Rows of Γ and Γ⁻¹ up to the diagonal.
    pub(super) to_u: Vec<Vec<f64>>,
    pub(super) to_k: Vec<Vec<f64>>,
    /// b, and the error's weights, of the stages k.
    b: Vec<f64>,
    error: Vec<f64>,
    /// Stage pair and β_j − β_i.
    stiffness: Option<(usize, usize, Vec<f64>)>,
    pub(super) dense: Vec<Vec<f64>>,
}

impl Layout {
    /// Lays out `tableau`.
    pub fn new(tableau: &RosenbrockTableau) -> Self {
        let (s, k) = (tableau.stages(), tableau.coefficients());
        let lower = |full: &[Vec<f64>]| -> Vec<Vec<f64>> { (0..s).map(|i| full[i][..=i].to_vec()).collect() };
        let below = (0..s).flat_map(|i| (0..i).map(move |j| (i, j)));
        let beta = |i: usize, j: usize| k.alpha[i][j] + k.gamma[i][j];
        let stiffness =
            tableau.stiffness.map(|(i, j)| (i, j, (0..s).map(|l| beta(j, l) - beta(i, l)).collect()));
        Self {
            order: tableau.order,
            power: tableau.order.min(tableau.embedded_order) + 1,
            gamma: tableau.gamma,
            c: tableau.c.to_vec(),
            d: tableau.d.to_vec(),
            a: tableau.a.iter().map(|r| r.to_vec()).collect(),
            coupling: tableau.coupling.iter().map(|r| r.to_vec()).collect(),
            pairs: below.map(|(i, j)| [tableau.a[i][j], tableau.coupling[i][j]]).collect(),
            to_k_flat: lower(&k.inverse).concat(),
            m: tableau.m.to_vec(),
            e: tableau.error.to_vec(),
            to_u: lower(&k.gamma),
            to_k: lower(&k.inverse),
            b: k.b,
            error: k.error,
            stiffness,
            dense: k.dense,
        }
    }

    /// Number of stages.
    pub fn stages(&self) -> usize {
        self.m.len()
    }
}

/// ACCUMULATES the reverse of u = h Σ w_j k_j.
fn sum_pullback<T: Real>(weights: &[f64], h: T, u_bar: &[T], bar: &mut StepCotangent<'_, T>) {
    for (j, &w) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
        accumulate(bar.stage(j), h, &[w], u_bar);
    }
}

impl<T: Real> Estimates<T> for Layout {
    fn error_power(&self) -> Option<usize> {
        Some(self.power)
    }

    /// The weights sum to zero, so that differences of the stages give the estimate.
    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        if low {
            return false;
        }
        combine_differences(out, step.h, &self.error, step.stages);
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
            differences_pullback(&self.error, step.h, out_bar, bar);
        }
    }

    /// k_j − k_i = J h Σ (β_jl − β_il) k_l up to nonlinear terms, for stages with equal c and d (and
    /// M⁻¹J for J, with a mass matrix).
    fn stiffness_vectors(
        &self,
        step: &StepView<'_, T>,
        dk: &mut [T],
        dg: &mut [T],
    ) -> Option<StiffnessForms> {
        let (first, second, weights) = self.stiffness.as_ref()?;
        for ((d, b), a) in dk.iter_mut().zip(step.stage(*second)).zip(step.stage(*first)) {
            *d = *b - *a;
        }
        dg.fill(T::zero());
        accumulate(dg, step.h, weights, step.stages);
        Some(StiffnessForms { stability_size: f64::INFINITY })
    }

    fn stiffness_pullback(
        &self,
        step: &StepView<'_, T>,
        dk_bar: &[T],
        dg_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        if let Some((first, second, weights)) = &self.stiffness {
            accumulate(bar.stage(*second), T::one(), &[1.0], dk_bar);
            accumulate(bar.stage(*first), T::one(), &[-1.0], dk_bar);
            sum_pullback(weights, step.h, dg_bar, bar);
        }
    }

    fn weights(&self) -> &[f64] {
        &self.b
    }
}
