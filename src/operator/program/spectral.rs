//! [`Spectral`]: the lowest Fourier modes of fields on a plane, and products mode by mode.
//!
//! With x̂[l, k] = Σ_{x,y} u[x, y] e^{−2πi(kx/n₀ + ly/n₁)} for k = 0 … m₀ − 1 along the first axis and
//! l = 0 … m₁ − 1, −m₁ … −1 along the second, a spectral convolution is
//!
//! ```text
//! v_o = (1/n₀n₁) Re Σ_{l,k} w_k (Σ_i W_{iolk} x̂_i[l, k]) e^{2πi(kx/n₀ + ly/n₁)}
//! ```
//!
//! w_k = 1 for k = 0 and k = n₀/2 and 2 else: the real inverse transform of the half spectrum whose
//! other modes are 0 (Z. Li et al., *Fourier Neural Operator for Parametric Partial Differential
//! Equations*, ICLR 2021, section 4; PyTorch's `rfft2` and `irfft2`, the last axis there being the first
//! here).
//!
//! **Products of matrices, not an FFT.** Only 2m₁m₀ of the modes are wanted, a few hundred: two thin
//! real products (n₀ → 2m₀ numbers a row, then n₁ → 4m₁ a column) take 8 m₀ (n₁n₀ + …) operations where
//! a whole transform takes 5/2 n₀n₁ log₂ n₀n₁ less regular ones, about as many at 256² for 12 modes; they
//! serve every extent alike, prime or not, allocate nothing, and the adjoint is the same product
//! transposed. A synthesis is D applied before the adjoint of the analysis, D = w_k/(n₀n₁), which is
//! all the reverse pass needs.

use crate::error::{Error, Result};
use crate::nn::{Layout, Role};
use crate::num::{Kernel, Real, dispatch};
use std::f64::consts::PI;
use std::ops::Range;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Spectral {
    extents: [usize; 2],
    modes: [usize; 2],
    /// cos, then −sin, of 2πkx/n₀, k after k.
    first: Vec<f64>,
    /// cos, then sin, of 2πly/n₁, l after l.
    second: Vec<f64>,
    /// D.
    factors: Vec<f64>,
}

impl Spectral {
    /// With `modes` [m₀, m₁] of fields with these extents.
    ///
    /// # Errors
    /// No modes, more than the extents have: n₀/2 + 1 and n₁/2.
    pub fn new([nx, ny]: [usize; 2], modes: [usize; 2]) -> Result<Self> {
        for (axis, (most, given)) in [nx / 2 + 1, ny / 2].into_iter().zip(modes).enumerate() {
            if given == 0 || given > most {
                let extent = [nx, ny][axis];
                let needed = format!("1 to {most} are possible for {extent} points");
                return Err(Error::invalid(format!("the number of modes along axis {axis}"), given, needed));
            }
        }
        let table = |waves: &[usize], n: usize, sign: f64| -> Vec<f64> {
            let of = |f: fn(f64) -> f64, sign: f64| {
                let at = move |k: usize, x: usize| sign * f(2.0 * PI * (k * x % n) as f64 / n as f64);
                waves.iter().flat_map(move |&k| (0..n).map(move |x| at(k, x)))
            };
            of(f64::cos, 1.0).chain(of(f64::sin, sign)).collect()
        };
        let [half, full] = modes;
        let along: Vec<usize> = (0..half).collect();
        let across: Vec<usize> = (0..full).chain(ny - full..ny).collect();
        let weight = |k: usize| if k == 0 || 2 * k == nx { 1.0 } else { 2.0 };
        Ok(Self {
            extents: [nx, ny],
            modes,
            first: table(&along, nx, -1.0),
            second: table(&across, ny, 1.0),
            factors: along.iter().map(|&k| weight(k) / (nx * ny) as f64).collect(),
        })
    }

    /// Complex modes of a field.
    pub fn len(&self) -> usize {
        2 * self.modes[1] * self.modes[0]
    }

    fn points(&self) -> usize {
        self.extents[0] * self.extents[1]
    }

    /// Appends the weights `[inputs, outputs, 2, 2m₁, m₀]`, real parts, then imaginary ones. Their
    /// initial bound is the published 1/(inputs · outputs), as the square root of what is called the fan-in.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn push(&self, layout: &mut Layout, name: &str, [from, to]: [usize; 2]) -> Result<Range<usize>> {
        let role = Role::Weight { fan_in: (from * to).pow(2), fan_out: (from * to).pow(2) };
        let shape = [from, to, 2, 2 * self.modes[1], self.modes[0]];
        layout.push(format!("{name}.weight"), &shape, role)
    }

    /// `x` ↦ `spectra`: for each channel the real parts, then the imaginary ones, k fastest; with `scaled`
    /// times D. In `work` the tables and the way there.
    pub fn analyse<T: Real>(&self, scaled: bool, x: &[T], spectra: &mut [T], work: &mut Vec<T>) {
        let ([nx, ny], [half, full]) = (self.extents, [self.modes[0], 2 * self.modes[1]]);
        let Work { first, second, factors, rows, block } = self.work(scaled, x.len() / self.points(), work);
        T::gemm([2 * half, x.len() / nx, nx], T::one(), (first, true), (x, false), T::zero(), rows);
        let channels = rows.chunks_exact(2 * half * ny).zip(spectra.chunks_exact_mut(2 * full * half));
        for (rows, spectrum) in channels {
            T::gemm([2 * half, 2 * full, ny], T::one(), (rows, false), (second, false), T::zero(), block);
            let (cosines, sines) = block.split_at(2 * half * full);
            let (re, im) = spectrum.split_at_mut(full * half);
            let columns = cosines.chunks_exact(2 * half).zip(sines.chunks_exact(2 * half));
            let lines = re.chunks_exact_mut(half).zip(im.chunks_exact_mut(half));
            for ((c, s), (re, im)) in columns.zip(lines) {
                for k in 0..half {
                    re[k] = factors[k] * (c[k] + s[half + k]);
                    im[k] = factors[k] * (c[half + k] - s[k]);
                }
            }
        }
    }

    /// The adjoint of [`analyse`](Self::analyse): `spectra` ↦ `x`; with `scaled` the inverse transform.
    pub fn synthesise<T: Real>(&self, scaled: bool, spectra: &[T], x: &mut [T], work: &mut Vec<T>) {
        let ([nx, ny], [half, full]) = (self.extents, [self.modes[0], 2 * self.modes[1]]);
        let Work { first, second, factors, rows, block } = self.work(scaled, x.len() / self.points(), work);
        let channels = rows.chunks_exact_mut(2 * half * ny).zip(spectra.chunks_exact(2 * full * half));
        for (rows, spectrum) in channels {
            let (cosines, sines) = block.split_at_mut(2 * half * full);
            let (re, im) = spectrum.split_at(full * half);
            let columns = cosines.chunks_exact_mut(2 * half).zip(sines.chunks_exact_mut(2 * half));
            let lines = re.chunks_exact(half).zip(im.chunks_exact(half));
            for ((c, s), (re, im)) in columns.zip(lines) {
                for k in 0..half {
                    let [re, im] = [factors[k] * re[k], factors[k] * im[k]];
                    (c[k], c[half + k], s[k], s[half + k]) = (re, im, -im, re);
                }
            }
            T::gemm([2 * half, ny, 2 * full], T::one(), (block, false), (second, true), T::zero(), rows);
        }
        T::gemm([nx, x.len() / nx, 2 * half], T::one(), (first, false), (rows, false), T::zero(), x);
    }

    fn work<'a, T: Real>(&self, scaled: bool, channels: usize, work: &'a mut Vec<T>) -> Work<'a, T> {
        let [half, full] = [self.modes[0], 2 * self.modes[1]];
        let block = 4 * half * full;
        let lengths =
            [self.first.len(), self.second.len(), half, 2 * half * self.extents[1] * channels, block];
        let total = lengths.iter().sum();
        if work.len() < total {
            work.resize(total, T::zero());
        }
        let (first, rest) = work.split_at_mut(lengths[0]);
        let (second, rest) = rest.split_at_mut(lengths[1]);
        let (factors, rest) = rest.split_at_mut(lengths[2]);
        let (rows, rest) = rest.split_at_mut(lengths[3]);
        let fill = |to: &mut [T], from: &[f64]| to.iter_mut().zip(from).for_each(|(to, v)| *to = T::of(*v));
        fill(first, &self.first);
        fill(second, &self.second);
        fill(factors, &self.factors);
        if !scaled {
            factors.fill(T::one());
        }
        Work { first, second, factors, rows, block: &mut rest[..block] }
    }

    /// ŷ_o = Σ_i W_io x̂_i, mode by mode.
    pub fn forward<T: Real>(&self, weights: &[T], x: &[T], y: &mut [T]) {
        y.fill(T::zero());
        dispatch(Forward { modes: self.len(), weights, x, y });
    }

    /// `x_bar` ← the cotangent of x, where it is wanted. ACCUMULATES: `weight_bar` += that of the weights.
    pub fn backward<T: Real>(
        &self,
        weights: &[T],
        [x, y_bar]: [&[T]; 2],
        x_bar: Option<&mut [T]>,
        weight_bar: &mut [T],
    ) {
        if let Some(x_bar) = x_bar {
            x_bar.fill(T::zero());
            dispatch(Backward { modes: self.len(), weights, y_bar, x_bar });
        }
        dispatch(Weights { modes: self.len(), x, y_bar, weight_bar });
    }
}

/// Memory of a transform.
struct Work<'a, T> {
    first: &'a [T],
    second: &'a [T],
    factors: &'a [T],
    rows: &'a mut [T],
    block: &'a mut [T],
}

/// ACCUMULATES: y += W x.
struct Forward<'a, T> {
    modes: usize,
    weights: &'a [T],
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let m = self.modes;
        let rows = self.weights.chunks_exact(self.y.len());
        for (x, rows) in self.x.chunks_exact(2 * m).zip(rows) {
            let (xr, xi) = (&x[..m], &x[m..][..m]);
            for (y, w) in self.y.chunks_exact_mut(2 * m).zip(rows.chunks_exact(2 * m)) {
                let (wr, wi) = (&w[..m], &w[m..][..m]);
                let (yr, yi) = y.split_at_mut(m);
                let (yr, yi) = (&mut yr[..m], &mut yi[..m]);
                for k in 0..m {
                    yr[k] = (-wi[k]).mul_add(xi[k], wr[k].mul_add(xr[k], yr[k]));
                    yi[k] = wi[k].mul_add(xr[k], wr[k].mul_add(xi[k], yi[k]));
                }
            }
        }
    }
}

/// ACCUMULATES: x̄ += Wᴴ ȳ.
struct Backward<'a, T> {
    modes: usize,
    weights: &'a [T],
    y_bar: &'a [T],
    x_bar: &'a mut [T],
}

impl<T: Real> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let m = self.modes;
        let rows = self.weights.chunks_exact(self.y_bar.len());
        for (x, rows) in self.x_bar.chunks_exact_mut(2 * m).zip(rows) {
            let (xr, xi) = x.split_at_mut(m);
            let (xr, xi) = (&mut xr[..m], &mut xi[..m]);
            for (y, w) in self.y_bar.chunks_exact(2 * m).zip(rows.chunks_exact(2 * m)) {
                let (wr, wi) = (&w[..m], &w[m..][..m]);
                let (yr, yi) = (&y[..m], &y[m..][..m]);
                for k in 0..m {
                    xr[k] = wi[k].mul_add(yi[k], wr[k].mul_add(yr[k], xr[k]));
                    xi[k] = (-wi[k]).mul_add(yr[k], wr[k].mul_add(yi[k], xi[k]));
                }
            }
        }
    }
}

/// ACCUMULATES: W̄ += ȳ x̂ᴴ.
struct Weights<'a, T> {
    modes: usize,
    x: &'a [T],
    y_bar: &'a [T],
    weight_bar: &'a mut [T],
}

impl<T: Real> Kernel for Weights<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let m = self.modes;
        let rows = self.weight_bar.chunks_exact_mut(self.y_bar.len());
        for (x, rows) in self.x.chunks_exact(2 * m).zip(rows) {
            let (xr, xi) = (&x[..m], &x[m..][..m]);
            for (y, w) in self.y_bar.chunks_exact(2 * m).zip(rows.chunks_exact_mut(2 * m)) {
                let (wr, wi) = w.split_at_mut(m);
                let (wr, wi) = (&mut wr[..m], &mut wi[..m]);
                let (yr, yi) = (&y[..m], &y[m..][..m]);
                for k in 0..m {
                    // The product first: see `Program::direct`.
                    wr[k] += xi[k].mul_add(yi[k], xr[k] * yr[k]);
                    wi[k] += (-xi[k]).mul_add(yr[k], xr[k] * yi[k]);
                }
            }
        }
    }
}
