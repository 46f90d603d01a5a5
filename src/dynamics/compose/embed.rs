//! [`Embed`]: a right-hand side that acts on some rows of a larger state.

use super::{no_mass, with_lanes};
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::{Error, Result};
use crate::linalg::Pattern;
use crate::num::{Lanes, Real};

/// f, of k rows, inside a state of `dim` rows: it reads the rows `inputs` and its first m ≤ k rows
/// drive the rows `outputs`; every other derivative is 0. Add it to the known part with
/// [`Sum`](super::Sum).
///
/// ```
/// use odeon::dynamics::{Dynamics, Point, compose::Embed, gallery::LotkaVolterra, generic::Generic};
///
/// // Prey and predator are rows 2 and 0 of a state of three; the middle one is left alone.
/// let f = Embed::new(Generic(LotkaVolterra), 3, &[2, 0], &[2, 0]);
/// let (mut scratch, mut dy) = (f.scratch(1), [9.0; 3]);
/// let at = Point { t: 0.0, y: &[3.0, 5.0, 2.0], theta: &[1.5, 1.0, 3.0, 0.5] };
/// f.eval(at, &mut dy, &mut scratch);
/// assert_eq!(dy, [-6.0, 0.0, -3.0]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embed<A> {
    inner: A,
    dim: usize,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

/// Memory of [`Embed`].
#[derive(Debug)]
pub struct Scratch<S, T> {
    inner: S,
    y: Vec<T>,
    y_dot: Vec<T>,
    dy: Vec<T>,
}

impl<A> Embed<A> {
    /// `inner` on a state of `dim` rows: row `inputs[i]` is its row i, and its derivative of row i is
    /// that of row `outputs[i]`. What does not fit is found by [`validate`](Dynamics::validate).
    pub fn new(inner: A, dim: usize, inputs: &[usize], outputs: &[usize]) -> Self {
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        Self { inner, dim, inputs, outputs }
    }

    /// The inner right-hand side.
    pub fn inner(&self) -> &A {
        &self.inner
    }

    /// Writes the inner state (k × batch).
    #[inline(always)]
    fn read<S: Copy>(&self, y: &[S], inner: &mut [S]) {
        let k = self.inputs.len();
        for (y, inner) in y.chunks_exact(self.dim).zip(inner.chunks_exact_mut(k)) {
            for (x, &row) in inner.iter_mut().zip(&self.inputs) {
                *x = y[row];
            }
        }
    }

    /// Writes the outer derivative from the inner.
    #[inline(always)]
    fn write<S: Copy>(&self, inner: &[S], dy: &mut [S], zero: S) {
        let k = self.inputs.len();
        dy.fill(zero);
        for (inner, dy) in inner.chunks_exact(k).zip(dy.chunks_exact_mut(self.dim)) {
            for (&v, &row) in inner.iter().zip(&self.outputs) {
                dy[row] = v;
            }
        }
    }
}

impl<T: Real, A: Dynamics<T>> Dynamics<T> for Embed<A> {
    type Scratch = Scratch<A::Scratch, T>;
    const SIMD_LANES: bool = A::SIMD_LANES;

    fn dim(&self) -> usize {
        self.dim
    }
    fn num_params(&self) -> usize {
        self.inner.num_params()
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        let zeros = vec![T::of(0.0); self.inputs.len() * batch];
        let inner = self.inner.scratch(batch);
        Scratch { inner, y: zeros.clone(), y_dot: zeros.clone(), dy: zeros }
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch) {
        let n = dy.len() / self.dim * self.inputs.len();
        let (y, inner_dy) = (&mut scratch.y[..n], &mut scratch.dy[..n]);
        self.read(at.y, y);
        self.inner.eval(Point { y, ..at }, inner_dy, &mut scratch.inner);
        self.write(inner_dy, dy, T::of(0.0));
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        let k = self.inputs.len();
        let n = dy_bar.len() / self.dim * k;
        let (y, bar) = (&mut scratch.y[..n], &mut scratch.y_dot[..n]);
        let seed = &mut scratch.dy[..n];
        self.read(at.y, y);
        bar.fill(T::of(0.0));
        seed.fill(T::of(0.0));
        for (seed, dy_bar) in seed.chunks_exact_mut(k).zip(dy_bar.chunks_exact(self.dim)) {
            for (s, &row) in seed.iter_mut().zip(&self.outputs) {
                *s = dy_bar[row];
            }
        }
        let t_bar = self.inner.vjp(Point { y, ..at }, seed, bar, theta_bar, &mut scratch.inner);
        for (bar, y_bar) in bar.chunks_exact(k).zip(y_bar.chunks_exact_mut(self.dim)) {
            for (&b, &row) in bar.iter().zip(&self.inputs) {
                y_bar[row] += b;
            }
        }
        t_bar
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Self::Scratch) {
        let n = dy_dot.len() / self.dim * self.inputs.len();
        let (y, y_dot) = (&mut scratch.y[..n], &mut scratch.y_dot[..n]);
        let out = &mut scratch.dy[..n];
        self.read(at.y, y);
        self.read(dot.y, y_dot);
        let inner = &mut scratch.inner;
        self.inner.jvp(Point { y, ..at }, Tangent { y: y_dot, ..dot }, out, inner);
        self.write(out, dy_dot, T::of(0.0));
    }

    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        let k = self.inputs.len();
        with_lanes(2 * k, |memory| {
            let (inner_y, inner_dy) = memory.split_at_mut(k);
            self.read(y, inner_y);
            self.inner.eval_lanes(t, inner_y, theta, inner_dy);
            self.write(inner_dy, dy, Lanes::splat(T::of(0.0)));
        });
    }

    fn sparsity(&self) -> Option<Pattern> {
        let inner = self.inner.sparsity()?;
        let mut rows = vec![Vec::new(); self.dim];
        for (i, &row) in self.outputs.iter().enumerate() {
            rows[row] = inner.row(i).iter().map(|&j| self.inputs[j as usize]).collect();
        }
        Pattern::from_rows([self.dim; 2], &rows).ok()
    }

    fn validate(&self) -> Result<()> {
        self.inner.validate()?;
        no_mass(&self.inner, "the inner part of an Embed")?;
        let k = self.inner.dim();
        Error::check_len("inputs of an Embed", self.inputs.len(), k, "rows of the inner part")?;
        if self.outputs.is_empty() || self.outputs.len() > k {
            let needed = format!("between 1 and {k}, the rows of the inner part");
            let (what, given) = ("outputs of an Embed", self.outputs.len());
            return Err(Error::Length { what, given, needed });
        }
        if let Some(row) = self.inputs.iter().chain(&self.outputs).find(|r| **r >= self.dim) {
            let needed = format!("the state has {} rows", self.dim);
            return Err(Error::invalid("row of an Embed", row, needed));
        }
        let again = |i: usize| self.outputs[..i].contains(&self.outputs[i]);
        if let Some(i) = (1..self.outputs.len()).find(|&i| again(i)) {
            let needed = "each row may be driven once";
            return Err(Error::invalid("output row of an Embed", self.outputs[i], needed));
        }
        Ok(())
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let mut y = vec![T::of(0.0); at.y.len() / self.dim.max(1) * self.inputs.len()];
        self.read(at.y, &mut y);
        let part = self.inner.locate_non_finite(Point { y: &y, ..at })?;
        Some(format!("embedded part, {part}"))
    }
}
