//! [`IntervalTree`]: the Brownian tree with the nodes of the last two ends kept.

use super::bridge::{Bridge, Two, WithArea};
use super::descent::shares;
use super::dyadic::{Cut, DEEPEST, Dyadic};
use super::streams::{Domain, MANY, Streams};
use super::{Brownian, Levy};
use crate::error::Result;
use crate::num::random::{self, Ids, normal_pairs};
use crate::num::{Kernel, Real, dispatch};

/// The dyadic Brownian tree over a span, exact to rounding in t, with a cache for the sweeps of a solver:
/// each level keeps the halves of the two nodes that were visited last, those on the paths to the two
/// ends of the last interval. A sweep forwards, backwards or with rejected steps then computes a few new
/// nodes a query, whatever the depth, and allocates nothing once the levels that it reaches exist.
///
/// The motion is that of [`VirtualTree`](super::VirtualTree), bit for bit. Memory: 64 bytes per stream
/// and node, two nodes per level reached; with [`snap`](Brownian::snap) those are about
/// log₂(T/h) + 3 levels.
///
/// Source: the idea of keeping the last intervals is Kidger's *Brownian interval* (thesis, Oxford 2021,
/// section 5.5.3), whose tree follows the queries; this one is dyadic, so that values do not depend on
/// the order of queries.
///
/// ```
/// use odeon::sde::noise::{Brownian, IntervalTree, Levy};
///
/// let mut noise = IntervalTree::new(7, [0.0, 1.0], 2, 3)?.levy(Levy::SpaceTime);
/// let (mut w, mut area) = ([0.0; 6], [0.0; 6]);
/// noise.increment(0.1, 0.2, &mut w, &mut area)?;
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct IntervalTree<T> {
    seed: u64,
    dyadic: Dyadic<T>,
    streams: Streams,
    cache: Cache,
}

impl<T: Real> IntervalTree<T> {
    /// Increments of `components` independent motions for each of `paths` paths; any seed.
    ///
    /// # Errors
    /// A span that is empty, reversed, not finite or of a few spacings of `T`; no components or paths,
    /// or more than 2³².
    pub fn new(seed: u64, span: [T; 2], components: usize, paths: usize) -> Result<Self> {
        let dyadic = Dyadic::new(span, None)?;
        let streams = Streams::new(components, paths, Domain::Tree)?;
        Ok(Self { seed, dyadic, streams, cache: Cache::default() })
    }

    /// What the source knows; another motion with areas than without.
    #[must_use]
    pub fn levy(mut self, levy: Levy) -> Self {
        self.streams = self.streams.with_levy(levy);
        self.cache = Cache::default();
        self
    }

    /// The paths are numbers `first..` of the ensemble: path i has the same noise alone or in a batch.
    ///
    /// # Errors
    /// Numbers beyond 2³².
    pub fn paths_from(mut self, first: usize) -> Result<Self> {
        self.streams = self.streams.with_first_path(first)?;
        self.cache = Cache::default();
        Ok(self)
    }

    /// Nodes computed so far.
    pub fn computed(&self) -> u64 {
        self.cache.computed
    }
}

impl<T: Real> Brownian<T> for IntervalTree<T> {
    fn components(&self) -> usize {
        self.streams.components()
    }
    fn paths(&self) -> usize {
        self.streams.paths()
    }
    fn levy(&self) -> Levy {
        self.streams.levy()
    }
    fn prepare(&mut self, span: [T; 2]) -> Result<()> {
        self.dyadic.covers(span)
    }
    fn snap(&self, t: T, h: T) -> T {
        self.dyadic.snap(t, h)
    }
    fn increment(&mut self, from: T, to: T, w: &mut [T], area: &mut [T]) -> Result<()> {
        self.streams.check(w, area)?;
        let Some((keys, sign)) = self.dyadic.keys(from, to)? else {
            w.fill(T::zero());
            area.fill(T::zero());
            return Ok(());
        };
        let Self { seed, dyadic, streams, cache } = self;
        let cut = Cut::new(dyadic.depth(), keys);
        cache.visit(&cut, streams);
        let seed = *seed;
        match streams.levy() {
            Levy::None => dispatch(Query { seed, dyadic, streams, cache, cut, bridge: Two, sign, w, area }),
            Levy::SpaceTime => {
                dispatch(Query { seed, dyadic, streams, cache, cut, bridge: WithArea, sign, w, area });
            }
        }
        Ok(())
    }
    fn bytes(&self) -> usize {
        self.cache.bytes() + self.streams.bytes() + self.dyadic.bytes()
    }
}

/// The halves of a node.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// The node's number; 0: nothing yet.
    node: u64,
    /// Left and right, each the first and the second number of every stream.
    halves: Vec<f64>,
}

/// Two nodes of a level, and which was visited last.
#[derive(Clone, Debug, Default)]
struct Level {
    slots: [Slot; 2],
    recent: usize,
}

impl Level {
    /// The slot of a node and whether it holds it; if not, one that does not hold `keep`.
    #[inline(always)]
    fn find(&mut self, node: u64, keep: u64) -> (usize, bool) {
        let hit = self.slots.iter().position(|s| s.node == node);
        let slot = hit.unwrap_or_else(|| {
            let kept = self.slots.iter().position(|s| s.node == keep);
            1 - kept.unwrap_or(self.recent)
        });
        self.slots[slot].node = node;
        self.recent = slot;
        (slot, hit.is_some())
    }
}

/// A split on the way: where its node's halves are, or are to be.
#[derive(Clone, Copy, Debug)]
struct Visit {
    level: u32,
    slot: usize,
    /// The slot of the level above and the half of it that this node is.
    parent: (usize, usize),
    /// Which of the fresh pairs splits the node, if it is not kept.
    fresh: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Cache {
    /// The root's pairs, once they are drawn.
    root: Vec<f64>,
    levels: Vec<Level>,
    /// Common splits with the fork, those towards a, those towards b; where these end.
    visits: Vec<Visit>,
    stops: [usize; 3],
    /// Ids of the nodes that are to be computed, padded, and their pairs, for few streams.
    ids: Vec<u64>,
    fresh: usize,
    pairs: [Vec<f64>; 2],
    sum: Vec<f64>,
    computed: u64,
}

impl Cache {
    /// Finds the nodes of a query, and says which are to be computed.
    fn visit(&mut self, cut: &Cut, streams: &Streams) {
        let n = streams.counters().len();
        let (mut visits, mut ids) = (std::mem::take(&mut self.visits), std::mem::take(&mut self.ids));
        visits.clear();
        ids.clear();
        if self.visits.capacity() == 0 {
            let most = 3 * DEEPEST as usize + 8;
            visits.reserve(most);
            ids.reserve(most);
            self.sum.resize(2 * n, 0.0);
        }
        if self.root.is_empty() {
            ids.push(streams.id(0));
        }
        let deepest = if cut.whole { cut.common } else { cut.last[0].max(cut.last[1]) } as usize;
        while self.levels.len() < deepest {
            let mut level = Level::default();
            level.slots.iter_mut().for_each(|slot| slot.halves.resize(4 * n, 0.0));
            self.levels.push(level);
        }
        let mut add = |level: u32, end: usize, keep: u64, above: usize| {
            let node = cut.node(end, level);
            let (slot, hit) = self.levels[level as usize].find(node, keep);
            let fresh = (!hit).then_some(ids.len());
            if !hit {
                ids.push(streams.id(node));
            }
            let half = if level == 0 { 0 } else { cut.turn(end, level - 1) };
            visits.push(Visit { level, slot, parent: (above, half), fresh });
            slot
        };
        let mut above = 0;
        for level in 0..cut.common + u32::from(!cut.whole) {
            above = add(level, 0, 0, above);
        }
        let common = (cut.common + u32::from(!cut.whole)) as usize;
        let mut towards = [0; 2];
        for (end, count) in towards.iter_mut().enumerate() {
            let mut above = above;
            for level in cut.common + 1..cut.last[end] {
                // The node on the other path stays, if that one gets so deep.
                let keep = if level < cut.last[1 - end] { cut.node(1 - end, level) } else { 0 };
                above = add(level, end, keep, above);
                *count += 1;
            }
            if cut.whole {
                break;
            }
        }
        self.stops = [common, common + towards[0], common + towards[0] + towards[1]];
        self.fresh = ids.len();
        self.computed += ids.len() as u64;
        if n < MANY
            && let Some(&last) = ids.last()
        {
            ids.resize(ids.len().next_multiple_of(8), last);
        }
        (self.visits, self.ids) = (visits, ids);
    }

    fn bytes(&self) -> usize {
        let slots = self.levels.iter().flat_map(|l| &l.slots).map(|s| s.halves.capacity());
        let numbers: usize = slots.sum::<usize>() + self.root.capacity() + self.sum.capacity();
        let pairs: usize = self.pairs.iter().map(Vec::capacity).sum();
        (numbers + pairs + self.ids.capacity()) * size_of::<f64>()
            + self.levels.capacity() * size_of::<Level>()
            + self.visits.capacity() * size_of::<Visit>()
    }
}

/// One query under one instruction set.
struct Query<'a, T, B> {
    seed: u64,
    dyadic: &'a Dyadic<T>,
    streams: &'a Streams,
    cache: &'a mut Cache,
    cut: Cut,
    bridge: B,
    sign: f64,
    w: &'a mut [T],
    area: &'a mut [T],
}

/// Streams whose pairs are drawn together.
const BLOCK: usize = 64;

impl<T: Real, B: Bridge> Kernel for Query<'_, T, B> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { seed, dyadic, streams, cache, cut, bridge, sign, w, area } = self;
        let n = streams.counters().len();
        let Cache { root, levels, visits, stops, ids, fresh, pairs, sum, .. } = cache;
        let pairs = if n < MANY { draw(seed, streams, ids, pairs) } else { [&[][..]; 2] };
        let normals = Normals { seed, ids: &ids[..], streams: streams.counters(), pairs, fresh: *fresh };
        if root.is_empty() {
            root.resize(2 * n, 0.0);
            fill_root(bridge, dyadic.root(0), normals, root);
        }
        for visit in visits.iter() {
            if let Some(fresh) = visit.fresh {
                let level = visit.level as usize;
                let (above, below) = levels.split_at_mut(level);
                let whole = match above.last() {
                    None => &root[..],
                    Some(above) => half(&above.slots[visit.parent.0], visit.parent.1),
                };
                let halves = &mut below[0].slots[visit.slot].halves;
                fill_halves(bridge, dyadic.root(visit.level), normals, fresh, whole, halves);
            }
        }
        let on_path = |visit: Option<&Visit>, turn: usize| match visit {
            None => &root[..],
            Some(v) => half(&levels[v.level as usize].slots[v.slot], turn),
        };
        let (common, rest) = visits.split_at(stops[0]);
        if cut.whole {
            let turn = if cut.common == 0 { 0 } else { cut.turn(0, cut.common - 1) };
            let (x, y) = on_path(common.last(), turn).split_at(n);
            return streams.write(0, sign, [x, y], w, area);
        }
        let (left, right) = rest.split_at(stops[1] - stops[0]);
        sum.fill(0.0);
        let mut joined = 0.0;
        for (end, path) in [left, right].into_iter().enumerate() {
            for visit in path {
                if cut.turn(end, visit.level) == end {
                    let new = cut.cells(visit.level + 1);
                    join(bridge, sum, on_path(Some(visit), 1 - end), end, shares(end, new, joined));
                    joined += new;
                }
            }
            let new = cut.cells(cut.last[end]);
            let turn = if path.is_empty() { end } else { cut.turn(end, cut.last[end] - 1) };
            let part = on_path(path.last().or(common.last()), turn);
            join(bridge, sum, part, end, shares(end, new, joined));
            joined += new;
        }
        let (x, y) = sum.split_at(n);
        streams.write(0, sign, [x, y], w, area);
    }
}

/// The normal pairs of a query's new nodes: drawn before for few streams, else as they are needed.
#[derive(Clone, Copy)]
struct Normals<'a> {
    seed: u64,
    ids: &'a [u64],
    streams: &'a [u64],
    pairs: [&'a [f64]; 2],
    fresh: usize,
}

/// Pairs of all ids for one stream after the other.
#[inline(always)]
fn draw<'a>(seed: u64, streams: &Streams, ids: &[u64], pairs: &'a mut [Vec<f64>; 2]) -> [&'a [f64]; 2] {
    let (count, counters) = (ids.len(), streams.counters());
    let [first, second] = pairs;
    if first.capacity() == 0 {
        first.reserve((3 * DEEPEST as usize + 8) * counters.len());
        second.reserve((3 * DEEPEST as usize + 8) * counters.len());
    }
    first.resize(count * counters.len(), 0.0);
    second.resize(count * counters.len(), 0.0);
    if count > 0 {
        let blocks = first.chunks_exact_mut(count).zip(second.chunks_exact_mut(count));
        for (&stream, (first, second)) in counters.iter().zip(blocks) {
            normal_pairs(seed, Ids { ids, stream }, first, second);
        }
    }
    [first, second]
}

/// The pairs of a half of a node: the first number of every stream, then the second.
#[inline(always)]
fn half(slot: &Slot, turn: usize) -> &[f64] {
    let numbers = slot.halves.len() / 2;
    &slot.halves[turn * numbers..][..numbers]
}

impl Normals<'_> {
    /// The pair of new node `i` for one of few streams.
    #[inline(always)]
    fn drawn(&self, i: usize, stream: usize) -> [f64; 2] {
        let at = stream * self.ids.len() + i;
        [self.pairs[0][at], self.pairs[1][at]]
    }

    /// The pairs of new node `i` for a block of streams.
    #[inline(always)]
    fn block(&self, i: usize, from: usize, x: &mut [[f64; BLOCK]; 2], n: usize) {
        let [first, second] = x;
        if self.streams.len() < MANY {
            for s in 0..n {
                [first[s], second[s]] = self.drawn(i, from + s);
            }
        } else {
            let streams = random::Streams { id: self.ids[i], streams: &self.streams[from..from + n] };
            normal_pairs(self.seed, streams, &mut first[..n], &mut second[..n]);
        }
    }
}

/// The root's pairs from the first new ids.
#[inline(always)]
fn fill_root<B: Bridge>(_: B, root: f64, normals: Normals<'_>, out: &mut [f64]) {
    debug_assert!(normals.fresh > 0);
    let (first, second) = out.split_at_mut(normals.streams.len());
    let mut x = [[0.0; BLOCK]; 2];
    for (block, (first, second)) in first.chunks_mut(BLOCK).zip(second.chunks_mut(BLOCK)).enumerate() {
        normals.block(0, block * BLOCK, &mut x, first.len());
        for i in 0..first.len() {
            [first[i], second[i]] = B::whole(root, [x[0][i], x[1][i]]);
        }
    }
}

/// The halves of a node from its own pairs and its new normal ones.
#[inline(always)]
fn fill_halves<B: Bridge>(
    _: B,
    root: f64,
    normals: Normals<'_>,
    fresh: usize,
    whole: &[f64],
    halves: &mut [f64],
) {
    let n = normals.streams.len();
    let (left, right) = halves.split_at_mut(2 * n);
    let ([left0, left1], [right0, right1]) = (two(left, n), two(right, n));
    if n < MANY {
        for i in 0..n {
            let x = normals.drawn(fresh, i);
            let [l, r] = B::split([whole[i], whole[n + i]], root, x);
            [left0[i], left1[i]] = l;
            [right0[i], right1[i]] = r;
        }
        return;
    }
    let mut x = [[0.0; BLOCK]; 2];
    let mut from = 0;
    while from < n {
        let count = BLOCK.min(n - from);
        normals.block(fresh, from, &mut x, count);
        let (w0, w1) = (&whole[from..from + count], &whole[n + from..n + from + count]);
        let (l0, l1) = (&mut left0[from..from + count], &mut left1[from..from + count]);
        let (r0, r1) = (&mut right0[from..from + count], &mut right1[from..from + count]);
        for i in 0..count {
            let [l, r] = B::split([w0[i], w1[i]], root, [x[0][i], x[1][i]]);
            [l0[i], l1[i]] = l;
            [r0[i], r1[i]] = r;
        }
        from += count;
    }
}

#[inline(always)]
fn two(x: &mut [f64], n: usize) -> [&mut [f64]; 2] {
    let (first, second) = x.split_at_mut(n);
    [first, second]
}

/// `sum` ← `sum` joined with a part on its left (end 0) or right (1).
#[inline(always)]
fn join<B: Bridge>(_: B, sum: &mut [f64], part: &[f64], end: usize, shares: [f64; 2]) {
    let n = sum.len() / 2;
    let [s0, s1] = two(sum, n);
    let (p0, p1) = part.split_at(n);
    let (p1, s1) = (&p1[..n], &mut s1[..n]);
    for i in 0..n {
        let (sum, part) = ([s0[i], s1[i]], [p0[i], p1[i]]);
        let (left, right) = if end == 0 { (part, sum) } else { (sum, part) };
        [s0[i], s1[i]] = B::join(left, right, shares);
    }
}
