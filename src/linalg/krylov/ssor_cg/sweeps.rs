//! The passes of an iteration over banded levels.
//!
//! Every level is a loop over whole chunks, its neighbours read from the levels before (or behind) it at a
//! constant shift. A chunk is loaded, computed and stored as local arrays, so that possible overlaps of the slices
//! do not keep the compiler from vectorising. The entries beyond a level's end are set to 0, which is what the
//! levels beside it read there.

use super::bands::{Bands, Couplings};
use super::levels::WIDTH;
use crate::num::{Kernel, Real};

pub(super) type Chunk<T> = [T; WIDTH];

/// The whole chunks of a slice.
#[inline(always)]
fn chunks<T>(x: &[T]) -> &[Chunk<T>] {
    x.as_chunks().0
}

#[inline(always)]
fn chunks_mut<T>(x: &mut [T]) -> &mut [Chunk<T>] {
    x.as_chunks_mut().0
}

/// The neighbours of a level's unknowns, slot by slot, out of the part of x that begins at `from`.
#[inline(always)]
fn neighbours<'a, T, const M: usize>(
    x: &'a [T],
    from: usize,
    starts: &[usize],
    length: usize,
) -> [&'a [Chunk<T>]; M] {
    let mut all: [&[Chunk<T>]; M] = [&[]; M];
    for (all, start) in all.iter_mut().zip(starts) {
        *all = chunks(&x[start - from..][..length]);
    }
    all
}

/// Σ over the slots of coupling · neighbour, at chunk c.
#[inline(always)]
fn coupled<T: Real, C: Couplings<T, M>, const M: usize>(
    couplings: &C,
    x: &[&[Chunk<T>]; M],
    c: usize,
) -> Chunk<T> {
    let mut sum = [T::zero(); WIDTH];
    for (m, x) in x.iter().enumerate() {
        let (weight, x) = (couplings.at(m, c), x[c]);
        for l in 0..WIDTH {
            sum[l] = weight[l].mul_add(x[l], sum[l]);
        }
    }
    sum
}

/// The sum over lanes. Not inlined: partial sums that are stored as a whole stay one vector in the loop before, where
/// the compiler would otherwise take the lanes apart to begin with the additions.
#[inline(never)]
fn sum(lanes: &[f64; WIDTH]) -> f64 {
    lanes.iter().sum()
}

/// 1 where the last chunk of a level holds unknowns, 0 beyond, by the level's length modulo the width. A table and
/// not a comparison, so that a mask is loaded as a vector.
pub(super) fn masks<T: Real>() -> [Chunk<T>; WIDTH] {
    let live = |rest: usize, l: usize| rest == 0 || l < rest;
    std::array::from_fn(|rest| std::array::from_fn(|l| if live(rest, l) { T::one() } else { T::zero() }))
}

/// t ← (I/ω + Lᵀ)⁻¹ p; when `FUSED` after x += α p, p ← r + β p.
pub(super) struct Backward<'a, T, C, const M: usize, const FUSED: bool> {
    pub(super) bands: &'a Bands<T>,
    pub(super) upper: C,
    pub(super) omega: T,
    pub(super) alpha: T,
    pub(super) beta: T,
    pub(super) r: &'a [T],
    pub(super) p: &'a mut [T],
    pub(super) x: &'a mut [T],
    pub(super) t: &'a mut [T],
}

impl<T: Real, C: Couplings<T, M>, const M: usize, const FUSED: bool> Kernel for Backward<'_, T, C, M, FUSED> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { bands, upper, omega, alpha, beta, r, p, x, t } = self;
        for s in (0..bands.levels.count()).rev() {
            let span = bands.levels.span(s);
            let rest = bands.levels.len(s) % WIDTH;
            let (here, behind) = t.split_at_mut(span.end);
            let t = chunks_mut(&mut here[span.start..]);
            let count = t.len();
            let above = neighbours::<T, M>(behind, span.end, bands.above::<M>(s), span.len());
            let upper = upper.level(span.clone());
            let p = &mut chunks_mut(&mut p[span.clone()])[..count];
            let (mut r_here, mut x_here): (&[Chunk<T>], &mut [Chunk<T>]) = (&[], &mut []);
            if FUSED {
                r_here = &chunks(&r[span.clone()])[..count];
                x_here = &mut chunks_mut(&mut x[span])[..count];
            }
            for c in 0..count {
                let mask = bands.masks[if c + 1 == count { rest } else { 0 }];
                let sum = coupled(&upper, &above, c);
                let mut direction = p[c];
                if FUSED {
                    let (r, mut x) = (r_here[c], x_here[c]);
                    for l in 0..WIDTH {
                        x[l] = alpha.mul_add(direction[l], x[l]);
                        direction[l] = beta.mul_add(direction[l], r[l]);
                    }
                    x_here[c] = x;
                    p[c] = direction;
                }
                let mut new = [T::zero(); WIDTH];
                for l in 0..WIDTH {
                    new[l] = mask[l] * (omega * (direction[l] - sum[l]));
                }
                t[c] = new;
            }
        }
    }
}

/// w ← (I/ω + L)⁻¹ (p + (1 − 2/ω) t); returns p·(t + w).
pub(super) struct Forward<'a, T, C, const M: usize> {
    pub(super) bands: &'a Bands<T>,
    pub(super) lower: C,
    pub(super) omega: T,
    pub(super) p: &'a [T],
    pub(super) t: &'a [T],
    pub(super) w: &'a mut [T],
}

impl<T: Real, C: Couplings<T, M>, const M: usize> Kernel for Forward<'_, T, C, M> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let Self { bands, lower, omega, p, t, w } = self;
        let middle = omega - T::of(2.0);
        let mut total = [0.0; WIDTH];
        for s in 0..bands.levels.count() {
            let span = bands.levels.span(s);
            let rest = bands.levels.len(s) % WIDTH;
            let (before, here) = w.split_at_mut(span.start);
            let w = chunks_mut(&mut here[..span.len()]);
            let count = w.len();
            let below = neighbours::<T, M>(before, 0, bands.below::<M>(s), span.len());
            let lower = lower.level(span.clone());
            let (p, t) = (&chunks(&p[span.clone()])[..count], &chunks(&t[span])[..count]);
            for c in 0..count {
                let mask = bands.masks[if c + 1 == count { rest } else { 0 }];
                let (sum, p, t) = (coupled(&lower, &below, c), p[c], t[c]);
                let mut new = [T::zero(); WIDTH];
                for l in 0..WIDTH {
                    new[l] = mask[l] * omega.mul_add(p[l] - sum[l], middle * t[l]);
                    total[l] = p[l].f64().mul_add((t[l] + new[l]).f64(), total[l]);
                }
                w[c] = new;
            }
        }
        sum(&total)
    }
}

/// r ← r − α (t + w); returns ‖r‖² and ‖D^½ (I/ω + L) r‖², the square of the residual of A.
pub(super) struct Update<'a, T, C, const M: usize> {
    pub(super) bands: &'a Bands<T>,
    pub(super) lower: C,
    pub(super) omega: T,
    pub(super) alpha: T,
    pub(super) t: &'a [T],
    pub(super) w: &'a [T],
    pub(super) r: &'a mut [T],
}

impl<T: Real, C: Couplings<T, M>, const M: usize> Kernel for Update<'_, T, C, M> {
    type Output = [f64; 2];
    #[inline(always)]
    fn run(self) -> [f64; 2] {
        let Self { bands, lower, omega, alpha, t, w, r } = self;
        let inverse = T::one() / omega;
        let (mut squares, mut residual) = ([0.0; WIDTH], [0.0; WIDTH]);
        for s in 0..bands.levels.count() {
            let span = bands.levels.span(s);
            let rest = bands.levels.len(s) % WIDTH;
            let (before, here) = r.split_at_mut(span.start);
            let r = chunks_mut(&mut here[..span.len()]);
            let count = r.len();
            let below = neighbours::<T, M>(before, 0, bands.below::<M>(s), span.len());
            let lower = lower.level(span.clone());
            let (t, w) = (&chunks(&t[span.clone()])[..count], &chunks(&w[span])[..count]);
            for c in 0..count {
                let mask = bands.masks[if c + 1 == count { rest } else { 0 }];
                let (sum, diagonal) = (coupled(&lower, &below, c), lower.diagonal(c));
                let (t, w, mut new) = (t[c], w[c], r[c]);
                for l in 0..WIDTH {
                    new[l] = (-alpha).mul_add(t[l] + w[l], new[l]);
                    squares[l] = new[l].f64().mul_add(new[l].f64(), squares[l]);
                    let scaled = mask[l] * inverse.mul_add(new[l], sum[l]);
                    residual[l] = (diagonal[l] * scaled).f64().mul_add(scaled.f64(), residual[l]);
                }
                r[c] = new;
            }
        }
        [sum(&squares), sum(&residual)]
    }
}
