//! Random fields on the torus.

use crate::Tested;
use odeon::operator::pde::PeriodicField;
use std::f64::consts::{SQRT_2, TAU};

/// The coefficients of √2 cos and √2 sin come back and are the law's amplitudes times standard normal numbers.
#[test]
fn fields_have_the_coefficients_of_their_law() -> Tested {
    let law = PeriodicField { scale: 3.0, alpha: 1.7, tau: 5.0, modes: 3 };
    let [n, m] = [9, 7];
    let (mut sum, mut square, mut count, mut crossed) = (0.0, 0.0, 0.0, 0.0);
    for index in 0..20 {
        let u = law.on(&[n, m], 4, index)?;
        assert!(u.iter().sum::<f64>().abs() < 1e-12);
        for l in 0..=3i64 {
            for k in -3..=3i64 {
                if l == 0 && k <= 0 {
                    continue;
                }
                let project = |f: fn(f64) -> f64| {
                    let at = |i: usize| {
                        TAU * (k as f64 * (i % n) as f64 / n as f64 + l as f64 * (i / n) as f64 / m as f64)
                    };
                    let terms = u.iter().enumerate().map(|(i, u)| u * SQRT_2 * f(at(i)));
                    terms.sum::<f64>() / u.len() as f64
                };
                let size = 3.0 * (TAU * TAU * (k * k + l * l) as f64 + 25.0).powf(-0.85);
                assert!((law.amplitude([k, l]) - size).abs() < 1e-15);
                let pair = [project(f64::cos) / size, project(f64::sin) / size];
                pair.iter().for_each(|xi| (sum, square, count) = (sum + xi, square + xi * xi, count + 1.0));
                crossed += pair[0] * pair[1];
            }
        }
    }
    // 960 numbers: four standard errors.
    assert!((sum / count).abs() < 4.0 / f64::sqrt(count), "{}", sum / count);
    assert!((square / count - 1.0).abs() < 4.0 * (2.0 / count).sqrt(), "{}", square / count);
    assert!((2.0 * crossed / count).abs() < 4.0 * (2.0 / count).sqrt(), "{crossed}");
    Ok(())
}

#[test]
fn grids_and_modes_only_add_detail() -> Tested {
    let law = PeriodicField { scale: 1.0, alpha: 2.0, tau: 3.0, modes: 3 };
    let (coarse, fine) = (law.on(&[8], 1, 2)?, law.on(&[16], 1, 2)?);
    let apart = coarse.iter().enumerate().map(|(i, u)| (u - fine[2 * i]).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-14, "{apart}");
    // The fourth mode alone: u − v = a (ξ √2 cos + η √2 sin), whose squares have the mean of the coefficients.
    let more = PeriodicField { modes: 4, ..law }.on(&[16], 1, 2)?;
    let detail: Vec<f64> = more.iter().zip(&fine).map(|(a, b)| a - b).collect();
    for k in 1..=3 {
        let sums = detail.iter().enumerate().map(|(i, d)| d * (TAU * k as f64 * i as f64 / 16.0).cos());
        assert!(sums.sum::<f64>().abs() < 1e-13);
    }
    assert!(detail.iter().any(|d| d.abs() > 1e-4));
    assert_ne!(law.on(&[8], 1, 3)?, coarse);
    assert_ne!(law.on(&[8], 2, 2)?, coarse);
    Ok(())
}

#[test]
fn laws_without_a_field_are_refused() {
    let law = PeriodicField { scale: 1.0, alpha: 2.0, tau: 3.0, modes: 3 };
    for (bad, extents, text) in [
        (PeriodicField { alpha: 1.0, ..law }, &[9, 9][..], "above 1"),
        (PeriodicField { alpha: 0.5, ..law }, &[9], "above 0.5"),
        (PeriodicField { tau: f64::NAN, ..law }, &[9], "tau"),
        (PeriodicField { scale: -1.0, ..law }, &[9], "scale"),
        (PeriodicField { modes: 0, ..law }, &[9], "modes"),
        (law, &[9, 6], "at least 7 points"),
        (law, &[9, 9, 9], "one or two"),
    ] {
        let error = bad.on(extents, 0, 0).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}
