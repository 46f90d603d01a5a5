//! [`LearnedPreconditioner`]: a learned map that is symmetric positive definite by construction.

use super::net::DirectionNet;
use super::run::NetRun;
use crate::error::{Error, Result};
use crate::linalg::{Claims, LinearOperator, Preconditioner};
use crate::num::Real;

/// D^(−½), from the diagonal of an operator.
fn scales<T: Real, A: LinearOperator<T> + ?Sized>(a: &A) -> Result<Vec<T>> {
    let diagonal = a.diagonal().ok_or_else(|| {
        let needed = "its diagonal scales the learned preconditioner: an operator that knows it is needed";
        Error::invalid("the operator", "without a diagonal", needed)
    })?;
    if let Some(i) = diagonal.iter().position(|d| !(d.is_finite() && *d > T::zero())) {
        let needed = "a symmetric positive definite matrix has a positive diagonal";
        return Err(Error::invalid(format!("diagonal entry {i}"), diagonal[i], needed));
    }
    Ok(diagonal.iter().map(|d| T::one() / d.sqrt()).collect())
}

/// D^(−½) A D^(−½), what the network of a [`LearnedPreconditioner`] is trained on.
#[derive(Clone, Debug)]
pub struct Equilibrated<'a, T, A: ?Sized> {
    a: &'a A,
    scales: Vec<T>,
    work: std::cell::RefCell<Vec<T>>,
}

impl<'a, T: Real, A: LinearOperator<T> + ?Sized> Equilibrated<'a, T, A> {
    /// Of a symmetric A with a positive diagonal.
    ///
    /// # Errors
    /// A diagonal that is unknown or not positive.
    pub fn new(a: &'a A) -> Result<Self> {
        let scales = scales(a)?;
        let work = std::cell::RefCell::new(vec![T::zero(); scales.len()]);
        Ok(Self { a, scales, work })
    }
}

impl<T: Real, A: LinearOperator<T> + ?Sized> LinearOperator<T> for Equilibrated<'_, T, A> {
    fn rows(&self) -> usize {
        self.scales.len()
    }
    fn cols(&self) -> usize {
        self.scales.len()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        let mut work = self.work.borrow_mut();
        for ((w, x), s) in work.iter_mut().zip(x).zip(&self.scales) {
            *w = *x * *s;
        }
        self.a.apply(&work, y);
        for (y, s) in y.iter_mut().zip(&self.scales) {
            *y *= *s;
        }
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        // A is symmetric.
        self.apply(y, x);
    }
}

/// M⁻¹ = D^(−½) N D^(−½) with N a network of [`DirectionNet::symmetric`], N = I + Σ_l T_l (I + BᵀB) T_lᵀ with
/// learned stencils: symmetric positive definite whatever the weights, so that ordinary PCG and its theory
/// serve. In `f32` inside an iteration in `f64` by [`Narrow`](crate::linalg::krylov::Narrow).
#[derive(Clone, Debug)]
pub struct LearnedPreconditioner<T> {
    run: NetRun<T>,
    theta: Vec<T>,
    scales: Vec<T>,
    unit: Vec<T>,
}

impl<T: Real> LearnedPreconditioner<T> {
    /// For an operator on a grid of these extents.
    ///
    /// # Errors
    /// A network that is not symmetric, parameters of another number or not finite, a diagonal that is unknown
    /// or not positive, an operator that is not on the grid.
    pub fn new<A: LinearOperator<T> + ?Sized>(
        net: &DirectionNet,
        extents: [usize; 3],
        theta: Vec<T>,
        a: &A,
    ) -> Result<Self> {
        if !net.is_symmetric() {
            let needed = "a learned preconditioner needs DirectionNet::symmetric; Proposer takes any";
            return Err(Error::invalid("the network", "not symmetric", needed));
        }
        net.layout().check_len("theta", theta.len())?;
        Error::check_finite("theta", &theta)?;
        let (run, scales) = (NetRun::new(net, extents)?, scales(a)?);
        Error::check_len("the operator", scales.len(), run.points(), "the points of the network's grid")?;
        let unit = vec![T::zero(); scales.len()];
        Ok(Self { run, theta, scales, unit })
    }
}

impl<T: Real> Preconditioner<T> for LearnedPreconditioner<T> {
    fn len(&self) -> usize {
        self.scales.len()
    }
    fn claims(&self) -> Claims {
        Claims::SPD
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        for ((u, r), s) in self.unit.iter_mut().zip(r).zip(&self.scales) {
            *u = *r * *s;
        }
        // Lengths were checked where the solve began; were one wrong, the iteration would say NaN.
        if self.run.forward(&self.theta, &self.unit, z).is_err() {
            z.fill(T::NAN);
        }
        for (z, s) in z.iter_mut().zip(&self.scales) {
            *z *= *s;
        }
    }
}
