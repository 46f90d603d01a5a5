//! What the loop asks of its two partners.

use crate::{Error, Result};

/// The mini-batch to evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Optimiser steps taken before this one, from 0. Randomness drawn from this number alone
    /// survives a resume without any saved state.
    pub iteration: u64,
    /// Pass over the data, from 0.
    pub epoch: u64,
    /// Samples of the batch.
    pub indices: &'a [usize],
}

/// What one evaluation found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Training loss L of the batch, without the penalty.
    pub loss: f64,
    /// Penalty R (0 without regularisation); the gradient is that of L + λR.
    pub penalty: f64,
    /// Weight λ of the penalty.
    pub lambda: f64,
    /// Right-hand side evaluations of the forward solve.
    pub nfe: usize,
    /// Accepted steps.
    pub accepted: usize,
    /// Rejected steps.
    pub rejected: usize,
}

/// A loss with its gradient, batch by batch.
///
/// A closure `FnMut(&Batch, &[T], &mut [T]) -> Result<Evaluation>` is an objective without
/// validation and state.
pub trait Objective<T> {
    /// Evaluates a batch at `params` and overwrites `gradient` (equally long) with ∇(L + λR).
    ///
    /// # Errors
    /// Whatever stops the evaluation; the run ends with it.
    fn evaluate(&mut self, batch: &Batch<'_>, params: &[T], gradient: &mut [T]) -> Result<Evaluation>;

    /// Loss on held-out data; `None` when there are none.
    ///
    /// # Errors
    /// Whatever stops the evaluation; the run ends with it.
    fn validate(&mut self, _params: &[T]) -> Result<Option<f64>> {
        Ok(None)
    }

    /// Numbers that must survive a resume (a λ under budget control, a random generator's state).
    fn state(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Takes back what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// Numbers that are no such state.
    fn restore(&mut self, state: &[f64]) -> Result<()> {
        Error::check_len("objective state", state.len(), 0, "this objective keeps none")
    }
}

impl<T, F> Objective<T> for F
where
    F: FnMut(&Batch<'_>, &[T], &mut [T]) -> Result<Evaluation>,
{
    fn evaluate(&mut self, batch: &Batch<'_>, params: &[T], gradient: &mut [T]) -> Result<Evaluation> {
        self(batch, params, gradient)
    }
}

/// An optimiser with its learning-rate schedule, whose state can be saved.
pub trait Optimize<T> {
    /// Learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Moves `params` against `gradient` by one step.
    ///
    /// # Errors
    /// Wrong lengths, a gradient that is not finite; nothing has moved then.
    fn step(&mut self, params: &mut [T], gradient: &[T]) -> Result<()>;

    /// The state (steps taken included) as named arrays, exact in `f64`.
    fn export(&self) -> Vec<(String, Vec<f64>)>;

    /// Takes back what [`export`](Self::export) gave.
    ///
    /// # Errors
    /// Arrays that are no such state; nothing has changed then.
    fn import(&mut self, state: &[(String, Vec<f64>)]) -> Result<()>;
}
