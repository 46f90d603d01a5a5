//! The reverse of a drift-implicit step, by the implicit function theorem.
//!
//! k₁ = f(t₁, base + hϑk₁), y₁ = base + hϑk₁, J = ∂f/∂y at y₁, and the cotangent k̄₁ = hϑȳ₁ + what seeds and the next
//! step, which starts from it, add:
//!
//! (αI − J)ᵀλ = αk̄₁,   base‾ = ȳ₁ + Jᵀλ,   θ̄ += (∂f/∂θ)ᵀλ.
//!
//! Then k̄₀ = h(1 − ϑ)base‾, Ḡ = base‾ ⊗ ΔW. Before all that the cotangent c̄ of the error estimate's part
//! c = ½(G(t₁, y₁) − G)ΔW goes to ȳ₁ through G(t₁, y₁), and to Ḡ. The system is solved by refinement with W's factors at y₁ until the
//! correction is below rounding, each round one vector–Jacobian product, so that the result does not
//! depend on how well the linear solver did.

use super::DriftImplicitStepper;
use crate::dynamics::{Dynamics, Point};
use crate::integrate::{Backward, Reverse, StepInfo, end_time};
use crate::num::{Real, accumulate, rms};
use crate::sde::System;
use crate::sde::bound::reverse_methods;

/// Relative size of a correction below which the refinement stops.
const REFINED: f64 = 1e-12;
/// Refinements before it gives up.
const TRIES: usize = 40;

impl<T: Real, S: System<T>> Reverse<T> for DriftImplicitStepper<'_, T, S> {
    reverse_methods!();

    fn keep_tape(&mut self) -> usize {
        let layout = self.bound.layout;
        self.bars[0].resize(layout.len(), T::zero());
        self.bars[1].resize(layout.len(), T::zero());
        self.bars[2].resize(layout.entries(), T::zero());
        self.bound.measure_scratch();
        0
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, y1]: [&[T]; 2],
        fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let h = step.h;
        (self.current, self.stale) = (false, true);
        let [mut k_bar, mut c_bar, mut g_bar] = std::mem::take(&mut self.bars);
        let (t1, half) = (end_time(step.t, h, step.to_stop), T::of(0.5));
        let estimated = self.bound.correction_seed(back, &mut c_bar);
        if estimated {
            g_bar.fill(T::zero());
            self.bound.add_noise_pullback(half, &c_bar, &mut g_bar);
            self.bound.diffusion_pullback(t1, y1, &g_bar, [&mut back.y, &mut *theta_bar]);
        }
        self.bound.drift_seed(1, h * self.weight, back, &mut k_bar);
        if std::mem::take(&mut back.carried) {
            accumulate(&mut k_bar, T::one(), &[1.0], &back.carry);
        }
        // ȳ₁ becomes that of base.
        if !self.transposed(t1, h, y1, &k_bar, [&mut back.y, theta_bar]) {
            back.y.fill(T::NAN);
        }
        self.bound.diffusion_seed(back, &mut g_bar);
        self.bound.add_noise_pullback(T::one(), &back.y, &mut g_bar);
        if estimated {
            self.bound.add_noise_pullback(-half, &c_bar, &mut g_bar);
        }
        let mut y_bar = std::mem::take(&mut back.y0);
        self.bound.diffusion_pullback(step.start(), y0, &g_bar, [&mut y_bar, &mut *theta_bar]);
        if self.bound.drift_seed(0, h * (T::one() - self.weight), back, &mut k_bar) && !back.first_constant {
            match fresh {
                true => self.bound.drift_pullback(step.start(), y0, &k_bar, [&mut y_bar, theta_bar]),
                false => {
                    back.carry.copy_from_slice(&k_bar);
                    back.carried = true;
                }
            }
        }
        accumulate(&mut back.y, T::one(), &[1.0], &y_bar);
        back.y0 = y_bar;
        self.bars = [k_bar, c_bar, g_bar];
    }
}

impl<T: Real, S: System<T>> DriftImplicitStepper<'_, T, S> {
    /// ACCUMULATES `bars` = (Jᵀλ, (∂f/∂θ)ᵀλ) with (αI − J)ᵀλ = α `k_bar` at (t, y); false when it cannot be solved.
    fn transposed(&mut self, t: T, h: T, y: &[T], k_bar: &[T], [y_bar, theta_bar]: [&mut [T]; 2]) -> bool {
        let alpha = T::one() / (h * self.weight);
        if !self.renew(alpha, t, y) {
            return false;
        }
        let Self { bound, matrix: Some(matrix), z, r, argument: product, .. } = self else {
            return false;
        };
        let range = bound.system.drift_params();
        let at = Point { t, y, theta: &bound.theta[range.clone()] };
        // The residual αk̄ − (αI − J)ᵀλ, with λ = 0.
        r.iter_mut().zip(k_bar).for_each(|(r, k_bar)| *r = alpha * *k_bar);
        let (mut total, mut before) = (T::zero(), T::INFINITY);
        for round in 0..TRIES {
            z.copy_from_slice(r);
            let solved = matrix.solve_transpose(bound.system.drift(), &mut bound.scratch.0, z);
            let size = rms(z);
            if !solved || !size.is_finite() {
                return false;
            }
            if round > 0 && size <= T::of(REFINED).max_number(T::EPSILON) * total {
                return true;
            }
            // The corrections shrink until they are rounding.
            if round > 1 && size >= before {
                return size <= T::of(1e-6) * total;
            }
            before = size;
            total += size;
            product.fill(T::zero());
            bound.system.drift().vjp(at, z, product, &mut theta_bar[range.clone()], &mut bound.scratch.0);
            bound.nvjp += 1;
            accumulate(y_bar, T::one(), &[1.0], product);
            accumulate(r, T::one(), &[1.0], product);
            accumulate(r, -alpha, &[1.0], z);
        }
        false
    }
}
