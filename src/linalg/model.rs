//! Model problems: the operators that iterations are tested and compared on, each as a
//! [`StencilOperator`] (whose [`to_csr`](StencilOperator::to_csr) is the matrix). All are written for
//! −Δ, so that they are positive definite, and scaled by the grid's spacing.

use super::csr::Csr;
use super::grid::{Boundary, Centring, Grid, Stencil, StencilOperator};
use crate::error::{Error, Result};
use crate::num::Real;

/// −u″ by 3 points on `n` vertices, unit spacing, Dirichlet: rows (−1, 2, −1).
///
/// # Errors
/// No points.
pub fn poisson_1d<T: Real>(n: usize) -> Result<Csr<T>> {
    Ok(poisson(Grid::vertices(&[n], &[1.0])?)?.to_csr())
}

/// −Δu by 5 points on vertices, unit spacing, Dirichlet: 4 on the diagonal, −1 for each neighbour.
///
/// # Errors
/// No points along an axis.
pub fn poisson_2d<T: Real>(extents: [usize; 2]) -> Result<Csr<T>> {
    Ok(poisson(Grid::vertices(&extents, &[1.0; 2])?)?.to_csr())
}

/// −Δu by 7 points on vertices, unit spacing, Dirichlet: 6 on the diagonal, −1 for each neighbour.
///
/// # Errors
/// No points along an axis.
pub fn poisson_3d<T: Real>(extents: [usize; 3]) -> Result<Csr<T>> {
    Ok(poisson(Grid::vertices(&extents, &[1.0; 3])?)?.to_csr())
}

/// −Δu by 3, 5 or 7 points: Σₐ (2u(p) − u(p − eₐ) − u(p + eₐ))/hₐ².
///
/// # Errors
/// Spacing so small that 1/h² overflows.
pub fn poisson<T: Real>(grid: Grid) -> Result<StencilOperator<T>> {
    anisotropic(grid, [1.0; 3])
}

/// −Σₐ εₐ ∂²u/∂xₐ² by 3, 5 or 7 points: diffusion that differs along the axes of the grid.
///
/// # Errors
/// An ε that is not finite, spacing so small that ε/h² overflows.
pub fn anisotropic<T: Real>(grid: Grid, epsilon: [f64; 3]) -> Result<StencilOperator<T>> {
    let mut stencil = Stencil::default();
    for (axis, &epsilon) in epsilon.iter().enumerate().take(grid.dim()) {
        second_derivative(&mut stencil, &grid, axis, epsilon);
    }
    StencilOperator::constant(grid, stencil)
}

/// −Δu in two dimensions by 9 points, (20, −4 on the sides, −1 on the corners)/6h². The error is
/// −(h²/12)Δ²u, the same in all directions (Rosser, *Nine-point difference solutions for Poisson's
/// equation*, Comput. Math. Appl. 1, 1975, eq. (2)).
///
/// # Errors
/// A grid that is not two-dimensional with equal spacing.
pub fn poisson_9<T: Real>(grid: Grid) -> Result<StencilOperator<T>> {
    box_laplacian(grid, 2, [20.0 / 6.0, -4.0 / 6.0, -1.0 / 6.0, 0.0])
}

/// −Δu in three dimensions by 27 points, (128, −14 on the faces, −3 on the edges, −1 on the
/// corners)/30h². The error is −(h²/12)Δ²u, the same in all directions (Patra and Karttunen, *Stencils
/// with isotropic discretization error for differential operators*, Numer. Methods Partial Differ. Equ.
/// 22, 2006).
///
/// # Errors
/// A grid that is not three-dimensional with equal spacing.
pub fn poisson_27<T: Real>(grid: Grid) -> Result<StencilOperator<T>> {
    box_laplacian(grid, 3, [128.0 / 30.0, -14.0 / 30.0, -3.0 / 30.0, -1.0 / 30.0])
}

/// Weights by the number of axes along which a neighbour is displaced.
fn box_laplacian<T: Real>(grid: Grid, dim: usize, weights: [f64; 4]) -> Result<StencilOperator<T>> {
    let h = grid.spacing()[0];
    if grid.dim() != dim || grid.spacing()[..dim].iter().any(|s| *s != h) {
        let given = format!("{} axes with spacing {:?}", grid.dim(), &grid.spacing()[..grid.dim()]);
        let needed = format!("this stencil needs {dim} axes with equal spacing");
        return Err(Error::invalid("the grid", given, needed));
    }
    let mut stencil = Stencil::default();
    for offset in offsets() {
        if offset[dim..].iter().all(|d| *d == 0) {
            let displaced = offset.iter().filter(|d| **d != 0).count();
            stencil.add(offset, T::of(weights[displaced] / (h * h)));
        }
    }
    StencilOperator::constant(grid, stencil)
}

fn offsets() -> impl Iterator<Item = [isize; 3]> {
    (-1..=1).flat_map(|z| (-1..=1).flat_map(move |y| (-1..=1).map(move |x| [x, y, z])))
}

/// −∇·(K∇u) in two dimensions with K = Q diag(1, ε) Qᵀ, Q the rotation by `theta`: strong diffusion
/// along the direction `theta`, ε times as much across. Nine points, the mixed derivative by the four
/// corners: −K₁₁ u_xx − 2K₁₂ u_xy − K₂₂ u_yy.
///
/// # Errors
/// A grid that is not two-dimensional, ε that is not positive and finite, an angle that is not finite.
pub fn rotated_anisotropic<T: Real>(grid: Grid, epsilon: f64, theta: f64) -> Result<StencilOperator<T>> {
    if grid.dim() != 2 {
        return Err(Error::invalid("the number of axes", grid.dim(), "this operator is two-dimensional"));
    }
    if !(epsilon.is_finite() && epsilon > 0.0 && theta.is_finite()) {
        let needed = "epsilon must be positive and finite, and theta finite";
        return Err(Error::invalid("(epsilon, theta)", format!("({epsilon}, {theta})"), needed));
    }
    let (sin, cos) = theta.sin_cos();
    let mut stencil = Stencil::default();
    second_derivative(&mut stencil, &grid, 0, cos * cos + epsilon * sin * sin);
    second_derivative(&mut stencil, &grid, 1, sin * sin + epsilon * cos * cos);
    let mixed = (1.0 - epsilon) * sin * cos;
    let [hx, hy, _] = grid.spacing();
    for (dx, dy) in [(-1, -1), (-1, 1), (1, -1), (1, 1)] {
        stencil.add([dx, dy, 0], T::of(-2.0 * mixed * (dx * dy) as f64 / (4.0 * hx * hy)));
    }
    StencilOperator::constant(grid, stencil)
}

/// −∇·(a∇u) with a given at the unknowns' positions, by 3, 5 or 7 points; the flux between two of them
/// has the harmonic average 2a₁a₂/(a₁ + a₂), which is exact for a jump half-way (Wesseling, *An
/// Introduction to Multigrid Methods*, 1992, section 3.3). A side's flux has the a of the unknown beside it,
/// mirrored about a vertex on the side.
///
/// # Errors
/// The first a that is not positive and finite.
pub fn diffusion<T: Real>(grid: Grid, a: impl Fn([f64; 3]) -> f64) -> Result<StencilOperator<T>> {
    let values: Vec<f64> = (0..grid.len()).map(|i| a(grid.position(grid.point(i)))).collect();
    if let Some(i) = values.iter().position(|a| !(a.is_finite() && *a > 0.0)) {
        let what = format!("the diffusion coefficient at {:?}", grid.point(i));
        return Err(Error::invalid(what, values[i], "it must be positive and finite"));
    }
    StencilOperator::per_point(grid, |point| {
        let mut stencil = Stencil::default();
        for axis in 0..grid.dim() {
            let h = grid.spacing()[axis];
            for side in 0..2 {
                let c = T::of(face(&grid, &values, point, axis, side) / (h * h));
                stencil.add(unit(axis, side), -c);
                stencil.add([0; 3], c);
            }
        }
        stencil
    })
}

/// The coefficient of the flux from a point towards a side of it.
fn face(grid: &Grid, a: &[f64], point: [usize; 3], axis: usize, side: usize) -> f64 {
    let own = a[grid.index(point)];
    let boundary = grid.boundaries()[axis][side];
    let mirrors = grid.centring() == Centring::Vertex && boundary != Boundary::Dirichlet;
    let mut beyond = grid.neighbour(point, unit(axis, side));
    if beyond.is_none() && mirrors {
        beyond = grid.neighbour(point, unit(axis, 1 - side));
    }
    beyond.map_or(own, |p| {
        let other = a[grid.index(p)];
        2.0 * (own * other) / (own + other)
    })
}

/// How a first derivative is approximated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convection {
    /// One-sided, against the flow: first order, an M-matrix for every speed.
    Upwind,
    /// (u(p + e) − u(p − e))/2h: second order, oscillates where |v|h > 2ε.
    Central,
}

/// −ε Δu + v·∇u with constant velocity.
///
/// # Errors
/// ε or a velocity that is not finite.
pub fn convection_diffusion<T: Real>(
    grid: Grid,
    epsilon: f64,
    velocity: [f64; 3],
    scheme: Convection,
) -> Result<StencilOperator<T>> {
    StencilOperator::constant(grid, convective(&grid, epsilon, velocity, scheme))
}

/// −ε Δu + v·∇u with a velocity that depends on the position.
///
/// # Errors
/// ε or a velocity that is not finite.
pub fn convection_diffusion_field<T: Real>(
    grid: Grid,
    epsilon: f64,
    velocity: impl Fn([f64; 3]) -> [f64; 3],
    scheme: Convection,
) -> Result<StencilOperator<T>> {
    StencilOperator::per_point(grid, |p| convective(&grid, epsilon, velocity(grid.position(p)), scheme))
}

fn convective<T: Real>(grid: &Grid, epsilon: f64, velocity: [f64; 3], scheme: Convection) -> Stencil<T> {
    let mut stencil = Stencil::default();
    for (axis, &velocity) in velocity.iter().enumerate().take(grid.dim()) {
        second_derivative(&mut stencil, grid, axis, epsilon);
        let speed = velocity / grid.spacing()[axis];
        let [low, high] = match scheme {
            Convection::Upwind => [-speed.max(0.0), speed.min(0.0)],
            Convection::Central => [-0.5 * speed, 0.5 * speed],
        };
        stencil.add(unit(axis, 0), T::of(low));
        stencil.add(unit(axis, 1), T::of(high));
        stencil.add([0; 3], T::of(-(low + high)));
    }
    stencil
}

/// −Δu − k²u by 3, 5 or 7 points: indefinite once k² exceeds the smallest eigenvalue of −Δ.
///
/// # Errors
/// k² that is not finite.
pub fn helmholtz<T: Real>(grid: Grid, k2: f64) -> Result<StencilOperator<T>> {
    poisson(grid)?.affine(T::one(), T::of(-k2))
}

/// u − γh Δu by 3, 5 or 7 points: the matrix I − γhL of an implicit step of size h for u̇ = Lu = Δu.
///
/// # Errors
/// γh that is not finite.
pub fn shifted<T: Real>(grid: Grid, gamma_h: f64) -> Result<StencilOperator<T>> {
    poisson(grid)?.affine(T::of(gamma_h), T::one())
}

/// Adds −w ∂²/∂x² of an axis.
fn second_derivative<T: Real>(stencil: &mut Stencil<T>, grid: &Grid, axis: usize, w: f64) {
    let c = w / (grid.spacing()[axis] * grid.spacing()[axis]);
    stencil.add(unit(axis, 0), T::of(-c));
    stencil.add([0; 3], T::of(2.0 * c));
    stencil.add(unit(axis, 1), T::of(-c));
}

/// The offset to the neighbour on a side.
fn unit(axis: usize, side: usize) -> [isize; 3] {
    let mut offset = [0; 3];
    offset[axis] = if side == 0 { -1 } else { 1 };
    offset
}
