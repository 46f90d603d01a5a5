//! Model problems: the matrices that iterations are tested and compared on.
//!
//! Points are numbered with the first axis fastest; spacing 1, homogeneous Dirichlet conditions, the
//! unknowns at the interior vertices (the boundary's are eliminated), unless said otherwise.

use super::csr::Csr;
use crate::error::{Error, Result};
use crate::num::Real;

/// −u″ by 3 points: rows (−1, 2, −1).
///
/// # Errors
/// No points.
pub fn poisson_1d<T: Real>(n: usize) -> Result<Csr<T>> {
    poisson_star([n, 1, 1], 1)
}

/// −Δu by 5 points: 4 on the diagonal, −1 for each neighbour.
///
/// # Errors
/// No points along an axis.
pub fn poisson_2d<T: Real>([nx, ny]: [usize; 2]) -> Result<Csr<T>> {
    poisson_star([nx, ny, 1], 2)
}

/// −Δu by 7 points: 6 on the diagonal, −1 for each neighbour.
///
/// # Errors
/// No points along an axis.
pub fn poisson_3d<T: Real>(extents: [usize; 3]) -> Result<Csr<T>> {
    poisson_star(extents, 3)
}

fn poisson_star<T: Real>([nx, ny, nz]: [usize; 3], dim: usize) -> Result<Csr<T>> {
    let n = nx * ny * nz;
    if n == 0 || u32::try_from(n).is_err() {
        let needed = "every axis needs at least 1 point, and 2³² − 1 are the most";
        return Err(Error::invalid("the grid", format!("{nx} × {ny} × {nz}"), needed));
    }
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in 0..n {
        let [i, j, k] = [row % nx, row / nx % ny, row / (nx * ny)];
        let mut push = |inside: bool, column: usize, value: f64| {
            if inside {
                columns.push(column as u32);
                values.push(T::of(value));
            }
        };
        push(k > 0, row.wrapping_sub(nx * ny), -1.0);
        push(j > 0, row.wrapping_sub(nx), -1.0);
        push(i > 0, row.wrapping_sub(1), -1.0);
        push(true, row, 2.0 * dim as f64);
        push(i + 1 < nx, row + 1, -1.0);
        push(j + 1 < ny, row + nx, -1.0);
        push(k + 1 < nz, row + nx * ny, -1.0);
        starts.push(columns.len());
    }
    Csr::new([n, n], starts, columns, values)
}
