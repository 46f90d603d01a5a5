//! Interpolation between grids: tensor products of one-dimensional ones.

use crate::linalg::LinearOperator;
use crate::linalg::grid::{Boundary, Centring, Ghost, Grid};
use crate::num::{Kernel, Real, dispatch};

/// Interpolation along one axis, by rows and by columns.
#[derive(Clone, Debug, PartialEq)]
struct Axis<T> {
    /// For each fine point two coarse ones and their weights (0 where there is only one).
    from: Vec<[u32; 2]>,
    weights: Vec<[T; 2]>,
    /// Where each coarse point's fine ones start in `to`, R's rows.
    starts: Vec<usize>,
    to: Vec<(u32, T)>,
}

impl<T: Real> Axis<T> {
    /// With R = `scale` Pᵀ.
    fn new(coarse: usize, rows: Vec<[(usize, f64); 2]>, scale: f64) -> Self {
        let mut lists = vec![Vec::new(); coarse];
        for (i, row) in rows.iter().enumerate() {
            for &(c, w) in row.iter().filter(|e| e.1 != 0.0) {
                lists[c].push((i as u32, T::of(w * scale)));
            }
        }
        let (starts, to) = joined(lists);
        let from = rows.iter().map(|r| r.map(|e| e.0 as u32)).collect();
        let weights = rows.iter().map(|r| r.map(|e| T::of(e.1))).collect();
        Self { from, weights, starts, to }
    }

    /// With R the means over coarse cells: each fine cell counts by the part of the coarse one it covers.
    fn averaging(mut self) -> Self {
        let (n, m) = (self.from.len(), self.coarse());
        let ratio = n as f64 / m as f64;
        let mean = |c: usize| {
            let [low, high] = [c, c + 1].map(|c| c as f64 * ratio);
            let covered = move |i: usize| (high.min((i + 1) as f64) - low.max(i as f64)) / ratio;
            let fine = low as usize..(high.ceil() as usize).min(n);
            fine.map(move |i| (i as u32, covered(i))).filter(|e| e.1 > 1e-9)
        };
        let list = |c| mean(c).map(|(i, w)| (i, T::of(w))).collect();
        (self.starts, self.to) = joined((0..m).map(list).collect());
        self
    }

    /// With R = Pᵀ.
    fn transposed(&self) -> Self {
        let row = |(from, w): (&[u32; 2], &[T; 2])| [0, 1].map(|k| (from[k] as usize, w[k].f64()));
        Self::new(self.coarse(), self.from.iter().zip(&self.weights).map(row).collect(), 1.0)
    }

    fn coarse(&self) -> usize {
        self.starts.len() - 1
    }

    #[inline(always)]
    fn column(&self, c: usize) -> &[(u32, T)] {
        &self.to[self.starts[c]..self.starts[c + 1]]
    }
}

/// Lists one after the other, and where each starts.
fn joined<T>(lists: Vec<Vec<T>>) -> (Vec<usize>, Vec<T>) {
    let mut starts = vec![0];
    let mut all = Vec::new();
    for list in lists {
        all.extend(list);
        starts.push(all.len());
    }
    (starts, all)
}

/// P, (bi-, tri-)linear interpolation from a coarse grid to a fine one, and R = cPᵀ, full weighting,
/// with c such that R keeps constants away from the sides. As a [`LinearOperator`] it is P.
///
/// On cells whose cycles need not be symmetric R takes the mean over each coarse cell instead: orders 2 of P
/// and 1 of R add up to more than the operator's 2, which is enough (P. Wesseling, *An Introduction to
/// Multigrid Methods*, 1992, section 5.3; M. Mohr & R. Wienands, *Cell-centred multigrid revisited*, Comput.
/// Vis. Sci. 7, 2004), and the residual is not blurred into the next coarse cells.
#[derive(Clone, Debug, PartialEq)]
pub struct GridInterpolation<T> {
    axes: [Axis<T>; 3],
    line: Vec<T>,
    averages: bool,
}

/// How the points of an axis are thinned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinning {
    /// Not at all.
    Keep,
    /// Half as many intervals of equal length, rounded up: coarse points need not be fine ones.
    Even,
    /// Every second point (pairs of cells): coarse points are fine ones, the last interval may be short.
    Nested,
}

impl<T: Real> GridInterpolation<T> {
    /// The next coarser grid and the interpolation from it.
    pub(super) fn new(fine: &Grid, thinning: [Thinning; 3]) -> (Grid, Self) {
        let mut coarse = *fine;
        let axes = [0, 1, 2].map(|axis| {
            let (n, rows, factor) = match thinning[axis] {
                Thinning::Keep => {
                    let n = fine.extents()[axis];
                    (n, (0..n).map(|i| [(i, 1.0), (i, 0.0)]).collect(), 1.0)
                }
                Thinning::Even => even(fine, axis),
                Thinning::Nested => nested(fine, axis),
            };
            coarse = coarse.resized(axis, n, fine.spacing()[axis] * factor);
            Axis::new(n, rows, 1.0 / factor)
        });
        let line = vec![T::zero(); fine.extents()[0]];
        (coarse, Self { axes, line, averages: false })
    }

    /// With R the mean over each coarse cell: for cells.
    pub(super) fn averaging(self) -> Self {
        Self { axes: self.axes.map(Axis::averaging), line: self.line, averages: true }
    }

    /// Whether R is the mean over coarse cells, not a multiple of Pᵀ.
    pub fn averages(&self) -> bool {
        self.averages
    }

    fn fine(&self) -> [usize; 3] {
        [0, 1, 2].map(|a| self.axes[a].from.len())
    }

    fn coarse(&self) -> [usize; 3] {
        [0, 1, 2].map(|a| self.axes[a].coarse())
    }

    /// `coarse` ← R `fine`.
    pub(super) fn restrict(&mut self, fine: &[T], coarse: &mut [T]) {
        dispatch(Restrict { axes: &self.axes, line: &mut self.line, fine, coarse });
    }

    /// ACCUMULATES: `fine` += P `coarse`.
    pub(super) fn prolong_add(&mut self, coarse: &[T], fine: &mut [T]) {
        dispatch(Prolong { axes: &self.axes, line: &mut self.line, coarse, fine });
    }

    /// Whether every coarse point is a fine one.
    pub(super) fn is_nested(&self) -> bool {
        self.axes.iter().all(|axis| {
            let whole = |c: &usize| {
                axis.weights
                    .iter()
                    .zip(&axis.from)
                    .any(|(w, f)| (0..2).any(|e| f[e] as usize == *c && w[e] == T::one()))
            };
            axis.from.len() == axis.coarse() || (0..axis.coarse().min(3)).all(|c| whole(&c))
        })
    }

    /// Whether the coarse grid has fewer points along an axis.
    pub(super) fn thins(&self, axis: usize) -> bool {
        self.axes[axis].coarse() < self.axes[axis].from.len()
    }

    /// The coarse points that point p of an axis interpolates from.
    pub(super) fn from(&self, axis: usize, p: usize) -> impl Iterator<Item = (usize, T)> + '_ {
        let own = &self.axes[axis];
        own.from[p].into_iter().zip(own.weights[p]).filter(|e| e.1 != T::zero()).map(|(c, w)| (c as usize, w))
    }

    /// The fine points that interpolate from coarse point c of an axis, with the weights of R.
    pub(super) fn to(&self, axis: usize, c: usize) -> &[(u32, T)] {
        self.axes[axis].column(c)
    }
}

/// Coarse extent, rows and H/h of an axis with intervals of equal length.
fn even(fine: &Grid, axis: usize) -> (usize, Vec<[(usize, f64); 2]>, f64) {
    let (n, intervals) = (fine.extents()[axis], fine.intervals(axis));
    let mut halves = intervals.div_ceil(2);
    if fine.wraps(axis) && halves % 2 == 1 && halves > 1 {
        // Colouring needs even periodic extents.
        halves += 1;
    }
    let m = n + halves - intervals;
    let ratio = intervals as f64 / halves as f64;
    let first = fine.first(axis);
    let coarse = fine.resized(axis, m, fine.spacing()[axis] * ratio);
    let ghosts = coarse.ghosts()[axis];
    let row = |i: usize| {
        // Position in coarse indices; exact where the grids are nested.
        let at = (i as f64 + first) / ratio - first;
        let left = at.floor();
        let right = at - left;
        fold([left as isize, left as isize + 1], [1.0 - right, right], m, ghosts)
    };
    (m, (0..n).map(row).collect(), ratio)
}

/// Replaces coarse ghosts among two neighbours by the unknowns that express them.
fn fold(at: [isize; 2], weights: [f64; 2], m: usize, ghosts: [Ghost; 2]) -> [(usize, f64); 2] {
    let last = m as isize - 1;
    let mut sums = [(0, 0.0), (0, 0.0)];
    let mut add = |at: isize, w: f64| {
        let at = at.rem_euclid(m as isize) as usize;
        let place = usize::from(sums[0].1 != 0.0 && sums[0].0 != at);
        sums[place] = (at, sums[place].1 + w);
    };
    for (at, w) in at.into_iter().zip(weights).filter(|e| e.1 != 0.0) {
        let side = usize::from(at > last);
        match ghosts[side] {
            Ghost::Fold { near, next, .. } if at < 0 || at > last => {
                let (edge, inward) = if side == 0 { (0, 1) } else { (last, -1) };
                add(edge, w * near);
                if next != 0.0 {
                    add(edge + inward, w * next);
                }
            }
            _ => add(at, w),
        }
    }
    sums
}

/// Coarse extent, rows and H/h of an axis of which every second point (every pair of cells) is kept.
fn nested(fine: &Grid, axis: usize) -> (usize, Vec<[(usize, f64); 2]>, f64) {
    let n = fine.extents()[axis];
    if fine.centring() == Centring::Cell {
        return (n.div_ceil(2), (0..n).map(|i| [(i / 2, 1.0), (0, 0.0)]).collect(), 2.0);
    }
    let sides = fine.boundaries()[axis];
    let shift = usize::from(sides[0] == Boundary::Dirichlet);
    let m = (n + 1 - shift) / 2;
    let row = |i: usize| {
        if i % 2 == shift {
            return [(i / 2, 1.0), (0, 0.0)];
        }
        let right = i.div_ceil(2);
        let [left, right] = [(i + 1).checked_sub(2).map(|i| i / 2), (right < m).then_some(right)];
        match (left, right) {
            (Some(left), Some(right)) => [(left, 0.5), (right, 0.5)],
            (Some(left), None) if fine.wraps(axis) => [(left, 0.5), (0, 0.5)],
            (Some(left), None) if sides[1] == Boundary::Dirichlet => [(left, 0.5), (0, 0.0)],
            (Some(left), None) => [(left, 1.0), (0, 0.0)],
            (None, right) => [(right.unwrap_or(0), 0.5), (0, 0.0)],
        }
    };
    (m, (0..n).map(row).collect(), 2.0)
}

impl<T: Real> LinearOperator<T> for GridInterpolation<T> {
    fn rows(&self) -> usize {
        self.fine().iter().product()
    }
    fn cols(&self) -> usize {
        self.coarse().iter().product()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        y.fill(T::zero());
        let mut line = vec![T::zero(); self.line.len()];
        dispatch(Prolong { axes: &self.axes, line: &mut line, coarse: x, fine: y });
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        let mut line = vec![T::zero(); self.line.len()];
        let axes = [0, 1, 2].map(|axis| self.axes[axis].transposed());
        dispatch(Restrict { axes: &axes, line: &mut line, fine: y, coarse: x });
    }
}

struct Restrict<'a, T> {
    axes: &'a [Axis<T>; 3],
    line: &'a mut [T],
    fine: &'a [T],
    coarse: &'a mut [T],
}

impl<T: Real> Kernel for Restrict<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { axes: [x, y, z], line, fine, coarse } = self;
        let (n, ny, m) = (x.from.len(), y.from.len(), x.coarse());
        let line = &mut line[..n];
        for cz in 0..z.coarse() {
            for cy in 0..y.coarse() {
                line.fill(T::zero());
                for &(k, wz) in z.column(cz) {
                    for &(j, wy) in y.column(cy) {
                        let start = n * (j as usize + ny * k as usize);
                        let (w, from) = (wy * wz, &fine[start..start + n]);
                        for i in 0..n {
                            line[i] = w.mul_add(from[i], line[i]);
                        }
                    }
                }
                let start = m * (cy + y.coarse() * cz);
                for (cx, out) in coarse[start..start + m].iter_mut().enumerate() {
                    let mut sum = T::zero();
                    for &(i, w) in x.column(cx) {
                        sum = w.mul_add(line[i as usize], sum);
                    }
                    *out = sum;
                }
            }
        }
    }
}

struct Prolong<'a, T> {
    axes: &'a [Axis<T>; 3],
    line: &'a mut [T],
    coarse: &'a [T],
    fine: &'a mut [T],
}

impl<T: Real> Kernel for Prolong<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { axes: [x, y, z], line, coarse, fine } = self;
        let (n, ny, m, my) = (x.from.len(), y.from.len(), x.coarse(), y.coarse());
        let line = &mut line[..m];
        for k in 0..z.from.len() {
            for j in 0..ny {
                line.fill(T::zero());
                for (&cz, &wz) in z.from[k].iter().zip(&z.weights[k]) {
                    for (&cy, &wy) in y.from[j].iter().zip(&y.weights[j]) {
                        let w = wy * wz;
                        if w == T::zero() {
                            continue;
                        }
                        let start = m * (cy as usize + my * cz as usize);
                        let from = &coarse[start..start + m];
                        for c in 0..m {
                            line[c] = w.mul_add(from[c], line[c]);
                        }
                    }
                }
                let start = n * (j + ny * k);
                let rows = x.from.iter().zip(&x.weights);
                for (out, (from, w)) in fine[start..start + n].iter_mut().zip(rows) {
                    let sum = w[0].mul_add(line[from[0] as usize], *out);
                    *out = w[1].mul_add(line[from[1] as usize], sum);
                }
            }
        }
    }
}
