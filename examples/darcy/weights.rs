//! Trained networks between their normalisers, and their files.

use crate::models::Network;
use odeon::Result;
use odeon::nn::{Layout, Role, io};
use odeon::operator::Scratch;
use odeon::operator::surrogate::Normaliser;
use std::path::Path;

pub struct Surrogate {
    pub network: Network,
    pub theta: Vec<f32>,
    pub input: Normaliser<f32>,
    pub output: Normaliser<f32>,
    pub train_s: f64,
}

impl Surrogate {
    /// u for a, one sample.
    pub fn predict(&self, a: &[f32], u: &mut [f32], scratch: &mut Scratch<f32>) -> Result<()> {
        let mut x = a.to_vec();
        self.input.encode(&mut x)?;
        self.network.program.forward(&self.theta, &x, u, scratch)?;
        self.output.decode(u)
    }

    /// What a network that knew nothing would say: the training set's mean solution.
    pub fn mean(&self) -> &[f32] {
        self.output.mean()
    }

    /// Parameters and normalisers in one file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let parts = [&self.theta, self.input.mean(), self.input.deviation()];
        let theta = [parts.concat(), [self.output.mean(), self.output.deviation()].concat()].concat();
        io::save(path, &layout(&self.network)?, &theta, &io::Names::exact())
    }

    /// From such a file.
    pub fn load(path: &Path, network: Network) -> Result<Self> {
        let layout = layout(&network)?;
        let all = io::load::<f32>(path, &layout, &io::Names::exact())?;
        let part = |name: &str| layout.view(name, &all).map(<[f32]>::to_vec);
        let dim = network.program.input_len();
        let input = Normaliser::new(part("input.mean")?, part("input.deviation")?, dim)?;
        let output = Normaliser::new(part("output.mean")?, part("output.deviation")?, 1)?;
        let theta = all[..network.program.layout().len()].to_vec();
        Ok(Self { network, theta, input, output, train_s: 0.0 })
    }
}

fn layout(network: &Network) -> Result<Layout> {
    let mut layout = network.program.layout().clone();
    for (side, numbers) in [("input", 1), ("output", network.program.output_len())] {
        layout.push(format!("{side}.mean"), &[numbers], Role::Shift)?;
        layout.push(format!("{side}.deviation"), &[numbers], Role::Gain)?;
    }
    Ok(layout)
}
