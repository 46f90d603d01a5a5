//! The discrete adjoint of a stochastic stepper against differences of the replay on the same noise.

use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::integrate::{ErrorEstimate, Options, Penalty, Problem, Reverse, Solution};
use odeon::num::ErrorNorm;
use odeon::regularise::Global;

/// Weighted sum of all saved numbers, some of them squared.
fn loss(y: &[f64]) -> f64 {
    y.iter().enumerate().map(|(i, y)| (i as f64 * 0.7 + 0.4).sin() * y + 0.3 * y * y).sum()
}

fn loss_bar(y: &[f64]) -> Vec<f64> {
    y.iter().enumerate().map(|(i, y)| (i as f64 * 0.7 + 0.4).sin() + 0.6 * y).collect()
}

/// λ of the error estimate's squares, in a norm without kinks.
const WEIGHT: f64 = 0.3;

fn penalty() -> Global<f64, ErrorEstimate<f64>> {
    let norm = Some(ErrorNorm::new(0.0, 0.1));
    Global::sum(ErrorEstimate { squared: true, norm, ..Default::default() })
}

/// The largest difference between the adjoint's gradient of a loss of saved states and central differences of
/// the replay (extrapolated), relative to the gradient's largest entry in y0 and in θ each; and that of the
/// gradient with too little memory for the stages; with and without the method's error estimate as a penalty. Saves lie between steps and at their ends, and a step ends
/// at a stop.
pub fn gradient_error<R: Reverse<f64>>(
    mut make: impl FnMut() -> R,
    y0: &[f64],
    theta: &[f64],
) -> Result<[f64; 2]> {
    let plain = one_gradient_error(&mut make, y0, theta, false)?;
    let penalised = one_gradient_error(&mut make, y0, theta, true)?;
    Ok([plain[0].max(penalised[0]), plain[1].max(penalised[1])])
}

fn one_gradient_error<R: Reverse<f64>>(
    make: &mut impl FnMut() -> R,
    y0: &[f64],
    theta: &[f64],
    penalised: bool,
) -> Result<[f64; 2]> {
    let span = [0.0, 0.75];
    let options = Options {
        tstops: vec![0.375],
        ..Options::fixed(0.125).save_at([0.0, 0.0625, 0.25, 0.4, 0.6875, 0.75])
    };
    let problem = Problem { y0, span, theta };
    let mut gradients = |memory: Memory| -> Result<(Vec<f64>, Vec<f64>, Solution<f64>)> {
        let mut adjoint = DiscreteAdjoint::new(make(), memory);
        let mut error = penalty();
        let list = &mut [Weighted { weight: WEIGHT, penalty: &mut error }][..usize::from(penalised)];
        let solution = adjoint.forward(&problem, &options, list)?.clone();
        adjoint.reverse(&loss_bar(&solution.y), &[], list)?;
        Ok((adjoint.y0_gradient().to_vec(), adjoint.theta_gradient().to_vec(), solution))
    };
    let (y_bar, theta_bar, solution) = gradients(Memory::Unlimited)?;
    let size = |bar: &[f64]| bar.iter().fold(1e-3, |s: f64, b| s.max(b.abs()));
    let (y_size, theta_size) = (size(&y_bar), size(&theta_bar));
    // Work space is counted in the budget: search the smallest that is enough, which keeps the fewest steps.
    let mut thin = None;
    for bytes in (1..).map(|k| k * 256).take(4000) {
        if let Ok(found) = gradients(Memory::Bytes(bytes)) {
            thin = Some(found);
            break;
        }
    }
    let (y_thin, theta_thin, _) = thin.ok_or_else(|| odeon::Error::invalid("the budget", "1 MB", "more"))?;
    let off = |a: &[f64], b: &[f64], size: f64| {
        a.iter().zip(b).fold(0.0, |s: f64, (a, b)| s.max((a - b).abs() / size))
    };
    let thinned = off(&y_bar, &y_thin, y_size).max(off(&theta_bar, &theta_thin, theta_size));

    let mut adjoint = DiscreteAdjoint::new(make(), Memory::Unlimited);
    let mut value = |y0: &[f64], theta: &[f64]| -> Result<f64> {
        let problem = Problem { y0, span, theta };
        let mut error = penalty();
        let list = &mut [Weighted { weight: WEIGHT, penalty: &mut error }][..usize::from(penalised)];
        let data = loss(&adjoint.replay(&problem, &solution, &options, list)?.y);
        Ok(data + if penalised { WEIGHT * error.value() } else { 0.0 })
    };
    let mut difference = |k: usize, of_theta: bool| -> Result<f64> {
        let mut central = |d: f64| -> Result<f64> {
            let mut side = |d: f64| {
                let (mut y0, mut theta) = (y0.to_vec(), theta.to_vec());
                *(if of_theta { &mut theta[k] } else { &mut y0[k] }) += d;
                value(&y0, &theta)
            };
            Ok((side(d)? - side(-d)?) / (2.0 * d))
        };
        Ok((4.0 * central(5e-5)? - central(1e-4)?) / 3.0)
    };
    let mut worst: f64 = 0.0;
    for (k, bar) in y_bar.iter().enumerate() {
        worst = worst.max((difference(k, false)? - bar).abs() / y_size);
    }
    for (k, bar) in theta_bar.iter().enumerate() {
        worst = worst.max((difference(k, true)? - bar).abs() / theta_size);
    }
    Ok([worst, thinned])
}
