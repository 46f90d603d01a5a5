//! Several tangents at once against one after the other.

use crate::{relative, wave};
use odeon::Result;
use odeon::nn::{Activation, Builder, Input, Network};

fn networks() -> Result<Vec<Network>> {
    let mut all = Vec::new();
    for activation in Activation::ALL {
        let last = Network::builder(3).concat_time().dense(9).activation(activation);
        all.push(last.concat_time().dense(3).activation(activation).build()?);
    }
    let block = |b: Builder| b.concat_time().dense(5).activation(Activation::Silu).dense(4);
    let start = Network::builder(3).activation(Activation::Cube).dense(4).layer_norm();
    all.push(start.residual(block).activation(Activation::Gelu).dense(2).build()?);
    let wide = Network::builder(3).dense(24).activation(Activation::Tanh).dense(24);
    all.push(wide.activation(Activation::Tanh).dense(3).build()?);
    Ok(all)
}

#[test]
fn they_equal_single_products_and_so_do_their_reverses() -> Result<()> {
    for (network, batch, k) in networks()?.into_iter().flat_map(|n| [(n.clone(), 1, 2), (n, 7, 3)]) {
        let theta: Vec<f64> = wave(network.layout().len(), 0.3).iter().map(|w| 0.6 * w + 0.1).collect();
        let (inputs, rows) = (network.input_dim() * batch, network.output_dim() * batch);
        let (x, v, u) = (wave(inputs, 0.8), wave(k * inputs, 2.6), wave(k * rows, 1.9));
        let out_bar = wave(rows, 0.4);
        let at = network.at(0.37, &x, &theta)?;
        // Larger memory than needed: it may not show.
        let mut scratch = network.tangents_scratch(batch + 1, k + 1);
        let mut tape = vec![f64::NAN; network.tangents_tape_len(batch, k)];
        let (mut out, mut dots) = (vec![0.0; rows], vec![0.0; k * rows]);
        network.tangents(at, &v, (&mut out, &mut dots), &mut tape, &mut scratch);
        let (mut x_bar, mut theta_bar) = (vec![0.25; inputs], vec![0.5; theta.len()]);
        let bars = [&out_bar[..], &u];
        let t_bar = network.tangents_vjp(at, (&out, &tape), bars, &mut x_bar, &mut theta_bar, &mut scratch);

        let mut single = network.scratch(batch);
        let mut want = vec![0.0; rows];
        network.forward(at, &mut want, &mut single);
        assert!(relative(&out, &want) < 1e-14);
        let (mut x_want, mut theta_want) = (vec![0.25; inputs], vec![0.5; theta.len()]);
        let mut t_want = network.vjp(at, &out_bar, &mut x_want, &mut theta_want, &mut single);
        let mut second = network.second_order_scratch(batch);
        for i in 0..k {
            let (v, u) = (&v[i * inputs..(i + 1) * inputs], &u[i * rows..(i + 1) * rows]);
            network.jvp(at, Input { t: 0.0, x: v, theta: &[] }, &mut want, &mut single);
            assert!(relative(&dots[i * rows..(i + 1) * rows], &want) < 1e-13);
            t_want += network.jvp_vjp(at, [v, u], &mut x_want, &mut theta_want, &mut second);
        }
        assert!(relative(&x_bar, &x_want) < 1e-12 && relative(&theta_bar, &theta_want) < 1e-12);
        assert!((t_bar - t_want).abs() < 1e-12 * t_want.abs().max(1.0), "{t_bar} {t_want}");
    }
    Ok(())
}
