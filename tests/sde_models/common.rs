//! Finite differences, samples and confidence bounds.

use odeon::Result;
use odeon::dynamics::{Dynamics, Point, Tangent};
use odeon::integrate::{Options, Problem};
use odeon::sde::noise::{FixedGrid, Levy};
use odeon::sde::srk::StochasticRk;
use odeon::sde::{Diffusion, System, solve};

/// Standard errors that a correct result may be off: once in 10⁵ by chance, and the seeds are fixed.
pub const SIGMAS: f64 = 4.5;

/// Numbers between −1 and 1 without a pattern.
pub fn scattered(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (12.9898 * (i as f64 + 1.0) + 78.233 * seed).sin()).collect()
}

/// Central differences of `f` at `x`.
pub fn differences(x: &[f64], mut f: impl FnMut(&[f64]) -> Result<f64>) -> Result<Vec<f64>> {
    let h = 1e-5;
    let mut moved = x.to_vec();
    (0..x.len())
        .map(|i| {
            moved[i] = x[i] + h;
            let up = f(&moved)?;
            moved[i] = x[i] - h;
            let down = f(&moved)?;
            moved[i] = x[i];
            Ok((up - down) / (2.0 * h))
        })
        .collect()
}

/// Both agree to `tol` of the largest entry.
pub fn agree(what: &str, got: &[f64], expected: &[f64], tol: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3, |s: f64, v| s.max(v.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tol * scale, "{what}[{i}]: {g} against {e}, scale {scale}");
    }
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What drift and diffusion have in common here.
pub trait Products {
    fn value(&self, t: f64, y: &[f64], theta: &[f64]) -> Vec<f64>;
    fn pull(&self, at: (f64, &[f64], &[f64]), bar: &[f64]) -> (f64, Vec<f64>, Vec<f64>);
    fn push(&self, at: (f64, &[f64], &[f64]), dot: (f64, &[f64], &[f64])) -> Vec<f64>;
}

pub struct OfDrift<'a, D>(pub &'a D);
pub struct OfDiffusion<'a, G>(pub &'a G);

macro_rules! products {
    ($name:ident, $bound:ident, $entries:ident) => {
        impl<D: $bound<f64>> Products for $name<'_, D> {
            fn value(&self, t: f64, y: &[f64], theta: &[f64]) -> Vec<f64> {
                let batch = y.len() / self.0.dim();
                let mut out = vec![0.0; self.0.$entries() * batch];
                self.0.eval(Point { t, y, theta }, &mut out, &mut self.0.scratch(batch));
                out
            }
            fn pull(&self, (t, y, theta): (f64, &[f64], &[f64]), bar: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
                let (mut y_bar, mut theta_bar) = (vec![0.0; y.len()], vec![0.0; theta.len()]);
                let mut scratch = self.0.scratch(y.len() / self.0.dim());
                let at = Point { t, y, theta };
                let t_bar = self.0.vjp(at, bar, &mut y_bar, &mut theta_bar, &mut scratch);
                (t_bar, y_bar, theta_bar)
            }
            fn push(&self, (t, y, theta): (f64, &[f64], &[f64]), dot: (f64, &[f64], &[f64])) -> Vec<f64> {
                let batch = y.len() / self.0.dim();
                let mut out = vec![0.0; self.0.$entries() * batch];
                let dot = Tangent { t: dot.0, y: dot.1, theta: dot.2 };
                self.0.jvp(Point { t, y, theta }, dot, &mut out, &mut self.0.scratch(batch));
                out
            }
        }
    };
}
products!(OfDrift, Dynamics, dim);
products!(OfDiffusion, Diffusion, entries);

/// Reverse and forward products against differences and against each other, for three columns.
pub fn check_products(what: &str, of: &impl Products, t: f64, y: &[f64], theta: &[f64]) -> Result<()> {
    let bar = scattered(of.value(t, y, theta).len(), 3.0);
    let (t_bar, y_bar, theta_bar) = of.pull((t, y, theta), &bar);
    let expected = differences(y, |y| Ok(inner(&bar, &of.value(t, y, theta))))?;
    agree(&format!("{what}: y"), &y_bar, &expected, 1e-8);
    let expected = differences(theta, |theta| Ok(inner(&bar, &of.value(t, y, theta))))?;
    agree(&format!("{what}: theta"), &theta_bar, &expected, 1e-8);
    let expected = differences(&[t], |t| Ok(inner(&bar, &of.value(t[0], y, theta))))?;
    agree(&format!("{what}: t"), &[t_bar], &expected, 1e-8);
    let (y_dot, theta_dot) = (scattered(y.len(), 5.0), scattered(theta.len(), 6.0));
    let forward = inner(&bar, &of.push((t, y, theta), (0.7, &y_dot, &theta_dot)));
    let reverse = 0.7 * t_bar + inner(&y_bar, &y_dot) + inner(&theta_bar, &theta_dot);
    agree(&format!("{what}: transposed"), &[forward], &[reverse], 1e-12);
    let forward = inner(&bar, &of.push((t, y, theta), (0.0, &y_dot, &[])));
    agree(&format!("{what}: without theta"), &[forward], &[inner(&y_bar, &y_dot)], 1e-12);
    Ok(())
}

/// States at `times` (on a grid of `cells` over [0, last]), `dim × paths` for each.
pub fn sample<S: System<f64>>(
    system: &S,
    method: &impl StochasticRk,
    (y0, theta): (&[f64], &[f64]),
    times: &[f64],
    [cells, paths]: [usize; 2],
) -> Result<Vec<f64>> {
    let end = times[times.len() - 1];
    let noise = FixedGrid::new(17, [0.0, end], cells, system.diffusion().components(), paths)?;
    let noise = noise.levy(Levy::SpaceTime);
    let y0 = y0.repeat(paths);
    let problem = Problem { y0: &y0, span: [0.0, end], theta };
    let options = Options::fixed(end / cells as f64).save_at(times);
    Ok(solve(system, method.tableau(), noise, &problem, &options)?.y)
}

/// Mean and variance of one row of a block of states.
pub fn moments(block: &[f64], dim: usize, row: usize) -> ([f64; 2], [f64; 2]) {
    let x: Vec<f64> = block[row..].iter().step_by(dim).copied().collect();
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let power = |p: i32| x.iter().map(|x| (x - mean).powi(p)).sum::<f64>() / n;
    let variance = power(2) * n / (n - 1.0);
    let errors = [(variance / n).sqrt(), ((power(4) - power(2).powi(2)) / n).sqrt()];
    ([mean, variance], errors)
}

/// Mean and variance within the confidence bounds of the sample, and `slack` beyond.
pub fn within(what: &str, (got, errors): ([f64; 2], [f64; 2]), exact: [f64; 2], slack: f64) {
    for (i, name) in ["mean", "variance"].into_iter().enumerate() {
        let bound = SIGMAS * errors[i] + slack;
        assert!(
            (got[i] - exact[i]).abs() <= bound,
            "{what}, {name}: {} ± {bound} against {}",
            got[i],
            exact[i]
        );
    }
}
