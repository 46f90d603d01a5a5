//! The networks by name, sized for the grid.

use clap::ValueEnum;
use odeon::Result;
use odeon::operator::baselines::{DeepONet, DilResNet, Fno, UNet};
use odeon::operator::mgno::{Architecture, CoarsePoints, CycleSpec};
use odeon::operator::{Program, Surrogate};

/// What can be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// Multigrid neural operator
    Mgno,
    /// Fourier neural operator
    Fno,
    /// U-Net
    Unet,
    /// Dilated residual network
    Dilresnet,
    /// DeepONet
    Deeponet,
}

/// Sizes of the multigrid neural operator; the others follow the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    pub layers: usize,
    pub channels: usize,
    pub levels: usize,
    pub quick: bool,
}

impl Sizes {
    /// Intervals of the coarsest grid, or its points where sides move: four at least.
    pub fn levels(n: usize) -> usize {
        (((n + n % 2) / 4).ilog2() as usize + 1).clamp(1, 6)
    }
}

/// A compiled network.
pub struct Network {
    pub model: Model,
    pub name: &'static str,
    pub program: Program,
}

impl Model {
    /// Its name in files.
    pub fn stem(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// The network on n × n interior vertices, and what it is.
    pub fn build(self, n: usize, sizes: Sizes) -> Result<(Network, String)> {
        let small = sizes.quick;
        let pick = |plain: usize, quick: usize| if small { quick } else { plain };
        let (surrogate, text): (Box<dyn Surrogate>, String) = match self {
            Self::Mgno => {
                let Sizes { layers, channels, levels, .. } = sizes;
                // Coarse points where the sides stand still for 2ᵏ − 1 points, as published for others.
                let coarse_points = if n % 2 == 1 { CoarsePoints::Odd } else { CoarsePoints::Even };
                let cycle = CycleSpec { coarse_points, ..CycleSpec::backslash(levels) };
                let text = format!("{layers} layers of {levels} grids, {channels} channels");
                (Box::new(Architecture::darcy(layers, channels, cycle)), text)
            }
            Self::Fno => {
                let (width, padding) = (pick(32, 8), n / 8);
                let modes = 12.min((n + padding) / 2);
                let fno = Fno { padding, ..Fno::darcy(width, modes) };
                (Box::new(fno), format!("4 layers, {modes} modes, width {width}"))
            }
            Self::Unet => {
                let (width, depth) = (pick(16, 4), (n.ilog2() as usize - 1).min(4));
                let net = UNet { depth, ..UNet::new(width) };
                (Box::new(net), format!("coarsened {depth} times, width {width}"))
            }
            Self::Dilresnet => {
                let width = pick(24, 6);
                (Box::new(DilResNet::new(width)), format!("4 blocks of 7 convolutions, width {width}"))
            }
            Self::Deeponet => {
                let width = pick(128, 32);
                (Box::new(DeepONet::new(width)), format!("{width} units and terms"))
            }
        };
        let (name, program) = (surrogate.name(), surrogate.compile(&[n, n])?);
        let text = format!("{name}: {text}, {} parameters", program.layout().len());
        Ok((Network { model: self, name, program }, text))
    }
}
