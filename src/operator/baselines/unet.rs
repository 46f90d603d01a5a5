//! [`UNet`]: the U-Net.

use crate::error::{Error, Result};
use crate::nn::Activation;
use crate::nn::conv::{ConvSpec, Padding};
use crate::operator::program::assembly::{Assembly, Value};
use crate::operator::program::{Program, Surrogate, grid, positive};

/// The U-Net (O. Ronneberger, P. Fischer and T. Brox, *U-Net: Convolutional Networks for Biomedical Image
/// Segmentation*, MICCAI 2015), with convolutions that keep the extents, as those do which map fields to
/// fields: on each of `depth` + 1 grids two 3ᵈ convolutions with σ, twice as many channels on each coarser
/// one; down by the largest of 2ᵈ points, up by a transposed convolution of 2ᵈ whose result is joined to
/// the fields that the way down left there; a 1ᵈ convolution at the end.
///
/// Odd extents lose their last point on the way down and find it again on the way up, where only the
/// bias reaches it from below and the fields of the way down are whole.
///
/// On several threads a gradient takes one vector of parameters for each sample of the batch: 31 million
/// numbers each for the published width of 64.
#[derive(Clone, Debug, PartialEq)]
pub struct UNet {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Channels on the finest grid.
    pub width: usize,
    /// How often the grid is coarsened.
    pub depth: usize,
    /// σ.
    pub activation: Activation,
    /// What stands beyond all sides.
    pub padding: Padding,
}

impl UNet {
    /// One channel in and out, ReLU, zeros beyond the sides, coarsened four times as published; the
    /// published width is 64.
    pub fn new(width: usize) -> Self {
        Self { inputs: 1, outputs: 1, width, depth: 4, activation: Activation::Relu, padding: Padding::Zero }
    }

    /// Two convolutions with σ.
    fn pair(
        &self,
        assembly: &mut Assembly,
        name: &str,
        ([from, to], extents): ([usize; 2], [usize; 3]),
        mut u: Value,
    ) -> Result<Value> {
        for (number, inputs) in [from, to].into_iter().enumerate() {
            let spec = ConvSpec::same(assembly.dim(), inputs, to, 3)?.with_modes(self.padding);
            let conv = assembly.down(&format!("{name}.{number}"), spec, extents)?;
            let plain = assembly.apply(&conv, u);
            u = assembly.activate(self.activation, plain);
        }
        Ok(u)
    }
}

impl Surrogate for UNet {
    fn name(&self) -> &'static str {
        "U-Net"
    }

    /// The network on a grid of 1 to 3 axes of at least 2^depth points (twice as many beyond a mirrored
    /// side).
    fn compile(&self, extents: &[usize]) -> Result<Program> {
        let &Self { inputs, outputs, width, depth, .. } = self;
        positive(&[("the input channels", inputs), ("the output channels", outputs), ("the width", width)])?;
        if depth > 20 {
            return Err(Error::invalid("the depth", depth, "no grid is halved more than 20 times"));
        }
        let coarsest = if self.padding == Padding::Reflect { 2 } else { 1 };
        let why = format!("the grid is halved {depth} times");
        let finest = grid(extents, coarsest << depth, &why)?;
        let dim = extents.len();
        let mut grids = vec![finest];
        for level in 0..depth {
            let fine = grids[level];
            grids.push(std::array::from_fn(|axis| if axis < dim { fine[axis] / 2 } else { 1 }));
        }
        let channels = |level: usize| width << level;
        let mut assembly = Assembly::new(dim, inputs * finest.iter().product::<usize>());
        let (mut u, mut from, mut left) = (0, inputs, Vec::with_capacity(depth));
        for (level, &extents) in grids.iter().enumerate() {
            if level > 0 {
                u = assembly.pool(grids[level - 1], u);
            }
            u = self.pair(&mut assembly, &format!("down.{level}"), ([from, channels(level)], extents), u)?;
            from = channels(level);
            left.push(u);
        }
        for level in (0..depth).rev() {
            let [fine, coarse] = [channels(level), channels(level + 1)];
            let two = [2; 3];
            let spec = ConvSpec::new(fine, coarse, &two[..dim])?.with_stride(&two[..dim])?;
            let up = assembly.up(&format!("up.{level}.prolong"), spec, grids[level])?;
            let risen = assembly.apply(&up, u);
            let joined = assembly.join(left[level], risen);
            u = self.pair(&mut assembly, &format!("up.{level}"), ([coarse, fine], grids[level]), joined)?;
        }
        let one = [1; 3];
        let last = assembly.down("last", ConvSpec::new(width, outputs, &one[..dim])?, finest)?;
        assembly.apply(&last, u);
        Ok(assembly.finish())
    }
}
