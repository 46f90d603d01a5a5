//! The reverse of a diagonally implicit step, by the implicit function theorem at its stages.
//!
//! Stage i solves M k_i = f(t_i, Y_i), Y_i = g_i + hγ k_i. With J_i = ∂f/∂y at Y_i, cotangents s_i of the
//! stages from outside (saves, heuristics) and the carry in s_end, for i = s−1, …, 1:
//!
//! k̄_i = s_i + h (b_i ȳ1 + Σ_{l>i} a_li ḡ_l),   (αM − J_i)ᵀ λ = α k̄_i,  α = 1/(hγ),
//! ḡ_i = J_iᵀ λ,   θ̄ += (∂f/∂θ)ᵀ λ,   ȳ0 = ȳ1 + Σ_i ḡ_i.
//!
//! The transposed systems are solved by refinement with whatever factors are at hand,
//! δ = W⁻ᵀ(αk̄ − (αM − J_i)ᵀλ), λ += δ, until δ is below 1e-12 of λ: each iteration is one
//! vector–Jacobian product at the stage itself, so that the result does not depend on the factors. When
//! it converges slowly, W is factored anew with the stage's own Jacobian. In an additive method the
//! explicit part e_i = f_E(t_i, Y_i) adds Ȳ_i = J_Eᵀ(k̄_i + ē_i) to ḡ_i and hγȲ_i to the right-hand side.

use super::part::Implicit;
use super::stepper::SdirkStepper;
use crate::dynamics::{Dynamics, Part, Point};
use crate::error::Result;
use crate::integrate::{Backward, Reverse, StepInfo, Stepper, polynomial};
use crate::num::{Real, accumulate, rms};

/// Relative size of a correction below which the refinement stops.
const REFINED: f64 = 1e-12;
/// A rate of the refinement beyond which the matrix is factored anew.
const SLOW: f64 = 0.1;
/// Refinements before the stage's own Jacobian is used in any case, and before giving up.
const TRIES: [usize; 2] = [12, 40];
/// Systems up to this size always use the stage's own Jacobian: it costs less than the refinement.
const SMALL: usize = 6;

impl<T: Real, D: Dynamics<T>> Reverse<T> for SdirkStepper<'_, T, D> {
    fn main_stages(&self) -> usize {
        self.layout.columns
    }

    fn total_stages(&self) -> usize {
        self.layout.columns
    }

    fn prepare_interpolation(&mut self, step: &StepInfo<T>, _: &[T]) {
        self.to_stop = step.to_stop;
    }

    /// Keeps nothing: a stage's product is taken with a different cotangent in each refinement.
    fn keep_tape(&mut self) -> usize {
        self.measure_scratch();
        0
    }

    fn restore(&mut self, _: &StepInfo<T>, stages: &[T], _: &[T]) {
        self.k.copy_from_slice(stages);
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        accumulate(&mut back.y0, T::one(), &[1.0], y_bar);
        let mut bar = back.cotangent();
        for (i, poly) in self.layout.dense.iter().enumerate() {
            let w = polynomial(poly, theta.f64());
            if w != 0.0 {
                accumulate(bar.stage(i), step.h, &[w], y_bar);
            }
        }
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, _]: [&[T]; 2],
        fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let n = self.len();
        let (s, columns) = (self.layout.stages, self.layout.columns);
        let fresh = fresh || self.layout.additive;
        self.to_stop = step.to_stop;
        (self.current, self.stale) = (false, true);
        let carried = std::mem::take(&mut back.carried);
        back.live.fill(false);
        back.grads[columns * n..].copy_from_slice(&back.y);
        for i in (1..s).rev() {
            if self.cotangents(step.h, i, carried && i == self.layout.end, back) {
                self.stage_argument(step.h, i, y0);
                self.stage_pullback(step, i, back, theta_bar);
            }
        }
        if self.cotangents(step.h, 0, false, back) && !back.first_constant {
            match fresh {
                true => self.first_pullback(step, y0, back, theta_bar),
                false => {
                    back.carry.copy_from_slice(&back.k_bar);
                    back.carried = true;
                }
            }
        }
        accumulate(&mut back.y, T::one(), &[1.0], &back.y0);
        for (w, live) in back.weights.iter_mut().zip(&back.live) {
            *w = f64::from(u8::from(*live));
        }
        accumulate(&mut back.y, T::one(), &back.weights[..columns], &back.grads);
    }

    fn prepare_pullback(&mut self, t: T, y0: &[T], y_bar: &mut [T], theta_bar: &mut [T]) -> Result<()> {
        self.consistent_pullback(t, y0, [y_bar, theta_bar])
    }

    fn nvjp(&self) -> usize {
        self.nvjp
    }
}

impl<T: Real, D: Dynamics<T>> SdirkStepper<'_, T, D> {
    /// k̄_i into `back.k_bar` and, in an additive method, k̄_i + ē_i into `self.r`; false when both are
    /// zero.
    fn cotangents(&mut self, h: T, i: usize, carried: bool, back: &mut Backward<T>) -> bool {
        let total = i == 0 || !self.layout.additive;
        let mut any = self.column_cotangent(h, i, carried, back);
        if self.layout.additive {
            self.z.copy_from_slice(&back.k_bar);
            any |= self.column_cotangent(h, self.layout.stages + i, false, back);
            // k_bar holds ē_i here.
            self.r.copy_from_slice(&back.k_bar);
            if !total {
                accumulate(&mut self.r, T::one(), &[1.0], &self.z);
            }
            back.k_bar.copy_from_slice(&self.z);
        }
        any
    }

    /// The cotangent of column j of the record into `back.k_bar`; false when it is zero.
    fn column_cotangent(&self, h: T, j: usize, carried: bool, back: &mut Backward<T>) -> bool {
        let (n, s, columns) = (self.len(), self.layout.stages, self.layout.columns);
        let column = &self.layout.transposed[j];
        let mut any = carried || back.touched[j] || column[s] != 0.0;
        back.weights.fill(0.0);
        for l in (0..s).filter(|&l| back.live[l]) {
            back.weights[l] = column[l];
            any |= column[l] != 0.0;
        }
        back.weights[columns] = column[s];
        back.k_bar.fill(T::zero());
        if !any {
            return false;
        }
        if carried {
            back.k_bar.copy_from_slice(&back.carry);
        }
        if back.touched[j] {
            accumulate(&mut back.k_bar, T::one(), &[1.0], &back.stages[j * n..(j + 1) * n]);
        }
        accumulate(&mut back.k_bar, h, &back.weights, &back.grads);
        true
    }

    /// ḡ_0 and θ̄ of the explicit first stage.
    fn first_pullback(&mut self, step: &StepInfo<T>, y0: &[T], back: &mut Backward<T>, theta_bar: &mut [T]) {
        let n = y0.len();
        let g_bar = &mut back.grads[..n];
        g_bar.fill(T::zero());
        if let Some(slope) = &self.slope {
            slope.solve_transpose(self.dynamics, &mut back.k_bar);
        }
        let at = Point { t: step.start(), y: y0, theta: &self.theta };
        self.dynamics.vjp(at, &back.k_bar, g_bar, theta_bar, &mut self.scratch);
        if self.layout.additive && D::SPLIT {
            let bars = [g_bar, theta_bar];
            self.dynamics.vjp_part(Part::Explicit, at, &self.r, bars, &mut self.scratch);
        }
        self.nvjp += 1;
        back.live[0] = true;
    }

    /// ḡ_i and θ̄ of stage i, whose argument is in `g`.
    fn stage_pullback(&mut self, step: &StepInfo<T>, i: usize, back: &mut Backward<T>, theta_bar: &mut [T]) {
        let n = self.len();
        let t = self.stage_time((step.t, step.h), i);
        let alpha = T::one() / (step.h * T::of(self.layout.gamma));
        let g_bar = &mut back.grads[i * n..(i + 1) * n];
        g_bar.fill(T::zero());
        if self.layout.additive && D::SPLIT {
            let at = Point { t, y: &self.g, theta: &self.theta };
            let bars = [&mut *g_bar, &mut *theta_bar];
            self.dynamics.vjp_part(Part::Explicit, at, &self.r, bars, &mut self.scratch);
            self.nvjp += 1;
            accumulate(&mut back.k_bar, T::one() / alpha, &[1.0], g_bar);
        }
        back.live[i] = true;
        if !self.transposed_stage((t, alpha), &back.k_bar, [&mut *g_bar, theta_bar]) {
            g_bar.fill(T::NAN);
        }
    }

    /// ACCUMULATES `bars` = (Jᵀλ, (∂f/∂θ)ᵀλ) with (αM − J)ᵀλ = α `k_bar` at the argument in `g`; false
    /// when the systems cannot be solved.
    fn transposed_stage(&mut self, (t, alpha): (T, T), k_bar: &[T], bars: [&mut [T]; 2]) -> bool {
        let [g_bar, theta_bar] = bars;
        let small = self.dynamics.dim() <= SMALL;
        let mut own = small;
        if !(if small { self.own_factors(t, alpha) } else { self.factors_for(t, alpha) }) {
            return false;
        }
        // The residual α k̄ − (αM − J)ᵀλ, with λ = 0.
        self.r.fill(T::zero());
        accumulate(&mut self.r, alpha, &[1.0], k_bar);
        let mut total = T::zero();
        let mut before = T::INFINITY;
        for k in 0..TRIES[1] {
            self.z.copy_from_slice(&self.r);
            let Self { matrix, dynamics, scratch, z, .. } = self;
            let solved = matrix.as_mut().is_some_and(|m| m.solve_transpose(&Implicit(*dynamics), scratch, z));
            let size = rms(&self.z);
            if !solved || !size.is_finite() {
                return false;
            }
            if k > 0 && size <= T::of(REFINED).max_number(T::EPSILON) * total {
                return true;
            }
            if k > 0 && !own && (size > T::of(SLOW) * before || k > TRIES[0]) {
                own = true;
                if !self.own_factors(t, alpha) {
                    return false;
                }
                before = T::INFINITY;
                continue;
            }
            // With the stage's own factors the corrections shrink until they are rounding.
            if own && k > 1 && size >= before {
                return size <= T::of(1e-6) * total;
            }
            before = size;
            total += size;
            self.add_product(t, alpha, [&mut *g_bar, &mut *theta_bar]);
        }
        false
    }

    /// ACCUMULATES the products with δ = `z`, and updates the residual in `r`.
    fn add_product(&mut self, t: T, alpha: T, [g_bar, theta_bar]: [&mut [T]; 2]) {
        let Self { dynamics, theta, scratch, g, z, r, base, matrix, .. } = self;
        let at = Point { t, y: g, theta };
        base.fill(T::zero());
        dynamics.vjp_part(Part::Implicit, at, z, [&mut *base, theta_bar], scratch);
        self.nvjp += 1;
        accumulate(g_bar, T::one(), &[1.0], base);
        accumulate(r, T::one(), &[1.0], base);
        if let Some(matrix) = matrix {
            matrix.add_mass_transpose(-alpha, z, r);
        }
    }

    /// Factors of αM − J with the Jacobian at hand, if there is one.
    fn factors_for(&mut self, t: T, alpha: T) -> bool {
        if self.factored == T::zero() {
            return self.own_factors(t, alpha);
        }
        self.factored == alpha || self.factor(alpha)
    }

    /// Factors of αM − J with J at (t, g).
    pub(super) fn own_factors(&mut self, t: T, alpha: T) -> bool {
        let g = std::mem::take(&mut self.g);
        let finite = self.evaluate_jacobian(t, &g);
        self.g = g;
        finite && self.factor(alpha)
    }
}
