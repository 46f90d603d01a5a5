//! [`Budget`]: λ by dual ascent, so that the number of function evaluations meets a target.
//!
//! Training under the constraint NFE ≤ N has the Lagrangian loss + λ·(R-driven NFE − N); NFE itself
//! has no gradient, so the primal step lowers the surrogate R and the dual step moves λ by how much
//! the constraint is violated (dual ascent; Boyd & Vandenberghe, *Convex Optimization*, ch. 5).
//! The violation is measured in logarithms, g = ln(NFE/N), which makes the gain independent of the
//! size of the target; NFE is smoothed over iterations, since the response of training lags.

use crate::error::{Error, Result};

/// How λ follows the violation g = ln(NFE/N).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DualStep {
    /// ln λ ← ln λ + gain·g: λ by factors. It suits a λ whose scale is unknown. λ stays positive.
    Multiplicative {
        /// Gain > 0.
        gain: f64,
    },
    /// λ ← λ + gain·g: the textbook's ascent, which can return to 0.
    Additive {
        /// Gain > 0, in units of λ.
        gain: f64,
    },
}

/// The NFE budget controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    target: f64,
    step: DualStep,
    bounds: [f64; 2],
    smoothing: f64,
    lambda: f64,
    /// Smoothed ln NFE.
    level: Option<f64>,
}

impl Budget {
    /// λ from `initial` for `target` function evaluations, with multiplicative steps of gain 0.05,
    /// bounds \[initial·1e-6, initial·1e6\] and smoothing 0.8.
    ///
    /// # Errors
    /// A target of 0, or a λ that is not positive.
    pub fn new(target: usize, initial: f64) -> Result<Self> {
        let budget = Self {
            target: target as f64,
            step: DualStep::Multiplicative { gain: 0.05 },
            bounds: [initial * 1e-6, initial * 1e6],
            smoothing: 0.8,
            lambda: initial,
            level: None,
        };
        budget.check()?;
        Ok(budget)
    }

    /// With another rule for λ.
    ///
    /// # Errors
    /// A gain that is not positive.
    pub fn step(self, step: DualStep) -> Result<Self> {
        Self { step, ..self }.checked()
    }

    /// With λ kept in \[low, high\].
    ///
    /// # Errors
    /// Bounds that are negative, not finite, out of order, or low = 0 with multiplicative steps.
    pub fn bounds(self, low: f64, high: f64) -> Result<Self> {
        let lambda = self.lambda.max(low).min(high);
        Self { bounds: [low, high], lambda, ..self }.checked()
    }

    /// With ln NFE smoothed by level ← s·level + (1 − s)·ln NFE.
    ///
    /// # Errors
    /// An s outside [0, 1).
    pub fn smoothing(self, s: f64) -> Result<Self> {
        Self { smoothing: s, ..self }.checked()
    }

    fn checked(self) -> Result<Self> {
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<()> {
        let positive = |what: &str, x: f64| match x > 0.0 && x.is_finite() {
            true => Ok(()),
            false => Err(Error::invalid(what, x, "it must be positive and finite")),
        };
        positive("the NFE target", self.target)?;
        let (DualStep::Multiplicative { gain } | DualStep::Additive { gain }) = self.step;
        positive("the dual gain", gain)?;
        let [low, high] = self.bounds;
        positive("the upper bound of λ", high)?;
        let multiplicative = matches!(self.step, DualStep::Multiplicative { .. });
        if multiplicative {
            positive("λ", self.lambda)?;
            positive("the lower bound of λ (multiplicative steps)", low)?;
        }
        if !(low >= 0.0 && low <= high) {
            return Err(Error::invalid(
                "the bounds of λ",
                format!("[{low}, {high}]"),
                "they must satisfy 0 ≤ low ≤ high",
            ));
        }
        if !(0.0..1.0).contains(&self.smoothing) {
            return Err(Error::invalid("the smoothing", self.smoothing, "it must lie in [0, 1)"));
        }
        Ok(())
    }

    /// The current λ.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// The smoothed NFE; `None` before the first update.
    pub fn smoothed_nfe(&self) -> Option<f64> {
        self.level.map(f64::exp)
    }

    /// Tells the controller the NFE of an iteration; returns the next λ.
    pub fn update(&mut self, nfe: usize) -> f64 {
        let log = (nfe.max(1) as f64).ln();
        let level = match self.level {
            Some(level) => self.smoothing * level + (1.0 - self.smoothing) * log,
            None => log,
        };
        self.level = Some(level);
        let violation = level - self.target.ln();
        let next = match self.step {
            DualStep::Multiplicative { gain } => self.lambda * (gain * violation).exp(),
            DualStep::Additive { gain } => self.lambda + gain * violation,
        };
        self.lambda = next.max(self.bounds[0]).min(self.bounds[1]);
        self.lambda
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NFE falls with λ and training follows λ with a lag.
    fn settle(mut budget: Budget, iterations: usize) -> (f64, f64) {
        let mut log_nfe = 300f64.ln();
        for _ in 0..iterations {
            let wanted = 60.0 + 240.0 / (1.0 + 3.0 * budget.lambda().powf(0.7));
            log_nfe += 0.1 * (wanted.ln() - log_nfe);
            budget.update(log_nfe.exp().round() as usize);
        }
        (log_nfe.exp(), budget.lambda())
    }

    #[test]
    fn a_lagging_response_settles_at_the_target() {
        for (step, from) in [
            (DualStep::Multiplicative { gain: 0.05 }, 1e-2),
            (DualStep::Multiplicative { gain: 0.05 }, 1e2),
            (DualStep::Additive { gain: 0.05 }, 1.0),
        ] {
            let budget = Budget::new(150, from).unwrap().step(step).unwrap();
            let (nfe, lambda) = settle(budget, 2000);
            assert!((nfe - 150.0).abs() < 3.0, "{step:?} from {from}: {nfe}");
            let exact = ((240.0f64 / 90.0 - 1.0) / 3.0).powf(1.0 / 0.7);
            assert!((lambda / exact).ln().abs() < 0.1, "{lambda} {exact}");
        }
    }

    #[test]
    fn an_unreachable_target_ends_at_the_bound() {
        let budget = Budget::new(50, 1.0).unwrap().bounds(0.01, 20.0).unwrap();
        assert_eq!(settle(budget, 3000).1, 20.0);
        let budget = Budget::new(1000, 1.0).unwrap().bounds(0.01, 20.0).unwrap();
        assert_eq!(settle(budget, 3000).1, 0.01);
        let additive = DualStep::Additive { gain: 0.1 };
        let budget = Budget::new(1000, 1.0).unwrap().step(additive).unwrap();
        assert_eq!(settle(budget.bounds(0.0, 1e3).unwrap(), 3000).1, 0.0);
    }

    #[test]
    fn bad_settings_are_refused() {
        let ok = || Budget::new(100, 1.0).unwrap();
        let negative = DualStep::Additive { gain: -1.0 };
        for (result, part) in [
            (Budget::new(0, 1.0), "NFE target is 0"),
            (Budget::new(10, -1.0), "must be positive"),
            (ok().step(negative), "dual gain is -1"),
            (ok().bounds(2.0, 1.0), "low ≤ high"),
            (ok().bounds(0.0, 1.0), "lower bound of λ"),
            (ok().smoothing(1.0), "smoothing is 1"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
