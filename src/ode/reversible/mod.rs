//! Reversible methods for ordinary equations: steps that can be taken back algebraically, so that gradients need
//! neither stored states nor an equation run backwards ([`ReversibleAdjoint`](crate::adjoint::ReversibleAdjoint)).
//!
//! [`Coupled`] makes any explicit Runge–Kutta method reversible, at its order. With Ψ_h(t, y) = h Σ b_i k_i the
//! increment of the base method, and z carried beside the solution y, z₀ = y₀,
//!
//! y_{n+1} = λ y_n + (1 − λ) z_n + Ψ_h(t_n, z_n),   z_{n+1} = z_n − Ψ_{−h}(t_{n+1}, y_{n+1}),
//!
//! whose inverse evaluates the same two increments in the other order:
//!
//! z_n = z_{n+1} + Ψ_{−h}(t_{n+1}, y_{n+1}),   y_n = z_n + (y_{n+1} − z_n − Ψ_h(t_n, z_n))/λ
//!
//! (McCallum & Foster, *Efficient, accurate and stable gradients for neural ODEs*, arXiv:2410.11648). The
//! coupling λ ∈ (0, 1] pulls y and z together; going back pushes them apart by 1/λ a step, so rounding grows by
//! λ^−N over N steps. The error estimate is the base method's own, of Ψ_h(t_n, z_n).
//!
//! [`AsynchronousLeapfrog`] (ALF) carries v ≈ y' and evaluates f once a step:
//!
//! k = y_n + ½h v_n,  u = f(t_n + ½h, k),  v_{n+1} = (1 − 2η) v_n + 2η u,  y_{n+1} = k + ½h v_{n+1}
//!
//! (Zhuang, Dvornek, Tatikonda & Duncan, *MALI: a memory efficient and reverse accurate integrator for neural ODEs*,
//! ICLR 2021, algorithm 2). Order 2 undamped, η = 1; damped, v keeps an error of h y''(1 − η)/2η and the order
//! is 1. The estimate is the difference to Euler's step, h(u − v_n).
//!
//! The steppers' state holds the solution and then what is carried, `dim × 2·batch`. [`solve`](super::solve) and
//! `ReversibleAdjoint` hide the second half; who drives a stepper otherwise (`DiscreteAdjoint`, `Solver`) gives y₀
//! twice and reads the first half of every state.

mod coupled;
mod coupled_back;
mod euler;
mod leapfrog;

pub use coupled::CoupledStepper;
pub use leapfrog::LeapfrogStepper;

use super::solve::StepMethod;
use super::tableau::ExplicitRk;
use crate::dynamics::Dynamics;
use crate::error::{Error, Result};
use crate::num::Real;

/// The explicit method `M` made reversible.
///
/// ```
/// use odeon::adjoint::ReversibleAdjoint;
/// use odeon::dynamics::{gallery::LotkaVolterra, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::{StepMethod, reversible::Coupled, tableaux::Tsit5};
///
/// let f = Generic(LotkaVolterra);
/// let mut adjoint = ReversibleAdjoint::new(Coupled::new(Tsit5).stepper(&f, 1));
/// let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 2.0], theta: &LotkaVolterra::THETA };
/// adjoint.value_and_gradient(&problem, &Options::tol(1e-6, 1e-6), &mut [], |solution, y_bar| {
///     y_bar[0] = 1.0; // the loss is y₁(2)
///     Ok(solution.last()[0])
/// })?;
/// assert_eq!(adjoint.theta_gradient().len(), 4);
/// assert!(adjoint.drift() < 1e-12);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coupled<M> {
    base: M,
    coupling: f64,
}

impl<M: ExplicitRk> Coupled<M> {
    /// `base` made reversible, with λ = 0.999.
    pub fn new(base: M) -> Self {
        Self { base, coupling: 0.999 }
    }

    /// With another coupling λ.
    ///
    /// # Errors
    /// λ outside (0, 1].
    pub fn coupling(self, lambda: f64) -> Result<Self> {
        if lambda > 0.0 && lambda <= 1.0 {
            return Ok(Self { coupling: lambda, ..self });
        }
        Err(Error::invalid("the coupling λ of a reversible method", lambda, "it must lie in (0, 1]"))
    }
}

impl<T: Real, D: Dynamics<T>, M: ExplicitRk> StepMethod<T, D> for Coupled<M> {
    type Stepper<'a>
        = CoupledStepper<'a, T, D>
    where
        D: 'a;

    const CARRIED: usize = 2;

    fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> CoupledStepper<'a, T, D> {
        CoupledStepper::new(dynamics, &self.base, batch, self.coupling)
    }

    fn has_error(&self) -> bool {
        !self.base.tableau().error.is_empty()
    }
}

/// The asynchronous leapfrog method: reversible, order 2 (1 where damped), one evaluation a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AsynchronousLeapfrog {
    damping: f64,
}

impl Default for AsynchronousLeapfrog {
    /// Undamped: η = 1.
    fn default() -> Self {
        Self { damping: 1.0 }
    }
}

impl AsynchronousLeapfrog {
    /// With η < 1: 2η − 1 is what is left in a step of the difference between v and y', and what the way back divides
    /// by.
    ///
    /// # Errors
    /// η outside (½, 1].
    pub fn damped(eta: f64) -> Result<Self> {
        if eta > 0.5 && eta <= 1.0 {
            return Ok(Self { damping: eta });
        }
        Err(Error::invalid("the damping η of the asynchronous leapfrog", eta, "it must lie in (½, 1]"))
    }
}

impl<T: Real, D: Dynamics<T>> StepMethod<T, D> for AsynchronousLeapfrog {
    type Stepper<'a>
        = LeapfrogStepper<'a, T, D>
    where
        D: 'a;

    const CARRIED: usize = 2;

    fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> LeapfrogStepper<'a, T, D> {
        LeapfrogStepper::new(dynamics, batch, self.damping)
    }

    fn has_error(&self) -> bool {
        true
    }
}
