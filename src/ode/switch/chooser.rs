//! Who takes the next step: [`Chooser`], and its [`Thresholds`].

use crate::error::{Error, Result};
use crate::integrate::Member;

/// When to switch, in terms of ρ = |h| S / (stability size of the explicit method) of accepted steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// An explicit step with ρ at or above this is stiff. An active mode with h|λ| at ¾ of the stability size
    /// (2.6 for Tsit5) is not followed to any useful accuracy, so that a step accepted there is one that
    /// stability limits.
    pub stiff_ratio: f64,
    /// So many stiff steps…
    pub stiff_steps: u32,
    /// …among the last so many (64 at most) switch to the implicit method.
    pub window: u32,
    /// An implicit step with ρ at or below this is calm: the explicit method could take steps twice as long.
    /// A switch back starts with a step of this ρ at most.
    pub calm_ratio: f64,
    /// So many calm steps in a row switch back. More than the two or three that a step size cut by a stop
    /// or a rejection takes to recover; few enough for the fast phases of relaxation oscillations.
    pub calm_steps: u32,
}

impl Thresholds {
    /// ¾, 10 of 15, ½, 5.
    pub const DEFAULT: Self =
        Self { stiff_ratio: 0.75, stiff_steps: 10, window: 15, calm_ratio: 0.5, calm_steps: 5 };

    /// Checks them.
    ///
    /// # Errors
    /// Ratios that are not positive, or not apart; counts of zero, or more stiff steps than the window has.
    pub fn check(&self) -> Result<()> {
        let Self { stiff_ratio, stiff_steps, window, calm_ratio, calm_steps } = *self;
        if !(calm_ratio > 0.0 && calm_ratio < stiff_ratio && stiff_ratio.is_finite()) {
            return Err(Error::invalid(
                "the thresholds of a switching method",
                format!("calm_ratio {calm_ratio}, stiff_ratio {stiff_ratio}"),
                "they must satisfy 0 < calm_ratio < stiff_ratio (what lies between keeps it from switching to and fro)",
            ));
        }
        if !(stiff_steps >= 1 && stiff_steps <= window && window <= 64 && calm_steps >= 1) {
            return Err(Error::invalid(
                "the thresholds of a switching method",
                format!("stiff_steps {stiff_steps}, window {window}, calm_steps {calm_steps}"),
                "they must satisfy 1 ≤ stiff_steps ≤ window ≤ 64 and calm_steps ≥ 1",
            ));
        }
        Ok(())
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An explicit step with ρ below this part of [`Thresholds::stiff_ratio`] lets the next few go unread.
const FAR: f64 = 0.25;
/// So many, counted as not stiff: few beside the window, and three quarters of the readings' cost.
const UNREAD: u32 = 3;

/// The decision, step by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chooser {
    thresholds: Thresholds,
    /// Who takes the next step.
    pub next: Member,
    /// One bit for each step of the window, the latest lowest: whether it was stiff.
    recent: u64,
    /// Calm steps in a row.
    calm: u32,
    /// Explicit steps still to go unread.
    unread: u32,
}

impl Chooser {
    /// Starts with the explicit method.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Whether the step being taken is to be read.
    #[inline(always)]
    pub fn is_due(&self) -> bool {
        self.unread == 0
    }

    /// Notes an accepted step of [`next`](Self::next) with ρ = `ratio` (NaN when it was not read), and decides
    /// who takes the one after it; true when that is the other method.
    #[inline]
    pub fn note(&mut self, ratio: f64) -> bool {
        let t = &self.thresholds;
        let switch = match self.next {
            Member::First => {
                self.unread = match self.unread {
                    0 if ratio < FAR * t.stiff_ratio => UNREAD,
                    unread => unread.saturating_sub(1),
                };
                let stiff = u64::from(ratio >= t.stiff_ratio);
                self.recent = (self.recent << 1 | stiff) & (u64::MAX >> (64 - t.window));
                self.recent.count_ones() >= t.stiff_steps
            }
            Member::Second => {
                self.calm = if ratio <= t.calm_ratio { self.calm + 1 } else { 0 };
                self.calm >= t.calm_steps
            }
        };
        if switch {
            let next = match self.next {
                Member::First => Member::Second,
                Member::Second => Member::First,
            };
            *self = Self { next, ..Self::new(self.thresholds) };
        }
        switch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Member::{First, Second};

    fn run(chooser: &mut Chooser, ratios: &[f64]) -> Vec<usize> {
        ratios.iter().enumerate().filter(|(_, r)| chooser.note(**r)).map(|(i, _)| i).collect()
    }

    #[test]
    fn ten_stiff_steps_of_fifteen_switch_and_nine_do_not() {
        let mut c = Chooser::new(Thresholds::DEFAULT);
        assert_eq!(run(&mut c, &[0.75; 10]), [9]);
        assert_eq!(c.next, Second);
        let mut c = Chooser::new(Thresholds::DEFAULT);
        // Two stiff steps in three: the tenth comes with the 14th step, inside the window.
        let two_in_three: Vec<f64> = (0..14).map(|i| if i % 3 == 2 { 0.2 } else { 1.0 }).collect();
        assert_eq!(run(&mut c, &two_in_three), [13]);
        // Every second: 8 of 15 at most, for ever.
        let mut c = Chooser::new(Thresholds::DEFAULT);
        let half: Vec<f64> = (0..1000).map(|i| if i % 2 == 0 { 0.74 } else { 1.2 }).collect();
        assert_eq!(run(&mut c, &half), [0; 0]);
        assert_eq!(c.next, First);
    }

    #[test]
    fn five_calm_steps_in_a_row_switch_back() {
        let mut c = Chooser { next: Second, ..Chooser::new(Thresholds::DEFAULT) };
        assert_eq!(run(&mut c, &[0.5, 0.5, 0.5, 0.5, 0.51, 0.1, 0.1, 0.1, 0.1, f64::NAN]), [0; 0]);
        assert_eq!(run(&mut c, &[0.0, 0.1, 0.2, 0.3, 0.5, 0.5, 0.6]), [4]);
        assert_eq!(c.next, First);
    }

    #[test]
    fn between_the_thresholds_nothing_switches() {
        for next in [First, Second] {
            let mut c = Chooser { next, ..Chooser::new(Thresholds::DEFAULT) };
            assert_eq!(run(&mut c, &[0.6; 500]), [0; 0]);
        }
    }

    #[test]
    fn calm_explicit_steps_are_read_one_in_four() {
        let mut c = Chooser::new(Thresholds::DEFAULT);
        let mut read = 0;
        for _ in 0..400 {
            let due = c.is_due();
            read += usize::from(due);
            c.note(if due { 0.1 } else { f64::NAN });
        }
        assert_eq!(read, 100);
        // Near the threshold every step is.
        let mut c = Chooser::new(Thresholds::DEFAULT);
        assert!((0..100).all(|_| c.is_due() && !c.note(0.3)));
    }

    #[test]
    fn bad_thresholds_are_refused() {
        let d = Thresholds::DEFAULT;
        assert!(d.check().is_ok());
        for bad in [
            Thresholds { calm_ratio: 0.8, ..d },
            Thresholds { calm_ratio: 0.0, ..d },
            Thresholds { stiff_ratio: f64::NAN, ..d },
            Thresholds { stiff_ratio: f64::INFINITY, ..d },
            Thresholds { stiff_steps: 16, ..d },
            Thresholds { stiff_steps: 0, ..d },
            Thresholds { window: 65, ..d },
            Thresholds { calm_steps: 0, ..d },
        ] {
            assert!(matches!(bad.check(), Err(Error::Invalid { .. })), "{bad:?}");
        }
    }
}
