//! [`NeuralOde`]: a network as a right-hand side.

use crate::dynamics::{Dynamics, Point, Tangent};
use crate::nn::{Input, Network, Scratch};
use crate::num::Real;
use crate::{Error, Result};

/// The neural ordinary differential equation y' = N(t, y; θ) (Chen et al. 2018).
///
/// t enters through the layers after [`concat_time`](crate::nn::Builder::concat_time) alone, whose
/// time columns give the t-cotangent of [`vjp`](Dynamics::vjp).
#[derive(Clone, Debug)]
pub struct NeuralOde {
    network: Network,
}

impl NeuralOde {
    /// Wraps a network.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it does not give as many rows as it takes.
    pub fn new(network: Network) -> Result<Self> {
        let (inputs, outputs) = (network.input_dim(), network.output_dim());
        if inputs != outputs {
            let given = format!("{inputs} rows in, {outputs} out");
            let needed = "a right-hand side must give as many rows as the state has";
            return Err(Error::invalid("network", given, needed));
        }
        Ok(Self { network })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

pub(super) fn input<'a, T: Copy>(at: Point<'a, T>) -> Input<'a, T> {
    Input { t: at.t, x: at.y, theta: at.theta }
}

impl<T: Real> Dynamics<T> for NeuralOde {
    type Scratch = Scratch<T>;

    const TAPED: bool = true;

    fn dim(&self) -> usize {
        self.network.input_dim()
    }

    fn num_params(&self) -> usize {
        self.network.layout().len()
    }

    fn scratch(&self, batch: usize) -> Scratch<T> {
        self.network.scratch(batch)
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        self.network.scratch_len(batch) * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Scratch<T>) {
        self.network.forward(input(at), dy, scratch);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        self.network.vjp(input(at), dy_bar, y_bar, theta_bar, scratch)
    }

    fn tape_len(&self, batch: usize) -> usize {
        self.network.tape_len(batch)
    }

    fn eval_taped(&self, at: Point<'_, T>, dy: &mut [T], tape: &mut [T], scratch: &mut Scratch<T>) {
        self.network.forward_taped(input(at), dy, tape, scratch);
    }

    fn vjp_taped(
        &self,
        at: Point<'_, T>,
        taped: (&[T], &[T]),
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        self.network.vjp_taped(input(at), taped, dy_bar, y_bar, theta_bar, scratch)
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Scratch<T>) {
        let dot = Input { t: dot.t, x: dot.y, theta: dot.theta };
        self.network.jvp(input(at), dot, dy_dot, scratch);
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.network.locate_non_finite(input(at))
    }
}
