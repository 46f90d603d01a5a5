//! [`NeuralSde`]: networks as drift and diffusion.

use super::{NeuralDiffusion, NeuralOde};
use crate::error::{Error, Result};
use crate::nn::{Initializer, Layout, Network};
use crate::num::Real;
use crate::sde::{Calculus, Diffusion, System};

/// The neural stochastic differential equation dX = N_f(t, X; θ_f) dt + N_g(t, X; θ_g) dW (Liu et al. 2019,
/// *Neural SDE*; Tzen & Raginsky 2019), θ = (θ_f, θ_g).
///
/// ```
/// use odeon::integrate::{Options, Problem};
/// use odeon::model::{NeuralDiffusion, NeuralSde, NoiseForm, Range};
/// use odeon::nn::{Activation, Network};
/// use odeon::sde::{self, noise::FixedGrid, tableaux::EulerMaruyama};
///
/// let drift = Network::builder(2).dense(16).activation(Activation::Tanh).dense(2).build()?;
/// let rows = Network::builder(1).dense(8).activation(Activation::Tanh).dense(1).build()?;
/// let range = Range::Between { low: 0.01, high: 0.5 };
/// let diffusion = NeuralDiffusion::new(rows, NoiseForm::Rows { dim: 2 }, range)?;
/// let model = NeuralSde::ito(drift, diffusion)?;
///
/// let theta: Vec<f64> = model.init(Default::default(), 0)?;
/// let noise = FixedGrid::new(1, [0.0, 1.0], 50, 2, 3)?; // three paths
/// let problem = Problem { y0: &[1.0; 6], span: [0.0, 1.0], theta: &theta };
/// let solution = sde::solve(&model, &EulerMaruyama, noise, &problem, &Options::fixed(0.02))?;
/// assert_eq!(solution.last().len(), 6);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NeuralSde {
    drift: NeuralOde,
    diffusion: NeuralDiffusion,
    calculus: Calculus,
    layout: Layout,
}

/// What the seeds of the networks of one model differ by: more than a model has networks.
pub(super) const NEXT_NETWORK: u64 = 1 << 32;

impl NeuralSde {
    /// In Itô's sense.
    ///
    /// # Errors
    /// [`Error::Invalid`] when drift and diffusion have different rows.
    pub fn ito(drift: Network, diffusion: NeuralDiffusion) -> Result<Self> {
        Self::new(drift, diffusion, Calculus::Ito)
    }

    /// In Stratonovich's sense.
    ///
    /// # Errors
    /// As [`ito`](Self::ito).
    pub fn stratonovich(drift: Network, diffusion: NeuralDiffusion) -> Result<Self> {
        Self::new(drift, diffusion, Calculus::Stratonovich)
    }

    fn new(drift: Network, diffusion: NeuralDiffusion, calculus: Calculus) -> Result<Self> {
        let drift = NeuralOde::new(drift)?;
        let (dim, rows) = (drift.network().input_dim(), Diffusion::<f64>::dim(&diffusion));
        if dim != rows {
            let needed = format!("the drift has {dim}: both need the same");
            return Err(Error::invalid("the rows of the diffusion", rows, needed));
        }
        let mut layout = Layout::new();
        layout.append("drift.", drift.network().layout())?;
        layout.append("diffusion.", diffusion.layout())?;
        Ok(Self { drift, diffusion, calculus, layout })
    }

    /// Names ("drift.0.weight", "diffusion.0.weight"), shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Parameters drawn by `initializer`.
    ///
    /// # Errors
    /// As [`Network::init`].
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        let mut theta = self.drift.network().init(initializer, seed)?;
        theta.extend(self.diffusion.init::<T>(initializer, seed.wrapping_add(NEXT_NETWORK))?);
        Ok(theta)
    }
}

impl<T: Real> System<T> for NeuralSde {
    type Drift = NeuralOde;
    type Diffusion = NeuralDiffusion;

    fn drift(&self) -> &NeuralOde {
        &self.drift
    }

    fn diffusion(&self) -> &NeuralDiffusion {
        &self.diffusion
    }

    fn calculus(&self) -> Calculus {
        self.calculus
    }
}
