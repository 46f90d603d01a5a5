//! [`StencilOperator`]: stencils on a grid as a linear map, without a matrix.

use super::lines::{Add, Apply, Residual, run, scatter};
use super::stencil::{CENTRE, Stencil, offset, sides};
use super::{Ghost, Grid};
use crate::error::{Error, Result};
use crate::linalg::op::LinearOperator;
use crate::num::Real;

/// One stencil for all points, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rows<T> {
    /// The folded stencil of each of the 64 [`place`](super::stencil::place)s.
    Constant(Vec<Stencil<T>>),
    /// The folded coefficients, one array over the points for each term, and one line of zeros.
    PerPoint(Vec<Vec<T>>, Vec<T>),
}

/// A linear operator on a [`Grid`] whose row at each point is a [`Stencil`], the grid's boundary
/// conditions eliminated. Applied in one pass over memory; [`to_csr`](Self::to_csr) assembles it.
#[derive(Clone, Debug, PartialEq)]
pub struct StencilOperator<T> {
    pub(crate) grid: Grid,
    pub(crate) rows: Rows<T>,
    /// The slots that hold a coefficient somewhere.
    pub(crate) terms: Vec<usize>,
    /// (row, axis, side, c): c·g of that side belongs to (A u)(row). Empty for a constant stencil, whose
    /// contributions follow from it.
    pub(crate) data: Vec<(u32, u8, u8, T)>,
}

impl<T: Real> StencilOperator<T> {
    /// The same stencil at every point.
    ///
    /// # Errors
    /// A coefficient that is not finite or reaches along an axis the grid does not have.
    pub fn constant(grid: Grid, stencil: Stencil<T>) -> Result<Self> {
        stencil.check(grid.dim())?;
        let ghosts = grid.ghosts();
        let folded: Vec<_> = (0..64).map(|place| stencil.fold(&ghosts, sides(place))).collect();
        let used = |s: &usize| *s == CENTRE || folded.iter().any(|f| f.coefficients[*s] != T::zero());
        let terms = (0..27).filter(used).collect();
        Ok(Self { grid, rows: Rows::Constant(folded), terms, data: Vec::new() })
    }

    /// The stencil `at(point)` at each point (i, j, k).
    ///
    /// # Errors
    /// As [`constant`](Self::constant), for the first such point.
    pub fn per_point(grid: Grid, at: impl Fn([usize; 3]) -> Stencil<T>) -> Result<Self> {
        let ghosts = grid.ghosts();
        let (mut stencils, mut data) = (Vec::with_capacity(grid.len()), Vec::new());
        for index in 0..grid.len() {
            let point = grid.point(index);
            let stencil = at(point);
            stencil.check(grid.dim())?;
            boundary_data(&grid, &ghosts, index, &stencil, &mut data);
            stencils.push(stencil.fold(&ghosts, sides(grid.place(point))));
        }
        Ok(Self::from_folded(grid, &stencils, data))
    }

    /// From the stencils of all points with their boundaries eliminated.
    pub(crate) fn from_folded(grid: Grid, stencils: &[Stencil<T>], data: Vec<(u32, u8, u8, T)>) -> Self {
        let mut used = [false; 27];
        used[CENTRE] = true;
        for stencil in stencils {
            for (used, c) in used.iter_mut().zip(&stencil.coefficients) {
                *used |= *c != T::zero();
            }
        }
        let terms: Vec<usize> = (0..27).filter(|&s| used[s]).collect();
        let array = |&s: &usize| stencils.iter().map(|c| c.coefficients[s]).collect();
        let arrays = terms.iter().map(array).collect();
        let zeros = vec![T::zero(); grid.extents()[0]];
        Self { grid, rows: Rows::PerPoint(arrays, zeros), terms, data }
    }

    /// The grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Whether one stencil serves all points.
    pub fn is_constant(&self) -> bool {
        matches!(self.rows, Rows::Constant(_))
    }

    /// Coefficients a row has at most.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// Whether no row has diagonal neighbours: two colours decouple the points.
    pub fn is_star(&self) -> bool {
        self.terms.iter().all(|&s| offset(s).iter().filter(|&&d| d != 0).count() <= 1)
    }

    /// The row of a point, boundaries eliminated: what is 0 beyond a side has gone to other
    /// coefficients; offsets across a periodic side wrap.
    pub fn row(&self, point: [usize; 3]) -> Stencil<T> {
        match &self.rows {
            Rows::Constant(folded) => folded[self.grid.place(point)],
            Rows::PerPoint(arrays, _) => {
                let (mut row, index) = (Stencil::default(), self.grid.index(point));
                for (&s, array) in self.terms.iter().zip(arrays) {
                    row.coefficients[s] = array[index];
                }
                row
            }
        }
    }

    /// The stencil away from all sides, for a constant operator; of the first point else.
    pub(crate) fn inner(&self) -> Stencil<T> {
        match &self.rows {
            Rows::Constant(folded) => folded[0],
            Rows::PerPoint(..) => self.row([0; 3]),
        }
    }

    /// The entries of a point's row that are not 0.
    pub(crate) fn entries(&self, point: [usize; 3]) -> impl Iterator<Item = ([usize; 3], T)> + '_ {
        let row = self.row(point);
        let filled = self.terms.iter().filter(move |s| row.coefficients[**s] != T::zero());
        filled.filter_map(move |&s| Some((self.grid.neighbour(point, offset(s))?, row.coefficients[s])))
    }

    /// Points without any coupling to others, such as solid ones.
    pub(crate) fn decoupled(&self) -> Vec<u32> {
        let alone = |index: &usize| {
            let point = self.grid.point(*index);
            self.entries(point).all(|(to, _)| to == point)
        };
        if self.is_constant() {
            return Vec::new();
        }
        (0..self.grid.len()).filter(alone).map(|i| i as u32).collect()
    }

    /// Mean |c| of the two neighbours along each axis.
    pub(crate) fn couplings(&self) -> [f64; 3] {
        std::array::from_fn(|axis| {
            let along = |s: usize| (0..3).all(|a| (offset(s)[a] != 0) == (a == axis));
            let size = |s: &usize| match &self.rows {
                Rows::Constant(folded) => folded[0].coefficients[*s].f64().abs(),
                Rows::PerPoint(arrays, _) => {
                    let array = self.terms.iter().zip(arrays).find(|(t, _)| *t == s).map(|(_, a)| a);
                    let sum = |a: &Vec<T>| a.iter().map(|c| c.f64().abs()).sum::<f64>() / a.len() as f64;
                    array.map_or(0.0, sum)
                }
            };
            self.terms.iter().filter(|s| along(**s)).map(size).sum()
        })
    }

    /// `scale`·A + `shift`·I on the same grid: I − γhL is `affine(γh, 1)` of −L.
    ///
    /// # Errors
    /// Numbers that are not finite.
    pub fn affine(mut self, scale: T, shift: T) -> Result<Self> {
        for (what, value) in [("scale", scale), ("shift", shift)] {
            if !value.is_finite() {
                return Err(Error::invalid(what, value, "it must be finite"));
            }
        }
        match &mut self.rows {
            Rows::Constant(folded) => folded.iter_mut().for_each(|f| *f = f.affine(scale, shift)),
            Rows::PerPoint(arrays, _) => {
                for (&s, array) in self.terms.iter().zip(arrays) {
                    let shift = if s == CENTRE { shift } else { T::zero() };
                    array.iter_mut().for_each(|c| *c = *c * scale + shift);
                }
            }
        }
        self.data.iter_mut().for_each(|d| d.3 *= scale);
        Ok(self)
    }

    /// ACCUMULATES what data g other than 0 of the boundary conditions add to the right-hand side:
    /// with A u = f for g = 0, `b` = f becomes the right-hand side for u = g (Dirichlet), ∂u/∂n = g
    /// (Neumann) or αu + β∂u/∂n = g. `g(axis, side, point)` is evaluated for the unknown beside the side
    /// (side 0 is the low one); its tangential coordinates, `grid.position(point)`, are those of the
    /// place on the boundary. Stencils with diagonal neighbours read g there too, for the ghost that
    /// lies diagonally: exact for g that is constant along the side.
    ///
    /// # Errors
    /// `b` of another length than the grid.
    pub fn add_boundary_data(&self, g: impl Fn(usize, usize, [usize; 3]) -> T, b: &mut [T]) -> Result<()> {
        Error::check_len("b", b.len(), self.grid.len(), "one for each unknown")?;
        for (row, axis, side, c) in self.boundary_data() {
            let point = self.grid.point(row as usize);
            b[row as usize] -= c * g(axis as usize, side as usize, point);
        }
        Ok(())
    }

    /// Whether A = Aᵀ up to rounding (64 ε of the diagonal), entry by entry of the stencils; on a periodic
    /// axis of one or two points, where different offsets meet, it may be missed.
    pub fn is_symmetric(&self) -> bool {
        self.representatives().into_iter().all(|point| {
            let row = self.row(point);
            self.terms.iter().all(|&s| self.entry_is_symmetric(point, &row, s))
        })
    }

    /// Points that show every kind of row and its neighbours: near the sides and one within for one
    /// stencil, all for others.
    pub(crate) fn representatives(&self) -> Vec<[usize; 3]> {
        if !self.is_constant() {
            return (0..self.grid.len()).map(|index| self.grid.point(index)).collect();
        }
        let near = |axis: usize| {
            let n = self.grid.extents()[axis];
            (0..n.min(3)).chain(n.saturating_sub(3).max(3)..n)
        };
        near(2).flat_map(|k| near(1).flat_map(move |j| near(0).map(move |i| [i, j, k]))).collect()
    }

    /// Whether every diagonal entry is positive.
    pub(crate) fn has_positive_diagonal(&self) -> bool {
        self.representatives().into_iter().all(|point| self.diagonal_entry(point) > T::zero())
    }

    fn diagonal_entry(&self, point: [usize; 3]) -> T {
        let row = self.row(point);
        // A periodic axis of one point is its own neighbour.
        let own = |s: &&usize| self.grid.neighbour(point, offset(**s)) == Some(point);
        self.terms.iter().filter(own).map(|&s| row.coefficients[s]).sum()
    }

    /// (row, axis, side, c) as [`data`](Self::data) has them, for one stencil too.
    pub(crate) fn boundary_data(&self) -> Vec<(u32, u8, u8, T)> {
        let Rows::Constant(folded) = &self.rows else { return self.data.clone() };
        let stencil = &folded[0];
        let (ghosts, mut data) = (self.grid.ghosts(), Vec::new());
        for index in (0..self.grid.len()).filter(|&i| self.grid.place(self.grid.point(i)) != 0) {
            boundary_data(&self.grid, &ghosts, index, stencil, &mut data);
        }
        data
    }

    fn entry_is_symmetric(&self, point: [usize; 3], row: &Stencil<T>, s: usize) -> bool {
        let o = offset(s);
        let Some(to) = self.grid.neighbour(point, o) else { return row.coefficients[s] == T::zero() };
        let apart = (self.row(to).get(o.map(|d| -d)) - row.coefficients[s]).abs();
        apart <= T::of(64.0) * T::EPSILON * row.coefficients[CENTRE].abs()
    }
}

/// Appends what the boundary's data contribute to a row.
fn boundary_data<T: Real>(
    grid: &Grid,
    ghosts: &[[Ghost; 2]; 3],
    index: usize,
    stencil: &Stencil<T>,
    data: &mut Vec<(u32, u8, u8, T)>,
) {
    let at = sides(grid.place(grid.point(index)));
    let mut left = *stencil;
    for axis in 0..grid.dim() {
        for side in 0..2 {
            let Ghost::Fold { data: weight, .. } = ghosts[axis][side] else { continue };
            if !at[axis][side] {
                continue;
            }
            let outward = if side == 0 { -1 } else { 1 };
            let beyond = (0..27).filter(|&s| offset(s)[axis] == outward);
            let sum: T = beyond.map(|s| left.coefficients[s]).sum();
            if sum != T::zero() {
                data.push((index as u32, axis as u8, side as u8, sum * T::of(weight)));
            }
            let mut only = [[false; 2]; 3];
            only[axis][side] = true;
            left = left.fold(ghosts, only);
        }
    }
}

impl<T: Real> LinearOperator<T> for StencilOperator<T> {
    fn rows(&self) -> usize {
        self.grid.len()
    }

    fn cols(&self) -> usize {
        self.grid.len()
    }

    fn apply(&self, x: &[T], y: &mut [T]) {
        run(self, Apply, x, x, y);
    }

    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        x.fill(T::zero());
        scatter(self, y, x);
    }

    fn residual(&self, b: &[T], x: &[T], r: &mut [T]) {
        run(self, Residual, x, b, r);
    }

    fn apply_add(&self, x: &[T], y: &mut [T], _scratch: &mut [T]) {
        run(self, Add, x, x, y);
    }

    fn diagonal(&self) -> Option<Vec<T>> {
        let at = |index| self.diagonal_entry(self.grid.point(index));
        Some((0..self.grid.len()).map(at).collect())
    }
}
