//! What a policy is, and what all of them share: contexts, draws, files.

use crate::error::{Error, Result};
use crate::files;
use crate::num::random::{at, uniform};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Chooses one of finitely many arms in every round and learns from the cost of the arm it chose.
pub trait Policy {
    /// The number of arms.
    fn arms(&self) -> usize;

    /// Chooses an arm for a system with this context. Policies without contexts ignore it.
    ///
    /// # Errors
    /// A context that is not finite, where the policy reads it.
    fn choose(&mut self, context: f64) -> Result<usize>;

    /// The cost of the arm that was chosen last; the cheapest possible solve costs 1.
    ///
    /// # Errors
    /// A cost that is not finite or is negative; no choice since the last cost.
    fn observe(&mut self, cost: f64) -> Result<()>;

    /// Whether an estimate of β = ρ(I − D⁻¹A) at this context would help; [`inform`](Self::inform) takes it.
    /// Only policies that know about relaxation ask for one.
    fn is_curious(&self, context: f64) -> bool {
        let _ = context;
        false
    }

    /// An estimate of β at a context.
    ///
    /// # Errors
    /// β outside [0, 1); a context that is not finite.
    fn inform(&mut self, context: f64, beta: f64) -> Result<()> {
        let _ = (context, beta);
        Ok(())
    }
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn arms(&self) -> usize {
        (**self).arms()
    }
    fn choose(&mut self, context: f64) -> Result<usize> {
        (**self).choose(context)
    }
    fn observe(&mut self, cost: f64) -> Result<()> {
        (**self).observe(cost)
    }
    fn is_curious(&self, context: f64) -> bool {
        (**self).is_curious(context)
    }
    fn inform(&mut self, context: f64, beta: f64) -> Result<()> {
        (**self).inform(context, beta)
    }
}

/// The published grid of relaxation factors: `count` of them from 1 to 1.95, evenly spaced (the middle
/// 1.475 for one).
///
/// # Errors
/// `count` = 0.
pub fn omega_grid(count: usize) -> Result<Vec<f64>> {
    check_arms(count)?;
    if count == 1 {
        return Ok(vec![1.475]);
    }
    Ok((0..count).map(|i| 1.0 + 0.95 * i as f64 / (count - 1) as f64).collect())
}

/// Writes a policy, what it has learned and the state of its draws included; the file is whole or absent.
///
/// # Errors
/// A path that cannot be written.
pub fn save<P: Serialize>(policy: &P, path: impl AsRef<Path>) -> Result<()> {
    let text = serde_json::to_vec(policy).map_err(|e| Error::io(path.as_ref(), e.into()))?;
    files::write_atomic(path, |w| w.write_all(&text))
}

/// Reads what [`save`] wrote; the policy goes on as if it had not been interrupted.
///
/// # Errors
/// A file that is missing, or that does not hold a policy of this kind (the line and the reason).
pub fn load<P: DeserializeOwned>(path: impl AsRef<Path>) -> Result<P> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::malformed(path, Some(e.line()), e.to_string()))
}

/// The interval that contexts are declared to lie in. Those outside are clamped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    low: f64,
    high: f64,
    clamped: u64,
}

impl Interval {
    /// [low, high].
    ///
    /// # Errors
    /// Ends that are not finite, or low ≥ high.
    pub fn new(low: f64, high: f64) -> Result<Self> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            let given = format!("[{low}, {high}]");
            return Err(Error::invalid("the interval of contexts", given, "low < high, both finite"));
        }
        Ok(Self { low, high, clamped: 0 })
    }

    /// high − low.
    pub fn length(&self) -> f64 {
        self.high - self.low
    }

    /// How many contexts lay outside.
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The context mapped to [−1, 1].
    pub(super) fn place(&mut self, context: f64) -> Result<f64> {
        if !context.is_finite() {
            return Err(Error::invalid("the context", context, "it must be finite"));
        }
        let inside = context.clamp(self.low, self.high);
        self.clamped += u64::from(inside != context);
        Ok((2.0 * inside - self.low - self.high) / self.length())
    }
}

pub(super) fn check_arms(arms: usize) -> Result<()> {
    match arms {
        0 => Err(Error::invalid("the number of arms", 0, "a policy needs at least one")),
        _ => Ok(()),
    }
}

pub(super) fn check_cost(cost: f64) -> Result<()> {
    if cost.is_finite() && cost >= 0.0 {
        return Ok(());
    }
    Err(Error::invalid("the cost of an arm", cost, "it must be finite and not negative"))
}

/// The turn that a cost belongs to, taken out of where [`Policy::choose`] left it.
pub(super) fn turn<T>(open: &mut Option<T>, cost: f64) -> Result<T> {
    check_cost(cost)?;
    open.take().ok_or_else(|| Error::invalid("the order of calls", "observe", "choose must come first"))
}

/// Uniform numbers by counter: the state is the seed and how many were drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    pub(super) fn bits(&mut self) -> [u64; 2] {
        self.count += 1;
        at(self.seed, self.count, 0)
    }

    /// An index drawn with these probabilities (which sum to one but for rounding).
    pub(super) fn index(&mut self, probabilities: &[f64]) -> usize {
        let mut left = uniform(self.bits()[0]);
        for (i, p) in probabilities.iter().enumerate() {
            left -= p;
            if left < 0.0 {
                return i;
            }
        }
        // Rounding: the most probable of all.
        least(probabilities.iter().map(|p| -p))
    }
}

/// The index of the least value; 0 where there is none.
pub(super) fn least(values: impl IntoIterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), (i, v): (usize, f64)| if v < best.1 { (i, v) } else { best };
    values.into_iter().enumerate().fold((0, f64::INFINITY), better).0
}
