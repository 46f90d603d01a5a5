//! A program walked forwards and backwards for one sample.

use super::assembly::{Kind, Op, Program, Value};
use super::fields::{combine, dense};
use super::norm;
use crate::error::Result;
use crate::linalg::vector::{axpy, scale, subtract_from};
use crate::nn::conv;
use crate::num::{Real, kernels};
use std::ops::Range;

/// Memory of one thread. It grows to what the largest program needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Room<T> {
    /// Values that share memory, for inference.
    shared: Vec<Vec<T>>,
    /// All values, for the reverse pass, and their cotangents.
    values: Vec<Vec<T>>,
    bars: Vec<Vec<T>>,
    temporary: Vec<T>,
    tools: Tools<T>,
}

/// Memory of operations.
#[derive(Clone, Debug, Default)]
struct Tools<T> {
    conv: conv::Scratch<T>,
    spectral: Vec<T>,
}

fn grow<T: Real>(fields: &mut Vec<Vec<T>>, lengths: &[usize]) {
    if fields.len() < lengths.len() {
        fields.resize_with(lengths.len(), Vec::new);
    }
    for (field, &length) in fields.iter_mut().zip(lengths) {
        if field.len() < length {
            field.resize(length, T::zero());
        }
    }
}

impl<T: Real> Room<T> {
    /// Bytes that it has grown to.
    pub fn bytes(&self) -> usize {
        let fields = self.shared.iter().chain(&self.values).chain(&self.bars);
        let own = fields.map(Vec::capacity).sum::<usize>() + self.temporary.capacity();
        (own + self.tools.spectral.capacity()) * size_of::<T>() + self.tools.conv.bytes()
    }

    /// Computes what does not depend on the input.
    pub fn prepare(&mut self, program: &Program, theta: &[T]) -> Result<()> {
        grow(&mut self.values, if program.shared > 0 { &program.lengths } else { &[] });
        forward(program, 0..program.shared, theta, (&mut self.values, |value| value), &mut self.tools)
    }

    /// `y` ← the program's result for `x`, keeping nothing; `common` has been prepared.
    pub fn infer(
        &mut self,
        (program, common): (&Program, &Self),
        theta: &[T],
        x: &[T],
        y: &mut [T],
    ) -> Result<()> {
        grow(&mut self.shared, &program.slot_lengths);
        let slot = |value: Value| program.slots[value];
        self.shared[slot(0)][..x.len()].copy_from_slice(x);
        for &value in &program.kept {
            let length = program.lengths[value];
            self.shared[slot(value)][..length].copy_from_slice(&common.values[value][..length]);
        }
        let ops = program.shared..program.ops.len();
        forward(program, ops, theta, (&mut self.shared, slot), &mut self.tools)?;
        y.copy_from_slice(&self.shared[slot(program.lengths.len() - 1)][..y.len()]);
        Ok(())
    }

    /// The program's result for `x`, keeping all values.
    pub fn forward(&mut self, (program, common): (&Program, &Self), theta: &[T], x: &[T]) -> Result<()> {
        self.grow_bars(program);
        grow(&mut self.values, &program.lengths);
        self.values[0][..x.len()].copy_from_slice(x);
        for &value in &program.kept {
            let length = program.lengths[value];
            self.values[value][..length].copy_from_slice(&common.values[value][..length]);
        }
        let ops = program.shared..program.ops.len();
        forward(program, ops, theta, (&mut self.values, |value| value), &mut self.tools)
    }

    fn grow_bars(&mut self, program: &Program) {
        grow(&mut self.bars, &program.lengths);
        let longest = program.lengths.iter().copied().max().unwrap_or(0);
        if self.temporary.len() < longest {
            self.temporary.resize(longest, T::zero());
        }
    }

    /// The kept result, the place of its cotangent, and free memory of the same length.
    pub fn result(&mut self, program: &Program) -> (&[T], [&mut [T]; 2]) {
        let last = program.lengths.len() - 1;
        let length = program.lengths[last];
        let free = &mut self.temporary[..length];
        (&self.values[last][..length], [&mut self.bars[last][..length], free])
    }

    /// From the cotangent of the result to `x_bar` ← that of x, where it is wanted, and `common_bar` ← those
    /// of the prepared values that depend on parameters. ACCUMULATES: `theta_bar` += that of the parameters.
    pub fn backward(
        &mut self,
        program: &Program,
        theta: &[T],
        x_bar: Option<&mut [T]>,
        [theta_bar, common_bar]: [&mut [T]; 2],
    ) -> Result<()> {
        self.reverse(program, program.shared..program.ops.len(), theta, x_bar.is_some(), theta_bar)?;
        if let Some(x_bar) = x_bar {
            x_bar.copy_from_slice(&self.bars[0][..x_bar.len()]);
        }
        let mut rest = common_bar;
        for &value in &program.trained {
            let (bar, after) = rest.split_at_mut(program.lengths[value]);
            bar.copy_from_slice(&self.bars[value][..bar.len()]);
            rest = after;
        }
        Ok(())
    }

    /// The reverse of [`prepare`](Self::prepare). ACCUMULATES: `theta_bar` += the cotangent of the
    /// parameters.
    pub fn conclude(
        &mut self,
        program: &Program,
        theta: &[T],
        common_bar: &[T],
        theta_bar: &mut [T],
    ) -> Result<()> {
        if program.trained.is_empty() {
            return Ok(());
        }
        self.grow_bars(program);
        let mut rest = common_bar;
        for &value in &program.trained {
            let (bar, after) = rest.split_at(program.lengths[value]);
            self.bars[value][..bar.len()].copy_from_slice(bar);
            rest = after;
        }
        self.reverse(program, 0..program.shared, theta, false, theta_bar)
    }

    fn reverse(
        &mut self,
        program: &Program,
        ops: Range<usize>,
        theta: &[T],
        wanted: bool,
        theta_bar: &mut [T],
    ) -> Result<()> {
        for op in program.ops[ops].iter().rev().filter(|op| program.needs(op.output, wanted)) {
            let mut out_bar = std::mem::take(&mut self.bars[op.output]);
            let params = (&theta[op.params.clone()], &mut theta_bar[op.params.clone()]);
            let bar = &mut out_bar[..program.lengths[op.output]];
            let done = match (op.kind.is_pair(), op.base) {
                (true, Some(base)) => {
                    self.pull_pair(program, (op, base), wanted, params, bar);
                    Ok(())
                }
                _ => self.pull(program, op, wanted, params, bar),
            };
            self.bars[op.output] = out_bar;
            done?;
        }
        Ok(())
    }

    /// The reverse of one operation; `out_bar` is spoilt.
    fn pull(
        &mut self,
        program: &Program,
        op: &Op,
        wanted: bool,
        (theta, theta_bar): (&[T], &mut [T]),
        out_bar: &mut [T],
    ) -> Result<()> {
        if let Some(base) = op.base.filter(|&base| program.needs(base, wanted)) {
            let bar = &mut self.bars[base][..program.lengths[base]];
            match op.first[1] {
                true => bar.copy_from_slice(out_bar),
                false => axpy(1.0, out_bar, bar),
            }
        }
        if op.minus {
            scale(-1.0, out_bar);
        }
        let length = program.lengths[op.input];
        let x = &self.values[op.input][..length];
        let bar = &mut self.bars[op.input][..length];
        let (fresh, needed) = (op.first[0], program.needs(op.input, wanted));
        let place = if fresh { &mut *bar } else { &mut self.temporary[..length] };
        let Tools { conv, spectral } = &mut self.tools;
        match op.kind {
            Kind::Down(number) => {
                let (x_bar, theta_bar) = (needed.then_some(place), Some(theta_bar));
                program.downs[number].backward(theta, [x, out_bar], x_bar, theta_bar, conv)?;
            }
            Kind::Up(number) => {
                let (x_bar, theta_bar) = (needed.then_some(place), Some(theta_bar));
                program.ups[number].backward(theta, [x, out_bar], x_bar, theta_bar, conv)?;
            }
            Kind::Analyse(number) if needed => {
                program.spectral[number].synthesise(false, out_bar, place, spectral);
            }
            Kind::Modes(number) => {
                let x_bar = needed.then_some(place);
                program.spectral[number].backward(theta, [x, out_bar], x_bar, theta_bar);
            }
            Kind::Synthesise(number) if needed => {
                program.spectral[number].analyse(true, out_bar, place, spectral);
            }
            Kind::Dense => dense::backward(theta, [x, out_bar], needed.then_some(place), theta_bar),
            Kind::Norm => norm::backward(theta, [x, out_bar], place, theta_bar),
            Kind::Activation(activation) => {
                let function = activation.function();
                let saved = match function.saved() {
                    kernels::Saved::Output => &self.values[op.output][..length],
                    _ => x,
                };
                kernels::pullback(function, saved, out_bar, place)?;
            }
            Kind::Pool(number) if needed => program.pools[number].backward(x, out_bar, place),
            Kind::Pad(number) if needed => program.frames[number].crop(out_bar, place),
            Kind::Crop(number) if needed => program.frames[number].pad(out_bar, place),
            Kind::Same if needed => place.copy_from_slice(out_bar),
            // Nothing is asked for, or there is nothing to reverse; pairs have a function of their own.
            _ => {}
        }
        if !fresh && needed {
            axpy(1.0, &self.temporary[..length], &mut self.bars[op.input][..length]);
        }
        Ok(())
    }

    /// The reverse of an operation on two operands.
    fn pull_pair(
        &mut self,
        program: &Program,
        (op, base): (&Op, Value),
        wanted: bool,
        (theta, theta_bar): (&[T], &mut [T]),
        out_bar: &[T],
    ) {
        let joined = op.kind == Kind::Join;
        let split = program.lengths[op.input];
        let value = |value: Value| &self.values[value][..program.lengths[value]];
        let (x, y) = (value(op.input), value(base));
        for (value, fresh, second) in [(base, op.first[1], true), (op.input, op.first[0], false)] {
            if !program.needs(value, wanted) {
                continue;
            }
            let bar = &mut self.bars[value][..program.lengths[value]];
            let place = if fresh { &mut *bar } else { &mut self.temporary[..bar.len()] };
            match (joined, second) {
                (true, true) => place.copy_from_slice(&out_bar[split..]),
                (true, false) => place.copy_from_slice(&out_bar[..split]),
                (false, true) => combine::to_numbers(theta, x, out_bar, place),
                (false, false) => combine::to_fields(theta, y, out_bar, place),
            }
            if !fresh {
                axpy(1.0, &self.temporary[..bar.len()], bar);
            }
        }
        if !joined {
            combine::to_bias(out_bar, theta_bar);
        }
    }
}

/// `y` ← the operation's result for its input and, of a pair, its other operand: what the base is added to or
/// subtracted from is left out.
fn apply<T: Real>(
    program: &Program,
    op: &Op,
    theta: &[T],
    [x, other]: [&[T]; 2],
    y: &mut [T],
    tools: &mut Tools<T>,
) -> Result<()> {
    match op.kind {
        Kind::Down(number) => return program.downs[number].forward(theta, x, y, &mut tools.conv),
        Kind::Up(number) => return program.ups[number].forward(theta, x, y, &mut tools.conv),
        Kind::Analyse(number) => program.spectral[number].analyse(false, x, y, &mut tools.spectral),
        Kind::Modes(number) => program.spectral[number].forward(theta, x, y),
        Kind::Synthesise(number) => program.spectral[number].synthesise(true, x, y, &mut tools.spectral),
        Kind::Dense => dense::forward(theta, x, y),
        Kind::Norm => norm::forward(theta, x, y),
        Kind::Activation(activation) => return kernels::map(activation.function(), x, y),
        Kind::Pool(number) => program.pools[number].forward(x, y),
        Kind::Pad(number) => program.frames[number].pad(x, y),
        Kind::Crop(number) => program.frames[number].crop(x, y),
        Kind::Same => y.copy_from_slice(x),
        Kind::Constant(number) => {
            y.iter_mut().zip(&program.constants[number]).for_each(|(y, c)| *y = T::of(*c));
        }
        Kind::Join => {
            let (first, second) = y.split_at_mut(x.len());
            first.copy_from_slice(x);
            second.copy_from_slice(other);
        }
        Kind::Combine => combine::forward(theta, [x, other], y),
    }
    Ok(())
}

/// `y` ± = the base that the result is added to or subtracted from.
fn join_base<T: Real>(op: &Op, base: &[T], y: &mut [T]) {
    match op.minus {
        true => {
            subtract_from(base, y);
        }
        false => axpy(1.0, base, y),
    }
}

/// Runs these operations in the memory that `place` gives each value.
fn forward<T: Real>(
    program: &Program,
    ops: Range<usize>,
    theta: &[T],
    (fields, place): (&mut [Vec<T>], impl Fn(Value) -> usize),
    tools: &mut Tools<T>,
) -> Result<()> {
    for op in &program.ops[ops] {
        let mut out = std::mem::take(&mut fields[place(op.output)]);
        let y = &mut out[..program.lengths[op.output]];
        let value = |value: Value| &fields[place(value)][..program.lengths[value]];
        let x = if matches!(op.kind, Kind::Constant(_)) { &[] } else { value(op.input) };
        let base = op.base.map_or(&[][..], value);
        let done = apply(program, op, &theta[op.params.clone()], [x, base], y, tools);
        if op.base.is_some() && !op.kind.is_pair() {
            join_base(op, base, y);
        }
        fields[place(op.output)] = out;
        done?;
    }
    Ok(())
}

impl<T: Real> Room<T> {
    /// `y_dot` ← the derivative of the result at (θ, x) along (θ̇, ẋ), θ̇ empty for none; `linear` is θ without
    /// what is added to a result.
    ///
    /// Operations are linear in operands and in parameters up to biases b, y = B(θ, x) + b, so that
    /// ẏ = B(θ, ẋ) + (B(θ̇, x) + ḃ): two applications, the first of them without biases.
    pub fn tangent(
        &mut self,
        program: &Program,
        [theta, linear, theta_dot]: [&[T]; 3],
        [x, x_dot]: [&[T]; 2],
        y_dot: &mut [T],
    ) -> Result<()> {
        self.grow_bars(program);
        grow(&mut self.values, &program.lengths);
        self.values[0][..x.len()].copy_from_slice(x);
        forward(program, 0..program.ops.len(), theta, (&mut self.values, |value| value), &mut self.tools)?;
        self.bars[0][..x_dot.len()].copy_from_slice(x_dot);
        for op in &program.ops {
            let mut out = std::mem::take(&mut self.bars[op.output]);
            let done = self.push(program, op, [theta, linear, theta_dot], &mut out);
            self.bars[op.output] = out;
            done?;
        }
        let last = program.lengths.len() - 1;
        y_dot.copy_from_slice(&self.bars[last][..y_dot.len()]);
        Ok(())
    }

    /// The tangent of one operation's output, from those in the places of cotangents.
    fn push(
        &mut self,
        program: &Program,
        op: &Op,
        [theta, linear, theta_dot]: [&[T]; 3],
        out: &mut [T],
    ) -> Result<()> {
        let Self { values, bars, temporary, tools, .. } = self;
        let length = program.lengths[op.output];
        let (dot, more) = (&mut out[..length], &mut temporary[..length]);
        if let Kind::Constant(_) = op.kind {
            dot.fill(T::zero());
            return Ok(());
        }
        let place = |value: Value| 0..program.lengths[value];
        let x = &values[op.input][place(op.input)];
        let x_dot = &bars[op.input][place(op.input)];
        let other = op.base.map_or(&[][..], |base| &values[base][place(base)]);
        let other_dot = op.base.map_or(&[][..], |base| &bars[base][place(base)]);
        let along = if theta_dot.is_empty() { &[] } else { &theta_dot[op.params.clone()] };
        let linear = &linear[op.params.clone()];
        match op.kind {
            Kind::Activation(activation) => {
                let function = activation.function();
                let saved = match function.saved() {
                    kernels::Saved::Output => &values[op.output][..length],
                    _ => x,
                };
                kernels::pullback(function, saved, x_dot, dot)?;
            }
            Kind::Norm => norm::tangent([&theta[op.params.clone()], along], [x, x_dot], dot),
            Kind::Pool(number) => program.pools[number].tangent([x, x_dot], dot),
            Kind::Combine => {
                apply(program, op, linear, [x_dot, other], dot, tools)?;
                apply(program, op, linear, [x, other_dot], more, tools)?;
                axpy(1.0, more, dot);
                if !along.is_empty() {
                    combine::add_bias(along, dot);
                }
            }
            _ => {
                apply(program, op, linear, [x_dot, other_dot], dot, tools)?;
                if !along.is_empty() {
                    apply(program, op, along, [x, other], more, tools)?;
                    axpy(1.0, more, dot);
                }
            }
        }
        if op.base.is_some() && !op.kind.is_pair() {
            join_base(op, other_dot, dot);
        }
        Ok(())
    }
}
