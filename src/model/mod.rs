//! Models: right-hand sides made of networks, ordinary, controlled and stochastic, the densities and latent models made
//! of them, and the losses that fit them (docs/models.md).

mod cde;
mod diffusion;
mod elbo;
mod encoder;
mod fit;
mod flow;
mod forms;
mod gru_ode;
mod latent_ode;
mod latent_sde;
mod likelihood;
mod neural;
mod neural_sde;
mod second_order;
mod segments;
mod stable_sde;

pub use cde::{CdeModel, CdeScratch, ControlPath, Interpolation, NeuralCde, control_channels};
pub use diffusion::{NeuralDiffusion, NoiseForm, Range};
pub use elbo::{Elbo, Series};
pub use encoder::Encoder;
pub use fit::{Mmd, Moments};
pub use flow::{Flow, FlowLoss, FlowScratch, Probe, Trace};
pub use forms::{Lift, NeuralField, OdeModel, SecondOrderOde, SecondOrderOdeScratch};
pub use gru_ode::{GruOde, GruOdeScratch};
pub use latent_ode::{LatentBound, LatentOde, Reader, StepPenalty};
pub use latent_sde::{LatentDiffusion, LatentDrift, LatentNetworks, LatentSde, LatentSystem};
pub use likelihood::transition_likelihood;
pub use neural::NeuralOde;
pub use neural_sde::NeuralSde;
pub use stable_sde::{StableClass, StableDrift, StableSde, TimeDiffusion};
