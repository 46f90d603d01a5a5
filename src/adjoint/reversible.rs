//! The reversible adjoint: the exact reverse of the accepted steps of a reversible method, with the states
//! recomputed by the steps' inverses instead of kept.
//!
//! What is kept of a solve is its end, its list of steps and, to be checked against, y0. The way back inverts every
//! step algebraically (Kidger, Foster, Li & Lyons, NeurIPS 2021, algorithm 2) and carries the cotangents, so memory
//! does not grow with the states of the steps, and the gradient is that of [`DiscreteAdjoint`] through the same steps
//! but for rounding. Held constant are the step sizes, the decisions to accept, and the noise.
//!
//! Rounding is what it costs: inverting a contracting equation expands. The way back ends at y0, which is known, so the
//! error is measured in every call ([`drift`](ReversibleAdjoint::drift)) and an error of its own beyond a bound.
//!
//! [`DiscreteAdjoint`]: super::DiscreteAdjoint

use super::discrete::{AdjointStatistics, Evaluation, Weighted};
use crate::error::{Error, Result};
use crate::integrate::{
    Backward, Drive, Located, Observer, Options, Partial, Problem, Reversible, Save, Silent, Solution,
    StepView, view,
};
use crate::num::{ErrorNorm, Real};

/// Gradients through the accepted steps of the reversible `S`. Its memory is reused from call to call.
///
/// ```
/// use odeon::adjoint::ReversibleAdjoint;
/// use odeon::dynamics::{gallery::CubicSpiral, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::sde::{Constant, ReversibleHeun, Sde, SdeMethod, noise::FixedGrid};
///
/// let sde = Sde::stratonovich(Generic(CubicSpiral), Constant::diagonal(2));
/// let theta = [&CubicSpiral::THETA[..], &[0.1, 0.1]].concat();
/// let noise = FixedGrid::new(7, [0.0, 1.0], 100, 2, 1)?;
/// let mut adjoint = ReversibleAdjoint::new(ReversibleHeun.stepper(&sde, noise)?);
/// let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 1.0], theta: &theta };
/// adjoint.value_and_gradient(&problem, &Options::fixed(0.01), &mut [], |solution, y_bar| {
///     y_bar[0] = 1.0; // the loss is y₁(1)
///     Ok(solution.last()[0])
/// })?;
/// assert_eq!(adjoint.theta_gradient().len(), 4);
/// assert!(adjoint.drift() < 1e-12);
/// # Ok::<(), odeon::Error>(())
/// ```
pub struct ReversibleAdjoint<T: Real, S> {
    stepper: S,
    drive: Drive<T>,
    back: Backward<T>,
    /// The given y0 and what the method carries beside it.
    start: Vec<T>,
    /// The state in hand, and the one after it.
    states: [Vec<T>; 2],
    norm: ErrorNorm<T>,
    theta_bar: Vec<T>,
    stats: AdjointStatistics,
    bound: T,
    drift: T,
    ready: bool,
}

struct Penalties<'a, 'p, T> {
    penalties: &'a mut [Weighted<'p, T>],
    scratch: &'a mut [T],
}

impl<T: Real> Observer<T> for Penalties<'_, '_, T> {
    fn accepted(&mut self, step: &StepView<'_, T>) {
        for p in self.penalties.iter_mut() {
            p.penalty.observe(step, self.scratch);
        }
    }
}

impl<T: Real, S: Reversible<T>> ReversibleAdjoint<T, S> {
    /// Gradients through `stepper`; the bound on the [drift](Self::drift) is √ε of the scalar type (1.5e-8 in f64).
    pub fn new(mut stepper: S) -> Self {
        let n = stepper.len();
        stepper.keep_tape();
        Self {
            drive: Drive::new(n),
            back: match S::OWN_WORK {
                true => Backward::bare(n, stepper.total_stages()),
                false => Backward::new(n, stepper.total_stages(), false),
            },
            start: vec![T::zero(); n],
            states: [vec![T::zero(); n], Vec::new()],
            norm: ErrorNorm::new(T::one(), T::one()),
            theta_bar: vec![T::zero(); stepper.num_params()],
            stats: AdjointStatistics::default(),
            bound: T::EPSILON.sqrt(),
            drift: T::zero(),
            ready: false,
            stepper,
        }
    }

    /// With another bound on the [drift](Self::drift).
    ///
    /// # Errors
    /// A bound that is not positive.
    pub fn drift_bound(self, bound: T) -> Result<Self> {
        if bound > T::zero() {
            return Ok(Self { bound, ..self });
        }
        Err(Error::invalid("the bound on the drift", bound, "it must be positive"))
    }

    /// How far the last reverse missed y0: the largest |difference| over the largest |y| of start and end.
    pub fn drift(&self) -> T {
        self.drift
    }

    /// The solution of the last forward pass.
    pub fn solution(&self) -> &Solution<T> {
        &self.drive.solution
    }

    /// The stepper.
    pub fn stepper(&self) -> &S {
        &self.stepper
    }

    /// Cotangent of y0 from the last reverse.
    pub fn y0_gradient(&self) -> &[T] {
        &self.back.y[..self.stepper.visible()]
    }

    /// Cotangent of θ from the last reverse.
    pub fn theta_gradient(&self) -> &[T] {
        &self.theta_bar
    }

    /// What the last reverse cost; there are no checkpoints.
    pub fn statistics(&self) -> AdjointStatistics {
        self.stats
    }

    fn prepare(&mut self, problem: &Problem<'_, T>, penalties: &mut [Weighted<'_, T>]) -> Result<()> {
        let visible = self.stepper.visible();
        Error::check_len("y0", problem.y0.len(), visible, "dim × paths")?;
        let params = self.stepper.num_params();
        Error::check_len("theta", problem.theta.len(), params, "the parameters of the equation")?;
        Error::check_finite("y0", problem.y0)?;
        Error::check_finite("theta", problem.theta)?;
        for p in penalties.iter_mut() {
            p.check()?;
            p.penalty.start();
        }
        if !penalties.is_empty() {
            self.back.seed_stages();
            self.states[1].resize(self.stepper.len(), T::zero());
        }
        self.start.fill(T::zero());
        self.start[..visible].copy_from_slice(problem.y0);
        self.stepper.set_theta(problem.theta);
        self.ready = false;
        Ok(())
    }

    /// The forward pass. Steps end at every saved time that was named ([`Save::At`]), as at
    /// [`tstops`](Options::tstops): the derivative is evaluated anew there.
    ///
    /// # Errors
    /// Inputs that do not fit, or a solve that stops early, with the partial solution.
    pub fn forward(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        penalties: &mut [Weighted<'_, T>],
    ) -> Result<&Solution<T>, Partial<T>> {
        self.prepare(problem, penalties)?;
        let mut options = options.clone();
        if let Save::At(times) = &options.save {
            options.tstops.extend_from_slice(times);
        }
        let Self { stepper, drive, back, start, .. } = self;
        let outcome = if penalties.is_empty() {
            drive.run(stepper, start, problem.span, &options, &mut Silent)
        } else {
            let mut observer = Penalties { penalties, scratch: &mut back.scratch };
            drive.run(stepper, start, problem.span, &options, &mut observer)
        };
        self.norm = options.norm;
        self.finish(outcome)
    }

    /// The forward pass at the frozen steps and saved times of `recorded`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward); a saved time inside a step.
    pub fn replay(
        &mut self,
        problem: &Problem<'_, T>,
        recorded: &Solution<T>,
        options: &Options<T>,
        penalties: &mut [Weighted<'_, T>],
    ) -> Result<&Solution<T>, Partial<T>> {
        self.prepare(problem, penalties)?;
        check_ends(&recorded.located, &recorded.t)?;
        let Self { stepper, drive, back, start, .. } = self;
        let mut observer = Penalties { penalties, scratch: &mut back.scratch };
        let saved = (&recorded.steps[..], &recorded.located[..], &recorded.t[..]);
        let outcome = drive.replay(stepper, start, saved, options, &mut observer);
        self.norm = options.norm.clone();
        self.finish(outcome)
    }

    /// Keeps the end and hides what the method carries.
    fn finish(&mut self, outcome: Result<()>) -> Result<&Solution<T>, Partial<T>> {
        let columns = self.stepper.visible() / self.stepper.dim();
        if self.drive.solution.batch > columns {
            self.drive.solution.keep_columns(columns);
        }
        if let Err(error) = outcome {
            return Err(Partial { error, solution: Box::new(self.drive.solution.clone()) });
        }
        self.states[0].copy_from_slice(self.drive.reached_state());
        self.ready = true;
        Ok(&self.drive.solution)
    }

    /// The reverse of the last forward pass: `y_bar` holds the cotangents of all saved states (the layout of
    /// `solution().y`). Gradients are then in [`theta_gradient`](Self::theta_gradient) and
    /// [`y0_gradient`](Self::y0_gradient).
    ///
    /// # Errors
    /// Cotangents of the wrong length, no forward pass to reverse, a gradient that is not finite, or a
    /// [drift](Self::drift) beyond its bound.
    pub fn reverse(&mut self, y_bar: &[T], penalties: &mut [Weighted<'_, T>]) -> Result<()> {
        let solution = &self.drive.solution;
        let why = "one for each saved number";
        Error::check_len("the cotangent of the saved states", y_bar.len(), solution.y.len(), why)?;
        if !std::mem::take(&mut self.ready) {
            let needed = "a forward pass must come first, one for each reverse";
            return Err(Error::invalid("the forward pass", "missing", needed));
        }
        let (nfe0, nvjp0) = (self.stepper.nfe(), self.stepper.nvjp());
        let size = largest(&self.states[0]).max_number(largest(&self.start));
        self.theta_bar.fill(T::zero());
        self.back.clear();
        if penalties.is_empty() {
            self.retrace(y_bar);
        } else {
            self.invert(y_bar, penalties);
        }
        let t0 = self.drive.solution.steps[0].t;
        let visible = self.stepper.visible();
        self.drift = farthest(&self.states[0][..visible], &self.start[..visible]) / size.max(T::MIN_POSITIVE);
        self.stepper.prepare_pullback(t0, &self.states[0], &mut self.back.y, &mut self.theta_bar)?;
        self.stats.nfe = self.stepper.nfe() - nfe0;
        self.stats.nvjp = self.stepper.nvjp() - nvjp0;
        self.stats.work_bytes = self.work_bytes();
        // NaN is beyond every bound.
        let within = self.drift <= self.bound;
        if !within {
            let needed = format!(
                "at most {:e} is taken for rounding: the equation contracts too much to be integrated backwards; \
                 take shorter steps, or DiscreteAdjoint, which keeps the states",
                self.bound
            );
            return Err(Error::invalid("the relative error of the inverted y0", self.drift, needed));
        }
        Error::check_finite("the gradient with respect to theta", &self.theta_bar)?;
        Error::check_finite("the gradient with respect to y0", self.y0_gradient())
    }

    /// Back without penalties.
    fn retrace(&mut self, y_bar: &[T]) {
        let Self { stepper, drive, back, states: [state, _], theta_bar, .. } = self;
        let mut saved = Saved::new(&drive.solution, y_bar);
        stepper.turn();
        for (j, step) in drive.solution.steps.iter().enumerate().rev() {
            saved.add(j, T::one(), &mut back.y);
            stepper.retrace(step, state, back, theta_bar);
        }
        stepper.settle(state, back, theta_bar);
        saved.add(0, T::zero(), &mut back.y);
    }

    /// Back with penalties, which see every step in full.
    fn invert(&mut self, y_bar: &[T], penalties: &mut [Weighted<'_, T>]) {
        let Self { stepper, drive, back, states: [y1, y0], theta_bar, norm, .. } = self;
        let mut saved = Saved::new(&drive.solution, y_bar);
        let steps = &drive.solution.steps;
        if let Some(last) = steps.last() {
            stepper.begin(last.t1, y1);
        }
        for (j, step) in steps.iter().enumerate().rev() {
            back.clear_seeds();
            saved.add(j, T::one(), &mut back.y);
            saved.add(j, T::zero(), &mut back.y0);
            stepper.invert(step, y1, y0);
            let view = view(stepper, j, step, [y0, y1], norm);
            for p in penalties.iter_mut().filter(|p| p.weight != T::zero()) {
                p.penalty.pullback(&view, p.weight, &mut back.cotangent());
            }
            stepper.pullback(step, [y0, y1], j == 0 || step.from_stop, back, theta_bar);
            std::mem::swap(y0, y1);
        }
    }

    fn work_bytes(&self) -> usize {
        let states = self.start.len() + self.states[0].len() + self.states[1].len();
        self.stepper.bytes() + self.drive.bytes() + self.back.bytes() + states * size_of::<T>()
    }

    /// Loss, penalties and their gradient. `loss` sees the solution and writes the cotangents of its saved states.
    ///
    /// # Errors
    /// As [`forward`](Self::forward) and [`reverse`](Self::reverse), or what `loss` returns.
    pub fn value_and_gradient(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        penalties: &mut [Weighted<'_, T>],
        loss: impl FnOnce(&Solution<T>, &mut [T]) -> Result<T>,
    ) -> Result<Evaluation<T>> {
        self.forward(problem, options, penalties)?;
        let mut y_bar = vec![T::zero(); self.drive.solution.y.len()];
        let loss = loss(&self.drive.solution, &mut y_bar)?;
        let evaluation = Evaluation::new(loss, penalties)?;
        self.reverse(&y_bar, penalties)?;
        Ok(evaluation)
    }
}

/// The cotangents of the saved states, handed out from the last to the first.
struct Saved<'a, T> {
    located: &'a [Located<T>],
    y_bar: &'a [T],
}

impl<'a, T: Real> Saved<'a, T> {
    fn new(solution: &'a Solution<T>, y_bar: &'a [T]) -> Self {
        Self { located: &solution.located, y_bar }
    }

    /// Adds to `bar` those of the states at `theta` of step `j`.
    fn add(&mut self, j: usize, theta: T, bar: &mut [T]) {
        while let Some((last, rest)) = self.located.split_last() {
            if (last.step, last.theta) != (j, theta) {
                return;
            }
            let (before, y_bar) = self.y_bar.split_at(self.y_bar.len() / self.located.len() * rest.len());
            bar.iter_mut().zip(y_bar).for_each(|(bar, y)| *bar += *y);
            (self.located, self.y_bar) = (rest, before);
        }
    }
}

/// Checks that every saved time is an end of a step.
pub(super) fn check_ends<T: Real>(located: &[Located<T>], times: &[T]) -> Result<()> {
    let inside = |l: &Located<T>| l.theta != T::zero() && l.theta != T::one();
    match located.iter().position(inside) {
        None => Ok(()),
        Some(i) => {
            let needed = "this adjoint takes losses at ends of steps only: name the time in Options::tstops";
            Err(Error::invalid(format!("saved time {i}"), times[i], needed))
        }
    }
}

fn largest<T: Real>(y: &[T]) -> T {
    y.iter().fold(T::zero(), |s, y| y.abs().max_number(s))
}

/// The largest |a − b|; NaN when any is.
fn farthest<T: Real>(a: &[T], b: &[T]) -> T {
    let differences = a.iter().zip(b).map(|(a, b)| (*a - *b).abs());
    differences.fold(T::zero(), |s, d| if d <= s || !s.is_finite() { s } else { d })
}
