//! Strong and weak orders from paths of the same noise as a reference of much finer steps.
//!
//! Strong: √E|y_h − X|². Weak: |E φ(y_h) − E φ(X)| over φ(y) = (y₀, y₁, y₀², y₀y₁) as one vector; both on the
//! same paths, so that the difference has the spread of the strong error only. The mean's own spread is taken
//! off the square of its length. Slopes come with the standard error of a delete-one jackknife over groups.

use super::methods::Method;
use super::problems::{Drift, Visit, start, with};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem};
use odeon::sde::noise::{Brownian, IntervalTree, Levy};
use odeon::sde::{Calculus, Diffusion, NoiseClass, Sde, System, tableaux};

/// How much is computed: `groups` groups of `paths` paths; steps are 2^−k for `sizes` values of k from `coarse`,
/// the reference's 2^−`fine`.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub groups: usize,
    pub paths: usize,
    pub coarse: u32,
    pub sizes: u32,
    pub fine: u32,
}

/// A slope and its standard error.
#[derive(Clone, Copy, Debug)]
pub struct Slope {
    pub mean: f64,
    pub error: f64,
}

/// What was found of a method on a class.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub strong: Slope,
    /// None where the noise hides the weak error at too many step sizes.
    pub weak: Option<Slope>,
}

/// The least-squares slope of log errors over log h.
fn fit(h: &[f64], errors: &[f64]) -> f64 {
    let (x, y): (Vec<f64>, Vec<f64>) = h.iter().zip(errors).map(|(h, e)| (h.ln(), e.ln())).unzip();
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let cross: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
    cross / x.iter().map(|x| (x - mx) * (x - mx)).sum::<f64>()
}

/// `of` the sums over all groups but one, for each, and over all: the value and its standard error.
fn jackknife(groups: usize, of: impl Fn(Option<usize>) -> f64) -> Slope {
    let without: Vec<f64> = (0..groups).map(|g| of(Some(g))).collect();
    let n = groups as f64;
    let mean = without.iter().sum::<f64>() / n;
    let spread: f64 = without.iter().map(|s| (s - mean) * (s - mean)).sum();
    Slope { mean: of(None), error: ((n - 1.0) / n * spread).sqrt() }
}

const FUNCTIONS: usize = 4;

/// Sums over one group's paths at one step size: |y − x|², φ(y) − φ(x).
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    square: f64,
    phi: [f64; FUNCTIONS],
}

fn sums(y: &[f64], x: &[f64]) -> Sums {
    let phi = |y: &[f64]| [y[0], y[1], y[0] * y[0], y[0] * y[1]];
    let mut all = Sums::default();
    for (y, x) in y.chunks(2).zip(x.chunks(2)) {
        all.square += (y[0] - x[0]).powi(2) + (y[1] - x[1]).powi(2);
        for ((sum, y), x) in all.phi.iter_mut().zip(phi(y)).zip(phi(x)) {
            *sum += y - x;
        }
    }
    all
}

/// The length of the weak error at one step size, and that of its standard error, leaving out one group.
fn weak(groups: &[Sums], paths: usize, but: Option<usize>) -> [f64; 2] {
    let kept: Vec<&Sums> =
        groups.iter().enumerate().filter(|(g, _)| Some(*g) != but).map(|(_, s)| s).collect();
    let n = kept.len() as f64;
    let (mut square, mut noise) = (0.0, 0.0);
    for k in 0..FUNCTIONS {
        let means = kept.iter().map(|s| s.phi[k] / paths as f64);
        let mean = means.clone().sum::<f64>() / n;
        square += mean * mean;
        noise += means.map(|m| (m - mean) * (m - mean)).sum::<f64>() / (n * (n - 1.0));
    }
    [(square - noise).max(1e-3 * noise).sqrt(), noise.sqrt()]
}

/// All methods of one calculus on one class.
struct Study<'a> {
    methods: &'a [Method],
    reference: Method,
    effort: Effort,
}

impl Visit for Study<'_> {
    type Output = Vec<(Method, Found)>;

    fn visit<G: Diffusion<f64>>(
        &mut self,
        sde: &Sde<Generic<Drift>, G>,
        theta: &[f64],
    ) -> Vec<(Method, Found)> {
        let Effort { groups, paths, coarse, sizes, fine } = self.effort;
        let (class, m) = {
            let g = System::<f64>::diffusion(sde);
            (Diffusion::<f64>::class(g), Diffusion::<f64>::components(g))
        };
        let y0 = start(paths);
        let run = |method: Method, k: u32, group: usize| -> Vec<f64> {
            let tree = IntervalTree::new(11, [0.0, 1.0], m, paths).unwrap().levy(Levy::SpaceTime);
            let noise: Box<dyn Brownian<f64>> = Box::new(tree.paths_from(group * paths).unwrap());
            let problem = Problem { y0: &y0, span: [0.0, 1.0], theta };
            let options = Options::fixed(0.5_f64.powi(k as i32));
            method.solve(sde, noise, &problem, &options).unwrap().last().to_vec()
        };
        let exact: Vec<Vec<f64>> = (0..groups).map(|g| run(self.reference, fine, g)).collect();
        let mut found = Vec::new();
        for &method in self.methods {
            let all: Vec<Vec<Sums>> = (coarse..coarse + sizes)
                .map(|k| (0..groups).map(|g| sums(&run(method, k, g), &exact[g])).collect())
                .collect();
            let claim = method.strength(class).unwrap();
            let h = |k: u32| 0.5_f64.powi(k as i32);
            // Errors that lack the reference's part: where both go with the same areas unknown, the square of
            // their difference goes with h − h_reference exactly; weak errors of order 1 likewise.
            let off = |same: bool| if same { h(fine) } else { 0.0 };
            let reference = self.reference.strength(class).unwrap();
            let strong_h: Vec<f64> = (coarse..coarse + sizes)
                .map(|k| h(k) - off(claim.strong == 0.5 && reference.strong == 0.5))
                .collect();
            let weak_h: Vec<f64> = (coarse..coarse + sizes)
                .map(|k| h(k) - off(claim.weak == 1.0 && reference.weak == 1.0))
                .collect();
            let strong = jackknife(groups, |but| {
                let rms = |s: &Vec<Sums>| {
                    let kept = s.iter().enumerate().filter(|(g, _)| Some(*g) != but);
                    kept.map(|(_, s)| s.square).sum::<f64>().sqrt()
                };
                fit(&strong_h, &all.iter().map(rms).collect::<Vec<_>>())
            });
            let resolved = all
                .iter()
                .take_while(|s| {
                    let [error, noise] = weak(s, paths, None);
                    error > 5.0 * noise
                })
                .count();
            let weak = (resolved >= 3).then(|| {
                jackknife(groups, |but| {
                    let errors: Vec<f64> = all[..resolved].iter().map(|s| weak(s, paths, but)[0]).collect();
                    fit(&weak_h[..resolved], &errors)
                })
            });
            found.push((method, Found { strong, weak }));
        }
        found
    }
}

/// The slopes of the methods that pass `choose` on `class`.
pub fn study(class: NoiseClass, effort: Effort, choose: impl Fn(Method) -> bool) -> Vec<(Method, Found)> {
    let mut all = Vec::new();
    for calculus in [Calculus::Ito, Calculus::Stratonovich] {
        let methods: Vec<Method> = Method::all()
            .into_iter()
            .filter(|m| m.calculus() == calculus && m.strength(class).is_some() && choose(*m))
            // The estimate does not change fixed steps.
            .filter(|m| !m.name().ends_with("embedded"))
            .collect();
        if methods.is_empty() {
            continue;
        }
        let table = |name: &str| Method::Table(tableaux::by_name(name).unwrap());
        let reference = match (class, calculus) {
            (NoiseClass::Additive, _) => table("SRA3"),
            (NoiseClass::Scalar | NoiseClass::Diagonal, Calculus::Ito) => table("SRIW1"),
            (NoiseClass::Commutative, Calculus::Ito) => Method::MilsteinDifferences,
            (_, Calculus::Ito) => table("EulerMaruyama"),
            _ => table("Spark"),
        };
        all.extend(with(class, calculus, &mut Study { methods: &methods, reference, effort }));
    }
    all
}
