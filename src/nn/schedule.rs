//! Learning-rate schedules: a rate for every iteration, counted from 0.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A learning rate η(k) for iterations k = 0, 1, ….
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Schedule {
    /// η.
    Constant(f64),
    /// initial · factor^(k/every).
    Exponential {
        /// η(0).
        initial: f64,
        /// Factor in (0, 1] applied over `every` iterations.
        factor: f64,
        /// Iterations over which the rate falls by `factor`.
        every: u64,
        /// Whether k/every is rounded down, so that the rate falls in steps.
        staircase: bool,
    },
    /// initial / (1 + decay·k)^power (`InvDecay` for power 1).
    InverseDecay {
        /// η(0).
        initial: f64,
        /// Decay ≥ 0 per iteration.
        decay: f64,
        /// Power ≥ 0.
        power: f64,
    },
    /// last + (initial − last)(1 + cos(π k/over))/2, and `last` from k = over on (Loshchilov &
    /// Hutter 2017, eq. 5, without restarts).
    Cosine {
        /// η(0).
        initial: f64,
        /// η from `over` on.
        last: f64,
        /// Iterations of the descent.
        over: u64,
    },
    /// Straight from `from` at k = 0 to `then`'s first rate at k = over; then `then`, its own count
    /// starting at 0 there.
    WarmUp {
        /// η(0).
        from: f64,
        /// Iterations of the ascent.
        over: u64,
        /// What follows.
        then: Box<Schedule>,
    },
    /// `first` before the first boundary, then each pair's rate from its iteration on.
    Piecewise {
        /// η(0).
        first: f64,
        /// (iteration, rate), iterations increasing from at least 1.
        then: Vec<(u64, f64)>,
    },
    /// Each schedule for its number of iterations, counting from 0 in each, then `last`.
    Sequence {
        /// (iterations, schedule).
        parts: Vec<(u64, Schedule)>,
        /// What follows for ever.
        last: Box<Schedule>,
    },
}

impl Schedule {
    /// One cycle over so many iterations (Smith & Topin, *Super-Convergence*, 2019): straight from 0.04 `rate` to `rate`
    /// over three tenths of them, then down to 10⁻³ `rate` by a cosine.
    pub fn one_cycle(rate: f64, iterations: u64) -> Self {
        let up = (iterations * 3 / 10).max(1);
        let over = (iterations - up.min(iterations)).max(1);
        let down = Self::Cosine { initial: rate, last: 1e-3 * rate, over };
        Self::WarmUp { from: 0.04 * rate, over: up, then: Box::new(down) }
    }

    /// η(k).
    pub fn at(&self, k: u64) -> f64 {
        match self {
            Self::Constant(rate) => *rate,
            Self::Exponential { initial, factor, every, staircase } => {
                let falls = k as f64 / *every as f64;
                let falls = if *staircase { falls.floor() } else { falls };
                initial * factor.powf(falls)
            }
            Self::InverseDecay { initial, decay, power } => initial / (1.0 + decay * k as f64).powf(*power),
            Self::Cosine { initial, last, over } => {
                let part = k.min(*over) as f64 / *over as f64;
                last + 0.5 * (initial - last) * (1.0 + (std::f64::consts::PI * part).cos())
            }
            Self::WarmUp { from, over, then } => match k.checked_sub(*over) {
                Some(k) => then.at(k),
                None => from + (then.at(0) - from) * (k as f64 / *over as f64),
            },
            Self::Piecewise { first, then } => {
                let passed = then.iter().rev().find(|(from, _)| k >= *from);
                passed.map_or(*first, |(_, rate)| *rate)
            }
            Self::Sequence { parts, last } => {
                let mut k = k;
                for (iterations, part) in parts {
                    if k < *iterations {
                        return part.at(k);
                    }
                    k -= iterations;
                }
                last.at(k)
            }
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a rate that is negative or not finite, a factor outside (0, 1], a
    /// length of 0, boundaries that do not increase.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Constant(rate) => non_negative("learning rate", *rate),
            Self::Exponential { initial, factor, every, .. } => {
                non_negative("initial learning rate", *initial)?;
                if !(*factor > 0.0 && *factor <= 1.0) {
                    let needed = "it must be in (0, 1]";
                    return Err(Error::invalid("decay factor", factor, needed));
                }
                positive("iterations of the decay", *every)
            }
            Self::InverseDecay { initial, decay, power } => {
                non_negative("initial learning rate", *initial)?;
                non_negative("decay", *decay)?;
                non_negative("power", *power)
            }
            Self::Cosine { initial, last, over } => {
                non_negative("initial learning rate", *initial)?;
                non_negative("last learning rate", *last)?;
                positive("iterations of the cosine", *over)
            }
            Self::WarmUp { from, over, then } => {
                non_negative("warm-up learning rate", *from)?;
                positive("iterations of the warm-up", *over)?;
                then.check()
            }
            Self::Piecewise { first, then } => {
                non_negative("first learning rate", *first)?;
                let mut before = 0;
                for (from, rate) in then {
                    non_negative("learning rate", *rate)?;
                    if *from <= before {
                        let needed = format!("boundaries must increase (the one before: {before})");
                        return Err(Error::invalid("boundary", from, needed));
                    }
                    before = *from;
                }
                Ok(())
            }
            Self::Sequence { parts, last } => {
                for (iterations, part) in parts {
                    positive("iterations of a part", *iterations)?;
                    part.check()?;
                }
                last.check()
            }
        }
    }
}

fn non_negative(what: &str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    let needed = "it must be non-negative and finite";
    Err(Error::invalid(what, value, needed))
}

fn positive(what: &str, value: u64) -> Result<()> {
    match value {
        0 => Err(Error::invalid(what, 0, "it must be at least 1")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(schedule: &Schedule, expected: &[(u64, f64)]) {
        schedule.check().expect("valid");
        for &(k, rate) in expected {
            let given = schedule.at(k);
            assert!((given - rate).abs() <= 1e-15 * rate.abs(), "{schedule:?} at {k}: {given}");
        }
    }

    #[test]
    fn rates_are_the_formulas() {
        close(&Schedule::Constant(0.1), &[(0, 0.1), (1_000_000, 0.1)]);
        let exponential =
            |staircase| Schedule::Exponential { initial: 0.8, factor: 0.25, every: 10, staircase };
        close(&exponential(false), &[(0, 0.8), (5, 0.4), (10, 0.2), (20, 0.05)]);
        close(&exponential(true), &[(9, 0.8), (10, 0.2), (19, 0.2)]);
        let inverse = |power| Schedule::InverseDecay { initial: 1.0, decay: 0.5, power };
        close(&inverse(1.0), &[(0, 1.0), (2, 0.5), (6, 0.25)]);
        close(&inverse(0.5), &[(6, 0.5)]);
        let cosine = Schedule::Cosine { initial: 1.0, last: 0.2, over: 6 };
        close(&cosine, &[(0, 1.0), (2, 0.8), (3, 0.6), (4, 0.4), (6, 0.2), (99, 0.2)]);
        let warm = Schedule::WarmUp { from: 0.0, over: 4, then: Box::new(cosine.clone()) };
        close(&warm, &[(0, 0.0), (1, 0.25), (4, 1.0), (7, 0.6)]);
        let steps = Schedule::Piecewise { first: 3.0, then: vec![(2, 2.0), (5, 1.0)] };
        close(&steps, &[(0, 3.0), (1, 3.0), (2, 2.0), (4, 2.0), (5, 1.0), (9, 1.0)]);
        let sequence = Schedule::Sequence {
            parts: vec![(2, Schedule::Constant(5.0)), (3, steps)],
            last: Box::new(cosine),
        };
        close(&sequence, &[(1, 5.0), (2, 3.0), (4, 2.0), (5, 1.0), (8, 0.6)]);
    }

    #[test]
    fn bad_numbers_are_explained() {
        let bad = [
            (Schedule::Constant(-0.1), "-0.1"),
            (Schedule::Constant(f64::NAN), "NaN"),
            (Schedule::Piecewise { first: 1.0, then: vec![(5, 1.0), (5, 0.1)] }, "increase"),
            (
                Schedule::WarmUp {
                    from: 0.0,
                    over: 2,
                    then: Box::new(Schedule::Cosine { initial: 1.0, last: 0.0, over: 0 }),
                },
                "cosine",
            ),
        ];
        for (schedule, part) in bad {
            let message = schedule.check().expect_err(part).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
