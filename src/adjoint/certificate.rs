//! [`LossError`]: how far the loss of a solve is from that of the equation, by the discrete adjoint.
//!
//! A step that starts at y_j ends a local error away from where the equation would: with the adjoint λ_{j+1} =
//! dL/dy_{j+1} of the computed solution these errors have to first order the effect
//!
//! L(exact) − L(computed) ≈ Σ_j λ_{j+1}·(Φ_h(y_j) − y_{j+1}),   Φ the flow of the equation
//!
//! (dual-weighted residuals: Becker & Rannacher, *An optimal control approach to a posteriori error estimation
//! in finite element methods*, Acta Numerica 10, 2001; for one-step methods Cao & Petzold, *A posteriori error
//! estimation and global error control for ordinary differential equations by the adjoint method*, SIAM J. Sci.
//! Comput. 26, 2004). The flow is had from two steps of half the size and extrapolation: Φ_h(y_j) − y_{j+1} ≈
//! (y^{(2)} − y_{j+1})·2^p/(2^p − 1) for a method of order p. So the estimate is asymptotically exact, unlike
//! one from the embedded pair, which estimates the error of the lower order. It costs two steps for each one.
//!
//! What dense output adds at saved times inside steps is not seen: name such times in
//! [`tstops`](crate::integrate::Options::tstops) to have them at ends of steps.

use super::discrete::DiscreteAdjoint;
use crate::error::{Error, Result};
use crate::integrate::{AcceptedSteps, Reverse, StepInfo, Stepper, pass_on, take};
use crate::num::Real;

/// The estimated error of a loss, step by step.
#[derive(Clone, Debug, PartialEq)]
pub struct LossError<T> {
    /// Estimate of L(exact) − L(computed).
    pub total: T,
    /// Σ |contribution|: a bound that does not rely on errors that cancel.
    pub magnitude: T,
    /// The contribution of each accepted step, in order.
    pub steps: Vec<T>,
}

impl<T: Real, S: Reverse<T>> DiscreteAdjoint<T, S> {
    /// The reverse of the last forward pass (gradients are then there as after [`reverse`](Self::reverse)), and the
    /// estimated error of the loss with the cotangents `y_bar`. `stepper` is another one of the same method and
    /// right-hand side; its parameters are set to `theta`.
    ///
    /// # Errors
    /// As [`reverse`](Self::reverse), or a stepper of another length.
    pub fn certify(
        &mut self,
        y_bar: &[T],
        stepper: &mut impl Stepper<T>,
        theta: &[T],
    ) -> Result<LossError<T>> {
        let n = self.stepper().len();
        Error::check_len("the state of the second stepper", stepper.len(), n, "that of the first")?;
        Error::check_len("theta", theta.len(), stepper.num_params(), "the right-hand side's parameters")?;
        stepper.set_theta(theta);
        let norm = self.norm().clone();
        let power = T::of(2.0).powi(stepper.order() as i32);
        let scale = power / (power - T::one());
        let (mut middle, mut end) = (vec![T::zero(); n], vec![T::zero(); n]);
        self.step_start(0, &mut end)?;
        if let (Some(first), Some(last)) = (self.solution().steps.first(), self.solution().steps.last()) {
            stepper.cover([first.t, last.t1])?;
            stepper.prepare(first.t, &mut end, &norm)?;
        }
        let mut steps = Vec::new();
        let mut seen = |step: &StepInfo<T>, [y0, y1]: [&[T]; 2], lambda: &[T]| {
            let half = step.h * T::of(0.5);
            let between = step.t + half;
            let first = StepInfo { h: half, t1: between, to_stop: false, ..*step };
            let second = StepInfo { t: between, h: step.t1 - between, from_stop: false, ..*step };
            stepper.select(step.member);
            stepper.begin(step.start(), y0);
            take(stepper, &first, y0, &mut middle, &norm);
            pass_on(stepper, &first, Some(&second), &middle);
            take(stepper, &second, &middle, &mut end, &norm);
            let errors = end.iter().zip(y1).zip(lambda);
            let sum = errors.fold(T::zero(), |sum, ((a, b), l)| (*a - *b).mul_add(*l, sum));
            steps.push(scale * sum);
        };
        self.reverse_seen(y_bar, &[], &mut [], Some(&mut seen))?;
        steps.reverse();
        Error::check_finite("the contribution of a step to the error of the loss", &steps)?;
        let total = steps.iter().fold(T::zero(), |sum, s| sum + *s);
        let magnitude = steps.iter().fold(T::zero(), |sum, s| sum + s.abs());
        Ok(LossError { total, magnitude, steps })
    }
}
