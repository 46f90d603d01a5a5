//! [`Surface`]: the cost as a smooth function of context and parameter.

use super::least_squares::{Fit, chebyshev};
use super::policy::{Interval, Policy, check_arms, least, turn};
use crate::error::{Error, Result};
use crate::linalg::dense::DenseCholesky;
use serde::{Deserialize, Serialize};

/// A linear bandit on a tensor product of Chebyshev polynomials (optimism of Abbasi-Yadkori, Pál and
/// Szepesvári, NeurIPS 2011, with a width that is estimated):
///
/// ```text
/// ln cost ≈ Σ_{i<m, j<q} θ_ij T_i(c̃) T_j(ã),  choose a with the least  φᵀθ − κ ŝ √(φᵀ G⁻¹ φ),
/// ```
///
/// G = Σ φφᵀ + λI, ŝ² the mean squared residual. Neighbouring arms inform each other, so that a fine grid
/// of them costs no exploration; a round costs O(d (mq)² + (mq)³). Meant for costs that are smooth in the
/// parameter (SSOR-PCG); [`Guided`](super::Guided) serves SOR, whose cost has a kink at the optimum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surface {
    interval: Interval,
    /// The parameters of the arms, scaled to [−1, 1].
    places: Vec<f64>,
    terms: [usize; 2],
    optimism: f64,
    fit: Fit,
    rounds: u64,
    open: Option<Vec<f64>>,
}

/// λ of the ridge, against features of size 1.
const RIDGE: f64 = 1e-3;

impl Surface {
    /// Arms with these parameters (increasing), `terms` in context and parameter.
    ///
    /// # Errors
    /// No arms, parameters that are not finite and increasing, no terms.
    pub fn new(parameters: &[f64], interval: Interval, terms: [usize; 2]) -> Result<Self> {
        check_arms(parameters.len())?;
        Error::check_finite("the parameters of the arms", parameters)?;
        if !parameters.windows(2).all(|w| w[0] < w[1]) {
            return Err(Error::invalid("the parameters of the arms", "not increasing", "sort them"));
        }
        if terms.contains(&0) {
            return Err(Error::invalid("the number of terms", format!("{terms:?}"), "at least one each"));
        }
        let (low, high) = (parameters[0], parameters[parameters.len() - 1]);
        let span = if high > low { high - low } else { 1.0 };
        let places = parameters.iter().map(|a| (2.0 * a - low - high) / span).collect();
        let fit = Fit::new(terms[0] * terms[1]);
        Ok(Self { interval, places, terms, optimism: 1.0, fit, rounds: 0, open: None })
    }

    /// With another κ (default 1): larger explores more.
    ///
    /// # Errors
    /// κ negative or not finite.
    pub fn optimism(self, kappa: f64) -> Result<Self> {
        if !(kappa.is_finite() && kappa >= 0.0) {
            return Err(Error::invalid("the optimism", kappa, "it must be finite and not negative"));
        }
        Ok(Self { optimism: kappa, ..self })
    }

    /// The declared interval, with the number of contexts outside.
    pub fn interval(&self) -> &Interval {
        &self.interval
    }

    fn features(&self, context: f64, place: f64) -> Vec<f64> {
        let [m, q] = self.terms;
        let inner = chebyshev(place, q);
        chebyshev(context, m).flat_map(|a| inner.clone().map(move |b| a * b)).collect()
    }
}

impl Policy for Surface {
    fn arms(&self) -> usize {
        self.places.len()
    }

    fn choose(&mut self, context: f64) -> Result<usize> {
        let x = self.interval.place(context)?;
        let features: Vec<Vec<f64>> = self.places.iter().map(|a| self.features(x, *a)).collect();
        let mut factor = DenseCholesky::new(self.fit.theta.len());
        self.fit.solve_ridge(RIDGE, &mut factor)?;
        // Before anything is known the spread of ln cost is taken as 1.
        let freedom = self.rounds as f64 - self.fit.theta.len() as f64;
        let spread = if freedom > 0.0 { (self.fit.residual() / freedom).sqrt() } else { 1.0 };
        let bound = |phi: &Vec<f64>| {
            let mut u = phi.clone();
            factor.solve(&mut u);
            let width: f64 = u.iter().zip(phi).map(|(u, p)| u * p).sum();
            self.fit.predict(phi) - self.optimism * spread * width.max(0.0).sqrt()
        };
        let arm = least(features.iter().map(bound));
        self.open = features.into_iter().nth(arm);
        Ok(arm)
    }

    fn observe(&mut self, cost: f64) -> Result<()> {
        let features = turn(&mut self.open, cost)?;
        self.rounds += 1;
        self.fit.add(&features, cost.max(1.0).ln());
        Ok(())
    }
}
