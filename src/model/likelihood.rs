//! The likelihood of observed states under Euler's transitions.

use crate::dynamics::{Dynamics, Point};
use crate::error::{Error, Result};
use crate::linalg::DenseCholesky;
use crate::num::Real;
use crate::sde::{Calculus, Diffusion, Shape, System};

/// Minus the mean log density of the transitions under Euler–Maruyama's steps,
///
/// y_{k+1} ~ N(y_k + h f(t_k, y_k), h G Gᵀ),   h = t_{k+1} − t_k,
///
/// over all steps and paths, and its gradient by θ: a pseudo-likelihood whose bias goes with h (Florens-Zmirou,
/// *Statistics* 20, 1989). `states` holds a `dim × paths` block for each of `times`; nothing is solved. The
/// gradient is accumulated.
///
/// # Errors
/// Lengths that do not fit, times that do not increase, an equation in Stratonovich's sense with noise that is not
/// additive, fewer Brownian motions than rows, and a G Gᵀ that is not positive definite.
pub fn transition_likelihood<T: Real, S: System<T>>(
    system: &S,
    (times, states): (&[T], &[T]),
    theta: &[T],
    theta_bar: &mut [T],
) -> Result<T> {
    system.validate()?;
    let (f, g) = (system.drift(), system.diffusion());
    let dim = system.dim();
    if system.calculus() == Calculus::Stratonovich && g.class() != crate::sde::NoiseClass::Additive {
        let needed = "Euler's transitions are those of Itô's integral: convert the equation";
        return Err(Error::invalid("the calculus of the equation", system.calculus(), needed));
    }
    if g.components() < dim {
        let needed = format!("{dim} rows: with fewer Brownian motions the transitions have no density");
        return Err(Error::invalid("the Brownian motions of the diffusion", g.components(), needed));
    }
    Error::check_len("theta", theta.len(), system.num_params(), "the parameters of drift and diffusion")?;
    Error::check_len("theta_bar", theta_bar.len(), theta.len(), "one for each parameter")?;
    Error::check_finite("the states", states)?;
    let increasing = times.windows(2).all(|t| t[1] > t[0]);
    if times.len() < 2 || !increasing {
        return Err(Error::invalid(
            "the times",
            format!("{times:?}"),
            "two at least, increasing, are needed",
        ));
    }
    let block = states.len() / times.len();
    if block == 0 || block * times.len() != states.len() || !block.is_multiple_of(dim) {
        let needed = format!("{} blocks of {dim} rows × paths", times.len());
        return Err(Error::Length { what: "the states", given: states.len(), needed });
    }
    let paths = block / dim;
    let (theta_f, theta_g) = theta.split_at(f.num_params());
    let (bar_f, bar_g) = theta_bar.split_at_mut(theta_f.len());
    let mut scratch = (f.scratch(paths), g.scratch(paths));
    let zeros = |n: usize| vec![T::zero(); n];
    let (mut drift, mut drift_bar, mut y_bar) = (zeros(block), zeros(block), zeros(block));
    let (mut values, mut values_bar) = (zeros(g.entries() * paths), zeros(g.entries() * paths));
    let mut density = Density::new(dim, g.shape());
    let weight = T::of(1.0 / (paths * (times.len() - 1)) as f64);
    let mut total = T::zero();
    for (k, pair) in times.windows(2).enumerate() {
        let (t, h) = (pair[0], pair[1] - pair[0]);
        let (y, next) = (&states[k * block..(k + 1) * block], &states[(k + 1) * block..(k + 2) * block]);
        f.eval(Point { t, y, theta: theta_f }, &mut drift, &mut scratch.0);
        g.eval(Point { t, y, theta: theta_g }, &mut values, &mut scratch.1);
        for j in 0..paths {
            let (own, entries) = (j * dim..(j + 1) * dim, j * g.entries()..(j + 1) * g.entries());
            for i in own.clone() {
                density.residual[i - own.start] = next[i] - y[i] - h * drift[i];
            }
            let bars = [&mut drift_bar[own], &mut values_bar[entries.clone()]];
            total += weight * density.take(h, &values[entries], weight, bars)?;
        }
        f.vjp(Point { t, y, theta: theta_f }, &drift_bar, &mut y_bar, bar_f, &mut scratch.0);
        g.vjp(Point { t, y, theta: theta_g }, &values_bar, &mut y_bar, bar_g, &mut scratch.1);
    }
    Ok(total)
}

/// −ln N(r; 0, h G Gᵀ) of one path.
struct Density<T: Real> {
    shape: Shape,
    residual: Vec<T>,
    /// h G Gᵀ, then its inverse.
    covariance: Vec<T>,
    factor: Option<DenseCholesky<T>>,
}

impl<T: Real> Density<T> {
    fn new(dim: usize, shape: Shape) -> Self {
        let matrix = shape == Shape::Matrix;
        Self {
            shape,
            residual: vec![T::zero(); dim],
            covariance: vec![T::zero(); if matrix { dim * dim } else { 0 }],
            factor: matrix.then(|| DenseCholesky::new(dim)),
        }
    }

    /// The value; with a = Σ⁻¹r its derivatives are −h a by f and h(Σ⁻¹ − a aᵀ)G by G, here times `seed`.
    fn take(&mut self, h: T, g: &[T], seed: T, [f_bar, g_bar]: [&mut [T]; 2]) -> Result<T> {
        let dim = self.residual.len();
        let half = T::of(0.5);
        let mut value = half * T::of(std::f64::consts::TAU.ln() * dim as f64);
        let Some(factor) = &mut self.factor else {
            for (i, r) in self.residual.iter().enumerate() {
                let variance = h * g[i] * g[i];
                if variance <= T::zero() || !variance.is_finite() {
                    let needed = "it must be finite and not 0: bound it away from 0, or leave the row out";
                    return Err(Error::invalid(format!("entry {i} of the diffusion"), g[i], needed));
                }
                let a = *r / variance;
                value += half * (variance.ln() + a * *r);
                f_bar[i] = -seed * h * a;
                g_bar[i] = seed * h * (T::one() / variance - a * a) * g[i];
            }
            return Ok(value);
        };
        debug_assert!(self.shape == Shape::Matrix);
        for (c, covariance) in self.covariance.chunks_exact_mut(dim).enumerate() {
            for (r, entry) in covariance.iter_mut().enumerate() {
                *entry = h * g.chunks_exact(dim).map(|column| column[r] * column[c]).sum::<T>();
            }
        }
        factor.factor(&self.covariance)?;
        value += half * factor.log_det();
        let mut a = self.residual.clone();
        factor.solve(&mut a);
        value += half * a.iter().zip(&self.residual).map(|(a, r)| *a * *r).sum::<T>();
        for (c, column) in self.covariance.chunks_exact_mut(dim).enumerate() {
            column.fill(T::zero());
            column[c] = T::one();
            factor.solve(column);
        }
        for i in 0..dim {
            f_bar[i] = -seed * h * a[i];
        }
        for (column, bar) in g.chunks_exact(dim).zip(g_bar.chunks_exact_mut(dim)) {
            let along = a.iter().zip(column).map(|(a, g)| *a * *g).sum::<T>();
            for (i, bar) in bar.iter_mut().enumerate() {
                let inverse = &self.covariance[i * dim..(i + 1) * dim];
                let product = inverse.iter().zip(column).map(|(s, g)| *s * *g).sum::<T>();
                *bar = seed * h * (product - a[i] * along);
            }
        }
        Ok(value)
    }
}
