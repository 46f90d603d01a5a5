//! [`GaussNewton`]: products with JᵀWJ + μI, J the Jacobian of the saved states with respect to θ, for least
//! squares with more parameters than [`normal_matrix`](super::ForwardSensitivity::normal_matrix) can form a
//! matrix of.
//!
//! Jv is one tangent along the frozen steps, Jᵀw one discrete adjoint of them: a product costs a few solves,
//! whatever the number of parameters, and no matrix. With W = diag(w) and the loss Σ w (y − data)²/2 it is the
//! Gauss–Newton part of the Hessian; μ > 0 makes it Levenberg's and Marquardt's (Nocedal & Wright, *Numerical
//! Optimization*, 2nd ed., ch. 10).

use super::checkpoint::Memory;
use super::discrete::DiscreteAdjoint;
use super::forward::carry;
use crate::dynamics::{Dynamics, check_shapes};
use crate::error::{Error, Result};
use crate::integrate::{Options, Problem, Solution};
use crate::num::Real;
use crate::ode::ExplicitStepper;
use crate::ode::tableau::{ExplicitRk, Tableau};

/// Products with JᵀWJ + μI at the solution of a problem.
///
/// ```
/// use odeon::adjoint::{GaussNewton, Memory};
/// use odeon::dynamics::{gallery::LotkaVolterra, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::tableaux::Tsit5;
///
/// let f = Generic(LotkaVolterra);
/// let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 2.0], theta: &LotkaVolterra::THETA };
/// let options = Options::tol(1e-8, 1e-8).save_at(vec![1.0, 2.0]);
/// let mut newton = GaussNewton::new(&f, &Tsit5, &problem, &options, Memory::Unlimited)?;
/// let mut product = [0.0; 4];
/// newton.product(&[1.0, 0.0, 0.0, 0.0], &[], 0.0, &mut product)?;
/// assert!(product[0] > 0.0);
/// # Ok::<(), odeon::Error>(())
/// ```
pub struct GaussNewton<'a, T: Real, D: Dynamics<T>> {
    dynamics: &'a D,
    tableau: Tableau,
    y0: Vec<T>,
    theta: Vec<T>,
    options: Options<T>,
    adjoint: DiscreteAdjoint<T, ExplicitStepper<'a, T, D>>,
    recorded: Solution<T>,
}

impl<'a, T: Real, D: Dynamics<T>> GaussNewton<'a, T, D> {
    /// Solves `problem`, whose saved states are the model's predictions, within `memory` for the reverse.
    ///
    /// # Errors
    /// Inputs that do not fit, a mass matrix, or a solve that stops early.
    pub fn new(
        dynamics: &'a D,
        method: &impl ExplicitRk,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        memory: Memory,
    ) -> Result<Self> {
        let batch = check_shapes(dynamics, problem.y0, problem.theta)?;
        let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(dynamics, method, batch), memory);
        let recorded = adjoint.forward(problem, options, &mut [])?.clone();
        Ok(Self {
            dynamics,
            tableau: method.tableau().clone(),
            y0: problem.y0.to_vec(),
            theta: problem.theta.to_vec(),
            options: options.clone(),
            adjoint,
            recorded,
        })
    }

    /// The solution.
    pub fn solution(&self) -> &Solution<T> {
        &self.recorded
    }

    fn problem(&self) -> Problem<'_, T> {
        let ends = self.recorded.steps.first().zip(self.recorded.steps.last());
        let span = ends.map_or([T::zero(); 2], |(first, last)| [first.t, last.t1]);
        Problem { y0: &self.y0, span, theta: &self.theta }
    }

    /// Jᵀ`y_bar`: the gradient with respect to θ of a loss with these cotangents of the saved states.
    ///
    /// # Errors
    /// Cotangents of the wrong length, or a gradient that is not finite.
    pub fn transposed(&mut self, y_bar: &[T]) -> Result<&[T]> {
        let problem = Problem { y0: &self.y0, span: self.problem().span, theta: &self.theta };
        self.adjoint.replay(&problem, &self.recorded, &self.options, &mut [])?;
        self.adjoint.reverse(y_bar, &[], &mut [])?;
        Ok(self.adjoint.theta_gradient())
    }

    /// `out` ← (JᵀWJ + `damping`·I) `v`, W the diagonal of `weights`, one for each saved number (empty for the
    /// identity).
    ///
    /// # Errors
    /// Lengths that do not fit, or a product that is not finite.
    pub fn product(&mut self, v: &[T], weights: &[T], damping: T, out: &mut [T]) -> Result<()> {
        let p = self.theta.len();
        Error::check_len("the direction", v.len(), p, "the parameters")?;
        Error::check_len("the product", out.len(), p, "the parameters")?;
        Error::check_finite("the direction", v)?;
        if !weights.is_empty() {
            let why = "one for each saved number";
            Error::check_len("the weights", weights.len(), self.recorded.y.len(), why)?;
        }
        let still = vec![T::zero(); self.y0.len()];
        let directions = (1, &still[..], v);
        let (mut tangent, _) =
            carry(self.dynamics, &self.tableau, &self.problem(), &self.recorded, directions)?;
        tangent.iter_mut().zip(weights).for_each(|(t, w)| *t *= *w);
        out.copy_from_slice(self.transposed(&tangent)?);
        out.iter_mut().zip(v).for_each(|(out, v)| *out = damping.mul_add(*v, *out));
        Ok(())
    }
}
