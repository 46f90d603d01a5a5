//! Baselines of the literature that need no new solver: STEER and kinetic energy.

use crate::error::{Error, Result};
use crate::integrate::{Heuristic, StepCotangent, StepView};
use crate::num::{Real, accumulate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// STEER (Ghosh et al., NeurIPS 2020): the end time of a training solve is drawn from U(T − b, T + b).
#[derive(Clone, Debug)]
pub struct Steer<T> {
    b: T,
    rng: ChaCha8Rng,
}

impl<T: Real> Steer<T> {
    /// End times up to `b` away.
    ///
    /// # Errors
    /// A `b` that is negative or not finite.
    pub fn new(b: T, seed: u64) -> Result<Self> {
        if !(b >= T::zero() && b.is_finite()) {
            let needed = "it must be finite and not negative";
            return Err(Error::invalid("STEER's b", b, needed));
        }
        Ok(Self { b, rng: ChaCha8Rng::seed_from_u64(seed) })
    }

    /// The span \[t0, t\] with t ~ U(T − b, T + b).
    ///
    /// # Errors
    /// b ≥ |T − t0|, with which the span could turn round or vanish.
    pub fn sample(&mut self, [t0, t1]: [T; 2]) -> Result<[T; 2]> {
        let length = (t1 - t0).abs();
        if self.b >= length {
            let needed = format!("it must be less than the span's length {length}");
            return Err(Error::invalid("STEER's b", self.b, needed));
        }
        let x: f64 = self.rng.random_range(-1.0..1.0);
        Ok([t0, T::of(x).mul_add(self.b, t1)])
    }
}

/// Kinetic energy of a step, Σ_i b_i |k_i|²/n over its stages, b the method's quadrature weights and
/// n the state's length, so that [`Global::integral`](super::Global::integral) is ∫ |f|²/n dt to the
/// method's order (Finlay et al., "How to train your neural ODE", ICML 2020).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KineticEnergy;

impl<T: Real> Heuristic<T> for KineticEnergy {
    fn name(&self) -> &str {
        "kinetic energy"
    }

    fn value(&self, step: &StepView<'_, T>, _: &mut [T]) -> T {
        let weights = step.estimates.weights().iter().enumerate();
        let energy = weights.filter(|(_, b)| **b != 0.0).map(|(i, b)| {
            let square = crate::num::rms(step.stage(i)).powi(2);
            T::of(*b) * square
        });
        energy.fold(T::zero(), |a, x| a + x)
    }

    fn pullback(&self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>) {
        let factor = T::of(2.0) * seed / T::of(step.len() as f64);
        for (i, b) in step.estimates.weights().iter().enumerate() {
            if *b != 0.0 {
                accumulate(bar.stage(i), factor, &[*b], step.stage(i));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steer_stays_within_b_and_repeats() {
        let mut steer = Steer::new(0.25, 3).unwrap();
        let ends: Vec<f64> = (0..500).map(|_| steer.sample([0.0, 1.0]).unwrap()[1]).collect();
        assert!(ends.iter().all(|t| (0.75..=1.25).contains(t)));
        let mean = ends.iter().sum::<f64>() / 500.0;
        let spread = ends.iter().fold(0.0f64, |a, t| a.max((t - 1.0).abs()));
        assert!((mean - 1.0).abs() < 0.03 && spread > 0.24, "{mean} {spread}");
        let mut again = Steer::new(0.25, 3).unwrap();
        assert_eq!(again.sample([0.0, 1.0]).unwrap()[1], ends[0]);
    }

    #[test]
    fn steer_refuses_what_could_turn_the_span_round() {
        assert!(Steer::new(-0.1, 0).is_err());
        let error = Steer::new(1.0, 0).unwrap().sample([2.0, 1.5]).unwrap_err();
        assert!(error.to_string().contains("span's length 0.5"), "{error}");
    }
}
