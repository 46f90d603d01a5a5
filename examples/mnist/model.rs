//! The network on the pixels and the linear classifier, over one flat vector.

use crate::digits::PIXELS;
use odeon::Result;
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Initializer, Layout, Network};

/// Hidden units.
const HIDDEN: usize = 100;

/// Right-hand side and classifier; parameters are the former's, then the latter's.
pub struct Model {
    pub ode: NeuralOde,
    pub head: Network,
    pub layout: Layout,
    /// Parameters of the right-hand side.
    pub split: usize,
}

impl Model {
    pub fn new(classes: usize) -> Result<Self> {
        let network = Network::builder(PIXELS)
            .concat_time()
            .dense(HIDDEN)
            .activation(Activation::Tanh)
            .concat_time()
            .dense(PIXELS)
            .activation(Activation::Tanh)
            .build()?;
        let head = Network::builder(PIXELS).dense(classes).build()?;
        let mut layout = Layout::new();
        let split = layout.append("ode.", network.layout())?.end;
        layout.append("head.", head.layout())?;
        Ok(Self { ode: NeuralOde::new(network)?, head, layout, split })
    }

    /// Glorot weights, biases 0.
    pub fn init(&self, seed: u64) -> Result<Vec<f32>> {
        let mut params = self.ode.network().init(Initializer::GlorotUniform, seed)?;
        params.extend(self.head.init::<f32>(Initializer::GlorotUniform, seed)?);
        Ok(params)
    }
}
