//! Coarse operators on grids: rediscretised stencils, and Galerkin's product by rows.

use super::geometric_transfer::GridInterpolation;
use crate::error::Result;
use crate::linalg::grid::{Centring, Grid, Stencil, StencilOperator};
use crate::num::Real;

/// The constant stencil of `a` for the spacing of `grid`.
///
/// Along each axis (c₋, c₀, c₊) = s·1 + b·D + c·D² with D = (−½, 0, ½) and D² = (1, −2, 1); a product of
/// differences of total order p scales as h⁻ᵖ. Products beyond second order are the discretisation's own
/// (the D²D² of a nine-point Laplacian) and scale as second-order ones.
pub(super) fn rediscretised<T: Real>(a: &StencilOperator<T>, grid: Grid) -> Result<StencilOperator<T>> {
    let ratio = [0, 1, 2].map(|axis| a.grid().spacing()[axis] / grid.spacing()[axis]);
    let mut c = a.inner().coefficients.map(|c| c.f64());
    for axis in 0..3 {
        along(&mut c, axis, |[low, mid, high]| [low + mid + high, high - low, 0.5 * (low + high)]);
    }
    for (s, c) in c.iter_mut().enumerate() {
        let orders = [s % 3, s / 3 % 3, s / 9];
        let total: usize = orders.iter().sum();
        let product: f64 = (0..3).map(|axis| ratio[axis].powi(orders[axis] as i32)).product();
        *c *= if total > 2 { product.powf(2.0 / total as f64) } else { product };
    }
    for axis in 0..3 {
        along(&mut c, axis, |[sum, slope, bend]| [bend - 0.5 * slope, sum - 2.0 * bend, bend + 0.5 * slope]);
    }
    StencilOperator::constant(grid, Stencil { coefficients: c.map(T::of) })
}

/// Transforms the triples along an axis.
fn along(c: &mut [f64; 27], axis: usize, map: impl Fn([f64; 3]) -> [f64; 3]) {
    let stride = 3usize.pow(axis as u32);
    for s in (0..27).filter(|s| (s / stride).is_multiple_of(3)) {
        let at = [s, s + stride, s + 2 * stride];
        let new = map(at.map(|i| c[i]));
        for (i, new) in at.into_iter().zip(new) {
            c[i] = new;
        }
    }
}

/// R A P, row by row of the coarse grid; points of the fine grid without neighbours left out.
pub(super) fn galerkin<T: Real>(
    a: &StencilOperator<T>,
    grid: Grid,
    p: &GridInterpolation<T>,
) -> StencilOperator<T> {
    let mut skip = vec![false; a.grid().len()];
    a.decoupled().into_iter().for_each(|i| skip[i as usize] = true);
    // Piecewise constant interpolation doubles second differences along each thinned axis.
    let thinned = (0..3).all(|axis| a.grid().extents()[axis] == 1 || p.thins(axis));
    let halve = grid.centring() == Centring::Cell && thinned;
    let row = |index| {
        let mut row = coarse_row(a, &grid, p, &skip, grid.point(index));
        if halve {
            let sum: T = row.coefficients.iter().copied().sum();
            row = row.affine(T::of(0.5), T::of(0.5) * sum);
        }
        // Nothing but solid below: a row of the identity.
        let empty = row.coefficients.iter().all(|c| *c == T::zero());
        if empty { row.affine(T::zero(), T::one()) } else { row }
    };
    let rows: Vec<_> = (0..grid.len()).map(row).collect();
    StencilOperator::from_folded(grid, &rows, Vec::new())
}

fn coarse_row<T: Real>(
    a: &StencilOperator<T>,
    grid: &Grid,
    p: &GridInterpolation<T>,
    skip: &[bool],
    point: [usize; 3],
) -> Stencil<T> {
    let fine = a.grid();
    let mut row = Stencil::default();
    for &(k, wz) in p.to(2, point[2]) {
        for &(j, wy) in p.to(1, point[1]) {
            for &(i, wx) in p.to(0, point[0]) {
                let at = [i, j, k].map(|i| i as usize);
                if skip[fine.index(at)] {
                    continue;
                }
                for (to, c) in a.entries(at).filter(|(to, _)| !skip[fine.index(*to)]) {
                    interpolated(grid, p, point, to, wx * wy * wz * c, &mut row);
                }
            }
        }
    }
    row
}

/// Adds w times what a fine point interpolates from to the row of a coarse point.
fn interpolated<T: Real>(
    grid: &Grid,
    p: &GridInterpolation<T>,
    row_point: [usize; 3],
    fine: [usize; 3],
    w: T,
    row: &mut Stencil<T>,
) {
    for (cz, wz) in p.from(2, fine[2]) {
        for (cy, wy) in p.from(1, fine[1]) {
            for (cx, wx) in p.from(0, fine[0]) {
                let offset = grid.offset_between(row_point, [cx, cy, cz]);
                row.add(offset, w * wx * wy * wz);
            }
        }
    }
}
