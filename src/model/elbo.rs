//! The evidence lower bound of a [`LatentSde`] and its gradient, through the discrete adjoint.

use super::latent_sde::LatentSde;
use crate::adjoint::{DiscreteAdjoint, Memory};
use crate::error::{Error, Result};
use crate::integrate::{Options, Problem, Solution};
use crate::nn::Input;
use crate::num::{Real, random};
use crate::sde::noise::{IntervalTree, Levy};
use crate::sde::srk::{SrkStepper, StochasticRk};

/// Series observed at the same times.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a, T> {
    /// Increasing times t_k, two at least.
    pub times: &'a [T],
    /// `rows × times × series`, column-major: a series is one column of the encoder's input.
    pub values: &'a [T],
}

/// log p(x) ≥ `log_likelihood` − `start` − `path`: means over the series, by one posterior path of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elbo<T> {
    /// E_q Σ_k ln p(x_k | z(t_k)).
    pub log_likelihood: T,
    /// KL(q(z(t₀)) ‖ p(z(t₀))).
    pub start: T,
    /// KL of the paths given their start, E_q ∫ ½|u|² dt.
    pub path: T,
}

impl<T: Real> Elbo<T> {
    /// log_likelihood − start − path.
    pub fn value(&self) -> T {
        self.log_likelihood - self.start - self.path
    }
}

/// Id of the normal numbers of z(t₀): the highest byte keeps them apart from those of all noise sources.
const START: u64 = 0xff << 56;

/// The encoder's results and a start drawn from them.
struct Begin<T> {
    /// (c, μ_q, ln σ_q), `(k + 2d) × series`.
    encoded: Vec<T>,
    /// ε of z(t₀) = μ_q + σ_q ε.
    draw: Vec<T>,
    /// (z, c, 0).
    y0: Vec<T>,
}

impl LatentSde {
    fn check<T: Real>(&self, theta: &[T], series: &Series<'_, T>) -> Result<usize> {
        self.layout().check_len("theta", theta.len())?;
        Error::check_finite("theta", theta)?;
        Error::check_finite("the values of the series", series.values)?;
        let (rows, length) = (self.decoder.output_dim(), self.encoder.input_dim());
        if series.times.len() < 2 || series.times.len() * rows != length {
            let needed = format!("{} times: the encoder takes {length} numbers", length / rows);
            return Err(Error::invalid("the times of the series", series.times.len(), needed));
        }
        if series.values.is_empty() || !series.values.len().is_multiple_of(length) {
            let needed = format!("a positive multiple of {length} (rows × times)");
            return Err(Error::Length {
                what: "the values of the series",
                given: series.values.len(),
                needed,
            });
        }
        Ok(series.values.len() / length)
    }

    fn begin<T: Real>(&self, theta: &[T], values: &[T], batch: usize, seed: u64) -> Begin<T> {
        let (d, k) = (self.latent(), self.context());
        let mut encoded = vec![T::zero(); (k + 2 * d) * batch];
        let input = Input { t: T::zero(), x: values, theta: &theta[self.places.encoder.clone()] };
        self.encoder.forward(input, &mut encoded, &mut self.encoder.scratch(batch));
        let mut draw = Vec::with_capacity(d * batch);
        let mut y0 = Vec::with_capacity((d + k + 1) * batch);
        for (j, e) in encoded.chunks_exact(k + 2 * d).enumerate() {
            for i in 0..d {
                let bits = random::at(seed, START | i as u64, j as u64);
                let epsilon = T::of(random::normal_pair(bits).0);
                draw.push(epsilon);
                y0.push(e[k + i] + e[k + d + i].exp() * epsilon);
            }
            y0.extend_from_slice(&e[..k]);
            y0.push(T::zero());
        }
        Begin { encoded, draw, y0 }
    }

    fn adjoint<T: Real>(
        &self,
        span: [T; 2],
        batch: usize,
        seed: u64,
        method: &impl StochasticRk,
    ) -> Result<DiscreteAdjoint<T, SrkStepper<'_, T, super::LatentSystem>>> {
        let table = method.tableau();
        let levy = if table.needs_area() { Levy::SpaceTime } else { Levy::None };
        let rows = self.latent() + self.context() + 1;
        let noise = IntervalTree::new(seed, span, rows, batch)?.levy(levy);
        Ok(DiscreteAdjoint::new(SrkStepper::new(self.system(), table, noise)?, Memory::Unlimited))
    }

    /// z of the saved states, one column after the other.
    fn latents<T: Real>(&self, y: &[T]) -> Vec<T> {
        let rows = self.latent() + self.context() + 1;
        y.chunks_exact(rows).flat_map(|y| &y[..self.latent()]).copied().collect()
    }

    fn decode<T: Real>(&self, theta: &[T], z: &[T]) -> Vec<T> {
        let columns = z.len() / self.latent();
        let mut out = vec![T::zero(); columns * self.decoder.output_dim()];
        let input = Input { t: T::zero(), x: z, theta: &theta[self.places.decoder.clone()] };
        self.decoder.forward(input, &mut out, &mut self.decoder.scratch(columns));
        out
    }

    /// Decoded posterior paths at `times` (from `series.times[0]` on), one for each series:
    /// `rows × series` for each time.
    ///
    /// # Errors
    /// Series that do not fit, or a solve that fails.
    pub fn posterior<T: Real>(
        &self,
        theta: &[T],
        series: &Series<'_, T>,
        times: &[T],
        seed: u64,
        method: &impl StochasticRk,
        options: &Options<T>,
    ) -> Result<Vec<T>> {
        let batch = self.check(theta, series)?;
        let begin = self.begin(theta, series.values, batch, seed);
        let end = times.iter().chain(series.times).fold(series.times[0], |a, b| a.max(*b));
        let span = [series.times[0], end];
        let mut adjoint = self.adjoint(span, batch, seed, method)?;
        let solver = self.solver_theta(theta);
        let problem = Problem { y0: &begin.y0, span, theta: &solver };
        let solution = adjoint.forward(&problem, &options.clone().save_at(times), &mut [])?;
        Ok(self.decode(theta, &self.latents(&solution.y)))
    }

    /// The bound at the noise of `seed`, and the gradient of −(log_likelihood − w (start + path)) with respect to
    /// θ, w = `kl_weight` (1 for the bound; less at the start of a training, Li et al., section 7.3). Saving,
    /// start and end are set here; tolerances, steps and guards come from `options`.
    ///
    /// # Errors
    /// Series that do not fit, noise that the method does not take, a solve that fails, a gradient that is not
    /// finite.
    pub fn elbo<T: Real>(
        &self,
        theta: &[T],
        series: &Series<'_, T>,
        (seed, kl_weight): (u64, T),
        method: &impl StochasticRk,
        options: &Options<T>,
    ) -> Result<(Elbo<T>, Vec<T>)> {
        let batch = self.check(theta, series)?;
        let begin = self.begin(theta, series.values, batch, seed);
        let times = series.times;
        let span = [times[0], times[times.len() - 1]];
        let mut adjoint = self.adjoint(span, batch, seed, method)?;
        let solver = self.solver_theta(theta);
        let problem = Problem { y0: &begin.y0, span, theta: &solver };
        let options = options.clone().save_at(times);
        let mut gradient = vec![T::zero(); theta.len()];
        let solution = adjoint.forward(&problem, &options, &mut [])?;
        let (log_likelihood, mut y_bar) = self.likelihood(theta, series, solution, &mut gradient);
        let rows = self.latent() + self.context() + 1;
        let scale = T::of(1.0 / batch as f64);
        let first = y_bar.len() - rows * batch;
        let mut path = T::zero();
        for (y, bar) in solution.last().chunks_exact(rows).zip(y_bar[first..].chunks_exact_mut(rows)) {
            path += y[rows - 1] * scale;
            bar[rows - 1] += kl_weight * scale;
        }
        adjoint.reverse(&y_bar, &[], &mut [])?;
        let bars = adjoint.theta_gradient();
        let shared = self.places.diffusion.len();
        let (drift, diffusion) = bars.split_at(bars.len() - shared);
        for (place, bars) in [(&self.places.drift, drift), (&self.places.diffusion, diffusion)] {
            gradient[place.clone()].iter_mut().zip(bars).for_each(|(g, b)| *g += *b);
        }
        let start = self.start(theta, series, &begin, (adjoint.y0_gradient(), kl_weight), &mut gradient);
        Error::check_finite("the gradient of the bound", &gradient)?;
        Ok((Elbo { log_likelihood, start, path }, gradient))
    }

    /// Σ_k ln p(x_k | z(t_k)), mean over the series; returns the cotangents of the states of minus that and
    /// accumulates the decoder's.
    fn likelihood<T: Real>(
        &self,
        theta: &[T],
        series: &Series<'_, T>,
        solution: &Solution<T>,
        gradient: &mut [T],
    ) -> (T, Vec<T>) {
        let (rows, length) = (self.decoder.output_dim(), self.encoder.input_dim());
        let batch = series.values.len() / length;
        let z = self.latents(&solution.y);
        let mut out = self.decode(theta, &z);
        let (sd, scale) = (self.observation_sd, T::of(1.0 / batch as f64));
        let precision = T::of(1.0 / (sd * sd));
        let constant = T::of(-sd.ln() - 0.5 * std::f64::consts::TAU.ln());
        let mut value = T::zero();
        for (column, out) in out.chunks_exact_mut(rows).enumerate() {
            let (k, j) = (column / batch, column % batch);
            let x = &series.values[j * length + k * rows..][..rows];
            for (out, x) in out.iter_mut().zip(x) {
                let off = *out - *x;
                value += (constant - T::of(0.5) * precision * off * off) * scale;
                *out = precision * off * scale;
            }
        }
        let mut z_bar = vec![T::zero(); z.len()];
        let place = self.places.decoder.clone();
        let input = Input { t: T::zero(), x: &z, theta: &theta[place.clone()] };
        let mut scratch = self.decoder.scratch(out.len() / rows);
        self.decoder.vjp(input, &out, &mut z_bar, &mut gradient[place], &mut scratch);
        let (d, state) = (self.latent(), self.latent() + self.context() + 1);
        let mut y_bar = vec![T::zero(); solution.y.len()];
        for (y, z) in y_bar.chunks_exact_mut(state).zip(z_bar.chunks_exact(d)) {
            y[..d].copy_from_slice(z);
        }
        (value, y_bar)
    }

    /// KL of the starts, mean over the series; accumulates the gradient of the encoder and of the prior's start.
    fn start<T: Real>(
        &self,
        theta: &[T],
        series: &Series<'_, T>,
        begin: &Begin<T>,
        (y0_bar, kl_weight): (&[T], T),
        gradient: &mut [T],
    ) -> T {
        let (d, k) = (self.latent(), self.context());
        let batch = begin.y0.len() / (d + k + 1);
        let (half, one, scale) = (T::of(0.5), T::one(), T::of(1.0 / batch as f64));
        let weight = kl_weight * scale;
        let mut bars = vec![T::zero(); begin.encoded.len()];
        let mut value = T::zero();
        for (j, (e, bar)) in
            begin.encoded.chunks_exact(k + 2 * d).zip(bars.chunks_exact_mut(k + 2 * d)).enumerate()
        {
            let y_bar = &y0_bar[j * (d + k + 1)..][..d + k];
            bar[..k].copy_from_slice(&y_bar[d..]);
            for i in 0..d {
                let (mean, log_sd) = (e[k + i], e[k + d + i]);
                let (at_mean, at_sd) = (self.places.mean.start + i, self.places.log_sd.start + i);
                let (prior, log_prior) = (theta[at_mean], theta[at_sd]);
                // ln(σ_p/σ_q) + (σ_q² + (μ_q − μ_p)²)/(2σ_p²) − ½.
                let ratio = (log_sd - log_prior).exp();
                let spread = ratio * ratio;
                let off = (mean - prior) / log_prior.exp();
                value += (log_prior - log_sd + half * (spread + off * off - one)) * scale;
                let off_bar = weight * off / log_prior.exp();
                let log_bar = weight * (spread - one);
                gradient[at_mean] -= off_bar;
                gradient[at_sd] -= log_bar + weight * off * off;
                bar[k + i] = y_bar[i] + off_bar;
                bar[k + d + i] = y_bar[i] * begin.draw[j * d + i] * log_sd.exp() + log_bar;
            }
        }
        let place = self.places.encoder.clone();
        let input = Input { t: T::zero(), x: series.values, theta: &theta[place.clone()] };
        let mut x_bar = vec![T::zero(); series.values.len()];
        let mut scratch = self.encoder.scratch(batch);
        self.encoder.vjp(input, &bars, &mut x_bar, &mut gradient[place], &mut scratch);
        value
    }
}
