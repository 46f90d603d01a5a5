//! [`Rnode`]: kinetic energy and the Jacobian's Frobenius norm as additional states.

use super::rows;
use crate::dynamics::{Dynamics, Point, SecondOrder, Tangent};
use crate::error::Result;
use crate::num::{ErrorNorm, Real};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::marker::PhantomData;

/// The right-hand side `D` with two more rows a column, whose integrals regularise
/// (RNODE: Finlay, Jacobsen, Nurbekyan & Oberman, "How to train your neural ODE", ICML 2020):
///
///   ė = |f|²/n,   q̇ = |Jᵀε|²/n   with J = ∂f/∂y and n rows of `D`,
///
/// so that E\[q(T)\] = ∫ ‖J‖²_F/n dt over the probe ε with independent entries ±1 (Hutchinson), which
/// is held fixed during a solve. Start both rows at 0 ([`augment`](Self::augment)); their end values,
/// averaged over the batch and multiplied by the λs, are added to the loss. Being states, they have
/// exact gradients in every adjoint: that of q̇ is a second-order product,
/// ∇|Jᵀε|² = 2 ∇(εᵀ J w) at constant w = Jᵀε.
///
/// The additional rows should not choose the step sizes: measure errors in [`norm`](Self::norm).
pub struct Rnode<'a, T, D> {
    dynamics: &'a D,
    /// ε for some columns, repeated for further ones.
    probe: Vec<T>,
    rng: ChaCha8Rng,
}

/// Scratch of [`Rnode`].
pub struct Scratch<T: Real, D: SecondOrder<T>> {
    inner: D::Scratch,
    memory: D::Memory,
    y: Vec<T>,
    dy: Vec<T>,
    /// w = Jᵀε.
    w: Vec<T>,
    bar: Vec<T>,
    y_bar: Vec<T>,
    theta_bar: Vec<T>,
    scalar: PhantomData<T>,
}

/// Additional rows.
const ROWS: usize = 2;

impl<'a, T: Real, D: SecondOrder<T>> Rnode<'a, T, D> {
    /// `dynamics` with independent probes for `batch` columns; columns beyond repeat them.
    pub fn new(dynamics: &'a D, batch: usize, seed: u64) -> Self {
        let mut rnode = Self {
            probe: vec![T::zero(); dynamics.dim() * batch.max(1)],
            rng: ChaCha8Rng::seed_from_u64(seed),
            dynamics,
        };
        rnode.resample();
        rnode
    }

    /// Draws new probes (before each solve of a training).
    pub fn resample(&mut self) {
        for p in &mut self.probe {
            *p = T::of(if self.rng.random() { 1.0 } else { -1.0 });
        }
    }

    /// `out` ← the columns of `y` with 0 for the additional rows.
    ///
    /// # Errors
    /// A `y` that is not a whole number of columns.
    pub fn augment(&self, y: &[T], out: &mut Vec<T>) -> Result<()> {
        rows::augment(y, self.dynamics.dim(), ROWS, out)
    }

    /// (1/batch) Σ e and (1/batch) Σ q of an augmented state, and with `seeds` their weights λ the
    /// cotangents ACCUMULATED into `y_bar`.
    pub fn read(&self, y: &[T], seeds: [T; ROWS], y_bar: &mut [T]) -> [T; ROWS] {
        let dim = self.dynamics.dim();
        let scale = T::one() / T::of((y.len() / (dim + ROWS)) as f64);
        let mut values = [T::zero(); ROWS];
        let columns = y.chunks_exact(dim + ROWS);
        for (y, bar) in columns.zip(y_bar.chunks_exact_mut(dim + ROWS)) {
            for r in 0..ROWS {
                values[r] += scale * y[dim + r];
                bar[dim + r] += scale * seeds[r];
            }
        }
        values
    }

    /// `norm` for the augmented state: the additional rows do not count ([`ErrorNorm::ignoring`]).
    pub fn norm(&self, norm: &ErrorNorm<T>) -> ErrorNorm<T> {
        norm.ignoring(self.dynamics.dim(), ROWS)
    }

    fn split(&self, y: &[T], s: &mut Scratch<T, D>) -> usize {
        rows::split(y, self.dynamics.dim(), ROWS, &mut s.y);
        s.y.len()
    }

    /// f into `s.dy`, ε into `s.bar` and Jᵀε into `s.w`, of the columns in `s.y`.
    fn products(&self, at: Point<'_, T>, s: &mut Scratch<T, D>) {
        let n = s.y.len();
        let at = Point { y: &s.y, ..at };
        self.dynamics.eval(at, &mut s.dy[..n], &mut s.inner);
        s.w[..n].fill(T::zero());
        for (bar, probe) in s.bar[..n].iter_mut().zip(self.probe.iter().cycle()) {
            *bar = *probe;
        }
        let (probe, w) = (&s.bar[..n], &mut s.w[..n]);
        self.dynamics.vjp(at, probe, w, &mut s.theta_bar, &mut s.inner);
    }
}

fn square<T: Real>(x: &[T]) -> T {
    x.iter().fold(T::zero(), |a, x| x.mul_add(*x, a)) / T::of(x.len() as f64)
}

fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    x.iter().zip(y).fold(T::zero(), |a, (x, y)| x.mul_add(*y, a))
}

impl<T: Real, D: SecondOrder<T>> Dynamics<T> for Rnode<'_, T, D> {
    type Scratch = Scratch<T, D>;

    fn dim(&self) -> usize {
        self.dynamics.dim() + ROWS
    }

    fn num_params(&self) -> usize {
        self.dynamics.num_params()
    }

    fn scratch(&self, batch: usize) -> Self::Scratch {
        let zeros = || vec![T::zero(); self.dynamics.dim() * batch];
        Scratch {
            inner: self.dynamics.scratch(batch),
            memory: self.dynamics.memory(batch),
            y: zeros(),
            dy: zeros(),
            w: zeros(),
            bar: zeros(),
            y_bar: zeros(),
            theta_bar: vec![T::zero(); self.dynamics.num_params()],
            scalar: PhantomData,
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let numbers = 5 * self.dynamics.dim() * batch + self.dynamics.num_params();
        numbers * size_of::<T>() + self.dynamics.scratch_bytes(batch)
    }

    fn validate(&self) -> Result<()> {
        self.dynamics.validate()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], s: &mut Self::Scratch) {
        let dim = self.dynamics.dim();
        self.split(at.y, s);
        self.products(at, s);
        let own = s.dy.chunks_exact(dim).zip(s.w.chunks_exact(dim));
        for (out, (f, w)) in dy.chunks_exact_mut(dim + ROWS).zip(own) {
            out[..dim].copy_from_slice(f);
            out[dim] = square(f);
            out[dim + 1] = square(w);
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        s: &mut Self::Scratch,
    ) -> T {
        let dim = self.dynamics.dim();
        let n = self.split(at.y, s);
        self.products(at, s);
        let two = T::of(2.0 / dim as f64);
        // f̄ + (2/n) ē f, and the second-order product's bar (2/n) q̄ ε.
        let columns = s.bar[..n].chunks_exact_mut(dim).zip(s.dy.chunks_exact_mut(dim));
        for ((bar, f), given) in columns.zip(dy_bar.chunks_exact(dim + ROWS)) {
            let (e_bar, q_bar) = (two * given[dim], two * given[dim + 1]);
            for i in 0..dim {
                f[i] = e_bar.mul_add(f[i], given[i]);
                bar[i] *= q_bar;
            }
        }
        let at = Point { y: &s.y, ..at };
        s.y_bar[..n].fill(T::zero());
        let into = &mut s.y_bar[..n];
        let mut t_bar = self.dynamics.vjp(at, &s.dy[..n], into, theta_bar, &mut s.inner);
        if s.bar[..n].iter().any(|b| *b != T::zero()) {
            let products = [&s.w[..n], &s.bar[..n]];
            t_bar += self.dynamics.jvp_vjp(at, products, into, theta_bar, &mut s.memory);
        }
        rows::add_columns(&s.y_bar[..n], dim, ROWS, y_bar);
        t_bar
    }

    /// Column by column: the q̇ row's tangent is (2/n) ∇(εᵀJw)·(ṫ, ẏ, θ̇).
    fn jvp(&self, at: Point<'_, T>, dot_at: Tangent<'_, T>, dy_dot: &mut [T], s: &mut Self::Scratch) {
        let dim = self.dynamics.dim();
        let two = T::of(2.0 / dim as f64);
        let columns = at.y.chunks_exact(dim + ROWS).zip(dot_at.y.chunks_exact(dim + ROWS));
        let probes = self.probe.chunks_exact(dim).cycle();
        for ((out, probe), (y, y_dot)) in dy_dot.chunks_exact_mut(dim + ROWS).zip(probes).zip(columns) {
            let at = Point { y: &y[..dim], ..at };
            let along = Tangent { y: &y_dot[..dim], ..dot_at };
            self.dynamics.eval(at, &mut s.dy[..dim], &mut s.inner);
            self.dynamics.jvp(at, along, &mut out[..dim], &mut s.inner);
            out[dim] = two * dot(&s.dy[..dim], &out[..dim]);
            s.w[..dim].fill(T::zero());
            self.dynamics.vjp(at, probe, &mut s.w[..dim], &mut s.theta_bar, &mut s.inner);
            s.y_bar[..dim].fill(T::zero());
            s.theta_bar.fill(T::zero());
            let products = [&s.w[..dim], probe];
            let into = &mut s.y_bar[..dim];
            let t_bar = self.dynamics.jvp_vjp(at, products, into, &mut s.theta_bar, &mut s.memory);
            let sum = dot(&s.y_bar[..dim], along.y) + dot(&s.theta_bar, dot_at.theta);
            out[dim + 1] = two * t_bar.mul_add(dot_at.t, sum);
        }
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let mut y = Vec::new();
        rows::split(at.y, self.dynamics.dim(), ROWS, &mut y);
        self.dynamics.locate_non_finite(Point { y: &y, ..at })
    }
}
