//! [`TotalDerivative`]: a total derivative of the solution as an additional state.

use super::rows;
use crate::dynamics::{Dynamics, Point, SolutionSeries, Tangent};
use crate::error::Result;
use crate::num::{ErrorNorm, Real};

/// The right-hand side `D` with one more row a column, whose integral regularises:
///
///   r' = |dᴷy/dtᴷ|²/n,
///
/// n being the rows of `D`: R_K = ∫ |dᴷy/dtᴷ|² dt of Kelly, Bettencourt, Johnson & Duvenaud, *Learning Differential
/// Equations that are Easy to Solve* (NeurIPS 2020, arXiv 2007.04504). K = 1 is the kinetic energy of [`Rnode`](super::Rnode).
/// Right-hand sides over scalars serve K ≤ 2; networks any K to 12, by Taylor coefficients through their layers
/// ([`Network::solution_series`](crate::nn::Network::solution_series)). Start the row at 0 ([`augment`](Self::augment)).
/// Being a state, it has an exact gradient in every adjoint.
///
/// The additional row should not choose the step sizes: measure errors in [`norm`](Self::norm).
pub struct TotalDerivative<'a, D> {
    dynamics: &'a D,
    order: usize,
}

/// Scratch of [`TotalDerivative`].
pub struct TotalDerivativeScratch<T: Real, D: SolutionSeries<T>> {
    inner: D::Scratch,
    series: D::Series,
    y: Vec<T>,
    /// f and the derivative, and their cotangents.
    f: Vec<T>,
    top: Vec<T>,
    f_bar: Vec<T>,
    top_bar: Vec<T>,
    y_bar: Vec<T>,
}

impl<'a, D> TotalDerivative<'a, D> {
    /// Of `dynamics`, with K = `order`.
    ///
    /// # Errors
    /// An order that `dynamics` does not serve ([`SolutionSeries::check_order`]).
    pub fn new<T: Real>(dynamics: &'a D, order: usize) -> Result<Self>
    where
        D: SolutionSeries<T>,
    {
        dynamics.check_order(order)?;
        Ok(Self { dynamics, order })
    }

    /// `out` ← the columns of `y` with 0 for the additional row.
    ///
    /// # Errors
    /// A `y` that is not a whole number of columns.
    pub fn augment<T: Real>(&self, y: &[T], out: &mut Vec<T>) -> Result<()>
    where
        D: SolutionSeries<T>,
    {
        rows::augment(y, self.dynamics.dim(), 1, out)
    }

    /// (1/batch) Σ r of an augmented state, and with the weight λ as `seed` the cotangents ACCUMULATED into `y_bar`.
    pub fn read<T: Real>(&self, y: &[T], seed: T, y_bar: &mut [T]) -> T
    where
        D: SolutionSeries<T>,
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
        D: SolutionSeries<T>,
    {
        norm.ignoring(self.dynamics.dim(), 1)
    }

    /// y, f and dᴷy/dtᴷ of the states `y`, into `s`; returns their numbers.
    fn derivatives<T: Real>(&self, at: Point<'_, T>, s: &mut TotalDerivativeScratch<T, D>) -> usize
    where
        D: SolutionSeries<T>,
    {
        rows::split(at.y, self.dynamics.dim(), 1, &mut s.y);
        let n = s.y.len();
        let at = Point { y: &s.y, ..at };
        self.dynamics.total_derivative(at, [&mut s.f[..n], &mut s.top[..n]], &mut s.series);
        n
    }
}

impl<T: Real, D: SolutionSeries<T>> Dynamics<T> for TotalDerivative<'_, D> {
    type Scratch = TotalDerivativeScratch<T, D>;

    fn dim(&self) -> usize {
        self.dynamics.dim() + 1
    }

    fn num_params(&self) -> usize {
        self.dynamics.num_params()
    }

    fn scratch(&self, batch: usize) -> Self::Scratch {
        let zeros = || vec![T::zero(); self.dynamics.dim() * batch];
        TotalDerivativeScratch {
            inner: self.dynamics.scratch(batch),
            series: self.dynamics.series(batch, self.order),
            y: zeros(),
            f: zeros(),
            top: zeros(),
            f_bar: zeros(),
            top_bar: zeros(),
            y_bar: zeros(),
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let own = 6 * self.dynamics.dim() * batch * size_of::<T>();
        own + self.dynamics.scratch_bytes(batch) + self.dynamics.series_bytes(batch, self.order)
    }

    fn validate(&self) -> Result<()> {
        self.dynamics.validate()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], s: &mut Self::Scratch) {
        let dim = self.dynamics.dim();
        let n = self.derivatives(at, s);
        let columns = s.f[..n].chunks_exact(dim).zip(s.top[..n].chunks_exact(dim));
        for (out, (f, top)) in dy.chunks_exact_mut(dim + 1).zip(columns) {
            out[..dim].copy_from_slice(f);
            out[dim] = top.iter().fold(T::zero(), |sum, d| d.mul_add(*d, sum)) / T::of(dim as f64);
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
        let n = self.derivatives(at, s);
        let two = T::of(2.0 / dim as f64);
        let bars = s.f_bar.chunks_exact_mut(dim).zip(s.top_bar.chunks_exact_mut(dim));
        for ((top, bars), given) in s.top[..n].chunks_exact(dim).zip(bars).zip(dy_bar.chunks_exact(dim + 1)) {
            bars.0.copy_from_slice(&given[..dim]);
            bars.1.iter_mut().zip(top).for_each(|(bar, d)| *bar = two * given[dim] * *d);
        }
        s.y_bar[..n].fill(T::zero());
        let bars = [&s.f_bar[..n], &s.top_bar[..n]];
        let at = Point { y: &s.y, ..at };
        let into = &mut s.y_bar[..n];
        let t_bar = self.dynamics.total_derivative_vjp(at, bars, into, theta_bar, &mut s.series);
        rows::add_columns(&s.y_bar[..n], dim, 1, y_bar);
        t_bar
    }

    /// Column by column: the row's tangent is the gradient of |dᴷy/dtᴷ|²/n times the direction.
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
        let mut y = Vec::new();
        rows::split(at.y, self.dynamics.dim(), 1, &mut y);
        self.dynamics.locate_non_finite(Point { y: &y, ..at })
    }
}
