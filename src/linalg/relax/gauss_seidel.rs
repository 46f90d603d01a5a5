//! [`GaussSeidel`]: Gauss–Seidel, SOR and SSOR on sparse rows.

use super::setup;
use crate::error::Result;
use crate::linalg::{Csr, Relaxation};
use crate::num::{Kernel, Real, dispatch};

/// The order in which unknowns are updated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sweep {
    /// 0, 1, …, n − 1.
    #[default]
    Natural,
    /// n − 1, …, 1, 0.
    Reverse,
    /// Natural, then reverse: two updates of every unknown.
    Symmetric,
}

impl Sweep {
    /// The order of the adjoint sweep for symmetric A.
    pub fn adjoint(self) -> Self {
        match self {
            Self::Natural => Self::Reverse,
            Self::Reverse => Self::Natural,
            Self::Symmetric => Self::Symmetric,
        }
    }
}

/// Gauss–Seidel and its over-relaxation: in the order of the [`Sweep`],
/// xᵢ ← (1 − ω) xᵢ + ω (bᵢ − Σ_{j≠i} aᵢⱼ xⱼ)/aᵢᵢ with the newest xⱼ.
///
/// It converges for SPD A and every 0 < ω < 2 (Ostrowski and Reich); the best ω is
/// [`optimal_omega`](super::optimal_omega) for consistently ordered A. The unknowns depend on each
/// other in turn, so it runs on one thread.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussSeidel<T> {
    omega: T,
    order: Sweep,
    /// Where the diagonal stands in each row.
    pub(super) places: Vec<u32>,
    /// 1/aᵢᵢ.
    pub(super) inverse: Vec<T>,
    /// A = Aᵀ with a positive diagonal; looked at for symmetric sweeps only.
    symmetric: bool,
}

impl<T: Real> GaussSeidel<T> {
    /// Gauss–Seidel, ω = 1.
    ///
    /// # Errors
    /// A matrix that is not square, is empty, or has a zero on the diagonal (the row is named).
    pub fn new(a: &Csr<T>, order: Sweep) -> Result<Self> {
        Self::sor(a, 1.0, order)
    }

    /// Successive over-relaxation; with [`Sweep::Symmetric`] the symmetric one, SSOR.
    ///
    /// # Errors
    /// As [`new`](Self::new); ω outside (0, 2).
    pub fn sor(a: &Csr<T>, omega: f64, order: Sweep) -> Result<Self> {
        setup::check_omega(omega)?;
        let (places, d) = setup::diagonal_places(a)?;
        let symmetric =
            order == Sweep::Symmetric && d.iter().all(|&d| d > T::zero()) && setup::is_symmetric(a);
        let inverse = d.iter().map(|&d| T::one() / d).collect();
        Ok(Self { omega: T::of(omega), order, places, inverse, symmetric })
    }

    /// Changes ω; costs nothing.
    ///
    /// # Errors
    /// ω outside (0, 2).
    pub fn set_omega(&mut self, omega: f64) -> Result<()> {
        setup::check_omega(omega)?;
        self.omega = T::of(omega);
        Ok(())
    }

    fn rows<'a>(&'a self, a: &'a Csr<T>, b: &'a [T], x: &'a mut [T]) -> Rows<'a, T> {
        Rows { a, places: &self.places, inverse: &self.inverse, omega: self.omega, b, x }
    }

    fn sweep_in(&self, order: Sweep, a: &Csr<T>, b: &[T], x: &mut [T]) {
        if order != Sweep::Reverse {
            dispatch(Pass::<_, false, FULL>(self.rows(a, b, x)));
        }
        if order != Sweep::Natural {
            dispatch(Pass::<_, true, FULL>(self.rows(a, b, x)));
        }
    }

    /// `x` ← (D/ω + Lᵀ)⁻¹ `x`, or with Uᵀ.
    fn scatter<const LOWER: bool>(&self, a: &Csr<T>, x: &mut [T]) {
        dispatch(Scatter::<_, LOWER>(self.rows(a, &[], x)));
    }
}

impl<T: Real> Relaxation<T, Csr<T>> for GaussSeidel<T> {
    fn sweep(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        self.sweep_in(self.order, a, b, x);
    }

    fn sweep_adjoint(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        self.sweep_in(self.order.adjoint(), a, b, x);
    }

    fn sweep_from_zero(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        match self.order {
            Sweep::Reverse => dispatch(Pass::<_, true, ZERO>(self.rows(a, b, x))),
            Sweep::Natural => dispatch(Pass::<_, false, ZERO>(self.rows(a, b, x))),
            Sweep::Symmetric => {
                dispatch(Pass::<_, false, ZERO>(self.rows(a, b, x)));
                dispatch(Pass::<_, true, SECOND>(self.rows(a, b, x)));
            }
        }
    }

    fn transpose_from_zero(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) -> Result<()> {
        x.copy_from_slice(b);
        match self.order {
            Sweep::Natural => self.scatter::<true>(a, x),
            Sweep::Reverse => self.scatter::<false>(a, x),
            Sweep::Symmetric => {
                self.scatter::<false>(a, x);
                let factor = (T::of(2.0) - self.omega) / self.omega;
                x.iter_mut().zip(&self.inverse).for_each(|(x, &inverse)| *x *= factor / inverse);
                self.scatter::<true>(a, x);
            }
        }
        Ok(())
    }

    fn is_spd(&self) -> bool {
        self.symmetric
    }

    /// M − A = ((1−ω)D − ωL) D⁻¹ ((1−ω)D − ωL)ᵀ/(ω(2−ω)) ≥ 0, hence λ(M⁻¹A) ≤ 1 and any number of
    /// sweeps is SPD.
    fn sweeps_are_spd(&self, sweeps: usize) -> bool {
        self.symmetric && sweeps > 0
    }
}

struct Rows<'a, T> {
    a: &'a Csr<T>,
    places: &'a [u32],
    inverse: &'a [T],
    omega: T,
    b: &'a [T],
    x: &'a mut [T],
}

/// Update from any x.
const FULL: u8 = 0;
/// From x = 0: entries that were not yet updated are not read.
const ZERO: u8 = 1;
/// The reverse half of a symmetric sweep whose natural half began at x = 0. That half left
/// aᵢᵢxᵢ = ω(bᵢ − Σ_{j<i} aᵢⱼxⱼ), so that only the upper entries need to be read:
/// xᵢ ← (2 − ω)xᵢ − ω Σ_{j>i} aᵢⱼxⱼ/aᵢᵢ (the work of S. Eisenstat's trick).
const SECOND: u8 = 2;

struct Pass<'a, T, const REVERSE: bool, const MODE: u8>(Rows<'a, T>);

impl<T: Real, const REVERSE: bool, const MODE: u8> Kernel for Pass<'_, T, REVERSE, MODE> {
    type Output = ();

    /// The unknown that was just updated is kept in a register and enters last, so that one fused
    /// multiply-add is all that each unknown waits for.
    #[inline(always)]
    fn run(self) {
        let Rows { a, places, inverse, omega, b, x } = self.0;
        let n = places.len();
        let (b, x) = (&b[..n], &mut x[..n]);
        let rest = if MODE == SECOND { T::of(2.0) - omega } else { T::one() - omega };
        let mut last = T::zero();
        for step in 0..n {
            let i = if REVERSE { n - 1 - step } else { step };
            let (columns, values) = a.row(i);
            let place = places[i] as usize;
            let (mut new, mut old) = (0..place, place + 1..columns.len());
            let mut coupling = T::zero();
            if REVERSE {
                std::mem::swap(&mut new, &mut old);
                if !new.is_empty() && columns[new.start] as usize == i + 1 {
                    coupling = values[new.start];
                    new.start += 1;
                }
            } else if place > 0 && columns[place - 1] as usize + 1 == i {
                coupling = values[place - 1];
                new.end -= 1;
            }
            let mut sum = if MODE == SECOND { T::zero() } else { b[i] };
            if MODE == FULL {
                sum = subtract(sum, &columns[old.clone()], &values[old], x);
            }
            sum = subtract(sum, &columns[new.clone()], &values[new], x);
            let weight = omega * inverse[i];
            let start = if MODE == ZERO { weight * sum } else { rest.mul_add(x[i], weight * sum) };
            last = (-(weight * coupling)).mul_add(last, start);
            x[i] = last;
        }
    }
}

/// sum − Σ vₖ x_{cₖ}.
#[inline(always)]
pub(super) fn subtract<T: Real>(mut sum: T, columns: &[u32], values: &[T], x: &[T]) -> T {
    for (&j, &v) in columns.iter().zip(values) {
        sum = (-v).mul_add(x[j as usize], sum);
    }
    sum
}

struct Scatter<'a, T, const LOWER: bool>(Rows<'a, T>);

impl<T: Real, const LOWER: bool> Kernel for Scatter<'_, T, LOWER> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Rows { a, places, inverse, omega, x, .. } = self.0;
        let n = places.len();
        for step in 0..n {
            let i = if LOWER { n - 1 - step } else { step };
            let (columns, values) = a.row(i);
            let place = places[i] as usize;
            let part = if LOWER { 0..place } else { place + 1..columns.len() };
            let xi = omega * inverse[i] * x[i];
            x[i] = xi;
            for (&j, &v) in columns[part.clone()].iter().zip(&values[part]) {
                let j = j as usize;
                x[j] = (-v).mul_add(xi, x[j]);
            }
        }
    }
}
