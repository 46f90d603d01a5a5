//! The dense layer z = W [x; t] + b on a batch, its reverse and its tangent.
//!
//! W is stored as PyTorch does, `[out, in]` row-major, which is the column-major matrix Wᵀ
//! (in × out). When time is an input it is the last column w_t of W; w_t·t joins the bias instead
//! of a row of t joining the batch. Three paths, chosen by shape and batch:
//!
//! - *wide* (out ≤ in, small): dot products along the inputs, W read in place;
//! - *tall* (in < out, small): W is transposed into scratch, vectors run along the outputs;
//! - *blocked*: [`Real::gemm`], W made contiguous in scratch when it has a time column; on large
//!   batches, where that is faster, the product of `packed`, the activation following by blocks of
//!   columns.
//!
//! On the wide and tall paths a column's bits do not depend on the batch; the blocked product adds
//! in another order, so a large batch differs from its columns alone by rounding.

use super::activation::Activation;
use super::packed::{self, Packed};
use super::products::{Mat, add_rows, columns, dots, transpose};
use crate::num::{Kernel, Real, dispatch};
use std::ops::Range;

/// Shape and parameter places of a dense layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dense {
    pub inputs: usize,
    pub outputs: usize,
    /// Whether t is an additional, last input.
    pub time: bool,
    pub weight: Range<usize>,
    pub bias: Option<Range<usize>>,
}

/// From this many columns on a blocked product can pay.
const BLOCKED_BATCH: usize = 4;
/// Products of at most this many multiply-adds run on the direct kernels: measured on an AVX-512
/// core with `benches/nn.rs`, where 10 × 10 × 8 took 230 ns blocked and 540 ns direct.
const DIRECT_WORK: usize = 600;
/// With fewer inputs or outputs than this both ways take about as long (2–50–2 on 20 columns: 1.6 µs
/// direct, 1.8 µs blocked), and the direct one gives the same bits for every batch.
const SKINNY: usize = 8;
/// Skinny products stay direct up to this many multiply-adds.
const SKINNY_WORK: usize = 1 << 14;

/// Columns whose activation follows their sums while they are in cache (24 of 784 f32 are 75 KB);
/// 96 took 7 % longer.
const COLUMNS: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Wide,
    Tall,
    Blocked,
}

/// Scratch of one dense layer, cut from the network's: `weight` for a rearranged W, `grad` for its
/// cotangent, `rows` one entry for each output.
pub(super) struct Room<'a, T> {
    pub weight: &'a mut [T],
    pub grad: &'a mut [T],
    pub rows: &'a mut [T],
}

impl Dense {
    /// Columns of W.
    pub fn width(&self) -> usize {
        self.inputs + usize::from(self.time)
    }

    fn path(&self, batch: usize) -> Path {
        let work = self.inputs * self.outputs * batch;
        let skinny = self.inputs.min(self.outputs) < SKINNY;
        let direct = if skinny { SKINNY_WORK } else { DIRECT_WORK };
        if batch >= BLOCKED_BATCH && work > direct {
            Path::Blocked
        } else if self.inputs < self.outputs {
            Path::Tall
        } else {
            Path::Wide
        }
    }

    /// `z` ← W [x; t] + b, then the activation, if any. `add` adds to what `z` holds instead (and
    /// takes no activation).
    pub fn forward<T: Real>(
        &self,
        (t, x): (T, &[T]),
        theta: &[T],
        activation: Option<Activation>,
        add: bool,
        z: &mut [T],
        room: &mut Room<'_, T>,
    ) {
        let batch = x.len() / self.inputs;
        let shift = &mut room.rows[..self.outputs];
        self.shift(t, theta, shift);
        let weight = &theta[self.weight.clone()];
        let dims = [self.outputs, batch, self.inputs];
        match self.path(batch) {
            Path::Blocked if packed::serves::<T>(dims) => {
                let matrix = Mat { data: weight, ld: self.width() };
                let weight = Packed::of_rows([self.outputs, self.inputs], matrix, room.weight);
                let init = (!add).then_some(&*shift);
                if add {
                    add_rows(z, shift);
                }
                let columns = x.chunks(COLUMNS * self.inputs).zip(z.chunks_mut(COLUMNS * self.outputs));
                for (x, z) in columns {
                    weight.multiply(x, init, z);
                    if let Some(activation) = activation {
                        activation.in_place(z);
                    }
                }
            }
            Path::Blocked => {
                let weight = self.contiguous(weight, room.weight);
                let beta = if add { T::of(1.0) } else { T::of(0.0) };
                T::gemm(dims, T::of(1.0), (weight, true), (x, false), beta, z);
                match activation {
                    Some(activation) => activation.after_bias(z, shift),
                    None => add_rows(z, shift),
                }
            }
            path => {
                if add {
                    add_rows(z, shift);
                }
                let init = (!add).then_some(&*shift);
                dispatch(Forward {
                    layer: self,
                    tall: path == Path::Tall,
                    weight,
                    packed: room.weight,
                    x,
                    init,
                    z,
                });
                if let Some(activation) = activation {
                    activation.in_place(z);
                }
            }
        }
    }

    /// `shift` ← b + w_t t.
    fn shift<T: Real>(&self, t: T, theta: &[T], shift: &mut [T]) {
        match &self.bias {
            Some(bias) => shift.copy_from_slice(&theta[bias.clone()]),
            None => shift.fill(T::of(0.0)),
        }
        if self.time {
            let last = theta[self.weight.clone()].iter().skip(self.inputs);
            for (s, &w) in shift.iter_mut().zip(last.step_by(self.width())) {
                *s = w.mul_add(t, *s);
            }
        }
    }

    /// W without its time column, as a contiguous in × out matrix.
    fn contiguous<'a, T: Real>(&self, weight: &'a [T], packed: &'a mut [T]) -> &'a [T] {
        if !self.time {
            return weight;
        }
        let rows = packed.chunks_exact_mut(self.inputs);
        for (to, from) in rows.zip(weight.chunks_exact(self.width())) {
            to.copy_from_slice(&from[..self.inputs]);
        }
        &packed[..self.inputs * self.outputs]
    }

    /// ACCUMULATES the cotangents of W and b into `theta_bar`, and that of x into `x_bar`, or
    /// overwrites the latter without `add`; returns that of t.
    pub fn reverse<T: Real>(
        &self,
        (t, x): (T, &[T]),
        (theta, theta_bar): (&[T], &mut [T]),
        z_bar: &[T],
        (x_bar, add): (&mut [T], bool),
        room: &mut Room<'_, T>,
    ) -> T {
        let batch = x.len() / self.inputs;
        let weight = &theta[self.weight.clone()];
        let sums = &mut room.rows[..self.outputs];
        dispatch(RowSums { z: z_bar, sums });
        let t_bar = self.reverse_shift(t, weight, sums, theta_bar);
        let weight_bar = &mut theta_bar[self.weight.clone()];
        match self.path(batch) {
            Path::Blocked => {
                let packed = self.contiguous(weight, room.weight);
                let one = T::of(1.0);
                let beta = if add { one } else { T::of(0.0) };
                let dims = [self.inputs, batch, self.outputs];
                T::gemm(dims, one, (packed, false), (z_bar, false), beta, x_bar);
                self.add_weight(x, z_bar, weight_bar, room.grad);
            }
            path => {
                if !add {
                    x_bar.fill(T::of(0.0));
                }
                dispatch(Reverse {
                    layer: self,
                    tall: path == Path::Tall,
                    weight,
                    weight_bar,
                    packed: room.weight,
                    grad: room.grad,
                    x,
                    z_bar,
                    x_bar,
                });
            }
        }
        t_bar
    }

    /// W̄ += Σ_j z̄[:, j] x[:, j]ᵀ by blocked products.
    fn add_weight<T: Real>(&self, x: &[T], z_bar: &[T], weight_bar: &mut [T], grad: &mut [T]) {
        let (dims, one) = ([self.inputs, self.outputs, x.len() / self.inputs], T::of(1.0));
        if self.time {
            let grad = &mut grad[..self.inputs * self.outputs];
            T::gemm(dims, one, (x, false), (z_bar, true), T::of(0.0), grad);
            let rows = weight_bar.chunks_exact_mut(self.width());
            for (to, from) in rows.zip(grad.chunks_exact(self.inputs)) {
                to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
            }
        } else {
            T::gemm(dims, one, (x, false), (z_bar, true), one, weight_bar);
        }
    }

    /// ACCUMULATES the cotangent of W from tangents x at ṫ = 0, z̄ being that of Wx, where nobody asks for that of x.
    pub fn reverse_constant<T: Real>(
        &self,
        x: &[T],
        (theta, theta_bar): (&[T], &mut [T]),
        z_bar: &[T],
        (x_bar, room): (&mut [T], &mut Room<'_, T>),
    ) {
        if self.path(x.len() / self.inputs) == Path::Blocked {
            return self.add_weight(x, z_bar, &mut theta_bar[self.weight.clone()], room.grad);
        }
        // The direct kernels make both at once.
        let linear = Self { bias: None, weight: self.weight.clone(), ..*self };
        linear.reverse((T::of(0.0), x), (theta, theta_bar), z_bar, (x_bar, false), room);
    }

    /// ACCUMULATES Wᵀz̄ into `x_bar`, and returns w_tᵀ Σ_j z̄[:, j]: [`reverse`](Self::reverse) without the parameters'.
    pub fn pull<T: Real>(&self, theta: &[T], z_bar: &[T], x_bar: &mut [T], room: &mut Room<'_, T>) -> T {
        let (weight, one) = (&theta[self.weight.clone()], T::of(1.0));
        let dims = [self.inputs, z_bar.len() / self.outputs, self.outputs];
        let packed = self.contiguous(weight, room.weight);
        T::gemm(dims, one, (packed, false), (z_bar, false), one, x_bar);
        if !self.time {
            return T::of(0.0);
        }
        let sums = &mut room.rows[..self.outputs];
        dispatch(RowSums { z: z_bar, sums });
        let last = weight.iter().skip(self.inputs).step_by(self.width());
        last.zip(&*sums).fold(T::of(0.0), |bar, (w, s)| w.mul_add(*s, bar))
    }

    /// b̄ += s, w̄_t += t s; returns w_tᵀ s, for s = Σ_j z̄[:, j].
    fn reverse_shift<T: Real>(&self, t: T, weight: &[T], sums: &[T], theta_bar: &mut [T]) -> T {
        if let Some(bias) = &self.bias {
            let bias_bar = &mut theta_bar[bias.clone()];
            bias_bar.iter_mut().zip(sums).for_each(|(b, &s)| *b += s);
        }
        let mut t_bar = T::of(0.0);
        if self.time {
            let weight_bar = &mut theta_bar[self.weight.clone()];
            for (o, &s) in sums.iter().enumerate() {
                let at = o * self.width() + self.inputs;
                weight_bar[at] = t.mul_add(s, weight_bar[at]);
                t_bar = weight[at].mul_add(s, t_bar);
            }
        }
        t_bar
    }
}

/// `sums` ← Σ_j z[:, j].
struct RowSums<'a, T> {
    z: &'a [T],
    sums: &'a mut [T],
}

impl<T: Real> Kernel for RowSums<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.sums.fill(T::of(0.0));
        for column in self.z.chunks_exact(self.sums.len()) {
            for (s, &z) in self.sums.iter_mut().zip(column) {
                *s += z;
            }
        }
    }
}

struct Forward<'a, T> {
    layer: &'a Dense,
    tall: bool,
    weight: &'a [T],
    packed: &'a mut [T],
    x: &'a [T],
    init: Option<&'a [T]>,
    z: &'a mut [T],
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (inputs, outputs) = (self.layer.inputs, self.layer.outputs);
        let batch = self.x.len() / inputs;
        let weight = Mat { data: self.weight, ld: self.layer.width() };
        if self.tall {
            pack(weight, [inputs, outputs], self.packed);
            let packed = Mat { data: self.packed, ld: outputs };
            let x = (self.x, (1, inputs));
            let dims = [outputs, batch, inputs];
            columns(dims, packed, x, self.init, (self.z, outputs));
        } else {
            let x = Mat { data: self.x, ld: inputs };
            let dims = [outputs, batch, inputs];
            dots(dims, weight, x, self.init, (self.z, outputs));
        }
    }
}

/// W (in × out, strided) transposed to out × in. Few inputs are the common case and get a loop
/// whose stride is known.
#[inline(always)]
fn pack<T: Real>(weight: Mat<'_, T>, [inputs, outputs]: [usize; 2], packed: &mut [T]) {
    match (inputs, weight.ld) {
        (2, 2) => {
            let (first, second) = packed.split_at_mut(outputs);
            let pairs = weight.data.chunks_exact(2);
            for ((pair, a), b) in pairs.zip(first).zip(second) {
                *a = pair[0];
                *b = pair[1];
            }
        }
        _ => transpose([inputs, outputs], weight, packed, outputs),
    }
}

struct Reverse<'a, T> {
    layer: &'a Dense,
    tall: bool,
    weight: &'a [T],
    weight_bar: &'a mut [T],
    packed: &'a mut [T],
    grad: &'a mut [T],
    x: &'a [T],
    z_bar: &'a [T],
    x_bar: &'a mut [T],
}

impl<T: Real> Kernel for Reverse<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (inputs, outputs) = (self.layer.inputs, self.layer.outputs);
        let (batch, ld) = (self.x.len() / inputs, self.layer.width());
        let weight = Mat { data: self.weight, ld };
        let x = Mat { data: self.x, ld: inputs };
        let z_bar = Mat { data: self.z_bar, ld: outputs };
        if self.tall {
            pack(weight, [inputs, outputs], self.packed);
            let packed = Mat { data: self.packed, ld: outputs };
            let dims = [inputs, batch, outputs];
            dots(dims, packed, z_bar, None, (self.x_bar, inputs));
            let grad = &mut self.grad[..inputs * outputs];
            grad.fill(T::of(0.0));
            let dims = [outputs, inputs, batch];
            columns(dims, z_bar, (self.x, (inputs, 1)), None, (grad, outputs));
            for (o, row) in self.weight_bar.chunks_exact_mut(ld).enumerate() {
                for (i, w) in row[..inputs].iter_mut().enumerate() {
                    *w += grad[o + i * outputs];
                }
            }
        } else {
            let dims = [inputs, batch, outputs];
            let right = (self.z_bar, (1, outputs));
            columns(dims, weight, right, None, (self.x_bar, inputs));
            let dims = [inputs, outputs, batch];
            let right = (self.z_bar, (outputs, 1));
            columns(dims, x, right, None, (self.weight_bar, ld));
        }
    }
}
