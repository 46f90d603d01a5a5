//! Derivatives of event functions and actions: one recording at an event, so nothing here is hot.

use super::Events;
use crate::dynamics::Point;
use crate::dynamics::dual::Dual;
use crate::dynamics::tape::{Tape, Var};
use crate::num::Real;

/// ∂g/∂t, ∂g/∂y, ∂g/∂p.
pub(crate) struct GuardGradient<T> {
    pub t: T,
    pub y: Vec<T>,
    pub p: Vec<T>,
}

impl<T: Real> GuardGradient<T> {
    /// dg/dt along a solution with y′ = `slope`.
    pub fn rate(&self, slope: &[T]) -> T {
        self.y.iter().zip(slope).fold(self.t, |sum, (g, s)| g.mul_add(*s, sum))
    }

    /// Σ |∂g/∂x · x|, the size of the terms of g, of which its rounding errors are multiples of ε.
    pub fn scale(&self, at: Point<'_, T>) -> T {
        let pairs = self.y.iter().zip(at.y).chain(self.p.iter().zip(at.theta));
        pairs.fold((self.t * at.t).abs(), |sum, (g, x)| sum + (*g * *x).abs())
    }

    /// Whether g depends on time alone.
    pub fn is_of_time_only(&self) -> bool {
        self.y.iter().chain(&self.p).all(|g| *g == T::zero())
    }
}

fn record<'t, T: Real>(tape: &'t Tape<T>, values: &[T]) -> Vec<Var<'t, T>> {
    values.iter().map(|&v| tape.var(v)).collect()
}

/// The gradient of g of `event`.
pub(crate) fn guard_gradient<T: Real, E: Events>(
    events: &E,
    event: usize,
    at: Point<'_, T>,
) -> GuardGradient<T> {
    let tape = Tape::new();
    let (t, y, p) = (tape.var(at.t), record(&tape, at.y), record(&tape, at.theta));
    let g = events.value(event, t, &y, &p);
    tape.reverse([(g, T::one())]);
    let pick = |vars: &[Var<'_, T>]| vars.iter().map(|&v| tape.cotangent(v)).collect();
    GuardGradient { t: tape.cotangent(t), y: pick(&y), p: pick(&p) }
}

/// dg/dt of `event` along y′ = `slope`.
pub(crate) fn guard_rate<T: Real, E: Events>(events: &E, event: usize, at: Point<'_, T>, slope: &[T]) -> T {
    let y: Vec<_> = at.y.iter().zip(slope).map(|(&y, &s)| Dual::new(y, s)).collect();
    let p: Vec<_> = at.theta.iter().map(|&p| Dual::constant(p)).collect();
    events.value(event, Dual::variable(at.t), &y, &p).dot
}

/// The reverse of the action of `event` at `at` (the state and parameters before it): `y_bar` and `p_bar`
/// from the cotangents of what it left to those of what it found; returns t's cotangent.
pub(crate) fn act_pullback<T: Real, E: Events>(
    events: &E,
    event: usize,
    at: Point<'_, T>,
    y_bar: &mut [T],
    p_bar: &mut [T],
) -> T {
    let tape = Tape::new();
    let (t, y0, p0) = (tape.var(at.t), record(&tape, at.y), record(&tape, at.theta));
    let (mut y, mut p) = (y0.clone(), p0.clone());
    events.act(event, t, &mut y, &mut p);
    let seeds = y.iter().copied().zip(y_bar.iter().copied());
    tape.reverse(seeds.chain(p.iter().copied().zip(p_bar.iter().copied())));
    for (bar, var) in y_bar.iter_mut().zip(&y0).chain(p_bar.iter_mut().zip(&p0)) {
        *bar = tape.cotangent(*var);
    }
    tape.cotangent(t)
}
