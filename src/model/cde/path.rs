//! [`ControlPath`]: the path that drives a controlled equation, a batch of series at once.

use super::interpolate::{Interpolation, Piece, pieces, shifted};
use crate::num::Real;
use crate::{Error, Result};
use std::cmp::Ordering;

/// Piecewise polynomial paths X(t) of `channels` rows, one for each series of a batch, on common knots.
///
/// Series observed at different times share the union of their times, with NaN where there is no observation: each
/// channel of each series is interpolated between its own observations, the others' times leaving no trace. Before its
/// first and after its last observation a channel is constant ([`Interpolation::Rectilinear`] says what it is before).
/// Outside the knots the outer pieces go on.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlPath<T> {
    knots: Vec<T>,
    channels: usize,
    series: usize,
    /// Coefficients of an interval: 2 (lines) or 4 (cubics) blocks of `channels × series`.
    coefficients: Vec<T>,
    degrees: usize,
    jumps: Vec<T>,
}

impl<T: Real> ControlPath<T> {
    /// Paths through `values`, `channels × times × series`, NaN for what is missing.
    ///
    /// # Errors
    /// Fewer than two times, times that are not finite or do not increase; no channels, values that are not a whole
    /// number of series, an infinite value; a channel of a series without an observation; a rectilinear path whose time
    /// channel is none, misses a value or does not increase.
    pub fn new(interpolation: Interpolation, times: &[T], values: &[T], channels: usize) -> Result<Self> {
        check_times(times)?;
        let length = channels * times.len();
        if length == 0 || values.is_empty() || !values.len().is_multiple_of(length) {
            let needed =
                format!("a positive multiple of {length} ({channels} channels × {} times)", times.len());
            return Err(Error::Length { what: "the values of the path", given: values.len(), needed });
        }
        if let Interpolation::Rectilinear { time, before } = interpolation {
            if time >= channels {
                let needed = format!("the path has {channels} channels, counted from 0");
                return Err(Error::invalid("the time channel of a rectilinear path", time, needed));
            }
            Error::check_finite("the value before the first observation", &[before])?;
        }
        let cubic = matches!(interpolation, Interpolation::Hermite | Interpolation::NaturalSpline);
        let rectilinear = matches!(interpolation, Interpolation::Rectilinear { .. });
        let knots: Vec<f64> = match rectilinear {
            true => (0..2 * times.len() - 1).map(|i| i as f64).collect(),
            false => times.iter().map(|t| t.f64()).collect(),
        };
        let (series, degrees) = (values.len() / length, if cubic { 4 } else { 2 });
        let mut path = Self {
            coefficients: vec![T::zero(); (knots.len() - 1) * degrees * channels * series],
            // Where Ẋ may jump, as numbers of knots.
            jumps: Vec::new(),
            knots: knots.iter().map(|t| T::of(*t)).collect(),
            channels,
            series,
            degrees,
        };
        let mut jumps = vec![!cubic; knots.len()];
        for (j, values) in values.chunks_exact(length).enumerate() {
            for c in 0..channels {
                let channel = values[c..].iter().step_by(channels).map(|x| x.f64());
                let (at, x) = observed(interpolation, channel, (c, j))?;
                let t: Vec<f64> = at.iter().map(|i| knots[*i]).collect();
                let (first, last) = (at[0], at[at.len() - 1]);
                (jumps[first], jumps[last]) = (true, true);
                let own = pieces(interpolation, &t, &x);
                let mut piece = 0;
                for (interval, start) in knots.iter().enumerate().take(knots.len() - 1) {
                    let polynomial: Piece = if interval < first {
                        [x[0], 0.0, 0.0, 0.0]
                    } else if interval >= last {
                        [x[x.len() - 1], 0.0, 0.0, 0.0]
                    } else {
                        piece += usize::from(interval >= at[piece + 1]);
                        shifted(own[piece], *start - t[piece])
                    };
                    path.set(interval, (c, j), polynomial);
                }
            }
        }
        let inner = 1..knots.len() - 1;
        path.jumps = inner.filter(|i| jumps[*i]).map(|i| path.knots[i]).collect();
        Ok(path)
    }

    fn set(&mut self, interval: usize, (channel, series): (usize, usize), polynomial: Piece) {
        let block = self.channels * self.series;
        let start = interval * self.degrees * block + series * self.channels + channel;
        for (degree, coefficient) in polynomial.iter().enumerate().take(self.degrees) {
            self.coefficients[start + degree * block] = T::of(*coefficient);
        }
    }

    /// The knots: the times, or the numbers of a rectilinear path's.
    pub fn knots(&self) -> &[T] {
        &self.knots
    }

    /// Knots where Ẋ jumps in some channel: hard stops of a solve.
    pub fn jumps(&self) -> &[T] {
        &self.jumps
    }

    /// The first and the last knot.
    pub fn span(&self) -> [T; 2] {
        [self.knots[0], self.knots[self.knots.len() - 1]]
    }

    /// Rows of X.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Series of the batch.
    pub fn series(&self) -> usize {
        self.series
    }

    /// The interval's coefficients by degree, and t − (its start); the interval that begins at a knot.
    fn interval(&self, t: T) -> (std::slice::ChunksExact<'_, T>, T) {
        let last = self.knots.len() - 2;
        let i = self.knots.partition_point(|k| *k <= t).saturating_sub(1).min(last);
        let size = self.degrees * self.channels * self.series;
        let blocks = self.coefficients[i * size..(i + 1) * size].chunks_exact(self.channels * self.series);
        (blocks, t - self.knots[i])
    }

    /// Σ_d `weight(d, s)` coefficient_d for the first entries of the series.
    fn combine(&self, t: T, out: &mut [T], weight: impl Fn(i32, T) -> T) {
        let (blocks, s) = self.interval(t);
        out.fill(T::zero());
        for (degree, block) in (0..).zip(blocks) {
            let w = weight(degree, s);
            out.iter_mut().zip(block).for_each(|(out, c)| *out = w.mul_add(*c, *out));
        }
    }

    /// `x` ← X(t), `channels × series`, or of the first series that there is room for.
    pub fn value(&self, t: T, x: &mut [T]) {
        self.combine(t, x, |degree, s| s.powi(degree));
    }

    /// `rate` ← Ẋ(t); at a knot that of the piece after it.
    pub fn derivative(&self, t: T, rate: &mut [T]) {
        self.combine(t, rate, |degree, s| match degree {
            0 => T::zero(),
            _ => T::of(degree.into()) * s.powi(degree - 1),
        });
    }

    /// `bend` ← Ẍ(t); at a knot that of the piece after it.
    pub fn second_derivative(&self, t: T, bend: &mut [T]) {
        self.combine(t, bend, |degree, s| match degree {
            0 | 1 => T::zero(),
            _ => T::of((degree * (degree - 1)).into()) * s.powi(degree - 2),
        });
    }
}

fn check_times<T: Real>(times: &[T]) -> Result<()> {
    if times.len() < 2 {
        return Err(Error::invalid("the number of times of a path", times.len(), "at least two are needed"));
    }
    Error::check_finite("the times of the path", times)?;
    if let Some(i) = times.windows(2).position(|t| t[0] >= t[1]) {
        let needed = format!("it must be later than the one before, {}", times[i]);
        return Err(Error::invalid(format!("time {} of the path", i + 1), times[i + 1], needed));
    }
    Ok(())
}

/// Knots and values of a channel's observations; for a rectilinear path, of all its knots.
fn observed(
    kind: Interpolation,
    channel: impl Iterator<Item = f64>,
    (c, j): (usize, usize),
) -> Result<(Vec<usize>, Vec<f64>)> {
    let name = |what: &str| format!("{what} of channel {c} of series {j}");
    let all: Vec<f64> = channel.collect();
    if let Some(bad) = all.iter().find(|x| x.is_infinite()) {
        return Err(Error::invalid(
            name("an observation"),
            bad,
            "it must be finite, or NaN where it is missing",
        ));
    }
    if all.iter().all(|x| x.is_nan()) {
        let needed = "at least one is needed: leave the channel out, or give it a value";
        return Err(Error::invalid(name("the number of observations"), 0, needed));
    }
    let Interpolation::Rectilinear { time, before } = kind else {
        let there = all.iter().copied().enumerate().filter(|(_, x)| !x.is_nan());
        return Ok(there.unzip());
    };
    let mut values = Vec::with_capacity(2 * all.len() - 1);
    if c == time {
        if let Some(i) = all.windows(2).position(|t| t[0].partial_cmp(&t[1]) != Some(Ordering::Less)) {
            let needed = "the times of a rectilinear path increase, and none is missing";
            return Err(Error::invalid(name(&format!("observation {}", i + 1)), all[i + 1], needed));
        }
        values.push(all[0]);
        values.extend(all[1..].iter().flat_map(|t| [*t, *t]));
    } else {
        let mut last = before;
        for x in all {
            values.push(last);
            if !x.is_nan() {
                last = x;
            }
            values.push(last);
        }
        // The value before the first observation is not a knot of its own.
        values.remove(0);
    }
    Ok(((0..values.len()).collect(), values))
}

/// Observations with further channels, `(time, values, counts) × times × series`: what a controlled equation needs to
/// know of irregular data (Kidger et al. 2020, section 3.2): the time itself and, with `counts`, for each channel how
/// many of its observations there have been up to now, divided by the number of times.
///
/// # Errors
/// Values that are not a whole number of series of `channels × times`.
pub fn control_channels<T: Real>(times: &[T], values: &[T], channels: usize, counts: bool) -> Result<Vec<T>> {
    let length = channels * times.len();
    if length == 0 || !values.len().is_multiple_of(length) {
        let needed = format!("a multiple of {length} ({channels} channels × {} times)", times.len());
        return Err(Error::Length { what: "the values", given: values.len(), needed });
    }
    let rows = 1 + channels * (1 + usize::from(counts));
    let mut out = Vec::with_capacity(rows * values.len() / channels);
    let share = T::of(1.0 / times.len() as f64);
    for series in values.chunks_exact(length) {
        let mut seen = vec![T::zero(); if counts { channels } else { 0 }];
        for (t, x) in times.iter().zip(series.chunks_exact(channels)) {
            let there = seen.iter_mut().zip(x).filter(|(_, x)| !x.f64().is_nan());
            there.for_each(|(seen, _)| *seen += share);
            out.push(*t);
            out.extend_from_slice(x);
            out.extend_from_slice(&seen);
        }
    }
    Ok(out)
}
