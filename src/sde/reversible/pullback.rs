//! The exact reverse of a step of reversible Heun, at frozen h and noise.
//!
//! With cotangents ȳ, ŷ̄ of the end, and f̂̄, Ĝ̄ of the values there from the next step,
//!
//! f̂̄_{n+1} += ½hȳ,   Ĝ̄_{n+1} += ½ȳ ⊗ ΔW,   ŷ̄ += (∂f/∂y)ᵀ f̂̄_{n+1} + (∂G/∂y)ᵀ Ĝ̄_{n+1} at ŷ_{n+1},
//! f̂̄_n = h(½ȳ + ŷ̄),   Ĝ̄_n = (½ȳ + ŷ̄) ⊗ ΔW,   ȳ_n = ȳ + 2ŷ̄,   ŷ̄_n = −ŷ̄,
//!
//! and the cotangents of the values at the start are carried to the step before.

use super::reflect_bars;
use super::step::{BLOCK, ReversibleHeunStepper};
use crate::dynamics::{Dynamics, Point};
use crate::error::Result;
use crate::integrate::{Backward, Reverse, StepInfo, end_time};
use crate::num::Real;
use crate::sde::{Diffusion, System};

impl<T: Real, S: System<T>> Reverse<T> for ReversibleHeunStepper<'_, T, S> {
    const OWN_WORK: bool = true;

    /// In states of y and ŷ: the drift at both ends, then the diffusion.
    fn main_stages(&self) -> usize {
        self.layout.values() / 2
    }

    fn total_stages(&self) -> usize {
        self.main_stages()
    }

    fn prepare_interpolation(&mut self, _: &StepInfo<T>, _: &[T]) {}

    fn keep_tape(&mut self) -> usize {
        self.bars.resize(self.layout.values() * self.layout.len(), T::zero());
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
        for half in y_bar.chunks_exact(self.layout.len()) {
            self.forms.bridge.send(half, step.h, &self.values, &self.layout, &mut back.stages);
        }
        back.touched.fill(true);
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, y1]: [&[T]; 2],
        fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let (h, layout) = (step.h, self.layout);
        let half = layout.len();
        self.gather_bars(back);
        let (bar, hat_bar) = back.y.split_at_mut(half);
        self.forms.solution.send(bar, h, &self.values, &layout, &mut self.bars);
        self.vjp(1, (end_time(step.t, h, step.to_stop), &y1[half..]), hat_bar, theta_bar);
        self.forms.forward.send(hat_bar, h, &self.values, &layout, &mut self.bars);
        reflect_bars(bar, hat_bar);
        back.y.iter_mut().zip(&back.y0).for_each(|(y, seed)| *y += *seed);
        if back.first_constant {
            return;
        }
        if fresh {
            self.vjp(0, (step.start(), &y0[half..]), &mut back.y[half..], theta_bar);
            return;
        }
        back.carry.clear();
        back.carry.extend_from_slice(&self.bars[layout.drift(0)]);
        back.carry.extend_from_slice(&self.bars[layout.diffusion(0)]);
        back.carried = true;
    }

    /// ȳ₀ takes ŷ̄₀.
    fn prepare_pullback(&mut self, _: T, _: &[T], y_bar: &mut [T], _: &mut [T]) -> Result<()> {
        let (bar, hat_bar) = y_bar.split_at_mut(self.layout.len());
        for (bar, hat) in bar.iter_mut().zip(hat_bar) {
            *bar += std::mem::take(hat);
        }
        Ok(())
    }

    fn nvjp(&self) -> usize {
        self.nvjp
    }
}

impl<T: Real, S: System<T>> ReversibleHeunStepper<'_, T, S> {
    /// The cotangents of the values start from the seeds and from what the next step carried here.
    fn gather_bars(&mut self, back: &mut Backward<T>) {
        let numbers = self.bars.len();
        match back.touched.contains(&true) {
            true => self.bars.copy_from_slice(&back.stages[..numbers]),
            false => self.bars.fill(T::zero()),
        }
        if std::mem::take(&mut back.carried) {
            let (f, g) = back.carry.split_at(self.layout.len());
            for (range, carry) in [(self.layout.drift(1), f), (self.layout.diffusion(1), g)] {
                self.bars[range].iter_mut().zip(carry).for_each(|(bar, c)| *bar += *c);
            }
        }
    }

    /// ACCUMULATES the products at end `j` of the step with the cotangents of its values.
    fn vjp(&mut self, j: usize, (t, hat): (T, &[T]), hat_bar: &mut [T], theta_bar: &mut [T]) {
        let (d, e) = (self.layout.dim, self.entries());
        let (f, g) = (self.system.drift(), self.system.diffusion());
        let (of_f, of_g) = (self.system.drift_params(), self.system.diffusion_params());
        let (theta_f, theta_g) = (&self.theta[of_f.clone()], &self.theta[of_g.clone()]);
        let f_bars = self.bars[self.layout.drift(j)].chunks(BLOCK * d);
        let g_bars = self.bars[self.layout.diffusion(j)].chunks(BLOCK * e);
        let states = hat.chunks(BLOCK * d).zip(hat_bar.chunks_mut(BLOCK * d));
        for ((y, y_bar), (f_bar, g_bar)) in states.zip(f_bars.zip(g_bars)) {
            let bar = &mut theta_bar[of_f.clone()];
            f.vjp(Point { t, y, theta: theta_f }, f_bar, y_bar, bar, &mut self.scratch.0);
            let bar = &mut theta_bar[of_g.clone()];
            g.vjp(Point { t, y, theta: theta_g }, g_bar, y_bar, bar, &mut self.scratch.1);
        }
        self.nvjp += 1;
    }
}
