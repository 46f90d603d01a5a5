//! [`StableSde`]: the three classes of Oh, Lim & Kim, *Stable Neural Stochastic Differential Equations in
//! Analyzing Irregular Time Series Data* (ICLR 2024, arXiv 2402.14989), with what makes them well posed built
//! into the parameterisation.

use super::NeuralOde;
use super::diffusion::Range;
use super::neural_sde::NEXT_NETWORK;
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::{Error, Result};
use crate::nn::{Activation, Initializer, Input, Layout, Network, Scratch};
use crate::num::Real;
use crate::sde::{Calculus, Diffusion, NoiseClass, Shape, System};

/// The class of a [`StableSde`]; products are by entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StableClass {
    /// Langevin-type: dz = γ(z) dt + σ(t) dW.
    Langevin,
    /// Linear noise: dz = γ(t, z) dt + σ(t) z dW.
    LinearNoise,
    /// Geometric: dz/z = γ(t, z) dt + σ(t) dW, with |γ| < `rate`.
    Geometric {
        /// Bound on |γ|, per unit of time.
        rate: f64,
    },
}

/// A neural SDE with a unique strong solution on any finite time span, for every θ.
///
/// Why (Lipschitz coefficients of linear growth: Kloeden & Platen, theorem 4.5.3):
/// - γ is a network of Lipschitz activations (all but the cube) and hence Lipschitz in z. In the geometric class
///   it is `rate`·tanh N, so that γ(t, z) z grows linearly and is locally Lipschitz.
/// - σ(t) is a network of t alone, mapped into [0, high] ([`Range::Between`]): noise neither degenerates nor
///   grows with the parameters.
/// - A Langevin drift does not depend on t, so that an invariant measure can exist.
/// - In the geometric class d ln|z_i| = (γ_i − σ_i²/2) dt + σ_i dW_i with bounded coefficients: z_i never reaches 0
///   and keeps its sign, 0 stays 0. A numerical step may break this; in the variable ln z it cannot.
///
/// The published code takes σ = tanh(sigmoid(s)·relu(N)) z and tanh drifts (and 1 − sigmoid(z) in place of z in
/// the geometric drift); the bounds here are those of the paper's equations.
#[derive(Clone, Debug)]
pub struct StableSde {
    class: StableClass,
    drift: StableDrift,
    diffusion: TimeDiffusion,
    layout: Layout,
}

impl StableSde {
    /// `drift`: dim → dim; `sigma`: 1 → dim, its input being t; σ(t) between 0 and `high`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for networks of other rows, a drift with a cube, a Langevin drift that takes the time, a
    /// σ that takes it as `concat_time` too, a `rate` or `high` that is not positive.
    pub fn new(class: StableClass, drift: Network, sigma: Network, high: f64) -> Result<Self> {
        let ode = NeuralOde::new(drift)?;
        let network = ode.network();
        if network.activations().any(|a| a == Activation::Cube) {
            let needed = "the drift must be Lipschitz: take another activation";
            return Err(Error::invalid("the drift's activation", Activation::Cube.name(), needed));
        }
        if class == StableClass::Langevin && network.takes_time() {
            let needed = "γ(z) of a Langevin-type equation does not depend on t: take the linear noise class";
            return Err(Error::invalid("the drift's network", "one with concat_time", needed));
        }
        let rate = match class {
            StableClass::Geometric { rate } => Some(rate),
            _ => None,
        };
        if let Some(rate) = rate
            && !(rate > 0.0 && rate.is_finite())
        {
            return Err(Error::invalid("the bound on γ", rate, "it must be positive and finite"));
        }
        let dim = network.input_dim();
        let diffusion = TimeDiffusion::new(sigma, high, class != StableClass::Langevin)?;
        if diffusion.network.output_dim() != dim {
            let needed = format!("the drift has {dim} rows: both need the same");
            return Err(Error::invalid("the outputs of σ", diffusion.network.output_dim(), needed));
        }
        let mut layout = Layout::new();
        layout.append("drift.", network.layout())?;
        layout.append("sigma.", diffusion.network.layout())?;
        Ok(Self { class, drift: StableDrift { ode, rate }, diffusion, layout })
    }

    /// The class.
    pub fn class(&self) -> StableClass {
        self.class
    }

    /// Names ("drift.0.weight", "sigma.0.weight"), shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Parameters drawn by `initializer`.
    ///
    /// # Errors
    /// As [`Network::init`].
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        let mut theta = self.drift.ode.network().init(initializer, seed)?;
        let sigma = self.diffusion.network.init::<T>(initializer, seed.wrapping_add(NEXT_NETWORK))?;
        theta.extend(sigma);
        Ok(theta)
    }
}

impl<T: Real> System<T> for StableSde {
    type Drift = StableDrift;
    type Diffusion = TimeDiffusion;

    fn drift(&self) -> &StableDrift {
        &self.drift
    }

    fn diffusion(&self) -> &TimeDiffusion {
        &self.diffusion
    }

    fn calculus(&self) -> Calculus {
        Calculus::Ito
    }
}

/// γ(t, z), or γ(t, z) ⊙ z with γ = rate·tanh N.
#[derive(Clone, Debug)]
pub struct StableDrift {
    ode: NeuralOde,
    rate: Option<f64>,
}

/// Memory of the network, its outputs and their cotangents.
type DriftMemory<T> = (Scratch<T>, [Vec<T>; 2]);

impl<T: Real> Dynamics<T> for StableDrift {
    type Scratch = DriftMemory<T>;

    fn dim(&self) -> usize {
        Dynamics::<T>::dim(&self.ode)
    }

    fn num_params(&self) -> usize {
        Dynamics::<T>::num_params(&self.ode)
    }

    fn scratch(&self, batch: usize) -> DriftMemory<T> {
        let n = if self.rate.is_some() { Dynamics::<T>::dim(self) * batch } else { 0 };
        (self.ode.scratch(batch), [vec![T::zero(); n], vec![T::zero(); n]])
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let n = if self.rate.is_some() { 2 * Dynamics::<T>::dim(self) * batch } else { 0 };
        Dynamics::<T>::scratch_bytes(&self.ode, batch) + n * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], (network, _): &mut DriftMemory<T>) {
        self.ode.eval(at, dy, network);
        if let Some(rate) = self.rate.map(T::of) {
            dy.iter_mut().zip(at.y).for_each(|(dy, z)| *dy = rate * dy.tanh() * *z);
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        (network, [raw, bar]): &mut DriftMemory<T>,
    ) -> T {
        let Some(rate) = self.rate.map(T::of) else {
            return self.ode.vjp(at, dy_bar, y_bar, theta_bar, network);
        };
        let (raw, bar) = (&mut raw[..dy_bar.len()], &mut bar[..dy_bar.len()]);
        self.ode.eval(at, raw, network);
        for (i, (raw, bar)) in raw.iter().zip(&mut *bar).enumerate() {
            let tanh = raw.tanh();
            y_bar[i] += rate * tanh * dy_bar[i];
            *bar = rate * (T::one() - tanh * tanh) * at.y[i] * dy_bar[i];
        }
        self.ode.vjp(at, bar, y_bar, theta_bar, network)
    }

    fn jvp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        dy_dot: &mut [T],
        (network, [raw, _]): &mut DriftMemory<T>,
    ) {
        self.ode.jvp(at, dot, dy_dot, network);
        let Some(rate) = self.rate.map(T::of) else { return };
        let raw = &mut raw[..dy_dot.len()];
        self.ode.eval(at, raw, network);
        for (i, (out, raw)) in dy_dot.iter_mut().zip(&*raw).enumerate() {
            let tanh = raw.tanh();
            *out = rate * ((T::one() - tanh * tanh) * *out * at.y[i] + tanh * dot.y[i]);
        }
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.ode.locate_non_finite(at)
    }
}

/// σ(t) (additive noise) or σ(t) ⊙ z (diagonal noise), σ a network of the time mapped into [0, high].
#[derive(Clone, Debug)]
pub struct TimeDiffusion {
    network: Network,
    range: Range,
    linear: bool,
}

impl TimeDiffusion {
    fn new(network: Network, high: f64, linear: bool) -> Result<Self> {
        let range = Range::Between { low: 0.0, high };
        range.check()?;
        if network.input_dim() != 1 || network.takes_time() {
            let given = format!("{} rows in, concat_time: {}", network.input_dim(), network.takes_time());
            return Err(Error::invalid(
                "the network of σ",
                given,
                "its one input is t: 1 row, no concat_time",
            ));
        }
        Ok(Self { network, range, linear })
    }

    /// σ before the range.
    fn outputs<T: Real>(&self, at: Point<'_, T>, memory: &mut TimeMemory<T>) {
        let input = Input { t: at.t, x: &[at.t], theta: at.theta };
        self.network.forward(input, &mut memory.raw, &mut memory.network);
    }
}

/// Scratch of a [`TimeDiffusion`].
#[derive(Debug)]
pub struct TimeMemory<T> {
    network: Scratch<T>,
    raw: Vec<T>,
    bar: Vec<T>,
}

impl<T: Real> Diffusion<T> for TimeDiffusion {
    type Scratch = TimeMemory<T>;

    fn class(&self) -> NoiseClass {
        if self.linear { NoiseClass::Diagonal } else { NoiseClass::Additive }
    }

    fn shape(&self) -> Shape {
        Shape::Diagonal
    }

    fn dim(&self) -> usize {
        self.network.output_dim()
    }

    fn components(&self) -> usize {
        self.network.output_dim()
    }

    fn num_params(&self) -> usize {
        self.network.layout().len()
    }

    fn scratch(&self, _: usize) -> TimeMemory<T> {
        let zeros = vec![T::zero(); self.network.output_dim()];
        TimeMemory { network: self.network.scratch(1), raw: zeros.clone(), bar: zeros }
    }

    fn scratch_bytes(&self, _: usize) -> usize {
        (self.network.scratch_len(1) + 2 * self.network.output_dim()) * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, g: &mut [T], memory: &mut TimeMemory<T>) {
        self.outputs(at, memory);
        self.range.values(&mut memory.raw);
        let dim = memory.raw.len();
        for (g, z) in g.chunks_exact_mut(dim).zip(at.y.chunks_exact(dim)) {
            for ((g, z), sigma) in g.iter_mut().zip(z).zip(&memory.raw) {
                *g = if self.linear { *sigma * *z } else { *sigma };
            }
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        g_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut TimeMemory<T>,
    ) -> T {
        self.outputs(at, memory);
        let TimeMemory { network, raw, bar } = memory;
        bar.fill(T::zero());
        let dim = raw.len();
        for (k, g_bar) in g_bar.iter().enumerate() {
            let i = k % dim;
            match self.linear {
                true => {
                    y_bar[k] += self.range.value(raw[i]) * *g_bar;
                    bar[i] += at.y[k] * *g_bar;
                }
                false => bar[i] += *g_bar,
            }
        }
        self.range.scale(raw, bar);
        let mut t_bar = [T::zero()];
        let input = Input { t: at.t, x: &[at.t], theta: at.theta };
        self.network.vjp(input, bar, &mut t_bar, theta_bar, network);
        t_bar[0]
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, g_dot: &mut [T], memory: &mut TimeMemory<T>) {
        self.outputs(at, memory);
        let TimeMemory { network, raw, bar } = memory;
        let input = Input { t: at.t, x: &[at.t], theta: at.theta };
        let along = Input { t: dot.t, x: &[dot.t], theta: dot.theta };
        self.network.jvp(input, along, bar, network);
        self.range.scale(raw, bar);
        let dim = raw.len();
        for (k, g_dot) in g_dot.iter_mut().enumerate() {
            let i = k % dim;
            *g_dot = match self.linear {
                true => bar[i] * at.y[k] + self.range.value(raw[i]) * dot.y[k],
                false => bar[i],
            };
        }
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let input = Input { t: at.t, x: &[at.t], theta: at.theta };
        self.network.locate_non_finite(input).map(|part| format!("σ(t), {part}"))
    }
}
