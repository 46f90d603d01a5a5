//! Second-order products of [`NeuralOde`], for penalties on its Jacobian, and total derivatives of its solutions.

use super::NeuralOde;
use super::neural::input;
use crate::Result;
use crate::dynamics::{Point, SecondOrder, SolutionSeries, Tangent};
use crate::nn::{Input, SecondOrderScratch, SeriesScratch};
use crate::num::Real;

impl<T: Real> SecondOrder<T> for NeuralOde {
    type Memory = SecondOrderScratch<T>;

    fn memory(&self, batch: usize) -> SecondOrderScratch<T> {
        self.network().second_order_scratch(batch)
    }

    fn tangent_vjp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut SecondOrderScratch<T>,
    ) -> T {
        let network = self.network();
        let dot = Input { t: dot.t, x: dot.y, theta: dot.theta };
        network.tangent_vjp(input(at), dot, bar, y_bar, theta_bar, memory)
    }
}

impl<T: Real> SolutionSeries<T> for NeuralOde {
    type Series = SeriesScratch<T>;

    fn check_order(&self, order: usize) -> Result<()> {
        self.network().check_series(order)
    }

    fn series(&self, batch: usize, order: usize) -> SeriesScratch<T> {
        self.network().series_scratch(batch, order)
    }

    fn series_bytes(&self, batch: usize, order: usize) -> usize {
        self.network().series_scratch_len(batch, order) * size_of::<T>()
    }

    fn total_derivative(&self, at: Point<'_, T>, values: [&mut [T]; 2], memory: &mut SeriesScratch<T>) {
        self.network().solution_series(input(at), values, memory);
    }

    fn total_derivative_vjp(
        &self,
        at: Point<'_, T>,
        bars: [&[T]; 2],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut SeriesScratch<T>,
    ) -> T {
        self.network().solution_series_vjp(input(at), bars, y_bar, theta_bar, memory)
    }
}
