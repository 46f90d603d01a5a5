//! [`Reversible`]: a method whose steps can be taken back algebraically.

use super::solution::StepInfo;
use super::step::{Backward, Reverse};
use crate::num::Real;

/// A method whose step is a bijection of its state, with an explicit inverse: what gradients need no
/// record of the solve for.
///
/// The state is the solution followed by what the method carries beside it ([`visible`](Self::visible)). There are two
/// ways back over the steps, from the last to the first: [`invert`](Self::invert) after
/// [`begin`](super::Stepper::begin) at the end, and [`retrace`](Self::retrace) between [`turn`](Self::turn) and
/// [`settle`](Self::settle).
pub trait Reversible<T: Real>: Reverse<T> {
    /// The leading numbers of the state that are the solution.
    fn visible(&self) -> usize;

    /// Forgets the last way back.
    fn turn(&mut self);

    /// `y0` ← the state from which `step` led to `y1`; makes it the step in hand, so that
    /// [`pullback`](Reverse::pullback) can follow.
    fn invert(&mut self, step: &StepInfo<T>, y1: &[T], y0: &mut [T]);

    /// Inverse and pullback in one: `state` and `back.y` go from the end of `step` to its start.
    /// ACCUMULATES into `theta_bar`. What all later steps share may be left to the next call or to
    /// [`settle`](Self::settle), so that only the solution's part of `back.y` may be added to between calls.
    fn retrace(&mut self, step: &StepInfo<T>, state: &mut [T], back: &mut Backward<T>, theta_bar: &mut [T]);

    /// Completes `state` and `back.y` after the last [`retrace`](Self::retrace).
    fn settle(&mut self, state: &mut [T], back: &mut Backward<T>, theta_bar: &mut [T]);
}
