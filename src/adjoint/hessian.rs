//! [`Hessian`]: products of the Hessian of a loss with directions, forward over reverse.
//!
//! With the tangents S = ∂y/∂(y0, θ)·(ẏ0, θ̇) carried along the frozen steps (see
//! [`ForwardSensitivity`](super::ForwardSensitivity)) the derivative of the loss along the direction is
//! ψ = Σ_i ∇L(y(t_i))ᵀ S(t_i), and the gradient of ψ with respect to (y0, θ) at constant (ẏ0, θ̇) is H·(ẏ0, θ̇)
//! (Pearlmutter, *Fast exact multiplication by the Hessian*, Neural Computation 6, 1994; Griewank & Walther, *Evaluating
//! Derivatives*, ch. 5). ψ is a loss of the variational equation
//!
//! y' = f(t, y; θ),   S' = (∂f/∂y) S + (∂f/∂θ) θ̇,
//!
//! whose discrete adjoint gives that gradient: an explicit method applied to the variational equation is the derivative
//! of the method, so that H is that of the computed solution at frozen steps, to rounding. With cotangents u of y' and w of
//! S' the equation's products are
//!
//! ȳ += (∂f/∂y)ᵀu + ∂φ/∂y,  S̄ += (∂f/∂y)ᵀw,  θ̄ += (∂f/∂θ)ᵀu + ∂φ/∂θ,   φ = wᵀ((∂f/∂y) S + (∂f/∂θ) θ̇),
//!
//! the second-order product φ coming from [`SecondOrder`]. A product costs about four gradients, whatever the numbers of
//! parameters and states, and no matrix.

use super::checkpoint::Memory;
use super::discrete::DiscreteAdjoint;
use super::forward::Variational;
use crate::dynamics::{Dynamics, Point, SecondOrder, Tangent, check_shapes};
use crate::error::{Error, Result};
use crate::integrate::{Options, Problem, Solution};
use crate::num::Real;
use crate::ode::ExplicitStepper;
use crate::ode::tableau::{ExplicitRk, Tableau};

/// The variational equation along one direction, with derivatives.
struct Differentiable<'a, T: Real, D: SecondOrder<T>>(Variational<'a, T, D>);

struct Scratch<T, S, M> {
    inner: S,
    memory: M,
    /// (∂f/∂θ)ᵀw, which is part of no gradient.
    unwanted: Vec<T>,
}

impl<T: Real, D: SecondOrder<T>> Dynamics<T> for Differentiable<'_, T, D> {
    type Scratch = Scratch<T, D::Scratch, D::Memory>;

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn num_params(&self) -> usize {
        self.0.num_params()
    }

    fn scratch(&self, batch: usize) -> Self::Scratch {
        let Variational { dynamics, n, .. } = self.0;
        Scratch {
            inner: self.0.scratch(batch),
            memory: dynamics.memory(n / dynamics.dim()),
            unwanted: vec![T::zero(); dynamics.num_params()],
        }
    }

    fn eval(&self, at: Point<'_, T>, dz: &mut [T], scratch: &mut Self::Scratch) {
        self.0.eval(at, dz, &mut scratch.inner);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dz_bar: &[T],
        z_bar: &mut [T],
        theta_bar: &mut [T],
        Scratch { inner, memory, unwanted }: &mut Self::Scratch,
    ) -> T {
        let Variational { dynamics, n, theta_dots, .. } = self.0;
        let (y, s) = at.y.split_at(n);
        let (u, w) = dz_bar.split_at(n);
        let (y_bar, s_bar) = z_bar.split_at_mut(n);
        let at = Point { y, ..at };
        let t_bar = dynamics.vjp(at, u, y_bar, theta_bar, inner);
        dynamics.vjp(at, w, s_bar, unwanted, inner);
        let along = Tangent { t: T::zero(), y: s, theta: theta_dots };
        t_bar + dynamics.tangent_vjp(at, along, w, y_bar, theta_bar, memory)
    }

    /// NaN: third derivatives are nobody's here.
    fn jvp(&self, _: Point<'_, T>, _: Tangent<'_, T>, dz_dot: &mut [T], _: &mut Self::Scratch) {
        dz_dot.fill(T::NAN);
    }
}

/// What a loss says at the saved states: it is given them and their tangents (each of the layout of `solution().y`), and
/// writes its gradient and the product of its own Hessian with the tangents.
pub type SecondOrderLoss<'l, T> = &'l mut dyn FnMut([&[T]; 2], [&mut [T]; 2]) -> Result<()>;

/// H·(ẏ0, θ̇).
#[derive(Clone, Debug, PartialEq)]
pub struct HessianProduct<T> {
    /// The rows of y0, `dim × batch`.
    pub y0: Vec<T>,
    /// The rows of θ.
    pub theta: Vec<T>,
    /// ψ, the loss's derivative along the direction.
    pub slope: T,
}

/// Products with the Hessian, with respect to (y0, θ), of losses on the saved states of a solve at its frozen steps.
///
/// ```
/// use odeon::adjoint::{Hessian, Memory};
/// use odeon::dynamics::{gallery::LotkaVolterra, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::tableaux::Tsit5;
///
/// let f = Generic(LotkaVolterra);
/// let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 2.0], theta: &LotkaVolterra::THETA };
/// let options = Options::tol(1e-8, 1e-8).save_at(vec![1.0, 2.0]);
/// let hessian = Hessian::new(&f, &Tsit5, &problem, &options, Memory::Unlimited)?;
/// // The loss is Σ y²/2: its gradient is y, its Hessian the identity.
/// let mut loss = |[y, s]: [&[f64]; 2], [gradient, product]: [&mut [f64]; 2]| {
///     gradient.copy_from_slice(y);
///     product.copy_from_slice(s);
///     Ok(())
/// };
/// let along = hessian.product([&[0.0, 0.0], &[1.0, 0.0, 0.0, 0.0]], &mut loss)?;
/// let across = hessian.product([&[0.0, 0.0], &[0.0, 1.0, 0.0, 0.0]], &mut loss)?;
/// assert!((along.theta[1] - across.theta[0]).abs() < 1e-10 * along.theta[1].abs());
/// # Ok::<(), odeon::Error>(())
/// ```
pub struct Hessian<'a, T: Real, D: SecondOrder<T>> {
    dynamics: &'a D,
    tableau: Tableau,
    memory: Memory,
    y0: Vec<T>,
    theta: Vec<T>,
    recorded: Solution<T>,
}

impl<'a, T: Real, D: SecondOrder<T>> Hessian<'a, T, D> {
    /// Solves `problem`; each product keeps within `memory` for its reverse (of states and tangents).
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
        let stepper = ExplicitStepper::new(dynamics, method, batch);
        // A budget for products may be small for a solve that nothing is asked of.
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        let recorded = adjoint.forward(problem, options, &mut [])?.clone();
        Ok(Self {
            dynamics,
            tableau: method.tableau().clone(),
            memory,
            y0: problem.y0.to_vec(),
            theta: problem.theta.to_vec(),
            recorded,
        })
    }

    /// The solution.
    pub fn solution(&self) -> &Solution<T> {
        &self.recorded
    }

    /// H·(ẏ0, θ̇) for `direction` = \[ẏ0, θ̇\] and `loss`.
    ///
    /// # Errors
    /// A direction of the wrong length or that is not finite, one that the right-hand side does not serve
    /// ([`SecondOrder::check_direction`]), a memory budget that is too small, what `loss` returns, or a product that is
    /// not finite.
    pub fn product(
        &self,
        [y_dot, theta_dot]: [&[T]; 2],
        loss: SecondOrderLoss<'_, T>,
    ) -> Result<HessianProduct<T>> {
        let n = self.y0.len();
        Error::check_len("a direction of y0", y_dot.len(), n, "dim × batch")?;
        Error::check_len("a direction of theta", theta_dot.len(), self.theta.len(), "the parameters")?;
        Error::check_finite("a direction of y0", y_dot)?;
        Error::check_finite("a direction of theta", theta_dot)?;
        self.dynamics.check_direction(theta_dot)?;
        let variational = Variational { dynamics: self.dynamics, n, count: 1, theta_dots: theta_dot };
        let system = Differentiable(variational);
        let z0 = [&self.y0[..], y_dot].concat();
        let ends = self.recorded.steps.first().zip(self.recorded.steps.last());
        let span = ends.map_or([T::zero(); 2], |(first, last)| [first.t, last.t1]);
        let problem = Problem { y0: &z0, span, theta: &self.theta };
        let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&system, &self.tableau, 1), self.memory);
        let solved = adjoint.replay(&problem, &self.recorded, &Options::default(), &mut [])?;
        let states = || solved.y.chunks_exact(2 * n);
        let y: Vec<T> = states().flat_map(|z| &z[..n]).copied().collect();
        let s: Vec<T> = states().flat_map(|z| &z[n..]).copied().collect();
        let (mut gradient, mut product) = (vec![T::zero(); y.len()], vec![T::zero(); y.len()]);
        loss([&y, &s], [&mut gradient, &mut product])?;
        let slope = gradient.iter().zip(&s).fold(T::zero(), |sum, (g, s)| g.mul_add(*s, sum));
        let bars = product.chunks_exact(n).zip(gradient.chunks_exact(n));
        let z_bar: Vec<T> = bars.flat_map(|(y_bar, s_bar)| y_bar.iter().chain(s_bar)).copied().collect();
        adjoint.reverse(&z_bar, &[], &mut [])?;
        let (y0, theta) = (adjoint.y0_gradient()[..n].to_vec(), adjoint.theta_gradient().to_vec());
        Ok(HessianProduct { y0, theta, slope })
    }
}
