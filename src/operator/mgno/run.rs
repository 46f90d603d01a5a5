//! A program walked forwards and backwards for one sample.

use super::norm;
use super::program::{Kind, Op, Program};
use crate::error::Result;
use crate::linalg::vector::{axpy, scale, subtract_from};
use crate::nn::conv;
use crate::num::{Real, kernels};

/// Memory of one thread. It grows to what the largest program needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Room<T> {
    /// Values that share memory, for inference.
    shared: Vec<Vec<T>>,
    /// All values, for the reverse pass, and their cotangents.
    values: Vec<Vec<T>>,
    bars: Vec<Vec<T>>,
    temporary: Vec<T>,
    conv: conv::Scratch<T>,
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
    /// `y` ← the program's result for `x`, keeping nothing.
    pub fn infer(&mut self, program: &Program, theta: &[T], x: &[T], y: &mut [T]) -> Result<()> {
        grow(&mut self.shared, &program.slot_lengths);
        let slot = |value: usize| program.slots[value];
        forward(program, theta, x, (&mut self.shared, slot), &mut self.conv)?;
        y.copy_from_slice(&self.shared[slot(program.lengths.len() - 1)][..y.len()]);
        Ok(())
    }

    /// The program's result for `x`, keeping all values.
    pub fn forward(&mut self, program: &Program, theta: &[T], x: &[T]) -> Result<()> {
        grow(&mut self.values, &program.lengths);
        grow(&mut self.bars, &program.lengths);
        let longest = program.lengths.iter().copied().max().unwrap_or(0);
        if self.temporary.len() < longest {
            self.temporary.resize(longest, T::zero());
        }
        forward(program, theta, x, (&mut self.values, |value| value), &mut self.conv)
    }

    /// The kept result, the place of its cotangent, and free memory of the same length.
    pub fn result(&mut self, program: &Program) -> (&[T], [&mut [T]; 2]) {
        let last = program.lengths.len() - 1;
        let length = program.lengths[last];
        let free = &mut self.temporary[..length];
        (&self.values[last][..length], [&mut self.bars[last][..length], free])
    }

    /// From the cotangent of the result to `x_bar` ← that of x, where it is wanted. ACCUMULATES:
    /// `theta_bar` += that of the parameters.
    pub fn backward(
        &mut self,
        program: &Program,
        theta: &[T],
        x_bar: Option<&mut [T]>,
        theta_bar: &mut [T],
    ) -> Result<()> {
        let wanted = x_bar.is_some();
        for op in program.ops.iter().rev() {
            let mut out_bar = std::mem::take(&mut self.bars[op.output]);
            let params = (&theta[op.params.clone()], &mut theta_bar[op.params.clone()]);
            let done = self.pull(program, op, wanted, params, &mut out_bar[..program.lengths[op.output]]);
            self.bars[op.output] = out_bar;
            done?;
        }
        if let Some(x_bar) = x_bar {
            x_bar.copy_from_slice(&self.bars[0][..x_bar.len()]);
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
        let needed = |value: usize| value != 0 || wanted;
        if let Some(base) = op.base.filter(|&base| needed(base)) {
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
        let fresh = op.first[0];
        let place = if fresh { &mut *bar } else { &mut self.temporary[..length] };
        match op.kind {
            Kind::Down(number) => {
                let x_bar = needed(op.input).then_some(place);
                let conv = &program.downs[number];
                conv.backward(theta, [x, out_bar], x_bar, Some(theta_bar), &mut self.conv)?;
            }
            Kind::Up(number) => {
                let x_bar = needed(op.input).then_some(place);
                let conv = &program.ups[number];
                conv.backward(theta, [x, out_bar], x_bar, Some(theta_bar), &mut self.conv)?;
            }
            Kind::Norm => norm::backward(theta, [x, out_bar], place, theta_bar),
            Kind::Activation(activation) => {
                let function = activation.function();
                let saved = match function.saved() {
                    kernels::Saved::Output => &self.values[op.output][..length],
                    _ => x,
                };
                kernels::pullback(function, saved, out_bar, place)?;
            }
            Kind::Same => place.copy_from_slice(out_bar),
        }
        if !fresh && needed(op.input) {
            axpy(1.0, &self.temporary[..length], &mut self.bars[op.input][..length]);
        }
        Ok(())
    }
}

/// Fills the memory that `place` gives each value.
fn forward<T: Real>(
    program: &Program,
    theta: &[T],
    x: &[T],
    (fields, place): (&mut [Vec<T>], impl Fn(usize) -> usize),
    scratch: &mut conv::Scratch<T>,
) -> Result<()> {
    fields[place(0)][..x.len()].copy_from_slice(x);
    for op in &program.ops {
        let mut out = std::mem::take(&mut fields[place(op.output)]);
        let y = &mut out[..program.lengths[op.output]];
        let x = &fields[place(op.input)][..program.lengths[op.input]];
        let theta = &theta[op.params.clone()];
        let done = match op.kind {
            Kind::Down(number) => program.downs[number].forward(theta, x, y, scratch),
            Kind::Up(number) => program.ups[number].forward(theta, x, y, scratch),
            Kind::Norm => {
                norm::forward(theta, x, y);
                Ok(())
            }
            Kind::Activation(activation) => kernels::map(activation.function(), x, y),
            Kind::Same => {
                y.copy_from_slice(x);
                Ok(())
            }
        };
        if let Some(base) = op.base {
            let base = &fields[place(base)][..y.len()];
            match op.minus {
                true => {
                    subtract_from(base, y);
                }
                false => axpy(1.0, base, y),
            }
        }
        fields[place(op.output)] = out;
        done?;
    }
    Ok(())
}
