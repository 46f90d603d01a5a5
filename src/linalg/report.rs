//! What a linear solve says of itself: [`Report`], and what it was asked: [`Settings`].

use crate::error::{Error, Result};
use std::time::Duration;

/// Why a linear solve ended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The true residual meets the tolerance.
    Converged,
    /// The residual cannot be made smaller: Aᵀ(b − A x) vanishes to the tolerance and b − A x does not,
    /// x is a least-squares solution (LSQR and LSMR).
    LeastSquares {
        /// ‖Aᵀr‖/(‖A‖_F ‖r‖).
        optimality: f64,
    },
    /// The budget of iterations is spent.
    MaxIterations,
    /// The residual no longer falls: no progress over the stagnation window.
    Stagnated,
    /// The residual grew beyond the divergence limit.
    Diverged,
    /// pᵀAp ≤ 0: the operator is not positive definite, which the method needs.
    Indefinite {
        /// pᵀAp/pᵀp.
        curvature: f64,
    },
    /// rᵀM⁻¹r ≤ 0: the preconditioner is not positive definite, which the method needs.
    IndefinitePreconditioner,
    /// A quantity the method divides by vanished before convergence.
    Breakdown,
    /// A NaN or infinity appeared.
    NonFinite,
}

impl Outcome {
    /// One sentence on what it means and what to try; empty when converged.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Converged | Self::LeastSquares { .. } => "",
            Self::MaxIterations => "raise max_iterations, loosen rtol, or use a better preconditioner",
            Self::Stagnated => {
                "the attainable accuracy is reached or the system is singular: loosen rtol, use f64, or a \
                 better preconditioner"
            }
            Self::Diverged => {
                "the iteration does not contract for this matrix: use a Krylov method, or damp it"
            }
            Self::Indefinite { .. } => "the matrix is not SPD: use MINRES (symmetric) or GMRES",
            Self::IndefinitePreconditioner => {
                "the preconditioner is not SPD: use FGMRES, or another preconditioner"
            }
            Self::Breakdown => "the recurrence broke down: restart from the present x, or use GMRES",
            Self::NonFinite => "the matrix, the right-hand side or the preconditioner gives NaN or infinity",
        }
    }
}

/// Residual norms of a solve and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Why it ended.
    pub outcome: Outcome,
    /// Iterations.
    pub iterations: usize,
    /// ‖r_k‖₂ that the method saw at each iteration, the first being ‖b − A x0‖₂. Recurrences drift:
    /// [`true_residuals`](Self::true_residuals) holds the checked ones.
    pub residuals: Vec<f64>,
    /// (k, ‖b − A x_k‖₂) computed from x, at the start, every
    /// [`check_every`](Settings::check_every) iterations and at the end.
    pub true_residuals: Vec<(usize, f64)>,
    /// The norm that `rtol` refers to, ‖b‖₂.
    pub scale: f64,
    /// Applications of A or Aᵀ.
    pub applications: usize,
    /// Applications of the preconditioner.
    pub preconditions: usize,
    /// Wall time.
    pub time: Duration,
}

impl Report {
    /// Whether the true residual meets the tolerance, or that of the normal equations in least squares.
    pub fn converged(&self) -> bool {
        matches!(self.outcome, Outcome::Converged | Outcome::LeastSquares { .. })
    }

    /// The last true residual norm ‖b − A x‖₂; NaN when none was computed.
    pub fn residual(&self) -> f64 {
        self.true_residuals.last().map_or(f64::NAN, |r| r.1)
    }

    /// The last true residual relative to ‖b‖₂ (absolute when b = 0).
    pub fn relative_residual(&self) -> f64 {
        if self.scale > 0.0 { self.residual() / self.scale } else { self.residual() }
    }

    /// The report of this solve and of one that went on from its x, as of one solve.
    pub(crate) fn followed_by(mut self, rest: Self) -> Self {
        let before = self.iterations;
        self.outcome = rest.outcome;
        self.iterations += rest.iterations;
        self.residuals.extend(rest.residuals.into_iter().skip(1));
        self.true_residuals.extend(rest.true_residuals.into_iter().skip(1).map(|(k, r)| (before + k, r)));
        self.applications += rest.applications;
        self.preconditions += rest.preconditions;
        self.time += rest.time;
        self
    }

    /// The report itself when converged.
    ///
    /// # Errors
    /// Why the solve ended, where the residual stands and what to try.
    pub fn ok(self) -> Result<Self> {
        if self.converged() {
            return Ok(self);
        }
        let given = format!(
            "{:?} after {} iterations at relative residual {:.2e}",
            self.outcome,
            self.iterations,
            self.relative_residual()
        );
        Err(Error::invalid("the linear solve", given, self.outcome.advice()))
    }
}

/// Which side a preconditioner acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// M⁻¹ A x = M⁻¹ b.
    Left,
    /// A M⁻¹ u = b, x = M⁻¹ u: the residual stays the true one.
    #[default]
    Right,
}

/// Tolerances and limits of an iterative solve: converged when ‖b − A x‖₂ ≤ max(rtol ‖b‖₂, atol).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Relative tolerance.
    pub rtol: f64,
    /// Absolute tolerance.
    pub atol: f64,
    /// Most iterations.
    pub max_iterations: usize,
    /// Every so many iterations the residual is computed from x (and replaces the recurrence's); 1
    /// gives the whole true history at the price of one more application an iteration.
    pub check_every: usize,
    /// Iterations without a new smallest residual after which the solve counts as stagnated.
    pub stagnation: usize,
    /// Growth of the residual over the first one at which the solve counts as diverged.
    pub divergence: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rtol: 1e-8,
            atol: 0.0,
            max_iterations: 10_000,
            check_every: 50,
            stagnation: 500,
            divergence: 1e5,
        }
    }
}

impl Settings {
    /// Default settings with this relative tolerance.
    pub fn tol(rtol: f64) -> Self {
        Self { rtol, ..Self::default() }
    }

    /// With another limit of iterations.
    pub fn max_iterations(self, max_iterations: usize) -> Self {
        Self { max_iterations, ..self }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A tolerance that is negative or not finite, both zero, or a window of zero.
    pub fn check(&self) -> Result<()> {
        for (what, tol) in [("rtol", self.rtol), ("atol", self.atol)] {
            if !(tol.is_finite() && tol >= 0.0) {
                return Err(Error::invalid(what, tol, "it must be finite and not negative"));
            }
        }
        if self.rtol == 0.0 && self.atol == 0.0 {
            return Err(Error::invalid("rtol and atol", "both 0", "one of them must be positive"));
        }
        for (what, n) in [("check_every", self.check_every), ("stagnation", self.stagnation)] {
            if n == 0 {
                return Err(Error::invalid(what, n, "it must be at least 1"));
            }
        }
        if self.divergence.is_nan() || self.divergence <= 1.0 {
            return Err(Error::invalid("divergence", self.divergence, "it must be greater than 1"));
        }
        Ok(())
    }

    /// The residual norm at which a solve with right-hand side of norm `scale` has converged.
    pub fn target(&self, scale: f64) -> f64 {
        self.atol.max(self.rtol * scale)
    }
}
