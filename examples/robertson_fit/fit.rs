//! The data, the loss and the fit.

use nalgebra::Matrix3;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::gallery;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem, Solution};
use odeon::nn::{Layout, Optimizer, Role, Rule, Schedule};
use odeon::num::{Atol, Scalar};
use odeon::ode::tableaux_rosenbrock::Rodas5P;
use odeon::ode::{StepMethod, solve};
use odeon::{Error, Result};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// The rate constants that made the data.
pub const TRUTH: [f64; 3] = [0.04, 3e7, 1e4];
/// The last time.
const T1: f64 = 1e5;
/// First and last rate of Adam, in units of log k.
const RATES: [f64; 2] = [0.1, 1e-3];

/// Robertson's kinetics in terms of log k.
pub struct LogRates;

impl VectorField for LogRates {
    fn dim(&self) -> usize {
        3
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        gallery::Robertson.eval(t, y, &[p[0].exp(), p[1].exp(), p[2].exp()], dy);
    }
}

/// The right-hand side with its derivatives.
pub fn dynamics() -> Generic<LogRates> {
    Generic(LogRates)
}

/// Everything at once in the first species.
pub fn problem(theta: &[f64]) -> Problem<'_, f64> {
    Problem { y0: &[1.0, 0.0, 0.0], span: [0.0, T1], theta }
}

/// Saved at the observed times; the second species is small.
pub fn options(data: &Data, rtol: f64) -> Options<f64> {
    let atol = Atol::PerRow(vec![1e-4 * rtol, 1e-8 * rtol, 1e-4 * rtol]);
    Options::tol(rtol, atol).save_at(data.times.clone())
}

/// log k at factors of the truth.
///
/// # Errors
/// A factor that is not positive and finite.
pub fn start(factors: &[f64]) -> Result<[f64; 3]> {
    let mut log = [0.0; 3];
    for ((log, factor), truth) in log.iter_mut().zip(factors).zip(TRUTH) {
        if !(factor.is_finite() && *factor > 0.0) {
            return Err(Error::invalid("--start", factor, "every factor must be positive and finite"));
        }
        *log = (factor * truth).ln();
    }
    Ok(log)
}

/// Noisy observations.
pub struct Data {
    pub times: Vec<f64>,
    /// Three values for each time.
    pub values: Vec<f64>,
    /// The standard deviation of each value.
    pub scales: Vec<f64>,
}

impl Data {
    /// The true solution at `count` times from 10⁻⁴ to 10⁵, with relative noise.
    ///
    /// # Errors
    /// A noise outside (0, 1).
    pub fn simulate(count: usize, noise: f64, seed: u64) -> Result<Self> {
        if !(noise > 0.0 && noise < 1.0) {
            return Err(Error::invalid("--noise", noise, "it must lie in (0, 1)"));
        }
        let decade = |i: usize| f64::powf(10.0, -4.0 + 9.0 * i as f64 / (count - 1) as f64);
        let times: Vec<f64> = (0..count - 1).map(decade).chain([T1]).collect();
        let mut data = Self { times, values: Vec::new(), scales: Vec::new() };
        let theta = start(&[1.0; 3])?;
        let truth = solve(&dynamics(), &Rodas5P, &problem(&theta), &options(&data, 1e-10))?;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        // A species that has hardly formed is not seen below 10⁻⁵ of its scale.
        let floor = |i: usize| noise * if i % 3 == 1 { 3e-10 } else { 1e-5 };
        for (i, y) in truth.y.iter().enumerate() {
            let scale = (noise * y.abs()).max(floor(i));
            let draw: f64 = StandardNormal.sample(&mut rng);
            data.values.push(y + scale * draw);
            data.scales.push(scale);
        }
        Ok(data)
    }

    /// Half the mean squared residual in standard deviations, and its cotangent.
    fn loss(&self, y: &[f64], y_bar: &mut [f64]) -> f64 {
        let count = self.values.len() as f64;
        let mut sum = 0.0;
        for (((bar, y), d), s) in y_bar.iter_mut().zip(y).zip(&self.values).zip(&self.scales) {
            let r = (y - d) / s;
            // Far from the fit a residual counts by its size, not its square, or the first steps overshoot.
            let (value, slope) = (r.mul_add(r, 1.0).sqrt() - 1.0, r / r.mul_add(r, 1.0).sqrt());
            sum += value;
            *bar = slope / (s * count);
        }
        sum / count
    }
}

/// A finished fit.
pub struct Fit {
    /// log k at the start.
    pub start: [f64; 3],
    /// log k.
    pub theta: [f64; 3],
    /// The loss of every iteration.
    pub losses: Vec<f64>,
    rtol: f64,
}

impl Fit {
    /// Adam on log k, the rate falling by a cosine.
    ///
    /// # Errors
    /// A solve that fails.
    pub fn run(data: &Data, start: [f64; 3], iterations: u32, rtol: f64) -> Result<Self> {
        let dynamics = dynamics();
        let mut adjoint = DiscreteAdjoint::new(Rodas5P.stepper(&dynamics, 1), Memory::Unlimited);
        let mut layout = Layout::default();
        layout.push("log_k", &[3], Role::Shift)?;
        let schedule = Schedule::Cosine { initial: RATES[0], last: RATES[1], over: u64::from(iterations) };
        let mut optimizer = Optimizer::new(Rule::adam(), schedule, layout)?;
        let options = options(data, rtol);
        let (mut theta, mut losses) = (start, Vec::new());
        for _ in 0..=iterations {
            let loss = |s: &Solution<f64>, bar: &mut [f64]| Ok(data.loss(&s.y, bar));
            let evaluation = adjoint.value_and_gradient(&problem(&theta), &options, &mut [], loss)?;
            losses.push(evaluation.loss);
            optimizer.step(&mut theta, adjoint.theta_gradient())?;
        }
        Ok(Self { start, theta, losses, rtol })
    }

    /// Standard errors of log k from the linearised fit, (JᵀJ)⁻¹ with J the derivative of the residuals.
    /// A row of J is a reverse pass with one residual as the loss; here JᵀJ comes from the three
    /// columns, by central differences of the residuals.
    ///
    /// # Errors
    /// A solve that fails, parameters that the data do not determine.
    pub fn standard_errors(&self, data: &Data) -> Result<[f64; 3]> {
        let (dynamics, options) = (dynamics(), options(data, self.rtol.min(1e-8)));
        let column = |c: usize| -> Result<Vec<f64>> {
            let step = 1e-4;
            let at = |sign: f64| {
                let mut theta = self.theta;
                theta[c] += sign * step;
                solve(&dynamics, &Rodas5P, &problem(&theta), &options)
            };
            let (up, down) = (at(1.0)?, at(-1.0)?);
            let values = up.y.iter().zip(&down.y).zip(&data.scales);
            Ok(values.map(|((u, d), s)| (u - d) / (2.0 * step * s)).collect())
        };
        let columns = [column(0)?, column(1)?, column(2)?];
        let normal =
            Matrix3::from_fn(|i, j| columns[i].iter().zip(&columns[j]).map(|(a, b)| a * b).sum::<f64>());
        let inverse = normal.try_inverse().ok_or_else(|| {
            Error::invalid("the data", "too few", "they must determine all three rate constants")
        })?;
        Ok([0, 1, 2].map(|c| inverse[(c, c)].sqrt()))
    }
}
