//! [`MinRes`]: the minimal residual method for symmetric, possibly indefinite operators.

use super::{LinearOperator, Preconditioner};
use super::{Monitor, Outcome, Report, Settings, check_new, check_square, require_spd, true_residual};
use crate::error::Result;
use crate::linalg::vector::{axpy, combine, dot, norm2, scale};
use crate::num::Real;

/// MINRES for A symmetric, definite or not (Paige and Saunders, SIAM J. Numer. Anal. 12, 1975), with an
/// SPD preconditioner: x_k minimises ‖b − A x‖ in the norm of M⁻¹ over x₀ + K_k(M⁻¹A, M⁻¹r₀).
///
/// With a preconditioner the recurrence knows ‖r‖ in the norm of M⁻¹ alone; the history holds it scaled
/// to agree with ‖r‖₂ where that was computed last.
#[derive(Clone, Debug)]
pub struct MinRes<T> {
    n: usize,
    settings: Settings,
    /// The Lanczos vectors v_k and v_{k−1}, z = M⁻¹ v_k, and room for the next one.
    v: Vec<T>,
    before: Vec<T>,
    z: Vec<T>,
    next: Vec<T>,
    /// The directions d_{k−1} and d_{k−2}.
    d: Vec<T>,
    d_before: Vec<T>,
}

/// The scalars of the recurrence.
struct State {
    /// Lanczos' β_k = ‖v_k‖ before scaling.
    beta: f64,
    /// ‖r‖ in the norm of M⁻¹, with the rotations' sign.
    eta: f64,
    /// The last two rotations.
    cosines: [f64; 2],
    sines: [f64; 2],
}

impl<T: Real> MinRes<T> {
    /// MINRES for `n` unknowns.
    ///
    /// # Errors
    /// n = 0, unusable settings.
    pub fn new(n: usize, settings: Settings) -> Result<Self> {
        check_new(n, &settings)?;
        let zeros = || vec![T::zero(); n];
        Ok(Self {
            n,
            settings,
            v: zeros(),
            before: zeros(),
            z: zeros(),
            next: zeros(),
            d: zeros(),
            d_before: zeros(),
        })
    }

    /// Solves A x = `b` from the guess in `x`.
    ///
    /// # Errors
    /// Lengths that do not fit, entries that are not finite, a preconditioner that does not claim to be
    /// SPD.
    pub fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        check_square(self.n, a, m)?;
        require_spd("MINRES", m, "flexible GMRES (Gmres::flexible) takes any")?;
        let mut monitor = Monitor::begin(&self.settings, self.n, b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        let truth = true_residual(a, [b, x], &mut self.next, &mut monitor);
        let mut ended = monitor.verify(truth);
        while !ended {
            ended = self.cycle(a, m, b, x, &mut monitor);
        }
        Ok(monitor.finish())
    }

    /// Iterates from the true residual in `next` until the solve ends (true) or the recurrence has lost
    /// touch with the truth, whose residual is then in `next` (false).
    fn cycle<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T], monitor: &mut Monitor) -> bool
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        self.v.fill(T::zero());
        self.d.fill(T::zero());
        self.d_before.fill(T::zero());
        let mut state = State { beta: 0.0, eta: 0.0, cosines: [1.0; 2], sines: [0.0; 2] };
        let mut truth = norm2(&self.next);
        // The recurrence's norm is that of M⁻¹; this scales it to the 2-norm.
        let mut factor = 1.0;
        let mut contradictions = 0;
        let begun = self.shift(m, monitor).map(|beta| {
            (state.beta, state.eta) = (beta, beta);
            factor = truth / beta;
        });
        if let Err(outcome) = begun {
            monitor.stop(outcome);
            return monitor.verify(truth);
        }
        loop {
            match self.iterate(a, m, &mut state, x, monitor) {
                Ok(()) => {
                    let seen = factor * state.eta.abs();
                    if !monitor.observe(seen) {
                        continue;
                    }
                    contradictions += usize::from(seen <= monitor.target());
                }
                Err(outcome) => monitor.stop(outcome),
            }
            truth = true_residual(a, [b, x], &mut self.next, monitor);
            if monitor.verify(truth) {
                return true;
            }
            if contradictions == 2 || state.beta == 0.0 || state.eta == 0.0 {
                return false;
            }
            factor = truth / state.eta.abs();
        }
    }

    /// Makes the vector in `next` the present Lanczos vector, of unit length in the norm of M⁻¹; returns
    /// its length before.
    fn shift<M>(&mut self, m: &mut M, monitor: &mut Monitor) -> Result<f64, Outcome>
    where
        M: Preconditioner<T> + ?Sized,
    {
        std::mem::swap(&mut self.before, &mut self.v);
        std::mem::swap(&mut self.v, &mut self.next);
        let beta = if m.is_identity() {
            norm2(&self.v)
        } else {
            m.apply(&self.v, &mut self.z);
            monitor.preconditioned(1);
            let square = dot(&self.v, &self.z);
            if square < 0.0 || (square == 0.0 && norm2(&self.v) > 0.0) {
                return Err(Outcome::IndefinitePreconditioner);
            }
            square.sqrt()
        };
        if !beta.is_finite() {
            return Err(Outcome::NonFinite);
        }
        if beta > 0.0 {
            scale(1.0 / beta, &mut self.v);
            if !m.is_identity() {
                scale(1.0 / beta, &mut self.z);
            }
        }
        Ok(beta)
    }

    /// One iteration: a Lanczos step, its rotations, the new direction and iterate (Elman, Silvester and
    /// Wathen, Finite Elements and Fast Iterative Solvers, Algorithm 4.1).
    fn iterate<A, M>(
        &mut self,
        a: &A,
        m: &mut M,
        state: &mut State,
        x: &mut [T],
        monitor: &mut Monitor,
    ) -> Result<(), Outcome>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        let plain = m.is_identity();
        let z = if plain { &self.v } else { &self.z };
        let alpha = a.apply_dot(z, &mut self.next);
        monitor.applied(1);
        if !alpha.is_finite() {
            return Err(Outcome::NonFinite);
        }
        combine(-alpha, &self.v, -state.beta, &self.before, 1.0, &mut self.next);
        // z is overwritten with that of the next vector: its part of the direction first.
        let ([c, c_before], [s, s_before]) = (state.cosines, state.sines);
        let above = s * alpha + c_before * c * state.beta;
        let two_above = s_before * state.beta;
        std::mem::swap(&mut self.d, &mut self.d_before);
        combine(1.0, z, -above, &self.d_before, -two_above, &mut self.d);
        let diagonal = c * alpha - c_before * s * state.beta;
        let beta = self.shift(m, monitor)?;
        let rho = diagonal.hypot(beta);
        if rho == 0.0 {
            return Err(Outcome::Breakdown);
        }
        scale(1.0 / rho, &mut self.d);
        state.cosines = [diagonal / rho, c];
        state.sines = [beta / rho, s];
        axpy(state.cosines[0] * state.eta, &self.d, x);
        state.eta *= -state.sines[0];
        state.beta = beta;
        Ok(())
    }
}
