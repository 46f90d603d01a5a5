//! [`Program`]: a network on a grid as a straight line of operations, and [`Assembly`], which makes one.

use crate::error::Result;
use crate::nn::conv::{Conv, ConvSpec, ConvTranspose};
use crate::nn::{Activation, Layout, Role};
use std::ops::Range;

/// A field of the program by its number; 0 is the input.
pub(super) type Value = usize;

/// What an operation applies to its input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A convolution, by number.
    Down(usize),
    /// A transposed one, by number.
    Up(usize),
    /// Mean 0 and variance 1 over the field, then gains and shifts of its channels.
    Norm,
    Activation(Activation),
    /// The input itself.
    Same,
}

/// Something with parameters that can be applied any number of times.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    kind: Kind,
    pub params: Range<usize>,
    length: usize,
}

/// `output` = `base` ± kind(`input`).
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub kind: Kind,
    pub params: Range<usize>,
    pub input: Value,
    pub base: Option<Value>,
    pub minus: bool,
    pub output: Value,
    /// Whether, walking backwards, this is the first to write the cotangents of input and base.
    pub first: [bool; 2],
}

/// The operations in order; the last one's output is the result.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub downs: Vec<Conv>,
    pub ups: Vec<ConvTranspose>,
    pub ops: Vec<Op>,
    /// Length of each value.
    pub lengths: Vec<usize>,
    /// Each value's memory when it may be reused after the value's last use.
    pub slots: Vec<usize>,
    pub slot_lengths: Vec<usize>,
    pub layout: Layout,
}

impl Program {
    pub fn input_len(&self) -> usize {
        self.lengths[0]
    }

    pub fn output_len(&self) -> usize {
        self.lengths[self.lengths.len() - 1]
    }
}

/// A program in the making.
pub(super) struct Assembly {
    dim: usize,
    program: Program,
}

impl Assembly {
    /// For an input of this length on a grid of `dim` axes.
    pub fn new(dim: usize, input: usize) -> Self {
        let program = Program {
            downs: Vec::new(),
            ups: Vec::new(),
            ops: Vec::new(),
            lengths: vec![input],
            slots: Vec::new(),
            slot_lengths: Vec::new(),
            layout: Layout::new(),
        };
        Self { dim, program }
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    /// A convolution of fields with these extents.
    pub fn down(&mut self, name: &str, spec: ConvSpec, extents: [usize; 3]) -> Result<Kernel> {
        let params = spec.push(&mut self.program.layout, name)?;
        let conv = Conv::new(spec, extents)?;
        let length = conv.output_len();
        let downs = &mut self.program.downs;
        let same = |known: &Conv| known.spec() == conv.spec() && known.input_len() == conv.input_len();
        let number = downs.iter().position(|known| same(known) && known.output() == conv.output());
        let number = number.unwrap_or_else(|| {
            downs.push(conv);
            downs.len() - 1
        });
        Ok(Kernel { kind: Kind::Down(number), params, length })
    }

    /// A transposed convolution to fields with these extents.
    pub fn up(&mut self, name: &str, spec: ConvSpec, extents: [usize; 3]) -> Result<Kernel> {
        let params = spec.push_transposed(&mut self.program.layout, name)?;
        let conv = ConvTranspose::new(spec, extents)?;
        let length = conv.output_len();
        let ups = &mut self.program.ups;
        let same = |known: &ConvTranspose| {
            known.spec() == conv.spec() && known.output_len() == length && known.input() == conv.input()
        };
        let number = ups.iter().position(same);
        let number = number.unwrap_or_else(|| {
            ups.push(conv);
            ups.len() - 1
        });
        Ok(Kernel { kind: Kind::Up(number), params, length })
    }

    /// A normalisation of `channels` fields with `length` numbers together.
    pub fn norm(&mut self, name: &str, channels: usize, length: usize) -> Result<Kernel> {
        let layout = &mut self.program.layout;
        let start = layout.push(format!("{name}.weight"), &[channels], Role::Gain)?.start;
        let end = layout.push(format!("{name}.bias"), &[channels], Role::Shift)?.end;
        Ok(Kernel { kind: Kind::Norm, params: start..end, length })
    }

    /// The value kernel(input).
    pub fn apply(&mut self, kernel: &Kernel, input: Value) -> Value {
        self.push(kernel, input, None, false)
    }

    /// The value base + kernel(input).
    pub fn add(&mut self, base: Value, kernel: &Kernel, input: Value) -> Value {
        self.push(kernel, input, Some(base), false)
    }

    /// The value base − kernel(input).
    pub fn subtract(&mut self, base: Value, kernel: &Kernel, input: Value) -> Value {
        self.push(kernel, input, Some(base), true)
    }

    /// The value σ(input).
    pub fn activate(&mut self, activation: Activation, input: Value) -> Value {
        let length = self.program.lengths[input];
        let kernel = Kernel { kind: Kind::Activation(activation), params: 0..0, length };
        self.push(&kernel, input, None, false)
    }

    /// The value base + input.
    pub fn sum(&mut self, base: Value, input: Value) -> Value {
        let kernel = Kernel { kind: Kind::Same, params: 0..0, length: self.program.lengths[input] };
        self.push(&kernel, input, Some(base), false)
    }

    fn push(&mut self, kernel: &Kernel, input: Value, base: Option<Value>, minus: bool) -> Value {
        let output = self.program.lengths.len();
        self.program.lengths.push(kernel.length);
        let (kind, params) = (kernel.kind, kernel.params.clone());
        self.program.ops.push(Op { kind, params, input, base, minus, output, first: [false; 2] });
        output
    }

    /// The program.
    pub fn finish(mut self) -> Program {
        let Program { ops, lengths, .. } = &mut self.program;
        let mut seen = vec![false; lengths.len()];
        for op in ops.iter_mut().rev() {
            let base_first = op.base.is_some_and(|base| !std::mem::replace(&mut seen[base], true));
            op.first = [!std::mem::replace(&mut seen[op.input], true), base_first];
        }
        (self.program.slots, self.program.slot_lengths) = share(ops, lengths);
        self.program
    }
}

/// Memory for each value such that values which live at the same time do not share it, and its lengths.
fn share(ops: &[Op], lengths: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut last = vec![0; lengths.len()];
    for (at, op) in ops.iter().enumerate() {
        op.base.into_iter().chain([op.input]).for_each(|value| last[value] = at);
    }
    let (mut slots, mut sizes) = (vec![0; lengths.len()], vec![lengths[0]]);
    let mut free: Vec<usize> = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        let needed = lengths[op.output];
        // The free one whose length is nearest; a new one where there is none.
        let nearest = (0..free.len()).min_by_key(|&i| sizes[free[i]].abs_diff(needed));
        let slot = match nearest {
            Some(i) => free.swap_remove(i),
            None => {
                sizes.push(0);
                sizes.len() - 1
            }
        };
        sizes[slot] = sizes[slot].max(needed);
        slots[op.output] = slot;
        let same = op.base == Some(op.input);
        let used = op.base.filter(|_| !same).into_iter().chain([op.input]);
        free.extend(used.filter(|&value| last[value] == at).map(|value| slots[value]));
    }
    (slots, sizes)
}
