//! [`Rows`]: I + L + Lᵀ by rows in their natural order, for matrices without wide, banded levels.
//!
//! Each sweep is a chain with one fused multiply-add an unknown: see `precondition/factors.rs`.

use super::pattern::Entries;
use crate::linalg::precondition::Triangle;
use crate::linalg::vector::{axpy, combine, dot, norm_squared, xpby};
use crate::num::{Kernel, Real, dispatch};

/// D^−½ A D^−½ = I + L + Lᵀ.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows<T> {
    lower: Triangle<T>,
    upper: Triangle<T>,
    diagonal: Vec<T>,
    /// D^−½.
    root: Vec<T>,
}

impl<T: Real> Rows<T> {
    /// Values are not set.
    pub(super) fn of(entries: &Entries) -> Self {
        let n = entries.len();
        let triangle = |lower| Triangle::new(n, lower, |_, _| ());
        Self {
            lower: triangle(true),
            upper: triangle(false),
            diagonal: vec![T::zero(); n],
            root: vec![T::zero(); n],
        }
    }

    pub(super) fn places(&self) -> usize {
        self.root.len()
    }

    /// Takes the values of the matrix.
    pub(super) fn refill(&mut self, entries: &Entries, from: &[T]) {
        let Self { lower, upper, diagonal, root } = self;
        for (i, &source) in entries.diagonal().iter().enumerate() {
            diagonal[i] = from[source as usize];
            root[i] = T::one() / diagonal[i].sqrt();
        }
        for (triangle, is_lower) in [(lower, true), (upper, false)] {
            triangle.fill(is_lower, |i, put| {
                for e in entries.triangle(i, is_lower) {
                    let j = entries.columns()[e] as usize;
                    put(j, from[e] * root[i] * root[j]);
                }
            });
        }
    }

    pub(super) fn enter(&self, from: &[T], to: &mut [T]) {
        for ((to, &from), &root) in to.iter_mut().zip(from).zip(&self.root) {
            *to = root * from;
        }
    }

    pub(super) fn leave(&self, from: &[T], to: &mut [T]) {
        for ((to, &from), &root) in to.iter_mut().zip(from).zip(&self.root) {
            *to = root.mul_add(from, *to);
        }
    }

    pub(super) fn advance(&self, omega: f64, [alpha, beta]: [f64; 2], r: &[T], [p, x, t]: [&mut [T]; 3]) {
        axpy(alpha, p, x);
        xpby(r, beta, p);
        self.solve_upper(omega, p, t);
    }

    /// `t` ← (I/ω + Lᵀ)⁻¹ `p`.
    pub(super) fn solve_upper(&self, omega: f64, p: &[T], t: &mut [T]) {
        dispatch(Sweep::<_, false> { triangle: &self.upper, omega: T::of(omega), p, t: None, w: t });
    }

    /// `w` ← (I/ω + L)⁻¹ (`p` + (1 − 2/ω) `t`); returns p·(t + w).
    pub(super) fn forward(&self, omega: f64, p: &[T], t: &[T], w: &mut [T]) -> f64 {
        dispatch(Sweep::<_, true> { triangle: &self.lower, omega: T::of(omega), p, t: Some(t), w });
        dot(p, t) + dot(p, w)
    }

    /// `r` ← `r` − α (`t` + `w`); ‖r‖² and ‖D^½ (I/ω + L) r‖².
    pub(super) fn update(&self, omega: f64, alpha: f64, [t, w]: [&[T]; 2], r: &mut [T]) -> [f64; 2] {
        combine(-alpha, t, -alpha, w, 1.0, r);
        let residual = dispatch(Residual { rows: self, inverse: T::of(1.0 / omega), r });
        [norm_squared(r), residual]
    }
}

/// w ← (I/ω + L)⁻¹ (p + (1 − 2/ω) t), without t where there is none; with the upper triangle from behind.
struct Sweep<'a, T, const LOWER: bool> {
    triangle: &'a Triangle<T>,
    omega: T,
    p: &'a [T],
    t: Option<&'a [T]>,
    w: &'a mut [T],
}

impl<T: Real, const LOWER: bool> Kernel for Sweep<'_, T, LOWER> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { triangle, omega, p, t, w } = self;
        let n = triangle.near.len();
        let (near, starts) = (&triangle.near[..n], &triangle.starts[..=n]);
        let (p, w) = (&p[..n], &mut w[..n]);
        let middle = omega - T::of(2.0);
        let mut last = T::zero();
        for step in 0..n {
            let i = if LOWER { step } else { n - 1 - step };
            let row = starts[i] as usize..starts[i + 1] as usize;
            let mut sum = p[i];
            for (&j, &v) in triangle.columns[row.clone()].iter().zip(&triangle.values[row]) {
                sum = (-v).mul_add(w[j as usize], sum);
            }
            let start = match t {
                Some(t) => omega.mul_add(sum, middle * t[i]),
                None => omega * sum,
            };
            last = (-(omega * near[i])).mul_add(last, start);
            w[i] = last;
        }
    }
}

/// ‖D^½ (I/ω + L) r‖².
struct Residual<'a, T> {
    rows: &'a Rows<T>,
    inverse: T,
    r: &'a [T],
}

impl<T: Real> Kernel for Residual<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let Self { rows: Rows { lower, diagonal, .. }, inverse, r } = self;
        let n = lower.near.len();
        let (near, starts, diagonal, r) = (&lower.near[..n], &lower.starts[..=n], &diagonal[..n], &r[..n]);
        let (mut last, mut total) = (T::zero(), 0.0);
        for i in 0..n {
            let row = starts[i] as usize..starts[i + 1] as usize;
            let mut sum = near[i].mul_add(last, inverse * r[i]);
            for (&j, &v) in lower.columns[row.clone()].iter().zip(&lower.values[row]) {
                sum = v.mul_add(r[j as usize], sum);
            }
            last = r[i];
            total = (diagonal[i] * sum).f64().mul_add(sum.f64(), total);
        }
        total
    }
}
