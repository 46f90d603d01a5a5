//! [`VectorField`]: a right-hand side written once, generic over the scalar; [`Generic`] derives its
//! JVP (dual numbers), VJP (reverse tape) and SIMD ensembles.
//!
//! Batches run sixteen columns at a time in [`Lanes`]. Every lane does the scalar's operations, and
//! sums over the batch are taken column by column, so a column's bits depend neither on its place
//! in the batch nor on the batch's size.

use super::dual::Dual;
use super::duals::Duals;
use super::jacobian::Jacobian;
use super::sparsity;
use super::tape::{Tape, Var};
use super::{Dynamics, Point, Tangent};
use crate::linalg::Pattern;
use crate::num::{Kernel, LANES, Lanes, Real, Scalar, dispatch};

/// A right-hand side y' = f(t, y; p) of one column, generic over the scalar.
///
/// Mark `eval` `#[inline(always)]`: it is then compiled for the CPU's widest instruction set inside
/// the solver's loop. Use [`Scalar::mul_add`] where a fused multiply–add is wanted.
///
/// ```
/// use odeon::dynamics::generic::{Generic, VectorField};
/// use odeon::dynamics::{Dynamics, Point};
/// use odeon::num::Scalar;
///
/// /// Pendulum θ'' = −p₀ sin θ.
/// struct Pendulum;
/// impl VectorField for Pendulum {
///     fn dim(&self) -> usize { 2 }
///     fn num_params(&self) -> usize { 1 }
///     #[inline(always)]
///     fn eval<S: Scalar>(&self, _t: S, y: &[S], p: &[S], dy: &mut [S]) {
///         dy[0] = y[1];
///         dy[1] = -p[0] * y[0].sin();
///     }
/// }
///
/// let f = Generic(Pendulum);
/// let mut scratch = Dynamics::<f64>::scratch(&f, 1);
/// let at = Point { t: 0.0, y: &[0.5, 0.0], theta: &[9.81] };
/// let (mut y_bar, mut theta_bar) = ([0.0; 2], [0.0; 1]);
/// f.vjp(at, &[0.0, 1.0], &mut y_bar, &mut theta_bar, &mut scratch);
/// assert!((theta_bar[0] + 0.5f64.sin()).abs() < 1e-15);
/// assert!((y_bar[0] + 9.81 * 0.5f64.cos()).abs() < 1e-14);
/// ```
pub trait VectorField: Sync {
    /// Rows of the state.
    fn dim(&self) -> usize;
    /// Number of parameters.
    fn num_params(&self) -> usize;
    /// `dy` ← f(t, y; p). `y` and `dy` have length [`dim`](VectorField::dim), `p` has length
    /// [`num_params`](VectorField::num_params). Every entry of `dy` must be written.
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]);
}

/// A [`VectorField`] as [`Dynamics`], with derived derivatives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Generic<F>(pub F);

/// Memory of [`Generic`]: grows to size in the first calls, is reused after.
#[derive(Debug)]
pub struct Scratch<T> {
    lanes: Buffers<Lanes<T>>,
    dual: Buffers<Dual<T>>,
    dual_lanes: Buffers<Dual<Lanes<T>>>,
    duals: Buffers<Duals<T, 8>>,
    tape: Recorder<T>,
    tape_lanes: Recorder<Lanes<T>>,
}

impl<T: Real> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            lanes: Buffers::default(),
            dual: Buffers::default(),
            dual_lanes: Buffers::default(),
            duals: Buffers::default(),
            tape: Recorder::default(),
            tape_lanes: Recorder::default(),
        }
    }
}

impl<T: Real> Scratch<T> {
    /// Bytes allocated for evaluations and vector–Jacobian products.
    fn bytes(&self) -> usize {
        let lanes = &self.lanes;
        let packs = lanes.y.capacity() + lanes.theta.capacity() + lanes.dy.capacity();
        packs * size_of::<Lanes<T>>() + self.tape.bytes() + self.tape_lanes.bytes()
    }
}

impl<S: Scalar> Recorder<S> {
    fn bytes(&self) -> usize {
        let ends = self.inputs.capacity() + self.outputs.capacity();
        self.tape.bytes() + ends * size_of::<Blank<S>>()
    }
}

#[derive(Debug, Default)]
struct Buffers<S> {
    y: Vec<S>,
    theta: Vec<S>,
    dy: Vec<S>,
}

#[derive(Debug, Default)]
pub(super) struct Recorder<S> {
    pub(super) tape: Tape<S>,
    pub(super) inputs: Vec<Blank<S>>,
    pub(super) outputs: Vec<Blank<S>>,
}

/// Stands in for a [`Var`], of the same size and alignment, in vectors that are kept between calls:
/// a `Vec<Var>` itself would borrow the tape beside it.
#[derive(Debug)]
pub(super) struct Blank<S> {
    _value: S,
    _index: u32,
    _tape: usize,
}

/// The empty vector of another type. The standard library keeps the allocation when the types have
/// the same layout (tested below); were that to change, this would only cost allocations.
#[inline(always)]
pub(super) fn recycle<A, B>(mut from: Vec<A>) -> Vec<B> {
    from.clear();
    from.into_iter().filter_map(|_| None).collect()
}

/// One column in a `T`, or up to sixteen in [`Lanes`]; lanes beyond the last column repeat it.
trait Pack<T: Real>: Scalar {
    fn splat(x: T) -> Self;
    /// Row `row` of the columns `cols` (column-major `dim × n`, n ≥ 1).
    fn gather(cols: &[T], dim: usize, row: usize) -> Self;
    /// Writes row `row` of the columns.
    fn scatter(self, cols: &mut [T], dim: usize, row: usize);
    /// Adds to row `row` of the columns.
    fn accumulate(self, cols: &mut [T], dim: usize, row: usize);
    /// Adds the first `n` lanes to `sum`, one after the other.
    fn fold(self, n: usize, sum: &mut T);
}

impl<T: Real> Pack<T> for T {
    #[inline(always)]
    fn splat(x: T) -> Self {
        x
    }
    #[inline(always)]
    fn gather(cols: &[T], _: usize, row: usize) -> Self {
        cols[row]
    }
    #[inline(always)]
    fn scatter(self, cols: &mut [T], _: usize, row: usize) {
        cols[row] = self;
    }
    #[inline(always)]
    fn accumulate(self, cols: &mut [T], _: usize, row: usize) {
        cols[row] += self;
    }
    #[inline(always)]
    fn fold(self, _: usize, sum: &mut T) {
        *sum += self;
    }
}

impl<T: Real> Pack<T> for Lanes<T> {
    #[inline(always)]
    fn splat(x: T) -> Self {
        Lanes::splat(x)
    }
    #[inline(always)]
    fn gather(cols: &[T], dim: usize, row: usize) -> Self {
        let last = cols.len() - dim + row;
        Self(std::array::from_fn(|lane| cols[(lane * dim + row).min(last)]))
    }
    #[inline(always)]
    fn scatter(self, cols: &mut [T], dim: usize, row: usize) {
        for (col, x) in cols.chunks_exact_mut(dim).zip(self.0) {
            col[row] = x;
        }
    }
    #[inline(always)]
    fn accumulate(self, cols: &mut [T], dim: usize, row: usize) {
        for (col, x) in cols.chunks_exact_mut(dim).zip(self.0) {
            col[row] += x;
        }
    }
    #[inline(always)]
    fn fold(self, n: usize, sum: &mut T) {
        for &x in &self.0[..n] {
            *sum += x;
        }
    }
}

/// Evaluates several columns in lanes.
struct EvalBatch<'a, T, F> {
    field: &'a F,
    at: Point<'a, T>,
    dy: &'a mut [T],
    buffers: &'a mut Buffers<Lanes<T>>,
}

impl<T: Real, F: VectorField> Kernel for EvalBatch<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { field, at, dy, buffers } = self;
        let (dim, t) = (field.dim(), Lanes::splat(at.t));
        buffers.theta.clear();
        buffers.theta.extend(at.theta.iter().map(|&p| Lanes::splat(p)));
        buffers.dy.resize(dim, Lanes::splat(T::of(0.0)));
        let width = LANES * dim;
        for (y, dy) in at.y.chunks(width).zip(dy.chunks_mut(width)) {
            buffers.y.clear();
            buffers.y.extend((0..dim).map(|row| Lanes::gather(y, dim, row)));
            field.eval(t, &buffers.y, &buffers.theta, &mut buffers.dy);
            for (row, v) in buffers.dy.iter().enumerate() {
                v.scatter(dy, dim, row);
            }
        }
    }
}

/// Jacobian–vector product with `width` columns per [`Pack`].
struct Jvp<'a, T, F, S> {
    field: &'a F,
    at: Point<'a, T>,
    dot: Tangent<'a, T>,
    dy_dot: &'a mut [T],
    buffers: &'a mut Buffers<Dual<S>>,
    width: usize,
}

impl<T: Real, F: VectorField, S: Pack<T>> Kernel for Jvp<'_, T, F, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { field, at, dot, dy_dot, buffers, width } = self;
        let dim = field.dim();
        let t = Dual::new(S::splat(at.t), S::splat(dot.t));
        buffers.theta.clear();
        buffers.theta.extend(at.theta.iter().enumerate().map(|(k, &p)| {
            let along = dot.theta.get(k).copied().unwrap_or(T::of(0.0));
            Dual::new(S::splat(p), S::splat(along))
        }));
        buffers.dy.resize(dim, Dual::zero());
        let columns = at.y.chunks(width * dim).zip(dot.y.chunks(width * dim));
        for ((y, y_dot), out) in columns.zip(dy_dot.chunks_mut(width * dim)) {
            buffers.y.clear();
            buffers
                .y
                .extend((0..dim).map(|row| Dual::new(S::gather(y, dim, row), S::gather(y_dot, dim, row))));
            field.eval(t, &buffers.y, &buffers.theta, &mut buffers.dy);
            for (row, v) in buffers.dy.iter().enumerate() {
                v.dot.scatter(out, dim, row);
            }
        }
    }
}

/// The dense Jacobian of one column with at most `N` directions, in registers.
struct SmallColumns<'a, T, F, const N: usize> {
    field: &'a F,
    at: Point<'a, T>,
    values: &'a mut [T],
    time: Option<&'a mut [T]>,
}

impl<T: Real, F: VectorField, const N: usize> SmallColumns<'_, T, F, N> {
    /// `theta` are constants.
    #[inline(always)]
    fn evaluate(self, theta: &[Duals<T, N>]) {
        let Self { field, at, values, time } = self;
        let dim = field.dim().min(N);
        let (mut y, mut dy) = ([Duals::constant(T::zero()); N], [Duals::constant(T::zero()); N]);
        for (row, (dual, &y)) in y.iter_mut().zip(at.y).enumerate() {
            *dual = Duals::variable(y, row);
        }
        let t = if time.is_some() { Duals::variable(at.t, dim) } else { Duals::constant(at.t) };
        field.eval(t, &y[..dim], theta, &mut dy[..dim]);
        for (column, values) in values.chunks_exact_mut(dim).enumerate() {
            for (v, dual) in values.iter_mut().zip(&dy) {
                *v = dual.dots[column % N];
            }
        }
        for (v, dual) in time.into_iter().flatten().zip(&dy) {
            *v = dual.dots[dim % N];
        }
    }
}

/// Parameters up to this many are kept on the stack.
const FEW: usize = 8;

impl<T: Real, F: VectorField, const N: usize> Kernel for SmallColumns<'_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let theta = self.at.theta;
        let mut few = [Duals::constant(T::zero()); FEW];
        let few = &mut few[..theta.len().min(FEW)];
        for (dual, &p) in few.iter_mut().zip(theta) {
            *dual = Duals::constant(p);
        }
        self.evaluate(few);
    }
}

/// The Jacobian of one column, `N` directions a pass.
struct Columns<'a, T, F, const N: usize> {
    field: &'a F,
    at: Point<'a, T>,
    j: &'a mut Jacobian<T>,
    buffers: &'a mut Buffers<Duals<T, N>>,
}

impl<T: Real, F: VectorField, const N: usize> Kernel for Columns<'_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { field, at, j, buffers } = self;
        let (dim, directions) = (field.dim(), j.directions());
        let columns = directions - usize::from(j.time().is_some());
        buffers.theta.clear();
        buffers.theta.extend(at.theta.iter().map(|&p| Duals::constant(p)));
        buffers.dy.resize(dim, Duals::constant(T::zero()));
        for first in (0..directions).step_by(N) {
            // Directions before `first` wrap round to numbers beyond N: constants.
            let variable = |x, direction: usize| Duals::variable(x, direction.wrapping_sub(first));
            buffers.y.clear();
            buffers.y.extend(at.y.iter().enumerate().map(|(row, &y)| variable(y, j.direction(row))));
            let t = if j.time().is_some() { variable(at.t, columns) } else { Duals::constant(at.t) };
            field.eval(t, &buffers.y, &buffers.theta, &mut buffers.dy);
            let dy = &buffers.dy;
            j.take(first, N, |i, k| dy[i].dots[k]);
        }
    }
}

/// Products along several directions of several columns, `N` directions an evaluation of f.
struct Jvps<'a, T, F, const N: usize> {
    field: &'a F,
    at: Point<'a, T>,
    dots: [&'a [T]; 2],
    dy_dots: &'a mut [T],
    buffers: &'a mut Buffers<Duals<T, N>>,
}

impl<T: Real, F: VectorField, const N: usize> Kernel for Jvps<'_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { field, at, dots: [y_dots, theta_dots], dy_dots, buffers } = self;
        let (dim, n, p) = (field.dim(), at.y.len(), at.theta.len());
        let count = dy_dots.len() / n;
        // Direction `first + k` of number `i` of `width`; 0 past the last.
        let along = |dots: &[T], (width, i): (usize, usize), first: usize| -> [T; N] {
            std::array::from_fn(|k| dots.get((first + k) * width + i).copied().unwrap_or(T::of(0.0)))
        };
        let t = Duals::constant(at.t);
        buffers.dy.resize(dim, Duals::constant(T::of(0.0)));
        for first in (0..count).step_by(N) {
            buffers.theta.clear();
            let theta = at.theta.iter().enumerate();
            buffers.theta.extend(theta.map(|(i, &v)| Duals::new(v, along(theta_dots, (p, i), first))));
            for (column, y) in at.y.chunks_exact(dim).enumerate() {
                let start = column * dim;
                buffers.y.clear();
                let rows = y.iter().enumerate();
                buffers.y.extend(rows.map(|(i, &v)| Duals::new(v, along(y_dots, (n, start + i), first))));
                field.eval(t, &buffers.y, &buffers.theta, &mut buffers.dy);
                for (i, dual) in buffers.dy.iter().enumerate() {
                    for (k, dot) in dual.dots.iter().enumerate().take(count - first) {
                        dy_dots[(first + k) * n + start + i] = *dot;
                    }
                }
            }
        }
    }
}

/// Vector–Jacobian product with `width` columns per [`Pack`], and the value where there is room for it.
struct Vjp<'a, T, F, S> {
    field: &'a F,
    at: Point<'a, T>,
    dy: &'a mut [T],
    dy_bar: &'a [T],
    y_bar: &'a mut [T],
    theta_bar: &'a mut [T],
    recorder: &'a mut Recorder<S>,
    width: usize,
}

impl<T: Real, F: VectorField, S: Pack<T>> Kernel for Vjp<'_, T, F, S> {
    type Output = T;
    #[inline(always)]
    fn run(self) -> T {
        let Self { field, at, dy, dy_bar, y_bar, theta_bar, recorder, width } = self;
        let (dim, mut t_bar) = (field.dim(), T::of(0.0));
        let mut values = dy.chunks_mut(width * dim);
        // Leaves: t, then y, then θ.
        let tape = &recorder.tape;
        tape.begin(1 + dim + at.theta.len());
        let mut inputs = recycle::<_, Var<'_, S>>(std::mem::take(&mut recorder.inputs));
        let mut outputs = recycle::<_, Var<'_, S>>(std::mem::take(&mut recorder.outputs));
        inputs.resize(dim, Var::zero());
        inputs.extend(at.theta.iter().enumerate().map(|(k, &p)| tape.leaf(1 + dim + k, S::splat(p))));
        let t = tape.leaf(0, S::splat(at.t));
        let columns = at.y.chunks(width * dim).zip(dy_bar.chunks(width * dim));
        for ((y, seed), y_bar) in columns.zip(y_bar.chunks_mut(width * dim)) {
            tape.rewind();
            outputs.clear();
            outputs.resize(dim, Var::zero());
            let (state, theta) = inputs.split_at_mut(dim);
            for (row, v) in state.iter_mut().enumerate() {
                *v = tape.leaf(1 + row, S::gather(y, dim, row));
            }
            field.eval(t, state, theta, &mut outputs);
            if let Some(values) = values.next() {
                for (row, v) in outputs.iter().enumerate() {
                    v.value().scatter(values, dim, row);
                }
            }
            let seeds = outputs.iter().enumerate();
            tape.reverse(seeds.map(|(row, &v)| (v, S::gather(seed, dim, row))));
            tape.with_leaf_cotangents(|bars| {
                let n = y.len() / dim;
                bars[0].fold(n, &mut t_bar);
                for (row, bar) in bars[1..=dim].iter().enumerate() {
                    bar.accumulate(y_bar, dim, row);
                }
                for (sum, bar) in theta_bar.iter_mut().zip(&bars[1 + dim..]) {
                    bar.fold(n, sum);
                }
            });
        }
        recorder.inputs = recycle(inputs);
        recorder.outputs = recycle(outputs);
        t_bar
    }
}

impl<T: Real, F: VectorField> Dynamics<T> for Generic<F> {
    type Scratch = Scratch<T>;
    const SIMD_LANES: bool = true;

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn num_params(&self) -> usize {
        self.0.num_params()
    }

    fn scratch(&self, _batch: usize) -> Scratch<T> {
        Scratch::default()
    }

    /// Measured by taping f once, where every number is one: a field whose number of operations
    /// depends on the state may take more.
    fn scratch_bytes(&self, batch: usize) -> usize {
        let ones = vec![T::of(1.0); self.0.dim() * batch.min(LANES)];
        let theta = vec![T::of(1.0); self.0.num_params()];
        let (mut y_bar, mut theta_bar) = (ones.clone(), theta.clone());
        let mut scratch = Scratch::default();
        let at = Point { t: T::of(1.0), y: &ones, theta: &theta };
        Dynamics::eval(self, at, &mut y_bar, &mut scratch);
        Dynamics::vjp(self, at, &ones, &mut y_bar, &mut theta_bar, &mut scratch);
        scratch.bytes()
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Scratch<T>) {
        // No division to find the batch: for a tiny system it would cost as much as f.
        if at.y.len() == self.0.dim() {
            self.0.eval(at.t, at.y, at.theta, dy);
        } else {
            let (field, buffers) = (&self.0, &mut scratch.lanes);
            dispatch(EvalBatch { field, at, dy, buffers });
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        self.eval_vjp(at, (&mut [], &mut []), dy_bar, [y_bar, theta_bar], scratch)
    }

    /// The recording of the product holds the value too.
    fn eval_vjp(
        &self,
        at: Point<'_, T>,
        (dy, _): (&mut [T], &mut [T]),
        dy_bar: &[T],
        [y_bar, theta_bar]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) -> T {
        let field = &self.0;
        if at.y.len() == self.0.dim() {
            let (recorder, width) = (&mut scratch.tape, 1);
            dispatch(Vjp { field, at, dy, dy_bar, y_bar, theta_bar, recorder, width })
        } else {
            let (recorder, width) = (&mut scratch.tape_lanes, LANES);
            dispatch(Vjp { field, at, dy, dy_bar, y_bar, theta_bar, recorder, width })
        }
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Scratch<T>) {
        let field = &self.0;
        if at.y.len() == self.0.dim() {
            let (buffers, width) = (&mut scratch.dual, 1);
            dispatch(Jvp { field, at, dot, dy_dot, buffers, width });
        } else {
            let (buffers, width) = (&mut scratch.dual_lanes, LANES);
            dispatch(Jvp { field, at, dot, dy_dot, buffers, width });
        }
    }

    /// Eight directions in one evaluation of f.
    fn jvps(&self, at: Point<'_, T>, dots: [&[T]; 2], dy_dots: &mut [T], scratch: &mut Scratch<T>) {
        let (field, buffers) = (&self.0, &mut scratch.duals);
        dispatch(Jvps { field, at, dots, dy_dots, buffers });
    }

    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        self.0.eval(t, y, theta, dy);
    }

    /// Found by [`sparsity::detect`].
    fn sparsity(&self) -> Option<Pattern> {
        Some(sparsity::detect(&self.0))
    }

    /// Four or eight directions (columns or colours, and t) in one evaluation of f.
    #[inline(always)]
    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, scratch: &mut Scratch<T>) {
        let field = &self.0;
        match (j.directions(), j.dense_mut()) {
            (0..=4, Some((values, time))) if at.theta.len() <= FEW => {
                dispatch(SmallColumns::<T, F, 4> { field, at, values, time });
            }
            (0..=8, Some((values, time))) if at.theta.len() <= FEW => {
                dispatch(SmallColumns::<T, F, 8> { field, at, values, time });
            }
            _ => dispatch(Columns { field, at, j, buffers: &mut scratch.duals }),
        }
    }

    /// The first row whose derivative is NaN or infinite, column by column.
    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let (dim, mut dy) = (self.0.dim(), vec![T::of(0.0); self.0.dim()]);
        at.y.chunks_exact(dim.max(1)).enumerate().find_map(|(column, y)| {
            self.0.eval(at.t, y, at.theta, &mut dy);
            let row = dy.iter().position(|v| !v.is_finite())?;
            Some(format!("derivative of row {row} of column {column} ({})", dy[row]))
        })
    }
}

#[cfg(test)]
mod tests;
