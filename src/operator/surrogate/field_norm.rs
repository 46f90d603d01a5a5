//! [`FieldNorm`]: L2 and H1 norms of fields on grids.

use crate::error::{Error, Result};
use crate::linalg::vector::norm_squared;
use crate::nn::conv::Padding;
use crate::num::{Kernel, Real, dispatch};
use std::f64::consts::PI;

/// A norm of fields on a grid, ‖e‖² = Σ e² + Σₐ eᵀ Mₐ e with a symmetric positive semidefinite matrix
/// along each axis; the fields of several channels are added up. The cells' volume is left out, which
/// relative norms do not see.
///
/// A relative loss ‖y − q‖/‖q‖ is [`relative`](Self::relative) of e = y − q with the size
/// [`norm`](Self::norm)(q), computed once for each target.
///
/// ```
/// use odeon::nn::conv::Padding;
/// use odeon::operator::surrogate::FieldNorm;
///
/// // Differences of a field that is 0 beyond its sides, h = 1/4: 1 + 4 + 9, and (1 + 1 + 1 + 9)·16.
/// let h1 = FieldNorm::<f64>::differences(&[3], &[0.25], [[Padding::Zero; 2]; 3])?;
/// assert_eq!(h1.norm(&[1.0, 2.0, 3.0])?, (14.0f64 + 12.0 * 16.0).sqrt());
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FieldNorm<T> {
    extents: [usize; 3],
    axes: [Axis<T>; 3],
}

/// Mₐ.
#[derive(Clone, Debug)]
enum Axis<T> {
    Zero,
    /// Σ (difference)²/h² over the inner faces, and over the outer ones whose field beyond is 0 or the
    /// field itself.
    Differences {
        weight: T,
        sides: [Padding; 2],
    },
    /// Column-major, symmetric.
    Matrix(Vec<T>),
}

impl<T: Real> FieldNorm<T> {
    /// √Σ e².
    ///
    /// # Errors
    /// Not 1 to 3 axes, an empty one.
    pub fn l2(extents: &[usize]) -> Result<Self> {
        Ok(Self { extents: checked(extents)?, axes: [Axis::Zero, Axis::Zero, Axis::Zero] })
    }

    /// The H1 norm by differences, Σ e² + Σ over faces of ((e₊ − e₋)/h)², exact for what the grid knows:
    /// beyond a side stand zeros at distance h ([`Padding::Zero`], for fields of interior vertices of a
    /// Dirichlet problem), the field again (periodic), or nothing ([`Padding::Reflect`]).
    ///
    /// # Errors
    /// As [`l2`](Self::l2); spacings that are not positive and finite, an axis periodic on one side only.
    pub fn differences(extents: &[usize], spacing: &[f64], sides: [[Padding; 2]; 3]) -> Result<Self> {
        let mut norm = Self::l2(extents)?;
        check_lengths("the spacing", extents.len(), spacing)?;
        for (axis, (h, sides)) in spacing.iter().zip(sides).enumerate() {
            let wraps = sides.map(|s| s == Padding::Circular);
            if wraps[0] != wraps[1] {
                let needed = "a periodic side needs the opposite one to be periodic too";
                return Err(Error::invalid(
                    format!("the sides of axis {axis}"),
                    format!("{sides:?}"),
                    needed,
                ));
            }
            norm.axes[axis] = Axis::Differences { weight: T::of(1.0 / (h * h)), sides };
        }
        Ok(norm)
    }

    /// The H1 norm of the field's trigonometric interpolant on a periodic box of these lengths,
    /// Σ (1 + |2πk/L|²) |ê_k|² over all wavenumbers, ê the orthonormal discrete Fourier transform. A field
    /// that is not periodic is wrapped around: its jump counts.
    ///
    /// # Errors
    /// As [`l2`](Self::l2); lengths that are not positive and finite.
    pub fn spectral(extents: &[usize], lengths: &[f64]) -> Result<Self> {
        let mut norm = Self::l2(extents)?;
        check_lengths("the box", extents.len(), lengths)?;
        for (axis, (&n, length)) in extents.iter().zip(lengths).enumerate() {
            let factor = (2.0 * PI / length).powi(2);
            norm.axes[axis] = Axis::Matrix(circulant(n, |k| factor * (k * k) as f64));
        }
        Ok(norm)
    }

    /// The norm the authors of MgNO train with: Σ (1 + Σₐ κₐ²) |ê_k|² with κₐ = kₐ without 2π for
    /// |kₐ| < 20 and 0 beyond, so that derivatives of what is finer than 20 periods do not count.
    ///
    /// # Errors
    /// As [`l2`](Self::l2).
    pub fn published(extents: &[usize]) -> Result<Self> {
        let mut norm = Self::l2(extents)?;
        for (axis, &n) in extents.iter().enumerate() {
            norm.axes[axis] = Axis::Matrix(circulant(n, |k| if k < 20 { (k * k) as f64 } else { 0.0 }));
        }
        Ok(norm)
    }

    /// Points of a field.
    pub fn points(&self) -> usize {
        self.extents.iter().product()
    }

    fn check(&self, what: &'static str, length: usize) -> Result<()> {
        let points = self.points();
        if length == 0 || !length.is_multiple_of(points) {
            let needed = format!("a multiple of {points} (points of the grid), at least one field");
            return Err(Error::Length { what, given: length, needed });
        }
        Ok(())
    }

    /// ‖e‖.
    ///
    /// # Errors
    /// A length that is not a multiple of the points, a NaN or infinity, squares that overflow.
    pub fn norm(&self, e: &[T]) -> Result<f64> {
        self.check("e", e.len())?;
        Error::check_finite("e", e)?;
        let mut product = e.to_vec();
        let norm = self.product(e, &mut product).sqrt();
        match norm.is_finite() {
            true => Ok(norm),
            false => Err(Error::invalid("the norm of the field", norm, "its squares must not overflow")),
        }
    }

    /// ‖e‖/`size`, and its gradient, (e + Σ Mₐ e)/(‖e‖ size), into `e_bar`; at e = 0 the gradient 0 is
    /// taken. Allocates nothing.
    ///
    /// # Errors
    /// A length that is not a multiple of the points, an `e_bar` of another length, a size that is not
    /// positive (a target that vanishes has no relative error).
    pub fn relative(&self, e: &[T], size: f64, e_bar: &mut [T]) -> Result<f64> {
        self.check("e", e.len())?;
        Error::check_len("e_bar", e_bar.len(), e.len(), "the length of e")?;
        if size.is_nan() || size <= 0.0 {
            let needed = "a relative error needs a target that does not vanish";
            return Err(Error::invalid("the norm of the target", size, needed));
        }
        let norm = self.product(e, e_bar).sqrt();
        let factor = if norm == 0.0 { T::zero() } else { T::of(1.0 / (norm * size)) };
        e_bar.iter_mut().for_each(|bar| *bar *= factor);
        Ok(norm / size)
    }

    /// `out` ← e + Σ Mₐ e; ‖e‖².
    fn product(&self, e: &[T], out: &mut [T]) -> f64 {
        out.copy_from_slice(e);
        let mut inner = 1;
        for (axis, &n) in self.axes.iter().zip(&self.extents) {
            match axis {
                Axis::Zero => {}
                Axis::Differences { weight, sides } => {
                    dispatch(Differences { weight: *weight, sides: *sides, shape: [inner, n], e, out });
                }
                Axis::Matrix(m) => multiply(m, [inner, n], e, out),
            }
            inner *= n;
        }
        match self.axes {
            [Axis::Zero, Axis::Zero, Axis::Zero] => norm_squared(e),
            _ => e.iter().zip(out.iter()).map(|(e, q)| e.f64() * q.f64()).sum(),
        }
    }
}

/// ACCUMULATES: `out` += M e along an axis of n points that are `inner` apart.
fn multiply<T: Real>(m: &[T], [inner, n]: [usize; 2], e: &[T], out: &mut [T]) {
    if inner == 1 {
        return T::gemm([n, e.len() / n, n], T::one(), (m, false), (e, false), T::one(), out);
    }
    for (e, out) in e.chunks_exact(inner * n).zip(out.chunks_exact_mut(inner * n)) {
        T::gemm([inner, n, n], T::one(), (e, false), (m, false), T::one(), out);
    }
}

/// ACCUMULATES: `out` += weight DᵀD e, D the differences along an axis.
struct Differences<'a, T> {
    weight: T,
    sides: [Padding; 2],
    /// Distance of neighbours, points of the axis.
    shape: [usize; 2],
    e: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for Differences<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { weight, sides, shape: [inner, n], e, out } = self;
        let block = inner * n;
        for (e, out) in e.chunks_exact(block).zip(out.chunks_exact_mut(block)) {
            for low in 0..block - inner {
                let flux = weight * (e[low + inner] - e[low]);
                out[low] -= flux;
                out[low + inner] += flux;
            }
            let last = block - inner;
            for i in 0..inner {
                if sides[0] == Padding::Circular {
                    let flux = weight * (e[i] - e[last + i]);
                    out[last + i] -= flux;
                    out[i] += flux;
                    continue;
                }
                if sides[0] == Padding::Zero {
                    out[i] = weight.mul_add(e[i], out[i]);
                }
                if sides[1] == Padding::Zero {
                    out[last + i] = weight.mul_add(e[last + i], out[last + i]);
                }
            }
        }
    }
}

/// F* diag(w(|k|)) F for the orthonormal Fourier transform F of n points, k = −⌊n/2⌋ … ⌈n/2⌉ − 1: entry
/// (i, j) is (1/n) Σ_k w(|k|) cos(2πk(i − j)/n).
fn circulant<T: Real>(n: usize, weight: impl Fn(usize) -> f64) -> Vec<T> {
    let cosines: Vec<f64> = (0..n).map(|i| (2.0 * PI * i as f64 / n as f64).cos()).collect();
    let entry = |d: usize| -> f64 {
        let term = |m: usize| weight(m.min(n - m)) * cosines[m * d % n];
        (0..n).map(term).sum::<f64>() / n as f64
    };
    let line: Vec<T> = (0..n).map(|d| T::of(entry(d))).collect();
    (0..n * n).map(|at| line[(at % n).abs_diff(at / n)]).collect()
}

fn checked(extents: &[usize]) -> Result<[usize; 3]> {
    if !(1..=3).contains(&extents.len()) || extents.contains(&0) {
        let needed = "1 to 3 axes of at least one point are needed";
        return Err(Error::invalid("the extents of the field", format!("{extents:?}"), needed));
    }
    let mut all = [1; 3];
    all[..extents.len()].copy_from_slice(extents);
    Ok(all)
}

fn check_lengths(what: &'static str, axes: usize, lengths: &[f64]) -> Result<()> {
    Error::check_len(what, lengths.len(), axes, "one for each axis")?;
    match lengths.iter().find(|l| !(l.is_finite() && **l > 0.0)) {
        Some(l) => Err(Error::invalid(what, l, "it must be positive and finite")),
        None => Ok(()),
    }
}
