//! [`Sum`] and [`Scaled`].

use super::{no_mass, with_lanes};
use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point, Tangent};
use crate::error::{Error, Result};
use crate::linalg::Pattern;
use crate::num::{Lanes, Real};

/// f + g, each with its own parameters: θ = (f's, g's).
///
/// ```
/// use odeon::dynamics::{Dynamics, Point, compose::Sum, gallery::{Decay, Swirl}, generic::Generic};
///
/// let f = Sum(Generic(Decay), Generic(Decay));
/// let mut scratch = Dynamics::<f64>::scratch(&f, 1);
/// let mut dy = [0.0];
/// f.eval(Point { t: 0.0, y: &[2.0], theta: &[1.0, 3.0] }, &mut dy, &mut scratch);
/// assert_eq!(dy, [-8.0]);
/// assert!(Dynamics::<f64>::validate(&Sum(Generic(Decay), Generic(Swirl))).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum<A, B>(pub A, pub B);

impl<T: Real, A: Dynamics<T>, B: Dynamics<T>> Dynamics<T> for Sum<A, B> {
    type Scratch = (A::Scratch, B::Scratch, Vec<T>);
    const SIMD_LANES: bool = A::SIMD_LANES && B::SIMD_LANES;

    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn num_params(&self) -> usize {
        self.0.num_params() + self.1.num_params()
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        let term = vec![T::of(0.0); self.0.dim() * batch];
        (self.0.scratch(batch), self.1.scratch(batch), term)
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], (a, b, term): &mut Self::Scratch) {
        let (theta_a, theta_b) = at.theta.split_at(self.0.num_params());
        let term = &mut term[..dy.len()];
        self.0.eval(Point { theta: theta_a, ..at }, dy, a);
        self.1.eval(Point { theta: theta_b, ..at }, term, b);
        for (dy, &g) in dy.iter_mut().zip(term.iter()) {
            *dy += g;
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        (a, b, _): &mut Self::Scratch,
    ) -> T {
        let (theta_a, theta_b) = at.theta.split_at(self.0.num_params());
        let (bar_a, bar_b) = theta_bar.split_at_mut(self.0.num_params());
        let t_a = self.0.vjp(Point { theta: theta_a, ..at }, dy_bar, y_bar, bar_a, a);
        t_a + self.1.vjp(Point { theta: theta_b, ..at }, dy_bar, y_bar, bar_b, b)
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], (a, b, term): &mut Self::Scratch) {
        let (theta_a, theta_b) = at.theta.split_at(self.0.num_params());
        let (dot_a, dot_b) = if dot.theta.is_empty() {
            (dot.theta, dot.theta)
        } else {
            dot.theta.split_at(self.0.num_params())
        };
        let term = &mut term[..dy_dot.len()];
        self.0.jvp(Point { theta: theta_a, ..at }, Tangent { theta: dot_a, ..dot }, dy_dot, a);
        self.1.jvp(Point { theta: theta_b, ..at }, Tangent { theta: dot_b, ..dot }, term, b);
        for (out, &g) in dy_dot.iter_mut().zip(term.iter()) {
            *out += g;
        }
    }

    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        let (theta_a, theta_b) = theta.split_at(self.0.num_params());
        self.0.eval_lanes(t, y, theta_a, dy);
        with_lanes(dy.len(), |term| {
            self.1.eval_lanes(t, y, theta_b, term);
            for (dy, &g) in dy.iter_mut().zip(term.iter()) {
                *dy += g;
            }
        });
    }

    fn sparsity(&self) -> Option<Pattern> {
        self.0.sparsity()?.union(&self.1.sparsity()?).ok()
    }

    fn validate(&self) -> Result<()> {
        self.0.validate()?;
        self.1.validate()?;
        no_mass(&self.0, "the first term of a Sum")?;
        no_mass(&self.1, "the second term of a Sum")?;
        if self.0.dim() == self.1.dim() {
            return Ok(());
        }
        let needed = format!("it must be {}, like the first (use Embed to act on some rows)", self.0.dim());
        Err(Error::invalid("dim of the second term of a Sum", self.1.dim(), needed))
    }

    /// Asks the first term, then the second.
    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let (theta_a, theta_b) = at.theta.split_at_checked(self.0.num_params())?;
        let first = self.0.locate_non_finite(Point { theta: theta_a, ..at });
        first.map(|part| format!("first term, {part}")).or_else(|| {
            let second = self.1.locate_non_finite(Point { theta: theta_b, ..at });
            second.map(|part| format!("second term, {part}"))
        })
    }
}

/// c·f with a constant factor c.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled<A> {
    /// f.
    pub inner: A,
    /// c, rounded to the scalar in use.
    pub factor: f64,
}

impl<T: Real, A: Dynamics<T>> Dynamics<T> for Scaled<A> {
    type Scratch = (A::Scratch, Vec<T>);
    const SIMD_LANES: bool = A::SIMD_LANES;

    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn num_params(&self) -> usize {
        self.inner.num_params()
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        (self.inner.scratch(batch), vec![T::of(0.0); self.inner.dim() * batch])
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], (inner, _): &mut Self::Scratch) {
        self.inner.eval(at, dy, inner);
        let factor = T::of(self.factor);
        dy.iter_mut().for_each(|v| *v *= factor);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        (inner, scaled): &mut Self::Scratch,
    ) -> T {
        let (scaled, factor) = (&mut scaled[..dy_bar.len()], T::of(self.factor));
        for (s, &bar) in scaled.iter_mut().zip(dy_bar) {
            *s = factor * bar;
        }
        self.inner.vjp(at, scaled, y_bar, theta_bar, inner)
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], (inner, _): &mut Self::Scratch) {
        self.inner.jvp(at, dot, dy_dot, inner);
        let factor = T::of(self.factor);
        dy_dot.iter_mut().for_each(|v| *v *= factor);
    }

    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        self.inner.eval_lanes(t, y, theta, dy);
        let factor = Lanes::splat(T::of(self.factor));
        dy.iter_mut().for_each(|v| *v *= factor);
    }

    fn sparsity(&self) -> Option<Pattern> {
        self.inner.sparsity()
    }

    #[inline(always)]
    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, (inner, _): &mut Self::Scratch) {
        self.inner.jacobian(at, j, inner);
        let factor = T::of(self.factor);
        j.values_mut().iter_mut().for_each(|v| *v *= factor);
        j.time_mut().into_iter().flatten().for_each(|v| *v *= factor);
    }

    fn mass(&self) -> Option<&Mass<T>> {
        self.inner.mass()
    }

    fn validate(&self) -> Result<()> {
        Error::check_finite("factor of a Scaled", &[self.factor])?;
        self.inner.validate()
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.inner.locate_non_finite(at)
    }
}
