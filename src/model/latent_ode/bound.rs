//! The evidence lower bound of a [`LatentOde`], its gradient, and predictions.

use super::LatentOde;
use crate::adjoint::{DiscreteAdjoint, Memory, Weighted};
use crate::integrate::{ErrorEstimate, Injection, Options, Penalty, Problem, Solution, Statistics};
use crate::model::elbo::Series;
use crate::nn::Input;
use crate::num::{Real, random};
use crate::ode::tableau::ExplicitRk;
use crate::ode::{ExplicitStepper, Solver};
use crate::regularise::Local;
use crate::{Error, Result};

/// Means over the series, by one draw of z(t₀) each: ln p(x) ≥ `log_likelihood` − `kl`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatentBound<T> {
    /// E_q Σ ln p(x_k | z(t_k)) over the observations that are there.
    pub log_likelihood: T,
    /// KL(q(z(t₀)) ‖ N(0, I)).
    pub kl: T,
    /// Mean square of x − D(z) over the observations that are there.
    pub mse: T,
    /// R of the penalty, unweighted.
    pub penalty: T,
}

/// A penalty on the steps of the latent solve, with its weight λ.
pub enum StepPenalty<'a, T: Real> {
    /// None.
    None,
    /// Over all accepted steps.
    Global(T, &'a mut dyn Penalty<T>),
    /// By extra steps at random times.
    Local(T, &'a mut Local<T, ErrorEstimate<T>>),
}

/// Id of the normal numbers of z(t₀).
const START: u64 = 0xfc << 56;

/// (μ, ln σ) of the starts, with what the encoder's reverse needs.
struct Posterior<'a, T: Real> {
    read: super::reader::Read<'a, T>,
    head: Vec<T>,
    batch: usize,
}

impl LatentOde {
    fn posterior<T: Real>(&self, theta: &[T], seen: &Series<'_, T>) -> Result<Posterior<'_, T>> {
        self.layout.check_len("theta", theta.len())?;
        Error::check_finite("theta", theta)?;
        let batch = self.check("that are read", seen)?;
        let read = self.reader.read(&theta[self.places.reader.clone()], seen, batch)?;
        let mut head = vec![T::zero(); self.head.output_dim() * batch];
        let at = Input { t: T::zero(), x: &read.state, theta: &theta[self.places.head.clone()] };
        self.head.forward(at, &mut head, &mut self.head.scratch(batch));
        Ok(Posterior { read, head, batch })
    }

    /// The span of a solve from the first time read to the last asked for, and the options that save there.
    fn request<T: Real>(
        seen: &Series<'_, T>,
        times: &[T],
        options: &Options<T>,
    ) -> Result<([T; 2], Options<T>)> {
        let (start, Some(end)) = (seen.times[0], times.last()) else {
            return Err(Error::invalid("the times to explain", "none", "at least one is needed"));
        };
        if times[0] < start || *end <= start {
            let needed =
                format!("none may lie before the first time read, {start}, and one must lie after it");
            return Err(Error::invalid("the first time to explain", times[0], needed));
        }
        Ok(([start, *end], options.clone().save_at(times)))
    }

    /// Posterior means D(z(t)) at increasing `times` (rows × series for each), z(t₀) = μ, and what the solve cost.
    ///
    /// # Errors
    /// Inputs that do not fit, times before the first one read, or a solve that stops early.
    pub fn predict<T: Real>(
        &self,
        method: &impl ExplicitRk,
        theta: &[T],
        (seen, times): (&Series<'_, T>, &[T]),
        options: &Options<T>,
    ) -> Result<(Vec<T>, Statistics)> {
        let posterior = self.posterior(theta, seen)?;
        let d = self.latent();
        let z0: Vec<T> = posterior.head.chunks_exact(2 * d).flat_map(|e| &e[..d]).copied().collect();
        let (span, options) = Self::request(seen, times, options)?;
        let mut solver = Solver::with(ExplicitStepper::new(&self.field, method, posterior.batch));
        let problem = Problem { y0: &z0, span, theta: &theta[self.places.field.clone()] };
        let solution = solver.solve(&problem, &options)?;
        let columns = solution.y.len() / d;
        let mut out = vec![T::zero(); self.decoder.output_dim() * columns];
        let at = Input { t: T::zero(), x: &solution.y, theta: &theta[self.places.decoder.clone()] };
        self.decoder.forward(at, &mut out, &mut self.decoder.scratch(columns));
        Ok((out, solution.stats.clone()))
    }

    /// The bound of `target` given what was `seen`, by the draws of `seed`; overwrites `gradient` with the derivatives of
    ///
    /// −log_likelihood + `kl_weight` · kl + λR,
    ///
    /// exact for the steps that were taken. A `kl_weight` that rises from 0 to 1 in training keeps q from collapsing to
    /// the prior before the decoder is of use (KL annealing).
    ///
    /// # Errors
    /// Inputs that do not fit (lengths, times, numbers of series, a weight that is negative or not finite, nothing to
    /// explain), or a solve that stops early.
    pub fn value_and_gradient<T: Real>(
        &self,
        method: &impl ExplicitRk,
        (theta, gradient): (&[T], &mut [T]),
        [seen, target]: [&Series<'_, T>; 2],
        options: &Options<T>,
        penalty: StepPenalty<'_, T>,
        (seed, kl_weight): (u64, T),
    ) -> Result<(LatentBound<T>, Statistics)> {
        self.layout.check_len("the gradient", gradient.len())?;
        if !(kl_weight >= T::zero() && kl_weight.is_finite()) {
            return Err(Error::invalid(
                "the weight of the KL",
                kl_weight,
                "it must be finite and not negative",
            ));
        }
        let mut posterior = self.posterior(theta, seen)?;
        let (batch, d) = (posterior.batch, self.latent());
        if self.check("to explain", target)? != batch {
            let needed = format!("{batch} were read");
            return Err(Error::invalid("the number of series to explain", target.values.len(), needed));
        }
        gradient.fill(T::zero());
        let draws = (0..d * batch).map(|i| random::at(seed, START, i as u64));
        let draw: Vec<T> = draws.map(|bits| T::of(random::normal_pair(bits).0)).collect();
        let mut z0 = Vec::with_capacity(d * batch);
        for (e, draw) in posterior.head.chunks_exact(2 * d).zip(draw.chunks_exact(d)) {
            z0.extend((0..d).map(|i| e[d + i].exp().mul_add(draw[i], e[i])));
        }
        let (span, options) = Self::request(seen, target.times, options)?;
        let mut adjoint =
            DiscreteAdjoint::new(ExplicitStepper::new(&self.field, method, batch), Memory::Unlimited);
        let problem = Problem { y0: &z0, span, theta: &theta[self.places.field.clone()] };
        let field_place = self.places.field.clone();
        let after = |solution: &Solution<T>, gradient: &mut [T]| {
            self.explain(theta, target, batch, &solution.y, gradient)
        };
        let (mut bound, stats) = match penalty {
            StepPenalty::None => {
                let (bound, y_bar) = after(adjoint.forward(&problem, &options, &mut [])?, gradient)?;
                adjoint.reverse(&y_bar, &[], &mut [])?;
                (bound, adjoint.solution().stats.clone())
            }
            StepPenalty::Global(weight, penalty) => {
                let weighted = &mut [Weighted { weight, penalty }];
                let (mut bound, y_bar) = after(adjoint.forward(&problem, &options, weighted)?, gradient)?;
                bound.penalty = weighted[0].penalty.value();
                adjoint.reverse(&y_bar, &[], weighted)?;
                (bound, adjoint.solution().stats.clone())
            }
            StepPenalty::Local(weight, local) => {
                let solution = adjoint.forward(&problem, &options, &mut [])?;
                let stats = solution.stats.clone();
                let (mut bound, y_bar) = after(solution, gradient)?;
                bound.penalty = local.evaluate(&mut adjoint, weight, &mut gradient[field_place.clone()])?;
                let injections: Vec<Injection<'_, T>> = local.injections().collect();
                adjoint.reverse(&y_bar, &injections, &mut [])?;
                (bound, stats)
            }
        };
        add(adjoint.theta_gradient(), &mut gradient[field_place]);
        let scale = T::of(1.0 / batch as f64);
        let mut head_bar = vec![T::zero(); posterior.head.len()];
        let starts = adjoint.y0_gradient().chunks_exact(d).zip(draw.chunks_exact(d));
        let columns = posterior.head.chunks_exact(2 * d).zip(head_bar.chunks_exact_mut(2 * d));
        for ((e, bar), (z_bar, draw)) in columns.zip(starts) {
            for i in 0..d {
                let (mean, log_sd) = (e[i], e[d + i]);
                let sd = log_sd.exp();
                // ½(μ² + σ² − 1) − ln σ.
                bound.kl += scale * (T::of(0.5) * (mean * mean + sd * sd - T::one()) - log_sd);
                bar[i] = z_bar[i] + kl_weight * scale * mean;
                bar[d + i] = z_bar[i] * draw[i] * sd + kl_weight * scale * (sd * sd - T::one());
            }
        }
        let mut state_bar = vec![T::zero(); posterior.read.state.len()];
        let place = self.places.head.clone();
        let at = Input { t: T::zero(), x: &posterior.read.state, theta: &theta[place.clone()] };
        let mut scratch = self.head.scratch(batch);
        self.head.vjp(at, &head_bar, &mut state_bar, &mut gradient[place], &mut scratch);
        let place = self.places.reader.clone();
        let own = (&theta[place.clone()], &mut gradient[place]);
        self.reader.pull(own, &mut posterior.read, &mut state_bar)?;
        Ok((bound, stats))
    }

    /// Likelihood and error of the observations that are there, for latent states `z` at their times; returns the
    /// cotangents of z in −log_likelihood and accumulates the decoder's.
    fn explain<T: Real>(
        &self,
        theta: &[T],
        target: &Series<'_, T>,
        batch: usize,
        z: &[T],
        gradient: &mut [T],
    ) -> Result<(LatentBound<T>, Vec<T>)> {
        let rows = self.decoder.output_dim();
        let length = rows * target.times.len();
        let columns = target.times.len() * batch;
        let place = self.places.decoder.clone();
        let at = Input { t: T::zero(), x: z, theta: &theta[place.clone()] };
        let (mut out, mut scratch) = (vec![T::zero(); rows * columns], self.decoder.scratch(columns));
        self.decoder.forward(at, &mut out, &mut scratch);
        let (sd, scale) = (self.observation_sd, T::of(1.0 / batch as f64));
        let precision = T::of(1.0 / (sd * sd));
        let constant = T::of(-sd.ln() - 0.5 * std::f64::consts::TAU.ln());
        let (mut square, mut count) = (T::zero(), 0);
        for (column, out) in out.chunks_exact_mut(rows).enumerate() {
            let (k, j) = (column / batch, column % batch);
            let x = &target.values[j * length + k * rows..][..rows];
            for (out, x) in out.iter_mut().zip(x) {
                let off = if x.f64().is_nan() { T::zero() } else { *out - *x };
                count += usize::from(!x.f64().is_nan());
                square += off * off;
                *out = precision * off * scale;
            }
        }
        if count == 0 {
            let needed = "at least one is needed: all values are NaN";
            return Err(Error::invalid("the number of observations to explain", 0, needed));
        }
        let observations = T::of(count as f64);
        let log_likelihood = scale * (observations * constant - T::of(0.5) * precision * square);
        let mut z_bar = vec![T::zero(); z.len()];
        self.decoder.vjp(at, &out, &mut z_bar, &mut gradient[place], &mut scratch);
        let (kl, penalty) = (T::zero(), T::zero());
        Ok((LatentBound { log_likelihood, kl, mse: square / observations, penalty }, z_bar))
    }
}

fn add<T: Real>(from: &[T], to: &mut [T]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += *from);
}
