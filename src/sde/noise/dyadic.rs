//! The dyadic intervals of a span and the cut of any interval into them: what the two evaluators of the
//! Brownian tree share.
//!
//! With the depth d, key k ∈ 0..=2^d stands for the time t₀ + k T 2^−d. Node i of level ℓ is the interval
//! of keys [i 2^(d−ℓ), (i+1) 2^(d−ℓ)) and has the number 2^ℓ + i; number 0 is the root's own pair, and
//! the pair of a node is what splits it. So a node's value depends on seed and number only, never on d.
//!
//! An interval of keys [a, b) that is a node has the node's value. Otherwise its lowest common node has a
//! midpoint between a and b. The nodes that make up [a, b) hang off the path from there to a, and then
//! off the path to b; they are joined in that order, from the midpoint outwards. A value is never a
//! difference of two values at times, so a short interval is as exact as a long one.

use crate::error::{Error, Result};
use crate::num::Real;

use super::streams::check_span;

/// Deepest tree: keys are exact in `f64`, node numbers leave the highest byte of an id free.
pub(super) const DEEPEST: u32 = 52;

/// A span cut into 2^d cells.
#[derive(Clone, Debug)]
pub(super) struct Dyadic<T> {
    span: [T; 2],
    start: f64,
    length: f64,
    depth: u32,
    /// Cells per time.
    density: f64,
    /// √ of the length of a node of each level.
    roots: Vec<f64>,
}

/// 2^k for k < 1024, without the conversion of an integer, which is slow.
#[inline(always)]
fn power(k: u32) -> f64 {
    f64::from_bits(u64::from(k + 1023) << 52)
}

impl<T: Real> Dyadic<T> {
    /// Cells no longer than `resolution`, or the shortest that times of type T can tell apart.
    pub(super) fn new(span: [T; 2], resolution: Option<T>) -> Result<Self> {
        check_span(span)?;
        let [start, end] = span.map(T::f64);
        let length = end - start;
        let spacing = T::EPSILON.f64() * start.abs().max(end.abs()).log2().floor().exp2();
        // Keys whose time maps back to them: cells of at least four spacings of numbers.
        let finest = (length / (4.0 * spacing)).log2().floor().min(f64::from(DEEPEST));
        if !(length.is_finite() && finest >= 0.0) {
            let needed = format!("times of type {} there are {spacing:e} apart: it must be longer", T::NAME);
            return Err(Error::invalid("the length of the span of a Brownian tree", length, needed));
        }
        let depth = match resolution.map(T::f64) {
            None => finest,
            Some(resolution) if resolution > 0.0 => {
                let depth = (length / resolution).log2().ceil().max(0.0);
                if depth > finest {
                    let smallest = length / finest.exp2();
                    let needed = format!(
                        "it must be at least {smallest:e} on this span, whose times are {spacing:e} apart in {}",
                        T::NAME
                    );
                    return Err(Error::invalid(
                        "the resolution of a Brownian tree",
                        format!("{resolution:e}"),
                        needed,
                    ));
                }
                depth
            }
            Some(resolution) => {
                let needed =
                    "it must be positive: the shortest interval to be asked, well below the smallest step";
                return Err(Error::invalid(
                    "the resolution of a Brownian tree",
                    format!("{resolution:e}"),
                    needed,
                ));
            }
        } as u32;
        let root = |level| (length / power(level)).sqrt();
        let roots = (0..=depth).map(root).collect();
        Ok(Self { span, start, length, depth, density: power(depth) / length, roots })
    }

    /// d.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// √ of the length of a node.
    #[inline(always)]
    pub(super) fn root(&self, level: u32) -> f64 {
        self.roots[level as usize]
    }

    /// The length of a cell, T 2^−d.
    pub(super) fn cell(&self) -> f64 {
        self.length / power(self.depth)
    }

    #[inline(always)]
    fn time(&self, key: u64) -> f64 {
        (key as f64 / power(self.depth)).mul_add(self.length, self.start)
    }

    /// The nearest key of a time in the span.
    #[inline(always)]
    fn key(&self, t: T) -> Option<u64> {
        let cells = power(self.depth);
        let x = (t.f64() - self.start) * self.density;
        (x >= -0.5 && x <= cells + 0.5).then(|| ((x + 0.5) as u64).min(1 << self.depth))
    }

    #[cold]
    fn outside(&self, t: T) -> Error {
        let needed = format!(
            "the tree was made for [{}, {}]: make it for the whole solve",
            self.span[0], self.span[1]
        );
        Error::invalid("a time asked of a Brownian tree", t, needed)
    }

    /// Checks that both times are in the span.
    pub(super) fn covers(&self, span: [T; 2]) -> Result<()> {
        span.iter().try_for_each(|&t| self.key(t).map(|_| ()).ok_or_else(|| self.outside(t)))
    }

    /// The keys of an interval in their order, and −1 for one against time. None where it is empty.
    #[inline(always)]
    pub(super) fn keys(&self, from: T, to: T) -> Result<Option<([u64; 2], f64)>> {
        let Some(a) = self.key(from) else { return Err(self.outside(from)) };
        let Some(b) = self.key(to) else { return Err(self.outside(to)) };
        let cells = ((to.f64() - from.f64()) * self.density).abs();
        // Where the two are exactly one cell apart, their difference has two roundings.
        if a == b || cells < 0.75 {
            return if from == to { Ok(None) } else { Err(self.too_short(from, to)) };
        }
        Ok(Some(if a < b { ([a, b], 1.0) } else { ([b, a], -1.0) }))
    }

    #[cold]
    fn too_short(&self, from: T, to: T) -> Error {
        let given = format!("{:e} (from {from} to {to})", (to.f64() - from.f64()).abs());
        let needed = format!(
            "the resolution is {:e}: make the tree with a smaller one, or raise the smallest step",
            self.cell()
        );
        Error::invalid("the length of an interval asked of a Brownian tree", given, needed)
    }

    /// The step from t to the last multiple of T 2^−(L+3) within h, L = ⌈log₂(T/|h|)⌉: at least 7/8 of
    /// h, and with a descent of at most L + 3 levels.
    pub(super) fn snap(&self, t: T, h: T) -> T {
        let size = h.abs().f64();
        if !(size > 0.0 && size.is_finite()) {
            return h;
        }
        let level = (self.length / size).log2().ceil().max(0.0) + 3.0;
        let Some(key) = self.key(t + h) else { return h };
        if level >= f64::from(self.depth) {
            return h;
        }
        let drop = self.depth - level as u32;
        let up = if h < T::zero() { (1 << drop) - 1 } else { 0 };
        let step = T::of(self.time((key + up) >> drop << drop)) - t;
        let short = step.abs() > h.abs() || step.abs() < T::of(0.5) * h.abs();
        if short || (step > T::zero()) != (h > T::zero()) { h } else { step }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.roots[..])
    }
}

/// An interval of keys [a, b), a < b, cut into nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    depth: u32,
    /// a and b − 1: the cells at both ends.
    ends: [u64; 2],
    /// The level of the lowest common node.
    pub(super) common: u32,
    /// Whether the interval is that node.
    pub(super) whole: bool,
    /// The levels of the nodes at both ends.
    pub(super) last: [u32; 2],
}

impl Cut {
    #[inline(always)]
    pub(super) fn new(depth: u32, [a, b]: [u64; 2]) -> Self {
        let ends = [a, b - 1];
        let below = 64 - (ends[0] ^ ends[1]).leading_zeros();
        let inside = (1 << below) - 1;
        let level = |key: u64| depth - key.trailing_zeros().min(depth);
        let (common, whole) = (depth - below, a & inside == 0 && b & inside == 0);
        Self { depth, ends, common, whole, last: [level(a).max(common + 1), level(b).max(common + 1)] }
    }

    /// The number of the node of a level on the path to an end (0: a, 1: b).
    #[inline(always)]
    pub(super) fn node(&self, end: usize, level: u32) -> u64 {
        1 << level | self.ends[end] >> (self.depth - level)
    }

    /// The half (0: left, 1: right) into which the path leaves the node of a level.
    #[inline(always)]
    pub(super) fn turn(&self, end: usize, level: u32) -> usize {
        (self.ends[end] >> (self.depth - level - 1)) as usize & 1
    }

    /// Cells of a node.
    #[inline(always)]
    pub(super) fn cells(&self, level: u32) -> f64 {
        power(self.depth - level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_map_back_in_both_types() -> Result<()> {
        fn check<T: Real>(span: [f64; 2]) -> Result<()> {
            let tree = Dyadic::new(span.map(T::of), None)?;
            let cells = 1_u64 << tree.depth();
            for i in 0..4000_u64 {
                let key = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (cells + 1);
                assert_eq!(tree.key(T::of(tree.time(key))), Some(key), "{span:?} {}", T::NAME);
            }
            assert_eq!(tree.key(T::of(span[0])), Some(0));
            assert_eq!(tree.key(T::of(span[1])), Some(cells));
            Ok(())
        }
        for span in [[0.0, 1.0], [0.0, 0.3], [-1.0, 2.0], [1.0, 1.1], [1000.0, 1001.0], [-7.3, -7.2]] {
            check::<f64>(span)?;
            check::<f32>(span)?;
        }
        Ok(())
    }

    /// Every interval of a tree of depth 5: the nodes off the two paths are the interval, once.
    #[test]
    fn cuts_cover_their_interval() {
        let depth = 5;
        for a in 0..32_u64 {
            for b in a + 1..=32 {
                let cut = Cut::new(depth, [a, b]);
                let mut covered = [0; 32];
                let mut take = |level: u32, node: u64| {
                    let width = 1 << (depth - level);
                    let first = (node - (1 << level)) * width;
                    covered[first as usize..(first + width) as usize].iter_mut().for_each(|c| *c += 1);
                };
                if cut.whole {
                    take(cut.common, cut.node(0, cut.common));
                } else {
                    for end in 0..2 {
                        for level in cut.common + 1..cut.last[end] {
                            let turn = cut.turn(end, level);
                            if turn == end {
                                take(level + 1, 2 * cut.node(end, level) + (1 - turn as u64));
                            }
                        }
                        take(cut.last[end], cut.node(end, cut.last[end]));
                    }
                }
                for (i, &count) in covered.iter().enumerate() {
                    assert_eq!(count, i32::from((a..b).contains(&(i as u64))), "cell {i} of [{a}, {b})");
                }
            }
        }
    }

    #[test]
    fn snapped_steps_end_on_coarse_keys() -> Result<()> {
        let tree = Dyadic::<f64>::new([0.0, 3.0], None)?;
        for i in 1..500 {
            let x = f64::from(i);
            let (t, h) = (1.5 + 1.4 * x.sin(), 0.1 * (0.1 + (7.0 * x).cos().abs()));
            for h in [h, -h] {
                let step = tree.snap(t, h);
                assert!(step.abs() <= h.abs() && step.abs() >= 0.87 * h.abs() && step * h > 0.0);
                let Some(key) = tree.key(t + step) else { continue };
                let level = tree.depth() - key.trailing_zeros().min(tree.depth());
                assert!(f64::from(level) <= (3.0 / h.abs()).log2().ceil() + 3.0);
            }
        }
        assert_eq!(tree.snap(0.0, 0.0), 0.0);
        assert_eq!(tree.snap(2.9, 0.2), 0.2, "outside the span");
        Ok(())
    }
}
