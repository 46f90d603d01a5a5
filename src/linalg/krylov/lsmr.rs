//! [`Lsmr`]: least squares by the Golub–Kahan process, as MINRES on AᵀA would do it.

use super::bidiagonal::{Bidiagonal, Coefficients, Norms, Recurrence};
use super::{LinearOperator, Preconditioner, Report, Settings};
use crate::error::Result;
use crate::linalg::vector::{axpy, xpby};
use crate::num::Real;

/// LSMR (Fong and Saunders, SIAM J. Sci. Comput. 33, 2011): as [`Lsqr`](super::Lsqr), but ‖Aᵀr‖ falls
/// monotonically, because the iterates are those of MINRES on AᵀA x = Aᵀb. It may be stopped earlier
/// with a good answer to a least-squares problem.
#[derive(Clone, Debug)]
pub struct Lsmr<T> {
    process: Bidiagonal<T>,
    recurrence: Rotations<T>,
}

/// Two QR factorisations, one rotation each a step; letters as in the paper (section 5 for ‖r‖).
#[derive(Clone, Debug)]
struct Rotations<T> {
    h: Vec<T>,
    h_bar: Vec<T>,
    s: Scalars,
}

#[derive(Clone, Copy, Debug, Default)]
struct Scalars {
    alpha_bar: f64,
    zeta: f64,
    zeta_bar: f64,
    rho: f64,
    rho_bar: f64,
    c_bar: f64,
    s_bar: f64,
    beta_double_dot: f64,
    beta_dot: f64,
    rho_dot: f64,
    tau_tilde: f64,
    theta_tilde: f64,
}

impl<T: Real> Recurrence<T> for Rotations<T> {
    fn begin(&mut self, beta: f64, alpha: f64, v: &[T]) {
        self.h.copy_from_slice(v);
        self.h_bar.fill(T::zero());
        self.s = Scalars {
            alpha_bar: alpha,
            zeta_bar: alpha * beta,
            rho: 1.0,
            rho_bar: 1.0,
            c_bar: 1.0,
            beta_double_dot: beta,
            rho_dot: 1.0,
            ..Scalars::default()
        };
    }

    fn step(&mut self, k: Coefficients, v: &[T], y: &mut [T]) -> Norms {
        let s = &mut self.s;
        let rho = s.alpha_bar.hypot(k.beta);
        if rho == 0.0 {
            return Norms { residual: s.beta_double_dot.hypot(s.beta_dot), normal: 0.0 };
        }
        let (c, sine) = (s.alpha_bar / rho, k.beta / rho);
        let theta = sine * k.alpha;
        s.alpha_bar = c * k.alpha;
        let theta_bar = s.s_bar * rho;
        let rho_bar = (s.c_bar * rho).hypot(theta);
        let (rho_before, rho_bar_before, zeta_before) = (s.rho, s.rho_bar, s.zeta);
        (s.c_bar, s.s_bar) = (s.c_bar * rho / rho_bar, theta / rho_bar);
        (s.rho, s.rho_bar) = (rho, rho_bar);
        s.zeta = s.c_bar * s.zeta_bar;
        s.zeta_bar *= -s.s_bar;
        xpby(&self.h, -theta_bar * rho / (rho_before * rho_bar_before), &mut self.h_bar);
        axpy(s.zeta / (rho * rho_bar), &self.h_bar, y);
        xpby(v, -theta / rho, &mut self.h);
        let residual = s.residual(c, sine, theta_bar, zeta_before);
        Norms { residual, normal: s.zeta_bar.abs() }
    }
}

impl Scalars {
    /// ‖r‖ (Fong and Saunders, equations 5.1 to 5.4 without damping).
    fn residual(&mut self, c: f64, sine: f64, theta_bar: f64, zeta_before: f64) -> f64 {
        let beta_hat = c * self.beta_double_dot;
        self.beta_double_dot *= -sine;
        let rho_tilde = self.rho_dot.hypot(theta_bar);
        let (c_tilde, s_tilde) = (self.rho_dot / rho_tilde, theta_bar / rho_tilde);
        let theta_tilde_before = self.theta_tilde;
        self.theta_tilde = s_tilde * self.rho_bar;
        self.rho_dot = c_tilde * self.rho_bar;
        self.beta_dot = c_tilde * beta_hat - s_tilde * self.beta_dot;
        self.tau_tilde = (zeta_before - theta_tilde_before * self.tau_tilde) / rho_tilde;
        let tau_dot = (self.zeta - self.theta_tilde * self.tau_tilde) / self.rho_dot;
        (self.beta_dot - tau_dot).hypot(self.beta_double_dot)
    }
}

impl<T: Real> Lsmr<T> {
    /// LSMR for matrices of this shape, [rows, columns].
    ///
    /// # Errors
    /// An empty shape, unusable settings.
    pub fn new(shape: [usize; 2], settings: Settings) -> Result<Self> {
        let process = Bidiagonal::new(shape, settings)?;
        let zeros = || vec![T::zero(); shape[1]];
        Ok(Self { process, recurrence: Rotations { h: zeros(), h_bar: zeros(), s: Scalars::default() } })
    }

    /// Minimises ‖`b` − A x‖ from the guess in `x`.
    ///
    /// # Errors
    /// As [`Lsqr::solve`](super::Lsqr::solve).
    pub fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        self.process.solve(&mut self.recurrence, a, m, b, x)
    }
}
