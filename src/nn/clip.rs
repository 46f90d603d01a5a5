//! Gradient clipping.

use crate::num::Real;
use crate::{Error, Result};

/// A bound on a gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Clip {
    /// g ← g · min(1, c/‖g‖₂) over the whole vector (Pascanu, Mikolov & Bengio 2013).
    Norm(f64),
    /// Every entry into [−c, c].
    Value(f64),
}

impl Clip {
    /// Bounds `gradient` in place; returns its Euclidean norm before.
    ///
    /// # Errors
    /// [`Error::Invalid`] when c is not positive and finite, [`Error::NonFiniteInput`] for a NaN or
    /// infinity (the gradient is then untouched).
    pub fn apply<T: Real>(self, gradient: &mut [T]) -> Result<f64> {
        let (Self::Norm(bound) | Self::Value(bound)) = self;
        if !(bound > 0.0 && bound.is_finite()) {
            let needed = "it must be positive and finite";
            return Err(Error::invalid("gradient clipping bound", bound, needed));
        }
        Error::check_finite("gradient", gradient)?;
        let norm = norm(gradient);
        match self {
            Self::Norm(_) if norm > bound => {
                let factor = T::of(bound / norm);
                gradient.iter_mut().for_each(|g| *g *= factor);
            }
            Self::Norm(_) => {}
            Self::Value(_) => {
                let bound = T::of(bound);
                gradient.iter_mut().for_each(|g| *g = g.max(-bound).min(bound));
            }
        }
        Ok(norm)
    }
}

/// ‖g‖₂ in f64, scaled so that squares neither overflow nor vanish.
fn norm<T: Real>(g: &[T]) -> f64 {
    let largest = g.iter().fold(0.0, |m: f64, g| m.max(g.f64().abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let sum: f64 = g.iter().map(|g| (g.f64() / largest).powi(2)).sum();
    largest * sum.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_and_small_gradients_are_untouched() -> Result<()> {
        let mut g = [3.0, -4.0];
        assert_eq!(Clip::Norm(5.0).apply(&mut g)?, 5.0);
        assert_eq!(g, [3.0, -4.0]);
        assert_eq!(Clip::Norm(2.5).apply(&mut g)?, 5.0);
        assert_eq!(g, [1.5, -2.0]);
        Clip::Value(1.75).apply(&mut g)?;
        assert_eq!(g, [1.5, -1.75]);
        let mut huge = [3e200f64, 4e200];
        assert!((Clip::Norm(1.0).apply(&mut huge)? - 5e200).abs() < 1e185);
        assert!((huge[0] - 0.6).abs() < 1e-15 && (huge[1] - 0.8).abs() < 1e-15);
        assert_eq!(Clip::Norm(1.0).apply(&mut [0.0f32; 3])?, 0.0);
        Ok(())
    }

    #[test]
    fn bad_input_is_explained() {
        let mut g = [1.0, f64::NAN];
        assert!(Clip::Norm(1.0).apply(&mut g).is_err_and(|e| e.to_string().contains("gradient[1]")));
        assert_eq!(g[0], 1.0);
        assert!(Clip::Value(0.0).apply(&mut [1.0]).is_err());
        assert!(Clip::Norm(f64::INFINITY).apply(&mut [1.0]).is_err());
    }
}
