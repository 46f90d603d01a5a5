//! Every layer and several chains: vjp against jvp, jvp against finite differences, batch against
//! single columns, accumulation, and the name of the unit that went non-finite.

#[path = "nn_gradients/gru.rs"]
mod gru;

use odeon::Result;
use odeon::dynamics::{Dynamics, Point, Tangent};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Builder, Initializer, Input, Network};
use odeon::num::Real;

/// A fixed, irregular sequence in (−1, 1).
fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + 12.9 * seed + (i as f64).sqrt()).sin()).collect()
}

fn parameters(network: &Network) -> Vec<f64> {
    // Every parameter non-trivial, gains and shifts included.
    let scale = 0.6;
    wave(network.layout().len(), 0.3).iter().map(|w| scale * w + 0.1).collect()
}

type Case = (String, Network, usize);

/// Every layer alone and chains that take each of the product paths (direct tall, direct wide,
/// blocked; with and without a time column).
fn cases() -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name: &str, builder: Builder, batch: usize| -> Result<()> {
        cases.push((name.to_string(), builder.build()?, batch));
        Ok(())
    };
    for activation in Activation::ALL {
        let name = activation.name();
        add(name, Network::builder(5).activation(activation), 3)?;
        let fused = Network::builder(3).dense(21).activation(activation).dense(3);
        add(&format!("dense {name} dense"), fused, 3)?;
        let last = Network::builder(3).concat_time().dense(3).activation(activation);
        add(&format!("dense {name}"), last, 2)?;
        let twice = Network::builder(4).activation(activation).activation(activation);
        add(&format!("{name} {name}"), twice, 2)?;
    }
    for batch in [1, 2, 3, 4, 7, 20] {
        add("wide", Network::builder(19).dense(6), batch)?;
        add("tall", Network::builder(6).dense(19), batch)?;
        add("wide t", Network::builder(19).concat_time().dense(6), batch)?;
        add("tall t", Network::builder(2).concat_time().dense(35), batch)?;
        add("tall 2", Network::builder(2).dense_without_bias(35), batch)?;
    }
    add("blocked", Network::builder(40).dense(33), 32)?;
    add("blocked t", Network::builder(40).concat_time().dense(33), 32)?;
    add("blocked no bias", Network::builder(33).concat_time().dense_without_bias(40), 32)?;
    add("layer norm", Network::builder(7).layer_norm(), 4)?;
    let tanh = Activation::Tanh;
    let spiral = Network::builder(2).activation(Activation::Cube).dense(50);
    add("spiral", spiral.activation(tanh).dense(2), 20)?;
    let image = Network::builder(24).concat_time().dense(40).activation(tanh);
    add("image", image.concat_time().dense(24).activation(tanh), 40)?;
    let open = Network::builder(4).residual(|b| b.dense(9).activation(Activation::Gelu).dense(4));
    add("residual first", open.activation(tanh), 3)?;
    let nested = Network::builder(4).dense(6).layer_norm().residual(|b| {
        let b = b.activation(Activation::Silu).residual(|b| b.activation(Activation::Sin));
        b.concat_time().dense(8).activation(tanh).dense(6)
    });
    add("nested", nested.activation(Activation::Softplus).dense(4), 5)?;
    Ok(cases)
}

struct Run<'a> {
    network: &'a Network,
    theta: Vec<f64>,
    x: Vec<f64>,
    t: f64,
    batch: usize,
}

impl<'a> Run<'a> {
    fn new(network: &'a Network, batch: usize) -> Self {
        Self {
            network,
            theta: parameters(network),
            x: wave(network.input_dim() * batch, 0.8),
            t: 0.37,
            batch,
        }
    }

    fn forward(&self, t: f64, x: &[f64], theta: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![f64::NAN; self.network.output_dim() * self.batch];
        let mut scratch = self.network.scratch(self.batch);
        self.network.forward(self.network.at(t, x, theta)?, &mut out, &mut scratch);
        Ok(out)
    }

    fn jvp(&self, t_dot: f64, x_dot: &[f64], theta_dot: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![f64::NAN; self.network.output_dim() * self.batch];
        let mut scratch = self.network.scratch(self.batch);
        let at = self.network.at(self.t, &self.x, &self.theta)?;
        let dot = odeon::nn::Input { t: t_dot, x: x_dot, theta: theta_dot };
        self.network.jvp(at, dot, &mut out, &mut scratch);
        Ok(out)
    }

    /// Cotangents of t, x and θ, accumulated into `start`-filled memory.
    fn vjp(&self, out_bar: &[f64], start: f64) -> Result<(f64, Vec<f64>, Vec<f64>)> {
        let mut x_bar = vec![start; self.x.len()];
        let mut theta_bar = vec![start; self.theta.len()];
        let mut scratch = self.network.scratch(self.batch);
        let at = self.network.at(self.t, &self.x, &self.theta)?;
        let t_bar = self.network.vjp(at, out_bar, &mut x_bar, &mut theta_bar, &mut scratch);
        Ok((t_bar, x_bar, theta_bar))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[test]
fn vjp_is_the_transpose_of_jvp_entry_by_entry() -> Result<()> {
    for (name, network, batch) in cases()? {
        let run = Run::new(&network, batch);
        let out_bar = wave(network.output_dim() * batch, 2.2);
        let (t_bar, x_bar, theta_bar) = run.vjp(&out_bar, 0.0)?;
        let zero = vec![0.0; run.x.len()];
        let along_t = run.jvp(1.0, &zero, &[])?;
        let scale = norm(&out_bar) * (1.0 + norm(&along_t));
        let error = (t_bar - dot(&along_t, &out_bar)).abs();
        assert!(error <= 1e-12 * scale, "{name} × {batch}: t_bar {t_bar}, off by {error:e}");

        let check = |which: &str, bar: &[f64], jvp: &dyn Fn(&[f64]) -> Result<Vec<f64>>| -> Result<()> {
            let scale = norm(bar).max(1e-3);
            let stride = bar.len().div_ceil(60).max(1);
            for i in (0..bar.len()).step_by(stride) {
                let mut unit = vec![0.0; bar.len()];
                unit[i] = 1.0;
                let error = (bar[i] - dot(&jvp(&unit)?, &out_bar)).abs();
                assert!(error <= 1e-12 * scale, "{name} × {batch}: {which}[{i}] off by {error:e}");
            }
            let all = wave(bar.len(), 4.4);
            let error = (dot(bar, &all) - dot(&jvp(&all)?, &out_bar)).abs();
            let scale = scale * norm(&all);
            assert!(error <= 1e-12 * scale, "{name} × {batch}: {which} off by {error:e}");
            Ok(())
        };
        check("x_bar", &x_bar, &|unit| run.jvp(0.0, unit, &[]))?;
        check("theta_bar", &theta_bar, &|unit| run.jvp(0.0, &zero, unit))?;
    }
    Ok(())
}

#[test]
fn jvp_agrees_with_finite_differences_in_every_direction_kind() -> Result<()> {
    for (name, network, batch) in cases()? {
        // Relu's kink would be straddled by a difference in some entry only by bad luck; the
        // sequences keep all units away from it.
        let run = Run::new(&network, batch);
        let x_dot = wave(run.x.len(), 5.5);
        let theta_dot = wave(run.theta.len(), 6.6);
        for (t_dot, use_x, use_theta) in [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.7, 1.0, -0.4)]
        {
            let x_dot: Vec<_> = x_dot.iter().map(|v| v * use_x).collect();
            let theta_dot: Vec<_> = theta_dot.iter().map(|v| v * use_theta).collect();
            let exact = run.jvp(t_dot, &x_dot, &theta_dot)?;
            let at = |h: f64| {
                let x: Vec<_> = run.x.iter().zip(&x_dot).map(|(x, d)| h.mul_add(*d, *x)).collect();
                let theta: Vec<_> =
                    run.theta.iter().zip(&theta_dot).map(|(x, d)| h.mul_add(*d, *x)).collect();
                run.forward(run.t + h * t_dot, &x, &theta)
            };
            // Fourth-order central difference.
            let h = 1e-4;
            let (a, b, c, d) = (at(-2.0 * h)?, at(-h)?, at(h)?, at(2.0 * h)?);
            let value = norm(&at(0.0)?);
            let error: f64 = (0..exact.len())
                .map(|i| ((a[i] - 8.0 * b[i] + 8.0 * c[i] - d[i]) / (12.0 * h) - exact[i]).powi(2))
                .sum::<f64>()
                .sqrt();
            let scale = norm(&exact) + value;
            assert!(
                error <= 1e-9 * scale,
                "{name} × {batch}, ({t_dot}, {use_x}, {use_theta}): {error:e} of {scale:e}"
            );
        }
    }
    Ok(())
}

#[test]
fn taped_passes_have_the_same_bits() -> Result<()> {
    for (name, network, batch) in cases()? {
        let run = Run::new(&network, batch);
        let out_bar = wave(network.output_dim() * batch, 2.2);
        let at = network.at(run.t, &run.x, &run.theta)?;
        let mut out = vec![f64::NAN; out_bar.len()];
        let mut tape = vec![f64::NAN; network.tape_len(batch)];
        // A larger scratch, so that nothing relies on its size.
        let mut scratch = network.scratch(batch + 1);
        network.forward_taped(at, &mut out, &mut tape, &mut scratch);
        assert_eq!(out, run.forward(run.t, &run.x, &run.theta)?, "{name}");
        let mut x_bar = vec![0.5; run.x.len()];
        let mut theta_bar = vec![0.5; run.theta.len()];
        // The reverse must live on the tape alone.
        let mut scratch = network.scratch(batch);
        let taped = (&out[..], &tape[..]);
        let t_bar = network.vjp_taped(at, taped, &out_bar, &mut x_bar, &mut theta_bar, &mut scratch);
        assert_eq!((t_bar, x_bar, theta_bar), run.vjp(&out_bar, 0.5)?, "{name}");
    }
    Ok(())
}

#[test]
fn vjp_accumulates() -> Result<()> {
    for (name, network, batch) in cases()? {
        let run = Run::new(&network, batch);
        let out_bar = wave(network.output_dim() * batch, 2.2);
        let (t0, x0, theta0) = run.vjp(&out_bar, 0.0)?;
        let (t1, x1, theta1) = run.vjp(&out_bar, 3.0)?;
        assert_eq!(t0, t1, "{name}");
        let scale = 1.0 + norm(&x0) + norm(&theta0);
        for (a, b) in x0.iter().zip(&x1).chain(theta0.iter().zip(&theta1)) {
            assert!((a + 3.0 - b).abs() <= 1e-13 * scale, "{name}: {a} + 3 against {b}");
        }
    }
    Ok(())
}

#[test]
fn a_batch_is_its_columns() -> Result<()> {
    for (name, network, batch) in cases()? {
        let run = Run::new(&network, batch);
        let together = run.forward(run.t, &run.x, &run.theta)?;
        let (ins, outs) = (network.input_dim(), network.output_dim());
        let mut scratch = network.scratch(batch);
        for (x, expected) in run.x.chunks_exact(ins).zip(together.chunks_exact(outs)) {
            let mut out = vec![0.0; outs];
            network.forward(network.at(run.t, x, &run.theta)?, &mut out, &mut scratch);
            if name.starts_with("blocked") || name == "image" {
                // A blocked product adds in another order than the single column's dot products.
                let error = out.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
                assert!(error.sqrt() <= 1e-13 * norm(expected), "{name}: {error:e}");
            } else {
                assert_eq!(out, expected, "{name} × {batch}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_dense_layer_is_w_x_plus_b_with_torchs_storage() -> Result<()> {
    // W = [[1, 2, 3], [4, 5, 6]] row-major with the time column last, b = [10, 20].
    let network = Network::builder(2).concat_time().dense(2).build()?;
    let theta = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 20.0];
    assert_eq!(network.layout().entries()[0].shape, [2, 3]);
    let mut out = [0.0; 4];
    let at = network.at(2.0, &[1.0, 1.0, 0.5, -1.0], &theta)?;
    network.forward(at, &mut out, &mut network.scratch(2));
    assert_eq!(out, [19.0, 41.0, 14.5, 29.0]);
    Ok(())
}

/// A layer's output from its definition, in f64, and the sum of the magnitudes that were added.
fn plain(layer: &Network, t: f64, x: &[f64], theta: &[f64]) -> (Vec<f64>, f64) {
    let entries = layer.layout().entries();
    let (rows, width) = (entries[0].shape[0], entries[0].shape[1]);
    let (weight, bias) = theta.split_at(rows * width);
    let input = |p: usize| x.get(p).copied().unwrap_or(t);
    let row = |i: usize| (0..width).map(move |p| weight[i * width + p] * input(p));
    let sums = (0..rows).map(|i| row(i).sum::<f64>() + bias.get(i).unwrap_or(&0.0)).collect();
    let size = |i: usize| row(i).map(f64::abs).sum::<f64>() + 1.0;
    (sums, (0..rows).map(size).fold(0.0, f64::max))
}

/// Large batches, one scratch for every θ and batch: outputs and tangents from the definition, and
/// the same bits in a batch of another size.
fn check_large_batches<T: Real>(layer: &Network) -> Result<()> {
    let (ins, outs, t) = (layer.input_dim(), layer.output_dim(), 0.7);
    let cast = |x: &[f64]| x.iter().map(|&v| T::of(v)).collect::<Vec<T>>();
    let mut scratch = layer.scratch::<T>(523);
    let x = cast(&wave(ins * 523, 0.2));
    let mut theta = cast(&wave(layer.layout().len(), 0.3));
    let mut first: Vec<T> = Vec::new();
    // The same slice, other parameters: nothing of the first may be left anywhere.
    for change in [1.0, -1.5] {
        theta.iter_mut().step_by(3).for_each(|v| *v *= T::of(change));
        for batch in [523, 512, 5] {
            let mut out = vec![T::of(0.0); outs * batch];
            let x = &x[..ins * batch];
            let at = layer.at(T::of(t), x, &theta)?;
            layer.forward(at, &mut out, &mut scratch);
            let wide = |v: &[T]| v.iter().map(|v| v.f64()).collect::<Vec<f64>>();
            for (x, out) in x.chunks_exact(ins).zip(out.chunks_exact(outs)) {
                let (want, size) = plain(layer, t, &wide(x), &wide(&theta));
                for (i, (got, want)) in out.iter().zip(want).enumerate() {
                    let error = (got.f64() - want).abs();
                    assert!(
                        error <= 4.0 * T::EPSILON.f64() * size,
                        "{ins}-{outs} × {batch}, row {i}: {error:e}"
                    );
                }
            }
            match batch {
                523 => first.clone_from(&out),
                512 => assert_eq!(out, first[..out.len()], "{ins}-{outs} in another batch"),
                _ => {}
            }
            // Along (0, x, θ) the tangent is W x + out, and along x alone W x.
            let mut along = out.clone();
            let still = Input { t: T::of(0.0), ..at };
            let none = Input { t: T::of(0.0), x: at.x, theta: &[] };
            layer.jvp(at, none, &mut along, &mut scratch);
            let mut both = out.clone();
            layer.jvp(at, still, &mut both, &mut scratch);
            for ((both, along), out) in both.iter().zip(&along).zip(&out) {
                let error = (*both - (*along + *out)).abs().f64();
                let bound = 16.0 * T::EPSILON.f64() * (1.0 + ins as f64);
                assert!(error <= bound, "{ins}-{outs} × {batch}: {error:e}");
            }
        }
    }
    Ok(())
}

#[test]
fn large_batches_are_the_definition_for_every_theta() -> Result<()> {
    // Rows: whole strips of 16, four and five more (dot products, a part of a strip).
    for (ins, outs) in [(7, 16), (18, 36), (13, 53), (40, 31)] {
        for layer in [
            Network::builder(ins).dense(outs).build()?,
            Network::builder(ins).concat_time().dense(outs).build()?,
            Network::builder(ins).concat_time().dense_without_bias(outs).build()?,
        ] {
            check_large_batches::<f32>(&layer)?;
            check_large_batches::<f64>(&layer)?;
        }
    }
    Ok(())
}

#[test]
fn single_precision_follows_double() -> Result<()> {
    for (name, network, batch) in cases()? {
        let run = Run::new(&network, batch);
        let expected = run.forward(run.t, &run.x, &run.theta)?;
        let x: Vec<f32> = run.x.iter().map(|&v| v as f32).collect();
        let theta: Vec<f32> = run.theta.iter().map(|&v| v as f32).collect();
        let mut out = vec![0.0f32; expected.len()];
        network.forward(network.at(run.t as f32, &x, &theta)?, &mut out, &mut network.scratch(batch));
        let error: f64 = out.iter().zip(&expected).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum();
        assert!(error.sqrt() <= 2e-6 * (1.0 + norm(&expected)), "{name}: {:e}", error.sqrt());
    }
    Ok(())
}

#[test]
fn a_network_is_a_right_hand_side() -> Result<()> {
    let network = Network::builder(2).concat_time().dense(8).activation(Activation::Tanh).dense(2).build()?;
    let theta: Vec<f64> = network.init(Initializer::GlorotNormal, 1)?;
    let model = NeuralOde::new(network)?;
    assert_eq!((Dynamics::<f64>::dim(&model), Dynamics::<f64>::num_params(&model)), (2, 50));
    let (mut scratch, y) = (Dynamics::<f64>::scratch(&model, 2), [1.0, 2.0, 3.0, 4.0]);
    let at = Point { t: 0.5, y: &y, theta: &theta };
    let (mut dy, mut along_t) = ([0.0; 4], [0.0; 4]);
    model.eval(at, &mut dy, &mut scratch);
    let dot = Tangent { t: 1.0, y: &[0.0; 4], theta: &[] };
    model.jvp(at, dot, &mut along_t, &mut scratch);
    let (mut y_bar, mut theta_bar) = ([0.0; 4], vec![0.0; 50]);
    let t_bar = model.vjp(at, &[1.0; 4], &mut y_bar, &mut theta_bar, &mut scratch);
    assert!(t_bar != 0.0 && (t_bar - along_t.iter().sum::<f64>()).abs() < 1e-14);
    let narrow = Network::builder(2).dense(3).build()?;
    let message = NeuralOde::new(narrow).expect_err("3 ≠ 2").to_string();
    assert!(message.contains("2 rows in, 3 out"), "{message}");
    Ok(())
}

#[test]
fn the_unit_that_went_non_finite_is_named() -> Result<()> {
    let network = Network::builder(2)
        .dense(4)
        .activation(Activation::Cube)
        .residual(|b| b.dense(4).activation(Activation::Tanh))
        .dense(2)
        .build()?;
    let zero = vec![0.0; network.layout().len()];
    let name = |entries: &[(&str, usize, f64)], x: &[f64]| -> Result<Option<String>> {
        let mut theta = zero.clone();
        for &(name, index, value) in entries {
            network.layout().view_mut(name, &mut theta)?[index] = value;
        }
        Ok(network.locate_non_finite(network.at(0.0, x, &theta)?))
    };
    let x = [1.0, 1.0, 2.0, 2.0];
    assert_eq!(name(&[], &x)?, None);
    let is = |found: Option<String>, expected: &str| assert_eq!(found.as_deref(), Some(expected));
    is(name(&[("0.bias", 3, f64::NAN)], &x)?, "layer 0 (dense), unit 3");
    is(name(&[("0.weight", 4, 1e200)], &x)?, "layer 1 (cube), unit 2");
    is(name(&[("2.0.bias", 1, f64::INFINITY)], &x)?, "layer 2.0 (dense), unit 1");
    is(name(&[("3.weight", 7, f64::NAN)], &x)?, "layer 3 (dense), unit 1");
    is(name(&[], &[1.0, 1.0, 1.0, f64::NAN])?, "the network's input, row 1");
    Ok(())
}

#[test]
fn impossible_networks_are_explained() {
    let refused = [
        (Network::builder(0).dense(2), "at least one row"),
        (Network::builder(2), "at least one layer"),
        (Network::builder(2).dense(0), "at least one"),
        (Network::builder(2).concat_time(), "a dense layer must follow"),
        (Network::builder(2).concat_time().activation(Activation::Tanh), "a dense layer must follow"),
        (Network::builder(2).concat_time().concat_time().dense(2), "one time input"),
        (Network::builder(2).residual(|b| b.dense(3)), "it must give 2"),
        (Network::builder(2).residual(|b| b.dense(2).concat_time()).dense(2), "a dense layer must follow"),
        (Network::builder(2).layer_norm_with(0.0), "positive"),
    ];
    for (builder, part) in refused {
        let message = builder.build().expect_err(part).to_string();
        assert!(message.contains(part), "{message}");
    }
    let network = Network::builder(2).dense(2).build().expect("fine");
    assert!(network.at(0.0, &[1.0; 3], &[0.0; 6]).is_err());
    assert!(network.at(0.0, &[1.0; 2], &[0.0; 5]).is_err());
}
