//! Simulated moments and paths against the exact ones.

use super::common::{OfDiffusion, OfDrift, SIGMAS, check_products, moments, sample, scattered, within};
use odeon::Result;
use odeon::dynamics::Point;
use odeon::integrate::{Options, Problem};
use odeon::sde::noise::{Brownian, IntervalTree, Levy};
use odeon::sde::problems::{
    AdditiveLorenz, DoubleWell, GeometricBrownian, Heston, MultiplicativeLorenz, OrnsteinUhlenbeck,
    StochasticLotkaVolterra, StochasticSpiral,
};
use odeon::sde::tableaux::{EulerMaruyama, Sosra, Sriw1};
use odeon::sde::{NoiseClass, System, check_class, solve};

fn rms(a: impl Iterator<Item = f64>) -> f64 {
    let squares: Vec<f64> = a.map(|x| x * x).collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

#[test]
fn ornstein_uhlenbeck_has_its_moments() -> Result<()> {
    type P = OrnsteinUhlenbeck;
    let (theta, x0) = (P::THETA, P::Y0[0]);
    let times = [0.5, 2.0];
    let paths = 20_000;
    let y = sample(&P::sde(), &Sosra, (&P::Y0, &theta), &times, [32, paths])?;
    for (block, t) in y.chunks(paths).zip(times) {
        within("OU", moments(block, 1, 0), [P::mean(theta, x0, t), P::variance(theta, t)], 0.0);
    }
    let products: Vec<f64> = (0..paths)
        .map(|j| (y[j] - P::mean(theta, x0, times[0])) * (y[paths + j] - P::mean(theta, x0, times[1])))
        .collect();
    let ([mean, variance], _) = moments(&products, 1, 0);
    let (exact, error) = (P::covariance(theta, 0.5, 2.0), (variance / paths as f64).sqrt());
    assert!((mean - exact).abs() < SIGMAS * error, "{mean} ± {error} against {exact}");
    assert!(exact > 8.0 * error, "the covariance is seen");
    assert_eq!(P::covariance([0.0, 1.0, 2.0], 0.5, 3.0), 2.0);
    Ok(())
}

/// The path from W and H: what it leaves out has the variance it says, and a solver on the same motion reaches it.
#[test]
fn ornstein_uhlenbeck_follows_its_noise() -> Result<()> {
    type P = OrnsteinUhlenbeck;
    let (theta, paths) = ([3.0, 0.5, 0.6], 4000);
    let noise = || Ok::<_, odeon::Error>(IntervalTree::new(5, [0.0, 2.0], 1, paths)?.levy(Levy::SpaceTime));
    let times = |cells: usize| -> Vec<f64> { (1..=cells).map(|i| 2.0 * i as f64 / cells as f64).collect() };
    let end = |cells: usize| -> Result<Vec<f64>> {
        let all = P::path(theta, 2.0, (0.0, &times(cells)), &mut noise()?)?;
        Ok(all[all.len() - paths..].to_vec())
    };
    let (coarse, fine) = (end(4)?, end(128)?);
    let off = rms(coarse.iter().zip(&fine).map(|(a, b)| a - b));
    let kept = (-2.0 * theta[0] * 0.5f64).exp();
    let expected = (P::unresolved(theta, 0.5) * (1..=4).map(|k| kept.powi(4 - k)).sum::<f64>()).sqrt();
    // √n of a normal sample's spread is off by 1/√(2n) of itself.
    assert!((off / expected - 1.0).abs() < SIGMAS / (2.0 * paths as f64).sqrt(), "{off} {expected}");
    let leading = theta[0].powi(4) * theta[2].powi(2) * 0.01f64.powi(5) / 720.0;
    assert!((P::unresolved(theta, 0.01) / leading - 1.0).abs() < 0.05, "{}", P::unresolved(theta, 0.01));
    let series = P::unresolved([1.0, 0.0, 1.0], 1.0 - 1e-9);
    let closed = P::unresolved([1.0, 0.0, 1.0], 1.0 + 1e-9);
    assert!((series / closed - 1.0).abs() < 1e-6, "{series} {closed}");

    let error = |h: f64| -> Result<f64> {
        let y0 = vec![2.0; paths];
        let problem = Problem { y0: &y0, span: [0.0, 2.0], theta: &theta };
        let solution = solve(&P::sde(), &Sosra, noise()?, &problem, &Options::fixed(h))?;
        Ok(rms(solution.last().iter().zip(&fine).map(|(a, b)| a - b)))
    };
    let (large, small) = (error(0.125)?, error(0.03125)?);
    // Order 1.5 on a linear drift with additive noise: 8 for a quarter of the step.
    assert!((6.0..20.0).contains(&(large / small)) && small < 2e-3, "{large} {small}");
    let mut bare = IntervalTree::new(5, [0.0, 2.0], 1, 1)?;
    assert!(P::path(theta, 2.0, (0.0, &[1.0]), &mut bare).is_err(), "areas are needed");
    assert!(P::path(theta, 2.0, (0.0, &[1.0, 1.0]), &mut noise()?).is_err(), "times increase");
    Ok(())
}

#[test]
fn geometric_brownian_motion_has_its_moments_and_paths() -> Result<()> {
    type P = GeometricBrownian;
    let paths = 20_000;
    let y = sample(&P::sde(), &Sriw1, (&P::Y0, &P::THETA), &[0.25, 1.0], [32, paths])?;
    for (block, t) in y.chunks(paths).zip([0.25, 1.0]) {
        within("GBM", moments(block, 1, 0), [P::mean(P::THETA, 1.0, t), P::variance(P::THETA, 1.0, t)], 0.0);
    }
    let noise = || Ok::<_, odeon::Error>(IntervalTree::new(3, [0.0, 1.0], 1, 500)?.levy(Levy::SpaceTime));
    let mut w = vec![0.0; 500];
    noise()?.increment(0.0, 1.0, &mut w, &mut [])?;
    let error = |h: f64| -> Result<f64> {
        let y0 = vec![1.0; 500];
        let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &P::THETA };
        let solution = solve(&P::sde(), &Sriw1, noise()?, &problem, &Options::fixed(h))?;
        let exact = w.iter().map(|w| P::solution(P::THETA, 1.0, 1.0, *w));
        Ok(rms(solution.last().iter().zip(exact).map(|(a, b)| a - b)))
    };
    let (large, small) = (error(1.0 / 16.0)?, error(1.0 / 64.0)?);
    // Strong order 1.5.
    assert!((6.4..10.0).contains(&(large / small)), "{large} {small}");
    Ok(())
}

#[test]
fn heston_has_its_moments_and_no_infinite_slopes() -> Result<()> {
    type P = Heston;
    let [a, b] = P::factors(0.25, -0.6);
    assert!((a - P::THETA[3]).abs() < 1e-15 && (b - P::THETA[4]).abs() < 1e-15);
    let start = [1.0, 0.09];
    let paths = 10_000;
    let y = sample(&P::sde(), &EulerMaruyama, (&start, &P::THETA), &[1.0], [200, paths])?;
    let mean = P::mean(P::THETA, start, 1.0);
    let (s, errors) = moments(&y, 2, 0);
    within("S", (s, errors), [mean[0], s[1]], 0.0);
    within("v", moments(&y, 2, 1), [mean[1], P::variance_of_variance(P::THETA, start[1], 1.0)], 0.0);
    // ρ: the return's covariance with v has its sign and size, ρξ∫E v dt to leading order.
    let ([_, vs], [_, vv]) = (moments(&y, 2, 0).0, moments(&y, 2, 1).0);
    let covariance = y.chunks(2).map(|y| (y[0] - mean[0]) * (y[1] - mean[1])).sum::<f64>() / paths as f64;
    let correlation = covariance / (vs * vv).sqrt();
    assert!((-0.6..-0.3).contains(&correlation), "{correlation}");
    // At and below v = 0 the truncated equation has finite products and no noise to speak of.
    let sde = P::sde();
    for v in [0.0, -0.01] {
        let at = Point { t: 0.0, y: &[1.0, v], theta: &P::THETA[3..] };
        let dot = odeon::dynamics::Tangent { t: 0.0, y: &[1.0, 1.0], theta: &[] };
        use odeon::sde::Diffusion;
        let g = System::<f64>::diffusion(&sde);
        let (mut value, mut out) = ([0.0; 4], [0.0; 4]);
        g.eval(at, &mut value, &mut g.scratch(1));
        g.jvp(at, dot, &mut out, &mut g.scratch(1));
        assert!(value.iter().all(|x| x.abs() < 1e-14) && out.iter().all(|x| x.is_finite()), "{out:?}");
    }
    check_products(
        "Heston's drift",
        &OfDrift(System::<f64>::drift(&sde)),
        0.0,
        &[1.0, 0.1, 0.8, 0.2, 1.1, 0.3],
        &P::THETA[..3],
    )?;
    check_products(
        "Heston's noise",
        &OfDiffusion(System::<f64>::diffusion(&sde)),
        0.0,
        &[1.0, 0.1, 0.8, 0.2, 1.1, 0.3],
        &P::THETA[3..],
    )
}

#[test]
fn double_well_reaches_its_equilibrium() -> Result<()> {
    type P = DoubleWell;
    // Known: without a quartic term's share, E X² = σ²/(2|a|) for a < 0, b → 0.
    let linear = P::stationary_moment([-2.0, 1e-9, 0.6], 2);
    assert!((linear - 0.09).abs() < 1e-8, "{linear}");
    assert!(P::stationary_moment(P::THETA, 3).abs() < 1e-12);
    let y = sample(&P::sde(), &Sosra, (&P::Y0, &P::THETA), &[P::T_END], [200, 8000])?;
    for power in [2, 4] {
        let x: Vec<f64> = y.iter().map(|x| x.powi(power)).collect();
        let ([mean, _], [error, _]) = moments(&x, 1, 0);
        let exact = P::stationary_moment(P::THETA, power);
        assert!((mean - exact).abs() < SIGMAS * error, "E X^{power}: {mean} ± {error}, {exact}");
    }
    Ok(())
}

#[test]
fn the_spiral_has_the_moments_of_the_published_experiment() -> Result<()> {
    type P = StochasticSpiral;
    let paths = 8000;
    let times: Vec<f64> = P::MOMENTS.iter().map(|(k, _)| *k as f64 / 29.0).collect();
    let y = sample(&P::sde(), &Sriw1, (&P::Y0, &P::THETA), &times, [29 * 8, paths])?;
    for (block, (k, [m1, m2, v1, v2])) in y.chunks(2 * paths).zip(P::MOMENTS) {
        // Rounding of the printed numbers.
        within(&format!("u1 at {k}"), moments(block, 2, 0), [m1, v1], 6e-6);
        within(&format!("u2 at {k}"), moments(block, 2, 1), [m2, v2], 6e-6);
    }
    Ok(())
}

#[test]
fn classes_are_as_promised() -> Result<()> {
    fn check<S: System<f64>>(system: &S, theta: &[f64], class: NoiseClass) -> Result<()> {
        use odeon::sde::Diffusion;
        let y = scattered(system.dim(), 1.0).iter().map(|x| x.abs() + 0.1).collect::<Vec<_>>();
        system.validate()?;
        assert_eq!(system.num_params(), theta.len());
        assert_eq!(system.diffusion().class(), class);
        let own = theta.len() - system.diffusion().num_params();
        check_class(system.diffusion(), Point { t: 0.0, y: &y, theta: &theta[own..] }, 1e-12)
    }
    check(&OrnsteinUhlenbeck::sde(), &OrnsteinUhlenbeck::THETA, NoiseClass::Additive)?;
    check(&GeometricBrownian::sde(), &GeometricBrownian::THETA, NoiseClass::Diagonal)?;
    check(&DoubleWell::sde(), &DoubleWell::THETA, NoiseClass::Additive)?;
    check(&Heston::sde(), &Heston::THETA, NoiseClass::General)?;
    check(&AdditiveLorenz::sde(), &AdditiveLorenz::THETA, NoiseClass::Additive)?;
    check(&MultiplicativeLorenz::sde(), &MultiplicativeLorenz::THETA, NoiseClass::Diagonal)?;
    check(&StochasticLotkaVolterra::sde(), &StochasticLotkaVolterra::THETA, NoiseClass::Diagonal)?;
    check(&StochasticSpiral::sde(), &StochasticSpiral::THETA, NoiseClass::Diagonal)
}

/// Prey alone is a geometric Brownian motion; both kinds stay positive.
#[test]
fn lotka_volterra_keeps_its_kinds() -> Result<()> {
    type P = StochasticLotkaVolterra;
    let y = sample(&P::sde(), &Sriw1, (&[1.0, 0.0], &P::THETA), &[1.0], [32, 4000])?;
    let exact =
        [GeometricBrownian::mean([1.5, 0.1], 1.0, 1.0), GeometricBrownian::variance([1.5, 0.1], 1.0, 1.0)];
    within("prey", moments(&y, 2, 0), exact, 0.0);
    let y = sample(&P::sde(), &Sriw1, (&P::Y0, &P::THETA), &[P::T_END], [400, 200])?;
    assert!(y.iter().all(|y| *y > 0.0));
    Ok(())
}
