//! W7: convolution 24 → 24 channels, kernel 3, padding 1, bias, f32: 64² in two dimensions with batch 8,
//! 24³ in three with batch 4; forward, and forward with the gradients for input, weights and biases.

use crate::Failure;
use crate::measure::{Clock, Facts, relative_error};
use odeon::nn::conv::{Conv, ConvSpec, Scratch};
use odeon::num::{Real, parallel};

/// Inputs, weights and cotangents that any peer can make.
fn wave<T: Real>(n: usize, seed: f64) -> Vec<T> {
    (0..n).map(|i| T::of((1.7 * i as f64 + seed).sin())).collect()
}

/// y, x_bar and theta_bar of one forward and backward pass.
fn passes<T: Real>(conv: &Conv, theta: &[T], [x, y_bar]: [&[T]; 2]) -> Result<Vec<T>, Failure> {
    let mut scratch = Scratch::new();
    let mut y = vec![T::zero(); y_bar.len()];
    conv.forward(theta, x, &mut y, &mut scratch)?;
    let (mut x_bar, mut theta_bar) = (vec![T::zero(); x.len()], vec![T::zero(); theta.len()]);
    conv.backward(theta, [x, y_bar], Some(&mut x_bar), Some(&mut theta_bar), &mut scratch)?;
    y.extend(x_bar);
    y.extend(theta_bar);
    Ok(y)
}

/// Times `variant` (`forward` or `both`) in `dim` dimensions; the error is that of f32 against f64.
pub fn run(dim: usize, variant: &str, threads: usize, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let (extents, batch) = if dim == 2 { ([64, 64, 1], 8) } else { ([24; 3], 4) };
    let conv = Conv::new(ConvSpec::same(dim, 24, 24, 3)?, extents)?;
    let (n, m) = (batch * conv.input_len(), batch * conv.output_len());
    let scale = 1.0 / (24.0 * conv.spec().taps() as f64).sqrt();
    let scaled = |v: Vec<f64>| -> Vec<f64> { v.into_iter().map(|v| v * scale).collect() };
    let theta = scaled(wave(conv.spec().len(), 0.3));
    let narrow = |v: &[f64]| -> Vec<f32> { v.iter().map(|v| *v as f32).collect() };
    let (x, y_bar, theta32) = (wave::<f64>(n, 0.8), wave::<f64>(m, 0.1), narrow(&theta));
    let (x32, y_bar32) = (narrow(&x), narrow(&y_bar));
    let reference = passes(&conv, &theta, [&x, &y_bar])?;
    let error = relative_error(passes(&conv, &theta32, [&x32, &y_bar32])?, &reference);
    let mut scratch = Scratch::new();
    let (mut y, mut x_bar) = (vec![0.0f32; m], vec![0.0f32; n]);
    let mut theta_bar = vec![0.0f32; theta32.len()];
    let times = parallel::with_threads(threads, || {
        let timed = clock.time(|| {
            conv.forward(&theta32, &x32, &mut y, &mut scratch)?;
            if variant == "both" {
                theta_bar.fill(0.0);
                let bars = (Some(&mut x_bar[..]), Some(&mut theta_bar[..]));
                conv.backward(&theta32, [&x32, &y_bar32], bars.0, bars.1, &mut scratch)?;
            }
            Ok(())
        });
        timed.map_err(|e| e.to_string())
    })??;
    Ok((times, Facts { err_rel: Some(error), ..Facts::default() }))
}
