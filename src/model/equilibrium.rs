//! [`DeepEquilibrium`]: a layer whose output is a fixed point, z = N(z, x; θ) (Bai, Kolter & Koltun, "Deep
//! equilibrium models", NeurIPS 2019).
//!
//! The fixed point is found by Newton's method, each step a GMRES solve of (I − J) δ = N(z, x) − z with J =
//! ∂N/∂z by the network's own products, halved while it does not bring z closer; where none does, z ← N(z, x) is
//! taken instead. With λ = (I − J)⁻ᵀ z̄ the
//! reverse is x̄ = (∂N/∂x)ᵀ λ, θ̄ = (∂N/∂θ)ᵀ λ: no iteration is differentiated or kept.

use crate::linalg::compose::FromFn;
use crate::linalg::krylov::{Gmres, solve_transpose};
use crate::linalg::{Identity, Settings};
use crate::nn::{Input, Network};
use crate::num::Real;
use crate::{Error, Result};
use std::cell::RefCell;

/// z = N(\[z; x\]; θ), N a network of the rows of z and then those of x.
#[derive(Clone, Debug)]
pub struct DeepEquilibrium {
    network: Network,
    dim: usize,
    /// ‖N(z, x) − z‖₂ ≤ tolerance · (1 + ‖z‖₂) ends the iteration.
    pub tolerance: f64,
    /// Newton steps before it is given up.
    pub max_steps: usize,
}

/// Basis vectors of GMRES before it restarts.
const RESTART: usize = 40;
/// Halvings of a Newton step that brings z no closer.
const HALVINGS: usize = 12;

fn norm<T: Real>(x: &[T]) -> f64 {
    x.iter().map(|x| x.f64() * x.f64()).sum::<f64>().sqrt()
}

impl DeepEquilibrium {
    /// The layer of `network`, whose outputs are the rows of z.
    ///
    /// # Errors
    /// A network that takes fewer rows than it gives.
    pub fn new(network: Network) -> Result<Self> {
        let (given, dim) = (network.input_dim(), network.output_dim());
        if given < dim {
            let needed =
                format!("it takes the {dim} rows that it gives, and then those of the layer's input");
            return Err(Error::invalid("rows of the network's input", given, needed));
        }
        Ok(Self { network, dim, tolerance: 1e-12, max_steps: 50 })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// \[z; x\], column by column.
    fn joined<T: Real>(&self, z: &[T], x: &[T]) -> Vec<T> {
        let rows = self.network.input_dim() - self.dim;
        let mut all = Vec::with_capacity(z.len() + x.len());
        for (i, z) in z.chunks_exact(self.dim).enumerate() {
            all.extend_from_slice(z);
            all.extend_from_slice(&x[i * rows..(i + 1) * rows]);
        }
        all
    }

    fn check<T: Real>(&self, x: &[T], z: &[T], theta: &[T]) -> Result<usize> {
        let rows = self.network.input_dim() - self.dim;
        if z.is_empty() || !z.len().is_multiple_of(self.dim) {
            let needed = format!("a positive multiple of {}", self.dim);
            return Err(Error::Length { what: "z", given: z.len(), needed });
        }
        let batch = z.len() / self.dim;
        Error::check_len("x", x.len(), rows * batch, "the layer's input rows times the columns of z")?;
        self.network.layout().check_len("theta", theta.len())?;
        for (what, values) in [("x", x), ("z", z), ("theta", theta)] {
            Error::check_finite(what, values)?;
        }
        Ok(batch)
    }

    /// Calls `solve` with I − J at (z, x) as an operator.
    fn with_operator<T: Real, R>(
        &self,
        joined: &[T],
        theta: &[T],
        solve: impl FnOnce(&dyn crate::linalg::LinearOperator<T>) -> R,
    ) -> R {
        let (rows, dim) = (self.network.input_dim(), self.dim);
        let batch = joined.len() / rows;
        let n = dim * batch;
        let at = Input { t: T::zero(), x: joined, theta };
        let memory = RefCell::new((
            self.network.scratch::<T>(batch),
            vec![T::zero(); rows * batch],
            vec![T::zero(); theta.len()],
        ));
        let apply = |x: &[T], y: &mut [T]| {
            let (scratch, wide, _) = &mut *memory.borrow_mut();
            wide.fill(T::zero());
            for (wide, x) in wide.chunks_exact_mut(rows).zip(x.chunks_exact(dim)) {
                wide[..dim].copy_from_slice(x);
            }
            self.network.jvp(at, Input { t: T::zero(), x: wide, theta: &[] }, y, scratch);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = *x - *y);
        };
        let transpose = |y: &[T], x: &mut [T]| {
            let (scratch, wide, spare) = &mut *memory.borrow_mut();
            wide.fill(T::zero());
            spare.fill(T::zero());
            self.network.vjp(at, y, wide, spare, scratch);
            for ((x, wide), y) in
                x.chunks_exact_mut(dim).zip(wide.chunks_exact(rows)).zip(y.chunks_exact(dim))
            {
                x.iter_mut().zip(wide).zip(y).for_each(|((x, w), y)| *x = *y - *w);
            }
        };
        solve(&FromFn::new([n, n], apply, transpose))
    }

    fn settings(n: usize) -> Settings {
        Settings { max_iterations: 20 * n.max(RESTART), stagnation: 4 * RESTART, ..Settings::tol(1e-11) }
    }

    fn singular(error: &Error) -> Error {
        let needed = "I − ∂N/∂z must be invertible at the fixed point: scale the network's weights down, or change \
                      the initial guess";
        Error::invalid("the fixed point's linear system", format!("singular or nearly so ({error})"), needed)
    }

    /// `z` ← the fixed point for `x`, from the guess in `z`; returns the Newton steps.
    ///
    /// # Errors
    /// Wrong shapes, entries that are not finite, a singular I − J, no convergence.
    pub fn forward<T: Real>(&self, x: &[T], z: &mut [T], theta: &[T]) -> Result<usize> {
        let batch = self.check(x, z, theta)?;
        let n = z.len();
        let mut scratch = self.network.scratch(batch);
        let mut residual = |z: &[T], r: &mut [T]| {
            let joined = self.joined(z, x);
            self.network.forward(Input { t: T::zero(), x: &joined, theta }, r, &mut scratch);
            r.iter_mut().zip(z).for_each(|(r, z)| *r -= *z);
            norm(r)
        };
        let (mut r, mut tried) = (vec![T::zero(); n], vec![T::zero(); n]);
        let mut size = residual(z, &mut r);
        let floor = self.tolerance.max(8.0 * T::EPSILON.f64());
        for step in 0..=self.max_steps {
            if size <= floor * (1.0 + norm(z)) {
                return Ok(step);
            }
            if step == self.max_steps || !size.is_finite() {
                break;
            }
            let mut delta = vec![T::zero(); n];
            let joined = self.joined(z, x);
            let settings = Settings { rtol: 1e-8f64.max(8.0 * T::EPSILON.f64()), ..Self::settings(n) };
            let mut gmres = Gmres::new(n, RESTART.min(n), settings)?;
            let solved =
                self.with_operator(&joined, theta, |a| gmres.solve(a, &mut Identity(n), &r, &mut delta));
            solved.and_then(crate::linalg::Report::ok).map_err(|e| Self::singular(&e))?;
            let (from, mut share, before) = (z.to_vec(), 1.0, size);
            for _ in 0..=HALVINGS {
                z.iter_mut().zip(&from).zip(&delta).for_each(|((z, a), d)| *z = T::of(share).mul_add(*d, *a));
                size = residual(z, &mut tried);
                if size < before {
                    break;
                }
                share *= 0.5;
            }
            if size.is_nan() || size >= before {
                // A dip of the residual that is no zero: the map itself leads out of it.
                z.iter_mut().zip(&from).zip(&r).for_each(|((z, a), r)| *z = *a + *r);
                size = residual(z, &mut tried);
            }
            r.copy_from_slice(&tried);
        }
        let given = format!("not found in {} steps (‖N(z, x) − z‖ = {size:.2e})", self.max_steps);
        Err(Error::invalid(
            "the fixed point",
            given,
            "the layer needs one: scale the weights down, or raise max_steps",
        ))
    }

    /// ACCUMULATES the reverse at the fixed point `z` for its cotangent `z_bar` into `x_bar` and `theta_bar`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn reverse<T: Real>(
        &self,
        (x, z, theta): (&[T], &[T], &[T]),
        z_bar: &[T],
        x_bar: &mut [T],
        theta_bar: &mut [T],
    ) -> Result<()> {
        let batch = self.check(x, z, theta)?;
        Error::check_len("the cotangent of z", z_bar.len(), z.len(), "as long as z")?;
        Error::check_len("the cotangent of x", x_bar.len(), x.len(), "as long as x")?;
        self.network.layout().check_len("theta_bar", theta_bar.len())?;
        let (n, rows) = (z.len(), self.network.input_dim());
        let joined = self.joined(z, x);
        let mut lambda = vec![T::zero(); n];
        let settings = Settings { rtol: 1e-12f64.max(8.0 * T::EPSILON.f64()), ..Self::settings(n) };
        let mut gmres = Gmres::new(n, RESTART.min(n), settings)?;
        let solved = self.with_operator(&joined, theta, |a| {
            solve_transpose(&mut gmres, a, &mut Identity(n), z_bar, &mut lambda)
        });
        solved.and_then(crate::linalg::Report::ok).map_err(|e| Self::singular(&e))?;
        let mut wide = vec![T::zero(); joined.len()];
        let at = Input { t: T::zero(), x: &joined, theta };
        self.network.vjp(at, &lambda, &mut wide, theta_bar, &mut self.network.scratch(batch));
        let own = rows - self.dim;
        for (column, wide) in wide.chunks_exact(rows).enumerate() {
            let x_bar = &mut x_bar[column * own..(column + 1) * own];
            x_bar.iter_mut().zip(&wide[self.dim..]).for_each(|(x, w)| *x += *w);
        }
        Ok(())
    }
}
