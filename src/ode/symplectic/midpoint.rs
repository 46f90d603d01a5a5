//! The implicit midpoint rule and its reverse.
//!
//! k = f(t + h/2, y0 + h/2 k) is iterated from the slope at the start until the increments stop falling
//! (Hairer, Lubich & Wanner, VIII.6.2), so that the step is symplectic to rounding. By the implicit function
//! theorem the reverse is x = k̄ + (h/2) Jᵀx with J at the stage, iterated likewise, then ȳ0 = ȳ1 + Jᵀx and
//! θ̄ = (∂f/∂θ)ᵀx. Stages: the slope at the start (for the dense output, and the first iterate), k, and the
//! slope at the end, which the next step starts from.

use super::{HERMITE, NoEstimates};
use crate::dynamics::{Dynamics, Point};
use crate::error::Result;
use crate::integrate::{
    Backward, Estimates, ImplicitWork, Iterations, Reverse, StepInfo, Stepper, end_time, polynomial,
};
use crate::num::{ErrorNorm, Real, accumulate, combine};

/// Iterations before the equation counts as unsolvable.
const MOST: usize = 200;

/// Implicit midpoint steps for one right-hand side.
pub struct MidpointStepper<'a, T: Real, D: Dynamics<T>> {
    dynamics: &'a D,
    theta: Vec<T>,
    scratch: D::Scratch,
    scratch_bytes: usize,
    estimates: NoEstimates,
    dense: Vec<Vec<f64>>,
    /// Slope at the start, k, slope at the end.
    k: Vec<T>,
    g: Vec<T>,
    next: Vec<T>,
    theta_spare: Vec<T>,
    work: ImplicitWork,
    iterations: u32,
    failed: bool,
    nfe: usize,
    nvjp: usize,
    end_done: bool,
    to_stop: bool,
}

/// Largest |a − b|.
fn distance<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::zero(), |most, (a, b)| {
        let off = (*a - *b).abs();
        // NaN must not be lost.
        if off > most || !off.is_finite() { off } else { most }
    })
}

/// Largest |a|.
fn size<T: Real>(a: &[T]) -> T {
    a.iter().fold(T::zero(), |most, a| most.max(a.abs()))
}

/// Watches the increments of a fixed-point iteration.
struct Watch<T> {
    last: T,
    count: usize,
}

/// What an iteration should do next.
enum Verdict {
    Go,
    Done,
    Failed,
}

impl<T: Real> Watch<T> {
    fn new() -> Self {
        Self { last: T::INFINITY, count: 0 }
    }

    /// After an increment of size `off` of values of size `scale`.
    fn judge(&mut self, off: T, scale: T) -> Verdict {
        self.count += 1;
        let rounding = T::of(64.0) * T::EPSILON * scale;
        let stalls = off >= self.last;
        self.last = off;
        match () {
            () if !off.is_finite() => Verdict::Failed,
            () if off == T::zero() || (stalls && off <= rounding) => Verdict::Done,
            () if self.count >= MOST || (stalls && self.count > 3 && off > scale) => Verdict::Failed,
            () => Verdict::Go,
        }
    }
}

impl<'a, T: Real, D: Dynamics<T>> MidpointStepper<'a, T, D> {
    /// Steps for `dynamics` on `batch` columns.
    pub fn new(dynamics: &'a D, batch: usize) -> Self {
        let n = dynamics.dim() * batch;
        let zeros = |n| vec![T::zero(); n];
        Self {
            theta: zeros(dynamics.num_params()),
            theta_spare: zeros(dynamics.num_params()),
            scratch: dynamics.scratch(batch),
            scratch_bytes: 0,
            estimates: NoEstimates { weights: vec![0.0, 1.0, 0.0] },
            // (y1 − y0)/h is k.
            dense: HERMITE.iter().map(|row| row.to_vec()).collect(),
            k: zeros(3 * n),
            g: zeros(n),
            next: zeros(n),
            work: ImplicitWork::default(),
            iterations: 0,
            failed: false,
            nfe: 0,
            nvjp: 0,
            end_done: false,
            to_stop: false,
            dynamics,
        }
    }

    fn eval(&mut self, t: T, y: &[T], slot: usize) {
        let n = y.len();
        let at = Point { t, y, theta: &self.theta };
        self.dynamics.eval(at, &mut self.k[slot * n..(slot + 1) * n], &mut self.scratch);
        self.nfe += 1;
    }

    fn end_slope(&mut self, (t, h): (T, T), y1: &[T]) {
        if !self.end_done {
            self.eval(end_time(t, h, self.to_stop), y1, 2);
            self.end_done = true;
        }
    }

    /// Iterates k; whether it converged.
    fn solve(&mut self, (t, h): (T, T), y: &[T]) -> bool {
        let (n, half) = (y.len(), T::of(0.5) * h);
        self.k.copy_within(0..n, n);
        let mut watch = Watch::new();
        loop {
            let k = &mut self.k[n..2 * n];
            combine(&mut self.g, y, half, &[1.0], k);
            let at = Point { t: t + half, y: &self.g, theta: &self.theta };
            self.dynamics.eval(at, &mut self.next, &mut self.scratch);
            self.nfe += 1;
            self.iterations += 1;
            let verdict = watch.judge(distance(&self.next, k), size(&self.next));
            k.copy_from_slice(&self.next);
            match verdict {
                Verdict::Go => {}
                Verdict::Done => return true,
                Verdict::Failed => return false,
            }
        }
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for MidpointStepper<'_, T, D> {
    fn len(&self) -> usize {
        self.g.len()
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
        let numbers = 2 * self.theta.len() + self.k.len() + self.g.len() + self.next.len();
        numbers * size_of::<T>() + self.scratch_bytes
    }
    fn order(&self) -> usize {
        2
    }
    #[inline(always)]
    fn error_power(&self) -> usize {
        1
    }
    #[inline(always)]
    fn estimates(&self) -> &dyn Estimates<T> {
        &self.estimates
    }
    fn dense_weights(&self) -> &[Vec<f64>] {
        &self.dense
    }
    fn prepare(&mut self, _: T, _: &mut [T], _: &ErrorNorm<T>) -> Result<()> {
        crate::ode::explicit::refuse_mass(self.dynamics)
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.eval(t, y, 0);
        self.end_done = false;
    }

    fn derivative(&self) -> &[T] {
        &self.k[..self.g.len()]
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        self.dynamics.eval(Point { t, y, theta: &self.theta }, dy, &mut self.scratch);
        self.nfe += 1;
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], _: &ErrorNorm<T>) -> T {
        let n = y.len();
        (self.end_done, self.to_stop, self.iterations) = (false, to_stop, 0);
        self.failed = !self.solve(at, y);
        self.work.newton_iterations += self.iterations as usize;
        self.work.failures += usize::from(self.failed);
        combine(y1, y, at.1, &[1.0], &self.k[n..2 * n]);
        if self.failed {
            return T::NAN;
        }
        y1.iter().fold(T::zero(), |sum, y| y.mul_add(T::zero(), sum))
    }

    #[inline(always)]
    fn stages(&self) -> &[T] {
        &self.k
    }

    fn unsolved(&self) -> Option<T> {
        self.failed.then(|| T::of(0.5))
    }

    fn iterations(&self) -> Iterations {
        Iterations { newton: self.iterations, linear: 0 }
    }

    fn implicit_work(&self) -> ImplicitWork {
        self.work
    }

    fn interpolate(&mut self, step: (T, T), theta: T, [y, y1]: [&[T]; 2], out: &mut [T]) {
        self.end_slope(step, y1);
        let weights = HERMITE.map(|row| polynomial(&row, theta.f64()));
        combine(out, y, step.1, &weights, &self.k);
    }

    fn accept(&mut self, t1: T, y1: &[T]) {
        let n = y1.len();
        if self.end_done {
            self.k.copy_within(2 * n..3 * n, 0);
            self.end_done = false;
        } else {
            self.begin(t1, y1);
        }
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    fn locate_non_finite(&self, (t, _): (T, T), y: &[T]) -> Option<String> {
        self.dynamics.locate_non_finite(Point { t, y, theta: &self.theta })
    }
}

impl<T: Real, D: Dynamics<T>> Reverse<T> for MidpointStepper<'_, T, D> {
    fn main_stages(&self) -> usize {
        2
    }

    fn total_stages(&self) -> usize {
        3
    }

    fn prepare_interpolation(&mut self, step: &StepInfo<T>, _: &[T]) {
        self.to_stop = step.to_stop;
    }

    fn keep_tape(&mut self) -> usize {
        self.scratch_bytes = self.dynamics.scratch_bytes(self.g.len() / self.dynamics.dim());
        0
    }

    fn restore(&mut self, step: &StepInfo<T>, stages: &[T], _: &[T]) {
        self.k[..stages.len()].copy_from_slice(stages);
        (self.to_stop, self.end_done) = (step.to_stop, false);
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        accumulate(&mut back.y0, T::one(), &[1.0], y_bar);
        let mut bar = back.cotangent();
        for (i, poly) in HERMITE.iter().enumerate() {
            accumulate(bar.stage(i), step.h, &[polynomial(poly, theta.f64())], y_bar);
        }
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, y1]: [&[T]; 2],
        _: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let (n, h, half) = (self.g.len(), step.h, T::of(0.5) * step.h);
        let slot = |i: usize| i * n..(i + 1) * n;
        let theta = &self.theta;
        // Slopes at the ends: seeds of the dense output and of heuristics alone, nothing is carried.
        if back.touched[2] {
            let at = Point { t: end_time(step.t, h, step.to_stop), y: y1, theta };
            let bar = &back.stages[slot(2)];
            self.dynamics.vjp(at, bar, &mut back.y, theta_bar, &mut self.scratch);
            self.nvjp += 1;
        }
        if back.touched[0] && !back.first_constant {
            let at = Point { t: step.start(), y: y0, theta };
            let bar = &back.stages[slot(0)];
            self.dynamics.vjp(at, bar, &mut back.y0, theta_bar, &mut self.scratch);
            self.nvjp += 1;
        }
        back.k_bar.fill(T::zero());
        accumulate(&mut back.k_bar, h, &[1.0], &back.y);
        if back.touched[1] {
            accumulate(&mut back.k_bar, T::one(), &[1.0], &back.stages[slot(1)]);
        }
        combine(&mut self.g, y0, half, &[1.0], &self.k[slot(1)]);
        let at = Point { t: step.t + half, y: &self.g, theta };
        // x in `next`, Jᵀx in the first slot of `grads`.
        let jx = &mut back.grads[..n];
        self.next.copy_from_slice(&back.k_bar);
        let mut watch = Watch::new();
        let solved = loop {
            jx.fill(T::zero());
            self.theta_spare.fill(T::zero());
            self.dynamics.vjp(at, &self.next, jx, &mut self.theta_spare, &mut self.scratch);
            self.nvjp += 1;
            let (mut off, mut scale) = (T::zero(), T::zero());
            for ((x, j), k) in self.next.iter_mut().zip(&*jx).zip(&back.k_bar) {
                let new = half.mul_add(*j, *k);
                let step = (new - *x).abs();
                off = if step > off || !step.is_finite() { step } else { off };
                scale = scale.max(new.abs());
                *x = new;
            }
            match watch.judge(off, scale) {
                Verdict::Go => {}
                Verdict::Done => break true,
                Verdict::Failed => break false,
            }
        };
        if !solved {
            // The adjoint reports gradients that are not finite.
            self.next.fill(T::NAN);
        }
        jx.fill(T::zero());
        self.dynamics.vjp(at, &self.next, jx, theta_bar, &mut self.scratch);
        self.nvjp += 1;
        accumulate(&mut back.y, T::one(), &[1.0], jx);
        accumulate(&mut back.y, T::one(), &[1.0], &back.y0);
        back.carried = false;
    }

    fn nvjp(&self) -> usize {
        self.nvjp
    }
}
