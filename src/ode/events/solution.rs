//! What a solve with events gives back: the segments, the log of events, statistics.

use crate::error::{Error, Result};
use crate::integrate::{Located, Solution, Statistics};
use crate::num::Real;
use std::ops::Range;
use std::sync::Arc;

/// An occurrence of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord<T> {
    /// Which event.
    pub event: usize,
    /// When.
    pub t: T,
    /// The state that it found.
    pub before: Vec<T>,
    /// The state that it left.
    pub after: Vec<T>,
}

/// A piece of the solve between events.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment<T> {
    /// Where it starts and ends.
    pub span: [T; 2],
    /// Its initial state.
    pub y0: Vec<T>,
    /// Parameters in force.
    pub params: Arc<[T]>,
    /// Its solve. The last step is recorded whole even where an event ended the segment inside it.
    pub solution: Solution<T>,
    /// Where events ended it, in its last step.
    pub ended: Option<Located<T>>,
    /// y′ of the interpolant there.
    pub slope: Vec<T>,
    /// The events that ended it, in the log.
    pub events: Range<usize>,
}

/// The result of a solve with events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventSolution<T> {
    /// Saved times. A saved time at which an event occurs has the state before it; the end
    /// ([`Save::End`](crate::integrate::Save::End)) the state after it. Steps
    /// ([`Save::EveryStep`](crate::integrate::Save::EveryStep)) have both.
    pub t: Vec<T>,
    /// Saved states, one after the other.
    pub y: Vec<T>,
    /// Rows of the state.
    pub dim: usize,
    /// The events in order.
    pub log: Vec<EventRecord<T>>,
    /// The pieces between them.
    pub segments: Vec<Segment<T>>,
    /// How often each event's function changed sign, in any direction.
    pub crossings: Vec<usize>,
    /// Whether an event ended the solve.
    pub terminated: bool,
    /// Parameters in force at the end.
    pub params: Vec<T>,
    /// Counts and times of all segments.
    pub stats: Statistics,
}

impl<T: Real> EventSolution<T> {
    /// The i-th saved state.
    pub fn state(&self, i: usize) -> &[T] {
        &self.y[i * self.dim..(i + 1) * self.dim]
    }

    /// The last saved state; empty when nothing was saved.
    pub fn last(&self) -> &[T] {
        &self.y[self.y.len().saturating_sub(self.dim)..]
    }

    /// Events whose function never changed sign.
    pub fn silent(&self) -> Vec<usize> {
        (0..self.crossings.len()).filter(|&i| self.crossings[i] == 0).collect()
    }

    /// Times of event `event`.
    pub fn times(&self, event: usize) -> Vec<T> {
        self.log.iter().filter(|r| r.event == event).map(|r| r.t).collect()
    }

    /// y(t) of a solution saved densely; at an event the state before it.
    ///
    /// # Errors
    /// `t` outside what was solved, or a solve without [`Save::Dense`](crate::integrate::Save::Dense).
    pub fn at(&self, t: T) -> Result<Vec<T>> {
        let inside = |s: &&Segment<T>| {
            let [a, b] = s.span;
            if b >= a { t >= a && t <= b } else { t <= a && t >= b }
        };
        match self.segments.iter().find(inside) {
            Some(segment) => segment.solution.at(t),
            None => Err(Error::invalid("t", t, "it must lie in the solved span")),
        }
    }
}

/// A solve with events that stopped early.
#[derive(Debug)]
pub struct EventPartial<T> {
    /// Why it stopped.
    pub error: Error,
    /// What was reached.
    pub solution: Box<EventSolution<T>>,
}

impl<T> From<EventPartial<T>> for Error {
    fn from(partial: EventPartial<T>) -> Self {
        partial.error
    }
}

impl<T> std::fmt::Display for EventPartial<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: std::fmt::Debug> std::error::Error for EventPartial<T> {}
