//! Milstein's step without derivatives, and its reverse.

use super::check;
use crate::error::Result;
use crate::integrate::{Backward, Reverse, StepInfo, Stepper, end_time};
use crate::num::{ErrorNorm, Real, accumulate, combine};
use crate::sde::bound::{Bound, reverse_methods, stepper_methods};
use crate::sde::companion::EulerDifference;
use crate::sde::noise::Brownian;
use crate::sde::srk::{product, product_pullback};
use crate::sde::{Calculus, Diffusion, NoiseClass, Shape, System};

/// Steps of [`MilsteinDifferences`](super::MilsteinDifferences):
/// y₁ = y + f h + GΔW + Σ_l (G(t, Υ_l) − G(t, y)) ω_l, ω_l = ½(ΔW ΔW_l − h e_l)/√h, Υ_l = y + f h + g_l √h.
/// Diagonal noise takes all Υ_l at once.
pub struct DifferencesStepper<'a, T: Real, S: System<T>> {
    bound: Bound<'a, T, S>,
    estimates: EulerDifference,
    /// Υ_l; y₁ after an attempt.
    support: Vec<T>,
    /// Σ_l (G(t, Υ_l) − G(t, y)) ω_l, then the error estimate.
    sum: Vec<T>,
    /// G(t, Υ_l), or its cotangent.
    value: Vec<T>,
    /// ω_l.
    omega: Vec<T>,
    /// Cotangents: of f, of Υ_l, of the sum, of G.
    bars: [Vec<T>; 4],
}

impl<'a, T: Real, S: System<T>> DifferencesStepper<'a, T, S> {
    /// A stepper for `system` driven by `noise`.
    ///
    /// # Errors
    /// Noise that does not commute, or a source that does not fit.
    pub fn new(system: &'a S, noise: impl Brownian<T> + 'a) -> Result<Self> {
        check(system, ("MilsteinDifferences", Some(Calculus::Ito)))?;
        let bound = Bound::new(system, noise)?;
        let (n, entries, motions) = (bound.layout.len(), bound.layout.entries(), bound.layout.motions());
        let zeros = |n| vec![T::zero(); n];
        Ok(Self {
            estimates: EulerDifference { correction: bound.blocks() - 1, steers: true, weights: &[1.0, 0.0] },
            support: zeros(n),
            sum: zeros(n),
            value: zeros(entries),
            omega: zeros(motions),
            bars: [const { Vec::new() }; 4],
            bound,
        })
    }

    /// How many Υ_l there are; none where G does not depend on y.
    #[inline(always)]
    fn supports(&self) -> usize {
        match (self.bound.system.diffusion().class(), self.bound.layout.shape) {
            (NoiseClass::Additive, _) => 0,
            (_, Shape::Diagonal) => 1,
            _ => self.bound.layout.components,
        }
    }

    /// Υ_l and ω_l.
    #[inline(always)]
    fn prepare_support(&mut self, l: usize, h: T, y: &[T]) {
        let Self { bound, support, omega, .. } = self;
        let (layout, g, w) = (bound.layout, bound.diffusion(), &bound.w[..]);
        combine(support, y, h, &[1.0], bound.drift(0));
        let root = h.sqrt();
        let scale = T::of(0.5) / root;
        if layout.shape == Shape::Diagonal {
            accumulate(support, root, &[1.0], g);
            omega.iter_mut().zip(w).for_each(|(omega, w)| *omega = scale * w.mul_add(*w, -h));
            return;
        }
        let (d, m) = (layout.dim, layout.components);
        for (support, g) in support.chunks_exact_mut(d).zip(g.chunks_exact(d * m)) {
            for (support, g) in support.iter_mut().zip(&g[l * d..(l + 1) * d]) {
                *support = root.mul_add(*g, *support);
            }
        }
        for (omega, w) in omega.chunks_exact_mut(m).zip(w.chunks_exact(m)) {
            omega.iter_mut().zip(w).for_each(|(omega, w_k)| *omega = scale * (*w_k * w[l]));
            omega[l] -= scale * h;
        }
    }
}

impl<T: Real, S: System<T>> Stepper<T> for DifferencesStepper<'_, T, S> {
    stepper_methods!();

    fn set_theta(&mut self, theta: &[T]) {
        self.bound.theta.copy_from_slice(theta);
    }

    fn bytes(&self) -> usize {
        let own = [&self.support, &self.sum, &self.value, &self.omega].into_iter().chain(&self.bars);
        self.bound.bytes(own.map(|v| v.len()).sum())
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.bound.begin(t, y);
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.bound.to_stop = to_stop;
        if !self.bound.draw(at) {
            return T::NAN;
        }
        combine(y1, y, at.1, &[1.0], self.bound.drift(0));
        self.bound.add_noise(T::one(), y1);
        self.sum.fill(T::zero());
        for l in 0..self.supports() {
            self.prepare_support(l, at.1, y);
            let Self { bound, support, sum, value, omega, .. } = self;
            bound.eval_diffusion(bound.start, support, value);
            value.iter_mut().zip(bound.diffusion()).for_each(|(value, g)| *value -= *g);
            product(sum, value, T::one(), omega, &bound.layout);
        }
        let Self { bound, support, sum, .. } = self;
        accumulate(y1, T::one(), &[1.0], sum);
        bound.end_drift(at, y1);
        // A support that is not finite makes y₁ not finite.
        support.copy_from_slice(y1);
        bound.estimate(at.1, [y, y1], norm, sum)
    }

    fn accept(&mut self, t1: T, y1: &[T]) {
        self.bound.pass_drift();
        self.bound.start_diffusion(t1, y1);
    }

    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        self.bound.locate_non_finite(y, (end_time(t, h, self.bound.to_stop), &self.support))
    }
}

impl<T: Real, S: System<T>> Reverse<T> for DifferencesStepper<'_, T, S> {
    reverse_methods!();

    fn keep_tape(&mut self) -> usize {
        let (n, entries) = (self.support.len(), self.value.len());
        self.bars.iter_mut().zip([n, n, n, entries]).for_each(|(bar, n)| bar.resize(n, T::zero()));
        self.bound.measure_scratch();
        0
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, y1]: [&[T]; 2],
        _: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let (h, t) = (step.h, step.start());
        let [mut f_bar, mut support_bar, mut sum_bar, mut g_bar] = std::mem::take(&mut self.bars);
        self.bound.end_drift_pullback(step, y1, back, theta_bar, &mut f_bar);
        self.bound.correction_seed(back, &mut sum_bar);
        accumulate(&mut sum_bar, T::one(), &[1.0], &back.y);
        self.bound.drift_seed(0, h, back, &mut f_bar);
        self.bound.diffusion_seed(back, &mut g_bar);
        self.bound.add_noise_pullback(T::one(), &back.y, &mut g_bar);
        let root = h.sqrt();
        for l in 0..self.supports() {
            self.prepare_support(l, h, y0);
            let Self { bound, support, value, omega, .. } = self;
            let layout = bound.layout;
            value.fill(T::zero());
            product_pullback(&sum_bar, value, T::one(), omega, &layout);
            g_bar.iter_mut().zip(&*value).for_each(|(g_bar, value)| *g_bar -= *value);
            support_bar.fill(T::zero());
            bound.diffusion_pullback(t, support, value, [&mut support_bar, &mut *theta_bar]);
            accumulate(&mut back.y0, T::one(), &[1.0], &support_bar);
            accumulate(&mut f_bar, h, &[1.0], &support_bar);
            if layout.shape == Shape::Diagonal {
                accumulate(&mut g_bar, root, &[1.0], &support_bar);
                continue;
            }
            let (d, m) = (layout.dim, layout.components);
            for (g_bar, bar) in g_bar.chunks_exact_mut(d * m).zip(support_bar.chunks_exact(d)) {
                let column = g_bar[l * d..(l + 1) * d].iter_mut();
                column.zip(bar).for_each(|(g_bar, bar)| *g_bar = root.mul_add(*bar, *g_bar));
            }
        }
        let mut y_bar = std::mem::take(&mut back.y0);
        self.bound.diffusion_pullback(t, y0, &g_bar, [&mut y_bar, &mut *theta_bar]);
        self.bound.drift_pullback(t, y0, &f_bar, [&mut y_bar, theta_bar]);
        accumulate(&mut back.y, T::one(), &[1.0], &y_bar);
        back.y0 = y_bar;
        self.bars = [f_bar, support_bar, sum_bar, g_bar];
    }
}
