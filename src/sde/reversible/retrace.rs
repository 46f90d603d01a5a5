//! Taking steps of reversible Heun back, alone or together with their reverse.
//!
//! Together, the values at ŷ_{n+1} serve everything at once: they complete y_{n+1}, which the step after left
//! without its share, take the cotangents of both steps, and lead on to ŷ_n. So one evaluation and one reverse of
//! f and of G a step are enough, and block by block of paths what the evaluation kept for the reverse stays in the
//! cache: memory depends neither on the steps nor on the tape of all paths.

use super::super::srk::form::{Form, Layout};
use super::step::{BLOCK, ReversibleHeunStepper};
use super::{reflect, reflect_bars};
use crate::dynamics::{Dynamics, Point};
use crate::integrate::{Backward, Reversible, StepInfo, end_time};
use crate::num::Real;
use crate::sde::{Diffusion, System};

/// Memory of a way back.
#[derive(Debug, Default)]
pub(super) struct Sweep<T> {
    /// Size and start of the step taken back last, whose share of f̂_n and Ĝ_n at its start is still open.
    open: Option<(T, T)>,
    /// Cotangents of f̂_n and of Ĝ_n from it.
    carry: Vec<T>,
    /// ΔW of the step in hand and of that one.
    motion: [Vec<T>; 2],
    /// f̂, Ĝ and both ΔW of a block.
    values: Vec<T>,
    bars: Vec<T>,
    tape: [Vec<T>; 2],
    forms: Option<Shares>,
}

impl<T> Sweep<T> {
    /// Numbers held.
    pub fn len(&self) -> usize {
        let own = [&self.carry, &self.values, &self.bars];
        own.into_iter().chain(&self.motion).chain(&self.tape).map(Vec::len).sum()
    }
}

/// What the values at one point give to a step, as forms in (f̂; Ĝ) and (its ΔW, the ΔW of the step after).
#[derive(Clone, Debug)]
struct Shares {
    /// ½f̂h + ½ĜΔW.
    half: Form,
    /// f̂h + ĜΔW.
    whole: Form,
    /// −½f̂h − ½ĜΔW.
    undo: Form,
    /// −f̂h − ĜΔW.
    backward: Form,
    /// −½f̂h' − ½ĜΔW' of the step after.
    undo_later: Form,
}

impl Shares {
    fn new() -> Self {
        let line = |w: f64| Form::new(vec![w], &[vec![w], vec![0.0]]);
        Self {
            half: line(0.5),
            whole: line(1.0),
            undo: line(-0.5),
            backward: line(-1.0),
            undo_later: Form::new(vec![-0.5], &[vec![0.0], vec![-0.5]]),
        }
    }
}

impl<T: Real, S: System<T>> Reversible<T> for ReversibleHeunStepper<'_, T, S> {
    fn visible(&self) -> usize {
        self.layout.len()
    }

    fn turn(&mut self) {
        let layout = self.block(BLOCK);
        let system = self.system;
        let (f, g) = (system.drift(), system.diffusion());
        let sweep = &mut self.sweep;
        sweep.open = None;
        sweep.carry.clear();
        sweep.carry.resize(self.layout.len() + self.layout.entries(), T::zero());
        sweep.motion.iter_mut().for_each(|w| w.resize(self.layout.motions(), T::zero()));
        sweep.values.resize(layout.total(), T::zero());
        sweep.bars.resize(layout.values() * layout.len(), T::zero());
        sweep.tape[0].resize(f.tape_len(layout.batch), T::zero());
        sweep.tape[1].resize(g.tape_len(layout.batch), T::zero());
        sweep.forms.get_or_insert_with(Shares::new);
    }

    fn invert(&mut self, step: &StepInfo<T>, y1: &[T], y0: &mut [T]) {
        let (end, hat1) = y1.split_at(self.layout.len());
        let (start, hat0) = y0.split_at_mut(self.layout.len());
        match step.to_stop {
            true => self.eval(1, end_time(step.t, step.h, true), hat1),
            false => self.pass(0, 1),
        }
        // It answered for this step before.
        let answered = self.draw((step.t, step.h));
        debug_assert!(answered.is_ok());
        reflect(hat0, end, hat1);
        self.forms.backward.add(hat0, step.h, &self.values, &self.layout);
        self.eval(0, step.start(), hat0);
        start.copy_from_slice(end);
        self.forms.undo.add(start, step.h, &self.values, &self.layout);
    }

    fn retrace(&mut self, step: &StepInfo<T>, state: &mut [T], back: &mut Backward<T>, theta_bar: &mut [T]) {
        if step.to_stop {
            self.settle(state, back, theta_bar);
        }
        let [w, _] = &mut self.sweep.motion;
        let answered = self.noise.increment(step.t, step.t + step.h, w, &mut []);
        debug_assert!(answered.is_ok());
        let end = end_time(step.t, step.h, step.to_stop);
        let (later, t) = self.sweep.open.map_or((None, end), |(h, start)| (Some(h), start));
        self.cross(t, Some(step.h), later, (state, &mut back.y, theta_bar));
        self.sweep.open = Some((step.h, step.start()));
        self.sweep.motion.swap(0, 1);
    }

    fn settle(&mut self, state: &mut [T], back: &mut Backward<T>, theta_bar: &mut [T]) {
        if let Some((h, start)) = self.sweep.open.take() {
            self.cross(start, None, Some(h), (state, &mut back.y, theta_bar));
        }
    }
}

impl<T: Real, S: System<T>> ReversibleHeunStepper<'_, T, S> {
    /// The pieces of a block of at most `paths` paths, at one point of time.
    fn block(&self, paths: usize) -> Layout {
        Layout { batch: paths.min(self.layout.batch), stages: 1, ..self.layout }
    }

    /// Passes the point ŷ at time `t` between the step of size `now` before it and the one of size `later`
    /// after it.
    fn cross(
        &mut self,
        t: T,
        now: Option<T>,
        later: Option<T>,
        (state, bar, theta_bar): (&mut [T], &mut [T], &mut [T]),
    ) {
        let (d, e, m) = (self.layout.dim, self.entries(), self.layout.components);
        let half = self.layout.len();
        let system = self.system;
        let (f, g) = (system.drift(), system.diffusion());
        let (of_f, of_g) = (system.drift_params(), system.diffusion_params());
        let (theta_f, theta_g) = (&self.theta[of_f.clone()], &self.theta[of_g.clone()]);
        let (state, hats) = state.split_at_mut(half);
        let (y_bars, hat_bars) = bar.split_at_mut(half);
        let Sweep { carry, motion: [w, w_later], values, bars, tape, forms, .. } = &mut self.sweep;
        let Some(forms) = forms else { return };
        let [tape_f, tape_g] = tape;
        let (carry_f, carry_g) = carry.split_at_mut(half);
        let states = state.chunks_mut(BLOCK * d).zip(hats.chunks_mut(BLOCK * d));
        let state_bars = y_bars.chunks_mut(BLOCK * d).zip(hat_bars.chunks_mut(BLOCK * d));
        let carries = carry_f.chunks_mut(BLOCK * d).zip(carry_g.chunks_mut(BLOCK * e));
        let motions = w.chunks(BLOCK * m).zip(w_later.chunks(BLOCK * m));
        let blocks = states.zip(state_bars).zip(carries.zip(motions));
        for (((y, hat), (y_bar, hat_bar)), ((carry_f, carry_g), (w, w_later))) in blocks {
            let layout = Layout { batch: y.len() / d, stages: 1, ..self.layout };
            let values = &mut values[..layout.total()];
            let bars = &mut bars[..layout.values() * layout.len()];
            let tape_f = &mut tape_f[..f.tape_len(layout.batch)];
            let tape_g = &mut tape_g[..g.tape_len(layout.batch)];
            let (at_f, at_g) = (layout.drift(0), layout.diffusion(0));
            let point = Point { t, y: &*hat, theta: theta_f };
            f.eval_taped(point, &mut values[at_f.clone()], tape_f, &mut self.scratch.0);
            let point = Point { theta: theta_g, ..point };
            g.eval_taped(point, &mut values[at_g.clone()], tape_g, &mut self.scratch.1);
            values[layout.variate(0)].copy_from_slice(w);
            values[layout.variate(1)].copy_from_slice(w_later);
            bars[at_f.clone()].copy_from_slice(carry_f);
            bars[at_g.clone()].copy_from_slice(carry_g);
            if let Some(h) = later {
                forms.undo_later.add(y, h, values, &layout);
            }
            if let Some(h) = now {
                forms.half.send(y_bar, h, values, &layout, bars);
            }
            let (value, f_bar) = ((&values[at_f.clone()], &*tape_f), &bars[at_f.clone()]);
            let point = Point { theta: theta_f, ..point };
            let f_theta = &mut theta_bar[of_f.clone()];
            f.vjp_taped(point, value, f_bar, hat_bar, f_theta, &mut self.scratch.0);
            let (value, g_bar) = ((&values[at_g.clone()], &*tape_g), &bars[at_g.clone()]);
            let point = Point { theta: theta_g, ..point };
            let g_theta = &mut theta_bar[of_g.clone()];
            g.vjp_taped(point, value, g_bar, hat_bar, g_theta, &mut self.scratch.1);
            bars.fill(T::zero());
            if let Some(h) = now {
                for (y, hat) in y.iter().zip(&mut *hat) {
                    *hat = T::of(2.0).mul_add(*y, -*hat);
                }
                forms.backward.add(hat, h, values, &layout);
                forms.undo.add(y, h, values, &layout);
                forms.half.send(y_bar, h, values, &layout, bars);
                forms.whole.send(hat_bar, h, values, &layout, bars);
                reflect_bars(y_bar, hat_bar);
            }
            carry_f.copy_from_slice(&bars[at_f]);
            carry_g.copy_from_slice(&bars[at_g]);
        }
        self.nvjp += 1;
        self.count();
    }
}
