//! [`EventAdjoint`]: gradients of losses on saved states, event times and states at events, through the
//! discrete adjoint of every segment.
//!
//! Held constant are the step sizes: in a segment that an event ends, every h, so that the steps move
//! with the segment's start; where a fixed time follows (a `tstop`, the end of the span) the h before it as
//! fractions of what lies between ([`Warp`]). That defines a function of (y0, θ), the computed solution,
//! and its derivative is exact to rounding: no limit of small tolerances is taken.
//!
//! At an event the last step's interpolant P crosses g(t*, P(t*); p) = 0. With D = g_t + g_y P′ and the
//! segment's start moved by dτ (w: how much of that the event's place in the step moves along),
//!
//! du = −(g_t w dτ + g_y dP + g_p dp)/D,  dt* = du + w dτ,  dy⁻ = P′ du + dP,
//!
//! which is dt*/dy = −g_y/(g_y f + g_t) with P′ for f. For cotangents λ of y⁻ and s of t*, with c = s + λP′:
//! P̄ = λ − (c/D) g_y (the saltation), p̄ = −(c/D) g_p, τ̄ = w (s − (c/D) g_t), and P̄ enters the segment's
//! reverse as an [`Injection`]. Actions are reversed on a tape. A saved time inside a segment whose steps
//! move by w dτ is met earlier by as much: τ̄ −= w ȳᵀP′.
//!
//! The reverse visits the segments backwards, and takes each one's steps again from its start first, so
//! that checkpoints of one segment at a time are held, within the memory budget. Sources: Hiskens & Pai,
//! "Trajectory sensitivity analysis of hybrid systems", IEEE Trans. Circuits Syst. I 47 (2000); Chen,
//! Amos & Nickel, "Learning neural event functions for ordinary differential equations", ICLR 2021.
//!
//! Refused by name: [`Save::EveryStep`] and [`Save::Dense`] (their times move with the steps); several
//! events at one time that depend on the state or parameters, where the derivative depends on which comes
//! first; an event that the solution only grazes (|D| ≤ √ε (|g_t| + ‖g_y‖ ‖P′‖)). An event at the very start of a segment has the
//! derivative of the side on which it comes later.

use super::checkpoint::Memory;
use super::discrete::{AdjointStatistics, DiscreteAdjoint};
use crate::dynamics::compose::Warp;
use crate::dynamics::{Dynamics, Point};
use crate::error::{Error, Result};
use crate::integrate::{AcceptedSteps, Drive, Injection, Options, Problem, Reverse, Save, StepInfo, take};
use crate::num::Real;
use crate::ode::StepMethod;
use crate::ode::events::{
    Chain, EventOptions, EventPartial, EventSolution, Events, Segment, Then, act_pullback, guard_gradient,
    run_chain, slope_at,
};

/// Cotangents of what a solve with events gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventCotangent<T> {
    /// Of the saved states, the layout of [`EventSolution::y`].
    pub y: Vec<T>,
    /// Of the events' times, one for each record of the log.
    pub t: Vec<T>,
    /// Of the states before the events, one state for each record.
    pub before: Vec<T>,
    /// Of the states after the events.
    pub after: Vec<T>,
}

impl<T: Real> EventCotangent<T> {
    /// Zeros for `solution`.
    pub fn zeros(solution: &EventSolution<T>) -> Self {
        let (events, n) = (solution.log.len(), solution.dim);
        let zeros = |n| vec![T::zero(); n];
        Self {
            y: zeros(solution.y.len()),
            t: zeros(events),
            before: zeros(events * n),
            after: zeros(events * n),
        }
    }

    fn check(&self, solution: &EventSolution<T>) -> Result<()> {
        let (events, n) = (solution.log.len(), solution.dim);
        let one = "one number for each saved one";
        Error::check_len("the cotangent of the saved states", self.y.len(), solution.y.len(), one)?;
        Error::check_len("the cotangent of the events' times", self.t.len(), events, "one for each event")?;
        let states = "one state for each event";
        Error::check_len("the cotangent of the states before events", self.before.len(), events * n, states)?;
        Error::check_len("the cotangent of the states after events", self.after.len(), events * n, states)
    }
}

/// Gradients through a solve with events by steps of `S`. Its memory is reused from call to call.
pub struct EventAdjoint<T: Real, S> {
    adjoint: DiscreteAdjoint<T, S>,
    drive: Drive<T>,
    rules: EventOptions<T>,
    options: Options<T>,
    solution: EventSolution<T>,
    /// Whether a forward pass waits for its reverse.
    ready: bool,
    y0_bar: Vec<T>,
    theta_bar: Vec<T>,
    stats: AdjointStatistics,
}

/// How far the times of a segment move with its start.
struct Shift<T> {
    /// The window of [`Warp`].
    window: [T; 2],
    /// Whether all of it moves alike; else less and less, nothing at the window's end.
    whole: bool,
}

impl<T: Real> Shift<T> {
    fn of(segment: &Segment<T>) -> Self {
        let [a, b] = segment.span;
        let steps = &segment.solution.steps;
        match (steps.iter().find(|s| s.to_stop), steps.last()) {
            (Some(stop), _) => Self { window: [a, stop.t1], whole: false },
            // The window must hold the whole of the last step, which the event cuts.
            (None, Some(last)) if segment.ended.is_some() => {
                Self { window: [a, last.t1 + (last.t1 - a)], whole: true }
            }
            _ => Self { window: [a, b], whole: false },
        }
    }

    /// The share of the start's move that time `t` takes.
    fn weight(&self, t: T) -> T {
        let [a, b] = self.window;
        if self.whole { T::one() } else { ((b - t) / (b - a)).max(T::zero()) }
    }
}

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::zero(), |sum, (a, b)| a.mul_add(*b, sum))
}

fn add<T: Real>(to: &mut [T], from: &[T]) {
    to.iter_mut().zip(from).for_each(|(a, b)| *a += *b);
}

impl<T: Real, S: Reverse<T>> EventAdjoint<T, S> {
    /// Gradients by `method` for the right-hand side in `field`, within `memory` for the checkpoints of one
    /// segment.
    pub fn new<'a, 'd: 'a, D, M>(
        field: &'a Warp<'d, D>,
        method: &M,
        memory: Memory,
        rules: EventOptions<T>,
    ) -> Self
    where
        D: Dynamics<T>,
        M: StepMethod<T, Warp<'d, D>, Stepper<'a> = S>,
    {
        let stepper = method.stepper(field, 1);
        Self {
            drive: Drive::new(stepper.len()),
            adjoint: DiscreteAdjoint::new(stepper, memory),
            rules,
            options: Options::default(),
            solution: EventSolution::default(),
            ready: false,
            y0_bar: Vec::new(),
            theta_bar: Vec::new(),
            stats: AdjointStatistics::default(),
        }
    }

    /// The solution of the last forward pass.
    pub fn solution(&self) -> &EventSolution<T> {
        &self.solution
    }

    /// Cotangent of y0 from the last reverse.
    pub fn y0_gradient(&self) -> &[T] {
        &self.y0_bar
    }

    /// Cotangent of θ from the last reverse.
    pub fn theta_gradient(&self) -> &[T] {
        &self.theta_bar
    }

    /// What the last reverse cost, its forward steps taken again included.
    pub fn statistics(&self) -> AdjointStatistics {
        self.stats
    }

    /// The forward pass: the bits of [`solve`](crate::ode::events::solve).
    ///
    /// # Errors
    /// Inputs or options that do not fit ([`Save::EveryStep`] and [`Save::Dense`] among them), or a solve that
    /// stops early.
    pub fn forward(
        &mut self,
        events: &impl Events,
        problem: &Problem<'_, T>,
        options: &Options<T>,
    ) -> Result<&EventSolution<T>, EventPartial<T>> {
        self.ready = false;
        let outcome = self.check(problem, options).and_then(|()| {
            let (_, stepper, _) = self.adjoint.parts();
            let chain = Chain { events, options, rules: &self.rules, window: true };
            run_chain(&mut self.drive, stepper, &chain, problem, &mut self.solution)
        });
        match outcome {
            Ok(()) => {
                self.options = options.clone();
                self.ready = true;
                Ok(&self.solution)
            }
            Err(error) => Err(EventPartial { error, solution: Box::new(self.solution.clone()) }),
        }
    }

    fn check(&mut self, problem: &Problem<'_, T>, options: &Options<T>) -> Result<()> {
        if let Save::EveryStep | Save::Dense = options.save {
            let given = if options.save == Save::Dense { "Save::Dense" } else { "Save::EveryStep" };
            let needed =
                "gradients through events need fixed times: use Save::End or Save::At, and losses on the log";
            return Err(Error::invalid("what is saved", given, needed));
        }
        let (_, stepper, _) = self.adjoint.parts();
        let params = stepper.num_params().saturating_sub(Warp::<()>::WINDOW);
        Error::check_len("theta", problem.theta.len(), params, "the right-hand side's parameters")?;
        Error::check_finite("y0", problem.y0)?;
        Error::check_finite("theta", problem.theta)
    }

    /// Loss and its gradient: `loss` sees the solution and writes the cotangents of what it used.
    ///
    /// # Errors
    /// As [`forward`](Self::forward) and [`reverse`](Self::reverse), or what `loss` returns.
    pub fn value_and_gradient(
        &mut self,
        events: &impl Events,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        loss: impl FnOnce(&EventSolution<T>, &mut EventCotangent<T>) -> Result<T>,
    ) -> Result<T> {
        self.forward(events, problem, options)?;
        let mut bar = EventCotangent::zeros(&self.solution);
        let loss = loss(&self.solution, &mut bar)?;
        if !loss.is_finite() {
            return Err(Error::NonFiniteInput { what: "the loss", index: 0, value: loss.f64() });
        }
        self.reverse(events, &bar)?;
        Ok(loss)
    }

    /// The reverse of the last forward pass, with the same `events`. Gradients are then in
    /// [`theta_gradient`](Self::theta_gradient) and [`y0_gradient`](Self::y0_gradient).
    ///
    /// # Errors
    /// Cotangents of the wrong length, no forward pass to reverse, events without a derivative (see the
    /// module), a gradient that is not finite.
    pub fn reverse(&mut self, events: &impl Events, bar: &EventCotangent<T>) -> Result<()> {
        if !std::mem::take(&mut self.ready) {
            return Err(Error::invalid("the forward pass", "missing", "call forward first"));
        }
        let solution = std::mem::take(&mut self.solution);
        let outcome = self.reverse_segments(events, &solution, bar);
        self.solution = solution;
        outcome?;
        Error::check_finite("the gradient with respect to theta", &self.theta_bar)?;
        Error::check_finite("the gradient with respect to y0", &self.y0_bar)
    }

    fn reverse_segments(
        &mut self,
        events: &impl Events,
        solution: &EventSolution<T>,
        bar: &EventCotangent<T>,
    ) -> Result<()> {
        bar.check(solution)?;
        let n = solution.dim;
        self.stats = AdjointStatistics::default();
        // Cotangents of the state and the parameters in force, and of the time at which they are meant.
        let mut state = vec![T::zero(); n];
        let mut params = vec![T::zero(); solution.params.len()];
        let mut time = T::zero();
        let mut saved = solution.t.len();
        let at_end = self.options.save == Save::End;
        if at_end {
            state.copy_from_slice(&bar.y);
        }
        for (k, segment) in solution.segments.iter().enumerate().rev() {
            let shift = Shift::of(segment);
            let mut moved = T::zero();
            if let Some(ended) = segment.ended {
                let group = (segment, solution, bar);
                time += actions_pullback(events, group, &mut state, &mut params);
                let weight = shift.weight(segment.span[1]);
                let bars = (&mut state[..], &mut params[..]);
                moved += weight * crossing_pullback(events, group, time, bars)?;
                debug_assert!(ended.step + 1 == segment.solution.steps.len());
            }
            let own = if at_end { 0 } else { self.saved_of(segment) };
            saved -= own;
            let y_bar = &bar.y[if at_end { 0..0 } else { saved * n..(saved + own) * n }];
            moved += self.segment_pullback((k, segment), &shift, y_bar, (&mut state, &mut params))?;
            time = moved;
        }
        self.y0_bar = state;
        self.theta_bar = params;
        Ok(())
    }

    /// Saved states of a segment that the user asked for: a segment without any saves its end for itself.
    fn saved_of(&self, segment: &Segment<T>) -> usize {
        let wanted = match &self.options.save {
            Save::At(times) => segment.solution.t.first().is_some_and(|t| times.contains(t)),
            _ => false,
        };
        if wanted { segment.solution.t.len() } else { 0 }
    }

    /// The reverse of a segment's steps: `state` from the cotangent of its end (of the interpolant at the
    /// event) to that of its start; ACCUMULATES into `params`; returns the cotangent of its start's time.
    fn segment_pullback(
        &mut self,
        (k, segment): (usize, &Segment<T>),
        shift: &Shift<T>,
        y_bar: &[T],
        (state, params): (&mut Vec<T>, &mut [T]),
    ) -> Result<T> {
        let np = params.len();
        let mut theta = segment.params.to_vec();
        theta.extend([shift.window[0], shift.window[1], T::zero(), T::zero()]);
        let problem = Problem { y0: &segment.y0, span: segment.span, theta: &theta };
        self.adjoint.replay(&problem, &segment.solution, &self.options, &mut [])?;
        // What moves with the start is a constant for the first segment.
        let mut moved = T::zero();
        if k > 0 {
            moved -= self.saved_pull(segment, shift, y_bar)?;
        }
        let steps = segment.solution.steps.len();
        let (step, theta) = segment.ended.map_or((steps - 1, T::one()), |l| (l.step, l.theta));
        let own = match y_bar.is_empty() {
            true => vec![T::zero(); segment.solution.y.len()],
            false => y_bar.to_vec(),
        };
        self.adjoint.reverse(&own, &[Injection { step, theta, y_bar: state }], &mut [])?;
        state.copy_from_slice(self.adjoint.y0_gradient());
        let (own, window) = self.adjoint.theta_gradient().split_at(np);
        add(params, own);
        moved += if shift.whole { window[2] + window[3] } else { window[2] };
        let stats = self.adjoint.statistics();
        self.stats.nfe += stats.nfe + self.adjoint.solution().stats.nfe;
        self.stats.nvjp += stats.nvjp;
        self.stats.replayed += stats.replayed + steps;
        self.stats.checkpoint_bytes = self.stats.checkpoint_bytes.max(stats.checkpoint_bytes);
        self.stats.work_bytes = self.stats.work_bytes.max(stats.work_bytes);
        Ok(moved)
    }

    /// Σ w ȳᵀP′ over the saved states of a segment.
    fn saved_pull(&mut self, segment: &Segment<T>, shift: &Shift<T>, y_bar: &[T]) -> Result<T> {
        let n = segment.y0.len();
        let (mut y0, mut y1, mut place) = (segment.y0.clone(), segment.y0.clone(), segment.y0.clone());
        let (mut slope, mut sum) = (vec![T::zero(); n], T::zero());
        let solution = &segment.solution;
        for ((located, t), y_bar) in solution.located.iter().zip(&solution.t).zip(y_bar.chunks_exact(n)) {
            let weight = shift.weight(*t);
            if weight == T::zero() || y_bar.iter().all(|b| *b == T::zero()) {
                continue;
            }
            self.adjoint.step_start(located.step, &mut y0)?;
            let step: &StepInfo<T> = &solution.steps[located.step];
            let (_, stepper, norm) = self.adjoint.parts();
            stepper.select(step.member);
            stepper.begin(step.start(), &y0);
            take(stepper, step, &y0, &mut y1, norm);
            slope_at(stepper, (step, located.theta), [&y0, &y1], &mut place, &mut slope);
            sum += weight * dot(y_bar, &slope);
        }
        Ok(sum)
    }
}

/// A segment that events ended, all of the solution, and the loss's cotangents.
type Group<'a, T> = (&'a Segment<T>, &'a EventSolution<T>, &'a EventCotangent<T>);

/// The reverse of the actions at the end of a segment, and of losses on the records: `state` and `params`
/// from the cotangents of what the last action left to those of what the first found; returns the
/// cotangent of the time.
fn actions_pullback<T: Real, E: Events>(
    events: &E,
    (segment, solution, bar): Group<'_, T>,
    state: &mut [T],
    params: &mut [T],
) -> T {
    let n = state.len();
    // The parameters before each action.
    let mut p = vec![segment.params.to_vec()];
    for record in &solution.log[segment.events.clone()] {
        let (mut y, mut next) = (record.before.clone(), p[p.len() - 1].clone());
        if events.kind(record.event).then == Then::Continue {
            events.act(record.event, record.t, &mut y, &mut next);
        }
        p.push(next);
    }
    let mut time = T::zero();
    for r in segment.events.clone().rev() {
        let record = &solution.log[r];
        add(state, &bar.after[r * n..(r + 1) * n]);
        if events.kind(record.event).then == Then::Continue {
            let at = Point { t: record.t, y: &record.before, theta: &p[r - segment.events.start] };
            time += act_pullback(events, record.event, at, state, params);
        }
        add(state, &bar.before[r * n..(r + 1) * n]);
        time += bar.t[r];
    }
    time
}

/// The reverse of the event's time and state as functions of the interpolant and the parameters: `state`
/// from λ to P̄, ACCUMULATES into `params`; returns the cotangent of a move of all times.
fn crossing_pullback<T: Real, E: Events>(
    events: &E,
    (segment, solution, _): Group<'_, T>,
    time: T,
    (state, params): (&mut [T], &mut [T]),
) -> Result<T> {
    let records = &solution.log[segment.events.clone()];
    let Some(first) = records.first() else {
        return Err(Error::invalid("the events of a segment", "none", "a forward pass must come first"));
    };
    let at = Point { t: first.t, y: &first.before, theta: &segment.params };
    let name = |event: usize| format!("event {event} ({}) at t = {}", events.kind(event).name, first.t);
    if records.len() > 1 {
        let fixed =
            |r: &&crate::ode::events::EventRecord<T>| guard_gradient(events, r.event, at).is_of_time_only();
        if let Some(r) = records.iter().find(|r| !fixed(r)) {
            let needed = "the derivative depends on which of the events at one time comes first: make their times \
                          differ, or guard them by time alone";
            return Err(Error::invalid(name(r.event), "not alone at its time", needed));
        }
    }
    let g = guard_gradient(events, first.event, at);
    let rate = g.rate(&segment.slope);
    let size = g.t.abs() + (dot(&g.y, &g.y) * dot(&segment.slope, &segment.slope)).sqrt();
    if !(rate.is_finite() && rate.abs() > T::EPSILON.sqrt() * size) {
        let given = format!("grazed, its function changing at the rate {rate}");
        let needed = "its time has no derivative there: it must be crossed";
        return Err(Error::invalid(name(first.event), given, needed));
    }
    let share = (time + dot(state, &segment.slope)) / rate;
    for (bar, g) in state.iter_mut().zip(&g.y) {
        *bar -= share * *g;
    }
    for (bar, g) in params.iter_mut().zip(&g.p) {
        *bar -= share * *g;
    }
    Ok(time - share * g.t)
}
