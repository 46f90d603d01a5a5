//! One step of reversible Heun.

use super::super::srk::form::Layout;
use super::super::srk::{Scratch, bridge};
use super::super::system::check_noise;
use super::estimates::Difference;
use super::retrace::Sweep;
use super::{Forms, check_calculus, reflect};
use crate::dynamics::{Dynamics, Point};
use crate::error::{Error, Result};
use crate::integrate::{Estimates, Stepper, end_time};
use crate::num::{ErrorNorm, Real};
use crate::sde::noise::Brownian;
use crate::sde::{Diffusion, System};

/// Paths that are evaluated together: a network's hidden values of so many stay in the cache.
pub(super) const BLOCK: usize = 128;

/// [`ReversibleHeun`](super::ReversibleHeun) bound to an equation and its noise. Its state holds y and then ŷ,
/// `dim × 2·paths`; the ŷ of an initial state is ignored and starts as y.
pub struct ReversibleHeunStepper<'a, T: Real, S: System<T>> {
    pub(super) system: &'a S,
    pub(super) noise: Box<dyn Brownian<T> + 'a>,
    /// Of one half of the state.
    pub(super) layout: Layout,
    pub(super) forms: Forms,
    pub(super) estimates: Difference,
    pub(super) theta: Vec<T>,
    /// f̂_n, f̂_{n+1}, Ĝ_n, Ĝ_{n+1}, ΔW, bridge.
    pub(super) values: Vec<T>,
    error: Vec<T>,
    /// For [`BLOCK`] paths.
    pub(super) scratch: Scratch<T, S>,
    pub(super) scratch_bytes: usize,
    /// Cotangents of the values, in the reverse of a step.
    pub(super) bars: Vec<T>,
    pub(super) sweep: Sweep<T>,
    nfe: usize,
    pub(super) nvjp: usize,
    to_stop: bool,
    refused: Option<Error>,
}

impl<'a, T: Real, S: System<T>> ReversibleHeunStepper<'a, T, S> {
    /// A stepper for `system` driven by `noise`.
    ///
    /// # Errors
    /// An Itô equation (unless its noise is additive), or a source that does not fit.
    pub fn new(system: &'a S, noise: impl Brownian<T> + 'a) -> Result<Self> {
        check_noise(system, &noise)?;
        check_calculus(system)?;
        let (f, g) = (system.drift(), system.diffusion());
        let layout = Layout {
            dim: system.dim(),
            batch: noise.paths(),
            components: g.components(),
            shape: g.shape(),
            stages: 2,
            variates: 2,
        };
        let block = BLOCK.min(layout.batch);
        Ok(Self {
            noise: Box::new(noise),
            forms: Forms::new(),
            estimates: Difference::new(layout),
            theta: vec![T::zero(); system.num_params()],
            values: vec![T::zero(); layout.total()],
            error: vec![T::zero(); 2 * layout.len()],
            scratch: (f.scratch(block), g.scratch(block)),
            scratch_bytes: f.scratch_bytes(block) + g.scratch_bytes(block),
            bars: Vec::new(),
            sweep: Sweep::default(),
            nfe: 0,
            nvjp: 0,
            to_stop: false,
            refused: None,
            system,
            layout,
        })
    }

    /// The source of the noise.
    pub fn noise(&self) -> &(dyn Brownian<T> + 'a) {
        &*self.noise
    }

    /// Numbers of G of one path.
    pub(super) fn entries(&self) -> usize {
        self.layout.entries() / self.layout.batch
    }

    /// Counts an evaluation.
    pub(super) fn count(&mut self) {
        self.nfe += 1;
    }

    /// (f̂, Ĝ) at the end `j` of the step ← (f, G)(t, ŷ).
    #[inline(always)]
    pub(super) fn eval(&mut self, j: usize, t: T, hat: &[T]) {
        let (d, e) = (self.layout.dim, self.entries());
        let theta_f = &self.theta[self.system.drift_params()];
        let theta_g = &self.theta[self.system.diffusion_params()];
        let starts = [self.layout.drift(j).start, self.layout.diffusion(j).start];
        for (k, y) in hat.chunks(BLOCK * d).enumerate() {
            let paths = y.len() / d;
            let [f, g] = [starts[0] + k * BLOCK * d, starts[1] + k * BLOCK * e];
            let at = Point { t, y, theta: theta_f };
            self.system.drift().eval(at, &mut self.values[f..f + y.len()], &mut self.scratch.0);
            let at = Point { t, y, theta: theta_g };
            self.system.diffusion().eval(at, &mut self.values[g..g + paths * e], &mut self.scratch.1);
        }
        self.count();
    }

    /// The values at end `from` of the step become those at end `to`.
    #[inline(always)]
    pub(super) fn pass(&mut self, from: usize, to: usize) {
        self.values.copy_within(self.layout.drift(from), self.layout.drift(to).start);
        self.values.copy_within(self.layout.diffusion(from), self.layout.diffusion(to).start);
    }

    /// Asks the source for ΔW over [t, t + h].
    #[inline(always)]
    pub(super) fn draw(&mut self, (t, h): (T, T)) -> Result<()> {
        self.noise.increment(t, t + h, &mut self.values[self.layout.variate(0)], &mut [])
    }

    /// The bridge at ϑ of the step in hand.
    pub(super) fn make_bridge(&mut self, at: (T, T), theta: T) {
        let (values, xi) = self.values.split_at_mut(self.layout.variate(1).start);
        bridge(&mut *self.noise, at, theta, &values[self.layout.variate(0)], xi);
    }
}

impl<T: Real, S: System<T>> Stepper<T> for ReversibleHeunStepper<'_, T, S> {
    fn len(&self) -> usize {
        2 * self.layout.len()
    }

    fn dim(&self) -> usize {
        self.layout.dim
    }

    fn num_params(&self) -> usize {
        self.theta.len()
    }

    fn set_theta(&mut self, theta: &[T]) {
        self.theta.copy_from_slice(theta);
    }

    fn bytes(&self) -> usize {
        let own = [&self.values, &self.error, &self.theta, &self.bars];
        let numbers = own.iter().map(|v| v.len()).sum::<usize>() + self.sweep.len();
        numbers * size_of::<T>() + self.scratch_bytes + self.noise.bytes()
    }

    fn order(&self) -> usize {
        1
    }

    fn error_power(&self) -> usize {
        1
    }

    fn estimates(&self) -> &dyn Estimates<T> {
        &self.estimates
    }

    fn dense_weights(&self) -> &[Vec<f64>] {
        &[]
    }

    /// ŷ₀ = y₀.
    fn prepare(&mut self, _: T, y: &mut [T], _: &ErrorNorm<T>) -> Result<()> {
        y.copy_within(..self.layout.len(), self.layout.len());
        Ok(())
    }

    fn cover(&mut self, span: [T; 2]) -> Result<()> {
        self.noise.prepare(span)
    }

    #[inline(always)]
    fn snap(&self, t: T, h: T) -> T {
        self.noise.snap(t, h)
    }

    fn refused(&mut self) -> Option<Error> {
        self.refused.take()
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.eval(0, t, &y[self.layout.len()..]);
        self.pass(0, 1);
    }

    /// f̂_n, twice: between steps both ends hold it.
    fn derivative(&self) -> &[T] {
        &self.values[..self.len()]
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        let (half, d) = (self.layout.len(), self.layout.dim);
        let theta = &self.theta[..self.system.drift().num_params()];
        let (dy, again) = dy.split_at_mut(half);
        for (y, dy) in y[half..].chunks(BLOCK * d).zip(dy.chunks_mut(BLOCK * d)) {
            self.system.drift().eval(Point { t, y, theta }, dy, &mut self.scratch.0);
        }
        again.copy_from_slice(dy);
        self.count();
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.to_stop = to_stop;
        if let Err(error) = self.draw(at) {
            self.refused = Some(error);
            return T::NAN;
        }
        let h = at.1;
        let (start, hat0) = y.split_at(self.layout.len());
        let (end, hat1) = y1.split_at_mut(self.layout.len());
        reflect(hat1, start, hat0);
        self.forms.forward.add(hat1, h, &self.values, &self.layout);
        self.eval(1, end_time(at.0, h, to_stop), hat1);
        end.copy_from_slice(start);
        self.forms.solution.add(end, h, &self.values, &self.layout);
        self.estimates.write(h, &self.values, &mut self.error);
        norm.mean_square(&self.error, y, y1, self.layout.dim)
    }

    fn stages(&self) -> &[T] {
        &self.values
    }

    /// For y and ŷ alike, (1 − ϑ)y_n + ϑy_{n+1} + Ĝ_n(W(t + ϑh) − W(t) − ϑΔW).
    fn interpolate(&mut self, at: (T, T), theta: T, [y, y1]: [&[T]; 2], out: &mut [T]) {
        for ((out, y), y1) in out.iter_mut().zip(y).zip(y1) {
            *out = theta.mul_add(*y1 - *y, *y);
        }
        self.make_bridge(at, theta);
        for half in out.chunks_exact_mut(self.layout.len()) {
            self.forms.bridge.add(half, at.1, &self.values, &self.layout);
        }
    }

    fn accept(&mut self, _: T, _: &[T]) {
        self.pass(1, 0);
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        let finite = |range: std::ops::Range<usize>| self.values[range].iter().all(|v| v.is_finite());
        let half = self.layout.len();
        let mut hat = vec![T::zero(); half];
        for j in 0..2 {
            let t = if j == 0 { t } else { end_time(t, h, self.to_stop) };
            match j {
                0 => hat.copy_from_slice(&y[half..]),
                _ => {
                    reflect(&mut hat, &y[..half], &y[half..]);
                    self.forms.forward.add(&mut hat, h, &self.values, &self.layout);
                }
            }
            let theta_f = &self.theta[self.system.drift_params()];
            let theta_g = &self.theta[self.system.diffusion_params()];
            if !finite(self.layout.drift(j)) {
                let part = self.system.drift().locate_non_finite(Point { t, y: &hat, theta: theta_f });
                return Some(part.unwrap_or_else(|| "the drift".into()));
            }
            if !finite(self.layout.diffusion(j)) {
                let part = self.system.diffusion().locate_non_finite(Point { t, y: &hat, theta: theta_g });
                return Some(part.map_or_else(|| "the diffusion".into(), |p| format!("the diffusion: {p}")));
            }
        }
        None
    }
}
