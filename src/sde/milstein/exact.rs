//! Milstein's step with derivatives, and its reverse.

use super::check;
use crate::dynamics::Point;
use crate::error::Result;
use crate::integrate::{Backward, Reverse, StepInfo, Stepper, end_time};
use crate::num::{ErrorNorm, Real, accumulate, combine};
use crate::sde::bound::{Bound, reverse_methods, stepper_methods};
use crate::sde::companion::EulerDifference;
use crate::sde::noise::Brownian;
use crate::sde::second_order::{SecondDerivatives, second_derivatives};
use crate::sde::srk::{product, product_pullback};
use crate::sde::{Calculus, Diffusion, SecondOrderDiffusion, Shape, System};

/// Steps of [`Milstein`](super::Milstein).
pub struct MilsteinStepper<'a, T: Real, S: System<T>> {
    bound: Bound<'a, T, S>,
    estimates: EulerDifference,
    /// u, laid out as G.
    u: Vec<T>,
    /// Σ_k (∂g_k/∂y) u_k; v = GΔW before, the error estimate after.
    sum: Vec<T>,
    /// y₁ of the attempt.
    end: Vec<T>,
    work: Vec<T>,
    /// Cotangents of G and u.
    bars: [Vec<T>; 2],
    /// Of f₁, v, f₀.
    bar: Vec<T>,
    /// Of Σ_k (∂g_k/∂y) u_k.
    sum_bar: Vec<T>,
    /// Made for the reverse, which alone needs second derivatives.
    second: Option<Box<dyn SecondDerivatives<T> + 'a>>,
}

impl<'a, T: Real, S: System<T>> MilsteinStepper<'a, T, S> {
    /// A stepper for `system` driven by `noise`.
    ///
    /// # Errors
    /// Noise that does not commute, or a source that does not fit.
    pub fn new(system: &'a S, noise: impl Brownian<T> + 'a) -> Result<Self> {
        check(system, ("Milstein", None))?;
        let bound = Bound::new(system, noise)?;
        let (n, entries) = (bound.layout.len(), bound.layout.entries());
        let zeros = |n| vec![T::zero(); n];
        Ok(Self {
            estimates: EulerDifference { correction: bound.blocks() - 1, steers: true, weights: &[1.0, 0.0] },
            u: zeros(entries),
            sum: zeros(n),
            end: zeros(n),
            work: zeros(n + entries),
            bars: [Vec::new(), Vec::new()],
            bar: zeros(n),
            sum_bar: Vec::new(),
            second: None,
            bound,
        })
    }

    /// What is subtracted from ΔW²: h for Itô's integral, nothing for Stratonovich's.
    #[inline(always)]
    fn compensator(&self, h: T) -> T {
        match self.bound.system.calculus() {
            Calculus::Ito => h,
            Calculus::Stratonovich => T::zero(),
        }
    }

    /// u_k = ½(GΔW ΔW_k − h g_k).
    #[inline(always)]
    fn directions(&mut self, h: T) {
        let (half, h) = (T::of(0.5), self.compensator(h));
        let Self { bound, u, sum, .. } = self;
        let (layout, g, w) = (bound.layout, bound.diffusion(), &bound.w[..]);
        if layout.shape == Shape::Diagonal {
            for ((u, g), w) in u.iter_mut().zip(g).zip(w) {
                *u = half * *g * w.mul_add(*w, -h);
            }
            return;
        }
        sum.fill(T::zero());
        product(sum, g, half, w, &layout);
        let h = half * h;
        let (d, m) = (layout.dim, layout.components);
        for ((u, g), (v, w)) in u
            .chunks_exact_mut(d * m)
            .zip(g.chunks_exact(d * m))
            .zip(sum.chunks_exact(d).zip(w.chunks_exact(m)))
        {
            for ((u, g), w) in u.chunks_exact_mut(d).zip(g.chunks_exact(d)).zip(w) {
                for ((u, g), v) in u.iter_mut().zip(g).zip(v) {
                    *u = v.mul_add(*w, -h * *g);
                }
            }
        }
    }

    /// ACCUMULATES the reverse of [`directions`](Self::directions): ū in `bars[1]` into Ḡ in `bars[0]`.
    fn directions_pullback(&mut self, h: T) {
        let (half, h) = (T::of(0.5), self.compensator(h));
        let Self { bound, bars: [g_bar, u_bar], bar: v_bar, .. } = self;
        let (layout, w) = (bound.layout, &bound.w[..]);
        if layout.shape == Shape::Diagonal {
            for ((g_bar, u_bar), w) in g_bar.iter_mut().zip(u_bar).zip(w) {
                *g_bar += half * *u_bar * w.mul_add(*w, -h);
            }
            return;
        }
        v_bar.fill(T::zero());
        product(v_bar, u_bar, half, w, &layout);
        product_pullback(v_bar, g_bar, T::one(), w, &layout);
        let h = half * h;
        g_bar.iter_mut().zip(u_bar).for_each(|(g_bar, u_bar)| *g_bar -= h * *u_bar);
    }
}

impl<T: Real, S: System<T>> Stepper<T> for MilsteinStepper<'_, T, S> {
    stepper_methods!();

    fn set_theta(&mut self, theta: &[T]) {
        self.bound.theta.copy_from_slice(theta);
    }

    fn bytes(&self) -> usize {
        let own = [&self.u, &self.sum, &self.end, &self.work, &self.bar, &self.sum_bar];
        let own = own.into_iter().chain(&self.bars);
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
        self.directions(at.1);
        let Self { bound, u, sum, end, work, .. } = self;
        combine(y1, y, at.1, &[1.0], bound.drift(0));
        bound.add_noise(T::one(), y1);
        let theta = &bound.theta[bound.system.diffusion_params()];
        let point = Point { t: bound.start, y, theta };
        bound.system.diffusion().contraction(point, u, sum, work, &mut bound.scratch.1);
        accumulate(y1, T::one(), &[1.0], sum);
        bound.end_drift(at, y1);
        end.copy_from_slice(y1);
        bound.estimate(at.1, [y, y1], norm, sum)
    }

    fn accept(&mut self, t1: T, y1: &[T]) {
        self.bound.pass_drift();
        self.bound.start_diffusion(t1, y1);
    }

    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        self.bound.locate_non_finite(y, (end_time(t, h, self.bound.to_stop), &self.end))
    }
}

impl<T: Real, S: System<T>> Reverse<T> for MilsteinStepper<'_, T, S>
where
    S::Diffusion: SecondOrderDiffusion<T>,
{
    reverse_methods!();

    fn keep_tape(&mut self) -> usize {
        self.bars.iter_mut().for_each(|bar| bar.resize(self.u.len(), T::zero()));
        self.sum_bar.resize(self.sum.len(), T::zero());
        self.bound.measure_scratch();
        self.second = Some(second_derivatives(self.bound.system.diffusion(), self.bound.layout.batch));
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
        self.directions(h);
        let Self { bound, u, bars: [g_bar, u_bar], bar, sum_bar, second, .. } = self;
        bound.end_drift_pullback(step, y1, back, theta_bar, bar);
        bound.correction_seed(back, sum_bar);
        accumulate(sum_bar, T::one(), &[1.0], &back.y);
        bound.diffusion_seed(back, g_bar);
        bound.add_noise_pullback(T::one(), &back.y, g_bar);
        u_bar.fill(T::zero());
        // What goes to y0 otherwise than by y1 = y0 + …
        let mut y_bar = std::mem::take(&mut back.y0);
        if let Some(second) = second {
            let range = bound.system.diffusion_params();
            let at = Point { t, y: y0, theta: &bound.theta[range.clone()] };
            second.contraction_vjp(at, [u, sum_bar], [u_bar, &mut y_bar, &mut theta_bar[range]]);
        }
        self.directions_pullback(h);
        let Self { bound, bars: [g_bar, _], bar: f_bar, .. } = self;
        bound.diffusion_pullback(t, y0, g_bar, [&mut y_bar, &mut *theta_bar]);
        bound.drift_seed(0, h, back, f_bar);
        bound.drift_pullback(t, y0, f_bar, [&mut y_bar, theta_bar]);
        accumulate(&mut back.y, T::one(), &[1.0], &y_bar);
        back.y0 = y_bar;
    }
}
