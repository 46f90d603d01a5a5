//! [`BiCgStab`]: the stabilised bi-conjugate gradient method.

use super::{LinearOperator, Preconditioner};
use super::{Monitor, Outcome, Report, Settings, check_new, check_square, require_linear, true_residual};
use crate::error::Result;
use crate::linalg::vector::{axpy, axpy_dots, axpy_norm_squared, combine, dot, dot2, norm2};
use crate::num::Real;

/// How often a vanishing rᵀr̂ is cured by a new shadow residual.
const RESTARTS: usize = 10;

/// BiCGStab for any square A (van der Vorst, SIAM J. Sci. Stat. Comput. 13, 1992), preconditioned from
/// the right, so that its residual is that of the system. Memory does not grow; an iteration applies A
/// and M twice. When r becomes orthogonal to the shadow residual r̂, r̂ ← r and the search starts anew.
#[derive(Clone, Debug)]
pub struct BiCgStab<T> {
    n: usize,
    settings: Settings,
    r: Vec<T>,
    shadow: Vec<T>,
    p: Vec<T>,
    /// A M⁻¹ p and A M⁻¹ s.
    v: Vec<T>,
    t: Vec<T>,
    /// M⁻¹ p and M⁻¹ s.
    p_hat: Vec<T>,
    s_hat: Vec<T>,
}

/// What an iteration hands to the next.
#[derive(Clone, Copy)]
struct State {
    /// r̂ᵀr.
    rho: f64,
    /// The factor of p in the next direction, and ω.
    beta: f64,
    omega: f64,
    /// Whether the search has to start anew from the true residual.
    lost: bool,
}

impl<T: Real> BiCgStab<T> {
    /// BiCGStab for `n` unknowns.
    ///
    /// # Errors
    /// n = 0, unusable settings.
    pub fn new(n: usize, settings: Settings) -> Result<Self> {
        check_new(n, &settings)?;
        let zeros = || vec![T::zero(); n];
        Ok(Self {
            n,
            settings,
            r: zeros(),
            shadow: zeros(),
            p: zeros(),
            v: zeros(),
            t: zeros(),
            p_hat: zeros(),
            s_hat: zeros(),
        })
    }

    /// Takes another relative tolerance, for sequences of solves that need one each (forcing terms).
    pub(crate) fn set_tolerance(&mut self, rtol: f64) {
        self.settings.rtol = rtol;
    }

    /// Solves A x = `b` from the guess in `x`.
    ///
    /// # Errors
    /// Lengths that do not fit, entries that are not finite, a preconditioner that is not linear.
    pub fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        check_square(self.n, a, m)?;
        require_linear("BiCGStab", m)?;
        let mut monitor = Monitor::begin(&self.settings, self.n, b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        let mut norm = true_residual(a, [b, x], &mut self.r, &mut monitor);
        let mut ended = monitor.verify(norm);
        let mut state = self.restart(norm);
        let mut restarts = 0;
        while !ended {
            match self.iterate(a, m, &mut state, x, &mut monitor) {
                Ok(norm) => {
                    if !monitor.observe(norm) {
                        continue;
                    }
                }
                Err(Outcome::Breakdown) if restarts < RESTARTS => {
                    restarts += 1;
                    state.lost = true;
                }
                Err(outcome) => monitor.stop(outcome),
            }
            norm = true_residual(a, [b, x], &mut self.r, &mut monitor);
            ended = monitor.verify(norm);
            if state.lost {
                state = self.restart(norm);
            } else {
                state.rho = dot(&self.shadow, &self.r);
            }
        }
        Ok(monitor.finish())
    }

    /// r̂ ← r, no earlier direction.
    fn restart(&mut self, norm: f64) -> State {
        self.shadow.copy_from_slice(&self.r);
        self.p.fill(T::zero());
        self.v.fill(T::zero());
        State { rho: norm * norm, beta: 0.0, omega: 0.0, lost: false }
    }

    /// One iteration; returns the recurrence's new ‖r‖.
    fn iterate<A, M>(
        &mut self,
        a: &A,
        m: &mut M,
        state: &mut State,
        x: &mut [T],
        monitor: &mut Monitor,
    ) -> Result<f64, Outcome>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        let State { rho, beta, omega, .. } = *state;
        if rho == 0.0 {
            return Err(Outcome::Breakdown);
        }
        combine(1.0, &self.r, -beta * omega, &self.v, beta, &mut self.p);
        through(a, m, &self.p, &mut self.p_hat, &mut self.v, monitor);
        let alpha = rho / dot(&self.shadow, &self.v);
        if !alpha.is_finite() {
            return Err(if norm2(&self.v).is_finite() { Outcome::Breakdown } else { Outcome::NonFinite });
        }
        let half = axpy_norm_squared(-alpha, &self.v, &mut self.r).sqrt();
        if half <= monitor.target() {
            axpy(alpha, hat(m, &self.p, &self.p_hat), x);
            state.lost = true;
            return Ok(half);
        }
        through(a, m, &self.r, &mut self.s_hat, &mut self.t, monitor);
        let [square, product] = dot2(&self.t, &self.t, &self.r);
        let omega = product / square;
        if !omega.is_finite() || omega == 0.0 {
            // x takes the half step that r has taken; the direction is lost.
            axpy(alpha, hat(m, &self.p, &self.p_hat), x);
            return Err(if square.is_finite() { Outcome::Breakdown } else { Outcome::NonFinite });
        }
        let (p_hat, s_hat) = (hat(m, &self.p, &self.p_hat), hat(m, &self.r, &self.s_hat));
        combine(alpha, p_hat, omega, s_hat, 1.0, x);
        let [square, next] = axpy_dots(-omega, &self.t, &mut self.r, &self.shadow);
        *state = State { rho: next, beta: next / rho * (alpha / omega), omega, lost: false };
        Ok(square.sqrt())
    }
}

/// `z` ← M⁻¹ `y` (unless M = I), `w` ← A M⁻¹ `y`.
fn through<T, A, M>(a: &A, m: &mut M, y: &[T], z: &mut [T], w: &mut [T], monitor: &mut Monitor)
where
    T: Real,
    A: LinearOperator<T> + ?Sized,
    M: Preconditioner<T> + ?Sized,
{
    monitor.applied(1);
    if m.is_identity() {
        return a.apply(y, w);
    }
    m.apply(y, z);
    monitor.preconditioned(1);
    a.apply(z, w);
}

/// M⁻¹ y: y itself for M = I.
fn hat<'a, T: Real, M: Preconditioner<T> + ?Sized>(m: &M, y: &'a [T], z: &'a [T]) -> &'a [T] {
    if m.is_identity() { y } else { z }
}
