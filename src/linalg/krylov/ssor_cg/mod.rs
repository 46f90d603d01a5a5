//! [`SsorCg`]: conjugate gradients preconditioned by SSOR, for two triangular solves an iteration.
//!
//! With D^−½ A D^−½ = I + L + Lᵀ, C = I/ω + L and M ∝ C Cᵀ, PCG on A is CG on C⁻¹(I + L + Lᵀ)C⁻ᵀ, and because
//! I + L + Lᵀ = C + Cᵀ + (1 − 2/ω) I no product with A is needed:
//!
//! ```text
//! t = C⁻ᵀ p̃,  w = C⁻¹(p̃ + (1 − 2/ω) t),  C⁻¹(I + L + Lᵀ)C⁻ᵀ p̃ = t + w
//! ```
//!
//! (S. C. Eisenstat, *Efficient implementation of a class of preconditioned conjugate gradient methods*, SIAM J.
//! Sci. Stat. Comput. 2, 1981, 1–4). Iterates are those of [`Cg`](super::Cg) with
//! [`Ssor`](crate::linalg::precondition::Ssor), to rounding.
//!
//! The recurrence is in r̃ = C⁻¹D^−½ r, but a solve stops on r: ‖r‖² = ‖D^½ C r̃‖² is summed in the pass that
//! updates r̃, for half a product an iteration that reads nothing from memory twice. A claim of convergence is checked with b − A x.
//!
//! Unknowns are swept by levels (`levels.rs`) where these are diagonals of the matrix, as on grids; each level is
//! then a vectorised loop. Other matrices are swept by rows, one unknown after the other.

mod bands;
mod levels;
mod matrix;
mod pattern;
mod rows;
mod schedule;
mod sweeps;
mod triangles;

pub use matrix::Matrix;

use super::{LinearOperator, Monitor, Outcome, Report, Settings, check_new, true_residual};
use crate::error::{Error, Result};
use crate::linalg::relax::setup;
use crate::linalg::vector::{axpy, norm_squared};
use crate::num::Real;
use triangles::{Triangles, Vectors};

/// CG preconditioned by SSOR, M = (D + ωL) D⁻¹ (D + ωLᵀ)/(ω(2 − ω)), A = D + L + Lᵀ symmetric positive definite:
/// the iterates of [`Cg`](super::Cg) with [`Ssor`](crate::linalg::precondition::Ssor) for about half of the work.
///
/// It is set up from the entries of a matrix, another [`set_omega`](Self::set_omega) is free. The outcomes of a
/// matrix that is not positive definite are those of [`Cg`](super::Cg). In a report `preconditions` counts the
/// iterations (two triangular solves each), `applications` the products for true residuals.
///
/// ```
/// use odeon::linalg::krylov::{Matrix, SsorCg};
/// use odeon::linalg::{Settings, model};
///
/// let a = Matrix::from(model::poisson_2d::<f64>([30, 30])?);
/// let mut cg = SsorCg::new(&a, 1.7, Settings::tol(1e-8))?;
/// let mut x = vec![0.0; 900];
/// let report = cg.solve(&a, &vec![1.0; 900], &mut x)?;
/// assert!(report.converged() && report.iterations < 30); // 58 without a preconditioner
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SsorCg<T> {
    n: usize,
    settings: Settings,
    omega: f64,
    triangles: Triangles<T>,
    v: Vectors<T>,
    /// b − A x, in the order of the unknowns.
    residual: Vec<T>,
}

fn triangles<T: Real>(a: &Matrix<T>) -> Result<Triangles<T>> {
    match a {
        Matrix::Csr(a) => Triangles::of_matrix(a),
        Matrix::Stencil(a) => Triangles::of_stencil(a),
    }
}

impl<T: Real> SsorCg<T> {
    /// With relaxation ω.
    ///
    /// # Errors
    /// A matrix that is not square, symmetric with a positive diagonal (the place is named), or is empty; ω
    /// outside (0, 2); unusable settings.
    pub fn new(a: &Matrix<T>, omega: f64, settings: Settings) -> Result<Self> {
        setup::check_omega(omega)?;
        let n = a.square()?;
        check_new(n, &settings)?;
        let triangles = triangles(a)?;
        let v = Vectors::new(triangles.places());
        Ok(Self { n, settings, omega, triangles, v, residual: vec![T::zero(); n] })
    }

    /// For another matrix of the same size, with the ω it has. One of the same pattern (a 5-point stencil on the same
    /// points) is taken in one pass and allocates nothing.
    ///
    /// # Errors
    /// As [`new`](Self::new); another number of rows. The solver is then what it was.
    pub fn refill(&mut self, a: &Matrix<T>) -> Result<()> {
        Error::check_len("the new matrix", a.square()?, self.n, "the rows of the first one")?;
        let taken = match a {
            Matrix::Csr(a) => self.triangles.refill(a)?,
            Matrix::Stencil(a) => self.triangles.refill_stencil(a)?,
        };
        if !taken {
            self.triangles = triangles(a)?;
            self.v = Vectors::new(self.triangles.places());
        }
        Ok(())
    }

    /// Changes ω; costs nothing.
    ///
    /// # Errors
    /// ω outside (0, 2).
    pub fn set_omega(&mut self, omega: f64) -> Result<()> {
        setup::check_omega(omega)?;
        self.omega = omega;
        Ok(())
    }

    /// Other settings for the next solve; those in force must have been checked.
    pub(crate) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Solves A x = `b` from the guess in `x`. `a` is the matrix it was set up for, in any form: it is applied for
    /// true residuals alone.
    ///
    /// # Errors
    /// Lengths that do not fit, entries that are not finite.
    pub fn solve<A>(&mut self, a: &A, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
    {
        if [a.rows(), a.cols()] != [self.n; 2] {
            let needed = format!("this method was built for {0} × {0}", self.n);
            return Err(Error::invalid("the operator", format!("{} × {}", a.rows(), a.cols()), needed));
        }
        let mut monitor = Monitor::begin(&self.settings, self.n, b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        let norm = true_residual(a, [b, x], &mut self.residual, &mut monitor);
        let mut ended = monitor.verify(norm);
        self.v.p.fill(T::zero());
        self.v.x.fill(T::zero());
        // (r̃ᵀr̃ of the last direction, none at first.)
        let mut last = f64::INFINITY;
        while !ended {
            let mut rho = self.replace();
            // The step along p̃ that x̃ has not taken yet.
            let mut alpha = 0.0;
            loop {
                match self.iterate(alpha, rho, last) {
                    Ok((step, next, square)) => {
                        (alpha, last, rho) = (step, rho, next);
                        monitor.preconditioned(1);
                        if monitor.observe(square.sqrt()) {
                            break;
                        }
                    }
                    Err(outcome) => {
                        alpha = 0.0;
                        monitor.stop(outcome);
                        break;
                    }
                }
            }
            self.settle(alpha, x);
            let norm = true_residual(a, [b, x], &mut self.residual, &mut monitor);
            ended = monitor.verify(norm);
        }
        Ok(monitor.finish())
    }

    /// r̃ ← C⁻¹D^−½ r from the true residual; r̃ᵀr̃.
    fn replace(&mut self) -> f64 {
        let Self { triangles, v, omega, .. } = self;
        // Behind the levels too: a solve that ended in NaN has left some there.
        v.r.fill(T::zero());
        triangles.enter(&self.residual, &mut v.r);
        v.t.fill(T::zero());
        triangles.forward(*omega, &v.r, &v.t, &mut v.w);
        std::mem::swap(&mut v.r, &mut v.w);
        norm_squared(&v.r)
    }

    /// x̃ += α p̃ for the last α, the next p̃, and the step of r̃ along it: its α, r̃ᵀr̃ and ‖r‖². `rho` is the present
    /// r̃ᵀr̃, `last` that of the last direction.
    fn iterate(&mut self, alpha: f64, rho: f64, last: f64) -> Result<(f64, f64, f64), Outcome> {
        let Self { triangles, v, omega, residual, .. } = self;
        if !rho.is_finite() {
            axpy(alpha, &v.p, &mut v.x);
            return Err(Outcome::NonFinite);
        }
        triangles.advance(*omega, [alpha, rho / last], v);
        let curvature = triangles.forward(*omega, &v.p, &v.t, &mut v.w);
        if curvature <= 0.0 {
            // D^−½ t is the direction in the unknowns of A.
            residual.fill(T::zero());
            triangles.leave(&v.t, residual);
            let square = norm_squared(residual);
            return Err(if square > 0.0 {
                Outcome::Indefinite { curvature: curvature / square }
            } else {
                Outcome::Breakdown
            });
        }
        let step = rho / curvature;
        if !step.is_finite() {
            return Err(Outcome::NonFinite);
        }
        let [next, square] = triangles.update(*omega, step, v);
        Ok((step, next, square))
    }

    /// `x` += D^−½ C⁻ᵀ (x̃ + α p̃), x̃ ← 0.
    fn settle(&mut self, alpha: f64, x: &mut [T]) {
        let Self { triangles, v, omega, .. } = self;
        axpy(alpha, &v.p, &mut v.x);
        triangles.solve_upper(*omega, &mut v.x, &mut v.t);
        triangles.leave(&v.t, x);
        v.x.fill(T::zero());
    }
}
