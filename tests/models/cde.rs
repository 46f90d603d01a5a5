//! Control paths and controlled equations.

use crate::differences::{difference, loss};
use crate::{relative, wave};
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::{Dynamics, Point};
use odeon::integrate::{Options, Problem, Save};
use odeon::model::{CdeModel, ControlPath, Interpolation, NeuralCde, control_channels};
use odeon::nn::{Activation, Network};
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, solve};

const SMOOTH: [Interpolation; 3] =
    [Interpolation::Linear, Interpolation::Hermite, Interpolation::NaturalSpline];
const RECTILINEAR: Interpolation = Interpolation::Rectilinear { time: 0, before: 0.0 };
const NAN: f64 = f64::NAN;

fn times() -> Vec<f64> {
    vec![0.0, 0.3, 0.5, 1.1, 1.2, 2.0, 2.7]
}

/// Two channels, two series, with gaps at the start, inside and at the end.
fn gappy() -> Vec<f64> {
    let mut x = wave(2 * 7 * 2, 0.3);
    for missing in [0, 5, 6, 9, 12, 14, 15, 20, 27] {
        x[missing] = NAN;
    }
    x
}

fn at(path: &ControlPath<f64>, t: f64, order: usize) -> Vec<f64> {
    let mut x = vec![0.0; path.channels() * path.series()];
    match order {
        0 => path.value(t, &mut x),
        1 => path.derivative(t, &mut x),
        _ => path.second_derivative(t, &mut x),
    }
    x
}

#[test]
fn paths_pass_their_observations_and_rates_are_derivatives() -> Result<()> {
    let (times, values) = (times(), gappy());
    for kind in SMOOTH {
        let path = ControlPath::new(kind, &times, &values, 2)?;
        for (k, t) in times.iter().enumerate() {
            let x = at(&path, *t, 0);
            for j in 0..2 {
                for c in 0..2 {
                    let given = values[j * 14 + k * 2 + c];
                    assert!(given.is_nan() || (x[2 * j + c] - given).abs() < 1e-13, "{kind:?} {t} {c} {j}");
                }
            }
        }
        for i in 0..40 {
            let t = 0.033 + 2.6 * f64::from(i) / 40.0;
            for order in [0, 1] {
                // Far from the knots, where pieces are polynomials: differences of cubics of this width are exact.
                let d = 1e-4;
                let (a, b) = (at(&path, t - d, order), at(&path, t + d, order));
                let slope: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (b - a) / (2.0 * d)).collect();
                let far = times.iter().all(|k| (k - t).abs() > 2.0 * d);
                for (got, want) in at(&path, t, order + 1).iter().zip(&slope) {
                    let close = (got - want).abs() < 1e-5 * want.abs().max(1.0);
                    assert!(!far || close, "{kind:?} at {t}, {order}: {got} {want}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn cubic_paths_are_as_smooth_as_they_say() -> Result<()> {
    let (times, values) = (times(), wave(14, 0.3));
    let jump = |path: &ControlPath<f64>, t: f64, order: usize| {
        let (a, b) = (at(path, t - 1e-12, order), at(path, t, order));
        a.iter().zip(&b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()))
    };
    for kind in SMOOTH {
        let path = ControlPath::new(kind, &times, &values, 2)?;
        for t in &times[1..6] {
            let [rate, bend] = [1, 2].map(|order| jump(&path, *t, order));
            let want = match kind {
                Interpolation::Linear => [true, false],
                Interpolation::Hermite => [false, true],
                _ => [false, false],
            };
            assert_eq!([rate > 0.1, bend > 0.1], want, "{kind:?} {t}: {rate} {bend}");
            assert!(!(1e-6..=0.1).contains(&rate), "{kind:?} {t}: {rate}");
            assert!(!(1e-6..=0.1).contains(&bend), "{kind:?} {t}: {bend}");
        }
        let inner = if kind == Interpolation::Linear { &times[1..6] } else { &[] };
        assert_eq!(path.jumps(), inner);
    }
    let natural = ControlPath::new(Interpolation::NaturalSpline, &times, &values, 2)?;
    let ends = [at(&natural, 0.0, 2), at(&natural, 2.7, 2)].concat();
    assert!(ends.iter().all(|x| x.abs() < 1e-12), "{ends:?}");
    Ok(())
}

#[test]
fn a_hermite_path_does_not_change_before_the_last_observation_known() -> Result<()> {
    let (times, values) = (times(), wave(14, 0.3));
    let mut later = values.clone();
    // The last two observations, at 2.0 and 2.7.
    later[10..].iter_mut().for_each(|x| *x += 1.0);
    let change = |kind, t: f64| -> Result<f64> {
        let [a, b] = [&values, &later].map(|x| ControlPath::new(kind, &times, x, 2));
        let (a, b) = (at(&a?, t, 0), at(&b?, t, 0));
        Ok(a.iter().zip(&b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())))
    };
    for i in 0..=24 {
        let t = 0.05 * f64::from(i);
        assert_eq!(change(Interpolation::Hermite, t)?, 0.0, "{t}");
    }
    assert!(change(Interpolation::Hermite, 1.6)? > 0.1);
    assert!(change(Interpolation::NaturalSpline, 1.15)? > 1e-3);
    Ok(())
}

#[test]
fn missing_values_leave_no_trace_in_their_channel() -> Result<()> {
    let (times, values) = (times(), gappy());
    for kind in SMOOTH {
        let path = ControlPath::new(kind, &times, &values, 2)?;
        for (c, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let own = values[j * 14 + c..(j + 1) * 14].iter().step_by(2);
            let (t, x): (Vec<f64>, Vec<f64>) = times.iter().zip(own).filter(|(_, x)| !x.is_nan()).unzip();
            let alone = ControlPath::new(kind, &t, &x, 1)?;
            for i in 0..=50 {
                let s = t[0] + (t[t.len() - 1] - t[0]) * (f64::from(i) + 0.013) / 51.0;
                for order in 0..3 {
                    let (got, want) = (at(&path, s, order)[2 * j + c], at(&alone, s, order)[0]);
                    assert!(
                        (got - want).abs() < 1e-9 * want.abs().max(1.0),
                        "{kind:?} {c} {j} {order}: {got} {want}"
                    );
                }
            }
            // Constant outside.
            assert!(t[0] == 0.0 || at(&path, 0.5 * t[0], 1)[2 * j + c] == 0.0);
            let after = 0.5 * (t[t.len() - 1] + 2.7);
            assert!(t[t.len() - 1] == 2.7 || at(&path, after, 1)[2 * j + c] == 0.0);
        }
        if kind != Interpolation::Linear {
            // Series 0 channel 0 begins at 0.3 and both of series 1 end or begin inside.
            assert!(path.jumps().contains(&0.3), "{:?}", path.jumps());
        }
    }
    Ok(())
}

#[test]
fn a_rectilinear_path_moves_in_time_first() -> Result<()> {
    let values = [0.0, NAN, 0.3, 5.0, 0.5, NAN, 1.1, 7.0];
    let kind = Interpolation::Rectilinear { time: 0, before: -1.0 };
    let path = ControlPath::new(kind, &[0.0, 0.3, 0.5, 1.1], &values, 2)?;
    assert_eq!(path.span(), [0.0, 6.0]);
    let want = [[0.0, -1.0], [0.3, -1.0], [0.3, 5.0], [0.5, 5.0], [0.5, 5.0], [1.1, 5.0], [1.1, 7.0]];
    for (knot, want) in want.iter().enumerate() {
        assert!(relative(&at(&path, knot as f64, 0), want) < 1e-14, "{knot}");
    }
    assert_eq!(path.jumps(), [1.0, 2.0, 3.0, 4.0, 5.0]);
    Ok(())
}

#[test]
fn what_cannot_be_a_path_is_refused() {
    let fails = |kind, times: &[f64], values: &[f64], channels, part: &str| {
        let message = ControlPath::new(kind, times, values, channels).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    let hermite = Interpolation::Hermite;
    fails(hermite, &[0.0], &[1.0], 1, "at least two");
    fails(hermite, &[0.0, 0.0], &[1.0; 2], 1, "later than the one before");
    fails(hermite, &[0.0, 1.0], &[1.0; 3], 2, "multiple of 4");
    fails(hermite, &[0.0, 1.0], &[], 2, "multiple of 4");
    fails(hermite, &[0.0, 1.0], &[1.0, 2.0, f64::INFINITY, 0.0], 2, "channel 0 of series 0 is inf");
    let none = [1.0, 2.0, 3.0, 4.0, 1.0, NAN, 2.0, NAN];
    fails(hermite, &[0.0, 1.0], &none, 2, "the number of observations of channel 1 of series 1 is 0");
    fails(RECTILINEAR, &[0.0, 1.0], &[0.0, 2.0, NAN, 4.0], 2, "none is missing");
    fails(RECTILINEAR, &[0.0, 1.0], &[1.0, 2.0, 1.0, 4.0], 2, "increase");
    let beyond = Interpolation::Rectilinear { time: 2, before: 0.0 };
    fails(beyond, &[0.0, 1.0], &[0.0, 2.0, 1.0, 4.0], 2, "2 channels");
}

#[test]
fn the_channels_of_irregular_data_count_what_was_seen() -> Result<()> {
    let got = control_channels(&[0.0, 0.5], &[1.0, NAN, NAN, 4.0], 2, true)?;
    let want = [0.0, 1.0, NAN, 0.5, 0.0, 0.5, NAN, 4.0, 0.5, 0.5];
    assert_eq!(format!("{got:?}"), format!("{want:?}"));
    assert_eq!(control_channels(&[0.0, 0.5], &[1.0, 2.0], 1, false)?, [0.0, 1.0, 0.5, 2.0]);
    assert!(control_channels(&[0.0, 0.5], &[1.0; 3], 1, false).is_err());
    Ok(())
}

/// y_i' = Σ_j A_ij y_j Ẋ has y(T) = exp(A (X(T) − X(0))) y(0), whatever the path between.
#[test]
fn a_linear_equation_of_one_channel_has_its_closed_form() -> Result<()> {
    let field = Network::builder(2).dense_without_bias(2).build()?;
    // A rotation and a growth: exp is known.
    let (growth, turn) = (0.3, 1.1);
    let theta = [growth, -turn, turn, growth];
    let (times, values) = (times(), [wave(7, 0.3), wave(7, 1.3)].concat());
    for kind in SMOOTH {
        let path = ControlPath::new(kind, &times, &values, 1)?;
        let equation = NeuralCde::new(&field, &path)?;
        let y0 = [1.0, 0.5, -0.4, 0.8];
        let problem = Problem { y0: &y0, span: path.span(), theta: &theta };
        // A step for each piece at least: within one the order is the method's.
        let options = Options { tstops: path.knots().to_vec(), ..Options::tol(1e-11, 1e-11) };
        let solution = solve(&equation, &Tsit5, &problem, &options)?;
        for j in 0..2 {
            let x = values[7 * j + 6] - values[7 * j];
            let (size, (sin, cos)) = ((growth * x).exp(), (turn * x).sin_cos());
            let y = &y0[2 * j..2 * j + 2];
            let want = [size * (cos * y[0] - sin * y[1]), size * (sin * y[0] + cos * y[1])];
            assert!(relative(&solution.last()[2 * j..2 * j + 2], &want) < 1e-9, "{kind:?}");
        }
    }
    Ok(())
}

#[test]
fn a_controlled_equation_passes_the_gradient_check() -> Result<()> {
    let field = Network::builder(3).concat_time().dense(7).activation(Activation::Gelu).dense(6);
    let field = field.activation(Activation::Tanh).build()?;
    let theta = wave(field.layout().len(), 0.9);
    for kind in SMOOTH {
        let path = ControlPath::new(kind, &times(), &gappy()[..14], 2)?;
        let equation = NeuralCde::new(&field, &path)?;
        let report = check_gradient(&equation, 0.73, &wave(3, 0.2), &theta, &CheckOptions::default())?;
        assert!(report.passed(), "{kind:?}: {report}");
    }
    Ok(())
}

#[test]
fn columns_are_driven_by_their_own_series_and_none_by_a_missing_one() -> Result<()> {
    let field = Network::builder(3).dense(6).activation(Activation::Tanh).build()?;
    let theta = wave(field.layout().len(), 0.9);
    let (times, values) = (times(), gappy());
    let both = ControlPath::new(Interpolation::Hermite, &times, &values, 2)?;
    let equation = NeuralCde::new(&field, &both)?;
    let (y, t) = (wave(6, 0.2), 0.8);
    let mut dy = vec![0.0; 6];
    equation.eval(Point { t, y: &y, theta: &theta }, &mut dy, &mut equation.scratch(2));
    for j in 0..2 {
        let own = ControlPath::new(Interpolation::Hermite, &times, &values[14 * j..14 * (j + 1)], 2)?;
        let alone = NeuralCde::new(&field, &own)?;
        let mut want = vec![0.0; 3];
        let at = Point { t, y: &y[3 * j..3 * (j + 1)], theta: &theta };
        alone.eval(at, &mut want, &mut alone.scratch(1));
        assert!(relative(&dy[3 * j..3 * (j + 1)], &want) < 1e-13);
    }
    let problem = Problem { y0: &wave(9, 0.2), span: [0.0, 2.7], theta: &theta };
    let error = solve(&equation, &Tsit5, &problem, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("2 series for 3 columns"), "{error}");
    assert!(NeuralCde::new(&Network::builder(3).dense(5).build()?, &both).is_err());
    Ok(())
}

#[test]
fn adaptive_solves_with_stops_have_exact_gradients_at_replayed_steps() -> Result<()> {
    let field = Network::builder(3).dense(5).activation(Activation::Tanh).dense(6).build()?;
    let theta = wave(field.layout().len(), 0.9);
    for kind in SMOOTH {
        let path = ControlPath::new(kind, &times(), &gappy(), 2)?;
        let equation = NeuralCde::new(&field, &path)?;
        let y0 = wave(6, 0.4);
        let options = Options { tstops: path.jumps().to_vec(), ..Options::tol(1e-3, 1e-3) };
        let options = options.save_at([0.2, 0.9, 2.7]);
        let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&equation, &Tsit5, 2), Memory::Unlimited);
        let problem = Problem { y0: &y0, span: path.span(), theta: &theta };
        adjoint.value_and_gradient(&problem, &options, &mut [], |s, bar| Ok(loss(s, bar)))?;
        let recorded = adjoint.solution().clone();
        let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        let all = [&y0[..], &theta].concat();
        for k in (0..all.len()).step_by(7) {
            let want = difference(|d| {
                let mut all = all.clone();
                all[k] += d;
                let (y0, theta) = all.split_at(6);
                let solution =
                    adjoint.replay(&Problem { y0, theta, ..problem }, &recorded, &options, &mut []);
                loss(solution.unwrap(), &mut [0.0; 18])
            });
            assert!((gradient[k] - want).abs() < 1e-8, "{kind:?} {k}: {} {want}", gradient[k]);
        }
    }
    Ok(())
}

#[test]
fn a_classifier_has_the_gradient_of_its_solve() -> Result<()> {
    let network = |i: usize, o: usize| Network::builder(i).dense(o).activation(Activation::Tanh).build();
    let model = CdeModel::new(network(2, 3)?, network(3, 6)?, Network::builder(3).dense(2).build()?)?;
    let theta: Vec<f64> = model.init(Default::default(), 3)?;
    let path = ControlPath::new(Interpolation::Hermite, &times(), &gappy(), 2)?;
    for save in [Save::End, Save::At(vec![0.4, 1.2, 2.7])] {
        // Fixed steps do not depend on θ, so that plain differences are those of the solve.
        let options = Options::fixed(0.1).save(save);
        let weigh =
            |out: &[f64]| -> f64 { out.iter().zip(wave(out.len(), 0.7)).map(|(y, w)| w * y * y).sum() };
        let mut gradient = vec![7.0; theta.len()];
        let (value, _) = model.value_and_gradient(
            &Tsit5,
            (&theta, &mut gradient),
            (&path, &options),
            &mut [],
            |out, bar| {
                bar.iter_mut().zip(out).zip(wave(out.len(), 0.7)).for_each(|((b, y), w)| *b = 2.0 * w * y);
                Ok(weigh(out))
            },
        )?;
        let at = |k: usize, d: f64| {
            let mut theta = theta.clone();
            theta[k] += d;
            weigh(&model.outputs(&Tsit5, &theta, &path, &options).unwrap().0)
        };
        assert!((value - at(0, 0.0)).abs() < 1e-14);
        for k in (0..theta.len()).step_by(3) {
            let want = difference(|d| at(k, d));
            assert!((gradient[k] - want).abs() < 1e-8, "{k}: {} {want}", gradient[k]);
        }
    }
    let wrong = ControlPath::new(Interpolation::Linear, &[0.0, 1.0], &[0.0; 6], 3)?;
    assert!(model.outputs(&Tsit5, &theta, &wrong, &Options::default()).is_err());
    assert!(CdeModel::new(network(2, 3)?, network(3, 5)?, network(3, 2)?).is_err());
    Ok(())
}
