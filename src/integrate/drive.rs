//! The loop: attempt, judge, accept or shrink, save, observe.

mod limits;
mod post_mortem;
mod save;

pub(crate) use limits::{check_estimate, shrinks_away, smallest_step, sorted_stops, takes_remainder};

use super::control::Decision;
use super::controller::History;
use super::heuristic::{Heuristic, Stiffness};
use super::initial::initial_step;
use super::interrupt::{Interrupt, Never};
use super::observer::Observer;
use super::options::{Options, Save};
use super::solution::{Iterations, Located, Solution, StepInfo, Warning};
use super::step::{StepView, Stepper, pass_on, take};
use crate::error::{Attempt, Error, Failure, Member, Result};
use crate::integrate::Controller;
use crate::num::{ErrorNorm, Kernel, Real, dispatch};
use limits::{check_dense, check_steering};
use std::time::Instant;

/// Attempts kept for a post-mortem.
const KEPT: usize = 6;
/// Attempts with a non-finite result in a row before the solve gives up.
pub(crate) const NON_FINITE_TRIES: usize = 12;

/// The loop's memory: states, work space and the solution, reused from solve to solve.
#[derive(Clone, Debug, Default)]
pub struct Drive<T> {
    y: Vec<T>,
    y1: Vec<T>,
    work: Vec<T>,
    last: [Option<Attempt>; KEPT],
    /// The solution of the last run.
    pub solution: Solution<T>,
}

/// Where the loop stands.
struct Cursor<T> {
    t: T,
    h: T,
    span: [T; 2],
    stops: Vec<T>,
    next_stop: usize,
    from_stop: bool,
    next_save: usize,
    /// Evaluations before this solve, which its budget does not count.
    nfe0: usize,
    attempts: usize,
    non_finite: usize,
    history: History<T>,
    /// ϑ of the last step at which an [`Interrupt`] ended the solve.
    stopped: Option<T>,
}

/// An attempt and the controller's verdict on it, compiled together for this CPU.
struct Attempted<'a, T, S> {
    stepper: &'a mut S,
    step: StepInfo<T>,
    y: &'a [T],
    y1: &'a mut [T],
    options: &'a Options<T>,
    history: &'a mut History<T>,
}

impl<T: Real, S: Stepper<T>> Kernel for Attempted<'_, T, S> {
    /// E, the factor on h, whether the step is accepted.
    type Output = (T, T, bool);
    #[inline(always)]
    fn run(self) -> Self::Output {
        let Self { stepper, step, y, y1, options, history } = self;
        let square = stepper.attempt((step.t, step.h), step.to_stop, y, y1, &options.norm);
        let power = stepper.error_power();
        let (factor, accepted, next) = options.controller.factor(square, power, history);
        *history = next;
        (square.sqrt(), factor, accepted)
    }
}

impl<T: Real> Drive<T> {
    /// Memory for states of `n` numbers.
    pub fn new(n: usize) -> Self {
        let zeros = |n| vec![T::zero(); n];
        Self { y: zeros(n), y1: zeros(n), work: zeros(2 * n), ..Self::default() }
    }

    /// Bytes held for the state and work space (not the solution).
    pub fn bytes(&self) -> usize {
        (self.y.len() + self.y1.len() + self.work.len()) * size_of::<T>()
    }

    /// The state that the last run reached.
    pub fn reached_state(&self) -> &[T] {
        &self.y
    }

    /// Integrates from `y0` over `span`; the result, complete or partial, is in `self.solution`.
    ///
    /// # Errors
    /// Options that do not fit ([`Options::check`]), or a [`PostMortem`](crate::error::PostMortem).
    pub fn run<S: Stepper<T>, O: Observer<T>>(
        &mut self,
        stepper: &mut S,
        y0: &[T],
        span: [T; 2],
        options: &Options<T>,
        observer: &mut O,
    ) -> Result<()> {
        self.run_until(stepper, y0, span, options, (observer, &mut Never)).map(|_| ())
    }

    /// [`run`](Self::run) that `interrupt` may end inside an accepted step, at y(t + ϑh) by the step's
    /// dense output; says where. The state there is [`reached_state`](Self::reached_state); what is
    /// saved ends there too, while the step itself is recorded whole, as it was taken.
    ///
    /// # Errors
    /// As [`run`](Self::run), or what `interrupt` returns.
    pub fn run_until<S: Stepper<T>, O: Observer<T>, I: Interrupt<T>>(
        &mut self,
        stepper: &mut S,
        y0: &[T],
        span: [T; 2],
        options: &Options<T>,
        (observer, interrupt): (&mut O, &mut I),
    ) -> Result<Option<Located<T>>> {
        let clock = Instant::now();
        let (nfe0, work0) = (stepper.nfe(), stepper.implicit_work());
        self.reset(stepper, y0, options);
        let below = options.check(span[0], span[1], stepper.dim())?;
        check_estimate(options, stepper.estimates().error_power())?;
        check_steering(options, stepper.estimates().steers())?;
        if below {
            let (rtol, epsilon) = (options.norm.rtol.f64(), T::EPSILON.f64());
            self.solution.stats.warnings.push(Warning::BelowResolution { rtol, epsilon });
        }
        check_dense(options, stepper.dense_weights())?;
        stepper.cover(span)?;
        stepper.prepare(span[0], &mut self.y, &options.norm)?;
        let outcome = self.integrate(stepper, span, options, (observer, interrupt));
        if outcome.is_err() {
            self.keep_reached(span[0], options);
        }
        self.solution.stats.nfe = stepper.nfe() - nfe0;
        self.solution.stats.implicit = stepper.implicit_work() - work0;
        self.solution.stats.count_members(&self.solution.steps);
        self.solution.stats.time = clock.elapsed();
        outcome
    }

    fn reset(&mut self, stepper: &impl Stepper<T>, y0: &[T], options: &Options<T>) {
        let n = y0.len();
        self.y.clear();
        self.y.extend_from_slice(y0);
        self.y1.resize(n, T::zero());
        self.work.resize(2 * n, T::zero());
        self.last = [None; KEPT];
        let solution = &mut self.solution;
        (solution.dim, solution.batch) = (stepper.dim(), n / stepper.dim());
        solution.t.clear();
        solution.y.clear();
        solution.located.clear();
        solution.steps.clear();
        solution.attempts.clear();
        solution.dense.clear();
        if options.save == Save::Dense {
            let [first, second] = &mut solution.dense.weights;
            stepper.dense_weights().clone_into(first);
            stepper.second_dense_weights().clone_into(second);
        }
        solution.stats = Default::default();
        if let Save::At(times) = &options.save {
            solution.y.reserve(times.len() * n);
        }
    }

    fn integrate<S: Stepper<T>, O: Observer<T>, I: Interrupt<T>>(
        &mut self,
        stepper: &mut S,
        span: [T; 2],
        options: &Options<T>,
        (observer, interrupt): (&mut O, &mut I),
    ) -> Result<Option<Located<T>>> {
        let [t0, t1] = span;
        if options.save == Save::EveryStep || options.save == Save::Dense {
            self.save(t0, Located::start());
        }
        let nfe0 = stepper.nfe();
        stepper.begin(t0, &self.y);
        let mut at = Cursor {
            t: t0,
            h: T::zero(),
            span,
            stops: sorted_stops(&options.tstops, span),
            next_stop: 0,
            from_stop: false,
            next_save: 0,
            nfe0,
            attempts: 0,
            non_finite: 0,
            history: History::default(),
            stopped: None,
        };
        if !stepper.derivative().iter().all(|k| k.is_finite()) {
            return Err(self.post_mortem(stepper, Failure::NonFinite, &at, options));
        }
        let first = match (options.controller, options.h0) {
            (Controller::Fixed { h }, _) => T::of(h),
            (_, Some(h)) => h.min((t1 - t0).abs()),
            (_, None) => initial_step(stepper, (t0, &self.y), t1 - t0, &options.norm, &mut self.work),
        };
        self.solution.stats.first_h = first.min((t1 - t0).abs()).f64();
        at.h = first.copysign(t1 - t0);
        while at.t != t1 && !(I::ACTIVE && at.stopped.is_some()) {
            self.advance(stepper, &mut at, options, (&mut *observer, &mut *interrupt))?;
        }
        let stopped = at.stopped.map(|theta| Located { step: self.solution.steps.len() - 1, theta });
        if options.save == Save::End {
            self.save(at.t, stopped.unwrap_or(self.reached()));
        }
        Ok(stopped)
    }

    /// Where the current state lies.
    fn reached(&self) -> Located<T> {
        match self.solution.steps.len() {
            0 => Located::start(),
            n => Located { step: n - 1, theta: T::one() },
        }
    }

    /// One attempt, accepted or not.
    #[inline]
    fn advance<S: Stepper<T>, O: Observer<T>, I: Interrupt<T>>(
        &mut self,
        stepper: &mut S,
        at: &mut Cursor<T>,
        options: &Options<T>,
        (observer, interrupt): (&mut O, &mut I),
    ) -> Result<()> {
        if at.attempts >= options.max_steps {
            return Err(self.post_mortem(stepper, Failure::MaxSteps, at, options));
        }
        if stepper.nfe() - at.nfe0 >= options.max_nfe {
            return Err(self.post_mortem(stepper, Failure::MaxNfe, at, options));
        }
        let mut capped = false;
        if let Some(largest) = options.dt_max {
            capped = at.h.abs() > largest;
            at.h = at.h.abs().min(largest).copysign(at.h);
        }
        let stop = at.stops[at.next_stop];
        let remaining = stop - at.t;
        let clipped = takes_remainder(at.h, remaining);
        let h = match clipped {
            true => remaining,
            false if options.controller.is_adaptive() => stepper.snap(at.t, at.h),
            false => at.h,
        };
        let t1 = if clipped { stop } else { at.t + h };
        let to_stop = clipped && at.next_stop + 1 < at.stops.len();
        let iterations = Iterations::default();
        let (from_stop, error, member) = (at.from_stop, T::zero(), stepper.member());
        let info = StepInfo { t: at.t, h, t1, to_stop, from_stop, error, iterations, member };
        let before = at.history;
        let (error, factor, accepted) = dispatch(Attempted {
            stepper,
            step: info,
            y: &self.y,
            y1: &mut self.y1,
            options,
            history: &mut at.history,
        });
        let info = StepInfo { error, iterations: stepper.iterations(), ..info };
        self.note(at, (h, member), error, accepted);
        at.attempts += 1;
        // A step cut short by a stop says nothing about the error's course.
        if clipped && accepted {
            at.history = History { rejected: false, ..before };
        }
        let wanted = at.h;
        at.h = h * factor;
        if O::ATTEMPTS {
            let unsolved = if accepted { None } else { stepper.unsolved() };
            observer.attempted(&Decision {
                step: self.solution.steps.len(),
                h,
                error,
                factor: unsolved.unwrap_or(factor),
                steered: unsolved.is_none(),
                accepted,
                clipped,
                to_stop,
                capped,
                kept: clipped && accepted && wanted.abs() > at.h.abs(),
                history: before,
            });
        }
        if options.diagnostics {
            self.diagnose(stepper, at.t, h, error, options);
        }
        if !accepted {
            self.solution.stats.rejected += 1;
            return self.rejected(stepper, at, error, options);
        }
        at.non_finite = 0;
        if I::ACTIVE {
            let (index, states) = (self.solution.steps.len(), [&self.y[..], &self.y1[..]]);
            let place = &mut self.work[..self.y.len()];
            if let Some(theta) = interrupt.look(stepper, (index, &info), states, place)? {
                self.interrupted(stepper, at, (info, theta), options, observer);
                return Ok(());
            }
        }
        self.accepted(stepper, at, info, options, observer);
        if O::FALLIBLE
            && let Some(error) = observer.refusal()
        {
            return Err(error);
        }
        if clipped {
            at.next_stop += 1;
            at.h = at.h.abs().max(wanted.abs()).copysign(h);
        }
        if stepper.member() != member {
            // One method's errors say nothing about the course of the other's.
            at.history = History::default();
            let largest = stepper.largest_start().unwrap_or(T::INFINITY);
            at.h = at.h.abs().min(largest).copysign(h);
        }
        at.from_stop = to_stop;
        at.t = t1;
        if t1 != at.span[1] && shrinks_away(at.h, h, (t1, at.stops[at.next_stop]), options) {
            return Err(self.post_mortem(stepper, Failure::StepTooSmall, at, options));
        }
        Ok(())
    }

    #[inline]
    fn accepted<S: Stepper<T>, O: Observer<T>>(
        &mut self,
        stepper: &mut S,
        at: &mut Cursor<T>,
        info: StepInfo<T>,
        options: &Options<T>,
        observer: &mut O,
    ) {
        let step = self.solution.steps.len();
        self.solution.steps.push(info);
        self.solution.stats.accepted += 1;
        match &options.save {
            Save::End => {}
            Save::At(times) => self.save_times(stepper, times, at, (info, T::one())),
            Save::EveryStep => self.save_end(info.t1, step),
            Save::Dense => {
                self.save_end(info.t1, step);
                self.keep_dense(stepper, &info);
            }
        }
        if O::DENSE {
            self.complete_stages(stepper, &info);
        }
        if O::ACTIVE {
            observer.accepted(&view(stepper, step, &info, [&self.y, &self.y1], &options.norm));
        }
        match info.to_stop {
            true => stepper.begin(info.beyond(), &self.y1),
            false => stepper.accept(info.t1, &self.y1),
        }
        std::mem::swap(&mut self.y, &mut self.y1);
    }

    /// The last accepted step, ended at ϑ by an interrupt: recorded whole, saved up to there.
    #[cold]
    fn interrupted<S: Stepper<T>, O: Observer<T>>(
        &mut self,
        stepper: &mut S,
        at: &mut Cursor<T>,
        (info, theta): (StepInfo<T>, T),
        options: &Options<T>,
        observer: &mut O,
    ) {
        let step = self.solution.steps.len();
        self.solution.steps.push(info);
        self.solution.stats.accepted += 1;
        if let Save::At(times) = &options.save {
            self.save_times(stepper, times, at, (info, theta));
        }
        at.t = info.inside(theta);
        at.stopped = Some(theta);
        if options.save == Save::EveryStep || options.save == Save::Dense {
            self.save_inside(stepper, at.t, Located { step, theta }, (info.t, info.h));
        }
        if options.save == Save::Dense {
            self.keep_dense(stepper, &info);
        }
        if O::DENSE {
            self.complete_stages(stepper, &info);
        }
        if O::ACTIVE {
            observer.accepted(&view(stepper, step, &info, [&self.y, &self.y1], &options.norm));
        }
        if theta == T::one() {
            std::mem::swap(&mut self.y, &mut self.y1);
        } else if theta != T::zero() {
            let n = self.y.len();
            stepper.interpolate((info.t, info.h), theta, [&self.y, &self.y1], &mut self.work[..n]);
            self.y.copy_from_slice(&self.work[..n]);
        }
    }

    #[cold]
    fn rejected<S: Stepper<T>>(
        &mut self,
        stepper: &mut S,
        at: &mut Cursor<T>,
        error: T,
        options: &Options<T>,
    ) -> Result<()> {
        if let Some(error) = stepper.refused() {
            return Err(error);
        }
        if let Some(factor) = stepper.unsolved() {
            let tried = self.last[(at.attempts - 1) % KEPT].map_or(at.h, |a| T::of(a.h));
            at.h = tried * factor;
            let small = at.h.abs() < smallest_step(at.t, at.span[1], options);
            return match options.controller.is_adaptive() && !small {
                true => Ok(()),
                false => Err(self.post_mortem(stepper, Failure::Nonlinear, at, options)),
            };
        }
        let finite = error.is_finite();
        at.non_finite = if finite { 0 } else { at.non_finite + 1 };
        if !options.controller.is_adaptive() || at.non_finite > NON_FINITE_TRIES {
            return Err(self.post_mortem(stepper, Failure::NonFinite, at, options));
        }
        if at.h.abs() < smallest_step(at.t, at.span[1], options) {
            let failure = if finite { Failure::StepTooSmall } else { Failure::NonFinite };
            return Err(self.post_mortem(stepper, failure, at, options));
        }
        Ok(())
    }

    /// Remembers an attempt for post-mortems.
    #[inline(always)]
    fn note(&mut self, at: &Cursor<T>, (h, member): (T, Member), error: T, accepted: bool) {
        let (t, h, error, stiffness) = (at.t.f64(), h.f64(), error.f64(), f64::NAN);
        let attempt = Attempt { t, h, error, stiffness, accepted, member };
        self.last[at.attempts % KEPT] = Some(attempt);
    }

    #[cold]
    fn diagnose<S: Stepper<T>>(&mut self, stepper: &S, t: T, h: T, error: T, options: &Options<T>) {
        let (iterations, member) = (stepper.iterations(), stepper.member());
        let (to_stop, from_stop, t1) = (false, false, t + h);
        let info = StepInfo { t, h, t1, to_stop, from_stop, error, iterations, member };
        let index = self.solution.steps.len();
        let step = view(stepper, index, &info, [&self.y, &self.y1], &options.norm);
        let stiffness = Stiffness::default().value(&step, &mut self.work);
        let latest = self.last.iter().flatten().rfind(|a| a.t == t.f64() && a.h == h.f64());
        if let Some(attempt) = latest {
            self.solution.attempts.push(Attempt { stiffness: stiffness.f64(), ..*attempt });
        }
    }

    /// Takes the recorded `steps` again from `y0`, h frozen, saving where `located` says (times in
    /// `times`): the function that the discrete adjoint differentiates exactly.
    ///
    /// # Errors
    /// A state that goes non-finite.
    pub fn replay<S: Stepper<T>, O: Observer<T>>(
        &mut self,
        stepper: &mut S,
        y0: &[T],
        recorded: (&[StepInfo<T>], &[Located<T>], &[T]),
        options: &Options<T>,
        observer: &mut O,
    ) -> Result<()> {
        let clock = Instant::now();
        let (nfe0, work0) = (stepper.nfe(), stepper.implicit_work());
        let (steps, located, times) = recorded;
        self.reset(stepper, y0, options);
        let Some(first) = steps.first() else {
            return Err(Error::invalid("the recorded steps", "empty", "record a solve first"));
        };
        stepper.cover([first.t, steps[steps.len() - 1].t1])?;
        stepper.prepare(first.t, &mut self.y, &options.norm)?;
        stepper.select(first.member);
        stepper.begin(first.start(), &self.y);
        let mut saved = 0;
        for (j, info) in steps.iter().enumerate() {
            let square = take(stepper, info, &self.y, &mut self.y1, &options.norm);
            let info = StepInfo { error: square.sqrt(), iterations: stepper.iterations(), ..*info };
            while located.get(saved).is_some_and(|l| l.step == j) {
                self.save_inside(stepper, times[saved], located[saved], (info.t, info.h));
                saved += 1;
            }
            if O::DENSE {
                self.complete_stages(stepper, &info);
            }
            if O::ACTIVE {
                observer.accepted(&view(stepper, j, &info, [&self.y, &self.y1], &options.norm));
            }
            pass_on(stepper, &info, steps.get(j + 1), &self.y1);
            std::mem::swap(&mut self.y, &mut self.y1);
            self.solution.steps.push(info);
        }
        self.solution.stats.accepted = steps.len();
        self.solution.stats.first_h = first.h.abs().f64();
        self.solution.stats.nfe = stepper.nfe() - nfe0;
        self.solution.stats.implicit = stepper.implicit_work() - work0;
        self.solution.stats.count_members(&self.solution.steps);
        self.solution.stats.time = clock.elapsed();
        Error::check_finite("the replayed state", &self.y)
    }
}

/// The view of a step that `stepper` has just taken.
#[inline(always)]
pub(crate) fn view<'a, T: Real, S: Stepper<T>>(
    stepper: &'a S,
    index: usize,
    info: &StepInfo<T>,
    [y0, y1]: [&'a [T]; 2],
    norm: &'a ErrorNorm<T>,
) -> StepView<'a, T> {
    StepView {
        index,
        t: info.t,
        h: info.h,
        y0,
        y1,
        stages: stepper.stages(),
        tape: stepper.tape(),
        error: info.error,
        iterations: info.iterations,
        norm,
        estimates: stepper.estimates(),
        dim: stepper.dim(),
    }
}
