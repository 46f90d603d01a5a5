//! How a way back is solved, and what it does where it drifts.

use super::super::checkpoint::Memory;
use crate::integrate::Options;

/// How the way back has the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuous {
    /// y is integrated backwards with λ and θ̄: memory does not grow with the steps.
    Backsolve,
    /// y is read off the dense output of the way there, which is kept within these bytes (work space not counted) or
    /// computed again from what is.
    Interpolating(Memory),
    /// As `Interpolating`, with λ alone integrated and θ̄ by quadrature.
    Quadrature(Memory),
}

/// What to do where the state that is integrated backwards misses the stored ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// End in [`Error::Drift`](crate::Error::Drift).
    #[default]
    Refuse,
    /// Give the gradient, with [`Warning::Drift`](crate::integrate::Warning::Drift).
    Warn,
}

/// How a way back is solved.
#[derive(Clone, Debug, PartialEq)]
pub struct WayBack<T> {
    /// Tolerances and controller (and `dt_max`, `max_steps`, …) of the way back; those of the way there when
    /// `None`. A tolerance for each row holds for y and λ alike; θ̄'s is the smallest of them. What is saved and
    /// where steps must end follow from the way there.
    pub options: Option<Options<T>>,
    /// Whether θ̄ is left out of the error norm.
    pub seminorm: bool,
    /// Largest difference between integrated and stored states over the largest |y| that is taken for small;
    /// the square root of the way back's rtol when `None`.
    pub drift_bound: Option<T>,
    /// What to do beyond it.
    pub on_drift: OnDrift,
}

impl<T> Default for WayBack<T> {
    /// The options of the way there, the full norm, drift refused.
    fn default() -> Self {
        Self { options: None, seminorm: false, drift_bound: None, on_drift: OnDrift::Refuse }
    }
}

impl<T> WayBack<T> {
    /// The options of the way there, θ̄ left out of the norm.
    pub fn seminorm() -> Self {
        Self { seminorm: true, ..Self::default() }
    }
}
