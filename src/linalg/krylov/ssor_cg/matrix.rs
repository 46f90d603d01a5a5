//! [`Matrix`]: what SSOR needs the entries of.

use crate::error::Result;
use crate::linalg::grid::StencilOperator;
use crate::linalg::{Csr, LinearOperator};
use crate::num::Real;

/// A sparse matrix, or a stencil on a grid that stands for one. A constant symmetric 5-point stencil between
/// Dirichlet sides, values beyond them 0, is swept without a matrix; others are assembled where entries are needed.
#[allow(clippy::large_enum_variant)] // One in a solver: a box would only allocate.
#[derive(Clone, Debug, PartialEq)]
pub enum Matrix<T> {
    /// By rows.
    Csr(Csr<T>),
    /// By stencils.
    Stencil(StencilOperator<T>),
}

impl<T> From<Csr<T>> for Matrix<T> {
    fn from(a: Csr<T>) -> Self {
        Self::Csr(a)
    }
}

impl<T> From<StencilOperator<T>> for Matrix<T> {
    fn from(a: StencilOperator<T>) -> Self {
        Self::Stencil(a)
    }
}

impl<T: Real> Matrix<T> {
    /// The number of rows of a square one.
    ///
    /// # Errors
    /// A matrix that is not square, or is empty.
    pub fn square(&self) -> Result<usize> {
        match self {
            Self::Csr(a) => a.square(),
            Self::Stencil(a) => Ok(a.rows()),
        }
    }

    fn operator(&self) -> &dyn LinearOperator<T> {
        match self {
            Self::Csr(a) => a,
            Self::Stencil(a) => a,
        }
    }
}

impl<T: Real> LinearOperator<T> for Matrix<T> {
    fn rows(&self) -> usize {
        self.operator().rows()
    }
    fn cols(&self) -> usize {
        self.operator().cols()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        self.operator().apply(x, y);
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        self.operator().apply_transpose(y, x);
    }
    fn residual(&self, b: &[T], x: &[T], r: &mut [T]) {
        self.operator().residual(b, x, r);
    }
    fn apply_dot(&self, x: &[T], y: &mut [T]) -> f64 {
        self.operator().apply_dot(x, y)
    }
    fn apply_add(&self, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.operator().apply_add(x, y, scratch);
    }
    fn diagonal(&self) -> Option<Vec<T>> {
        self.operator().diagonal()
    }
}
