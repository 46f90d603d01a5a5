//! [`Acceleration`]: the second total derivative of the solution as an additional state.

use super::rnode::check_columns;
use crate::dynamics::{Dynamics, Point, SecondOrder, Tangent};
use crate::error::Result;
use crate::num::{ErrorNorm, Real};
use std::marker::PhantomData;

/// The right-hand side `D` with one more row a column, whose integral regularises:
///
///   r' = |ÿ|²/n,   ÿ = d²y/dt² = ∂f/∂t + (∂f/∂y) f,
///
/// n being the rows of `D`. That is R_K = ∫ |dᴷy/dtᴷ|² dt of Kelly, Bettencourt, Johnson & Duvenaud, *Learning Differential
/// Equations that are Easy to Solve* (NeurIPS 2020, arXiv 2007.04504), at K = 2, where the Taylor series of the solution is one
/// Jacobian–vector product along (1, f); K = 1 is the kinetic energy of [`Rnode`](super::Rnode). Start the row at 0
/// ([`augment`](Self::augment)). Being a state, it has an exact gradient in every adjoint: with u the cotangent of ÿ,
/// that of uᵀÿ at constant direction ([`SecondOrder::tangent_vjp`]), and through the direction f that of (Jᵀu)ᵀf.
///
/// The additional row should not choose the step sizes: measure errors in [`norm`](Self::norm).
pub struct Acceleration<'a, D> {
    dynamics: &'a D,
}

/// Scratch of [`Acceleration`].
pub struct AccelerationScratch<T: Real, D: SecondOrder<T>> {
    inner: D::Scratch,
    memory: D::Memory,
    y: Vec<T>,
    /// f and ÿ, and what becomes of their cotangents.
    f: Vec<T>,
    a: Vec<T>,
    bar: Vec<T>,
    y_bar: Vec<T>,
    /// Cotangents of θ that nobody wants, or of one row.
    theta_bar: Vec<T>,
    scalar: PhantomData<T>,
}

impl<'a, D> Acceleration<'a, D> {
    /// Of `dynamics`.
    pub fn new(dynamics: &'a D) -> Self {
        Self { dynamics }
    }

    /// `out` ← the columns of `y` with 0 for the additional row.
    ///
    /// # Errors
    /// A `y` that is not a whole number of columns.
    pub fn augment<T: Real>(&self, y: &[T], out: &mut Vec<T>) -> Result<()>
    where
        D: SecondOrder<T>,
    {
        let dim = self.dynamics.dim();
        check_columns(y.len(), dim)?;
        out.clear();
        for column in y.chunks_exact(dim) {
            out.extend_from_slice(column);
            out.push(T::zero());
        }
        Ok(())
    }

    /// (1/batch) Σ r of an augmented state, and with the weight λ as `seed` the cotangents ACCUMULATED into `y_bar`.
    pub fn read<T: Real>(&self, y: &[T], seed: T, y_bar: &mut [T]) -> T
    where
        D: SecondOrder<T>,
    {
        let rows = self.dynamics.dim() + 1;
        let scale = T::one() / T::of((y.len() / rows) as f64);
        let last = y.iter().skip(rows - 1).step_by(rows);
        let bars = y_bar.iter_mut().skip(rows - 1).step_by(rows);
        last.zip(bars).fold(T::zero(), |sum, (r, bar)| {
            *bar += scale * seed;
            scale.mul_add(*r, sum)
        })
    }

    /// `norm` for the augmented state: the additional row does not count ([`ErrorNorm::ignoring`]).
    pub fn norm<T: Real>(&self, norm: &ErrorNorm<T>) -> ErrorNorm<T>
    where
        D: SecondOrder<T>,
    {
        norm.ignoring(self.dynamics.dim(), 1)
    }

    /// y, f and ÿ of the states `y`, into `s`; returns their numbers.
    fn derivatives<T: Real>(&self, at: Point<'_, T>, s: &mut AccelerationScratch<T, D>) -> usize
    where
        D: SecondOrder<T>,
    {
        let dim = self.dynamics.dim();
        s.y.clear();
        for column in at.y.chunks_exact(dim + 1) {
            s.y.extend_from_slice(&column[..dim]);
        }
        let n = s.y.len();
        let at = Point { y: &s.y, ..at };
        self.dynamics.eval(at, &mut s.f[..n], &mut s.inner);
        let along = Tangent { t: T::one(), y: &s.f[..n], theta: &[] };
        self.dynamics.jvp(at, along, &mut s.a[..n], &mut s.inner);
        n
    }

    /// Cotangents of y (in `s.y_bar`), θ (ACCUMULATED) and t (returned) from those of f (in `s.f`, used up) and, in `s.bar`,
    /// of ÿ, whose direction is `s.a`'s place by now.
    fn pull<T: Real>(&self, at: Point<'_, T>, theta_bar: &mut [T], s: &mut AccelerationScratch<T, D>) -> T
    where
        D: SecondOrder<T>,
    {
        let n = s.y.len();
        let AccelerationScratch { inner, memory, y, f, a, bar, y_bar, theta_bar: unwanted, .. } = s;
        let at = Point { y, ..at };
        let (f, a, bar, y_bar) = (&mut f[..n], &a[..n], &bar[..n], &mut y_bar[..n]);
        // Through the direction: f̄ + Jᵀu.
        self.dynamics.vjp(at, bar, f, unwanted, inner);
        y_bar.fill(T::zero());
        let t_bar = self.dynamics.vjp(at, f, y_bar, theta_bar, inner);
        let along = Tangent { t: T::one(), y: a, theta: &[] };
        t_bar + self.dynamics.tangent_vjp(at, along, bar, y_bar, theta_bar, memory)
    }
}

impl<T: Real, D: SecondOrder<T>> Dynamics<T> for Acceleration<'_, D> {
    type Scratch = AccelerationScratch<T, D>;

    fn dim(&self) -> usize {
        self.dynamics.dim() + 1
    }

    fn num_params(&self) -> usize {
        self.dynamics.num_params()
    }

    fn scratch(&self, batch: usize) -> Self::Scratch {
        let zeros = || vec![T::zero(); self.dynamics.dim() * batch];
        AccelerationScratch {
            inner: self.dynamics.scratch(batch),
            memory: self.dynamics.memory(batch),
            y: zeros(),
            f: zeros(),
            a: zeros(),
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
        self.derivatives(at, s);
        let columns = s.f.chunks_exact(dim).zip(s.a.chunks_exact(dim));
        for (out, (f, a)) in dy.chunks_exact_mut(dim + 1).zip(columns) {
            out[..dim].copy_from_slice(f);
            out[dim] = a.iter().fold(T::zero(), |sum, a| a.mul_add(*a, sum)) / T::of(dim as f64);
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
        self.derivatives(at, s);
        let two = T::of(2.0 / dim as f64);
        // u = (2/n) r̄ ÿ; then the direction f takes the place of ÿ, and the cotangent of f its own.
        let places =
            s.f.chunks_exact_mut(dim).zip(s.a.chunks_exact_mut(dim).zip(s.bar.chunks_exact_mut(dim)));
        for ((f, (a, bar)), given) in places.zip(dy_bar.chunks_exact(dim + 1)) {
            bar.iter_mut().zip(&*a).for_each(|(bar, a)| *bar = two * given[dim] * *a);
            a.copy_from_slice(f);
            f.copy_from_slice(&given[..dim]);
        }
        let t_bar = self.pull(at, theta_bar, s);
        for (to, from) in y_bar.chunks_exact_mut(dim + 1).zip(s.y_bar.chunks_exact(dim)) {
            to.iter_mut().zip(from).for_each(|(a, b)| *a += *b);
        }
        t_bar
    }

    /// Column by column: the row's tangent is the gradient of |ÿ|²/n times the direction.
    fn jvp(&self, at: Point<'_, T>, along: Tangent<'_, T>, dy_dot: &mut [T], s: &mut Self::Scratch) {
        let dim = self.dynamics.dim();
        let mut theta_bar = vec![T::zero(); at.theta.len()];
        let (mut y_bar, mut seed) = (vec![T::zero(); dim + 1], vec![T::zero(); dim + 1]);
        seed[dim] = T::one();
        let columns = at.y.chunks_exact(dim + 1).zip(along.y.chunks_exact(dim + 1));
        for (out, (y, y_dot)) in dy_dot.chunks_exact_mut(dim + 1).zip(columns) {
            theta_bar.fill(T::zero());
            y_bar.fill(T::zero());
            let t_bar = self.vjp(Point { y, ..at }, &seed, &mut y_bar, &mut theta_bar, s);
            let inner = Tangent { y: &y_dot[..dim], ..along };
            self.dynamics.jvp(Point { y: &y[..dim], ..at }, inner, &mut out[..dim], &mut s.inner);
            let of_y = y_bar.iter().zip(y_dot).fold(T::zero(), |sum, (a, b)| a.mul_add(*b, sum));
            let of_theta = theta_bar.iter().zip(along.theta).fold(of_y, |sum, (a, b)| a.mul_add(*b, sum));
            out[dim] = t_bar.mul_add(along.t, of_theta);
        }
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let dim = self.dynamics.dim();
        let columns = at.y.chunks_exact(dim + 1);
        let y: Vec<T> = columns.flat_map(|c| &c[..dim]).copied().collect();
        self.dynamics.locate_non_finite(Point { y: &y, ..at })
    }
}
