//! [`DeepONet`]: branch and trunk.

use super::coordinates;
use crate::error::Result;
use crate::nn::Activation;
use crate::nn::conv::ConvSpec;
use crate::operator::program::assembly::Assembly;
use crate::operator::program::{Program, Surrogate, grid, positive};

/// The DeepONet (L. Lu et al., *Learning Nonlinear Operators via DeepONet Based on the Universal
/// Approximation Theorem of Operators*, Nature Machine Intelligence 3, 2021, eq. (2), unstacked, with
/// bias): u_o(y) = Σ_k b_ok(f) t_k(y) + β_o, the branch b a dense network of the input at all points of the
/// grid, which are its sensors, the trunk t a dense network of the coordinates y of a point. Hidden layers
/// and the trunk's last one have σ.
///
/// The trunk does not depend on the input: it is computed once for a batch, and so is its reverse.
#[derive(Clone, Debug, PartialEq)]
pub struct DeepONet {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Units of the branch's hidden layers.
    pub branch: Vec<usize>,
    /// Units of the trunk's hidden layers.
    pub trunk: Vec<usize>,
    /// Terms of the sum.
    pub terms: usize,
    /// σ.
    pub activation: Activation,
}

impl DeepONet {
    /// One channel in and out, two hidden layers in the branch and three in the trunk, all of this many
    /// units, as many terms, GELU.
    pub fn new(width: usize) -> Self {
        Self {
            inputs: 1,
            outputs: 1,
            branch: vec![width; 2],
            trunk: vec![width; 3],
            terms: width,
            activation: Activation::Gelu,
        }
    }
}

impl Surrogate for DeepONet {
    fn name(&self) -> &'static str {
        "DeepONet"
    }

    /// The network for inputs and outputs on a grid of 1 to 3 axes.
    fn compile(&self, extents: &[usize]) -> Result<Program> {
        let Self { inputs, outputs, branch, trunk, terms, activation } = self;
        positive(&[
            ("the input channels", *inputs),
            ("the output channels", *outputs),
            ("the number of terms", *terms),
        ])?;
        for (what, units) in [("the units of the branch", branch), ("the units of the trunk", trunk)] {
            units.iter().try_for_each(|&n| positive(&[(what, n)]))?;
        }
        let finest = grid(extents, 1, "a field needs points")?;
        let (dim, sensors) = (extents.len(), inputs * finest.iter().product::<usize>());
        let mut assembly = Assembly::new(dim, sensors);
        let (mut t, mut from) = (assembly.constant(coordinates(extents)), dim);
        let one = [1; 3];
        for (number, &to) in trunk.iter().chain([terms]).enumerate() {
            let spec = ConvSpec::new(from, to, &one[..dim])?;
            let layer = assembly.down(&format!("trunk.{number}"), spec, finest)?;
            let plain = assembly.apply(&layer, t);
            (t, from) = (assembly.activate(*activation, plain), to);
        }
        let (mut b, mut from) = (0, sensors);
        let last = terms * outputs;
        for (number, &to) in branch.iter().chain([&last]).enumerate() {
            let layer = assembly.dense(&format!("branch.{number}"), [from, to])?;
            (b, from) = (assembly.apply(&layer, b), to);
            if number < branch.len() {
                b = assembly.activate(*activation, b);
            }
        }
        assembly.combine("last", *outputs, t, b)?;
        Ok(assembly.finish())
    }
}
