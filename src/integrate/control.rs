//! [`Decision`]: an attempt as the controller saw it, and the reverse of what it decided.
//!
//! Between two attempts the loop carries the proposed size h and the controller's memory (log₂ E_{n−1},
//! log₂ E_{n−2}). One attempt of size h with error E turns them into
//!
//! h′ = h·clamp(safety · 2^x),  x = −(β1 log₂ E + β2 log₂ E_{n−1} + β3 log₂ E_{n−2})/k,  (log₂ E, log₂ E_{n−1}),
//!
//! and what is differentiated here is just that, with the polynomials that the [`Controller`] evaluates for log₂
//! and 2ˣ. Branches are as they were taken: where a clamp acted, where `dt_max` cut the proposal, where the factor was
//! a constant (an attempt that went non-finite or could not be solved), the derivative is 0; after a rejection x is
//! −log₂ E/k and the memory stays; an attempt that takes what remains before a stop has h = stop − t, leaves the memory
//! alone once accepted, and the larger of h′ and the proposal before it goes on.

use super::controller::{
    Controller, EXP_COEFFICIENTS, History, LEAST_SQUARE, LOG_COEFFICIENTS, exp2, log_error,
};
use crate::num::Real;

/// One attempt as the controller saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision<T> {
    /// Index of the accepted step that the attempt was, or was to become.
    pub step: usize,
    /// Signed size.
    pub h: T,
    /// Error estimate E.
    pub error: T,
    /// The factor on h.
    pub factor: T,
    /// Whether the factor came from E, and not from a solver of equations that failed.
    pub steered: bool,
    /// Whether the step was accepted.
    pub accepted: bool,
    /// Whether it took all that remained before a stop or the end.
    pub clipped: bool,
    /// Whether it was to end at a stop before the end.
    pub to_stop: bool,
    /// Whether `dt_max` cut the proposal.
    pub capped: bool,
    /// Whether the proposal before it outlived it, being the larger.
    pub kept: bool,
    /// What the controller remembered before.
    pub history: History<T>,
}

/// Cotangents of what the loop carries from attempt to attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ControlCotangent<T> {
    /// Of the proposed size, signed.
    pub h: T,
    /// Of log₂ E_{n−1} and log₂ E_{n−2}.
    pub log: [T; 2],
}

impl<T: Real> Decision<T> {
    /// The first half of the attempt's reverse: `bar` from the cotangents of what was carried on to those of what was
    /// carried in, as far as they do not pass through the attempt; returns the attempt's own, \[h̄, ∂/∂(E²)\]. `power`
    /// is the estimate's power k of h.
    pub fn pullback(&self, controller: &Controller, power: usize, bar: &mut ControlCotangent<T>) -> [T; 2] {
        let zero = T::zero();
        let proposed = if self.kept { zero } else { bar.h };
        if !self.kept {
            bar.h = zero;
        }
        // What the attempt left in the memory.
        let mut log_bar = zero;
        if self.accepted && !self.clipped && controller.is_adaptive() {
            log_bar = bar.log[0];
            bar.log = [bar.log[1], zero];
        }
        if self.steered {
            log_bar += self.exponent_pullback(controller, power, proposed * self.h, bar);
        }
        [proposed * self.factor, log_bar * log_slope(self.error * self.error)]
    }

    /// The second half, once the whole cotangent `h_bar` of the attempt's size is known: adds it to the proposal's in
    /// `bar`, or returns it as that of stop − t where the attempt took what remained (0 elsewhere).
    pub fn proposal_pullback(&self, h_bar: T, bar: &mut ControlCotangent<T>) -> T {
        let mut remaining = T::zero();
        if self.clipped {
            remaining = h_bar;
        } else {
            bar.h += h_bar;
        }
        if self.capped {
            bar.h = T::zero();
        }
        remaining
    }

    /// The cotangent of log₂ E from that of the factor; ACCUMULATES those of the memory into `bar`.
    fn exponent_pullback(
        &self,
        controller: &Controller,
        power: usize,
        factor_bar: T,
        bar: &mut ControlCotangent<T>,
    ) -> T {
        let Controller::Pid { beta, safety, limits: [low, high] } = *controller else {
            return T::zero();
        };
        let square = self.error * self.error;
        if !square.is_finite() {
            return T::zero();
        }
        let x = controller.exponent(log_error(square), self.accepted, power, &self.history);
        let top = if self.accepted && !self.history.rejected { high } else { 1.0 };
        let factor = T::of(safety) * exp2(x);
        if !(factor > T::of(low) && factor < T::of(top)) {
            return T::zero();
        }
        let x_bar = factor_bar * T::of(safety) * exp2_slope(x);
        let scale = x_bar * T::of(-1.0 / power as f64);
        if !self.accepted {
            return scale;
        }
        bar.log[0] += scale * T::of(beta[1]);
        bar.log[1] += scale * T::of(beta[2]);
        scale * T::of(beta[0])
    }
}

/// The derivative of [`log_error`] with respect to E²; 0 where it is floored.
fn log_slope<T: Real>(square: T) -> T {
    let x = square.f64();
    if !(x > LEAST_SQUARE && x.is_finite()) {
        return T::zero();
    }
    // x = 2ᵏ(1 + r), 1 + r ∈ [√½, √2).
    let mut scale = f64::from_bits(x.to_bits() & 0x7ff0_0000_0000_0000);
    if x / scale >= std::f64::consts::SQRT_2 {
        scale *= 2.0;
    }
    let r = x / scale - 1.0;
    let terms = LOG_COEFFICIENTS.iter().enumerate().rev();
    let slope = terms.fold(0.0, |sum, (i, c)| sum * r + (i + 1) as f64 * c);
    T::of(0.5 * slope / scale)
}

/// The derivative of [`exp2`].
fn exp2_slope<T: Real>(x: T) -> T {
    let x = x.f64();
    let whole = x.round_ties_even();
    let terms = EXP_COEFFICIENTS.iter().enumerate().skip(1).rev();
    let slope = terms.fold(0.0, |sum, (i, c)| sum * (x - whole) + i as f64 * c);
    T::of(slope * whole.exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_polynomials() {
        for i in 0..400 {
            let x = f64::powf(10.0, -12.0 + 0.0373 * f64::from(i));
            let d = 1e-5 * x;
            let difference = (log_error(x + d) - log_error(x - d)) / (2.0 * d);
            let slope = log_slope(x);
            assert!((slope - difference).abs() < 1e-8 * slope, "{x:e}: {slope:e} {difference:e}");
            // The ideal logarithm's is near, but not the same.
            assert!((slope * 2.0 * x * std::f64::consts::LN_2 - 1.0).abs() < 2e-4, "{x:e}");
            let y = -7.9 + 0.0391 * f64::from(i);
            let d = 1e-5;
            let difference = (exp2(y + d) - exp2::<f64>(y - d)) / (2.0 * d);
            let slope = exp2_slope(y);
            assert!((slope - difference).abs() < 1e-7 * slope, "{y}: {slope:e} {difference:e}");
        }
        assert_eq!((log_slope(0.0f64), log_slope(f64::NAN)), (0.0, 0.0));
    }

    /// h′ and the memory as [`Controller::factor`] gives them, against the reverse.
    #[test]
    fn reverse_matches_differences() {
        let history = History { log1: -1.3, log2: 0.4, rejected: false };
        for controller in [Controller::integral(), Controller::pi(), Controller::pid()] {
            for (error, rejected) in [(0.31, false), (0.31, true), (3.7, false), (1e-9, false), (40.0, false)]
            {
                let history = History { rejected, ..history };
                let step = |h: f64, square: f64, log: [f64; 2]| {
                    let before = History { log1: log[0], log2: log[1], ..history };
                    let (factor, accepted, after) = controller.factor(square, 5, &before);
                    (h * factor, accepted, factor, [after.log1, after.log2])
                };
                let (h, square, log) = (0.02, error * error, [history.log1, history.log2]);
                let (_, accepted, factor, _) = step(h, square, log);
                let decision = Decision {
                    step: 0,
                    h,
                    error,
                    factor,
                    steered: true,
                    accepted,
                    clipped: false,
                    to_stop: false,
                    capped: false,
                    kept: false,
                    history,
                };
                let weights = [1.7, -0.6, 0.9];
                let value = |h: f64, square: f64, log: [f64; 2]| {
                    let (next, _, _, after) = step(h, square, log);
                    weights[0] * next + weights[1] * after[0] + weights[2] * after[1]
                };
                let mut bar = ControlCotangent { h: weights[0], log: [weights[1], weights[2]] };
                let [h_bar, square_bar] = decision.pullback(&controller, 5, &mut bar);
                assert_eq!(decision.proposal_pullback(h_bar, &mut bar), 0.0);
                let d = 1e-6;
                let moved = |dh: f64, ds: f64, d0: f64, d1: f64| {
                    value(h + dh, square + ds, [log[0] + d0, log[1] + d1])
                };
                for (got, difference, size) in [
                    (bar.h, moved(d, 0.0, 0.0, 0.0) - moved(-d, 0.0, 0.0, 0.0), d),
                    (
                        square_bar,
                        moved(0.0, d * square, 0.0, 0.0) - moved(0.0, -d * square, 0.0, 0.0),
                        d * square,
                    ),
                    (bar.log[0], moved(0.0, 0.0, d, 0.0) - moved(0.0, 0.0, -d, 0.0), d),
                    (bar.log[1], moved(0.0, 0.0, 0.0, d) - moved(0.0, 0.0, 0.0, -d), d),
                ] {
                    let want = difference / (2.0 * size);
                    let close = (got - want).abs() < 1e-7 * (1.0 + want.abs());
                    assert!(close, "{controller:?} {error} {rejected}: {got} {want}");
                }
            }
        }
    }
}
