//! [`HamiltonianNetwork`]: Hamilton's equations of an energy given by networks (Greydanus, Dzamba &
//! Yosinski, "Hamiltonian Neural Networks", NeurIPS 2019; separable: Chen et al., "Symplectic recurrent
//! neural networks", ICLR 2020).
//!
//! With z = (q, p) and H(t, z; θ), ż = Ω ∇H: q′ = ∂H/∂p, p′ = −∂H/∂q. ∇H is the network's own vector–Jacobian
//! product. The reverse of ż with cotangent b is the gradient of bᵀΩ∇H = (∂H/∂z) v, v = Ωᵀb: one second-order
//! product of the network.

use crate::dynamics::{Dynamics, Point, Tangent};
use crate::nn::{Input, Network, Scratch as NetworkScratch, SecondOrderScratch};
use crate::num::Real;
use crate::{Error, Result};
use std::ops::Range;

/// ż = Ω ∇H(t, z; θ) with H a network of (q, p), or T(p) + V(q) of two networks, which symplectic methods
/// for separable systems ([`ode::symplectic`](crate::ode::symplectic)) integrate.
///
/// States are positions, then as many momenta; θ is the network's, or T's and then V's.
#[derive(Clone, Debug)]
pub struct HamiltonianNetwork {
    dim: usize,
    terms: Vec<Term>,
}

/// A network of some rows of z, with its place in θ.
#[derive(Clone, Debug)]
struct Term {
    network: Network,
    rows: Range<usize>,
    params: Range<usize>,
}

/// Memory of [`HamiltonianNetwork`].
#[derive(Debug)]
pub struct HamiltonianScratch<T> {
    first: Vec<NetworkScratch<T>>,
    second: Vec<SecondOrderScratch<T>>,
    /// A term's rows of z, of a direction, and its gradient.
    z: Vec<T>,
    direction: Vec<T>,
    gradient: Vec<T>,
    ones: Vec<T>,
    spare: Vec<T>,
}

/// `out` ← the rows of every column of `z`.
fn gather<T: Copy>(z: &[T], dim: usize, rows: &Range<usize>, out: &mut [T]) {
    for (out, z) in out.chunks_exact_mut(rows.len()).zip(z.chunks_exact(dim)) {
        out.copy_from_slice(&z[rows.clone()]);
    }
}

/// ACCUMULATES `from` into the rows of every column of `z`.
fn scatter<T: Real>(from: &[T], dim: usize, rows: &Range<usize>, z: &mut [T]) {
    for (from, z) in from.chunks_exact(rows.len()).zip(z.chunks_exact_mut(dim)) {
        z[rows.clone()].iter_mut().zip(from).for_each(|(z, f)| *z += *f);
    }
}

/// The rows of Ωᵀ`b` in `out`: −b_p for positions, b_q for momenta.
fn gather_transposed<T: Real>(b: &[T], dim: usize, rows: &Range<usize>, out: &mut [T]) {
    let half = dim / 2;
    for (out, b) in out.chunks_exact_mut(rows.len()).zip(b.chunks_exact(dim)) {
        for (out, row) in out.iter_mut().zip(rows.clone()) {
            *out = if row < half { -b[row + half] } else { b[row - half] };
        }
    }
}

/// ACCUMULATES Ω times a gradient's rows: ∂H/∂p into q′, −∂H/∂q into p′.
fn scatter_rotated<T: Real>(gradient: &[T], dim: usize, rows: &Range<usize>, dy: &mut [T]) {
    let half = dim / 2;
    for (g, dy) in gradient.chunks_exact(rows.len()).zip(dy.chunks_exact_mut(dim)) {
        for (g, row) in g.iter().zip(rows.clone()) {
            if row < half {
                dy[row + half] -= *g;
            } else {
                dy[row - half] += *g;
            }
        }
    }
}

impl HamiltonianNetwork {
    /// H(t, q, p; θ), one network of all rows.
    ///
    /// # Errors
    /// A network of an odd number of rows, or of more than one output.
    pub fn joint(energy: Network) -> Result<Self> {
        let dim = energy.input_dim();
        if !dim.is_multiple_of(2) {
            let needed = "a Hamiltonian takes positions and as many momenta";
            return Err(Error::invalid("rows of the energy's input", dim, needed));
        }
        Self::of(dim, vec![(energy, 0..dim)])
    }

    /// H = T(p) + V(q).
    ///
    /// # Errors
    /// Networks of different numbers of rows, or of more than one output.
    pub fn separable(kinetic: Network, potential: Network) -> Result<Self> {
        let half = kinetic.input_dim();
        if potential.input_dim() != half {
            let needed = format!("the kinetic energy takes {half} momenta");
            return Err(Error::invalid("rows of the potential's input", potential.input_dim(), needed));
        }
        Self::of(2 * half, vec![(kinetic, half..2 * half), (potential, 0..half)])
    }

    fn of(dim: usize, networks: Vec<(Network, Range<usize>)>) -> Result<Self> {
        let (mut terms, mut start) = (Vec::new(), 0);
        for (network, rows) in networks {
            if network.output_dim() != 1 {
                let needed = "an energy is one number";
                return Err(Error::invalid("rows of the energy's output", network.output_dim(), needed));
            }
            let params = start..start + network.layout().len();
            start = params.end;
            terms.push(Term { network, rows, params });
        }
        Ok(Self { dim, terms })
    }

    /// The networks: H's, or T's and V's.
    pub fn networks(&self) -> impl Iterator<Item = &Network> + '_ {
        self.terms.iter().map(|t| &t.network)
    }

    /// The energy of every column into `out`.
    ///
    /// # Errors
    /// Wrong lengths.
    pub fn energy<T: Real>(&self, at: Point<'_, T>, out: &mut [T]) -> Result<()> {
        let batch = crate::dynamics::check_shapes(self, at.y, at.theta)?;
        Error::check_len("the energies", out.len(), batch, "one for each column")?;
        let mut scratch = Dynamics::<T>::scratch(self, batch);
        out.fill(T::zero());
        for (k, term) in self.terms.iter().enumerate() {
            let z = &mut scratch.z[..term.rows.len() * batch];
            gather(at.y, self.dim, &term.rows, z);
            let own = Input { t: at.t, x: z, theta: &at.theta[term.params.clone()] };
            let part = &mut scratch.gradient[..batch];
            term.network.forward(own, part, &mut scratch.first[k]);
            out.iter_mut().zip(part).for_each(|(out, e)| *out += *e);
        }
        Ok(())
    }
}

impl<T: Real> Dynamics<T> for HamiltonianNetwork {
    type Scratch = HamiltonianScratch<T>;

    fn dim(&self) -> usize {
        self.dim
    }

    fn num_params(&self) -> usize {
        self.terms.last().map_or(0, |t| t.params.end)
    }

    fn scratch(&self, batch: usize) -> HamiltonianScratch<T> {
        let zeros = || vec![T::zero(); self.dim * batch];
        HamiltonianScratch {
            first: self.networks().map(|n| n.scratch(batch)).collect(),
            second: self.networks().map(|n| n.second_order_scratch(batch)).collect(),
            z: zeros(),
            direction: zeros(),
            gradient: zeros(),
            ones: vec![T::one(); batch],
            spare: vec![T::zero(); Dynamics::<T>::num_params(self)],
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        // The second-order scratch holds another first-order one and the tangents.
        let networks: usize = self.networks().map(|n| 3 * n.scratch_len(batch)).sum();
        (networks + (3 * self.dim + 1) * batch + Dynamics::<T>::num_params(self)) * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut HamiltonianScratch<T>) {
        let batch = at.y.len() / self.dim;
        dy.fill(T::zero());
        for (k, term) in self.terms.iter().enumerate() {
            let n = term.rows.len() * batch;
            let HamiltonianScratch { first, z, gradient, ones, spare, .. } = &mut *scratch;
            let (z, gradient) = (&mut z[..n], &mut gradient[..n]);
            gather(at.y, self.dim, &term.rows, z);
            gradient.fill(T::zero());
            let own = Input { t: at.t, x: z, theta: &at.theta[term.params.clone()] };
            let spare = &mut spare[term.params.clone()];
            term.network.vjp(own, &ones[..batch], gradient, spare, &mut first[k]);
            // Nobody reads the energy's own parameter gradient; it must not grow without bound.
            spare.fill(T::zero());
            scatter_rotated(gradient, self.dim, &term.rows, dy);
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut HamiltonianScratch<T>,
    ) -> T {
        let batch = at.y.len() / self.dim;
        let mut t_bar = T::zero();
        for (k, term) in self.terms.iter().enumerate() {
            let n = term.rows.len() * batch;
            let HamiltonianScratch { second, z, direction, gradient, ones, .. } = &mut *scratch;
            let (z, direction, gradient) = (&mut z[..n], &mut direction[..n], &mut gradient[..n]);
            gather(at.y, self.dim, &term.rows, z);
            gather_transposed(dy_bar, self.dim, &term.rows, direction);
            gradient.fill(T::zero());
            let own = Input { t: at.t, x: z, theta: &at.theta[term.params.clone()] };
            let products = [&*direction, &ones[..batch]];
            let theta_bar = &mut theta_bar[term.params.clone()];
            t_bar += term.network.jvp_vjp(own, products, gradient, theta_bar, &mut second[k]);
            scatter(gradient, self.dim, &term.rows, y_bar);
        }
        t_bar
    }

    /// Ω (∂∇H/∂t ṫ + H″ż + ∂∇H/∂θ θ̇), one second-order product.
    fn jvp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        dy_dot: &mut [T],
        scratch: &mut HamiltonianScratch<T>,
    ) {
        let batch = at.y.len() / self.dim;
        dy_dot.fill(T::zero());
        for (k, term) in self.terms.iter().enumerate() {
            let n = term.rows.len() * batch;
            let HamiltonianScratch { second, z, direction, gradient, ones, spare, .. } = &mut *scratch;
            let (z, direction, gradient) = (&mut z[..n], &mut direction[..n], &mut gradient[..n]);
            gather(at.y, self.dim, &term.rows, z);
            gather(dot.y, self.dim, &term.rows, direction);
            gradient.fill(T::zero());
            let own = Input { t: at.t, x: z, theta: &at.theta[term.params.clone()] };
            let spare = &mut spare[term.params.clone()];
            let theta = if dot.theta.is_empty() { &[] } else { &dot.theta[term.params.clone()] };
            let along = Input { t: dot.t, x: direction, theta };
            term.network.tangent_vjp(own, along, &ones[..batch], gradient, spare, &mut second[k]);
            spare.fill(T::zero());
            scatter_rotated(gradient, self.dim, &term.rows, dy_dot);
        }
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let batch = at.y.len() / self.dim;
        self.terms.iter().find_map(|term| {
            let mut z = vec![T::zero(); term.rows.len() * batch];
            gather(at.y, self.dim, &term.rows, &mut z);
            let own = Input { t: at.t, x: &z, theta: &at.theta[term.params.clone()] };
            term.network.locate_non_finite(own)
        })
    }
}
