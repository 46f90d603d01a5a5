//! [`LatentOde`]: latent ordinary differential equations of irregular series (Chen et al. 2018, section 5; Rubanova,
//! Chen & Duvenaud, *Latent Ordinary Differential Equations for Irregularly-Sampled Time Series*, NeurIPS 2019,
//! arXiv 1907.03907).

mod bound;
mod reader;

pub use bound::{LatentBound, StepPenalty};
pub use reader::Reader;

use super::NeuralOde;
use super::elbo::Series;
use super::neural_sde::NEXT_NETWORK;
use crate::nn::{Initializer, Layout, Network};
use crate::num::Real;
use crate::{Error, Result};
use std::ops::Range;

/// z(t₀) ~ N(0, I), dz/dt = f(t, z), x(t_k) ~ N(D(z(t_k)), s²), with the posterior z(t₀) ~ N(μ, diag σ²),
/// (μ, ln σ) = E(what the [`Reader`] made of the observations).
///
/// A [`Series`] holds NaN where nothing was observed: the reader does not see it, the likelihood does not count it. What
/// is read and what is to be explained may differ ("read the first half, explain all"); both hold the same series.
#[derive(Clone, Debug)]
pub struct LatentOde {
    field: NeuralOde,
    decoder: Network,
    reader: Reader,
    head: Network,
    observation_sd: f64,
    layout: Layout,
    places: Places,
}

/// Where the parts of θ lie.
#[derive(Clone, Debug)]
struct Places {
    field: Range<usize>,
    decoder: Range<usize>,
    reader: Range<usize>,
    head: Range<usize>,
}

impl LatentOde {
    /// `field`: d → d, `decoder`: d → rows of an observation, `head`: rows of the reader's state → 2d;
    /// `observation_sd` is s.
    ///
    /// # Errors
    /// [`Error::Invalid`] for parts that do not fit together, an s that is not positive.
    pub fn new(
        field: Network,
        decoder: Network,
        (reader, head): (Reader, Network),
        observation_sd: f64,
    ) -> Result<Self> {
        let field = NeuralOde::new(field)?;
        let latent = field.network().input_dim();
        let rows = decoder.output_dim();
        let shapes = [
            ("the decoder's inputs", decoder.input_dim(), latent),
            ("the reader's inputs", reader.gru().input_dim(), 2 * rows + 1),
            ("the head's inputs", head.input_dim(), reader.gru().hidden_dim()),
            ("the head's outputs", head.output_dim(), 2 * latent),
        ];
        for (what, given, needed) in shapes {
            if given != needed {
                let needed =
                    format!("it must be {needed}: {latent} latent rows, observations of {rows} rows");
                return Err(Error::invalid(what, given, needed));
            }
        }
        if !(observation_sd > 0.0 && observation_sd.is_finite()) {
            let needed = "it must be positive and finite";
            return Err(Error::invalid("the observations' standard deviation", observation_sd, needed));
        }
        let mut layout = Layout::new();
        let places = Places {
            field: layout.append("field.", field.network().layout())?,
            decoder: layout.append("decoder.", decoder.layout())?,
            reader: layout.append("reader.", &reader.layout()?)?,
            head: layout.append("head.", head.layout())?,
        };
        Ok(Self { field, decoder, reader, head, observation_sd, layout, places })
    }

    /// Names ("field.0.weight", "reader.gru.weight_ih"), shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Rows d of z.
    pub fn latent(&self) -> usize {
        self.field.network().input_dim()
    }

    /// f.
    pub fn field(&self) -> &NeuralOde {
        &self.field
    }

    /// Parameters drawn by `initializer`.
    ///
    /// # Errors
    /// As [`Network::init`].
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        let next = |i: u64| seed.wrapping_add(NEXT_NETWORK.wrapping_mul(i));
        let mut theta = self.field.network().init::<T>(initializer, seed)?;
        theta.extend(self.decoder.init::<T>(initializer, next(1))?);
        theta.extend(self.reader.init::<T>(initializer, next(2))?);
        theta.extend(self.head.init::<T>(initializer, next(3))?);
        Ok(theta)
    }

    /// Checks a series; returns how many there are.
    fn check<T: Real>(&self, what: &str, series: &Series<'_, T>) -> Result<usize> {
        if series.times.is_empty() {
            return Err(Error::invalid(format!("the times {what}"), "none", "at least one is needed"));
        }
        Error::check_finite("the times of the series", series.times)?;
        if let Some(i) = series.times.windows(2).position(|t| t[0] >= t[1]) {
            let needed = format!("it must be later than the one before, {}", series.times[i]);
            return Err(Error::invalid(format!("time {} {what}", i + 1), series.times[i + 1], needed));
        }
        let length = self.decoder.output_dim() * series.times.len();
        if series.values.is_empty() || !series.values.len().is_multiple_of(length) {
            let needed = format!("a positive multiple of {length} ({} times)", series.times.len());
            return Err(Error::Length {
                what: "the values of the series",
                given: series.values.len(),
                needed,
            });
        }
        if let Some(bad) = series.values.iter().find(|x| x.f64().is_infinite()) {
            let needed = "an observation must be finite, or NaN where it is missing";
            return Err(Error::invalid(format!("an observation {what}"), bad, needed));
        }
        Ok(series.values.len() / length)
    }
}
