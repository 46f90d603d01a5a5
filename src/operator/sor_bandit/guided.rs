//! [`Guided`]: Young's formula as the prior, a bandit for what it misses.

use super::least_squares::{Fit, chebyshev};
use super::policy::{Interval, Policy, check_arms, least, turn};
use super::theory::optimal_omega;
use crate::error::{Error, Result};
use crate::linalg::dense::DenseCholesky;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The factors s of 2 − ω = s (2 − ω*(β)) among which the bandit chooses.
const FACTORS: [f64; 9] = [0.7, 0.8, 0.88, 0.94, 1.0, 1.06, 1.15, 1.3, 1.6];
/// Terms of the series of β in the context.
const TERMS: usize = 4;
/// An estimate of β serves contexts this near, in the angle arccos x of the place x in [−1, 1].
const SPACING: f64 = 0.4;
/// And where 1 − β is predicted to be this near to that of the estimate, in the logarithm.
const DECAY: f64 = 1.4;
const RIDGE: f64 = 1e-12;
/// Terms of the series of ln cost in the context.
const COST_TERMS: usize = 8;
const COST_RIDGE: f64 = 1e-3;
/// Standard deviations, over √(2 ln t), by which a factor's mean is trusted to be off.
const OPTIMISM: f64 = 0.25;

/// SOR's and SSOR's ω from estimates of β = ρ(I − D⁻¹A) at a few contexts, corrected by what the solves cost.
///
/// β(c) is a Chebyshev series fitted to the estimates given by [`inform`](Policy::inform) (some Lanczos steps
/// each, [`theory::jacobi_radius`](super::theory::jacobi_radius)); [`is_curious`](Policy::is_curious) says when
/// one is wanted: in contexts an eighth of the angle arccos c̃ from all seen ones, or where 1 − β is predicted to have
/// changed by a factor of four since those seen there, about ten times in all; the fit is to 1 − β relatively, of which ω*
/// takes the square root. With
/// ω*(β) = 2/(1 + √(1 − β²)) the arm nearest to 2 − ω = s (2 − ω*) is played. The factor s is a bandit's:
///
/// ```text
/// ln cost ≈ Σ_i θ_i T_i(c̃) + τ_s,   s of the least τ_s − ¼ ŝ √(2 ln t / n_s),
/// ```
///
/// one series in the context for all factors, ŝ² the mean squared residual (0.3² at first), n_s how often s was played. So where the
/// formula is exact the bandit only refines it, and where it is not (matrices that are not consistently ordered)
/// it is corrected by a common factor. A context in which β is nearly a polynomial helps: for I + r L, with the
/// Laplacian's stencil L of diagonal one, it is r/(1 + r), in which β is linear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guided {
    omegas: Vec<f64>,
    interval: Interval,
    series: Fit,
    /// Places that were informed of, and β there.
    estimates: Vec<[f64; 2]>,
    count: [f64; FACTORS.len()],
    costs: Fit,
    open: Option<(usize, f64)>,
}

impl Guided {
    /// Arms with these ω (increasing, fine: 200 cost nothing), contexts in `interval`.
    ///
    /// # Errors
    /// No arms, an ω outside (0, 2).
    pub fn new(omegas: &[f64], interval: Interval) -> Result<Self> {
        check_arms(omegas.len())?;
        if let Some(omega) = omegas.iter().find(|w| !(**w > 0.0 && **w < 2.0)) {
            return Err(Error::invalid("ω of an arm", omega, "0 < ω < 2"));
        }
        Ok(Self {
            omegas: omegas.to_vec(),
            interval,
            series: Fit::new(1),
            estimates: Vec::new(),
            count: [0.0; FACTORS.len()],
            costs: Fit::new(COST_TERMS + FACTORS.len()),
            open: None,
        })
    }

    /// The declared interval, with the number of contexts outside.
    pub fn interval(&self) -> &Interval {
        &self.interval
    }

    /// β of the series at a place in [−1, 1].
    fn beta(&self, x: f64) -> f64 {
        let ends = |(low, high): (f64, f64), [p, _]: &[f64; 2]| (low.min(*p), high.max(*p));
        let (low, high) = self.estimates.iter().fold((f64::INFINITY, f64::NEG_INFINITY), ends);
        let x = x.clamp((low.acos() + SPACING).min(PI).cos(), (high.acos() - SPACING).max(0.0).cos());
        let features: Vec<f64> = chebyshev(x, self.series.theta.len()).collect();
        self.series.predict(&features).clamp(0.0, 1.0 - 1e-12)
    }

    /// The first is 1, then its neighbours outwards, each once, then the least bound.
    fn factor(&mut self) -> Result<usize> {
        let total: f64 = self.count.iter().sum();
        if total < 1.0 {
            return Ok(FACTORS.len() / 2);
        }
        let size = self.costs.theta.len();
        self.costs.solve_ridge(COST_RIDGE, &mut DenseCholesky::new(size))?;
        // The spread of ln cost is taken as 0.3 on the strength of as many rounds as there are coefficients: the
        // first rounds fit themselves.
        let spread = ((self.costs.residual() + 0.09 * size as f64) / total.max(size as f64)).sqrt();
        let effect = |i: usize| match self.count[i] {
            0.0 => f64::INFINITY,
            _ => self.costs.theta[COST_TERMS + i],
        };
        let best = least((0..FACTORS.len()).map(effect));
        let bound = |i: usize| match self.count[i] {
            // Only neighbours of the best are worth a first try.
            0.0 if i.abs_diff(best) > 1 => f64::INFINITY,
            0.0 => f64::NEG_INFINITY,
            n => effect(i) - OPTIMISM * spread * (2.0 * (total + 1.0).ln() / n).sqrt(),
        };
        Ok(least((0..FACTORS.len()).map(bound)))
    }
}

impl Policy for Guided {
    fn arms(&self) -> usize {
        self.omegas.len()
    }

    fn choose(&mut self, context: f64) -> Result<usize> {
        let x = self.interval.place(context)?;
        if self.estimates.is_empty() {
            let needed = "call inform with an estimate of β (theory::jacobi_radius) first: see is_curious";
            return Err(Error::invalid("the guided policy", "without a β", needed));
        }
        let best = optimal_omega(self.beta(x))?;
        let factor = self.factor()?;
        let wanted = 2.0 - FACTORS[factor] * (2.0 - best);
        self.open = Some((factor, x));
        Ok(least(self.omegas.iter().map(|w| (w - wanted).abs())))
    }

    fn observe(&mut self, cost: f64) -> Result<()> {
        let (i, x) = turn(&mut self.open, cost)?;
        self.count[i] += 1.0;
        let one = (0..FACTORS.len()).map(|j| f64::from(u8::from(i == j)));
        let features: Vec<f64> = chebyshev(x, COST_TERMS).chain(one).collect();
        self.costs.add(&features, cost.max(1.0).ln());
        Ok(())
    }

    fn is_curious(&self, context: f64) -> bool {
        let x = self.interval.clone().place(context).unwrap_or(0.0);
        if self.estimates.is_empty() {
            return true;
        }
        let left = |beta: f64| (1.0 - beta).ln();
        let here = left(self.beta(x));
        let serves = |[seen, beta]: &[f64; 2]| {
            (x.acos() - seen.acos()).abs() <= SPACING && (here - left(*beta)).abs() <= DECAY
        };
        !self.estimates.iter().any(serves)
    }

    fn inform(&mut self, context: f64, beta: f64) -> Result<()> {
        optimal_omega(beta)?;
        let x = self.interval.place(context)?;
        self.estimates.push([x, beta]);
        // As many terms as there are estimates, up to TERMS.
        let terms = self.estimates.len().min(TERMS);
        self.series = Fit::new(terms);
        for [x, beta] in &self.estimates {
            let weight = 1.0 / (1.0 - beta);
            let features: Vec<f64> = chebyshev(*x, terms).map(|t| weight * t).collect();
            self.series.add(&features, weight * beta);
        }
        self.series.solve_ridge(RIDGE * self.estimates.len() as f64, &mut DenseCholesky::new(terms))
    }
}
