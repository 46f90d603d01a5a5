//! Losses: a value and its cotangent.
//!
//! [`Reduction::Mean`] divides by the number of entries (regression) or of columns (cross-entropy),
//! as PyTorch's `reduction="mean"` does.

use crate::num::Real;
use crate::{Error, Result};

/// How the entries' losses make one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reduction {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// A loss of a prediction p against a target q of the same shape, entry by entry; d = p − q.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// d².
    Mse,
    /// |d| (derivative: sign, 0 at 0).
    Mae,
    /// d²/2 for |d| ≤ δ, δ(|d| − δ/2) beyond (Huber 1964, as PyTorch's `HuberLoss`).
    Huber {
        /// δ > 0.
        delta: f64,
    },
}

impl Loss {
    /// The loss.
    ///
    /// # Errors
    /// [`Error::Length`] when the lengths differ, [`Error::Invalid`] when they are 0 or δ is not
    /// positive, [`Error::NonFiniteInput`] for a NaN or infinity in either.
    pub fn value<T: Real>(self, prediction: &[T], target: &[T], reduction: Reduction) -> Result<T> {
        self.check(prediction, target)?;
        let sum: f64 = pairs(prediction, target).map(|(p, q)| self.at(p - q).0).sum();
        finite(sum * weight(prediction.len(), reduction), &[("prediction", prediction), ("target", target)])
    }

    /// The loss, and its derivative by every prediction into `bar` (overwritten; untouched on
    /// error).
    ///
    /// # Errors
    /// As [`value`](Loss::value), and [`Error::Length`] for `bar`.
    pub fn value_and_cotangent<T: Real>(
        self,
        prediction: &[T],
        target: &[T],
        reduction: Reduction,
        bar: &mut [T],
    ) -> Result<T> {
        Error::check_len("bar", bar.len(), prediction.len(), "as many as predictions")?;
        let value = self.value(prediction, target, reduction)?;
        let weight = weight(prediction.len(), reduction);
        for (bar, (p, q)) in bar.iter_mut().zip(pairs(prediction, target)) {
            *bar = T::of(weight * self.at(p - q).1);
        }
        Ok(value)
    }

    fn check<T>(self, prediction: &[T], target: &[T]) -> Result<()> {
        let why = "as many as predictions";
        Error::check_len("target", target.len(), prediction.len(), why)?;
        if prediction.is_empty() {
            let needed = "a loss needs at least one entry";
            return Err(Error::invalid("number of predictions", 0, needed));
        }
        match self {
            Self::Huber { delta } if !(delta > 0.0 && delta.is_finite()) => {
                let needed = "it must be positive and finite";
                Err(Error::invalid("Huber's delta", delta, needed))
            }
            _ => Ok(()),
        }
    }

    /// Value and derivative at d.
    fn at(self, d: f64) -> (f64, f64) {
        match self {
            Self::Mse => (d * d, 2.0 * d),
            Self::Mae if d == 0.0 => (0.0, 0.0),
            Self::Mae => (d.abs(), d.signum()),
            Self::Huber { delta } if d.abs() <= delta => (0.5 * d * d, d),
            Self::Huber { delta } => (delta * (d.abs() - 0.5 * delta), delta * d.signum()),
        }
    }
}

/// Cross-entropy of logits against class labels: −zₗ + ln Σₖ exp zₖ for each column z of `logits`
/// (`classes × batch`, column-major) with label l.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossEntropy {
    classes: usize,
}

impl CrossEntropy {
    /// For columns of `classes` logits.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two classes.
    pub fn new(classes: usize) -> Result<Self> {
        if classes < 2 {
            let needed = "it must be at least 2";
            return Err(Error::invalid("number of classes", classes, needed));
        }
        Ok(Self { classes })
    }

    /// The loss.
    ///
    /// # Errors
    /// [`Error::Length`] when `logits` is not `classes` for each label, [`Error::Invalid`] for no
    /// labels or a label out of range, [`Error::NonFiniteInput`] for a NaN or infinite logit.
    pub fn value<T: Real>(self, logits: &[T], labels: &[usize], reduction: Reduction) -> Result<T> {
        self.check(logits, labels)?;
        let columns = logits.chunks_exact(self.classes).zip(labels);
        let sum: f64 = columns
            .map(|(z, &label)| {
                let (top, total) = log_sum(z);
                (top - z[label].f64()) + total.ln()
            })
            .sum();
        finite(sum * weight(labels.len(), reduction), &[("logits", logits)])
    }

    /// The loss, and its derivative softmax(z) − e_l by every logit into `bar` (overwritten;
    /// untouched on error).
    ///
    /// # Errors
    /// As [`value`](CrossEntropy::value), and [`Error::Length`] for `bar`.
    pub fn value_and_cotangent<T: Real>(
        self,
        logits: &[T],
        labels: &[usize],
        reduction: Reduction,
        bar: &mut [T],
    ) -> Result<T> {
        Error::check_len("bar", bar.len(), logits.len(), "as many as logits")?;
        let value = self.value(logits, labels, reduction)?;
        let weight = weight(labels.len(), reduction);
        let columns = logits.chunks_exact(self.classes).zip(labels);
        for (bar, (z, &label)) in bar.chunks_exact_mut(self.classes).zip(columns) {
            let (top, total) = log_sum(z);
            for (k, (bar, &z)) in bar.iter_mut().zip(z).enumerate() {
                let target = if k == label { 1.0 } else { 0.0 };
                *bar = T::of(weight * ((z.f64() - top).exp() / total - target));
            }
        }
        Ok(value)
    }

    /// How many columns have their largest logit (the first of equals) at the label.
    ///
    /// # Errors
    /// As [`value`](CrossEntropy::value) for lengths and labels.
    pub fn correct<T: Real>(self, logits: &[T], labels: &[usize]) -> Result<usize> {
        self.check(logits, labels)?;
        let columns = logits.chunks_exact(self.classes).zip(labels);
        Ok(columns
            .filter(|(z, label)| {
                let mut best = 0;
                for (k, v) in z.iter().enumerate() {
                    if *v > z[best] {
                        best = k;
                    }
                }
                best == **label
            })
            .count())
    }

    fn check<T>(self, logits: &[T], labels: &[usize]) -> Result<()> {
        if labels.is_empty() {
            let needed = "a loss needs at least one column";
            return Err(Error::invalid("number of labels", 0, needed));
        }
        let why = "classes × labels";
        Error::check_len("logits", logits.len(), self.classes * labels.len(), why)?;
        match labels.iter().position(|&l| l >= self.classes) {
            None => Ok(()),
            Some(at) => Err(Error::invalid(
                format!("labels[{at}]"),
                labels[at],
                format!("it must be below {}, the number of classes", self.classes),
            )),
        }
    }
}

/// The largest entry m and Σ exp(zₖ − m).
fn log_sum<T: Real>(z: &[T]) -> (f64, f64) {
    let top = z.iter().fold(f64::NEG_INFINITY, |m, z| m.max(z.f64()));
    (top, z.iter().map(|z| (z.f64() - top).exp()).sum())
}

fn pairs<'a, T: Real>(a: &'a [T], b: &'a [T]) -> impl Iterator<Item = (f64, f64)> + 'a {
    a.iter().zip(b).map(|(a, b)| (a.f64(), b.f64()))
}

fn weight(n: usize, reduction: Reduction) -> f64 {
    match reduction {
        Reduction::Mean => 1.0 / n as f64,
        Reduction::Sum => 1.0,
    }
}

/// The loss in the scalar's precision, or which input made it non-finite.
fn finite<T: Real>(loss: f64, inputs: &[(&'static str, &[T])]) -> Result<T> {
    let loss = T::of(loss);
    if loss.is_finite() {
        return Ok(loss);
    }
    for (what, values) in inputs {
        Error::check_finite(what, values)?;
    }
    let needed = format!("it must be below {:e}: scale the data", T::MAX);
    Err(Error::invalid("loss", loss, needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSES: [Loss; 3] = [Loss::Mse, Loss::Mae, Loss::Huber { delta: 0.5 }];
    const P: [f64; 4] = [1.0, -0.25, 3.0, 0.5];
    const Q: [f64; 4] = [0.0, 0.0, 1.0, 0.5];

    #[test]
    fn values_are_the_formulas() -> Result<()> {
        // d = (1, −¼, 2, 0).
        let sums = [1.0 + 0.0625 + 4.0, 3.25, 0.375 + 0.03125 + 0.875];
        for (loss, sum) in LOSSES.into_iter().zip(sums) {
            assert_eq!(loss.value(&P, &Q, Reduction::Sum)?, sum);
            assert_eq!(loss.value(&P, &Q, Reduction::Mean)?, sum / 4.0);
        }
        let loss = CrossEntropy::new(3)?;
        let logits = [0.0, 2f64.ln(), 5f64.ln(), 800.0, 0.0, -900.0];
        let value = loss.value(&logits, &[1, 1], Reduction::Sum)?;
        assert!((value - (4f64.ln() + 800.0)).abs() < 1e-12, "{value}");
        assert_eq!(loss.correct(&logits, &[2, 1])?, 1);
        Ok(())
    }

    #[test]
    fn cotangents_are_the_derivatives() -> Result<()> {
        let h = 1e-5;
        let labels = [2, 0];
        let logits = [0.3, -1.0, 0.9, 2.0, 0.1, -0.4];
        let entropy = CrossEntropy::new(3)?;
        for reduction in [Reduction::Mean, Reduction::Sum] {
            for loss in LOSSES {
                let mut bar = [9.0; 4];
                let value = loss.value_and_cotangent(&P, &Q, reduction, &mut bar)?;
                assert_eq!(value, loss.value(&P, &Q, reduction)?);
                for i in 0..4 {
                    let moved = |step: f64| {
                        let mut p = P;
                        p[i] += step;
                        loss.value(&p, &Q, reduction)
                    };
                    let slope = (moved(h)? - moved(-h)?) / (2.0 * h);
                    assert!((slope - bar[i]).abs() < 1e-9, "{loss:?} {i}: {slope} {}", bar[i]);
                }
            }
            let mut bar = [9.0; 6];
            entropy.value_and_cotangent(&logits, &labels, reduction, &mut bar)?;
            for i in 0..6 {
                let moved = |step: f64| {
                    let mut z = logits;
                    z[i] += step;
                    entropy.value(&z, &labels, reduction)
                };
                let slope = (moved(h)? - moved(-h)?) / (2.0 * h);
                assert!((slope - bar[i]).abs() < 1e-9, "{i}: {slope} {}", bar[i]);
            }
        }
        Ok(())
    }

    #[test]
    fn bad_input_is_explained() -> Result<()> {
        let mut bar = [7.0; 4];
        let mean = Reduction::Mean;
        assert!(matches!(Loss::Mse.value(&P, &Q[1..], mean), Err(Error::Length { given: 3, .. })));
        assert!(Loss::Mse.value::<f64>(&[], &[], mean).is_err());
        assert!(Loss::Huber { delta: 0.0 }.value(&P, &Q, mean).is_err());
        let broken = [0.0, f64::NAN, 0.0, 0.0];
        let error = Loss::Mae.value_and_cotangent(&P, &broken, mean, &mut bar);
        let message = error.expect_err("NaN").to_string();
        assert!(message.contains("target[1]"), "{message}");
        assert_eq!(bar, [7.0; 4]);
        let huge = Loss::Mse.value(&[1e30f32], &[0.0], mean).expect_err("overflow");
        assert!(huge.to_string().contains("scale the data"), "{huge}");
        let entropy = CrossEntropy::new(2)?;
        assert!(CrossEntropy::new(1).is_err());
        assert!(entropy.value(&P, &[0, 2], mean).is_err_and(|e| e.to_string().contains("labels[1]")));
        assert!(entropy.value(&P, &[0], mean).is_err());
        assert!(entropy.value::<f64>(&[], &[], mean).is_err());
        let infinite = [0.0, f64::INFINITY, 0.0, 0.0];
        assert!(entropy.value(&infinite, &[0, 0], mean).is_err());
        Ok(())
    }
}
