//! The reverse of a Radau IIA step, by the implicit function theorem at its stages.
//!
//! With cotangents k̄_e, k̄_j of the record, J_i at Y_i and g_i = J_iᵀλ_i:
//!
//! (γ̂/h M − J_e)ᵀ λ_e = γ̂/h k̄_e;   k̄_j ← k̄_j + h (b_j ȳ1 + (eᵀA)_j g_e);
//! Mᵀλ_i − h Σ_j a_ji g_j = k̄_i  (the three stages together);   ȳ0 = ȳ1 + g_e + Σ g_i.
//!
//! Both are solved by refinement with the factors of Newton's iteration, transposed: the matrix is
//! M − h A ⊗ J = (hA ⊗ I) S, so that its transposed inverse is (hA)⁻ᵀ S⁻ᵀ. Where that converges slowly,
//! and for small systems, the stages' own Jacobians are factored together.

use super::estimates::COLUMNS;
use super::matrix::{Form, fill, mix, solver};
use super::stepper::RadauStepper;
use super::tableau::{A, ERROR, GAMMA, INVERSE};
use crate::dynamics::{Dynamics, Point};
use crate::error::Result;
use crate::integrate::{Backward, Reverse, StepInfo, Stepper, polynomial};
use crate::num::{Real, accumulate, combine, rms};
use crate::ode::implicit::BlockSolver;

/// Relative size of a correction below which the refinement stops.
const REFINED: f64 = 1e-12;
/// A rate of the refinement beyond which the stages' own Jacobians are factored.
const SLOW: f64 = 0.1;
/// Refinements before giving up.
const TRIES: usize = 40;
/// Systems up to this size factor the stages' own Jacobians at once.
const SMALL: usize = 4;

/// Which equations are being reversed.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    /// The estimate's stage.
    Estimate,
    /// The three collocation stages.
    Stages,
}

impl<T: Real, D: Dynamics<T>> Reverse<T> for RadauStepper<'_, T, D> {
    fn main_stages(&self) -> usize {
        COLUMNS
    }

    fn total_stages(&self) -> usize {
        COLUMNS
    }

    fn prepare_interpolation(&mut self, step: &StepInfo<T>, _: &[T]) {
        self.to_stop = step.to_stop;
    }

    fn keep_tape(&mut self) -> usize {
        self.measure_scratch();
        0
    }

    fn restore(&mut self, _: &StepInfo<T>, stages: &[T], _: &[T]) {
        self.k.copy_from_slice(stages);
        self.last = T::zero();
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

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, _]: [&[T]; 2],
        fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let n = self.len();
        self.to_stop = step.to_stop;
        (self.current, self.stale, self.last) = (false, true, T::zero());
        let carried = std::mem::take(&mut back.carried);
        back.grads.fill(T::zero());
        back.grads[COLUMNS * n..].copy_from_slice(&back.y);
        let estimated = back.touched[4];
        if estimated {
            self.r[..n].copy_from_slice(&back.stages[4 * n..]);
            self.solve(Which::Estimate, step, y0, back, theta_bar);
        }
        self.r.fill(T::zero());
        for j in 0..3 {
            let r = &mut self.r[j * n..(j + 1) * n];
            if back.touched[j + 1] {
                accumulate(r, T::one(), &[1.0], &back.stages[(j + 1) * n..(j + 2) * n]);
            }
            accumulate(r, step.h, &[A[2][j]], &back.y);
            if estimated {
                accumulate(r, step.h, &[ERROR[j]], &back.grads[4 * n..5 * n]);
            }
            if carried && j == 2 {
                accumulate(r, T::one(), &[1.0], &back.carry);
            }
        }
        self.solve(Which::Stages, step, y0, back, theta_bar);
        if back.touched[0] && !back.first_constant {
            let bar = &mut back.stages[..n];
            if fresh {
                if let Some(slope) = &self.slope {
                    slope.solve_transpose(self.dynamics, bar);
                }
                let at = Point { t: step.start(), y: y0, theta: &self.theta };
                self.dynamics.vjp(at, bar, &mut back.grads[..n], theta_bar, &mut self.scratch);
                self.nvjp += 1;
            } else {
                back.carry.copy_from_slice(bar);
                back.carried = true;
            }
        }
        accumulate(&mut back.y, T::one(), &[1.0], &back.y0);
        accumulate(&mut back.y, T::one(), &[1.0; COLUMNS], &back.grads);
    }

    fn prepare_pullback(&mut self, t: T, y0: &[T], y_bar: &mut [T], theta_bar: &mut [T]) -> Result<()> {
        self.consistent_pullback(t, y0, [y_bar, theta_bar])
    }

    fn nvjp(&self) -> usize {
        self.nvjp
    }
}

impl<T: Real, D: Dynamics<T>> RadauStepper<'_, T, D> {
    /// `g` ← Y_{i+1}, or Y_e.
    fn argument(&mut self, which: Which, h: T, i: usize, y0: &[T]) {
        let (mut row, n) = ([0.0; COLUMNS], y0.len());
        match which {
            Which::Estimate => row.copy_from_slice(&self.layout.error),
            Which::Stages => row[1..4].copy_from_slice(&A[i]),
        }
        combine(&mut self.g[..n], y0, h, &row, &self.k);
    }

    /// Solves for λ with the cotangents in `r`; ACCUMULATES J_iᵀλ_i into `back.grads` and θ̄. A system that
    /// cannot be solved leaves NaN, which the adjoint reports.
    fn solve(
        &mut self,
        which: Which,
        step: &StepInfo<T>,
        y0: &[T],
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let (n, h) = (y0.len(), step.h);
        let count = if which == Which::Estimate { 1 } else { 3 };
        let size = count * n;
        let mut own = self.own_factors(which, step, y0, self.dynamics.dim() <= SMALL);
        let mut solved = own.is_some() || self.factors_for(step, y0);
        let (mut total, mut before) = (T::zero(), T::INFINITY);
        for k in 0..TRIES {
            if !solved {
                break;
            }
            self.correction(which, h, size, own.as_deref_mut());
            let now = rms(&self.z[..size]);
            solved = now.is_finite();
            if k > 0 && now <= T::of(REFINED).max_number(T::EPSILON) * total {
                return;
            }
            if own.is_none() && k > 0 && now > T::of(SLOW) * before {
                own = self.own_factors(which, step, y0, true);
                solved = own.is_some();
                before = T::INFINITY;
                continue;
            }
            if own.is_some() && k > 1 && now >= before {
                solved = now <= T::of(1e-6) * total;
                if solved {
                    return;
                }
                break;
            }
            before = now;
            total += now;
            self.add_products(which, step, y0, [&mut back.grads, theta_bar]);
        }
        back.grads[..n].fill(T::NAN);
    }

    /// `z` ← the correction λ for the residual in `r`.
    fn correction(&mut self, which: Which, h: T, size: usize, own: Option<&mut [BlockSolver<T>]>) {
        let Self { z, r, matrix, g, .. } = self;
        z[..size].copy_from_slice(&r[..size]);
        let n = g.len();
        if let Some(own) = own {
            let dim = n / own.len();
            let count = size / n;
            let dense = matrix.as_ref().is_none_or(|matrix| matrix.form().0 == Form::Dense);
            // The stages one after the other, or side by side.
            let place = |s: usize, i: usize| if dense { s * dim + i } else { count * i + s };
            let mut gathered = vec![T::zero(); count * dim];
            for (column, lu) in own.iter_mut().enumerate() {
                for s in 0..count {
                    let from = s * n + column * dim;
                    (0..dim).for_each(|i| gathered[place(s, i)] = z[from + i]);
                }
                lu.solve(&mut gathered, true);
                for s in 0..count {
                    let to = s * n + column * dim;
                    (0..dim).for_each(|i| z[to + i] = gathered[place(s, i)]);
                }
            }
            return;
        }
        let Some(matrix) = matrix else {
            return z.fill(T::NAN);
        };
        if which == Which::Estimate {
            matrix.solve_real(&mut z[..size], true);
            return z[..size].iter_mut().for_each(|z| *z *= T::of(GAMMA) / h);
        }
        matrix.solve(z, true);
        let inverse = T::one() / h;
        for i in 0..n {
            let lambda = mix(&INVERSE, true, [z[i], z[n + i], z[2 * n + i]]);
            for (s, l) in lambda.into_iter().enumerate() {
                z[s * n + i] = inverse * l;
            }
        }
    }

    /// ACCUMULATES the products with λ = `z`, and updates the residual in `r`.
    fn add_products(
        &mut self,
        which: Which,
        step: &StepInfo<T>,
        y0: &[T],
        [grads, theta_bar]: [&mut [T]; 2],
    ) {
        let (n, h) = (y0.len(), step.h);
        let times = self.times((step.t, h));
        let count = if which == Which::Estimate { 1 } else { 3 };
        for i in 0..count {
            self.argument(which, h, i, y0);
            let Self { dynamics, theta, scratch, g, z, r, base, matrix, .. } = self;
            let lambda = &z[i * n..(i + 1) * n];
            let t = if which == Which::Estimate { step.t } else { times[i] };
            base.fill(T::zero());
            dynamics.vjp(Point { t, y: g, theta }, lambda, base, theta_bar, scratch);
            self.nvjp += 1;
            let slot = if which == Which::Estimate { 4 } else { i + 1 };
            accumulate(&mut grads[slot * n..(slot + 1) * n], T::one(), &[1.0], base);
            if let Some(matrix) = matrix {
                matrix.add_mass(-T::one(), lambda, &mut r[i * n..(i + 1) * n], true);
            }
            if which == Which::Estimate {
                accumulate(&mut r[..n], h, &[1.0 / GAMMA], base);
            } else {
                for (j, r) in r.chunks_exact_mut(n).enumerate() {
                    accumulate(r, h, &[A[i][j]], base);
                }
            }
        }
    }

    /// Factors of Newton's systems for this step's size, with the Jacobian at hand if there is one.
    fn factors_for(&mut self, step: &StepInfo<T>, y0: &[T]) -> bool {
        if self.factored == step.h {
            return true;
        }
        (self.factored != T::zero() || self.evaluate_jacobian(step.t, y0)) && self.factor(step.h)
    }

    /// Factors of M ⊗ I − h a_ij J_i with each stage's own Jacobian, when `wanted` and not singular: one
    /// matrix for each column of the batch.
    fn own_factors(
        &mut self,
        which: Which,
        step: &StepInfo<T>,
        y0: &[T],
        wanted: bool,
    ) -> Option<Vec<BlockSolver<T>>> {
        if !wanted {
            return None;
        }
        let (n, h, dim) = (y0.len(), step.h, self.dynamics.dim());
        let times = self.times((step.t, h));
        let count = if which == Which::Estimate { 1 } else { 3 };
        let mut jacobian = self.matrix.as_ref()?.jacobian()?.clone();
        let size = count * count * jacobian.values().len();
        let mut blocks = vec![T::zero(); size * n / dim];
        for i in 0..count {
            self.argument(which, h, i, y0);
            let t = if which == Which::Estimate { step.t } else { times[i] };
            let Self { dynamics, theta, scratch, g, matrix, .. } = self;
            let mass = matrix.as_ref()?.mass_entries();
            for (y, block) in g.chunks_exact(dim).zip(blocks.chunks_exact_mut(size)) {
                dynamics.jacobian(Point { t, y, theta }, &mut jacobian, scratch);
                let j = jacobian.values();
                fill(&jacobian, (count, i), block, |k, s| {
                    let a = if which == Which::Estimate { 1.0 / GAMMA } else { A[i][s] };
                    let mass = if s == i { mass[k] } else { T::zero() };
                    mass - h * T::of(a) * j[k]
                });
            }
        }
        let (form, budget) = self.matrix.as_ref()?.form();
        let factored = blocks.chunks_exact(size).map(|block| {
            let mut lu = solver(&jacobian, (form, count), budget).ok()?;
            lu.factor(&jacobian, block).then_some(lu)
        });
        factored.collect()
    }
}
