//! Milstein's method and converted equations: strong orders against exact solutions.

use super::fields::{Tanh, TanhIto};
use super::strong::Study;
use odeon::Result;
use odeon::dynamics::Point;
use odeon::dynamics::generic::Generic;
use odeon::sde::noise::Levy;
use odeon::sde::tableaux::{EulerMaruyama, Heun};
use odeon::sde::{Commutative, Converted, Diagonal, Milstein, MilsteinDifferences, Scalar, Sde, check_class};

field!(
    /// Two [`Tanh`] in one state.
    Pair, 2, 2, |t, y, p, dy| {
        dy[0] = p[0] * (S::of(1.0) - y[0] * y[0]);
        dy[1] = p[1] * (S::of(1.0) - y[1] * y[1]);
    }
);
field!(
    /// The image of v under x₁ = tanh z₁, x₀ = z₀(2 + x₁): all such fields commute.
    Image, 2, 2, |t, y, p, dy| {
        let slope = S::of(1.0) - y[1] * y[1];
        let width = S::of(2.0) + y[1];
        dy[0] = width * p[0] + y[0] / width * slope * p[1];
        dy[1] = slope * p[1];
    }
);

const PATHS: usize = 10_000;
const POWERS: [u32; 5] = [4, 5, 6, 7, 8];
const FINEST: usize = 256;

/// tanh(z).
fn tanh_of(x0: f64, z: f64) -> f64 {
    (x0.atanh() + z).tanh()
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "statistics over 10⁴ paths: cargo test --release --test sde_statistics"
)]
fn scalar_noise_has_strong_order_one() -> Result<()> {
    let (alpha, beta, x0) = (0.4, 0.8, 0.3);
    let exact = |w: &[f64]| vec![tanh_of(x0, beta * w[0] - alpha)];
    let ito = Sde::ito(Generic(TanhIto), Scalar(Generic(Tanh)));
    let theta = [alpha, beta, beta];
    let study =
        Study { system: &ito, theta: &theta, y0: &[x0], levy: Levy::None, paths: PATHS, finest: FINEST };
    let end = study.exact(exact)?;
    study.assert_order("Milstein, Itô", &Milstein, &POWERS, &end, 1.0)?;
    study.assert_order("differences, Itô", &MilsteinDifferences, &POWERS, &end, 1.0)?;
    study.assert_order("Euler–Maruyama, Itô", &EulerMaruyama, &POWERS, &end, 0.5)?;

    let stratonovich = Sde::stratonovich(Generic(Tanh), Scalar(Generic(Tanh)));
    let theta = [-alpha, beta];
    let study = Study {
        system: &stratonovich,
        theta: &theta,
        y0: &[x0],
        levy: Levy::None,
        paths: PATHS,
        finest: FINEST,
    };
    study.assert_order("Milstein, Stratonovich", &Milstein, &POWERS, &end, 1.0)?;

    // The same solution by a method of the other calculus on the converted equation.
    let converted = Converted::new(ito);
    let theta = [alpha, beta, beta];
    let study = Study {
        system: &converted,
        theta: &theta,
        y0: &[x0],
        levy: Levy::None,
        paths: PATHS,
        finest: FINEST,
    };
    study.assert_order("Heun, converted", &Heun, &POWERS, &end, 1.0)?;
    study.assert_order("Milstein, converted", &Milstein, &POWERS, &end, 1.0)?;
    let converted = Converted::new(stratonovich);
    let theta = [-alpha, beta];
    let study = Study {
        system: &converted,
        theta: &theta,
        y0: &[x0],
        levy: Levy::None,
        paths: PATHS,
        finest: FINEST,
    };
    study.assert_order("Milstein, converted to Itô's", &Milstein, &POWERS, &end, 1.0)
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "statistics over 10⁴ paths: cargo test --release --test sde_statistics"
)]
fn diagonal_noise_has_strong_order_one() -> Result<()> {
    let theta = [-0.4, 0.3, 0.8, -0.6];
    let stratonovich = Sde::stratonovich(Generic(Pair), Diagonal(Generic(Pair)));
    let exact = |w: &[f64]| vec![tanh_of(0.3, -0.4 + 0.8 * w[0]), tanh_of(-0.2, 0.3 - 0.6 * w[1])];
    let study = Study {
        system: &stratonovich,
        theta: &theta,
        y0: &[0.3, -0.2],
        levy: Levy::None,
        paths: PATHS,
        finest: FINEST,
    };
    let end = study.exact(exact)?;
    study.assert_order("Milstein, Stratonovich", &Milstein, &POWERS, &end, 1.0)?;
    let ito = Converted::new(&stratonovich);
    let study = Study {
        system: &ito,
        theta: &theta,
        y0: &[0.3, -0.2],
        levy: Levy::None,
        paths: PATHS,
        finest: FINEST,
    };
    study.assert_order("Milstein, Itô", &Milstein, &POWERS, &end, 1.0)?;
    study.assert_order("differences, Itô", &MilsteinDifferences, &POWERS, &end, 1.0)
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "statistics over 10⁴ paths: cargo test --release --test sde_statistics"
)]
fn commutative_noise_has_strong_order_one() -> Result<()> {
    let theta = [0.3, -0.2, 0.5, 0.4, -0.6, 0.5];
    let columns = || Commutative(vec![Generic(Image), Generic(Image)]);
    let stratonovich = Sde::stratonovich(Generic(Image), columns());
    check_class(&columns(), Point { t: 0.0, y: &[0.7, -0.3], theta: &theta[2..] }, 1e-12)?;
    let y0 = [1.2, 0.3];
    let exact = |w: &[f64]| {
        let z0 = y0[0] / (2.0 + y0[1]) + theta[0] + theta[2] * w[0] + theta[4] * w[1];
        let x1 = tanh_of(y0[1], theta[1] + theta[3] * w[0] + theta[5] * w[1]);
        vec![z0 * (2.0 + x1), x1]
    };
    let study = Study {
        system: &stratonovich,
        theta: &theta,
        y0: &y0,
        levy: Levy::None,
        paths: PATHS,
        finest: FINEST,
    };
    let end = study.exact(exact)?;
    study.assert_order("Milstein, Stratonovich", &Milstein, &POWERS, &end, 1.0)?;
    let ito = Converted::new(stratonovich);
    let study =
        Study { system: &ito, theta: &theta, y0: &y0, levy: Levy::None, paths: PATHS, finest: FINEST };
    study.assert_order("Milstein, Itô", &Milstein, &POWERS, &end, 1.0)?;
    study.assert_order("differences, Itô", &MilsteinDifferences, &POWERS, &end, 1.0)
}
