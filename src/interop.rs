//! nalgebra and faer at the boundary: saved states as their matrix views, their matrices as states.
//!
//! Inside the crate a state is a column-major `dim × batch` slice. Both libraries store columns the
//! same way, so views copy nothing.
//!
//! ```
//! use odeon::dynamics::{gallery::LotkaVolterra, generic::Generic};
//! use odeon::integrate::{Options, Problem};
//! use odeon::interop::Columns;
//! use odeon::ode::{solve, tableaux::Tsit5};
//!
//! let start = nalgebra::dmatrix![1.0, 2.0; 1.0, 0.5]; // two trajectories, one in each column
//! let problem = Problem { y0: &start.states(), span: [0.0, 5.0], theta: &LotkaVolterra::THETA };
//! let options = Options::tol(1e-6, 1e-6).save_at([2.5, 5.0]);
//! let solution = solve(&Generic(LotkaVolterra), &Tsit5, &problem, &options)?;
//! assert_eq!(solution.matrix(1)?.shape(), (2, 2)); // the state at t = 5
//! assert_eq!(solution.trajectory(0)?.column(1), solution.matrix(1)?.column(0));
//! # Ok::<(), odeon::Error>(())
//! ```

use crate::error::{Error, Result};
use crate::integrate::Solution;
use crate::num::Real;
use faer::MatRef;
use nalgebra::{DMatrixView, Dim, Dyn, Matrix, RawStorage, U1};

/// A matrix whose columns are the trajectories of a state.
pub trait Columns<T> {
    /// The entries column by column: the `dim × batch` slice that the crate works on.
    fn states(&self) -> Vec<T>;
}

impl<T, R, C, S> Columns<T> for Matrix<T, R, C, S>
where
    T: nalgebra::Scalar,
    R: Dim,
    C: Dim,
    S: RawStorage<T, R, C>,
{
    fn states(&self) -> Vec<T> {
        self.iter().cloned().collect()
    }
}

impl<T: Clone> Columns<T> for MatRef<'_, T> {
    fn states(&self) -> Vec<T> {
        let columns = self.col_iter();
        columns.flat_map(|c| c.iter().cloned()).collect()
    }
}

impl<T: Clone> Columns<T> for faer::Mat<T> {
    fn states(&self) -> Vec<T> {
        self.as_ref().states()
    }
}

impl<T: Real> Solution<T> {
    /// The `i`-th saved state as an nalgebra view, `dim × batch`.
    ///
    /// # Errors
    /// No such saved state.
    pub fn matrix(&self, i: usize) -> Result<DMatrixView<'_, T>> {
        let state = self.saved(i)?;
        Ok(DMatrixView::from_slice(state, self.dim, self.batch))
    }

    /// The `i`-th saved state as a faer view, `dim × batch`.
    ///
    /// # Errors
    /// No such saved state.
    pub fn mat_ref(&self, i: usize) -> Result<MatRef<'_, T>> {
        let state = self.saved(i)?;
        Ok(MatRef::from_column_major_slice(state, self.dim, self.batch))
    }

    /// Trajectory `j` of the batch as an nalgebra view, `dim × saved times`.
    ///
    /// # Errors
    /// No such trajectory, or nothing saved.
    pub fn trajectory(&self, j: usize) -> Result<DMatrixView<'_, T, U1, Dyn>> {
        if j >= self.batch || self.t.is_empty() {
            let needed =
                format!("the solution holds {} trajectories at {} saved times", self.batch, self.t.len());
            return Err(Error::invalid("trajectory", j, needed));
        }
        let (n, start) = (self.dim * self.batch, j * self.dim);
        Ok(DMatrixView::from_slice_with_strides_generic(
            &self.y[start..],
            Dyn(self.dim),
            Dyn(self.t.len()),
            U1,
            Dyn(n),
        ))
    }

    fn saved(&self, i: usize) -> Result<&[T]> {
        if i >= self.t.len() {
            let needed = format!("the solution holds {} saved states", self.t.len());
            return Err(Error::invalid("saved state", i, needed));
        }
        Ok(self.state(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{DMatrix, SMatrix};

    fn solution() -> Solution<f64> {
        let y = (0..18).map(f64::from).collect();
        Solution { dim: 3, batch: 2, t: vec![0.0, 1.0, 2.0], y, ..Solution::default() }
    }

    #[test]
    fn views_hold_the_saved_states() {
        let solution = solution();
        let (a, b) = (solution.matrix(1).unwrap(), solution.mat_ref(1).unwrap());
        assert_eq!(a.shape(), (3, 2));
        for i in 0..3 {
            for j in 0..2 {
                assert_eq!(a[(i, j)], (6 + 3 * j + i) as f64);
                assert_eq!(a[(i, j)], b[(i, j)]);
            }
        }
        let path = solution.trajectory(1).unwrap();
        assert_eq!(path.shape(), (3, 3));
        for k in 0..3 {
            let state = solution.matrix(k).unwrap();
            assert_eq!(path.column(k), state.column(1));
        }
    }

    #[test]
    fn matrices_of_both_libraries_become_the_same_states() {
        let want: Vec<f64> = solution().state(2).to_vec();
        let owned = DMatrix::from_column_slice(3, 2, &want);
        assert_eq!(owned.states(), want);
        assert_eq!(SMatrix::<f64, 3, 2>::from_column_slice(&want).states(), want);
        assert_eq!(owned.view((1, 0), (2, 2)).states(), [13.0, 14.0, 16.0, 17.0]);
        let padded = faer::Mat::from_fn(3, 2, |i, j| owned[(i, j)]);
        assert_eq!(padded.states(), want);
        assert_eq!(padded.as_ref().subrows(1, 2).states(), [13.0, 14.0, 16.0, 17.0]);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let solution = solution();
        let say = |e: Error| e.to_string();
        let message = solution.matrix(3).map_err(say).unwrap_err();
        assert_eq!(message, "saved state is 3, but the solution holds 3 saved states");
        assert!(solution.mat_ref(9).is_err());
        let message = solution.trajectory(2).map_err(say).unwrap_err();
        assert!(message.contains("2 trajectories at 3 saved times"), "{message}");
        assert!(Solution::<f64>::default().trajectory(0).is_err());
    }
}
