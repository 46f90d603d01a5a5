//! Directions, order, the start, limits and failures.

use super::Outcome;
use odeon::Error;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::error::Failure;
use odeon::integrate::{Options, Problem, Save};
use odeon::num::Scalar;
use odeon::ode::events::gallery::BouncingBall;
use odeon::ode::events::{Direction, EventOptions, EventSolution, Events, Kind, Then, solve};
use odeon::ode::tableaux::{Rk4, Tsit5};

/// y = (sin t, cos t) from (0, 1).
struct Circle;
impl VectorField for Circle {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[1];
        dy[1] = -p[0] * y[0];
    }
}

/// g = a·sin + b·cos + c + d·t with coefficients by the event.
struct Lines(Vec<(Direction, Then, [f64; 4])>);

impl Events for Lines {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn kind(&self, event: usize) -> Kind {
        let (direction, then, _) = self.0[event];
        Kind { name: "line", direction, then }
    }
    fn value<S: Scalar>(&self, event: usize, t: S, y: &[S], _p: &[S]) -> S {
        let [a, b, c, d] = self.0[event].2.map(S::of);
        a * y[0] + b * y[1] + c + d * t
    }
    fn act<S: Scalar>(&self, event: usize, _t: S, y: &mut [S], _p: &mut [S]) {
        // They do not commute: the first doubles a row, the others add their index.
        y[1] = if event == 0 { S::of(2.0) * y[1] } else { y[1] + S::of(event as f64) };
    }
}

const SIN: [f64; 4] = [1.0, 0.0, 0.0, 0.0];
const COS: [f64; 4] = [0.0, 1.0, 0.0, 0.0];
const NONE: EventOptions<f64> =
    EventOptions { samples: 3, max_events: 1000, chatter: 20, chatter_time: None };

fn circle(events: &impl Events, span: [f64; 2], options: &Options<f64>) -> Result<EventSolution<f64>, Error> {
    let (sin, cos) = span[0].sin_cos();
    let problem = Problem { y0: &[sin, cos], span, theta: &[1.0] };
    Ok(solve(&Generic(Circle), &Tsit5, events, &problem, options, &NONE)?)
}

/// Events that only log.
struct Logged(Lines);
impl Events for Logged {
    fn count(&self) -> usize {
        self.0.count()
    }
    fn kind(&self, event: usize) -> Kind {
        self.0.kind(event)
    }
    fn value<S: Scalar>(&self, event: usize, t: S, y: &[S], p: &[S]) -> S {
        self.0.value(event, t, y, p)
    }
}

fn logged(lines: &[(Direction, Then, [f64; 4])]) -> Logged {
    Logged(Lines(lines.to_vec()))
}

use Direction::{Both, Falling, Rising};
use Then::{Continue, Terminate};
use std::f64::consts::PI;

#[test]
fn directions_are_those_of_integration_and_every_sign_change_is_counted() -> Outcome {
    let options = Options::tol(1e-11, 1e-11);
    let all = logged(&[(Both, Continue, SIN), (Rising, Continue, SIN), (Falling, Continue, SIN)]);
    let one = |direction| logged(&[(direction, Continue, SIN)]);
    let forward = circle(&one(Both), [0.5, 13.0], &options)?;
    for (record, k) in forward.log.iter().zip(1..) {
        assert!((record.t - PI * f64::from(k)).abs() < 1e-9, "{}", record.t);
        assert_eq!(record.before, record.after);
    }
    assert_eq!((forward.log.len(), &forward.crossings[..]), (4, &[4][..]));
    let times = |direction, span| -> Result<Vec<i64>, Error> {
        let solution = circle(&one(direction), span, &options)?;
        assert_eq!(solution.crossings, [4]);
        Ok(solution.log.iter().map(|r| (r.t / PI).round() as i64).collect())
    };
    assert_eq!(times(Rising, [0.5, 13.0])?, [2, 4]);
    assert_eq!(times(Falling, [0.5, 13.0])?, [1, 3]);
    // Backward in time what rises is what fell.
    assert_eq!(times(Falling, [13.0, 0.5])?, [4, 2]);
    assert_eq!(times(Rising, [13.0, 0.5])?, [3, 1]);
    let together = circle(&all, [0.5, 7.0], &options)?;
    let order: Vec<usize> = together.log.iter().map(|r| r.event).collect();
    assert_eq!(order, [0, 2, 0, 1]);
    Ok(())
}

#[test]
fn events_at_one_time_act_in_the_order_of_their_indices() -> Outcome {
    let options = Options::tol(1e-10, 1e-10);
    // All at t = π: sin falls, t − π rises, a multiple of sin falls.
    let lines = [(Both, Continue, SIN), (Both, Continue, [3.0, 0.0, 0.0, 0.0]), (Both, Continue, SIN)];
    let solution = circle(&Lines(lines.to_vec()), [0.5, 4.0], &options)?;
    let order: Vec<usize> = solution.log.iter().map(|r| r.event).collect();
    assert_eq!(order, [0, 1, 2]);
    let [first, second, third] = [0, 1, 2].map(|i| &solution.log[i]);
    assert_eq!((first.t, second.t), (second.t, third.t));
    assert_eq!(first.after[1], 2.0 * first.before[1]);
    assert_eq!((&second.before, &third.before), (&first.after, &second.after));
    assert_eq!(third.after[1], 2.0 * first.before[1] + 3.0);
    // The first that terminates is the last that happens.
    let mut lines = lines;
    lines[1].1 = Terminate;
    let solution = circle(&Lines(lines.to_vec()), [0.5, 4.0], &options)?;
    assert_eq!(solution.log.len(), 2);
    assert!(solution.terminated && (solution.t[0] - PI).abs() < 1e-9);
    assert_eq!(solution.last(), solution.log[1].after);
    Ok(())
}

#[test]
fn events_at_t0_follow_their_direction() -> Outcome {
    let options = Options::tol(1e-9, 1e-9);
    let fired = |direction| -> Result<usize, Error> {
        let solution = circle(&logged(&[(direction, Continue, SIN)]), [0.0, 1.0], &options)?;
        assert!(solution.log.iter().all(|r| r.t == 0.0));
        Ok(solution.log.len())
    };
    assert_eq!([fired(Both)?, fired(Rising)?, fired(Falling)?], [1, 1, 0]);
    let ends = circle(&logged(&[(Rising, Terminate, SIN)]), [0.0, 1.0], &options)?;
    assert!(ends.terminated && ends.t == [0.0] && ends.last() == [0.0, 1.0]);
    Ok(())
}

#[test]
fn two_crossings_in_one_step_are_found_between_samples() -> Outcome {
    // sin t − 0.9 is positive for 0.90 around π/2: inside one step of 1.5 from 0.5.
    let line = logged(&[(Both, Continue, [1.0, 0.0, -0.9, 0.0])]);
    let problem = Problem { y0: &[0.5f64.sin(), 0.5f64.cos()], span: [0.5, 2.6], theta: &[1.0] };
    let options = Options { h0: Some(2.1), ..Options::tol(1e-1, 1e-1) };
    let found = |samples| -> Result<(usize, usize), Error> {
        let rules = EventOptions { samples, ..NONE };
        let s = solve(&Generic(Circle), &Tsit5, &line, &problem, &options, &rules)?;
        Ok((s.log.len(), s.crossings[0]))
    };
    assert_eq!(found(0)?, (0, 0));
    assert_eq!(found(3)?, (2, 2));
    Ok(())
}

#[test]
fn what_never_changes_sign_is_reported_and_costs_no_bits() -> Outcome {
    let never = logged(&[(Both, Continue, [0.0, 0.0, 1.0, 0.0]), (Both, Continue, [1.0, 0.0, 2.0, 0.0])]);
    for save in [Save::End, Save::EveryStep, Save::At(vec![0.1, 0.7, 2.0])] {
        let options = Options::tol(1e-7, 1e-7).save(save);
        let with = circle(&never, [0.0, 2.0], &options)?;
        let problem = Problem { y0: &[0.0, 1.0], span: [0.0, 2.0], theta: &[1.0] };
        let without = odeon::ode::solve(&Generic(Circle), &Tsit5, &problem, &options)?;
        assert_eq!((with.t, with.y), (without.t, without.y));
        assert_eq!(with.segments.len(), 1);
        assert_eq!((with.stats.nfe, with.stats.accepted), (without.stats.nfe, without.stats.accepted));
        assert_eq!(with.crossings, [0, 0]);
    }
    assert_eq!(circle(&never, [0.0, 2.0], &Options::default())?.silent(), [0, 1]);
    Ok(())
}

#[test]
fn both_sides_of_an_event_are_saved_with_every_step() -> Outcome {
    let problem = Problem { y0: &[1.0, 0.0], span: [0.0, 1.0], theta: &[9.81, 0.5] };
    let options = Options::tol(1e-9, 1e-9).save(Save::EveryStep);
    let s = solve(&Generic(BouncingBall), &Tsit5, &BouncingBall, &problem, &options, &NONE)?;
    let i = s.t.windows(2).position(|t| t[0] == t[1]).ok_or("an event")?;
    assert_eq!([s.state(i), s.state(i + 1)], [&s.log[0].before[..], &s.log[0].after[..]]);
    assert!(s.t.windows(2).all(|t| t[0] <= t[1]));
    Ok(())
}

#[test]
fn endless_bouncing_is_reported_with_what_was_reached() -> Outcome {
    let problem = Problem { y0: &[1.0, 0.0], span: [0.0, 10.0], theta: &[9.81, 0.5] };
    let limit = (2.0f64 / 9.81).sqrt() * 3.0;
    let rules = EventOptions::default();
    let options = Options::tol(1e-9, 1e-9).save(Save::At(vec![0.1, 1.0, 9.0]));
    let failed = solve(&Generic(BouncingBall), &Tsit5, &BouncingBall, &problem, &options, &rules);
    let partial = failed.err().ok_or("Zeno")?;
    let Error::Solve(post) = &partial.error else {
        return Err("a post-mortem".into());
    };
    assert_eq!(post.failure, Failure::Chattering);
    assert!((post.t - limit).abs() < 1e-7, "{}", post.t);
    let text = partial.to_string();
    assert!(text.contains("event 0 (ground)") && text.contains("without end"), "{text}");
    // Bounces while they last more than 1e-8, and what was saved before.
    assert!((25..70).contains(&partial.solution.log.len()), "{}", partial.solution.log.len());
    assert_eq!(partial.solution.t, [0.1, 1.0]);
    let few = EventOptions { max_events: 5, ..rules };
    let failed = solve(&Generic(BouncingBall), &Tsit5, &BouncingBall, &problem, &options, &few);
    let partial = failed.err().ok_or("too many")?;
    assert!(matches!(&partial.error, Error::Solve(p) if p.failure == Failure::MaxEvents), "{partial}");
    assert_eq!(partial.solution.log.len(), 5);
    Ok(())
}

/// NaN beyond a height.
struct Undefined;
impl Events for Undefined {
    fn count(&self) -> usize {
        1
    }
    fn kind(&self, _: usize) -> Kind {
        Kind { name: "root", direction: Both, then: Terminate }
    }
    fn value<S: Scalar>(&self, _: usize, _t: S, y: &[S], _p: &[S]) -> S {
        (y[0] - S::of(0.5)).sqrt() + S::one()
    }
}

#[test]
fn bad_input_and_bad_functions_are_refused_by_name() -> Outcome {
    let options = Options::tol(1e-9, 1e-9);
    let problem = Problem { y0: &[1.0, 0.0], span: [0.0, 1.0], theta: &[9.81, 0.5] };
    let ball = Generic(BouncingBall);
    let partial = solve(&ball, &Tsit5, &Undefined, &problem, &options, &NONE).err().ok_or("NaN")?;
    let Error::Solve(post) = &partial.error else {
        return Err("a post-mortem".into());
    };
    assert_eq!(post.failure, Failure::Guard);
    assert!(post.t > 0.3 && post.h > 0.0, "{post}");
    assert!(partial.to_string().contains("event 0 (root)"), "{partial}");
    let batch = Problem { y0: &[1.0, 0.0, 2.0, 0.0], ..problem };
    let refused = solve(&ball, &Tsit5, &BouncingBall, &batch, &options, &NONE).err().ok_or("batch")?;
    assert!(refused.to_string().contains("one by one"), "{refused}");
    for rules in [
        EventOptions { max_events: 0, ..NONE },
        EventOptions { chatter: 1, ..NONE },
        EventOptions { chatter_time: Some(f64::NAN), ..NONE },
    ] {
        assert!(solve(&ball, &Tsit5, &BouncingBall, &problem, &options, &rules).is_err());
    }
    // The solve's own failures carry the segments before.
    let short = Options { max_steps: 6, ..options };
    let partial = solve(&ball, &Tsit5, &BouncingBall, &problem, &short, &NONE).err().ok_or("steps")?;
    assert!(matches!(&partial.error, Error::Solve(p) if p.failure == Failure::MaxSteps), "{partial}");
    assert!(partial.solution.stats.accepted <= 6);
    Ok(())
}

#[test]
fn stops_and_fixed_steps_live_with_events() -> Outcome {
    let line = logged(&[(Both, Continue, COS)]);
    let options = Options { tstops: vec![1.0, 2.0, PI], ..Options::fixed(0.05) };
    let problem = Problem { y0: &[0.0, 1.0], span: [0.0, 5.0], theta: &[1.0] };
    let s = solve(&Generic(Circle), &Rk4, &line, &problem, &options, &NONE)?;
    for (record, wanted) in s.log.iter().zip([0.5 * PI, 1.5 * PI]) {
        assert!((record.t - wanted).abs() < 1e-6, "{}", record.t);
    }
    let ends: Vec<f64> =
        s.segments.iter().flat_map(|s| &s.solution.steps).filter(|s| s.to_stop).map(|s| s.t1).collect();
    assert_eq!(ends, [1.0, 2.0, PI]);
    Ok(())
}
