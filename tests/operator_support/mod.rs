//! What tests of networks on grids share: a counting allocator, numbers without a pattern, gradients against
//! differences.

#[path = "../support/counting.rs"]
mod counting;

pub use counting::allocations;
use odeon::nn::Initializer;
use odeon::operator::{Program, Scratch};

pub type Tested = Result<(), Box<dyn std::error::Error>>;

/// Numbers without a pattern.
pub fn wave<T: odeon::num::Real>(n: usize, seed: f64) -> Vec<T> {
    (0..n).map(|i| T::of((1.7 * i as f64 + seed + (i as f64).sqrt()).sin())).collect()
}

/// Central differences of `value` along all entries of `at` together and along some of them, against
/// the gradient.
pub fn check_gradient(
    at: &[f64],
    gradient: &[f64],
    samples: usize,
    mut value: impl FnMut(&[f64]) -> Result<f64, odeon::Error>,
) -> Tested {
    let all = wave::<f64>(at.len(), 0.9);
    let alone = |i: usize| {
        let mut unit = vec![0.0; at.len()];
        unit[i] = 1.0;
        unit
    };
    let largest = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs()));
    assert!(largest > 0.0, "the gradient vanishes");
    let some = (0..at.len()).step_by(1 + at.len() / samples).map(|i| (format!("[{i}]"), alone(i), 1e-3));
    let together = ("all".to_string(), all, 1e-3 / (at.len() as f64).sqrt());
    for (name, direction, h) in some.chain([together]) {
        let mut shifted = |by: f64| {
            let x: Vec<f64> = at.iter().zip(&direction).map(|(x, d)| x + by * h * d).collect();
            value(&x)
        };
        // Fourth order: truncation is below rounding at this h.
        let near = shifted(1.0)? - shifted(-1.0)?;
        let difference = (8.0 * near - shifted(2.0)? + shifted(-2.0)?) / (12.0 * h);
        let own: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let error = (difference - own).abs();
        assert!(
            error <= 1e-7 * largest.max(own.abs()),
            "{name}: {own} by the reverse pass, {difference} by differences"
        );
    }
    Ok(())
}

/// Gradients of Σ c·y + y²/2 over two samples, in parameters and inputs, against differences of the forward pass.
pub fn check_program(name: &str, program: &Program, [parameters, inputs]: [usize; 2]) -> Tested {
    let (batch, m) = (2, program.output_len());
    let mut scratch = Scratch::new();
    let theta: Vec<f64> = program.init(Initializer::TorchLinear, 3)?;
    let x = wave::<f64>(batch * program.input_len(), 0.4);
    let c = wave::<f64>(batch * m, 1.9);
    let loss = |sample: usize, y: &[f64], [y_bar, _]: [&mut [f64]; 2]| {
        let c = &c[sample * m..][..m];
        y_bar.iter_mut().zip(y.iter().zip(c)).for_each(|(bar, (y, c))| *bar = y + c);
        y.iter().zip(c).map(|(y, c)| y * (0.5 * y + c)).sum::<f64>()
    };
    // It is added to what is there.
    let before = wave::<f64>(theta.len(), 0.2);
    let mut theta_bar = before.clone();
    let total = program.gradient(&theta, &x, loss, &mut theta_bar, &mut scratch)?;
    theta_bar.iter_mut().zip(&before).for_each(|(bar, b)| *bar -= b);
    let mut y = vec![0.0; batch * m];
    let mut value = |theta: &[f64], x: &[f64]| {
        program.forward(theta, x, &mut y, &mut scratch)?;
        Ok::<f64, odeon::Error>(y.iter().zip(&c).map(|(y, c)| y * (0.5 * y + c)).sum())
    };
    assert!((value(&theta, &x)? - total).abs() < 1e-11 * (1.0 + total.abs()), "{name}");
    let explained = |e: Box<dyn std::error::Error>| format!("{name}: {e}");
    check_gradient(&theta, &theta_bar, parameters, |theta| value(theta, &x)).map_err(explained)?;
    let mut y_bar = vec![0.0; batch * m];
    program.forward(&theta, &x, &mut y_bar, &mut Scratch::new())?;
    y_bar.iter_mut().zip(&c).for_each(|(bar, c)| *bar += c);
    let (mut x_bar, mut again) = (vec![f64::NAN; x.len()], before.clone());
    program.pullback(&theta, [&x, &y_bar], Some(&mut x_bar), &mut again, &mut Scratch::new())?;
    again.iter_mut().zip(&before).for_each(|(bar, b)| *bar -= b);
    assert_eq!(again, theta_bar, "{name}");
    check_gradient(&x, &x_bar, inputs, |x| value(&theta, x)).map_err(explained)?;
    // The tangent along a direction of both, by the reverse pass.
    let (theta_dot, x_dot, mut y_dot) = (wave(theta.len(), 0.7), wave(x.len(), 1.1), vec![0.0; y_bar.len()]);
    program.tangent([&theta, &theta_dot], [&x, &x_dot], &mut y_dot, &mut Scratch::new())?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let [along, back] = [dot(&y_bar, &y_dot), dot(&theta_bar, &theta_dot) + dot(&x_bar, &x_dot)];
    assert!((along - back).abs() < 1e-10 * back.abs().max(1.0), "{name}: {along} {back}");
    let mut alone = y_dot.clone();
    program.tangent([&theta, &[]], [&x, &x_dot], &mut alone, &mut Scratch::new())?;
    let [along, back] = [dot(&y_bar, &alone), dot(&x_bar, &x_dot)];
    assert!((along - back).abs() < 1e-10 * back.abs().max(1.0), "{name}: {along} {back}");
    Ok(())
}
