//! Problems with events whose solutions are known: a bouncing ball (state reset), a thermostat (mode
//! change), doses of a drug (events in time, parameters that actions change).

use super::{Direction, Events, Kind, Then};
use crate::dynamics::generic::VectorField;
use crate::num::Scalar;

/// A ball over the ground: h′ = v, v′ = −g; at h = 0, falling, v ← −e v. y = (h, v), p = (g, e).
///
/// Dropped from h₀ at rest it lands at t₁ = √(2h₀/g) and then every 2 eᵏ √(2h₀/g): bounce k + 1 is at
/// t₁ (1 + 2 Σ_{j=1..k} eʲ), and all of them before t₁ (1 + e)/(1 − e).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BouncingBall;

impl VectorField for BouncingBall {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = y[1];
        dy[1] = -p[0];
    }
}

impl Events for BouncingBall {
    fn count(&self) -> usize {
        1
    }
    fn kind(&self, _event: usize) -> Kind {
        Kind { name: "ground", direction: Direction::Falling, then: Then::Continue }
    }
    fn value<S: Scalar>(&self, _event: usize, _t: S, y: &[S], _p: &[S]) -> S {
        y[0]
    }
    fn act<S: Scalar>(&self, _event: usize, _t: S, y: &mut [S], p: &mut [S]) {
        y[0] = S::zero();
        y[1] = -p[1] * y[1];
    }
}

/// A room with a heater that goes on below one temperature and off above another:
/// T′ = −k (T − T_out) + q m, m ← 0 where T rises through T_high, m ← 1 where it falls through T_low.
/// y = (T), p = (k, T_out, q, T_low, T_high, m).
///
/// With the heater on, T tends to T_∞ = T_out + q/k and needs ln((T_∞ − T_low)/(T_∞ − T_high))/k from T_low
/// to T_high; off, ln((T_high − T_out)/(T_low − T_out))/k back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thermostat;

impl VectorField for Thermostat {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        6
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[2] * p[5] - p[0] * (y[0] - p[1]);
    }
}

impl Events for Thermostat {
    fn count(&self) -> usize {
        2
    }
    fn kind(&self, event: usize) -> Kind {
        match event {
            0 => Kind { name: "too warm", direction: Direction::Rising, then: Then::Continue },
            _ => Kind { name: "too cold", direction: Direction::Falling, then: Then::Continue },
        }
    }
    fn value<S: Scalar>(&self, event: usize, _t: S, y: &[S], p: &[S]) -> S {
        y[0] - if event == 0 { p[4] } else { p[3] }
    }
    fn act<S: Scalar>(&self, event: usize, _t: S, _y: &mut [S], p: &mut [S]) {
        p[5] = if event == 0 { S::zero() } else { S::one() };
    }
}

/// Doses of a drug every so often: the one-compartment model with first-order absorption, amounts in
/// the gut A and in the body B. A′ = −k_a A, B′ = k_a A − k_e B; at t = t_next, A ← A + dose and t_next ←
/// t_next + period. y = (A, B), p = (k_a, k_e, dose, t_next, period). (Gibaldi & Perrier,
/// *Pharmacokinetics*, 2nd ed., 1982, ch. 3.)
///
/// A dose d at s adds B = d k_a/(k_a − k_e) (e^{−k_e(t − s)} − e^{−k_a(t − s)}).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dosing;

impl VectorField for Dosing {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        5
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], p: &[S], dy: &mut [S]) {
        let absorbed = p[0] * y[0];
        dy[0] = -absorbed;
        dy[1] = absorbed - p[1] * y[1];
    }
}

impl Events for Dosing {
    fn count(&self) -> usize {
        1
    }
    fn kind(&self, _event: usize) -> Kind {
        Kind { name: "dose", direction: Direction::Rising, then: Then::Continue }
    }
    fn value<S: Scalar>(&self, _event: usize, t: S, _y: &[S], p: &[S]) -> S {
        t - p[3]
    }
    fn act<S: Scalar>(&self, _event: usize, _t: S, y: &mut [S], p: &mut [S]) {
        y[0] += p[2];
        p[3] += p[4];
    }
}
