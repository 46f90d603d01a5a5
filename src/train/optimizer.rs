//! [`nn::Optimizer`](crate::nn::Optimizer) as the loop's [`Optimize`].

use super::Optimize;
use crate::nn::{Optimizer, OptimizerState};
use crate::num::Real;
use crate::{Error, Result};

/// Name of the array that holds the number of steps.
const STEPS: &str = "steps";

impl<T: Real> Optimize<T> for Optimizer<T> {
    fn learning_rate(&self) -> f64 {
        Optimizer::learning_rate(self)
    }

    fn step(&mut self, params: &mut [T], gradient: &[T]) -> Result<()> {
        Optimizer::step(self, params, gradient)
    }

    fn export(&self) -> Vec<(String, Vec<f64>)> {
        let OptimizerState { steps, buffers } = self.state();
        // Exact: no run takes 2⁵³ steps.
        let steps = (STEPS.to_string(), vec![steps as f64]);
        let wide = |values: Vec<T>| values.into_iter().map(Real::f64).collect();
        let buffers = buffers.into_iter().map(|(name, values)| (name, wide(values)));
        std::iter::once(steps).chain(buffers).collect()
    }

    fn import(&mut self, state: &[(String, Vec<f64>)]) -> Result<()> {
        let Some(((name, steps), buffers)) = state.split_first() else {
            return Err(Error::invalid("optimiser state", "empty", "it must start with the steps"));
        };
        let [steps] = steps[..] else {
            return Err(Error::invalid("optimiser state", name, "it must start with the steps"));
        };
        if name != STEPS || steps < 0.0 || steps.fract() != 0.0 {
            let needed = "it must start with the number of steps";
            return Err(Error::invalid("optimiser state", format!("{name} = {steps}"), needed));
        }
        let narrow = |values: &[f64]| values.iter().map(|&x| T::of(x)).collect();
        let buffers = buffers.iter().map(|(name, values)| (name.clone(), narrow(values)));
        self.restore(OptimizerState { steps: steps as u64, buffers: buffers.collect() })
    }
}
