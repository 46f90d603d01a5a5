//! [`SolutionSeries`]: total derivatives dᴷy/dtᴷ of solutions, with their reverse.

use super::generic::{Generic, Scratch, VectorField};
use super::second_order::{SecondOrder, SecondOrderMemory};
use super::{Dynamics, Point, Tangent};
use crate::error::{Error, Result};
use crate::num::Real;

/// A right-hand side that knows the derivatives of its solutions with respect to time.
pub trait SolutionSeries<T: Real>: Dynamics<T> {
    /// Memory that calls reuse, and what the reverse takes from them.
    type Series: Send;

    /// Refuses an order K that is not served.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says which are.
    fn check_order(&self, order: usize) -> Result<()>;

    /// Memory for states of `batch` columns and K = `order`, which [`check_order`](Self::check_order) has passed.
    fn series(&self, batch: usize, order: usize) -> Self::Series;

    /// Bytes of it.
    fn series_bytes(&self, batch: usize, order: usize) -> usize;

    /// For the solution through `at`: `first` ← y' = f and `top` ← dᴷy/dtᴷ.
    fn total_derivative(&self, at: Point<'_, T>, values: [&mut [T]; 2], memory: &mut Self::Series);

    /// The reverse of [`total_derivative`](Self::total_derivative), called at the same point just before, for the
    /// cotangents `bars` of its two values: ACCUMULATES ȳ and θ̄ and returns that of t.
    fn total_derivative_vjp(
        &self,
        at: Point<'_, T>,
        bars: [&[T]; 2],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut Self::Series,
    ) -> T;
}

/// Memory of [`Generic`]'s.
pub struct GenericSeries<T> {
    order: usize,
    inner: Scratch<T>,
    second: SecondOrderMemory<T>,
    f: Vec<T>,
    f_bar: Vec<T>,
    unwanted: Vec<T>,
}

/// K = 1 and 2: ÿ = ∂f/∂t + (∂f/∂y) f is one Jacobian–vector product along (1, f). With u the cotangent of ÿ, that of
/// uᵀÿ at constant direction is [`SecondOrder::tangent_vjp`], and through the direction f̄ += (∂f/∂y)ᵀu.
impl<T: Real, F: VectorField> SolutionSeries<T> for Generic<F> {
    type Series = GenericSeries<T>;

    fn check_order(&self, order: usize) -> Result<()> {
        if (1..=2).contains(&order) {
            return Ok(());
        }
        let needed =
            "1 and 2 are served by right-hand sides written over scalars; networks (NeuralOde) serve more";
        Err(Error::invalid("the order of a total derivative", order, needed))
    }

    fn series(&self, batch: usize, order: usize) -> GenericSeries<T> {
        let zeros = || vec![T::zero(); Dynamics::<T>::dim(self) * batch];
        GenericSeries {
            order,
            inner: self.scratch(batch),
            second: self.memory(batch),
            f: zeros(),
            f_bar: zeros(),
            unwanted: vec![T::zero(); Dynamics::<T>::num_params(self)],
        }
    }

    fn series_bytes(&self, batch: usize, _: usize) -> usize {
        let own = 2 * Dynamics::<T>::dim(self) * batch + Dynamics::<T>::num_params(self);
        own * size_of::<T>() + Dynamics::<T>::scratch_bytes(self, batch)
    }

    fn total_derivative(&self, at: Point<'_, T>, [first, top]: [&mut [T]; 2], s: &mut GenericSeries<T>) {
        self.eval(at, first, &mut s.inner);
        if s.order == 1 {
            top.copy_from_slice(first);
            return;
        }
        s.f.clear();
        s.f.extend_from_slice(first);
        let along = Tangent { t: T::one(), y: first, theta: &[] };
        self.jvp(at, along, top, &mut s.inner);
    }

    fn total_derivative_vjp(
        &self,
        at: Point<'_, T>,
        [first_bar, top_bar]: [&[T]; 2],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        GenericSeries { order, inner, second, f, f_bar, unwanted }: &mut GenericSeries<T>,
    ) -> T {
        f_bar.clear();
        f_bar.extend_from_slice(first_bar);
        if *order == 1 {
            f_bar.iter_mut().zip(top_bar).for_each(|(f, top)| *f += *top);
            return self.vjp(at, f_bar, y_bar, theta_bar, inner);
        }
        self.vjp(at, top_bar, f_bar, unwanted, inner);
        let t_bar = self.vjp(at, f_bar, y_bar, theta_bar, inner);
        let along = Tangent { t: T::one(), y: f, theta: &[] };
        t_bar + self.tangent_vjp(at, along, top_bar, y_bar, theta_bar, second)
    }
}
