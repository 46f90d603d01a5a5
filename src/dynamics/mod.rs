//! Right-hand sides y' = f(t, y; θ) and their derivatives.
//!
//! A state is a column-major `dim × batch` slice; θ is one flat vector shared by the batch.
//! [`Dynamics`] is what every integrator, adjoint and regulariser sees. Three ways to make one: a
//! network (`model`), a type with one method generic over the scalar ([`generic`]), or
//! hand-written derivatives (implement the trait). They compose ([`compose`]), and
//! [`check::check_gradient`] checks any of them.
//!
//! Hand-written derivatives, here of y' = θy·cos t:
//!
//! ```
//! use odeon::dynamics::{Dynamics, Point, Tangent, check::{CheckOptions, check_gradient}};
//!
//! struct Growth;
//! impl Dynamics<f64> for Growth {
//!     type Scratch = ();
//!     fn dim(&self) -> usize { 1 }
//!     fn num_params(&self) -> usize { 1 }
//!     fn scratch(&self, _batch: usize) {}
//!     fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], _: &mut ()) {
//!         for (dy, y) in dy.iter_mut().zip(at.y) {
//!             *dy = at.theta[0] * y * at.t.cos();
//!         }
//!     }
//!     fn vjp(&self, at: Point<'_, f64>, dy_bar: &[f64], y_bar: &mut [f64], theta_bar: &mut [f64], _: &mut ()) -> f64 {
//!         let (sin, cos) = at.t.sin_cos();
//!         let mut t_bar = 0.0;
//!         for ((bar, y), y_bar) in dy_bar.iter().zip(at.y).zip(y_bar) {
//!             *y_bar += at.theta[0] * cos * bar;
//!             theta_bar[0] += y * cos * bar;
//!             t_bar -= at.theta[0] * y * sin * bar;
//!         }
//!         t_bar
//!     }
//!     fn jvp(&self, at: Point<'_, f64>, dot: Tangent<'_, f64>, dy_dot: &mut [f64], _: &mut ()) {
//!         let (sin, cos) = at.t.sin_cos();
//!         let theta_dot = dot.theta.first().copied().unwrap_or(0.0);
//!         for ((out, y), y_dot) in dy_dot.iter_mut().zip(at.y).zip(dot.y) {
//!             *out = (at.theta[0] * y_dot + theta_dot * y) * cos - at.theta[0] * y * sin * dot.t;
//!         }
//!     }
//! }
//!
//! let report = check_gradient(&Growth, 0.3, &[1.0, 2.0], &[0.7], &CheckOptions::default())?;
//! assert!(report.passed(), "{report}");
//! # Ok::<(), odeon::Error>(())
//! ```

pub mod check;
pub mod compose;
pub mod dual;
pub mod duals;
pub mod gallery;
pub mod generic;
pub mod jacobian;
mod mass;
pub mod pde;
mod second_order;
mod series;
pub mod sparsity;
pub mod tape;

pub use mass::Mass;
pub use second_order::{SecondOrder, SecondOrderMemory};
pub use series::{GenericSeries, SolutionSeries};

use crate::error::{Error, Result};
use crate::linalg::Pattern;
use crate::num::{Lanes, Real};
pub use jacobian::Jacobian;

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

/// A part of a right-hand side f = f_explicit + f_implicit, for implicit–explicit methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What explicit stages integrate.
    Explicit,
    /// What implicit stages integrate: the stiff part.
    Implicit,
}

/// A right-hand side y' = f(t, y; θ) on `dim × batch` column-major slices, with its products.
///
/// Columns are independent: column j of `f` depends on column j of `y` only. Lengths are checked by
/// the callers at the boundary (the solver), not in these methods.
pub trait Dynamics<T: Real>: Sync {
    /// Memory that evaluations reuse; made once per solve by [`scratch`](Dynamics::scratch), so that
    /// evaluations allocate nothing.
    type Scratch: Send;

    /// Whether [`eval_lanes`](Dynamics::eval_lanes) is implemented, so that ensembles run sixteen
    /// trajectories in SIMD lanes.
    const SIMD_LANES: bool = false;

    /// Whether [`eval_taped`](Dynamics::eval_taped) keeps values that spare
    /// [`vjp_taped`](Dynamics::vjp_taped) the evaluation, so that discrete adjoints ask for them.
    const TAPED: bool = false;

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

    /// Numbers that [`eval_taped`](Dynamics::eval_taped) keeps for a state of `batch` columns.
    fn tape_len(&self, batch: usize) -> usize {
        let _ = batch;
        0
    }

    /// [`eval`](Dynamics::eval), the same bits, that also writes `tape` (of
    /// [`tape_len`](Dynamics::tape_len) numbers).
    fn eval_taped(&self, at: Point<'_, T>, dy: &mut [T], tape: &mut [T], scratch: &mut Self::Scratch) {
        let _ = tape;
        self.eval(at, dy, scratch);
    }

    /// [`vjp`](Dynamics::vjp), the same bits, where `(dy, tape)` is what
    /// [`eval_taped`](Dynamics::eval_taped) gave at this point.
    fn vjp_taped(
        &self,
        at: Point<'_, T>,
        (dy, tape): (&[T], &[T]),
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        let _ = (dy, tape);
        self.vjp(at, dy_bar, y_bar, theta_bar, scratch)
    }

    /// f and its product at one point in one call: `dy` ← f(t, y; θ) and [`vjp`](Dynamics::vjp) with the
    /// cotangent `dy_bar`, which ACCUMULATES into \[`y_bar`, `theta_bar`\]; returns (∂f/∂t)ᵀ `dy_bar`. `tape` is
    /// free memory of [`tape_len`](Dynamics::tape_len) numbers.
    fn eval_vjp(
        &self,
        at: Point<'_, T>,
        (dy, tape): (&mut [T], &mut [T]),
        dy_bar: &[T],
        [y_bar, theta_bar]: [&mut [T]; 2],
        scratch: &mut Self::Scratch,
    ) -> T {
        self.eval_taped(at, dy, tape, scratch);
        self.vjp_taped(at, (dy, tape), dy_bar, y_bar, theta_bar, scratch)
    }

    /// `dy_dot` ← (∂f/∂t) ṫ + (∂f/∂y) ẏ + (∂f/∂θ) θ̇.
    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Self::Scratch);

    /// [`jvp`](Dynamics::jvp)s along several directions (ẏ, θ̇) at once, t held: `y_dots` and `dy_dots` hold a
    /// state for each, `theta_dots` a parameter vector for each, or nothing for none.
    fn jvps(
        &self,
        at: Point<'_, T>,
        [y_dots, theta_dots]: [&[T]; 2],
        dy_dots: &mut [T],
        scratch: &mut Self::Scratch,
    ) {
        let (n, p) = (at.y.len(), if theta_dots.is_empty() { 0 } else { at.theta.len() });
        for (j, (y, dy_dot)) in y_dots.chunks_exact(n).zip(dy_dots.chunks_exact_mut(n)).enumerate() {
            let theta = &theta_dots[j * p..(j + 1) * p];
            self.jvp(at, Tangent { t: T::of(0.0), y, theta }, dy_dot, scratch);
        }
    }

    /// A pattern (`dim × dim`) that contains that of ∂f/∂y for every t, y and θ; `None` where unknown,
    /// which is treated as dense.
    fn sparsity(&self) -> Option<Pattern> {
        None
    }

    /// Fills `j` with ∂f/∂y (and ∂f/∂t where `j` has memory for it) at a state of ONE column. By
    /// default by one [`jvp`](Dynamics::jvp) a column or colour; allocates nothing.
    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, scratch: &mut Self::Scratch) {
        j.by_products(self, at, scratch);
    }

    /// M of M y' = f(t, y; θ); `None` for the identity. Made by [`compose::WithMass`].
    fn mass(&self) -> Option<&Mass<T>> {
        None
    }

    /// f for sixteen trajectories at once, each with its own time, state (`dim` lanes) and parameters.
    /// Called only when [`SIMD_LANES`](Dynamics::SIMD_LANES) is set; every lane must have the bits
    /// that [`eval`](Dynamics::eval) gives for it alone.
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        let _ = (t, y, theta, dy);
        unimplemented_lanes()
    }

    /// Whether f is a sum of an explicit and an implicit part ([`compose::Split`]); without it f is all
    /// implicit.
    const SPLIT: bool = false;

    /// `dy` ← the part of f(t, y; θ).
    fn eval_part(&self, part: Part, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch) {
        match part {
            Part::Explicit => dy.fill(T::of(0.0)),
            Part::Implicit => self.eval(at, dy, scratch),
        }
    }

    /// [`vjp`](Dynamics::vjp) of the part of f. ACCUMULATES.
    fn vjp_part(
        &self,
        part: Part,
        at: Point<'_, T>,
        dy_bar: &[T],
        [y_bar, theta_bar]: [&mut [T]; 2],
        scratch: &mut Self::Scratch,
    ) -> T {
        match part {
            Part::Explicit => T::of(0.0),
            Part::Implicit => self.vjp(at, dy_bar, y_bar, theta_bar, scratch),
        }
    }

    /// [`jvp`](Dynamics::jvp) of the implicit part of f.
    fn jvp_implicit(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        dy_dot: &mut [T],
        scratch: &mut Self::Scratch,
    ) {
        self.jvp(at, dot, dy_dot, scratch);
    }

    /// Checks what the dynamics was built from (say, that the terms of a sum have the same rows).
    /// Called by [`check_shapes`] before anything else.
    ///
    /// # Errors
    /// What does not fit.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Names the part (say a network layer and unit) whose output first goes non-finite at `at`,
    /// for error messages.
    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let _ = at;
        None
    }
}

/// Checks a state and parameters against `dynamics`, for the boundary of a solve; returns the number
/// of columns.
///
/// # Errors
/// A dynamics that does not fit together or has no rows; a state that is empty or not a whole number
/// of columns; θ of the wrong length; a NaN or infinity in either.
pub fn check_shapes<T: Real, D: Dynamics<T> + ?Sized>(dynamics: &D, y: &[T], theta: &[T]) -> Result<usize> {
    dynamics.validate()?;
    let dim = dynamics.dim();
    if dim == 0 {
        let needed = "a right-hand side needs at least one row";
        return Err(Error::invalid("dim of the dynamics", dim, needed));
    }
    if y.is_empty() || !y.len().is_multiple_of(dim) {
        return Err(Error::Length {
            what: "y",
            given: y.len(),
            needed: format!("a positive multiple of {dim} (dim × batch, column-major)"),
        });
    }
    let why = "the number of parameters of the dynamics";
    Error::check_len("theta", theta.len(), dynamics.num_params(), why)?;
    Error::check_finite("y", y)?;
    Error::check_finite("theta", theta)?;
    Ok(y.len() / dim)
}

#[cold]
fn unimplemented_lanes() {
    debug_assert!(false, "SIMD_LANES is set but eval_lanes is not implemented");
}

#[cfg(test)]
mod tests {
    use super::generic::Generic;
    use super::*;

    #[test]
    fn shapes_are_checked_with_specific_errors() {
        let f = Generic(gallery::Lorenz);
        let say = |y: &[f64], theta: &[f64]| check_shapes(&f, y, theta).map_err(|e| e.to_string());
        assert_eq!(say(&[1.0; 6], &[1.0; 3]), Ok(2));
        let fails = |y: &[f64], theta: &[f64], part: &str| {
            let message = say(y, theta).unwrap_err();
            assert!(message.contains(part), "{message}");
        };
        fails(&[], &[1.0; 3], "y has length 0, but a positive multiple of 3");
        fails(&[1.0; 4], &[1.0; 3], "y has length 4");
        fails(&[1.0; 3], &[1.0; 2], "theta has length 2, but 3 (the number");
        fails(&[1.0, f64::NAN, 1.0], &[1.0; 3], "y[1] is NaN");
        fails(&[1.0; 3], &[1.0, 1.0, f64::INFINITY], "theta[2] is inf");
    }
}
