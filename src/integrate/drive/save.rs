//! What the loop keeps of a solution: saved states and dense output.

use super::{Cursor, Drive};
use crate::integrate::solution::Located;
use crate::integrate::{Options, Save, StepInfo, Stepper};
use crate::num::Real;

impl<T: Real> Drive<T> {
    /// Completes the saved states of a solve that stopped early: the state it reached where the end
    /// was asked for, the initial state where that was asked for and no step was taken.
    #[cold]
    pub(super) fn keep_reached(&mut self, t0: T, options: &Options<T>) {
        match &options.save {
            Save::End => {
                let t = self.solution.steps.last().map_or(t0, |s| s.t1);
                self.save(t, self.reached());
            }
            Save::At(times) if self.solution.steps.is_empty() => {
                for &t in times.iter().take_while(|&&t| t == t0) {
                    self.save(t, Located::start());
                }
            }
            _ => {}
        }
    }

    /// Keeps what dense output of the step in hand needs.
    pub(super) fn keep_dense<S: Stepper<T>>(&mut self, stepper: &mut S, info: &StepInfo<T>) {
        self.complete_stages(stepper, info);
        self.solution.dense.push(&self.y, stepper.stages());
    }

    /// Has the stages of the dense output of the current step evaluated.
    pub(super) fn complete_stages<S: Stepper<T>>(&mut self, stepper: &mut S, info: &StepInfo<T>) {
        let [y, y1] = [&self.y, &self.y1].map(Vec::as_slice);
        stepper.interpolate((info.t, info.h), T::of(0.5), [y, y1], &mut self.work[..y.len()]);
    }

    /// Saves the times up to t + ϑh of the step.
    pub(super) fn save_times<S: Stepper<T>>(
        &mut self,
        stepper: &mut S,
        times: &[T],
        at: &mut Cursor<T>,
        (info, last): (StepInfo<T>, T),
    ) {
        let step = self.solution.steps.len() - 1;
        let forward = info.h > T::zero();
        let end = info.inside(last);
        while let Some(&time) = times.get(at.next_save) {
            if if forward { time > end } else { time < end } {
                break;
            }
            at.next_save += 1;
            let theta = if time == end { last } else { (time - info.t) / info.h };
            self.save_inside(stepper, time, Located { step, theta }, (info.t, info.h));
        }
    }

    /// Saves y(t + ϑh) of the current step.
    pub(super) fn save_inside<S: Stepper<T>>(
        &mut self,
        stepper: &mut S,
        time: T,
        located: Located<T>,
        step: (T, T),
    ) {
        let n = self.y.len();
        let solution = &mut self.solution;
        let start = solution.y.len();
        if located.theta == T::zero() {
            solution.y.extend_from_slice(&self.y);
        } else if located.theta == T::one() {
            solution.y.extend_from_slice(&self.y1);
        } else {
            solution.y.resize(start + n, T::zero());
            stepper.interpolate(step, located.theta, [&self.y, &self.y1], &mut solution.y[start..]);
        }
        solution.t.push(time);
        solution.located.push(located);
    }

    pub(super) fn save_end(&mut self, time: T, step: usize) {
        self.solution.t.push(time);
        self.solution.y.extend_from_slice(&self.y1);
        self.solution.located.push(Located { step, theta: T::one() });
    }

    /// Saves the current state.
    pub(super) fn save(&mut self, time: T, located: Located<T>) {
        self.solution.t.push(time);
        self.solution.y.extend_from_slice(&self.y);
        self.solution.located.push(located);
    }
}
