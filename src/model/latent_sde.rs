//! [`LatentSde`]: the parts of a latent stochastic differential equation; its bound is in `elbo`.

use super::diffusion::{Memory, NeuralDiffusion};
use super::encoder::Encoder;
use super::neural_sde::NEXT_NETWORK;
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::{Error, Result};
use crate::nn::{Initializer, Input, Layout, Network, Role, Scratch};
use crate::num::Real;
use crate::sde::{Calculus, Diffusion, NoiseClass, Shape, System};
use std::ops::Range;

/// The latent SDE of Li, Wong, Chen & Duvenaud, *Scalable Gradients for Stochastic Differential Equations*
/// (AISTATS 2020, section 5): with latent states z of d rows,
///
/// prior      dz = f_p(t, z) dt + g(z) dW,        z(t₀) ~ N(μ_p, diag σ_p²),
/// posterior  dz = f_q(t, z, c) dt + g(z) dW,     z(t₀) ~ N(μ_q, diag σ_q²),
/// observed   x(t_k) ~ N(D(z(t_k)), s²),
///
/// where (c, μ_q, ln σ_q) = E(x) is computed from the series by the [`Encoder`], c one for all times or one for each
/// interval between observations. g is the same in both and
/// diagonal, g_i(t, z_i), so that the posterior has a density with respect to the prior (Girsanov), with
///
/// KL = E ∫ ½|u|² dt,   u = (f_q − f_p)/g.
///
/// The state of the equation that is solved is (z, c, ℓ), of d + k + 1 rows: the context c is constant (on an
/// interval), and ℓ' = ½|u|² collects the divergence. So the cotangents of c and of z(t₀) come out of the solve as that of y0.
#[derive(Clone, Debug)]
pub struct LatentSde {
    pub(super) system: LatentSystem,
    pub(super) decoder: Network,
    pub(super) encoder: Encoder,
    pub(super) observation_sd: f64,
    layout: Layout,
    pub(super) places: Places,
}

/// The networks of a [`LatentSde`].
#[derive(Clone, Debug)]
pub struct LatentNetworks {
    /// f_q: (z, c) of d + k rows → d.
    pub posterior: Network,
    /// f_p: d → d.
    pub prior: Network,
    /// g: diagonal of d rows ([`NoiseForm::Rows`](super::NoiseForm)), in a range above a positive number.
    pub diffusion: NeuralDiffusion,
    /// D: d → rows of an observation.
    pub decoder: Network,
    /// E → k + 2d; a [`Network`] converts.
    pub encoder: Encoder,
}

/// Where the parts of θ lie.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Drifts and diffusion, one after the other.
    pub drift: Range<usize>,
    pub diffusion: Range<usize>,
    pub decoder: Range<usize>,
    pub encoder: Range<usize>,
    pub mean: Range<usize>,
    pub log_sd: Range<usize>,
}

impl LatentSde {
    /// Checks that the networks fit together; `observation_sd` is s.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a network of other rows, a g that is not diagonal or not away from 0, an s ≤ 0.
    pub fn new(networks: LatentNetworks, observation_sd: f64) -> Result<Self> {
        let LatentNetworks { posterior, prior, diffusion, decoder, encoder } = networks;
        let latent = prior.input_dim();
        let context = posterior.input_dim().saturating_sub(latent);
        let shapes = [
            ("the prior's outputs", prior.output_dim(), latent),
            ("the posterior's inputs", posterior.input_dim(), latent + context),
            ("the posterior's outputs", posterior.output_dim(), latent),
            ("the diffusion's rows", Diffusion::<f64>::dim(&diffusion), latent),
            ("the decoder's inputs", decoder.input_dim(), latent),
            ("the encoder's outputs", encoder.output_dim(), context + 2 * latent),
        ];
        for (what, given, needed) in shapes {
            if given != needed {
                let needed = format!("{needed}, for {latent} latent rows and {context} of context");
                return Err(Error::invalid(what, given, needed));
            }
        }
        encoder.check(decoder.output_dim())?;
        if Diffusion::<f64>::class(&diffusion) != NoiseClass::Diagonal {
            let given = Diffusion::<f64>::class(&diffusion);
            return Err(Error::invalid("the noise of a latent SDE", given, "diagonal noise is needed"));
        }
        if !diffusion.range().is_away_from_zero() {
            let needed =
                "u = (f_q − f_p)/g needs a g above a positive number: take Range::Positive or Between";
            return Err(Error::invalid("the diffusion's range", format!("{:?}", diffusion.range()), needed));
        }
        if !(observation_sd > 0.0 && observation_sd.is_finite()) {
            let needed = "it must be positive and finite";
            return Err(Error::invalid("the observations' standard deviation", observation_sd, needed));
        }
        let mut layout = Layout::new();
        let start = layout.append("posterior.", posterior.layout())?.start;
        layout.append("prior.", prior.layout())?;
        let g = layout.append("diffusion.", diffusion.layout())?;
        let places = Places {
            drift: start..g.end,
            diffusion: g,
            decoder: layout.append("decoder.", decoder.layout())?,
            encoder: layout.append("encoder.", &encoder.layout()?)?,
            mean: layout.push("start.mean", &[latent], Role::Shift)?,
            log_sd: layout.push("start.log_sd", &[latent], Role::Shift)?,
        };
        let drift =
            LatentDrift { posterior, prior, diffusion: diffusion.clone(), latent, context, window: None };
        let diffusion = LatentDiffusion { inner: diffusion, rows: latent + context + 1 };
        Ok(Self {
            system: LatentSystem { drift, diffusion },
            decoder,
            encoder,
            observation_sd,
            layout,
            places,
        })
    }

    /// Latent rows d.
    pub fn latent(&self) -> usize {
        self.system.drift.latent
    }

    /// Rows k of the context.
    pub fn context(&self) -> usize {
        self.system.drift.context
    }

    /// Names ("posterior.0.weight", …, "start.log_sd"), shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The equation of (z, c, ℓ) under the posterior; its θ is [`solver_theta`](Self::solver_theta)'s.
    pub fn system(&self) -> &LatentSystem {
        &self.system
    }

    /// Parameters drawn by `initializer`; z(t₀) starts as N(0, 1) in the prior.
    ///
    /// # Errors
    /// As [`Network::init`].
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        let LatentDrift { posterior, prior, diffusion, latent, .. } = &self.system.drift;
        let next = |i: u64| seed.wrapping_add(i * NEXT_NETWORK);
        let mut theta: Vec<T> = posterior.init(initializer, seed)?;
        theta.extend(prior.init::<T>(initializer, next(1))?);
        theta.extend(diffusion.init::<T>(initializer, next(2))?);
        theta.extend(self.decoder.init::<T>(initializer, next(3))?);
        theta.extend(self.encoder.init::<T>(initializer, next(4))?);
        theta.resize(theta.len() + 2 * latent, T::zero());
        Ok(theta)
    }

    /// θ of the [`system`](Self::system): posterior, prior and g for the drift, which divides by it, and g again
    /// for the diffusion.
    pub fn solver_theta<T: Real>(&self, theta: &[T]) -> Vec<T> {
        [&theta[self.places.drift.clone()], &theta[self.places.diffusion.clone()]].concat()
    }
}

/// The posterior of a [`LatentSde`] with its divergence from the prior.
#[derive(Clone, Debug)]
pub struct LatentSystem {
    drift: LatentDrift,
    diffusion: LatentDiffusion,
}

impl<T: Real> System<T> for LatentSystem {
    type Drift = LatentDrift;
    type Diffusion = LatentDiffusion;

    fn drift(&self) -> &LatentDrift {
        &self.drift
    }

    fn diffusion(&self) -> &LatentDiffusion {
        &self.diffusion
    }

    fn calculus(&self) -> Calculus {
        Calculus::Ito
    }
}

impl LatentSystem {
    /// The same with times of the posterior's network as fractions of an interval.
    pub(super) fn within(&self, window: [f64; 2]) -> Self {
        let mut own = self.clone();
        own.drift.window = Some(window);
        own
    }
}

/// (f_q(t, z, c), 0, ½|u|²).
#[derive(Clone, Debug)]
pub struct LatentDrift {
    posterior: Network,
    prior: Network,
    diffusion: NeuralDiffusion,
    latent: usize,
    context: usize,
    /// The interval [a, b] where f_q takes (t − a)/(b − a) in place of t.
    window: Option<[f64; 2]>,
}

/// Scratch of a [`LatentDrift`].
#[derive(Debug)]
pub struct DriftMemory<T> {
    networks: [Scratch<T>; 2],
    diffusion: Memory<T>,
    /// (z, c) and its cotangent or tangent.
    joint: [Vec<T>; 2],
    /// z, f_q, f_p, g.
    values: [Vec<T>; 4],
    /// Their cotangents or tangents.
    bars: [Vec<T>; 4],
}

const Z: usize = 0;
const POSTERIOR: usize = 1;
const PRIOR: usize = 2;
const G: usize = 3;

impl LatentDrift {
    fn dim(&self) -> usize {
        self.latent + self.context + 1
    }

    /// The time that f_q takes, and its derivative.
    fn posterior_time<T: Real>(&self, t: T) -> [T; 2] {
        match self.window.map(|w| w.map(T::of)) {
            None => [t, T::one()],
            Some([a, b]) => [(t - a) / (b - a), T::one() / (b - a)],
        }
    }

    /// θ of f_q, f_p and g.
    fn split<'a, T>(&self, theta: &'a [T]) -> [&'a [T]; 3] {
        let (posterior, rest) = theta.split_at(self.posterior.layout().len());
        let (prior, diffusion) = rest.split_at(self.prior.layout().len());
        [posterior, prior, diffusion]
    }

    /// (z, c) and z of a state or tangent.
    fn gather<T: Copy>(&self, y: &[T], joint: &mut [T], z: &mut [T]) {
        let rows = self.latent + self.context;
        let parts = joint.chunks_exact_mut(rows).zip(z.chunks_exact_mut(self.latent));
        for (y, (joint, z)) in y.chunks_exact(rows + 1).zip(parts) {
            joint.copy_from_slice(&y[..rows]);
            z.copy_from_slice(&y[..self.latent]);
        }
    }

    /// f_q, f_p and g at a state.
    fn values<T: Real>(&self, at: Point<'_, T>, memory: &mut DriftMemory<T>) -> usize {
        let batch = at.y.len() / self.dim();
        let (n, m) = (self.latent * batch, (self.latent + self.context) * batch);
        let DriftMemory { networks: [posterior, prior], diffusion, joint: [joint, _], values, .. } = memory;
        let [z, fq, fp, g] = values.each_mut().map(|v| &mut v[..n]);
        self.gather(at.y, &mut joint[..m], z);
        let [theta_q, theta_p, theta_g] = self.split(at.theta);
        let [t, _] = self.posterior_time(at.t);
        self.posterior.forward(Input { t, x: &joint[..m], theta: theta_q }, fq, posterior);
        self.prior.forward(Input { t: at.t, x: z, theta: theta_p }, fp, prior);
        self.diffusion.eval(Point { t: at.t, y: z, theta: theta_g }, g, diffusion);
        n
    }
}

impl<T: Real> Dynamics<T> for LatentDrift {
    type Scratch = DriftMemory<T>;

    fn dim(&self) -> usize {
        self.dim()
    }

    fn num_params(&self) -> usize {
        self.posterior.layout().len() + self.prior.layout().len() + self.diffusion.layout().len()
    }

    fn scratch(&self, batch: usize) -> DriftMemory<T> {
        let zeros = |rows: usize| vec![T::zero(); rows * batch];
        DriftMemory {
            networks: [self.posterior.scratch(batch), self.prior.scratch(batch)],
            diffusion: self.diffusion.scratch(batch),
            joint: std::array::from_fn(|_| zeros(self.latent + self.context)),
            values: std::array::from_fn(|_| zeros(self.latent)),
            bars: std::array::from_fn(|_| zeros(self.latent)),
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let networks = self.posterior.scratch_len(batch) + self.prior.scratch_len(batch);
        let own = (10 * self.latent + 2 * self.context) * batch;
        (networks + own) * size_of::<T>() + Diffusion::<T>::scratch_bytes(&self.diffusion, batch)
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], memory: &mut DriftMemory<T>) {
        self.values(at, memory);
        let [_, fq, fp, g] = &memory.values;
        let d = self.latent;
        for (j, dy) in dy.chunks_exact_mut(self.dim()).enumerate() {
            let mut sum = T::zero();
            for k in j * d..(j + 1) * d {
                let u = (fq[k] - fp[k]) / g[k];
                sum = u.mul_add(u, sum);
            }
            dy[..d].copy_from_slice(&fq[j * d..(j + 1) * d]);
            dy[d..].fill(T::zero());
            dy[d + self.context] = T::of(0.5) * sum;
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut DriftMemory<T>,
    ) -> T {
        let n = self.values(at, memory);
        let (d, rows) = (self.latent, self.latent + self.context);
        let DriftMemory { networks: [posterior, prior], diffusion, joint, values, bars } = memory;
        let [z_bar, fq_bar, fp_bar, g_bar] = bars.each_mut().map(|v| &mut v[..n]);
        for (j, bar) in dy_bar.chunks_exact(rows + 1).enumerate() {
            for i in 0..d {
                let k = j * d + i;
                let u = (values[POSTERIOR][k] - values[PRIOR][k]) / values[G][k];
                // ∂(½u²)/∂f_q.
                let pull = bar[rows] * u / values[G][k];
                fq_bar[k] = bar[i] + pull;
                fp_bar[k] = -pull;
                g_bar[k] = -pull * u;
            }
        }
        let [joint, joint_bar] = joint.each_mut().map(|v| &mut v[..n / d * rows]);
        joint_bar.fill(T::zero());
        z_bar.fill(T::zero());
        let [theta_q, theta_p, theta_g] = self.split(at.theta);
        let (bar_q, rest) = theta_bar.split_at_mut(theta_q.len());
        let (bar_p, bar_g) = rest.split_at_mut(theta_p.len());
        let z = &values[Z][..n];
        let [t, slope] = self.posterior_time(at.t);
        let input = Input { t, x: &*joint, theta: theta_q };
        let mut t_bar = slope * self.posterior.vjp(input, fq_bar, joint_bar, bar_q, posterior);
        let input = Input { t: at.t, x: z, theta: theta_p };
        t_bar += self.prior.vjp(input, fp_bar, z_bar, bar_p, prior);
        let input = Point { t: at.t, y: z, theta: theta_g };
        t_bar += self.diffusion.vjp(input, g_bar, z_bar, bar_g, diffusion);
        let parts = joint_bar.chunks_exact(rows).zip(z_bar.chunks_exact(d));
        for (y_bar, (joint, z)) in y_bar.chunks_exact_mut(rows + 1).zip(parts) {
            y_bar.iter_mut().zip(joint).for_each(|(y, b)| *y += *b);
            y_bar.iter_mut().zip(z).for_each(|(y, b)| *y += *b);
        }
        t_bar
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], memory: &mut DriftMemory<T>) {
        let n = self.values(at, memory);
        let (d, rows) = (self.latent, self.latent + self.context);
        let DriftMemory { networks: [posterior, prior], diffusion, joint, values, bars } = memory;
        let [joint, joint_dot] = joint.each_mut().map(|v| &mut v[..n / d * rows]);
        let [z_dot, fq_dot, fp_dot, g_dot] = bars.each_mut().map(|v| &mut v[..n]);
        self.gather(dot.y, joint_dot, z_dot);
        let [theta_q, theta_p, theta_g] = self.split(at.theta);
        let [dot_q, dot_p, dot_g] = match dot.theta.is_empty() {
            true => [dot.theta; 3],
            false => self.split(dot.theta),
        };
        let z = &values[Z][..n];
        let [t, slope] = self.posterior_time(at.t);
        let along = Input { t: slope * dot.t, x: &*joint_dot, theta: dot_q };
        self.posterior.jvp(Input { t, x: &*joint, theta: theta_q }, along, fq_dot, posterior);
        let along = Input { t: dot.t, x: &*z_dot, theta: dot_p };
        self.prior.jvp(Input { t: at.t, x: z, theta: theta_p }, along, fp_dot, prior);
        let along = Tangent { t: dot.t, y: &*z_dot, theta: dot_g };
        self.diffusion.jvp(Point { t: at.t, y: z, theta: theta_g }, along, g_dot, diffusion);
        for (j, out) in dy_dot.chunks_exact_mut(rows + 1).enumerate() {
            out.fill(T::zero());
            for i in 0..d {
                let k = j * d + i;
                let g = values[G][k];
                let u = (values[POSTERIOR][k] - values[PRIOR][k]) / g;
                out[i] = fq_dot[k];
                out[rows] += u * (fq_dot[k] - fp_dot[k] - u * g_dot[k]) / g;
            }
        }
    }
}

/// (g(t, z), 0, 0).
#[derive(Clone, Debug)]
pub struct LatentDiffusion {
    inner: NeuralDiffusion,
    rows: usize,
}

impl LatentDiffusion {
    fn latent(&self) -> usize {
        Diffusion::<f64>::dim(&self.inner)
    }

    /// The first rows of each column, and back.
    fn cut<T: Copy>(&self, from: &[T], to: &mut [T]) -> usize {
        let d = self.latent();
        for (from, to) in from.chunks_exact(self.rows).zip(to.chunks_exact_mut(d)) {
            to.copy_from_slice(&from[..d]);
        }
        from.len() / self.rows * d
    }

    fn pad<T: Real>(&self, from: &[T], to: &mut [T]) {
        let d = self.latent();
        for (from, to) in from.chunks_exact(d).zip(to.chunks_exact_mut(self.rows)) {
            to[..d].copy_from_slice(from);
            to[d..].fill(T::zero());
        }
    }
}

impl<T: Real> Diffusion<T> for LatentDiffusion {
    type Scratch = (Memory<T>, [Vec<T>; 3]);

    fn class(&self) -> NoiseClass {
        NoiseClass::Diagonal
    }

    fn shape(&self) -> Shape {
        Shape::Diagonal
    }

    fn dim(&self) -> usize {
        self.rows
    }

    fn components(&self) -> usize {
        self.rows
    }

    fn num_params(&self) -> usize {
        self.inner.layout().len()
    }

    fn scratch(&self, batch: usize) -> Self::Scratch {
        let zeros = || vec![T::zero(); self.latent() * batch];
        (self.inner.scratch(batch), std::array::from_fn(|_| zeros()))
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        3 * self.latent() * batch * size_of::<T>() + Diffusion::<T>::scratch_bytes(&self.inner, batch)
    }

    fn eval(&self, at: Point<'_, T>, g: &mut [T], (inner, [z, out, _]): &mut Self::Scratch) {
        let n = self.cut(at.y, z);
        self.inner.eval(Point { y: &z[..n], ..at }, &mut out[..n], inner);
        self.pad(&out[..n], g);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        g_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        (inner, [z, out, z_bar]): &mut Self::Scratch,
    ) -> T {
        let n = self.cut(at.y, z);
        self.cut(g_bar, out);
        z_bar[..n].fill(T::zero());
        let at = Point { y: &z[..n], ..at };
        let t_bar = self.inner.vjp(at, &out[..n], &mut z_bar[..n], theta_bar, inner);
        for (y_bar, z_bar) in y_bar.chunks_exact_mut(self.rows).zip(z_bar.chunks_exact(self.latent())) {
            y_bar.iter_mut().zip(z_bar).for_each(|(y, z)| *y += *z);
        }
        t_bar
    }

    fn jvp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        g_dot: &mut [T],
        (inner, [z, out, z_dot]): &mut Self::Scratch,
    ) {
        let n = self.cut(at.y, z);
        self.cut(dot.y, z_dot);
        let along = Tangent { y: &z_dot[..n], ..dot };
        self.inner.jvp(Point { y: &z[..n], ..at }, along, &mut out[..n], inner);
        self.pad(&out[..n], g_dot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NoiseForm, Range as Values};

    /// The time's derivative on an interval, in both directions, against differences.
    #[test]
    fn the_time_of_an_interval_has_its_derivative() -> Result<()> {
        let g = NeuralDiffusion::new(
            Network::builder(1).dense(1).build()?,
            NoiseForm::Rows { dim: 1 },
            Values::Between { low: 0.3, high: 0.9 },
        )?;
        let networks = LatentNetworks {
            posterior: Network::builder(3).concat_time().dense(1).build()?,
            prior: Network::builder(1).concat_time().dense(1).build()?,
            diffusion: g,
            decoder: Network::builder(1).dense(1).build()?,
            encoder: Network::builder(2).dense(4).build()?.into(),
        };
        let model = LatentSde::new(networks, 1.0)?;
        let theta: Vec<f64> = model.solver_theta(&model.init(Initializer::TorchLinear, 3)?);
        let system = model.system().within([0.25, 0.75]);
        let drift = &system.drift;
        let theta = &theta[..Dynamics::<f64>::num_params(drift)];
        let (y, bar) = ([0.3, -0.2, 0.6, 0.0], [0.7, 0.0, 0.0, -0.4]);
        let mut scratch = drift.scratch(1);
        let mut value = |t: f64| {
            let mut dy = [0.0; 4];
            drift.eval(Point { t, y: &y, theta }, &mut dy, &mut scratch);
            dy.iter().zip(&bar).map(|(a, b)| a * b).sum::<f64>()
        };
        let expected = (value(0.4 + 1e-4) - value(0.4 - 1e-4)) / 2e-4;
        let (mut y_bar, mut theta_bar) = ([0.0; 4], vec![0.0; theta.len()]);
        let at = Point { t: 0.4, y: &y[..], theta };
        let mut scratch = drift.scratch(1);
        let t_bar = drift.vjp(at, &bar, &mut y_bar, &mut theta_bar, &mut scratch);
        assert!((t_bar - expected).abs() < 1e-7 * expected.abs().max(1.0), "{t_bar} {expected}");
        let mut dot = [0.0; 4];
        drift.jvp(at, Tangent { t: 1.0, y: &[0.0; 4], theta: &[] }, &mut dot, &mut scratch);
        let forward: f64 = dot.iter().zip(&bar).map(|(a, b)| a * b).sum();
        assert!((forward - t_bar).abs() < 1e-13, "{forward} {t_bar}");
        // At a the posterior sees 0, at b 1.
        assert_eq!(drift.posterior_time(0.25), [0.0, 2.0]);
        assert_eq!(drift.posterior_time(0.75), [1.0, 2.0]);
        Ok(())
    }
}
