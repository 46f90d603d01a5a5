//! [`DilResNet`]: the dilated residual network.

use crate::error::{Error, Result};
use crate::nn::Activation;
use crate::nn::conv::{ConvSpec, Padding};
use crate::operator::program::assembly::Assembly;
use crate::operator::program::{Program, Surrogate, grid, positive};

/// The dilated residual network (K. Stachenfeld et al., *Learned Coarse Models for Efficient Turbulence
/// Simulation*, ICLR 2022, section 3): a 3ᵈ convolution to `width` channels; blocks u ← u + N(u), N a line
/// of 3ᵈ convolutions with σ whose taps are 1, 2, 4, 8, 4, 2 and 1 points apart; a 3ᵈ convolution to the
/// outputs. All on one grid: what multigrid sees by coarsening, it sees by taps far apart.
#[derive(Clone, Debug, PartialEq)]
pub struct DilResNet {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Hidden channels.
    pub width: usize,
    /// Blocks.
    pub blocks: usize,
    /// How far apart the taps of each convolution of a block are.
    pub dilations: Vec<usize>,
    /// σ.
    pub activation: Activation,
    /// What stands beyond all sides.
    pub padding: Padding,
}

impl DilResNet {
    /// One channel in and out, four blocks of seven convolutions, ReLU, zeros beyond the sides; the
    /// published width is 48.
    pub fn new(width: usize) -> Self {
        Self {
            inputs: 1,
            outputs: 1,
            width,
            blocks: 4,
            dilations: vec![1, 2, 4, 8, 4, 2, 1],
            activation: Activation::Relu,
            padding: Padding::Zero,
        }
    }

    fn spec(&self, dim: usize, [from, to]: [usize; 2], dilation: usize) -> Result<ConvSpec> {
        let mut spec = ConvSpec::new(from, to, &[3; 3][..dim])?.with_dilation(&[dilation; 3][..dim])?;
        for axis in 0..dim {
            spec = spec.with_padding(axis, [dilation; 2], [self.padding; 2])?;
        }
        Ok(spec)
    }
}

impl Surrogate for DilResNet {
    fn name(&self) -> &'static str {
        "DilResNet"
    }

    /// The network on a grid of 1 to 3 axes, as long as the largest dilation where sides are mirrored or
    /// periodic.
    fn compile(&self, extents: &[usize]) -> Result<Program> {
        let &Self { inputs, outputs, width, blocks, activation, .. } = self;
        positive(&[
            ("the input channels", inputs),
            ("the output channels", outputs),
            ("the width", width),
            ("the number of blocks", blocks),
        ])?;
        if self.dilations.is_empty() {
            return Err(Error::invalid("the dilations", "[]", "a block needs a convolution"));
        }
        let (finest, dim) = (grid(extents, 1, "a field needs points")?, extents.len());
        let mut assembly = Assembly::new(dim, inputs * finest.iter().product::<usize>());
        let encode = assembly.down("encode", self.spec(dim, [inputs, width], 1)?, finest)?;
        let mut u = assembly.apply(&encode, 0);
        for block in 0..blocks {
            let mut v = u;
            for (number, &dilation) in self.dilations.iter().enumerate() {
                let spec = self.spec(dim, [width, width], dilation)?;
                let conv = assembly.down(&format!("blocks.{block}.{number}"), spec, finest)?;
                let plain = assembly.apply(&conv, v);
                v = assembly.activate(activation, plain);
            }
            u = assembly.sum(u, v);
        }
        let decode = assembly.down("decode", self.spec(dim, [width, outputs], 1)?, finest)?;
        assembly.apply(&decode, u);
        Ok(assembly.finish())
    }
}
