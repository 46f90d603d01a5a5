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
        let (rows, phases) = (g.strides[1] / g.strides[0], g.phases());
        let runs = self.runs.chunks_exact_mut(g.run);
        for (number, run) in runs.take(g.inputs * phases).enumerate() {
            let channel = &self.x[number / phases * nx * ny * nz..][..nx * ny * nz];
            let f = phase(g, number % phases);
            let used = run.len() / g.strides[0] * g.strides[0];
            let (lines, slack) = run.split_at_mut(used);
            slack.fill(T::zero());
            for (line, to) in lines.chunks_exact_mut(g.strides[0]).enumerate() {
                let source = [line % rows, line / rows];
                let y = source_of(g, 1, source[0], f[1]);
                let z = source_of(g, 2, source[1], f[2]);
                match (y, z) {
                    (Some(y), Some(z)) => {
                        let row = &channel[(z * ny + y) * nx..][..nx];
                        pack_row(&g.maps[0], [g.low[0], g.stride[0], f[0]], row, to);
                    }
                    _ => to.fill(T::zero()),
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

#[inline(always)]
fn pack_row<T: Real>(map: &[u32], [low, stride, phase]: [usize; 3], row: &[T], to: &mut [T]) {
    let value = |at: usize| match map.get(at) {
        Some(&m) if m != NONE => row[m as usize],
        _ => T::zero(),
    };
    if stride > 1 {
        for (q, to) in to.iter_mut().enumerate() {
            *to = value(q * stride + phase);
        }
        return;
    }
    let high = low + row.len();
    let kept = row.len().min(to.len() - low);
    to[low..low + kept].copy_from_slice(&row[..kept]);
    for (at, to) in to.iter_mut().enumerate().take(low) {
        *to = value(at);
    }
    for (at, to) in to.iter_mut().enumerate().skip(high) {
        *to = value(at);
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
/// (`g.domain` points a channel).
pub(super) fn fold<T: Real>(g: &Geometry, number: usize, fields: &[T], x: &mut [T]) {
    let [nx, ny, nz] = g.large;
    let [dx, dy, dz] = g.domain;
    let f = phase(g, number);
    let channels = x.chunks_exact_mut(nx * ny * nz);
    for (field, channel) in fields.chunks_exact(dx * dy * dz).zip(channels) {
        for (line, row) in field.chunks_exact(dx).enumerate() {
            let (y, z) = (source_of(g, 1, line % dy, f[1]), source_of(g, 2, line / dy, f[2]));
            let (Some(y), Some(z)) = (y, z) else { continue };
            let to = &mut channel[(z * ny + y) * nx..][..nx];
            for (q, v) in row.iter().enumerate() {
                if let Some(at) = source_of(g, 0, q, f[0]) {
                    to[at] += *v;
                }
            }
        }
    }
}
