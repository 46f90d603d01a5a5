//! [`Normaliser`]: fields to mean 0 and variance 1 over a training set.

use crate::error::{Error, Result};
use crate::num::Real;

/// Added to the deviation, as the authors of FNO and MgNO do: a point that never changes maps to 0.
const EPSILON: f64 = 1e-5;

/// What mean and deviation are taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All points of each channel, and samples.
    Channel,
    /// Samples, for each point by itself.
    Point,
}

/// x ↦ (x − μ)/(s + ε), ε = 10⁻⁵ times the largest deviation, with the mean μ and standard deviation s
/// (n − 1 in the denominator) of a training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Normaliser<T> {
    mean: Vec<T>,
    deviation: Vec<T>,
    /// Numbers that share a mean.
    run: usize,
}

impl<T: Real> Normaliser<T> {
    /// From the samples of a training set, `channels` fields each.
    ///
    /// # Errors
    /// A sample without points, not a whole number of samples or channels, fewer than two numbers to a
    /// mean, a NaN or infinity, a set in which nothing varies.
    pub fn fit(samples: &[T], dim: usize, channels: usize, scope: Scope) -> Result<Self> {
        let whole =
            dim > 0 && channels > 0 && dim.is_multiple_of(channels) && samples.len().is_multiple_of(dim);
        if !whole || samples.is_empty() {
            let given = format!("{} numbers in samples of {channels} channels, {dim} numbers", samples.len());
            return Err(Error::invalid("the training set", given, "whole samples and channels are needed"));
        }
        Error::check_finite("the training set", samples)?;
        let run = if scope == Scope::Point { 1 } else { dim / channels };
        let count = (samples.len() / dim * run) as f64;
        if count < 2.0 {
            let needed = "a deviation needs at least two";
            return Err(Error::invalid("the number of values to a mean", count, needed));
        }
        // Two passes: the squares of the second are of differences.
        let groups = dim / run;
        let mut mean = vec![0.0; groups];
        for sample in samples.chunks_exact(dim) {
            for (mean, values) in mean.iter_mut().zip(sample.chunks_exact(run)) {
                *mean += values.iter().map(|v| v.f64()).sum::<f64>();
            }
        }
        mean.iter_mut().for_each(|mean| *mean /= count);
        let mut squares = vec![0.0; groups];
        for sample in samples.chunks_exact(dim) {
            for ((square, mean), values) in squares.iter_mut().zip(&mean).zip(sample.chunks_exact(run)) {
                *square += values.iter().map(|v| (v.f64() - mean).powi(2)).sum::<f64>();
            }
        }
        let deviation: Vec<f64> = squares.iter().map(|s| (s / (count - 1.0)).sqrt()).collect();
        let largest = deviation.iter().fold(0.0f64, |m, d| m.max(*d));
        if largest == 0.0 {
            let needed = "something must vary to be normalised";
            return Err(Error::invalid("the deviation of the training set", 0, needed));
        }
        let deviation = deviation.iter().map(|d| T::of(d + EPSILON * largest)).collect();
        Ok(Self { mean: mean.into_iter().map(T::of).collect(), deviation, run })
    }

    /// From means and deviations (ε included) that a fit gave, each for `run` numbers in a row.
    ///
    /// # Errors
    /// No numbers, another number of deviations than of means, means that are not finite, deviations that
    /// are not positive and finite.
    pub fn new(mean: Vec<T>, deviation: Vec<T>, run: usize) -> Result<Self> {
        Error::check_len("the deviations", deviation.len(), mean.len(), "one for each mean")?;
        if mean.is_empty() || run == 0 {
            let given = format!("{} means for {run} numbers each", mean.len());
            return Err(Error::invalid("the normaliser", given, "at least one of both is needed"));
        }
        Error::check_finite("the means", &mean)?;
        match deviation.iter().find(|d| !(d.is_finite() && **d > T::zero())) {
            Some(d) => Err(Error::invalid("a deviation", d.f64(), "it must be positive and finite")),
            None => Ok(Self { mean, deviation, run }),
        }
    }

    /// μ, for each run of numbers that share it.
    pub fn mean(&self) -> &[T] {
        &self.mean
    }
    /// s + ε, likewise.
    pub fn deviation(&self) -> &[T] {
        &self.deviation
    }

    /// Numbers of one sample.
    pub fn dim(&self) -> usize {
        self.mean.len() * self.run
    }

    /// `x` ← (x − μ)/s for whole samples.
    ///
    /// # Errors
    /// Not a whole number of samples.
    pub fn encode(&self, x: &mut [T]) -> Result<()> {
        self.each(x, |x, mean, deviation| (x - mean) / deviation)
    }

    /// `x` ← s x + μ for whole samples.
    ///
    /// # Errors
    /// Not a whole number of samples.
    pub fn decode(&self, x: &mut [T]) -> Result<()> {
        self.each(x, |x, mean, deviation| deviation.mul_add(x, mean))
    }

    /// `bar` ← s ⊙ bar: from the cotangent of [`decode`](Self::decode)'s result to that of its argument.
    ///
    /// # Errors
    /// Not a whole number of samples.
    pub fn decode_pullback(&self, bar: &mut [T]) -> Result<()> {
        self.each(bar, |bar, _, deviation| deviation * bar)
    }

    fn each(&self, x: &mut [T], f: impl Fn(T, T, T) -> T) -> Result<()> {
        let dim = self.dim();
        if !x.len().is_multiple_of(dim) {
            let needed = format!("a multiple of {dim} (numbers of one sample)");
            return Err(Error::Length { what: "the samples to normalise", given: x.len(), needed });
        }
        for sample in x.chunks_exact_mut(dim) {
            let groups = sample.chunks_exact_mut(self.run).zip(self.mean.iter().zip(&self.deviation));
            for (values, (&mean, &deviation)) in groups {
                values.iter_mut().for_each(|x| *x = f(*x, mean, deviation));
            }
        }
        Ok(())
    }
}
