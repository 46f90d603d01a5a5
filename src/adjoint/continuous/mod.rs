//! The continuous adjoint of ordinary equations: the adjoint equation solved backwards in time.
//!
//! For y' = f(t, y; θ) and a loss L of the states at the times t_i the cotangent λ(t) of y(t) follows
//!
//! λ' = −(∂f/∂y)ᵀλ,  λ(t_i⁻) = λ(t_i⁺) + ∂L/∂y(t_i),   θ̄ = ∫ (∂f/∂θ)ᵀλ dt,
//!
//! from λ = 0 after the end back to ȳ0 = λ(t0) (Pontryagin et al. 1962; Cao, Li, Petzold & Serban, *Adjoint
//! sensitivity analysis for differential–algebraic equations*, SIAM J. Sci. Comput. 24, 2003; Chen, Rubanova,
//! Bettencourt & Duvenaud, *Neural ordinary differential equations*, NeurIPS 2018). Moving the ends changes L by
//!
//! dL/dt1 = ∂L/∂y(t1)·f(t1, y(t1)),   dL/dt0 = −λ(t0)·f(t0, y0),
//!
//! a state saved at an end moving with it ([`time_gradients`]). Three ways of having y on the way back
//! ([`Continuous`]):
//!
//! | | integrates | keeps | |
//! |---|---|---|---|
//! | `Backsolve` | y, λ, θ̄ | the end | y is that of a contracting equation run backwards: it may drift |
//! | `Interpolating` | λ, θ̄ | dense output, or states to compute it from | stable |
//! | `Quadrature` | λ | the same | θ̄ by Gauss's rule on the accepted steps |
//!
//! The way back is a solve like any other, through the same loop with the same steppers, with tolerances, controller
//! and method of its own. It ends at every saved time, where λ jumps (and y is taken from the saved state).
//!
//! The gradient is that of the equation, not of the steps: it differs from
//! [`DiscreteAdjoint`](super::DiscreteAdjoint)'s by the errors of both solves. Penalties on steps have no continuous
//! adjoint, and a mass matrix would need Mᵀλ' = −(∂f/∂y)ᵀλ with consistent ends: both are refused.
//!
//! Seminorm: θ̄ enters no right-hand side, so its error needs no shorter steps of y and λ; leaving it out of the norm
//! spares rejected steps (Kidger, Chen & Lyons, *"Hey, that's not an ODE": faster ODE adjoints via seminorms*, ICML
//! 2021). It is left out by an absolute tolerance beyond all numbers, the mean being taken over what is left.

mod augmented;
mod quadrature;
mod settings;
mod there;
mod trajectory;
mod way;

pub use augmented::{Augmented, AugmentedScratch};
pub use settings::{Continuous, OnDrift, WayBack};

use super::discrete::{AdjointStatistics, Evaluation};
use super::times::time_gradients;
use crate::dynamics::{Dynamics, check_shapes};
use crate::error::{Error, Result};
use crate::integrate::{Drive, Options, Partial, Problem, Solution, Stepper, Warning};
use crate::num::{ErrorNorm, Real};
use crate::ode::StepMethod;
use quadrature::Gauss;
use there::{Forward, Stepping};
use trajectory::Trajectory;
use way::{Back, ByMethod, Way};

/// Gradients of losses on saved states by the adjoint equation.
///
/// ```
/// use odeon::adjoint::{Continuous, ContinuousAdjoint, WayBack};
/// use odeon::dynamics::{gallery::LotkaVolterra, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::tableaux::Tsit5;
///
/// let f = Generic(LotkaVolterra);
/// let mut adjoint = ContinuousAdjoint::new(&f, &Tsit5, 1, Continuous::Backsolve, WayBack::seminorm())?;
/// let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 2.0], theta: &LotkaVolterra::THETA };
/// adjoint.value_and_gradient(&problem, &Options::tol(1e-8, 1e-8), |solution, y_bar| {
///     y_bar[0] = 1.0; // the loss is y₁(2)
///     Ok(solution.last()[0])
/// })?;
/// assert_eq!(adjoint.theta_gradient().len(), 4);
/// assert!(adjoint.drift() < 1e-6);
/// # Ok::<(), odeon::Error>(())
/// ```
pub struct ContinuousAdjoint<'a, T: Real, D: Dynamics<T>> {
    dynamics: &'a D,
    kind: Continuous,
    settings: WayBack<T>,
    forward: Box<dyn Forward<T> + 'a>,
    back: Box<dyn Back<'a, T, D> + 'a>,
    drive: Drive<T>,
    trajectory: Trajectory<T>,
    /// The given y0 and θ.
    y0: Vec<T>,
    theta: Vec<T>,
    /// What the way back works on.
    way: Way<T>,
    gauss: Gauss<T>,
    theta_bar: Vec<T>,
    y_bar: Vec<T>,
    stats: AdjointStatistics,
    warnings: Vec<Warning>,
    /// Bytes of the right-hand side's own memory, there and back.
    scratch_bytes: usize,
    ready: bool,
}

impl<'a, T: Real, D: Dynamics<T>> ContinuousAdjoint<'a, T, D> {
    /// Gradients through `dynamics` for states of `batch` columns, there and back by `method`.
    ///
    /// # Errors
    /// A method that cannot take the way back (it is not explicit), or has no dense output that `kind` reads; a mass
    /// matrix; a bound on the drift that is not positive.
    pub fn new<M>(
        dynamics: &'a D,
        method: &'a M,
        batch: usize,
        kind: Continuous,
        settings: WayBack<T>,
    ) -> Result<Self>
    where
        M: StepMethod<T, D> + StepMethod<T, Augmented<'a, T, D>> + 'a,
    {
        Self::with_methods(dynamics, (method, method), batch, kind, settings)
    }

    /// The same with a method of its own for each way: `methods` are those there and back.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_methods<M, B>(
        dynamics: &'a D,
        methods: (&M, &'a B),
        batch: usize,
        kind: Continuous,
        settings: WayBack<T>,
    ) -> Result<Self>
    where
        M: StepMethod<T, D> + 'a,
        B: StepMethod<T, Augmented<'a, T, D>>,
    {
        if dynamics.mass().is_some() {
            let needed = "its adjoint equation is not written: take DiscreteAdjoint, which serves every method \
                          that takes a mass matrix";
            return Err(Error::invalid("the mass matrix of a continuous adjoint", "given", needed));
        }
        if methods.1.explicit().is_none() {
            let needed = "the adjoint equation is solved by explicit Runge–Kutta methods (implicit ones would need second \
                          derivatives of f): give one for the way back (ContinuousAdjoint::with_methods), or take \
                          DiscreteAdjoint";
            return Err(Error::invalid("the method of the way back", "not an explicit one", needed));
        }
        if let Some(bound) = settings.drift_bound
            && (bound <= T::zero() || bound.f64().is_nan())
        {
            return Err(Error::invalid("the bound on the drift", bound, "it must be positive"));
        }
        let n = dynamics.dim() * batch;
        let forward = Stepping {
            stepper: methods.0.stepper(dynamics, batch),
            again: Drive::new(0),
            norm: ErrorNorm::new(T::one(), T::one()),
        };
        if kind != Continuous::Backsolve && forward.stepper.dense_weights().is_empty() {
            let needed =
                "this method has no dense output to read the state off: take Backsolve or DiscreteAdjoint";
            return Err(Error::invalid("the continuous adjoint", "an interpolating one", needed));
        }
        let params = dynamics.num_params();
        let zeros = |n| vec![T::zero(); n];
        Ok(Self {
            drive: Drive::new(n),
            trajectory: Trajectory::default(),
            y0: zeros(n),
            theta: zeros(params),
            way: Way::new(n, params, kind),
            gauss: Gauss::default(),
            theta_bar: zeros(params),
            y_bar: zeros(n),
            stats: AdjointStatistics::default(),
            warnings: Vec::new(),
            scratch_bytes: 2 * dynamics.scratch_bytes(batch) + dynamics.tape_len(batch) * size_of::<T>(),
            ready: false,
            back: Box::new(ByMethod(methods.1)),
            forward: Box::new(forward),
            dynamics,
            kind,
            settings,
        })
    }

    /// The solution of the last forward pass.
    pub fn solution(&self) -> &Solution<T> {
        &self.drive.solution
    }

    /// Cotangent of y0 from the last reverse.
    pub fn y0_gradient(&self) -> &[T] {
        &self.y_bar
    }

    /// Cotangent of θ from the last reverse.
    pub fn theta_gradient(&self) -> &[T] {
        &self.theta_bar
    }

    /// What the last reverse cost: evaluations, accepted and rejected steps.
    pub fn statistics(&self) -> AdjointStatistics {
        self.stats
    }

    /// What the user should know of the last reverse.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How far the state that was integrated backwards missed the stored ones: the largest |difference| over
    /// the largest
    /// |y| of those. 0 where the state was read off the way there.
    pub fn drift(&self) -> T {
        self.way.drift.0
    }

    /// Derivatives of the loss with respect to t0 and t1 after a reverse of `y_bar` ([`time_gradients`]).
    ///
    /// # Errors
    /// Cotangents of the wrong length.
    pub fn time_gradients(&self, y_bar: &[T]) -> Result<[T; 2]> {
        let solution = &self.drive.solution;
        let (first, last) = (solution.steps.first(), solution.steps.last());
        let span = [first.map_or(T::zero(), |s| s.t), last.map_or(T::zero(), |s| s.t1)];
        let problem = Problem { y0: &self.y0, span, theta: &self.theta };
        time_gradients(self.dynamics, &problem, solution, y_bar, &self.y_bar)
    }

    /// The forward pass.
    ///
    /// # Errors
    /// Inputs that do not fit, a budget that is too small, or a solve that stops early, with the partial solution.
    pub fn forward(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
    ) -> Result<&Solution<T>, Partial<T>> {
        self.ready = false;
        check_shapes(self.dynamics, problem.y0, problem.theta)?;
        Error::check_len("y0", problem.y0.len(), self.y0.len(), "dim × batch")?;
        self.y0.copy_from_slice(problem.y0);
        self.theta.copy_from_slice(problem.theta);
        let Self { forward, drive, trajectory, .. } = self;
        let memory = match self.kind {
            Continuous::Backsolve => None,
            Continuous::Interpolating(memory) | Continuous::Quadrature(memory) => Some(memory),
        };
        if let Some(memory) = memory {
            trajectory.start(problem.y0.len(), memory, forward.dense_weights());
        }
        let outcome = forward.run(drive, problem, options, memory.map(|_| &mut *trajectory));
        let outcome = outcome.and_then(|()| match memory {
            Some(_) => trajectory.finish(&drive.solution.steps),
            None => Ok(()),
        });
        if let Err(error) = outcome {
            return Err(Partial { error, solution: Box::new(self.drive.solution.clone()) });
        }
        self.way.prepare(options, &self.settings, &self.drive.solution, self.dynamics.dim());
        self.ready = true;
        Ok(&self.drive.solution)
    }

    /// The way back of the last forward pass: `y_bar` holds the cotangents of all saved states (the layout of
    /// `solution().y`). Gradients are then in [`theta_gradient`](Self::theta_gradient),
    /// [`y0_gradient`](Self::y0_gradient).
    ///
    /// # Errors
    /// Cotangents of the wrong length, no forward pass to reverse, a way back that stops early,
    /// [`Error::Drift`], or a gradient that is not finite.
    pub fn reverse(&mut self, y_bar: &[T]) -> Result<()> {
        let why = "one for each saved number";
        Error::check_len("the cotangent of the saved states", y_bar.len(), self.drive.solution.y.len(), why)?;
        if !std::mem::take(&mut self.ready) {
            let needed = "a forward pass must come first, one for each reverse";
            return Err(Error::invalid("the forward pass", "missing", needed));
        }
        self.theta_bar.fill(T::zero());
        self.warnings.clear();
        self.gauss.nvjp = 0;
        let nfe0 = self.forward.nfe();
        self.way.start(self.drive.reached_state(), &self.drive.solution);
        let segments = if self.kind == Continuous::Backsolve { 1 } else { self.trajectory.segments() };
        for segment in (0..segments).rev() {
            self.cross(segment, y_bar)?;
        }
        let n = self.y0.len();
        self.way.finish(&self.y0, &self.drive.solution, y_bar);
        self.y_bar.copy_from_slice(self.way.lambda());
        if let Some(theta) = self.way.theta() {
            self.theta_bar.iter_mut().zip(theta).for_each(|(bar, z)| *bar = -*z);
        }
        self.stats = AdjointStatistics {
            nfe: self.way.nfe + self.forward.nfe() - nfe0,
            nvjp: self.way.nfe + self.gauss.nvjp,
            replayed: self.way.replayed,
            checkpoint_bytes: self.trajectory.peak_bytes(),
            work_bytes: self.scratch_bytes
                + self.forward.bytes()
                + self.drive.bytes()
                + self.way.bytes()
                + self.gauss.bytes()
                + (2 * n + 2 * self.theta.len()) * size_of::<T>(),
            accepted: self.way.accepted,
            rejected: self.way.rejected,
            ..AdjointStatistics::default()
        };
        self.judge_drift()?;
        Error::check_finite("the gradient with respect to theta", &self.theta_bar)?;
        Error::check_finite("the gradient with respect to y0", &self.y_bar)
    }

    /// The way back over one segment of the way there.
    fn cross(&mut self, segment: usize, y_bar: &[T]) -> Result<()> {
        let backsolve = self.kind == Continuous::Backsolve;
        let until = match backsolve {
            true => self.drive.solution.steps[0].t,
            false => {
                self.trajectory.load(segment, &mut *self.forward)?;
                self.trajectory.start_of(segment)
            }
        };
        let system = Augmented {
            dynamics: self.dynamics,
            batch: self.y0.len() / self.dynamics.dim(),
            n: self.y0.len(),
            with: self.way.with,
            there: std::mem::take(&mut self.trajectory.segment),
        };
        let gauss = matches!(self.kind, Continuous::Quadrature(_)).then_some(&mut self.gauss);
        let quadrature = gauss.map(|gauss| (gauss, &mut self.theta_bar[..]));
        let (solution, theta) = (&self.drive.solution, &self.theta[..]);
        let outcome = self.back.cross(&system, &mut self.way, (solution, y_bar, theta), until, quadrature);
        if !backsolve && self.trajectory.segments() > 1 {
            self.way.replayed += system.there.steps.len();
        }
        self.trajectory.segment = system.there;
        outcome
    }

    /// Holds the drift against its bound.
    fn judge_drift(&mut self) -> Result<()> {
        let (drift, t) = self.way.drift;
        let bound = self.settings.drift_bound.unwrap_or(self.way.rtol.max(T::EPSILON).sqrt());
        // NaN is beyond every bound.
        if drift <= bound {
            return Ok(());
        }
        let (t, relative, bound) = (t.f64(), drift.f64(), bound.f64());
        match self.settings.on_drift {
            OnDrift::Refuse => Err(Error::Drift { t, relative, bound }),
            OnDrift::Warn => {
                self.warnings.push(Warning::Drift { t, relative, bound });
                Ok(())
            }
        }
    }

    /// Loss and its gradient. `loss` sees the solution and writes the cotangents of its saved states.
    ///
    /// # Errors
    /// As [`forward`](Self::forward) and [`reverse`](Self::reverse), or what `loss` returns.
    pub fn value_and_gradient(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        loss: impl FnOnce(&Solution<T>, &mut [T]) -> Result<T>,
    ) -> Result<Evaluation<T>> {
        self.forward(problem, options)?;
        let mut y_bar = vec![T::zero(); self.drive.solution.y.len()];
        let loss = loss(&self.drive.solution, &mut y_bar)?;
        let evaluation = Evaluation::new(loss, &[])?;
        self.reverse(&y_bar)?;
        Ok(evaluation)
    }
}
