//! The step of [`Coupled`](super::Coupled): two increments of the base method, each by a stepper of it.

use crate::dynamics::{Dynamics, Point};
use crate::error::Result;
use crate::integrate::{
    Backward, Estimates, Iterations, StepCotangent, StepInfo, StepView, Stepper, StiffnessForms,
    error_square, polynomial,
};
use crate::num::{ErrorNorm, Kernel, Real, accumulate, combine, combine_differences, dispatch};
use crate::ode::explicit::{ExplicitStepper, refuse_mass};
use crate::ode::method::Method;
use crate::ode::tableau::ExplicitRk;
use std::ops::Range;

/// Steps of a reversible Runge–Kutta method for one right-hand side. The state is (y, z).
pub struct CoupledStepper<'a, T: Real, D: Dynamics<T>> {
    /// Ψ_h(t_n, z_n), and Ψ_{−h}(t_{n+1}, y_{n+1}).
    pub(super) there: ExplicitStepper<'a, T, D>,
    pub(super) back: ExplicitStepper<'a, T, D>,
    pub(super) coupling: T,
    /// Stages that an increment is made of.
    pub(super) needed: usize,
    /// Stage by stage those of both increments.
    pub(super) k: Vec<T>,
    /// The time that the step in hand takes its first derivative at.
    start: T,
    to_stop: bool,
    estimates: Halves,
    /// The error vector; the state before a step taken back.
    pub(super) work: Vec<T>,
    /// The end of the base method's step, where a reverse asks for it.
    pub(super) end: Vec<T>,
    pub(super) inner: Backward<T>,
    pub(super) taping: bool,
}

/// Evaluates stages of an increment, compiled for this CPU.
pub(super) struct Stages<'s, 'a, T: Real, D: Dynamics<T>> {
    pub stepper: &'s mut ExplicitStepper<'a, T, D>,
    pub step: StepInfo<T>,
    pub y: &'s [T],
    pub range: Range<usize>,
}

impl<T: Real, D: Dynamics<T>> Kernel for Stages<'_, '_, T, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { stepper, step, y, range } = self;
        let n = y.len();
        stepper.nfe += range.len();
        for i in range {
            let t = match i {
                0 => step.start(),
                _ => stepper.stage_time((step.t, step.h), i, step.to_stop),
            };
            let ExplicitStepper { method, dynamics, theta, scratch, k, g, tape, taping, .. } = &mut *stepper;
            let (done, next) = k.split_at_mut(i * n);
            let y = match i {
                0 => y,
                _ => {
                    combine(g, y, step.h, &method.a[i], done);
                    &g[..]
                }
            };
            let at = Point { t, y, theta };
            if D::TAPED && *taping {
                let length = tape.len() / method.total_stages();
                let tape = &mut tape[i * length..(i + 1) * length];
                dynamics.eval_taped(at, &mut next[..n], tape, scratch);
            } else {
                dynamics.eval(at, &mut next[..n], scratch);
            }
        }
    }
}

/// The step of Ψ_{−h} from the end of a step.
pub(super) fn mirrored<T: Real>(step: &StepInfo<T>) -> StepInfo<T> {
    let (to_stop, from_stop) = (step.from_stop, step.to_stop);
    StepInfo { t: step.t + step.h, h: -step.h, t1: step.t, to_stop, from_stop, ..*step }
}

impl<'a, T: Real, D: Dynamics<T>> CoupledStepper<'a, T, D> {
    pub(super) fn new(dynamics: &'a D, base: &impl ExplicitRk, batch: usize, coupling: f64) -> Self {
        let n = dynamics.dim() * batch;
        let there = ExplicitStepper::new(dynamics, base, batch);
        let method = there.method();
        let zeros = |n| vec![T::zero(); n];
        Self {
            back: ExplicitStepper::new(dynamics, base, batch),
            coupling: T::of(coupling),
            needed: method.b.iter().rposition(|b| *b != 0.0).map_or(1, |last| last + 1),
            k: zeros(method.stages * 2 * n),
            start: T::zero(),
            to_stop: false,
            estimates: Halves(method.clone()),
            work: zeros(2 * n),
            end: zeros(n),
            inner: Backward::new(n, method.total_stages(), false),
            taping: false,
            there,
        }
    }

    /// Numbers of a solution.
    pub(super) fn half(&self) -> usize {
        self.there.g.len()
    }

    /// Stages of the first increment in a step: all where the error estimate takes them.
    fn first_stages(&self) -> usize {
        match self.there.method.error_power {
            Some(_) => self.there.method.stages,
            None => self.needed,
        }
    }

    fn step((t, h): (T, T), to_stop: bool, from_stop: bool) -> StepInfo<T> {
        let (iterations, member) = (Iterations::default(), Default::default());
        StepInfo { t, h, t1: t + h, to_stop, from_stop, error: T::zero(), iterations, member }
    }

    /// Lays the stages of both increments out for views.
    pub(super) fn lay_out(&mut self) {
        let n = self.half();
        let stages = self.k.chunks_exact_mut(2 * n);
        let both = self.there.k.chunks_exact(n).zip(self.back.k.chunks_exact(n));
        for (block, (there, back)) in stages.zip(both) {
            block[..n].copy_from_slice(there);
            block[n..].copy_from_slice(back);
        }
    }

    /// E² of the step in hand.
    fn error_square(&mut self, h: T, [y0, y1]: [&[T]; 2], norm: &ErrorNorm<T>) -> T {
        let (n, dim) = (self.half(), self.there.dynamics.dim());
        let Self { there, work, .. } = self;
        let method = &there.method;
        if method.error_power.is_none() {
            // 0, or NaN when the state is not finite.
            return y1.iter().fold(T::zero(), |sum, y| y.mul_add(T::zero(), sum));
        }
        let mut square = |weights: &[f64]| {
            combine_differences(&mut work[..n], h, weights, &there.k);
            work.copy_within(..n, n);
            norm.mean_square(work, y0, y1, dim)
        };
        let high = square(&method.error);
        match method.error_low.is_empty() {
            true => high,
            false => error_square(high, square(&method.error_low)),
        }
    }

    /// Weights of k_i beside the chord in the output at ϑ: b_i(ϑ) − ϑ b_i.
    pub(super) fn inside(&mut self, theta: T) {
        let method = &self.there.method;
        for (i, (w, poly)) in self.there.dense_weights.iter_mut().zip(&method.dense).enumerate() {
            let chord = method.b.get(i).map_or(0.0, |b| theta.f64() * b);
            *w = polynomial(poly, theta.f64()) - chord;
        }
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for CoupledStepper<'_, T, D> {
    fn len(&self) -> usize {
        self.work.len()
    }

    fn dim(&self) -> usize {
        self.there.dim()
    }

    fn num_params(&self) -> usize {
        self.there.num_params()
    }

    fn set_theta(&mut self, theta: &[T]) {
        self.there.set_theta(theta);
        self.back.set_theta(theta);
    }

    fn bytes(&self) -> usize {
        let own = self.k.len() + self.work.len() + self.end.len();
        self.there.bytes() + self.back.bytes() + self.inner.bytes() + own * size_of::<T>()
    }

    fn order(&self) -> usize {
        self.there.order()
    }

    fn error_power(&self) -> usize {
        self.there.error_power()
    }

    fn estimates(&self) -> &dyn Estimates<T> {
        &self.estimates
    }

    /// None: the output between steps takes both ends beside the stages.
    fn dense_weights(&self) -> &[Vec<f64>] {
        &[]
    }

    /// z₀ = y₀.
    fn prepare(&mut self, _: T, y: &mut [T], _: &ErrorNorm<T>) -> Result<()> {
        refuse_mass(self.there.dynamics)?;
        self.there.taping = self.taping;
        self.back.taping = self.taping;
        let n = self.half();
        y.copy_within(..n, n);
        Ok(())
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.start = t;
        let n = self.half();
        let step = Self::step((t, T::zero()), false, false);
        dispatch(Stages { stepper: &mut self.there, step, y: &y[n..], range: 0..1 });
        let first = &self.there.k[..n];
        self.k[..n].copy_from_slice(first);
        self.k[n..2 * n].copy_from_slice(first);
    }

    /// k₁ of the first increment, twice.
    fn derivative(&self) -> &[T] {
        &self.k[..self.work.len()]
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        let n = self.half();
        let (dy, again) = dy.split_at_mut(n);
        self.there.evaluate(t, &y[n..], dy);
        again.copy_from_slice(dy);
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        let (n, h) = (self.half(), at.1);
        let step = Self::step(at, to_stop, self.start != at.0);
        let ((start, z0), (end, z1)) = (y.split_at(n), y1.split_at_mut(n));
        let range = 1..self.first_stages();
        self.to_stop = to_stop;
        self.there.extra_done = false;
        Stages { stepper: &mut self.there, step, y: z0, range }.run();
        for ((end, y), z) in end.iter_mut().zip(start).zip(z0) {
            *end = self.coupling.mul_add(*y - *z, *z);
        }
        accumulate(end, h, &self.there.method.b, &self.there.k);
        let range = 0..self.needed;
        Stages { stepper: &mut self.back, step: mirrored(&step), y: end, range }.run();
        z1.copy_from_slice(z0);
        accumulate(z1, h, &self.back.method.b, &self.back.k);
        self.lay_out();
        self.error_square(h, [y, y1], norm)
    }

    fn stages(&self) -> &[T] {
        &self.k
    }

    /// For y and z alike: the chord of the step, and the base method's dense output beside its own chord.
    fn interpolate(&mut self, step: (T, T), theta: T, [y, y1]: [&[T]; 2], out: &mut [T]) {
        let n = self.half();
        self.there.to_stop = self.to_stop;
        self.there.extra_stages(step, &y[n..], None);
        self.inside(theta);
        for ((out, y), y1) in out.iter_mut().zip(y).zip(y1) {
            *out = theta.mul_add(*y1 - *y, *y);
        }
        for half in out.chunks_exact_mut(n) {
            accumulate(half, step.1, &self.there.dense_weights, &self.there.k);
        }
    }

    fn accept(&mut self, t1: T, y1: &[T]) {
        self.begin(t1, y1);
    }

    fn nfe(&self) -> usize {
        self.there.nfe + self.back.nfe
    }

    fn locate_non_finite(&self, at: (T, T), y: &[T]) -> Option<String> {
        self.there.locate_non_finite(at, &y[self.half()..])
    }
}

/// The base method's estimates, of the first increment, the same for y and z.
struct Halves(Method);

impl Halves {
    fn weights(&self, low: bool) -> &[f64] {
        if low { &self.0.error_low } else { &self.0.error }
    }
}

impl<T: Real> Estimates<T> for Halves {
    fn error_power(&self) -> Option<usize> {
        self.0.error_power
    }

    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        let weights = self.weights(low);
        if self.0.error_power.is_none() || weights.is_empty() {
            return false;
        }
        let n = out.len() / 2;
        out.fill(T::zero());
        for (j, w) in weights.iter().enumerate().skip(1).filter(|(_, w)| **w != 0.0) {
            let stages = step.stage(j).iter().zip(step.stage(0));
            let w = step.h * T::of(*w);
            out[..n].iter_mut().zip(stages).for_each(|(out, (k, first))| *out = w.mul_add(*k - *first, *out));
        }
        out.copy_within(..n, n);
        true
    }

    fn error_vector_pullback(
        &self,
        step: &StepView<'_, T>,
        low: bool,
        out_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        let n = out_bar.len() / 2;
        let weights = self.weights(low).iter().enumerate().skip(1);
        for (j, w) in weights.filter(|(_, w)| **w != 0.0) {
            for half in out_bar.chunks_exact(n) {
                accumulate(&mut bar.stage(j)[..n], step.h, &[*w], half);
                accumulate(&mut bar.stage(0)[..n], step.h, &[-*w], half);
            }
        }
    }

    fn stiffness_vectors(&self, _: &StepView<'_, T>, _: &mut [T], _: &mut [T]) -> Option<StiffnessForms> {
        None
    }

    fn stiffness_pullback(&self, _: &StepView<'_, T>, _: &[T], _: &[T], _: &mut StepCotangent<'_, T>) {}

    fn weights(&self) -> &[f64] {
        &self.0.b
    }
}
