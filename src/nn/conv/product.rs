//! Sums of weighted shifted runs: y_j[p] = b_j + Σ_τ w_{jτ} source[start_τ + p].

use super::geometry::{Rows, STRIP};
use crate::num::{Kernel, Real, dispatch, register_bytes};

/// Strips and outputs of a tile: 24 accumulators where there are 32 registers, 12 where there are 16.
pub(super) fn tile_shape<T>() -> [usize; 2] {
    let width = register_bytes();
    match (STRIP * size_of::<T>() / width, width) {
        (1, _) => [4, 6],
        (2, 64) => [2, 6],
        (2, _) => [1, 6],
        _ => [1, 3],
    }
}

/// Some outputs of one sample: as many as `target` has fields for, whole blocks but for the last.
pub(super) struct ShiftedSums<'a, T> {
    pub source: &'a [T],
    pub starts: &'a [usize],
    /// Those of each output in the order of `starts`, output by output. (Put side by side for the outputs
    /// of a tile, LLVM would vectorise over them and not over the run.)
    pub weights: &'a [T],
    pub bias: Option<&'a [T]>,
    pub rows: &'a Rows,
    /// Dense fields, one after the other.
    pub target: &'a mut [T],
}

impl<T: Real> ShiftedSums<'_, T> {
    pub fn compute(mut self) {
        // A tap that no phase has leaves nothing to add.
        if self.starts.is_empty() {
            let points = self.rows.points();
            for (j, field) in self.target.chunks_exact_mut(points).enumerate() {
                field.fill(self.bias.map_or(T::zero(), |b| b[j]));
            }
            return;
        }
        match tile_shape::<T>() {
            [4, _] => dispatch(Tiles::<T, 4, 6>(&mut self)),
            [2, _] => dispatch(Tiles::<T, 2, 6>(&mut self)),
            [_, 6] => dispatch(Tiles::<T, 1, 6>(&mut self)),
            _ => dispatch(Tiles::<T, 1, 3>(&mut self)),
        }
    }
}

struct Tiles<'a, 'b, T, const V: usize, const K: usize>(&'a mut ShiftedSums<'b, T>);

impl<T: Real, const V: usize, const K: usize> Kernel for Tiles<'_, '_, T, V, K> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let all = self.0;
        let strips = all.rows.first.len();
        let mut s = 0;
        while s + V <= strips {
            outputs::<T, V, K>(all, s * STRIP);
            s += V;
        }
        while s < strips {
            outputs::<T, 1, K>(all, s * STRIP);
            s += 1;
        }
    }
}

/// All outputs on `V` strips from `p` on.
#[inline(always)]
fn outputs<T: Real, const V: usize, const K: usize>(all: &mut ShiftedSums<'_, T>, p: usize) {
    let rows = all.rows;
    let first = rows.first[p / STRIP];
    if rows.flat[first] >= p + V * STRIP {
        return;
    }
    let (points, count) = (rows.points(), all.starts.len());
    let mut place = [[[T::of(0.0); STRIP]; V]; K];
    let place = place.as_flattened_mut().as_flattened_mut();
    let blocks = all.target.chunks_mut(K * points).zip(all.weights.chunks(K * count));
    for (b, (target, weights)) in blocks.enumerate() {
        let bias = all.bias.map(|bias| &bias[b * K..]);
        let tile = Tile { source: all.source, starts: all.starts, weights, bias, rows, p };
        match target.len() / points {
            here if here == K => tile.write::<V, K>(place, target),
            5 => tile.write::<V, 5>(place, target),
            4 => tile.write::<V, 4>(place, target),
            3 => tile.write::<V, 3>(place, target),
            2 => tile.write::<V, 2>(place, target),
            _ => tile.write::<V, 1>(place, target),
        }
    }
}

struct Tile<'a, T> {
    source: &'a [T],
    starts: &'a [usize],
    weights: &'a [T],
    bias: Option<&'a [T]>,
    rows: &'a Rows,
    p: usize,
}

impl<T: Real> Tile<'_, T> {
    #[inline(always)]
    fn write<const V: usize, const K: usize>(self, place: &mut [T], target: &mut [T]) {
        self.sums::<V, K>(place);
        for (k, field) in target.chunks_exact_mut(self.rows.points()).enumerate() {
            self.rows.scatter::<T, V>(self.p, &place[k * V * STRIP..], field);
        }
    }

    /// The sums into `place`: an array of their own would be addressed by variables there, and so not
    /// live in registers.
    #[inline(always)]
    fn sums<const V: usize, const K: usize>(&self, place: &mut [T]) {
        let mut sums = [[[T::of(0.0); STRIP]; V]; K];
        if let Some(bias) = self.bias {
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = [[bias[k]; STRIP]; V];
            }
        }
        let count = self.starts.len();
        let mut weights: [&[T]; K] = [&[]; K];
        for (k, row) in weights.iter_mut().enumerate() {
            *row = &self.weights[k * count..][..count];
        }
        for (t, &start) in self.starts.iter().enumerate() {
            let run = self.source[start + self.p..][..STRIP * V].as_chunks::<STRIP>().0;
            let mut x = [[T::of(0.0); STRIP]; V];
            for (x, run) in x.iter_mut().zip(run) {
                *x = *run;
            }
            for k in 0..K {
                let w = weights[k][t];
                for v in 0..V {
                    for l in 0..STRIP {
                        sums[k][v][l] = x[v][l].mul_add(w, sums[k][v][l]);
                    }
                }
            }
        }
        for (k, sum) in sums.iter().enumerate() {
            for (v, sum) in sum.iter().enumerate() {
                place[(k * V + v) * STRIP..][..STRIP].copy_from_slice(sum);
            }
        }
    }
}
