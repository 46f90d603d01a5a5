//! [`Forced`]: a right-hand side with an input signal added.

use super::with_memory;
use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point, Tangent};
use crate::error::{Error, Result};
use crate::linalg::Pattern;
use crate::num::{LANES, Lanes, Real};

/// An input u(t), a vector of as many rows as the state, with its derivative.
///
/// A pair of closures of time that return arrays is one: `(|t: f64| [t.sin(), 0.0], |t: f64|
/// [t.cos(), 0.0])` is u and u̇. So is [`Sampled`] data.
pub trait Signal<T: Real>: Sync {
    /// Rows of u.
    fn dim(&self) -> usize;
    /// `u` ← u(t).
    fn value(&self, t: T, u: &mut [T]);
    /// `u_dot` ← u̇(t).
    fn rate(&self, t: T, u_dot: &mut [T]);
}

impl<T, U, V, const N: usize> Signal<T> for (U, V)
where
    T: Real,
    U: Fn(T) -> [T; N] + Sync,
    V: Fn(T) -> [T; N] + Sync,
{
    fn dim(&self) -> usize {
        N
    }
    #[inline(always)]
    fn value(&self, t: T, u: &mut [T]) {
        u.copy_from_slice(&self.0(t));
    }
    #[inline(always)]
    fn rate(&self, t: T, u_dot: &mut [T]) {
        u_dot.copy_from_slice(&self.1(t));
    }
}

/// Measured input, linear between the samples and constant outside them.
///
/// Its derivative jumps at the samples: put them into the solver's hard stops.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled<T> {
    times: Vec<T>,
    values: Vec<T>,
    dim: usize,
}

impl<T: Real> Sampled<T> {
    /// Samples at increasing `times`; `values` is column-major `dim × times.len()`.
    ///
    /// # Errors
    /// No samples, lengths that do not fit, a NaN or infinity, times that do not increase.
    pub fn new(times: Vec<T>, values: Vec<T>) -> Result<Self> {
        let n = times.len();
        if n == 0 || values.is_empty() || !values.len().is_multiple_of(n) {
            return Err(Error::Length {
                what: "values",
                given: values.len(),
                needed: format!("a positive multiple of the number of times, {n}"),
            });
        }
        Error::check_finite("times", &times)?;
        Error::check_finite("values", &values)?;
        if let Some(i) = times.windows(2).position(|w| w[0] >= w[1]) {
            let needed = format!("it must exceed times[{i}] = {}", times[i]);
            return Err(Error::invalid(format!("times[{}]", i + 1), times[i + 1], needed));
        }
        let dim = values.len() / n;
        Ok(Self { times, values, dim })
    }

    /// The sample times.
    pub fn times(&self) -> &[T] {
        &self.times
    }

    /// The number of samples at or before t.
    fn before(&self, t: T) -> usize {
        self.times.partition_point(|&s| s <= t)
    }

    fn sample(&self, k: usize) -> &[T] {
        &self.values[k * self.dim..][..self.dim]
    }
}

impl<T: Real> Signal<T> for Sampled<T> {
    fn dim(&self) -> usize {
        self.dim
    }
    fn value(&self, t: T, u: &mut [T]) {
        let k = self.before(t);
        if k == 0 || k == self.times.len() {
            u.copy_from_slice(self.sample(k.saturating_sub(1)));
            return;
        }
        let (start, end) = (self.times[k - 1], self.times[k]);
        let weight = (t - start) / (end - start);
        let ends = self.sample(k - 1).iter().zip(self.sample(k));
        for (u, (&a, &b)) in u.iter_mut().zip(ends) {
            *u = weight.mul_add(b - a, a);
        }
    }
    fn rate(&self, t: T, u_dot: &mut [T]) {
        let k = self.before(t);
        if k == 0 || k == self.times.len() {
            u_dot.fill(T::of(0.0));
            return;
        }
        let width = self.times[k] - self.times[k - 1];
        let ends = self.sample(k - 1).iter().zip(self.sample(k));
        for (u, (&a, &b)) in u_dot.iter_mut().zip(ends) {
            *u = (b - a) / width;
        }
    }
}

/// f + u(t), the same input for every column.
///
/// ```
/// use odeon::dynamics::{Dynamics, Point, compose::Forced, gallery::Oscillator, generic::Generic};
///
/// let push = (|t: f64| [0.0, t.sin()], |t: f64| [0.0, t.cos()]);
/// let f = Forced { inner: Generic(Oscillator), input: push };
/// let (mut scratch, mut dy) = (f.scratch(1), [0.0; 2]);
/// f.eval(Point { t: 0.5, y: &[1.0, 0.0], theta: &[2.0] }, &mut dy, &mut scratch);
/// assert_eq!(dy, [0.0, -4.0 + 0.5f64.sin()]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forced<A, U> {
    /// f.
    pub inner: A,
    /// u.
    pub input: U,
}

impl<T: Real, A: Dynamics<T>, U: Signal<T>> Dynamics<T> for Forced<A, U> {
    type Scratch = (A::Scratch, Vec<T>);
    const SIMD_LANES: bool = A::SIMD_LANES;

    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn num_params(&self) -> usize {
        self.inner.num_params()
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        (self.inner.scratch(batch), vec![T::of(0.0); self.inner.dim()])
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], (inner, u): &mut Self::Scratch) {
        self.inner.eval(at, dy, inner);
        self.input.value(at.t, u);
        for column in dy.chunks_exact_mut(u.len()) {
            for (dy, &u) in column.iter_mut().zip(u.iter()) {
                *dy += u;
            }
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        (inner, rate): &mut Self::Scratch,
    ) -> T {
        let mut t_bar = self.inner.vjp(at, dy_bar, y_bar, theta_bar, inner);
        self.input.rate(at.t, rate);
        for column in dy_bar.chunks_exact(rate.len()) {
            for (&bar, &rate) in column.iter().zip(rate.iter()) {
                t_bar += bar * rate;
            }
        }
        t_bar
    }

    fn jvp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        dy_dot: &mut [T],
        (inner, rate): &mut Self::Scratch,
    ) {
        self.inner.jvp(at, dot, dy_dot, inner);
        self.input.rate(at.t, rate);
        for column in dy_dot.chunks_exact_mut(rate.len()) {
            for (out, &rate) in column.iter_mut().zip(rate.iter()) {
                *out += rate * dot.t;
            }
        }
    }

    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        self.inner.eval_lanes(t, y, theta, dy);
        with_memory(T::of(0.0), dy.len(), |u| {
            for lane in 0..LANES {
                self.input.value(t[lane], u);
                for (dy, &u) in dy.iter_mut().zip(u.iter()) {
                    dy[lane] += u;
                }
            }
        });
    }

    fn sparsity(&self) -> Option<Pattern> {
        self.inner.sparsity()
    }

    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, (inner, rate): &mut Self::Scratch) {
        self.inner.jacobian(at, j, inner);
        if let Some(time) = j.time_mut() {
            self.input.rate(at.t, rate);
            time.iter_mut().zip(rate).for_each(|(v, &mut rate)| *v += rate);
        }
    }

    fn mass(&self) -> Option<&Mass<T>> {
        self.inner.mass()
    }

    fn validate(&self) -> Result<()> {
        self.inner.validate()?;
        if self.input.dim() == self.inner.dim() {
            return Ok(());
        }
        let needed = format!("it must be {}, the rows of the state", self.inner.dim());
        Err(Error::invalid("dim of the input of a Forced", self.input.dim(), needed))
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.inner.locate_non_finite(at).or_else(|| {
            let mut u = vec![T::of(0.0); self.input.dim()];
            self.input.value(at.t, &mut u);
            let row = u.iter().position(|u| !u.is_finite())?;
            Some(format!("row {row} of the input signal ({})", u[row]))
        })
    }
}
