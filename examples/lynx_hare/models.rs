//! The three models.

use crate::Fitted;
use crate::data::Pelts;
use crate::fit::{Model, Plan};
use odeon::Result;
use odeon::dynamics::compose::Sum;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Entry, Initializer, Layout, Network, Role};
use odeon::num::Scalar;

/// Lotka–Volterra for u = (ln hare, ln lynx) in units of their means, rates α, β, γ, δ per year:
/// u₁' = α − β exp(u₂), u₂' = δ exp(u₁) − γ; parameters are the logarithms of the rates.
pub struct LogLotkaVolterra;

impl VectorField for LogLotkaVolterra {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        4
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, u: &[S], p: &[S], du: &mut [S]) {
        du[0] = p[0].exp() - (p[1] + u[1]).exp();
        du[1] = (p[3] + u[0]).exp() - p[2].exp();
    }
}

/// Name of the rates in the layout of the parameters.
pub const RATES: &str = "log_rates";

/// One period takes about ten years in this record.
const PERIOD: f64 = 10.0;

/// Lotka–Volterra. The fit starts from an orbit about the mean populations whose small
/// oscillations have the period 2π/√(αγ) of the record.
pub fn classical(pelts: &Pelts, plan: &Plan) -> Result<Fitted> {
    let mut layout = Layout::new();
    rates(&mut layout)?;
    let rate = (std::f64::consts::TAU / PERIOD).ln();
    Model {
        name: "Lotka–Volterra",
        dynamics: Generic(LogLotkaVolterra),
        layout,
        theta: vec![rate; 4],
        start: pelts.log[..2].to_vec(),
        ridge: 0.0,
        seed: 0,
    }
    .fit(pelts, plan)
}

/// Lotka–Volterra plus a network that starts at almost nothing, from the fitted classical model.
pub fn hybrid(pelts: &Pelts, plan: &Plan, classical: &Fitted, seed: u64) -> Result<Fitted> {
    let network = network(8)?;
    let mut layout = Layout::new();
    rates(&mut layout)?;
    layout.append("network.", network.layout())?;
    let mut theta = classical.theta.clone();
    theta.extend(small_output(&network, seed)?);
    Model {
        name: "hybrid",
        dynamics: Sum(Generic(LogLotkaVolterra), NeuralOde::new(network)?),
        layout,
        theta,
        start: classical.start.clone(),
        ridge: plan.ridge,
        seed,
    }
    .fit(pelts, plan)
}

/// A network alone.
pub fn neural(pelts: &Pelts, plan: &Plan, seed: u64) -> Result<Fitted> {
    let network = network(16)?;
    let theta = small_output(&network, seed)?;
    Model {
        name: "neural ODE",
        layout: network.layout().clone(),
        dynamics: NeuralOde::new(network)?,
        theta,
        start: pelts.log[..2].to_vec(),
        ridge: plan.ridge,
        seed,
    }
    .fit(pelts, plan)
}

fn rates(layout: &mut Layout) -> Result<()> {
    layout.push(RATES, &[4], Role::Shift)?;
    Ok(())
}

/// 2–width–2, tanh.
fn network(width: usize) -> Result<Network> {
    Network::builder(2).dense(width).activation(Activation::Tanh).dense(2).build()
}

/// Glorot weights, those of the last layer a tenth as large, so that training starts from almost
/// constant populations.
fn small_output(network: &Network, seed: u64) -> Result<Vec<f64>> {
    let mut theta = network.init(Initializer::GlorotNormal, seed)?;
    let last = |e: &&Entry| e.name.starts_with("2.");
    for entry in network.layout().entries().iter().filter(last) {
        theta[entry.range()].iter_mut().for_each(|w| *w *= 0.1);
    }
    Ok(theta)
}
