//! Layer normalisation y = γ ⊙ (x − μ)/√(σ² + ε) + β per column, μ and σ² (divided by n) over the
//! column's n rows (Ba, Kiros & Hinton 2016, eq. 4, as PyTorch's `LayerNorm`).

use crate::num::Real;
use std::ops::Range;

/// Shape and parameter places of a layer normalisation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LayerNorm {
    pub dim: usize,
    pub epsilon: f64,
    pub gain: Range<usize>,
    pub shift: Range<usize>,
}

impl LayerNorm {
    /// Mean and 1/√(σ² + ε) of a column, by two passes.
    fn moments<T: Real>(&self, x: &[T]) -> (T, T) {
        let n = T::of(self.dim as f64);
        let mean = x.iter().copied().sum::<T>() / n;
        let squares: T = x.iter().map(|&v| (v - mean) * (v - mean)).sum();
        let variance = squares / n;
        (mean, T::of(1.0) / (variance + T::of(self.epsilon)).sqrt())
    }

    /// `y` ← the normalised `x`.
    pub fn forward<T: Real>(&self, x: &[T], theta: &[T], y: &mut [T]) {
        let (gain, shift) = (&theta[self.gain.clone()], &theta[self.shift.clone()]);
        for (x, y) in x.chunks_exact(self.dim).zip(y.chunks_exact_mut(self.dim)) {
            let (mean, scale) = self.moments(x);
            for i in 0..self.dim {
                y[i] = gain[i].mul_add((x[i] - mean) * scale, shift[i]);
            }
        }
    }

    /// ACCUMULATES γ̄ and β̄ and overwrites `x_bar`: with x̂ the standardised column and
    /// g = γ ⊙ ȳ, x̄ = (g − mean(g) − x̂ mean(g ⊙ x̂))/√(σ² + ε).
    pub fn reverse<T: Real>(
        &self,
        x: &[T],
        (theta, theta_bar): (&[T], &mut [T]),
        y_bar: &[T],
        x_bar: &mut [T],
    ) {
        for (start, x) in (0..).step_by(self.dim).zip(x.chunks_exact(self.dim)) {
            let y_bar = &y_bar[start..start + self.dim];
            let (mean, scale) = self.moments(x);
            for i in 0..self.dim {
                theta_bar[self.gain.start + i] += y_bar[i] * ((x[i] - mean) * scale);
                theta_bar[self.shift.start + i] += y_bar[i];
            }
        }
        x_bar.fill(T::of(0.0));
        self.pull(x, theta, y_bar, x_bar);
    }

    /// ACCUMULATES x̄ of [`reverse`](Self::reverse) for the γ that `theta` has.
    pub fn pull<T: Real>(&self, x: &[T], theta: &[T], y_bar: &[T], x_bar: &mut [T]) {
        let n = T::of(self.dim as f64);
        let gain = &theta[self.gain.clone()];
        for (start, x) in (0..).step_by(self.dim).zip(x.chunks_exact(self.dim)) {
            let y_bar = &y_bar[start..start + self.dim];
            let x_bar = &mut x_bar[start..start + self.dim];
            let (mean, scale) = self.moments(x);
            let (mut sum, mut along) = (T::of(0.0), T::of(0.0));
            for i in 0..self.dim {
                let g = gain[i] * y_bar[i];
                sum += g;
                along = g.mul_add((x[i] - mean) * scale, along);
            }
            for i in 0..self.dim {
                let standard = (x[i] - mean) * scale;
                x_bar[i] += scale * (gain[i] * y_bar[i] - (sum + standard * along) / n);
            }
        }
    }

    /// `y_dot` ← γ ⊙ (ẋ − mean(ẋ) − x̂ mean(ẋ ⊙ x̂))/√(σ² + ε) + γ̇ ⊙ x̂ + β̇, for one direction or several, one block
    /// after the other; an empty `theta_dot` is zero.
    pub fn tangent<T: Real>(
        &self,
        (x, x_dots): (&[T], &[T]),
        (theta, theta_dot): (&[T], &[T]),
        y_dots: &mut [T],
    ) {
        let (n, size) = (T::of(self.dim as f64), x.len());
        let gain = &theta[self.gain.clone()];
        for (start, x) in (0..).step_by(self.dim).zip(x.chunks_exact(self.dim)) {
            let (mean, scale) = self.moments(x);
            for block in (0..x_dots.len()).step_by(size) {
                let here = block + start..block + start + self.dim;
                let (x_dot, y_dot) = (&x_dots[here.clone()], &mut y_dots[here]);
                let sum: T = x_dot.iter().copied().sum();
                let mut along = T::of(0.0);
                for i in 0..self.dim {
                    along = x_dot[i].mul_add((x[i] - mean) * scale, along);
                }
                for i in 0..self.dim {
                    let standard = (x[i] - mean) * scale;
                    y_dot[i] = gain[i] * scale * (x_dot[i] - (sum + standard * along) / n);
                    if !theta_dot.is_empty() {
                        y_dot[i] +=
                            theta_dot[self.gain.start + i].mul_add(standard, theta_dot[self.shift.start + i]);
                    }
                }
            }
        }
    }

    /// The reverse of the pair (y, ẏ) of [`forward`](Self::forward) and [`tangent`](Self::tangent)
    /// at θ̇ = 0, for one direction or several: ACCUMULATES γ̄ and β̄ and overwrites `x_bar` and `x_dot_bar`.
    ///
    /// With u the cotangent of ẏ, w = γ ⊙ u, s = 1/√(σ² + ε), means m(·), centred w′ and ẋ′,
    /// p = m(w ⊙ x̂) and q = m(ẋ ⊙ x̂), the new part is u·ẏ = n s (m(w′ ⊙ ẋ′) − pq), so that
    /// x̄ −= s² (x̂ (m(w′ ⊙ ẋ′) − 3pq) + q w′ + p ẋ′) and ẋ's cotangent is s (w′ − p x̂).
    pub fn reverse_tangent<T: Real>(
        &self,
        (x, x_dot): (&[T], &[T]),
        (theta, theta_bar): (&[T], &mut [T]),
        [y_bar, y_dot_bar]: [&[T]; 2],
        [x_bar, x_dot_bar]: [&mut [T]; 2],
    ) {
        self.reverse(x, (theta, &mut *theta_bar), y_bar, x_bar);
        let (n, size) = (T::of(self.dim as f64), x.len());
        let gain = &theta[self.gain.clone()];
        let gain_bar = &mut theta_bar[self.gain.clone()];
        for (start, x) in (0..).step_by(self.dim).zip(x.chunks_exact(self.dim)) {
            let (mean, s) = self.moments(x);
            let standard = |i: usize| (x[i] - mean) * s;
            let x_bar = &mut x_bar[start..start + self.dim];
            for block in (0..x_dot.len()).step_by(size) {
                let here = block + start..block + start + self.dim;
                let (x_dot, u) = (&x_dot[here.clone()], &y_dot_bar[here.clone()]);
                let x_dot_bar = &mut x_dot_bar[here];
                let (mut w_mean, mut dot_mean) = (T::of(0.0), T::of(0.0));
                for i in 0..self.dim {
                    w_mean = gain[i].mul_add(u[i], w_mean);
                    dot_mean += x_dot[i];
                }
                (w_mean, dot_mean) = (w_mean / n, dot_mean / n);
                let centred = |i: usize| (gain[i] * u[i] - w_mean, x_dot[i] - dot_mean);
                let (mut p, mut q, mut both) = (T::of(0.0), T::of(0.0), T::of(0.0));
                for i in 0..self.dim {
                    let (w, dot) = centred(i);
                    p = w.mul_add(standard(i), p);
                    q = dot.mul_add(standard(i), q);
                    both = w.mul_add(dot, both);
                }
                (p, q) = (p / n, q / n);
                let along = both / n - T::of(3.0) * p * q;
                for i in 0..self.dim {
                    let ((w, dot), standard) = (centred(i), standard(i));
                    gain_bar[i] += u[i] * s * (dot - standard * q);
                    x_bar[i] += -s * s * (standard * along + q * w + p * dot);
                    x_dot_bar[i] = s * (w - standard * p);
                }
            }
        }
    }
}
