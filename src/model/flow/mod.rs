//! [`Flow`]: continuous normalising flows (Chen et al. 2018; FFJORD: Grathwohl et al., ICLR 2019, arXiv 1810.01367).

mod density;
mod dynamics;

pub use density::FlowLoss;
pub use dynamics::FlowScratch;

use crate::nn::{Input, Network};
use crate::num::{ErrorNorm, Real, random};
use crate::{Error, Result};

/// How the trace of the Jacobian is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// tr J = Σ_i e_iᵀ J e_i, d Jacobian–vector products: no noise, for few dimensions.
    #[default]
    Exact,
    /// Hutchinson's estimate (1/K) Σ_k ε_kᵀ J ε_k with E εεᵀ = I, the same ε over a whole solve: without bias, at K
    /// products whatever d.
    Hutchinson {
        /// The distribution of ε.
        probe: Probe,
        /// K.
        draws: usize,
    },
}

/// The distribution of the entries of a probe ε.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// ±1: variance 2 Σ_{i≠k} s_ik², s = (J + Jᵀ)/2, the least of all distributions.
    #[default]
    Rademacher,
    /// Standard normal: variance 2 Σ s_ik², the diagonal too.
    Gauss,
}

/// The continuous normalising flow dz/dt = N(t, z; θ) on [0, T], from data x = z(0) to a standard normal z(T).
///
/// The instantaneous change of variables (Chen et al. 2018, theorem 1) is d ln p(z(t))/dt = −tr ∂N/∂z, so that
///
/// ln p(x) = ln 𝓝(z(T); 0, I) + ∫₀ᵀ tr ∂N/∂z dt,
///
/// and the state of the equation that is solved is (z, ℓ) of d + 1 rows with ℓ' = tr ∂N/∂z, ℓ(0) = 0: every adjoint
/// differentiates the likelihood, the pullback of the trace being a second-order product of the network
/// ([`Network::tangents_vjp`]). All directions of a batch pass a layer in one matrix product.
///
/// [`regularised`](Self::regularised) adds the rows of RNODE (Finlay et al., ICML 2020), e' = |N|²/d and
/// q' = ‖∂N/∂z‖²_F/d, the means that [`Rnode`](crate::regularise::Rnode) collects for any right-hand side. Here they
/// cost no further pass: they are made of the products that give the trace, ‖J‖²_F = Σ_i |J e_i|² exactly with
/// [`Trace::Exact`], else its estimate (1/K) Σ_k |Jε_k|².
///
/// ```
/// use odeon::integrate::Options;
/// use odeon::model::{Flow, Trace};
/// use odeon::nn::{Activation, Network};
/// use odeon::ode::tableaux::Tsit5;
///
/// let network = Network::builder(2).concat_time().dense(32).activation(Activation::Tanh).dense(2).build()?;
/// let theta: Vec<f64> = network.init(Default::default(), 0)?;
/// let flow = Flow::new(network, Trace::Exact, 1.0)?;
/// let options = Options::tol(1e-6, 1e-6);
/// let log_p = flow.log_likelihood(&Tsit5, &theta, &[0.1, 0.2, -1.0, 0.5], &options)?.0;
/// assert_eq!(log_p.len(), 2);
/// let x = flow.sample(&Tsit5, &theta, 10, 7, &options)?;
/// assert_eq!(x.len(), 20);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Flow<T> {
    network: Network,
    trace: Trace,
    end: T,
    regularised: bool,
    /// ε: a block for each draw, `dim` rows for some columns, which further columns repeat.
    probes: Vec<T>,
}

/// Id of the random bits of the probes: the highest byte keeps them apart from those of other sources.
const PROBES: u64 = 0xfe << 56;

/// Largest d of [`Trace::Exact`]: as many products as rows are no longer cheap.
const EXACT: usize = 64;

impl<T: Real> Flow<T> {
    /// A flow over [0, `end`]. With an estimate, probes are those of seed 0 and one column
    /// ([`redraw`](Self::redraw)).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a network that does not give as many rows as it takes, an exact trace of more than 64
    /// rows, an estimate of no draws, an `end` that is not positive.
    pub fn new(network: Network, trace: Trace, end: T) -> Result<Self> {
        let (dim, outputs) = (network.input_dim(), network.output_dim());
        if dim != outputs {
            let given = format!("{dim} rows in, {outputs} out");
            return Err(Error::invalid("the flow's network", given, "it must give as many rows as it takes"));
        }
        match trace {
            Trace::Exact if dim > EXACT => {
                let needed = format!("an exact trace is for at most {EXACT}: take Trace::Hutchinson");
                return Err(Error::invalid("the rows of the flow", dim, needed));
            }
            Trace::Hutchinson { draws: 0, .. } => {
                return Err(Error::invalid(
                    "the draws of Hutchinson's estimate",
                    0,
                    "at least one is needed",
                ));
            }
            _ => {}
        }
        if !(end > T::zero() && end.is_finite()) {
            return Err(Error::invalid("the end of the flow", end, "it must be positive and finite"));
        }
        let mut flow = Self { network, trace, end, regularised: false, probes: Vec::new() };
        flow.redraw(1, 0);
        Ok(flow)
    }

    /// With the rows e and q of RNODE.
    pub fn regularised(self) -> Self {
        Self { regularised: true, ..self }
    }

    /// Draws the probes of an estimate anew, independent ones for `columns` columns (further ones repeat them): before
    /// each solve of a training, with a new seed. One seed, one result. Without effect on an exact trace.
    pub fn redraw(&mut self, columns: usize, seed: u64) {
        let Trace::Hutchinson { probe, draws } = self.trace else { return };
        let (dim, columns) = (self.network.input_dim(), columns.max(1));
        self.probes.clear();
        for i in 0..draws * columns * dim {
            let bits = random::at(seed, PROBES, i as u64);
            self.probes.push(T::of(match probe {
                Probe::Rademacher if bits[0] >> 63 == 0 => 1.0,
                Probe::Rademacher => -1.0,
                Probe::Gauss => random::normal_pair(bits).0,
            }));
        }
    }

    /// Takes these probes: `draws` blocks of `dim` rows × columns.
    ///
    /// # Errors
    /// An exact trace, which has none; a length that is no positive multiple of `draws × dim`; a NaN or infinity.
    pub fn set_probes(&mut self, probes: Vec<T>) -> Result<()> {
        let Trace::Hutchinson { draws, .. } = self.trace else {
            return Err(Error::invalid("the probes", "given", "an exact trace has none"));
        };
        let size = draws * self.network.input_dim();
        if probes.is_empty() || !probes.len().is_multiple_of(size) {
            let needed = format!("a positive multiple of {size} (draws × rows)");
            return Err(Error::Length { what: "the probes", given: probes.len(), needed });
        }
        Error::check_finite("the probes", &probes)?;
        self.probes = probes;
        Ok(())
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How the trace is found.
    pub fn trace(&self) -> Trace {
        self.trace
    }

    /// \[0, T\], the span of a solve from data to the normal distribution.
    pub fn span(&self) -> [T; 2] {
        [T::zero(), self.end]
    }

    /// Rows d of the data.
    pub fn data_dim(&self) -> usize {
        self.network.input_dim()
    }

    /// Rows after z: ℓ, and with regularisation e and q.
    fn extra(&self) -> usize {
        if self.regularised { 3 } else { 1 }
    }

    /// Directions along which the Jacobian is multiplied, and the weight of each.
    fn directions(&self) -> (usize, T) {
        match self.trace {
            Trace::Exact => (self.data_dim(), T::one()),
            Trace::Hutchinson { draws, .. } => (draws, T::of(1.0 / draws as f64)),
        }
    }

    /// The norm in which a regularised flow should measure its errors: e and q do not choose the steps.
    pub fn norm(&self, norm: &ErrorNorm<T>) -> ErrorNorm<T> {
        norm.ignoring(self.data_dim() + 1, self.extra() - 1)
    }

    /// `out` ← (x, 0, …) of every column of `x` (`data_dim × batch`): the state at t = 0.
    ///
    /// # Errors
    /// An `x` that is empty or not a whole number of columns.
    pub fn start(&self, x: &[T], out: &mut Vec<T>) -> Result<()> {
        let dim = self.data_dim();
        if x.is_empty() || !x.len().is_multiple_of(dim) {
            let needed = format!("a positive multiple of {dim} (rows of the data)");
            return Err(Error::Length { what: "x", given: x.len(), needed });
        }
        out.clear();
        for column in x.chunks_exact(dim) {
            out.extend_from_slice(column);
            out.extend(std::iter::repeat_n(T::zero(), self.extra()));
        }
        Ok(())
    }

    /// The network's input of the columns `z`.
    fn input<'a>(t: T, z: &'a [T], theta: &'a [T]) -> Input<'a, T> {
        Input { t, x: z, theta }
    }
}
