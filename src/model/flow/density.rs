//! Likelihoods and samples of a [`Flow`], and the loss that fits it.

use super::Flow;
use crate::integrate::{Options, Problem, Save, Statistics};
use crate::model::NeuralOde;
use crate::num::{Real, random};
use crate::ode::{StepMethod, solve};
use crate::{Error, Result};

/// Means over a batch at the end of a solve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowLoss<T> {
    /// −ln p(x), in nats.
    pub nll: T,
    /// ∫ |N|²/d dt; 0 unless regularised.
    pub kinetic: T,
    /// ∫ ‖∂N/∂z‖²_F/d dt; 0 unless regularised.
    pub jacobian: T,
}

/// Id of the normal numbers of samples.
const SAMPLES: u64 = 0xfd << 56;

impl<T: Real> Flow<T> {
    /// ln p of each column from the states `end` at t = T: −d/2 ln 2π − |z|²/2 + ℓ.
    ///
    /// # Errors
    /// A length that is not a whole number of columns.
    pub fn log_densities(&self, end: &[T]) -> Result<Vec<T>> {
        let dim = self.data_dim();
        Ok(self.columns(end)?.map(|c| Self::log_density(c, dim)).collect())
    }

    fn log_density(column: &[T], dim: usize) -> T {
        let square = column[..dim].iter().fold(T::zero(), |a, z| z.mul_add(*z, a));
        column[dim] - T::of(0.5) * square - T::of(0.5 * dim as f64 * std::f64::consts::TAU.ln())
    }

    fn columns<'a>(&self, end: &'a [T]) -> Result<std::slice::ChunksExact<'a, T>> {
        let rows = self.data_dim() + self.extra();
        if end.is_empty() || !end.len().is_multiple_of(rows) {
            let needed = format!("a positive multiple of {rows} (rows of the flow's state)");
            return Err(Error::Length { what: "the states at the end", given: end.len(), needed });
        }
        Ok(end.chunks_exact(rows))
    }

    /// The means of a batch, and into `bar` the cotangents of `end` in
    /// nll + `weights[0]` · kinetic + `weights[1]` · jacobian.
    ///
    /// # Errors
    /// Lengths that do not fit; weights that are negative or not finite, or not 0 without the rows that they weigh.
    pub fn loss(&self, end: &[T], weights: [T; 2], bar: &mut [T]) -> Result<FlowLoss<T>> {
        let (dim, zero) = (self.data_dim(), T::zero());
        Error::check_len("the cotangents", bar.len(), end.len(), "one for each number of the states")?;
        for weight in weights {
            if !(weight >= zero && weight.is_finite()) {
                return Err(Error::invalid(
                    "a penalty's weight λ",
                    weight,
                    "it must be finite and not negative",
                ));
            }
            if weight > zero && self.extra() == 1 {
                let needed = "the flow must collect what it weighs: make it with regularised()";
                return Err(Error::invalid("a penalty's weight λ", weight, needed));
            }
        }
        let columns = self.columns(end)?;
        let scale = T::of(1.0 / columns.len() as f64);
        let mut loss = FlowLoss { nll: zero, kinetic: zero, jacobian: zero };
        for (column, bar) in columns.zip(bar.chunks_exact_mut(dim + self.extra())) {
            loss.nll -= scale * Self::log_density(column, dim);
            bar[..dim].iter_mut().zip(column).for_each(|(bar, z)| *bar = scale * *z);
            bar[dim] = -scale;
            if let ([_, e, q], [_, e_bar, q_bar]) = (&column[dim..], &mut bar[dim..]) {
                loss.kinetic += scale * *e;
                loss.jacobian += scale * *q;
                (*e_bar, *q_bar) = (scale * weights[0], scale * weights[1]);
            }
        }
        Ok(loss)
    }

    /// ln p(x) of each column of `x` (`data_dim × batch`), and what the solve cost. With an estimated trace, its
    /// estimate.
    ///
    /// # Errors
    /// Inputs that do not fit, or a solve that stops early.
    pub fn log_likelihood(
        &self,
        method: &impl StepMethod<T, Self>,
        theta: &[T],
        x: &[T],
        options: &Options<T>,
    ) -> Result<(Vec<T>, Statistics)> {
        let mut y0 = Vec::new();
        self.start(x, &mut y0)?;
        let problem = Problem { y0: &y0, span: self.span(), theta };
        let options = Options { norm: self.norm(&options.norm), save: Save::End, ..options.clone() };
        let solution = solve(self, method, &problem, &options)?;
        Ok((self.log_densities(solution.last())?, solution.stats))
    }

    /// `count` samples, `data_dim × count`: z(T) drawn from the standard normal distribution and carried back to
    /// t = 0, without the other rows. One seed, one result.
    ///
    /// # Errors
    /// A θ that does not fit, no samples, or a solve that stops early.
    pub fn sample(
        &self,
        method: &impl StepMethod<T, NeuralOde>,
        theta: &[T],
        count: usize,
        seed: u64,
        options: &Options<T>,
    ) -> Result<Vec<T>> {
        let draw = |i: usize| T::of(random::normal_pair(random::at(seed, SAMPLES, i as u64)).0);
        let y0: Vec<T> = (0..count * self.data_dim()).map(draw).collect();
        let field = NeuralOde::new(self.network.clone())?;
        let [start, end] = self.span();
        let problem = Problem { y0: &y0, span: [end, start], theta };
        let solution = solve(&field, method, &problem, &options.clone().save(Save::End))?;
        Ok(solution.last().to_vec())
    }
}
