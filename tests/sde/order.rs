//! Strong orders: E|X(T) − y_N|² over paths of the same noise, fitted over four step sizes, with the standard
//! error of the slope from batches of paths. For every method and every class that it claims.

use super::problems::{Drift, Visit, start, with};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem};
use odeon::sde::noise::{IntervalTree, Levy};
use odeon::sde::srk::StochasticTableau;
use odeon::sde::{Calculus, Diffusion, NoiseClass, Sde, solve, tableaux};

const PATHS: usize = 400;
const GROUPS: usize = 8;

struct Strong<'a> {
    method: &'a StochasticTableau,
    reference: &'a StochasticTableau,
    /// Steps are 2^−k for these four k, the reference's 2^−fine.
    coarse: u32,
    fine: u32,
}

/// Slope and its standard error.
#[derive(Clone, Copy, Debug)]
struct Slope {
    mean: f64,
    error: f64,
}

/// The least-squares slope of log₂ errors against log₂ h for halving h.
fn fit(errors: &[f64]) -> f64 {
    let n = errors.len() as f64;
    let x = |i: usize| -(i as f64) + (n - 1.0) / 2.0;
    let top: f64 = errors.iter().enumerate().map(|(i, e)| x(i) * e.log2()).sum();
    top / (0..errors.len()).map(|i| x(i) * x(i)).sum::<f64>()
}

impl Visit for Strong<'_> {
    type Output = Slope;

    fn visit<G: Diffusion<f64>>(&mut self, sde: &Sde<Generic<Drift>, G>, theta: &[f64]) -> Slope {
        let m = Diffusion::<f64>::components(odeon::sde::System::<f64>::diffusion(sde));
        let run = |method: &StochasticTableau, k: u32| -> Vec<f64> {
            let noise = IntervalTree::new(11, [0.0, 1.0], m, PATHS).unwrap().levy(Levy::SpaceTime);
            let y0 = start(PATHS);
            let problem = Problem { y0: &y0, span: [0.0, 1.0], theta };
            let options = Options::fixed(0.5_f64.powi(k as i32));
            solve(sde, method, noise, &problem, &options).unwrap().last().to_vec()
        };
        let exact = run(self.reference, self.fine);
        let squares: Vec<Vec<f64>> = (self.coarse..self.coarse + 4)
            .map(|k| {
                let y = run(self.method, k);
                let paths = y.chunks(2).zip(exact.chunks(2));
                paths.map(|(y, x)| (y[0] - x[0]).powi(2) + (y[1] - x[1]).powi(2)).collect()
            })
            .collect();
        let slopes: Vec<f64> = (0..GROUPS)
            .map(|g| {
                let size = PATHS / GROUPS;
                let rms =
                    |s: &Vec<f64>| (s[g * size..(g + 1) * size].iter().sum::<f64>() / size as f64).sqrt();
                fit(&squares.iter().map(rms).collect::<Vec<_>>())
            })
            .collect();
        let whole: Vec<f64> = squares.iter().map(|s| (s.iter().sum::<f64>() / PATHS as f64).sqrt()).collect();
        let n = slopes.len() as f64;
        let mean = slopes.iter().sum::<f64>() / n;
        let variance = slopes.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Slope { mean: fit(&whole), error: (variance / n).sqrt() }
    }
}

/// The slope of every claim of the methods that pass `choose`.
fn check(class: NoiseClass, coarse: u32) {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for method in tableaux::all() {
        let Some(strength) = method.strength(class) else { continue };
        // The estimate does not change fixed steps.
        if method.name.ends_with("embedded") {
            continue;
        }
        let reference = match (class, method.calculus) {
            (NoiseClass::Additive, _) => "SRA3",
            (NoiseClass::Scalar | NoiseClass::Diagonal, Calculus::Ito) => "SRIW1",
            (_, Calculus::Ito) => "EulerMaruyama",
            _ => "Spark",
        };
        let rough = reference == "EulerMaruyama" || class == NoiseClass::General;
        let reference = tableaux::by_name(reference).unwrap();
        let fine = if rough { 13 } else { coarse + 7 };
        let slope = with(class, method.calculus, &mut Strong { method, reference, coarse, fine });
        println!(
            "{class} {}: {:.3} ± {:.3}, claimed {}",
            method.name, slope.mean, slope.error, strength.strong
        );
        seen += 1;
        assert!(slope.error < 0.06, "{}: too few paths to judge, {slope:?}", method.name);
        if (slope.mean - strength.strong).abs() > 0.1 + 2.0 * slope.error {
            wrong.push(format!("{} has {slope:?}, claims {}", method.name, strength.strong));
        }
    }
    assert!(seen > 4, "only {seen} methods");
    assert!(wrong.is_empty(), "{class} noise:\n{}", wrong.join("\n"));
}

#[test]
fn additive() {
    check(NoiseClass::Additive, 5);
}

#[test]
fn scalar() {
    check(NoiseClass::Scalar, 4);
}

#[test]
fn diagonal() {
    check(NoiseClass::Diagonal, 4);
}

#[test]
fn commutative() {
    check(NoiseClass::Commutative, 4);
}

#[test]
fn general() {
    check(NoiseClass::General, 4);
}
