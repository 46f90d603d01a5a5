//! Events: zero crossings of g(t, y; p) along a solution, found on the method's dense output, that end
//! the solve or act on it and let it go on (hybrid systems).
//!
//! The solve is a chain of segments, each an ordinary solve by the one loop, ended inside an accepted
//! step by an [`Interrupt`](crate::integrate::Interrupt). After every accepted step each g is evaluated at
//! [`EventOptions::samples`] points inside it and at its end; a change of sign between two neighbours is
//! an occurrence, whose time is located on the step's interpolant to rounding by a bracketed root finder
//! ([`num::root`](crate::num::root)). The state at the event is the interpolant's. Then actions are
//! applied, and the next segment starts afresh from there (first stage, step size, error history), as
//! after a `tstop`.
//!
//! - **Parameters in force.** p starts as θ. An action may change y and p; a mode is an entry of p.
//! - **Direction** is that of integration: rising goes from − to + as the solve proceeds.
//! - **Several at one time** (within rounding of the time) act in the order of their indices, each on the
//!   state that the one before left; the first that terminates ends the solve.
//! - **At the start** of a segment (t0 included) an event whose g is exactly 0 occurs there if its
//!   direction agrees with the sign of ġ ([`Direction::Both`]: whatever ġ). One that has just occurred
//!   does not occur again at the same instant: while its g is 0 within rounding its sign is that of ġ.
//! - **Limits.** Two crossings of one g between neighbouring samples are missed; a zero that is touched
//!   without a change of sign is no event. More samples, or `Options::dt_max`, narrow the gap.
//! - **Without end.** Too many events within too short a time end the solve as
//!   [`Chattering`](crate::error::Failure::Chattering), with the solution up to there.
//! - One trajectory at a time: columns of a batch have events at different times, so batches are refused.
//!
//! Gradients: [`adjoint::EventAdjoint`](crate::adjoint::EventAdjoint). Sources: Hairer, Nørsett & Wanner I,
//! II.6 (events on dense output); Shampine & Thompson, "Event location for ordinary differential
//! equations", Comput. Math. Appl. 39 (2000).
//!
//! ```
//! use odeon::dynamics::generic::{Generic, VectorField};
//! use odeon::integrate::{Options, Problem};
//! use odeon::num::Scalar;
//! use odeon::ode::events::{Direction, EventOptions, Events, Kind, Then, solve};
//! use odeon::ode::tableaux::Tsit5;
//!
//! /// Height and velocity under gravity p₀.
//! struct Fall;
//! impl VectorField for Fall {
//!     fn dim(&self) -> usize { 2 }
//!     fn num_params(&self) -> usize { 2 }
//!     #[inline(always)]
//!     fn eval<S: Scalar>(&self, _t: S, y: &[S], p: &[S], dy: &mut [S]) {
//!         dy[0] = y[1];
//!         dy[1] = -p[0];
//!     }
//! }
//!
//! /// The ground returns the velocity times p₁.
//! struct Ground;
//! impl Events for Ground {
//!     fn count(&self) -> usize { 1 }
//!     fn kind(&self, _: usize) -> Kind {
//!         Kind { name: "ground", direction: Direction::Falling, then: Then::Continue }
//!     }
//!     fn value<S: Scalar>(&self, _: usize, _t: S, y: &[S], _p: &[S]) -> S { y[0] }
//!     fn act<S: Scalar>(&self, _: usize, _t: S, y: &mut [S], p: &mut [S]) {
//!         y[0] = S::zero();
//!         y[1] = -p[1] * y[1];
//!     }
//! }
//!
//! let problem = Problem { y0: &[1.0, 0.0], span: [0.0, 1.0], theta: &[9.81, 0.5] };
//! let options = Options::tol(1e-9, 1e-9);
//! let solution = solve(&Generic(Fall), &Tsit5, &Ground, &problem, &options, &EventOptions::default())?;
//! assert_eq!(solution.log.len(), 2);
//! assert!((solution.log[0].t - (2.0f64 / 9.81).sqrt()).abs() < 1e-12);
//! # Ok::<(), odeon::Error>(())
//! ```

mod detect;
pub mod gallery;
mod products;
mod solution;
mod solve;

pub(crate) use detect::slope_at;
pub(crate) use products::{act_pullback, guard_gradient};
pub use solution::{EventPartial, EventRecord, EventSolution, Segment};
pub use solve::solve;
pub(crate) use solve::{Chain, run_chain};

use crate::error::{Error, Result};
use crate::num::{Real, Scalar};

/// Which sign changes are events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Either way.
    #[default]
    Both,
    /// From − to + in the direction of integration.
    Rising,
    /// From + to − in the direction of integration.
    Falling,
}

impl Direction {
    /// Whether a change to positive (`rising`) or negative values counts.
    fn takes(self, rising: bool) -> bool {
        match self {
            Self::Both => true,
            Self::Rising => rising,
            Self::Falling => !rising,
        }
    }
}

/// What follows an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The solve ends there, in the state before any action.
    Terminate,
    /// [`Events::act`] is applied and the solve goes on.
    Continue,
}

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name, for messages.
    pub name: &'static str,
    /// Which sign changes it reacts to.
    pub direction: Direction,
    /// What follows.
    pub then: Then,
}

/// The events of a problem: functions g_i(t, y; p) and what happens where they change sign, generic over
/// the scalar so that derivatives follow.
pub trait Events: Sync {
    /// How many events there are.
    fn count(&self) -> usize;

    /// What event `event` is.
    fn kind(&self, event: usize) -> Kind;

    /// g(t, y; p) of event `event`, with the parameters in force. Must be finite wherever the solution goes.
    fn value<S: Scalar>(&self, event: usize, t: S, y: &[S], p: &[S]) -> S;

    /// Changes the state and the parameters in force at an occurrence of event `event`
    /// ([`Then::Continue`]). By default nothing: the event is only logged.
    fn act<S: Scalar>(&self, event: usize, t: S, y: &mut [S], p: &mut [S]) {
        let _ = (event, t, y, p);
    }
}

/// How events are looked for, and when they are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventOptions<T> {
    /// Points inside each step at which every g is evaluated, besides the step's end.
    pub samples: usize,
    /// Events before the solve gives up.
    pub max_events: usize,
    /// So many instants with events …
    pub chatter: usize,
    /// … within so short a time are chattering; 10⁻⁹ of the span when `None`.
    pub chatter_time: Option<T>,
}

impl<T> Default for EventOptions<T> {
    /// 3 samples, 100 000 events, chattering when 20 instants lie within 10⁻⁹ of the span.
    fn default() -> Self {
        Self { samples: 3, max_events: 100_000, chatter: 20, chatter_time: None }
    }
}

impl<T: Real> EventOptions<T> {
    /// Checks the limits.
    ///
    /// # Errors
    /// A limit of 0, fewer than two instants for chattering, or a time that is negative or not finite.
    pub fn check(&self) -> Result<()> {
        if self.max_events == 0 {
            return Err(Error::invalid("max_events", 0, "at least one event must be allowed"));
        }
        if self.chatter < 2 {
            return Err(Error::invalid("chatter", self.chatter, "at least two instants make chattering"));
        }
        match self.chatter_time {
            Some(time) if !(time.is_finite() && time >= T::zero()) => {
                Err(Error::invalid("chatter_time", time, "it must be finite and not negative"))
            }
            _ => Ok(()),
        }
    }

    /// The time within which `chatter` instants are chattering.
    fn chatter_time(&self, [t0, t1]: [T; 2]) -> T {
        self.chatter_time.unwrap_or(T::of(1e-9) * (t1 - t0).abs())
    }
}
