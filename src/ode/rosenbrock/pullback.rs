//! The exact reverse of the Rosenbrock step at frozen h.
//!
//! With cotangents ȳ1 of the end and s_i of the derivatives k (heuristics, dense output),
//! ū = ȳ1 mᵀ + Γ⁻ᵀ s/h; then for i = s, …, 1:
//!
//! λ_i = W⁻ᵀ ū_i,  ḡ_i = (∂f/∂y)ᵀ λ_i at the stage,  θ̄ += (∂f/∂θ)ᵀ λ_i,
//! ū_j += a_ij ḡ_i + (C_ij/h) Mᵀ λ_i  (j < i),
//!
//! and, since W u_i = r_i holds J and r_i holds f_t, the gradient of λ_iᵀ (J u_i + h d_i f_t) at the step's
//! start goes to ȳ0 and θ̄: second derivatives of f. ȳ0 = ȳ1 + s_0 + Σ ḡ_i + those.

use super::step::RosenbrockStepper;
use crate::dynamics::{Point, SecondOrder, Tangent};
use crate::error::Result;
use crate::integrate::{Backward, Reverse, StepInfo, polynomial};
use crate::num::{Real, accumulate, combine};

/// [`SecondOrder::tangent_vjp`] of some right-hand side, with its memory: what the stepper of a right-hand
/// side that may have none keeps behind a pointer.
pub(super) trait Products<T>: Send {
    fn tangent_vjp(&mut self, at: Point<'_, T>, dot: Tangent<'_, T>, bar: &[T], bars: [&mut [T]; 2]);
}

struct Bound<'a, T: Real, D: SecondOrder<T>> {
    dynamics: &'a D,
    memory: D::Memory,
}

impl<T: Real, D: SecondOrder<T>> Products<T> for Bound<'_, T, D> {
    fn tangent_vjp(
        &mut self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        bar: &[T],
        [y_bar, theta_bar]: [&mut [T]; 2],
    ) {
        self.dynamics.tangent_vjp(at, dot, bar, y_bar, theta_bar, &mut self.memory);
    }
}

/// What the reverse needs beside the stepper's own memory; empty until one is prepared.
pub(super) struct ReverseMemory<'a, T> {
    products: Option<Box<dyn Products<T> + 'a>>,
    /// Cotangents of the stages u.
    u_bar: Vec<T>,
    lambda: Vec<T>,
    g_bar: Vec<T>,
    y_bar: Vec<T>,
    nvjp: usize,
}

impl<T> Default for ReverseMemory<'_, T> {
    fn default() -> Self {
        let [u_bar, lambda, g_bar, y_bar] = [(); 4].map(|()| Vec::new());
        Self { products: None, u_bar, lambda, g_bar, y_bar, nvjp: 0 }
    }
}

impl<T> ReverseMemory<'_, T> {
    pub(super) fn bytes(&self) -> usize {
        (self.u_bar.len() + self.lambda.len() + self.g_bar.len() + self.y_bar.len()) * size_of::<T>()
    }
}

impl<T: Real, D: SecondOrder<T>> RosenbrockStepper<'_, T, D> {
    fn prepare_reverse(&mut self) {
        let (n, s) = (self.g.len(), self.layout.stages());
        if self.reverse.products.is_none() {
            let memory = self.dynamics.memory(n / self.dynamics.dim().max(1));
            self.reverse.products = Some(Box::new(Bound { dynamics: self.dynamics, memory }));
            let zeros = |n| vec![T::zero(); n];
            self.reverse.u_bar = zeros(s * n);
            self.reverse.lambda = zeros(n);
            self.reverse.g_bar = zeros(n);
            self.reverse.y_bar = zeros(n);
        }
    }

    /// u = hΓk, J and the factors of W for the step in hand; false when there are none.
    fn rebuild(&mut self, step: &StepInfo<T>, y0: &[T]) -> bool {
        let n = y0.len();
        self.u.fill(T::zero());
        for (u, row) in self.u.chunks_exact_mut(n).zip(&self.layout.to_u) {
            accumulate(u, step.h, row, &self.k);
        }
        (self.start, self.current) = (step.start(), false);
        if !self.linearise(y0) {
            return false;
        }
        let alpha = T::one() / (step.h * T::of(self.layout.gamma));
        self.matrix.as_mut().is_some_and(|m| m.factor(alpha))
    }

    /// ū from the cotangents of y1 and of the derivatives.
    fn seed(&mut self, h: T, back: &Backward<T>) {
        let n = back.y.len();
        let Self { layout, reverse, .. } = self;
        reverse.u_bar.fill(T::zero());
        for (u_bar, m) in reverse.u_bar.chunks_exact_mut(n).zip(&layout.m) {
            accumulate(u_bar, T::one(), &[*m], &back.y);
        }
        for (i, row) in layout.to_k.iter().enumerate().filter(|(i, _)| back.touched[*i]) {
            let seed = &back.stages[i * n..(i + 1) * n];
            for (u_bar, w) in reverse.u_bar.chunks_exact_mut(n).zip(row) {
                accumulate(u_bar, T::one() / h, &[*w], seed);
            }
        }
    }

    /// λ_i and what follows from it, into the cotangents of the stages before, y0 and θ.
    fn stage_pullback(
        &mut self,
        step: &StepInfo<T>,
        y0: &[T],
        (i, constant): (usize, bool),
        theta_bar: &mut [T],
    ) {
        let (n, h) = (y0.len(), step.h);
        let time = if i == 0 { step.start() } else { self.stage_time((step.t, h), i, step.to_stop) };
        combine(&mut self.g, y0, T::one(), &self.layout.a[i], &self.u);
        let Self { layout, dynamics, theta, scratch, matrix, g, u, reverse, .. } = self;
        let (Some(matrix), Some(products)) = (matrix, &mut reverse.products) else {
            return;
        };
        let (earlier, own) = reverse.u_bar.split_at_mut(i * n);
        reverse.lambda.copy_from_slice(&own[..n]);
        if !matrix.solve_transpose(*dynamics, scratch, &mut reverse.lambda) {
            reverse.lambda.fill(T::NAN);
        }
        reverse.g_bar.fill(T::zero());
        if !(i == 0 && constant) {
            let at = Point { t: time, y: g, theta };
            dynamics.vjp(at, &reverse.lambda, &mut reverse.g_bar, theta_bar, scratch);
            reverse.nvjp += 1;
        }
        for (j, u_bar) in earlier.chunks_exact_mut(n).enumerate() {
            accumulate(u_bar, T::one(), &[layout.a[i][j]], &reverse.g_bar);
            if layout.coupling[i][j] != 0.0 {
                matrix.add_mass_transpose(T::of(layout.coupling[i][j]) / h, &reverse.lambda, u_bar);
            }
        }
        accumulate(&mut reverse.y_bar, T::one(), &[1.0], &reverse.g_bar);
        let at = Point { t: step.start(), y: y0, theta };
        let dot = Tangent { t: h * T::of(layout.d[i]), y: &u[i * n..(i + 1) * n], theta: &[] };
        products.tangent_vjp(at, dot, &reverse.lambda, [&mut reverse.y_bar, theta_bar]);
    }
}

impl<T: Real, D: SecondOrder<T>> Reverse<T> for RosenbrockStepper<'_, T, D> {
    fn main_stages(&self) -> usize {
        self.layout.stages()
    }

    fn total_stages(&self) -> usize {
        self.layout.stages()
    }

    fn prepare_interpolation(&mut self, _: &StepInfo<T>, _: &[T]) {}

    fn keep_tape(&mut self) -> usize {
        self.prepare_reverse();
        // What it refuses, the solve will.
        let _ = self.make_matrix();
        self.scratch_bytes = self.dynamics.scratch_bytes(self.g.len() / self.dynamics.dim().max(1));
        0
    }

    fn restore(&mut self, _: &StepInfo<T>, stages: &[T], _: &[T]) {
        self.k.copy_from_slice(stages);
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        accumulate(&mut back.y0, T::one(), &[1.0], y_bar);
        let mut bar = back.cotangent();
        for (i, poly) in self.layout.dense.iter().enumerate() {
            let w = polynomial(poly, theta.f64());
            if w != 0.0 {
                accumulate(bar.stage(i), step.h, &[w], y_bar);
            }
        }
    }

    /// k_1 is f at the step's start for every step: nothing is carried, and `fresh` does not matter.
    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, _]: [&[T]; 2],
        _fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        self.prepare_reverse();
        if !self.rebuild(step, y0) {
            back.y.fill(T::NAN);
            return;
        }
        self.seed(step.h, back);
        self.reverse.y_bar.fill(T::zero());
        for i in (0..self.layout.stages()).rev() {
            self.stage_pullback(step, y0, (i, back.first_constant), theta_bar);
        }
        accumulate(&mut back.y, T::one(), &[1.0], &back.y0);
        accumulate(&mut back.y, T::one(), &[1.0], &self.reverse.y_bar);
    }

    fn prepare_pullback(&mut self, t: T, y0: &[T], y_bar: &mut [T], theta_bar: &mut [T]) -> Result<()> {
        if let Some(matrix) = &mut self.matrix {
            matrix.refused()?;
        }
        let Self { algebraic: Some(algebraic), dynamics, theta, scratch, .. } = self else {
            return Ok(());
        };
        algebraic.pullback(*dynamics, (t, theta), y0, [y_bar, theta_bar], scratch)
    }

    fn nvjp(&self) -> usize {
        self.reverse.nvjp
    }
}
