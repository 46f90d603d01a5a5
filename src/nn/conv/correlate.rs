//! The gradient for the weights: g_{jτ} = Σ_p small_j[p] large[start_τ + p], as sixteen chains a
//! number, one for each residue of p.

use super::geometry::STRIP;
use crate::num::{Kernel, Real, dispatch, register_bytes};

/// Strips of a chunk: a tile's small runs stay in the first-level cache while all terms pass. A field of
/// 32² with a row of padding is one.
const CHUNK: usize = 72;

/// Outputs and terms of a tile.
fn tile_shape<T>() -> [usize; 2] {
    let width = register_bytes();
    match (STRIP * size_of::<T>() / width, width) {
        (1, _) => [4, 6],
        (2, 64) => [2, 6],
        (2, _) => [2, 3],
        _ => [1, 3],
    }
}

/// Outputs of a tile: what the outputs are best cut at.
pub(super) fn block<T>() -> usize {
    tile_shape::<T>()[0]
}

/// Some outputs of one sample.
pub(super) struct Correlate<'a, T> {
    pub large: &'a [T],
    pub starts: &'a [usize],
    /// The small runs of these outputs from the first point on, `run` apart.
    pub small: &'a [T],
    pub run: usize,
    /// Strips that hold all points.
    pub strips: usize,
    /// Memory for the chains of a block of outputs.
    pub lanes: &'a mut [[T; STRIP]],
    /// A sum for each output and term, overwritten.
    pub sums: &'a mut [T],
}

impl<T: Real> Correlate<'_, T> {
    pub fn compute(self) {
        match tile_shape::<T>() {
            [4, _] => dispatch(Tiles::<T, 4, 6>(self)),
            [2, 6] => dispatch(Tiles::<T, 2, 6>(self)),
            [2, _] => dispatch(Tiles::<T, 2, 3>(self)),
            _ => dispatch(Tiles::<T, 1, 3>(self)),
        }
    }
}

struct Tiles<'a, T, const J: usize, const N: usize>(Correlate<'a, T>);

impl<T: Real, const J: usize, const N: usize> Kernel for Tiles<'_, T, J, N> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let terms = self.0.starts.len();
        let outputs = self.0.sums.len() / terms;
        let mut all = self.0;
        let mut j = 0;
        while j + J <= outputs {
            all.block::<J, N>(j);
            j += J;
        }
        while j < outputs {
            all.block::<1, N>(j);
            j += 1;
        }
    }
}

impl<T: Real> Correlate<'_, T> {
    /// `J` outputs from `j` on, chunk by chunk.
    #[inline(always)]
    fn block<const J: usize, const N: usize>(&mut self, j: usize) {
        let Self { large, starts, small, run, strips, .. } = *self;
        let terms = starts.len();
        let (small, lanes) = (&small[j * run..], &mut self.lanes[..J * terms]);
        let mut at = 0;
        while at < strips {
            let count = CHUNK.min(strips - at);
            Piece { large, starts, small, run, at, count }.terms::<J, N>(lanes);
            at += count;
        }
        for (sum, lanes) in self.sums[j * terms..].iter_mut().zip(lanes.iter()) {
            *sum = total(lanes);
        }
    }
}

/// `count` strips from strip `at` on.
struct Piece<'a, T> {
    large: &'a [T],
    starts: &'a [usize],
    small: &'a [T],
    run: usize,
    at: usize,
    count: usize,
}

impl<T: Real> Piece<'_, T> {
    /// All terms for `J` outputs; the first piece begins the chains.
    #[inline(always)]
    fn terms<const J: usize, const N: usize>(&self, lanes: &mut [[T; STRIP]]) {
        let terms = self.starts.len();
        let mut t = 0;
        while t + N <= terms {
            self.tile::<J, N>(t, lanes);
            t += N;
        }
        while t < terms {
            self.tile::<J, 1>(t, lanes);
            t += 1;
        }
    }

    #[inline(always)]
    fn tile<const J: usize, const N: usize>(&self, t: usize, lanes: &mut [[T; STRIP]]) {
        let (terms, from, length) = (self.starts.len(), self.at * STRIP, self.count * STRIP);
        let mut ys: [&[[T; STRIP]]; J] = [&[]; J];
        for (q, y) in ys.iter_mut().enumerate() {
            *y = &self.small[q * self.run + from..][..length].as_chunks().0[..self.count];
        }
        let mut xs: [&[[T; STRIP]]; N] = [&[]; N];
        for (x, start) in xs.iter_mut().zip(&self.starts[t..]) {
            *x = &self.large[start + from..][..length].as_chunks().0[..self.count];
        }
        let mut sums = [[[T::of(0.0); STRIP]; N]; J];
        if self.at > 0 {
            for (q, sums) in sums.iter_mut().enumerate() {
                sums.copy_from_slice(&lanes[q * terms + t..][..N]);
            }
        }
        for i in 0..self.count {
            let mut y = [[T::of(0.0); STRIP]; J];
            for (y, ys) in y.iter_mut().zip(ys) {
                *y = ys[i];
            }
            for n in 0..N {
                let x = xs[n][i];
                for q in 0..J {
                    for l in 0..STRIP {
                        sums[q][n][l] = x[l].mul_add(y[q][l], sums[q][n][l]);
                    }
                }
            }
        }
        for (q, sums) in sums.iter().enumerate() {
            lanes[q * terms + t..][..N].copy_from_slice(sums);
        }
    }
}

/// The sum of sixteen chains.
#[inline(always)]
fn total<T: Real>(lanes: &[T; STRIP]) -> T {
    let mut sums = *lanes;
    let mut half = STRIP / 2;
    while half > 0 {
        for l in 0..half {
            let other = sums[l + half];
            sums[l] += other;
        }
        half /= 2;
    }
    sums[0]
}

/// The sum of a field, in sixteen chains.
pub(super) fn sum<T: Real>(field: &[T]) -> T {
    dispatch(Sum(field))
}

struct Sum<'a, T>(&'a [T]);

impl<T: Real> Kernel for Sum<'_, T> {
    type Output = T;
    #[inline(always)]
    fn run(self) -> T {
        let (strips, rest) = self.0.as_chunks::<STRIP>();
        let mut lanes = [T::zero(); STRIP];
        for strip in strips {
            for l in 0..STRIP {
                lanes[l] += strip[l];
            }
        }
        for (lane, v) in lanes.iter_mut().zip(rest) {
            *lane += *v;
        }
        total(&lanes)
    }
}
