//! The gradient of a network's Jacobian–vector product, layer by layer: the tangent pass (x, ẋ) of
//! the whole chain, then the reverse of both.
//!
//! With u the cotangent of a layer's output tangent, a dense layer z = Wx + b, ż = Wẋ gives
//! W̄ += z̄xᵀ + uẋᵀ, x̄ = Wᵀz̄ and Wᵀu for ẋ; an activation gives x̄ = a′ȳ + a″ẋu and a′u (Griewank &
//! Walther, *Evaluating Derivatives*, ch. 5: reverse over tangent).

use super::dense::{Dense, Room};
use super::network::{Network, Op, Step};
use super::run::{Input, Kept, Purpose, Scratch, add, dense_tangent, fused, scale_by_slope};
use crate::num::Real;

/// Memory for [`Network::jvp_vjp`] over at most the batch it was made for.
#[derive(Clone, Debug)]
pub struct SecondOrderScratch<T> {
    /// Its pair and waiting values are those of the tangents' cotangents.
    inner: Scratch<T>,
    /// The tangents in the chain's order: the input's, then each step's output's, before it the one
    /// before the fused activation.
    dots: Vec<T>,
    /// Cotangents of the current value and of the next.
    pair: [Vec<T>; 2],
    /// Values' cotangents waiting at the ends of residual blocks, one for each depth.
    waiting: Vec<Vec<T>>,
}

/// Rows that a step adds to the tangents.
fn rows(step: &Step) -> usize {
    match step.op {
        Op::Open(_) => 0,
        _ => step.outputs * (1 + usize::from(step.activation.is_some())),
    }
}

/// Cotangents of a value and of its tangent, for the current value and for the next.
struct Bars<'a, T> {
    now: [&'a mut [T]; 2],
    next: [&'a mut [T]; 2],
}

impl<T> Bars<'_, T> {
    /// The first `size` entries of both current ones.
    fn current(&mut self, size: usize) -> [&mut [T]; 2] {
        self.now.each_mut().map(|bar| &mut bar[..size])
    }

    fn advance(&mut self) {
        std::mem::swap(&mut self.now, &mut self.next);
    }
}

impl Network {
    /// Memory of [`jvp_vjp`](Network::jvp_vjp) for batches of up to `batch` columns.
    pub fn second_order_scratch<T: Real>(&self, batch: usize) -> SecondOrderScratch<T> {
        let inner = self.scratch(batch);
        let dots = self.inputs + self.steps.iter().map(rows).sum::<usize>();
        SecondOrderScratch {
            dots: vec![T::of(0.0); dots * batch],
            pair: inner.pair.clone(),
            waiting: inner.waiting.clone(),
            inner,
        }
    }

    /// [`tangent_vjp`](Network::tangent_vjp) at ṫ = 0: ACCUMULATES the gradient of φ = uᵀ (∂N/∂x) v for \[v, u\] = `products` (of the input's and the
    /// output's shape) at constant v and u: `x_bar` += ∂φ/∂x, `theta_bar` += ∂φ/∂θ (summed over the
    /// batch); returns ∂φ/∂t. Lengths are the caller's to check, see [`at`](Network::at).
    pub fn jvp_vjp<T: Real>(
        &self,
        at: Input<'_, T>,
        [direction, out_bar]: [&[T]; 2],
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut SecondOrderScratch<T>,
    ) -> T {
        self.tangent_vjp(at, (T::of(0.0), direction), out_bar, x_bar, theta_bar, scratch)
    }

    /// ACCUMULATES the gradient of φ = uᵀ ((∂N/∂t) ṫ + (∂N/∂x) v) for (ṫ, v) = `dot` and u = `out_bar` (of
    /// the input's and the output's shape), all three constants: `x_bar` += ∂φ/∂x, `theta_bar` += ∂φ/∂θ
    /// (summed over the batch); returns ∂φ/∂t. Lengths are the caller's to check, see
    /// [`at`](Network::at).
    pub fn tangent_vjp<T: Real>(
        &self,
        at: Input<'_, T>,
        (t_dot, direction): (T, &[T]),
        out_bar: &[T],
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut SecondOrderScratch<T>,
    ) -> T {
        self.pass(at, Purpose::Slopes, (None, &mut []), &mut scratch.inner);
        let values = std::mem::take(&mut scratch.inner.values);
        let kept = Kept { values: &values, out: &[] };
        self.push_tangents(at, kept, (t_dot, direction), scratch);
        let [bar, dot_bar] = [&mut scratch.pair[0], &mut scratch.inner.pair[0]];
        bar[..out_bar.len()].fill(T::of(0.0));
        dot_bar[..out_bar.len()].copy_from_slice(out_bar);
        let t_bar = self.pull_tangents(at, (kept, t_dot), x_bar, theta_bar, scratch);
        scratch.inner.values = values;
        t_bar
    }

    /// Fills `scratch.dots`.
    fn push_tangents<T: Real>(
        &self,
        at: Input<'_, T>,
        kept: Kept<'_, T>,
        (t_dot, direction): (T, &[T]),
        scratch: &mut SecondOrderScratch<T>,
    ) {
        let batch = at.x.len() / self.inputs;
        let (inner, mut end) = (&mut scratch.inner, direction.len());
        let mut room = Room { weight: &mut inner.weight, grad: &mut inner.grad, rows: &mut inner.rows };
        scratch.dots[..end].copy_from_slice(direction);
        for step in &self.steps {
            let (ins, outs) = (step.inputs * batch, step.outputs * batch);
            let x = kept.slot(at.x, step.input, [step.inputs, batch]);
            let (earlier, later) = scratch.dots.split_at_mut(end);
            let x_dot = &earlier[end - ins..];
            match &step.op {
                Op::Dense(dense) => {
                    let along = Input { t: t_dot, x: x_dot, theta: &[] };
                    let (z_dot, out_dot) = later.split_at_mut(outs);
                    dense_tangent(dense, Input { x, ..at }, along, z_dot, &mut room);
                    if step.activation.is_some() {
                        out_dot[..outs].copy_from_slice(z_dot);
                        scale_by_slope(step, kept, batch, &mut out_dot[..outs]);
                    }
                }
                Op::Activate(activation) => {
                    let saved = match activation.slope_from_output() {
                        true => kept.slot(at.x, step.output, [step.outputs, batch]),
                        false => x,
                    };
                    activation.slope_times(saved, x_dot, &mut later[..outs]);
                }
                Op::LayerNorm(norm) => {
                    norm.tangent((x, x_dot), (at.theta, &[]), &mut later[..outs]);
                }
                Op::Open(depth) => inner.waiting[*depth][..ins].copy_from_slice(x_dot),
                Op::Close(depth, _) => {
                    later[..outs].copy_from_slice(x_dot);
                    add(&inner.waiting[*depth][..outs], &mut later[..outs]);
                }
            }
            end += rows(step) * batch;
        }
    }

    /// The reverse of values and tangents, from the output's cotangents in the first of both pairs.
    fn pull_tangents<T: Real>(
        &self,
        at: Input<'_, T>,
        (kept, t_dot): (Kept<'_, T>, T),
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut SecondOrderScratch<T>,
    ) -> T {
        let batch = at.x.len() / self.inputs;
        let inner = &mut scratch.inner;
        let [bar, next] = scratch.pair.each_mut().map(Vec::as_mut_slice);
        let [dot_bar, next_dot] = inner.pair.each_mut().map(Vec::as_mut_slice);
        let mut bars = Bars { now: [bar, dot_bar], next: [next, next_dot] };
        let mut room = Room { weight: &mut inner.weight, grad: &mut inner.grad, rows: &mut inner.rows };
        let waiting = [&mut scratch.waiting, &mut inner.waiting];
        let mut end = batch * (self.inputs + self.steps.iter().map(rows).sum::<usize>());
        let mut t_bar = T::of(0.0);
        for step in self.steps.iter().rev() {
            let (ins, outs) = (step.inputs * batch, step.outputs * batch);
            let x = kept.slot(at.x, step.input, [step.inputs, batch]);
            end -= rows(step) * batch;
            let (earlier, later) = scratch.dots.split_at(end);
            let x_dot = &earlier[end - ins..];
            match &step.op {
                Op::Dense(dense) => {
                    if let Some((activation, saved)) = fused(step, kept, batch) {
                        activation.reverse_tangent(saved, &later[..outs], bars.current(outs));
                    }
                    let theta = (at.theta, &mut *theta_bar);
                    t_bar += dense_reverse(dense, (at.t, t_dot), (x, x_dot), theta, &mut bars, &mut room);
                    bars.advance();
                }
                Op::Activate(activation) => {
                    let saved = match activation.slope_from_output() {
                        true => kept.slot(at.x, step.output, [step.outputs, batch]),
                        false => x,
                    };
                    activation.reverse_tangent(saved, x_dot, bars.current(outs));
                }
                Op::LayerNorm(norm) => {
                    let theta = (at.theta, &mut *theta_bar);
                    let from = bars.now.each_ref().map(|bar| &bar[..outs]);
                    let to = bars.next.each_mut().map(|bar| &mut bar[..ins]);
                    norm.reverse_tangent((x, x_dot), theta, from, to);
                    bars.advance();
                }
                Op::Close(depth, _) => {
                    waiting[0][*depth][..outs].copy_from_slice(&bars.now[0][..outs]);
                    waiting[1][*depth][..outs].copy_from_slice(&bars.now[1][..outs]);
                }
                Op::Open(depth) => {
                    let [bar, dot_bar] = bars.current(ins);
                    add(&waiting[0][*depth][..ins], bar);
                    add(&waiting[1][*depth][..ins], dot_bar);
                }
            }
        }
        add(&bars.now[0][..at.x.len()], x_bar);
        t_bar
    }
}

/// The reverse of z = W \[x; t\] + b and ż = Wẋ, from `bars.now` to `bars.next`; returns t's cotangent.
fn dense_reverse<T: Real>(
    dense: &Dense,
    (t, t_dot): (T, T),
    (x, x_dot): (&[T], &[T]),
    (theta, theta_bar): (&[T], &mut [T]),
    bars: &mut Bars<'_, T>,
    room: &mut Room<'_, T>,
) -> T {
    let outs = x.len() / dense.inputs * dense.outputs;
    let [bar, dot_bar] = bars.now.each_ref().map(|bar| &bar[..outs]);
    let [next, next_dot] = bars.next.each_mut().map(|bar| &mut bar[..x.len()]);
    // ż has no bias.
    let linear = Dense { bias: None, weight: dense.weight.clone(), ..*dense };
    let along = (t_dot, x_dot);
    let into = (next_dot, false);
    linear.reverse(along, (theta, &mut *theta_bar), dot_bar, into, room);
    dense.reverse((t, x), (theta, theta_bar), bar, (next, false), room)
}
