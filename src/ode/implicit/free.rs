//! Newton–Krylov and Rosenbrock–Krylov without a matrix: W v = αM v − J v, J v by [`Dynamics::jvp`] at the
//! point of linearisation, Wᵀ v by [`Dynamics::vjp`]. Nothing of the size of J is stored: a Krylov basis, the
//! point, and what the preconditioner holds.
//!
//! **Forcing terms.** The k-th linear system of a Newton iteration, F'δ = −F_k, is solved to
//! ‖F_k + F'δ‖ ≤ η_k ‖F_k‖ with choice 2 of Eisenstat & Walker (SIAM J. Sci. Comput. 17 (1996) 16–32, eq. 2.6
//! and the safeguards of section 2.1),
//!
//! η_k = γ (‖F_k‖/‖F_{k−1}‖)²,  γ = 0.9;  η_k ← max(η_k, γη_{k−1}²) where γη_{k−1}² > 0.1;
//!
//! and not below what the iteration still needs to reach κ ([`Iteration`](super::newton)): their safeguard
//! against solving beyond the stopping tolerance. η_0 = η_max = 0.1, not their 0.5 and 0.9: Newton's rate
//! test, which renews the Jacobian and rejects steps, would take sloppier linear solves for a bad Jacobian.
//! An iterate is not believed to be better than the residual its linear solve left. Rosenbrock methods, whose
//! order depends on it, and transposed solves use the tolerance of the settings.

use super::linear::Method;
use super::options::KrylovMethod;
use crate::dynamics::pde::{Medium, MethodOfLines};
use crate::dynamics::{Dynamics, Mass, Point, Tangent};
use crate::error::{Error, Result};
use crate::linalg::{Identity, LinearOperator, Outcome, Preconditioner, Settings};
use crate::num::{Real, rms};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// γ and the threshold of the safeguard.
const GAMMA: f64 = 0.9;
const THRESHOLD: f64 = 0.1;
/// η_0 and η_max.
const LARGEST: f64 = 0.1;

/// W = αM − ∂f/∂y(t, y; θ) of one column, for whoever builds a preconditioner of it.
#[derive(Clone, Copy, Debug)]
pub struct Linearisation<'a, T> {
    /// Time.
    pub t: T,
    /// State of one column.
    pub y: &'a [T],
    /// Parameters.
    pub theta: &'a [T],
    /// α = 1/(hγ).
    pub alpha: T,
    /// M; `None` for the identity.
    pub mass: Option<&'a Mass<T>>,
}

/// Builds a preconditioner of W for one column, anew for every Jacobian and step size.
pub type MatrixFreeFactory<T> =
    dyn Fn(Linearisation<'_, T>) -> Result<Box<dyn Preconditioner<T> + Send>> + Send + Sync;

/// A Krylov method on W v = αM v − J v, no matrix being assembled.
#[derive(Clone)]
pub struct MatrixFree<T = f64> {
    /// The iteration.
    pub method: KrylovMethod,
    /// Tolerances and limits. The relative tolerance is that of Rosenbrock's stages and of transposed
    /// solves, and the least forcing term of Newton's iteration.
    pub settings: Settings,
    /// What preconditions it; `None` for nothing.
    pub preconditioner: Option<Arc<MatrixFreeFactory<T>>>,
}

impl<T: Real> Default for MatrixFree<T> {
    /// GMRES(30) to 1e-10 (200 ε in narrower types), at most 300 iterations, no preconditioner.
    fn default() -> Self {
        let settings = Settings::tol(1e-10f64.max(200.0 * T::EPSILON.f64())).max_iterations(300);
        Self { method: KrylovMethod::Gmres { restart: 30 }, settings, preconditioner: None }
    }
}

impl<T: Real> MatrixFree<T> {
    /// With this preconditioner of W, a closure of the point and α: a multigrid cycle, a diagonal, a banded
    /// factorisation, a network (with [`KrylovMethod::FlexibleGmres`] if it is not linear). Gradients need
    /// its transpose ([`Preconditioner::apply_transpose`]).
    pub fn preconditioned(
        self,
        factory: impl Fn(Linearisation<'_, T>) -> Result<Box<dyn Preconditioner<T> + Send>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self { preconditioner: Some(Arc::new(factory)), ..self }
    }

    /// Preconditioned by a multigrid cycle on the diffusion of every unknown of `grid`, α − d_s(θ)Δ with
    /// [`Medium::diffusivity`]: a number of iterations that does not grow with the grid.
    ///
    /// ```
    /// use odeon::dynamics::pde::{Edge, Heat, MethodOfLines};
    /// use odeon::integrate::{Options, Problem};
    /// use odeon::ode::implicit::{ImplicitOptions, LinearChoice, MatrixFree};
    /// use odeon::ode::{sdirk::Kvaerno5, solve};
    ///
    /// let f = MethodOfLines::new(Heat, &[63, 63], &[1.0, 1.0], Edge::Fixed(0.0))?;
    /// let y0: Vec<f64> = f.sample(|[x, y], _| (x * y).sin());
    /// let linear = LinearChoice::MatrixFree(MatrixFree::multigrid(&f));
    /// let method = Kvaerno5.with(ImplicitOptions { linear, ..Default::default() });
    /// let problem = Problem { y0: &y0, span: [0.0, 0.1], theta: &[1.0] };
    /// let solution = solve(&f, &method, &problem, &Options::tol(1e-5, 1e-7))?;
    /// assert!(solution.stats.implicit.linear_iterations > 0);
    /// # Ok::<(), odeon::Error>(())
    /// ```
    pub fn multigrid<M: Medium + Clone + Send + 'static>(grid: &MethodOfLines<M>) -> Self {
        let grid = grid.clone();
        Self::default().preconditioned(move |w| {
            let theta: Vec<f64> = w.theta.iter().map(|p| p.f64()).collect();
            Ok(Box::new(grid.diffusion_cycle(w.alpha, &theta)?))
        })
    }
}

impl<T> fmt::Debug for MatrixFree<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preconditioner = if self.preconditioner.is_some() { "given" } else { "none" };
        write!(
            f,
            "matrix-free {:?} to {:e}, preconditioner {preconditioner}",
            self.method, self.settings.rtol
        )
    }
}

/// The point of linearisation, the Krylov method, the preconditioners.
pub(super) struct Free<T: Real> {
    choice: MatrixFree<T>,
    method: Method<T>,
    dim: usize,
    t: T,
    y: Vec<T>,
    theta: Vec<T>,
    theta_bar: Vec<T>,
    /// One for each column of the batch.
    preconditioners: Vec<Box<dyn Preconditioner<T> + Send>>,
    x: Vec<T>,
    /// ‖F‖ and η of the Newton iterate before; 0 for none.
    before: [f64; 2],
    /// What refused the first transposed solve that was refused, if it was not the iteration that failed.
    pub refusal: Option<Error>,
}

impl<T: Real> Free<T> {
    pub fn new(choice: &MatrixFree<T>, [dim, batch, params]: [usize; 3]) -> Result<Self> {
        let zeros = |n| vec![T::zero(); n];
        Ok(Self {
            method: Method::new(dim, choice.method, choice.settings)?,
            choice: choice.clone(),
            dim,
            t: T::zero(),
            y: zeros(dim * batch),
            theta: zeros(params),
            theta_bar: zeros(params),
            preconditioners: Vec::with_capacity(batch),
            x: zeros(dim),
            before: [0.0; 2],
            refusal: None,
        })
    }

    /// Numbers held, those of preconditioners not counted.
    pub fn numbers(&self) -> usize {
        self.method.vectors() * self.dim + self.y.len() + self.theta.len() + self.theta_bar.len() + self.dim
    }

    /// Linearises at `at`; ∂f/∂t into `time`.
    pub fn evaluate<D: Dynamics<T>>(
        &mut self,
        dynamics: &D,
        at: Point<'_, T>,
        time: &mut [T],
        scratch: &mut D::Scratch,
    ) {
        self.t = at.t;
        self.y.copy_from_slice(at.y);
        self.theta.copy_from_slice(at.theta);
        // A zero direction in y, column by column, so that one state's memory serves all.
        self.x.fill(T::zero());
        for (y, time) in at.y.chunks_exact(self.dim).zip(time.chunks_exact_mut(self.dim)) {
            let dot = Tangent { t: T::one(), y: &self.x, theta: &[] };
            dynamics.jvp(Point { y, ..at }, dot, time, scratch);
        }
    }

    /// Builds the preconditioners for α.
    ///
    /// # Errors
    /// What the factory refuses; a preconditioner of the wrong length.
    pub fn factor(&mut self, alpha: T, mass: Option<&Mass<T>>) -> Result<()> {
        self.preconditioners.clear();
        for y in self.y.chunks_exact(self.dim) {
            let at = Linearisation { t: self.t, y, theta: &self.theta, alpha, mass };
            let m: Box<dyn Preconditioner<T> + Send> = match &self.choice.preconditioner {
                Some(factory) => factory(at)?,
                None => Box::new(Identity(self.dim)),
            };
            Error::check_len("the preconditioner", m.len(), self.dim, "the rows of the state")?;
            self.preconditioners.push(m);
        }
        Ok(())
    }

    /// Whether the method can use a preconditioner with these claims, asked before anything is solved.
    ///
    /// # Errors
    /// A preconditioner that is not linear in a method that needs one.
    pub fn check(&self) -> Result<()> {
        let flexible = matches!(self.choice.method, KrylovMethod::FlexibleGmres { .. });
        if flexible || self.preconditioners.iter().all(|m| m.claims().linear) {
            return Ok(());
        }
        let needed =
            format!("{:?} needs a linear one; KrylovMethod::FlexibleGmres takes any", self.choice.method);
        Err(Error::invalid("the matrix-free preconditioner", "not linear by its claims", needed))
    }

    /// Starts a Newton iteration: its first forcing term is η_0.
    pub fn start_iteration(&mut self) {
        self.before = [0.0; 2];
    }

    /// η for the residual `r`, and not below `wanted`.
    pub fn forcing(&mut self, r: &[T], wanted: f64) -> f64 {
        let (size, [before, last]) = (rms(r).f64(), self.before);
        let mut eta = LARGEST;
        if before > 0.0 {
            eta = GAMMA * (size / before).powi(2);
            let safe = GAMMA * last * last;
            if safe > THRESHOLD {
                eta = eta.max(safe);
            }
        }
        eta = eta.max(wanted).max(self.choice.settings.rtol).min(LARGEST);
        self.before = [size, eta];
        eta
    }

    /// Solves W x = `b` in place to the relative tolerance `eta` (that of the settings for `None`), or its
    /// transpose; the iterations and the relative residual left, `None` when it did not converge.
    pub fn solve<D: Dynamics<T>>(
        &mut self,
        (dynamics, scratch): (&D, &mut D::Scratch),
        (alpha, mass): (T, Option<&Mass<T>>),
        b: &mut [T],
        eta: Option<f64>,
        transposed: bool,
    ) -> Option<(usize, f64)> {
        let Self { method, dim, t, y, theta, theta_bar, preconditioners, x, .. } = self;
        method.set_tolerance(eta.unwrap_or(self.choice.settings.rtol));
        let (mut iterations, mut worst) = (0, 0.0f64);
        let columns = y.chunks_exact(*dim).zip(b.chunks_exact_mut(*dim)).zip(preconditioners);
        for ((y, b), m) in columns {
            let at = Point { t: *t, y, theta };
            let memory = RefCell::new((&mut *scratch, &mut theta_bar[..]));
            let w = Shifted { dynamics, at, alpha, mass, memory };
            x.fill(T::zero());
            let report = match method.solve(&w, m, b, x, transposed) {
                Ok(report) => report,
                Err(error) => {
                    if transposed {
                        self.refusal.get_or_insert(error);
                    }
                    return None;
                }
            };
            iterations += report.iterations;
            if report.outcome != Outcome::Converged {
                return None;
            }
            worst = worst.max(report.relative_residual());
            b.copy_from_slice(x);
        }
        Some((iterations, if worst.is_finite() { worst } else { 0.0 }))
    }

    /// `y` ← J `x`.
    pub fn product<D: Dynamics<T>>(&self, dynamics: &D, scratch: &mut D::Scratch, x: &[T], y: &mut [T]) {
        let columns = self.y.chunks_exact(self.dim).zip(x.chunks_exact(self.dim));
        for ((at, x), y) in columns.zip(y.chunks_exact_mut(self.dim)) {
            let at = Point { t: self.t, y: at, theta: &self.theta };
            dynamics.jvp(at, Tangent { t: T::zero(), y: x, theta: &[] }, y, scratch);
        }
    }
}

/// W of one column as an operator.
struct Shifted<'a, T: Real, D: Dynamics<T>> {
    dynamics: &'a D,
    at: Point<'a, T>,
    alpha: T,
    mass: Option<&'a Mass<T>>,
    /// The scratch, and a θ̄ that nobody reads.
    memory: RefCell<(&'a mut D::Scratch, &'a mut [T])>,
}

impl<T: Real, D: Dynamics<T>> LinearOperator<T> for Shifted<'_, T, D> {
    fn rows(&self) -> usize {
        self.at.y.len()
    }

    fn cols(&self) -> usize {
        self.at.y.len()
    }

    fn apply(&self, x: &[T], y: &mut [T]) {
        let (scratch, _) = &mut *self.memory.borrow_mut();
        self.dynamics.jvp(self.at, Tangent { t: T::zero(), y: x, theta: &[] }, y, scratch);
        y.iter_mut().for_each(|y| *y = -*y);
        super::matrix::add_mass(self.mass, self.alpha, x, y, false);
    }

    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        let (scratch, theta_bar) = &mut *self.memory.borrow_mut();
        x.fill(T::zero());
        self.dynamics.vjp(self.at, y, x, theta_bar, scratch);
        x.iter_mut().for_each(|x| *x = -*x);
        super::matrix::add_mass(self.mass, self.alpha, y, x, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eisenstat & Walker's numbers by hand.
    #[test]
    fn forcing_terms_are_choice_two_with_its_safeguards() {
        let choice = MatrixFree { settings: Settings::tol(1e-8), ..MatrixFree::<f64>::default() };
        let mut free = Free::new(&choice, [1, 1, 0]).unwrap();
        assert_eq!(free.forcing(&[1.0], 0.0), 0.1);
        // (0.1)²·0.9; the safeguard 0.9·0.1² is below the threshold.
        assert!((free.forcing(&[0.1], 0.0) - 0.009).abs() < 1e-15);
        assert!((free.forcing(&[0.001], 0.0) - 0.9e-4).abs() < 1e-15);
        // What is still needed, the floor, the cap, and a new iteration.
        assert_eq!(free.forcing(&[1e-6], 0.02), 0.02);
        assert_eq!(free.forcing(&[1e-12], 0.0), 1e-8);
        assert_eq!(free.forcing(&[1.0], 0.0), 0.1);
        free.start_iteration();
        assert_eq!(free.forcing(&[1e-9], 0.0), 0.1);
    }
}
