//! Right-hand sides y' = f(t, y; θ) and their derivatives.
//!
//! A state is a column-major `dim × batch` slice; θ is one flat vector shared by the batch.
//! [`Dynamics`] is what every integrator, adjoint and regulariser sees. Three ways to make one: a
//! network (`model`), a type with one method generic over the scalar (`generic`), or
//! hand-written derivatives (implement the trait). They compose (`compose`).

use crate::num::{Lanes, Real};

/// Where a right-hand side is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a, T> {
    /// Time.
    pub t: T,
    /// State, column-major `dim × batch`.
    pub y: &'a [T],
    /// Parameters.
    pub theta: &'a [T],
}

/// A direction in (t, y, θ) for a Jacobian–vector product. An empty `theta` means zero.
#[derive(Clone, Copy, Debug)]
pub struct Tangent<'a, T> {
    /// Component along t.
    pub t: T,
    /// Component along y, the state's shape.
    pub y: &'a [T],
    /// Component along θ, or empty for none.
    pub theta: &'a [T],
}

/// A right-hand side y' = f(t, y; θ) on `dim × batch` column-major slices, with its products.
///
/// Columns are independent: column j of `f` depends on column j of `y` only. Lengths are checked by
/// the callers at the boundary (the solver), not in these methods.
pub trait Dynamics<T: Real>: Sync {
    /// Memory that evaluations reuse; made once per solve by [`scratch`](Dynamics::scratch), so that
    /// evaluations allocate nothing.
    type Scratch: Send;

    /// Whether [`eval_lanes`](Dynamics::eval_lanes) is implemented, so that ensembles run eight
    /// trajectories in SIMD lanes.
    const SIMD_LANES: bool = false;

    /// Rows of the state.
    fn dim(&self) -> usize;

    /// Length of θ.
    fn num_params(&self) -> usize;

    /// Scratch for states of `batch` columns (smaller batches may use it too).
    fn scratch(&self, batch: usize) -> Self::Scratch;

    /// Bytes that [`scratch`](Dynamics::scratch) takes for `batch` columns, for memory budgets.
    fn scratch_bytes(&self, batch: usize) -> usize {
        let _ = batch;
        0
    }

    /// `dy` ← f(t, y; θ).
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch);

    /// ACCUMULATES the vector–Jacobian product: `y_bar` += (∂f/∂y)ᵀ `dy_bar`,
    /// `theta_bar` += (∂f/∂θ)ᵀ `dy_bar` (summed over the batch); returns (∂f/∂t)ᵀ `dy_bar`.
    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T;

    /// `dy_dot` ← (∂f/∂t) ṫ + (∂f/∂y) ẏ + (∂f/∂θ) θ̇.
    fn jvp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        dy_dot: &mut [T],
        scratch: &mut Self::Scratch,
    );

    /// f for eight trajectories at once, each with its own time, state (`dim` lanes) and parameters.
    /// Called only when [`SIMD_LANES`](Dynamics::SIMD_LANES) is set; every lane must have the bits
    /// that [`eval`](Dynamics::eval) gives for it alone.
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        let _ = (t, y, theta, dy);
        unimplemented_lanes()
    }

    /// Names the part (say a network layer and unit) whose output first goes non-finite at `at`,
    /// for error messages.
    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let _ = at;
        None
    }
}

#[cold]
fn unimplemented_lanes() {
    debug_assert!(false, "SIMD_LANES is set but eval_lanes is not implemented");
}
