//! The policies to compare with: one arm for ever, Exp3, UCB, Thompson's sampling.

use super::policy::{Draws, Policy, check_arms, least, turn};
use crate::error::{Error, Result};
use crate::num::random::normal_pair;
use serde::{Deserialize, Serialize};

/// Always the same arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fixed {
    arms: usize,
    arm: usize,
    open: Option<()>,
}

impl Fixed {
    /// Arm `arm` of `arms`.
    ///
    /// # Errors
    /// No arms, or an arm that is not one of them.
    pub fn new(arms: usize, arm: usize) -> Result<Self> {
        check_arms(arms)?;
        if arm >= arms {
            return Err(Error::invalid("the fixed arm", arm, format!("it must be below {arms}")));
        }
        Ok(Self { arms, arm, open: None })
    }
}

impl Policy for Fixed {
    fn arms(&self) -> usize {
        self.arms
    }
    fn choose(&mut self, _: f64) -> Result<usize> {
        self.open = Some(());
        Ok(self.arm)
    }
    fn observe(&mut self, cost: f64) -> Result<()> {
        turn(&mut self.open, cost)
    }
}

/// Exponential weights of importance-weighted costs: p_i ∝ exp(−η_t S_i/K), S_i += cost/p_i for the arm
/// played, K the largest cost so far, η_t = √(ln d/(d t)) (Auer, Cesa-Bianchi, Freund, Schapire, SIAM J.
/// Comput. 32, 2002; anytime rate of Bubeck and Cesa-Bianchi, *Regret Analysis*, 2012, thm 3.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exp3 {
    sums: Vec<f64>,
    largest: f64,
    round: u64,
    draws: Draws,
    open: Option<(usize, f64)>,
}

impl Exp3 {
    /// `arms` arms, draws seeded by `seed`.
    ///
    /// # Errors
    /// No arms.
    pub fn new(arms: usize, seed: u64) -> Result<Self> {
        check_arms(arms)?;
        Ok(Self { sums: vec![0.0; arms], largest: 0.0, round: 1, draws: Draws::new(seed), open: None })
    }

    fn probabilities(&self) -> Vec<f64> {
        let d = self.sums.len() as f64;
        let eta = (d.ln() / (d * self.round as f64)).sqrt() / self.largest.max(f64::MIN_POSITIVE);
        let lowest = self.sums.iter().copied().fold(f64::INFINITY, f64::min);
        let weights: Vec<f64> = self.sums.iter().map(|s| (-eta * (s - lowest)).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }
}

impl Policy for Exp3 {
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
        self.sums[arm] += cost / p;
        self.largest = self.largest.max(cost);
        self.round += 1;
        Ok(())
    }
}

/// Number, mean and spread of the costs of each arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Means {
    count: Vec<f64>,
    mean: Vec<f64>,
    /// Σ (cost − mean of its arm)², over all arms.
    squares: f64,
    low: f64,
    high: f64,
    open: Option<usize>,
}

impl Means {
    fn new(arms: usize) -> Result<Self> {
        check_arms(arms)?;
        let (low, high) = (f64::INFINITY, 0.0);
        Ok(Self { count: vec![0.0; arms], mean: vec![0.0; arms], squares: 0.0, low, high, open: None })
    }

    /// An arm that was never played.
    fn unplayed(&self) -> Option<usize> {
        self.count.iter().position(|n| *n == 0.0)
    }

    fn rounds(&self) -> f64 {
        self.count.iter().sum()
    }

    fn open(&mut self, arm: usize) -> usize {
        self.open = Some(arm);
        arm
    }

    fn observe(&mut self, cost: f64) -> Result<()> {
        let arm = turn(&mut self.open, cost)?;
        self.count[arm] += 1.0;
        let off = cost - self.mean[arm];
        self.mean[arm] += off / self.count[arm];
        self.squares += off * (cost - self.mean[arm]);
        self.low = self.low.min(cost);
        self.high = self.high.max(cost);
        Ok(())
    }
}

/// The arm of the least lower confidence bound m_i − R√(2 ln t/n_i), R the range of the costs so far (UCB1:
/// Auer, Cesa-Bianchi, Fischer, Machine Learning 47, 2002). Every arm is played once first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ucb(Means);

impl Ucb {
    /// `arms` arms.
    ///
    /// # Errors
    /// No arms.
    pub fn new(arms: usize) -> Result<Self> {
        Ok(Self(Means::new(arms)?))
    }
}

impl Policy for Ucb {
    fn arms(&self) -> usize {
        self.0.count.len()
    }
    fn choose(&mut self, _: f64) -> Result<usize> {
        let m = &self.0;
        let (range, t) = (m.high - m.low, m.rounds());
        let bound = |(mean, n): (&f64, &f64)| mean - range * (2.0 * t.ln() / n).sqrt();
        let arm = m.unplayed().unwrap_or_else(|| least(m.mean.iter().zip(&m.count).map(bound)));
        Ok(self.0.open(arm))
    }
    fn observe(&mut self, cost: f64) -> Result<()> {
        self.0.observe(cost)
    }
}

/// Thompson's sampling with a normal posterior N(m_i, s²/n_i), s² the variance of the costs within arms
/// (Agrawal and Goyal, J. ACM 64, 2017). Every arm is played once first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thompson {
    means: Means,
    draws: Draws,
}

impl Thompson {
    /// `arms` arms, draws seeded by `seed`.
    ///
    /// # Errors
    /// No arms.
    pub fn new(arms: usize, seed: u64) -> Result<Self> {
        Ok(Self { means: Means::new(arms)?, draws: Draws::new(seed) })
    }
}

impl Policy for Thompson {
    fn arms(&self) -> usize {
        self.means.count.len()
    }
    fn choose(&mut self, _: f64) -> Result<usize> {
        let Self { means: m, draws } = self;
        let freedom = m.rounds() - m.count.len() as f64;
        // Before any arm was played twice: as wide as the costs.
        let s = if freedom > 0.0 { (m.squares / freedom).sqrt() } else { m.high - m.low };
        let sample = |(mean, n): (&f64, &f64)| mean + s / n.sqrt() * normal_pair(draws.bits()).0;
        let arm = m.unplayed().unwrap_or_else(|| least(m.mean.iter().zip(&m.count).map(sample)));
        Ok(m.open(arm))
    }
    fn observe(&mut self, cost: f64) -> Result<()> {
        self.means.observe(cost)
    }
}
