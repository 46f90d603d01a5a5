//! The systems: model problems on grids, and files.

use clap::ValueEnum;
use odeon::linalg::grid::{Grid, StencilOperator};
use odeon::linalg::model::{self, Convection};
use odeon::linalg::{Csr, io};
use odeon::{Error, Result};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use std::fmt;
use std::path::Path;

/// A model problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// −Δ by five points
    #[value(name = "poisson-2d")]
    Poisson2d,
    /// −Δ by seven points
    #[value(name = "poisson-3d")]
    Poisson3d,
    /// −u_xx − 10⁻³ u_yy
    Anisotropic,
    /// −∇·(a ∇u), a jumping between 1 and 10⁴ on a chequerboard of 8 × 8
    Jumps,
    /// −Δu + c·∇u by upwind differences, not symmetric
    Convection,
    /// −Δu − k²u, indefinite
    Helmholtz,
}

impl Kind {
    /// Points along an axis when none are asked for.
    pub fn default_extent(self, quick: bool) -> u32 {
        match (self, quick) {
            (Self::Poisson3d, true) => 12,
            (Self::Poisson3d, false) => 40,
            (_, true) => 48,
            (_, false) => 256,
        }
    }

    fn operator(self, n: usize) -> Result<StencilOperator<f64>> {
        let extents = if self == Self::Poisson3d { vec![n; 3] } else { vec![n; 2] };
        let h = 1.0 / (n + 1) as f64;
        let grid = Grid::vertices(&extents, &vec![h; extents.len()])?;
        match self {
            Self::Poisson2d | Self::Poisson3d => model::poisson(grid),
            Self::Anisotropic => model::anisotropic(grid, [1.0, 1e-3, 1.0]),
            Self::Jumps => model::diffusion(grid, |[x, y, _]| {
                let square = (8.0 * x) as usize + (8.0 * y) as usize;
                if square.is_multiple_of(2) { 1.0 } else { 1e4 }
            }),
            Self::Convection => model::convection_diffusion(grid, 1.0, [40.0, 20.0, 0.0], Convection::Upwind),
            Self::Helmholtz => model::helmholtz(grid, 200.0),
        }
    }
}

/// A system with its right-hand side, and its grid where it has one.
pub struct Problem {
    pub name: String,
    pub matrix: Csr<f64>,
    pub stencil: Option<StencilOperator<f64>>,
    pub symmetric: bool,
    pub b: Vec<f64>,
}

impl Problem {
    /// A model problem with `n` points along each axis.
    pub fn model(kind: Kind, n: usize, seed: u64) -> Result<Self> {
        let stencil = kind.operator(n)?;
        let name = kind.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string());
        Self::new(name, stencil.to_csr(), Some(stencil), seed)
    }

    /// A Matrix Market file.
    pub fn read(path: &Path, seed: u64) -> Result<Self> {
        let matrix = io::read_matrix(path)?;
        matrix.square()?;
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Self::new(name, matrix, None, seed)
    }

    fn new(name: String, matrix: Csr<f64>, stencil: Option<StencilOperator<f64>>, seed: u64) -> Result<Self> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let b: Vec<f64> = (0..matrix.rows()).map(|_| StandardNormal.sample(&mut rng)).collect();
        let symmetric = matrix.is_symmetric(1e-14);
        if b.is_empty() {
            return Err(Error::invalid("the matrix", "empty", "it must have at least one row"));
        }
        Ok(Self { name, matrix, stencil, symmetric, b })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, nnz) = (self.matrix.rows(), self.matrix.nnz());
        let kind = if self.symmetric { "symmetric" } else { "not symmetric" };
        write!(f, "{}: {n} unknowns, {nnz} entries, {kind}", self.name)
    }
}
