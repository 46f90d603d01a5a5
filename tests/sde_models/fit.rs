//! The losses.

use super::common::{SIGMAS, agree, differences, sample, scattered};
use odeon::Result;
use odeon::dynamics::generic::Generic;
use odeon::model::{Mmd, Moments, transition_likelihood};
use odeon::sde::problems::{GeometricBrownian, Heston, OrnsteinUhlenbeck, Proportional};
use odeon::sde::tableaux::EulerMaruyama;
use odeon::sde::{Constant, Diagonal, General, Sde};

#[test]
fn moments_are_means_and_variances_of_rows() -> Result<()> {
    // Two times, two rows, three paths.
    let y = [1.0, 10.0, 2.0, 20.0, 6.0, 30.0, 0.0, 1.0, 0.0, 1.0, 3.0, 1.0];
    let moments = Moments::of(&y, 2, 3)?;
    assert_eq!(moments.mean, [3.0, 20.0, 1.0, 1.0]);
    assert_eq!(moments.variance, [7.0, 100.0, 3.0, 0.0]);
    let other = Moments::new(2, vec![3.0, 20.0, 1.0, 3.0], vec![7.0, 100.0, 6.0, 0.0])?;
    assert_eq!(moments.distance(&other)?, (4.0 + 9.0) / 4.0);
    let mut bar = [0.0; 12];
    assert_eq!(other.value_and_cotangent(&y, 3, &mut bar)?, 13.0 / 4.0);
    let expected = differences(&y, |y| other.distance(&Moments::of(y, 2, 3)?))?;
    agree("moments", &bar, &expected, 1e-8);
    assert!(Moments::of(&y, 2, 1).is_err() && Moments::of(&y[1..], 2, 3).is_err());
    assert!(Moments::new(2, vec![0.0; 3], vec![0.0; 3]).is_err());
    Ok(())
}

#[test]
fn mmd_is_unbiased_and_has_its_gradient() -> Result<()> {
    let mmd = Mmd::new(2, [0.5, 2.0])?;
    let (x, y) = (scattered(10, 1.0), scattered(8, 9.0));
    let mut bar = vec![0.0; 10];
    let value = mmd.value_and_cotangent(&x, &y, &mut bar)?;
    let expected = differences(&x, |x| mmd.value_and_cotangent(x, &y, &mut [0.0; 10]))?;
    agree("mmd", &bar, &expected, 1e-8);
    // By hand: two points each, in one row.
    let one = Mmd::new(1, [1.0])?;
    let k = |d: f64| (-0.5 * d * d).exp();
    let by_hand = k(1.0) + k(3.0) - 0.5 * (k(2.0) + k(5.0) + k(1.0) + k(4.0));
    let got = one.value_and_cotangent(&[0.0, 1.0], &[2.0, 5.0], &mut [0.0; 2])?;
    assert!((got - by_hand).abs() < 1e-15, "{got} {by_hand}");
    assert!(value.is_finite());
    assert!(Mmd::new(2, []).is_err() && Mmd::new(2, [0.0]).is_err());
    assert!(mmd.value_and_cotangent(&x[..2], &y, &mut [0.0; 2]).is_err());
    Ok(())
}

#[test]
fn transitions_have_the_normal_density() -> Result<()> {
    let theta = OrnsteinUhlenbeck::THETA;
    let (times, states) = ([0.0, 0.1, 0.3], [1.0, 2.0, 1.2, 1.7, 0.9, 1.1]);
    let mut bar = [0.0; 3];
    let value = transition_likelihood(&OrnsteinUhlenbeck::sde(), (&times, &states), &theta, &mut bar)?;
    let one = |y: f64, next: f64, h: f64| {
        let (mean, variance) = (y + h * theta[0] * (theta[1] - y), h * theta[2] * theta[2]);
        0.5 * ((next - mean).powi(2) / variance + (std::f64::consts::TAU * variance).ln())
    };
    let exact = (one(1.0, 1.2, 0.1) + one(2.0, 1.7, 0.1) + one(1.2, 0.9, 0.2) + one(1.7, 1.1, 0.2)) / 4.0;
    assert!((value - exact).abs() < 1e-14, "{value} {exact}");
    Ok(())
}

#[test]
fn transition_gradients_are_exact_for_diagonal_and_full_noise() -> Result<()> {
    fn check<S: odeon::sde::System<f64>>(what: &str, sde: &S, theta: &[f64], states: &[f64]) -> Result<f64> {
        let times = [0.0, 0.1, 0.25];
        let value =
            |theta: &[f64]| transition_likelihood(sde, (&times, states), theta, &mut vec![0.0; theta.len()]);
        let mut bar = vec![0.0; theta.len()];
        let got = transition_likelihood(sde, (&times, states), theta, &mut bar)?;
        agree(what, &bar, &differences(theta, value)?, 1e-7);
        Ok(got)
    }
    let states = [1.0, 0.09, 1.1, 0.2, 0.98, 0.11, 1.2, 0.17, 1.02, 0.1, 1.15, 0.21];
    check("Heston", &Heston::sde(), &Heston::THETA, &states)?;
    check("GBM", &GeometricBrownian::sde(), &GeometricBrownian::THETA, &states)?;
    // A full matrix that is diagonal gives what the diagonal gives.
    let drift = || Generic(Proportional { dim: 2 });
    let theta = [0.3, -0.2, 0.4, 0.5];
    let diagonal = check("diagonal", &Sde::ito(drift(), Constant::diagonal(2)), &theta, &states)?;
    let full = [0.3, -0.2, 0.4, 0.0, 0.0, 0.5];
    let matrix = check("matrix", &Sde::ito(drift(), Constant::matrix(2, 2)), &full, &states)?;
    assert!((diagonal - matrix).abs() < 1e-13);
    // More motions than rows, and fewer (no density).
    check(
        "wide",
        &Sde::ito(drift(), Constant::matrix(2, 3)),
        &[0.3, -0.2, 0.4, 0.1, 0.2, 0.5, -0.1, 0.3],
        &states,
    )?;
    let narrow = Sde::ito(drift(), General(vec![drift()]));
    assert!(transition_likelihood(&narrow, (&[0.0, 0.1], &states[..4]), &theta, &mut [0.0; 4]).is_err());
    let strat = Sde::stratonovich(drift(), Diagonal(drift()));
    let say = transition_likelihood(&strat, (&[0.0, 0.1], &states[..4]), &theta, &mut [0.0; 4]);
    assert!(say.is_err_and(|e| e.to_string().contains("Itô")));
    assert!(transition_likelihood(&narrow, (&[0.1, 0.1], &states[..4]), &theta, &mut [0.0; 4]).is_err());
    Ok(())
}

/// The score of data from the same transitions has mean 0; its spread follows from the Fisher information.
#[test]
fn the_score_vanishes_at_the_parameters_of_the_data() -> Result<()> {
    type P = OrnsteinUhlenbeck;
    let (cells, paths) = (40, 500);
    let times: Vec<f64> = (0..=cells).map(|i| 2.0 * i as f64 / cells as f64).collect();
    let states = sample(&P::sde(), &EulerMaruyama, (&P::Y0, &P::THETA), &times, [cells, paths])?;
    let mut score = [0.0; 3];
    transition_likelihood(&P::sde(), (&times, &states), &P::THETA, &mut score)?;
    let [kappa, mu, sigma] = P::THETA;
    let (h, n) = (2.0 / cells as f64, (cells * paths) as f64);
    let square = states[..cells * paths].iter().map(|x| (mu - x).powi(2)).sum::<f64>() / n;
    // Fisher information of one transition.
    let information = [h * square, h * kappa * kappa, 2.0].map(|i| i / (sigma * sigma));
    for (s, i) in score.iter().zip(information) {
        assert!(s.abs() < SIGMAS * (i / n).sqrt(), "{s} against 0 ± {}", (i / n).sqrt());
    }
    Ok(())
}
