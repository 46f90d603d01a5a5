//! The reverse of a step of [`Coupled`](super::Coupled), and the step taken back.
//!
//! With cotangents ȳ, z̄ of the end, J and J' the Jacobians of Ψ_h at z_n and of Ψ_{−h} at y_{n+1}:
//!
//! ȳ += −J'ᵀ z̄,   z̄_n = z̄ + (1 − λ) ȳ + Jᵀ ȳ,   ȳ_n = λ ȳ.
//!
//! The base method's reverse gives c + Jᵀc for a cotangent c.

use super::coupled::{CoupledStepper, Stages, mirrored};
use crate::dynamics::Dynamics;
use crate::error::Result;
use crate::integrate::{Backward, Reverse, Reversible, StepInfo};
use crate::num::{Real, accumulate, combine, dispatch};

/// Copies the seeds of one half of every stage.
fn seed<T: Real>(inner: &mut Backward<T>, back: &Backward<T>, half: usize, stages: usize) {
    inner.clear_seeds();
    if back.stages.is_empty() {
        return;
    }
    inner.seed_stages();
    let n = inner.y.len();
    let blocks = back.stages.chunks_exact(2 * n).zip(inner.stages.chunks_exact_mut(n));
    for (i, (block, seed)) in blocks.enumerate().take(stages).filter(|(i, _)| back.touched[*i]) {
        seed.copy_from_slice(&block[half * n..(half + 1) * n]);
        inner.touched[i] = true;
    }
}

impl<T: Real, D: Dynamics<T>> Reverse<T> for CoupledStepper<'_, T, D> {
    const OWN_WORK: bool = true;

    fn main_stages(&self) -> usize {
        self.there.method.stages
    }

    fn total_stages(&self) -> usize {
        self.there.method.total_stages()
    }

    fn prepare_interpolation(&mut self, step: &StepInfo<T>, y0: &[T]) {
        let n = self.half();
        self.there.prepare_interpolation(step, &y0[n..]);
    }

    /// What the increments keep stays in the stepper: a step that is restored has none.
    fn keep_tape(&mut self) -> usize {
        self.there.keep_tape();
        self.back.keep_tape();
        self.taping = true;
        0
    }

    fn restore(&mut self, _: &StepInfo<T>, stages: &[T], _: &[T]) {
        let n = self.half();
        self.k[..stages.len()].copy_from_slice(stages);
        let Self { there, back, k, .. } = self;
        let both = there.k.chunks_exact_mut(n).zip(back.k.chunks_exact_mut(n));
        for (block, (there, back)) in k.chunks_exact(2 * n).zip(both) {
            there.copy_from_slice(&block[..n]);
            back.copy_from_slice(&block[n..]);
        }
        self.there.extra_done = false;
        self.there.taping = false;
        self.back.taping = false;
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        let n = self.half();
        for ((y0, y1), bar) in back.y0.iter_mut().zip(&mut back.y).zip(y_bar) {
            *y0 += (T::one() - theta) * *bar;
            *y1 += theta * *bar;
        }
        self.inside(theta);
        let mut bar = back.cotangent();
        for (i, w) in self.there.dense_weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            for half in y_bar.chunks_exact(n) {
                accumulate(&mut bar.stage(i)[..n], step.h, &[*w], half);
            }
        }
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, y1]: [&[T]; 2],
        _: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let n = self.half();
        let Self { there, back: second, inner, end, needed, coupling, .. } = self;
        let (z0, end1) = (&y0[n..], &y1[..n]);
        seed(inner, back, 1, *needed);
        inner.first_constant = false;
        let (y_bar, z_bar) = back.y.split_at(n);
        inner.y.iter_mut().zip(z_bar).for_each(|(c, z)| *c = -*z);
        // The last stage of a pair is not part of the increment, so that its argument is not asked for.
        second.pullback(&mirrored(step), [end1, end1], true, inner, theta_bar);
        for (c, (y, z)) in inner.y.iter_mut().zip(y_bar.iter().zip(z_bar)) {
            *c += *y + *z;
        }
        back.y[..n].copy_from_slice(&inner.y);
        seed(inner, back, 0, there.method.total_stages());
        inner.first_constant = back.first_constant;
        combine(end, z0, step.h, &there.method.b, &there.k);
        there.pullback(step, [z0, end], true, inner, theta_bar);
        let (y_bar, z_bar) = back.y.split_at_mut(n);
        for ((z, y), c) in z_bar.iter_mut().zip(y_bar).zip(&inner.y) {
            *y *= *coupling;
            *z += *c - *y;
        }
        back.y.iter_mut().zip(&back.y0).for_each(|(y, seed)| *y += *seed);
    }

    /// ȳ₀ takes z̄₀.
    fn prepare_pullback(&mut self, _: T, _: &[T], y_bar: &mut [T], _: &mut [T]) -> Result<()> {
        let (y_bar, z_bar) = y_bar.split_at_mut(self.half());
        for (y, z) in y_bar.iter_mut().zip(z_bar) {
            *y += std::mem::take(z);
        }
        Ok(())
    }

    fn nvjp(&self) -> usize {
        self.there.nvjp + self.back.nvjp
    }
}

impl<T: Real, D: Dynamics<T>> CoupledStepper<'_, T, D> {
    /// `y0` ← the state before `step`, with the first `stages` stages of its first increment.
    fn undo(&mut self, step: &StepInfo<T>, y1: &[T], y0: &mut [T], stages: usize) {
        let n = self.half();
        self.there.taping = self.taping;
        self.back.taping = self.taping;
        self.there.extra_done = false;
        let ((end, z1), (start, z0)) = (y1.split_at(n), y0.split_at_mut(n));
        let range = 0..self.needed;
        dispatch(Stages { stepper: &mut self.back, step: mirrored(step), y: end, range });
        z0.copy_from_slice(z1);
        accumulate(z0, -step.h, &self.back.method.b, &self.back.k);
        dispatch(Stages { stepper: &mut self.there, step: *step, y: z0, range: 0..stages });
        start.copy_from_slice(end);
        accumulate(start, -step.h, &self.there.method.b, &self.there.k);
        for (y, z) in start.iter_mut().zip(z0) {
            *y = (*y - *z) / self.coupling + *z;
        }
    }
}

impl<T: Real, D: Dynamics<T>> Reversible<T> for CoupledStepper<'_, T, D> {
    fn visible(&self) -> usize {
        self.half()
    }

    fn turn(&mut self) {}

    fn invert(&mut self, step: &StepInfo<T>, y1: &[T], y0: &mut [T]) {
        self.undo(step, y1, y0, self.there.method.stages);
        self.lay_out();
    }

    fn retrace(&mut self, step: &StepInfo<T>, state: &mut [T], back: &mut Backward<T>, theta_bar: &mut [T]) {
        let mut before = std::mem::take(&mut self.work);
        self.undo(step, state, &mut before, self.needed);
        self.pullback(step, [&before, state], true, back, theta_bar);
        state.copy_from_slice(&before);
        self.work = before;
    }

    fn settle(&mut self, _: &mut [T], _: &mut Backward<T>, _: &mut [T]) {}
}
