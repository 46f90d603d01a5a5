//! [`check_gradient`]: vjp, jvp and finite differences of any dynamics against each other, entry by
//! entry.
//!
//! Three witnesses tell which one is wrong: the odd one out. On top of the entries of the Jacobian
//! it checks what an entry alone cannot show: that vjp accumulates, that it sums over outputs and
//! columns, that jvp adds its directions, that an empty θ direction means zero, and that columns do
//! not see each other (give at least two, or that goes unseen).

mod differences;
mod report;

pub use report::{Fault, GradientReport, Input, Mismatch};

use super::{Dynamics, Point, Tangent, check_shapes};
use crate::error::{Error, Result};
use crate::num::Real;

/// What [`check_gradient`] compares and how closely. The default fits both precisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckOptions {
    /// Largest relative difference between vjp and jvp. None: 10⁴ roundings (2e-12 in f64).
    pub exact_tol: Option<f64>,
    /// Largest relative difference to the finite difference, beyond its own uncertainty. None: the
    /// square root of a rounding (1.5e-8 in f64).
    pub difference_tol: Option<f64>,
    /// At most this many entries of y, and of θ, are differenced, evenly spread.
    pub max_inputs: usize,
    /// At most this many outputs are pulled back, evenly spread.
    pub max_outputs: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { exact_tol: None, difference_tol: None, max_inputs: 128, max_outputs: 64 }
    }
}

/// Compares vjp, jvp and central differences (extrapolated, over a sweep of increments, of which
/// the most settled counts) of `dynamics` at (t, y, θ); `y` is column-major `dim × batch`.
///
/// # Errors
/// Wrong shapes, non-finite input, or a right-hand side that is not finite there. That gradients
/// disagree is not an error but the content of the report.
pub fn check_gradient<T: Real, D: Dynamics<T>>(
    dynamics: &D,
    t: T,
    y: &[T],
    theta: &[T],
    options: &CheckOptions,
) -> Result<GradientReport> {
    let batch = check_shapes(dynamics, y, theta)?;
    Error::check_finite("t", &[t])?;
    let at = Point { t, y, theta };
    let mut scratch = dynamics.scratch(batch);
    let mut value = vec![T::of(0.0); y.len()];
    dynamics.eval(at, &mut value, &mut scratch);
    if let Some(row) = value.iter().position(|v| !v.is_finite()) {
        let part = dynamics.locate_non_finite(at).map(|p| format!(" ({p})"));
        let needed = format!("it must be finite where it is checked{}", part.unwrap_or_default());
        return Err(Error::invalid(format!("f[{row}]"), value[row], needed));
    }
    let rounding = T::EPSILON.f64();
    let mut checker = Checker {
        dynamics,
        at,
        scratch,
        value,
        exact_tol: options.exact_tol.unwrap_or(1e4 * rounding),
        difference_tol: options.difference_tol.unwrap_or(rounding.sqrt()),
        inputs: inputs(y.len(), theta.len(), options.max_inputs),
        outputs: spread(y.len(), options.max_outputs),
        report: GradientReport::default(),
    };
    checker.columns_are_independent();
    let pullbacks: Vec<_> = (0..checker.outputs.len()).map(|i| checker.pull_one(i)).collect();
    checker.entries(&pullbacks);
    checker.directions_add(&pullbacks);
    Ok(checker.report)
}

/// Up to `most` of 0..n, evenly spread, both ends included.
fn spread(n: usize, most: usize) -> Vec<usize> {
    if n <= most.max(2) {
        return (0..n).collect();
    }
    (0..most.max(2)).map(|i| i * (n - 1) / (most.max(2) - 1)).collect()
}

fn inputs(state: usize, theta: usize, most: usize) -> Vec<Input> {
    let y = spread(state, most).into_iter().map(Input::State);
    let p = spread(theta, most).into_iter().map(Input::Theta);
    std::iter::once(Input::Time).chain(y).chain(p).collect()
}

/// A full row of the Jacobian, or a cotangent of all inputs.
struct Cotangent<T> {
    t: T,
    y: Vec<T>,
    theta: Vec<T>,
}

impl<T: Real> Cotangent<T> {
    fn get(&self, input: Input) -> f64 {
        match input {
            Input::Time => self.t.f64(),
            Input::State(i) => self.y[i].f64(),
            Input::Theta(k) => self.theta[k].f64(),
        }
    }
}

/// Numbers of order one without pattern, for dense directions.
fn dense<T: Real>(n: usize, phase: f64) -> Vec<T> {
    (0..n).map(|i| T::of((1.7 * i as f64 + phase).cos() + 0.1)).collect()
}

struct Checker<'a, T: Real, D: Dynamics<T>> {
    dynamics: &'a D,
    at: Point<'a, T>,
    scratch: D::Scratch,
    /// f at the point.
    value: Vec<T>,
    exact_tol: f64,
    difference_tol: f64,
    inputs: Vec<Input>,
    outputs: Vec<usize>,
    report: GradientReport,
}

impl<T: Real, D: Dynamics<T>> Checker<'_, T, D> {
    fn vjp(&mut self, seed: &[T], mut into: Cotangent<T>) -> Cotangent<T> {
        let (y, theta) = (&mut into.y, &mut into.theta);
        into.t = self.dynamics.vjp(self.at, seed, y, theta, &mut self.scratch);
        into
    }

    fn pull(&mut self, seed: &[T]) -> Cotangent<T> {
        let zeros = |n| vec![T::of(0.0); n];
        let (y, theta) = (zeros(self.at.y.len()), zeros(self.at.theta.len()));
        self.vjp(seed, Cotangent { t: T::of(0.0), y, theta })
    }

    fn pull_one(&mut self, i: usize) -> Cotangent<T> {
        let mut seed = vec![T::of(0.0); self.value.len()];
        seed[self.outputs[i]] = T::of(1.0);
        self.pull(&seed)
    }

    fn push(&mut self, t: T, y: &[T], theta: &[T]) -> Vec<T> {
        let mut out = vec![T::of(0.0); y.len()];
        let dot = Tangent { t, y, theta };
        self.dynamics.jvp(self.at, dot, &mut out, &mut self.scratch);
        out
    }

    fn push_one(&mut self, input: Input) -> Vec<T> {
        let (mut t, mut y) = (T::of(0.0), vec![T::of(0.0); self.at.y.len()]);
        let mut theta = vec![T::of(0.0); self.at.theta.len()];
        match input {
            Input::Time => t = T::of(1.0),
            Input::State(i) => y[i] = T::of(1.0),
            Input::Theta(k) => theta[k] = T::of(1.0),
        }
        self.push(t, &y, &theta)
    }

    /// f of each column alone is its column of f.
    fn columns_are_independent(&mut self) {
        let (dim, t, theta) = (self.dynamics.dim(), self.at.t, self.at.theta);
        let mut alone = vec![T::of(0.0); dim];
        for (column, y) in self.at.y.chunks_exact(dim).enumerate() {
            self.dynamics.eval(Point { t, y, theta }, &mut alone, &mut self.scratch);
            for (row, &single) in alone.iter().enumerate() {
                let output = column * dim + row;
                let together = self.value[output].f64();
                self.report.compare(
                    Fault::Columns,
                    Some(output),
                    None,
                    [together, single.f64()],
                    [self.exact_tol, 0.0],
                );
            }
        }
    }

    /// Each sampled entry by all three witnesses, and the pullback of all outputs at once.
    fn entries(&mut self, pullbacks: &[Cotangent<T>]) {
        let seed = dense::<T>(self.value.len(), 0.3);
        let all = self.pull(&seed);
        self.accumulates(&seed, &all);
        // Rounding is relative to the terms that cancel: entries far below the others of their row
        // and kind are judged against 1 % of the largest.
        let floors = self.row_floors(pullbacks);
        for input in self.inputs.clone() {
            let column = self.push_one(input);
            let differences = self.differences(input);
            for (i, row) in pullbacks.iter().enumerate() {
                let output = self.outputs[i];
                let (fd, uncertainty) = differences[output];
                let witnesses = [row.get(input), column[output].f64(), fd];
                let tolerances = [self.exact_tol, self.difference_tol, uncertainty];
                let natural = self.value[output].f64().abs() / self.size(input);
                let scales = [floors[i][input.kind()], natural];
                let entry = (output, input);
                self.report.entry(entry, witnesses, tolerances, scales);
            }
            let terms = column.iter().zip(&seed).map(|(j, s)| j.f64() * s.f64());
            let (sum, size) = terms.fold((0.0, 0.0), |(s, a), x: f64| (s + x, a + x.abs()));
            let values = [all.get(input), sum];
            self.report.compare(Fault::OutputSum, None, Some(input), values, [self.exact_tol, size]);
        }
    }

    fn row_floors(&self, pullbacks: &[Cotangent<T>]) -> Vec<[f64; 3]> {
        let largest = |row: &Cotangent<T>| {
            let mut floor = [0.0f64; 3];
            for &input in &self.inputs {
                let size = row.get(input).abs();
                floor[input.kind()] = floor[input.kind()].max(0.01 * size);
            }
            floor
        };
        pullbacks.iter().map(largest).collect()
    }

    /// vjp into buffers that are not empty adds to what is there.
    fn accumulates(&mut self, seed: &[T], clean: &Cotangent<T>) {
        let start = |x: &T| *x + *x + T::of(1.0);
        let y: Vec<T> = clean.y.iter().map(start).collect();
        let theta: Vec<T> = clean.theta.iter().map(start).collect();
        let used = self.vjp(seed, Cotangent { t: T::of(7.0), y, theta });
        for input in self.inputs.clone() {
            let grad = clean.get(input);
            let expected = match input {
                Input::Time => grad,
                _ => 3.0 * grad + 1.0,
            };
            let (values, bound) = ([used.get(input), expected], [self.exact_tol, 1.0]);
            self.report.compare(Fault::Accumulation, None, Some(input), values, bound);
        }
    }

    /// jvp along a dense direction is the sum of the entries of a row; without θ, of those of t, y.
    fn directions_add(&mut self, pullbacks: &[Cotangent<T>]) {
        let (y, theta) = (dense::<T>(self.at.y.len(), 0.6), dense::<T>(self.at.theta.len(), 0.9));
        let t = T::of(0.8);
        let whole = self.push(t, &y, &theta);
        let without = self.push(t, &y, &[]);
        for (i, row) in pullbacks.iter().enumerate() {
            let output = self.outputs[i];
            let dot = |a: &[T], b: &[T]| {
                let terms = a.iter().zip(b).map(|(a, b)| a.f64() * b.f64());
                terms.fold((0.0, 0.0), |(s, a), x: f64| (s + x, a + x.abs()))
            };
            let ((sy, ay), (sp, ap)) = (dot(&row.y, &y), dot(&row.theta, &theta));
            let time = row.t.f64() * 0.8;
            let (partial, size) = (sy + time, ay + time.abs());
            let mut compare = |fault, values, size| {
                self.report.compare(fault, Some(output), None, values, [self.exact_tol, size]);
            };
            compare(Fault::EmptyTheta, [without[output].f64(), partial], size);
            compare(Fault::DirectionSum, [whole[output].f64(), partial + sp], size + ap);
        }
    }
}

#[cfg(test)]
mod tests;
