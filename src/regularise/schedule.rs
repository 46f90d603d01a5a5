//! λ over the iterations of a training.

use crate::error::{Error, Result};

/// The weight λ(n) of a penalty at iteration n.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LambdaSchedule {
    /// λ.
    Constant(f64),
    /// λ0·exp(−n ln(λ0/λ1)/N): from λ0 at n = 0 to λ1 at n = N, and on with the same factor.
    Exponential {
        /// λ0 > 0.
        from: f64,
        /// λ1 > 0.
        to: f64,
        /// N > 0.
        over: usize,
    },
    /// λ0 + (λ1 − λ0) n/N, then λ1.
    Linear {
        /// λ0.
        from: f64,
        /// λ1.
        to: f64,
        /// N > 0.
        over: usize,
    },
    /// λ0/(1 + γ n).
    Inverse {
        /// λ0.
        from: f64,
        /// γ ≥ 0.
        decay: f64,
    },
}

impl LambdaSchedule {
    /// Checks the parameters.
    ///
    /// # Errors
    /// A λ < 0 or not finite, a zero where a logarithm is taken, N = 0, a negative decay.
    pub fn check(&self) -> Result<()> {
        let lambda = |what: &str, x: f64| match x >= 0.0 && x.is_finite() {
            true => Ok(()),
            false => Err(Error::invalid(what, x, "it must be finite and not negative")),
        };
        match *self {
            Self::Constant(x) => lambda("λ", x),
            Self::Exponential { from, to, over } | Self::Linear { from, to, over } => {
                lambda("λ0", from)?;
                lambda("λ1", to)?;
                if over == 0 {
                    return Err(Error::invalid(
                        "the schedule's length N",
                        over,
                        "it must be at least 1 iteration",
                    ));
                }
                let exponential = matches!(self, Self::Exponential { .. });
                if exponential && (from == 0.0 || to == 0.0) {
                    return Err(Error::invalid(
                        "λ0 and λ1",
                        format!("{from} and {to}"),
                        "exponential annealing needs both positive",
                    ));
                }
                Ok(())
            }
            Self::Inverse { from, decay } => {
                lambda("λ0", from)?;
                lambda("the decay", decay)
            }
        }
    }

    /// λ(n).
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn at(&self, n: usize) -> Result<f64> {
        self.check()?;
        let n = n as f64;
        Ok(match *self {
            Self::Constant(x) => x,
            Self::Exponential { from, to, over } => from * (-n * (from / to).ln() / over as f64).exp(),
            Self::Linear { from, to, over } => {
                let part = (n / over as f64).min(1.0);
                from * (1.0 - part) + to * part
            }
            Self::Inverse { from, decay } => from / decay.mul_add(n, 1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_their_formulas() {
        let close = |s: LambdaSchedule, n: usize, want: f64| {
            let got = s.at(n).unwrap();
            assert!((got - want).abs() <= 1e-12 * want, "{s:?} at {n}: {got}");
        };
        let annealed = LambdaSchedule::Exponential { from: 100.0, to: 10.0, over: 75 };
        close(annealed, 0, 100.0);
        close(annealed, 75, 10.0);
        close(annealed, 30, 100.0 * 10f64.powf(-0.4));
        let linear = LambdaSchedule::Linear { from: 2.5, to: 1.0, over: 10 };
        close(linear, 4, 1.9);
        close(linear, 99, 1.0);
        let inverse = LambdaSchedule::Inverse { from: 3.0, decay: 0.5 };
        close(inverse, 4, 1.0);
        close(LambdaSchedule::Constant(0.0285), 7, 0.0285);
    }

    #[test]
    fn bad_parameters_are_refused() {
        use LambdaSchedule as L;
        let (from, to, over) = (1.0, 0.1, 10);
        for (schedule, part) in [
            (L::Constant(-0.5), "λ is -0.5"),
            (L::Constant(f64::NAN), "NaN"),
            (L::Exponential { from: -1.0, to, over }, "λ0 is -1"),
            (L::Exponential { from, to: 0.0, over }, "both positive"),
            (L::Linear { from, to, over: 0 }, "N is 0"),
            (L::Inverse { from, decay: -1.0 }, "decay is -1"),
        ] {
            let error = schedule.at(0).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
