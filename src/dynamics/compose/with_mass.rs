//! [`WithMass`]: M y' = f.

use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point, SecondOrder, Tangent};
use crate::error::Result;
use crate::linalg::Pattern;
use crate::num::{Lanes, Real};

/// f with a mass matrix: the solvers integrate M y' = f(t, y; θ). Methods that cannot say so.
///
/// ```
/// use odeon::dynamics::{Dynamics, Mass, compose::WithMass, gallery::Lorenz, generic::Generic};
///
/// let f = WithMass { inner: Generic(Lorenz), mass: Mass::Diagonal(vec![1.0, 1.0, 0.0]) };
/// assert_eq!(f.mass().map(Mass::algebraic_rows), Some(vec![2]));
/// assert!(f.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WithMass<A, T> {
    /// f.
    pub inner: A,
    /// M.
    pub mass: Mass<T>,
}

impl<T: Real, A: Dynamics<T>> Dynamics<T> for WithMass<A, T> {
    type Scratch = A::Scratch;
    const SIMD_LANES: bool = A::SIMD_LANES;
    const TAPED: bool = A::TAPED;

    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn num_params(&self) -> usize {
        self.inner.num_params()
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        self.inner.scratch(batch)
    }
    fn scratch_bytes(&self, batch: usize) -> usize {
        self.inner.scratch_bytes(batch)
    }
    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch) {
        self.inner.eval(at, dy, scratch);
    }
    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        self.inner.vjp(at, dy_bar, y_bar, theta_bar, scratch)
    }
    fn tape_len(&self, batch: usize) -> usize {
        self.inner.tape_len(batch)
    }
    fn eval_taped(&self, at: Point<'_, T>, dy: &mut [T], tape: &mut [T], scratch: &mut Self::Scratch) {
        self.inner.eval_taped(at, dy, tape, scratch);
    }
    fn vjp_taped(
        &self,
        at: Point<'_, T>,
        kept: (&[T], &[T]),
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        self.inner.vjp_taped(at, kept, dy_bar, y_bar, theta_bar, scratch)
    }
    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Self::Scratch) {
        self.inner.jvp(at, dot, dy_dot, scratch);
    }
    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        self.inner.eval_lanes(t, y, theta, dy);
    }
    fn sparsity(&self) -> Option<Pattern> {
        self.inner.sparsity()
    }
    #[inline(always)]
    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, scratch: &mut Self::Scratch) {
        self.inner.jacobian(at, j, scratch);
    }
    fn mass(&self) -> Option<&Mass<T>> {
        Some(&self.mass)
    }
    fn validate(&self) -> Result<()> {
        self.inner.validate()?;
        self.mass.check(self.inner.dim())
    }
    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.inner.locate_non_finite(at)
    }
}

/// M is constant: the products are those of f.
impl<T: Real, A: SecondOrder<T>> SecondOrder<T> for WithMass<A, T> {
    type Memory = A::Memory;

    fn memory(&self, batch: usize) -> Self::Memory {
        self.inner.memory(batch)
    }

    fn tangent_vjp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut Self::Memory,
    ) -> T {
        self.inner.tangent_vjp(at, dot, bar, y_bar, theta_bar, memory)
    }
}
