//! Second-order products of [`NeuralOde`], for penalties on its Jacobian.

use super::NeuralOde;
use super::neural::input;
use crate::dynamics::{Point, SecondOrder, Tangent};
use crate::nn::{Input, SecondOrderScratch};
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
