//! The way there as the way back reads it: dense output of every step, or states from which it is computed again.
//!
//! Under a budget of bytes every step's start and stages are kept while they fit. Beyond, the starts of every m-th
//! step are kept, m doubling as they fill the budget, and the way back takes the m steps after each again, at their
//! frozen sizes and so with the same bits, from the last to the first.

use super::super::checkpoint::Memory;
use super::there::Forward;
use crate::error::{Error, Result};
use crate::integrate::{DenseRecord, Observer, StepInfo, StepView};
use crate::num::Real;

/// Dense output over some of the accepted steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment<T> {
    pub steps: Vec<StepInfo<T>>,
    pub dense: DenseRecord<T>,
}

impl<T: Real> Segment<T> {
    /// `out` ← y(t). `hint` is the step found last, `weights` memory that calls reuse.
    pub fn state(&self, t: T, hint: &mut usize, weights: &mut Vec<f64>, out: &mut [T]) {
        let last = self.steps.len() - 1;
        let mut j = (*hint).min(last);
        let before = |j: usize| (t - self.steps[j].t) * self.steps[j].h < T::zero();
        let after = |j: usize| (t - self.steps[j].t1) * self.steps[j].h > T::zero();
        while j > 0 && before(j) {
            j -= 1;
        }
        while j < last && after(j) {
            j += 1;
        }
        *hint = j;
        let step = &self.steps[j];
        let theta = (t - step.t) / (step.t1 - step.t);
        self.dense.interpolate(j, step, theta, weights, out);
    }
}

/// What is kept of the way there.
#[derive(Clone, Debug, Default)]
pub(super) struct Trajectory<T> {
    /// The steps whose dense output is at hand, and the index of the first.
    pub segment: Segment<T>,
    first: usize,
    /// All steps.
    steps: Vec<StepInfo<T>>,
    /// Starts of every `stride`-th step, once not every step's stages fit.
    states: Vec<T>,
    stride: usize,
    thinned: bool,
    /// Numbers of a state, and of a step's record.
    n: usize,
    record: usize,
    /// Numbers that fit, and most that were held.
    capacity: usize,
    peak: usize,
}

impl<T: Real> Trajectory<T> {
    /// Starts a solve of states of `n` numbers.
    pub fn start(&mut self, n: usize, memory: Memory, weights: [&[Vec<f64>]; 2]) {
        let capacity = match memory {
            Memory::Unlimited => usize::MAX,
            Memory::Bytes(bytes) => bytes / size_of::<T>(),
        };
        (self.n, self.record, self.capacity, self.peak) = (n, n, capacity, 0);
        (self.first, self.stride, self.thinned) = (0, 1, false);
        self.segment.steps.clear();
        self.segment.dense.clear();
        let [first, second] = &mut self.segment.dense.weights;
        weights[0].clone_into(first);
        weights[1].clone_into(second);
        self.steps.clear();
        self.states.clear();
    }

    /// Bytes of the most that was held.
    pub fn peak_bytes(&self) -> usize {
        self.peak * size_of::<T>()
    }

    fn push(&mut self, step: &StepView<'_, T>) {
        let index = step.index;
        self.record = self.record.max(self.n + step.stages.len());
        if !self.thinned && self.segment.dense.data.len() + self.n + step.stages.len() > self.capacity {
            self.thin_out();
        }
        if !self.thinned {
            self.segment.dense.push(step.y0, step.stages);
        } else if index.is_multiple_of(self.stride) {
            self.states.extend_from_slice(step.y0);
            while self.states.len() + self.stride * self.record > self.capacity
                && self.states.len() > self.stride * self.record
            {
                self.double();
            }
        }
        self.peak = self.peak.max(self.segment.dense.data.len() + self.states.len());
    }

    /// Keeps starts instead of stages from now on.
    fn thin_out(&mut self) {
        self.thinned = true;
        let dense = &mut self.segment.dense;
        for &start in &dense.starts {
            self.states.extend_from_slice(&dense.data[start..start + self.n]);
        }
        dense.clear();
        dense.data.shrink_to(0);
        while self.states.len() + self.stride * self.record > self.capacity
            && self.states.len() > self.stride * self.record
        {
            self.double();
        }
    }

    /// Doubles the stride.
    fn double(&mut self) {
        let kept = self.states.len() / self.n;
        for i in (2..kept).step_by(2) {
            self.states.copy_within(i * self.n..(i + 1) * self.n, i / 2 * self.n);
        }
        self.states.truncate(kept.div_ceil(2) * self.n);
        self.stride *= 2;
    }

    /// Ends the way there.
    ///
    /// # Errors
    /// A budget that the way back would pass.
    pub fn finish(&mut self, steps: &[StepInfo<T>]) -> Result<()> {
        if !self.thinned {
            self.segment.steps.extend_from_slice(steps);
            return Ok(());
        }
        self.steps.extend_from_slice(steps);
        let most = self.states.len() + self.stride.min(steps.len()) * self.record;
        self.peak = self.peak.max(most);
        if most <= self.capacity {
            return Ok(());
        }
        let needed = format!(
            "the {} steps of this solve need about {} bytes; Backsolve keeps none, DiscreteAdjoint does with one state",
            steps.len(),
            most * size_of::<T>()
        );
        let given = format!("{} bytes", self.capacity * size_of::<T>());
        Err(Error::invalid("the memory of the way there", given, needed))
    }

    /// Segments that the way back goes through.
    pub fn segments(&self) -> usize {
        if self.thinned { self.states.len() / self.n } else { 1 }
    }

    /// Where a segment starts.
    pub fn start_of(&self, segment: usize) -> T {
        match self.thinned {
            true => self.steps[segment * self.stride].t,
            false => self.segment.steps[0].t,
        }
    }

    /// Brings the dense output of a segment to hand.
    ///
    /// # Errors
    /// Steps that cannot be taken again.
    pub fn load(&mut self, segment: usize, forward: &mut dyn Forward<T>) -> Result<()> {
        if !self.thinned {
            return Ok(());
        }
        self.first = segment * self.stride;
        let end = (self.first + self.stride).min(self.steps.len());
        let Segment { steps, dense } = &mut self.segment;
        steps.clear();
        steps.extend_from_slice(&self.steps[self.first..end]);
        dense.clear();
        dense.data.reserve_exact(steps.len() * self.record);
        let y0 = &self.states[segment * self.n..(segment + 1) * self.n];
        forward.again(y0, steps, dense)
    }
}

/// Hands the accepted steps to a [`Trajectory`].
pub(super) struct Recorder<'a, T>(pub &'a mut Trajectory<T>);

impl<T: Real> Observer<T> for Recorder<'_, T> {
    const DENSE: bool = true;
    fn accepted(&mut self, step: &StepView<'_, T>) {
        self.0.push(step);
    }
}

impl<T: Real> Observer<T> for DenseRecord<T> {
    const DENSE: bool = true;
    fn accepted(&mut self, step: &StepView<'_, T>) {
        self.push(step.y0, step.stages);
    }
}
