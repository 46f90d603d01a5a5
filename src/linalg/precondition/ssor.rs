//! [`Ssor`]: two triangular solves with the matrix's own entries.

use super::factors::{Factors, Triangle};
use crate::error::{Error, Result};
use crate::linalg::relax::setup;
use crate::linalg::{Claims, Csr, Preconditioner};
use crate::num::Real;

/// M = (D + ωL) D⁻¹ (D + ωU)/(ω(2 − ω)), A = D + L + U: one symmetric SOR sweep from zero. Nothing is
/// factored: set-up is one pass, and another [`set_omega`](Self::set_omega) is free, so that ω can be
/// tuned between solves.
///
/// For SPD A the condition number of M⁻¹A is at most [1 + (2−ω)²μ/(4ω) + ωδ]/(2 − ω) with
/// μ = λmax(DA⁻¹), δ = λmax((LD⁻¹Lᵀ − D/4)A⁻¹) (O. Axelsson, Iterative Solution Methods, 1994, thm 7.17).
#[derive(Clone, Debug, PartialEq)]
pub struct Ssor<T> {
    factors: Factors<T>,
    claims: Claims,
}

impl<T: Real> Ssor<T> {
    /// With relaxation ω; 1 is symmetric Gauss–Seidel.
    ///
    /// # Errors
    /// A matrix that is not square, is empty, or has a zero on the diagonal (the row is named); ω
    /// outside (0, 2).
    pub fn new(a: &Csr<T>, omega: f64) -> Result<Self> {
        setup::check_omega(omega)?;
        let n = a.square()?;
        let triangle = |lower| Triangle::new(n, lower, |_, _| ());
        let factors = Factors {
            lower: triangle(true),
            upper: triangle(false),
            inverse: vec![T::one(); n],
            scale: T::one(),
            weight: T::one(),
        };
        let mut ssor = Self { factors, claims: Claims::LINEAR };
        ssor.refill(a)?;
        ssor.set_omega(omega)?;
        Ok(ssor)
    }

    /// For another matrix of the same size, with the ω it has; a pattern that is not larger allocates nothing
    /// that stays.
    ///
    /// # Errors
    /// As [`new`](Self::new); another number of rows. The preconditioner is then what it was.
    pub fn refill(&mut self, a: &Csr<T>) -> Result<()> {
        Error::check_len("the new matrix", a.square()?, self.len(), "the rows of the first one")?;
        let (_, d) = setup::diagonal_places(a)?;
        let spd = d.iter().all(|&d| d > T::zero()) && setup::is_symmetric(a);
        self.claims = if spd { Claims::SPD } else { Claims::LINEAR };
        let Factors { lower, upper, inverse, .. } = &mut self.factors;
        inverse.iter_mut().zip(&d).for_each(|(inverse, &d)| *inverse = T::one() / d);
        for (triangle, is_lower) in [(lower, true), (upper, false)] {
            triangle.fill(is_lower, |i, put| {
                let (columns, values) = a.row(i);
                for (&j, &v) in columns.iter().zip(values) {
                    // L D⁻¹ divides by the column's diagonal, D⁻¹ U by the row's.
                    put(j as usize, v * inverse[if is_lower { j as usize } else { i }]);
                }
            });
        }
        Ok(())
    }

    /// Changes ω; costs nothing.
    ///
    /// # Errors
    /// ω outside (0, 2).
    pub fn set_omega(&mut self, omega: f64) -> Result<()> {
        setup::check_omega(omega)?;
        self.factors.scale = T::of(omega);
        self.factors.weight = T::of(omega * (2.0 - omega));
        Ok(())
    }
}

impl<T: Real> Preconditioner<T> for Ssor<T> {
    fn len(&self) -> usize {
        self.factors.inverse.len()
    }

    fn claims(&self) -> Claims {
        self.claims
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        self.factors.solve(r, z);
    }

    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        if self.claims.spd {
            self.factors.solve(r, z);
        } else {
            self.factors.solve_transpose(r, z);
        }
        Ok(())
    }
}
