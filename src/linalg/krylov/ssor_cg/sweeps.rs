//! The passes of an iteration over banded levels.
//!
//! Every level is a loop over whole chunks, its neighbours read from the levels before (or behind) it at a
//! constant shift, so that the compiler vectorises it; the entries beyond a level's end are set to 0, which
//! is what the levels beside it read there.

use super::bands::{Bands, Couplings};
use super::levels::WIDTH;
use crate::num::{Kernel, Real};

type Chunk<T> = [T; WIDTH];

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
    std::array::from_fn(|m| chunks(&x[starts[m] - from..][..length]))
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
        let (weight, x) = (couplings.at(m, c), &x[c]);
        for l in 0..WIDTH {
            sum[l] = weight[l].mul_add(x[l], sum[l]);
        }
    }
    sum
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
            let (length, live) = (span.len(), bands.levels.len(s));
            let (here, behind) = t.split_at_mut(span.end);
            let t = chunks_mut(&mut here[span.start..]);
            let above = neighbours::<T, M>(behind, span.end, bands.above::<M>(s), length);
            let upper = upper.level(span.clone());
            let p = chunks_mut(&mut p[span.clone()]);
            let (r, x) = if FUSED {
                (chunks(&r[span.clone()]), chunks_mut(&mut x[span]))
            } else {
                (&[][..], &mut [][..])
            };
            for c in 0..t.len() {
                if FUSED {
                    for l in 0..WIDTH {
                        x[c][l] = alpha.mul_add(p[c][l], x[c][l]);
                        p[c][l] = beta.mul_add(p[c][l], r[c][l]);
                    }
                }
                let sum = coupled(&upper, &above, c);
                for l in 0..WIDTH {
                    let value = omega * (p[c][l] - sum[l]);
                    t[c][l] = if c * WIDTH + l < live { value } else { T::zero() };
                }
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
            let (length, live) = (span.len(), bands.levels.len(s));
            let (before, here) = w.split_at_mut(span.start);
            let w = chunks_mut(&mut here[..length]);
            let below = neighbours::<T, M>(before, 0, bands.below::<M>(s), length);
            let lower = lower.level(span.clone());
            let (p, t) = (chunks(&p[span.clone()]), chunks(&t[span]));
            for c in 0..w.len() {
                let sum = coupled(&lower, &below, c);
                for l in 0..WIDTH {
                    let value = omega.mul_add(p[c][l] - sum[l], middle * t[c][l]);
                    let value = if c * WIDTH + l < live { value } else { T::zero() };
                    w[c][l] = value;
                    total[l] = p[c][l].f64().mul_add((t[c][l] + value).f64(), total[l]);
                }
            }
        }
        total.iter().sum()
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
            let length = span.len();
            let live = bands.levels.len(s);
            let (before, here) = r.split_at_mut(span.start);
            let r = chunks_mut(&mut here[..length]);
            let below = neighbours::<T, M>(before, 0, bands.below::<M>(s), length);
            let lower = lower.level(span.clone());
            let (t, w) = (chunks(&t[span.clone()]), chunks(&w[span]));
            for c in 0..r.len() {
                let sum = coupled(&lower, &below, c);
                let diagonal = lower.diagonal(c);
                for l in 0..WIDTH {
                    let value = (-alpha).mul_add(t[c][l] + w[c][l], r[c][l]);
                    r[c][l] = value;
                    squares[l] = value.f64().mul_add(value.f64(), squares[l]);
                    let scaled = inverse.mul_add(value, sum[l]);
                    let scaled = if c * WIDTH + l < live { scaled } else { T::zero() };
                    residual[l] = (diagonal[l] * scaled).f64().mul_add(scaled.f64(), residual[l]);
                }
            }
        }
        [squares.iter().sum(), residual.iter().sum()]
    }
}
