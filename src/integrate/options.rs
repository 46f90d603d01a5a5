//! What the user asks of a solve.

use super::controller::Controller;
use crate::error::{Error, Result};
use crate::num::{Atol, ErrorNorm, Real};

/// An initial value problem and its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a, T> {
    /// Initial state, column-major `dim × batch`.
    pub y0: &'a [T],
    /// Start and end time.
    pub span: [T; 2],
    /// Parameters θ.
    pub theta: &'a [T],
}

/// What of the solution is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Save<T> {
    /// The state at the end.
    #[default]
    End,
    /// The state at these times (in the direction of integration, within [t0, t1]), by dense output.
    At(Vec<T>),
    /// The state at t0 and after every accepted step.
    EveryStep,
    /// Every step with its stages, so that [`Solution::at`](super::Solution::at) gives any time.
    Dense,
}

/// What to do with a tolerance below what the scalar type resolves (rtol < its ε).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BelowResolution {
    /// Refuse the solve.
    #[default]
    Refuse,
    /// Solve, and say so once in the statistics' warnings; E is then partly rounding noise.
    Warn,
}

/// Tolerances, controller, saving and guards of a solve. `Options::default()` is rtol 1e-6, atol 1e-6
/// (1e-4 in f32), I control, saving the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Options<T> {
    /// Tolerances and the norm.
    pub norm: ErrorNorm<T>,
    /// Step-size control.
    pub controller: Controller,
    /// First step size (positive); automatic when `None` (Hairer, Nørsett & Wanner I, II.4).
    pub h0: Option<T>,
    /// Smallest step before the solve gives up; 16 ulp of t when `None`. A smaller one ends the solve when the
    /// controller proposes it after a rejected step, or after a larger accepted one.
    pub dt_min: Option<T>,
    /// Largest step; the span when `None`.
    pub dt_max: Option<T>,
    /// Attempted steps before the solve gives up.
    pub max_steps: usize,
    /// Right-hand side evaluations before the solve gives up.
    pub max_nfe: usize,
    /// What is kept.
    pub save: Save<T>,
    /// Times that a step must end at exactly (discontinuities of the right-hand side), any order.
    pub tstops: Vec<T>,
    /// Keep every attempt (t, h, E, S, accepted) for diagnostics.
    pub diagnostics: bool,
    /// Tolerances below the scalar's resolution.
    pub below_resolution: BelowResolution,
}

impl<T: Real> Default for Options<T> {
    fn default() -> Self {
        let tolerance = if T::EPSILON > T::of(1e-10) { T::of(1e-4) } else { T::of(1e-6) };
        Self {
            norm: ErrorNorm::new(tolerance, tolerance),
            controller: Controller::default(),
            h0: None,
            dt_min: None,
            dt_max: None,
            max_steps: 100_000,
            max_nfe: usize::MAX,
            save: Save::End,
            tstops: Vec::new(),
            diagnostics: false,
            below_resolution: BelowResolution::Refuse,
        }
    }
}

impl<T: Real> Options<T> {
    /// Default options with these tolerances.
    pub fn tol(rtol: T, atol: impl Into<Atol<T>>) -> Self {
        Self { norm: ErrorNorm::new(rtol, atol), ..Self::default() }
    }

    /// Constant steps of size h.
    pub fn fixed(h: f64) -> Self {
        Self { controller: Controller::Fixed { h }, ..Self::default() }
    }

    /// With the state saved at `times`.
    pub fn save_at(self, times: impl Into<Vec<T>>) -> Self {
        Self { save: Save::At(times.into()), ..self }
    }

    /// With another rule for what is kept.
    pub fn save(self, save: Save<T>) -> Self {
        Self { save, ..self }
    }

    /// With another controller.
    pub fn controller(self, controller: Controller) -> Self {
        Self { controller, ..self }
    }

    /// With every attempt kept for diagnostics.
    pub fn diagnostics(self) -> Self {
        Self { diagnostics: true, ..self }
    }

    /// Checks everything that does not depend on the right-hand side; returns whether a tolerance
    /// is below the scalar's resolution.
    ///
    /// # Errors
    /// What was given and what is needed, for tolerances, span, save times, stops and guards.
    pub fn check(&self, t0: T, t1: T, dim: usize) -> Result<bool> {
        if !(t0.is_finite() && t1.is_finite()) {
            return Err(Error::invalid("the time span", format!("[{t0}, {t1}]"), "both ends must be finite"));
        }
        if t0 == t1 {
            return Err(Error::invalid(
                "the time span",
                format!("[{t0}, {t1}]"),
                "t1 must differ from t0 (t1 < t0 integrates backward)",
            ));
        }
        self.controller.check()?;
        self.norm.check(dim)?;
        for (what, h) in [("h0", self.h0), ("dt_min", self.dt_min), ("dt_max", self.dt_max)] {
            if let Some(h) = h
                && !(h.is_finite() && h > T::zero())
            {
                let needed = "it must be positive and finite (the direction comes from t1 − t0)";
                return Err(Error::invalid(what, h, needed));
            }
        }
        if let Save::At(times) = &self.save {
            check_times(times, t0, t1)?;
        }
        if let Some(bad) = self.tstops.iter().find(|t| !t.is_finite()) {
            return Err(Error::invalid("tstops", bad, "every stop must be finite"));
        }
        let below = self.controller.is_adaptive() && self.norm.rtol < T::EPSILON && self.below_absolute();
        if below && self.below_resolution == BelowResolution::Refuse {
            let needed = format!(
                "{} resolves {:e}: raise rtol, use f64, or set below_resolution to Warn",
                T::NAME,
                T::EPSILON
            );
            return Err(Error::invalid("rtol", self.norm.rtol, needed));
        }
        Ok(below)
    }

    /// Whether the absolute tolerance does not rescue a too small rtol.
    fn below_absolute(&self) -> bool {
        self.norm.atol_slice().iter().any(|&a| a < T::EPSILON)
    }
}

fn check_times<T: Real>(times: &[T], t0: T, t1: T) -> Result<()> {
    if times.is_empty() {
        return Err(Error::invalid("save times", "empty", "give at least one, or save the end"));
    }
    let forward = t1 > t0;
    let before = |a: T, b: T| if forward { a < b } else { a > b };
    for (i, &t) in times.iter().enumerate() {
        if !t.is_finite() {
            return Err(Error::NonFiniteInput { what: "save times", index: i, value: t.f64() });
        }
        if before(t, t0) || before(t1, t) {
            return Err(Error::invalid(
                format!("save times[{i}]"),
                t,
                format!("it must lie in [{t0}, {t1}]"),
            ));
        }
        if i > 0 && before(t, times[i - 1]) {
            let needed = format!(
                "save times must follow the direction of integration, and the one before it is {}",
                times[i - 1]
            );
            return Err(Error::invalid(format!("save times[{i}]"), t, needed));
        }
    }
    Ok(())
}
