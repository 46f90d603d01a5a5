//! Layer normalisation over channels and points with gains and shifts per channel (Ba, Kiros and Hinton,
//! *Layer Normalization*, 2016, eq. (4)): y = γ_c x̂ + β_c, x̂ = (x − μ)/√(σ² + ε), ε = 10⁻⁵.

use crate::num::Real;

const EPSILON: f64 = 1e-5;

/// μ and 1/√(σ² + ε); sums in f64.
fn moments<T: Real>(x: &[T]) -> [f64; 2] {
    let n = x.len() as f64;
    let mean = x.iter().map(|x| x.f64()).sum::<f64>() / n;
    let variance = x.iter().map(|x| (x.f64() - mean).powi(2)).sum::<f64>() / n;
    [mean, 1.0 / (variance + EPSILON).sqrt()]
}

/// `y` ← the normalised `x`; `theta` are the gains, then the shifts.
pub(super) fn forward<T: Real>(theta: &[T], x: &[T], y: &mut [T]) {
    let [mean, scale] = moments(x).map(T::of);
    let (gains, shifts) = theta.split_at(theta.len() / 2);
    let points = x.len() / gains.len();
    let fields = x.chunks_exact(points).zip(y.chunks_exact_mut(points));
    for ((x, y), (gain, shift)) in fields.zip(gains.iter().zip(shifts)) {
        let factor = *gain * scale;
        for (y, x) in y.iter_mut().zip(x) {
            *y = (*x - mean).mul_add(factor, *shift);
        }
    }
}

/// `x_bar` ← the cotangent of x. ACCUMULATES: `theta_bar` += that of gains and shifts.
///
/// With g = γ ȳ: x̄ = (g − ⟨g⟩ − x̂ ⟨g x̂⟩)/√(σ² + ε), ⟨·⟩ the mean.
pub(super) fn backward<T: Real>(theta: &[T], [x, y_bar]: [&[T]; 2], x_bar: &mut [T], theta_bar: &mut [T]) {
    let [mean, scale] = moments(x);
    let channels = theta.len() / 2;
    let points = x.len() / channels;
    let (gain_bar, shift_bar) = theta_bar.split_at_mut(channels);
    let (mut plain, mut along) = (0.0, 0.0);
    for c in 0..channels {
        let range = c * points..(c + 1) * points;
        let (mut sum, mut product) = (0.0, 0.0);
        for (x, y_bar) in x[range.clone()].iter().zip(&y_bar[range]) {
            sum += y_bar.f64();
            product += y_bar.f64() * (x.f64() - mean) * scale;
        }
        gain_bar[c] += T::of(product);
        shift_bar[c] += T::of(sum);
        plain += theta[c].f64() * sum;
        along += theta[c].f64() * product;
    }
    let n = x.len() as f64;
    let [mean, scale, plain, along] = [mean, scale, plain / n, along / n].map(T::of);
    let fields = x.chunks_exact(points).zip(y_bar.chunks_exact(points));
    for ((x_bar, (x, y_bar)), gain) in x_bar.chunks_exact_mut(points).zip(fields).zip(theta) {
        for (x_bar, (x, y_bar)) in x_bar.iter_mut().zip(x.iter().zip(y_bar)) {
            let normal = (*x - mean) * scale;
            *x_bar = (gain.mul_add(*y_bar, -plain) - normal * along) * scale;
        }
    }
}

/// `y_dot` ← the derivative along (θ̇, ẋ), θ̇ empty for none: ẏ = γ (ẋ − ⟨ẋ⟩ − x̂ ⟨ẋ x̂⟩)/√(σ² + ε) + γ̇ x̂ + β̇.
pub(super) fn tangent<T: Real>([theta, theta_dot]: [&[T]; 2], [x, x_dot]: [&[T]; 2], y_dot: &mut [T]) {
    let [mean, scale] = moments(x);
    let n = x.len() as f64;
    let plain = x_dot.iter().map(|x| x.f64()).sum::<f64>() / n;
    let products = x.iter().zip(x_dot).map(|(x, x_dot)| (x.f64() - mean) * scale * x_dot.f64());
    let [mean, scale, plain, along] = [mean, scale, plain, products.sum::<f64>() / n].map(T::of);
    let channels = theta.len() / 2;
    let points = x.len() / channels;
    let fields = x.chunks_exact(points).zip(x_dot.chunks_exact(points));
    for (c, ((x, x_dot), y_dot)) in fields.zip(y_dot.chunks_exact_mut(points)).enumerate() {
        let own = |at: usize| theta_dot.get(at).copied().unwrap_or_else(T::zero);
        let (factor, gain, shift) = (theta[c] * scale, own(c), own(channels + c));
        for (y_dot, (x, x_dot)) in y_dot.iter_mut().zip(x.iter().zip(x_dot)) {
            let normal = (*x - mean) * scale;
            *y_dot = factor.mul_add(*x_dot - plain - normal * along, gain.mul_add(normal, shift));
        }
    }
}
