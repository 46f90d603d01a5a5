//! Models: right-hand sides made of networks, ordinary (Hamiltonian and Lagrangian ones too), controlled and
//! stochastic, the densities and latent models made of them, fixed points, and the losses that fit them
//! (docs/models.md).

mod cde;
mod diffusion;
mod elbo;
mod encoder;
mod equilibrium;
mod fit;
mod fixed_point;
mod flow;
mod forms;
mod graph_solver;
mod gru_ode;
mod hamiltonian;
mod lagrangian;
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
pub use equilibrium::DeepEquilibrium;
pub use fit::{Mmd, Moments};
pub use fixed_point::{ContractingMap, FixedPointSolver};
pub use flow::{Flow, FlowLoss, FlowScratch, Probe, Trace};
pub use forms::{Lift, NeuralField, OdeModel, SecondOrderOde, SecondOrderOdeScratch};
pub use graph_solver::{Graph, GraphSolver, GraphSolverShape, Solved};
pub use gru_ode::{GruOde, GruOdeScratch};
pub use hamiltonian::HamiltonianNetwork;
pub use lagrangian::{EulerLagrange, Lagrangian, LagrangianNetwork};
pub use latent_ode::{LatentBound, LatentOde, Reader, StepPenalty};
pub use latent_sde::{LatentDiffusion, LatentDrift, LatentNetworks, LatentSde, LatentSystem};
pub use likelihood::transition_likelihood;
pub use neural::NeuralOde;
pub use neural_sde::NeuralSde;
pub use stable_sde::{StableClass, StableDrift, StableSde, TimeDiffusion};
