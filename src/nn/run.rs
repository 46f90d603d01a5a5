//! A network's forward pass, reverse (vjp), tangent (jvp) and the search for the unit that first
//! went non-finite.

use super::activation::Activation;
use super::dense::{Dense, Room};
use super::network::{Network, Op, Slot, Step};
use crate::num::{Kernel, Real, dispatch};
use crate::{Error, Result};

/// Where a network is evaluated: time (read by layers after `concat_time` only), input and
/// parameters. As a direction, an empty `theta` means zero.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a, T> {
    /// Time.
    pub t: T,
    /// Input, column-major `input_dim × batch`.
    pub x: &'a [T],
    /// Parameters, laid out as [`Network::layout`] says.
    pub theta: &'a [T],
}

/// Memory for passes of a [`Network`] over at most the batch it was made for.
#[derive(Clone, Debug)]
pub struct Scratch<T> {
    pub(super) values: Vec<T>,
    /// Two cotangents (or tangents): of the current value and of the next.
    pub(super) pair: [Vec<T>; 2],
    /// Cotangents waiting at the ends of residual blocks, one for each depth.
    pub(super) waiting: Vec<Vec<T>>,
    pub(super) weight: Vec<T>,
    pub(super) grad: Vec<T>,
    pub(super) rows: Vec<T>,
}

/// What a forward pass is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The output alone.
    Output,
    /// Every value that slopes need; the last output only when its own slope needs it.
    Slopes,
    /// Both.
    Tape,
}

/// What a forward pass kept.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a, T> {
    pub values: &'a [T],
    /// The last output, when it is not among the values.
    pub out: &'a [T],
}

impl<'a, T> Kept<'a, T> {
    /// `size` values from row `start` on.
    fn at(&self, start: usize, batch: usize, size: usize) -> &'a [T] {
        match start * batch < self.values.len() {
            true => &self.values[start * batch..][..size],
            false => &self.out[..size],
        }
    }

    /// The `rows × batch` value in `slot`.
    pub fn slot(&self, x: &'a [T], slot: Slot, [rows, batch]: [usize; 2]) -> &'a [T] {
        match slot {
            Slot::Input => &x[..rows * batch],
            Slot::Kept(start) => self.at(start, batch, rows * batch),
        }
    }
}

impl Network {
    /// Memory for batches of up to `batch` columns.
    pub fn scratch<T: Real>(&self, batch: usize) -> Scratch<T> {
        let zeros = |n| vec![T::of(0.0); n];
        let widest = self.needs.widest * batch;
        Scratch {
            values: zeros(self.needs.kept * batch),
            pair: [zeros(widest), zeros(widest)],
            waiting: vec![zeros(widest); self.needs.depth],
            weight: zeros(self.needs.weight),
            grad: zeros(self.needs.weight),
            rows: zeros(self.needs.units),
        }
    }

    /// Numbers that [`scratch`](Network::scratch) holds for `batch` columns.
    pub fn scratch_len(&self, batch: usize) -> usize {
        let needs = &self.needs;
        (needs.kept + (2 + needs.depth) * needs.widest) * batch + 2 * needs.weight + needs.units
    }

    /// Numbers that [`forward_taped`](Network::forward_taped) keeps for `batch` columns: every
    /// layer's values but the last output.
    pub fn tape_len(&self, batch: usize) -> usize {
        match self.steps.last().map(|step| step.output) {
            Some(Slot::Kept(start)) => start * batch,
            _ => 0,
        }
    }

    /// A checked point.
    ///
    /// # Errors
    /// [`Error::Length`] when `x` is not a whole number of columns or `theta` has another length
    /// than the layout.
    pub fn at<'a, T: Real>(&self, t: T, x: &'a [T], theta: &'a [T]) -> Result<Input<'a, T>> {
        if !x.len().is_multiple_of(self.inputs) {
            let needed = format!("a multiple of {} (rows of the input)", self.inputs);
            return Err(Error::Length { what: "x", given: x.len(), needed });
        }
        self.layout.check_len("theta", theta.len())?;
        Ok(Input { t, x, theta })
    }

    /// `out` (`output_dim × batch`) ← N(t, x; θ). Lengths are the caller's to check, see
    /// [`at`](Network::at).
    pub fn forward<T: Real>(&self, at: Input<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.pass(at, Purpose::Output, (None, out), scratch);
    }

    /// [`forward`](Network::forward), the same bits, that also writes `tape` (of
    /// [`tape_len`](Network::tape_len) numbers) for [`vjp_taped`](Network::vjp_taped).
    pub fn forward_taped<T: Real>(
        &self,
        at: Input<'_, T>,
        out: &mut [T],
        tape: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        self.pass(at, Purpose::Tape, (Some(tape), out), scratch);
    }

    /// ACCUMULATES the vector–Jacobian product: `x_bar` += (∂N/∂x)ᵀ `out_bar`, `theta_bar` +=
    /// (∂N/∂θ)ᵀ `out_bar` (summed over the batch); returns (∂N/∂t)ᵀ `out_bar`.
    pub fn vjp<T: Real>(
        &self,
        at: Input<'_, T>,
        out_bar: &[T],
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        self.pass(at, Purpose::Slopes, (None, &mut []), scratch);
        let values = std::mem::take(&mut scratch.values);
        let kept = Kept { values: &values, out: &[] };
        let t_bar = self.pull(at, kept, out_bar, x_bar, theta_bar, scratch);
        scratch.values = values;
        t_bar
    }

    /// [`vjp`](Network::vjp), the same bits, where `(out, tape)` is what
    /// [`forward_taped`](Network::forward_taped) gave at this point: no layer is evaluated again.
    pub fn vjp_taped<T: Real>(
        &self,
        at: Input<'_, T>,
        (out, tape): (&[T], &[T]),
        out_bar: &[T],
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        let kept = Kept { values: tape, out };
        self.pull(at, kept, out_bar, x_bar, theta_bar, scratch)
    }

    /// The reverse of a forward pass from what it kept.
    fn pull<T: Real>(
        &self,
        at: Input<'_, T>,
        kept: Kept<'_, T>,
        out_bar: &[T],
        x_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        let batch = at.x.len() / self.inputs;
        let [mut bar, mut next] = scratch.pair.each_mut().map(Vec::as_mut_slice);
        let mut room = Room { weight: &mut scratch.weight, grad: &mut scratch.grad, rows: &mut scratch.rows };
        let last = self.steps.len() - 1;
        match fused(&self.steps[last], kept, batch) {
            Some((activation, saved)) => {
                activation.slope_times(saved, out_bar, &mut bar[..out_bar.len()]);
            }
            None => bar[..out_bar.len()].copy_from_slice(out_bar),
        }
        let mut t_bar = T::of(0.0);
        for (index, step) in self.steps.iter().enumerate().rev() {
            let x = kept.slot(at.x, step.input, [step.inputs, batch]);
            let (bar_in, bar_out) = (step.inputs * batch, step.outputs * batch);
            match &step.op {
                Op::Dense(dense) => {
                    let out_bar = &mut bar[..bar_out];
                    if index < last {
                        scale_by_slope(step, kept, batch, out_bar);
                    }
                    let theta = (at.theta, &mut *theta_bar);
                    if index == 0 {
                        let x_bar = (&mut x_bar[..bar_in], true);
                        return t_bar + dense.reverse((at.t, x), theta, out_bar, x_bar, &mut room);
                    }
                    let into = (&mut next[..bar_in], false);
                    t_bar += dense.reverse((at.t, x), theta, out_bar, into, &mut room);
                    std::mem::swap(&mut bar, &mut next);
                }
                Op::Activate(activation) => {
                    let at = match activation.slope_from_output() {
                        true => kept.slot(at.x, step.output, [step.outputs, batch]),
                        false => x,
                    };
                    activation.scale_by_slope(at, &mut bar[..bar_out]);
                }
                Op::LayerNorm(norm) => {
                    let theta = (at.theta, &mut *theta_bar);
                    norm.reverse(x, theta, &bar[..bar_out], &mut next[..bar_in]);
                    std::mem::swap(&mut bar, &mut next);
                }
                Op::Close(depth, _) => {
                    scratch.waiting[*depth][..bar_out].copy_from_slice(&bar[..bar_out]);
                }
                Op::Open(depth) => add(&scratch.waiting[*depth][..bar_in], bar),
            }
        }
        add(&bar[..at.x.len()], x_bar);
        t_bar
    }

    /// `out_dot` ← (∂N/∂t) ṫ + (∂N/∂x) ẋ + (∂N/∂θ) θ̇ for `dot` = (ṫ, ẋ, θ̇).
    pub fn jvp<T: Real>(
        &self,
        at: Input<'_, T>,
        dot: Input<'_, T>,
        out_dot: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        self.pass(at, Purpose::Slopes, (None, &mut []), scratch);
        let batch = at.x.len() / self.inputs;
        let kept = Kept { values: &scratch.values, out: &[] };
        let [mut now, mut next] = scratch.pair.each_mut().map(Vec::as_mut_slice);
        let mut room = Room { weight: &mut scratch.weight, grad: &mut scratch.grad, rows: &mut scratch.rows };
        now[..dot.x.len()].copy_from_slice(dot.x);
        for step in &self.steps {
            let (ins, outs) = (step.inputs * batch, step.outputs * batch);
            let x = kept.slot(at.x, step.input, [step.inputs, batch]);
            match &step.op {
                Op::Dense(dense) => {
                    let along = Input { x: &now[..ins], ..dot };
                    let z_dot = &mut next[..outs];
                    dense_tangent(dense, Input { x, ..at }, along, z_dot, &mut room);
                    scale_by_slope(step, kept, batch, z_dot);
                    std::mem::swap(&mut now, &mut next);
                }
                Op::Activate(activation) => {
                    let at = match activation.slope_from_output() {
                        true => kept.slot(at.x, step.output, [step.outputs, batch]),
                        false => x,
                    };
                    activation.scale_by_slope(at, &mut now[..outs]);
                }
                Op::LayerNorm(norm) => {
                    let theta = (at.theta, dot.theta);
                    norm.tangent((x, &now[..ins]), theta, &mut next[..outs]);
                    std::mem::swap(&mut now, &mut next);
                }
                Op::Open(depth) => scratch.waiting[*depth][..ins].copy_from_slice(&now[..ins]),
                Op::Close(depth, _) => add(&scratch.waiting[*depth][..outs], now),
            }
        }
        out_dot.copy_from_slice(&now[..out_dot.len()]);
    }

    /// Runs every step. What is kept goes to `tape`, or to the scratch; the last output to `out`
    /// unless the purpose is slopes alone.
    pub(super) fn pass<T: Real>(
        &self,
        at: Input<'_, T>,
        purpose: Purpose,
        (tape, out): (Option<&mut [T]>, &mut [T]),
        scratch: &mut Scratch<T>,
    ) {
        let batch = at.x.len() / self.inputs;
        let mut room = Room { weight: &mut scratch.weight, grad: &mut scratch.grad, rows: &mut scratch.rows };
        let values = tape.unwrap_or(&mut scratch.values);
        let last = self.steps.len() - 1;
        for (index, step) in self.steps.iter().enumerate() {
            let Slot::Kept(start) = step.output else {
                continue;
            };
            if matches!(step.op, Op::Open(_)) {
                continue;
            }
            let start = step.before.unwrap_or(start) * batch;
            let (earlier, place) = values.split_at_mut(start);
            let size = step.outputs * batch;
            let (before, place) = match step.before {
                Some(_) => place.split_at_mut(size),
                None => place.split_at_mut(0),
            };
            let output = if index == last && purpose != Purpose::Slopes {
                Some(&mut *out)
            } else if index < last || last_output_is_needed(step) {
                Some(&mut place[..size])
            } else {
                None
            };
            if before.is_empty() || purpose == Purpose::Output {
                if let Some(output) = output {
                    apply(step, at, earlier, output, &mut room);
                }
            } else {
                apply(&step.without_activation(), at, earlier, before, &mut room);
                if let (Some(output), Some(activation)) = (output, step.activation) {
                    output.copy_from_slice(before);
                    activation.in_place(output);
                }
            }
        }
    }

    /// The layer and unit whose output first goes non-finite, "layer 3 (tanh), unit 17"; `None`
    /// when all stay finite. Units of the earliest layer win, then the earliest column. Allocates:
    /// for error messages.
    pub fn locate_non_finite<T: Real>(&self, at: Input<'_, T>) -> Option<String> {
        if let Some(index) = at.x.iter().position(|v| !v.is_finite()) {
            return Some(format!("the network's input, row {}", index % self.inputs));
        }
        let batch = at.x.len() / self.inputs;
        let mut scratch = self.scratch(batch);
        for step in &self.steps {
            let Slot::Kept(start) = step.output else {
                continue;
            };
            if matches!(step.op, Op::Open(_)) {
                continue;
            }
            let mut room =
                Room { weight: &mut scratch.weight, grad: &mut scratch.grad, rows: &mut scratch.rows };
            let (earlier, place) = scratch.values.split_at_mut(start * batch);
            let place = &mut place[..step.outputs * batch];
            let unit = |values: &[T], label: &str| {
                let index = values.iter().position(|v| !v.is_finite())?;
                Some(format!("{label}, unit {}", index % step.outputs))
            };
            apply(&step.without_activation(), at, earlier, place, &mut room);
            if let Some(found) = unit(place, &step.label) {
                return Some(found);
            }
            if let Some(activation) = step.activation {
                activation.in_place(place);
                if let Some(found) = unit(place, &step.activation_label) {
                    return Some(found);
                }
            }
        }
        None
    }
}

impl Step {
    /// The operation alone. (Strings are left empty, so nothing is allocated.)
    fn without_activation(&self) -> Self {
        Self {
            op: self.op.clone(),
            activation: None,
            label: String::new(),
            activation_label: String::new(),
            ..*self
        }
    }
}

/// Whether the reverse of the last step reads its output.
fn last_output_is_needed(step: &Step) -> bool {
    let activation = match step.op {
        Op::Activate(activation) => Some(activation),
        _ => step.activation,
    };
    activation.is_some_and(|a| a.slope_from_output())
}

/// The `rows × batch` value in `slot`.
fn slot<'a, T>(values: &'a [T], x: &'a [T], slot: Slot, [rows, batch]: [usize; 2]) -> &'a [T] {
    match slot {
        Slot::Input => &x[..rows * batch],
        Slot::Kept(start) => &values[start * batch..][..rows * batch],
    }
}

/// One step: from its input, which lies in `earlier`, to `out`.
fn apply<T: Real>(step: &Step, at: Input<'_, T>, earlier: &[T], out: &mut [T], room: &mut Room<'_, T>) {
    let batch = out.len() / step.outputs;
    let x = slot(earlier, at.x, step.input, [step.inputs, batch]);
    match &step.op {
        Op::Dense(dense) => {
            dense.forward((at.t, x), at.theta, step.activation, false, out, room);
        }
        Op::Activate(activation) => {
            out.copy_from_slice(x);
            activation.in_place(out);
        }
        Op::LayerNorm(norm) => norm.forward(x, at.theta, out),
        Op::Open(_) => {}
        Op::Close(_, from) => {
            out.copy_from_slice(x);
            add(slot(earlier, at.x, *from, [step.outputs, batch]), out);
        }
    }
}

/// The activation fused with a dense step, if any, and the values its slope is computed from.
pub(super) fn fused<'a, T>(step: &Step, kept: Kept<'a, T>, batch: usize) -> Option<(Activation, &'a [T])> {
    let start = match (step.before, step.output) {
        (Some(start), _) | (None, Slot::Kept(start)) => start,
        (None, Slot::Input) => return None,
    };
    let activation = step.activation?;
    Some((activation, kept.at(start, batch, step.outputs * batch)))
}

/// `bar` ← a′ ⊙ `bar` for that activation.
fn scale_by_slope<T: Real>(step: &Step, kept: Kept<'_, T>, batch: usize, bar: &mut [T]) {
    if let Some((activation, saved)) = fused(step, kept, batch) {
        activation.scale_by_slope(saved, bar);
    }
}

/// `z_dot` ← W ẋ + w_t ṫ + Ẇ [x; t] + ḃ.
pub(super) fn dense_tangent<T: Real>(
    dense: &Dense,
    at: Input<'_, T>,
    dot: Input<'_, T>,
    z_dot: &mut [T],
    room: &mut Room<'_, T>,
) {
    let linear = Dense { bias: None, weight: dense.weight.clone(), ..*dense };
    let along_theta = !dot.theta.is_empty();
    if along_theta {
        dense.forward((at.t, at.x), dot.theta, None, false, z_dot, room);
    }
    linear.forward((dot.t, dot.x), at.theta, None, along_theta, z_dot, room);
}

/// `to` += `from`, as far as `from` goes.
pub(super) fn add<T: Real>(from: &[T], to: &mut [T]) {
    struct Add<'a, T>(&'a [T], &'a mut [T]);
    impl<T: Real> Kernel for Add<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run(self) {
            for (to, &from) in self.1.iter_mut().zip(self.0) {
                *to += from;
            }
        }
    }
    dispatch(Add(from, to));
}
