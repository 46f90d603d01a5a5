//! [`VirtualTree`]: the Brownian tree in constant memory.

use super::bridge::{Bridge, Two, WithArea};
use super::descent::{Descent, Few, bits, pick, shares};
use super::dyadic::{Cut, Dyadic};
use super::streams::{Domain, MANY, Streams};
use super::{Brownian, Levy, check_many};
use crate::error::Result;
use crate::num::random::{self, normal_pairs};
use crate::num::{Kernel, Real, dispatch};
use std::marker::PhantomData;

/// The dyadic Brownian tree over a span, evaluated anew for every query: nothing is stored, a query
/// descends from the root to both its ends, log₂(T/resolution) levels at most.
///
/// Many queries of a few paths are cheapest asked at once, by [`increments`](Brownian::increments): they
/// are drawn together in SIMD registers and share the upper levels for as long as the call lasts.
///
/// Times are rounded to multiples of T 2^−d, the largest such number that is no longer than the
/// resolution: choose it well below the smallest step, or a power of two with fixed steps. The same seed
/// gives the same motion as [`IntervalTree`](super::IntervalTree), bit for bit, at times that both
/// represent, whatever the resolution; a motion with areas is another one than that without.
///
/// The pair of normal numbers of a node serves one component with its area, or two components without.
///
/// Source: the virtual Brownian tree of Li, Wong, Chen & Duvenaud (AISTATS 2020) and Kidger (thesis,
/// Oxford 2021, section 5.5.3); here increments are sums of dyadic ones and never differences of values.
///
/// ```
/// use odeon::sde::noise::{Brownian, VirtualTree};
///
/// let mut noise = VirtualTree::new(7, [0.0, 1.0], 1, 1, 1e-4)?;
/// let (mut whole, mut parts) = ([0.0_f64], [0.0; 2]);
/// noise.increment(0.0, 1.0, &mut whole, &mut [])?;
/// noise.increment(0.25, 1.0, &mut parts[1..], &mut [])?;
/// noise.increment(0.0, 0.25, &mut parts[..1], &mut [])?;
/// assert!((whole[0] - (parts[0] + parts[1])).abs() < 1e-15);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct VirtualTree<T> {
    seed: u64,
    dyadic: Dyadic<T>,
    streams: Streams,
    plan: Plan,
    descent: Descent,
}

impl<T: Real> VirtualTree<T> {
    /// Increments of `components` independent motions for each of `paths` paths; any seed.
    ///
    /// # Errors
    /// A span that is empty, reversed or not finite; no components or paths, or more than 2³²; a
    /// resolution that is not positive or that times of type `T` cannot have there.
    pub fn new(seed: u64, span: [T; 2], components: usize, paths: usize, resolution: T) -> Result<Self> {
        let dyadic = Dyadic::new(span, Some(resolution))?;
        let streams = Streams::new(components, paths, Domain::Tree)?;
        Ok(Self { seed, dyadic, streams, plan: Plan::default(), descent: Descent::default() })
    }

    /// What the source knows; another motion with areas than without.
    #[must_use]
    pub fn levy(mut self, levy: Levy) -> Self {
        self.streams = self.streams.with_levy(levy);
        self
    }

    /// The paths are numbers `first..` of the ensemble: path i has the same noise alone or in a batch.
    ///
    /// # Errors
    /// Numbers beyond 2³².
    pub fn paths_from(mut self, first: usize) -> Result<Self> {
        self.streams = self.streams.with_first_path(first)?;
        Ok(self)
    }

    /// Intervals for fewer than [`MANY`] streams.
    #[inline(always)]
    fn few(&mut self, intervals: &[[T; 2]], w: &mut [T], area: &mut [T]) -> Result<()> {
        let Self { seed, dyadic, streams, descent: work, .. } = self;
        let seed = *seed;
        match streams.levy() {
            Levy::None => {
                let bridge = PhantomData::<Two>;
                dispatch(Few { seed, dyadic, streams, bridge, intervals, work, w, area })
            }
            Levy::SpaceTime => {
                let bridge = PhantomData::<WithArea>;
                dispatch(Few { seed, dyadic, streams, bridge, intervals, work, w, area })
            }
        }
    }

    /// T 2^−d.
    pub fn resolution(&self) -> T {
        T::of(self.dyadic.cell())
    }
}

impl<T: Real> Brownian<T> for VirtualTree<T> {
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
        if self.streams.counters().len() < MANY {
            return self.few(&[[from, to]], w, area);
        }
        let Some((keys, sign)) = self.dyadic.keys(from, to)? else {
            w.fill(T::zero());
            area.fill(T::zero());
            return Ok(());
        };
        let Self { seed, dyadic, streams, plan, .. } = self;
        plan.make(dyadic, streams, keys);
        let seed = *seed;
        match streams.levy() {
            Levy::None => dispatch(Query { seed, streams, plan, bridge: Two, sign, w, area }),
            Levy::SpaceTime => dispatch(Query { seed, streams, plan, bridge: WithArea, sign, w, area }),
        }
        Ok(())
    }
    fn increments(&mut self, intervals: &[[T; 2]], w: &mut [T], area: &mut [T]) -> Result<()> {
        let numbers = self.components() * self.paths();
        check_many(intervals.len(), numbers, w, area)?;
        let few = self.streams.counters().len() < MANY;
        let mut areas = area.chunks_exact_mut(numbers);
        for (&[from, to], w) in intervals.iter().zip(w.chunks_exact_mut(numbers)) {
            let area = areas.next().unwrap_or_default();
            if few {
                // What a query may ask for, once.
                self.streams.check(w, area)?;
                break;
            }
            self.increment(from, to, w, area)?;
        }
        if few { self.few(intervals, w, area) } else { Ok(()) }
    }
    fn bytes(&self) -> usize {
        self.descent.bytes() + self.plan.bytes() + self.streams.bytes() + self.dyadic.bytes()
    }
}

/// One split on the way down.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// √ of the length of the node that is split.
    root: f64,
    /// Bits set where the right half is split next.
    turn: u64,
    /// Where the other half belongs to the interval: its share and that of what was joined before, from
    /// left to right.
    take: Option<[f64; 2]>,
}

/// The splits of a query: common ones, the fork, those towards a, those towards b.
#[derive(Clone, Debug, Default)]
struct Plan {
    /// Ids of the root's pair and of every split's.
    ids: Vec<u64>,
    /// Common splits, then those towards both ends.
    steps: Vec<Step>,
    /// Where in `steps` these three end.
    stops: [usize; 3],
    whole: bool,
    fork: f64,
    root: f64,
    /// Shares when the nodes at the ends are joined.
    last: [[f64; 2]; 2],
}

impl Plan {
    #[inline(always)]
    fn make<T: Real>(&mut self, dyadic: &Dyadic<T>, streams: &Streams, keys: [u64; 2]) {
        let cut = Cut::new(dyadic.depth(), keys);
        self.ids.clear();
        self.steps.clear();
        // Room for any query, so that later ones do not allocate.
        self.ids.reserve(2 * dyadic.depth() as usize + 2);
        self.steps.reserve(2 * dyadic.depth() as usize);
        self.ids.push(streams.id(0));
        self.root = dyadic.root(0);
        self.whole = cut.whole;
        for level in 0..cut.common {
            self.ids.push(streams.id(cut.node(0, level)));
            let (root, turn) = (dyadic.root(level), bits(cut.turn(0, level) == 1));
            self.steps.push(Step { root, turn, take: None });
        }
        self.stops = [self.steps.len(); 3];
        if !cut.whole {
            self.ids.push(streams.id(cut.node(0, cut.common)));
            self.fork = dyadic.root(cut.common);
            let mut joined = 0.0;
            for end in 0..2 {
                for level in cut.common + 1..cut.last[end] {
                    self.ids.push(streams.id(cut.node(end, level)));
                    let (root, half) = (dyadic.root(level), cut.turn(end, level));
                    let take = (half == end).then(|| {
                        let new = cut.cells(level + 1);
                        let shares = shares(end, new, joined);
                        joined += new;
                        shares
                    });
                    self.steps.push(Step { root, turn: bits(half == 1), take });
                }
                let new = cut.cells(cut.last[end]);
                self.last[end] = shares(end, new, joined);
                joined += new;
                self.stops[end + 1] = self.steps.len();
            }
        }
    }

    fn bytes(&self) -> usize {
        self.ids.capacity() * size_of::<u64>() + self.steps.capacity() * size_of::<Step>()
    }
}

/// One query of many streams under one instruction set.
struct Query<'a, T, B> {
    seed: u64,
    streams: &'a Streams,
    plan: &'a Plan,
    bridge: B,
    sign: f64,
    w: &'a mut [T],
    area: &'a mut [T],
}

/// Streams that descend together: their state stays in the L1 cache.
const BLOCK: usize = 64;

/// Their pairs.
type Block = [[f64; BLOCK]; 2];

impl<T: Real, B: Bridge> Kernel for Query<'_, T, B> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { seed, streams, plan, bridge, sign, w, area } = self;
        for (i, block) in streams.counters().chunks(BLOCK).enumerate() {
            let n = block.len();
            let [x, y] = evaluate(plan, bridge, seed, block);
            streams.write(i * BLOCK, sign, [&x[..n], &y[..n]], w, area);
        }
    }
}

/// `x` ← the pairs of an id for a block of streams.
#[inline(always)]
fn draw(seed: u64, id: u64, streams: &[u64], [first, second]: &mut Block) {
    let n = streams.len();
    normal_pairs(seed, random::Streams { id, streams }, &mut first[..n], &mut second[..n]);
}

/// The interval's pairs for a block of streams.
#[inline(always)]
fn evaluate<B: Bridge>(plan: &Plan, _: B, seed: u64, streams: &[u64]) -> Block {
    let n = streams.len().min(BLOCK);
    let zero = [[0.0; BLOCK]; 2];
    let (mut x, mut node, mut other, mut sum) = (zero, zero, zero, zero);
    draw(seed, plan.ids[0], streams, &mut x);
    for i in 0..n {
        [node[0][i], node[1][i]] = B::whole(plan.root, [x[0][i], x[1][i]]);
    }
    let (common, rest) = plan.steps.split_at(plan.stops[0]);
    for (k, step) in common.iter().enumerate() {
        draw(seed, plan.ids[k + 1], streams, &mut x);
        split::<B>(&mut node, &mut other, step.root, step.turn, &x, n);
    }
    if plan.whole {
        return node;
    }
    let fork = plan.stops[0] + 1;
    draw(seed, plan.ids[fork], streams, &mut x);
    let mut right = zero;
    split::<B>(&mut node, &mut right, plan.fork, 0, &x, n);
    let (left_steps, right_steps) = rest.split_at(plan.stops[1] - plan.stops[0]);
    let mut k = fork;
    for (end, steps) in [left_steps, right_steps].into_iter().enumerate() {
        for step in steps {
            k += 1;
            draw(seed, plan.ids[k], streams, &mut x);
            split::<B>(&mut node, &mut other, step.root, step.turn, &x, n);
            if let Some(shares) = step.take {
                join::<B>(&mut sum, &other, end, shares, n);
            }
        }
        join::<B>(&mut sum, &node, end, plan.last[end], n);
        node = right;
    }
    sum
}

/// `node` ← its half `turn`, `other` ← the other one.
#[inline(always)]
fn split<B: Bridge>(node: &mut Block, other: &mut Block, root: f64, turn: u64, x: &Block, n: usize) {
    for i in 0..n {
        let [left, right] = B::split([node[0][i], node[1][i]], root, [x[0][i], x[1][i]]);
        for k in 0..2 {
            node[k][i] = pick(turn, right[k], left[k]);
            other[k][i] = pick(turn, left[k], right[k]);
        }
    }
}

/// `sum` ← `sum` joined with a part on its left (end 0) or right (1).
#[inline(always)]
fn join<B: Bridge>(sum: &mut Block, part: &Block, end: usize, shares: [f64; 2], n: usize) {
    for i in 0..n {
        let (sum_i, part_i) = ([sum[0][i], sum[1][i]], [part[0][i], part[1][i]]);
        let (left, right) = if end == 0 { (part_i, sum_i) } else { (sum_i, part_i) };
        [sum[0][i], sum[1][i]] = B::join(left, right, shares);
    }
}
