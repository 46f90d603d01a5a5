//! Structured grids in one, two and three dimensions: boxes with spacing and boundary conditions
//! ([`Grid`]), constant and per-point stencils on them ([`Stencil`], [`StencilOperator`]), obstacles
//! and irregular domains ([`Mask`]).
//!
//! Unknowns are numbered with the first axis fastest: (i, j, k) is i + n₀(j + n₁k). Vectors hold the
//! unknowns only; ghost values beyond a side are eliminated ([`Boundary`]).

mod assemble;
mod boundary;
mod lines;
mod masked;
mod operator;
mod red_black;
mod stencil;

pub(crate) use boundary::Ghost;
pub use boundary::{Boundary, Centring};
pub use masked::Mask;
pub use operator::StencilOperator;
pub use red_black::RedBlack;
pub use stencil::Stencil;

use crate::error::{Error, Result};

/// A box of unknowns in 1, 2 or 3 dimensions: extents, spacing, where unknowns sit, boundary
/// conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    dim: usize,
    extents: [usize; 3],
    spacing: [f64; 3],
    centring: Centring,
    boundaries: [[Boundary; 2]; 3],
}

impl Grid {
    /// Unknowns at vertices, `extents` of them along each axis, homogeneous Dirichlet conditions: the
    /// box is (nₐ + 1)·hₐ long.
    ///
    /// # Errors
    /// Not 1 to 3 axes, an empty axis, spacing that is not positive and finite, more than 2³² − 1
    /// unknowns.
    pub fn vertices(extents: &[usize], spacing: &[f64]) -> Result<Self> {
        Self::new(extents, spacing, Centring::Vertex)
    }

    /// Unknowns in the middle of `extents` cells along each axis, homogeneous Dirichlet conditions on
    /// the outer faces: the box is nₐ·hₐ long.
    ///
    /// # Errors
    /// As [`vertices`](Self::vertices).
    pub fn cells(extents: &[usize], spacing: &[f64]) -> Result<Self> {
        Self::new(extents, spacing, Centring::Cell)
    }

    fn new(extents: &[usize], spacing: &[f64], centring: Centring) -> Result<Self> {
        let dim = extents.len();
        if !(1..=3).contains(&dim) {
            return Err(Error::invalid("the number of axes", dim, "1, 2 or 3 are supported"));
        }
        Error::check_len("spacing", spacing.len(), dim, "one for each axis")?;
        let len = extents.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        if !len.is_some_and(|len| len > 0 && u32::try_from(len).is_ok()) {
            let needed = "every axis needs at least 1 unknown, and 2³² − 1 are the most";
            return Err(Error::invalid("the grid's extents", format!("{extents:?}"), needed));
        }
        if let Some(h) = spacing.iter().find(|h| !(h.is_finite() && **h > 0.0)) {
            return Err(Error::invalid("the grid's spacing", h, "it must be positive and finite"));
        }
        let mut grid = Self {
            dim,
            extents: [1; 3],
            spacing: [1.0; 3],
            centring,
            boundaries: [[Boundary::Dirichlet; 2]; 3],
        };
        grid.extents[..dim].copy_from_slice(extents);
        grid.spacing[..dim].copy_from_slice(spacing);
        Ok(grid)
    }

    /// The same grid with this condition on every side.
    ///
    /// # Errors
    /// As [`with_sides`](Self::with_sides).
    pub fn with_boundary(self, boundary: Boundary) -> Result<Self> {
        (0..self.dim).try_fold(self, |grid, axis| grid.with_sides(axis, [boundary; 2]))
    }

    /// The same grid with these conditions on the low and the high side of an axis.
    ///
    /// # Errors
    /// No such axis, periodic on one side only, Robin coefficients that are negative or both zero, a
    /// single vertex with Neumann or Robin sides.
    pub fn with_sides(mut self, axis: usize, sides: [Boundary; 2]) -> Result<Self> {
        if axis >= self.dim {
            return Err(Error::invalid("axis", axis, format!("the grid has {} axes", self.dim)));
        }
        let periodic = sides.map(|s| s == Boundary::Periodic);
        if periodic[0] != periodic[1] {
            let needed = "a periodic side needs the opposite one to be periodic too";
            return Err(Error::invalid(format!("the sides of axis {axis}"), format!("{sides:?}"), needed));
        }
        for side in sides {
            side.check(self.centring, self.extents[axis])?;
        }
        self.boundaries[axis] = sides;
        Ok(self)
    }

    /// 1, 2 or 3.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Unknowns along each axis; 1 beyond [`dim`](Self::dim).
    pub fn extents(&self) -> [usize; 3] {
        self.extents
    }

    /// Spacing along each axis; 1 beyond [`dim`](Self::dim).
    pub fn spacing(&self) -> [f64; 3] {
        self.spacing
    }

    /// Where the unknowns sit.
    pub fn centring(&self) -> Centring {
        self.centring
    }

    /// Conditions on the low and high sides of each axis.
    pub fn boundaries(&self) -> [[Boundary; 2]; 3] {
        self.boundaries
    }

    /// Number of unknowns.
    pub fn len(&self) -> usize {
        self.extents.iter().product()
    }

    /// Whether there are none (constructors refuse that).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of unknown (i, j, k).
    #[inline(always)]
    pub fn index(&self, [i, j, k]: [usize; 3]) -> usize {
        i + self.extents[0] * (j + self.extents[1] * k)
    }

    /// (i, j, k) of an unknown.
    #[inline(always)]
    pub fn point(&self, index: usize) -> [usize; 3] {
        let [nx, ny, _] = self.extents;
        [index % nx, index / nx % ny, index / (nx * ny)]
    }

    /// Coordinates of unknown (i, j, k), from the low corner of the box; 0 beyond
    /// [`dim`](Self::dim).
    pub fn position(&self, point: [usize; 3]) -> [f64; 3] {
        let mut at = [0.0; 3];
        for axis in 0..self.dim {
            at[axis] = (point[axis] as f64 + self.first(axis)) * self.spacing[axis];
        }
        at
    }

    /// Intervals of length h between the sides (around a periodic axis).
    pub(crate) fn intervals(&self, axis: usize) -> usize {
        let n = self.extents[axis];
        match self.centring {
            Centring::Cell => n,
            Centring::Vertex if self.wraps(axis) => n,
            Centring::Vertex => {
                let kept = self.boundaries[axis].iter().filter(|b| b.keeps_vertex()).count();
                n + 1 - kept
            }
        }
    }

    /// The same box with another extent and spacing of an axis.
    pub(crate) fn resized(mut self, axis: usize, n: usize, h: f64) -> Self {
        (self.extents[axis], self.spacing[axis]) = (n, h);
        self
    }

    /// Distance of the first unknown from the low side, in spacings.
    pub(crate) fn first(&self, axis: usize) -> f64 {
        match (self.centring, self.boundaries[axis][0]) {
            (Centring::Cell, _) => 0.5,
            (Centring::Vertex, Boundary::Dirichlet) => 1.0,
            (Centring::Vertex, _) => 0.0,
        }
    }

    /// How each side's ghost values are eliminated.
    pub(crate) fn ghosts(&self) -> [[Ghost; 2]; 3] {
        std::array::from_fn(|a| self.boundaries[a].map(|b| b.ghost(self.centring, self.spacing[a])))
    }

    /// Whether an axis is periodic.
    pub(crate) fn wraps(&self, axis: usize) -> bool {
        self.boundaries[axis][0] == Boundary::Periodic
    }

    /// The unknown `offset` away from `point`, around periodic sides; none beyond other sides.
    pub(crate) fn neighbour(&self, point: [usize; 3], offset: [isize; 3]) -> Option<[usize; 3]> {
        let mut to = point;
        for axis in 0..3 {
            let n = self.extents[axis] as isize;
            let at = point[axis] as isize + offset[axis];
            if !(0..n).contains(&at) && !self.wraps(axis) {
                return None;
            }
            to[axis] = at.rem_euclid(n) as usize;
        }
        Some(to)
    }

    /// The offset from one point to another one within −1 … 1 of it, the short way around periodic axes.
    pub(crate) fn offset_between(&self, from: [usize; 3], to: [usize; 3]) -> [isize; 3] {
        std::array::from_fn(|axis| {
            let (n, d) = (self.extents[axis] as isize, to[axis] as isize - from[axis] as isize);
            if self.wraps(axis) && d.abs() > 1 { d - n * d.signum() } else { d }
        })
    }
}
