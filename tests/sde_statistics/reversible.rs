//! Reversible Heun: strong and weak order against an exact solution.

use super::strong::{Study, fit};
use odeon::Result;
use odeon::dynamics::generic::Generic;
use odeon::sde::noise::Levy;
use odeon::sde::{ReversibleHeun, Scalar, Sde};

field!(
    /// x' = cos(t) √(1 + x²), with noise ½√(1 + x²): x = sinh(asinh x₀ + sin t + ½W).
    Swing, 1, 0, |t, y, p, dy| {
        dy[0] = t.cos() * (S::of(1.0) + y[0] * y[0]).sqrt();
    }
);
field!(
    /// ½√(1 + x²).
    Width, 1, 0, |t, y, p, dy| {
        dy[0] = S::of(0.5) * (S::of(1.0) + y[0] * y[0]).sqrt();
    }
);

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "statistics over 10⁴ paths: cargo test --release --test sde_statistics"
)]
fn strong_and_weak_order_are_one_on_scalar_noise() -> Result<()> {
    let system = Sde::stratonovich(Generic(Swing), Scalar(Generic(Width)));
    let paths = 20_000;
    let study = Study { system: &system, theta: &[], y0: &[0.4], levy: Levy::None, paths, finest: 512 };
    let exact = study.exact(|w| vec![(0.4_f64.asinh() + 1.0_f64.sin() + 0.5 * w[0]).sinh()])?;
    study.assert_order("reversible Heun", &ReversibleHeun, &[5, 6, 7, 8], &exact, 1.0)?;
    // E φ(y_h) − E φ(X) on the same paths, φ = tanh: the difference has little variance.
    let (powers, mut errors) = ([6, 7, 8, 9], Vec::new());
    for k in powers {
        let y = study.end(&ReversibleHeun, 1 << k)?;
        let terms: Vec<f64> = y.iter().zip(&exact).map(|(y, x)| y.tanh() - x.tanh()).collect();
        let n = terms.len() as f64;
        let mean = terms.iter().sum::<f64>() / n;
        let spread = (terms.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n * n)).sqrt();
        assert!(mean.abs() > 20.0 * spread, "2^{k} steps: {mean:.2e} ± {spread:.2e}");
        errors.push(mean.abs().log2());
    }
    let slope = fit(&powers, &errors);
    assert!((slope - 1.0).abs() < 0.15, "weak slope {slope:.3}: {errors:?}");
    Ok(())
}
