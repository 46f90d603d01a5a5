//! [`Program`]: a network on a grid as a straight line of operations, and [`Assembly`], which makes one.

use super::fields::{Frame, MaxPool};
use super::spectral::Spectral;
use crate::error::Result;
use crate::nn::conv::{Conv, ConvSpec, ConvTranspose};
use crate::nn::init::{Initializer, draw};
use crate::nn::{Activation, Layout, Role};
use crate::num::Real;
use std::ops::Range;

/// A field of the program by its number; 0 is the input.
pub(in super::super) type Value = usize;

/// What an operation applies to its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A convolution, by number.
    Down(usize),
    /// A transposed one, by number.
    Up(usize),
    /// The lowest Fourier modes, products mode by mode, the fields of such modes; by number.
    Analyse(usize),
    Modes(usize),
    Synthesise(usize),
    /// W x + b, W row-major.
    Dense,
    /// Mean 0 and variance 1 over the field, then gains and shifts of its channels.
    Norm,
    Activation(Activation),
    /// Largest values of blocks, by number.
    Pool(usize),
    /// Zeros beyond the far sides, and without them; by number.
    Pad(usize),
    Crop(usize),
    /// The input itself.
    Same,
    /// Numbers that are given, by number; the input is not read.
    Constant(usize),
    /// The channels of the input, then those of the base.
    Join,
    /// With K fields t as input and K numbers c for each output as base: Σ_k c_k t_k + b.
    Combine,
}

impl Kind {
    /// Whether the base is an operand and not a field that the result is added to.
    pub fn is_pair(self) -> bool {
        matches!(self, Self::Join | Self::Combine)
    }
}

/// Something with parameters that can be applied any number of times.
#[derive(Clone, Debug)]
pub(in super::super) struct Kernel {
    kind: Kind,
    pub params: Range<usize>,
    length: usize,
}

/// `output` = `base` ± kind(`input`), or kind(`input`, `base`) of a pair.
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

/// A network on a grid; see the [module](super). It is what a [`Surrogate`](super::Surrogate) compiles
/// into.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) downs: Vec<Conv>,
    pub(super) ups: Vec<ConvTranspose>,
    pub(super) spectral: Vec<Spectral>,
    pub(super) pools: Vec<MaxPool>,
    pub(super) frames: Vec<Frame>,
    pub(super) constants: Vec<Vec<f64>>,
    /// The operations in order; the last one's output is the result.
    pub(super) ops: Vec<Op>,
    /// Length of each value.
    pub(super) lengths: Vec<usize>,
    /// Whether a value depends on the input, on parameters.
    pub(super) varies: Vec<bool>,
    pub(super) learned: Vec<bool>,
    /// So many operations at the start do not depend on the input.
    pub(super) shared: usize,
    /// Their values that later ones use, and those of them that depend on parameters.
    pub(super) kept: Vec<Value>,
    pub(super) trained: Vec<Value>,
    /// Whether a sample adds to each parameter's cotangent once: then samples may add to the same vector one
    /// after the other, with the bits of vectors of their own, as every kind of operation adds finished sums.
    pub(super) direct: bool,
    /// Each value's memory when it may be reused after the value's last use.
    pub(super) slots: Vec<usize>,
    pub(super) slot_lengths: Vec<usize>,
    pub(super) layout: Layout,
}

impl Program {
    /// Names and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    /// Numbers of one sample's input: channels × points.
    pub fn input_len(&self) -> usize {
        self.lengths[0]
    }
    /// Numbers of one sample's output.
    pub fn output_len(&self) -> usize {
        self.lengths[self.lengths.len() - 1]
    }

    /// Draws all parameters; see [`init`](crate::nn::init).
    ///
    /// # Errors
    /// A scale that is negative or not finite.
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        draw(&self.layout, |_| initializer, seed)
    }

    /// Whether the reverse pass needs a value's cotangent, when the input's is `wanted` or not.
    pub(super) fn needs(&self, value: Value, wanted: bool) -> bool {
        self.learned[value] || (wanted && self.varies[value])
    }
}

/// A program in the making.
pub(in super::super) struct Assembly {
    dim: usize,
    program: Program,
}

impl Assembly {
    /// For an input of this length on a grid of `dim` axes.
    pub fn new(dim: usize, input: usize) -> Self {
        let program = Program {
            downs: Vec::new(),
            ups: Vec::new(),
            spectral: Vec::new(),
            pools: Vec::new(),
            frames: Vec::new(),
            constants: Vec::new(),
            ops: Vec::new(),
            lengths: vec![input],
            varies: Vec::new(),
            learned: Vec::new(),
            shared: 0,
            kept: Vec::new(),
            trained: Vec::new(),
            direct: false,
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

    /// The value base + a spectral convolution of the input, from `channels[0]` to `channels[1]` fields.
    pub fn add_spectral(
        &mut self,
        name: &str,
        spectral: &Spectral,
        channels: [usize; 2],
        [base, input]: [Value; 2],
    ) -> Result<Value> {
        let params = spectral.push(&mut self.program.layout, name, channels)?;
        let known = &mut self.program.spectral;
        let number = known.iter().position(|other| other == spectral).unwrap_or_else(|| {
            known.push(spectral.clone());
            known.len() - 1
        });
        let spectra = channels.map(|channels| channels * 2 * spectral.len());
        let from = self.bare(Kind::Analyse(number), spectra[0], input, None);
        let to = self.apply(&Kernel { kind: Kind::Modes(number), params, length: spectra[1] }, from);
        let length = self.program.lengths[base];
        Ok(self.bare(Kind::Synthesise(number), length, to, Some(base)))
    }

    /// A dense layer with biases.
    pub fn dense(&mut self, name: &str, [inputs, outputs]: [usize; 2]) -> Result<Kernel> {
        let layout = &mut self.program.layout;
        let role = Role::Weight { fan_in: inputs, fan_out: outputs };
        let start = layout.push(format!("{name}.weight"), &[outputs, inputs], role)?.start;
        let role = Role::Bias { fan_in: inputs };
        let end = layout.push(format!("{name}.bias"), &[outputs], role)?.end;
        Ok(Kernel { kind: Kind::Dense, params: start..end, length: outputs })
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
        self.bare(Kind::Activation(activation), length, input, None)
    }

    /// The value base + input.
    pub fn sum(&mut self, base: Value, input: Value) -> Value {
        let length = self.program.lengths[input];
        self.bare(Kind::Same, length, input, Some(base))
    }

    /// The largest values of the blocks of two points along each axis, of fields with these extents.
    pub fn pool(&mut self, extents: [usize; 3], input: Value) -> Value {
        let pool = MaxPool::new(self.dim, extents);
        let points: usize = extents.iter().product();
        let length = self.program.lengths[input] / points * pool.points();
        self.program.pools.push(pool);
        self.bare(Kind::Pool(self.program.pools.len() - 1), length, input, None)
    }

    /// Fields with extents `inner` as fields with extents `outer`, zeros beyond the far sides.
    pub fn pad(&mut self, [inner, outer]: [[usize; 3]; 2], input: Value) -> Value {
        self.frame([inner, outer], input, Kind::Pad)
    }

    /// The adjoint of [`pad`](Self::pad).
    pub fn crop(&mut self, [inner, outer]: [[usize; 3]; 2], input: Value) -> Value {
        self.frame([inner, outer], input, Kind::Crop)
    }

    fn frame(&mut self, sides: [[usize; 3]; 2], input: Value, kind: impl Fn(usize) -> Kind) -> Value {
        let [inner, outer] = sides.map(|extents| extents.iter().product::<usize>());
        let kind = kind(self.program.frames.len());
        self.program.frames.push(Frame { inner: sides[0], outer: sides[1] });
        let length = self.program.lengths[input];
        let length = match kind {
            Kind::Crop(_) => length / outer * inner,
            _ => length / inner * outer,
        };
        self.bare(kind, length, input, None)
    }

    /// A value that is given.
    pub fn constant(&mut self, values: Vec<f64>) -> Value {
        let length = values.len();
        self.program.constants.push(values);
        self.bare(Kind::Constant(self.program.constants.len() - 1), length, 0, None)
    }

    /// The channels of `first`, then those of `second`.
    pub fn join(&mut self, first: Value, second: Value) -> Value {
        let lengths = &self.program.lengths;
        let length = lengths[first] + lengths[second];
        self.bare(Kind::Join, length, first, Some(second))
    }

    /// Σ_k c_k t_k + b for each of `outputs` fields, from K fields `t` and K numbers an output `c`.
    pub fn combine(&mut self, name: &str, outputs: usize, t: Value, c: Value) -> Result<Value> {
        let role = Role::Bias { fan_in: self.program.lengths[c] / outputs };
        let params = self.program.layout.push(format!("{name}.bias"), &[outputs], role)?;
        let terms = self.program.lengths[c] / outputs;
        let length = self.program.lengths[t] / terms * outputs;
        let kernel = Kernel { kind: Kind::Combine, params, length };
        Ok(self.push(&kernel, t, Some(c), false))
    }

    fn bare(&mut self, kind: Kind, length: usize, input: Value, base: Option<Value>) -> Value {
        self.push(&Kernel { kind, params: 0..0, length }, input, base, false)
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
        let (mut varies, mut learned) = (vec![false; lengths.len()], vec![false; lengths.len()]);
        varies[0] = true;
        for op in ops.iter() {
            let read = op.base.into_iter().chain((!matches!(op.kind, Kind::Constant(_))).then_some(op.input));
            for value in read {
                varies[op.output] |= varies[value];
                learned[op.output] |= learned[value];
            }
            learned[op.output] |= !op.params.is_empty();
        }
        let shared = ops.iter().take_while(|op| !varies[op.output]).count();
        let later = |value: &Value| ops[shared..].iter().any(|op| reads(op, *value));
        let kept: Vec<Value> = ops[..shared].iter().map(|op| op.output).filter(later).collect();
        let mut seen = vec![false; lengths.len()];
        for op in ops.iter_mut().rev().filter(|op| !matches!(op.kind, Kind::Constant(_))) {
            let base_first = op.base.is_some_and(|base| !std::mem::replace(&mut seen[base], true));
            op.first = [!std::mem::replace(&mut seen[op.input], true), base_first];
        }
        let (slots, slot_lengths) = share(ops, lengths);
        let trained: Vec<Value> = kept.iter().copied().filter(|value| learned[*value]).collect();
        let trainable = ops.iter().filter(|op| !op.params.is_empty());
        let mut starts: Vec<usize> = trainable.map(|op| op.params.start).collect();
        starts.sort_unstable();
        let direct = trained.is_empty() && starts.windows(2).all(|pair| pair[0] < pair[1]);
        Program { varies, learned, shared, kept, trained, direct, slots, slot_lengths, ..self.program }
    }
}

fn reads(op: &Op, value: Value) -> bool {
    op.base == Some(value) || (op.input == value && !matches!(op.kind, Kind::Constant(_)))
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
