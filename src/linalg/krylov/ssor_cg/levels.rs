//! [`Levels`]: the unknowns ordered so that those of a level do not see each other.
//!
//! Level scheduling (Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., §11.6): unknown i is on
//! level 1 + max over its lower neighbours. On a grid with the 5-point stencil the levels are the diagonals
//! i + j = s. A sweep in this order computes what the natural order does, in loops without dependences.

use crate::num::Real;

/// Entries of a chunk: what a level is processed in.
pub(super) const WIDTH: usize = 8;

/// Where each unknown stands in the vectors of a sweep: level after level, each from its base on, with room
/// behind it that stays 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels {
    /// The unknowns, level after level.
    order: Vec<u32>,
    /// Where each level starts in `order`, and the end.
    starts: Vec<u32>,
    /// Where each level starts in the vectors.
    bases: Vec<usize>,
    places: usize,
}

impl Levels {
    /// From the unknowns level after level, and where each level starts (the end included).
    pub(super) fn new(order: Vec<u32>, starts: Vec<u32>) -> Self {
        let chunks = |s: usize| (starts[s + 1] - starts[s]).div_ceil(WIDTH as u32) as usize;
        let count = starts.len() - 1;
        let widest = (0..count).map(chunks).max().unwrap_or(0);
        // Levels read the neighbouring ones shifted by an entry, in whole chunks of their own number.
        let mut at = WIDTH * (widest + 1);
        let mut bases = Vec::with_capacity(count);
        for s in 0..count {
            bases.push(at);
            let beside = s.saturating_sub(1)..(s + 2).min(count);
            at += WIDTH * (beside.map(chunks).max().unwrap_or(0) + 1);
        }
        Self { order, starts, bases, places: at + WIDTH * (widest + 1) }
    }

    /// The length of the vectors.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    pub(super) fn count(&self) -> usize {
        self.bases.len()
    }

    /// The unknowns of a level.
    pub(super) fn unknowns(&self, s: usize) -> &[u32] {
        &self.order[self.starts[s] as usize..self.starts[s + 1] as usize]
    }

    /// Where a level starts in the vectors.
    #[inline(always)]
    pub(super) fn base(&self, s: usize) -> usize {
        self.bases[s]
    }

    /// The number of a level's unknowns.
    #[inline(always)]
    pub(super) fn len(&self, s: usize) -> usize {
        (self.starts[s + 1] - self.starts[s]) as usize
    }

    /// The places that a level is processed in: whole chunks.
    #[inline(always)]
    pub(super) fn span(&self, s: usize) -> std::ops::Range<usize> {
        self.bases[s]..self.bases[s] + self.len(s).next_multiple_of(WIDTH)
    }

    /// `to[place]` ← `from[unknown]` · scale(place).
    #[inline(always)]
    pub(super) fn enter<T: Real>(&self, from: &[T], scale: impl Fn(usize) -> T, to: &mut [T]) {
        for s in 0..self.count() {
            let base = self.bases[s];
            let unknowns = self.unknowns(s);
            for (k, (&i, to)) in unknowns.iter().zip(&mut to[base..base + unknowns.len()]).enumerate() {
                *to = from[i as usize] * scale(base + k);
            }
        }
    }

    /// ACCUMULATES: `to[unknown]` += `from[place]` · scale(place).
    #[inline(always)]
    pub(super) fn leave<T: Real>(&self, from: &[T], scale: impl Fn(usize) -> T, to: &mut [T]) {
        for s in 0..self.count() {
            let base = self.bases[s];
            let unknowns = self.unknowns(s);
            for (k, (&i, &from)) in unknowns.iter().zip(&from[base..base + unknowns.len()]).enumerate() {
                let to = &mut to[i as usize];
                *to = scale(base + k).mul_add(from, *to);
            }
        }
    }
}
