//! [`Encoder`]: what the posterior of a [`LatentSde`](super::LatentSde) knows of the observations.

use super::elbo::Series;
use super::neural_sde::NEXT_NETWORK;
use crate::error::{Error, Result};
use crate::nn::{Direction, Gru, Initializer, Input, Layout, Network, Unrolled};
use crate::num::Real;

/// The encoder E of a [`LatentSde`](super::LatentSde); its outputs are (c, μ_q, ln σ_q).
#[derive(Clone, Debug)]
pub enum Encoder {
    /// From the observations of a series one after the other → k + 2d: one c for all times, a fixed number of
    /// observations.
    Series(Network),
    /// A recurrent unit that reads the observations from the last to the first, and a network from its state to
    /// k + 2d (Li et al. 2020, section 5 and appendix 9.9). On [t_{k−1}, t_k] the posterior sees the c of the state
    /// that knows x_k, x_{k+1}, …, which are what the rest of the path depends on, and takes as its time
    /// (t − t_{k−1})/(t_k − t_{k−1}), 1 at the observation; μ_q and σ_q come from the state that knows all. Inputs
    /// of the unit are x_k, t_k and t_k − t_{k−1} (0 at the first): rows of an observation + 2. Any number of
    /// observations, at any times.
    Backward {
        /// rows + 2 → H.
        gru: Gru,
        /// H → k + 2d.
        head: Network,
    },
}

impl From<Network> for Encoder {
    fn from(network: Network) -> Self {
        Self::Series(network)
    }
}

/// What an encoder gave, and what its reverse needs.
pub(super) struct Encoded<T> {
    /// (c, μ_q, ln σ_q) × series, for each observation with [`Encoder::Backward`].
    pub out: Vec<T>,
    inputs: Vec<T>,
    unrolled: Option<Unrolled<T>>,
    batch: usize,
}

impl Encoder {
    /// k + 2d.
    pub fn output_dim(&self) -> usize {
        match self {
            Self::Series(network) | Self::Backward { head: network, .. } => network.output_dim(),
        }
    }

    /// Numbers of a series that the encoder takes; any multiple of the rows where there is none.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Series(network) => Some(network.input_dim()),
            Self::Backward { .. } => None,
        }
    }

    /// Checks the inputs for observations of `rows` rows.
    pub(super) fn check(&self, rows: usize) -> Result<()> {
        match self {
            Self::Series(network) if !network.input_dim().is_multiple_of(rows) => {
                let needed = format!("whole observations of {rows} rows, as the decoder gives");
                Err(Error::invalid("the encoder's inputs", network.input_dim(), needed))
            }
            Self::Backward { gru, .. } if gru.input_dim() != rows + 2 => {
                let needed = format!("{}: {rows} rows of an observation, its time, and the gap", rows + 2);
                Err(Error::invalid("the inputs of the encoder's recurrent unit", gru.input_dim(), needed))
            }
            Self::Backward { gru, head } if head.input_dim() != gru.hidden_dim() => {
                let needed = format!("{}, the state of its recurrent unit", gru.hidden_dim());
                Err(Error::invalid("the inputs of the encoder's head", head.input_dim(), needed))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn layout(&self) -> Result<Layout> {
        match self {
            Self::Series(network) => Ok(network.layout().clone()),
            Self::Backward { gru, head } => {
                let mut layout = Layout::new();
                layout.append("gru.", gru.layout())?;
                layout.append("head.", head.layout())?;
                Ok(layout)
            }
        }
    }

    pub(super) fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        match self {
            Self::Series(network) => network.init(initializer, seed),
            Self::Backward { gru, head } => {
                let mut theta = gru.init(initializer, seed)?;
                // The networks of the model take the seeds between.
                theta.extend(head.init::<T>(initializer, seed.wrapping_add(NEXT_NETWORK / 2))?);
                Ok(theta)
            }
        }
    }

    /// `theta` is the encoder's own; `series` has been checked, with `batch` columns.
    pub(super) fn encode<T: Real>(
        &self,
        theta: &[T],
        series: &Series<'_, T>,
        batch: usize,
    ) -> Result<Encoded<T>> {
        let (network, theta, inputs, unrolled) = match self {
            Self::Series(network) => (network, theta, series.values.to_vec(), None),
            Self::Backward { gru, head } => {
                let (of_gru, of_head) = theta.split_at(gru.layout().len());
                let inputs = timed(series, batch);
                let unrolled = gru.unroll(of_gru, &inputs, batch, Direction::Backwards)?;
                (head, of_head, inputs, Some(unrolled))
            }
        };
        let x = unrolled.as_ref().map_or(&inputs[..], Unrolled::hidden);
        let columns = x.len() / network.input_dim();
        let mut out = vec![T::zero(); network.output_dim() * columns];
        network.forward(Input { t: T::zero(), x, theta }, &mut out, &mut network.scratch(columns));
        Ok(Encoded { out, inputs, unrolled, batch })
    }

    /// ACCUMULATES the cotangent of `theta` for that of the outputs.
    pub(super) fn pull<T: Real>(
        &self,
        (theta, theta_bar): (&[T], &mut [T]),
        encoded: &mut Encoded<T>,
        out_bar: &[T],
    ) -> Result<()> {
        let mut inputs_bar = vec![T::zero(); encoded.inputs.len()];
        let reverse = |network: &Network, theta: &[T], x: &[T], x_bar: &mut [T], theta_bar: &mut [T]| {
            let mut scratch = network.scratch(x.len() / network.input_dim());
            network.vjp(Input { t: T::zero(), x, theta }, out_bar, x_bar, theta_bar, &mut scratch);
        };
        match (self, &mut encoded.unrolled) {
            (Self::Backward { gru, head }, Some(unrolled)) => {
                let (of_gru, of_head) = theta.split_at(gru.layout().len());
                let (gru_bar, head_bar) = theta_bar.split_at_mut(of_gru.len());
                let mut hidden_bar = vec![T::zero(); unrolled.hidden().len()];
                reverse(head, of_head, unrolled.hidden(), &mut hidden_bar, head_bar);
                unrolled.pull(gru, (of_gru, gru_bar), &encoded.inputs, &mut hidden_bar, &mut inputs_bar)
            }
            (Self::Series(network) | Self::Backward { head: network, .. }, _) => {
                reverse(network, theta, &encoded.inputs, &mut inputs_bar, theta_bar);
                Ok(())
            }
        }
    }
}

impl<T: Real> Encoded<T> {
    /// Place of the outputs that interval `i` between observations sees, all series.
    pub fn block(&self, i: usize) -> std::ops::Range<usize> {
        let times = if self.unrolled.is_some() { i + 1 } else { 0 };
        self.at(times)
    }

    /// Place of the outputs that the start sees.
    pub fn start(&self) -> std::ops::Range<usize> {
        self.at(0)
    }

    fn at(&self, time: usize) -> std::ops::Range<usize> {
        let blocks = self.unrolled.as_ref().map_or(1, Unrolled::times);
        let size = self.out.len() / blocks;
        time * size..(time + 1) * size
    }

    /// Series.
    pub fn batch(&self) -> usize {
        self.batch
    }
}

/// (x_k, t_k, t_k − t_{k−1}) × series for each time.
fn timed<T: Real>(series: &Series<'_, T>, batch: usize) -> Vec<T> {
    let times = series.times;
    let length = series.values.len() / batch;
    let rows = length / times.len();
    let mut inputs = Vec::with_capacity((rows + 2) * batch * times.len());
    for (k, t) in times.iter().enumerate() {
        let gap = *t - times[k.saturating_sub(1)];
        for j in 0..batch {
            inputs.extend_from_slice(&series.values[j * length + k * rows..][..rows]);
            inputs.extend([*t, gap]);
        }
    }
    inputs
}
