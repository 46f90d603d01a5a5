//! [`Probe`]: what the stiffness heuristic sees of an implicit step.

use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::Real;

/// Part of the start vector mixed into every iterate, so that a direction that has died out grows again when
/// it becomes the stiffest. It moves S by 10⁻⁴ of itself at most.
const FRESH: f64 = 1e-2;

/// Δg = v and Δk = Jv: ‖Δk‖/‖Δg‖ → |λ_max| under the power iteration v ← Jv/‖Jv‖, one product a step.
#[derive(Clone, Debug)]
pub(super) struct Probe<T> {
    v: Vec<T>,
    product: Vec<T>,
    /// Stability size of the explicit method.
    size: f64,
}

impl<T: Real> Probe<T> {
    pub fn new(n: usize, size: f64) -> Self {
        let mut probe = Self { v: vec![T::zero(); n], product: vec![T::zero(); n], size };
        probe.start();
        probe
    }

    /// Forgets what it found.
    pub fn start(&mut self) {
        let n = self.v.len();
        self.v.iter_mut().enumerate().for_each(|(i, v)| *v = start_entry(i, n));
    }

    /// The vector, and where its product goes.
    pub fn vectors(&mut self) -> (&[T], &mut [T]) {
        (&self.v, &mut self.product)
    }

    /// Turns v towards the stiffest eigenvector.
    pub fn turn(&mut self) {
        let n = self.v.len();
        let largest = self.product.iter().fold(T::zero(), |m, w| m.max_number(w.abs()));
        let norm = self.product.iter().map(|w| (w.f64() / largest.f64()).powi(2)).sum::<f64>().sqrt();
        let scale = T::of(1.0 / norm) / largest;
        if !(scale.is_finite() && scale > T::zero()) {
            return self.start();
        }
        for (i, (v, w)) in self.v.iter_mut().zip(&self.product).enumerate() {
            *v = scale.mul_add(*w, T::of(FRESH) * start_entry(i, n));
        }
    }

    pub fn bytes(&self) -> usize {
        2 * self.v.len() * size_of::<T>()
    }
}

/// Entry i of a vector of norm about one that no structure makes orthogonal to an eigenvector: the fractional
/// parts of multiples of the golden ratio, with alternating signs.
fn start_entry<T: Real>(i: usize, n: usize) -> T {
    let size = 0.5 + (0.6180339887498949 * (i + 1) as f64).fract();
    let sign = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    T::of(sign * size / (n as f64).sqrt())
}

impl<T: Real> Estimates<T> for Probe<T> {
    fn error_power(&self) -> Option<usize> {
        None
    }

    fn error_vector(&self, _: &StepView<'_, T>, _: bool, _: &mut [T]) -> bool {
        false
    }

    fn error_vector_pullback(&self, _: &StepView<'_, T>, _: bool, _: &[T], _: &mut StepCotangent<'_, T>) {}

    fn stiffness_vectors(&self, _: &StepView<'_, T>, dk: &mut [T], dg: &mut [T]) -> Option<StiffnessForms> {
        dk.copy_from_slice(&self.product);
        dg.copy_from_slice(&self.v);
        Some(StiffnessForms { stability_size: self.size })
    }

    /// Nothing: J and v are no functions of the step's stages, and what the switch reads is not penalised.
    fn stiffness_pullback(&self, _: &StepView<'_, T>, _: &[T], _: &[T], _: &mut StepCotangent<'_, T>) {}

    fn weights(&self) -> &[f64] {
        &[]
    }
}
