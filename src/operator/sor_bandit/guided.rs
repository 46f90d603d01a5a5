//! [`Guided`]: Young's formula as the prior, a bandit for what it misses.

use super::least_squares::{Fit, chebyshev};
use super::policy::{Interval, Policy, check_arms, least, turn};
use super::theory::optimal_omega;
use crate::error::{Error, Result};
use crate::linalg::dense::DenseCholesky;
use serde::{Deserialize, Serialize};

/// The factors s of 2 − ω = s (2 − ω*(β)) among which the bandit chooses.
const FACTORS: [f64; 9] = [0.7, 0.8, 0.88, 0.94, 1.0, 1.06, 1.15, 1.3, 1.6];
/// Terms of the series of β in the context.
const TERMS: usize = 4;
const RIDGE: f64 = 1e-12;

/// SOR's ω from estimates of β = ρ(I − D⁻¹A) at a few contexts, corrected by what the solves cost.
///
/// β(c) is a Chebyshev series fitted to the estimates given by [`inform`](Self::inform) (some Lanczos steps
/// each, [`theory::jacobi_radius`](super::theory::jacobi_radius)); [`is_curious`](Self::is_curious) says when
/// one is wanted: at the first contexts, and outside of those seen. With ω*(β) = 2/(1 + √(1 − β²)) the arm
/// nearest to 2 − ω = s (2 − ω*) is played, s the factor of the least lower confidence bound (as in
/// [`Ucb`](super::Ucb), with the spread of the observed costs) of the cost relative to that of
/// the formula, ln ε/ln(ω* − 1) up to a factor. So where the formula is exact the bandit only refines it, and
/// where it is not (matrices that are not consistently ordered) it is corrected by a common factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guided {
    omegas: Vec<f64>,
    interval: Interval,
    series: Fit,
    informed: usize,
    /// The places that were informed of.
    seen: [f64; 2],
    count: [f64; FACTORS.len()],
    mean: [f64; FACTORS.len()],
    squares: f64,
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
            series: Fit::new(TERMS),
            informed: 0,
            seen: [f64::INFINITY, f64::NEG_INFINITY],
            count: [0.0; FACTORS.len()],
            mean: [0.0; FACTORS.len()],
            squares: 0.0,
            open: None,
        })
    }

    /// Whether an estimate of β at this context would help.
    pub fn is_curious(&self, context: f64) -> bool {
        let margin = 0.02;
        let x = self.interval.clone().place(context).unwrap_or(0.0);
        self.informed < 2 * TERMS || x < self.seen[0] - margin || x > self.seen[1] + margin
    }

    /// An estimate of β at a context.
    ///
    /// # Errors
    /// β outside [0, 1); a context that is not finite.
    pub fn inform(&mut self, context: f64, beta: f64) -> Result<()> {
        optimal_omega(beta)?;
        let x = self.interval.place(context)?;
        let features: Vec<f64> = chebyshev(x, TERMS).collect();
        self.series.add(&features, beta);
        self.informed += 1;
        self.seen = [self.seen[0].min(x), self.seen[1].max(x)];
        self.series.solve_ridge(RIDGE * self.informed as f64, &mut DenseCholesky::new(TERMS))
    }

    /// The declared interval, with the number of contexts outside.
    pub fn interval(&self) -> &Interval {
        &self.interval
    }

    /// β of the series at a place in [−1, 1].
    fn beta(&self, x: f64) -> f64 {
        let features: Vec<f64> = chebyshev(x.clamp(self.seen[0], self.seen[1]), TERMS).collect();
        self.series.predict(&features).clamp(0.0, 1.0 - 1e-12)
    }

    /// Rounds until every factor was tried are few: the first is 1, then its neighbours outwards, each once,
    /// then the least bound.
    fn factor(&self) -> usize {
        let total: f64 = self.count.iter().sum();
        if total < 1.0 {
            return FACTORS.len() / 2;
        }
        let freedom = total - self.count.iter().filter(|n| **n > 0.0).count() as f64;
        let best =
            least(self.count.iter().zip(&self.mean).map(|(n, m)| if *n > 0.0 { *m } else { f64::INFINITY }));
        let spread = if freedom > 0.0 { (self.squares / freedom).sqrt() } else { 0.1 * self.mean[best] };
        let bound = |i: usize| match self.count[i] {
            // Only neighbours of the best are worth a first try.
            0.0 if i.abs_diff(best) > 1 => f64::INFINITY,
            0.0 => f64::NEG_INFINITY,
            n => self.mean[i] - spread * (2.0 * total.ln() / n).sqrt(),
        };
        least((0..FACTORS.len()).map(bound))
    }
}

impl Policy for Guided {
    fn arms(&self) -> usize {
        self.omegas.len()
    }

    fn choose(&mut self, context: f64) -> Result<usize> {
        let x = self.interval.place(context)?;
        if self.informed == 0 {
            let needed = "call inform with an estimate of β (theory::jacobi_radius) first: see is_curious";
            return Err(Error::invalid("the guided policy", "without a β", needed));
        }
        let best = optimal_omega(self.beta(x))?;
        let factor = self.factor();
        let wanted = 2.0 - FACTORS[factor] * (2.0 - best);
        // What the formula predicts, up to ln ε.
        let predicted = -1.0 / (best - 1.0).clamp(1e-3, 1.0 - 1e-12).ln();
        self.open = Some((factor, predicted));
        Ok(least(self.omegas.iter().map(|w| (w - wanted).abs())))
    }

    fn observe(&mut self, cost: f64) -> Result<()> {
        let (i, predicted) = turn(&mut self.open, cost)?;
        let relative = cost / predicted;
        self.count[i] += 1.0;
        let off = relative - self.mean[i];
        self.mean[i] += off / self.count[i];
        self.squares += off * (relative - self.mean[i]);
        Ok(())
    }
}
