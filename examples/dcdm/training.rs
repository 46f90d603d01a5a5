//! Training on the empty box.

use crate::common::Session;
use crate::problems;
use indicatif::{ProgressBar, ProgressStyle};
use odeon::Result;
use odeon::linalg::grid::{Grid, StencilOperator};
use odeon::linalg::{LinearOperator, model};
use odeon::operator::directions::{DirectionNet, Equilibrated, Rates, Spectra, Trainer};

/// Exponents of λ in the spectra of right-hand sides.
const EXPONENTS: [f64; 2] = [-1.0, 0.5];

/// Parameters for −Δ after `steps` steps, and the losses.
pub fn train(session: &Session, net: &DirectionNet, steps: u64, seed: u64) -> Result<(Vec<f32>, Vec<f64>)> {
    let grid = problems::grid(net.dim(), if net.dim() == 2 { 64 } else { 32 })?;
    let a = model::poisson::<f32>(grid)?;
    let batch = if net.dim() == 2 { 8 } else { 4 };
    let rates = Rates { first: 2e-3, last: 1e-5, steps };
    let trainer = Trainer::new(net, grid.extents(), batch, rates, seed)?;
    optimise(session, (net, &grid, trainer), &a, steps, seed)
}

/// Parameters of a linear preconditioner for `a`, and the losses.
pub fn train_linear(
    session: &Session,
    net: &DirectionNet,
    a: &StencilOperator<f32>,
    steps: u64,
    seed: u64,
) -> Result<(Vec<f32>, Vec<f64>)> {
    let rates = Rates { first: 1e-2, last: 1e-4, steps };
    let trainer = Trainer::new(net, a.grid().extents(), 8, rates, seed)?.energy();
    optimise(session, (net, a.grid(), trainer), &Equilibrated::new(a)?, steps, seed)
}

fn optimise(
    session: &Session,
    (net, grid, mut trainer): (&DirectionNet, &Grid, Trainer<f32>),
    a: &impl LinearOperator<f32>,
    steps: u64,
    seed: u64,
) -> Result<(Vec<f32>, Vec<f64>)> {
    let mut data = Spectra::new(grid, EXPONENTS, seed)?;
    let mut theta = net.init::<f32>(seed)?;
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} [{elapsed} < {eta}] {msg}") {
        bar.set_style(style);
    }
    let mut losses = Vec::new();
    for _ in 0..steps {
        let loss = trainer.step(&mut theta, a, &mut data)?;
        losses.push(loss);
        bar.set_message(format!("loss {loss:.2e}"));
        bar.inc(1);
    }
    let seconds = bar.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let last = losses.iter().rev().take(50);
    let mean = last.clone().sum::<f64>() / last.count() as f64;
    session.say(format!("trained {steps} steps in {seconds:.0} s, loss {mean:.2e} (mean of the last 50)"))?;
    Ok((theta, losses))
}
