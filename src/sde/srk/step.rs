//! One step of a stochastic Runge–Kutta method.

use super::estimates::SrkEstimates;
use super::form::{Form, Layout};
use super::tableau::{StochasticTableau, Variate};
use crate::dynamics::{Dynamics, Point};
use crate::error::{Error, Result};
use crate::integrate::{Estimates, Stepper, end_time};
use crate::num::{ErrorNorm, Kernel, Real, dispatch};
use crate::sde::noise::{Brownian, Levy};
use crate::sde::system::{check_area, check_direction, check_noise};
use crate::sde::{Diffusion, System};

/// A stochastic Runge–Kutta method bound to an equation and its noise.
pub struct SrkStepper<'a, T: Real, S: System<T>> {
    pub(super) system: &'a S,
    pub(super) noise: Box<dyn Brownian<T> + 'a>,
    pub(super) layout: Layout,
    pub(super) estimates: SrkEstimates,
    pub(super) plan: Plan,
    pub(super) theta: Vec<T>,
    /// Drift values, diffusion values, random vectors.
    pub(super) values: Vec<T>,
    /// ΔW and H of the step in hand.
    pub(super) motion: Motion<T>,
    /// A stage's argument, then an error estimate.
    pub(super) argument: Vec<T>,
    /// f where the step starts, for a method whose first stage is elsewhere.
    start: Vec<T>,
    pub(super) scratch: Scratch<T, S>,
    pub(super) scratch_bytes: usize,
    pub(super) bars: Bars<T>,
    order: usize,
    nfe: usize,
    pub(super) nvjp: usize,
    pub(super) to_stop: bool,
    refused: Option<Error>,
}

/// Memory of drift and diffusion.
pub(in crate::sde) type Scratch<T, S> = (
    <<S as System<T>>::Drift as Dynamics<T>>::Scratch,
    <<S as System<T>>::Diffusion as Diffusion<T>>::Scratch,
);

/// The Brownian motion over a step.
#[derive(Debug, Default)]
pub(super) struct Motion<T> {
    pub w: Vec<T>,
    pub area: Vec<T>,
}

/// Cotangents in the reverse of a step.
#[derive(Debug, Default)]
pub(super) struct Bars<T> {
    /// Of the values.
    pub values: Vec<T>,
    pub touched: Vec<bool>,
    /// Of an argument.
    pub argument: Vec<T>,
}

/// The forms of a method, and which values it needs.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub c0: Vec<f64>,
    pub c1: Vec<f64>,
    pub drift: Vec<Form>,
    pub diffusion: Vec<Form>,
    pub solution: Form,
    pub variates: Vec<Variate>,
    pub takes_drift: Vec<bool>,
    pub takes_diffusion: Vec<bool>,
    /// Z_i = X_i, so that it is formed once.
    pub same_argument: Vec<bool>,
    /// f_1 and G_1 are taken at (t, y) and outlive a rejection.
    pub drift_at_start: bool,
    pub diffusion_at_start: bool,
    /// G(t, y) times the bridge, the last of the random vectors, where the method takes G(t, y).
    pub bridge: Option<Form>,
}

impl Plan {
    fn new(table: &StochasticTableau, estimates: &SrkEstimates) -> Self {
        let s = table.stages();
        let drift: Vec<Form> = (0..s).map(|i| table.drift_argument(i)).collect();
        let diffusion: Vec<Form> = (0..s).map(|i| table.diffusion_argument(i)).collect();
        let solution = table.solution();
        let mut takes_drift = vec![false; s];
        let mut takes_diffusion = vec![false; s];
        let (error, pair) = (&estimates.error, estimates.stiffness.as_ref());
        // A value is needed when the result is, or the argument of one that is.
        for j in (0..s).rev() {
            let results = [Some(&solution), Some(error), pair.map(|p| &p.difference)];
            let later = |form: &dyn Fn(&Form) -> bool| {
                results.iter().flatten().any(|f| form(f))
                    || (j + 1..s).any(|i| takes_drift[i] && form(&drift[i]))
                    || (j + 1..s).any(|i| takes_diffusion[i] && form(&diffusion[i]))
            };
            let paired = pair.is_some_and(|p| p.first == j || p.second == j);
            let (f, g) =
                (later(&|form| form.takes_drift(j)) || paired, later(&|form| form.takes_diffusion(j)));
            (takes_drift[j], takes_diffusion[j]) = (f, g);
        }
        let at_start = |c: &[f64], forms: &[Form]| c[0] == 0.0 && forms[0].is_zero();
        let bridge = (0..s).find(|&j| takes_diffusion[j] && table.c1[j] == 0.0 && diffusion[j].is_zero());
        let mut last = vec![0.0; table.noise.len() + 1];
        last[table.noise.len()] = 1.0;
        let bridge = bridge.map(|j| Form { drift: vec![0.0; s], noise: vec![(j, last)] });
        Self {
            c0: table.c0.to_vec(),
            c1: table.c1.to_vec(),
            same_argument: drift.iter().zip(&diffusion).map(|(a, b)| a == b).collect(),
            drift_at_start: takes_drift[0] && at_start(table.c0, &drift),
            diffusion_at_start: takes_diffusion[0] && at_start(table.c1, &diffusion),
            variates: table.noise.iter().map(|c| c.variate).collect(),
            drift,
            diffusion,
            solution,
            takes_drift,
            takes_diffusion,
            bridge,
        }
    }
}

impl<'a, T: Real, S: System<T>> SrkStepper<'a, T, S> {
    /// A stepper for `system` driven by `noise`.
    ///
    /// # Errors
    /// A noise class or calculus that the method does not take, or a source that does not fit.
    pub fn new(system: &'a S, table: &StochasticTableau, noise: impl Brownian<T> + 'a) -> Result<Self> {
        check(system, table, &noise)?;
        let g = system.diffusion();
        let (batch, stages) = (noise.paths(), table.stages());
        let layout = Layout {
            dim: system.dim(),
            batch,
            components: g.components(),
            shape: g.shape(),
            stages,
            // One more for the interpolant's bridge.
            variates: table.noise.len() + 1,
        };
        let zeros = |n| vec![T::zero(); n];
        let estimates = SrkEstimates::new(table, layout);
        let plan = Plan::new(table, &estimates);
        let n = layout.len();
        let area = if noise.levy() == Levy::SpaceTime && table.needs_area() { layout.motions() } else { 0 };
        let start = if plan.drift_at_start { 0 } else { n };
        Ok(Self {
            scratch: (system.drift().scratch(batch), g.scratch(batch)),
            scratch_bytes: 0,
            order: table.strengths.iter().map(|s| s.strong.ceil() as usize).max().unwrap_or(1),
            noise: Box::new(noise),
            theta: zeros(system.num_params()),
            values: zeros(layout.total()),
            motion: Motion { w: zeros(layout.motions()), area: zeros(area) },
            argument: zeros(n),
            start: zeros(start),
            bars: Bars::default(),
            nfe: 0,
            nvjp: 0,
            to_stop: false,
            refused: None,
            system,
            layout,
            estimates,
            plan,
        })
    }

    /// The source of the noise.
    pub fn noise(&self) -> &(dyn Brownian<T> + 'a) {
        &*self.noise
    }

    /// θ of the drift and of the diffusion.
    pub(super) fn split<'b>(&self, theta: &'b [T]) -> (&'b [T], &'b [T]) {
        (&theta[self.system.drift_params()], &theta[self.system.diffusion_params()])
    }

    /// f_j ← f(t, y).
    #[inline(always)]
    fn eval_drift(&mut self, j: usize, t: T, y: &[T]) {
        let theta = &self.theta[self.system.drift_params()];
        let range = self.layout.drift(j);
        self.system.drift().eval(Point { t, y, theta }, &mut self.values[range], &mut self.scratch.0);
        self.nfe += 1;
    }

    /// G_j ← G(t, y).
    #[inline(always)]
    fn eval_diffusion(&mut self, j: usize, t: T, y: &[T]) {
        let theta = &self.theta[self.system.diffusion_params()];
        let range = self.layout.diffusion(j);
        self.system.diffusion().eval(Point { t, y, theta }, &mut self.values[range], &mut self.scratch.1);
    }

    /// The time of a value with abscissa `c`; just before a discontinuity where the step ends at one.
    #[inline(always)]
    pub(super) fn stage_time(&self, (t, h): (T, T), c: f64, to_stop: bool) -> T {
        if c == 1.0 { end_time(t, h, to_stop) } else { h.mul_add(T::of(c), t) }
    }

    /// Asks the source for the motion over [t, t + h] and makes the random vectors of it.
    #[inline(always)]
    pub(super) fn draw(&mut self, (t, h): (T, T)) -> Result<()> {
        let Motion { w, area } = &mut self.motion;
        self.noise.increment(t, t + h, w, area)?;
        let first = self.layout.values() * self.layout.len();
        for (variate, xi) in
            self.plan.variates.iter().zip(self.values[first..].chunks_exact_mut(self.layout.motions().max(1)))
        {
            draw_variate(*variate, h, [w, area], xi);
        }
        Ok(())
    }
}

/// `xi` ← ξ from ΔW and H over a step of size h.
#[inline(always)]
pub(crate) fn draw_variate<T: Real>(variate: Variate, h: T, [w, area]: [&[T]; 2], xi: &mut [T]) {
    dispatch(Draw { variate, h, w, area, xi });
}

/// ξ from ΔW and H.
struct Draw<'a, T> {
    variate: Variate,
    h: T,
    w: &'a [T],
    area: &'a [T],
    xi: &'a mut [T],
}

impl<T: Real> Kernel for Draw<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { variate, h, w, area, xi } = self;
        // Against time the motion is the same, reversed: its spread is that of |h|.
        let (root, w) = (h.abs().sqrt(), &w[..xi.len()]);
        let half = T::of(0.5);
        match variate {
            Variate::Increment => xi.copy_from_slice(w),
            Variate::Area => xi.copy_from_slice(area),
            Variate::TimeIntegral => {
                xi.iter_mut().zip(w).zip(area).for_each(|((xi, w), a)| *xi = half.mul_add(*w, *a));
            }
            Variate::Root => xi.fill(root),
            Variate::Square => {
                let scale = half / root;
                xi.iter_mut().zip(w).for_each(|(xi, w)| *xi = w.mul_add(*w, -h) * scale);
            }
            Variate::StratonovichSquare => {
                let scale = half / root;
                xi.iter_mut().zip(w).for_each(|(xi, w)| *xi = *w * *w * scale);
            }
            Variate::Cube => {
                let scale = T::of(1.0 / 6.0) / h;
                let three = T::of(-3.0) * h;
                xi.iter_mut().zip(w).for_each(|(xi, w)| *xi = *w * w.mul_add(*w, three) * scale);
            }
        }
    }
}

/// Checks method, equation and noise against each other.
fn check<T: Real, S: System<T>>(
    system: &S,
    table: &StochasticTableau,
    noise: &impl Brownian<T>,
) -> Result<()> {
    check_noise(system, noise)?;
    table.accepts(system.diffusion().class(), system.calculus())?;
    if table.needs_area() { check_area(table.name, noise) } else { Ok(()) }
}

impl<T: Real, S: System<T>> Stepper<T> for SrkStepper<'_, T, S> {
    fn len(&self) -> usize {
        self.layout.len()
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
        let own = [&self.values, &self.motion.w, &self.motion.area, &self.argument, &self.start, &self.theta];
        let bars = [&self.bars.values, &self.bars.argument];
        own.iter().chain(&bars).map(|v| v.len() * size_of::<T>()).sum::<usize>()
            + self.scratch_bytes
            + self.noise.bytes()
    }

    fn order(&self) -> usize {
        self.order
    }

    fn error_power(&self) -> usize {
        Estimates::<T>::error_power(&self.estimates).unwrap_or(1)
    }

    fn estimates(&self) -> &dyn Estimates<T> {
        &self.estimates
    }

    fn dense_weights(&self) -> &[Vec<f64>] {
        &[]
    }

    fn cover(&mut self, span: [T; 2]) -> Result<()> {
        check_direction(self.system, span)?;
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
        if self.plan.drift_at_start {
            self.eval_drift(0, t, y);
        } else {
            let mut start = std::mem::take(&mut self.start);
            self.evaluate(t, y, &mut start);
            self.start = start;
        }
        if self.plan.diffusion_at_start {
            self.eval_diffusion(0, t, y);
        }
    }

    fn derivative(&self) -> &[T] {
        if self.plan.drift_at_start { &self.values[..self.layout.len()] } else { &self.start }
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        let theta = &self.theta[self.system.drift_params()];
        self.system.drift().eval(Point { t, y, theta }, dy, &mut self.scratch.0);
        self.nfe += 1;
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.to_stop = to_stop;
        if let Err(error) = self.draw(at) {
            self.refused = Some(error);
            return T::NAN;
        }
        let h = at.1;
        let mut argument = std::mem::take(&mut self.argument);
        for i in 0..self.layout.stages {
            let drift = self.plan.takes_drift[i] && !(i == 0 && self.plan.drift_at_start);
            let diffusion = self.plan.takes_diffusion[i] && !(i == 0 && self.plan.diffusion_at_start);
            if drift {
                argument.copy_from_slice(y);
                self.plan.drift[i].add(&mut argument, h, &self.values, &self.layout);
                self.eval_drift(i, self.stage_time(at, self.plan.c0[i], to_stop), &argument);
            }
            if diffusion {
                if !(drift && self.plan.same_argument[i]) {
                    argument.copy_from_slice(y);
                    self.plan.diffusion[i].add(&mut argument, h, &self.values, &self.layout);
                }
                self.eval_diffusion(i, self.stage_time(at, self.plan.c1[i], to_stop), &argument);
            }
        }
        y1.copy_from_slice(y);
        self.plan.solution.add(y1, h, &self.values, &self.layout);
        let square = if self.estimates.error.is_zero() {
            // NaN tells the loop that the state is not finite.
            y1.iter().fold(T::zero(), |acc, v| v.mul_add(T::zero(), acc))
        } else {
            argument.fill(T::zero());
            self.estimates.error.add(&mut argument, h, &self.values, &self.layout);
            norm.mean_square(&argument, y, y1, self.layout.dim)
        };
        self.argument = argument;
        square
    }

    fn stages(&self) -> &[T] {
        &self.values
    }

    fn interpolate(&mut self, (t, h): (T, T), theta: T, [y, y1]: [&[T]; 2], out: &mut [T]) {
        for ((out, y), y1) in out.iter_mut().zip(y).zip(y1) {
            *out = theta.mul_add(*y1 - *y, *y);
        }
        self.make_bridge((t, h), theta);
        if let Some(form) = &self.plan.bridge {
            form.add(out, h, &self.values, &self.layout);
        }
    }

    fn accept(&mut self, t1: T, y1: &[T]) {
        if self.plan.drift_at_start {
            self.eval_drift(0, t1, y1);
        }
        if self.plan.diffusion_at_start {
            self.eval_diffusion(0, t1, y1);
        }
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    fn locate_non_finite(&self, at: (T, T), y: &[T]) -> Option<String> {
        let finite = |range: std::ops::Range<usize>| self.values[range].iter().all(|v| v.is_finite());
        let (theta_f, theta_g) = self.split(&self.theta);
        for i in 0..self.layout.stages {
            let mut argument = y.to_vec();
            if self.plan.takes_drift[i] && !finite(self.layout.drift(i)) {
                self.plan.drift[i].add(&mut argument, at.1, &self.values, &self.layout);
                let t = self.stage_time(at, self.plan.c0[i], self.to_stop);
                let part = self.system.drift().locate_non_finite(Point { t, y: &argument, theta: theta_f });
                return Some(part.unwrap_or_else(|| "the drift".into()));
            }
            if self.plan.takes_diffusion[i] && !finite(self.layout.diffusion(i)) {
                self.plan.diffusion[i].add(&mut argument, at.1, &self.values, &self.layout);
                let t = self.stage_time(at, self.plan.c1[i], self.to_stop);
                let part =
                    self.system.diffusion().locate_non_finite(Point { t, y: &argument, theta: theta_g });
                return Some(part.map_or_else(|| "the diffusion".into(), |p| format!("the diffusion: {p}")));
            }
        }
        None
    }
}
