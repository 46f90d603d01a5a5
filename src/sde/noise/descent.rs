//! Many intervals of the Brownian tree at once, for few streams.
//!
//! A single query is a chain: each level needs the one above. Many are not: the numbers of all their
//! splits are drawn together in SIMD registers, and the chains of neighbouring queries overlap in the
//! processor. Besides, n queries share the upper levels: those down to 2^L ≤ n/4 nodes are split once for
//! all of them into a table, and a query descends from there. The table lives for one call; its nodes and
//! the order of the joins are those of a query alone, so the bits are the same.

use super::bridge::Bridge;
use super::dyadic::{Cut, Dyadic};
use super::streams::Streams;
use crate::error::Result;
use crate::num::random::{Consecutive, Ids, normal_pairs};
use crate::num::{Kernel, Real};

/// The deepest level of the table: with 32 KiB it stays in the L1 cache.
const TOP: u32 = 10;

/// Queries whose pairs are drawn together.
const TOGETHER: usize = 64;

/// Work space of [`Few`].
#[derive(Clone, Debug, Default)]
pub(super) struct Descent {
    /// Pairs of the nodes down to level L, by number.
    top: Vec<[f64; 2]>,
    /// Cut and sign of the queries in hand; none for an interval without length.
    queries: Vec<Option<(Cut, f64)>>,
    /// Ids of the splits below the table, query by query, padded; their normal pairs.
    ids: Vec<u64>,
    pairs: [Vec<f64>; 2],
}

impl Descent {
    pub(super) fn bytes(&self) -> usize {
        let numbers: usize = self.pairs.iter().map(Vec::capacity).sum();
        self.top.capacity() * size_of::<[f64; 2]>()
            + self.queries.capacity() * size_of::<Option<(Cut, f64)>>()
            + (numbers + self.ids.capacity()) * size_of::<f64>()
    }

    /// Room for the splits of so many queries of a tree of a depth, so that later ones do not allocate.
    #[inline(always)]
    fn reserve(&mut self, queries: usize, depth: u32) {
        // A query's splits, those towards its two ends, and the root's own pair; padded.
        let most = (queries * (2 * depth as usize + 1) + 1).next_multiple_of(8);
        self.ids.clear();
        self.ids.reserve(most);
        for pairs in &mut self.pairs {
            if pairs.len() < most {
                pairs.resize(most, 0.0);
            }
        }
    }

    /// Draws the pairs of the listed ids.
    #[inline(always)]
    fn draw(&mut self, seed: u64, stream: u64) {
        let Self { ids, pairs: [first, second], .. } = self;
        if let Some(&last) = ids.last() {
            ids.resize(ids.len().next_multiple_of(8), last);
        }
        let count = ids.len();
        normal_pairs(seed, Ids { ids, stream }, &mut first[..count], &mut second[..count]);
    }

    /// Splits the nodes above level L.
    #[inline(always)]
    fn tabulate<T: Real, B: Bridge>(&mut self, few: &Few<'_, T, B>, stream: u64, level: u32) {
        let Self { top, pairs: [first, second], .. } = self;
        let count = 1 << level;
        top.resize(2 * count, [0.0; 2]);
        if first.len() < count {
            first.resize(count, 0.0);
            second.resize(count, 0.0);
        }
        let addresses = Consecutive { first: few.streams.id(0), stream };
        normal_pairs(few.seed, addresses, &mut first[..count], &mut second[..count]);
        top[1] = B::whole(few.dyadic.root(0), [first[0], second[0]]);
        for level in 0..level {
            let root = few.dyadic.root(level);
            for node in 1 << level..2 << level {
                let [left, right] = B::split(top[node], root, [first[node], second[node]]);
                top[2 * node] = left;
                top[2 * node + 1] = right;
            }
        }
    }
}

/// The increments of `intervals` of a few streams, one interval after the other.
pub(super) struct Few<'a, T, B> {
    pub seed: u64,
    pub dyadic: &'a Dyadic<T>,
    pub streams: &'a Streams,
    pub bridge: std::marker::PhantomData<B>,
    pub intervals: &'a [[T; 2]],
    pub work: &'a mut Descent,
    pub w: &'a mut [T],
    pub area: &'a mut [T],
}

impl<T: Real, B: Bridge> Kernel for Few<'_, T, B> {
    type Output = Result<()>;
    #[inline(always)]
    fn run(mut self) -> Result<()> {
        let mut work = std::mem::take(self.work);
        let shared = (self.intervals.len() as u64 / 4).max(1).ilog2().min(TOP).min(self.dyadic.depth());
        let streams = self.streams;
        let mut outcome = Ok(());
        // Loops, not closures, which would not be compiled for the instruction set.
        for (i, &stream) in streams.counters().iter().enumerate() {
            if shared > 0 {
                work.tabulate(&self, stream, shared);
            }
            outcome = self.stream(&mut work, (i, stream), shared);
            if outcome.is_err() {
                break;
            }
        }
        *self.work = work;
        outcome
    }
}

impl<T: Real, B: Bridge> Few<'_, T, B> {
    /// All intervals for stream number i, below a table down to level `shared`.
    #[inline(always)]
    fn stream(&mut self, work: &mut Descent, (i, stream): (usize, u64), shared: u32) -> Result<()> {
        let (dyadic, streams) = (self.dyadic, self.streams);
        let numbers = streams.components() * streams.paths();
        work.reserve(self.intervals.len().min(TOGETHER), dyadic.depth());
        for (block, intervals) in self.intervals.chunks(TOGETHER).enumerate() {
            work.queries.clear();
            work.ids.clear();
            if shared == 0 {
                // The root's pair is drawn with the others.
                work.ids.push(streams.id(0));
            }
            for &[from, to] in intervals {
                let query = match dyadic.keys(from, to)? {
                    None => None,
                    Some((keys, sign)) => {
                        let cut = Cut::new(dyadic.depth(), keys);
                        list(&cut, shared, streams, &mut work.ids);
                        Some((cut, sign))
                    }
                };
                work.queries.push(query);
            }
            work.draw(self.seed, stream);
            if shared == 0 {
                work.top.resize(2, [0.0; 2]);
                work.top[1] = B::whole(dyadic.root(0), [work.pairs[0][0], work.pairs[1][0]]);
            }
            let Descent { top, queries, pairs: [first, second], .. } = &*work;
            let next = usize::from(shared == 0);
            let mut walk = Walk::<T, B> { dyadic, top, shared, first, second, next, bridge: self.bridge };
            for (query, at) in queries.iter().zip(block * TOGETHER..) {
                let ([x, y], sign) = match query {
                    Some((cut, sign)) => (walk.value(cut), *sign),
                    None => ([0.0; 2], 1.0),
                };
                let range = at * numbers..(at + 1) * numbers;
                let area = if self.area.is_empty() { &mut [] } else { &mut self.area[range.clone()] };
                streams.write(i, sign, [&[x], &[y]], &mut self.w[range], area);
            }
        }
        Ok(())
    }
}

/// Lists the splits of a query at and below level `shared`, in the order in which [`Walk`] takes them.
#[inline(always)]
fn list(cut: &Cut, shared: u32, streams: &Streams, ids: &mut Vec<u64>) {
    // Up to the fork, if there is one.
    for level in shared..cut.common + u32::from(!cut.whole) {
        ids.push(streams.id(cut.node(0, level)));
    }
    if cut.whole {
        return;
    }
    for end in 0..2 {
        for level in shared.max(cut.common + 1)..cut.last[end] {
            ids.push(streams.id(cut.node(end, level)));
        }
    }
}

/// All bits or none.
#[inline(always)]
pub(super) fn bits(set: bool) -> u64 {
    0_u64.wrapping_sub(u64::from(set))
}

/// `a` where the bits are set, else `b`: never a branch, which nobody could predict.
#[inline(always)]
pub(super) fn pick(set: u64, a: f64, b: f64) -> f64 {
    f64::from_bits((a.to_bits() & set) | (b.to_bits() & !set))
}

/// Shares of a part of `new` cells that is joined on the left (end 0) or right (1) of `old` ones; nothing
/// joined to nothing has two halves.
#[inline(always)]
pub(super) fn shares(end: usize, new: f64, old: f64) -> [f64; 2] {
    let total = new + old;
    if total == 0.0 {
        return [0.5; 2];
    }
    if end == 0 { [new / total, old / total] } else { [old / total, new / total] }
}

/// From the table to the values of intervals, through normal pairs in the order of [`list`].
struct Walk<'a, T, B> {
    dyadic: &'a Dyadic<T>,
    top: &'a [[f64; 2]],
    shared: u32,
    first: &'a [f64],
    second: &'a [f64],
    next: usize,
    bridge: std::marker::PhantomData<B>,
}

impl<T: Real, B: Bridge> Walk<'_, T, B> {
    /// The halves of a node of a level, by the next pair.
    #[inline(always)]
    fn split(&mut self, node: [f64; 2], level: u32) -> [[f64; 2]; 2] {
        let x = [self.first[self.next], self.second[self.next]];
        self.next += 1;
        B::split(node, self.dyadic.root(level), x)
    }

    #[inline(always)]
    fn value(&mut self, cut: &Cut) -> [f64; 2] {
        let shared = self.shared;
        let mut node = self.top[cut.node(0, shared.min(cut.common)) as usize];
        for level in shared..cut.common {
            let halves = self.split(node, level);
            node = either(bits(cut.turn(0, level) == 1), halves);
        }
        if cut.whole {
            return node;
        }
        let halves = if cut.common < shared {
            let node = 2 * cut.node(0, cut.common) as usize;
            [self.top[node], self.top[node + 1]]
        } else {
            self.split(node, cut.common)
        };
        let (mut sum, mut joined) = ([0.0; 2], 0.0);
        for (end, half) in halves.into_iter().enumerate() {
            let (start, last) = (cut.common + 1, cut.last[end]);
            let mut node = half;
            // Through the table.
            let stop = last.min(shared);
            for level in start..stop {
                let other = self.top[cut.node(end, level + 1) as usize ^ 1];
                take::<B>(cut, (end, level), other, &mut sum, &mut joined);
            }
            if stop > start {
                node = self.top[cut.node(end, stop) as usize];
            }
            // Below it.
            for level in start.max(shared)..last {
                let [left, right] = self.split(node, level);
                let turn = bits(cut.turn(end, level) == 1);
                node = either(turn, [left, right]);
                take::<B>(cut, (end, level), either(turn, [right, left]), &mut sum, &mut joined);
            }
            let new = cut.cells(last);
            sum = join::<B>(sum, node, end, if B::SHARES { shares(end, new, joined) } else { [0.5; 2] });
            joined += new;
        }
        sum
    }
}

/// The right one where the bits are set.
#[inline(always)]
fn either(set: u64, [left, right]: [[f64; 2]; 2]) -> [f64; 2] {
    [pick(set, right[0], left[0]), pick(set, right[1], left[1])]
}

/// `sum` joined with a part on its left (end 0) or right (1).
#[inline(always)]
fn join<B: Bridge>(sum: [f64; 2], part: [f64; 2], end: usize, shares: [f64; 2]) -> [f64; 2] {
    let (left, right) = if end == 0 { (part, sum) } else { (sum, part) };
    B::join(left, right, shares)
}

/// Joins `other`, the half that the path to an end leaves at a level, if it belongs to the interval.
#[inline(always)]
fn take<B: Bridge>(
    cut: &Cut,
    (end, level): (usize, u32),
    other: [f64; 2],
    sum: &mut [f64; 2],
    joined: &mut f64,
) {
    let set = bits(cut.turn(end, level) == end);
    let other = [pick(set, other[0], 0.0), pick(set, other[1], 0.0)];
    if B::SHARES {
        let new = pick(set, cut.cells(level + 1), 0.0);
        *sum = join::<B>(*sum, other, end, shares(end, new, *joined));
        *joined += new;
    } else {
        *sum = join::<B>(*sum, other, end, [0.5; 2]);
    }
}
