//! [`check_gradient`]: a gradient of a whole solve against differences of the replayed one.

use super::discrete::Evaluation;
use crate::dynamics::Dynamics;
use crate::dynamics::check::Input;
use crate::error::{Error, Result};
use crate::integrate::{Options, Problem, Silent, Solution};
use crate::num::Real;
use crate::ode::{Solver, StepMethod};
use std::fmt;

/// What [`check_gradient`] compares and how closely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolveCheckOptions {
    /// Largest difference that is taken for none, relative to the largest entry of the gradient of its kind (y0
    /// or θ), beyond the difference quotient's own uncertainty. For exact gradients 1e-7 in f64; a continuous adjoint
    /// needs what its tolerance gives.
    pub tolerance: f64,
    /// At most this many entries of y0, and of θ, are moved, evenly spread.
    pub max_inputs: usize,
}

impl Default for SolveCheckOptions {
    fn default() -> Self {
        Self { tolerance: 1e-7, max_inputs: 64 }
    }
}

/// An entry of a gradient and its difference quotient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolveEntry {
    /// Which entry.
    pub input: Input,
    /// What was given.
    pub gradient: f64,
    /// The difference quotient.
    pub difference: f64,
    /// How far the quotients of two increments differ.
    pub uncertainty: f64,
    /// |gradient − difference| beyond the uncertainty, over the largest entry.
    pub excess: f64,
}

/// What [`check_gradient`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct SolveReport {
    /// Every entry that was compared.
    pub entries: Vec<SolveEntry>,
    tolerance: f64,
}

impl SolveReport {
    /// Whether all entries agree.
    pub fn passed(&self) -> bool {
        self.wrong() == 0
    }

    /// Entries that disagree (what is not finite has an infinite excess).
    fn wrong(&self) -> usize {
        self.entries.iter().filter(|e| e.excess > self.tolerance).count()
    }

    /// The entry that is furthest off.
    pub fn worst(&self) -> Option<&SolveEntry> {
        self.entries.iter().max_by(|a, b| a.excess.total_cmp(&b.excess))
    }
}

impl fmt::Display for SolveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} entries differ from differences by more than {:e}",
            self.wrong(),
            self.entries.len(),
            self.tolerance
        )?;
        if let Some(e) = self.worst() {
            write!(
                f,
                "; worst {}: gradient {:e}, difference {:e} ± {:.1e}",
                e.input, e.gradient, e.difference, e.uncertainty
            )?;
        }
        Ok(())
    }
}

/// Compares `gradient` = \[ȳ0, θ̄\] with central differences (extrapolated over two increments) of the loss of
/// `recorded` replayed: the solve at frozen steps, which is what exact adjoints differentiate. For reversible
/// methods, whose states hold more than the solution, y0 is that of the problem and `loss` sees the solution alone.
///
/// # Errors
/// Lengths that do not fit, a replay that goes non-finite, or what `loss` returns. That gradients disagree is
/// not an error but the content of the report.
pub fn check_gradient<T: Real, D: Dynamics<T>, M: StepMethod<T, D>>(
    dynamics: &D,
    method: &M,
    problem: &Problem<'_, T>,
    (recorded, options): (&Solution<T>, &Options<T>),
    mut loss: impl FnMut(&Solution<T>, &mut [T]) -> Result<T>,
    gradient: [&[T]; 2],
    check: &SolveCheckOptions,
) -> Result<SolveReport> {
    let (n, p) = (problem.y0.len(), problem.theta.len());
    Error::check_len("the gradient with respect to y0", gradient[0].len(), n, "dim × batch")?;
    Error::check_len("the gradient with respect to theta", gradient[1].len(), p, "the parameters")?;
    let batch = n / dynamics.dim().max(1);
    let mut solver = Solver::with(method.stepper(dynamics, batch));
    let mut value = |y0: &[T], theta: &[T]| -> Result<f64> {
        let y0 = y0.repeat(M::CARRIED);
        solver.replay(&Problem { y0: &y0, theta, ..*problem }, recorded, options, &mut Silent)?;
        let mut solution = solver.solution().clone();
        solution.keep_columns(batch);
        let mut unused = vec![T::zero(); solution.y.len()];
        Ok(Evaluation::new(loss(&solution, &mut unused)?, &[])?.total.f64())
    };
    let (mut y0, mut theta) = (problem.y0.to_vec(), problem.theta.to_vec());
    let mut entries = Vec::new();
    for (kind, given) in gradient.into_iter().enumerate() {
        let size = given.iter().fold(f64::MIN_POSITIVE, |s, g| s.max(g.f64().abs()));
        for i in spread(given.len(), check.max_inputs) {
            let mut moved = |d: f64| -> Result<f64> {
                let place = if kind == 0 { &mut y0[i] } else { &mut theta[i] };
                let before = *place;
                *place = T::of(before.f64() + d);
                let outcome = value(&y0, &theta);
                let place = if kind == 0 { &mut y0[i] } else { &mut theta[i] };
                *place = before;
                outcome
            };
            let at = if kind == 0 { problem.y0[i] } else { problem.theta[i] };
            let d = T::EPSILON.f64().powf(0.2) * (0.1 + at.f64().abs());
            let wide = (moved(d)? - moved(-d)?) / (2.0 * d);
            let half = 0.5 * d;
            let narrow = (moved(half)? - moved(-half)?) / d;
            let difference = (4.0 * narrow - wide) / 3.0;
            let (given, uncertainty) = (given[i].f64(), (difference - narrow).abs() * 0.1);
            let excess = ((given - difference).abs() - uncertainty).max(0.0) / size;
            let excess = if (given - difference).is_finite() { excess } else { f64::INFINITY };
            let input = if kind == 0 { Input::State(i) } else { Input::Theta(i) };
            entries.push(SolveEntry { input, gradient: given, difference, uncertainty, excess });
        }
    }
    Ok(SolveReport { entries, tolerance: check.tolerance })
}

/// Up to `most` of 0..n, evenly spread, both ends included.
fn spread(n: usize, most: usize) -> Vec<usize> {
    if n <= most.max(2) {
        return (0..n).collect();
    }
    (0..most.max(2)).map(|i| i * (n - 1) / (most.max(2) - 1)).collect()
}
