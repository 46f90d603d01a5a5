//! [`TsallisInf`], and one of them for each bin of the context.

use super::policy::{Draws, Interval, Policy, check_arms, turn};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Mirror descent with the Tsallis entropy of index ½ (Zimmert and Seldin, JMLR 22, 2021; Khodak et al.,
/// Algorithm 1): with η = 2/√t and S the importance-weighted sums of cost − 1,
///
/// ```text
/// p_i = 4 (η (S_i/s − x))⁻²,   x such that Σ p_i = 1,   S_i += (cost − 1)/p_i for the arm played,
/// ```
///
/// s the mean of cost − 1 so far. Its regret against the best fixed arm is O(√(dT)) whatever the costs, and
/// logarithmic when they are independent. x by Newton's method from min S_i/s − 2/η, from where it
/// falls monotonically (Σ p is convex and at least 1 there).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TsallisInf {
    sums: Vec<f64>,
    total: f64,
    round: u64,
    draws: Draws,
    open: Option<(usize, f64)>,
}

impl TsallisInf {
    /// `arms` arms, draws seeded by `seed`.
    ///
    /// # Errors
    /// No arms.
    pub fn new(arms: usize, seed: u64) -> Result<Self> {
        check_arms(arms)?;
        Ok(Self { sums: vec![0.0; arms], total: 0.0, round: 1, draws: Draws::new(seed), open: None })
    }

    /// The probabilities of the next choice.
    pub fn probabilities(&self) -> Vec<f64> {
        let eta = 2.0 / (self.round as f64).sqrt();
        let observed = (self.round - 1).max(1) as f64;
        let scale = if self.total > 0.0 { self.total / observed } else { 1.0 };
        let lowest = self.sums.iter().copied().fold(f64::INFINITY, f64::min) / scale;
        let mut x = lowest - 2.0 / eta;
        let of = |x: f64, s: &f64| 4.0 / (eta * (s / scale - x)).powi(2);
        for _ in 0..60 {
            let [mut sum, mut slope] = [0.0; 2];
            for p in self.sums.iter().map(|s| of(x, s)) {
                sum += p;
                slope += eta * p * p.sqrt();
            }
            let step = (sum - 1.0) / slope;
            x -= step;
            if step.abs() <= 1e-14 * (x - lowest).abs() {
                break;
            }
        }
        let mut p: Vec<f64> = self.sums.iter().map(|s| of(x, s)).collect();
        let sum: f64 = p.iter().sum();
        p.iter_mut().for_each(|p| *p /= sum);
        p
    }
}

impl Policy for TsallisInf {
    fn arms(&self) -> usize {
        self.sums.len()
    }
    fn choose(&mut self, _: f64) -> Result<usize> {
        let p = self.probabilities();
        let arm = self.draws.index(&p);
        self.open = Some((arm, p[arm]));
        Ok(arm)
    }
    fn observe(&mut self, cost: f64) -> Result<()> {
        let (arm, p) = turn(&mut self.open, cost)?;
        let excess = (cost - 1.0).max(0.0);
        self.total += excess;
        self.sums[arm] += excess / p;
        self.round += 1;
        Ok(())
    }
}

/// One [`TsallisInf`] for each of equal bins of the context's interval (Khodak et al., Tsallis-INF-CB).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binned {
    interval: Interval,
    learners: Vec<TsallisInf>,
    open: Option<usize>,
}

impl Binned {
    /// `arms` arms, `bins` bins of `interval`, draws seeded by `seed`.
    ///
    /// # Errors
    /// No arms or no bins.
    pub fn new(arms: usize, interval: Interval, bins: usize, seed: u64) -> Result<Self> {
        if bins == 0 {
            return Err(Error::invalid("the number of bins", 0, "at least one"));
        }
        // Streams apart: another seed for each learner.
        let learner = |bin: usize| TsallisInf::new(arms, seed ^ ((bin as u64 + 1) << 32));
        Ok(Self { interval, learners: (0..bins).map(learner).collect::<Result<_>>()?, open: None })
    }

    /// The declared interval, with the number of contexts outside.
    pub fn interval(&self) -> &Interval {
        &self.interval
    }
}

impl Policy for Binned {
    fn arms(&self) -> usize {
        self.learners[0].arms()
    }
    fn choose(&mut self, context: f64) -> Result<usize> {
        let bins = self.learners.len();
        let place = (self.interval.place(context)? + 1.0) / 2.0;
        let bin = ((place * bins as f64) as usize).min(bins - 1);
        self.open = Some(bin);
        self.learners[bin].choose(context)
    }
    fn observe(&mut self, cost: f64) -> Result<()> {
        let bin = turn(&mut self.open, cost)?;
        self.learners[bin].observe(cost)
    }
}
