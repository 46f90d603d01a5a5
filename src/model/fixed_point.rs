//! [`ContractingMap`]: the fixed point of x ↦ M x + b with ‖M‖_∞ < 1, and its reverse.
//!
//! x = (I − M)⁻¹ b exists and every iteration from any start tends to it (Banach); the error after k sweeps
//! is at most ‖M‖ᵏ/(1 − ‖M‖) times the first increment. By the implicit function theorem, with λ = (I − M)⁻ᵀ x̄:
//! b̄ = λ and M̄ = λ xᵀ. Both systems are solved by `linalg`: Krylov (restarted GMRES) or relaxation (Richardson
//! with ω = 1, which is the iteration x ← M x + b itself).

use crate::linalg::krylov::{Gmres, Owned};
use crate::linalg::relax::{Richardson, Stationary};
use crate::linalg::{Csr, Identity, LinearSolver, Report, Settings};
use crate::num::Real;
use crate::{Error, Result};

/// How fixed points are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FixedPointSolver {
    /// GMRES on I − M.
    #[default]
    Krylov,
    /// x ← M x + b.
    Relaxation,
}

/// Basis vectors of GMRES before it restarts.
const RESTART: usize = 40;

/// x ↦ M x + b, contracting in the largest norm.
pub struct ContractingMap<T: Real> {
    solver: Box<dyn LinearSolver<T> + Send>,
    contraction: T,
}

impl<T: Real> ContractingMap<T> {
    /// The map of `m`, solved to `settings`.
    ///
    /// # Errors
    /// A matrix that is not square, has an entry that is not finite, or a row whose absolute values sum to 1 or
    /// more: it may have no fixed point, or many. Unusable settings.
    pub fn new(m: &Csr<T>, solver: FixedPointSolver, settings: Settings) -> Result<Self> {
        let n = m.square()?;
        Error::check_finite("the map's matrix", m.values())?;
        let sum = |i: usize| m.row(i).1.iter().fold(T::zero(), |s, v| s + v.abs());
        let contraction = (0..n).map(sum).fold(T::zero(), T::max);
        if let Some(i) = (0..n).find(|&i| sum(i) >= T::one()) {
            let given = format!("such that row {i} sums to {} in absolute values", sum(i));
            let needed = "a contraction needs less than 1 in every row, else the fixed point need not exist: scale \
                          the map down";
            return Err(Error::invalid("the map's matrix", given, needed));
        }
        let mut system = m.clone();
        system.scale(T::of(-1.0));
        let system = system.shift(T::one())?;
        let solver: Box<dyn LinearSolver<T> + Send> = match solver {
            FixedPointSolver::Krylov => {
                Box::new(Owned::new(Gmres::new(n, RESTART.min(n), settings)?, system, Identity(n)))
            }
            FixedPointSolver::Relaxation => {
                let richardson = Richardson::new(&system, 1.0)?;
                Box::new(Stationary::new(Box::new(system), richardson, settings)?)
            }
        };
        Ok(Self { solver, contraction })
    }

    /// ‖M‖_∞.
    pub fn contraction(&self) -> T {
        self.contraction
    }

    /// `x` ← the fixed point for `b`, from the guess in `x`.
    ///
    /// # Errors
    /// Wrong lengths, entries that are not finite, an iteration that does not converge.
    pub fn solve(&mut self, b: &[T], x: &mut [T]) -> Result<Report> {
        self.solver.solve(b, x)?.ok()
    }

    /// `lambda` ← (I − M)⁻ᵀ `x_bar`, the cotangent of b, from the guess in `lambda`.
    ///
    /// # Errors
    /// As [`solve`](Self::solve).
    pub fn solve_transpose(&mut self, x_bar: &[T], lambda: &mut [T]) -> Result<Report> {
        self.solver.solve_transpose(x_bar, lambda)?.ok()
    }
}
