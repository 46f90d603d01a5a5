//! Equations on the unit square.

use crate::{Tested, relative};
use odeon::num::random::{at, stream, uniform};
use odeon::operator::pde::{Coefficient, Darcy, Generator, Helmholtz, Poisson};
use std::f64::consts::PI;

/// u = sin πx sin 2πy: second order.
#[test]
fn poisson_converges_with_order_two() -> Tested {
    let error = |n: usize| -> odeon::Result<f64> {
        let vertices = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
            let h = 1.0 / (n + 1) as f64;
            (0..n * n).map(|at| f((at % n + 1) as f64 * h, (at / n + 1) as f64 * h)).collect()
        };
        let exact = vertices(&|x, y| (PI * x).sin() * (2.0 * PI * y).sin());
        let f: Vec<f64> = exact.iter().map(|u| 5.0 * PI * PI * u).collect();
        Ok(relative(&Poisson::new([n, n]).output(&f)?, &exact))
    };
    let errors = [error(15)?, error(31)?, error(63)?];
    for pair in errors.windows(2) {
        assert!(((pair[0] / pair[1]).log2() - 2.0).abs() < 0.02, "{errors:?}");
    }
    Ok(())
}

/// With constant c and flux 1 above: u = −cos κy/(κ sin κ), κ = ω/c, second order.
#[test]
fn helmholtz_converges_with_order_two_to_the_standing_wave() -> Tested {
    let kappa = 7.3;
    let error = |n: usize| -> odeon::Result<f64> {
        let square = Helmholtz { frequency: kappa * 20.0, ..Helmholtz::new([n, n + 4]) };
        let exact: Vec<f64> = (0..n * (n + 4))
            .map(|at| -(kappa * (at / n) as f64 / (n + 3) as f64).cos() / (kappa * kappa.sin()))
            .collect();
        Ok(relative(&square.output(&vec![20.0; n * (n + 4)])?, &exact))
    };
    let errors = [error(29)?, error(57)?, error(113)?];
    // Spacings 1/32, 1/60, 1/116 along y.
    let rates = [
        (errors[0] / errors[1]).ln() / (60f64 / 32.0).ln(),
        (errors[1] / errors[2]).ln() / (116f64 / 60.0).ln(),
    ];
    assert!(rates.iter().all(|rate| (rate - 2.0).abs() < 0.06), "{rates:?} {errors:?}");
    Ok(())
}

/// The matrix is symmetric, and with a frequency of 0 its rows sum to 0 but for rounding: fluxes in are fluxes out.
#[test]
fn helmholtz_conserves() -> Tested {
    let square = Helmholtz { frequency: 1e-9, ..Helmholtz::new([6, 5]) };
    let matrix = square.matrix(&[20.0; 30])?;
    let dense = matrix.to_dense()?;
    for i in 0..30 {
        for j in 0..30 {
            assert_eq!(dense[i * 30 + j], dense[j * 30 + i]);
        }
        assert!((0..30).map(|j| dense[i * 30 + j]).sum::<f64>().abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn wave_speeds_and_right_hand_sides_follow_their_laws() -> Tested {
    let square = Helmholtz::new([33, 33]);
    let c = square.input(1, 0)?;
    assert!(c.iter().all(|c| (19.0..=21.0).contains(c)));
    let u = square.output(&c)?;
    assert!(u.iter().all(|u| u.is_finite()));
    let poisson = Poisson::new([15, 15]);
    assert_eq!(poisson.input(1, 0)?, poisson.input(1, 0)?);
    assert_ne!(poisson.input(1, 0)?, poisson.input(1, 1)?);
    Ok(())
}

/// Scales that are drawn; between the bounds of the product, the same at a vertex whatever the grid.
#[test]
fn multiscale_coefficients_are_their_product() -> Tested {
    let darcy = Darcy::multiscale([63, 63]);
    let (a, finer) = (darcy.input(5, 0)?, Darcy::multiscale([127, 127]).input(5, 0)?);
    let (least, most) = a.iter().fold((f64::MAX, 0.0f64), |(l, m), a| (l.min(*a), m.max(*a)));
    assert!(least >= 0.5f64.powi(12) && most <= 1.5f64.powi(12) && most > 10.0 * least, "{least} {most}");
    for (at, a) in a.iter().enumerate() {
        let [i, j] = [at % 63, at / 63];
        assert!((a - finer[(2 * j + 1) * 127 + 2 * i + 1]).abs() < 1e-12 * a);
    }
    assert_ne!(a, darcy.input(5, 1)?);
    let scales = [0, 1, 2, 3, 4, 5].map(|k: u64| {
        let [bits, _] = at(5, k, stream(0, 2));
        f64::from(1 << k) * (1.0 + 0.5 * uniform(bits))
    });
    for [i, j] in [[0, 0], [10, 40], [62, 31]] {
        let [x, y] = [i, j].map(|i| (i + 1) as f64 / 64.0);
        let factor =
            |a: &f64| (1.0 + 0.5 * (a * PI * (x + y)).cos()) * (1.0 + 0.5 * (a * PI * (y - 3.0 * x)).sin());
        let product: f64 = scales.iter().map(factor).product();
        assert!((a[j * 63 + i] - product).abs() < 1e-12 * product, "({i}, {j})");
    }
    let u = darcy.output(&a)?;
    assert!(u.iter().all(|u| *u > 0.0 && u.is_finite()), "the maximum principle");
    assert!(matches!(darcy.coefficient, Coefficient::Multiscale));
    Ok(())
}

#[test]
fn bad_requests_are_explained() -> Tested {
    let square = Helmholtz::new([9, 9]);
    for (generator, text) in [
        (Helmholtz { frequency: 0.0, ..square }, "the frequency"),
        (Helmholtz { extents: [2, 9], ..square }, "an extent of the square"),
    ] {
        let error = generator.input(0, 0).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let mut c = vec![20.0; 81];
    c[12] = -1.0;
    let error = square.output(&c).unwrap_err().to_string();
    assert!(error.contains("vertex (3, 1)"), "{error}");
    assert!(square.output(&c[..5]).is_err());
    assert!(Poisson { tolerance: 0.0, ..Poisson::new([7, 7]) }.input(0, 0).is_err());
    assert!(Poisson::new([7, 7]).output(&[1.0; 3]).is_err());
    Ok(())
}
