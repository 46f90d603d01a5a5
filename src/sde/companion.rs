//! The error estimate of the steppers that are no table: the difference to Euler's step on the same noise,
//!
//! ũ = ½h (f₁ − f₀) + c,   f₀ = f(t, y), f₁ = f(t + h, y₁).
//!
//! The drift's part is what the trapezoidal rule adds to Euler's, as for reversible Heun (and as Lamba, Mattingly &
//! Stuart, IMA J. Numer. Anal. 27, 2007, compare drifts at both ends of a step); f₁ is the next step's f₀
//! and costs nothing. The noise's part c is the leading term that Euler–Maruyama lacks, ½ Σ_kl (∂g_k/∂y) g_l (ΔW_k ΔW_l − δ_kl h):
//!
//! - Milstein's methods have computed it: with their own drift, ũ is the difference of two solutions of strong
//!   order 1 and ½ (on additive noise c = 0).
//! - The drift-implicit methods take c = ½(G(t + h, y₁) − G(t, y)) ΔW, with the next step's G. To leading order
//!   it is ½ Σ_kl (∂g_l/∂y) g_k ΔW_k ΔW_l, of the same size (in the mean square √3/2 against √2/2 of g′g h for scalar noise),
//!   without derivatives of G. Their drift's part is, up to its sign for implicit Euler, the difference
//!   of implicit Euler and the trapezoidal rule with these values.
//!
//! ũ goes with h; on additive noise with h^{3/2}. It is linear in the record, c a part of it, so that its reverse
//! is three sums; the reverse of c is the stepper's.

use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::Real;

/// ũ from a [`Bound`](super::bound::Bound)'s record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EulerDifference {
    /// Which block of the record is c.
    pub correction: usize,
    /// Whether the method takes adaptive steps by it.
    pub steers: bool,
    /// Quadrature weights of f₀, f₁.
    pub weights: &'static [f64],
}

impl<T: Real> Estimates<T> for EulerDifference {
    fn error_power(&self) -> Option<usize> {
        Some(1)
    }

    fn steers(&self) -> bool {
        self.steers
    }

    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        if low {
            return false;
        }
        let half = T::of(0.5) * step.h;
        let values = step.stage(0).iter().zip(step.stage(1)).zip(step.stage(self.correction));
        for (out, ((f0, f1), c)) in out.iter_mut().zip(values) {
            *out = half.mul_add(*f1 - *f0, *c);
        }
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
        let half = T::of(0.5) * step.h;
        for (block, weight) in [(0, -half), (1, half), (self.correction, T::one())] {
            bar.stage(block).iter_mut().zip(out_bar).for_each(|(bar, out)| *bar = weight.mul_add(*out, *bar));
        }
    }

    fn stiffness_vectors(&self, _: &StepView<'_, T>, _: &mut [T], _: &mut [T]) -> Option<StiffnessForms> {
        None
    }

    fn stiffness_pullback(&self, _: &StepView<'_, T>, _: &[T], _: &[T], _: &mut StepCotangent<'_, T>) {}

    fn weights(&self) -> &[f64] {
        self.weights
    }
}
