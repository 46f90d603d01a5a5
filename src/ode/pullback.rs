//! The exact reverse of the explicit Runge–Kutta step at frozen h.
//!
//! With cotangents ȳ1 of the end and seeds s_i of the stage derivatives (from heuristics, dense
//! output and the next step's k_1), for i = s, …, 1:
//!
//! k̄_i = s_i + h (b_i ȳ1 + Σ_{l>i} a_li ḡ_l),   ḡ_i = (∂f/∂y)ᵀ k̄_i,   θ̄ += (∂f/∂θ)ᵀ k̄_i,
//! ȳ0 = ȳ1 + Σ_i ḡ_i.
//!
//! Where the first stage is the step before's last (FSAL), k̄_1 is carried there and costs nothing.

use super::explicit::ExplicitStepper;
use crate::dynamics::{Dynamics, Point};
use crate::integrate::{Backward, Reverse, StepInfo, Stepper, polynomial};
use crate::num::{Real, accumulate, combine};

impl<T: Real, D: Dynamics<T>> Reverse<T> for ExplicitStepper<'_, T, D> {
    fn main_stages(&self) -> usize {
        self.method.stages
    }

    fn total_stages(&self) -> usize {
        self.method.total_stages()
    }

    fn prepare_interpolation(&mut self, step: &StepInfo<T>, y0: &[T]) {
        self.to_stop = step.to_stop;
        self.extra_stages((step.t, step.h), y0, None);
    }

    fn keep_tape(&mut self) -> usize {
        let batch = self.g.len() / self.dynamics.dim();
        self.scratch_bytes = self.dynamics.scratch_bytes(batch);
        if !D::TAPED {
            return 0;
        }
        let length = self.dynamics.tape_len(batch);
        self.tape.resize(self.method.total_stages() * length, T::zero());
        self.taping = true;
        self.method.stages * length
    }

    fn restore(&mut self, _: &StepInfo<T>, stages: &[T], tape: &[T]) {
        self.k[..stages.len()].copy_from_slice(stages);
        self.tape[..tape.len()].copy_from_slice(tape);
        self.extra_done = false;
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        accumulate(&mut back.y0, T::one(), &[1.0], y_bar);
        let mut bar = back.cotangent();
        for (i, poly) in self.method.dense.iter().enumerate() {
            let w = polynomial(poly, theta.f64());
            if w != 0.0 {
                accumulate(bar.stage(i), step.h, &[w], y_bar);
            }
        }
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        y: [&[T]; 2],
        fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let n = self.len();
        let total = self.method.total_stages();
        let carried = std::mem::take(&mut back.carried);
        back.live.fill(false);
        back.grads[total * n..(total + 1) * n].copy_from_slice(&back.y);
        for i in (0..total).rev() {
            let carried = carried && i + 1 == self.method.stages;
            if !self.stage_cotangent(step, i, carried, back) {
                continue;
            }
            if i == 0 && back.first_constant {
                break;
            }
            if i == 0 && self.method.fsal && !fresh {
                back.carry.copy_from_slice(&back.k_bar);
                back.carried = true;
                break;
            }
            self.stage_pullback(step, y, i, back, theta_bar);
        }
        accumulate(&mut back.y, T::one(), &[1.0], &back.y0);
        for (w, live) in back.weights.iter_mut().zip(&back.live) {
            *w = f64::from(u8::from(*live));
        }
        accumulate(&mut back.y, T::one(), &back.weights[..total], &back.grads);
    }

    fn nvjp(&self) -> usize {
        self.nvjp
    }
}

impl<T: Real, D: Dynamics<T>> ExplicitStepper<'_, T, D> {
    /// k̄_i into `back.k_bar`; false when it is zero.
    fn stage_cotangent(&self, step: &StepInfo<T>, i: usize, carried: bool, back: &mut Backward<T>) -> bool {
        let n = self.len();
        let total = self.method.total_stages();
        let column = &self.method.transposed[i];
        let mut any = carried || back.touched[i];
        for ((weight, &live), &a) in back.weights.iter_mut().zip(&back.live).zip(column) {
            *weight = if live { a } else { 0.0 };
            any |= *weight != 0.0;
        }
        back.weights[total] = column[total];
        if !(any || column[total] != 0.0) {
            return false;
        }
        if carried {
            back.k_bar.copy_from_slice(&back.carry);
        } else {
            back.k_bar.fill(T::zero());
        }
        if back.touched[i] {
            accumulate(&mut back.k_bar, T::one(), &[1.0], &back.stages[i * n..(i + 1) * n]);
        }
        accumulate(&mut back.k_bar, step.h, &back.weights[..=total], &back.grads);
        true
    }

    /// ḡ_i and θ̄ from k̄_i.
    fn stage_pullback(
        &mut self,
        step: &StepInfo<T>,
        y: [&[T]; 2],
        i: usize,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let n = self.len();
        let [y0, y1] = y;
        let method = &self.method;
        let g = if i == 0 {
            y0
        } else if method.fsal && i + 1 == method.stages {
            y1
        } else {
            combine(&mut self.g, y0, step.h, &method.a[i], &self.k[..i * n]);
            &self.g
        };
        let t = match i {
            0 => step.start(),
            _ => self.stage_time((step.t, step.h), i, step.to_stop),
        };
        let g_bar = &mut back.grads[i * n..(i + 1) * n];
        g_bar.fill(T::zero());
        let at = Point { t, y: g, theta: &self.theta };
        let (bar, scratch) = (&back.k_bar, &mut self.scratch);
        if D::TAPED && self.taping {
            let length = self.tape.len() / method.total_stages();
            let tape = &self.tape[i * length..(i + 1) * length];
            let taped = (&self.k[i * n..(i + 1) * n], tape);
            self.dynamics.vjp_taped(at, taped, bar, g_bar, theta_bar, scratch);
        } else {
            self.dynamics.vjp(at, bar, g_bar, theta_bar, scratch);
        }
        self.nvjp += 1;
        back.live[i] = true;
    }
}
