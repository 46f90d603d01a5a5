//! Lagrangian networks: the Euler–Lagrange equations of a Lagrangian L(q, v; θ) written once over the
//! scalar ([`EulerLagrange`]), and one made of networks ([`LagrangianNetwork`]).
//!
//! d/dt ∂L/∂v = ∂L/∂q gives (∂²L/∂v²) v′ = ∂L/∂q − (∂²L/∂v∂q) v. The derivatives of L are taken by dual numbers
//! of dual numbers, one evaluation for each pair of a velocity and a direction; their own derivatives, for
//! adjoints, by the tape around them. The mass matrix ∂²L/∂v² is solved without pivoting and must be
//! positive definite, as that of [`LagrangianNetwork`] always is.
//!
//! Sources: Cranmer et al., "Lagrangian neural networks", ICLR 2020 workshop; the positive definite mass
//! matrix: Lutter, Ritter & Peters, "Deep Lagrangian networks", ICLR 2019.

use crate::dynamics::dual::Dual;
use crate::dynamics::generic::VectorField;
use crate::num::random::{self, at};
use crate::num::{Real, Scalar};
use crate::{Error, Result};

/// L(q, v; p), generic over the scalar.
pub trait Lagrangian: Sync {
    /// Positions (and velocities).
    fn positions(&self) -> usize;
    /// Number of parameters.
    fn num_params(&self) -> usize;
    /// L.
    fn value<S: Scalar>(&self, q: &[S], v: &[S], p: &[S]) -> S;
}

/// y = (q, v): q′ = v, v′ = (∂²L/∂v²)⁻¹ (∂L/∂q − (∂²L/∂v∂q) v).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EulerLagrange<L>(
    /// The Lagrangian.
    pub L,
);

impl<L: Lagrangian> EulerLagrange<L> {
    /// Energy vᵀ∂L/∂v − L.
    pub fn energy<S: Scalar>(&self, y: &[S], p: &[S]) -> S {
        let d = self.0.positions();
        // Along (0, v): the dot is vᵀ∂L/∂v.
        let q: Vec<_> = y[..d].iter().map(|&q| Dual::constant(q)).collect();
        let v: Vec<_> = y[d..].iter().map(|&v| Dual::new(v, v)).collect();
        let p: Vec<_> = p.iter().map(|&p| Dual::constant(p)).collect();
        let l = self.0.value(&q, &v, &p);
        l.dot - l.value
    }
}

/// M x = b by Gaussian elimination without pivoting, in place: for positive definite M.
fn solve<S: Scalar>(m: &mut [S], b: &mut [S]) {
    let d = b.len();
    for k in 0..d {
        for i in k + 1..d {
            let factor = m[i * d + k] / m[k * d + k];
            for j in k + 1..d {
                let pivot = m[k * d + j];
                m[i * d + j] -= factor * pivot;
            }
            let top = b[k];
            b[i] -= factor * top;
        }
    }
    for k in (0..d).rev() {
        let row = m[k * d..(k + 1) * d].iter().zip(&*b).skip(k + 1);
        let sum = row.fold(b[k], |sum, (m, b)| sum - *m * *b);
        b[k] = sum / m[k * d + k];
    }
}

impl<L: Lagrangian> VectorField for EulerLagrange<L> {
    fn dim(&self) -> usize {
        2 * self.0.positions()
    }
    fn num_params(&self) -> usize {
        self.0.num_params()
    }

    fn eval<S: Scalar>(&self, _t: S, y: &[S], p: &[S], dy: &mut [S]) {
        let d = self.0.positions();
        let (q, v) = y.split_at(d);
        let constant = |x: S| Dual::constant(Dual::constant(x));
        let p: Vec<_> = p.iter().map(|&p| constant(p)).collect();
        let (mut mass, mut force) = (vec![S::zero(); d * d], vec![S::zero(); d]);
        // The outer dual is along v_i; the inner along v_j for the mass matrix, along (v, 0) for the rest.
        let moved = |x: S, inner: S, outer: bool| {
            Dual::new(Dual::new(x, inner), if outer { Dual::constant(S::one()) } else { Dual::zero() })
        };
        for (i, force) in force.iter_mut().enumerate() {
            let q_still: Vec<_> = q.iter().map(|&q| constant(q)).collect();
            for j in 0..=i {
                let pick = |(k, &v): (usize, &S)| moved(v, if k == j { S::one() } else { S::zero() }, k == i);
                let v: Vec<_> = v.iter().enumerate().map(pick).collect();
                let second = self.0.value(&q_still, &v, &p).dot.dot;
                mass[i * d + j] = second;
                mass[j * d + i] = second;
            }
            let along: Vec<_> = q.iter().zip(v).map(|(&q, &v)| moved(q, v, false)).collect();
            let pick = |(k, &v): (usize, &S)| moved(v, S::zero(), k == i);
            let v_i: Vec<_> = v.iter().enumerate().map(pick).collect();
            *force = -self.0.value(&along, &v_i, &p).dot.dot;
            let pick = |(k, &q): (usize, &S)| moved(q, S::zero(), k == i);
            let q_i: Vec<_> = q.iter().enumerate().map(pick).collect();
            let v_still: Vec<_> = v.iter().map(|&v| constant(v)).collect();
            *force += self.0.value(&q_i, &v_still, &p).dot.value;
        }
        solve(&mut mass, &mut force);
        dy[..d].copy_from_slice(v);
        dy[d..].copy_from_slice(&force);
    }
}

/// L = ½ vᵀ M(q) v − V(q) with M = A Aᵀ + ε I, A lower triangular: A's entries and V are the outputs of one
/// network of tanh layers of q, so that M is positive definite whatever θ.
///
/// θ: for every layer the weight (column-major, `outputs × inputs`), then the bias. With `angles`, the network
/// sees (cos q, sin q) instead of q, and so is periodic.
#[derive(Clone, Debug, PartialEq)]
pub struct LagrangianNetwork {
    positions: usize,
    angles: bool,
    /// Widths from the input to the output.
    widths: Vec<usize>,
    /// ε.
    floor: f64,
}

impl LagrangianNetwork {
    /// With hidden layers of these widths; `floor` = ε > 0 is the least inertia.
    ///
    /// # Errors
    /// No positions, a layer without units, or ε that is not positive.
    pub fn new(positions: usize, hidden: &[usize], angles: bool, floor: f64) -> Result<Self> {
        if positions == 0 {
            return Err(Error::invalid("positions", positions, "a Lagrangian needs at least one"));
        }
        if let Some(i) = hidden.iter().position(|&w| w == 0) {
            return Err(Error::invalid(format!("width of hidden layer {i}"), 0, "it must be positive"));
        }
        if !(floor.is_finite() && floor > 0.0) {
            return Err(Error::invalid("the least inertia", floor, "it must be positive and finite"));
        }
        let inputs = if angles { 2 * positions } else { positions };
        let outputs = positions * (positions + 1) / 2 + 1;
        let widths = [&[inputs], hidden, &[outputs]].concat();
        Ok(Self { positions, angles, widths, floor })
    }

    /// Weights drawn by Glorot's uniform law, biases 0, of A's diagonal 1.
    pub fn init<T: Real>(&self, seed: u64) -> Vec<T> {
        let mut theta = Vec::new();
        let uniform = |k: usize| {
            let [bits, _] = at(seed, k as u64, 0);
            2.0 * random::uniform(bits) - 1.0
        };
        for pair in self.widths.windows(2) {
            let bound = (6.0 / (pair[0] + pair[1]) as f64).sqrt();
            let start = theta.len();
            theta.extend((0..pair[0] * pair[1]).map(|k| T::of(bound * uniform(start + k))));
            theta.extend((0..pair[1]).map(|_| T::zero()));
        }
        let outputs = self.widths[self.widths.len() - 1];
        let first = theta.len() - outputs;
        let mut place = first;
        for row in 0..self.positions {
            theta[place + row] = T::one();
            place += row + 1;
        }
        theta
    }
}

impl Lagrangian for LagrangianNetwork {
    fn positions(&self) -> usize {
        self.positions
    }

    fn num_params(&self) -> usize {
        self.widths.windows(2).map(|w| (w[0] + 1) * w[1]).sum()
    }

    fn value<S: Scalar>(&self, q: &[S], v: &[S], p: &[S]) -> S {
        let mut x: Vec<S> = match self.angles {
            true => q.iter().map(|q| q.cos()).chain(q.iter().map(|q| q.sin())).collect(),
            false => q.to_vec(),
        };
        let (mut rest, layers) = (p, self.widths.len() - 1);
        for (layer, pair) in self.widths.windows(2).enumerate() {
            let (own, after) = rest.split_at((pair[0] + 1) * pair[1]);
            rest = after;
            let (weight, bias) = own.split_at(pair[0] * pair[1]);
            let mut next = bias.to_vec();
            for (x, column) in x.iter().zip(weight.chunks_exact(pair[1])) {
                next.iter_mut().zip(column).for_each(|(z, w)| *z = w.mul_add(*x, *z));
            }
            if layer + 1 < layers {
                next.iter_mut().for_each(|z| *z = z.tanh());
            }
            x = next;
        }
        // vᵀ(AAᵀ + εI)v = |Aᵀv|² + ε|v|².
        let (d, mut energy) = (self.positions, S::zero());
        let mut turned = vec![S::zero(); d];
        let mut at = 0;
        for (row, v) in v.iter().enumerate() {
            for (t, a) in turned.iter_mut().zip(&x[at..at + row + 1]) {
                *t = a.mul_add(*v, *t);
            }
            at += row + 1;
            energy = (S::of(self.floor) * *v).mul_add(*v, energy);
        }
        for t in turned {
            energy = t.mul_add(t, energy);
        }
        S::of(0.5) * energy - x[at]
    }
}
