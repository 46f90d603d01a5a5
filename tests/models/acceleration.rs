//! The second total derivative as a penalty.

use crate::wave;
use odeon::Result;
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::{Dynamics, gallery, generic::Generic};
use odeon::integrate::{Options, Problem};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Network};
use odeon::ode::solve;
use odeon::ode::tableaux::Vern7;
use odeon::regularise::Acceleration;

#[test]
fn it_passes_the_gradient_check() -> Result<()> {
    let hidden = Network::builder(2).concat_time().dense(5).activation(Activation::Gelu).layer_norm();
    let network = NeuralOde::new(hidden.concat_time().dense(2).activation(Activation::Tanh).build()?)?;
    let penalised = Acceleration::new(&network);
    let mut y = Vec::new();
    penalised.augment(&wave(6, 0.4), &mut y)?;
    let theta = wave(Dynamics::<f64>::num_params(&network), 0.9);
    let report = check_gradient(&penalised, 0.3, &y, &theta, &CheckOptions::default())?;
    assert!(report.passed(), "{report}");
    let lorenz = Generic(gallery::Lorenz);
    let report = check_gradient(
        &Acceleration::new(&lorenz),
        0.3,
        &[1.0, 0.4, -0.7, 0.0, 0.3, 2.0, 1.0, 0.0],
        &[2.0, 1.5, 0.6],
        &CheckOptions::default(),
    )?;
    assert!(report.passed(), "{report}");
    assert!(penalised.augment(&[1.0; 3], &mut y).is_err());
    Ok(())
}

/// y = (cos ωt, −ω sin ωt) has ÿ = −ω² y.
#[test]
fn of_an_oscillator_it_is_its_closed_form() -> Result<()> {
    let (oscillator, w, end) = (Generic(gallery::Oscillator), 1.7f64, 0.9);
    let penalised = Acceleration::new(&oscillator);
    let mut y0 = Vec::new();
    penalised.augment(&[1.0, 0.0, 2.0, 0.0], &mut y0)?;
    let problem = Problem { y0: &y0, span: [0.0, end], theta: &[w] };
    let plain = Options::tol(1e-11, 1e-11);
    let options = Options { norm: penalised.norm(&plain.norm), ..plain };
    let solution = solve(&penalised, &Vern7, &problem, &options)?;
    let mut bar = vec![0.5; 6];
    let got = penalised.read(solution.last(), 0.3, &mut bar);
    assert_eq!(bar, [0.5, 0.5, 0.65, 0.5, 0.5, 0.65]);
    let wave = (2.0 * w * end).sin() / (4.0 * w);
    let one = w.powi(4) * ((0.5 * end + wave) + w * w * (0.5 * end - wave)) / 2.0;
    // The second column has twice the amplitude.
    let want = one * (1.0 + 4.0) / 2.0;
    assert!((got - want).abs() < 1e-8 * want, "{got} {want}");
    Ok(())
}
