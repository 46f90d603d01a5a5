//! [`VirtualTree`]: the Brownian tree in constant memory.

use super::bridge::{Bridge, Two, WithArea};
use super::dyadic::{Cut, Dyadic};
use super::streams::{Domain, MANY, Streams};
use super::{Brownian, Levy};
use crate::error::Result;
use crate::num::random::{self, Ids, normal_pairs};
use crate::num::{Kernel, Real, dispatch};

/// The dyadic Brownian tree over a span, evaluated anew for every query: nothing is stored, a query
/// descends from the root to both its ends, log₂(T/resolution) levels at most.
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
    /// The pairs of a descent, for few streams.
    pairs: [Vec<f64>; 2],
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
        Ok(Self { seed, dyadic, streams, plan: Plan::default(), pairs: [vec![], vec![]] })
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
        let Some((keys, sign)) = self.dyadic.keys(from, to)? else {
            w.fill(T::zero());
            area.fill(T::zero());
            return Ok(());
        };
        let Self { seed, dyadic, streams, plan, pairs } = self;
        plan.make(dyadic, streams, keys);
        let seed = *seed;
        match streams.levy() {
            Levy::None => dispatch(Query { seed, streams, plan, pairs, bridge: Two, sign, w, area }),
            Levy::SpaceTime => {
                dispatch(Query { seed, streams, plan, pairs, bridge: WithArea, sign, w, area });
            }
        }
        Ok(())
    }
    fn bytes(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(|x| x.capacity() * size_of::<f64>()).sum();
        pairs + self.plan.bytes() + self.streams.bytes() + self.dyadic.bytes()
    }
}

/// One split on the way down.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// √ of the length of the node that is split.
    root: f64,
    /// Bits set where the right half is split next.
    turn: u64,
    /// Bits set where the other half belongs to the interval.
    take: u64,
    /// Shares of the other half and of what was joined before, from left to right.
    shares: [f64; 2],
}

/// The splits of a query: common ones, the fork, those towards a, those towards b.
#[derive(Clone, Debug, Default)]
struct Plan {
    /// Ids of the root's pair and of every split's, padded.
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

/// All bits or none.
#[inline(always)]
fn bits(set: bool) -> u64 {
    0_u64.wrapping_sub(u64::from(set))
}

/// `a` where the bits are set, else `b`: never a branch, which nobody could predict.
#[inline(always)]
fn pick(set: u64, a: f64, b: f64) -> f64 {
    f64::from_bits((a.to_bits() & set) | (b.to_bits() & !set))
}

/// Shares of a part of `new` cells that is joined on the left (end 0) or right (1) of `old` ones.
#[inline(always)]
pub(super) fn shares(end: usize, new: f64, old: f64) -> [f64; 2] {
    let total = new + old;
    if end == 0 { [new / total, old / total] } else { [old / total, new / total] }
}

impl Plan {
    #[inline(always)]
    fn make<T: Real>(&mut self, dyadic: &Dyadic<T>, streams: &Streams, keys: [u64; 2]) {
        let cut = Cut::new(dyadic.depth(), keys);
        self.ids.clear();
        self.steps.clear();
        self.ids.push(streams.id(0));
        self.root = dyadic.root(0);
        self.whole = cut.whole;
        for level in 0..cut.common {
            self.ids.push(streams.id(cut.node(0, level)));
            let (root, turn) = (dyadic.root(level), bits(cut.turn(0, level) == 1));
            self.steps.push(Step { root, turn, take: 0, shares: [0.0; 2] });
        }
        self.stops = [self.steps.len(); 3];
        if !cut.whole {
            self.ids.push(streams.id(cut.node(0, cut.common)));
            self.fork = dyadic.root(cut.common);
            let with_area = streams.levy() == Levy::SpaceTime;
            let mut joined = 0.0;
            for end in 0..2 {
                for level in cut.common + 1..cut.last[end] {
                    self.ids.push(streams.id(cut.node(end, level)));
                    let (root, half) = (dyadic.root(level), cut.turn(end, level));
                    let take = half == end;
                    let new = if take { cut.cells(level + 1) } else { 0.0 };
                    // Increments need no shares, nor does nothing that is joined to nothing.
                    let needed = with_area && (take || joined > 0.0);
                    let shares = if needed { shares(end, new, joined) } else { [0.5; 2] };
                    joined += new;
                    self.steps.push(Step { root, turn: bits(half == 1), take: bits(take), shares });
                }
                let new = cut.cells(cut.last[end]);
                self.last[end] = shares(end, new, joined);
                joined += new;
                self.stops[end + 1] = self.steps.len();
            }
        }
        if streams.counters().len() < MANY
            && let Some(&last) = self.ids.last()
        {
            self.ids.resize(self.ids.len().next_multiple_of(8), last);
        }
    }

    fn bytes(&self) -> usize {
        self.ids.capacity() * size_of::<u64>() + self.steps.capacity() * size_of::<Step>()
    }
}

/// Pairs of `N` streams.
type Block<const N: usize> = [[f64; N]; 2];

/// Where the normal pairs of a block of streams come from.
trait Draw<const N: usize> {
    /// `x` ← the pairs of id number i.
    fn draw(&self, i: usize, x: &mut Block<N>);
}

/// Drawn before.
struct Drawn<'a>([&'a [f64]; 2]);

impl Draw<1> for Drawn<'_> {
    #[inline(always)]
    fn draw(&self, i: usize, x: &mut Block<1>) {
        *x = [[self.0[0][i]], [self.0[1][i]]];
    }
}

/// Drawn for the streams of a block at once.
struct OfBlock<'a> {
    seed: u64,
    ids: &'a [u64],
    streams: &'a [u64],
}

impl<const N: usize> Draw<N> for OfBlock<'_> {
    #[inline(always)]
    fn draw(&self, i: usize, x: &mut Block<N>) {
        let n = self.streams.len();
        let [first, second] = x;
        let streams = random::Streams { id: self.ids[i], streams: self.streams };
        normal_pairs(self.seed, streams, &mut first[..n], &mut second[..n]);
    }
}

/// One query under one instruction set.
struct Query<'a, T, B> {
    seed: u64,
    streams: &'a Streams,
    plan: &'a Plan,
    pairs: &'a mut [Vec<f64>; 2],
    bridge: B,
    sign: f64,
    w: &'a mut [T],
    area: &'a mut [T],
}

/// Streams that descend together: their state stays in the L1 cache.
const BLOCK: usize = 64;

impl<T: Real, B: Bridge> Kernel for Query<'_, T, B> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { seed, streams, plan, pairs, bridge, sign, w, area } = self;
        let counters = streams.counters();
        if counters.len() < MANY {
            let [first, second] = pairs;
            first.resize(plan.ids.len(), 0.0);
            second.resize(plan.ids.len(), 0.0);
            for (i, &stream) in counters.iter().enumerate() {
                normal_pairs(seed, Ids { ids: &plan.ids, stream }, first, second);
                let [x, y] = evaluate(plan, bridge, &Drawn([first, second]), 1);
                streams.write(i, sign, [&x, &y], w, area);
            }
        } else {
            for (i, block) in counters.chunks(BLOCK).enumerate() {
                let n = block.len();
                let draw = OfBlock { seed, ids: &plan.ids, streams: block };
                let [x, y]: Block<BLOCK> = evaluate(plan, bridge, &draw, n);
                streams.write(i * BLOCK, sign, [&x[..n], &y[..n]], w, area);
            }
        }
    }
}

/// The interval's pairs for the first n streams of a block.
#[inline(always)]
fn evaluate<const N: usize, B: Bridge, D: Draw<N>>(plan: &Plan, _: B, draw: &D, n: usize) -> Block<N> {
    let n = n.min(N);
    let zero = [[0.0; N]; 2];
    let (mut x, mut node, mut other, mut sum) = (zero, zero, zero, zero);
    draw.draw(0, &mut x);
    for i in 0..n {
        [node[0][i], node[1][i]] = B::whole(plan.root, [x[0][i], x[1][i]]);
    }
    let (common, rest) = plan.steps.split_at(plan.stops[0]);
    for (k, step) in common.iter().enumerate() {
        draw.draw(k + 1, &mut x);
        split::<N, B>(&mut node, &mut other, step.root, step.turn, &x, n);
    }
    if plan.whole {
        return node;
    }
    let fork = plan.stops[0] + 1;
    draw.draw(fork, &mut x);
    let mut right = zero;
    split::<N, B>(&mut node, &mut right, plan.fork, 0, &x, n);
    let (left_steps, right_steps) = rest.split_at(plan.stops[1] - plan.stops[0]);
    let mut k = fork;
    for (end, steps) in [left_steps, right_steps].into_iter().enumerate() {
        for step in steps {
            k += 1;
            draw.draw(k, &mut x);
            split::<N, B>(&mut node, &mut other, step.root, step.turn, &x, n);
            if N == 1 {
                other = other.map(|x| x.map(|x| pick(step.take, x, 0.0)));
                join::<N, B>(&mut sum, &other, end, step.shares, n);
            } else if step.take != 0 {
                join::<N, B>(&mut sum, &other, end, step.shares, n);
            }
        }
        join::<N, B>(&mut sum, &node, end, plan.last[end], n);
        node = right;
    }
    sum
}

/// `node` ← its half `turn`, `other` ← the other one.
#[inline(always)]
fn split<const N: usize, B: Bridge>(
    node: &mut Block<N>,
    other: &mut Block<N>,
    root: f64,
    turn: u64,
    x: &Block<N>,
    n: usize,
) {
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
fn join<const N: usize, B: Bridge>(
    sum: &mut Block<N>,
    part: &Block<N>,
    end: usize,
    shares: [f64; 2],
    n: usize,
) {
    for i in 0..n {
        let (sum_i, part_i) = ([sum[0][i], sum[1][i]], [part[0][i], part[1][i]]);
        let (left, right) = if end == 0 { (part_i, sum_i) } else { (sum_i, part_i) };
        [sum[0][i], sum[1][i]] = B::join(left, right, shares);
    }
}
