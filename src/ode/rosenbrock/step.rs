//! The Rosenbrock step, written once: the stages u of the tableau, then the derivatives k = Γ⁻¹u/h that
//! heuristics and dense output see.
//!
//! J and f_t are evaluated at the start of every step (and kept when it is rejected), W is factored for
//! every attempt. A singular W or a linear solver that does not converge makes the attempt a rejected one.

use super::layout::Layout;
use super::tableau::RosenbrockTableau;
use crate::dynamics::{Dynamics, Point};
use crate::error::Result;
use crate::integrate::{Estimates, ImplicitWork, Iterations, Stepper, end_time, polynomial};
use crate::num::{ErrorNorm, Real, accumulate, combine};
use crate::ode::implicit::{Algebraic, ImplicitOptions, IterationMatrix};

/// Rosenbrock steps for one right-hand side.
pub struct RosenbrockStepper<'a, T: Real, D: Dynamics<T>> {
    pub(super) layout: Layout,
    pub(super) dynamics: &'a D,
    pub(super) theta: Vec<T>,
    pub(super) scratch: D::Scratch,
    /// Bytes of `scratch`; found when a reverse, which budgets memory, is prepared.
    pub(super) scratch_bytes: usize,
    pub(super) options: ImplicitOptions<T>,
    /// `None` until the first solve, or when the options refuse the problem.
    pub(super) matrix: Option<IterationMatrix<T>>,
    /// The algebraic equations of a singular mass matrix.
    pub(super) algebraic: Option<Algebraic<T>>,
    /// Where the step in hand starts: the time at which f, J and f_t are evaluated there.
    pub(super) start: T,
    /// f at the start of the step.
    pub(super) f0: Vec<T>,
    /// Whether J and f_t are those of the start of the step, and whether they are finite.
    pub(super) current: bool,
    finite: bool,
    /// The stages u, then k.
    pub(super) u: Vec<T>,
    pub(super) k: Vec<T>,
    /// A stage's argument, and f there.
    pub(super) g: Vec<T>,
    pub(super) f: Vec<T>,
    pub(super) nfe: usize,
    pub(super) reverse: super::pullback::ReverseMemory<'a, T>,
    unsolved: bool,
    dense_weights: Vec<f64>,
}

/// What an attempt that could not be solved tries next: this times h.
const AFTER_FAILURE: f64 = 0.25;

impl<'a, T: Real, D: Dynamics<T>> RosenbrockStepper<'a, T, D> {
    /// Steps of `tableau` for `dynamics` on `batch` columns.
    pub fn new(
        dynamics: &'a D,
        tableau: &RosenbrockTableau,
        batch: usize,
        options: &ImplicitOptions<T>,
    ) -> Self {
        let layout = Layout::new(tableau);
        let (n, s) = (dynamics.dim() * batch, layout.stages());
        let zeros = |n| vec![T::zero(); n];
        Self {
            scratch: dynamics.scratch(batch),
            scratch_bytes: 0,
            theta: zeros(dynamics.num_params()),
            options: options.clone(),
            matrix: None,
            algebraic: None,
            start: T::zero(),
            f0: zeros(n),
            current: false,
            finite: false,
            u: zeros(s * n),
            k: zeros(s * n),
            g: zeros(n),
            f: zeros(n),
            nfe: 0,
            reverse: Default::default(),
            unsolved: false,
            dense_weights: vec![0.0; s],
            dynamics,
            layout,
        }
    }

    /// The method's layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Makes the matrix when there is none yet.
    ///
    /// # Errors
    /// What the options refuse.
    pub(super) fn make_matrix(&mut self) -> Result<()> {
        if self.matrix.is_none() {
            let batch = self.g.len() / self.dynamics.dim();
            self.algebraic = Algebraic::of(self.dynamics)?;
            self.matrix = Some(IterationMatrix::new(self.dynamics, batch, &self.options)?);
        }
        Ok(())
    }

    /// `y` ← J `x`, J being that of the start of the step in hand; NaN before the first.
    pub(crate) fn jacobian_product(&mut self, x: &[T], y: &mut [T]) {
        match &self.matrix {
            Some(matrix) if self.current => {
                matrix.jacobian_product(self.dynamics, &mut self.scratch, x, y);
            }
            _ => y.fill(T::NAN),
        }
    }

    /// Time at which stage i of a step is evaluated.
    pub(super) fn stage_time(&self, (t, h): (T, T), i: usize, to_stop: bool) -> T {
        let c = self.layout.c[i];
        match c {
            1.0 => end_time(t, h, to_stop),
            _ => h.mul_add(T::of(c), t),
        }
    }

    /// J and f_t at the start (t, y) of the step, unless they are there already.
    pub(super) fn linearise(&mut self, y: &[T]) -> bool {
        let Some(matrix) = &mut self.matrix else {
            return false;
        };
        if !self.current {
            let at = Point { t: self.start, y, theta: &self.theta };
            self.finite = matrix.evaluate(self.dynamics, at, &mut self.scratch);
            self.current = true;
        }
        self.finite
    }

    /// `right` += M/h Σ_{j<i} C_ij u_j + h d_i f_t, for stage i.
    fn right_hand_side(
        layout: &Layout,
        matrix: &IterationMatrix<T>,
        h: T,
        i: usize,
        u: &[T],
        right: &mut [T],
    ) {
        let n = right.len();
        for (w, u) in layout.coupling[i].iter().zip(u.chunks_exact(n)) {
            if *w != 0.0 {
                matrix.add_mass(T::of(*w) / h, u, right);
            }
        }
        if layout.d[i] != 0.0 {
            let w = h * T::of(layout.d[i]);
            for (r, t) in right.iter_mut().zip(matrix.time_derivative()) {
                *r = w.mul_add(*t, *r);
            }
        }
    }

    /// The stages u of a step from (t, y), and y1; false when a system could not be solved.
    fn stages_of(&mut self, (t, h): (T, T), to_stop: bool, y: &[T], y1: &mut [T]) -> bool {
        let n = y.len();
        for i in 0..self.layout.stages() {
            if i > 0 {
                combine(&mut self.g, y, T::one(), &self.layout.a[i], &self.u);
                let time = self.stage_time((t, h), i, to_stop);
                let at = Point { t: time, y: &self.g, theta: &self.theta };
                self.dynamics.eval(at, &mut self.f, &mut self.scratch);
                self.nfe += 1;
            } else {
                self.f.copy_from_slice(&self.f0);
            }
            let Some(matrix) = &mut self.matrix else {
                return false;
            };
            let (done, right) = self.u.split_at_mut(i * n);
            let right = &mut right[..n];
            right.copy_from_slice(&self.f);
            Self::right_hand_side(&self.layout, matrix, h, i, done, right);
            if !matrix.solve(self.dynamics, &mut self.scratch, right) {
                return false;
            }
        }
        combine(y1, y, T::one(), &self.layout.m, &self.u);
        true
    }

    /// Counts an attempt whose systems could not be solved.
    #[cold]
    fn failed(&mut self) -> T {
        self.unsolved = true;
        if let Some(matrix) = &mut self.matrix {
            matrix.counts.failures += 1;
        }
        T::NAN
    }

    /// The step of one system of `N` rows with M = I, W being factored, all inlined; returns E².
    #[inline(always)]
    fn small<const N: usize>(
        &mut self,
        (t, h): (T, T),
        to_stop: bool,
        y: &[T],
        y1: &mut [T],
        norm: &ErrorNorm<T>,
    ) -> T {
        let Self { layout, dynamics, theta, scratch, matrix: Some(matrix), u, k, f0, .. } = self else {
            return T::NAN;
        };
        let mut start = [T::zero(); N];
        start.copy_from_slice(&y[..N]);
        let (s, inverse, t_end) = (layout.stages(), T::one() / h, end_time(t, h, to_stop));
        let u = &mut u[..s * N];
        let mut pairs = &layout.pairs[..];
        for i in 0..s {
            let (done, own) = u.split_at_mut(i * N);
            let (row, rest) = pairs.split_at(i);
            pairs = rest;
            let (mut g, mut right, mut coupled) = (start, [T::zero(); N], [T::zero(); N]);
            for ([a, c], u) in row.iter().zip(done.chunks_exact(N)) {
                let (a, c) = (T::of(*a), T::of(*c));
                for r in 0..N {
                    g[r] = a.mul_add(u[r], g[r]);
                    coupled[r] = c.mul_add(u[r], coupled[r]);
                }
            }
            if i == 0 {
                right.copy_from_slice(&f0[..N]);
            } else {
                let c = layout.c[i];
                let time = if c == 1.0 { t_end } else { h.mul_add(T::of(c), t) };
                dynamics.eval(Point { t: time, y: &g, theta }, &mut right, scratch);
            }
            let d = h * T::of(layout.d[i]);
            for ((right, coupled), f_t) in right.iter_mut().zip(&coupled).zip(matrix.time_derivative()) {
                *right = d.mul_add(*f_t, coupled.mul_add(inverse, *right));
            }
            // A direct solver, which cannot fail once it is factored.
            matrix.solve(*dynamics, scratch, &mut right);
            own[..N].copy_from_slice(&right);
        }
        self.nfe += s - 1;
        let (mut end, mut error) = (start, [T::zero(); N]);
        for ((u, m), e) in u.chunks_exact(N).zip(&layout.m).zip(&layout.e) {
            for r in 0..N {
                end[r] = T::of(*m).mul_add(u[r], end[r]);
                error[r] = T::of(*e).mul_add(u[r], error[r]);
            }
        }
        y1[..N].copy_from_slice(&end);
        let mut weights = &layout.to_k_flat[..];
        for (i, k) in k.chunks_exact_mut(N).enumerate() {
            let (row, rest) = weights.split_at(i + 1);
            weights = rest;
            let mut sum = [T::zero(); N];
            for (w, u) in row.iter().zip(u.chunks_exact(N)) {
                for r in 0..N {
                    sum[r] = T::of(*w).mul_add(u[r], sum[r]);
                }
            }
            for r in 0..N {
                k[r] = inverse * sum[r];
            }
        }
        norm.mean_square_inline(&error, &start, &end)
    }

    /// k = Γ⁻¹ u/h.
    fn derivatives(&mut self, h: T) {
        let n = self.g.len();
        self.k.fill(T::zero());
        for (k, row) in self.k.chunks_exact_mut(n).zip(&self.layout.to_k) {
            accumulate(k, T::one() / h, row, &self.u);
        }
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for RosenbrockStepper<'_, T, D> {
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
        self.current = false;
    }

    fn bytes(&self) -> usize {
        let numbers = self.theta.len() + self.f0.len() + self.u.len() + self.k.len() + 2 * self.g.len();
        numbers * size_of::<T>()
            + self.matrix.as_ref().map_or(0, IterationMatrix::bytes)
            + self.reverse.bytes()
            + self.scratch_bytes
    }

    fn order(&self) -> usize {
        self.layout.order
    }

    #[inline(always)]
    fn error_power(&self) -> usize {
        self.layout.power
    }

    #[inline(always)]
    fn estimates(&self) -> &dyn Estimates<T> {
        &self.layout
    }

    fn dense_weights(&self) -> &[Vec<f64>] {
        &self.layout.dense
    }

    fn prepare(&mut self, t: T, y: &mut [T], norm: &ErrorNorm<T>) -> Result<()> {
        self.make_matrix()?;
        self.current = false;
        if let Some(matrix) = &mut self.matrix {
            matrix.check(self.dynamics, Point { t, y, theta: &self.theta }, &mut self.scratch)?;
        }
        match &mut self.algebraic {
            None => Ok(()),
            Some(algebraic) => algebraic.solve(self.dynamics, (t, &self.theta), y, norm, &mut self.scratch),
        }
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.accept(t, y);
    }

    fn derivative(&self) -> &[T] {
        &self.f0
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        self.dynamics.eval(Point { t, y, theta: &self.theta }, dy, &mut self.scratch);
        self.nfe += 1;
    }

    #[inline(always)]
    fn attempt(&mut self, (t, h): (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.unsolved = false;
        if !self.linearise(y) {
            self.unsolved = self.matrix.is_none();
            return T::NAN;
        }
        let Some(matrix) = &mut self.matrix else {
            return T::NAN;
        };
        matrix.start_step();
        let alpha = T::one() / (h * T::of(self.layout.gamma));
        if !matrix.factor(alpha) {
            return self.failed();
        }
        if y.len() == self.dynamics.dim() && matrix.mass().is_none() && matrix.is_direct() {
            match y.len() {
                1 => return self.small::<1>((t, h), to_stop, y, y1, norm),
                2 => return self.small::<2>((t, h), to_stop, y, y1, norm),
                3 => return self.small::<3>((t, h), to_stop, y, y1, norm),
                4 => return self.small::<4>((t, h), to_stop, y, y1, norm),
                _ => {}
            }
        }
        if !self.stages_of((t, h), to_stop, y, y1) {
            return self.failed();
        }
        self.derivatives(h);
        self.f.fill(T::zero());
        accumulate(&mut self.f, T::one(), &self.layout.e, &self.u);
        norm.mean_square(&self.f, y, y1, self.dynamics.dim())
    }

    #[inline(always)]
    fn stages(&self) -> &[T] {
        &self.k
    }

    fn unsolved(&self) -> Option<T> {
        self.unsolved.then(|| T::of(AFTER_FAILURE))
    }

    fn iterations(&self) -> Iterations {
        let linear = self.matrix.as_ref().map_or(0, IterationMatrix::linear_iterations);
        Iterations { newton: 0, linear }
    }

    fn implicit_work(&self) -> ImplicitWork {
        self.matrix.as_ref().map_or(ImplicitWork::default(), |m| m.counts)
    }

    fn interpolate(&mut self, step: (T, T), theta: T, [y, _]: [&[T]; 2], out: &mut [T]) {
        for (w, poly) in self.dense_weights.iter_mut().zip(&self.layout.dense) {
            *w = polynomial(poly, theta.f64());
        }
        combine(out, y, step.1, &self.dense_weights, &self.k);
    }

    #[inline]
    fn accept(&mut self, t1: T, y1: &[T]) {
        let at = Point { t: t1, y: y1, theta: &self.theta };
        self.dynamics.eval(at, &mut self.f0, &mut self.scratch);
        self.nfe += 1;
        (self.start, self.current) = (t1, false);
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        let n = y.len();
        let finite = |i: usize| self.u[i * n..(i + 1) * n].iter().all(|k| k.is_finite());
        let first = self.dynamics.locate_non_finite(Point { t: self.start, y, theta: &self.theta });
        if first.is_some() {
            return first;
        }
        let i = (0..self.layout.stages()).find(|&i| !finite(i))?;
        let mut g = y.to_vec();
        combine(&mut g, y, T::one(), &self.layout.a[i], &self.u[..i * n]);
        self.dynamics.locate_non_finite(Point {
            t: self.stage_time((t, h), i, false),
            y: &g,
            theta: &self.theta,
        })
    }
}
