//! Milstein's step without derivatives, and its reverse.

use super::check;
use crate::error::Result;
use crate::integrate::{Backward, Reverse, StepInfo, Stepper};
use crate::num::{ErrorNorm, Real, accumulate, combine};
use crate::sde::bound::{Bound, NoEstimates, reverse_methods, stepper_methods, unless_finite};
use crate::sde::noise::Brownian;
use crate::sde::srk::{product, product_pullback};
use crate::sde::{Calculus, Diffusion, NoiseClass, Shape, System};

/// Steps of [`MilsteinDifferences`](super::MilsteinDifferences):
/// y₁ = y + f h + GΔW + Σ_l (G(t, Υ_l) − G(t, y)) ω_l, ω_l = ½(ΔW ΔW_l − h e_l)/√h, Υ_l = y + f h + g_l √h.
/// Diagonal noise takes all Υ_l at once.
pub struct DifferencesStepper<'a, T: Real, S: System<T>> {
    bound: Bound<'a, T, S>,
    estimates: NoEstimates,
    /// Υ_l.
    support: Vec<T>,
    /// G(t, Υ_l), or its cotangent.
    value: Vec<T>,
    /// ω_l.
    omega: Vec<T>,
    /// Cotangents: of f, of Υ_l, of G.
    bars: [Vec<T>; 3],
}

impl<'a, T: Real, S: System<T>> DifferencesStepper<'a, T, S> {
    /// A stepper for `system` driven by `noise`.
    ///
    /// # Errors
    /// Noise that does not commute, or a source that does not fit.
    pub fn new(system: &'a S, noise: impl Brownian<T> + 'a) -> Result<Self> {
        check(system, ("MilsteinDifferences", Some(Calculus::Ito)))?;
        let bound = Bound::new(system, noise, 1)?;
        let (n, entries, motions) = (bound.layout.len(), bound.layout.entries(), bound.layout.motions());
        let zeros = |n| vec![T::zero(); n];
        Ok(Self {
            estimates: NoEstimates(&[1.0]),
            support: zeros(n),
            value: zeros(entries),
            omega: zeros(motions),
            bars: [Vec::new(), Vec::new(), Vec::new()],
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
        let own = [&self.support, &self.value, &self.omega].into_iter().chain(&self.bars);
        self.bound.bytes(own.map(|v| v.len()).sum())
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.bound.begin(t, y);
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], _: &ErrorNorm<T>) -> T {
        self.bound.to_stop = to_stop;
        if !self.bound.draw(at) {
            return T::NAN;
        }
        combine(y1, y, at.1, &[1.0], self.bound.drift(0));
        self.bound.add_noise(T::one(), y1);
        for l in 0..self.supports() {
            self.prepare_support(l, at.1, y);
            let Self { bound, support, value, omega, .. } = self;
            bound.eval_diffusion(bound.start, support, value);
            value.iter_mut().zip(bound.diffusion()).for_each(|(value, g)| *value -= *g);
            product(y1, value, T::one(), omega, &bound.layout);
        }
        unless_finite(y1)
    }

    fn accept(&mut self, t1: T, y1: &[T]) {
        self.bound.begin(t1, y1);
    }

    fn locate_non_finite(&self, _: (T, T), y: &[T]) -> Option<String> {
        self.bound.locate_non_finite(y, (self.bound.start, &self.support))
    }
}

impl<T: Real, S: System<T>> Reverse<T> for DifferencesStepper<'_, T, S> {
    reverse_methods!();

    fn keep_tape(&mut self) -> usize {
        let (n, entries) = (self.support.len(), self.value.len());
        self.bars.iter_mut().zip([n, n, entries]).for_each(|(bar, n)| bar.resize(n, T::zero()));
        self.bound.measure_scratch();
        0
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, _]: [&[T]; 2],
        _: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let (h, t) = (step.h, step.start());
        let [mut f_bar, mut support_bar, mut g_bar] = std::mem::take(&mut self.bars);
        self.bound.drift_seed(0, h, back, &mut f_bar);
        self.bound.diffusion_seed(back, &mut g_bar);
        self.bound.add_noise_pullback(T::one(), &back.y, &mut g_bar);
        let root = h.sqrt();
        for l in 0..self.supports() {
            self.prepare_support(l, h, y0);
            let Self { bound, support, value, omega, .. } = self;
            let layout = bound.layout;
            value.fill(T::zero());
            product_pullback(&back.y, value, T::one(), omega, &layout);
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
        self.bars = [f_bar, support_bar, g_bar];
    }
}
