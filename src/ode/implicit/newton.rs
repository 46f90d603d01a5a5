//! Simplified Newton iteration: one factored matrix for many iterations, stages and steps.
//!
//! An iterate's displacement δ is measured in the scaled error norm, so that 1 is the tolerance of the
//! step. With the rate θ_k = ‖δ_k‖/‖δ_{k−1}‖ and η = θ/(1 − θ) the remaining error is about η‖δ_k‖: the
//! iteration stops when η‖δ‖ ≤ κ, and fails as soon as θ ≥ 1 or when the rate will not reach κ in the
//! iterations that are left (Hairer & Wanner II, IV.8, eq. 8.10). η is remembered from stage to stage and
//! step to step, η ← η^0.8 at each step, so that one iteration can be enough; a new matrix forgets it.
//!
//! κ = min(0.03, √rtol), or what the user asks for. Below rounding the rate is noise: a displacement of
//! less than 100 ε‖y‖ that shrinks no further counts as converged, so that κ = 0 means "as far as the
//! arithmetic goes". What depends on κ: the implicit function theorem, by which steps are
//! differentiated, is exact at the solution of the equations, so gradients agree with those of the
//! computed steps to about κ times the tolerance.

use crate::num::{ErrorNorm, Real};

/// How the nonlinear equations of implicit steps are solved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewtonOptions {
    /// κ: the iteration error that is accepted, in units of the step's tolerance; `None` for
    /// min(0.03, √rtol). Zero iterates to rounding.
    pub tolerance: Option<f64>,
    /// Iterations of a stage before it counts as failed.
    pub max_iterations: usize,
    /// The Jacobian is evaluated anew when the last step's iterations converged at a rate above this;
    /// `None` to choose by size. Zero evaluates it in every step.
    pub refresh_rate: Option<f64>,
}

impl Default for NewtonOptions {
    fn default() -> Self {
        Self { tolerance: None, max_iterations: 10, refresh_rate: None }
    }
}

impl NewtonOptions {
    /// Iterates to rounding: what gradients that must agree with finite differences need.
    pub fn tight() -> Self {
        Self { tolerance: Some(0.0), max_iterations: 60, refresh_rate: Some(0.0) }
    }

    /// The rate above which the Jacobian of a system of `dim` rows is evaluated anew: a small one costs
    /// less than an iteration of every stage.
    pub(crate) fn refresh_rate(&self, dim: usize) -> f64 {
        self.refresh_rate.unwrap_or(if dim <= 16 { 1e-3 } else { 0.1 })
    }
}

/// The equations F(x) = 0 of a stage, as the iteration sees them.
pub(crate) trait Equations<T> {
    /// `r` ← −F(x) by the right-hand side at `x`, with the sign for which x + W⁻¹r is the next iterate.
    fn residual(&mut self, x: &[T], r: &mut [T]);
    /// Told that an iteration starts.
    fn start(&mut self) {}
    /// `r` ← W⁻¹ r; false when the linear solver failed. A relative residual of `wanted` is enough.
    fn correct(&mut self, r: &mut [T], wanted: T) -> bool;
    /// The relative residual that [`correct`](Self::correct) left.
    fn inexactness(&self) -> T;
    /// Mean square of a displacement in the scaled norm.
    fn mean_square(&self, dx: &[T]) -> T;
    /// The mean square of the state, for the rounding floor.
    fn state_square(&self) -> T;
}

/// How an iteration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newton {
    /// The iterate is good to κ.
    Converged,
    /// It diverges, or would need more iterations than allowed.
    Slow,
    /// A residual or displacement went non-finite, or the linear solver failed.
    Broken,
}

/// What the iteration remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Iteration<T> {
    /// η/(1 − η) of the last rate seen.
    eta: T,
    /// The slowest rate since [`start_step`](Self::start_step).
    pub worst: T,
    /// Iterations since [`start_step`](Self::start_step).
    pub count: u32,
    kappa: T,
    limit: usize,
}

impl<T: Real> Iteration<T> {
    pub fn new(options: &NewtonOptions) -> Self {
        let kappa = T::of(options.tolerance.unwrap_or(0.0));
        Self { eta: T::one(), worst: T::zero(), count: 0, kappa, limit: options.max_iterations.max(1) }
    }

    /// κ for a solve in `norm`.
    pub fn prepare(&mut self, options: &NewtonOptions, norm: &ErrorNorm<T>) {
        let usual = norm.rtol.f64().sqrt().clamp(1e-7, 0.03);
        self.kappa = T::of(options.tolerance.unwrap_or(usual));
        self.limit = options.max_iterations.max(1);
        self.eta = T::one();
    }

    /// Forgets the rate: the matrix is new.
    #[inline(always)]
    pub fn new_matrix(&mut self) {
        self.eta = T::one();
    }

    /// Starts a step.
    #[inline(always)]
    pub fn start_step(&mut self) {
        // η^0.8 by the exponential of its logarithm; η = 1 stays.
        if self.eta < T::one() {
            self.eta = (self.eta.max_number(T::EPSILON).log2() * T::of(0.8)).exp2();
        }
        (self.worst, self.count) = (T::zero(), 0);
    }

    /// Iterates from `x`; `r` is work space. The last displacement stays in `r`.
    #[inline(always)]
    pub fn solve(&mut self, equations: &mut impl Equations<T>, x: &mut [T], r: &mut [T]) -> Newton {
        let (one, mut before) = (T::one(), T::zero());
        // What a linear residual of the next iterate may be: half of κ in what is left.
        let mut wanted = T::zero();
        equations.start();
        for k in 0..self.limit {
            equations.residual(x, r);
            if !equations.correct(r, wanted) {
                return Newton::Broken;
            }
            self.count += 1;
            for (x, r) in x.iter_mut().zip(r.iter()) {
                *x += *r;
            }
            let size = equations.mean_square(r).sqrt();
            if !size.is_finite() {
                return Newton::Broken;
            }
            if k > 0 && size > T::zero() {
                let rate = size / before;
                if rate > T::of(0.3) && self.at_rounding(equations, size) {
                    return Newton::Converged;
                }
                self.worst = self.worst.max_number(rate);
                if rate >= one {
                    return Newton::Slow;
                }
                self.eta = rate / (one - rate);
                let left = (self.limit - 1 - k) as i32;
                if rate.powi(left) * size > self.kappa.max_number(self.floor(equations)) * (one - rate) {
                    return Newton::Slow;
                }
            }
            let left = self.eta.max_number(equations.inexactness()) * size;
            if left <= self.kappa || size == T::zero() {
                return Newton::Converged;
            }
            wanted = T::of(0.5) * self.kappa / left;
            before = size;
        }
        Newton::Slow
    }

    #[inline(always)]
    fn floor(&self, equations: &impl Equations<T>) -> T {
        match self.kappa < T::of(1e-3) {
            true => T::of(100.0) * T::EPSILON * equations.state_square().sqrt(),
            false => T::zero(),
        }
    }

    #[cold]
    fn at_rounding(&self, equations: &impl Equations<T>, size: T) -> bool {
        size <= T::of(100.0) * T::EPSILON * equations.state_square().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x² = 2 with a fixed slope: the rate is |1 − 2x/slope|.
    struct Root {
        slope: f64,
        calls: usize,
        broken_at: usize,
    }

    impl Equations<f64> for Root {
        fn residual(&mut self, x: &[f64], r: &mut [f64]) {
            self.calls += 1;
            r[0] = if self.calls == self.broken_at { f64::NAN } else { 2.0 - x[0] * x[0] };
        }
        fn inexactness(&self) -> f64 {
            0.0
        }
        fn correct(&mut self, r: &mut [f64], _: f64) -> bool {
            r[0] /= self.slope;
            true
        }
        fn mean_square(&self, dx: &[f64]) -> f64 {
            (dx[0] / 1e-6).powi(2)
        }
        fn state_square(&self) -> f64 {
            2e12
        }
    }

    fn run(slope: f64, tolerance: f64, broken_at: usize) -> (Newton, f64, u32, f64) {
        let options = NewtonOptions { tolerance: Some(tolerance), ..NewtonOptions::default() };
        let mut iteration = Iteration::new(&options);
        iteration.start_step();
        let (mut x, mut r) = ([1.5], [0.0]);
        let mut root = Root { slope, calls: 0, broken_at };
        let outcome = iteration.solve(&mut root, &mut x, &mut r);
        (outcome, (x[0] - 2f64.sqrt()).abs(), iteration.count, iteration.worst)
    }

    #[test]
    fn stops_when_the_rate_says_so() {
        let (outcome, error, count, worst) = run(3.0, 0.01, 0);
        assert_eq!(outcome, Newton::Converged);
        // The error that is left is below κ times the tolerance, and not far below.
        assert!(error < 1e-8 && error > 1e-13, "{error:e}");
        assert!((worst - 0.057).abs() < 0.02 && count == 6, "{worst} {count}");
    }

    #[test]
    fn zero_tolerance_goes_to_rounding() {
        let (outcome, error, count, _) = run(2.828, 0.0, 0);
        assert_eq!(outcome, Newton::Converged);
        assert!(error < 1e-15 && count < 10, "{error:e} {count}");
    }

    #[test]
    fn divergence_slowness_and_nan_are_told_apart() {
        assert_eq!(run(-3.0, 0.01, 0).0, Newton::Slow);
        // A rate of 0.9 cannot reach κ in ten iterations: seen at the second.
        let (outcome, _, count, _) = run(28.0, 0.01, 0);
        assert_eq!((outcome, count), (Newton::Slow, 2));
        assert_eq!(run(3.0, 0.01, 2).0, Newton::Broken);
    }
}
