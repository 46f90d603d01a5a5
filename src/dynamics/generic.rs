//! [`VectorField`]: a right-hand side written once, generic over the scalar; [`Generic`] derives its
//! JVP (dual numbers), VJP (reverse tape) and SIMD ensembles.
//!
//! Batches run eight columns at a time in [`Lanes`]. Every lane does the scalar's operations, and
//! sums over the batch are taken column by column, so a column's bits depend neither on its place
//! in the batch nor on the batch's size.

use super::dual::Dual;
use super::tape::{Tape, Var};
use super::{Dynamics, Point, Tangent};
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
#[derive(Debug, Default)]
pub struct Scratch<T> {
    lanes: Buffers<Lanes<T>>,
    dual: Buffers<Dual<T>>,
    dual_lanes: Buffers<Dual<Lanes<T>>>,
    tape: Recorder<T>,
    tape_lanes: Recorder<Lanes<T>>,
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

/// One column in a `T`, or up to eight in [`Lanes`]; lanes beyond the last column repeat it.
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
        Self(std::array::from_fn(|lane| {
            cols[(lane * dim + row).min(last)]
        }))
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
        let Self {
            field,
            at,
            dy,
            buffers,
        } = self;
        let (dim, t) = (field.dim(), Lanes::splat(at.t));
        buffers.theta.clear();
        buffers
            .theta
            .extend(at.theta.iter().map(|&p| Lanes::splat(p)));
        buffers.dy.resize(dim, Lanes::splat(T::of(0.0)));
        let width = LANES * dim;
        for (y, dy) in at.y.chunks(width).zip(dy.chunks_mut(width)) {
            buffers.y.clear();
            buffers
                .y
                .extend((0..dim).map(|row| Lanes::gather(y, dim, row)));
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
        let Self {
            field,
            at,
            dot,
            dy_dot,
            buffers,
            width,
        } = self;
        let dim = field.dim();
        let t = Dual::new(S::splat(at.t), S::splat(dot.t));
        buffers.theta.clear();
        buffers
            .theta
            .extend(at.theta.iter().enumerate().map(|(k, &p)| {
                let along = dot.theta.get(k).copied().unwrap_or(T::of(0.0));
                Dual::new(S::splat(p), S::splat(along))
            }));
        buffers.dy.resize(dim, Dual::zero());
        let columns = at.y.chunks(width * dim).zip(dot.y.chunks(width * dim));
        for ((y, y_dot), out) in columns.zip(dy_dot.chunks_mut(width * dim)) {
            buffers.y.clear();
            buffers.y.extend(
                (0..dim).map(|row| Dual::new(S::gather(y, dim, row), S::gather(y_dot, dim, row))),
            );
            field.eval(t, &buffers.y, &buffers.theta, &mut buffers.dy);
            for (row, v) in buffers.dy.iter().enumerate() {
                v.dot.scatter(out, dim, row);
            }
        }
    }
}

/// Vector–Jacobian product with `width` columns per [`Pack`].
struct Vjp<'a, T, F, S> {
    field: &'a F,
    at: Point<'a, T>,
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
        let Self {
            field,
            at,
            dy_bar,
            y_bar,
            theta_bar,
            recorder,
            width,
        } = self;
        let (dim, mut t_bar) = (field.dim(), T::of(0.0));
        // Leaves: t, then y, then θ.
        let tape = &recorder.tape;
        tape.begin(1 + dim + at.theta.len());
        let mut inputs = recycle::<_, Var<'_, S>>(std::mem::take(&mut recorder.inputs));
        let mut outputs = recycle::<_, Var<'_, S>>(std::mem::take(&mut recorder.outputs));
        inputs.resize(dim, Var::zero());
        inputs.extend(
            at.theta
                .iter()
                .enumerate()
                .map(|(k, &p)| tape.leaf(1 + dim + k, S::splat(p))),
        );
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

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Scratch<T>) {
        // No division to find the batch: for a tiny system it would cost as much as f.
        if at.y.len() == self.0.dim() {
            self.0.eval(at.t, at.y, at.theta, dy);
        } else {
            let (field, buffers) = (&self.0, &mut scratch.lanes);
            dispatch(EvalBatch {
                field,
                at,
                dy,
                buffers,
            });
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
        let field = &self.0;
        if at.y.len() == self.0.dim() {
            let (recorder, width) = (&mut scratch.tape, 1);
            dispatch(Vjp {
                field,
                at,
                dy_bar,
                y_bar,
                theta_bar,
                recorder,
                width,
            })
        } else {
            let (recorder, width) = (&mut scratch.tape_lanes, LANES);
            dispatch(Vjp {
                field,
                at,
                dy_bar,
                y_bar,
                theta_bar,
                recorder,
                width,
            })
        }
    }

    fn jvp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        dy_dot: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let field = &self.0;
        if at.y.len() == self.0.dim() {
            let (buffers, width) = (&mut scratch.dual, 1);
            dispatch(Jvp {
                field,
                at,
                dot,
                dy_dot,
                buffers,
                width,
            });
        } else {
            let (buffers, width) = (&mut scratch.dual_lanes, LANES);
            dispatch(Jvp {
                field,
                at,
                dot,
                dy_dot,
                buffers,
                width,
            });
        }
    }

    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        self.0.eval(t, y, theta, dy);
    }

    /// The first row whose derivative is NaN or infinite, column by column.
    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let (dim, mut dy) = (self.0.dim(), vec![T::of(0.0); self.0.dim()]);
        at.y.chunks_exact(dim.max(1))
            .enumerate()
            .find_map(|(column, y)| {
                self.0.eval(at.t, y, at.theta, &mut dy);
                let row = dy.iter().position(|v| !v.is_finite())?;
                Some(format!(
                    "derivative of row {row} of column {column} ({})",
                    dy[row]
                ))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::gallery::{self, Visit};
    use super::*;

    /// A few columns around the usual initial state.
    fn columns<T: Real>(y0: &[f64], batch: usize) -> Vec<T> {
        let wiggle = |i: usize| 1.0 + 0.03 * ((i * 7 % 11) as f64 - 5.0) / 5.0;
        (0..batch * y0.len())
            .map(|i| T::of(y0[i % y0.len()] * wiggle(i) + 0.01 * (i % 5) as f64))
            .collect()
    }

    fn cast<T: Real>(x: &[f64]) -> Vec<T> {
        x.iter().map(|&x| T::of(x)).collect()
    }

    /// Seven directions that are all of the same size as the entries.
    fn direction<T: Real>(n: usize, phase: f64) -> Vec<T> {
        (0..n)
            .map(|i| T::of((1.3 * i as f64 + phase).cos()))
            .collect()
    }

    /// ⟨ȳ', J v⟩ = ⟨Jᵀ ȳ', v⟩ to rounding, with t and θ in play, for batches around the lane count.
    struct DotProduct<T>(std::marker::PhantomData<T>);
    impl<T: Real> Visit for DotProduct<T> {
        fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]) {
            let f = Generic(field);
            for batch in [1, 2, 8, 11] {
                let (y, theta) = (columns::<T>(y0, batch), cast::<T>(theta));
                let at = Point {
                    t: T::of(0.4),
                    y: &y,
                    theta: &theta,
                };
                let mut scratch = f.scratch(batch);
                let (v_y, v_theta) = (
                    direction::<T>(y.len(), 0.1),
                    direction::<T>(theta.len(), 0.2),
                );
                let dot = Tangent {
                    t: T::of(0.7),
                    y: &v_y,
                    theta: &v_theta,
                };
                let mut jv = vec![T::of(0.0); y.len()];
                f.jvp(at, dot, &mut jv, &mut scratch);
                let seed = direction::<T>(y.len(), 0.9);
                let (mut y_bar, mut theta_bar) =
                    (vec![T::of(0.0); y.len()], vec![T::of(0.0); theta.len()]);
                let t_bar = f.vjp(at, &seed, &mut y_bar, &mut theta_bar, &mut scratch);
                let terms = |a: &[T], b: &[T]| -> Vec<f64> {
                    a.iter().zip(b).map(|(a, b)| a.f64() * b.f64()).collect()
                };
                let forward = terms(&seed, &jv);
                let mut reverse = terms(&y_bar, &v_y);
                reverse.extend(terms(&theta_bar, &v_theta));
                reverse.push(t_bar.f64() * 0.7);
                let size: f64 = forward.iter().chain(&reverse).map(|x| x.abs()).sum();
                let gap = forward.iter().sum::<f64>() - reverse.iter().sum::<f64>();
                let tolerance = if T::NAME == "f64" { 1e-14 } else { 3e-6 };
                assert!(
                    size > 0.0 && gap.abs() <= tolerance * size,
                    "{name} batch {batch}: {gap:e} of {size:e}"
                );
            }
        }
    }

    #[test]
    fn tape_and_dual_agree_on_the_whole_gallery_in_both_precisions() {
        gallery::visit_all(&mut DotProduct::<f64>(std::marker::PhantomData));
        gallery::visit_all(&mut DotProduct::<f32>(std::marker::PhantomData));
    }

    /// Batch = single, bit for bit: eval, jvp, y_bar, and θ̄ as a sum in column order.
    struct BatchBits;
    impl Visit for BatchBits {
        fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]) {
            let f = Generic(field);
            let (dim, batch) = (y0.len(), 11);
            let y = columns::<f64>(y0, batch);
            let (seed, v) = (
                direction::<f64>(y.len(), 0.3),
                direction::<f64>(y.len(), 0.5),
            );
            let mut scratch = f.scratch(batch);
            let run = |y: &[f64],
                       seed: &[f64],
                       v: &[f64],
                       theta_bar: &mut [f64],
                       t_bar: f64,
                       s: &mut Scratch<f64>| {
                let at = Point { t: 0.4, y, theta };
                let mut out = [vec![0.0; y.len()], vec![0.0; y.len()], vec![0.25; y.len()]];
                f.eval(at, &mut out[0], s);
                f.jvp(
                    at,
                    Tangent {
                        t: 0.7,
                        y: v,
                        theta: &[],
                    },
                    &mut out[1],
                    s,
                );
                let t_bar = t_bar + f.vjp(at, seed, &mut out[2], theta_bar, s);
                (out, t_bar)
            };
            let mut all_theta = vec![0.125; theta.len()];
            let (all, all_t) = run(&y, &seed, &v, &mut all_theta, 0.0, &mut scratch);
            let (mut sum_theta, mut sum_t) = (vec![0.125; theta.len()], 0.0);
            for j in 0..batch {
                let c = j * dim..(j + 1) * dim;
                let (one, t) = run(
                    &y[c.clone()],
                    &seed[c.clone()],
                    &v[c.clone()],
                    &mut sum_theta,
                    sum_t,
                    &mut scratch,
                );
                sum_t = t;
                for (k, part) in one.iter().enumerate() {
                    assert_eq!(part[..], all[k][c.clone()], "{name} column {j}, part {k}");
                }
            }
            assert_eq!(sum_theta, all_theta, "{name}");
            assert_eq!(sum_t, all_t, "{name}");
        }
    }

    #[test]
    fn a_column_has_the_same_bits_in_any_batch() {
        gallery::visit_all(&mut BatchBits);
    }

    /// `eval_lanes` with its own t, y and θ per lane against scalar `eval`.
    struct LaneBits;
    impl Visit for LaneBits {
        fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]) {
            let f = Generic(field);
            let dim = y0.len();
            let y = columns::<f64>(y0, LANES);
            let theta_of = |lane: usize| -> Vec<f64> {
                theta
                    .iter()
                    .map(|p| p * (1.0 + 0.01 * lane as f64))
                    .collect()
            };
            let t = Lanes(std::array::from_fn(|lane| 0.1 * lane as f64));
            let wide_y: Vec<_> = (0..dim).map(|row| Lanes::gather(&y, dim, row)).collect();
            let wide_theta: Vec<_> = (0..theta.len())
                .map(|k| Lanes(std::array::from_fn(|lane| theta_of(lane)[k])))
                .collect();
            let mut wide = vec![Lanes::splat(0.0); dim];
            f.eval_lanes(t, &wide_y, &wide_theta, &mut wide);
            let mut scratch = f.scratch(1);
            for lane in 0..LANES {
                let mut dy = vec![0.0; dim];
                let theta = theta_of(lane);
                let at = Point {
                    t: t[lane],
                    y: &y[lane * dim..][..dim],
                    theta: &theta,
                };
                f.eval(at, &mut dy, &mut scratch);
                for row in 0..dim {
                    assert_eq!(
                        dy[row].to_bits(),
                        wide[row][lane].to_bits(),
                        "{name} lane {lane}"
                    );
                }
            }
        }
    }

    #[test]
    fn lanes_have_the_bits_of_scalars() {
        gallery::visit_all(&mut LaneBits);
    }

    #[test]
    fn kept_vectors_keep_their_allocation() {
        assert_eq!(size_of::<Blank<f64>>(), size_of::<Var<'_, f64>>());
        assert_eq!(
            size_of::<Blank<Lanes<f32>>>(),
            size_of::<Var<'_, Lanes<f32>>>()
        );
        let v: Vec<Blank<f64>> = Vec::with_capacity(37);
        let before = (v.as_ptr().addr(), v.capacity());
        let mut vars: Vec<Var<'_, f64>> = recycle(v);
        vars.push(Var::zero());
        assert_eq!((vars.as_ptr().addr(), vars.capacity()), before);
        let back: Vec<Blank<f64>> = recycle(vars);
        assert_eq!((back.as_ptr().addr(), back.capacity()), before);
    }

    #[test]
    fn non_finite_rows_are_named() {
        let f = Generic(gallery::LotkaVolterra);
        let theta = gallery::LotkaVolterra::THETA;
        let y = [1.0, 1.0, 1e200, 1e200];
        let named = f.locate_non_finite(Point {
            t: 0.0,
            y: &y,
            theta: &theta,
        });
        assert_eq!(
            named.as_deref(),
            Some("derivative of row 0 of column 1 (-inf)")
        );
        assert_eq!(
            f.locate_non_finite(Point {
                t: 0.0,
                y: &y[..2],
                theta: &theta
            }),
            None
        );
    }
}
