//! Pseudo-spectral time steps on the torus: û' = −λ û + N̂(u).

use crate::error::{Error, Result};
use crate::operator::fourier::Fourier;
use rustfft::num_complex::Complex64;
use serde::{Deserialize, Serialize};

/// When the states of a trajectory are kept, and how steps are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshots {
    /// Time from one to the next.
    pub interval: f64,
    /// How many, the initial state not counted.
    pub count: usize,
    /// Courant number: a step is at most this over max Σ_a |v_a|/h_a.
    pub courant: f64,
    /// Largest step.
    pub step: f64,
}

impl Snapshots {
    /// So many at this interval, with a Courant number of 0.25 and steps of at most a hundredth of the interval.
    pub fn new(interval: f64, count: usize) -> Self {
        Self { interval, count, courant: 0.25, step: 0.01 * interval }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// An interval, a Courant number or a step that is not positive and finite, no snapshots.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("the interval of the snapshots", self.interval),
            ("the Courant number", self.courant),
            ("the largest step", self.step),
        ];
        if let Some((what, value)) = positive.iter().find(|(_, v)| !(*v > 0.0 && v.is_finite())) {
            return Err(Error::invalid(*what, value, "it must be positive and finite"));
        }
        match self.count {
            0 => Err(Error::invalid("the number of snapshots", 0, "at least one is needed")),
            _ => Ok(()),
        }
    }
}

/// Crank–Nicolson for λ, Heun's method (explicit trapezoidal rule) for N: with a = 1 − λh/2 and b = 1/(1 + λh/2)
///
/// û* = b (a û + h N̂(û)),   û₁ = b (a û + ½h (N̂(û) + N̂(û*))),
///
/// of order 2 and stable for any λ ≥ 0.
pub(super) struct Semilinear {
    pub fourier: Fourier,
    lambda: Vec<f64>,
    resolved: Vec<bool>,
    rates: [Vec<Complex64>; 2],
    stage: Vec<Complex64>,
}

/// Steps that one interval may ask for; more is a solution that grows without bound, or a request that never ends.
const STEPS: f64 = 1e7;

/// N̂ of û, written to the second; returns max Σ_a |v_a|/h_a.
pub(super) type Rate<'r> = &'r mut dyn FnMut(&mut Fourier, &[Complex64], &mut [Complex64]) -> f64;

impl Semilinear {
    /// λ = ν 4π²|k|².
    pub fn new(extents: [usize; 2], viscosity: f64) -> Self {
        let fourier = Fourier::new(extents);
        let lambda = fourier.laplacian().into_iter().map(|square| viscosity * square).collect();
        let zeros = || vec![Complex64::ZERO; fourier.len()];
        let (rates, stage) = ([zeros(), zeros()], zeros());
        Self { resolved: fourier.resolved(), lambda, rates, stage, fourier }
    }

    /// The states after the initial one `u`, of which only what is [resolved](Fourier::resolved) enters.
    ///
    /// # Errors
    /// An initial state that is not finite, a solution that ceases to be (when), one that needs more than 10⁷ steps
    /// from a snapshot to the next.
    pub fn trajectory(&mut self, u: &[f64], snapshots: &Snapshots, rate: Rate<'_>) -> Result<Vec<f64>> {
        Error::check_finite("the initial state", u)?;
        let mut state: Vec<Complex64> = u.iter().map(|u| Complex64::new(*u, 0.0)).collect();
        self.fourier.forward(&mut state);
        truncate(&self.resolved, &mut state);
        let mut out = Vec::with_capacity(snapshots.count * u.len());
        let mut physical = state.clone();
        for number in 0..snapshots.count {
            let from = number as f64 * snapshots.interval;
            self.advance((from, snapshots.interval), &mut state, snapshots, rate)?;
            physical.copy_from_slice(&state);
            self.fourier.inverse(&mut physical);
            out.extend(physical.iter().map(|u| u.re));
        }
        Ok(out)
    }

    fn advance(
        &mut self,
        (from, span): (f64, f64),
        state: &mut [Complex64],
        snapshots: &Snapshots,
        rate: Rate<'_>,
    ) -> Result<()> {
        let mut t = 0.0;
        while t < span {
            let Self { fourier, lambda, resolved, rates: [first, second], stage } = self;
            let speed = rate(fourier, state, first);
            if !speed.is_finite() {
                let needed = "it must stay finite: take a smaller Courant number or step, or more points";
                return Err(Error::invalid(
                    "the solution",
                    format!("not finite at t = {}", from + t),
                    needed,
                ));
            }
            truncate(resolved, first);
            let rest = span - t;
            let steps = (rest * (speed / snapshots.courant).max(1.0 / snapshots.step)).ceil().max(1.0);
            if steps > STEPS {
                let given = format!("{steps:e} steps to the next snapshot at t = {}", from + t);
                let needed = format!(
                    "at most {STEPS:e} are taken: the largest step is too small, or the solution too fast or unstable"
                );
                return Err(Error::invalid("the time step", given, needed));
            }
            let h = rest / steps;
            let blend = |lambda: f64| [1.0 - 0.5 * h * lambda, 1.0 / (1.0 + 0.5 * h * lambda)];
            for ((stage, lambda), (u, n)) in stage.iter_mut().zip(&*lambda).zip(state.iter().zip(&*first)) {
                let [a, b] = blend(*lambda);
                *stage = (u * a + n * h) * b;
            }
            rate(fourier, stage, second);
            truncate(resolved, second);
            for ((u, lambda), (n, later)) in state.iter_mut().zip(&*lambda).zip(first.iter().zip(&*second)) {
                let [a, b] = blend(*lambda);
                *u = (*u * a + (n + later) * (0.5 * h)) * b;
            }
            t = if steps == 1.0 { span } else { t + h };
        }
        Ok(())
    }
}

fn truncate(resolved: &[bool], u: &mut [Complex64]) {
    for (u, resolved) in u.iter_mut().zip(resolved) {
        if !resolved {
            *u = Complex64::ZERO;
        }
    }
}
