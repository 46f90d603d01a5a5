//! [`Chebyshev`]: the polynomial iteration in D⁻¹A.

use super::{Jacobi, setup};
use crate::error::{Error, Result};
use crate::linalg::eigen::extreme_eigenvalues;
use crate::linalg::{LinearOperator, Relaxation, vector};
use crate::num::{Kernel, Real, dispatch};

/// Lanczos steps for the ends of the spectrum.
const STEPS: usize = 12;
/// What a smoother leaves to the coarse grid: eigenvalues below λmax/30 (M. Adams et al., J. Comput.
/// Phys. 188, 2003).
const SMOOTHED: f64 = 30.0;

/// The Chebyshev iteration for SPD A, preconditioned by its diagonal. One sweep is `degree` steps; the
/// error is multiplied by T_k((λ₊ + λ₋ − 2t)/(λ₊ − λ₋))/T_k((λ₊ + λ₋)/(λ₊ − λ₋)) at t = D⁻¹A, the
/// smallest polynomial on [λ₋, λ₊] that is 1 at 0 (Saad, algorithm 12.1). It needs no inner products
/// and no triangular solves, for any operator with a diagonal.
///
/// Its one-sweep preconditioner is SPD where λmax(D⁻¹A) < λ₋ + λ₊.
#[derive(Clone, Debug, PartialEq)]
pub struct Chebyshev<T> {
    degree: usize,
    bounds: [f64; 2],
    /// D⁻¹.
    inverse: Vec<T>,
    residual: Vec<T>,
    direction: Vec<T>,
}

impl<T: Real> Chebyshev<T> {
    /// For smoothing: [λ/30, λ], where λ ≥ λmax(D⁻¹A) is estimated by twelve Lanczos steps.
    ///
    /// # Errors
    /// An operator that is not square, is empty, is not symmetric (by a random test), or whose
    /// diagonal is not known and positive (the row is named); a degree of 0.
    pub fn smoother(a: &(impl LinearOperator<T> + ?Sized), degree: usize) -> Result<Self> {
        let [_, max] = estimate(a, STEPS)?;
        Self::with_bounds(a, degree, [max / SMOOTHED, max])
    }

    /// For solving and preconditioning: both ends of the spectrum of D⁻¹A are estimated by `steps`
    /// Lanczos steps. The lower end converges slowly, and the iteration is slow where it is too large.
    ///
    /// # Errors
    /// As [`smoother`](Self::smoother); no steps, a matrix that is found to be indefinite.
    pub fn estimated(a: &(impl LinearOperator<T> + ?Sized), degree: usize, steps: usize) -> Result<Self> {
        Self::with_bounds(a, degree, estimate(a, steps)?)
    }

    /// With bounds of the spectrum of D⁻¹A that the caller vouches for (a smoother's lower one may lie
    /// inside).
    ///
    /// # Errors
    /// As [`smoother`](Self::smoother); bounds that are not 0 < λ₋ ≤ λ₊.
    pub fn with_bounds(
        a: &(impl LinearOperator<T> + ?Sized),
        degree: usize,
        bounds: [f64; 2],
    ) -> Result<Self> {
        setup::check_bounds(bounds)?;
        if degree == 0 {
            return Err(Error::invalid("the degree", 0, "it must be at least 1"));
        }
        let d = positive_diagonal(a)?;
        check_symmetric(a)?;
        let zeros = vec![T::zero(); d.len()];
        let inverse = d.iter().map(|&d| T::one() / d).collect();
        Ok(Self { degree, bounds, inverse, residual: zeros.clone(), direction: zeros })
    }

    /// λ₋ and λ₊.
    pub fn bounds(&self) -> [f64; 2] {
        self.bounds
    }

    fn steps<A: LinearOperator<T> + ?Sized>(&mut self, a: &A, b: &[T], x: &mut [T], from_zero: bool) {
        let [min, max] = self.bounds;
        let centre = f64::midpoint(min, max);
        // ρₖ of the recurrence, with c = δ/θ, so that δ = 0 needs no case.
        let c = (max - min) / (max + min);
        let (mut keep, mut take) = (0.0, 1.0 / centre);
        let mut rho = c;
        for k in 0..self.degree {
            let zero = k == 0 && from_zero;
            if !zero {
                a.residual(b, x, &mut self.residual);
            }
            let r = if zero { b } else { &self.residual[..] };
            let weights = [T::of(keep), T::of(take)];
            dispatch(Step {
                first: k == 0,
                zero,
                weights,
                inverse: &self.inverse,
                r,
                d: &mut self.direction,
                x,
            });
            let next = c / (2.0 - c * rho);
            (keep, take) = (next * rho, 2.0 / (centre * (2.0 - c * rho)));
            rho = next;
        }
    }
}

impl<T: Real, A: LinearOperator<T> + ?Sized> Relaxation<T, A> for Chebyshev<T> {
    fn sweep(&mut self, a: &A, b: &[T], x: &mut [T]) {
        self.steps(a, b, x, false);
    }

    fn sweep_adjoint(&mut self, a: &A, b: &[T], x: &mut [T]) {
        self.steps(a, b, x, false);
    }

    fn sweep_from_zero(&mut self, a: &A, b: &[T], x: &mut [T]) {
        self.steps(a, b, x, true);
    }

    /// M⁻¹ = p(D⁻¹A) D⁻¹ is symmetric: A is.
    fn transpose_from_zero(&mut self, a: &A, b: &[T], x: &mut [T]) -> Result<()> {
        self.steps(a, b, x, true);
        Ok(())
    }

    fn is_spd(&self) -> bool {
        true
    }

    fn sweeps_are_spd(&self, sweeps: usize) -> bool {
        sweeps > 0
    }
}

/// d ← keep d + take D⁻¹ r, x ← x + d.
struct Step<'a, T> {
    /// d holds nothing yet.
    first: bool,
    /// x is 0, whatever it holds.
    zero: bool,
    weights: [T; 2],
    inverse: &'a [T],
    r: &'a [T],
    d: &'a mut [T],
    x: &'a mut [T],
}

impl<T: Real> Kernel for Step<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let [keep, take] = self.weights;
        let entries = self.x.iter_mut().zip(self.d).zip(self.r).zip(self.inverse);
        for (((x, d), &r), &inverse) in entries {
            let step = take * (inverse * r);
            *d = if self.first { step } else { keep.mul_add(*d, step) };
            *x = if self.zero { *d } else { *x + *d };
        }
    }
}

fn positive_diagonal<T: Real, A: LinearOperator<T> + ?Sized>(a: &A) -> Result<Vec<T>> {
    let d = setup::diagonal(a)?;
    if let Some(i) = d.iter().position(|&d| d < T::zero()) {
        let needed = "Chebyshev needs an SPD operator, whose diagonal is positive";
        return Err(Error::invalid(format!("the diagonal entry of row {i}"), d[i], needed));
    }
    Ok(d)
}

/// Ends of the spectrum of D⁻¹A, on the safe side as far as a few Lanczos steps know it.
fn estimate<T: Real, A: LinearOperator<T> + ?Sized>(a: &A, steps: usize) -> Result<[f64; 2]> {
    positive_diagonal(a)?;
    let ends = extreme_eigenvalues(a, &mut Jacobi::new(a, 1.0)?, steps)?;
    if ends.min <= 0.0 {
        let needed = "Chebyshev needs an SPD operator: use MINRES or GMRES";
        return Err(Error::invalid("an eigenvalue of D⁻¹A", ends.min, needed));
    }
    Ok([(ends.min - ends.min_error).max(0.25 * ends.min), ends.max + ends.max_error])
}

/// Au·v = u·Av for two vectors without pattern.
fn check_symmetric<T: Real, A: LinearOperator<T> + ?Sized>(a: &A) -> Result<()> {
    let n = a.rows();
    let noise = |seed: f64| -> Vec<T> {
        (0..n).map(|i| T::of((((i + 1) as f64 * seed).sin() * 43_758.545_3) % 1.0)).collect()
    };
    let (u, v) = (noise(12.9898), noise(78.233));
    let (mut au, mut av) = (vec![T::zero(); n], vec![T::zero(); n]);
    a.apply(&u, &mut au);
    a.apply(&v, &mut av);
    let difference = (vector::dot(&au, &v) - vector::dot(&u, &av)).abs();
    let size = vector::norm2(&au) * vector::norm2(&v) + vector::norm2(&u) * vector::norm2(&av);
    if difference <= 64.0 * T::EPSILON.f64() * size {
        return Ok(());
    }
    let given = format!("not symmetric (Au·v and u·Av differ by {difference:.1e})");
    Err(Error::invalid("the operator", given, "Chebyshev needs an SPD one: use GMRES or BiCGStab"))
}
