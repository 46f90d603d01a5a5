//! [`Fno`]: the Fourier neural operator.

use super::coordinates;
use crate::error::{Error, Result};
use crate::nn::Activation;
use crate::nn::conv::ConvSpec;
use crate::operator::program::assembly::Assembly;
use crate::operator::program::{Program, Spectral, Surrogate, grid, positive};

/// The Fourier neural operator in two dimensions (Z. Li et al., *Fourier Neural Operator for Parametric
/// Partial Differential Equations*, ICLR 2021): the input and the points' coordinates are lifted to
/// `width` fields; layers are u ← σ(K u + W u + b), K a convolution on the lowest Fourier modes with
/// complex weights for each mode, W a 1 × 1 convolution, the last one without σ; two 1 × 1 convolutions
/// with σ between them project to the outputs.
///
/// Kept are `modes[0]` wavenumbers k ≥ 0 along the first axis and 2 `modes[1]` along the second,
/// −m₁ ≤ l < m₁: for data whose sides are not periodic the fields are lengthened by `padding` zeros at
/// the far sides between lift and projection, as the authors' program does.
///
/// ```
/// use odeon::operator::Surrogate;
/// use odeon::operator::baselines::Fno;
///
/// // The published network for Darcy's law: 2.37 million real numbers.
/// assert_eq!(Fno::darcy(32, 12).compile(&[85, 85])?.layout().len(), 2_368_001);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fno {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Hidden fields.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Wavenumbers along each axis.
    pub modes: [usize; 2],
    /// Fields between the two maps of the projection.
    pub projection: usize,
    /// Zeros beyond the far sides.
    pub padding: usize,
    /// σ.
    pub activation: Activation,
}

impl Fno {
    /// The published network: one channel in and out, four layers, 128 fields in the projection, GELU,
    /// 9 zeros beyond the far sides.
    pub fn darcy(width: usize, modes: usize) -> Self {
        Self {
            inputs: 1,
            outputs: 1,
            width,
            layers: 4,
            modes: [modes; 2],
            projection: 128,
            padding: 9,
            activation: Activation::Gelu,
        }
    }
}

impl Surrogate for Fno {
    fn name(&self) -> &'static str {
        "FNO"
    }

    /// The network on a grid of two axes, of any extents that have the modes.
    fn compile(&self, extents: &[usize]) -> Result<Program> {
        let &Self { inputs, outputs, width, layers, modes, projection, padding, activation } = self;
        positive(&[
            ("the input channels", inputs),
            ("the output channels", outputs),
            ("the width", width),
            ("the number of layers", layers),
            ("the fields of the projection", projection),
        ])?;
        if extents.len() != 2 {
            let needed = "the Fourier neural operator is for fields of 2 axes";
            return Err(Error::invalid("the extents of the field", format!("{extents:?}"), needed));
        }
        let inner = grid(extents, 2, "two coordinates differ")?;
        let outer = [inner[0] + padding, inner[1] + padding, 1];
        let spectral = Spectral::new([outer[0], outer[1]], modes)?;
        let points = inner[0] * inner[1];
        let mut assembly = Assembly::new(2, inputs * points);
        let places = assembly.constant(coordinates(extents));
        let both = assembly.join(0, places);
        let one = |from: usize, to: usize| ConvSpec::new(from, to, &[1, 1]);
        let lift = assembly.down("lift", one(inputs + 2, width)?, inner)?;
        let mut u = assembly.apply(&lift, both);
        if padding > 0 {
            u = assembly.pad([inner, outer], u);
        }
        for layer in 0..layers {
            let name = format!("layers.{layer}");
            let pointwise = assembly.down(&format!("{name}.pointwise"), one(width, width)?, outer)?;
            let local = assembly.apply(&pointwise, u);
            u = assembly.add_spectral(&format!("{name}.spectral"), &spectral, [width, width], [local, u])?;
            if layer + 1 < layers {
                u = assembly.activate(activation, u);
            }
        }
        if padding > 0 {
            u = assembly.crop([inner, outer], u);
        }
        let wide = assembly.down("project.0", one(width, projection)?, inner)?;
        let wide = assembly.apply(&wide, u);
        let wide = assembly.activate(activation, wide);
        let last = assembly.down("project.1", one(projection, outputs)?, inner)?;
        assembly.apply(&last, wide);
        Ok(assembly.finish())
    }
}
