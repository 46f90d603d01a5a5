//! The way there: the forward solve, and its steps taken again.

use super::trajectory::{Recorder, Trajectory};
use crate::error::Result;
use crate::integrate::{DenseRecord, Drive, Options, Problem, Silent, StepInfo, Stepper};
use crate::num::{ErrorNorm, Real};

/// A forward stepper whose type is forgotten.
pub(super) trait Forward<T: Real> {
    /// Solves, recording for the way back where `record`.
    fn run(
        &mut self,
        drive: &mut Drive<T>,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        record: Option<&mut Trajectory<T>>,
    ) -> Result<()>;
    /// Takes `steps` again from `y0` and records them.
    fn again(&mut self, y0: &[T], steps: &[StepInfo<T>], dense: &mut DenseRecord<T>) -> Result<()>;
    fn dense_weights(&self) -> [&[Vec<f64>]; 2];
    fn bytes(&self) -> usize;
    fn nfe(&self) -> usize;
}

/// A stepper and the memory of taking steps again.
pub(super) struct Stepping<T, S> {
    pub stepper: S,
    pub again: Drive<T>,
    pub norm: ErrorNorm<T>,
}

impl<T: Real, S: Stepper<T>> Forward<T> for Stepping<T, S> {
    fn run(
        &mut self,
        drive: &mut Drive<T>,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        record: Option<&mut Trajectory<T>>,
    ) -> Result<()> {
        self.stepper.set_theta(problem.theta);
        self.norm.clone_from(&options.norm);
        let (stepper, y0, span) = (&mut self.stepper, problem.y0, problem.span);
        match record {
            None => drive.run(stepper, y0, span, options, &mut Silent),
            Some(trajectory) => drive.run(stepper, y0, span, options, &mut Recorder(trajectory)),
        }
    }

    fn again(&mut self, y0: &[T], steps: &[StepInfo<T>], dense: &mut DenseRecord<T>) -> Result<()> {
        let options = Options { norm: self.norm.clone(), ..Options::default() };
        self.again.replay(&mut self.stepper, y0, (steps, &[], &[]), &options, dense)
    }

    fn dense_weights(&self) -> [&[Vec<f64>]; 2] {
        [self.stepper.dense_weights(), self.stepper.second_dense_weights()]
    }

    fn bytes(&self) -> usize {
        self.stepper.bytes() + self.again.bytes()
    }

    fn nfe(&self) -> usize {
        self.stepper.nfe()
    }
}
