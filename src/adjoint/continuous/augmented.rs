//! [`Augmented`]: the adjoint equation as a right-hand side, so that any explicit method takes it back.

use super::trajectory::Segment;
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::Result;
use crate::num::Real;

/// What a way back integrates: z = (y, λ, Θ), (λ, Θ) or λ, with
///
/// y' = f,  λ' = −(∂f/∂y)ᵀλ,  Θ' = (∂f/∂θ)ᵀλ,
///
/// all columns of the batch and all parameters in one column. Θ, 0 at the end, is −θ̄ at the start. Where y is not
/// integrated it is read off the way there. There are no derivatives of this right-hand side (they would need second
/// ones of f): its products are NaN, and methods that need them are refused.
pub struct Augmented<'a, T: Real, D: Dynamics<T>> {
    pub(super) dynamics: &'a D,
    pub(super) batch: usize,
    /// Numbers of a state.
    pub(super) n: usize,
    /// Whether y and Θ are integrated.
    pub(super) with: [bool; 2],
    /// Dense output of the way there, where y is not.
    pub(super) there: Segment<T>,
}

/// Memory of [`Augmented`].
pub struct AugmentedScratch<T, S> {
    pub(super) inner: S,
    tape: Vec<T>,
    pub(super) y: Vec<T>,
    theta_bar: Vec<T>,
    hint: usize,
    weights: Vec<f64>,
}

impl<T: Real, D: Dynamics<T>> Augmented<'_, T, D> {
    fn len(&self) -> usize {
        let [y, theta] = self.with.map(usize::from);
        (1 + y) * self.n + theta * self.dynamics.num_params()
    }

    /// y(t) of the way there, into the scratch.
    pub(super) fn read(&self, t: T, scratch: &mut AugmentedScratch<T, D::Scratch>) {
        let AugmentedScratch { y, hint, weights, .. } = scratch;
        self.there.state(t, hint, weights, y);
    }
}

impl<T: Real, D: Dynamics<T>> Dynamics<T> for Augmented<'_, T, D> {
    type Scratch = AugmentedScratch<T, D::Scratch>;

    fn dim(&self) -> usize {
        self.len()
    }

    fn num_params(&self) -> usize {
        self.dynamics.num_params()
    }

    fn scratch(&self, _: usize) -> Self::Scratch {
        let zeros = |n: usize, wanted: bool| vec![T::zero(); if wanted { n } else { 0 }];
        let [state, theta] = self.with;
        AugmentedScratch {
            inner: self.dynamics.scratch(self.batch),
            tape: zeros(self.dynamics.tape_len(self.batch), state && D::TAPED),
            y: zeros(self.n, !state),
            theta_bar: zeros(self.dynamics.num_params(), !theta),
            hint: usize::MAX,
            weights: Vec::new(),
        }
    }

    fn scratch_bytes(&self, _: usize) -> usize {
        self.dynamics.scratch_bytes(self.batch)
    }

    fn eval(&self, at: Point<'_, T>, dz: &mut [T], scratch: &mut Self::Scratch) {
        let n = self.n;
        let (t, theta) = (at.t, at.theta);
        if !self.with[0] {
            self.read(t, scratch);
        }
        let AugmentedScratch { inner, tape, y, theta_bar, .. } = scratch;
        let slope = match self.with[0] {
            true => {
                let (dy, rest) = dz.split_at_mut(n);
                let (slope, share) = rest.split_at_mut(n);
                slope.fill(T::zero());
                share.fill(T::zero());
                let (y, lambda) = at.y.split_at(n);
                let value = (dy, &mut tape[..]);
                self.dynamics.eval_vjp(
                    Point { t, y, theta },
                    value,
                    &lambda[..n],
                    [&mut *slope, share],
                    inner,
                );
                slope
            }
            false => {
                let (slope, share) = dz.split_at_mut(n);
                let share = if self.with[1] { share } else { &mut theta_bar[..] };
                slope.fill(T::zero());
                share.fill(T::zero());
                self.dynamics.vjp(Point { t, y, theta }, &at.y[..n], slope, share, inner);
                slope
            }
        };
        for s in slope {
            *s = -*s;
        }
    }

    /// NaN: see the type.
    fn vjp(
        &self,
        _: Point<'_, T>,
        _: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        _: &mut Self::Scratch,
    ) -> T {
        y_bar.fill(T::NAN);
        theta_bar.fill(T::NAN);
        T::NAN
    }

    /// NaN: see the type.
    fn jvp(&self, _: Point<'_, T>, _: Tangent<'_, T>, dy_dot: &mut [T], _: &mut Self::Scratch) {
        dy_dot.fill(T::NAN);
    }

    fn validate(&self) -> Result<()> {
        self.dynamics.validate()
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let mut y = vec![T::zero(); self.n];
        match self.with[0] {
            true => y.copy_from_slice(&at.y[..self.n]),
            false => self.there.state(at.t, &mut 0, &mut Vec::new(), &mut y),
        }
        let part = self.dynamics.locate_non_finite(Point { y: &y, ..at });
        Some(part.map_or_else(|| "the adjoint equation".into(), |p| format!("the adjoint equation: {p}")))
    }
}
