//! [`Bands`]: I + L + Lᵀ as a few diagonals within each level.

use super::levels::{Levels, WIDTH};
use super::pattern::Entries;
use super::schedule::{SLOTS, schedule, shifts};
use super::sweeps::{Backward, Chunk, Forward, Update, masks};
use crate::linalg::grid::StencilOperator;
use crate::num::{Kernel, Real, dispatch};
use std::ops::Range;

/// No such source.
const NONE: u32 = u32::MAX;

/// D^−½ A D^−½ = I + L + Lᵀ in the order of its [`Levels`]. The lower neighbours of a level's unknowns are read
/// at constant shifts, slot by slot: neighbour m of the k-th unknown stands at `below[m]` + k.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bands<T> {
    pub(super) levels: Levels,
    pub(super) masks: [Chunk<T>; WIDTH],
    slots: usize,
    below: Vec<usize>,
    above: Vec<usize>,
    values: Values<T>,
}

#[derive(Clone, Debug, PartialEq)]
enum Values<T> {
    /// One stencil for all: its two couplings, and the diagonal of A.
    Shared { extents: [usize; 2], couplings: [T; 2], diagonal: T },
    /// By places, slot after slot.
    Own { lower: Vec<T>, upper: Vec<T>, diagonal: Vec<T>, root: Vec<T>, sources: Box<Sources> },
}

/// The entry of the matrix that each coefficient comes from.
#[derive(Clone, Debug, PartialEq)]
struct Sources {
    lower: Vec<u32>,
    upper: Vec<u32>,
}

/// The coefficients of one triangle.
pub(super) trait Couplings<T, const M: usize>: Copy {
    /// Those of the level at these places.
    fn level(&self, span: Range<usize>) -> Self;
    /// Of slot m at the level's chunk c.
    fn at(&self, m: usize, c: usize) -> [T; WIDTH];
    /// The diagonal of A there.
    fn diagonal(&self, c: usize) -> [T; WIDTH];
}

#[derive(Clone, Copy)]
struct Shared<T> {
    couplings: [T; 2],
    diagonal: T,
}

impl<T: Real> Couplings<T, 2> for Shared<T> {
    #[inline(always)]
    fn level(&self, _: Range<usize>) -> Self {
        *self
    }
    #[inline(always)]
    fn at(&self, m: usize, _: usize) -> [T; WIDTH] {
        [self.couplings[m]; WIDTH]
    }
    #[inline(always)]
    fn diagonal(&self, _: usize) -> [T; WIDTH] {
        [self.diagonal; WIDTH]
    }
}

#[derive(Clone, Copy)]
struct Own<'a, T, const M: usize> {
    couplings: [&'a [T]; M],
    diagonal: &'a [T],
}

impl<'a, T, const M: usize> Own<'a, T, M> {
    fn new(couplings: &'a [T], diagonal: &'a [T]) -> Self {
        let places = diagonal.len();
        Self { couplings: std::array::from_fn(|m| &couplings[m * places..][..places]), diagonal }
    }
}

impl<T: Real, const M: usize> Couplings<T, M> for Own<'_, T, M> {
    #[inline(always)]
    fn level(&self, span: Range<usize>) -> Self {
        Self { couplings: self.couplings.map(|v| &v[span.clone()]), diagonal: &self.diagonal[span] }
    }
    #[inline(always)]
    fn at(&self, m: usize, c: usize) -> [T; WIDTH] {
        self.couplings[m].as_chunks().0[c]
    }
    #[inline(always)]
    fn diagonal(&self, c: usize) -> [T; WIDTH] {
        self.diagonal.as_chunks().0[c]
    }
}

/// Runs `$kernel` with the coefficients of the triangle `$of` as `$c`, whatever they are.
macro_rules! with {
    ($bands:expr, $of:ident as $c:ident, $m:ident => $kernel:expr) => {
        match &$bands.values {
            Values::Shared { couplings, diagonal, .. } => {
                const $m: usize = 2;
                let $c = Shared { couplings: *couplings, diagonal: *diagonal };
                dispatch($kernel)
            }
            Values::Own { $of, diagonal, .. } if $bands.slots == 2 => {
                const $m: usize = 2;
                let $c = Own::<_, 2>::new($of, diagonal);
                dispatch($kernel)
            }
            Values::Own { $of, diagonal, .. } => {
                const $m: usize = SLOTS;
                let $c = Own::<_, SLOTS>::new($of, diagonal);
                dispatch($kernel)
            }
        }
    };
}

impl<T: Real> Bands<T> {
    #[inline(always)]
    pub(super) fn below<const M: usize>(&self, s: usize) -> &[usize] {
        &self.below[s * M..][..M]
    }

    #[inline(always)]
    pub(super) fn above<const M: usize>(&self, s: usize) -> &[usize] {
        &self.above[s * M..][..M]
    }

    /// Of a constant 5-point stencil with the couplings [along x, along y] on n × m points, Dirichlet sides.
    pub(super) fn five_points([n, m]: [usize; 2], stencil: [T; 3]) -> Self {
        let first = |s: usize| (s + 1).saturating_sub(n);
        let count = n + m - 1;
        let (mut order, mut starts) = (Vec::with_capacity(n * m), vec![0]);
        for s in 0..count {
            order.extend((first(s)..m.min(s + 1)).map(|j| (s - j + n * j) as u32));
            starts.push(order.len() as u32);
        }
        let levels = Levels::new(order, starts);
        let (mut below, mut above) = (Vec::with_capacity(2 * count), Vec::with_capacity(2 * count));
        for s in 0..count {
            below.extend(match s.checked_sub(1) {
                Some(under) => {
                    let start = levels.base(under) + first(s) - first(under);
                    [start, start - 1]
                }
                None => [0; 2],
            });
            above.extend(if s + 1 < count {
                let start = levels.base(s + 1) + first(s) - first(s + 1);
                [start, start + 1]
            } else {
                [levels.places() - levels.base(0); 2]
            });
        }
        let values = Values::Shared { extents: [n, m], couplings: [T::zero(); 2], diagonal: T::one() };
        let mut bands = Self { levels, masks: masks(), slots: 2, below, above, values };
        bands.set_stencil(stencil);
        bands
    }

    /// Another stencil [centre, along x, along y] on the same points.
    pub(super) fn set_stencil(&mut self, [centre, x, y]: [T; 3]) {
        if let Values::Shared { couplings, diagonal, .. } = &mut self.values {
            (*couplings, *diagonal) = ([x / centre, y / centre], centre);
        }
    }

    /// Those of [`five_points`](Self::five_points).
    pub(super) fn extents(&self) -> Option<[usize; 2]> {
        match &self.values {
            Values::Shared { extents, .. } => Some(*extents),
            Values::Own { .. } => None,
        }
    }

    pub(super) fn places(&self) -> usize {
        self.levels.places()
    }

    /// Of a matrix whose levels are banded and wide, as those of a grid are; values are not set.
    pub(super) fn of(entries: &Entries) -> Option<Self> {
        let n = entries.len();
        let levels = schedule(entries)?;
        let mut place = vec![0; n];
        for s in 0..levels.count() {
            for (k, &i) in levels.unknowns(s).iter().enumerate() {
                place[i as usize] = levels.base(s) + k;
            }
        }
        let mut used = [Vec::new(), Vec::new()];
        for s in 0..levels.count() {
            let [lower, upper] = shifts(entries, &levels, &place, s)?;
            used[0].push(lower);
            used[1].push(upper);
        }
        let most = used.iter().flatten().map(Vec::len).max()?;
        let slots = if most <= 2 { 2 } else { SLOTS };
        // Slots that a level does not use read what is always 0, or what a coefficient 0 hides.
        let idle = [0, levels.places() - levels.base(0)];
        let mut starts = [Vec::new(), Vec::new()];
        let mut sources = [0, 1].map(|_| vec![NONE; slots * levels.places()]);
        for side in 0..2 {
            for (s, used) in used[side].iter().enumerate() {
                starts[side].extend((0..slots).map(|m| used.get(m).copied().unwrap_or(idle[side])));
                for (k, &i) in levels.unknowns(s).iter().enumerate() {
                    for e in entries.triangle(i as usize, side == 0) {
                        let to = place[entries.columns()[e] as usize];
                        let m = used.iter().position(|start| start + k == to)?;
                        sources[side][m * levels.places() + levels.base(s) + k] = e as u32;
                    }
                }
            }
        }
        let [below, above] = starts;
        let [lower, upper] = sources;
        let zeros = |length: usize| vec![T::zero(); length];
        let values = Values::Own {
            lower: zeros(slots * levels.places()),
            upper: zeros(slots * levels.places()),
            diagonal: zeros(levels.places()),
            root: zeros(levels.places()),
            sources: Box::new(Sources { lower, upper }),
        };
        Some(Self { levels, masks: masks(), slots, below, above, values })
    }

    /// Takes the values of the matrix.
    pub(super) fn refill(&mut self, entries: &Entries, from: &[T]) {
        dispatch(Refill { bands: self, entries, from });
    }

    /// `to` ← D^−½ `from`, in the order of the levels.
    pub(super) fn enter(&self, from: &[T], to: &mut [T]) {
        match &self.values {
            Values::Shared { diagonal, .. } => {
                let scale = T::one() / diagonal.sqrt();
                self.levels.enter(from, |_| scale, to);
            }
            Values::Own { root, .. } => self.levels.enter(from, |place| root[place], to),
        }
    }

    /// ACCUMULATES: `to` += D^−½ `from`, in the order of the unknowns.
    pub(super) fn leave(&self, from: &[T], to: &mut [T]) {
        match &self.values {
            Values::Shared { diagonal, .. } => {
                let scale = T::one() / diagonal.sqrt();
                self.levels.leave(from, |_| scale, to);
            }
            Values::Own { root, .. } => self.levels.leave(from, |place| root[place], to),
        }
    }

    pub(super) fn advance(&self, omega: f64, steps: [f64; 2], r: &[T], [p, x, t]: [&mut [T]; 3]) {
        let (omega, [alpha, beta]) = (T::of(omega), steps.map(T::of));
        with!(self, upper as upper, M =>
            Backward::<T, _, M, true> { bands: self, upper, omega, alpha, beta, r, p, x, t });
    }

    pub(super) fn solve_upper(&self, omega: f64, p: &mut [T], t: &mut [T]) {
        let (omega, zero) = (T::of(omega), T::zero());
        with!(self, upper as upper, M => Backward::<T, _, M, false> {
            bands: self, upper, omega, alpha: zero, beta: zero, r: &[], p, x: &mut [], t
        });
    }

    pub(super) fn forward(&self, omega: f64, p: &[T], t: &[T], w: &mut [T]) -> f64 {
        let omega = T::of(omega);
        with!(self, lower as lower, M => Forward::<T, _, M> { bands: self, lower, omega, p, t, w })
    }

    pub(super) fn update(&self, omega: f64, alpha: f64, [t, w]: [&[T]; 2], r: &mut [T]) -> [f64; 2] {
        let (omega, alpha) = (T::of(omega), T::of(alpha));
        with!(self, lower as lower, M => Update::<T, _, M> { bands: self, lower, omega, alpha, t, w, r })
    }
}

struct Refill<'a, T> {
    bands: &'a mut Bands<T>,
    entries: &'a Entries,
    from: &'a [T],
}

impl<T: Real> Kernel for Refill<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { bands, entries, from } = self;
        let Bands { levels, slots, below, above, values, .. } = bands;
        let Values::Own { lower, upper, diagonal, root, sources } = values else { return };
        for s in 0..levels.count() {
            let span = levels.base(s)..levels.base(s) + levels.len(s);
            let (diagonal, root) = (&mut diagonal[span.clone()], &mut root[span]);
            for (d, &i) in diagonal.iter_mut().zip(levels.unknowns(s)) {
                *d = from[entries.diagonal()[i as usize] as usize];
            }
            for (root, d) in root.iter_mut().zip(diagonal) {
                *root = T::one() / d.sqrt();
            }
        }
        let places = levels.places();
        let triangles = [(lower, &sources.lower, &*below), (upper, &sources.upper, &*above)];
        for (to, sources, starts) in triangles {
            for s in 0..levels.count() {
                let span = levels.base(s)..levels.base(s) + levels.len(s);
                for m in 0..*slots {
                    let near = &root[starts[s * *slots + m]..][..span.len()];
                    let own = &root[span.clone()];
                    let at = m * places + span.start..m * places + span.end;
                    let pairs = to[at.clone()].iter_mut().zip(&sources[at]).zip(near.iter().zip(own));
                    for ((to, &source), (&near, &own)) in pairs {
                        *to = from.get(source as usize).map_or(T::zero(), |&v| v * near * own);
                    }
                }
            }
        }
    }
}

/// [n, m] and [centre, along x, along y] of an operator that [`Bands::five_points`] serves: two axes, one
/// symmetric star for all points, values beyond the sides 0.
pub(super) fn five_point<T: Real>(a: &StencilOperator<T>) -> Option<([usize; 2], [T; 3])> {
    let grid = a.grid();
    let [n, m, _] = grid.extents();
    if grid.dim() != 2 || !a.is_constant() || !a.is_star() || n.min(m) < 2 {
        return None;
    }
    let inner = a.inner();
    let (x, y, centre) = (inner.get([1, 0, 0]), inner.get([0, 1, 0]), inner.get([0; 3]));
    // A side that is eliminated otherwise, or wraps, shows in the rows beside it: corners, middles of sides, within.
    let is_plain = |i: usize, j: usize| {
        let row = a.row([i, j, 0]);
        let beside = |inside: bool, coupling: T| if inside { coupling } else { T::zero() };
        row.get([0; 3]) == centre
            && row.get([-1, 0, 0]) == beside(i > 0, x)
            && row.get([1, 0, 0]) == beside(i + 1 < n, x)
            && row.get([0, -1, 0]) == beside(j > 0, y)
            && row.get([0, 1, 0]) == beside(j + 1 < m, y)
    };
    let plain = [0, n / 2, n - 1].iter().all(|&i| [0, m / 2, m - 1].iter().all(|&j| is_plain(i, j)));
    plain.then_some(([n, m], [centre, x, y]))
}
