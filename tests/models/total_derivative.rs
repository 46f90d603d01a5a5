//! Total derivatives of the solution as a penalty.

use crate::wave;
use odeon::Result;
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::{Dynamics, Point, SolutionSeries, gallery, generic::Generic};
use odeon::integrate::{Options, Problem};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, MAX_ORDER, Network};
use odeon::ode::solve;
use odeon::ode::tableaux::Vern7;
use odeon::regularise::TotalDerivative;

/// A residual block in the middle, an activation fused and one alone, the time in two layers.
fn network(activation: Activation) -> Result<NeuralOde> {
    let hidden = Network::builder(2).concat_time().dense(5).activation(activation);
    let block = hidden.residual(|b| b.dense(4).activation(activation).dense(5));
    NeuralOde::new(block.activation(Activation::Tanh).concat_time().dense(2).build()?)
}

fn theta(f: &NeuralOde) -> Vec<f64> {
    wave(Dynamics::<f64>::num_params(f), 0.9).iter().map(|w| 0.7 * w).collect()
}

/// dᴷy/dtᴷ of three columns.
fn top<D: SolutionSeries<f64>>(f: &D, order: usize, (t, y): (f64, &[f64]), theta: &[f64]) -> [Vec<f64>; 2] {
    let mut memory = f.series(y.len() / f.dim(), order);
    let [mut first, mut top] = [vec![0.0; y.len()], vec![0.0; y.len()]];
    f.total_derivative(Point { t, y, theta }, [&mut first, &mut top], &mut memory);
    [first, top]
}

/// The next one is this one's derivative along the solution.
fn follows<D: SolutionSeries<f64>>(f: &D, order: usize, y: &[f64], theta: &[f64], what: &str) {
    let t = 0.3;
    let [first, got] = top(f, order, (t, y), theta);
    let d = 2e-4;
    let moved = |d: f64| {
        let y: Vec<f64> = y.iter().zip(&first).map(|(y, f)| y + d * f).collect();
        let [slope, top] = top(f, order - 1, (t + d, &y), theta);
        if order == 2 { slope } else { top }
    };
    // Along the tangent: the derivative is that along the curve.
    let [a, b, c, e] = [moved(d), moved(-d), moved(2.0 * d), moved(-2.0 * d)];
    let size = got.iter().fold(0.1f64, |s, g| s.max(g.abs()));
    for (i, got) in got.iter().enumerate() {
        let want = (8.0 * (a[i] - b[i]) - c[i] + e[i]) / (12.0 * d);
        assert!((got - want).abs() < 2e-8 * size, "{what}, K = {order}: {got} {want}");
    }
}

#[test]
fn each_is_the_derivative_of_the_one_before() -> Result<()> {
    for activation in Activation::ALL {
        let f = network(activation)?;
        for order in 2..=5 {
            follows(&f, order, &wave(6, 0.4), &theta(&f), activation.name());
        }
    }
    follows(&Generic(gallery::Lorenz), 2, &[1.0, 0.4, -0.7], &[2.0, 1.5, 0.6], "Lorenz");
    Ok(())
}

#[test]
fn it_passes_the_gradient_check() -> Result<()> {
    for activation in Activation::ALL.into_iter().filter(|a| *a != Activation::Relu) {
        let f = network(activation)?;
        for order in if activation == Activation::Tanh { 1..=4 } else { 3..=3 } {
            let penalised = TotalDerivative::new::<f64>(&f, order)?;
            let mut y = Vec::new();
            penalised.augment(&wave(6, 0.4), &mut y)?;
            let report = check_gradient(&penalised, 0.3, &y, &theta(&f), &CheckOptions::default())?;
            assert!(report.passed(), "{} K = {order}: {report}", activation.name());
        }
    }
    let lorenz = Generic(gallery::Lorenz);
    for order in [1, 2] {
        let report = check_gradient(
            &TotalDerivative::new::<f64>(&lorenz, order)?,
            0.3,
            &[1.0, 0.4, -0.7, 0.0, 0.3, 2.0, 1.0, 0.0],
            &[2.0, 1.5, 0.6],
            &CheckOptions::default(),
        )?;
        assert!(report.passed(), "{report}");
    }
    Ok(())
}

/// y' = A y has dᴷy/dtᴷ = Aᴷ y.
#[test]
fn of_a_linear_equation_it_is_a_power() -> Result<()> {
    let f = NeuralOde::new(Network::builder(2).dense_without_bias(2).build()?)?;
    let (a, y) = ([0.4, -1.3, 0.9, 0.2], [0.7, -0.4]);
    let mut want = y;
    for order in 1..=MAX_ORDER {
        want = [a[0] * want[0] + a[1] * want[1], a[2] * want[0] + a[3] * want[1]];
        let [_, got] = top(&f, order, (0.0, &y), &a);
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-13 * (1.0 + want.abs()), "{order}: {got} {want}");
        }
    }
    Ok(())
}

/// y = (cos ωt, −ω sin ωt) has ÿ = −ω² y.
#[test]
fn of_an_oscillator_it_is_its_closed_form() -> Result<()> {
    let (oscillator, w, end) = (Generic(gallery::Oscillator), 1.7f64, 0.9);
    let penalised = TotalDerivative::new::<f64>(&oscillator, 2)?;
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

#[test]
fn what_has_no_series_is_refused() -> Result<()> {
    let refused = |f: &NeuralOde, order: usize| {
        TotalDerivative::new::<f64>(f, order).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let plain = network(Activation::Tanh)?;
    assert!(refused(&plain, 0).contains("1 to 12"), "{}", refused(&plain, 0));
    assert!(refused(&plain, MAX_ORDER + 1).contains("1 to 12"));
    let normed = NeuralOde::new(Network::builder(2).dense(3).layer_norm().dense(2).build()?)?;
    assert!(refused(&normed, 2).contains("normalisation"), "{}", refused(&normed, 2));
    let lorenz = Generic(gallery::Lorenz);
    let error = TotalDerivative::new::<f64>(&lorenz, 3).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("1 and 2"), "{error}");
    let mut y = Vec::new();
    assert!(TotalDerivative::new::<f64>(&plain, 3)?.augment(&[1.0; 3], &mut y).is_err());
    Ok(())
}
