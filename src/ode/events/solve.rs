//! The chain of segments.

use super::detect::{Detector, failed};
use super::solution::{EventPartial, EventRecord, EventSolution, Segment};
use super::{EventOptions, Events, Then};
use crate::dynamics::{Dynamics, check_shapes};
use crate::error::{Error, Failure, Result};
use crate::integrate::{Drive, Located, Options, Problem, Save, Silent, Statistics, Stepper};
use crate::num::Real;
use crate::ode::StepMethod;
use std::sync::Arc;

/// Solves y' = f(t, y; p), y(t0) = y0, p = θ at first, with `events`. One trajectory.
///
/// # Errors
/// Inputs or options that do not fit, a batch, or a solve that stopped early (as [`ode::solve`](crate::ode::solve),
/// a g that is not finite, chattering, too many events); the error then carries what was reached.
pub fn solve<T: Real, D: Dynamics<T>, E: Events>(
    dynamics: &D,
    method: &impl StepMethod<T, D>,
    events: &E,
    problem: &Problem<'_, T>,
    options: &Options<T>,
    rules: &EventOptions<T>,
) -> Result<EventSolution<T>, EventPartial<T>> {
    let mut solution = EventSolution::default();
    let mut run = || {
        check_shapes(dynamics, problem.y0, problem.theta)?;
        let mut stepper = method.stepper(dynamics, 1);
        let mut drive = Drive::new(stepper.len());
        let chain = Chain { events, options, rules, window: false };
        run_chain(&mut drive, &mut stepper, &chain, problem, &mut solution)
    };
    match run() {
        Ok(()) => Ok(solution),
        Err(error) => Err(EventPartial { error, solution: Box::new(solution) }),
    }
}

/// What a chain of segments is run with.
pub(crate) struct Chain<'a, T, E> {
    pub events: &'a E,
    pub options: &'a Options<T>,
    pub rules: &'a EventOptions<T>,
    /// The stepper's right-hand side is a [`Warp`](crate::dynamics::compose::Warp): its parameters end
    /// with the window of time.
    pub window: bool,
}

impl<T: Real, E> Chain<'_, T, E> {
    /// θ̃ of a segment.
    fn extended(&self, p: &[T], [a, b]: [T; 2]) -> Vec<T> {
        let mut all = p.to_vec();
        if self.window {
            all.extend([a, b, T::zero(), T::zero()]);
        }
        all
    }

    /// The options of the segment that starts at `t`.
    fn segment(&self, t: T, first: bool, forward: bool, done: &Statistics) -> Options<T> {
        let mut options = self.options.clone();
        options.max_steps = options.max_steps.saturating_sub(done.accepted + done.rejected);
        options.max_nfe = options.max_nfe.saturating_sub(done.nfe);
        if let Save::At(times) = &mut options.save {
            times.retain(|&s| if forward { s > t } else { s < t } || (first && s == t));
            if times.is_empty() {
                options.save = Save::End;
            }
        }
        options
    }
}

/// Adds a segment's counts.
fn add(total: &mut Statistics, part: &Statistics) {
    total.nfe += part.nfe;
    total.accepted += part.accepted;
    total.rejected += part.rejected;
    total.switches += part.switches;
    total.taken_by = [0, 1].map(|k| total.taken_by[k] + part.taken_by[k]);
    total.time += part.time;
    if total.first_h == 0.0 {
        total.first_h = part.first_h;
    }
    for warning in &part.warnings {
        if !total.warnings.contains(warning) {
            total.warnings.push(warning.clone());
        }
    }
}

/// Runs the segments from `problem`, into `solution`, complete or partial.
pub(crate) fn run_chain<T: Real, S: Stepper<T>, E: Events>(
    drive: &mut Drive<T>,
    stepper: &mut S,
    chain: &Chain<'_, T, E>,
    problem: &Problem<'_, T>,
    solution: &mut EventSolution<T>,
) -> Result<()> {
    *solution = EventSolution::default();
    let Chain { events, options, rules, .. } = chain;
    rules.check()?;
    let n = stepper.dim();
    if problem.y0.len() != n {
        let needed = "events are found for one trajectory: solve the columns one by one";
        return Err(Error::invalid("the batch", problem.y0.len() / n.max(1), needed));
    }
    options.check(problem.span[0], problem.span[1], n)?;
    let work = stepper.implicit_work();
    let mut detector = Detector::new(*events, rules.samples, n, problem.theta);
    let outcome = follow(drive, stepper, chain, problem, (&mut detector, &mut *solution));
    solution.crossings = detector.crossings;
    solution.params = detector.p;
    solution.stats.implicit = stepper.implicit_work() - work;
    outcome
}

fn follow<T: Real, S: Stepper<T>, E: Events>(
    drive: &mut Drive<T>,
    stepper: &mut S,
    chain: &Chain<'_, T, E>,
    problem: &Problem<'_, T>,
    (detector, solution): (&mut Detector<'_, T, E>, &mut EventSolution<T>),
) -> Result<()> {
    let [mut t, t1] = problem.span;
    let mut y = problem.y0.to_vec();
    let mut params: Arc<[T]> = problem.theta.into();
    solution.dim = stepper.dim();
    // Starts of the last instants with events.
    let mut instants: Vec<T> = Vec::new();
    while t != t1 {
        let own = chain.segment(t, solution.segments.is_empty(), t1 > problem.span[0], &solution.stats);
        stepper.set_theta(&chain.extended(&params, [t, t1]));
        let outcome = drive.run_until(stepper, &y, [t, t1], &own, (&mut Silent, &mut *detector));
        add(&mut solution.stats, &drive.solution.stats);
        let ended = *outcome.as_ref().unwrap_or(&None);
        let reached = match (ended, drive.solution.steps.last()) {
            (Some(Located { theta, .. }), Some(step)) => step.inside(theta),
            (None, Some(step)) => step.t1,
            _ => t,
        };
        let from = solution.log.len();
        if own.save != Save::End {
            solution.t.extend_from_slice(&drive.solution.t);
            solution.y.extend_from_slice(&drive.solution.y);
        }
        let mut segment = Segment {
            span: [t, reached],
            y0: std::mem::replace(&mut y, drive.reached_state().to_vec()),
            params: params.clone(),
            solution: std::mem::take(&mut drive.solution),
            ended,
            slope: Vec::new(),
            events: from..from,
        };
        t = reached;
        if let (Ok(_), Some(_)) = (&outcome, ended) {
            segment.slope.clone_from(&detector.slope);
            let before = y.clone();
            solution.terminated = occur(chain.events, detector, t, &mut y, &mut solution.log);
            segment.events = from..solution.log.len();
            detector.next_segment(t, &before, &params);
            if *params != *detector.p {
                params = detector.p.as_slice().into();
            }
        }
        let step = (t, segment.solution.steps.last().map_or(T::zero(), |s| s.h));
        solution.segments.push(segment);
        outcome?;
        if ended.is_some() {
            limits(chain.rules, detector, problem.span, (step, &mut instants), solution)?;
        }
        if solution.terminated {
            break;
        }
    }
    if chain.options.save == Save::End {
        (solution.t, solution.y) = (vec![t], y);
    }
    Ok(())
}

/// Applies the events that ended a segment, in order, logging each; whether one of them terminates.
fn occur<T: Real, E: Events>(
    events: &E,
    detector: &mut Detector<'_, T, E>,
    t: T,
    y: &mut [T],
    log: &mut Vec<EventRecord<T>>,
) -> bool {
    for k in 0..detector.hits.len() {
        let event = detector.hits[k];
        let before = y.to_vec();
        let terminates = detector.kind(event).then == Then::Terminate;
        if !terminates {
            events.act(event, t, y, &mut detector.p);
        }
        log.push(EventRecord { event, t, before, after: y.to_vec() });
        if terminates {
            return true;
        }
    }
    false
}

/// Ends a solve whose events are too many.
fn limits<T: Real, E: Events>(
    rules: &EventOptions<T>,
    detector: &Detector<'_, T, E>,
    span: [T; 2],
    ((t, h), instants): ((T, T), &mut Vec<T>),
    solution: &EventSolution<T>,
) -> Result<()> {
    let Some(event) = solution.log.last().map(|r| r.event) else {
        return Ok(());
    };
    let state = solution.log.last().map_or(&[][..], |r| &r.after);
    Error::check_finite("the state after an event's action", state)?;
    Error::check_finite("the parameters after an event's action", &detector.p)?;
    let steps = solution.stats.accepted;
    let stop = |failure| Err(failed(failure, (t, h), steps, detector.kind(event), event));
    if solution.terminated {
        return Ok(());
    }
    if solution.log.len() >= rules.max_events {
        return stop(Failure::MaxEvents);
    }
    if instants.len() >= rules.chatter - 1 {
        let first = instants[instants.len() + 1 - rules.chatter];
        if (t - first).abs() <= rules.chatter_time(span) {
            return stop(Failure::Chattering);
        }
    }
    instants.push(t);
    Ok(())
}
