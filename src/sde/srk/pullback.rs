//! The exact reverse of a stochastic Runge–Kutta step, at frozen h and noise.
//!
//! Every line of the step is a form Σ w_j v_j + …, whose reverse sends the line's cotangent to the values
//! before it. From the last stage to the first: the cotangents f̄_i and Ḡ_i are complete when all later lines
//! have been reversed; X̄_i = (∂f/∂y)ᵀ f̄_i and Z̄_i = (∂G/∂y)ᵀ Ḡ_i go through their forms and to ȳ. The noise is
//! asked for again, never stored: a source is a pure function.

use super::form::Form;
use super::step::SrkStepper;
use crate::dynamics::{Dynamics, Point};
use crate::integrate::{Backward, Reverse, StepInfo};
use crate::num::Real;
use crate::sde::noise::Brownian;
use crate::sde::{Diffusion, System};

impl<T: Real, S: System<T>> Reverse<T> for SrkStepper<'_, T, S> {
    fn main_stages(&self) -> usize {
        self.layout.values()
    }

    fn total_stages(&self) -> usize {
        self.layout.values()
    }

    fn prepare_interpolation(&mut self, step: &StepInfo<T>, _: &[T]) {
        self.to_stop = step.to_stop;
    }

    fn keep_tape(&mut self) -> usize {
        let (n, values) = (self.layout.len(), self.layout.values());
        self.bars.values.resize(values * n, T::zero());
        self.bars.touched.resize(values, false);
        self.bars.argument.resize(n, T::zero());
        let batch = self.layout.batch;
        self.scratch_bytes =
            self.system.drift().scratch_bytes(batch) + self.system.diffusion().scratch_bytes(batch);
        0
    }

    fn restore(&mut self, step: &StepInfo<T>, stages: &[T], _: &[T]) {
        self.values[..stages.len()].copy_from_slice(stages);
        // It answered for this step before.
        let answered = self.draw((step.t, step.h));
        debug_assert!(answered.is_ok());
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        for ((y0, y1), bar) in back.y0.iter_mut().zip(&mut back.y).zip(y_bar) {
            *y0 += (T::one() - theta) * *bar;
            *y1 += theta * *bar;
        }
        self.make_bridge((step.t, step.h), theta);
        if let Some(form) = &self.plan.bridge {
            let bar = back.cotangent();
            form.pullback(y_bar, step.h, &self.values, &self.layout, (bar.stages, bar.touched));
        }
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, _]: [&[T]; 2],
        _: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        self.gather_seeds(back);
        let (h, layout) = (step.h, self.layout);
        let solution = std::mem::take(&mut self.plan.solution);
        self.send(&solution, &back.y, h);
        self.plan.solution = solution;
        back.y.iter_mut().zip(&back.y0).for_each(|(y, seed)| *y += *seed);
        for i in (0..layout.stages).rev() {
            let first = layout.stages + i * layout.blocks();
            // Both before either is sent on: neither depends on the other.
            let diffusion = self.bars.touched[first..first + layout.blocks()].contains(&true);
            let drift = self.bars.touched[i];
            if diffusion {
                self.diffusion_pullback(step, y0, i, theta_bar, back);
            }
            if drift {
                self.drift_pullback(step, y0, i, theta_bar, back);
            }
        }
    }

    fn nvjp(&self) -> usize {
        self.nvjp
    }
}

impl<T: Real, S: System<T>> SrkStepper<'_, T, S> {
    /// The cotangents of the values start from the seeds.
    fn gather_seeds(&mut self, back: &Backward<T>) {
        let n = self.layout.len();
        let blocks = self.bars.values.chunks_exact_mut(n).zip(&mut self.bars.touched).zip(&back.touched);
        for (j, ((bar, touched), &seeded)) in blocks.enumerate() {
            *touched = seeded;
            match seeded {
                true => bar.copy_from_slice(&back.stages[j * n..(j + 1) * n]),
                false => bar.fill(T::zero()),
            }
        }
    }

    /// Sends a line's cotangent to the values.
    fn send(&mut self, form: &Form, bar: &[T], h: T) {
        let bars = (&mut self.bars.values[..], &mut self.bars.touched[..]);
        form.pullback(bar, h, &self.values, &self.layout, bars);
    }

    /// The argument of a value again, into `self.argument`.
    fn form_argument(&mut self, form: &Form, y0: &[T], h: T) {
        self.argument.copy_from_slice(y0);
        form.add(&mut self.argument, h, &self.values, &self.layout);
    }

    fn drift_pullback(
        &mut self,
        step: &StepInfo<T>,
        y0: &[T],
        i: usize,
        theta_bar: &mut [T],
        back: &mut Backward<T>,
    ) {
        let form = std::mem::take(&mut self.plan.drift[i]);
        self.form_argument(&form, y0, step.h);
        let t = self.argument_time(step, i, self.plan.c0[i], self.plan.drift_at_start);
        let mut bar = std::mem::take(&mut self.bars.argument);
        bar.fill(T::zero());
        let (range, f) = (self.system.drift_params(), self.system.drift());
        let at = Point { t, y: &self.argument, theta: &self.theta[range.clone()] };
        let k_bar = &self.bars.values[self.layout.drift(i)];
        f.vjp(at, k_bar, &mut bar, &mut theta_bar[range], &mut self.scratch.0);
        self.nvjp += 1;
        back.y.iter_mut().zip(&bar).for_each(|(y, b)| *y += *b);
        self.send(&form, &bar, step.h);
        self.bars.argument = bar;
        self.plan.drift[i] = form;
    }

    fn diffusion_pullback(
        &mut self,
        step: &StepInfo<T>,
        y0: &[T],
        i: usize,
        theta_bar: &mut [T],
        back: &mut Backward<T>,
    ) {
        let form = std::mem::take(&mut self.plan.diffusion[i]);
        self.form_argument(&form, y0, step.h);
        let t = self.argument_time(step, i, self.plan.c1[i], self.plan.diffusion_at_start);
        let mut bar = std::mem::take(&mut self.bars.argument);
        bar.fill(T::zero());
        let (range, g) = (self.system.diffusion_params(), self.system.diffusion());
        let at = Point { t, y: &self.argument, theta: &self.theta[range.clone()] };
        let g_bar = &self.bars.values[self.layout.diffusion(i)];
        g.vjp(at, g_bar, &mut bar, &mut theta_bar[range], &mut self.scratch.1);
        back.y.iter_mut().zip(&bar).for_each(|(y, b)| *y += *b);
        self.send(&form, &bar, step.h);
        self.bars.argument = bar;
        self.plan.diffusion[i] = form;
    }

    /// When value i was taken.
    fn argument_time(&self, step: &StepInfo<T>, i: usize, c: f64, at_start: bool) -> T {
        match i == 0 && at_start {
            true => step.start(),
            false => self.stage_time((step.t, step.h), c, step.to_stop),
        }
    }

    /// W(t + ϑh) − W(t) − ϑΔW into the last random vector.
    pub(super) fn make_bridge(&mut self, (t, h): (T, T), theta: T) {
        if self.plan.bridge.is_none() {
            return;
        }
        let xi = &mut self.values[self.layout.variate(self.layout.variates - 1)];
        bridge(&mut *self.noise, (t, h), theta, &self.motion.w, xi);
    }
}

/// `xi` ← W(t + ϑh) − W(t) − ϑΔW, where `w` is ΔW; 0 (the chord) where the source knows nothing inside the
/// step, as a fixed grid inside its cells.
pub(in crate::sde) fn bridge<T: Real>(
    noise: &mut (dyn Brownian<T> + '_),
    (t, h): (T, T),
    theta: T,
    w: &[T],
    xi: &mut [T],
) {
    if noise.increment(t, theta.mul_add(h, t), xi, &mut []).is_err() {
        xi.fill(T::zero());
        return;
    }
    for (xi, w) in xi.iter_mut().zip(w) {
        *xi = (-theta).mul_add(*w, *xi);
    }
}
