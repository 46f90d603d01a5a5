//! Fields into padded runs, and the adjoint.

use super::geometry::{Geometry, NONE};
use crate::num::{Kernel, Real, dispatch};

/// `runs` ← the phases of the padded channels of `x`, one run for each channel and phase.
pub(super) struct PackLarge<'a, T> {
    pub geometry: &'a Geometry,
    pub x: &'a [T],
    pub runs: &'a mut [T],
}

impl<T: Real> PackLarge<'_, T> {
    pub fn pack(self) {
        dispatch(self);
    }
}

impl<T: Real> Kernel for PackLarge<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let g = self.geometry;
        let [nx, ny, nz] = g.large;
        let (width, rows, phases) = (g.strides[0], g.strides[1] / g.strides[0], g.phases());
        let channels = self.x.chunks_exact(nx * ny * nz).zip(self.runs.chunks_exact_mut(phases * g.run));
        for (channel, runs) in channels.take(g.inputs) {
            for (number, run) in runs.chunks_exact_mut(g.run).enumerate() {
                let line = Line::new(g, number, [nx, width]);
                for (z, plane) in run.chunks_mut(width * rows).enumerate() {
                    let z = source_of(g, 2, z, line.phase[2]);
                    for (y, to) in plane.chunks_mut(width).enumerate() {
                        // What is left after the last whole line is slack.
                        let y = source_of(g, 1, y, line.phase[1]).filter(|_| to.len() == width);
                        match y.zip(z) {
                            Some((y, z)) => line.pack(&channel[(z * ny + y) * nx..][..nx], to),
                            None => to.fill(T::zero()),
                        }
                    }
                }
            }
        }
    }
}

/// The parts of a phase's number.
fn phase(g: &Geometry, number: usize) -> [usize; 3] {
    let [sx, sy, _] = g.stride;
    [number % sx, number / sx % sy, number / (sx * sy)]
}

/// The coordinate that point q of a phase shows.
#[inline(always)]
fn source_of(g: &Geometry, axis: usize, q: usize, phase: usize) -> Option<usize> {
    let map = &g.maps[axis];
    let at = q * g.stride[axis] + phase;
    map.get(at).filter(|m| **m != NONE).map(|m| *m as usize)
}

/// How the lines of a phase along the first axis follow from rows of the field, the same for all of them.
struct Line<'a> {
    map: &'a [u32],
    stride: usize,
    phase: [usize; 3],
    /// The points without padding: where they begin in the line and in the row, and how many there are.
    inner: [usize; 3],
}

impl<'a> Line<'a> {
    /// For rows and lines of these lengths.
    fn new(g: &'a Geometry, number: usize, [row, line]: [usize; 2]) -> Self {
        let phase = phase(g, number);
        let (low, stride) = (g.low[0], g.stride[0]);
        let first = low.saturating_sub(phase[0]).div_ceil(stride).min(line);
        let start = (first * stride + phase[0]).saturating_sub(low).min(row);
        let count = (row - start).div_ceil(stride).min(line - first);
        Self { map: &g.maps[0], stride, phase, inner: [first, start, count] }
    }

    /// The place in the row that point q of the line shows.
    #[inline(always)]
    fn source(&self, q: usize) -> Option<usize> {
        let at = self.map.get(q * self.stride + self.phase[0]);
        at.filter(|m| **m != NONE).map(|m| *m as usize)
    }

    #[inline(always)]
    fn pack<T: Real>(&self, row: &[T], to: &mut [T]) {
        let [first, start, count] = self.inner;
        let kept = &mut to[first..first + count];
        match self.stride {
            1 => kept.copy_from_slice(&row[start..start + count]),
            // Pairs, so that it is vectorised.
            2 => {
                let (pairs, rest) = row[start..].as_chunks::<2>();
                kept.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
                kept.iter_mut().skip(pairs.len()).zip(rest).for_each(|(to, v)| *to = *v);
            }
            stride => {
                kept.iter_mut().zip(row[start..].iter().step_by(stride)).for_each(|(to, v)| *to = *v);
            }
        }
        for (q, to) in to.iter_mut().enumerate().take(first) {
            *to = self.source(q).map_or(T::zero(), |at| row[at]);
        }
        for (q, to) in to.iter_mut().enumerate().skip(first + count) {
            *to = self.source(q).map_or(T::zero(), |at| row[at]);
        }
    }

    /// ACCUMULATES: the adjoint of [`pack`](Self::pack).
    #[inline(always)]
    fn fold<T: Real>(&self, line: &[T], to: &mut [T]) {
        let [first, start, count] = self.inner;
        let kept = &line[first..first + count];
        match self.stride {
            2 => {
                let (pairs, rest) = to[start..].as_chunks_mut::<2>();
                let whole = pairs.len();
                pairs.iter_mut().zip(kept).for_each(|(pair, v)| pair[0] += *v);
                rest.iter_mut().zip(kept.iter().skip(whole)).for_each(|(to, v)| *to += *v);
            }
            stride => to[start..].iter_mut().step_by(stride).zip(kept).for_each(|(to, v)| *to += *v),
        }
        for q in (0..first).chain(first + count..line.len()) {
            if let Some(at) = self.source(q) {
                to[at] += line[q];
            }
        }
    }
}

/// `runs` ← the channels of `y` amid zeros.
pub(super) struct PackSmall<'a, T> {
    pub geometry: &'a Geometry,
    pub y: &'a [T],
    pub runs: &'a mut [T],
}

impl<T: Real> PackSmall<'_, T> {
    pub fn pack(self) {
        dispatch(self);
    }
}

impl<T: Real> Kernel for PackSmall<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let g = self.geometry;
        let (lead, rows) = (g.lead_in(), &g.small_rows);
        let channels = self.y.chunks_exact(rows.points());
        for (channel, run) in channels.zip(self.runs.chunks_exact_mut(g.run)) {
            // The gaps between rows, not the rows, which are written next.
            let mut at = 0;
            for (row, &flat) in channel.chunks_exact(rows.length).zip(&rows.flat) {
                let start = lead + flat;
                run[at..start].fill(T::zero());
                at = start + rows.length;
                run[start..at].copy_from_slice(row);
            }
            run[at..].fill(T::zero());
        }
    }
}

/// ACCUMULATES: `x` += the adjoint of padding and phases, from the dense fields of one phase
/// (`geometry.domain` points a channel).
pub(super) struct Fold<'a, T> {
    pub geometry: &'a Geometry,
    pub phase: usize,
    pub fields: &'a [T],
    pub x: &'a mut [T],
}

impl<T: Real> Fold<'_, T> {
    pub fn fold(self) {
        dispatch(self);
    }
}

impl<T: Real> Kernel for Fold<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let g = self.geometry;
        let [nx, ny, nz] = g.large;
        let [dx, dy, dz] = g.domain;
        let line = Line::new(g, self.phase, [nx, dx]);
        let channels = self.x.chunks_exact_mut(nx * ny * nz);
        for (field, channel) in self.fields.chunks_exact(dx * dy * dz).zip(channels) {
            for (z, plane) in field.chunks_exact(dx * dy).enumerate() {
                let z = source_of(g, 2, z, line.phase[2]);
                for (y, from) in plane.chunks_exact(dx).enumerate() {
                    if let Some((y, z)) = source_of(g, 1, y, line.phase[1]).zip(z) {
                        line.fold(from, &mut channel[(z * ny + y) * nx..][..nx]);
                    }
                }
            }
        }
    }
}
