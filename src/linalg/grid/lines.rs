//! The passes over a grid's lines: y ← f(A x) with every term of the stencil read in one go.
//!
//! A line is what runs along the first axis. Its inner points are one vectorised loop over M shifted
//! lines of x; its two ends, and lines at the sides of the other axes, take the folded coefficients of
//! their place, so that no ghost values are stored. M is 3, 5, 7, 9 or 27; a stencil with another number
//! of terms is filled up with zero coefficients.

use super::operator::{Rows, StencilOperator};
use super::stencil::{CENTRE, offset, place};
use crate::num::{Kernel, Real, dispatch};

/// What becomes of (A x)ᵢ.
pub(crate) trait Finish<T>: Copy {
    fn finish(self, ax: T, b: T, y: T) -> T;
}

/// y ← A x.
#[derive(Clone, Copy)]
pub(crate) struct Apply;
/// y ← b − A x.
#[derive(Clone, Copy)]
pub(crate) struct Residual;
/// y ← y + A x.
#[derive(Clone, Copy)]
pub(crate) struct Add;

impl<T: Real> Finish<T> for Apply {
    #[inline(always)]
    fn finish(self, ax: T, _b: T, _y: T) -> T {
        ax
    }
}
impl<T: Real> Finish<T> for Residual {
    #[inline(always)]
    fn finish(self, ax: T, b: T, _y: T) -> T {
        b - ax
    }
}
impl<T: Real> Finish<T> for Add {
    #[inline(always)]
    fn finish(self, ax: T, _b: T, y: T) -> T {
        y + ax
    }
}

/// The terms of a stencil, filled up to M, as shifts in memory.
#[derive(Clone, Copy)]
pub(crate) struct Plan<const M: usize> {
    dim: usize,
    pub(crate) extents: [usize; 3],
    slots: [usize; M],
    /// Which of the operator's terms each is; none is filling.
    arrays: [Option<usize>; M],
    offsets: [[isize; 3]; M],
    /// The offset across lines in memory.
    shifts: [isize; M],
    wraps: [bool; 3],
}

/// One line: where it starts, and where in x the lines of each term start.
#[derive(Clone, Copy)]
pub(crate) struct Line<const M: usize> {
    pub(crate) base: usize,
    /// Length.
    pub(crate) n: usize,
    pub(crate) starts: [usize; M],
    /// The kind of place of its first, inner and last points.
    pub(crate) places: [usize; 3],
}

impl<const M: usize> Plan<M> {
    pub(crate) fn new<T: Real>(op: &StencilOperator<T>) -> Self {
        Self::of(op, |_| true)
    }

    /// The terms at the slots that `keep` keeps; filling repeats the last one.
    pub(crate) fn of<T: Real>(op: &StencilOperator<T>, keep: impl Fn(usize) -> bool) -> Self {
        let (mut slots, mut arrays, mut count) = ([CENTRE; M], [None; M], 0);
        for (array, &s) in op.terms.iter().enumerate().filter(|(_, s)| keep(**s)) {
            slots[count..].fill(s);
            arrays[count] = Some(array);
            count += 1;
        }
        Self::at(op, slots, arrays)
    }

    fn at<T: Real>(op: &StencilOperator<T>, slots: [usize; M], arrays: [Option<usize>; M]) -> Self {
        let extents = op.grid.extents();
        let offsets = slots.map(offset);
        let stride = [extents[0] as isize, (extents[0] * extents[1]) as isize];
        let shifts = offsets.map(|o| o[1] * stride[0] + o[2] * stride[1]);
        let wraps = [0, 1, 2].map(|axis| op.grid.wraps(axis));
        Self { dim: op.grid.dim(), extents, slots, arrays, offsets, shifts, wraps }
    }

    /// Line (j, k).
    #[inline(always)]
    pub(crate) fn line(&self, j: usize, k: usize) -> Line<M> {
        let [n, ny, nz] = self.extents;
        let base = n * (j + ny * k);
        let across = place(self.dim, self.extents, [1, j, k]) & !3;
        let single = usize::from(n == 1) << 1;
        let mut starts = [base; M];
        if across == 0 {
            for (start, &shift) in starts.iter_mut().zip(&self.shifts) {
                *start = base.wrapping_add_signed(shift);
            }
        } else {
            for (start, o) in starts.iter_mut().zip(&self.offsets) {
                let to_j = step(j, o[1], ny, self.wraps[1]);
                let to_k = step(k, o[2], nz, self.wraps[2]);
                *start = n * (to_j + ny * to_k);
            }
        }
        Line { base, n, starts, places: [across | 1 | single, across, across | 2] }
    }

    /// Where term m reads x for point i of a line.
    #[inline(always)]
    pub(crate) fn end_index(&self, line: &Line<M>, m: usize, i: usize) -> usize {
        line.starts[m] + step(i, self.offsets[m][0], line.n, self.wraps[0])
    }

    /// Where term m starts to read x for the inner points of a line.
    #[inline(always)]
    pub(crate) fn inner_start(&self, line: &Line<M>, m: usize) -> usize {
        (line.starts[m] + 1).wrapping_add_signed(self.offsets[m][0])
    }
}

impl Plan<3> {
    /// The terms on the point's own line, in order.
    pub(crate) fn own_line<T: Real>(op: &StencilOperator<T>) -> Self {
        let slots = [CENTRE - 1, CENTRE, CENTRE + 1];
        Self::at(op, slots, slots.map(|s| op.terms.iter().position(|t| *t == s)))
    }
}

/// i + d, around a periodic axis; i itself beyond another side, where the coefficient is 0.
#[inline(always)]
fn step(i: usize, d: isize, n: usize, wraps: bool) -> usize {
    let to = i.wrapping_add_signed(d);
    if to < n {
        to
    } else if !wraps {
        i
    } else if d < 0 {
        n - 1
    } else {
        0
    }
}

/// The coefficients along one line.
pub(crate) trait Weights<T, const M: usize> {
    /// Of term m at inner point 1 + i.
    fn inner(&self, m: usize, i: usize) -> T;
    /// Of term m at the first (0) or last (1) point.
    fn end(&self, m: usize, side: usize) -> T;
}

/// One stencil for the inner points and one for each end.
pub(crate) struct Shared<T, const M: usize> {
    inner: [T; M],
    ends: [[T; M]; 2],
}

impl<T: Real, const M: usize> Shared<T, M> {
    #[inline(always)]
    pub(crate) fn new(plan: &Plan<M>, line: &Line<M>, folded: &[super::Stencil<T>]) -> Self {
        let [low, inner, high] = line.places.map(|p| &folded[p].coefficients);
        let mut all = Self { inner: [T::zero(); M], ends: [[T::zero(); M]; 2] };
        for m in 0..M {
            if plan.arrays[m].is_some() {
                let s = plan.slots[m];
                (all.inner[m], all.ends[0][m], all.ends[1][m]) = (inner[s], low[s], high[s]);
            }
        }
        all
    }
}

impl<T: Real, const M: usize> Weights<T, M> for Shared<T, M> {
    #[inline(always)]
    fn inner(&self, m: usize, _i: usize) -> T {
        self.inner[m]
    }
    #[inline(always)]
    fn end(&self, m: usize, side: usize) -> T {
        self.ends[side][m]
    }
}

/// One array a term.
pub(crate) struct Own<'a, T, const M: usize> {
    inner: [&'a [T]; M],
    ends: [[T; M]; 2],
}

impl<'a, T: Real, const M: usize> Own<'a, T, M> {
    #[inline(always)]
    pub(crate) fn new(plan: &Plan<M>, line: &Line<M>, arrays: &'a [Vec<T>], zeros: &'a [T]) -> Self {
        let inner = line.n.saturating_sub(2);
        let mut all = Self { inner: [&[]; M], ends: [[T::zero(); M]; 2] };
        for m in 0..M {
            if let Some(array) = plan.arrays[m] {
                let own = &arrays[array][line.base..line.base + line.n];
                all.inner[m] = &own[line.n - inner - 1..][..inner];
                (all.ends[0][m], all.ends[1][m]) = (own[0], own[line.n - 1]);
            } else {
                all.inner[m] = &zeros[..inner];
            }
        }
        all
    }
}

impl<T: Real, const M: usize> Weights<T, M> for Own<'_, T, M> {
    #[inline(always)]
    fn inner(&self, m: usize, i: usize) -> T {
        self.inner[m][i]
    }
    #[inline(always)]
    fn end(&self, m: usize, side: usize) -> T {
        self.ends[side][m]
    }
}

/// Lines of x that three planes of a block may hold, so that the second cache keeps them until the
/// next plane.
pub(crate) fn block_lines(extents: [usize; 3]) -> usize {
    if extents[2] == 1 { extents[1] } else { (32_768 / extents[0]).max(8) }
}

struct Lines<'a, T, F, const M: usize> {
    op: &'a StencilOperator<T>,
    plan: Plan<M>,
    finish: F,
    x: &'a [T],
    b: &'a [T],
    y: &'a mut [T],
}

impl<T: Real, F: Finish<T>, const M: usize> Kernel for Lines<'_, T, F, M> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let [n, ny, nz] = self.plan.extents;
        let block = block_lines(self.plan.extents);
        let mut first = 0;
        while first < ny {
            for k in 0..nz {
                for j in first..(first + block).min(ny) {
                    let line = self.plan.line(j, k);
                    let range = line.base..line.base + n;
                    let (b, y) = (&self.b[range.clone()], &mut self.y[range]);
                    match &self.op.rows {
                        Rows::Constant(folded) => {
                            let w = Shared::new(&self.plan, &line, folded);
                            pass(&self.plan, &line, &w, self.finish, self.x, b, y);
                        }
                        Rows::PerPoint(arrays, zeros) => {
                            let w = Own::new(&self.plan, &line, arrays, zeros);
                            pass(&self.plan, &line, &w, self.finish, self.x, b, y);
                        }
                    }
                }
            }
            first += block;
        }
    }
}

/// One line of y.
#[inline(always)]
fn pass<T: Real, W: Weights<T, M>, F: Finish<T>, const M: usize>(
    plan: &Plan<M>,
    line: &Line<M>,
    w: &W,
    finish: F,
    x: &[T],
    b: &[T],
    y: &mut [T],
) {
    let n = line.n;
    for (side, i) in [0, n - 1].into_iter().enumerate().take(n) {
        let mut ax = T::zero();
        for m in 0..M {
            ax = w.end(m, side).mul_add(x[plan.end_index(line, m, i)], ax);
        }
        y[i] = finish.finish(ax, b[i], y[i]);
    }
    if n < 3 {
        return;
    }
    let inner = n - 2;
    let mut rows: [&[T]; M] = [&[]; M];
    for (m, row) in rows.iter_mut().enumerate() {
        *row = &x[plan.inner_start(line, m)..][..inner];
    }
    let (b, y) = (&b[1..][..inner], &mut y[1..][..inner]);
    for i in 0..inner {
        let mut ax = T::zero();
        for (m, row) in rows.iter().enumerate() {
            ax = w.inner(m, i).mul_add(row[i], ax);
        }
        y[i] = finish.finish(ax, b[i], y[i]);
    }
}

struct Scatter<'a, T, const M: usize> {
    op: &'a StencilOperator<T>,
    plan: Plan<M>,
    y: &'a [T],
    x: &'a mut [T],
}

impl<T: Real, const M: usize> Kernel for Scatter<'_, T, M> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let [n, ny, nz] = self.plan.extents;
        for k in 0..nz {
            for j in 0..ny {
                let line = self.plan.line(j, k);
                let y = &self.y[line.base..line.base + n];
                match &self.op.rows {
                    Rows::Constant(folded) => {
                        let w = Shared::new(&self.plan, &line, folded);
                        scatter_line(&self.plan, &line, &w, y, self.x);
                    }
                    Rows::PerPoint(arrays, zeros) => {
                        let w = Own::new(&self.plan, &line, arrays, zeros);
                        scatter_line(&self.plan, &line, &w, y, self.x);
                    }
                }
            }
        }
    }
}

/// x += (the line's rows)ᵀ y.
#[inline(always)]
fn scatter_line<T: Real, W: Weights<T, M>, const M: usize>(
    plan: &Plan<M>,
    line: &Line<M>,
    w: &W,
    y: &[T],
    x: &mut [T],
) {
    let n = line.n;
    for m in (0..M).filter(|&m| plan.arrays[m].is_some()) {
        for (side, i) in [0, n - 1].into_iter().enumerate().take(n) {
            let to = plan.end_index(line, m, i);
            x[to] = w.end(m, side).mul_add(y[i], x[to]);
        }
        if n > 2 {
            let to = &mut x[plan.inner_start(line, m)..][..n - 2];
            let y = &y[1..n - 1];
            for i in 0..to.len() {
                to[i] = w.inner(m, i).mul_add(y[i], to[i]);
            }
        }
    }
}

/// Calls `$call::<M>` with the smallest M that holds the operator's terms.
macro_rules! each_size {
    ($op:expr, $m:ident => $call:expr) => {
        match $op.terms.len() {
            ..=3 => {
                const $m: usize = 3;
                $call
            }
            4..=5 => {
                const $m: usize = 5;
                $call
            }
            6..=7 => {
                const $m: usize = 7;
                $call
            }
            8..=9 => {
                const $m: usize = 9;
                $call
            }
            _ => {
                const $m: usize = 27;
                $call
            }
        }
    };
}

/// y ← finish(A x, b, y).
pub(crate) fn run<T: Real, F: Finish<T>>(op: &StencilOperator<T>, finish: F, x: &[T], b: &[T], y: &mut [T]) {
    each_size!(op, M => dispatch(Lines::<T, F, M> { op, plan: Plan::new(op), finish, x, b, y }));
}

/// ACCUMULATES: x += Aᵀ y.
pub(crate) fn scatter<T: Real>(op: &StencilOperator<T>, y: &[T], x: &mut [T]) {
    each_size!(op, M => dispatch(Scatter::<T, M> { op, plan: Plan::new(op), y, x }));
}
