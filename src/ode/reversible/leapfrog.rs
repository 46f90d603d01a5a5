//! The step of [`AsynchronousLeapfrog`](super::AsynchronousLeapfrog), its reverse, and the step taken back.
//!
//! With cotangents ȳ, v̄ of the end:
//!
//! v̄ += ½hȳ,  ū = 2η v̄,  k̄ = ȳ + (∂f/∂y)ᵀ ū,  ȳ_n = k̄,  v̄_n = (1 − 2η) v̄ + ½h k̄.

use super::euler::EulerDifference;
use crate::dynamics::{Dynamics, Point};
use crate::error::Result;
use crate::integrate::{Backward, Estimates, Reverse, Reversible, StepInfo, Stepper};
use crate::num::{ErrorNorm, Kernel, Real, dispatch};
use crate::ode::explicit::refuse_mass;

/// Steps of the asynchronous leapfrog for one right-hand side. The state is (y, v).
pub struct LeapfrogStepper<'a, T: Real, D: Dynamics<T>> {
    dynamics: &'a D,
    theta: Vec<T>,
    scratch: D::Scratch,
    scratch_bytes: usize,
    eta: T,
    /// u and v_n.
    stage: Vec<T>,
    /// k = y_n + ½h v_n.
    middle: Vec<T>,
    /// The error vector; cotangents of u and of k.
    work: Vec<T>,
    tape: Vec<T>,
    taping: bool,
    /// Whether the tape is of the step in hand.
    taped: bool,
    nfe: usize,
    nvjp: usize,
}

/// u ← f at the middle of a step, compiled for this CPU.
struct Middle<'s, 'a, T: Real, D: Dynamics<T>> {
    stepper: &'s mut LeapfrogStepper<'a, T, D>,
    t: T,
}

impl<T: Real, D: Dynamics<T>> Kernel for Middle<'_, '_, T, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { stepper, t } = self;
        let n = stepper.middle.len();
        let LeapfrogStepper { dynamics, theta, scratch, stage, middle, tape, taping, .. } = &mut *stepper;
        let at = Point { t, y: middle, theta };
        let u = &mut stage[..n];
        if D::TAPED && *taping {
            dynamics.eval_taped(at, u, tape, scratch);
        } else {
            dynamics.eval(at, u, scratch);
        }
        stepper.taped = D::TAPED && stepper.taping;
        stepper.nfe += 1;
    }
}

/// The time of the middle.
#[inline(always)]
fn middle<T: Real>((t, h): (T, T)) -> T {
    h.mul_add(T::of(0.5), t)
}

impl<'a, T: Real, D: Dynamics<T>> LeapfrogStepper<'a, T, D> {
    pub(super) fn new(dynamics: &'a D, batch: usize, eta: f64) -> Self {
        let n = dynamics.dim() * batch;
        let zeros = |n| vec![T::zero(); n];
        Self {
            theta: zeros(dynamics.num_params()),
            scratch: dynamics.scratch(batch),
            scratch_bytes: 0,
            eta: T::of(eta),
            stage: zeros(2 * n),
            middle: zeros(n),
            work: zeros(2 * n),
            tape: Vec::new(),
            taping: false,
            taped: false,
            nfe: 0,
            nvjp: 0,
            dynamics,
        }
    }

    /// 1 − 2η.
    #[inline(always)]
    fn kept(&self) -> T {
        T::one() - T::of(2.0) * self.eta
    }

    /// The reverse of the step in hand for cotangents `y` and seeds of the stage; `u_bar` and `k_bar` are free
    /// memory. `vjp` ACCUMULATES (∂f/∂y)ᵀ of the first into the second.
    #[inline(always)]
    fn pull(&mut self, h: T, back: &mut Backward<T>, vjp: impl FnOnce(&mut Self, &[T], &mut [T])) {
        let n = self.middle.len();
        let (half, kept) = (T::of(0.5) * h, self.kept());
        let double = T::of(2.0) * self.eta;
        let mut work = std::mem::take(&mut self.work);
        let (u_bar, k_bar) = work.split_at_mut(n);
        let (y_bar, v_bar) = back.y.split_at_mut(n);
        for ((v, y), u) in v_bar.iter_mut().zip(&*y_bar).zip(&mut *u_bar) {
            *v = half.mul_add(*y, *v);
            *u = double * *v;
        }
        let seeded = back.touched.contains(&true);
        if seeded {
            u_bar.iter_mut().zip(&back.stages[..n]).for_each(|(u, seed)| *u += *seed);
        }
        k_bar.copy_from_slice(y_bar);
        vjp(self, u_bar, k_bar);
        self.nvjp += 1;
        for ((v, y), k) in v_bar.iter_mut().zip(y_bar).zip(&*k_bar) {
            *y = *k;
            *v = half.mul_add(*k, kept * *v);
        }
        if seeded {
            v_bar.iter_mut().zip(&back.stages[n..]).for_each(|(v, seed)| *v += *seed);
        }
        back.y.iter_mut().zip(&back.y0).for_each(|(y, seed)| *y += *seed);
        self.work = work;
    }

    /// `state` ← k, v_{n+1}: halfway back.
    #[inline(always)]
    fn reach_middle(&mut self, h: T, [y1, v1]: [&[T]; 2]) {
        let half = T::of(-0.5) * h;
        for ((k, y), v) in self.middle.iter_mut().zip(y1).zip(v1) {
            *k = half.mul_add(*v, *y);
        }
    }

    /// (y_n, v_n) from k, u and v_{n+1}.
    #[inline(always)]
    fn leave_middle(&mut self, h: T, v1: &[T], [y0, v0]: [&mut [T]; 2]) {
        let n = self.middle.len();
        let (half, kept, double) = (T::of(-0.5) * h, self.kept(), T::of(-2.0) * self.eta);
        let (u, v) = self.stage.split_at_mut(n);
        let ends = y0.iter_mut().zip(v0).zip(self.middle.iter().zip(v1));
        for (((y0, v0), (k, v1)), (u, v)) in ends.zip(u.iter().zip(v)) {
            *v0 = double.mul_add(*u, *v1) / kept;
            *y0 = half.mul_add(*v0, *k);
            *v = *v0;
        }
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for LeapfrogStepper<'_, T, D> {
    fn len(&self) -> usize {
        self.stage.len()
    }

    fn dim(&self) -> usize {
        self.dynamics.dim()
    }

    fn num_params(&self) -> usize {
        self.dynamics.num_params()
    }

    fn set_theta(&mut self, theta: &[T]) {
        self.theta.clear();
        self.theta.extend_from_slice(theta);
    }

    fn bytes(&self) -> usize {
        let own = [&self.theta, &self.stage, &self.middle, &self.work, &self.tape];
        own.iter().map(|v| v.len() * size_of::<T>()).sum::<usize>() + self.scratch_bytes
    }

    /// v keeps an error of h y''(1 − η)/2η, which costs an order.
    fn order(&self) -> usize {
        if self.eta == T::one() { 2 } else { 1 }
    }

    fn error_power(&self) -> usize {
        2
    }

    fn estimates(&self) -> &dyn Estimates<T> {
        &EulerDifference
    }

    /// None: the output between steps takes both ends.
    fn dense_weights(&self) -> &[Vec<f64>] {
        &[]
    }

    /// v₀ = f(t₀, y₀).
    fn prepare(&mut self, t: T, y: &mut [T], _: &ErrorNorm<T>) -> Result<()> {
        refuse_mass(self.dynamics)?;
        let (y, v) = y.split_at_mut(self.middle.len());
        self.dynamics.eval(Point { t, y, theta: &self.theta }, v, &mut self.scratch);
        self.nfe += 1;
        Ok(())
    }

    /// Nothing is evaluated: v is part of the state.
    fn begin(&mut self, _: T, y: &[T]) {
        let n = self.middle.len();
        let (first, second) = self.stage.split_at_mut(n);
        first.copy_from_slice(&y[n..]);
        second.copy_from_slice(&y[n..]);
    }

    /// v, twice.
    fn derivative(&self) -> &[T] {
        &self.stage
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        let n = self.middle.len();
        let (dy, again) = dy.split_at_mut(n);
        self.dynamics.eval(Point { t, y: &y[..n], theta: &self.theta }, dy, &mut self.scratch);
        again.copy_from_slice(dy);
        self.nfe += 1;
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), _: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        let n = self.middle.len();
        let (half, kept, double) = (T::of(0.5) * at.1, self.kept(), T::of(2.0) * self.eta);
        let ((start, v0), (end, v1)) = (y.split_at(n), y1.split_at_mut(n));
        for ((k, y), v) in self.middle.iter_mut().zip(start).zip(v0) {
            *k = half.mul_add(*v, *y);
        }
        self.stage[n..].copy_from_slice(v0);
        Middle { stepper: self, t: middle(at) }.run();
        let ends = end.iter_mut().zip(v1).zip(self.middle.iter().zip(&self.stage[..n]));
        for (((end, v1), (k, u)), (v0, error)) in ends.zip(v0.iter().zip(&mut self.work)) {
            *v1 = double.mul_add(*u, kept * *v0);
            *end = half.mul_add(*v1, *k);
            *error = at.1 * (*u - *v0);
        }
        self.work[n..].fill(T::zero());
        norm.mean_square(&self.work, y, y1, self.dynamics.dim())
    }

    fn stages(&self) -> &[T] {
        &self.stage
    }

    /// The cubic through both ends with the slopes v there; v by the chord.
    fn interpolate(&mut self, (_, h): (T, T), theta: T, [y, y1]: [&[T]; 2], out: &mut [T]) {
        let n = self.middle.len();
        let [to0, to1, slope0, slope1] = hermite(h, theta);
        for (i, out) in out.iter_mut().enumerate() {
            *out = match i < n {
                true => to0 * y[i] + to1 * y1[i] + (slope0 * y[i + n] + slope1 * y1[i + n]),
                false => theta.mul_add(y1[i] - y[i], y[i]),
            };
        }
    }

    fn accept(&mut self, t1: T, y1: &[T]) {
        self.begin(t1, y1);
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    fn locate_non_finite(&self, at: (T, T), _: &[T]) -> Option<String> {
        self.dynamics.locate_non_finite(Point { t: middle(at), y: &self.middle, theta: &self.theta })
    }
}

/// Weights of y_n, y_{n+1}, v_n and v_{n+1} in the cubic at ϑ.
fn hermite<T: Real>(h: T, theta: T) -> [T; 4] {
    let (one, two) = (T::one(), T::of(2.0));
    let rest = one - theta;
    let to1 = theta * theta * (T::of(3.0) - two * theta);
    [one - to1, to1, h * theta * rest * rest, -(h * theta * theta * rest)]
}

impl<T: Real, D: Dynamics<T>> Reverse<T> for LeapfrogStepper<'_, T, D> {
    const OWN_WORK: bool = true;

    fn main_stages(&self) -> usize {
        1
    }

    fn total_stages(&self) -> usize {
        1
    }

    fn prepare_interpolation(&mut self, _: &StepInfo<T>, _: &[T]) {}

    /// What an evaluation keeps stays in the stepper: a step that is restored has none.
    fn keep_tape(&mut self) -> usize {
        let batch = self.middle.len() / self.dynamics.dim();
        self.scratch_bytes = self.dynamics.scratch_bytes(batch);
        self.tape.resize(self.dynamics.tape_len(batch), T::zero());
        self.taping = true;
        0
    }

    fn restore(&mut self, _: &StepInfo<T>, stages: &[T], _: &[T]) {
        self.stage.copy_from_slice(stages);
        self.taped = false;
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        let n = self.middle.len();
        let [to0, to1, slope0, slope1] = hermite(step.h, theta);
        for (i, bar) in y_bar.iter().enumerate() {
            if i < n {
                back.y0[i] += to0 * *bar;
                back.y[i] += to1 * *bar;
                back.y0[i + n] += slope0 * *bar;
                back.y[i + n] += slope1 * *bar;
            } else {
                back.y0[i] += (T::one() - theta) * *bar;
                back.y[i] += theta * *bar;
            }
        }
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, _]: [&[T]; 2],
        _: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        dispatch(PullBack { stepper: self, step, y0, back, theta_bar });
    }

    /// ȳ₀ and θ̄ take v̄₀.
    fn prepare_pullback(&mut self, t: T, y0: &[T], y_bar: &mut [T], theta_bar: &mut [T]) -> Result<()> {
        let n = self.middle.len();
        let (y_bar, v_bar) = y_bar.split_at_mut(n);
        let at = Point { t, y: &y0[..n], theta: &self.theta };
        self.dynamics.vjp(at, v_bar, y_bar, theta_bar, &mut self.scratch);
        self.nvjp += 1;
        v_bar.fill(T::zero());
        Ok(())
    }

    fn nvjp(&self) -> usize {
        self.nvjp
    }
}

impl<T: Real, D: Dynamics<T>> Reversible<T> for LeapfrogStepper<'_, T, D> {
    fn visible(&self) -> usize {
        self.middle.len()
    }

    fn turn(&mut self) {}

    fn invert(&mut self, step: &StepInfo<T>, y1: &[T], y0: &mut [T]) {
        dispatch(Invert { stepper: self, step, y1, y0 });
    }

    fn retrace(&mut self, step: &StepInfo<T>, state: &mut [T], back: &mut Backward<T>, theta_bar: &mut [T]) {
        dispatch(Retrace { stepper: self, step, state, back, theta_bar });
    }

    fn settle(&mut self, _: &mut [T], _: &mut Backward<T>, _: &mut [T]) {}
}

// The ways back, compiled for this CPU as the step is: without its fused multiply-adds they took forty times as long.

struct PullBack<'s, 'a, T: Real, D: Dynamics<T>> {
    stepper: &'s mut LeapfrogStepper<'a, T, D>,
    step: &'s StepInfo<T>,
    y0: &'s [T],
    back: &'s mut Backward<T>,
    theta_bar: &'s mut [T],
}

impl<T: Real, D: Dynamics<T>> Kernel for PullBack<'_, '_, T, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { stepper, step, y0, back, theta_bar } = self;
        let n = stepper.middle.len();
        let half = T::of(0.5) * step.h;
        let (y, v) = y0.split_at(n);
        for ((k, y), v) in stepper.middle.iter_mut().zip(y).zip(v) {
            *k = half.mul_add(*v, *y);
        }
        stepper.pull(step.h, back, |own, u_bar, k_bar| {
            let LeapfrogStepper { dynamics, theta, scratch, stage, middle: k, tape, taped, .. } = own;
            let at = Point { t: middle((step.t, step.h)), y: k, theta };
            if *taped {
                dynamics.vjp_taped(at, (&stage[..n], tape), u_bar, k_bar, theta_bar, scratch);
            } else {
                dynamics.vjp(at, u_bar, k_bar, theta_bar, scratch);
            }
        });
    }
}

struct Invert<'s, 'a, T: Real, D: Dynamics<T>> {
    stepper: &'s mut LeapfrogStepper<'a, T, D>,
    step: &'s StepInfo<T>,
    y1: &'s [T],
    y0: &'s mut [T],
}

impl<T: Real, D: Dynamics<T>> Kernel for Invert<'_, '_, T, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { stepper, step, y1, y0 } = self;
        let n = stepper.middle.len();
        let ((end, v1), (start, v0)) = (y1.split_at(n), y0.split_at_mut(n));
        stepper.reach_middle(step.h, [end, v1]);
        Middle { stepper, t: middle((step.t, step.h)) }.run();
        stepper.leave_middle(step.h, v1, [start, v0]);
    }
}

struct Retrace<'s, 'a, T: Real, D: Dynamics<T>> {
    stepper: &'s mut LeapfrogStepper<'a, T, D>,
    step: &'s StepInfo<T>,
    state: &'s mut [T],
    back: &'s mut Backward<T>,
    theta_bar: &'s mut [T],
}

impl<T: Real, D: Dynamics<T>> Kernel for Retrace<'_, '_, T, D> {
    type Output = ();
    /// The cotangent of u does not depend on it: f and its product come from one call.
    #[inline(always)]
    fn run(self) {
        let Self { stepper, step, state, back, theta_bar } = self;
        let n = stepper.middle.len();
        let (y, v) = state.split_at_mut(n);
        stepper.reach_middle(step.h, [y, v]);
        stepper.pull(step.h, back, |own, u_bar, k_bar| {
            let LeapfrogStepper { dynamics, theta, scratch, stage, middle: k, tape, nfe, .. } = own;
            let at = Point { t: middle((step.t, step.h)), y: k, theta };
            let value = (&mut stage[..n], &mut tape[..]);
            dynamics.eval_vjp(at, value, u_bar, [k_bar, theta_bar], scratch);
            *nfe += 1;
        });
        let mut v1 = std::mem::take(&mut stepper.work);
        v1[..n].copy_from_slice(v);
        stepper.leave_middle(step.h, &v1[..n], [y, v]);
        stepper.work = v1;
    }
}
