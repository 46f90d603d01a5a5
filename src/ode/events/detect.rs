//! [`Detector`]: looks for sign changes in every accepted step and locates them.

use super::products::{guard_gradient, guard_rate};
use super::{Events, Kind};
use crate::dynamics::Point;
use crate::error::{Error, Failure, Member, PostMortem, Result};
use crate::integrate::{Interrupt, StepInfo, Stepper};
use crate::num::{Real, root};

/// Where the functions stand, and which events ended the segment.
pub(super) struct Detector<'e, T, E> {
    events: &'e E,
    kinds: Vec<Kind>,
    /// Points of a step at which functions are evaluated, the end included.
    points: usize,
    /// Parameters in force.
    pub p: Vec<T>,
    /// The functions at the last point and at this one.
    values: Vec<T>,
    next: Vec<T>,
    /// Their sign at the last point; 0 where nothing is known yet.
    signs: Vec<i8>,
    /// Which events ended the last segment, and |g| of each there.
    just: Vec<Option<T>>,
    /// Functions that start the segment at 0: their zero at ϑ = 0 is divided out.
    deflated: Vec<bool>,
    fresh: bool,
    /// Where each event of the interval in hand lies.
    found: Vec<Option<T>>,
    /// The events that ended the segment, in order.
    pub hits: Vec<usize>,
    /// y′ of the interpolant there.
    pub slope: Vec<T>,
    /// Sign changes of each function, in any direction.
    pub crossings: Vec<usize>,
}

/// The sign of x as −1, 0 or 1.
fn sign<T: Real>(x: T) -> i8 {
    i8::from(x > T::zero()) - i8::from(x < T::zero())
}

/// A post-mortem that names an event.
#[cold]
pub(super) fn failed<T: Real>(
    failure: Failure,
    (t, h): (T, T),
    step: usize,
    kind: &Kind,
    event: usize,
) -> Error {
    Error::Solve(Box::new(PostMortem {
        failure,
        t: t.f64(),
        step,
        h: h.f64(),
        component: None,
        trajectory: None,
        part: Some(format!("event {event} ({})", kind.name)),
        history: Vec::new(),
    }))
}

/// `out` ← y′ of the interpolant of the step in hand at ϑ: Σ b_i′(ϑ) k_i. `place` is overwritten.
pub(crate) fn slope_at<T: Real, S: Stepper<T>>(
    stepper: &mut S,
    (step, theta): (&StepInfo<T>, T),
    y: [&[T]; 2],
    place: &mut [T],
    out: &mut [T],
) {
    // Makes sure that the stages of the dense output are there.
    stepper.interpolate((step.t, step.h), theta, y, place);
    let weights = match step.member {
        Member::First => stepper.dense_weights(),
        Member::Second => stepper.second_dense_weights(),
    };
    let (n, x) = (out.len(), theta.f64());
    out.fill(T::zero());
    for (row, k) in weights.iter().zip(stepper.stages().chunks_exact(n)) {
        let terms = row.iter().enumerate().rev();
        let weight = T::of(terms.fold(0.0, |sum, (d, c)| sum * x + (d + 1) as f64 * c));
        out.iter_mut().zip(k).for_each(|(out, k)| *out = weight.mul_add(*k, *out));
    }
}

impl<'e, T: Real, E: Events> Detector<'e, T, E> {
    /// For states of `n` numbers.
    pub fn new(events: &'e E, samples: usize, n: usize, p: &[T]) -> Self {
        let count = events.count();
        let zeros = vec![T::zero(); count];
        Self {
            events,
            kinds: (0..count).map(|i| events.kind(i)).collect(),
            points: samples + 1,
            p: p.to_vec(),
            values: zeros.clone(),
            next: zeros,
            signs: vec![0; count],
            just: vec![None; count],
            deflated: vec![false; count],
            fresh: true,
            found: vec![None; count],
            hits: Vec::with_capacity(count),
            slope: vec![T::zero(); n],
            crossings: vec![0; count],
        }
    }

    /// What event `event` is.
    pub fn kind(&self, event: usize) -> &Kind {
        &self.kinds[event]
    }

    /// Starts a segment after the events in `hits` at (t, y before their actions).
    pub fn next_segment(&mut self, t: T, before: &[T], p_before: &[T]) {
        self.just.fill(None);
        for &i in &self.hits {
            self.just[i] = Some(self.events.value(i, t, before, p_before).abs());
        }
        self.fresh = true;
    }

    /// Evaluates all functions at (t, y) into `next`.
    fn evaluate(&mut self, t: T, y: &[T], (index, step): (usize, &StepInfo<T>)) -> Result<()> {
        for (i, g) in self.next.iter_mut().enumerate() {
            *g = self.events.value(i, t, y, &self.p);
            if !g.is_finite() {
                return Err(failed(Failure::Guard, (t, step.h), index, &self.kinds[i], i));
            }
        }
        Ok(())
    }

    /// The signs at the start of a segment; true when events occur right there.
    fn start<S: Stepper<T>>(
        &mut self,
        stepper: &mut S,
        (index, step): (usize, &StepInfo<T>),
        y: [&[T]; 2],
        place: &mut [T],
    ) -> Result<bool> {
        self.fresh = false;
        self.hits.clear();
        self.evaluate(step.t, y[0], (index, step))?;
        slope_at(stepper, (step, T::zero()), y, place, &mut self.slope);
        let at = Point { t: step.t, y: y[0], theta: &self.p };
        for i in 0..self.next.len() {
            let g = self.next[i];
            let at_zero = match self.just[i] {
                None => g == T::zero(),
                Some(before) => {
                    let rounding = T::of(16.0) * T::EPSILON * guard_gradient(self.events, i, at).scale(at);
                    g.abs() <= T::of(8.0) * before + rounding
                }
            };
            self.deflated[i] = at_zero;
            (self.values[i], self.signs[i]) = (g, sign(g));
            if at_zero {
                // As a function of ϑ.
                let rate = guard_rate(self.events, i, at, &self.slope) * step.h;
                (self.values[i], self.signs[i]) = (rate, sign(rate));
                let both = self.kinds[i].direction == super::Direction::Both;
                let takes = both || (rate != T::zero() && self.kinds[i].direction.takes(rate > T::zero()));
                if self.just[i].is_none() && takes {
                    self.hits.push(i);
                }
            }
        }
        for &i in &self.hits {
            self.crossings[i] += 1;
        }
        Ok(!self.hits.is_empty())
    }

    /// The zero of function `i` between the points ϑ = `low` and `high` of the step.
    fn locate<S: Stepper<T>>(
        &self,
        i: usize,
        [low, high]: [T; 2],
        stepper: &mut S,
        (index, step): (usize, &StepInfo<T>),
        y: [&[T]; 2],
        place: &mut [T],
    ) -> Result<T> {
        let deflated = self.deflated[i] && low == T::zero();
        let per = |g: T, theta: T| if deflated { g / theta } else { g };
        let side = T::of(f64::from(self.signs[i]));
        // A zero at the lower end was there before: what counts is the side that it is left on.
        let first = self.values[i].abs().max(T::MIN_POSITIVE) * side;
        let last = per(self.next[i], high);
        let value = |theta: T| {
            stepper.interpolate((step.t, step.h), theta, y, place);
            per(self.events.value(i, step.inside(theta), place, &self.p), theta)
        };
        root::bracketed(value, [low, high], [first, last], resolution(step))
            .map_err(|theta| failed(Failure::Guard, (step.inside(theta), step.h), index, &self.kinds[i], i))
    }

    /// Looks between the points ϑ = `low` and `high`, the functions at `high` being in `next`.
    fn between<S: Stepper<T>>(
        &mut self,
        [low, high]: [T; 2],
        stepper: &mut S,
        step: (usize, &StepInfo<T>),
        y: [&[T]; 2],
        place: &mut [T],
    ) -> Result<Option<T>> {
        let mut earliest: Option<T> = None;
        for i in 0..self.next.len() {
            self.found[i] = None;
            if self.changed(i) && self.kinds[i].direction.takes(self.signs[i] < 0) {
                let theta = self.locate(i, [low, high], stepper, step, y, place)?;
                self.found[i] = Some(theta);
                earliest = Some(earliest.map_or(theta, |e| e.min(theta)));
            }
        }
        let Some(theta) = earliest else {
            for i in 0..self.next.len() {
                if self.changed(i) {
                    self.crossings[i] += 1;
                    self.signs[i] = -self.signs[i];
                } else if self.signs[i] == 0 {
                    self.signs[i] = sign(self.next[i]);
                }
            }
            self.values.copy_from_slice(&self.next);
            return Ok(None);
        };
        let together = theta + T::of(8.0) * resolution(step.1);
        self.hits.clear();
        for (i, found) in self.found.iter().enumerate() {
            if found.is_some_and(|f| f <= together) {
                self.hits.push(i);
                self.crossings[i] += 1;
            }
        }
        Ok(Some(theta))
    }

    /// Whether function `i` has left its side, or reached 0.
    fn changed(&self, i: usize) -> bool {
        self.signs[i] != 0 && sign(self.next[i]) != self.signs[i]
    }
}

/// Half the distance of neighbouring times, in ϑ.
fn resolution<T: Real>(step: &StepInfo<T>) -> T {
    let time = T::of(0.5) * T::EPSILON * step.t.abs().max(step.t1.abs());
    (time / step.h.abs()).max(T::of(0.5) * T::EPSILON)
}

impl<T: Real, E: Events> Interrupt<T> for Detector<'_, T, E> {
    fn look<S: Stepper<T>>(
        &mut self,
        stepper: &mut S,
        step: (usize, &StepInfo<T>),
        y: [&[T]; 2],
        place: &mut [T],
    ) -> Result<Option<T>> {
        if self.kinds.is_empty() {
            return Ok(None);
        }
        if self.fresh && self.start(stepper, step, y, place)? {
            return Ok(Some(T::zero()));
        }
        let mut low = T::zero();
        for point in 1..=self.points {
            let high = match point == self.points {
                true => T::one(),
                false => T::of(point as f64 / self.points as f64),
            };
            let t = step.1.inside(high);
            if point == self.points {
                self.evaluate(t, y[1], step)?;
            } else {
                stepper.interpolate((step.1.t, step.1.h), high, y, place);
                self.evaluate(t, place, step)?;
            }
            if let Some(theta) = self.between([low, high], stepper, step, y, place)? {
                let mut slope = std::mem::take(&mut self.slope);
                slope_at(stepper, (step.1, theta), y, place, &mut slope);
                self.slope = slope;
                return Ok(Some(theta));
            }
            low = high;
        }
        self.deflated.fill(false);
        Ok(None)
    }
}
