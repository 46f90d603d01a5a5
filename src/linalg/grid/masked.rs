//! [`Mask`]: obstacles and irregular domains.

use super::operator::StencilOperator;
use super::stencil::{CENTRE, Stencil, offset};
use super::{Boundary, Centring, Grid};
use crate::error::{Error, Result};
use crate::num::Real;

/// Which points of a grid are solid; the others are fluid. Vectors keep the grid's shape: a solid point
/// has an identity row and no fluid row refers to it, so that a right-hand side that is 0 on the solid
/// gives a solution that is 0 there.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    solid: Vec<bool>,
    surface: Boundary,
}

impl Mask {
    /// The points that are `solid`, with this condition on their surface: [`Boundary::Dirichlet`] or
    /// [`Boundary::Neumann`], homogeneous. In a grid of cells the surface are the faces between fluid
    /// and solid. In a grid of vertices a Dirichlet solid is 0 at its own vertices, and a Neumann one
    /// lets no flux pass between a fluid and a solid vertex.
    ///
    /// # Errors
    /// Another length than the grid's, no fluid point, another condition.
    pub fn new(grid: &Grid, solid: Vec<bool>, surface: Boundary) -> Result<Self> {
        Error::check_len("solid", solid.len(), grid.len(), "one for each point of the grid")?;
        if solid.iter().all(|s| *s) {
            return Err(Error::invalid("the mask", "solid everywhere", "some points must be fluid"));
        }
        if !matches!(surface, Boundary::Dirichlet | Boundary::Neumann) {
            let needed = "Dirichlet and Neumann are supported at solids";
            return Err(Error::invalid("the mask's surface", format!("{surface:?}"), needed));
        }
        Ok(Self { solid, surface })
    }

    /// Solid where `inside(position)`.
    ///
    /// # Errors
    /// No fluid point, a surface that is neither Dirichlet nor Neumann.
    pub fn from_fn(grid: &Grid, inside: impl Fn([f64; 3]) -> bool, surface: Boundary) -> Result<Self> {
        let solid = (0..grid.len()).map(|i| inside(grid.position(grid.point(i)))).collect();
        Self::new(grid, solid, surface)
    }

    /// Whether each point is solid.
    pub fn solid(&self) -> &[bool] {
        &self.solid
    }

    /// Fluid points.
    pub fn fluid_count(&self) -> usize {
        self.solid.iter().filter(|s| !**s).count()
    }

    /// `x` ← 0 on the solid.
    pub fn clear<T: Real>(&self, x: &mut [T]) {
        for (x, solid) in x.iter_mut().zip(&self.solid) {
            if *solid {
                *x = T::zero();
            }
        }
    }

    /// What a solid neighbour's value is, as a multiple of the fluid point's own.
    fn ghost<T: Real>(&self, centring: Centring) -> T {
        T::of(match (self.surface, centring) {
            (Boundary::Neumann, _) => 1.0,
            (_, Centring::Vertex) => 0.0,
            (_, Centring::Cell) => -1.0,
        })
    }
}

impl<T: Real> StencilOperator<T> {
    /// The operator with the solid points of `mask` taken out: neighbours that are solid are eliminated
    /// like ghost values, solid rows become rows of the identity.
    ///
    /// # Errors
    /// A mask of another grid's length.
    pub fn masked(&self, mask: &Mask) -> Result<Self> {
        let grid = self.grid;
        Error::check_len("the mask", mask.solid.len(), grid.len(), "one for each point of the grid")?;
        let ghost: T = mask.ghost(grid.centring());
        let stencils: Vec<_> = (0..grid.len()).map(|index| self.masked_row(mask, ghost, index)).collect();
        let fluid = |d: &(u32, u8, u8, T)| !mask.solid[d.0 as usize];
        let data = self.boundary_data().into_iter().filter(fluid).collect();
        Ok(Self::from_folded(grid, &stencils, data))
    }

    fn masked_row(&self, mask: &Mask, ghost: T, index: usize) -> Stencil<T> {
        if mask.solid[index] {
            return Stencil::default().affine(T::one(), T::one());
        }
        let point = self.grid.point(index);
        let mut row = self.row(point);
        for &s in self.terms.iter().filter(|&&s| s != CENTRE) {
            let Some(to) = self.grid.neighbour(point, offset(s)) else { continue };
            if mask.solid[self.grid.index(to)] {
                let c = std::mem::replace(&mut row.coefficients[s], T::zero());
                row.coefficients[CENTRE] = c.mul_add(ghost, row.coefficients[CENTRE]);
            }
        }
        row
    }
}
