//! [`DiffusionCycle`]: multigrid for the stiff part of a [`MethodOfLines`].
//!
//! An implicit step solves with W = α − J, and what makes J large is diffusion. For every unknown s one
//! V(1,1) cycle on α − d_sΔ = α (I − d_s/α Δ), the [`shifted`] operator on the same points and edges,
//! stands for W⁻¹: reactions, advection and the coupling of unknowns are left to the Krylov method.
//!
//! The transpose: on periodic and fixed edges the operator and the cycle are symmetric. With insulated
//! edges −Δ = D⁻¹S, S symmetric and D the weights of the trapezoidal rule, so that (α − dΔ)ᵀ =
//! D (α − dΔ) D⁻¹, and D M⁻¹ D⁻¹ serves the transpose as M⁻¹ serves the operator.

use super::Medium;
use super::lines::{Edge, MethodOfLines};
use crate::error::{Error, Result};
use crate::linalg::grid::{Boundary, Grid};
use crate::linalg::model::shifted;
use crate::linalg::multigrid::{Geometric, GridLevel, GridSmoother, Multigrid};
use crate::linalg::{Claims, Preconditioner};
use crate::num::Real;
use std::fmt;

/// One multigrid cycle for every unknown of a method of lines; made by
/// [`MethodOfLines::diffusion_cycle`].
pub struct DiffusionCycle<T: Real> {
    alpha: T,
    /// For each species; `None` without diffusion.
    cycles: Vec<Option<Multigrid<T, GridLevel<T>>>>,
    /// D of every point; empty where it is 1.
    weights: Vec<T>,
    b: Vec<T>,
    x: Vec<T>,
}

impl<T: Real> fmt::Debug for DiffusionCycle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let species = self.cycles.len();
        f.debug_struct("DiffusionCycle").field("alpha", &self.alpha).field("species", &species).finish()
    }
}

impl<M: Medium> MethodOfLines<M> {
    /// The grid of the points as `linalg` has it: the axis of y, which is numbered fastest, first.
    ///
    /// # Errors
    /// None for the grids that can be made.
    pub fn grid(&self) -> Result<Grid> {
        let ([nx, ny], [hx, hy]) = (self.extents(), self.spacing());
        let grid = match ny {
            1 => Grid::vertices(&[nx], &[hx])?,
            _ => Grid::vertices(&[ny, nx], &[hy, hx])?,
        };
        grid.with_boundary(match self.edge() {
            Edge::Periodic => Boundary::Periodic,
            Edge::Fixed(_) => Boundary::Dirichlet,
            Edge::Insulated => Boundary::Neumann,
        })
    }

    /// One multigrid cycle on α − d_s(θ)Δ for every unknown s ([`Medium::diffusivity`]), as a
    /// preconditioner of α − J.
    ///
    /// # Errors
    /// α or a diffusivity that is not positive (0 is no diffusion), a grid too small to be coarsened.
    pub fn diffusion_cycle<T: Real>(&self, alpha: T, theta: &[f64]) -> Result<DiffusionCycle<T>> {
        if !(alpha.is_finite() && alpha > T::zero()) {
            return Err(Error::invalid("α of a multigrid cycle", alpha, "it must be positive and finite"));
        }
        let (grid, mut cycles) = (self.grid()?, Vec::with_capacity(M::SPECIES));
        for s in 0..M::SPECIES {
            let d = self.medium().diffusivity(theta, s);
            if !(d.is_finite() && d >= 0.0) {
                let needed = "it must be finite and not negative";
                return Err(Error::invalid(format!("the diffusivity of unknown {s}"), d, needed));
            }
            cycles.push(if d > 0.0 { Some(cycle(grid, d / alpha.f64())?) } else { None });
        }
        let zeros = || vec![T::zero(); grid.len()];
        let weights = if self.edge() == Edge::Insulated { trapezoidal(self.extents()) } else { Vec::new() };
        Ok(DiffusionCycle { alpha, cycles, weights, b: zeros(), x: zeros() })
    }
}

/// Red–black Gauss–Seidel where two colours exist, weighted Jacobi on odd periodic extents.
fn cycle<T: Real>(grid: Grid, gamma_h: f64) -> Result<Multigrid<T, GridLevel<T>>> {
    let jacobi = Geometric { smoother: GridSmoother::Jacobi { omega: None }, ..Geometric::symmetric() };
    let red_black = Geometric::symmetric().build(shifted(grid, gamma_h)?);
    red_black.or_else(|_| jacobi.build(shifted(grid, gamma_h)?))
}

/// Products of 1/2 at the ends of an axis and 1 between.
fn trapezoidal<T: Real>([nx, ny]: [usize; 2]) -> Vec<T> {
    let end = |i: usize, n: usize| if n > 1 && (i == 0 || i + 1 == n) { 0.5 } else { 1.0 };
    (0..nx * ny).map(|k| T::of(end(k / ny, nx) * end(k % ny, ny))).collect()
}

impl<T: Real> DiffusionCycle<T> {
    /// The cycles, between D⁻¹ and D where `weighted`.
    fn run(&mut self, r: &[T], z: &mut [T], weighted: bool) {
        let (species, scale) = (self.cycles.len(), T::one() / self.alpha);
        let Self { cycles, weights, b, x, .. } = self;
        let weights = if weighted { &weights[..] } else { &[] };
        for (s, cycle) in cycles.iter_mut().enumerate() {
            for (b, r) in b.iter_mut().zip(r[s..].iter().step_by(species)) {
                *b = scale * *r;
            }
            b.iter_mut().zip(weights).for_each(|(b, w)| *b /= *w);
            match cycle {
                Some(cycle) => cycle.apply(b, x),
                None => x.copy_from_slice(b),
            }
            x.iter_mut().zip(weights).for_each(|(x, w)| *x *= *w);
            for (z, x) in z[s..].iter_mut().step_by(species).zip(x.iter()) {
                *z = *x;
            }
        }
    }
}

impl<T: Real> Preconditioner<T> for DiffusionCycle<T> {
    fn len(&self) -> usize {
        self.b.len() * self.cycles.len()
    }

    fn claims(&self) -> Claims {
        Claims::LINEAR
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        self.run(r, z, false);
    }

    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        self.run(r, z, true);
        Ok(())
    }
}
