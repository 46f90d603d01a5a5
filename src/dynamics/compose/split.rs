//! [`Split`].

use super::Sum;
use crate::dynamics::{Dynamics, Part, Point, Tangent};
use crate::error::Result;
use crate::num::{Lanes, Real};

/// f + g with f integrated by explicit stages and g, the stiff part, by implicit ones, in methods that
/// know the difference ([`ode::imex`](crate::ode::imex)); the sum in all others. θ = (f's, g's). Only g's Jacobian is
/// ever needed.
///
/// ```
/// use odeon::dynamics::{Dynamics, Part, Point, compose::Split, gallery::Decay, generic::Generic};
///
/// let f = Split::new(Generic(Decay), Generic(Decay));
/// let mut scratch = Dynamics::<f64>::scratch(&f, 1);
/// let at = Point { t: 0.0, y: &[2.0], theta: &[1.0, 3.0] };
/// let mut dy = [0.0];
/// f.eval_part(Part::Implicit, at, &mut dy, &mut scratch);
/// assert_eq!(dy, [-6.0]);
/// f.eval(at, &mut dy, &mut scratch);
/// assert_eq!(dy, [-8.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split<E, I>(Sum<E, I>);

impl<E, I> Split<E, I> {
    /// `explicit` + `implicit`.
    pub fn new(explicit: E, implicit: I) -> Self {
        Self(Sum(explicit, implicit))
    }

    /// f.
    pub fn explicit(&self) -> &E {
        &self.0.0
    }

    /// g.
    pub fn implicit(&self) -> &I {
        &self.0.1
    }
}

impl<T: Real, E: Dynamics<T>, I: Dynamics<T>> Dynamics<T> for Split<E, I> {
    type Scratch = (E::Scratch, I::Scratch, Vec<T>);
    const SIMD_LANES: bool = E::SIMD_LANES && I::SIMD_LANES;
    const SPLIT: bool = true;

    fn dim(&self) -> usize {
        self.explicit().dim()
    }

    fn num_params(&self) -> usize {
        Dynamics::<T>::num_params(&self.0)
    }

    fn scratch(&self, batch: usize) -> Self::Scratch {
        self.0.scratch(batch)
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let term = self.explicit().dim() * batch * size_of::<T>();
        self.explicit().scratch_bytes(batch) + self.implicit().scratch_bytes(batch) + term
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch) {
        self.0.eval(at, dy, scratch);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        self.0.vjp(at, dy_bar, y_bar, theta_bar, scratch)
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Self::Scratch) {
        self.0.jvp(at, dot, dy_dot, scratch);
    }

    #[inline(always)]
    fn eval_part(&self, part: Part, at: Point<'_, T>, dy: &mut [T], (e, i, _): &mut Self::Scratch) {
        let (theta_e, theta_i) = at.theta.split_at(self.explicit().num_params());
        match part {
            Part::Explicit => self.explicit().eval(Point { theta: theta_e, ..at }, dy, e),
            Part::Implicit => self.implicit().eval(Point { theta: theta_i, ..at }, dy, i),
        }
    }

    fn vjp_part(
        &self,
        part: Part,
        at: Point<'_, T>,
        dy_bar: &[T],
        [y_bar, theta_bar]: [&mut [T]; 2],
        (e, i, _): &mut Self::Scratch,
    ) -> T {
        let (theta_e, theta_i) = at.theta.split_at(self.explicit().num_params());
        let (bar_e, bar_i) = theta_bar.split_at_mut(theta_e.len());
        match part {
            Part::Explicit => self.explicit().vjp(Point { theta: theta_e, ..at }, dy_bar, y_bar, bar_e, e),
            Part::Implicit => self.implicit().vjp(Point { theta: theta_i, ..at }, dy_bar, y_bar, bar_i, i),
        }
    }

    fn jvp_implicit(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        dy_dot: &mut [T],
        (_, i, _): &mut Self::Scratch,
    ) {
        let parameters = self.explicit().num_params();
        let (_, theta) = at.theta.split_at(parameters);
        let theta_dot = dot.theta.get(parameters..).unwrap_or_default();
        self.implicit().jvp(Point { theta, ..at }, Tangent { theta: theta_dot, ..dot }, dy_dot, i);
    }

    #[inline(always)]
    fn eval_lanes(&self, t: Lanes<T>, y: &[Lanes<T>], theta: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        self.0.eval_lanes(t, y, theta, dy);
    }

    fn validate(&self) -> Result<()> {
        Dynamics::<T>::validate(&self.0)
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.0.locate_non_finite(at)
    }
}
