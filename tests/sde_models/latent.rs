//! Latent SDEs: the bound, its parts and its gradient.

use super::common::{OfDiffusion, OfDrift, agree, check_products, differences, scattered};
use odeon::Result;
use odeon::integrate::Options;
use odeon::model::{Encoder, LatentNetworks, LatentSde, NeuralDiffusion, NoiseForm, Range, Series};
use odeon::nn::{Activation, Gru, Network};
use odeon::sde::System;
use odeon::sde::tableaux::{EulerMaruyama, SOSRI_EMBEDDED};

const LATENT: usize = 2;
const CONTEXT: usize = 3;
const TIMES: [f64; 4] = [0.0, 0.3, 0.5, 1.0];
const LOW: f64 = 0.3;

fn parts(range: Range, form: NoiseForm) -> Result<LatentNetworks> {
    let tanh = |inputs: usize, outputs: usize| {
        Network::builder(inputs).dense(5).activation(Activation::Tanh).dense(outputs).build()
    };
    let rows = if matches!(form, NoiseForm::Rows { .. }) { 1 } else { LATENT };
    Ok(LatentNetworks {
        posterior: Network::builder(LATENT + CONTEXT).concat_time().dense(LATENT).build()?,
        prior: Network::builder(LATENT).concat_time().dense(LATENT).build()?,
        diffusion: NeuralDiffusion::new(tanh(rows, rows)?, form, range)?,
        decoder: tanh(LATENT, 1)?,
        encoder: tanh(TIMES.len(), CONTEXT + 2 * LATENT)?.into(),
    })
}

fn model() -> Result<LatentSde> {
    let range = Range::Between { low: LOW, high: 0.9 };
    LatentSde::new(parts(range, NoiseForm::Rows { dim: LATENT })?, 0.4)
}

/// The same with a recurrent encoder that reads backwards.
fn backward() -> Result<LatentSde> {
    let range = Range::Between { low: LOW, high: 0.9 };
    let mut parts = parts(range, NoiseForm::Rows { dim: LATENT })?;
    let head = Network::builder(4).dense(CONTEXT + 2 * LATENT).build()?;
    parts.encoder = Encoder::Backward { gru: Gru::new(3, 4)?, head };
    LatentSde::new(parts, 0.4)
}

#[test]
fn drift_and_diffusion_have_their_products() -> Result<()> {
    let model = model()?;
    let theta: Vec<f64> = model.solver_theta(&model.init(Default::default(), 2)?);
    let y = scattered(3 * (LATENT + CONTEXT + 1), 2.0);
    let system = model.system();
    let g = System::<f64>::diffusion(system);
    let own = theta.len() - odeon::sde::Diffusion::<f64>::num_params(g);
    check_products("drift", &OfDrift(System::<f64>::drift(system)), 0.4, &y, &theta[..own])?;
    check_products("diffusion", &OfDiffusion(g), 0.4, &y, &theta[own..])
}

/// Sets the posterior to the prior's weights (none on the context) with `shift` on its first bias.
fn tie(model: &LatentSde, theta: &mut [f64], shift: f64) -> Result<()> {
    let layout = model.layout().clone();
    let prior: Vec<f64> = layout.view("prior.0.weight", theta)?.to_vec();
    let bias: Vec<f64> = layout.view("prior.0.bias", theta)?.to_vec();
    // Rows of (z, t) and of (z, c, t).
    let posterior = layout.view_mut("posterior.0.weight", theta)?;
    let rows = prior.chunks(LATENT + 1).zip(posterior.chunks_mut(LATENT + CONTEXT + 1));
    for (prior, posterior) in rows {
        posterior.fill(0.0);
        posterior[..LATENT].copy_from_slice(&prior[..LATENT]);
        posterior[LATENT + CONTEXT] = prior[LATENT];
    }
    layout.view_mut("posterior.0.bias", theta)?.copy_from_slice(&bias);
    layout.view_mut("posterior.0.bias", theta)?[0] += shift;
    Ok(())
}

#[test]
fn equal_drifts_have_no_divergence_and_a_shift_the_known_one() -> Result<()> {
    let model = model()?;
    let mut theta: Vec<f64> = model.init(Default::default(), 2)?;
    // g is the constant 0.6: the middle of its range, where the network gives 0.
    for (i, name) in ["diffusion.row0.2.weight", "diffusion.row1.2.weight"].iter().enumerate() {
        model.layout().view_mut(name, &mut theta)?.fill(0.0);
        model.layout().view_mut(&format!("diffusion.row{i}.2.bias"), &mut theta)?.fill(0.0);
    }
    let values = scattered(2 * TIMES.len(), 1.0);
    let series = Series { times: &TIMES, values: &values };
    let options = Options::fixed(0.05);
    tie(&model, &mut theta, 0.0)?;
    let (elbo, _) = model.elbo(&theta, &series, (7, 1.0), &EulerMaruyama, &options)?;
    assert_eq!(elbo.path, 0.0);
    assert!(elbo.start > 0.0);
    tie(&model, &mut theta, 0.9)?;
    let (elbo, _) = model.elbo(&theta, &series, (7, 1.0), &SOSRI_EMBEDDED, &options)?;
    let exact = 0.5 * (0.9f64 / 0.6).powi(2) * (TIMES[3] - TIMES[0]);
    assert!((elbo.path - exact).abs() < 1e-12, "{} {exact}", elbo.path);

    // The same start in both: no divergence there. (c, μ, ln σ) come from the encoder's last bias alone.
    model.layout().view_mut("encoder.2.weight", &mut theta)?.fill(0.0);
    let bias = [0.1, 0.2, 0.3, 0.5, -0.4, 0.2, -0.3];
    model.layout().view_mut("encoder.2.bias", &mut theta)?.copy_from_slice(&bias);
    model.layout().view_mut("start.mean", &mut theta)?.copy_from_slice(&bias[3..5]);
    model.layout().view_mut("start.log_sd", &mut theta)?.copy_from_slice(&bias[5..]);
    let (elbo, _) = model.elbo(&theta, &series, (7, 1.0), &EulerMaruyama, &options)?;
    assert!(elbo.start.abs() < 1e-15, "{}", elbo.start);
    // KL(N(0.5, s²) ‖ N(0, s²)) = 0.5²/(2s²), plus that of the other row.
    model.layout().view_mut("start.mean", &mut theta)?.copy_from_slice(&[0.0, -0.4]);
    let (elbo, _) = model.elbo(&theta, &series, (7, 1.0), &EulerMaruyama, &options)?;
    let exact = 0.125 / (2.0 * 0.2f64).exp();
    assert!((elbo.start - exact).abs() < 1e-14, "{} {exact}", elbo.start);
    Ok(())
}

#[test]
fn the_likelihood_is_gaussian() -> Result<()> {
    let model = model()?;
    let mut theta: Vec<f64> = model.init(Default::default(), 2)?;
    model.layout().view_mut("decoder.2.weight", &mut theta)?.fill(0.0);
    model.layout().view_mut("decoder.2.bias", &mut theta)?.fill(0.25);
    let values = scattered(3 * TIMES.len(), 1.0);
    let series = Series { times: &TIMES, values: &values };
    let (elbo, _) = model.elbo(&theta, &series, (7, 1.0), &EulerMaruyama, &Options::fixed(0.1))?;
    let density = |x: &f64| -0.5 * ((x - 0.25) / 0.4f64).powi(2) - (0.4 * std::f64::consts::TAU.sqrt()).ln();
    let exact = values.iter().map(density).sum::<f64>() / 3.0;
    assert!((elbo.log_likelihood - exact).abs() < 1e-12, "{} {exact}", elbo.log_likelihood);
    assert!((elbo.value() - (exact - elbo.start - elbo.path)).abs() < 1e-12);
    Ok(())
}

#[test]
fn the_gradient_of_the_bound_is_exact_on_its_noise() -> Result<()> {
    exact_gradient(&model()?)?;
    exact_gradient(&backward()?)
}

fn exact_gradient(model: &LatentSde) -> Result<()> {
    let theta: Vec<f64> = model.init(Default::default(), 4)?;
    let values = scattered(3 * TIMES.len(), 1.0);
    let series = Series { times: &TIMES, values: &values };
    let options = Options::fixed(0.1);
    for weight in [1.0, 0.3] {
        let loss = |theta: &[f64]| -> Result<f64> {
            let (elbo, _) = model.elbo(theta, &series, (7, weight), &SOSRI_EMBEDDED, &options)?;
            Ok(weight * (elbo.start + elbo.path) - elbo.log_likelihood)
        };
        let (_, gradient) = model.elbo(&theta, &series, (7, weight), &SOSRI_EMBEDDED, &options)?;
        let expected = differences(&theta, loss)?;
        agree("the bound", &gradient, &expected, 1e-7);
        assert!(gradient.iter().filter(|g| **g != 0.0).count() > gradient.len() * 9 / 10);
    }
    Ok(())
}

#[test]
fn posterior_paths_are_those_of_the_bound() -> Result<()> {
    own_paths(&model()?)?;
    own_paths(&backward()?)
}

fn own_paths(model: &LatentSde) -> Result<()> {
    let theta: Vec<f64> = model.init(Default::default(), 4)?;
    let values = scattered(3 * TIMES.len(), 1.0);
    let series = Series { times: &TIMES, values: &values };
    let options = Options::fixed(0.1);
    let x = model.posterior(&theta, &series, &TIMES, 7, &EulerMaruyama, &options)?;
    let density = |off: f64| -0.5 * (off / 0.4f64).powi(2) - (0.4 * std::f64::consts::TAU.sqrt()).ln();
    let each = (0..12).map(|i| density(x[i] - values[(i % 3) * 4 + i / 3]));
    let (elbo, _) = model.elbo(&theta, &series, (7, 1.0), &EulerMaruyama, &options)?;
    assert!((each.sum::<f64>() / 3.0 - elbo.log_likelihood).abs() < 1e-12);
    Ok(())
}

#[test]
fn a_backward_context_knows_what_is_to_come_only() -> Result<()> {
    let model = backward()?;
    let mut theta: Vec<f64> = model.init(Default::default(), 4)?;
    // The start does not depend on the observations: no weights from the state to μ_q and ln σ_q.
    let head = model.layout().view_mut("encoder.head.0.weight", &mut theta)?;
    head[4 * CONTEXT..].fill(0.0);
    let options = Options::fixed(0.05);
    let grid: Vec<f64> = (0..=20).map(|i| 0.05 * f64::from(i)).collect();
    let paths = |values: &[f64]| {
        let series = Series { times: &TIMES, values };
        model.posterior(&theta, &series, &grid, 7, &EulerMaruyama, &options)
    };
    let mut values = scattered(TIMES.len(), 1.0);
    let before = paths(&values)?;
    assert_eq!(before.len(), grid.len());
    // The first observation tells of the start only, the last one of all intervals.
    values[0] += 1.0;
    assert_eq!(paths(&values)?, before);
    values[3] += 1.0;
    let after = paths(&values)?;
    assert_eq!(after[0], before[0]);
    assert!(after[1..].iter().zip(&before[1..]).all(|(a, b)| a != b));
    Ok(())
}

#[test]
fn equal_drifts_have_no_divergence_over_intervals_either() -> Result<()> {
    let model = backward()?;
    let mut theta: Vec<f64> = model.init(Default::default(), 2)?;
    // Networks without a time: the posterior's is that in the interval, the prior's the time itself.
    for (name, rows) in [("prior.0.weight", LATENT + 1), ("posterior.0.weight", LATENT + CONTEXT + 1)] {
        let weight = model.layout().view_mut(name, &mut theta)?;
        weight.chunks_mut(rows).for_each(|row| row[rows - 1] = 0.0);
    }
    let values = scattered(2 * TIMES.len(), 1.0);
    let series = Series { times: &TIMES, values: &values };
    tie(&model, &mut theta, 0.0)?;
    let (elbo, _) = model.elbo(&theta, &series, (7, 1.0), &EulerMaruyama, &Options::fixed(0.05))?;
    assert_eq!(elbo.path, 0.0);
    let beyond = [0.0, 0.5, 1.5];
    let posterior = model.posterior(&theta, &series, &beyond, 7, &EulerMaruyama, &Options::fixed(0.05));
    let message = posterior.map(drop).unwrap_err().to_string();
    assert!(message.contains("solve the prior from there"), "{message}");
    Ok(())
}

#[test]
fn parts_that_do_not_fit_are_refused() -> Result<()> {
    let say = |r: Result<LatentSde>| r.map(drop).unwrap_err().to_string();
    let good = Range::Positive { floor: 0.1 };
    let rows = NoiseForm::Rows { dim: LATENT };
    assert!(say(LatentSde::new(parts(Range::Any, rows)?, 1.0)).contains("above a positive number"));
    assert!(
        say(LatentSde::new(parts(Range::Positive { floor: 0.0 }, rows)?, 1.0)).contains("positive number")
    );
    assert!(say(LatentSde::new(parts(good, NoiseForm::Crossed)?, 1.0)).contains("diagonal noise"));
    assert!(say(LatentSde::new(parts(good, rows)?, 0.0)).contains("positive"));
    let mut wrong = parts(good, rows)?;
    wrong.encoder = Encoder::Backward { gru: Gru::new(2, 4)?, head: Network::builder(4).dense(7).build()? };
    assert!(say(LatentSde::new(wrong, 1.0)).contains("its time, and the gap"));
    let mut wrong = parts(good, rows)?;
    wrong.encoder = Encoder::Backward { gru: Gru::new(3, 4)?, head: Network::builder(5).dense(7).build()? };
    assert!(say(LatentSde::new(wrong, 1.0)).contains("recurrent unit"));
    let mut wrong = parts(good, rows)?;
    wrong.prior = Network::builder(LATENT + 1).dense(LATENT + 1).build()?;
    assert!(LatentSde::new(wrong, 1.0).is_err());
    let model = LatentSde::new(parts(good, rows)?, 1.0)?;
    let theta: Vec<f64> = model.init(Default::default(), 4)?;
    let series = Series { times: &TIMES[..3], values: &[0.0; 12] };
    assert!(model.elbo(&theta, &series, (0, 1.0), &EulerMaruyama, &Options::fixed(0.1)).is_err());
    let series = Series { times: &TIMES, values: &[0.0; 11] };
    assert!(model.elbo(&theta, &series, (0, 1.0), &EulerMaruyama, &Options::fixed(0.1)).is_err());
    Ok(())
}
