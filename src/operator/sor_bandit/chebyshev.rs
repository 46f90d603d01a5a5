//! [`ChebCb`]: the cost of each arm as a Chebyshev series of the context.

use super::least_squares::{Fit, chebyshev};
use super::policy::{Draws, Interval, Policy, check_arms, least, turn};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Inverse-gap weighting over regressions in the context (Khodak et al., Algorithm 4, ChebCB; the weighting
/// is SquareCB's, Foster and Rakhlin, ICML 2020).
///
/// The cost − 1 of arm i is predicted as y_i = Σ_{j<m} θ_ij T_j(c̃), c̃ the context scaled to [−1, 1]. With
/// i* = argmin y, K the largest cost, L = (largest − least)/(b − a) and s = K (2 + 4(b − a)(L/K)(1 + ln m)),
///
/// ```text
/// p_i = 1/(d + η (y_i − y_i*)/s),  p_i* the rest,   η = 2t √(d t/(R − Q + 2α²t)),
/// α = (π + (2/π) ln(2m + 1))/(2 s (m + 1)) (b − a) L,
/// ```
///
/// R the sum of squared prediction errors made so far, Q the least residual of the fits, both over s². θ is
/// fitted with |θ_0| ≤ K, |θ_j| ≤ 2(b − a)L/j, from a Gram matrix of each arm: a round costs O(d m² + m³).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChebCb {
    interval: Interval,
    arms: Vec<Fit>,
    /// Q s² of each arm.
    residuals: Vec<f64>,
    /// R s².
    errors: f64,
    low: f64,
    high: f64,
    round: u64,
    draws: Draws,
    open: Option<(usize, Vec<f64>, f64)>,
}

impl ChebCb {
    /// `arms` arms, series of `terms` terms (6 as published) on `interval`, draws seeded by `seed`.
    ///
    /// # Errors
    /// No arms, no terms.
    pub fn new(arms: usize, interval: Interval, terms: usize, seed: u64) -> Result<Self> {
        check_arms(arms)?;
        if terms == 0 {
            return Err(Error::invalid("the number of terms", 0, "at least one"));
        }
        Ok(Self {
            interval,
            arms: vec![Fit::new(terms); arms],
            residuals: vec![0.0; arms],
            errors: 0.0,
            low: f64::INFINITY,
            high: 0.0,
            round: 1,
            draws: Draws::new(seed),
            open: None,
        })
    }

    /// The declared interval, with the number of contexts outside.
    pub fn interval(&self) -> &Interval {
        &self.interval
    }

    fn terms(&self) -> usize {
        self.arms[0].theta.len()
    }

    /// (b − a)L and s.
    fn scales(&self) -> (f64, f64) {
        let span = (self.high - self.low).max(0.0);
        let m = self.terms() as f64;
        (span, 2.0 * self.high + 4.0 * span * (1.0 + m.ln()))
    }

    fn probabilities(&self, features: &[f64]) -> Vec<f64> {
        let d = self.arms.len() as f64;
        let (span, s) = self.scales();
        if s <= 0.0 {
            return vec![1.0 / d; self.arms.len()];
        }
        let (m, t) = (self.terms() as f64, self.round as f64);
        let alpha = (PI + 2.0 / PI * (2.0 * m + 1.0).ln()) / (2.0 * s * (m + 1.0)) * span;
        let regret = (self.errors - self.residuals.iter().sum::<f64>()) / (s * s);
        let bound = (regret + 2.0 * alpha * alpha * t).max(f64::MIN_POSITIVE);
        let eta = 2.0 * t * (d * t / bound).sqrt();
        let y: Vec<f64> = self.arms.iter().map(|arm| arm.predict(features) / s).collect();
        let best = least(y.iter().copied());
        let mut p: Vec<f64> = y.iter().map(|v| 1.0 / (d + eta * (v - y[best]))).collect();
        p[best] = 0.0;
        p[best] = 1.0 - p.iter().sum::<f64>();
        p
    }

    fn fit(&mut self, arm: usize, limits: &[f64]) {
        self.arms[arm].solve_in_box(limits);
        self.residuals[arm] = self.arms[arm].residual();
    }
}

impl Policy for ChebCb {
    fn arms(&self) -> usize {
        self.arms.len()
    }

    fn choose(&mut self, context: f64) -> Result<usize> {
        let x = self.interval.place(context)?;
        let features: Vec<f64> = chebyshev(x, self.terms()).collect();
        let p = self.probabilities(&features);
        let arm = self.draws.index(&p);
        let predicted = self.arms[arm].predict(&features);
        self.open = Some((arm, features, predicted));
        Ok(arm)
    }

    fn observe(&mut self, cost: f64) -> Result<()> {
        let (arm, features, predicted) = turn(&mut self.open, cost)?;
        let excess = (cost - 1.0).max(0.0);
        self.errors += (predicted - excess).powi(2);
        self.arms[arm].add(&features, excess);
        self.round += 1;
        let before = (self.low, self.high);
        self.low = self.low.min(cost);
        self.high = self.high.max(cost);
        let (span, _) = self.scales();
        let high = self.high;
        let limit = |j: usize| if j == 0 { high } else { 2.0 * span / j as f64 };
        let limits: Vec<f64> = (0..self.terms()).map(limit).collect();
        if before == (self.low, self.high) {
            self.fit(arm, &limits);
        } else {
            (0..self.arms.len()).for_each(|arm| self.fit(arm, &limits));
        }
        Ok(())
    }
}
