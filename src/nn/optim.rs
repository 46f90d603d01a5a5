//! Optimisers: first-order update rules on the flat parameter vector.
//!
//! η is the learning rate of the step, g the gradient, k = 1, 2, … the number of the step; powers,
//! products and quotients of vectors are by entry. Where published codes differ, the documentation
//! of the [`Rule`] says whose convention is taken.

use super::params::Layout;
use super::schedule::Schedule;
use crate::num::{Kernel, Real, dispatch};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// An update rule with its constants. `weight_decay` is λ of an L2 penalty, g ← g + λθ, except in
/// [`AdamW`](Rule::AdamW).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rule {
    /// v ← μv + g (v = g at the first step); θ ← θ − ηv, or θ − η(g + μv) with Nesterov's variant.
    /// PyTorch's `SGD` with dampening 0; μ = 0 is plain descent.
    Sgd {
        /// μ in [0, 1).
        momentum: f64,
        /// Nesterov's variant (needs μ > 0).
        nesterov: bool,
        /// λ ≥ 0.
        weight_decay: f64,
    },
    /// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²; θ ← θ − η m̂/(√v̂ + ε), m̂ = m/(1−β₁ᵏ),
    /// v̂ = v/(1−β₂ᵏ) (Kingma & Ba 2015, algorithm 1; PyTorch's `Adam`).
    Adam {
        /// (β₁, β₂), each in [0, 1).
        betas: (f64, f64),
        /// ε > 0.
        epsilon: f64,
        /// λ ≥ 0.
        weight_decay: f64,
    },
    /// θ ← θ − ηλθ, then Adam (Loshchilov & Hutter 2019; PyTorch's `AdamW`).
    AdamW {
        /// (β₁, β₂), each in [0, 1).
        betas: (f64, f64),
        /// ε > 0.
        epsilon: f64,
        /// λ ≥ 0.
        weight_decay: f64,
    },
    /// Adam with s ← β₂s + (1−β₂)(g−m)² + ε in place of v, m being the new one (Zhuang et al. 2020,
    /// algorithm 2; optax with `eps_root = eps`, Optimisers.jl).
    AdaBelief {
        /// (β₁, β₂), each in [0, 1).
        betas: (f64, f64),
        /// ε > 0, inside s and beside √ŝ.
        epsilon: f64,
        /// λ ≥ 0.
        weight_decay: f64,
    },
    /// m as Adam's, u ← max(β₂u, |g| + ε); θ ← θ − η m̂/u (Kingma & Ba 2015, algorithm 2; PyTorch's
    /// `Adamax`).
    Adamax {
        /// (β₁, β₂), each in [0, 1).
        betas: (f64, f64),
        /// ε > 0.
        epsilon: f64,
        /// λ ≥ 0.
        weight_decay: f64,
    },
    /// v ← αv + (1−α)g², d = g/(√v + ε) as PyTorch's `RMSprop`, or g/√(v + ε) as optax's; with μ > 0
    /// b ← μb + d and θ ← θ − ηb, else θ ← θ − ηd.
    RmsProp {
        /// α in [0, 1).
        alpha: f64,
        /// ε > 0.
        epsilon: f64,
        /// Whether ε stands under the root (optax) or beside it (PyTorch).
        epsilon_in_root: bool,
        /// μ in [0, 1).
        momentum: f64,
        /// λ ≥ 0.
        weight_decay: f64,
    },
}

impl Rule {
    /// Plain gradient descent.
    pub fn sgd() -> Self {
        Self::momentum(0.0)
    }
    /// Gradient descent with momentum μ.
    pub fn momentum(momentum: f64) -> Self {
        Self::Sgd { momentum, nesterov: false, weight_decay: 0.0 }
    }
    /// Adam, β = (0.9, 0.999), ε = 10⁻⁸.
    pub fn adam() -> Self {
        Self::Adam { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 }
    }
    /// AdamW, β = (0.9, 0.999), ε = 10⁻⁸.
    pub fn adamw(weight_decay: f64) -> Self {
        Self::AdamW { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay }
    }
    /// AdaBelief, β = (0.9, 0.999), ε = 10⁻¹⁶.
    pub fn adabelief() -> Self {
        Self::AdaBelief { betas: (0.9, 0.999), epsilon: 1e-16, weight_decay: 0.0 }
    }
    /// Adamax, β = (0.9, 0.999), ε = 10⁻⁸.
    pub fn adamax() -> Self {
        Self::Adamax { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 }
    }
    /// RMSProp with PyTorch's α = 0.99, ε = 10⁻⁸ and no momentum.
    pub fn rmsprop() -> Self {
        Self::RmsProp { alpha: 0.99, epsilon: 1e-8, epsilon_in_root: false, momentum: 0.0, weight_decay: 0.0 }
    }

    /// Names of the vectors the rule remembers.
    fn buffers(self) -> &'static [&'static str] {
        match self {
            Self::Sgd { momentum: 0.0, .. } => &[],
            Self::Sgd { .. } => &["momentum"],
            Self::Adam { .. } | Self::AdamW { .. } => &["mean", "square"],
            Self::AdaBelief { .. } => &["mean", "deviation"],
            Self::Adamax { .. } => &["mean", "largest"],
            Self::RmsProp { momentum: 0.0, .. } => &["square"],
            Self::RmsProp { .. } => &["square", "momentum"],
        }
    }

    fn check(self) -> Result<()> {
        let below_one = |what: &str, x: f64| match (0.0..1.0).contains(&x) {
            true => Ok(()),
            false => Err(Error::invalid(what, x, "it must be in [0, 1)")),
        };
        let decay = match self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                below_one("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    let needed = "Nesterov's variant needs a positive one";
                    return Err(Error::invalid("momentum", momentum, needed));
                }
                weight_decay
            }
            Self::Adam { betas, epsilon, weight_decay }
            | Self::AdamW { betas, epsilon, weight_decay }
            | Self::AdaBelief { betas, epsilon, weight_decay }
            | Self::Adamax { betas, epsilon, weight_decay } => {
                below_one("beta1", betas.0)?;
                below_one("beta2", betas.1)?;
                positive("epsilon", epsilon)?;
                weight_decay
            }
            Self::RmsProp { alpha, epsilon, momentum, weight_decay, .. } => {
                below_one("alpha", alpha)?;
                below_one("momentum", momentum)?;
                positive("epsilon", epsilon)?;
                weight_decay
            }
        };
        match decay >= 0.0 && decay.is_finite() {
            true => Ok(()),
            false => Err(Error::invalid("weight decay", decay, "it must be non-negative")),
        }
    }
}

fn positive(what: &str, x: f64) -> Result<()> {
    match x > 0.0 && x.is_finite() {
        true => Ok(()),
        false => Err(Error::invalid(what, x, "it must be positive")),
    }
}

/// Everything an optimiser remembers; restoring it continues with the same bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizerState<T> {
    /// Steps taken.
    pub steps: u64,
    /// The remembered vectors by name, each as long as θ.
    pub buffers: Vec<(String, Vec<T>)>,
}

/// An update rule at work on one parameter vector.
#[derive(Clone, Debug)]
pub struct Optimizer<T> {
    rule: Rule,
    schedule: Schedule,
    layout: Layout,
    steps: u64,
    buffers: Vec<Vec<T>>,
}

impl<T: Real> Optimizer<T> {
    /// For parameters laid out as `layout`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a constant of the rule or the schedule outside its range.
    pub fn new(rule: Rule, schedule: Schedule, layout: Layout) -> Result<Self> {
        rule.check()?;
        schedule.check()?;
        let zeros = vec![T::of(0.0); layout.len()];
        Ok(Self { rule, schedule, steps: 0, buffers: vec![zeros; rule.buffers().len()], layout })
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }
    /// Learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.schedule.at(self.steps)
    }

    /// One step: `theta` moves against `gradient`. Allocates nothing.
    ///
    /// # Errors
    /// [`Error::Length`] when a length differs from the layout's; [`Error::Invalid`] naming the first
    /// parameter whose gradient is NaN or infinite. On error nothing has moved.
    pub fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<()> {
        self.layout.check_len("theta", theta.len())?;
        self.layout.check_len("gradient", gradient.len())?;
        if let Some(at) = gradient.iter().position(|g| !g.is_finite()) {
            let what = format!("gradient of {}", self.layout.name_of(at));
            let needed = "it must be finite: the loss or the model overflowed; lower the learning \
                          rate or clip gradients";
            return Err(Error::invalid(what, gradient[at], needed));
        }
        let rate = self.learning_rate();
        self.steps += 1;
        let (first, second) = match self.buffers.as_mut_slice() {
            [] => (&mut [][..], &mut [][..]),
            [one] => (one.as_mut_slice(), &mut [][..]),
            [one, two, ..] => (one.as_mut_slice(), two.as_mut_slice()),
        };
        dispatch(Update { rule: self.rule, rate, step: self.steps, theta, gradient, first, second });
        Ok(())
    }

    /// What the optimiser remembers.
    pub fn state(&self) -> OptimizerState<T> {
        let names = self.rule.buffers().iter();
        OptimizerState {
            steps: self.steps,
            buffers: names
                .zip(&self.buffers)
                .map(|(name, buffer)| ((*name).to_string(), buffer.clone()))
                .collect(),
        }
    }

    /// Continues from a state that [`state`](Optimizer::state) gave under the same rule.
    ///
    /// # Errors
    /// [`Error::Invalid`] when its vectors are not this rule's or do not have θ's length,
    /// [`Error::NonFiniteInput`] for a NaN or infinity. The optimiser is unchanged then.
    pub fn restore(&mut self, state: OptimizerState<T>) -> Result<()> {
        let given: Vec<_> = state.buffers.iter().map(|(name, _)| name.as_str()).collect();
        let needed = self.rule.buffers();
        if given != needed {
            let needed = format!("this rule remembers {needed:?}");
            return Err(Error::invalid("optimiser state", format!("{given:?}"), needed));
        }
        for (_, buffer) in &state.buffers {
            self.layout.check_len("optimiser state", buffer.len())?;
            Error::check_finite("optimiser state", buffer)?;
        }
        self.steps = state.steps;
        self.buffers = state.buffers.into_iter().map(|(_, buffer)| buffer).collect();
        Ok(())
    }
}

/// One step over every entry.
struct Update<'a, T> {
    rule: Rule,
    rate: f64,
    step: u64,
    theta: &'a mut [T],
    gradient: &'a [T],
    first: &'a mut [T],
    second: &'a mut [T],
}

impl<T: Real> Kernel for Update<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        match self.rule {
            Rule::Sgd { momentum, nesterov, weight_decay } => {
                self.sgd(T::of(momentum), nesterov, weight_decay)
            }
            Rule::Adam { betas, epsilon, weight_decay } => self.adam(betas, epsilon, (1.0, weight_decay)),
            Rule::AdamW { betas, epsilon, weight_decay } => {
                let keep = 1.0 - self.rate * weight_decay;
                self.adam(betas, epsilon, (keep, 0.0));
            }
            Rule::AdaBelief { betas, epsilon, weight_decay } => self.adabelief(betas, epsilon, weight_decay),
            Rule::Adamax { betas, epsilon, weight_decay } => self.adamax(betas, epsilon, weight_decay),
            Rule::RmsProp { alpha, epsilon, epsilon_in_root, momentum, weight_decay } => {
                let (keep, add, epsilon) = (T::of(alpha), T::of(1.0 - alpha), T::of(epsilon));
                let direction = |g: T, v: &mut T| {
                    *v = keep.mul_add(*v, add * g * g);
                    match epsilon_in_root {
                        true => g / (*v + epsilon).sqrt(),
                        false => g / (v.sqrt() + epsilon),
                    }
                };
                self.rmsprop(direction, T::of(momentum), weight_decay);
            }
        }
    }
}

impl<T: Real> Update<'_, T> {
    #[inline(always)]
    fn sgd(self, momentum: T, nesterov: bool, weight_decay: f64) {
        let rate = T::of(self.rate);
        if self.first.is_empty() {
            let decay = T::of(weight_decay);
            for (theta, &g) in self.theta.iter_mut().zip(self.gradient) {
                *theta -= rate * decay.mul_add(*theta, g);
            }
            return;
        }
        self.each_one(weight_decay, |theta, g, v| {
            *v = momentum.mul_add(*v, g);
            let along = if nesterov { momentum.mul_add(*v, g) } else { *v };
            *theta -= rate * along;
        });
    }

    /// η/(1 − β₁ᵏ) and √(1 − β₂ᵏ), from f64: 1 − βᵏ cancels for small k.
    #[inline(always)]
    fn corrections(&self, betas: (f64, f64)) -> (T, T) {
        let correction = |beta: f64| 1.0 - beta.powf(self.step as f64);
        let step = self.rate / correction(betas.0);
        (T::of(step), T::of(correction(betas.1).sqrt()))
    }

    /// Adam, θ multiplied by `keep` first.
    #[inline(always)]
    fn adam(self, betas: (f64, f64), epsilon: f64, (keep, weight_decay): (f64, f64)) {
        let (step, root) = self.corrections(betas);
        let (b1, b2) = (T::of(betas.0), T::of(betas.1));
        let (c1, c2) = (T::of(1.0 - betas.0), T::of(1.0 - betas.1));
        let (keep, epsilon) = (T::of(keep), T::of(epsilon));
        self.each(weight_decay, |theta, g, m, v| {
            *m = b1.mul_add(*m, c1 * g);
            *v = b2.mul_add(*v, c2 * g * g);
            *theta = *theta * keep - step * *m / (v.sqrt() / root + epsilon);
        });
    }

    #[inline(always)]
    fn adabelief(self, betas: (f64, f64), epsilon: f64, weight_decay: f64) {
        let (step, root) = self.corrections(betas);
        let (b1, b2, epsilon) = (T::of(betas.0), T::of(betas.1), T::of(epsilon));
        let (c1, c2) = (T::of(1.0 - betas.0), T::of(1.0 - betas.1));
        self.each(weight_decay, |theta, g, m, s| {
            *m = b1.mul_add(*m, c1 * g);
            let off = g - *m;
            *s = b2.mul_add(*s, c2 * off * off) + epsilon;
            *theta -= step * *m / (s.sqrt() / root + epsilon);
        });
    }

    #[inline(always)]
    fn adamax(self, betas: (f64, f64), epsilon: f64, weight_decay: f64) {
        let (step, _) = self.corrections(betas);
        let (b1, b2, epsilon) = (T::of(betas.0), T::of(betas.1), T::of(epsilon));
        let c1 = T::of(1.0 - betas.0);
        self.each(weight_decay, |theta, g, m, u| {
            *m = b1.mul_add(*m, c1 * g);
            *u = (b2 * *u).max(g.abs() + epsilon);
            *theta -= step * *m / *u;
        });
    }

    #[inline(always)]
    fn rmsprop(self, direction: impl Fn(T, &mut T) -> T, momentum: T, weight_decay: f64) {
        let rate = T::of(self.rate);
        if self.second.is_empty() {
            self.each_one(weight_decay, |theta, g, v| *theta -= rate * direction(g, v));
            return;
        }
        self.each(weight_decay, |theta, g, v, b| {
            *b = momentum.mul_add(*b, direction(g, v));
            *theta -= rate * *b;
        });
    }

    /// `f` of each (θ, g + λθ, first, second).
    #[inline(always)]
    fn each(self, decay: f64, f: impl Fn(&mut T, T, &mut T, &mut T)) {
        let decay = T::of(decay);
        let entries = self.theta.iter_mut().zip(self.gradient);
        for (((theta, &g), a), b) in entries.zip(self.first).zip(self.second) {
            let g = decay.mul_add(*theta, g);
            f(theta, g, a, b);
        }
    }

    /// [`each`](Update::each) of a rule with one vector.
    #[inline(always)]
    fn each_one(self, decay: f64, f: impl Fn(&mut T, T, &mut T)) {
        let decay = T::of(decay);
        let entries = self.theta.iter_mut().zip(self.gradient);
        for ((theta, &g), a) in entries.zip(self.first) {
            let g = decay.mul_add(*theta, g);
            f(theta, g, a);
        }
    }
}
