//! The explicit Runge–Kutta step, written once: for one system (small ones with the state in
//! registers), for batches, and for SIMD lanes of an ensemble.
//!
//! g_i = y + h Σ_{j<i} a_ij k_j,  k_i = f(t + c_i h, g_i),  y1 = y + h Σ b_i k_i,  ũ = h Σ b̃_i (k_i − k_1).

use super::method::Method;
use super::tableau::ExplicitRk;
use crate::dynamics::{Dynamics, Point};
use crate::error::{Error, Result};
use crate::integrate::{Estimates, Stepper, end_time, error_square};
use crate::num::{ErrorNorm, Real, Scalar, combine, combine_differences};

/// Explicit Runge–Kutta steps for one right-hand side.
pub struct ExplicitStepper<'a, T: Real, D: Dynamics<T>> {
    pub(crate) method: Method,
    pub(crate) dynamics: &'a D,
    pub(crate) theta: Vec<T>,
    pub(crate) scratch: D::Scratch,
    /// Stage derivatives, extra stages last.
    pub(crate) k: Vec<T>,
    /// What the evaluations of the stages kept for the reverse ([`Dynamics::eval_taped`]), when
    /// `taping`: for each stage as many numbers.
    pub(crate) tape: Vec<T>,
    pub(crate) taping: bool,
    /// Bytes of `scratch`; found when a reverse, which budgets memory, is prepared.
    pub(crate) scratch_bytes: usize,
    /// A stage's argument; then the error vector.
    pub(crate) g: Vec<T>,
    pub(crate) nfe: usize,
    pub(crate) nvjp: usize,
    pub(crate) extra_done: bool,
    /// Whether the step in hand ends at a discontinuity.
    pub(crate) to_stop: bool,
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

/// A right-hand side as the step sees it. A trait and not a closure: closures cannot be
/// `#[inline(always)]`, and one that is not inlined is compiled without the CPU's instructions.
pub(crate) trait Field<E> {
    fn eval(&mut self, t: E, y: &[E], dy: &mut [E]);
}

/// Σ_j row_j k_j for states of `N` rows.
#[inline(always)]
fn row_sum<E: Scalar, const N: usize>(row: &[f64], k: &[E]) -> [E; N] {
    let mut acc = [E::zero(); N];
    for (w, k) in row.iter().zip(k.chunks_exact(N)) {
        let w = E::of(*w);
        for c in 0..N {
            acc[c] = w.mul_add(k[c], acc[c]);
        }
    }
    acc
}

/// y + h Σ_j row_j k_j. The latest stage is what a step waits for: it joins last, by one fused operation.
#[inline(always)]
fn advance<E: Scalar, const N: usize>(y: &[E; N], h: E, row: &[f64], k: &[E]) -> [E; N] {
    let last = row.len() - 1;
    let (earlier, latest) = k.split_at(last * N);
    let mut g = row_sum::<E, N>(&row[..last], earlier);
    let weight = h * E::of(row[last]);
    for c in 0..N {
        g[c] = weight.mul_add(latest[c], h.mul_add(g[c], y[c]));
    }
    g
}

impl<E: Scalar> Step<'_, E> {
    #[inline(always)]
    fn time(&self, i: usize) -> E {
        let c = self.method.c[i];
        if c == 1.0 { self.t_end } else { self.h.mul_add(E::of(c), self.t) }
    }

    /// Stage i of a state of `N` rows, in registers; returns its argument g_i.
    // Unoptimised, every value that is inlined has a place of its own on the stack: copies for every N in
    // sixteen lanes would take megabytes, more than a thread has.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn small_stage<const N: usize>(
        &mut self,
        y: &[E; N],
        i: usize,
        row: &[f64],
        f: &mut impl Field<E>,
    ) -> [E; N] {
        let t = self.time(i);
        let (done, next) = self.k.split_at_mut(i * N);
        let g = advance::<E, N>(y, self.h, row, done);
        f.eval(t, &g, &mut next[..N]);
        g
    }

    /// Stages and end of the step; k_1 is there already.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn small<const N: usize>(&mut self, f: &mut impl Field<E>) {
        let method = self.method;
        let mut y = [E::zero(); N];
        y.copy_from_slice(&self.y[..N]);
        if let Some((rows, _)) = method.seven() {
            // The fifth-order workhorses (Tsit5, DP5), unrolled.
            macro_rules! stage {
                ($($i:literal)*) => {{ $(
                    let row = &rows[$i * ($i - 1) / 2..$i * ($i + 1) / 2];
                    let _g = self.small_stage(&y, $i, row, f);
                )* _g }};
            }
            let end = stage!(1 2 3 4 5 6);
            self.y1[..N].copy_from_slice(&end);
            return;
        }
        for i in 1..method.stages {
            let g = self.small_stage(&y, i, &method.a[i], f);
            if method.fsal && i + 1 == method.stages {
                self.y1[..N].copy_from_slice(&g);
            }
        }
        if !method.fsal {
            self.y1[..N].copy_from_slice(&advance::<E, N>(&y, self.h, &method.b, self.k));
        }
    }

    /// The same for any length.
    #[inline(always)]
    fn large(&mut self, f: &mut impl Field<E>) {
        let n = self.y.len();
        let method = self.method;
        for i in 1..method.stages {
            let t = self.time(i);
            let (done, next) = self.k.split_at_mut(i * n);
            let last = method.fsal && i + 1 == method.stages;
            let g = if last { &mut *self.y1 } else { &mut *self.g };
            combine(g, self.y, self.h, &method.a[i], done);
            f.eval(t, g, &mut next[..n]);
        }
        if !method.fsal {
            combine(self.y1, self.y, self.h, &method.b, self.k);
        }
    }

    /// Mean square of the scaled error estimate for one trajectory of `N` rows.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn small_square<T: Real, const N: usize>(&self, weights: &[f64], norm: &ErrorNorm<T>) -> E {
        // As many stages as weights: a known number for the workhorses, whose sum is then unrolled.
        let (first, rest) = self.k[..weights.len() * N].split_at(N);
        let mut u = [E::zero(); N];
        for (w, k) in weights[1..].iter().zip(rest.chunks_exact(N)) {
            let w = E::of(*w);
            for c in 0..N {
                u[c] = w.mul_add(k[c] - first[c], u[c]);
            }
        }
        for u in &mut u {
            *u *= self.h;
        }
        norm.mean_square_inline(&u, &self.y[..N], &self.y1[..N])
    }

    /// The same for one trajectory of any length.
    #[inline(always)]
    fn large_square<T: Real>(&mut self, weights: &[f64], norm: &ErrorNorm<T>) -> E {
        combine_differences(self.g, self.h, weights, self.k);
        norm.mean_square_inline(self.g, self.y, self.y1)
    }

    /// E² of a method without an estimate: 0, or NaN when the state is not finite.
    #[inline(always)]
    fn no_error(&self) -> E {
        let mut sum = E::zero();
        for y in self.y1.iter() {
            sum = y.mul_add(E::zero(), sum);
        }
        sum
    }

    /// Takes the step for one trajectory and returns E², all inlined: for small systems and lanes.
    #[inline(always)]
    pub(crate) fn run_single<T: Real>(&mut self, norm: &ErrorNorm<T>, f: &mut impl Field<E>) -> E {
        let method = self.method;
        macro_rules! sized {
            ($($n:literal)*) => {
                match self.y.len() {
                    $($n => {
                        self.small::<$n>(f);
                        if method.error_power.is_none() {
                            return self.no_error();
                        }
                        // The workhorses' weights as an array, so that the sum is unrolled.
                        let high = match method.seven() {
                            Some((_, error)) => self.small_square::<T, $n>(error, norm),
                            None => self.small_square::<T, $n>(&method.error, norm),
                        };
                        if method.error_low.is_empty() {
                            return high;
                        }
                        let low = self.small_square::<T, $n>(&method.error_low, norm);
                        error_square(high, low)
                    })*
                    _ => {
                        self.large(f);
                        if method.error_power.is_none() {
                            return self.no_error();
                        }
                        let high = self.large_square(&method.error, norm);
                        if method.error_low.is_empty() {
                            return high;
                        }
                        let low = self.large_square(&method.error_low, norm);
                        error_square(high, low)
                    }
                }
            };
        }
        sized!(1 2 3 4)
    }
}

/// [`Dynamics::eval`] with its parameters and scratch.
struct Bound<'s, T, D: Dynamics<T>>
where
    T: Real,
{
    dynamics: &'s D,
    theta: &'s [T],
    scratch: &'s mut D::Scratch,
    /// The tapes of the stages still to come, each `tape_len` long.
    tape: &'s mut [T],
    tape_len: usize,
    taping: bool,
}

impl<T: Real, D: Dynamics<T>> Field<T> for Bound<'_, T, D> {
    #[inline(always)]
    fn eval(&mut self, t: T, y: &[T], dy: &mut [T]) {
        let theta = self.theta;
        let at = Point { t, y, theta };
        if D::TAPED && self.taping {
            let rest = std::mem::take(&mut self.tape);
            let (tape, rest) = rest.split_at_mut(self.tape_len);
            self.dynamics.eval_taped(at, dy, tape, self.scratch);
            self.tape = rest;
        } else {
            self.dynamics.eval(at, dy, self.scratch);
        }
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
            tape: Vec::new(),
            taping: false,
            scratch_bytes: 0,
            g: vec![T::zero(); n],
            nfe: 0,
            nvjp: 0,
            extra_done: false,
            to_stop: false,
            dense_weights: vec![0.0; method.total_stages()],
            dynamics,
            method,
        }
    }

    /// The method's layout.
    pub fn method(&self) -> &Method {
        &self.method
    }

    fn eval(&mut self, t: T, y: &[T], slot: usize) {
        let n = y.len();
        let theta = &self.theta;
        let at = Point { t, y, theta };
        let dy = &mut self.k[slot * n..(slot + 1) * n];
        if D::TAPED && self.taping {
            let length = self.tape.len() / self.method.total_stages();
            let tape = &mut self.tape[slot * length..(slot + 1) * length];
            self.dynamics.eval_taped(at, dy, tape, &mut self.scratch);
        } else {
            self.dynamics.eval(at, dy, &mut self.scratch);
        }
        self.nfe += 1;
    }

    /// Time at which stage i of a step is evaluated.
    pub(crate) fn stage_time(&self, (t, h): (T, T), i: usize, to_stop: bool) -> T {
        let c = self.method.c[i];
        if c == 1.0 { end_time(t, h, to_stop) } else { h.mul_add(T::of(c), t) }
    }

    /// Evaluates the extra stages of the dense output of the step from (t, y), once a step. With `y1`
    /// given, an extra stage at the step's end is evaluated at just that state, so that the next
    /// step can start from it with the bits of an evaluation of its own.
    pub(crate) fn extra_stages(&mut self, step: (T, T), y: &[T], y1: Option<&[T]>) {
        if self.extra_done {
            return;
        }
        let n = y.len();
        for i in self.method.stages..self.method.total_stages() {
            let mut g = std::mem::take(&mut self.g);
            match y1.filter(|_| self.method.extra_is_end && i == self.method.stages) {
                Some(y1) => g.copy_from_slice(y1),
                None => combine(&mut g, y, step.1, &self.method.a[i], &self.k[..i * n]),
            }
            self.eval(self.stage_time(step, i, self.to_stop), &g, i);
            self.g = g;
        }
        self.extra_done = true;
    }
}

/// Refuses a right-hand side with a mass matrix, which explicit methods would ignore.
///
/// # Errors
/// There is one.
pub(crate) fn refuse_mass<T: Real, D: Dynamics<T>>(dynamics: &D) -> Result<()> {
    if dynamics.mass().is_none() {
        return Ok(());
    }
    let needed = "explicit methods take none: use an implicit one (say Rodas5P)";
    Err(Error::invalid("the mass matrix", "given", needed))
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
        (self.theta.len() + self.k.len() + self.tape.len() + self.g.len()) * size_of::<T>()
            + self.scratch_bytes
    }

    fn order(&self) -> usize {
        self.method.order
    }

    #[inline(always)]
    fn error_power(&self) -> usize {
        self.method.error_power.unwrap_or(1)
    }

    #[inline(always)]
    fn estimates(&self) -> &dyn Estimates<T> {
        &self.method
    }

    fn dense_weights(&self) -> &[Vec<f64>] {
        &self.method.dense
    }

    fn prepare(&mut self, _: T, _: &mut [T], _: &ErrorNorm<T>) -> Result<()> {
        refuse_mass(self.dynamics)
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

    #[inline(always)]
    fn attempt(&mut self, (t, h): (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.nfe += self.method.stages - 1;
        self.extra_done = false;
        self.to_stop = to_stop;
        let t_end = end_time(t, h, to_stop);
        let Self { method, dynamics, theta, scratch, k, g, tape, taping, .. } = self;
        let dim = dynamics.dim();
        let tape_len = if D::TAPED { tape.len() / method.total_stages() } else { 0 };
        let mut f = Bound {
            dynamics: *dynamics,
            theta,
            scratch,
            tape: &mut tape[tape_len..],
            tape_len,
            taping: *taping,
        };
        let mut step = Step { method, t, h, t_end, y, y1, k, g };
        if y.len() == dim {
            return step.run_single(norm, &mut f);
        }
        step.large(&mut f);
        if method.error_power.is_none() {
            return step.no_error();
        }
        combine_differences(step.g, h, &method.error, step.k);
        let high = norm.mean_square(step.g, y, step.y1, dim);
        if method.error_low.is_empty() {
            return high;
        }
        combine_differences(step.g, h, &method.error_low, step.k);
        error_square(high, norm.mean_square(step.g, y, step.y1, dim))
    }

    #[inline(always)]
    fn stages(&self) -> &[T] {
        &self.k
    }

    fn tape(&self) -> &[T] {
        &self.tape
    }

    fn interpolate(&mut self, step: (T, T), theta: T, [y, y1]: [&[T]; 2], out: &mut [T]) {
        self.extra_stages(step, y, Some(y1));
        for (w, poly) in self.dense_weights.iter_mut().zip(&self.method.dense) {
            *w = crate::integrate::polynomial(poly, theta.f64());
        }
        combine(out, y, step.1, &self.dense_weights, &self.k);
    }

    #[inline]
    fn accept(&mut self, t1: T, y1: &[T]) {
        let n = y1.len();
        let last = if self.method.fsal { self.method.stages - 1 } else { self.method.stages };
        if self.method.fsal || (self.extra_done && self.method.extra_is_end) {
            self.k.copy_within(last * n..(last + 1) * n, 0);
            if D::TAPED {
                let length = self.tape.len() / self.method.total_stages();
                let from = last * length;
                self.tape.copy_within(from..from + length, 0);
            }
        } else {
            self.eval(t1, y1, 0);
        }
        self.extra_done = false;
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        let n = y.len();
        let finite = |i: usize| self.k[i * n..(i + 1) * n].iter().all(|k| k.is_finite());
        let i = (0..self.method.stages).find(|&i| !finite(i))?;
        let mut g = y.to_vec();
        combine(&mut g, y, h, &self.method.a[i], &self.k[..i * n]);
        self.dynamics.locate_non_finite(Point {
            t: self.stage_time((t, h), i, self.to_stop),
            y: &g,
            theta: &self.theta,
        })
    }
}
