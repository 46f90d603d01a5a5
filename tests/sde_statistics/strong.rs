//! Strong slopes with confidence intervals, on the same noise as the exact solution.

use odeon::Result;
use odeon::integrate::{Options, Problem};
use odeon::sde::noise::{Brownian, FixedGrid, Levy};
use odeon::sde::{Diffusion, SdeMethod, System, solve};

/// Groups of paths, each with a slope of its own.
const GROUPS: usize = 16;
/// Student's t for 15 degrees of freedom, 99 %.
const STUDENT: f64 = 2.947;

/// An equation with what its solution at time 1 is, given the motion there (or found otherwise).
pub struct Study<'a, S> {
    pub system: &'a S,
    pub theta: &'a [f64],
    pub y0: &'a [f64],
    pub levy: Levy,
    pub paths: usize,
    /// Cells of the noise.
    pub finest: usize,
}

impl<S: System<f64>> Study<'_, S> {
    fn noise(&self) -> Result<FixedGrid<f64>> {
        let m = self.system.diffusion().components();
        Ok(FixedGrid::new(11, [0.0, 1.0], self.finest, m, self.paths)?.levy(self.levy))
    }

    /// The states at time 1 after `steps` steps.
    pub fn end(&self, method: &impl SdeMethod<f64, S>, steps: usize) -> Result<Vec<f64>> {
        let y0 = self.y0.repeat(self.paths);
        let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: self.theta };
        Ok(solve(self.system, method, self.noise()?, &problem, &Options::fixed(1.0 / steps as f64))?.y)
    }

    /// The states at time 1 by a formula of W(1).
    pub fn exact(&self, of: impl Fn(&[f64]) -> Vec<f64>) -> Result<Vec<f64>> {
        let m = self.system.diffusion().components();
        let mut w = vec![0.0; m * self.paths];
        self.noise()?.increment(0.0, 1.0, &mut w, &mut [])?;
        Ok(w.chunks(m).flat_map(of).collect())
    }

    /// Slope of the root mean square error over step counts 2^k, and half its confidence interval (99 %).
    pub fn slope(&self, method: &impl SdeMethod<f64, S>, powers: &[u32], exact: &[f64]) -> Result<[f64; 2]> {
        let mut errors = vec![Vec::new(); GROUPS];
        for &k in powers {
            let y = self.end(method, 1 << k)?;
            let length = y.len() / GROUPS;
            for (errors, (y, exact)) in errors.iter_mut().zip(y.chunks(length).zip(exact.chunks(length))) {
                let square: f64 = y.iter().zip(exact).map(|(a, b)| (a - b) * (a - b)).sum();
                errors.push((square / length as f64).sqrt().log2());
            }
        }
        let slopes: Vec<f64> = errors.iter().map(|errors| fit(powers, errors)).collect();
        let mean = slopes.iter().sum::<f64>() / GROUPS as f64;
        let variance = slopes.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / (GROUPS - 1) as f64;
        Ok([mean, STUDENT * (variance / GROUPS as f64).sqrt()])
    }

    /// [`slope`](Self::slope) within ±0.1 of `order`, known to ±0.1 itself.
    pub fn assert_order(
        &self,
        what: &str,
        method: &impl SdeMethod<f64, S>,
        powers: &[u32],
        exact: &[f64],
        order: f64,
    ) -> Result<()> {
        let [slope, half] = self.slope(method, powers, exact)?;
        println!("{what}: {slope:.3} ± {half:.3} (order {order})");
        assert!((slope - order).abs() < 0.1 && half < 0.1, "{what}: {slope:.3} ± {half:.3}, order {order}");
        Ok(())
    }
}

/// Minus the slope of a line.
pub fn fit(powers: &[u32], errors: &[f64]) -> f64 {
    let n = powers.len() as f64;
    let mean = powers.iter().map(|&k| f64::from(k)).sum::<f64>() / n;
    let moment: f64 = powers.iter().zip(errors).map(|(&k, e)| (f64::from(k) - mean) * e).sum();
    -moment / powers.iter().map(|&k| (f64::from(k) - mean).powi(2)).sum::<f64>()
}
