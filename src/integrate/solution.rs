//! What a solve gives back: saved states, the accepted steps, statistics, diagnostics.

use crate::error::{Attempt, Error, Member};
use crate::num::Real;
use std::time::Duration;

/// Counts and times of a solve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Evaluations of the right-hand side.
    pub nfe: usize,
    /// Accepted steps.
    pub accepted: usize,
    /// Rejected steps.
    pub rejected: usize,
    /// Size of the first attempted step (positive).
    pub first_h: f64,
    /// Accepted steps by the first and the second method of a switching method; all by the first otherwise.
    pub taken_by: [usize; 2],
    /// How often a switching method changed from one of its methods to the other.
    pub switches: usize,
    /// What implicit steps cost; all zero for explicit ones.
    pub implicit: ImplicitWork,
    /// Wall time.
    pub time: Duration,
    /// What the user should know, each said once.
    pub warnings: Vec<Warning>,
}

impl Statistics {
    /// Counts which method took the accepted `steps`.
    pub(crate) fn count_members<T>(&mut self, steps: &[StepInfo<T>]) {
        let second = steps.iter().filter(|s| s.member == Member::Second).count();
        self.taken_by = [steps.len() - second, second];
        self.switches = steps.windows(2).filter(|pair| pair[0].member != pair[1].member).count();
    }
}

/// What the equations of implicit steps cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImplicitWork {
    /// Jacobians evaluated.
    pub jacobians: usize,
    /// Iteration matrices factorised (or preconditioners set up).
    pub factorisations: usize,
    /// Linear systems solved.
    pub linear_solves: usize,
    /// Newton iterations.
    pub newton_iterations: usize,
    /// Iterations of the linear solver, when it is an iterative one.
    pub linear_iterations: usize,
    /// Attempts whose equations could not be solved: Newton diverged, the matrix was singular or the
    /// linear solver did not converge. Each is a rejected step too.
    pub failures: usize,
}

impl std::ops::Sub for ImplicitWork {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            jacobians: self.jacobians - before.jacobians,
            factorisations: self.factorisations - before.factorisations,
            linear_solves: self.linear_solves - before.linear_solves,
            newton_iterations: self.newton_iterations - before.newton_iterations,
            linear_iterations: self.linear_iterations - before.linear_iterations,
            failures: self.failures - before.failures,
        }
    }
}

/// Iterations that one step took; zero for explicit steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Iterations {
    /// Of Newton's method, all stages together.
    pub newton: u32,
    /// Of the linear solver, when it is an iterative one.
    pub linear: u32,
}

/// Something a solve wants the user to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The tolerance is below what the scalar resolves: E is partly rounding noise.
    BelowResolution {
        /// The requested relative tolerance.
        rtol: f64,
        /// The scalar's ε.
        epsilon: f64,
    },
    /// A way back that integrates the state again missed the states of the way there.
    Drift {
        /// Where it was furthest off.
        t: f64,
        /// Largest difference over the largest |y|.
        relative: f64,
        /// What the user takes for small.
        bound: f64,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BelowResolution { rtol, epsilon } => write!(
                f,
                "rtol = {rtol:e} is below the scalar's resolution {epsilon:e}: the error estimate is partly rounding \
                 noise and wastes steps; raise rtol or use f64"
            ),
            Self::Drift { t, relative, bound } => write!(
                f,
                "the state that was integrated backwards is off by {relative:.2e} (relative) at t = {t:.6e}, beyond \
                 {bound:.1e}: the gradient is of another trajectory"
            ),
        }
    }
}

/// An accepted step, enough to replay it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepInfo<T> {
    /// Start time.
    pub t: T,
    /// Signed step size.
    pub h: T,
    /// End time (t + h, or the stop it was clipped to, exactly).
    pub t1: T,
    /// Whether it ends at a discontinuity: stages at c = 1 are evaluated just before it, and the
    /// next step evaluates its first stage afresh, just after it.
    pub to_stop: bool,
    /// Whether it starts at a discontinuity.
    pub from_stop: bool,
    /// Error estimate E.
    pub error: T,
    /// Iterations it took.
    pub iterations: Iterations,
    /// Which method of a switching method took it.
    pub member: Member,
}

impl<T: Real> StepInfo<T> {
    /// The time t + ϑh; exactly t and t1 at the ends.
    pub fn inside(&self, theta: T) -> T {
        if theta == T::one() { self.t1 } else { theta.mul_add(self.h, self.t) }
    }

    /// The time at which the first stage is evaluated: t, or just after a discontinuity there.
    pub(crate) fn start(&self) -> T {
        if self.from_stop { just_after(self.t, self.h) } else { self.t }
    }

    /// The time at which the step after this one evaluates its first stage, when this one ends at a
    /// discontinuity.
    pub(crate) fn beyond(&self) -> T {
        just_after(self.t1, self.h)
    }
}

/// t moved on by a unit or two in the last place, in the direction of `h`, so that the right-hand
/// side sees the far side of a discontinuity at t whichever branch it takes there itself.
fn just_after<T: Real>(t: T, h: T) -> T {
    let nudge = (t.abs() * T::of(2.0) * T::EPSILON).max(T::MIN_POSITIVE);
    t + nudge.copysign(h)
}

/// Where a saved time lies: in which accepted step, at which ϑ ∈ [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located<T> {
    /// Index of the step.
    pub step: usize,
    /// (t − t_step)/h; exactly 0 or 1 at its ends.
    pub theta: T,
}

impl<T: Real> Located<T> {
    /// The start of the first step.
    pub(crate) fn start() -> Self {
        Self { step: 0, theta: T::zero() }
    }
}

/// The result of a solve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Solution<T> {
    /// Rows of the state.
    pub dim: usize,
    /// Trajectories.
    pub batch: usize,
    /// Saved times.
    pub t: Vec<T>,
    /// Saved states, one `dim × batch` block for each saved time.
    pub y: Vec<T>,
    /// Where each saved time lies.
    pub located: Vec<Located<T>>,
    /// The accepted steps.
    pub steps: Vec<StepInfo<T>>,
    /// Every attempt, when diagnostics were asked for.
    pub attempts: Vec<Attempt>,
    /// Counts and times.
    pub stats: Statistics,
    /// States and interpolation stages of every step ([`Save::Dense`](super::Save::Dense)).
    pub(crate) dense: DenseRecord<T>,
}

/// Everything that dense output needs: per step y0 and the interpolant's stages.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DenseRecord<T> {
    /// y0 and the stages of each step, one after the other.
    pub data: Vec<T>,
    /// Where each step's record starts in `data`.
    pub starts: Vec<usize>,
    /// Polynomial weights of each stage, b_i(ϑ) = Σ_d weights[i][d−1] ϑ^d, by the method that took the
    /// step ([`Member`]).
    pub weights: [Vec<Vec<f64>>; 2],
}

impl<T: Real> DenseRecord<T> {
    /// Forgets the steps.
    pub(crate) fn clear(&mut self) {
        self.data.clear();
        self.starts.clear();
    }

    /// Keeps the next step: its start and all its stages.
    pub(crate) fn push(&mut self, y0: &[T], stages: &[T]) {
        self.starts.push(self.data.len());
        self.data.extend_from_slice(y0);
        self.data.extend_from_slice(stages);
    }

    /// `out` ← y(t + ϑh) in the j-th kept step, which is `step`. `weights` is memory that calls reuse.
    pub(crate) fn interpolate(
        &self,
        j: usize,
        step: &StepInfo<T>,
        theta: T,
        weights: &mut Vec<f64>,
        out: &mut [T],
    ) {
        let (y0, stages) = self.data[self.starts[j]..].split_at(out.len());
        weights.clear();
        let rows = &self.weights[step.member as usize];
        weights.extend(rows.iter().map(|w| polynomial(w, theta.f64())));
        crate::num::combine(out, y0, step.h, weights, stages);
    }
}

impl<T: Real> Solution<T> {
    /// The i-th saved state.
    pub fn state(&self, i: usize) -> &[T] {
        let n = self.dim * self.batch;
        &self.y[i * n..(i + 1) * n]
    }

    /// The last saved state; empty when nothing was saved.
    pub fn last(&self) -> &[T] {
        let n = self.dim * self.batch;
        &self.y[self.y.len().saturating_sub(n)..]
    }

    /// Keeps the first `columns` columns of every saved state.
    pub(crate) fn keep_columns(&mut self, columns: usize) {
        let (n, kept) = (self.dim * self.batch, self.dim * columns);
        for i in 0..self.t.len() {
            self.y.copy_within(i * n..i * n + kept, i * kept);
        }
        self.y.truncate(self.t.len() * kept);
        self.batch = columns;
    }

    /// y(t) of a solution saved densely.
    ///
    /// # Errors
    /// `t` outside the span, or a solve that did not use [`Save::Dense`](super::Save::Dense).
    pub fn at(&self, t: T) -> Result<Vec<T>, Error> {
        let n = self.dim * self.batch;
        let (Some(first), Some(last)) = (self.steps.first(), self.steps.last()) else {
            return Err(Error::invalid("the solution", "empty", "it must hold at least one step"));
        };
        if self.dense.data.is_empty() {
            return Err(Error::invalid(
                "the solution",
                "not dense",
                "solve with Save::Dense to evaluate it anywhere",
            ));
        }
        let forward = last.t1 > first.t;
        let inside = if forward { t >= first.t && t <= last.t1 } else { t <= first.t && t >= last.t1 };
        if !inside {
            return Err(Error::invalid(
                "t",
                t,
                format!("it must lie in the solved span [{}, {}]", first.t, last.t1),
            ));
        }
        let j = self.steps.partition_point(|s| if forward { s.t1 < t } else { s.t1 > t });
        let step = &self.steps[j];
        let theta = (t - step.t) / (step.t1 - step.t);
        let mut out = vec![T::zero(); n];
        self.dense.interpolate(j, step, theta, &mut Vec::new(), &mut out);
        Ok(out)
    }
}

/// Σ_{d≥1} coefficients[d−1] x^d.
pub(crate) fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |acc, c| (acc + c) * x)
}

/// A solve that stopped early: why, and the solution up to there.
#[derive(Debug)]
pub struct Partial<T> {
    /// Why it stopped.
    pub error: Error,
    /// What was reached: saved states, accepted steps, statistics.
    pub solution: Box<Solution<T>>,
}

impl<T> From<Error> for Partial<T>
where
    T: Default,
{
    fn from(error: Error) -> Self {
        Self { error, solution: Box::default() }
    }
}

impl<T> From<Partial<T>> for Error {
    fn from(partial: Partial<T>) -> Self {
        partial.error
    }
}

impl<T> std::fmt::Display for Partial<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: std::fmt::Debug> std::error::Error for Partial<T> {}
