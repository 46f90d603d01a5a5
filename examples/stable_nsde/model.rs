//! An encoder, one of five latent equations, and a decoder.

use odeon::model::{NeuralDiffusion, NeuralOde, NeuralSde, NoiseForm, Range, StableClass, StableSde};
use odeon::nn::{Activation, Gru, Initializer, Layout, Network};
use odeon::{Error, Result};
use std::fmt;
use std::ops;
use std::str::FromStr;

/// The equation of the latent state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// dz = N(t, z) dt.
    Ode,
    /// dz = N(t, z) dt + G(t, z) dW, each row of G a network without bounds.
    Sde,
    /// dz = N(z) dt + σ(t) dW.
    Langevin,
    /// dz = N(t, z) dt + σ(t) z dW.
    LinearNoise,
    /// dz/z = r tanh N(t, z) dt + σ(t) dW.
    Geometric,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 5] = [Self::Ode, Self::Sde, Self::Langevin, Self::LinearNoise, Self::Geometric];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ode => "ode",
            Self::Sde => "sde",
            Self::Langevin => "langevin",
            Self::LinearNoise => "linear-noise",
            Self::Geometric => "geometric",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        crate::options::named(text, &Self::ALL)
    }
}

/// Latent rows.
pub const DIM: usize = 8;
/// Units of the drift's layer.
const WIDTH: usize = 32;
/// Rows of the recurrent unit.
const HIDDEN: usize = 24;
/// σ(t) of the stable classes is below this.
const HIGHEST: f64 = 0.3;
/// |γ| of the geometric class is below this: z may turn into e^{±20} times itself over the span.
const RATE: f64 = 20.0;

/// The latent equation at work.
pub enum Field {
    Ode(NeuralOde),
    Sde(NeuralSde),
    Stable(StableSde),
}

/// A model; θ = (unit, head, equation, decoder).
pub struct Model {
    /// (x, whether there is one, t) → state.
    pub gru: Gru,
    /// State → z(0).
    pub head: Network,
    pub field: Field,
    /// z → x.
    pub decoder: Network,
    pub layout: Layout,
    /// Places of the four parts.
    pub places: [ops::Range<usize>; 4],
}

impl Model {
    pub fn new(method: Method) -> Result<Self> {
        let drift =
            || Network::builder(DIM).concat_time().dense(WIDTH).activation(Activation::Tanh).dense(DIM);
        let small =
            |outputs| Network::builder(1).dense(8).activation(Activation::Tanh).dense(outputs).build();
        let stable = |class, drift| -> Result<Field> {
            Ok(Field::Stable(StableSde::new(class, drift, small(DIM)?, HIGHEST)?))
        };
        let field = match method {
            Method::Ode => Field::Ode(NeuralOde::new(drift().build()?)?),
            Method::Sde => {
                let g = NeuralDiffusion::new(small(1)?, NoiseForm::Rows { dim: DIM }, Range::Any)?;
                Field::Sde(NeuralSde::ito(drift().build()?, g)?)
            }
            Method::Langevin => {
                let drift = Network::builder(DIM).dense(WIDTH).activation(Activation::Tanh).dense(DIM);
                stable(StableClass::Langevin, drift.build()?)?
            }
            Method::LinearNoise => stable(StableClass::LinearNoise, drift().build()?)?,
            Method::Geometric => stable(StableClass::Geometric { rate: RATE }, drift().build()?)?,
        };
        let (gru, head) = (Gru::new(3, HIDDEN)?, Network::builder(HIDDEN).dense(DIM).build()?);
        let decoder = Network::builder(DIM).dense(1).build()?;
        let mut layout = Layout::new();
        let own = match &field {
            Field::Ode(ode) => ode.network().layout(),
            Field::Sde(sde) => sde.layout(),
            Field::Stable(sde) => sde.layout(),
        };
        let places = [
            layout.append("gru.", gru.layout())?,
            layout.append("head.", head.layout())?,
            layout.append("", own)?,
            layout.append("decoder.", decoder.layout())?,
        ];
        Ok(Self { gru, head, field, decoder, layout, places })
    }

    pub fn init(&self, seed: u64) -> Result<Vec<f64>> {
        let how = Initializer::TorchLinear;
        let mut theta = self.gru.init(how, seed)?;
        theta.extend(self.head.init::<f64>(how, seed + (1 << 32))?);
        theta.extend(match &self.field {
            Field::Ode(ode) => ode.network().init::<f64>(how, seed)?,
            Field::Sde(sde) => sde.init(how, seed)?,
            Field::Stable(sde) => sde.init(how, seed)?,
        });
        theta.extend(self.decoder.init::<f64>(how, seed + (2 << 32))?);
        match theta.len() == self.layout.len() {
            true => Ok(theta),
            false => {
                let needed = format!("{}, as the layout says", self.layout.len());
                Err(Error::invalid("the model's parameters", theta.len(), needed))
            }
        }
    }
}
