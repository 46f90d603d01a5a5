//! The exact reverse of a composition: its substeps backwards. With cotangents q̄, p̄ of the state after a
//! stage, a kick p ← p + w h f_p(q) gives q̄ ← q̄ + (∂f_p/∂q)ᵀ w h p̄ and θ̄ likewise; a drift the same with
//! the halves exchanged. The first kick of a step is the last of the step before it: its cotangent is
//! carried there.

use super::composition::{CompositionStepper, Half, advance};
use crate::dynamics::{Dynamics, Point};
use crate::integrate::{Backward, Reverse, StepInfo, end_time, polynomial};
use crate::num::{Real, accumulate};

impl<T: Real, D: Dynamics<T>> CompositionStepper<'_, T, D> {
    /// Fills `arguments` from the start of the step and the stages in hand.
    fn rebuild(&mut self, h: T, y0: &[T]) {
        let (n, dim) = (y0.len(), self.dynamics.dim());
        self.arguments[..n].copy_from_slice(y0);
        for i in 1..self.stages_main() {
            let (half, share) = self.moves(i - 1);
            self.arguments.copy_within((i - 1) * n..i * n, i * n);
            let k = &self.k[(i - 1) * n..i * n];
            advance(half, dim, h * T::of(share), k, &mut self.arguments[i * n..(i + 1) * n]);
        }
    }

    /// ACCUMULATES the pullback of `bar` through f at (t, y).
    fn pull(&mut self, (t, y): (T, &[T]), bar: &[T], y_bar: &mut [T], theta_bar: &mut [T]) {
        let at = Point { t, y, theta: &self.theta };
        self.dynamics.vjp(at, bar, y_bar, theta_bar, &mut self.scratch);
        self.nvjp += 1;
    }
}

/// `bar` ← weight · `from` on a half, 0 on the other.
fn half_of<T: Real>(half: Half, dim: usize, weight: T, from: &[T], bar: &mut [T]) {
    bar.fill(T::zero());
    advance(half, dim, weight, from, bar);
}

impl<T: Real, D: Dynamics<T>> Reverse<T> for CompositionStepper<'_, T, D> {
    fn main_stages(&self) -> usize {
        self.stages_main()
    }

    fn total_stages(&self) -> usize {
        self.stages_main() + 3
    }

    fn prepare_interpolation(&mut self, step: &StepInfo<T>, y0: &[T]) {
        // Only the reverse of the slopes is needed, which `pullback` takes at the ends themselves.
        let _ = y0;
        self.to_stop = step.to_stop;
    }

    fn keep_tape(&mut self) -> usize {
        self.budget_scratch();
        0
    }

    fn restore(&mut self, step: &StepInfo<T>, stages: &[T], _: &[T]) {
        self.k[..stages.len()].copy_from_slice(stages);
        self.to_stop = step.to_stop;
        self.extra_done = false;
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        accumulate(&mut back.y0, T::one(), &[1.0], y_bar);
        let main = self.stages_main();
        let mut bar = back.cotangent();
        for (i, poly) in super::HERMITE.iter().enumerate() {
            accumulate(bar.stage(main + i), step.h, &[polynomial(poly, theta.f64())], y_bar);
        }
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, y1]: [&[T]; 2],
        fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let (n, dim, main, h) = (self.n(), self.dynamics.dim(), self.stages_main(), step.h);
        self.to_stop = step.to_stop;
        self.rebuild(h, y0);
        let arguments = std::mem::take(&mut self.arguments);
        let at = (step.t, h);
        let seeds = |back: &Backward<T>, i: usize| back.touched[i].then_some(i * n..(i + 1) * n);
        if let Some(slot) = seeds(back, main + 2) {
            let mut bar = std::mem::take(&mut back.k_bar);
            bar.copy_from_slice(&back.stages[slot]);
            self.pull((end_time(step.t, h, step.to_stop), y1), &bar, &mut back.y, theta_bar);
            back.k_bar = bar;
        }
        if let Some(slot) = seeds(back, main + 1) {
            let chord = [1.0 / h.f64()];
            accumulate(&mut back.y, T::one(), &chord, &back.stages[slot.clone()]);
            accumulate(&mut back.y0, T::of(-1.0), &chord, &back.stages[slot]);
        }
        if let Some(slot) = seeds(back, main) {
            let mut bar = std::mem::take(&mut back.k_bar);
            bar.copy_from_slice(&back.stages[slot]);
            self.pull((step.start(), y0), &bar, &mut back.y0, theta_bar);
            back.k_bar = bar;
        }
        for i in (0..main).rev() {
            let (half, share) = self.moves(i);
            half_of(half, dim, h * T::of(share), &back.y, &mut back.k_bar);
            if i + 1 == main && std::mem::take(&mut back.carried) {
                accumulate(&mut back.k_bar, T::one(), &[1.0], &back.carry);
            }
            if let Some(slot) = seeds(back, i) {
                accumulate(&mut back.k_bar, T::one(), &[1.0], &back.stages[slot]);
            }
            if i == 0 && back.first_constant {
                break;
            }
            if i == 0 && !fresh {
                back.carry.copy_from_slice(&back.k_bar);
                back.carried = true;
                break;
            }
            let t = if i == 0 { step.start() } else { self.stage_time(at, i) };
            let bar = std::mem::take(&mut back.k_bar);
            self.pull((t, &arguments[i * n..(i + 1) * n]), &bar, &mut back.y, theta_bar);
            back.k_bar = bar;
        }
        accumulate(&mut back.y, T::one(), &[1.0], &back.y0);
        self.arguments = arguments;
    }

    fn nvjp(&self) -> usize {
        self.nvjp
    }
}
