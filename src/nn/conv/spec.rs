//! [`ConvSpec`]: what a convolution is, apart from the grid it is applied to.

use crate::error::{Error, Result};
use crate::nn::params::{Layout, Role};
use std::ops::Range;

/// What stands beyond a side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Zeros.
    #[default]
    Zero,
    /// The field mirrored about its last point, which is not repeated: x₋ₖ = xₖ.
    Reflect,
    /// The field again: x₋ₖ = xₙ₋ₖ.
    Circular,
}

/// Channels, kernel, dilation, stride and padding of a convolution; [`Conv`](super::Conv) applies it to
/// grids of given extents. In fewer than three dimensions the further axes have kernel, dilation and stride 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvSpec {
    pub(super) dim: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kernel: [usize; 3],
    pub(super) dilation: [usize; 3],
    pub(super) stride: [usize; 3],
    pub(super) padding: [[usize; 2]; 3],
    pub(super) modes: [[Padding; 2]; 3],
    pub(super) bias: bool,
}

impl ConvSpec {
    /// `inputs` → `outputs` channels with this kernel (one extent an axis, which says the dimension),
    /// stride 1, no padding, with a bias.
    ///
    /// # Errors
    /// Not 1 to 3 axes, no channels, an empty kernel.
    pub fn new(inputs: usize, outputs: usize, kernel: &[usize]) -> Result<Self> {
        let dim = kernel.len();
        if !(1..=3).contains(&dim) {
            return Err(Error::invalid("the number of axes of the kernel", dim, "1, 2 or 3 are supported"));
        }
        let empty = kernel.contains(&0) || inputs == 0 || outputs == 0;
        if empty {
            let given = format!("{inputs} → {outputs} channels, kernel {kernel:?}");
            return Err(Error::invalid("the convolution", given, "every extent must be at least 1"));
        }
        let mut spec = Self {
            dim,
            inputs,
            outputs,
            kernel: [1; 3],
            dilation: [1; 3],
            stride: [1; 3],
            padding: [[0; 2]; 3],
            modes: [[Padding::Zero; 2]; 3],
            bias: true,
        };
        spec.kernel[..dim].copy_from_slice(kernel);
        Ok(spec)
    }

    /// A kernel of `k` points along each of `dim` axes, padded with (k − 1)/2 points a side, so that an
    /// odd kernel keeps the extents.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn same(dim: usize, inputs: usize, outputs: usize, k: usize) -> Result<Self> {
        let mut spec = Self::new(inputs, outputs, &vec![k; dim])?;
        for padding in &mut spec.padding[..dim] {
            *padding = [(k.saturating_sub(1)) / 2; 2];
        }
        Ok(spec)
    }

    /// Without a bias.
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// With this stride along each axis.
    ///
    /// # Errors
    /// Another number of axes, a stride of 0.
    pub fn with_stride(mut self, stride: &[usize]) -> Result<Self> {
        Error::check_len("the stride", stride.len(), self.dim, "one for each axis of the kernel")?;
        if stride.contains(&0) {
            return Err(Error::invalid("the stride", format!("{stride:?}"), "it must be at least 1"));
        }
        self.stride[..self.dim].copy_from_slice(stride);
        Ok(self)
    }

    /// With the kernel's points so far apart along each axis (F. Yu and V. Koltun, *Multi-Scale Context
    /// Aggregation by Dilated Convolutions*, ICLR 2016): tap t reads s∘p + d∘t. The padding stays as it
    /// is; (k − 1)d points in all keep the extents.
    ///
    /// # Errors
    /// Another number of axes, a dilation of 0.
    pub fn with_dilation(mut self, dilation: &[usize]) -> Result<Self> {
        Error::check_len("the dilation", dilation.len(), self.dim, "one for each axis of the kernel")?;
        if dilation.contains(&0) {
            return Err(Error::invalid("the dilation", format!("{dilation:?}"), "it must be at least 1"));
        }
        self.dilation[..self.dim].copy_from_slice(dilation);
        Ok(self)
    }

    /// With so many points beyond the low and the high side of an axis, and what stands there.
    ///
    /// # Errors
    /// No such axis.
    pub fn with_padding(mut self, axis: usize, points: [usize; 2], modes: [Padding; 2]) -> Result<Self> {
        if axis >= self.dim {
            let needed = format!("the kernel has {} axes", self.dim);
            return Err(Error::invalid("the axis of the padding", axis, needed));
        }
        (self.padding[axis], self.modes[axis]) = (points, modes);
        Ok(self)
    }

    /// With the same kind of padding on all sides.
    pub fn with_modes(self, mode: Padding) -> Self {
        Self { modes: [[mode; 2]; 3], ..self }
    }

    /// Axes.
    pub fn dim(&self) -> usize {
        self.dim
    }
    /// Channels in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
    /// Channels out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
    /// Whether there is a bias.
    pub fn has_bias(&self) -> bool {
        self.bias
    }
    /// Points of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }
    /// From the first point of the kernel to the last one along an axis.
    pub(super) fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis]
    }
    /// Length of the weights `[outputs, inputs, k₂, k₁, k₀]`.
    pub fn weight_len(&self) -> usize {
        self.outputs * self.inputs * self.taps()
    }
    /// Weights, and one bias for each output if there are any.
    pub fn len(&self) -> usize {
        self.weight_len() + if self.bias { self.outputs } else { 0 }
    }
    /// Whether there are no parameters (constructors refuse that).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends `name.weight` and, with a bias, `name.bias` to a layout; their places together.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn push(&self, layout: &mut Layout, name: &str) -> Result<Range<usize>> {
        self.push_as(layout, name, [self.outputs, self.inputs], self.outputs)
    }

    /// [`push`](Self::push) for the transposed convolution: the same weights, a bias for each input.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn push_transposed(&self, layout: &mut Layout, name: &str) -> Result<Range<usize>> {
        self.push_as(layout, name, [self.inputs, self.outputs], self.inputs)
    }

    fn push_as(
        &self,
        layout: &mut Layout,
        name: &str,
        [to, from]: [usize; 2],
        biases: usize,
    ) -> Result<Range<usize>> {
        let mut shape = vec![self.outputs, self.inputs];
        shape.extend(self.kernel[..self.dim].iter().rev());
        let fan_in = from * self.taps();
        let role = Role::Weight { fan_in, fan_out: to * self.taps() };
        let mut range = layout.push(format!("{name}.weight"), &shape, role)?;
        if self.bias {
            range.end = layout.push(format!("{name}.bias"), &[biases], Role::Bias { fan_in })?.end;
        }
        Ok(range)
    }

    /// Extents of the output on a grid of these extents (1 beyond the dimension).
    ///
    /// # Errors
    /// A grid with further axes or without points, smaller than the kernel with its padding; reflecting
    /// padding of as many points as the grid has, circular padding of more.
    pub fn output(&self, extents: [usize; 3]) -> Result<[usize; 3]> {
        let mut output = [1; 3];
        for axis in 0..3 {
            let n = extents[axis];
            if n == 0 || (axis >= self.dim && n != 1) {
                let needed = format!("{} axes of at least one point, 1 beyond them", self.dim);
                return Err(Error::invalid("the extents of the field", format!("{extents:?}"), needed));
            }
            for (points, mode) in self.padding[axis].into_iter().zip(self.modes[axis]) {
                let most = match mode {
                    Padding::Zero => usize::MAX,
                    Padding::Reflect => n - 1,
                    Padding::Circular => n,
                };
                if points > most {
                    let what = format!("the {mode:?} padding of axis {axis}");
                    return Err(Error::invalid(what, points, format!("{most} are the most for {n} points")));
                }
            }
            let padded = n + self.padding[axis][0] + self.padding[axis][1];
            let reach = self.reach(axis);
            if padded <= reach {
                let what = format!("the padded extent of axis {axis}");
                let needed = format!("the kernel is {} long there", reach + 1);
                return Err(Error::invalid(what, padded, needed));
            }
            output[axis] = (padded - reach - 1) / self.stride[axis] + 1;
        }
        Ok(output)
    }
}
