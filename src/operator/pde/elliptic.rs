//! [`Poisson`] and [`Helmholtz`] on the unit square.

use super::{CosineField, Darcy, Generator, json, line};
use crate::error::{Error, Result};
use crate::linalg::{Budget, Csr, LinearOperator, Settings, SparseLu};
use serde::{Deserialize, Serialize};

/// −Δu = f on the unit square, u = 0 on its sides, f a random field: 5-point differences at the interior vertices,
/// solved as [`Darcy`] with a = 1. Samples are f and u, `[ny, nx]` each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Poisson {
    /// Interior vertices along each axis.
    pub extents: [usize; 2],
    /// The law of f.
    pub field: CosineField,
    /// Relative residual of the solves.
    pub tolerance: f64,
}

impl Poisson {
    /// f of the law α = 2, τ = 3.
    pub fn new(extents: [usize; 2]) -> Self {
        let Darcy { tolerance, .. } = Darcy::smooth(extents);
        Self { extents, field: CosineField::darcy(extents, 3.0), tolerance }
    }
}

impl Generator for Poisson {
    fn equation(&self) -> &'static str {
        "poisson"
    }

    fn parameters(&self) -> Result<serde_json::Value> {
        json(self)
    }

    fn check(&self) -> Result<()> {
        self.field.check()?;
        Darcy::smooth(self.extents).grid()?;
        Settings::tol(self.tolerance).check()
    }

    fn shapes(&self) -> [Vec<usize>; 2] {
        let [nx, ny] = self.extents;
        [vec![ny, nx], vec![ny, nx]]
    }

    fn input(&self, seed: u64, index: u32) -> Result<Vec<f64>> {
        self.check()?;
        let [x, y] = self.extents.map(line);
        self.field.at(seed, index, [&x, &y])
    }

    fn output(&self, input: &[f64]) -> Result<Vec<f64>> {
        let darcy = Darcy { tolerance: self.tolerance, ..Darcy::smooth(self.extents) };
        let mut u = vec![0.0; input.len()];
        darcy.solve(&vec![1.0; input.len()], input, &mut u)?;
        Ok(u)
    }
}

/// −Δu − (ω/c)² u = 0 on the unit square with ∂u/∂n = 1 on its upper side and 0 on the others, the wave speed
/// c = 20 + tanh U with a random field U (the data of de Hoop, Huang, Qian & Stuart, *The Cost-Accuracy Trade-Off in
/// Operator Learning with Neural Networks*, 2022, have ω = 10³ and 101² points).
///
/// 5-point differences at all vertices, those on the sides with the half cells they have inside; symmetric, indefinite,
/// solved by sparse LU. Samples are c and u, `[ny, nx]` each. Near a resonance of the square u is large: the matrix is
/// then nearly singular, and second-order differences shift the resonances by (ωh/c)²/24 relatively, about 1 % at 101².
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Helmholtz {
    /// Vertices along each axis, those on the sides included.
    pub extents: [usize; 2],
    /// ω.
    pub frequency: f64,
    /// The law of U.
    pub field: CosineField,
}

/// Largest relative residual that a solve may have.
const RESIDUAL: f64 = 1e-9;

impl Helmholtz {
    /// ω = 1000, U of the law α = 2, τ = 3.
    pub fn new(extents: [usize; 2]) -> Self {
        Self { extents, frequency: 1e3, field: CosineField::darcy(extents, 3.0) }
    }

    /// The matrix for c given at the vertices, rows of cells inside the square, times h₀h₁.
    ///
    /// # Errors
    /// `c` of another length, the first value that is not positive and finite, fewer than 3 vertices.
    pub fn matrix(&self, c: &[f64]) -> Result<Csr<f64>> {
        let [n, m] = self.extents;
        if let Some(n) = self.extents.iter().find(|n| **n < 3) {
            return Err(Error::invalid("an extent of the square", n, "at least 3 vertices are needed"));
        }
        Error::check_len("c", c.len(), n * m, "one for each vertex")?;
        if let Some(i) = c.iter().position(|c| !(c.is_finite() && *c > 0.0)) {
            let what = format!("the wave speed at vertex ({}, {})", i % n, i / n);
            return Err(Error::invalid(what, c[i], "it must be positive and finite"));
        }
        let h = self.extents.map(|n| 1.0 / (n - 1) as f64);
        let mut entries = Vec::with_capacity(5 * n * m);
        for (at, c) in c.iter().enumerate() {
            let place = [at % n, at / n];
            // How much of h a cell has along each axis.
            let part =
                [0, 1].map(|axis| if (1..self.extents[axis] - 1).contains(&place[axis]) { 1.0 } else { 0.5 });
            let mut diagonal = -(self.frequency / c).powi(2) * part[0] * part[1] * h[0] * h[1];
            for (axis, stride) in [(0, 1), (1, n)] {
                let face = part[1 - axis] * h[1 - axis] / h[axis];
                let beside = [place[axis] > 0, place[axis] + 1 < self.extents[axis]];
                for (there, other) in beside.into_iter().zip([at.wrapping_sub(stride), at + stride]) {
                    if there {
                        entries.push((at, other, -face));
                        diagonal += face;
                    }
                }
            }
            entries.push((at, at, diagonal));
        }
        Csr::from_triplets([n * m, n * m], &entries)
    }
}

impl Generator for Helmholtz {
    fn equation(&self) -> &'static str {
        "helmholtz"
    }

    fn parameters(&self) -> Result<serde_json::Value> {
        json(self)
    }

    fn check(&self) -> Result<()> {
        if !(self.frequency > 0.0 && self.frequency.is_finite()) {
            return Err(Error::invalid("the frequency", self.frequency, "it must be positive and finite"));
        }
        if let Some(n) = self.extents.iter().find(|n| **n < 3) {
            return Err(Error::invalid("an extent of the square", n, "at least 3 vertices are needed"));
        }
        self.field.check()
    }

    fn shapes(&self) -> [Vec<usize>; 2] {
        let [nx, ny] = self.extents;
        [vec![ny, nx], vec![ny, nx]]
    }

    fn input(&self, seed: u64, index: u32) -> Result<Vec<f64>> {
        self.check()?;
        let [x, y] = self.extents.map(|n| (0..n).map(|i| i as f64 / (n - 1) as f64).collect::<Vec<_>>());
        let field = self.field.at(seed, index, [&x, &y])?;
        Ok(field.into_iter().map(|u| 20.0 + u.tanh()).collect())
    }

    fn output(&self, input: &[f64]) -> Result<Vec<f64>> {
        self.check()?;
        let matrix = self.matrix(input)?;
        let [n, m] = self.extents;
        let h = 1.0 / (n - 1) as f64;
        let mut flux = vec![0.0; n * m];
        for (i, flux) in flux[n * (m - 1)..].iter_mut().enumerate() {
            *flux = if i == 0 || i + 1 == n { 0.5 * h } else { h };
        }
        let mut u = flux.clone();
        SparseLu::of(&matrix, Budget::default())?.solve(&mut u);
        let mut residual = vec![0.0; n * m];
        matrix.apply(&u, &mut residual);
        let off = residual.iter().zip(&flux).map(|(a, f)| (a - f) * (a - f)).sum::<f64>();
        let relative = (off / flux.iter().map(|f| f * f).sum::<f64>()).sqrt();
        if relative < RESIDUAL {
            return Ok(u);
        }
        let needed = format!("it must be below {RESIDUAL}: the frequency is at a resonance of the square");
        Err(Error::invalid("the residual of the Helmholtz solve", relative, needed))
    }
}
