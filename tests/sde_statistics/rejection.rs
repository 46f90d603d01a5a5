//! Adaptive steps with rejections leave the law of the solution alone: the path is that of the noise source,
//! whatever was tried.

use super::methods::Method;
use super::problems::{Drift, Visit, start, with};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem};
use odeon::sde::noise::{Brownian, IntervalTree, Levy};
use odeon::sde::{Calculus, Diffusion, NoiseClass, Scalar, Sde, System};

field!(
    /// Geometric Brownian motion.
    Linear, 1, 1, |t, y, p, dy| {
        dy[0] = p[0] * y[0];
    }
);

/// The adaptive solution against the exact one on the same path, one path a solve so that each rejects on its own;
/// a biased treatment of rejections shifts the mean of log X(1) − W terms by many standard errors.
#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "statistics over 10⁴ paths: cargo test --release --test sde_statistics"
)]
fn no_bias_from_rejections() {
    let (a, b, runs) = (0.3, 0.9, 10_000);
    for method in Method::all().into_iter().filter(|m| m.adapts(NoiseClass::Scalar)) {
        let Some(strength) = method.strength(NoiseClass::Scalar) else { continue };
        // Strong order ½: the same error takes smaller steps.
        let tol = if strength.strong < 1.0 { 2.5e-4 } else { 1e-3 };
        let drift = match method.calculus() {
            Calculus::Ito => a - 0.5 * b * b,
            Calculus::Stratonovich => a,
        };
        let (mut rejected, mut sum, mut square, mut path, mut off) = (0, 0.0, 0.0, 0.0, 0.0_f64);
        for run in 0..runs {
            let made = || {
                let tree = IntervalTree::new(3, [0.0, 1.0], 1, 1).unwrap();
                tree.levy(Levy::SpaceTime).paths_from(run).unwrap()
            };
            let (f, g) = (Generic(Linear), Scalar(Generic(Linear)));
            let sde = match method.calculus() {
                Calculus::Ito => Sde::ito(f, g),
                Calculus::Stratonovich => Sde::stratonovich(f, g),
            };
            let problem = Problem { y0: &[1.0], span: [0.0, 1.0], theta: &[a, b] };
            let mut options = Options::tol(tol, tol);
            options.h0 = Some(0.25);
            let solution = method.solve(&sde, Box::new(made()), &problem, &options).unwrap();
            rejected += solution.stats.rejected;
            let mut w = [0.0];
            made().increment(0.0, 1.0, &mut w, &mut []).unwrap();
            let x = solution.last()[0];
            off += (x / (drift + b * w[0]).exp() - 1.0).powi(2);
            let noise = (x.ln() - drift) / b;
            sum += noise;
            square += noise * noise;
            path += w[0];
        }
        let n = runs as f64;
        let (mean, variance) = (sum / n, square / n - (sum / n).powi(2));
        assert!(rejected > 2000, "{}: {rejected} rejections prove nothing", method.name());
        // Pathwise: the solution is that of this noise.
        let rms = (off / n).sqrt();
        println!(
            "{}: {rejected} rejected, pathwise error {rms:.2e}, mean off {:.2e}",
            method.name(),
            mean - path / n
        );
        assert!(rms < 0.05, "{}: {rms}", method.name());
        // The mean against that of the very same noise, and the variance within four standard errors of 1.
        assert!((mean - path / n).abs() < 0.02, "{}: mean {mean} against {}", method.name(), path / n);
        assert!(
            (variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt() + 0.03,
            "{}: variance {variance}",
            method.name()
        );
    }
}

/// Tightening the tolerance on one path converges to the fine solution: wrong conditional noise after a
/// rejection would stop it.
struct Tighten(Method);

impl Visit for Tighten {
    type Output = [f64; 2];
    fn visit<G: Diffusion<f64>>(&mut self, sde: &Sde<Generic<Drift>, G>, theta: &[f64]) -> [f64; 2] {
        let m = Diffusion::<f64>::components(System::<f64>::diffusion(sde));
        let made = || IntervalTree::new(17, [0.0, 1.0], m, 20).unwrap().levy(Levy::SpaceTime);
        let y0 = start(20);
        let problem = Problem { y0: &y0, span: [0.0, 1.0], theta };
        let fine = self.0.solve(sde, Box::new(made()), &problem, &Options::fixed(0.5_f64.powi(13))).unwrap();
        [1e-1, 1e-3].map(|tol| {
            let y = self.0.solve(sde, Box::new(made()), &problem, &Options::tol(tol, tol)).unwrap();
            let square = y.last().iter().zip(fine.last()).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            (square / 40.0).sqrt()
        })
    }
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "statistics over 10⁴ paths: cargo test --release --test sde_statistics"
)]
fn a_tighter_tolerance_gives_a_smaller_error() {
    for method in Method::all() {
        let fits = |c: &NoiseClass| method.adapts(*c) && method.strength(*c).is_some();
        for class in NoiseClass::ALL.into_iter().filter(fits) {
            let [loose, tight] = with(class, method.calculus(), &mut Tighten(method));
            let factor = if class.commutes() { 5.0 } else { 2.0 };
            assert!(tight < loose / factor, "{} on {class} noise: {loose:e} to {tight:e}", method.name());
        }
    }
}
