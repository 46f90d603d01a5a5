//! What steppers that are no table share: an equation bound to its noise, with the values at the start of
//! the step in hand.

use super::diffusion::Diffusion;
use super::noise::Brownian;
use super::srk::{Layout, product, product_pullback};
use super::system::{System, check_area, check_noise};
use crate::dynamics::{Dynamics, Point};
use crate::error::{Error, Result};
use crate::integrate::{Backward, StepInfo, end_time};
use crate::num::{ErrorNorm, Real, accumulate};

/// Memory of drift and diffusion.
type Scratch<T, S> = (
    <<S as System<T>>::Drift as Dynamics<T>>::Scratch,
    <<S as System<T>>::Diffusion as Diffusion<T>>::Scratch,
);

/// An equation, its noise, and the record of a step: f(t, y), f(t + h, y₁), G(t, y), and the noise's part c of
/// the error estimate ([`EulerDifference`](super::companion::EulerDifference)).
pub(crate) struct Bound<'a, T: Real, S: System<T>> {
    pub system: &'a S,
    pub noise: Box<dyn Brownian<T> + 'a>,
    pub layout: Layout,
    pub theta: Vec<T>,
    pub scratch: Scratch<T, S>,
    pub record: Vec<T>,
    /// ΔW of the step in hand.
    pub w: Vec<T>,
    /// Its space–time area H, where [asked for](Self::take_area).
    pub area: Vec<T>,
    /// W(t + ϑh) − W(t) − ϑΔW.
    bridge: Vec<T>,
    /// Where the values at the start were taken: t, or just beyond a discontinuity there.
    pub start: T,
    pub to_stop: bool,
    pub nfe: usize,
    pub nvjp: usize,
    pub refused: Option<Error>,
    scratch_bytes: usize,
}

impl<'a, T: Real, S: System<T>> Bound<'a, T, S> {
    /// # Errors
    /// An equation that does not fit together, or a source that does not fit it.
    pub fn new(system: &'a S, noise: impl Brownian<T> + 'a) -> Result<Self> {
        check_noise(system, &noise)?;
        let (g, batch) = (system.diffusion(), noise.paths());
        let (dim, components, shape) = (system.dim(), g.components(), g.shape());
        let layout = Layout { dim, batch, components, shape, stages: 2, variates: 1 };
        let zeros = |n| vec![T::zero(); n];
        Ok(Self {
            scratch: (system.drift().scratch(batch), g.scratch(batch)),
            noise: Box::new(noise),
            theta: zeros(system.num_params()),
            record: zeros(3 * layout.len() + layout.entries()),
            w: zeros(layout.motions()),
            area: Vec::new(),
            bridge: zeros(layout.motions()),
            start: T::zero(),
            to_stop: false,
            nfe: 0,
            nvjp: 0,
            refused: None,
            scratch_bytes: 0,
            system,
            layout,
        })
    }

    /// H is drawn with ΔW from here on.
    ///
    /// # Errors
    /// A source that does not know it.
    pub fn take_area(&mut self, method: &str) -> Result<()> {
        check_area(method, &*self.noise)?;
        self.area.resize(self.w.len(), T::zero());
        Ok(())
    }

    /// Blocks of the record, each of the state's length.
    pub fn blocks(&self) -> usize {
        self.layout.stages + self.layout.blocks() + 1
    }

    /// Where c lies in the record.
    #[inline(always)]
    fn correction(&self) -> std::ops::Range<usize> {
        self.record.len() - self.layout.len()..self.record.len()
    }

    /// Ends an attempt: `c` goes into the record, and is then the error estimate ½h(f₁ − f₀) + c, whose mean square
    /// it returns; NaN where something is not finite.
    #[inline(always)]
    pub fn estimate(&mut self, h: T, [y, y1]: [&[T]; 2], norm: &ErrorNorm<T>, c: &mut [T]) -> T {
        let range = self.correction();
        self.record[range].copy_from_slice(c);
        let half = T::of(0.5) * h;
        for ((c, f1), f0) in c.iter_mut().zip(self.drift(1)).zip(self.drift(0)) {
            *c = half.mul_add(*f1 - *f0, *c);
        }
        // An infinite state would make the scaled error 0.
        norm.mean_square(c, y, y1, self.layout.dim) + unless_finite(y1)
    }

    /// f(t + h, y₁) into the record.
    #[inline(always)]
    pub fn end_drift(&mut self, (t, h): (T, T), y1: &[T]) {
        self.eval_drift(1, end_time(t, h, self.to_stop), y1);
    }

    /// f₁ becomes f₀, where the next step starts.
    #[inline(always)]
    pub fn pass_drift(&mut self) {
        let n = self.layout.len();
        self.record.copy_within(n..2 * n, 0);
    }

    /// Bytes held; `others` are the stepper's own numbers.
    pub fn bytes(&self, others: usize) -> usize {
        let own = self.theta.len() + self.record.len() + 2 * self.w.len() + self.area.len() + others;
        own * size_of::<T>() + self.scratch_bytes + self.noise.bytes()
    }

    /// Counts the scratch in [`bytes`](Self::bytes).
    pub fn measure_scratch(&mut self) {
        let batch = self.layout.batch;
        let system = self.system;
        self.scratch_bytes = system.drift().scratch_bytes(batch) + system.diffusion().scratch_bytes(batch);
    }

    /// f_j of the record.
    #[inline(always)]
    pub fn drift(&self, j: usize) -> &[T] {
        &self.record[self.layout.drift(j)]
    }

    /// G of the record.
    #[inline(always)]
    pub fn diffusion(&self) -> &[T] {
        &self.record[self.layout.diffusion(0)]
    }

    /// f_j of the record ← f(t, y).
    #[inline(always)]
    pub fn eval_drift(&mut self, j: usize, t: T, y: &[T]) {
        let range = self.layout.drift(j);
        let theta = &self.theta[self.system.drift_params()];
        self.system.drift().eval(Point { t, y, theta }, &mut self.record[range], &mut self.scratch.0);
        self.nfe += 1;
    }

    /// `g` ← G(t, y).
    #[inline(always)]
    pub fn eval_diffusion(&mut self, t: T, y: &[T], g: &mut [T]) {
        let theta = &self.theta[self.system.diffusion_params()];
        self.system.diffusion().eval(Point { t, y, theta }, g, &mut self.scratch.1);
    }

    /// f(t, y) into `dy`.
    pub fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        let theta = &self.theta[self.system.drift_params()];
        self.system.drift().eval(Point { t, y, theta }, dy, &mut self.scratch.0);
        self.nfe += 1;
    }

    /// G of the record ← G(t, y), where the next step starts.
    #[inline(always)]
    pub fn start_diffusion(&mut self, t: T, y: &[T]) {
        self.start = t;
        let range = self.layout.diffusion(0);
        let theta = &self.theta[self.system.diffusion_params()];
        self.system.diffusion().eval(Point { t, y, theta }, &mut self.record[range], &mut self.scratch.1);
    }

    /// f and G of the record at (t, y), where the next step starts.
    #[inline(always)]
    pub fn begin(&mut self, t: T, y: &[T]) {
        self.eval_drift(0, t, y);
        self.start_diffusion(t, y);
    }

    /// Asks the source for ΔW over [t, t + h]; false where it cannot answer.
    #[inline(always)]
    pub fn draw(&mut self, (t, h): (T, T)) -> bool {
        match self.noise.increment(t, t + h, &mut self.w, &mut self.area) {
            Ok(()) => true,
            Err(error) => {
                self.refused = Some(error);
                false
            }
        }
    }

    /// `out` += `weight` GΔW.
    #[inline(always)]
    pub fn add_noise(&self, weight: T, out: &mut [T]) {
        product(out, self.diffusion(), weight, &self.w, &self.layout);
    }

    /// ACCUMULATES the reverse of [`add_noise`](Self::add_noise) in G.
    pub fn add_noise_pullback(&self, weight: T, out_bar: &[T], g_bar: &mut [T]) {
        product_pullback(out_bar, g_bar, weight, &self.w, &self.layout);
    }

    /// The bridge of the step in hand at ϑ.
    fn make_bridge(&mut self, (t, h): (T, T), theta: T) {
        if self.noise.increment(t, theta.mul_add(h, t), &mut self.bridge, &mut []).is_err() {
            // A fixed grid knows nothing inside its cells: the chord.
            return self.bridge.fill(T::zero());
        }
        for (bridge, w) in self.bridge.iter_mut().zip(&self.w) {
            *bridge = (-theta).mul_add(*w, *bridge);
        }
    }

    /// `out` ← the chord at ϑ and the motion around it ([`srk`](super::srk)).
    pub fn interpolate(&mut self, at: (T, T), theta: T, [y, y1]: [&[T]; 2], out: &mut [T]) {
        for ((out, y), y1) in out.iter_mut().zip(y).zip(y1) {
            *out = theta.mul_add(*y1 - *y, *y);
        }
        self.make_bridge(at, theta);
        product(out, self.diffusion(), T::one(), &self.bridge, &self.layout);
    }

    /// ACCUMULATES the reverse of [`interpolate`](Self::interpolate) into the seeds.
    pub fn interpolate_pullback(
        &mut self,
        step: &StepInfo<T>,
        theta: T,
        y_bar: &[T],
        back: &mut Backward<T>,
    ) {
        for ((y0, y1), bar) in back.y0.iter_mut().zip(&mut back.y).zip(y_bar) {
            *y0 += (T::one() - theta) * *bar;
            *y1 += theta * *bar;
        }
        self.make_bridge((step.t, step.h), theta);
        let (range, bar) = (self.layout.diffusion(0), back.cotangent());
        bar.touched[self.layout.stages..self.layout.stages + self.layout.blocks()].fill(true);
        product_pullback(y_bar, &mut bar.stages[range], T::one(), &self.bridge, &self.layout);
    }

    /// Brings back the record of a step, and its ΔW.
    pub fn restore(&mut self, step: &StepInfo<T>, stages: &[T]) {
        let n = self.record.len();
        self.record.copy_from_slice(&stages[..n]);
        self.start = step.start();
        // It answered for this step before.
        let answered = self.draw((step.t, step.h));
        debug_assert!(answered);
    }

    /// `f_bar` ← `weight` `y_bar` + the seed of f_j; false where that is zero for certain.
    pub fn drift_seed(&self, j: usize, weight: T, back: &Backward<T>, f_bar: &mut [T]) -> bool {
        f_bar.iter_mut().zip(&back.y).for_each(|(f_bar, y_bar)| *f_bar = weight * *y_bar);
        if back.touched[j] {
            accumulate(f_bar, T::one(), &[1.0], &back.stages[self.layout.drift(j)]);
        }
        back.touched[j] || weight != T::zero()
    }

    /// `g_bar` ← the seed of G.
    pub fn diffusion_seed(&self, back: &Backward<T>, g_bar: &mut [T]) {
        let (n, first) = (self.layout.len(), self.layout.stages);
        for (k, g_bar) in g_bar.chunks_mut(n).enumerate() {
            let block = (first + k) * n;
            match back.touched[first + k] {
                true => g_bar.copy_from_slice(&back.stages[block..block + n]),
                false => g_bar.fill(T::zero()),
            }
        }
    }

    /// `c_bar` ← the seed of c; false where it is zero.
    pub fn correction_seed(&self, back: &Backward<T>, c_bar: &mut [T]) -> bool {
        let touched = back.touched[self.blocks() - 1];
        match touched {
            true => c_bar.copy_from_slice(&back.stages[self.correction()]),
            false => c_bar.fill(T::zero()),
        }
        touched
    }

    /// ACCUMULATES the reverse of [`end_drift`](Self::end_drift), where a seed is on f₁, into the cotangents of y₁
    /// and θ.
    pub fn end_drift_pullback(
        &mut self,
        step: &StepInfo<T>,
        y1: &[T],
        back: &mut Backward<T>,
        theta_bar: &mut [T],
        f_bar: &mut [T],
    ) {
        if self.drift_seed(1, T::zero(), back, f_bar) {
            let t1 = end_time(step.t, step.h, step.to_stop);
            self.drift_pullback(t1, y1, f_bar, [&mut back.y, theta_bar]);
        }
    }

    /// ACCUMULATES the reverse of f(t, y).
    pub fn drift_pullback(&mut self, t: T, y: &[T], f_bar: &[T], [y_bar, theta_bar]: [&mut [T]; 2]) {
        let range = self.system.drift_params();
        let at = Point { t, y, theta: &self.theta[range.clone()] };
        self.system.drift().vjp(at, f_bar, y_bar, &mut theta_bar[range], &mut self.scratch.0);
        self.nvjp += 1;
    }

    /// ACCUMULATES the reverse of G(t, y).
    pub fn diffusion_pullback(&mut self, t: T, y: &[T], g_bar: &[T], [y_bar, theta_bar]: [&mut [T]; 2]) {
        let range = self.system.diffusion_params();
        let at = Point { t, y, theta: &self.theta[range.clone()] };
        self.system.diffusion().vjp(at, g_bar, y_bar, &mut theta_bar[range], &mut self.scratch.1);
    }

    /// Names what went non-finite at the start of a step or at the argument `other` of a later value.
    pub fn locate_non_finite(&self, y: &[T], (t, other): (T, &[T])) -> Option<String> {
        let drift = &self.theta[self.system.drift_params()];
        let diffusion = &self.theta[self.system.diffusion_params()];
        [(self.start, y), (t, other)].into_iter().find_map(|(t, y)| {
            if let Some(part) = self.system.drift().locate_non_finite(Point { t, y, theta: drift }) {
                return Some(part);
            }
            let part = self.system.diffusion().locate_non_finite(Point { t, y, theta: diffusion })?;
            Some(format!("the diffusion: {part}"))
        })
    }
}

/// 0, or NaN where `y` is not finite.
#[inline(always)]
fn unless_finite<T: Real>(y: &[T]) -> T {
    y.iter().fold(T::zero(), |sum, v| v.mul_add(T::zero(), sum))
}

/// The methods of [`Stepper`](crate::integrate::Stepper) that a [`Bound`] in `self.bound` answers.
macro_rules! stepper_methods {
    () => {
        fn len(&self) -> usize {
            self.bound.layout.len()
        }
        fn dim(&self) -> usize {
            self.bound.layout.dim
        }
        fn num_params(&self) -> usize {
            self.bound.theta.len()
        }
        fn order(&self) -> usize {
            1
        }
        fn error_power(&self) -> usize {
            1
        }
        fn estimates(&self) -> &dyn $crate::integrate::Estimates<T> {
            &self.estimates
        }
        fn dense_weights(&self) -> &[Vec<f64>] {
            &[]
        }
        fn cover(&mut self, span: [T; 2]) -> $crate::error::Result<()> {
            $crate::sde::system::check_direction(self.bound.system, span)?;
            self.bound.noise.prepare(span)
        }
        #[inline(always)]
        fn snap(&self, t: T, h: T) -> T {
            self.bound.noise.snap(t, h)
        }
        fn refused(&mut self) -> Option<$crate::error::Error> {
            self.bound.refused.take()
        }
        fn derivative(&self) -> &[T] {
            self.bound.drift(0)
        }
        fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
            self.bound.evaluate(t, y, dy);
        }
        #[inline(always)]
        fn stages(&self) -> &[T] {
            &self.bound.record
        }
        fn interpolate(&mut self, at: (T, T), theta: T, y: [&[T]; 2], out: &mut [T]) {
            self.bound.interpolate(at, theta, y, out);
        }
        fn nfe(&self) -> usize {
            self.bound.nfe
        }
    };
}
pub(crate) use stepper_methods;

/// The methods of [`Reverse`](crate::integrate::Reverse) that a [`Bound`] in `self.bound` answers.
macro_rules! reverse_methods {
    () => {
        fn main_stages(&self) -> usize {
            self.bound.blocks()
        }
        fn total_stages(&self) -> usize {
            self.bound.blocks()
        }
        fn prepare_interpolation(&mut self, step: &$crate::integrate::StepInfo<T>, _: &[T]) {
            self.bound.to_stop = step.to_stop;
        }
        fn restore(&mut self, step: &$crate::integrate::StepInfo<T>, stages: &[T], _: &[T]) {
            self.bound.restore(step, stages);
        }
        fn interpolate_pullback(
            &mut self,
            step: &$crate::integrate::StepInfo<T>,
            theta: T,
            y_bar: &[T],
            back: &mut $crate::integrate::Backward<T>,
        ) {
            self.bound.interpolate_pullback(step, theta, y_bar, back);
        }
        fn nvjp(&self) -> usize {
            self.bound.nvjp
        }
    };
}
pub(crate) use reverse_methods;
