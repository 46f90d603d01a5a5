//! Second-order fields and models with a start and a readout.

use crate::differences::difference;
use crate::{relative, wave};
use odeon::Result;
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::integrate::{Options, Problem, Save};
use odeon::model::{Lift, NeuralField, NeuralOde, OdeModel, SecondOrderOde};
use odeon::nn::{Activation, Network};
use odeon::ode::solve;
use odeon::ode::tableaux::{Tsit5, Vern7};

fn network(inputs: usize, outputs: usize) -> Result<Network> {
    Network::builder(inputs).concat_time().dense(5).activation(Activation::Tanh).dense(outputs).build()
}

#[test]
fn a_second_order_field_passes_the_gradient_check_and_solves_an_oscillator() -> Result<()> {
    let field = SecondOrderOde::new(network(4, 2)?)?;
    let theta = wave(NeuralField::<f64>::network(&field).layout().len(), 0.3);
    let report = check_gradient(&field, 0.4, &wave(8, 0.2), &theta, &CheckOptions::default())?;
    assert!(report.passed(), "{report}");
    // x″ = −4x − 0.4x′ by one linear layer.
    let damped = SecondOrderOde::new(Network::builder(2).dense_without_bias(1).build()?)?;
    let problem = Problem { y0: &[1.0, -0.2], span: [0.0, 1.5], theta: &[-4.0, -0.4] };
    let solution = solve(&damped, &Vern7, &problem, &Options::tol(1e-12, 1e-12))?;
    let w = (4.0f64 - 0.04).sqrt();
    let want = (-0.2f64 * 1.5).exp() * (w * 1.5).cos();
    assert!((solution.last()[0] - want).abs() < 1e-10, "{} {want}", solution.last()[0]);
    assert!(SecondOrderOde::new(network(3, 2)?).is_err());
    Ok(())
}

/// Derivatives of a loss of all outputs against differences at fixed steps, for some parameters.
fn check<F: NeuralField<f64>>(lift: Lift, field: F, save: Save<f64>) -> Result<()> {
    let model = OdeModel::new::<f64>(lift, field, network(4, 3)?)?;
    let theta: Vec<f64> = model.init(Default::default(), 3)?;
    let (x, span, options) = (wave(6, 0.7), [0.1, 0.9], Options::fixed(0.2).save(save));
    let weigh = |out: &[f64]| -> f64 { out.iter().zip(wave(out.len(), 0.7)).map(|(y, w)| w * y * y).sum() };
    let mut gradient = vec![7.0; theta.len()];
    let request = (&x[..], span, &options);
    let (value, _) =
        model.value_and_gradient(&Tsit5, (&theta, &mut gradient), request, &mut [], |out, bar| {
            bar.iter_mut().zip(out).zip(wave(out.len(), 0.7)).for_each(|((b, y), w)| *b = 2.0 * w * y);
            Ok(weigh(out))
        })?;
    let at = |k: usize, d: f64| {
        let mut theta = theta.clone();
        theta[k] += d;
        weigh(&model.outputs(&Tsit5, &theta, (&x, span), &options).unwrap().0)
    };
    assert!((value - at(0, 0.0)).abs() < 1e-14);
    for k in (0..theta.len()).step_by(5) {
        let want = difference(|d| at(k, d));
        let name = model.layout().name_of(k);
        assert!((gradient[k] - want).abs() < 1e-8, "{name}: {} {want}", gradient[k]);
    }
    assert!(model.outputs(&Tsit5, &theta, (&x[1..], span), &options).is_err());
    Ok(())
}

#[test]
fn models_have_the_gradient_of_their_solve() -> Result<()> {
    let times = || Save::At(vec![0.2, 0.55, 0.9]);
    check(Lift::Network(network(2, 4)?), NeuralOde::new(network(4, 4)?)?, Save::End)?;
    check(Lift::Zeros { inputs: 2 }, NeuralOde::new(network(4, 4)?)?, times())?;
    check(Lift::Zeros { inputs: 2 }, SecondOrderOde::new(network(4, 2)?)?, times())
}

/// The plain flow of one dimension keeps the order of points; with one more row it need not (Dupont et al. 2019).
#[test]
fn an_augmented_model_is_the_equation_on_more_rows() -> Result<()> {
    let field = NeuralOde::new(Network::builder(2).dense_without_bias(2).build()?)?;
    let readout = Network::builder(2).dense_without_bias(1).build()?;
    let model = OdeModel::new::<f64>(Lift::Zeros { inputs: 1 }, field, readout)?;
    // A half turn in the plane (x, a): x becomes −x, which no flow on the line does.
    let turn = std::f64::consts::PI;
    let theta = [0.0, -turn, turn, 0.0, 1.0, 0.0];
    let options = Options::tol(1e-10, 1e-10);
    let (out, _) = model.outputs(&Vern7, &theta, (&[-1.0, 0.5, 2.0], [0.0, 1.0]), &options)?;
    assert!(relative(&out, &[1.0, -0.5, -2.0]) < 1e-8, "{out:?}");
    let wrong = |lift, rows: usize| {
        let field = NeuralOde::new(network(3, 3)?)?;
        OdeModel::new::<f64>(lift, field, network(rows, 1)?)
    };
    assert!(wrong(Lift::Zeros { inputs: 4 }, 3).is_err());
    assert!(wrong(Lift::Zeros { inputs: 0 }, 3).is_err());
    assert!(wrong(Lift::Network(network(1, 2)?), 3).is_err());
    assert!(wrong(Lift::Zeros { inputs: 2 }, 2).is_err());
    Ok(())
}
