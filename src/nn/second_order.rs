//! Jacobian–vector products along one direction or several at once, and their gradients, layer by layer: the tangent
//! pass (x, ẋ_1, …, ẋ_k) of the whole chain, then the reverse of all.
//!
//! Directions lie one block after the other, each of the value's shape, so that a dense layer takes all of them in
//! one product with k times the columns.
//!
//! Where θ moves too, along one direction, ż = Wẋ + Ẇx + ḃ adds Ẇᵀu to x̄ and w_t's share to that of t.
//!
//! With u the cotangent of a layer's output tangent, a dense layer z = Wx + b, ż = Wẋ gives
//! W̄ += z̄xᵀ + uẋᵀ, x̄ = Wᵀz̄ and Wᵀu for ẋ; an activation gives x̄ = a′ȳ + a″ẋu and a′u (Griewank &
//! Walther, *Evaluating Derivatives*, ch. 5: reverse over tangent).

use super::activation::Activation;
use super::dense::{Dense, Room};
use super::network::{Network, Op, Step};
use super::run::{Input, Kept, Purpose, Scratch, add, dense_tangent, fused};
use crate::num::Real;

/// Memory for passes with tangents ([`Network::jvp_vjp`], [`Network::tangents`]) over at most the batch and the
/// directions it was made for.
#[derive(Clone, Debug)]
pub struct SecondOrderScratch<T> {
    /// Its pair and waiting values are those of the values' cotangents.
    inner: Scratch<T>,
    /// The tangents in the chain's order: the input's, then each step's output's, before it the one
    /// before the fused activation.
    dots: Vec<T>,
    /// Cotangents of the current tangents and of the next.
    pair: [Vec<T>; 2],
    /// Tangents, or their cotangents, waiting at the ends of residual blocks, one for each depth.
    waiting: Vec<Vec<T>>,
}

/// Directions: ṫ and θ̇ (empty for none; then one direction alone), and how many.
struct Along<'a, T> {
    t: T,
    theta: &'a [T],
    count: usize,
}

/// Rows that a step adds to the tangents.
fn rows(step: &Step) -> usize {
    match step.op {
        Op::Open(_) => 0,
        _ => step.outputs * (1 + usize::from(step.activation.is_some())),
    }
}

/// Cotangents of a value and of its tangents, for the current value and for the next.
struct Bars<'a, T> {
    now: [&'a mut [T]; 2],
    next: [&'a mut [T]; 2],
}

impl<T> Bars<'_, T> {
    /// The first `size` entries of the current one, and of its tangents'.
    fn current(&mut self, size: usize, directions: usize) -> [&mut [T]; 2] {
        let [bar, dot_bar] = &mut self.now;
        [&mut bar[..size], &mut dot_bar[..size * directions]]
    }

    fn advance(&mut self) {
        std::mem::swap(&mut self.now, &mut self.next);
    }
}

/// `to` ← a′ ⊙ `from`, block by block.
fn slopes<T: Real>(activation: Activation, saved: &[T], from: &[T], to: &mut [T]) {
    for (from, to) in from.chunks_exact(saved.len()).zip(to.chunks_exact_mut(saved.len())) {
        activation.slope_times(saved, from, to);
    }
}

impl Network {
    /// Rows of the tangents of the whole chain.
    fn tangent_rows(&self) -> usize {
        self.inputs + self.steps.iter().map(rows).sum::<usize>()
    }

    /// Memory of [`jvp_vjp`](Network::jvp_vjp) for batches of up to `batch` columns.
    pub fn second_order_scratch<T: Real>(&self, batch: usize) -> SecondOrderScratch<T> {
        self.tangents_scratch(batch, 1)
    }

    /// Memory of [`tangents`](Network::tangents) and their reverse for up to `batch` columns and `directions`.
    pub fn tangents_scratch<T: Real>(&self, batch: usize, directions: usize) -> SecondOrderScratch<T> {
        let inner = self.scratch(batch);
        let zeros = |n: usize| vec![T::of(0.0); n * batch * directions];
        SecondOrderScratch {
            dots: zeros(self.tangent_rows()),
            pair: [zeros(self.needs.widest), zeros(self.needs.widest)],
            waiting: vec![zeros(self.needs.widest); self.needs.depth],
            inner,
        }
    }

    /// Numbers that [`tangents_scratch`](Network::tangents_scratch) holds.
    pub fn tangents_scratch_len(&self, batch: usize, directions: usize) -> usize {
        let wide = self.tangent_rows() + (2 + self.needs.depth) * self.needs.widest;
        self.scratch_len(batch) + wide * batch * directions
    }

    /// [`tangent_vjp`](Network::tangent_vjp) at ṫ = 0, θ̇ = 0: ACCUMULATES the gradient of φ = uᵀ (∂N/∂x) v for \[v, u\] = `products` (of the input's and the
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
        let dot = Input { t: T::of(0.0), x: direction, theta: &[] };
        self.tangent_vjp(at, dot, out_bar, x_bar, theta_bar, scratch)
    }

    /// ACCUMULATES the gradient of φ = uᵀ ((∂N/∂t) ṫ + (∂N/∂x) ẋ + (∂N/∂θ) θ̇) for (ṫ, ẋ, θ̇) = `dot` (θ̇ empty for none)
    /// and u = `out_bar` (of the input's and the output's shape), all constants: `x_bar` += ∂φ/∂x,
    /// `theta_bar` += ∂φ/∂θ (summed over the batch); returns ∂φ/∂t. Lengths are the caller's to check, see
    /// [`at`](Network::at).
    pub fn tangent_vjp<T: Real>(
        &self,
        at: Input<'_, T>,
        dot: Input<'_, T>,
        out_bar: &[T],
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut SecondOrderScratch<T>,
    ) -> T {
        self.pass(at, Purpose::Slopes, (None, &mut []), &mut scratch.inner);
        let values = std::mem::take(&mut scratch.inner.values);
        let mut dots = std::mem::take(&mut scratch.dots);
        let kept = Kept { values: &values, out: &[] };
        self.push_tangents(at, kept, dot, &mut dots, scratch);
        scratch.inner.pair[0][..out_bar.len()].fill(T::of(0.0));
        scratch.pair[0][..out_bar.len()].copy_from_slice(out_bar);
        let along = Along { t: dot.t, theta: dot.theta, count: 1 };
        let t_bar = self.pull_tangents(at, (kept, &dots), along, x_bar, theta_bar, scratch);
        (scratch.inner.values, scratch.dots) = (values, dots);
        t_bar
    }

    /// Numbers that [`tangents`](Network::tangents) keeps for `batch` columns and `directions`.
    pub fn tangents_tape_len(&self, batch: usize, directions: usize) -> usize {
        self.tape_len(batch) + self.tangent_rows() * batch * directions
    }

    /// `out` ← N(t, x; θ) and `out_dots` ← (∂N/∂x) v_i along k directions v_i at once: `directions` holds k blocks of
    /// the input's shape, `out_dots` k blocks of the output's. Writes `tape` (of
    /// [`tangents_tape_len`](Network::tangents_tape_len) numbers) for [`tangents_vjp`](Network::tangents_vjp). Lengths
    /// are the caller's to check.
    pub fn tangents<T: Real>(
        &self,
        at: Input<'_, T>,
        directions: &[T],
        (out, out_dots): (&mut [T], &mut [T]),
        tape: &mut [T],
        scratch: &mut SecondOrderScratch<T>,
    ) {
        let (values, dots) = tape.split_at_mut(self.tape_len(at.x.len() / self.inputs));
        self.pass(at, Purpose::Tape, (Some(&mut *values), &mut *out), &mut scratch.inner);
        let kept = Kept { values, out };
        let dot = Input { t: T::of(0.0), x: directions, theta: &[] };
        let end = self.push_tangents(at, kept, dot, dots, scratch);
        out_dots.copy_from_slice(&dots[end - out_dots.len()..end]);
    }

    /// The reverse of [`tangents`](Network::tangents) from what it gave and kept: ACCUMULATES the gradient of
    /// φ = Σ ȳᵀN + Σ_i u_iᵀ (∂N/∂x) v_i at constant v_i for `bars` = \[ȳ, (u_1, …, u_k)\]: `x_bar` += ∂φ/∂x,
    /// `theta_bar` += ∂φ/∂θ (summed over the batch); returns ∂φ/∂t.
    pub fn tangents_vjp<T: Real>(
        &self,
        at: Input<'_, T>,
        (out, tape): (&[T], &[T]),
        [out_bar, dot_bars]: [&[T]; 2],
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut SecondOrderScratch<T>,
    ) -> T {
        let (values, dots) = tape.split_at(self.tape_len(at.x.len() / self.inputs));
        scratch.inner.pair[0][..out_bar.len()].copy_from_slice(out_bar);
        scratch.pair[0][..dot_bars.len()].copy_from_slice(dot_bars);
        let directions = dot_bars.len() / out_bar.len();
        let kept = (Kept { values, out }, dots);
        let along = Along { t: T::of(0.0), theta: &[], count: directions };
        self.pull_tangents(at, kept, along, x_bar, theta_bar, scratch)
    }

    /// Fills `dots` and returns how far; ṫ and θ̇ are those of all directions.
    fn push_tangents<T: Real>(
        &self,
        at: Input<'_, T>,
        kept: Kept<'_, T>,
        Input { t: t_dot, x: directions, theta: theta_dot }: Input<'_, T>,
        dots: &mut [T],
        scratch: &mut SecondOrderScratch<T>,
    ) -> usize {
        let (batch, k) = (at.x.len() / self.inputs, directions.len() / at.x.len());
        let (inner, mut end) = (&mut scratch.inner, directions.len());
        let mut room = Room { weight: &mut inner.weight, grad: &mut inner.grad, rows: &mut inner.rows };
        dots[..end].copy_from_slice(directions);
        for step in &self.steps {
            let (ins, outs) = (k * step.inputs * batch, k * step.outputs * batch);
            let x = kept.slot(at.x, step.input, [step.inputs, batch]);
            let (earlier, later) = dots.split_at_mut(end);
            let x_dot = &earlier[end - ins..];
            match &step.op {
                Op::Dense(dense) => {
                    let along = Input { t: t_dot, x: x_dot, theta: theta_dot };
                    let (z_dot, out_dot) = later.split_at_mut(outs);
                    dense_tangent(dense, Input { x, ..at }, along, z_dot, &mut room);
                    if let Some((activation, saved)) = fused(step, kept, batch) {
                        slopes(activation, saved, z_dot, &mut out_dot[..outs]);
                    }
                }
                Op::Activate(activation) => {
                    let saved = match activation.slope_from_output() {
                        true => kept.slot(at.x, step.output, [step.outputs, batch]),
                        false => x,
                    };
                    slopes(*activation, saved, x_dot, &mut later[..outs]);
                }
                Op::LayerNorm(norm) => {
                    norm.tangent((x, x_dot), (at.theta, theta_dot), &mut later[..outs]);
                }
                Op::Open(depth) => scratch.waiting[*depth][..ins].copy_from_slice(x_dot),
                Op::Close(depth, _) => {
                    later[..outs].copy_from_slice(x_dot);
                    add(&scratch.waiting[*depth][..outs], &mut later[..outs]);
                }
            }
            end += k * rows(step) * batch;
        }
        end
    }

    /// The reverse of values and tangents, from the output's cotangents in the first of both pairs.
    fn pull_tangents<T: Real>(
        &self,
        at: Input<'_, T>,
        (kept, dots): (Kept<'_, T>, &[T]),
        Along { t: t_dot, theta: theta_dot, count: k }: Along<'_, T>,
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut SecondOrderScratch<T>,
    ) -> T {
        let batch = at.x.len() / self.inputs;
        let inner = &mut scratch.inner;
        let [bar, next] = inner.pair.each_mut().map(Vec::as_mut_slice);
        let [dot_bar, next_dot] = scratch.pair.each_mut().map(Vec::as_mut_slice);
        let mut bars = Bars { now: [bar, dot_bar], next: [next, next_dot] };
        let mut room = Room { weight: &mut inner.weight, grad: &mut inner.grad, rows: &mut inner.rows };
        let waiting = [&mut inner.waiting, &mut scratch.waiting];
        let mut end = k * batch * self.tangent_rows();
        let mut t_bar = T::of(0.0);
        for (index, step) in self.steps.iter().enumerate().rev() {
            let (ins, outs) = (step.inputs * batch, step.outputs * batch);
            let x = kept.slot(at.x, step.input, [step.inputs, batch]);
            end -= k * rows(step) * batch;
            let (earlier, later) = dots.split_at(end);
            let x_dot = &earlier[end - k * ins..];
            match &step.op {
                Op::Dense(dense) => {
                    if let Some((activation, saved)) = fused(step, kept, batch) {
                        activation.reverse_tangent(saved, &later[..k * outs], bars.current(outs, k));
                    }
                    let theta = (at.theta, &mut *theta_bar);
                    let last = index == 0 && t_dot == T::of(0.0);
                    let times = (at.t, t_dot, last);
                    t_bar += dense_reverse(dense, times, (x, x_dot), theta, &mut bars, &mut room);
                    if !theta_dot.is_empty() {
                        let to = &mut bars.next[0][..ins];
                        t_bar += dense.pull(theta_dot, &bars.now[1][..outs], to, &mut room);
                    }
                    bars.advance();
                }
                Op::Activate(activation) => {
                    let saved = match activation.slope_from_output() {
                        true => kept.slot(at.x, step.output, [step.outputs, batch]),
                        false => x,
                    };
                    activation.reverse_tangent(saved, x_dot, bars.current(outs, k));
                }
                Op::LayerNorm(norm) => {
                    let theta = (at.theta, &mut *theta_bar);
                    let from = [&bars.now[0][..outs], &bars.now[1][..k * outs]];
                    let [next, next_dot] = &mut bars.next;
                    let to = [&mut next[..ins], &mut next_dot[..k * ins]];
                    norm.reverse_tangent((x, x_dot), theta, from, to);
                    if !theta_dot.is_empty() {
                        norm.pull(x, theta_dot, &bars.now[1][..outs], &mut bars.next[0][..ins]);
                    }
                    bars.advance();
                }
                Op::Close(depth, _) => {
                    waiting[0][*depth][..outs].copy_from_slice(&bars.now[0][..outs]);
                    waiting[1][*depth][..k * outs].copy_from_slice(&bars.now[1][..k * outs]);
                }
                Op::Open(depth) => {
                    let [bar, dot_bar] = bars.current(ins, k);
                    add(&waiting[0][*depth][..ins], bar);
                    add(&waiting[1][*depth][..k * ins], dot_bar);
                }
            }
        }
        add(&bars.now[0][..at.x.len()], x_bar);
        t_bar
    }
}

/// The reverse of z = W \[x; t\] + b and ż = Wẋ, from `bars.now` to `bars.next`, ẋ's cotangent left out where `constant`;
/// returns t's cotangent.
fn dense_reverse<T: Real>(
    dense: &Dense,
    (t, t_dot, constant): (T, T, bool),
    (x, x_dot): (&[T], &[T]),
    (theta, theta_bar): (&[T], &mut [T]),
    bars: &mut Bars<'_, T>,
    room: &mut Room<'_, T>,
) -> T {
    let [outs, dot_outs] = [x, x_dot].map(|x| x.len() / dense.inputs * dense.outputs);
    let (bar, dot_bar) = (&bars.now[0][..outs], &bars.now[1][..dot_outs]);
    let [next, next_dot] = &mut bars.next;
    let next_dot = &mut next_dot[..x_dot.len()];
    if constant {
        dense.reverse_constant(x_dot, (theta, &mut *theta_bar), dot_bar, (next_dot, room));
    } else {
        // ż has no bias.
        let linear = Dense { bias: None, weight: dense.weight.clone(), ..*dense };
        linear.reverse((t_dot, x_dot), (theta, &mut *theta_bar), dot_bar, (next_dot, false), room);
    }
    dense.reverse((t, x), (theta, theta_bar), bar, (&mut next[..x.len()], false), room)
}
