//! Network passes and optimiser steps allocate nothing once their memory is made.

use odeon::Result;
use odeon::nn::{Activation, Builder, Initializer, Input, Network, Optimizer, Rule, Schedule};

#[path = "support/counting.rs"]
mod counting;

use counting::allocations;

#[test]
fn passes_allocate_nothing() -> Result<()> {
    let counted = allocations(|| drop(std::hint::black_box(vec![1.0; 9])));
    assert_eq!(counted, 1, "the counter counts");
    let small = Network::builder(2).activation(Activation::Cube).dense(50);
    let small = small.activation(Activation::Gelu).dense(2);
    let block = |b: Builder| b.layer_norm().dense(40).activation(Activation::Silu);
    let large = Network::builder(40).concat_time().dense(40).residual(block);
    for (builder, batch) in [(small, 1), (large.activation(Activation::Tanh), 64)] {
        let network = builder.build()?;
        let mut theta: Vec<f64> = network.init(Initializer::GlorotNormal, 1)?;
        let n = network.input_dim() * batch;
        let x: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let (mut out, mut x_bar, mut theta_bar) = (x.clone(), x.clone(), theta.clone());
        let mut scratch = network.scratch(batch);
        let mut second = network.second_order_scratch(batch);
        let mut optimizer =
            Optimizer::new(Rule::adabelief(), Schedule::Constant(0.1), network.layout().clone())?;
        let counted = allocations(|| {
            let at = Input { t: 0.5, x: &x, theta: &theta };
            network.forward(at, &mut out, &mut scratch);
            network.vjp(at, &x, &mut x_bar, &mut theta_bar, &mut scratch);
            network.jvp(at, at, &mut out, &mut scratch);
            network.jvp_vjp(at, [&x, &x], &mut x_bar, &mut theta_bar, &mut second);
            assert!(optimizer.step(&mut theta, &theta_bar).is_ok());
        });
        assert_eq!(counted, 0, "batch {batch}");
    }
    Ok(())
}

/// Taylor coefficients of solutions, and their reverse.
#[test]
fn series_allocate_nothing() -> Result<()> {
    for activation in Activation::ALL {
        let network =
            Network::builder(20).concat_time().dense(30).activation(activation).dense(20).build()?;
        let theta: Vec<f64> = network.init(Initializer::GlorotNormal, 1)?;
        let x: Vec<f64> = (0..20 * 9).map(|i| f64::from(i).sin()).collect();
        let (mut first, mut top) = (x.clone(), x.clone());
        let (mut x_bar, mut theta_bar) = (x.clone(), theta.clone());
        let mut scratch = network.series_scratch(9, 4);
        let counted = allocations(|| {
            let at = Input { t: 0.5, x: &x, theta: &theta };
            network.solution_series(at, [&mut first, &mut top], &mut scratch);
            network.solution_series_vjp(at, [&x, &x], &mut x_bar, &mut theta_bar, &mut scratch);
        });
        assert_eq!(counted, 0, "{}", activation.name());
    }
    Ok(())
}
