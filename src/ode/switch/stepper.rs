//! [`AutoStepper`]: an explicit and a Rosenbrock stepper of one problem, one of which has the step in hand.

use super::chooser::{Chooser, Thresholds};
use super::probe::Probe;
use crate::dynamics::{Dynamics, SecondOrder};
use crate::error::{Error, Result};
use crate::integrate::{
    Backward, Estimates, Heuristic, ImplicitWork, Iterations, Member, Reverse, StepInfo, StepView, Stepper,
    Stiffness, StiffnessKind, view,
};
use crate::num::{ErrorNorm, Real};
use crate::ode::explicit::ExplicitStepper;
use crate::ode::implicit::ImplicitOptions;
use crate::ode::rosenbrock::{RosenbrockStepper, RosenbrockTableau};
use crate::ode::tableau::Tableau;

/// Steps of a switching method for one right-hand side.
pub struct AutoStepper<'a, T: Real, D: Dynamics<T>> {
    explicit: ExplicitStepper<'a, T, D>,
    implicit: RosenbrockStepper<'a, T, D>,
    /// Whose step is in hand.
    active: Member,
    chooser: Chooser,
    /// Recorded steps are taken again: nothing is chosen.
    frozen: bool,
    /// |h| and ρ of the last attempt; ρ is NaN when it was not read.
    h: T,
    ratio: T,
    /// Largest |h| to start with after a switch.
    largest_start: Option<T>,
    /// What reads explicit steps, and implicit ones.
    stiffness: [Stiffness<T>; 2],
    probe: Probe<T>,
    scratch: Vec<T>,
}

/// Calls the same method of the stepper that has the step in hand.
macro_rules! active {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        match $self.active {
            Member::First => $self.explicit.$call($($argument),*),
            Member::Second => $self.implicit.$call($($argument),*),
        }
    };
}

impl<'a, T: Real, D: Dynamics<T>> AutoStepper<'a, T, D> {
    /// Steps of the two tableaux for `dynamics` on `batch` columns.
    pub fn new(
        dynamics: &'a D,
        (explicit, implicit): (&Tableau, &RosenbrockTableau),
        thresholds: Thresholds,
        batch: usize,
        options: &ImplicitOptions<T>,
    ) -> Self {
        let explicit = ExplicitStepper::new(dynamics, explicit, batch);
        let n = explicit.g.len();
        let size = explicit.method.stiffness.as_ref().map_or(f64::NAN, |pair| pair.3);
        Self {
            implicit: RosenbrockStepper::new(dynamics, implicit, batch, options),
            active: Member::First,
            chooser: Chooser::new(thresholds),
            frozen: false,
            h: T::zero(),
            ratio: T::NAN,
            largest_start: None,
            // No smoothing: the differences may be of any size. The probe's vectors are no states: no scale.
            stiffness: [StiffnessKind::StepTimesScaled, StiffnessKind::StepTimesRms].map(|kind| Stiffness {
                kind,
                squared: false,
                epsilon: T::zero(),
                relative: true,
            }),
            probe: Probe::new(n, size),
            scratch: vec![T::zero(); 2 * n],
            explicit,
        }
    }

    /// ρ of the last attempt of size h from (t, y) to y1 into `ratio`.
    #[inline]
    fn read(&mut self, (t, h): (T, T), y: &[T], y1: &[T], norm: &ErrorNorm<T>) {
        let Self { explicit, implicit, active, stiffness, probe, scratch, .. } = self;
        let (to_stop, from_stop, member) = (false, false, *active);
        let (error, iterations) = (T::zero(), Iterations::default());
        let info = StepInfo { t, h, t1: t + h, to_stop, from_stop, error, iterations, member };
        self.ratio = match active {
            Member::First => stiffness[0].value(&view(explicit, 0, &info, [y, y1], norm), scratch),
            Member::Second => {
                let (v, product) = probe.vectors();
                implicit.jacobian_product(v, product);
                let step = StepView { estimates: probe, ..view(implicit, 0, &info, [y, y1], norm) };
                let ratio = stiffness[1].value(&step, scratch);
                probe.turn();
                ratio
            }
        };
    }

    /// Decides who takes the next step, the last attempt having been accepted.
    #[inline(always)]
    fn decide(&mut self) {
        if self.frozen || self.h == T::zero() {
            return;
        }
        let (h, ratio) = (self.h, self.ratio);
        (self.h, self.ratio) = (T::zero(), T::NAN);
        if self.chooser.note(ratio.f64()) {
            self.switch(h, ratio);
        }
    }

    /// Prepares the step after a switch.
    #[cold]
    fn switch(&mut self, h: T, ratio: T) {
        self.probe.start();
        let calm = T::of(self.chooser.thresholds().calm_ratio);
        self.largest_start = match self.chooser.next {
            Member::First => Some(h * calm / ratio),
            Member::Second => None,
        };
    }

    /// Gives the step from (t, y) to the method chosen for it.
    fn hand_over(&mut self, t: T, y: &[T]) {
        self.active = self.chooser.next;
        active!(self.begin(t, y));
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for AutoStepper<'_, T, D> {
    fn len(&self) -> usize {
        self.explicit.len()
    }

    fn dim(&self) -> usize {
        self.explicit.dim()
    }

    fn num_params(&self) -> usize {
        self.explicit.num_params()
    }

    fn set_theta(&mut self, theta: &[T]) {
        self.explicit.set_theta(theta);
        self.implicit.set_theta(theta);
    }

    fn bytes(&self) -> usize {
        let own = self.probe.bytes() + self.scratch.len() * size_of::<T>();
        own + self.explicit.bytes() + self.implicit.bytes()
    }

    /// Of the method that has the step in hand, as everything about a step is.
    fn order(&self) -> usize {
        active!(self.order())
    }

    #[inline(always)]
    fn error_power(&self) -> usize {
        active!(self.error_power())
    }

    #[inline(always)]
    fn estimates(&self) -> &dyn Estimates<T> {
        active!(self.estimates())
    }

    fn dense_weights(&self) -> &[Vec<f64>] {
        self.explicit.dense_weights()
    }

    fn second_dense_weights(&self) -> &[Vec<f64>] {
        self.implicit.dense_weights()
    }

    #[inline(always)]
    fn member(&self) -> Member {
        self.chooser.next
    }

    #[inline(always)]
    fn select(&mut self, member: Member) {
        self.frozen = true;
        self.chooser.next = member;
    }

    fn largest_start(&self) -> Option<T> {
        self.largest_start
    }

    /// A solve starts with the explicit method. The implicit one's memory is made here, or refused.
    fn prepare(&mut self, t: T, y: &mut [T], norm: &ErrorNorm<T>) -> Result<()> {
        self.chooser.thresholds().check()?;
        if self.explicit.method.stiffness.is_none() {
            return Err(Error::invalid(
                "the explicit method of a switching one",
                "no stiffness pair",
                "two stages at the same abscissa are needed to see stiffness: take Tsit5, Vern7 or Vern9",
            ));
        }
        self.explicit.prepare(t, y, norm)?;
        self.implicit.prepare(t, y, norm)?;
        self.chooser = Chooser::new(*self.chooser.thresholds());
        self.active = self.chooser.next;
        self.frozen = false;
        (self.h, self.ratio) = (T::zero(), T::NAN);
        self.largest_start = None;
        self.probe.start();
        Ok(())
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.decide();
        self.hand_over(t, y);
    }

    fn derivative(&self) -> &[T] {
        active!(self.derivative())
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        active!(self.evaluate(t, y, dy));
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        if self.active != self.chooser.next {
            self.hand_over(at.0, y);
        }
        let square = active!(self.attempt(at, to_stop, y, y1, norm));
        if !self.frozen {
            (self.h, self.ratio) = (at.1.abs(), T::NAN);
            if self.chooser.is_due() && square.is_finite() {
                self.read(at, y, y1, norm);
            }
        }
        square
    }

    #[inline(always)]
    fn stages(&self) -> &[T] {
        active!(self.stages())
    }

    fn unsolved(&self) -> Option<T> {
        active!(self.unsolved())
    }

    #[inline(always)]
    fn iterations(&self) -> Iterations {
        active!(self.iterations())
    }

    fn implicit_work(&self) -> ImplicitWork {
        self.implicit.implicit_work()
    }

    #[inline(always)]
    fn tape(&self) -> &[T] {
        active!(self.tape())
    }

    fn interpolate(&mut self, at: (T, T), theta: T, y: [&[T]; 2], out: &mut [T]) {
        active!(self.interpolate(at, theta, y, out));
    }

    #[inline]
    fn accept(&mut self, t1: T, y1: &[T]) {
        self.decide();
        if self.active != self.chooser.next {
            return self.hand_over(t1, y1);
        }
        active!(self.accept(t1, y1));
    }

    #[inline(always)]
    fn nfe(&self) -> usize {
        self.explicit.nfe() + self.implicit.nfe()
    }

    fn locate_non_finite(&self, at: (T, T), y: &[T]) -> Option<String> {
        active!(self.locate_non_finite(at, y))
    }
}

impl<T: Real, D: SecondOrder<T>> Reverse<T> for AutoStepper<'_, T, D> {
    fn main_stages(&self) -> usize {
        self.explicit.main_stages().max(self.implicit.main_stages())
    }

    fn total_stages(&self) -> usize {
        self.explicit.total_stages().max(self.implicit.total_stages())
    }

    fn prepare_interpolation(&mut self, step: &StepInfo<T>, y0: &[T]) {
        active!(self.prepare_interpolation(step, y0));
    }

    fn keep_tape(&mut self) -> usize {
        self.explicit.keep_tape().max(self.implicit.keep_tape())
    }

    fn restore(&mut self, step: &StepInfo<T>, stages: &[T], tape: &[T]) {
        self.active = self.chooser.next;
        let stages = &stages[..active!(self.main_stages()) * self.len()];
        active!(self.restore(step, stages, tape));
    }

    fn interpolate_pullback(&mut self, step: &StepInfo<T>, theta: T, y_bar: &[T], back: &mut Backward<T>) {
        active!(self.interpolate_pullback(step, theta, y_bar, back));
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        y: [&[T]; 2],
        fresh: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        active!(self.pullback(step, y, fresh, back, theta_bar));
    }

    fn nvjp(&self) -> usize {
        self.explicit.nvjp() + self.implicit.nvjp()
    }
}
