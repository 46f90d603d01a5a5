//! What a step is, seen from outside: [`Stepper`] (how the loop takes one), [`StepView`] (what an
//! accepted step leaves behind for heuristics and observers) and [`StepCotangent`] (where
//! heuristics put their derivatives).

use super::solution::{ImplicitWork, Iterations, Solution, StepInfo};
use crate::error::{Error, Member, Result};
use crate::num::{ErrorNorm, Kernel, Real, dispatch};

/// An accepted step: from (t, y0) to (t + h, y1) with stage derivatives.
#[derive(Clone, Copy)]
pub struct StepView<'a, T> {
    /// Index among the accepted steps.
    pub index: usize,
    /// Start time.
    pub t: T,
    /// Signed step size.
    pub h: T,
    /// State at t, `dim × batch`.
    pub y0: &'a [T],
    /// State at t + h.
    pub y1: &'a [T],
    /// Stage derivatives k_1, k_2, …, one after the other, each of the state's length.
    pub stages: &'a [T],
    /// What the evaluations kept for the reverse; empty unless a discrete adjoint asked for it.
    pub tape: &'a [T],
    /// The controller's error estimate E (0 for a method without one).
    pub error: T,
    /// Iterations the step took (zero for explicit methods).
    pub iterations: Iterations,
    /// The norm E was measured in.
    pub norm: &'a ErrorNorm<T>,
    /// The method's estimates as functions of the step.
    pub estimates: &'a dyn Estimates<T>,
    /// Rows of the state.
    pub dim: usize,
}

impl<'a, T> StepView<'a, T> {
    /// Length of the state.
    pub fn len(&self) -> usize {
        self.y0.len()
    }

    /// Whether the state is empty (it never is in a solve).
    pub fn is_empty(&self) -> bool {
        self.y0.is_empty()
    }

    /// Stage derivative k_{i+1} (0-based i).
    pub fn stage(&self, i: usize) -> &'a [T] {
        &self.stages[i * self.len()..(i + 1) * self.len()]
    }
}

/// Cotangents of everything a step shows, which heuristics ACCUMULATE into.
pub struct StepCotangent<'a, T> {
    /// Of y0.
    pub y0: &'a mut [T],
    /// Of y1.
    pub y1: &'a mut [T],
    /// Of the stage derivatives.
    pub stages: &'a mut [T],
    /// Which stage cotangents are non-zero (a stage whose entry is false is skipped in reverse).
    pub touched: &'a mut [bool],
    /// Free memory of twice the state's length.
    pub scratch: &'a mut [T],
}

impl<T> StepCotangent<'_, T> {
    /// Cotangent of stage derivative k_{i+1}, marked as touched.
    pub fn stage(&mut self, i: usize) -> &mut [T] {
        let n = self.y0.len();
        self.touched[i] = true;
        &mut self.stages[i * n..(i + 1) * n]
    }
}

/// The two vectors whose quotient of norms estimates stiffness, and the stability size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StiffnessForms {
    /// Real-axis extent of the method's stability region.
    pub stability_size: f64,
}

/// A method's own estimates, linear in the stages. Steppers implement it; heuristics and the
/// controller use it.
pub trait Estimates<T: Real>: Sync {
    /// `min(order, embedded order) + 1`, the power of h that the error estimate goes with; `None`
    /// when the method has no estimate.
    fn error_power(&self) -> Option<usize>;

    /// Whether adaptive steps by this estimate tend to the solution as the tolerance falls; where not, the
    /// estimate is a heuristic only and adaptive solves are refused. False for stochastic methods of
    /// strong order ½ that miss a term whose sign the path decides: steps chosen by the path bias them
    /// (Gaines & Lyons, SIAM J. Appl. Math. 57, 1997).
    fn steers(&self) -> bool {
        true
    }

    /// `out` ← ũ, the local error estimate as a vector; with `low` the second, lower-order estimate
    /// (returns false when there is none).
    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool;

    /// ACCUMULATES the reverse of [`error_vector`](Self::error_vector).
    fn error_vector_pullback(
        &self,
        step: &StepView<'_, T>,
        low: bool,
        out_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    );

    /// `dk` ← k_j − k_i and `dg` ← g_j − g_i of the stiffness pair; `None` when there is none.
    fn stiffness_vectors(&self, step: &StepView<'_, T>, dk: &mut [T], dg: &mut [T])
    -> Option<StiffnessForms>;

    /// ACCUMULATES the reverse of [`stiffness_vectors`](Self::stiffness_vectors).
    fn stiffness_pullback(
        &self,
        step: &StepView<'_, T>,
        dk_bar: &[T],
        dg_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    );

    /// Quadrature weights b of the stages: ∫ φ over the step ≈ h Σ b_i φ(k_i).
    fn weights(&self) -> &[f64];
}

/// A one-step method bound to a problem: what the loop drives.
pub trait Stepper<T: Real> {
    /// Length of the state.
    fn len(&self) -> usize;

    /// Whether the state is empty (it never is in a solve).
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of the state.
    fn dim(&self) -> usize;

    /// Length of the parameter vector.
    fn num_params(&self) -> usize;

    /// Sets the parameters (copied).
    fn set_theta(&mut self, theta: &[T]);

    /// Bytes of the stepper's own memory (stages, scratch).
    fn bytes(&self) -> usize;

    /// Order of the advancing solution.
    fn order(&self) -> usize;

    /// [`Estimates::error_power`], or 1 for a method without an estimate.
    fn error_power(&self) -> usize;

    /// The method's estimates.
    fn estimates(&self) -> &dyn Estimates<T>;

    /// Coefficients of ϑ¹, ϑ², … in the weights b_i(ϑ) of the dense output y + h Σ b_i(ϑ) k_i, one row
    /// for each of [`stages`](Self::stages).
    fn dense_weights(&self) -> &[Vec<f64>];

    /// The same of a switching method's second method ([`dense_weights`](Self::dense_weights) are its
    /// first one's).
    fn second_dense_weights(&self) -> &[Vec<f64>] {
        &[]
    }

    /// Which of a switching method's two methods takes the next step.
    #[inline(always)]
    fn member(&self) -> Member {
        Member::First
    }

    /// From now on, until the next [`prepare`](Self::prepare), steps are recorded ones taken again: the
    /// next is `member`'s, and a switching method chooses nothing by itself.
    #[inline(always)]
    fn select(&mut self, member: Member) {
        let _ = member;
    }

    /// Largest |h| that the method switched to by the last [`accept`](Self::accept) should start with.
    fn largest_start(&self) -> Option<T> {
        None
    }

    /// Called once before the first step of a solve, with the parameters set: refuses what the method
    /// cannot integrate, and makes the initial state consistent where the problem has algebraic
    /// equations.
    ///
    /// # Errors
    /// What the method needs and the problem does not have.
    fn prepare(&mut self, t: T, y: &mut [T], norm: &ErrorNorm<T>) -> Result<()> {
        let _ = (t, y, norm);
        Ok(())
    }

    /// Called once before a solve or a replay over `span`: checks what drives the equation besides time.
    ///
    /// # Errors
    /// A span that it does not cover.
    fn cover(&mut self, span: [T; 2]) -> Result<()> {
        let _ = span;
        Ok(())
    }

    /// The size of an adaptive step from t, no longer than |h| and nearly as long, whose end suits what
    /// drives the equation.
    #[inline(always)]
    fn snap(&self, t: T, h: T) -> T {
        let _ = t;
        h
    }

    /// Why the last attempt could not be made at any step size (it then returned NaN).
    fn refused(&mut self) -> Option<Error> {
        None
    }

    /// Evaluates the derivative at (t, y) afresh, forgetting what the last step left.
    fn begin(&mut self, t: T, y: &[T]);

    /// The derivative at the start of the current step, k_1.
    fn derivative(&self) -> &[T];

    /// f(t, y) into `dy`, counted as an evaluation, leaving the step's stages alone.
    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]);

    /// Takes a step of size h from (t, y) to `y1`; returns E² in `norm` (0 for a method without
    /// an estimate; NaN when anything went non-finite). `to_stop`: t + h is a discontinuity, so
    /// stages at c = 1 are evaluated just before it. `#[inline(always)]`, and called inside
    /// [`dispatch`](crate::num::dispatch) by [`take`].
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T;

    /// The stages of the last attempt.
    fn stages(&self) -> &[T];

    /// When the equations of the last attempt could not be solved (it then returned NaN): the factor
    /// on h to try next.
    fn unsolved(&self) -> Option<T> {
        None
    }

    /// Iterations of the last attempt.
    #[inline(always)]
    fn iterations(&self) -> Iterations {
        Iterations::default()
    }

    /// What the implicit steps cost so far.
    fn implicit_work(&self) -> ImplicitWork {
        ImplicitWork::default()
    }

    /// What the last attempt's evaluations kept for the reverse.
    fn tape(&self) -> &[T] {
        &[]
    }

    /// `out` ← y(t + ϑh) of the last attempt by the method's dense output.
    fn interpolate(&mut self, at: (T, T), theta: T, y: [&[T]; 2], out: &mut [T]);

    /// Makes the last attempt's end the start of the next step.
    fn accept(&mut self, t1: T, y1: &[T]);

    /// Evaluations of the right-hand side so far.
    fn nfe(&self) -> usize;

    /// Names the part of the model that first went non-finite in the last attempt, of size h from
    /// (t, y).
    fn locate_non_finite(&self, at: (T, T), y: &[T]) -> Option<String>;
}

struct Take<'a, T, S> {
    stepper: &'a mut S,
    at: (T, T),
    to_stop: bool,
    y: &'a [T],
    y1: &'a mut [T],
    norm: &'a ErrorNorm<T>,
}

impl<T: Real, S: Stepper<T>> Kernel for Take<'_, T, S> {
    type Output = T;
    #[inline(always)]
    fn run(self) -> T {
        self.stepper.attempt(self.at, self.to_stop, self.y, self.y1, self.norm)
    }
}

/// The end of a step, at which stages with c = 1 are evaluated: just before it where it is a
/// discontinuity.
#[inline(always)]
pub(crate) fn end_time<T: Real>(t: T, h: T, to_stop: bool) -> T {
    let end = t + h;
    if !to_stop {
        return end;
    }
    let nudge = (end.abs() * T::of(2.0) * T::EPSILON).max(h.abs() * T::EPSILON * T::of(0.5));
    end - nudge.copysign(h)
}

/// Takes a recorded step from `y` to `y1`, compiled for this CPU; returns E².
pub fn take<T: Real, S: Stepper<T>>(
    stepper: &mut S,
    step: &StepInfo<T>,
    y: &[T],
    y1: &mut [T],
    norm: &ErrorNorm<T>,
) -> T {
    stepper.select(step.member);
    let (at, to_stop) = ((step.t, step.h), step.to_stop);
    dispatch(Take { stepper, at, to_stop, y, y1, norm })
}

/// Makes the end `y1` of a recorded step taken again the start of the `next` recorded one.
pub(crate) fn pass_on<T: Real, S: Stepper<T>>(
    stepper: &mut S,
    step: &StepInfo<T>,
    next: Option<&StepInfo<T>>,
    y1: &[T],
) {
    if let Some(next) = next {
        stepper.select(next.member);
    }
    match step.to_stop {
        true => stepper.begin(step.beyond(), y1),
        false => stepper.accept(step.t1, y1),
    }
}

/// Cotangents carried backward from step to step, and the work space of a step's reverse.
#[derive(Clone, Debug, Default)]
pub struct Backward<T> {
    /// In: cotangent of y1. Out: cotangent of y0.
    pub y: Vec<T>,
    /// Cotangent of y0 that does not pass through the step (saves, heuristics), added by the reverse.
    pub y0: Vec<T>,
    /// Seeds of the stage derivatives' cotangents (saves, heuristics); empty when nothing seeds them.
    pub stages: Vec<T>,
    /// Which seeds are non-zero.
    pub touched: Vec<bool>,
    /// Cotangent of the next step's k_1, when it is this step's last stage.
    pub carry: Vec<T>,
    /// Whether `carry` holds anything.
    pub carried: bool,
    /// k_1 is a constant: its cotangent goes nowhere (published local regularisation). False after
    /// [`new`](Self::new).
    pub first_constant: bool,
    /// Free memory of two states.
    pub scratch: Vec<T>,
    /// Cotangents of the stages' arguments, then of y1.
    pub(crate) grads: Vec<T>,
    /// Cotangent of the stage derivative in hand.
    pub(crate) k_bar: Vec<T>,
    /// Transposed weights of the stage in hand.
    pub(crate) weights: Vec<f64>,
    /// Which stages' arguments have a cotangent.
    pub(crate) live: Vec<bool>,
}

/// A number computed from all accepted steps of a solve, differentiable through each: what a
/// training loss adds to the data loss.
pub trait Penalty<T: Real> {
    /// Forgets the last solve.
    fn start(&mut self);

    /// Sees an accepted step on the way forward. `scratch` is free memory of two states.
    fn observe(&mut self, step: &StepView<'_, T>, scratch: &mut [T]);

    /// The penalty's value after the last step.
    fn value(&self) -> T;

    /// ACCUMULATES `seed` · ∂value/∂step, on the way back (steps come in reverse order).
    fn pullback(&mut self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>);
}

impl<T: Real> Backward<T> {
    /// Work space for states of `n` numbers and methods of `stages` stages (extra ones included);
    /// `seeded` when saves inside steps or heuristics put cotangents on stages.
    pub fn new(n: usize, stages: usize, seeded: bool) -> Self {
        let zeros = |n| vec![T::zero(); n];
        Self {
            y: zeros(n),
            y0: zeros(n),
            stages: zeros(if seeded { stages * n } else { 0 }),
            touched: vec![false; stages],
            carry: zeros(n),
            carried: false,
            first_constant: false,
            scratch: zeros(2 * n),
            grads: zeros((stages + 1) * n),
            k_bar: zeros(n),
            weights: vec![0.0; stages + 1],
            live: vec![false; stages],
        }
    }

    /// The same for steppers with work space of their own ([`Reverse::OWN_WORK`]): cotangents alone.
    pub fn bare(n: usize, stages: usize) -> Self {
        let zeros = |n| vec![T::zero(); n];
        Self { y: zeros(n), y0: zeros(n), touched: vec![false; stages], ..Self::new(0, 0, false) }
    }

    /// Makes room for seeds on the stages.
    pub fn seed_stages(&mut self) {
        let n = self.y.len();
        self.stages.resize(self.touched.len() * n, T::zero());
        self.scratch.resize(2 * n, T::zero());
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let vectors = [&self.y, &self.y0, &self.stages, &self.carry, &self.scratch, &self.grads, &self.k_bar];
        vectors.iter().map(|v| v.len() * size_of::<T>()).sum()
    }

    /// Forgets the last solve.
    pub fn clear(&mut self) {
        self.y.fill(T::zero());
        self.carried = false;
        self.clear_seeds();
    }

    /// Forgets the last step's seeds.
    pub fn clear_seeds(&mut self) {
        let n = self.y.len();
        self.y0.fill(T::zero());
        for (i, touched) in self.touched.iter_mut().enumerate() {
            if std::mem::take(touched) {
                self.stages[i * n..(i + 1) * n].fill(T::zero());
            }
        }
    }

    /// Where heuristics put the cotangents of the step in hand.
    pub fn cotangent(&mut self) -> StepCotangent<'_, T> {
        StepCotangent {
            y0: &mut self.y0,
            y1: &mut self.y,
            stages: &mut self.stages,
            touched: &mut self.touched,
            scratch: &mut self.scratch,
        }
    }
}

/// The exact reverse of a [`Stepper`]'s step at frozen h: with it a method has gradients.
pub trait Reverse<T: Real>: Stepper<T> {
    /// Whether [`pullback`](Self::pullback) leaves alone what [`Backward`] has for it beside cotangents and seeds, so that
    /// none is made where states are wide.
    const OWN_WORK: bool = false;

    /// Main stages (of the method that has more of them, where there are two).
    fn main_stages(&self) -> usize;

    /// Main and extra stages.
    fn total_stages(&self) -> usize;

    /// Evaluates the extra stages of the dense output of the step in hand.
    fn prepare_interpolation(&mut self, step: &StepInfo<T>, y0: &[T]);

    /// From now on evaluations also keep what spares the reverse the evaluation, if the right-hand
    /// side can; returns the numbers a step's main stages keep.
    fn keep_tape(&mut self) -> usize;

    /// Brings back the stored main stages and tape of `step` as the step in hand, that of the
    /// [selected](Stepper::select) method. Slices longer than its own hold nothing of use beyond.
    fn restore(&mut self, step: &StepInfo<T>, stages: &[T], tape: &[T]);

    /// ACCUMULATES the reverse of y(t + ϑh) with cotangent `y_bar` into the seeds.
    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>);

    /// The reverse of the step in hand: `back.y` from the cotangent of y1 to that of y0, with the
    /// seeds and the carry; ACCUMULATES into `theta_bar`. `fresh`: k_1 was evaluated for this step
    /// and is not the step before's last stage (it always is where the method changed).
    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        y: [&[T]; 2],
        fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    );

    /// The reverse of what [`prepare`](Stepper::prepare) did to the initial state: `y_bar` from the
    /// cotangent of the consistent state `y0` to that of the given one; ACCUMULATES into `theta_bar`.
    ///
    /// # Errors
    /// Equations that cannot be solved.
    fn prepare_pullback(&mut self, t: T, y0: &[T], y_bar: &mut [T], theta_bar: &mut [T]) -> Result<()> {
        let _ = (t, y0, y_bar, theta_bar);
        Ok(())
    }

    /// Vector–Jacobian products so far.
    fn nvjp(&self) -> usize;
}

/// A cotangent of the state at a point of an accepted step, from outside the solve.
#[derive(Clone, Copy, Debug)]
pub struct Injection<'a, T> {
    /// Index of the step.
    pub step: usize,
    /// ϑ ∈ [0, 1]: the state is y(t_j + ϑh_j) by dense output; 0 is the step's start.
    pub theta: T,
    /// Cotangent of that state.
    pub y_bar: &'a [T],
}

/// A finished solve whose accepted steps can be visited again: what local regularisation samples.
pub trait AcceptedSteps<T: Real> {
    /// What took the steps.
    type Stepper: Reverse<T>;

    /// The solution, the stepper with the solve's parameters, and the controller's norm.
    fn parts(&mut self) -> (&Solution<T>, &mut Self::Stepper, &ErrorNorm<T>);

    /// `out` ← y_j, the state at the start of accepted step `step`, with the solve's own bits.
    ///
    /// # Errors
    /// A step that was not taken, or states that were not kept.
    fn step_start(&mut self, step: usize, out: &mut [T]) -> Result<()>;
}

/// A solution saved with [`Save::EveryStep`](super::Save::EveryStep) or
/// [`Save::Dense`](super::Save::Dense) beside a stepper: [`AcceptedSteps`] for any adjoint.
pub struct SavedSteps<'a, T, S> {
    /// The solution.
    pub solution: &'a Solution<T>,
    /// A stepper holding the solve's parameters.
    pub stepper: &'a mut S,
    /// The norm that the solve measured E in.
    pub norm: ErrorNorm<T>,
}

impl<T: Real, S: Reverse<T>> AcceptedSteps<T> for SavedSteps<'_, T, S> {
    type Stepper = S;

    fn parts(&mut self) -> (&Solution<T>, &mut S, &ErrorNorm<T>) {
        (self.solution, self.stepper, &self.norm)
    }

    fn step_start(&mut self, step: usize, out: &mut [T]) -> Result<()> {
        let steps = self.solution.steps.len();
        if self.solution.t.len() != steps + 1 {
            return Err(Error::invalid(
                "the solution",
                format!("{} saved states of {steps} steps", self.solution.t.len()),
                "every step's state is needed: solve with Save::EveryStep or Save::Dense",
            ));
        }
        check_step(step, steps)?;
        Error::check_len("the state's place", out.len(), self.stepper.len(), "the state's length")?;
        out.copy_from_slice(self.solution.state(step));
        Ok(())
    }
}

/// Checks the index of an accepted step.
///
/// # Errors
/// An index past the last step.
pub(crate) fn check_step(step: usize, steps: usize) -> Result<()> {
    if step < steps {
        return Ok(());
    }
    Err(Error::invalid("the step", step, format!("the solve took {steps} steps")))
}
