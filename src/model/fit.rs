//! Losses that fit a stochastic equation to data: [`Moments`] of a sample at saved times, the likelihood of
//! Euler transitions ([`transition_likelihood`](super::transition_likelihood)) and the maximum mean discrepancy
//! [`Mmd`]. Each gives its value and the cotangents of the states, for the reverse of an adjoint.

use crate::error::{Error, Result};
use crate::num::Real;

/// Means and variances of the rows at each saved time: of a sample, or those to be reached.
///
/// A sample is what [`Solution::y`](crate::integrate::Solution) holds, a `dim × paths` block for each time.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments<T> {
    dim: usize,
    /// `dim × times`.
    pub mean: Vec<T>,
    /// `dim × times`, by n − 1.
    pub variance: Vec<T>,
}

impl<T: Real> Moments<T> {
    /// Given ones.
    ///
    /// # Errors
    /// Lengths that are not one positive multiple of `dim`; NaN or infinity.
    pub fn new(dim: usize, mean: Vec<T>, variance: Vec<T>) -> Result<Self> {
        Error::check_len("the variances", variance.len(), mean.len(), "one for each mean")?;
        if dim == 0 || mean.is_empty() || !mean.len().is_multiple_of(dim) {
            let needed = format!("a positive multiple of {dim} rows");
            return Err(Error::Length { what: "the means", given: mean.len(), needed });
        }
        Error::check_finite("the means", &mean)?;
        Error::check_finite("the variances", &variance)?;
        Ok(Self { dim, mean, variance })
    }

    /// Of a sample of `paths` paths.
    ///
    /// # Errors
    /// Fewer than two paths, or a length that is not a whole number of blocks.
    pub fn of(y: &[T], dim: usize, paths: usize) -> Result<Self> {
        let block = dim * paths;
        if paths < 2 || block == 0 || y.is_empty() || !y.len().is_multiple_of(block) {
            let needed = format!("blocks of {dim} rows × {paths} paths, two paths at least");
            return Err(Error::Length { what: "the sample", given: y.len(), needed });
        }
        let n = T::of(paths as f64);
        let (mut mean, mut variance) = (Vec::new(), Vec::new());
        for block in y.chunks_exact(block) {
            for i in 0..dim {
                let row = || block[i..].iter().step_by(dim);
                let m = row().copied().sum::<T>() / n;
                mean.push(m);
                variance.push(row().map(|x| (*x - m) * (*x - m)).sum::<T>() / (n - T::one()));
            }
        }
        Ok(Self { dim, mean, variance })
    }

    /// Mean square of the differences of the means plus that of the variances (Pal, Ma, Shah & Rackauckas 2021,
    /// the spiral neural SDE).
    ///
    /// # Errors
    /// Moments of another shape.
    pub fn distance(&self, other: &Self) -> Result<T> {
        Error::check_len("the means", other.mean.len(), self.mean.len(), "as many as here")?;
        let square = |a: &[T], b: &[T]| a.iter().zip(b).map(|(a, b)| (*a - *b) * (*a - *b)).sum::<T>();
        let n = T::of(self.mean.len() as f64);
        Ok((square(&self.mean, &other.mean) + square(&self.variance, &other.variance)) / n)
    }

    /// [`distance`](Self::distance) of the moments of the sample `y` to these; `bar` ← its derivatives.
    ///
    /// # Errors
    /// As [`of`](Self::of), or another number of times.
    pub fn value_and_cotangent(&self, y: &[T], paths: usize, bar: &mut [T]) -> Result<T> {
        let sample = Self::of(y, self.dim, paths)?;
        let value = self.distance(&sample)?;
        Error::check_len("the cotangents", bar.len(), y.len(), "one for each number of the sample")?;
        let two = T::of(2.0 / self.mean.len() as f64);
        let (n, free) = (T::of(paths as f64), T::of(paths as f64 - 1.0));
        let block = self.dim * paths;
        for (k, (y, bar)) in y.chunks_exact(block).zip(bar.chunks_exact_mut(block)).enumerate() {
            for (j, (y, bar)) in y.iter().zip(bar).enumerate() {
                let at = k * self.dim + j % self.dim;
                let mean_bar = two * (sample.mean[at] - self.mean[at]);
                let variance_bar = two * (sample.variance[at] - self.variance[at]);
                *bar = mean_bar / n + T::of(2.0) * variance_bar * (*y - sample.mean[at]) / free;
            }
        }
        Ok(value)
    }
}

/// The squared maximum mean discrepancy of two samples x and y of points of `dim` rows,
///
/// MMD² = mean k(x, x') − 2 mean k(x, y) + mean k(y, y'),   k(a, b) = Σ_s exp(−|a − b|²/(2s²)),
///
/// the means without the pairs of a point with itself: without bias, so that it may be negative (Gretton et
/// al., *J. Mach. Learn. Res.* 13, 2012, eq. 3; the mixture of scales: Li, Swersky & Zemel, ICML 2015).
#[derive(Clone, Debug, PartialEq)]
pub struct Mmd {
    dim: usize,
    scales: Vec<f64>,
}

impl Mmd {
    /// With the scales s of the kernels.
    ///
    /// # Errors
    /// No rows, no scales, or one that is not positive.
    pub fn new(dim: usize, scales: impl Into<Vec<f64>>) -> Result<Self> {
        let scales = scales.into();
        if dim == 0 || scales.is_empty() || scales.iter().any(|s| !(*s > 0.0 && s.is_finite())) {
            let given = format!("{dim} rows, scales {scales:?}");
            return Err(Error::invalid(
                "the kernel",
                given,
                "rows and at least one scale, positive, are needed",
            ));
        }
        Ok(Self { dim, scales })
    }

    /// MMD² of `x` and `y` (`dim × points` each); `bar` ← its derivatives by `x`. Costs |x|(|x| + |y|) + |y|²
    /// kernels.
    ///
    /// # Errors
    /// Fewer than two points, or lengths that do not fit.
    pub fn value_and_cotangent<T: Real>(&self, x: &[T], y: &[T], bar: &mut [T]) -> Result<T> {
        for (what, sample) in [("the sample x", x), ("the sample y", y)] {
            if sample.len() < 2 * self.dim || !sample.len().is_multiple_of(self.dim) {
                let needed = format!("two points at least, of {} rows each", self.dim);
                return Err(Error::Length { what, given: sample.len(), needed });
            }
        }
        Error::check_len("the cotangents", bar.len(), x.len(), "one for each number of x")?;
        bar.fill(T::zero());
        let (n, m) = ((x.len() / self.dim) as f64, (y.len() / self.dim) as f64);
        let (own, cross) = (T::of(1.0 / (n * (n - 1.0))), T::of(-2.0 / (n * m)));
        let points = |s: &'_ [T]| -> usize { s.len() / self.dim };
        let point = |i: usize| i * self.dim..(i + 1) * self.dim;
        let mut value = T::zero();
        for i in 0..points(x) {
            let (a, bar) = (&x[point(i)], &mut bar[point(i)]);
            for j in (0..points(x)).filter(|j| *j != i) {
                // Each pair comes twice, and moves with both of its points.
                value += own * self.kernel(a, &x[point(j)], Some((T::of(2.0) * own, &mut *bar)));
            }
            for j in 0..points(y) {
                value += cross * self.kernel(a, &y[point(j)], Some((cross, &mut *bar)));
            }
        }
        let own = T::of(1.0 / (m * (m - 1.0)));
        for i in 0..points(y) {
            for j in (0..points(y)).filter(|j| *j != i) {
                value += own * self.kernel(&y[point(i)], &y[point(j)], None);
            }
        }
        Ok(value)
    }

    /// k(a, b); adds `seed` ∂k/∂a to a cotangent.
    fn kernel<T: Real>(&self, a: &[T], b: &[T], bar: Option<(T, &mut [T])>) -> T {
        let square = a.iter().zip(b).map(|(a, b)| (*a - *b) * (*a - *b)).sum::<T>();
        let (mut value, mut slope) = (T::zero(), T::zero());
        for s in &self.scales {
            let rate = T::of(-0.5 / (s * s));
            let k = (rate * square).exp();
            value += k;
            slope += T::of(2.0) * rate * k;
        }
        if let Some((seed, bar)) = bar {
            for ((bar, a), b) in bar.iter_mut().zip(a).zip(b) {
                *bar += seed * slope * (*a - *b);
            }
        }
        value
    }
}
