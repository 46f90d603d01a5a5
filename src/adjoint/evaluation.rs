//! What an adjoint is asked for besides the loss, and what it reports: [`Weighted`] penalties, the
//! [`Evaluation`] and [`AdjointStatistics`].

use crate::error::{Error, Result};
use crate::integrate::Penalty;
use crate::num::Real;

/// A penalty with its weight λ in the total loss.
pub struct Weighted<'a, T> {
    /// λ ≥ 0.
    pub weight: T,
    /// R.
    pub penalty: &'a mut dyn Penalty<T>,
}

impl<T: Real> Weighted<'_, T> {
    /// Checks the weight.
    pub(super) fn check(&self) -> Result<()> {
        if self.weight.is_finite() && self.weight >= T::zero() {
            return Ok(());
        }
        Err(Error::invalid("a penalty's weight λ", self.weight, "it must be finite and not negative"))
    }
}

/// Loss, penalties and their weighted sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation<T> {
    /// The data loss.
    pub loss: T,
    /// R of each penalty, unweighted.
    pub penalties: Vec<T>,
    /// loss + Σ λ R.
    pub total: T,
}

impl<T: Real> Evaluation<T> {
    /// Of a loss and what the penalties have seen.
    pub(super) fn new(loss: T, penalties: &[Weighted<'_, T>]) -> Result<Self> {
        if !loss.is_finite() {
            return Err(Error::NonFiniteInput { what: "the loss", index: 0, value: loss.f64() });
        }
        let values: Vec<T> = penalties.iter().map(|p| p.penalty.value()).collect();
        let total = penalties.iter().zip(&values).fold(loss, |sum, (p, r)| p.weight.mul_add(*r, sum));
        Ok(Self { loss, penalties: values, total })
    }
}

/// What a reverse cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdjointStatistics {
    /// Evaluations of the right-hand side in the reverse.
    pub nfe: usize,
    /// Vector–Jacobian products.
    pub nvjp: usize,
    /// Steps taken again.
    pub replayed: usize,
    /// Most bytes of checkpoints held at a time.
    pub checkpoint_bytes: usize,
    /// Bytes of solver and reverse work space.
    pub work_bytes: usize,
    /// Accepted steps of a way back that is a solve of its own (continuous adjoints).
    pub accepted: usize,
    /// Rejected steps of such a way back.
    pub rejected: usize,
    /// Most bytes of checkpoints held on disk ([`Spill`](super::Spill)).
    pub disk_bytes: u64,
}
