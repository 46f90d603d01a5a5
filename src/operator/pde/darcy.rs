//! [`Darcy`]: stationary flow through a porous medium.

use super::{CosineField, Generator, json, line};
use crate::error::{Error, Result};
use crate::linalg::grid::{Grid, StencilOperator};
use crate::linalg::model::diffusion;
use crate::linalg::multigrid::{Geometric, GridLevel, Multigrid};
use crate::linalg::vector::norm2;
use crate::linalg::{LinearOperator, Preconditioner, Report, Settings};
use crate::num::random::{at, stream, uniform};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The law of the coefficient a.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coefficient {
    /// One of two values, as a random field is positive or not (the benchmark of the Fourier neural operator, Li et
    /// al. 2021, section 5.2).
    TwoValued {
        /// The random field.
        field: CosineField,
        /// a where the field is not negative, and where it is.
        values: [f64; 2],
    },
    /// Six scales, a = Π_{k=1}^{6} (1 + ½ cos(a_kπ(x₀ + x₁))) (1 + ½ sin(a_kπ(x₁ − 3x₀))) with a_k uniform on
    /// [2^{k−1}, 1.5·2^{k−1}] (the multiscale benchmark of He, Liu & Xu, *MgNO*, ICLR 2024): between 2⁻¹² and 130.
    Multiscale,
}

/// Scales of [`Coefficient::Multiscale`].
const SCALES: usize = 6;

/// −∇·(a∇u) = 1 on the unit square, u = 0 on its sides, a random.
///
/// Unknowns are the interior vertices, a is given there and averaged harmonically between them
/// ([`diffusion`]); CG preconditioned by a V-cycle solves to the tolerance on the true residual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Darcy {
    /// Interior vertices along each axis.
    pub extents: [usize; 2],
    /// The law of a.
    pub coefficient: Coefficient,
    /// Relative residual of the solves.
    pub tolerance: f64,
}

impl Darcy {
    /// The smooth law: α = 2, τ = 3, a ∈ {12, 3}, as many modes as intervals along the longer axis.
    pub fn smooth(extents: [usize; 2]) -> Self {
        Self::two_valued(extents, 3.0, [12.0, 3.0])
    }

    /// The rough law: α = 2, τ = 5, a ∈ {12, 2}.
    pub fn rough(extents: [usize; 2]) -> Self {
        Self::two_valued(extents, 5.0, [12.0, 2.0])
    }

    /// The multiscale law.
    pub fn multiscale(extents: [usize; 2]) -> Self {
        Self { coefficient: Coefficient::Multiscale, ..Self::smooth(extents) }
    }

    fn two_valued(extents: [usize; 2], tau: f64, values: [f64; 2]) -> Self {
        let coefficient = Coefficient::TwoValued { field: CosineField::darcy(extents, tau), values };
        Self { extents, coefficient, tolerance: 1e-10 }
    }

    /// The grid of the unknowns.
    ///
    /// # Errors
    /// An axis without points.
    pub fn grid(&self) -> Result<Grid> {
        Grid::vertices(&self.extents, &self.extents.map(|n| 1.0 / (n + 1) as f64))
    }

    /// −∇·(a∇·) for a given at the vertices.
    ///
    /// # Errors
    /// `a` of another length, the first value that is not positive and finite.
    pub fn operator(&self, a: &[f64]) -> Result<StencilOperator<f64>> {
        let grid = self.grid()?;
        Error::check_len("a", a.len(), grid.len(), "one for each vertex")?;
        let h = grid.spacing();
        let at = |x: [f64; 3]| {
            let [i, j] = [0, 1].map(|axis| (x[axis] / h[axis]).round() as usize - 1);
            a[grid.index([i, j, 0])]
        };
        diffusion(grid, at)
    }

    /// The V-cycle that preconditions CG on [`operator`](Self::operator).
    ///
    /// # Errors
    /// A grid too small to be coarsened.
    pub fn cycle(&self, operator: StencilOperator<f64>) -> Result<Multigrid<f64, GridLevel<f64>>> {
        Geometric::symmetric().build(operator)
    }

    /// Solves −∇·(a∇u) = f from the guess in `u`.
    ///
    /// # Errors
    /// As [`operator`](Self::operator) and [`cycle`](Self::cycle), lengths that do not fit, a solve that
    /// does not converge.
    pub fn solve(&self, a: &[f64], f: &[f64], u: &mut [f64]) -> Result<Report> {
        let correction = self.correct(a, f, u, self.tolerance)?;
        u.copy_from_slice(&correction.u);
        Ok(correction.report)
    }
}

/// How wrong an answer to A u = f may be, from its residual r = f − A u.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// ‖r‖₂/‖f‖₂.
    pub residual: f64,
    /// A guaranteed bound of the error's ‖·‖₂, ‖r‖₂/(a_min λ), λ the smallest eigenvalue of −Δ on the grid:
    /// A ≥ a_min (−Δ), the harmonic averages being no less than a_min.
    pub bound: f64,
    /// An estimate of the same norm, ‖B r‖₂ for one V-cycle B: sharp as far as the cycle converges fast,
    /// but no bound.
    pub estimate: f64,
}

impl Darcy {
    /// The certificate of an answer `u`, given by a surrogate or anything else. To bring it to a tolerance,
    /// [`correct`](Self::correct).
    ///
    /// # Errors
    /// As [`operator`](Self::operator) and [`cycle`](Self::cycle); lengths that do not fit, entries that
    /// are not finite.
    pub fn certificate(&self, a: &[f64], f: &[f64], u: &[f64]) -> Result<Certificate> {
        let operator = self.operator(a)?;
        let n = operator.grid().len();
        for (what, values) in [("f", f), ("u", u)] {
            Error::check_len(what, values.len(), n, "one for each vertex")?;
            Error::check_finite(what, values)?;
        }
        let mut r = vec![0.0; n];
        operator.residual(f, u, &mut r);
        let mut correction = vec![0.0; n];
        self.cycle(operator)?.apply(&r, &mut correction);
        let lowest = |n: &usize| {
            let h = 1.0 / (n + 1) as f64;
            (2.0 / h * (0.5 * PI * h).sin()).powi(2)
        };
        let lambda: f64 = self.extents.iter().map(lowest).sum();
        let least = a.iter().copied().fold(f64::INFINITY, f64::min);
        let (norm, scale) = (norm2(&r), norm2(f));
        let residual = if scale > 0.0 { norm / scale } else { norm };
        Ok(Certificate { residual, bound: norm / (least * lambda), estimate: norm2(&correction) })
    }
}

impl Generator for Darcy {
    fn equation(&self) -> &'static str {
        "darcy"
    }

    fn parameters(&self) -> Result<serde_json::Value> {
        json(self)
    }

    fn check(&self) -> Result<()> {
        if let Coefficient::TwoValued { field, values } = &self.coefficient {
            field.check()?;
            if let Some(a) = values.iter().find(|a| !(a.is_finite() && **a > 0.0)) {
                return Err(Error::invalid(
                    "a value of the coefficient",
                    a,
                    "it must be positive and finite",
                ));
            }
        }
        self.grid()?;
        Settings::tol(self.tolerance).check()
    }

    fn shapes(&self) -> [Vec<usize>; 2] {
        let [nx, ny] = self.extents;
        [vec![ny, nx], vec![ny, nx]]
    }

    fn input(&self, seed: u64, index: u32) -> Result<Vec<f64>> {
        self.check()?;
        let [x, y] = self.extents.map(line);
        match self.coefficient {
            Coefficient::TwoValued { field, values: [high, low] } => {
                let field = field.at(seed, index, [&x, &y])?;
                Ok(field.into_iter().map(|v| if v >= 0.0 { high } else { low }).collect())
            }
            Coefficient::Multiscale => {
                let draw = |k: usize| {
                    let [bits, _] = at(seed, k as u64, stream(index, 2));
                    2f64.powi(k as i32) * (1.0 + 0.5 * uniform(bits))
                };
                let scales: [f64; SCALES] = std::array::from_fn(draw);
                let value = |x: f64, y: f64| -> f64 {
                    let factor = |a: &f64| {
                        let [sum, difference] = [x + y, y - 3.0 * x].map(|z| a * PI * z);
                        (1.0 + 0.5 * sum.cos()) * (1.0 + 0.5 * difference.sin())
                    };
                    scales.iter().map(factor).product()
                };
                Ok(y.iter().flat_map(|y| x.iter().map(move |x| (*x, *y))).map(|(x, y)| value(x, y)).collect())
            }
        }
    }

    fn output(&self, input: &[f64]) -> Result<Vec<f64>> {
        let mut u = vec![0.0; input.len()];
        self.solve(input, &vec![1.0; input.len()], &mut u)?;
        Ok(u)
    }
}
