//! The evidence lower bound of a [`LatentSde`] and its gradient, through the discrete adjoint.

use super::encoder::Encoded;
use super::latent_sde::LatentSde;
use crate::error::{Error, Result};
use crate::integrate::Options;
use crate::nn::Input;
use crate::num::{Real, random};
use crate::sde::srk::StochasticRk;

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

/// A start drawn from the encoder's results.
struct Begin<T> {
    /// ε of z(t₀) = μ_q + σ_q ε.
    draw: Vec<T>,
    /// (z, 0, 0): the context is set by the solve.
    y0: Vec<T>,
}

impl LatentSde {
    fn check<T: Real>(&self, theta: &[T], series: &Series<'_, T>) -> Result<usize> {
        self.layout().check_len("theta", theta.len())?;
        Error::check_finite("theta", theta)?;
        Error::check_finite("the values of the series", series.values)?;
        let rows = self.decoder.output_dim();
        let length = self.encoder.length().unwrap_or(rows * series.times.len());
        if series.times.len() < 2 || series.times.len() * rows != length {
            let needed = format!("{} times: the encoder takes {length} numbers", length / rows);
            return Err(Error::invalid("the times of the series", series.times.len(), needed));
        }
        if let Some(i) = series.times.windows(2).position(|t| t[0] >= t[1]) {
            let needed = format!("it must be later than the one before, {}", series.times[i]);
            let what = format!("time {} of the series", i + 1);
            return Err(Error::invalid(what, series.times[i + 1], needed));
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

    fn begin<T: Real>(&self, encoded: &Encoded<T>, seed: u64) -> Begin<T> {
        let (d, k) = (self.latent(), self.context());
        let mut draw = Vec::with_capacity(d * encoded.batch());
        let mut y0 = Vec::with_capacity((d + k + 1) * encoded.batch());
        for (j, e) in encoded.out[encoded.start()].chunks_exact(k + 2 * d).enumerate() {
            for i in 0..d {
                let bits = random::at(seed, START | i as u64, j as u64);
                let epsilon = T::of(random::normal_pair(bits).0);
                draw.push(epsilon);
                y0.push(e[k + i] + e[k + d + i].exp() * epsilon);
            }
            y0.resize(y0.len() + k + 1, T::zero());
        }
        Begin { draw, y0 }
    }

    fn encode<T: Real>(&self, theta: &[T], series: &Series<'_, T>, batch: usize) -> Result<Encoded<T>> {
        self.encoder.encode(&theta[self.places.encoder.clone()], series, batch)
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

    /// Decoded posterior paths at `times` (increasing, from `series.times[0]` on; with
    /// [`Encoder::Backward`](super::Encoder::Backward) to the last observation), one for each series:
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
        let encoded = self.encode(theta, series, batch)?;
        let begin = self.begin(&encoded, seed);
        let segments = self.segments(series.times, times, seed)?;
        let solver = self.solver_theta(theta);
        let forward = self.forward((&solver, &encoded), begin.y0, &segments, method, options)?;
        Ok(self.decode(theta, &self.latents(&forward.y)))
    }

    /// The bound at the noise of `seed`, and the gradient of −(log_likelihood − w (start + path)) with respect to
    /// θ, w = `kl_weight` (1 for the bound; less at the start of a training, Li et al., section 7.3). Saving,
    /// start and end are set here; tolerances, steps and guards come from `options`.
    ///
    /// At fixed steps h of Euler's method this is the bound of the chain with those steps, in which the transitions
    /// of prior and posterior have the same variance g²h, whereas those of the exact posterior are narrower before an
    /// observation. So the bound is tight only where g²h is small against s² (for Ornstein–Uhlenbeck with g = 0.6 and
    /// s = 0.1 at 20 times, the best posterior is 11 below ln p at 2 steps between times, 2 at 8, 0.5 at 32). Fixed
    /// steps cost least noise when a power of two of them fill an interval.
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
        let mut encoded = self.encode(theta, series, batch)?;
        let Begin { draw, y0 } = self.begin(&encoded, seed);
        let segments = self.segments(series.times, series.times, seed)?;
        let solver = self.solver_theta(theta);
        let mut forward = self.forward((&solver, &encoded), y0, &segments, method, options)?;
        let mut gradient = vec![T::zero(); theta.len()];
        let (log_likelihood, mut y_bar) = self.likelihood(theta, series, &forward.y, &mut gradient);
        let rows = self.latent() + self.context() + 1;
        let scale = T::of(1.0 / batch as f64);
        let first = y_bar.len() - rows * batch;
        let mut path = T::zero();
        for (y, bar) in forward.last.chunks_exact(rows).zip(y_bar[first..].chunks_exact_mut(rows)) {
            path += y[rows - 1] * scale;
            bar[rows - 1] += kl_weight * scale;
        }
        let mut bars = vec![T::zero(); solver.len()];
        let mut encoded_bar = vec![T::zero(); encoded.out.len()];
        let y0_bar = self.reverse(&mut forward, &mut y_bar, &mut bars, (&encoded, &mut encoded_bar))?;
        let shared = self.places.diffusion.len();
        let (drift, diffusion) = bars.split_at(bars.len() - shared);
        for (place, bars) in [(&self.places.drift, drift), (&self.places.diffusion, diffusion)] {
            gradient[place.clone()].iter_mut().zip(bars).for_each(|(g, b)| *g += *b);
        }
        let outputs = (&encoded.out[encoded.start()], &mut encoded_bar[encoded.start()]);
        let start = self.start(theta, outputs, (&draw, &y0_bar, kl_weight), &mut gradient);
        let place = self.places.encoder.clone();
        self.encoder.pull((&theta[place.clone()], &mut gradient[place]), &mut encoded, &encoded_bar)?;
        Error::check_finite("the gradient of the bound", &gradient)?;
        Ok((Elbo { log_likelihood, start, path }, gradient))
    }

    /// Σ_k ln p(x_k | z(t_k)), mean over the series; returns the cotangents of the states of minus that and
    /// accumulates the decoder's.
    fn likelihood<T: Real>(
        &self,
        theta: &[T],
        series: &Series<'_, T>,
        y: &[T],
        gradient: &mut [T],
    ) -> (T, Vec<T>) {
        let rows = self.decoder.output_dim();
        let length = rows * series.times.len();
        let batch = series.values.len() / length;
        let z = self.latents(y);
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
        let mut y_bar = vec![T::zero(); y.len()];
        for (y, z) in y_bar.chunks_exact_mut(state).zip(z_bar.chunks_exact(d)) {
            y[..d].copy_from_slice(z);
        }
        (value, y_bar)
    }

    /// KL of the starts, mean over the series; accumulates the gradient of the prior's start, and the cotangent of
    /// the encoder's outputs for the start.
    fn start<T: Real>(
        &self,
        theta: &[T],
        (encoded, bars): (&[T], &mut [T]),
        (draw, y0_bar, kl_weight): (&[T], &[T], T),
        gradient: &mut [T],
    ) -> T {
        let (d, k) = (self.latent(), self.context());
        let batch = draw.len() / d;
        let (half, one, scale) = (T::of(0.5), T::one(), T::of(1.0 / batch as f64));
        let weight = kl_weight * scale;
        let mut value = T::zero();
        for (j, (e, bar)) in encoded.chunks_exact(k + 2 * d).zip(bars.chunks_exact_mut(k + 2 * d)).enumerate()
        {
            let y_bar = &y0_bar[j * (d + k + 1)..][..d];
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
                bar[k + i] += y_bar[i] + off_bar;
                bar[k + d + i] += y_bar[i] * draw[j * d + i] * log_sd.exp() + log_bar;
            }
        }
        value
    }
}
