//! The derivative k with M k = f, where a step starts from a state alone.
//!
//! Where M is singular (rows and columns of zeros) the derivatives of the algebraic variables are set to
//! 0. The steps do not depend on them: y⁺, the error estimates and the dense outputs of the implicit
//! methods annihilate exactly the stages' dependence on k_0 of components without a derivative (the
//! condition w·v = 0 of [`sdirk`](crate::ode::sdirk)).

use crate::dynamics::{Dynamics, Mass};
use crate::error::Result;
use crate::linalg::{Budget, DenseLu};
use crate::num::Real;

/// M⁻¹ on the equations that have a derivative.
#[derive(Clone, Debug)]
pub(crate) struct Slope<T> {
    /// M where it is not diagonal, with a 1 for each algebraic equation and variable.
    factors: Option<DenseLu<T>>,
    /// Algebraic equations.
    rows: Vec<usize>,
}

impl<T: Real> Slope<T> {
    /// For the mass matrix of `dynamics`.
    ///
    /// # Errors
    /// A matrix that is singular on the equations that have a derivative, or too large.
    pub fn of<D: Dynamics<T>>(dynamics: &D, budget: Budget) -> Result<Self> {
        let Some(Mass::Sparse(m)) = dynamics.mass() else {
            let rows = dynamics.mass().map(Mass::algebraic_rows).unwrap_or_default();
            return Ok(Self { factors: None, rows });
        };
        let n = dynamics.dim();
        let rows = Mass::Sparse(m.clone()).algebraic_rows();
        let columns = Mass::Sparse(m.transpose()).algebraic_rows();
        let mut factors = DenseLu::within(n, budget)?;
        let mut dense = vec![T::zero(); n * n];
        for i in 0..n {
            let (places, values) = m.row(i);
            for (&j, &v) in places.iter().zip(values) {
                dense[j as usize * n + i] = v;
            }
        }
        for (&i, &j) in rows.iter().zip(&columns) {
            dense[j * n + i] = T::one();
        }
        factors.factor(&dense)?;
        Ok(Self { factors: Some(factors), rows })
    }

    /// `x` ← k with M k = `x`, for every column.
    pub fn solve<D: Dynamics<T>>(&self, dynamics: &D, x: &mut [T]) {
        let Some(mass) = dynamics.mass() else {
            return;
        };
        for x in x.chunks_exact_mut(dynamics.dim()) {
            self.rows.iter().for_each(|&i| x[i] = T::zero());
            match (mass, &self.factors) {
                (Mass::Diagonal(d), _) => divide(x, d),
                (_, Some(factors)) => factors.solve(x),
                (_, None) => {}
            }
        }
    }

    /// The reverse: `x` from the cotangent of k to that of the right-hand side.
    pub fn solve_transpose<D: Dynamics<T>>(&self, dynamics: &D, x: &mut [T]) {
        let Some(mass) = dynamics.mass() else {
            return;
        };
        for x in x.chunks_exact_mut(dynamics.dim()) {
            match (mass, &self.factors) {
                (Mass::Diagonal(d), _) => divide(x, d),
                (_, Some(factors)) => factors.solve_transpose(x),
                (_, None) => {}
            }
            self.rows.iter().for_each(|&i| x[i] = T::zero());
        }
    }
}

fn divide<T: Real>(x: &mut [T], d: &[T]) {
    for (x, d) in x.iter_mut().zip(d) {
        if *d != T::zero() {
            *x /= *d;
        }
    }
}
