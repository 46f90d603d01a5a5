//! The explicit Runge–Kutta step, written once: for one system (small ones with the state in
//! registers), for batches, and for SIMD lanes of an ensemble.
//!
//! g_i = y + h Σ_{j<i} a_ij k_j,  k_i = f(t + c_i h, g_i),  y1 = y + h Σ b_i k_i,  ũ = h Σ b̃_i (k_i − k_1).

use super::method::Method;
use super::tableau::ExplicitRk;
use crate::dynamics::{Dynamics, Point};
use crate::integrate::{Estimates, Stepper};
use crate::num::{ErrorNorm, Kernel, Real, Scalar, combine, combine_differences, dispatch};

/// Explicit Runge–Kutta steps for one right-hand side.
pub struct ExplicitStepper<'a, T: Real, D: Dynamics<T>> {
    pub(crate) method: Method,
    pub(crate) dynamics: &'a D,
    pub(crate) theta: Vec<T>,
    pub(crate) scratch: D::Scratch,
    /// Stage derivatives, extra stages last.
    pub(crate) k: Vec<T>,
    /// A stage's argument; then the error vector.
    pub(crate) g: Vec<T>,
    pub(crate) nfe: usize,
    pub(crate) nvjp: usize,
    pub(crate) extra_done: bool,
    /// Weights b_i(ϑ), filled at each interpolation.
    pub(crate) dense_weights: Vec<f64>,
}

/// One step from (t, y) to `y1`, in scalars or lanes. `t_end` is the time at which stages with c = 1 are evaluated.
pub(crate) struct Step<'a, E> {
    pub method: &'a Method,
    pub t: E,
    pub h: E,
    pub t_end: E,
    pub y: &'a [E],
    pub y1: &'a mut [E],
    pub k: &'a mut [E],
    pub g: &'a mut [E],
}

impl<E: Scalar> Step<'_, E> {
    #[inline(always)]
    fn time(&self, i: usize) -> E {
        let c = self.method.c[i];
        if c == 1.0 {
            self.t_end
        } else {
            self.h.mul_add(E::of(c), self.t)
        }
    }

    /// Stages and end of the step; k_1 is there already. States of `N` rows stay in registers.
    #[inline(always)]
    fn small<const N: usize>(&mut self, mut f: impl FnMut(E, &[E], &mut [E])) {
        let method = self.method;
        let y: [E; N] = std::array::from_fn(|c| self.y[c]);
        let sum = |row: &[f64], k: &[E]| {
            let mut acc = [E::zero(); N];
            for (w, k) in row.iter().zip(k.chunks_exact(N)) {
                let w = E::of(*w);
                for (a, k) in acc.iter_mut().zip(k) {
                    *a = w.mul_add(*k, *a);
                }
            }
            acc
        };
        for i in 1..method.stages {
            let t = self.time(i);
            let (done, next) = self.k.split_at_mut(i * N);
            let acc = sum(&method.a[i], done);
            let g: [E; N] = std::array::from_fn(|c| self.h.mul_add(acc[c], y[c]));
            let mut dy = [E::zero(); N];
            f(t, &g, &mut dy);
            next[..N].copy_from_slice(&dy);
            if method.fsal && i + 1 == method.stages {
                self.y1.copy_from_slice(&g);
            }
        }
        if !method.fsal {
            let acc = sum(&method.b, self.k);
            for c in 0..N {
                self.y1[c] = self.h.mul_add(acc[c], y[c]);
            }
        }
    }

    /// The same for any length.
    #[inline(always)]
    fn large(&mut self, mut f: impl FnMut(E, &[E], &mut [E])) {
        let n = self.y.len();
        let method = self.method;
        for i in 1..method.stages {
            let t = self.time(i);
            let (done, next) = self.k.split_at_mut(i * n);
            let last = method.fsal && i + 1 == method.stages;
            let g = if last { &mut *self.y1 } else { &mut *self.g };
            combine(g, self.y, self.h, &method.a[i], done);
            f(t, g, &mut next[..n]);
        }
        if !method.fsal {
            combine(self.y1, self.y, self.h, &method.b, self.k);
        }
    }

    /// Mean square of the scaled error estimate for one trajectory of `N` rows.
    #[inline(always)]
    fn small_error<T: Real, const N: usize>(&self, weights: &[f64], norm: &ErrorNorm<T>) -> E {
        let (first, rest) = self.k.split_at(N);
        let mut acc = [E::zero(); N];
        for (w, k) in weights[1..].iter().zip(rest.chunks_exact(N)) {
            let w = E::of(*w);
            for c in 0..N {
                acc[c] = w.mul_add(k[c] - first[c], acc[c]);
            }
        }
        let u: [E; N] = std::array::from_fn(|c| self.h * acc[c]);
        norm.mean_square_inline(&u, self.y, self.y1)
    }

    /// Takes the step for one trajectory and returns E, all inlined: for small systems and lanes.
    #[inline(always)]
    pub(crate) fn run_single<T: Real>(
        &mut self,
        norm: &ErrorNorm<T>,
        f: impl FnMut(E, &[E], &mut [E]),
    ) -> E {
        macro_rules! sized {
            ($($n:literal)*) => {
                match self.y.len() {
                    $($n => {
                        self.small::<$n>(f);
                        self.error(|s, w| s.small_error::<T, $n>(w, norm))
                    })*
                    n => {
                        self.large(f);
                        self.error(|s, w| {
                            combine_differences(&mut s.g[..n], s.h, w, s.k);
                            norm.mean_square_inline(s.g, s.y, s.y1)
                        })
                    }
                }
            };
        }
        sized!(1 2 3 4)
    }

    /// E from the mean squares that `mean_square` gives for a set of weights.
    #[inline(always)]
    fn error(&mut self, mut mean_square: impl FnMut(&mut Self, &[f64]) -> E) -> E {
        let method = self.method;
        if method.error_power.is_none() {
            // No estimate: 0, or NaN when the state is not finite.
            return self
                .y1
                .iter()
                .fold(E::zero(), |a, y| y.mul_add(E::zero(), a));
        }
        let high = mean_square(self, &method.error);
        if method.error_low.is_empty() {
            return high.sqrt();
        }
        let low = mean_square(self, &method.error_low);
        crate::integrate::error_square(high, low).sqrt()
    }
}

/// A step of one right-hand side, compiled for this CPU.
struct Attempt<'s, 'a, T: Real, D: Dynamics<T>> {
    stepper: &'s mut ExplicitStepper<'a, T, D>,
    at: [T; 3],
    y: &'s [T],
    y1: &'s mut [T],
    norm: &'s ErrorNorm<T>,
}

impl<T: Real, D: Dynamics<T>> Kernel for Attempt<'_, '_, T, D> {
    type Output = T;
    #[inline(always)]
    fn run(self) -> T {
        let Self {
            stepper,
            at: [t, h, t_end],
            y,
            y1,
            norm,
        } = self;
        let ExplicitStepper {
            method,
            dynamics,
            theta,
            scratch,
            k,
            g,
            ..
        } = stepper;
        let dim = dynamics.dim();
        let mut step = Step {
            method,
            t,
            h,
            t_end,
            y,
            y1,
            k,
            g,
        };
        let f = |t: T, y: &[T], dy: &mut [T]| dynamics.eval(Point { t, y, theta }, dy, scratch);
        if y.len() == dim {
            return step.run_single(norm, f);
        }
        step.large(f);
        step.error(|s, w| {
            combine_differences(s.g, s.h, w, s.k);
            norm.mean_square(s.g, s.y, s.y1, dim)
        })
    }
}

impl<'a, T: Real, D: Dynamics<T>> ExplicitStepper<'a, T, D> {
    /// Steps of `method` for `dynamics` on `batch` columns.
    pub fn new(dynamics: &'a D, method: &impl ExplicitRk, batch: usize) -> Self {
        let method = Method::new(method.tableau());
        let n = dynamics.dim() * batch;
        Self {
            scratch: dynamics.scratch(batch),
            theta: vec![T::zero(); dynamics.num_params()],
            k: vec![T::zero(); method.total_stages() * n],
            g: vec![T::zero(); n],
            nfe: 0,
            nvjp: 0,
            extra_done: false,
            dense_weights: vec![0.0; method.total_stages()],
            dynamics,
            method,
        }
    }

    /// The method's layout.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Time for stages at c = 1: t + h, or just before a discontinuity there.
    pub(crate) fn end_time(t: T, h: T, to_stop: bool) -> T {
        let end = t + h;
        if !to_stop {
            return end;
        }
        let nudge = (end.abs() * T::of(2.0) * T::EPSILON).max(h.abs() * T::EPSILON * T::of(0.5));
        end - nudge.copysign(h)
    }

    fn eval(&mut self, t: T, y: &[T], slot: usize) {
        let n = y.len();
        let (theta, scratch) = (&self.theta, &mut self.scratch);
        self.dynamics.eval(
            Point { t, y, theta },
            &mut self.k[slot * n..(slot + 1) * n],
            scratch,
        );
        self.nfe += 1;
    }

    /// Evaluates the extra stages of the dense output of the step from (t, y), once a step.
    pub(crate) fn extra_stages(&mut self, (t, h): (T, T), y: &[T]) {
        if self.extra_done {
            return;
        }
        let n = y.len();
        for i in self.method.stages..self.method.total_stages() {
            let mut g = std::mem::take(&mut self.g);
            combine(&mut g, y, h, &self.method.a[i], &self.k[..i * n]);
            self.eval(h.mul_add(T::of(self.method.c[i]), t), &g, i);
            self.g = g;
        }
        self.extra_done = true;
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for ExplicitStepper<'_, T, D> {
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
        let batch = self.g.len() / self.dynamics.dim();
        (self.theta.len() + self.k.len() + self.g.len()) * size_of::<T>()
            + self.dynamics.scratch_bytes(batch)
    }

    fn order(&self) -> usize {
        self.method.order
    }

    #[inline(always)]
    fn estimates(&self) -> &dyn Estimates<T> {
        &self.method
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.eval(t, y, 0);
        self.extra_done = false;
    }

    fn derivative(&self) -> &[T] {
        &self.k[..self.g.len()]
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        let (theta, scratch) = (&self.theta, &mut self.scratch);
        self.dynamics.eval(Point { t, y, theta }, dy, scratch);
        self.nfe += 1;
    }

    #[inline]
    fn attempt(
        &mut self,
        (t, h): (T, T),
        to_stop: bool,
        y: &[T],
        y1: &mut [T],
        norm: &ErrorNorm<T>,
    ) -> T {
        self.nfe += self.method.stages - 1;
        self.extra_done = false;
        let t_end = Self::end_time(t, h, to_stop);
        dispatch(Attempt {
            stepper: self,
            at: [t, h, t_end],
            y,
            y1,
            norm,
        })
    }

    #[inline(always)]
    fn stages(&self) -> &[T] {
        &self.k
    }

    fn interpolate(&mut self, step: (T, T), theta: T, [y, _]: [&[T]; 2], out: &mut [T]) {
        self.extra_stages(step, y);
        for (w, poly) in self.dense_weights.iter_mut().zip(&self.method.dense) {
            *w = crate::integrate::polynomial(poly, theta.f64());
        }
        combine(out, y, step.1, &self.dense_weights, &self.k);
    }

    #[inline]
    fn accept(&mut self, t1: T, y1: &[T]) {
        let n = y1.len();
        let last = if self.method.fsal {
            self.method.stages - 1
        } else {
            self.method.stages
        };
        if self.method.fsal || (self.extra_done && self.method.extra_is_end) {
            self.k.copy_within(last * n..(last + 1) * n, 0);
        } else {
            self.eval(t1, y1, 0);
        }
        self.extra_done = false;
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    fn locate_non_finite(&self, t: T, y: &[T]) -> Option<String> {
        self.dynamics.locate_non_finite(Point {
            t,
            y,
            theta: &self.theta,
        })
    }
}
