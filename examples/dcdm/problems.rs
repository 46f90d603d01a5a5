//! The boxes and what stands in them.

use odeon::Result;
use odeon::linalg::grid::{Boundary, Grid, Mask, StencilOperator};
use odeon::linalg::model;
use odeon::num::Real;
use odeon::num::random::{at, normal_pair, stream};
use std::fmt;

/// An obstacle, the solution 0 on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geometry {
    Empty,
    Disc,
    Box,
    Blob,
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Disc => "disc",
            Self::Box => "box",
            Self::Blob => "blob",
        })
    }
}

impl Geometry {
    pub const OBSTACLES: [Self; 3] = [Self::Disc, Self::Box, Self::Blob];

    /// Whether a point of the unit square or cube is solid.
    fn inside(self, [x, y, z]: [f64; 3]) -> bool {
        let distance = |c: [f64; 3]| ((x - c[0]).powi(2) + (y - c[1]).powi(2) + (z - c[2]).powi(2)).sqrt();
        match self {
            Self::Empty => false,
            Self::Disc => distance([0.5; 3]) < 0.2,
            Self::Box => (0.2..0.5).contains(&x) && (0.3..0.8).contains(&y) && (0.25..0.75).contains(&z),
            // A body, a head and two ears: where the sum of their fields exceeds 1.
            Self::Blob => {
                let parts = [
                    ([0.5, 0.4, 0.5], 0.17),
                    ([0.62, 0.62, 0.5], 0.1),
                    ([0.56, 0.76, 0.45], 0.07),
                    ([0.71, 0.75, 0.55], 0.07),
                ];
                parts.iter().map(|(c, size)| (size / distance(*c)).powi(3)).sum::<f64>() > 1.0
            }
        }
    }
}

/// The grid of `n` points an axis.
pub fn grid(dim: usize, n: usize) -> Result<Grid> {
    Grid::vertices(&vec![n; dim], &vec![1.0; dim])
}

/// The obstacle on a grid, if there is one; in two dimensions its middle section.
pub fn mask(grid: &Grid, geometry: Geometry) -> Result<Option<Mask>> {
    if geometry == Geometry::Empty {
        return Ok(None);
    }
    let length = (grid.extents()[0] + 1) as f64;
    let inside = |p: [f64; 3]| {
        let z = if grid.dim() == 3 { p[2] / length } else { 0.5 };
        geometry.inside([p[0] / length, p[1] / length, z])
    };
    Mask::from_fn(grid, inside, Boundary::Dirichlet).map(Some)
}

/// −Δ around the obstacle.
pub fn operator<T: Real>(grid: Grid, mask: Option<&Mask>) -> Result<StencilOperator<T>> {
    let a = model::poisson(grid)?;
    mask.map_or(Ok(a.clone()), |mask| a.masked(mask))
}

/// The `side`-th random right-hand side, standard normal in the fluid.
pub fn right_hand_side(grid: &Grid, mask: Option<&Mask>, seed: u64, side: u32) -> Vec<f64> {
    let draw = |i: usize| normal_pair(at(seed, i as u64, stream(side, 7))).0;
    let mut b: Vec<f64> = (0..grid.len()).map(draw).collect();
    if let Some(mask) = mask {
        mask.clear(&mut b);
    }
    b
}
