//! Drift-implicit methods: strong orders against an exact solution and a method of order 1.5.

use super::fields::{Tanh, TanhIto};
use super::problems::Drift;
use super::strong::Study;
use odeon::Result;
use odeon::dynamics::generic::Generic;
use odeon::sde::noise::Levy;
use odeon::sde::tableaux::Sra3;
use odeon::sde::{Constant, DriftImplicitEuler, DriftImplicitTrapezoid, Scalar, Sde};

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "statistics over 10⁴ paths: cargo test --release --test sde_statistics"
)]
fn strong_orders() -> Result<()> {
    // Multiplicative noise, order ½. The exact solution stays within ±1; a step that throws a path beyond meets a drift
    // that grows outwards, and has no solution: from 64 steps on that is 5 deviations of its noise.
    let powers = [6, 7, 8, 9];
    let system = Sde::ito(Generic(TanhIto), Scalar(Generic(Tanh)));
    let theta = [0.4, 0.8, 0.8];
    let study =
        Study { system: &system, theta: &theta, y0: &[0.3], levy: Levy::None, paths: 10_000, finest: 512 };
    let end = study.exact(|w| vec![(0.3_f64.atanh() + 0.8 * w[0] - 0.4).tanh()])?;
    study.assert_order("Euler, multiplicative", &DriftImplicitEuler, &powers, &end, 0.5)?;
    study.assert_order("trapezoid, multiplicative", &DriftImplicitTrapezoid, &powers, &end, 0.5)?;
    let powers = [4, 5, 6, 7, 8];
    // Additive noise on a nonlinear drift, order 1, against a method of order 1.5 at a sixteenth of the step.
    let system = Sde::ito(Generic(Drift), Constant::diagonal(2));
    let theta = [1.1, 0.8, 0.6, 0.5];
    let study = Study {
        system: &system,
        theta: &theta,
        y0: &[0.4, 0.9],
        levy: Levy::SpaceTime,
        paths: 10_000,
        finest: 4096,
    };
    let end = study.end(&Sra3, 4096)?;
    study.assert_order("Euler, additive", &DriftImplicitEuler, &powers, &end, 1.0)?;
    study.assert_order("trapezoid, additive", &DriftImplicitTrapezoid, &powers, &end, 1.0)?;
    Ok(())
}
