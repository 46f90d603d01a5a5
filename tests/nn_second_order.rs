//! Gradients of a network's Jacobian–vector products, and the penalty made of them.

#[path = "regularise_support/differences.rs"]
mod differences;
mod regularise_support;

use differences::{difference, loss};
use odeon::Result;
use odeon::adjoint::DiscreteAdjoint;
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::{Dynamics, Point, SecondOrder};
use odeon::integrate::{Options, Problem};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Builder, Input, Network};
use odeon::ode::ExplicitStepper;
use odeon::ode::tableaux::Tsit5;
use odeon::regularise::Rnode;
use regularise_support::{Net, Setup};

/// A fixed, irregular sequence in (−1, 1).
fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + 12.9 * seed + (i as f64).sqrt()).sin()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

type Case = (String, Network, usize);

/// Every activation alone, twice, fused in the middle and last; every layer; every product path.
fn cases() -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name: &str, builder: Builder, batch: usize| -> Result<()> {
        cases.push((name.to_string(), builder.build()?, batch));
        Ok(())
    };
    for activation in Activation::ALL {
        let name = activation.name();
        add(name, Network::builder(5).activation(activation), 3)?;
        let fused = Network::builder(3).concat_time().dense(9);
        let fused = fused.activation(activation).dense(4);
        add(&format!("dense {name} dense"), fused, 3)?;
        let twice = Network::builder(3).dense(4).activation(activation);
        let twice = twice.activation(activation);
        add(&format!("dense {name} {name}"), twice, 2)?;
        let last = Network::builder(3).activation(Activation::Cube).dense(3);
        add(&format!("cube dense {name}"), last.activation(activation), 2)?;
    }
    let (tanh, gelu) = (Activation::Tanh, Activation::Gelu);
    let cube = || Network::builder(4).activation(Activation::Cube);
    add("layer norm", Network::builder(7).layer_norm(), 4)?;
    add("wide ε", Network::builder(3).layer_norm_with(0.5), 2)?;
    add("norm after", cube().layer_norm().dense(3), 2)?;
    add("norm first", Network::builder(4).layer_norm().activation(tanh), 2)?;
    let open = Network::builder(4).residual(|b| b.dense(9).activation(gelu).dense(4));
    add("residual first", open.activation(tanh), 3)?;
    add("residual last", cube().residual(|b| b.activation(tanh)), 3)?;
    let nested = Network::builder(4).dense(6).layer_norm().residual(|b| {
        let b = b.activation(Activation::Silu);
        let b = b.residual(|b| b.activation(Activation::Sin));
        b.concat_time().dense(8).activation(tanh).dense(6)
    });
    let nested = nested.activation(Activation::Softplus);
    add("nested", nested.dense(4), 5)?;
    for batch in [1, 12] {
        let wide = Network::builder(12).concat_time().dense(15);
        let wide = wide.activation(tanh).dense_without_bias(13);
        add("blocked", wide.activation(Activation::Sigmoid), batch)?;
    }
    Ok(cases)
}

#[test]
fn products_match_differences_of_jvp_for_every_layer() -> Result<()> {
    for (name, network, batch) in cases()? {
        let theta: Vec<f64> = wave(network.layout().len(), 0.3).iter().map(|w| 0.6 * w + 0.1).collect();
        let (inputs, rows) = (network.input_dim() * batch, network.output_dim() * batch);
        let (x, direction, bar) = (wave(inputs, 0.8), wave(inputs, 2.6), wave(rows, 1.9));
        let mut scratch = network.scratch(batch);
        let theta_dot = wave(theta.len(), 3.1);
        let along = Input { t: 0.6, x: &direction, theta: &theta_dot };
        // uᵀ(N_t ṫ + N_x ẋ + N_θ θ̇) as a function of (t, x, θ) in one vector.
        let mut phi = |all: &[f64]| {
            let (x, theta) = all[1..].split_at(inputs);
            let (t, mut out) = (all[0], vec![0.0; rows]);
            network.jvp(Input { t, x, theta }, along, &mut out, &mut scratch);
            dot(&out, &bar)
        };
        let mut all = [&[0.37], x.as_slice(), &theta].concat();
        // Larger memory than needed, and used before: neither may show.
        let mut memory = network.second_order_scratch(batch + 1);
        let (mut x_bar, mut theta_bar) = (vec![0.25; inputs], vec![0.5; theta.len()]);
        let at = network.at(0.37, &x, &theta)?;
        let mut run = |x_bar: &mut [f64], theta_bar: &mut [f64]| {
            network.tangent_vjp(at, along, &bar, x_bar, theta_bar, &mut memory)
        };
        run(&mut vec![0.0; inputs], &mut vec![0.0; theta.len()]);
        let t_bar = run(&mut x_bar, &mut theta_bar);
        let got = [t_bar].into_iter().chain(x_bar.iter().map(|b| b - 0.25));
        let got: Vec<f64> = got.chain(theta_bar.iter().map(|b| b - 0.5)).collect();
        let scale = got.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        let stride = all.len().div_ceil(150);
        for i in (0..all.len()).step_by(stride) {
            let start = all[i];
            let mut moved = |d: f64| {
                all[i] = start + d;
                let value = phi(&all);
                all[i] = start;
                value
            };
            let d = 1e-3;
            let near = moved(d) - moved(-d);
            let want = (8.0 * near - moved(2.0 * d) + moved(-2.0 * d)) / (12.0 * d);
            assert!(
                (got[i] - want).abs() <= 1e-8 * scale.max(0.1),
                "{name} × {batch}: {i} of {}: {} {want}",
                got.len(),
                got[i]
            );
        }
    }
    Ok(())
}

/// y' = V tanh(W y³ + w t), as [`Net`].
fn net() -> Result<NeuralOde> {
    let builder = Network::builder(2).activation(Activation::Cube);
    let hidden = builder.concat_time().dense_without_bias(3);
    let tanh = hidden.activation(Activation::Tanh);
    NeuralOde::new(tanh.dense_without_bias(2).build()?)
}

/// Places of [`net`]'s parameters in those of [`Net`], which go unit by unit (w₀, w₁, w_t, v₀, v₁).
fn places() -> Vec<usize> {
    let hidden = (0..3).flat_map(|unit| (0..3).map(move |k| 5 * unit + k));
    let out = (0..2).flat_map(|row| (0..3).map(move |unit| 5 * unit + 3 + row));
    hidden.chain(out).collect()
}

#[test]
fn products_equal_those_of_dual_numbers_on_a_tape() -> Result<()> {
    let (network, generic, order) = (net()?, Net::field(), places());
    let given = Net::theta();
    let theta: Vec<f64> = order.iter().map(|&k| given[k]).collect();
    let (t, y, direction, bar) = (0.4, wave(6, 0.2), wave(6, 1.2), wave(6, 2.2));
    let products = [direction.as_slice(), &bar];
    let (mut y_bar, mut theta_bar) = (vec![0.0; 6], vec![0.0; 15]);
    let mut memory = SecondOrder::<f64>::memory(&network, 3);
    let at = Point { t, y: &y, theta: &theta };
    let t_bar = network.jvp_vjp(at, products, &mut y_bar, &mut theta_bar, &mut memory);
    let (mut want, mut theta_want) = (vec![0.0; 6], vec![0.0; 15]);
    let mut memory = SecondOrder::<f64>::memory(&generic, 3);
    let at = Point { t, y: &y, theta: &given };
    let t_want = generic.jvp_vjp(at, products, &mut want, &mut theta_want, &mut memory);
    assert!(t_want.abs() > 1e-3);
    want.extend(order.iter().map(|&k| theta_want[k]));
    let got = [y_bar, theta_bar].concat();
    for (got, want) in got.iter().zip(&want).chain([(&t_bar, &t_want)]) {
        assert!((got - want).abs() <= 1e-12, "{got} {want}");
    }
    Ok(())
}

/// All layers at once, with time.
fn layered() -> Result<NeuralOde> {
    let block = |b: Builder| b.dense(5).activation(Activation::Silu).dense(4);
    let first = Network::builder(2).concat_time().dense(4);
    let middle = first.activation(Activation::Tanh).layer_norm().residual(block);
    NeuralOde::new(middle.activation(Activation::Gelu).dense(2).build()?)
}

#[test]
fn rnode_on_a_network_passes_the_gradient_check() -> Result<()> {
    for model in [net()?, layered()?] {
        let rnode = Rnode::new(&model, 3, 1);
        let mut y = Vec::new();
        rnode.augment(&wave(6, 0.4), &mut y)?;
        let theta: Vec<f64> = wave(Dynamics::<f64>::num_params(&model), 0.9);
        let report = check_gradient(&rnode, 0.3, &y, &theta, &CheckOptions::default())?;
        assert!(report.passed(), "{report}");
    }
    Ok(())
}

#[test]
fn rnode_on_a_network_has_the_exact_gradient_at_replayed_steps() -> Result<()> {
    for model in [net()?, layered()?] {
        let setup = Setup::default();
        let rnode = Rnode::new(&model, setup.batch, 7);
        let theta: Vec<f64> = wave(Dynamics::<f64>::num_params(&model), 0.9);
        let mut y0 = Vec::new();
        rnode.augment(&setup.y0(), &mut y0)?;
        let options = Options { norm: rnode.norm(&setup.options.norm), ..setup.options };
        let stepper = ExplicitStepper::new(&rnode, &Tsit5, setup.batch);
        let mut adjoint = DiscreteAdjoint::new(stepper, setup.memory);
        // The state's rows and, weighted, both additional ones.
        let whole = |y: &odeon::integrate::Solution<f64>, bar: &mut [f64]| {
            let value = loss(y, bar);
            let last = y.last();
            let start = bar.len() - last.len();
            let [e, q] = rnode.read(last, [0.3, 2.0], &mut bar[start..]);
            value + 0.3 * e + 2.0 * q
        };
        let given = Problem { y0: &y0, span: setup.span, theta: &theta };
        adjoint.value_and_gradient(&given, &options, &mut [], |s, bar| Ok(whole(s, bar)))?;
        let gradient = adjoint.theta_gradient().to_vec();
        let recorded = adjoint.solution().clone();
        let scale = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        assert!(recorded.steps.len() > 2 && scale > 0.1);
        let mut moved = theta.clone();
        for i in 0..theta.len() {
            let mut failure = None;
            let want = difference(|d| {
                moved[i] = theta[i] + d;
                let point = Problem { theta: &moved, ..given };
                let replayed = adjoint.replay(&point, &recorded, &options, &mut []);
                moved[i] = theta[i];
                match replayed {
                    Ok(solution) => whole(solution, &mut vec![0.0; solution.y.len()]),
                    Err(error) => {
                        failure = Some(error);
                        0.0
                    }
                }
            });
            failure.map_or(Ok(()), Err)?;
            let error = (gradient[i] - want).abs() / scale;
            assert!(error <= 1e-7, "θ {i}: {} {want}, off by {error:e}", gradient[i]);
        }
    }
    Ok(())
}
