//! [`Frozen`]: some parameters become constants.

use super::with_lanes;
use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point, Tangent};
use crate::error::{Error, Result};
use crate::linalg::Pattern;
use crate::num::{Lanes, Real};

/// f with some parameters bound to constants; the remaining ones, in their order, are θ.
///
/// ```
/// use odeon::dynamics::{Dynamics, compose::Frozen, gallery::Lorenz, generic::Generic};
///
/// // Only ρ is left.
/// let f = Frozen::new(Generic(Lorenz), &[(0, 10.0), (2, 8.0 / 3.0)]);
/// assert_eq!(f.num_params(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Frozen<A, T> {
    inner: A,
    /// Index into the inner θ and value, by increasing index.
    fixed: Vec<(usize, T)>,
}

/// Memory of [`Frozen`].
#[derive(Debug)]
pub struct Scratch<S, T> {
    inner: S,
    theta: Vec<T>,
    theta_bar: Vec<T>,
}

impl<A, T: Real> Frozen<A, T> {
    /// Binds `theta[index] = value` for each pair. Indices out of range or given twice are found by
    /// [`validate`](Dynamics::validate).
    pub fn new(inner: A, fixed: &[(usize, T)]) -> Self {
        let mut fixed = fixed.to_vec();
        fixed.sort_by_key(|&(index, _)| index);
        Self { inner, fixed }
    }

    /// The inner right-hand side.
    pub fn inner(&self) -> &A {
        &self.inner
    }

    /// Writes the whole θ from the free part.
    #[inline(always)]
    fn fill<S: Copy>(&self, free: &[S], all: &mut [S], constant: impl Fn(T) -> S) {
        let (mut from, mut to) = (0, 0);
        for &(index, value) in &self.fixed {
            let n = index - to;
            all[to..index].copy_from_slice(&free[from..from + n]);
            all[index] = constant(value);
            (from, to) = (from + n, index + 1);
        }
        all[to..].copy_from_slice(&free[from..]);
    }

    /// Reads the free part from the whole.
    fn pick(&self, all: &[T], free: &mut [T]) {
        let (mut from, mut to) = (0, 0);
        for &(index, _) in &self.fixed {
            let n = index - from;
            free[to..to + n].copy_from_slice(&all[from..index]);
            (from, to) = (index + 1, to + n);
        }
        free[to..].copy_from_slice(&all[from..]);
    }
}

impl<T: Real, A: Dynamics<T>> Dynamics<T> for Frozen<A, T> {
    type Scratch = Scratch<A::Scratch, T>;
    const SIMD_LANES: bool = A::SIMD_LANES;

    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn num_params(&self) -> usize {
        self.inner.num_params().saturating_sub(self.fixed.len())
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        let zeros = vec![T::of(0.0); self.inner.num_params()];
        Scratch { inner: self.inner.scratch(batch), theta: zeros.clone(), theta_bar: zeros }
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch) {
        self.fill(at.theta, &mut scratch.theta, |v| v);
        let theta = &scratch.theta;
        self.inner.eval(Point { theta, ..at }, dy, &mut scratch.inner);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        let Scratch { inner, theta, theta_bar: all_bar } = scratch;
        self.fill(at.theta, theta, |v| v);
        self.fill(theta_bar, all_bar, |_| T::of(0.0));
        let t_bar = self.inner.vjp(Point { theta, ..at }, dy_bar, y_bar, all_bar, inner);
        self.pick(all_bar, theta_bar);
        t_bar
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Self::Scratch) {
        let Scratch { inner, theta, theta_bar: all_dot } = scratch;
        self.fill(at.theta, theta, |v| v);
        let along: &[T] = if dot.theta.is_empty() {
            &[]
        } else {
            self.fill(dot.theta, all_dot, |_| T::of(0.0));
            all_dot
        };
        self.inner.jvp(Point { theta, ..at }, Tangent { theta: along, ..dot }, dy_dot, inner);
    }

    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        with_lanes(self.inner.num_params(), |all| {
            self.fill(theta, all, Lanes::splat);
            self.inner.eval_lanes(t, y, all, dy);
        });
    }

    fn sparsity(&self) -> Option<Pattern> {
        self.inner.sparsity()
    }

    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, scratch: &mut Self::Scratch) {
        let Scratch { inner, theta, .. } = scratch;
        self.fill(at.theta, theta, |v| v);
        self.inner.jacobian(Point { theta, ..at }, j, inner);
    }

    fn mass(&self) -> Option<&Mass<T>> {
        self.inner.mass()
    }

    fn validate(&self) -> Result<()> {
        self.inner.validate()?;
        let n = self.inner.num_params();
        if let Some((index, _)) = self.fixed.iter().find(|(index, _)| *index >= n) {
            let needed = format!("the inner right-hand side has {n} parameters");
            return Err(Error::invalid("index of a frozen parameter", index, needed));
        }
        if let Some(pair) = self.fixed.windows(2).find(|w| w[0].0 == w[1].0) {
            let needed = "it is given twice";
            return Err(Error::invalid("index of a frozen parameter", pair[0].0, needed));
        }
        let values: Vec<T> = self.fixed.iter().map(|&(_, v)| v).collect();
        Error::check_finite("frozen parameters", &values)
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let mut theta = vec![T::of(0.0); self.inner.num_params()];
        self.fill(at.theta, &mut theta, |v| v);
        self.inner.locate_non_finite(Point { theta: &theta, ..at })
    }
}
