//! [`FixedGrid`]: increments of the cells of a grid, one normal number each.

use super::bridge::{Bridge, WithArea};
use super::streams::{Domain, MANY, Streams, check_span};
use super::{Brownian, Levy};
use crate::error::{Error, Result};
use crate::num::random::{self, Consecutive, normal_pairs};
use crate::num::{Kernel, Real, dispatch};

/// Brownian motion on a fixed grid: W of a cell, and H with [`Levy::SpaceTime`], come straight from the
/// counter of the cell, so this is the fastest source of fixed steps. An interval must be a union of
/// cells; times match grid points to the rounding of as many sums as there are cells, at most a quarter
/// of a cell.
///
/// Without areas the pair of normal numbers 2k, 2k + 1 serves cells 2k and 2k + 1; pairs are drawn in
/// blocks, so queries in order cost least.
///
/// ```
/// use odeon::sde::noise::{Brownian, FixedGrid};
///
/// let mut noise = FixedGrid::new(7, [0.0, 1.0], 100, 1, 1)?;
/// let mut w = [0.0];
/// noise.increment(0.02, 0.03, &mut w, &mut [])?;
/// assert!(noise.increment(0.02, 0.035, &mut w, &mut []).is_err());
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FixedGrid<T> {
    seed: u64,
    grid: Grid,
    /// What a time may be off a grid point, if no cell is shorter than four times that.
    rounding: f64,
    streams: Streams,
    /// Where the last interval ended: the grid point, and the time that was asked.
    end: usize,
    reached: f64,
    drawn: Drawn,
    /// Sums over cells.
    sum: [Vec<f64>; 2],
    span: [T; 2],
}

impl<T: Real> FixedGrid<T> {
    /// `cells` equal cells of the span, `components` independent motions for each of `paths` paths; any
    /// seed.
    ///
    /// # Errors
    /// A span that is empty, reversed or not finite; no cells, or cells that times of type `T` cannot
    /// tell apart; no components or paths, or more than 2³².
    pub fn new(seed: u64, span: [T; 2], cells: usize, components: usize, paths: usize) -> Result<Self> {
        check_span(span)?;
        if cells == 0 {
            return Err(Error::invalid("the number of cells of a Brownian grid", 0, "it must be at least 1"));
        }
        let [start, end] = span.map(T::f64);
        let cell = (end - start) / cells as f64;
        let spacing = T::EPSILON.f64() * start.abs().max(end.abs());
        if !(cell.is_finite() && cell >= 4.0 * spacing) {
            let needed = format!("times of type {} are {spacing:e} apart on this span: take fewer", T::NAME);
            return Err(Error::invalid("the number of cells of a Brownian grid", cells, needed));
        }
        Self::of(seed, span, Grid::Equal { start, end, cell, root: cell.sqrt(), cells }, components, paths)
    }

    /// A grid of increasing times, two at least.
    ///
    /// # Errors
    /// Fewer times, or times that do not increase or are not finite; as for [`new`](Self::new).
    pub fn on(seed: u64, times: &[T], components: usize, paths: usize) -> Result<Self> {
        Error::check_finite("the times of a Brownian grid", times)?;
        let [first, .., last] = times else {
            let needed = "two times, the ends of one cell, at least".to_string();
            return Err(Error::Length { what: "the times of a Brownian grid", given: times.len(), needed });
        };
        if let Some(i) = times.windows(2).position(|t| t[0] >= t[1]) {
            let what = format!("time {} of a Brownian grid", i + 1);
            let needed = format!("it must be later than the one before, {}", times[i]);
            return Err(Error::invalid(what, times[i + 1], needed));
        }
        let listed = times.iter().map(|t| t.f64()).collect();
        Self::of(seed, [*first, *last], Grid::Listed(listed), components, paths)
    }

    fn of(seed: u64, span: [T; 2], grid: Grid, components: usize, paths: usize) -> Result<Self> {
        let streams = Streams::new(components, paths, Domain::Grid)?;
        let largest = span[0].abs().f64().max(span[1].abs().f64());
        let mut rounding = (grid.cells() + 16) as f64 * T::EPSILON.f64() * largest;
        if let Grid::Equal { cell, .. } = grid {
            rounding = rounding.min(0.25 * cell);
        }
        let (drawn, sum) = (Drawn::default(), [vec![], vec![]]);
        Ok(Self { seed, grid, rounding, streams, end: 0, reached: f64::NAN, drawn, sum, span })
    }

    /// What the source knows; another motion with areas than without.
    #[must_use]
    pub fn levy(mut self, levy: Levy) -> Self {
        self.streams = self.streams.with_levy(levy);
        self.drawn = Drawn::default();
        self
    }

    /// The paths are numbers `first..` of the ensemble: path i has the same noise alone or in a batch.
    ///
    /// # Errors
    /// Numbers beyond 2³².
    pub fn paths_from(mut self, first: usize) -> Result<Self> {
        self.streams = self.streams.with_first_path(first)?;
        self.drawn = Drawn::default();
        Ok(self)
    }

    /// Cells of the grid.
    pub fn cells(&self) -> usize {
        self.grid.cells()
    }

    /// Whether a time is grid point j.
    #[inline(always)]
    fn is(&self, t: f64, j: usize) -> bool {
        match &self.grid {
            Grid::Equal { start, cell, .. } => (t - (start + number(j) * cell)).abs() <= self.rounding,
            Grid::Listed(times) => {
                let before = if j > 0 { times[j] - times[j - 1] } else { f64::INFINITY };
                let after = times.get(j + 1).map_or(f64::INFINITY, |next| next - times[j]);
                (t - times[j]).abs() <= self.rounding.min(0.25 * before.min(after))
            }
        }
    }

    /// The grid point at a time; two guesses are tried first.
    #[inline(always)]
    fn point(&self, t: T, guesses: [usize; 2]) -> Result<usize> {
        let time = t.f64();
        for j in guesses {
            if j <= self.grid.cells() && self.is(time, j) {
                return Ok(j);
            }
        }
        let j = self.grid.nearest(time);
        if self.is(time, j) { Ok(j) } else { Err(self.off(t, j)) }
    }

    #[cold]
    fn off(&self, t: T, nearest: usize) -> Error {
        let [first, last] = self.span;
        let needed = if t < first || t > last {
            format!("the grid was made for [{first}, {last}]: make it for the whole solve")
        } else {
            let other = if t.f64() < self.grid.time(nearest) { nearest.max(1) - 1 } else { nearest + 1 };
            let (low, high) = (nearest.min(other), nearest.max(other).min(self.grid.cells()));
            format!(
                "the nearest grid points are {} and {} (numbers {low} and {high}): step on the grid, or use an IntervalTree",
                self.grid.time(low),
                self.grid.time(high)
            )
        };
        Error::invalid("a time asked of a Brownian grid", t, needed)
    }
}

/// Grid points.
#[derive(Clone, Debug)]
enum Grid {
    Equal { start: f64, end: f64, cell: f64, root: f64, cells: usize },
    Listed(Vec<f64>),
}

/// A number of a grid point; the signed conversion is one instruction.
#[inline(always)]
fn number(j: usize) -> f64 {
    j as i64 as f64
}

impl Grid {
    #[inline(always)]
    fn cells(&self) -> usize {
        match self {
            Self::Equal { cells, .. } => *cells,
            Self::Listed(times) => times.len() - 1,
        }
    }

    #[inline(always)]
    fn time(&self, j: usize) -> f64 {
        match self {
            Self::Equal { end, cells, .. } if j == *cells => *end,
            Self::Equal { start, cell, .. } => start + number(j) * cell,
            Self::Listed(times) => times[j],
        }
    }

    /// The length of cell j.
    #[inline(always)]
    fn length(&self, j: usize) -> f64 {
        match self {
            Self::Equal { cell, .. } => *cell,
            Self::Listed(times) => times[j + 1] - times[j],
        }
    }

    /// √ of the length of cell j.
    #[inline(always)]
    fn root(&self, j: usize) -> f64 {
        match self {
            Self::Equal { root, .. } => *root,
            Self::Listed(_) => self.length(j).sqrt(),
        }
    }

    fn nearest(&self, t: f64) -> usize {
        match self {
            // A cast ends at 0 and at the largest number, NaN at 0.
            Self::Equal { start, cell, cells, .. } => (((t - start) / cell + 0.5) as usize).min(*cells),
            Self::Listed(times) => {
                let after = times.partition_point(|&x| x < t).min(times.len() - 1);
                let closer = after > 0 && t - times[after - 1] < times[after] - t;
                after - usize::from(closer)
            }
        }
    }
}

/// Normal pairs of a block of consecutive ids.
#[derive(Clone, Debug, Default)]
struct Drawn {
    /// The first id, and how many; none before the first query.
    first: usize,
    count: usize,
    /// `count × streams`, ids fastest.
    pairs: [Vec<f64>; 2],
}

/// Numbers that are drawn together where there are few streams.
const TOGETHER: usize = 128;

/// Streams whose ids fill the registers; above, the streams do.
const SIDEWAYS: usize = 64;

impl Drawn {
    /// Draws the block that holds an id.
    #[cold]
    fn draw(&mut self, id: usize, seed: u64, streams: &Streams) {
        let counters = streams.counters();
        self.count = if counters.len() < SIDEWAYS { TOGETHER.div_ceil(counters.len()).max(8) } else { 1 };
        self.first = id - id % self.count;
        for x in &mut self.pairs {
            x.resize(self.count * counters.len(), 0.0);
        }
        let [first, second] = &mut self.pairs;
        let id = streams.id(self.first as u64);
        dispatch(Draw { seed, id, streams: counters, count: self.count, first, second });
    }

    #[inline(always)]
    fn holds(&self, id: usize) -> bool {
        id.wrapping_sub(self.first) < self.count
    }
}

struct Draw<'a> {
    seed: u64,
    id: u64,
    streams: &'a [u64],
    count: usize,
    first: &'a mut [f64],
    second: &'a mut [f64],
}

impl Kernel for Draw<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { seed, id, streams, count, first, second } = self;
        if count == 1 {
            return normal_pairs(seed, random::Streams { id, streams }, first, second);
        }
        let blocks = first.chunks_exact_mut(count).zip(second.chunks_exact_mut(count));
        for (&stream, (first, second)) in streams.iter().zip(blocks) {
            normal_pairs(seed, Consecutive { first: id, stream }, first, second);
        }
    }
}

/// `out[i]` ← scale · `x[i · stride]`.
struct Write<'a, T> {
    scale: f64,
    x: &'a [f64],
    stride: usize,
    out: &'a mut [T],
}

impl<T: Real> Kernel for Write<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        if self.stride == 1 {
            for (out, &x) in self.out.iter_mut().zip(self.x) {
                *out = T::of(self.scale * x);
            }
        } else {
            // Not `step_by`, whose length is a division.
            for (i, out) in self.out.iter_mut().enumerate() {
                *out = T::of(self.scale * self.x[i * self.stride]);
            }
        }
    }
}

/// Joins a cell on the right of the sums: W alone, or W and H.
struct Join<'a> {
    sum: &'a mut [Vec<f64>; 2],
    /// Normal numbers of the cell, `stride` apart.
    cell: [&'a [f64]; 2],
    stride: usize,
    /// What makes W and H of them.
    scales: [f64; 2],
    /// Shares of the sum and of the cell; none without areas.
    shares: Option<[f64; 2]>,
}

impl Kernel for Join<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { sum: [w, h], cell: [x, y], stride, scales, shares } = self;
        let Some(shares) = shares else {
            for (w, x) in w.iter_mut().zip(x.iter().step_by(stride)) {
                *w += scales[0] * x;
            }
            return;
        };
        let cell = x.iter().step_by(stride).zip(y.iter().step_by(stride));
        for ((w, h), (x, y)) in w.iter_mut().zip(h).zip(cell) {
            [*w, *h] = WithArea::join([*w, *h], [scales[0] * x, scales[1] * y], shares);
        }
    }
}

impl<T: Real> Brownian<T> for FixedGrid<T> {
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
        span.iter().try_for_each(|&t| self.point(t, [0, self.cells()]).map(|_| ()))
    }
    /// Whole cells, where h has room for one.
    fn snap(&self, t: T, h: T) -> T {
        let (from, to) = (self.grid.nearest(t.f64()), (t + h).f64());
        let mut end = self.grid.nearest(to);
        let (forward, time) = (h > T::zero(), self.grid.time(end));
        // The nearest point may lie beyond.
        if !self.is(to, end) {
            match forward {
                true if time > to && end > 0 => end -= 1,
                false if time < to && end < self.grid.cells() => end += 1,
                _ => {}
            }
        }
        if end == from || (end > from) != forward {
            return h;
        }
        let step = T::of(self.grid.time(end)) - t;
        if step.abs() > h.abs() { h } else { step }
    }

    #[inline]
    fn increment(&mut self, from: T, to: T, w: &mut [T], area: &mut [T]) -> Result<()> {
        self.streams.check(w, area)?;
        // The next step of a sweep starts at the very time at which the last one ended.
        let start = if from.f64() == self.reached { self.end } else { self.point(from, [self.end, 0])? };
        let end = self.point(to, [start + 1, start.wrapping_sub(1)])?;
        (self.end, self.reached) = (end, to.f64());
        let (low, high, sign) = if start <= end { (start, end, 1.0) } else { (end, start, -1.0) };
        if high == low + 1 {
            self.cell(low, sign, w, area);
        } else {
            self.union(low, high, sign, w, area);
        }
        Ok(())
    }
    fn bytes(&self) -> usize {
        let numbers: usize = self.drawn.pairs.iter().chain(&self.sum).map(Vec::capacity).sum();
        let listed = if let Grid::Listed(times) = &self.grid { times.len() } else { 0 };
        (numbers + listed) * size_of::<f64>() + self.streams.bytes()
    }
}

impl<T: Real> FixedGrid<T> {
    /// Draws the pair that serves cell j, unless that is there; which number of the pair is W's, and
    /// where the pairs start.
    #[inline(always)]
    fn drawn(&mut self, j: usize) -> (usize, usize) {
        let (id, which) = match self.streams.levy() {
            Levy::None => (j / 2, j % 2),
            Levy::SpaceTime => (j, 0),
        };
        if !self.drawn.holds(id) {
            self.drawn.draw(id, self.seed, &self.streams);
        }
        (which, id - self.drawn.first)
    }

    #[inline(always)]
    fn cell(&mut self, j: usize, sign: f64, w: &mut [T], area: &mut [T]) {
        let root = self.grid.root(j);
        let (which, at) = self.drawn(j);
        let (stride, pairs) = (self.drawn.count, &self.drawn.pairs);
        write(sign * root, &pairs[which][at..], stride, w);
        if !area.is_empty() {
            write(WithArea::whole(root, [0.0, 1.0])[1], &pairs[1][at..], stride, area);
        }
    }

    fn union(&mut self, low: usize, high: usize, sign: f64, w: &mut [T], area: &mut [T]) {
        let with_area = self.streams.levy() == Levy::SpaceTime;
        for sum in &mut self.sum {
            sum.clear();
            sum.resize(w.len(), 0.0);
        }
        let mut joined = 0.0;
        for j in low..high {
            let length = self.grid.length(j);
            let (which, at) = self.drawn(j);
            let total = joined + length;
            let shares = with_area.then(|| [joined / total, length / total]);
            let scales = WithArea::whole(self.grid.root(j), [1.0, 1.0]);
            let (stride, pairs) = (self.drawn.count, &self.drawn.pairs);
            let cell = [&pairs[which][at..], &pairs[1][at..]];
            dispatch(Join { sum: &mut self.sum, cell, stride, scales, shares });
            joined = total;
        }
        write(sign, &self.sum[0], 1, w);
        write(1.0, &self.sum[1], 1, area);
    }
}

/// `out[i]` ← scale · `x[i · stride]`, compiled for the CPU where that pays.
#[inline(always)]
fn write<T: Real>(scale: f64, x: &[f64], stride: usize, out: &mut [T]) {
    if out.len() < MANY {
        Write { scale, x, stride, out }.run();
    } else {
        dispatch(Write { scale, x, stride, out });
    }
}
