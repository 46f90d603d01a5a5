//! The step of Radau IIA.

use super::estimates::{COLUMNS, Layout};
use super::matrix::{RadauMatrix, mix};
use super::tableau::{C, GAMMA, INVERSE};
use crate::dynamics::{Dynamics, Point};
use crate::error::Result;
use crate::integrate::{Estimates, ImplicitWork, Iterations, Stepper, end_time, polynomial};
use crate::num::{ErrorNorm, Real, combine, combine_differences};
use crate::ode::implicit::newton::{Equations, Iteration, Newton};
use crate::ode::implicit::{Algebraic, ImplicitOptions, Slope};
use crate::ode::sdirk::mean_square;

/// Factor on h after an iteration that was too slow, and after one that broke down.
const SLOW: f64 = 0.5;
const BROKEN: f64 = 0.25;

/// Radau IIA steps for one right-hand side.
pub struct RadauStepper<'a, T: Real, D: Dynamics<T>> {
    pub(super) layout: Layout,
    pub(super) dynamics: &'a D,
    pub(super) theta: Vec<T>,
    pub(super) scratch: D::Scratch,
    options: ImplicitOptions<T>,
    pub(super) matrix: Option<RadauMatrix<T>>,
    algebraic: Option<Algebraic<T>>,
    pub(super) slope: Option<Slope<T>>,
    newton: Iteration<T>,
    /// h of the factors; 0 when there are none.
    pub(super) factored: T,
    pub(super) current: bool,
    pub(super) stale: bool,
    batch: usize,
    /// The record (k_0, k_1, k_2, k_3, k_e).
    pub(super) k: Vec<T>,
    /// z of the stages, residuals, three states each; then one state of work space and one argument.
    pub(super) z: Vec<T>,
    pub(super) r: Vec<T>,
    pub(super) base: Vec<T>,
    pub(super) g: Vec<T>,
    /// Size of the last step that was solved, whose collocation polynomial starts the next iteration; 0
    /// for none. The next step starts at ϑ = `origin` of it: 1, or 0 when it was rejected.
    pub(super) last: T,
    origin: f64,
    pub(super) nfe: usize,
    pub(super) nvjp: usize,
    failed: Option<T>,
    failures: usize,
    newton_iterations: usize,
    pub(super) to_stop: bool,
    scratch_bytes: usize,
}

/// The equations of the three stages for z, or of the estimate's stage for one z.
struct Stages<'s, T: Real, D: Dynamics<T>> {
    dynamics: &'s D,
    theta: &'s [T],
    scratch: &'s mut D::Scratch,
    matrix: &'s mut RadauMatrix<T>,
    norm: &'s ErrorNorm<T>,
    /// Times of the stages: three, or one.
    t: &'s [T],
    h: T,
    y: &'s [T],
    base: &'s [T],
    g: &'s mut [T],
    nfe: usize,
}

impl<T: Real, D: Dynamics<T>> Equations<T> for Stages<'_, T, D> {
    #[inline(always)]
    fn residual(&mut self, z: &[T], r: &mut [T]) {
        let n = self.y.len();
        for (&t, (z, r)) in self.t.iter().zip(z.chunks_exact(n).zip(r.chunks_exact_mut(n))) {
            for ((g, base), z) in self.g.iter_mut().zip(self.base).zip(z) {
                *g = *base + *z;
            }
            self.dynamics.eval(Point { t, y: self.g, theta: self.theta }, r, self.scratch);
            self.nfe += 1;
        }
        let inverse = T::one() / self.h;
        if self.t.len() == 1 {
            return self.matrix.add_mass(-inverse * T::of(GAMMA), z, r, false);
        }
        for (row, r) in INVERSE.iter().zip(r.chunks_exact_mut(n)) {
            for (w, z) in row.iter().zip(z.chunks_exact(n)) {
                self.matrix.add_mass(-inverse * T::of(*w), z, r, false);
            }
        }
    }

    fn inexactness(&self) -> T {
        T::zero()
    }

    #[inline(always)]
    fn correct(&mut self, r: &mut [T], _: T) -> bool {
        match self.t.len() {
            1 => self.matrix.solve_real(r, false),
            _ => self.matrix.solve(r, false),
        }
        true
    }

    /// The mean over the stages.
    #[inline(always)]
    fn mean_square(&self, dz: &[T]) -> T {
        let n = self.y.len();
        let dim = self.dynamics.dim();
        let sum = dz.chunks_exact(n).map(|dz| mean_square(self.norm, dz, self.y, self.g, dim));
        sum.fold(T::zero(), |a, b| a + b) / T::of(self.t.len() as f64)
    }

    fn state_square(&self) -> T {
        mean_square(self.norm, self.g, self.y, self.g, self.dynamics.dim())
    }
}

impl<'a, T: Real, D: Dynamics<T>> RadauStepper<'a, T, D> {
    /// Steps for `dynamics` on `batch` columns.
    pub fn new(dynamics: &'a D, batch: usize, options: &ImplicitOptions<T>) -> Self {
        let n = dynamics.dim() * batch;
        let zeros = |n| vec![T::zero(); n];
        Self {
            layout: Layout::new(),
            scratch: dynamics.scratch(batch),
            theta: zeros(dynamics.num_params()),
            matrix: None,
            algebraic: None,
            slope: None,
            newton: Iteration::new(&options.newton),
            options: options.clone(),
            factored: T::zero(),
            current: false,
            stale: true,
            batch,
            k: zeros(COLUMNS * n),
            z: zeros(3 * n),
            r: zeros(3 * n),
            base: zeros(n),
            g: zeros(n),
            last: T::zero(),
            origin: 0.0,
            nfe: 0,
            nvjp: 0,
            failed: None,
            failures: 0,
            newton_iterations: 0,
            to_stop: false,
            scratch_bytes: 0,
            dynamics,
        }
    }

    /// Times of the three stages.
    #[inline(always)]
    pub(super) fn times(&self, (t, h): (T, T)) -> [T; 3] {
        let end = end_time(t, h, self.to_stop);
        [h.mul_add(T::of(C[0]), t), h.mul_add(T::of(C[1]), t), end]
    }

    pub(super) fn evaluate_jacobian(&mut self, t: T, y: &[T]) -> bool {
        self.factored = T::zero();
        let at = Point { t, y, theta: &self.theta };
        let matrix = self.matrix.as_mut();
        matrix.is_some_and(|matrix| matrix.evaluate(self.dynamics, at, &mut self.scratch))
    }

    pub(super) fn factor(&mut self, h: T) -> bool {
        self.newton.new_matrix();
        self.factored = T::zero();
        let done = self.matrix.as_mut().is_some_and(|matrix| matrix.factor(h));
        if done {
            self.factored = h;
        }
        done
    }

    #[inline(always)]
    fn ready(&mut self, (t, h): (T, T), y: &[T]) -> bool {
        if self.stale && !self.current {
            return self.renew((t, h), y);
        }
        self.factored == h || self.factor(h)
    }

    #[cold]
    fn renew(&mut self, (t, h): (T, T), y: &[T]) -> bool {
        self.current = true;
        self.stale = false;
        self.evaluate_jacobian(t, y) && self.factor(h)
    }

    /// Factors with the Jacobian where the iteration has led: the last resort before the step fails.
    #[cold]
    fn elsewhere(&mut self, (t, h): (T, T)) -> bool {
        let g = std::mem::take(&mut self.g);
        let finite = self.evaluate_jacobian(t + h, &g);
        self.g = g;
        self.current = false;
        finite && self.factor(h)
    }

    /// z by the last step's collocation polynomial: z_i = u(ϑ₀ + c_i h/h_last) − u(ϑ₀); zero without one.
    fn predict(&mut self, h: T) {
        let n = self.g.len();
        self.z.fill(T::zero());
        if self.last == T::zero() {
            return;
        }
        let ratio = (h / self.last).f64();
        for (z, c) in self.z.chunks_exact_mut(n).zip(C) {
            for (i, poly) in self.layout.dense.iter().enumerate().take(4).skip(1) {
                let weight = polynomial(poly, self.origin + c * ratio) - polynomial(poly, self.origin);
                let w = self.last * T::of(weight);
                for (z, k) in z.iter_mut().zip(&self.k[i * n..(i + 1) * n]) {
                    *z = w.mul_add(*k, *z);
                }
            }
        }
    }

    /// Solves the three stages from z.
    #[inline(always)]
    fn collocate(&mut self, step: (T, T), y: &[T], norm: &ErrorNorm<T>) -> Newton {
        let times = self.times(step);
        let Self { dynamics, theta, scratch, matrix, g, z, r, newton, .. } = self;
        let Some(matrix) = matrix else {
            return Newton::Broken;
        };
        let mut stages = Stages {
            dynamics: *dynamics,
            theta,
            scratch,
            matrix,
            norm,
            t: &times,
            h: step.1,
            y,
            base: y,
            g,
            nfe: 0,
        };
        let outcome = newton.solve(&mut stages, z, r);
        self.nfe += stages.nfe;
        outcome
    }

    /// Solves the estimate's stage: k_e, and err in `z`'s first state.
    #[inline(always)]
    fn estimate(&mut self, (t, h): (T, T), y: &[T], norm: &ErrorNorm<T>) -> Newton {
        let n = y.len();
        combine(&mut self.base, y, h, &self.layout.error[..4], &self.k);
        let Self { dynamics, theta, scratch, matrix, g, z, r, newton, base, k, .. } = self;
        let Some(matrix) = matrix else {
            return Newton::Broken;
        };
        let (z, r) = (&mut z[..n], &mut r[..n]);
        let scale = h / T::of(GAMMA);
        for (z, k) in z.iter_mut().zip(&k[..n]) {
            *z = scale * *k;
        }
        let mut stages =
            Stages { dynamics: *dynamics, theta, scratch, matrix, norm, t: &[t], h, y, base, g, nfe: 0 };
        let outcome = newton.solve(&mut stages, z, r);
        self.nfe += stages.nfe;
        for (k, z) in k[4 * n..].iter_mut().zip(z.iter()) {
            *k = *z / scale;
        }
        outcome
    }

    /// The whole step; the factor on h when its equations cannot be solved.
    #[inline(always)]
    fn stages_of(&mut self, step: (T, T), y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> Option<f64> {
        let (n, h) = (y.len(), step.1);
        if !self.ready(step, y) {
            return Some(BROKEN);
        }
        self.predict(h);
        let mut outcome = self.collocate(step, y, norm);
        if outcome != Newton::Converged && !self.current {
            if !self.renew(step, y) {
                return Some(BROKEN);
            }
            self.z.fill(T::zero());
            outcome = self.collocate(step, y, norm);
        }
        if outcome == Newton::Slow && self.elsewhere(step) {
            self.z.fill(T::zero());
            outcome = self.collocate(step, y, norm);
        }
        match outcome {
            Newton::Converged => {}
            Newton::Slow => return Some(SLOW),
            Newton::Broken => return Some(BROKEN),
        }
        let inverse = T::one() / h;
        for i in 0..n {
            let z = [self.z[i], self.z[n + i], self.z[2 * n + i]];
            y1[i] = y[i] + z[2];
            for (s, k) in mix(&INVERSE, false, z).into_iter().enumerate() {
                self.k[(s + 1) * n + i] = inverse * k;
            }
        }
        (self.last, self.origin) = (h, 0.0);
        match self.estimate(step, y, norm) {
            Newton::Converged => None,
            Newton::Slow => Some(SLOW),
            Newton::Broken => Some(BROKEN),
        }
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for RadauStepper<'_, T, D> {
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
        (self.current, self.stale) = (false, true);
    }

    fn bytes(&self) -> usize {
        let vectors = [&self.theta, &self.k, &self.z, &self.r, &self.base, &self.g];
        let own: usize = vectors.iter().map(|v| v.len() * size_of::<T>()).sum();
        own + self.scratch_bytes + self.matrix.as_ref().map_or(0, RadauMatrix::bytes)
    }

    fn order(&self) -> usize {
        5
    }

    fn error_power(&self) -> usize {
        4
    }

    fn estimates(&self) -> &dyn Estimates<T> {
        &self.layout
    }

    fn dense_weights(&self) -> &[Vec<f64>] {
        &self.layout.dense
    }

    fn prepare(&mut self, t: T, y: &mut [T], norm: &ErrorNorm<T>) -> Result<()> {
        let dynamics = self.dynamics;
        if self.matrix.is_none() {
            self.matrix = Some(RadauMatrix::new(dynamics, self.batch, &self.options)?);
            self.algebraic = Algebraic::of(dynamics)?;
            if dynamics.mass().is_some() {
                self.slope = Some(Slope::of(dynamics, self.options.budget)?);
            }
        }
        self.newton.prepare(&self.options.newton, norm);
        self.stale = true;
        match &mut self.algebraic {
            Some(algebraic) => algebraic.solve(dynamics, (t, &self.theta), y, norm, &mut self.scratch),
            None => Ok(()),
        }
    }

    fn begin(&mut self, t: T, y: &[T]) {
        let n = y.len();
        let at = Point { t, y, theta: &self.theta };
        self.dynamics.eval(at, &mut self.k[..n], &mut self.scratch);
        self.nfe += 1;
        if let Some(slope) = &self.slope {
            slope.solve(self.dynamics, &mut self.k[..n]);
        }
        self.current = false;
        self.last = T::zero();
    }

    fn derivative(&self) -> &[T] {
        &self.k[..self.g.len()]
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        self.dynamics.eval(Point { t, y, theta: &self.theta }, dy, &mut self.scratch);
        self.nfe += 1;
        if let Some(slope) = &self.slope {
            slope.solve(self.dynamics, dy);
        }
    }

    #[inline(always)]
    fn attempt(&mut self, step: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.to_stop = to_stop;
        self.failed = None;
        self.newton.start_step();
        let failed = self.stages_of(step, y, y1, norm);
        self.newton_iterations += self.newton.count as usize;
        if let Some(factor) = failed {
            // A replay, which cannot take a smaller step, must see it.
            y1.fill(T::NAN);
            self.failed = Some(T::of(factor));
            self.failures += 1;
            self.stale = true;
            return T::NAN;
        }
        let rate = self.options.newton.refresh_rate(self.dynamics.dim());
        self.stale |= self.newton.worst >= T::of(rate);
        let n = y.len();
        combine_differences(&mut self.r[..n], step.1, &self.layout.error, &self.k);
        mean_square(norm, &self.r[..n], y, y1, self.dynamics.dim())
    }

    #[inline(always)]
    fn stages(&self) -> &[T] {
        &self.k
    }

    fn unsolved(&self) -> Option<T> {
        self.failed
    }

    fn iterations(&self) -> Iterations {
        Iterations { newton: self.newton.count, linear: 0 }
    }

    fn implicit_work(&self) -> ImplicitWork {
        let counts = self.matrix.as_ref().map(|m| m.counts).unwrap_or_default();
        ImplicitWork { newton_iterations: self.newton_iterations, failures: self.failures, ..counts }
    }

    fn interpolate(&mut self, (_, h): (T, T), theta: T, [y, _]: [&[T]; 2], out: &mut [T]) {
        let mut weights = [0.0; COLUMNS];
        for (w, poly) in weights.iter_mut().zip(&self.layout.dense) {
            *w = polynomial(poly, theta.f64());
        }
        combine(out, y, h, &weights, &self.k);
    }

    #[inline]
    fn accept(&mut self, t1: T, y1: &[T]) {
        let _ = t1;
        let n = y1.len();
        self.current = false;
        self.origin = 1.0;
        self.k.copy_within(3 * n..4 * n, 0);
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    /// Looks at the start of the step, then at the argument of the stage that was tried last.
    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        let theta = &self.theta;
        let first = self.dynamics.locate_non_finite(Point { t, y, theta });
        first.or_else(|| {
            let t = end_time(t, h, self.to_stop);
            self.dynamics.locate_non_finite(Point { t, y: &self.g, theta })
        })
    }
}

impl<T: Real, D: Dynamics<T>> RadauStepper<'_, T, D> {
    /// The reverse of the consistent initial values ([`Reverse::prepare_pullback`](crate::integrate::Reverse)).
    pub(super) fn consistent_pullback(&mut self, t: T, y0: &[T], bars: [&mut [T]; 2]) -> Result<()> {
        let Self { algebraic, dynamics, theta, scratch, .. } = self;
        match algebraic {
            Some(algebraic) => algebraic.pullback(*dynamics, (t, theta), y0, bars, scratch),
            None => Ok(()),
        }
    }

    /// Counts the right-hand side's scratch, for memory budgets.
    pub(super) fn measure_scratch(&mut self) {
        self.scratch_bytes = self.dynamics.scratch_bytes(self.batch);
    }
}
