//! Implicit reference methods for stiff forward solves, from the crate [`::diffsol`] (feature `diffsol`).
//!
//! [`solve`] takes any [`Dynamics<f64>`](Dynamics), the same [`Problem`] and [`Options`] as
//! [`ode::solve`](super::solve) and gives the same [`Solution`]. Jacobians are dense and come from
//! [`Dynamics::jvp`], one product for each state.
//!
//! It is a reference: a second opinion for stiff problems and an oracle in tests. What it does not do:
//!
//! - gradients: diffsol keeps no stages in public, so there are no heuristics, penalties or discrete
//!   adjoint through these steps;
//! - [`Save::Dense`], [`Controller::Fixed`](crate::integrate::Controller::Fixed), `dt_max`,
//!   `diagnostics` and [`Over::Trajectory`] with several columns: each is refused by a specific error;
//! - the choice among adaptive controllers: diffsol's own is used;
//! - error estimates: [`StepInfo::error`] and the attempts of a post-mortem hold NaN;
//! - large systems: more than [`LARGEST`] unknowns (dim × batch) are refused.
//!
//! A batch is solved as one system with shared steps, its Jacobian stored dense. `nfe` counts
//! evaluations of f, not Jacobian–vector products; `max_steps` and `max_nfe` are checked between
//! steps, each of which may retry. At a `tstop` the method restarts, so that its history never
//! reaches across a discontinuity.
//!
//! ```
//! use odeon::dynamics::{gallery::Robertson, generic::Generic};
//! use odeon::integrate::{Options, Problem};
//! use odeon::num::Atol;
//! use odeon::ode::diffsol::{Implicit, solve};
//!
//! let problem = Problem { y0: &Robertson::Y0, span: [0.0, 1e5], theta: &Robertson::THETA };
//! let options = Options::tol(1e-6, Atol::PerRow(vec![1e-8, 1e-12, 1e-8]));
//! let solution = solve(&Generic(Robertson), Implicit::Bdf, &problem, &options)?;
//! assert!((solution.last()[0] - 1.786592e-2).abs() < 1e-6);
//! assert!(solution.stats.accepted < 500);
//! # Ok::<(), odeon::Error>(())
//! ```

use crate::dynamics::{Dynamics, Point, Tangent, check_shapes};
use crate::error::{Attempt, Error, Failure, PostMortem, Result};
use crate::integrate::{
    Located, Options, Partial, Problem, Save, Solution, StepInfo, Warning, smallest_step, sorted_stops,
};
use crate::num::{Atol, Over};
use ::diffsol::error::OdeSolverError;
use ::diffsol::{
    DiffsolError, NalgebraLU, NalgebraMat, NalgebraVec, OdeBuilder, OdeEquations, OdeSolverConfig,
    OdeSolverMethod, OdeSolverState, OdeSolverStopReason, Tableau,
};
use std::cell::{Cell, RefCell};
use std::time::Instant;

/// Most unknowns (dim × batch) of a solve: the dense Jacobian then takes 128 MiB.
pub const LARGEST: usize = 4096;

/// Entries of the state beyond this size count as infinite: differences of BDF's history would overflow.
const OVERFLOW: f64 = 1e250;

/// Steps kept for a post-mortem.
const KEPT: usize = 6;

/// An implicit method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Implicit {
    /// Backward differentiation formulas of orders 1 to 5, quasi-constant steps (Shampine &
    /// Reichelt, *The MATLAB ODE suite*, SIAM J. Sci. Comput. 18 (1997)).
    #[default]
    Bdf,
    /// Trapezoidal rule and BDF2 as one L-stable step of order 2 (Bank et al., 1985; Hosea &
    /// Shampine, Appl. Numer. Math. 20 (1996)).
    TrBdf2,
    /// L-stable and stiffly accurate, order 3 in four stages with an embedded method of order 4
    /// (Jørgensen, Kristensen & Thomsen, *A family of ESDIRK integration methods*, arXiv:1803.01613).
    Esdirk34,
}

/// Solves y' = f(t, y; θ), y(t0) = y0, with an implicit method. The columns of y0 (`dim × batch`)
/// share every step.
///
/// # Errors
/// Inputs or options that do not fit or are not supported (see the [module](self)); or a solve
/// that stopped early: then the error carries what was reached.
pub fn solve<D: Dynamics<f64>>(
    dynamics: &D,
    method: Implicit,
    problem: &Problem<'_, f64>,
    options: &Options<f64>,
) -> Result<Solution<f64>, Partial<f64>> {
    let batch = check_shapes(dynamics, problem.y0, problem.theta)?;
    let dim = dynamics.dim();
    let [t0, t1] = problem.span;
    let below = options.check(t0, t1, dim)?;
    check_supported(options, problem.y0.len(), batch)?;
    let direction = (t1 - t0).signum();
    let theta = problem.theta;
    let scratch = RefCell::new(dynamics.scratch(batch));
    let guard = Guard::default();
    // diffsol integrates forward in s = ±t.
    let rhs = |y: &[f64], _: &[f64], s: f64, dy: &mut [f64]| {
        let t = direction * guard.inside(s);
        dynamics.eval(Point { t, y, theta }, dy, &mut scratch.borrow_mut());
        dy.iter_mut().for_each(|v| *v *= direction);
        guard.evaluated(t, y, dy);
    };
    let jacobian = |y: &[f64], _: &[f64], s: f64, v: &[f64], out: &mut [f64]| {
        let t = direction * guard.inside(s);
        let dot = Tangent { t: 0.0, y: v, theta: &[] };
        dynamics.jvp(Point { t, y, theta }, dot, out, &mut scratch.borrow_mut());
        // Newton would take an infinite slope for convergence; a NaN makes it fail.
        let slope = match out.iter().any(unusable) {
            true => f64::NAN,
            false => direction,
        };
        out.iter_mut().for_each(|v| *v *= slope);
    };
    let mut run = Run::new((dim, batch), direction, options, &guard);
    if below {
        let (rtol, epsilon) = (options.norm.rtol, f64::EPSILON);
        let warning = Warning::BelowResolution { rtol, epsilon };
        run.solution.stats.warnings.push(warning);
    }
    let outcome = run.integrate(&(&rhs, &jacobian), method, problem);
    let solution = run.finish();
    match outcome {
        Ok(()) => Ok(solution),
        Err(mut post_mortem) => {
            let failed = guard.failed.take();
            if let (Failure::NonFinite, Some((t, y))) = (post_mortem.failure, failed) {
                post_mortem.part = dynamics.locate_non_finite(Point { t, y: &y, theta });
            }
            post_mortem.trajectory = post_mortem.trajectory.filter(|_| batch > 1);
            Err(Partial { error: Error::Solve(Box::new(post_mortem)), solution: Box::new(solution) })
        }
    }
}

/// Refuses what this back end cannot do.
fn check_supported(options: &Options<f64>, unknowns: usize, batch: usize) -> Result<()> {
    let refuse = |what: &str, given: &str, needed: &str| Err(Error::invalid(what, given, needed));
    if unknowns > LARGEST {
        let needed = format!(
            "the diffsol back end stores dense Jacobians of at most {LARGEST} unknowns: solve the trajectories one by one"
        );
        return Err(Error::invalid("dim × batch", unknowns, needed));
    }
    if options.save == Save::Dense {
        let needed = "the diffsol back end keeps no stages: use Save::At or Save::EveryStep";
        return refuse("options.save", "Dense", needed);
    }
    if !options.controller.is_adaptive() {
        let needed = "the diffsol back end has adaptive steps only";
        return refuse("options.controller", "Fixed", needed);
    }
    if options.dt_max.is_some() {
        let needed = "the diffsol back end has no largest step: use tstops or a smaller tolerance";
        return refuse("options.dt_max", "set", needed);
    }
    if options.diagnostics {
        let needed = "the diffsol back end reports no error estimates or rejected attempts";
        return refuse("options.diagnostics", "true", needed);
    }
    if options.norm.over == Over::Trajectory && batch > 1 {
        let needed = "the diffsol back end takes its norm over the whole batch: use Over::Batch or solve the trajectories one by one";
        return refuse("options.norm.over", "Trajectory", needed);
    }
    let zero = |a: &f64| *a == 0.0;
    if options.norm.atol_slice().iter().any(zero) {
        let needed = "the diffsol back end divides by it: every entry must be positive";
        return refuse("atol", "0", needed);
    }
    Ok(())
}

/// Right-hand side (y, p, t, out) in diffsol's form, by reference so that diffsol is compiled once
/// and not once for each dynamics.
type Rhs<'f> = &'f dyn Fn(&[f64], &[f64], f64, &mut [f64]);
/// Jacobian–vector product (y, p, t, v, out) in diffsol's form.
type Jacobian<'f> = &'f dyn Fn(&[f64], &[f64], f64, &[f64], &mut [f64]);

/// What evaluations report past diffsol, which has no way for a right-hand side to fail.
#[derive(Default)]
struct Guard {
    nfe: Cell<usize>,
    /// Just before the discontinuity that the current stretch ends at.
    last: Cell<Option<f64>>,
    /// Finite point of the first evaluation since [`Guard::clear`] that was not finite.
    failed: RefCell<Option<(f64, Vec<f64>)>>,
    /// Its first entry that is not finite.
    entry: Cell<usize>,
}

impl Guard {
    /// The time to evaluate at: never at or past the discontinuity that ends the stretch.
    fn inside(&self, s: f64) -> f64 {
        self.last.get().map_or(s, |last| s.min(last))
    }

    fn evaluated(&self, t: f64, y: &[f64], dy: &mut [f64]) {
        self.nfe.set(self.nfe.get() + 1);
        // Newton's iterates may run away without a fault of f.
        let stray = y.iter().any(unusable);
        let Some(entry) = dy.iter().position(unusable).or(stray.then_some(0)) else {
            return;
        };
        dy.fill(f64::NAN);
        let mut failed = self.failed.borrow_mut();
        if !stray && failed.is_none() {
            *failed = Some((t, y.to_vec()));
            self.entry.set(entry);
        }
    }

    fn clear(&self) {
        self.failed.take();
    }
}

/// A solve in progress, in s = ±t.
struct Run<'a> {
    options: &'a Options<f64>,
    guard: &'a Guard,
    direction: f64,
    clock: Instant,
    next_save: usize,
    /// Rejections of finished stretches.
    rejected: usize,
    last: Vec<Attempt>,
    solution: Solution<f64>,
}

impl<'a> Run<'a> {
    fn new(
        (dim, batch): (usize, usize),
        direction: f64,
        options: &'a Options<f64>,
        guard: &'a Guard,
    ) -> Self {
        let solution = Solution { dim, batch, ..Solution::default() };
        Self {
            options,
            guard,
            direction,
            clock: Instant::now(),
            next_save: 0,
            rejected: 0,
            last: Vec::new(),
            solution,
        }
    }

    fn finish(mut self) -> Solution<f64> {
        let stats = &mut self.solution.stats;
        stats.nfe = self.guard.nfe.get();
        stats.accepted = self.solution.steps.len();
        stats.rejected = self.rejected;
        stats.time = self.clock.elapsed();
        self.solution
    }

    /// Solves stretch by stretch between stops, each from a fresh start.
    fn integrate(
        &mut self,
        functions: &(Rhs<'_>, Jacobian<'_>),
        method: Implicit,
        problem: &Problem<'_, f64>,
    ) -> Result<(), PostMortem> {
        let [t0, t1] = problem.span;
        let mut y = problem.y0.to_vec();
        let mut start = t0;
        if self.options.save == Save::EveryStep {
            self.save(t0, &y, (0, 0.0));
        }
        if let Save::At(times) = &self.options.save {
            while times.get(self.next_save) == Some(&t0) {
                self.save(t0, &y, (0, 0.0));
                self.next_save += 1;
            }
        }
        for stop in sorted_stops(&self.options.tstops, problem.span) {
            let nudge = 2.0 * f64::EPSILON * stop.abs().max((stop - start).abs());
            let last = (stop != t1).then_some(self.direction * stop - nudge);
            self.guard.last.set(last);
            self.stretch(functions, method, [start, stop], &mut y)?;
            start = stop;
        }
        if self.options.save == Save::End {
            let step = self.solution.steps.len().saturating_sub(1);
            self.save(t1, &y, (step, 1.0));
        }
        Ok(())
    }

    /// Solves over `span` from `y`, which becomes the state at its end.
    fn stretch(
        &mut self,
        (rhs, jacobian): &(Rhs<'_>, Jacobian<'_>),
        method: Implicit,
        span: [f64; 2],
        y: &mut [f64],
    ) -> Result<(), PostMortem> {
        let n = y.len();
        let start = y.to_vec();
        let norm = &self.options.norm;
        let atol = match &norm.atol {
            Atol::Scalar(atol) => vec![*atol; n],
            Atol::PerRow(rows) => rows.iter().copied().cycle().take(n).collect(),
        };
        let mut derivative = vec![0.0; n];
        let s0 = self.direction * span[0];
        self.guard.clear();
        rhs(&start, &[], s0, &mut derivative);
        if self.guard.failed.borrow().is_some() {
            return Err(self.post_mortem(Failure::NonFinite, span[0], 0.0));
        }
        let built = OdeBuilder::<NalgebraMat<f64>>::new()
            .t0(s0)
            .rtol(norm.rtol)
            .atol(atol)
            .rhs_implicit(*rhs, *jacobian)
            .init(|_: &[f64], _, y: &mut [f64]| y.copy_from_slice(&start), n)
            .build();
        let failed = |run: &Self, e: DiffsolError| run.diagnose(&e, span[0], 0.0, false);
        let mut ode = built.map_err(|e| failed(self, e))?;
        // diffsol counts Newton's failures over the whole solve; the smallest step ends a stretch
        // that does not converge.
        ode.ode_options.max_nonlinear_solver_failures = usize::MAX;
        let tableau = match method {
            Implicit::Bdf => {
                let mut state = ode.bdf_state::<NalgebraLU<f64>>().map_err(|e| failed(self, e))?;
                self.first_step(state.as_mut().h, span);
                let solver = ode.bdf_solver::<NalgebraLU<f64>>(state);
                return self.steps(solver.map_err(|e| failed(self, e))?, span, y);
            }
            Implicit::TrBdf2 => Tableau::tr_bdf2(),
            Implicit::Esdirk34 => Tableau::esdirk34(),
        };
        let state = ode.rk_state_and_consistent::<NalgebraLU<f64>>(&tableau);
        let mut state = state.map_err(|e| failed(self, e))?;
        self.first_step(state.as_mut().h, span);
        let solver = ode.sdirk_solver::<NalgebraLU<f64>, NalgebraMat<f64>>(state, tableau);
        self.steps(solver.map_err(|e| failed(self, e))?, span, y)
    }

    /// Replaces diffsol's first step by the user's, or by a small one where it is of no use.
    fn first_step(&mut self, h: &mut f64, [t0, t1]: [f64; 2]) {
        let length = (t1 - t0).abs();
        match self.options.h0 {
            Some(h0) => *h = h0.min(length),
            None if !(h.is_finite() && *h > 0.0) => *h = 1e-6 * length,
            None => *h = h.min(length),
        }
        if self.solution.steps.is_empty() {
            self.solution.stats.first_h = *h;
        }
    }

    /// Steps to the end of a stretch.
    fn steps<'s, E, S>(&mut self, mut solver: S, span: [f64; 2], y: &mut [f64]) -> Result<(), PostMortem>
    where
        E: OdeEquations<T = f64, V = NalgebraVec<f64>> + 's,
        S: OdeSolverMethod<'s, E>,
    {
        let before = self.rejected;
        let [mut t, t1] = span;
        let end = self.direction * t1;
        let stop = solver.set_stop_time(end);
        stop.map_err(|e| self.diagnose(&e, t, 0.0, false))?;
        loop {
            let attempts = self.solution.steps.len() + self.rejected;
            if attempts >= self.options.max_steps {
                return Err(self.post_mortem(Failure::MaxSteps, t, solver.state().h));
            }
            if self.guard.nfe.get() >= self.options.max_nfe {
                return Err(self.post_mortem(Failure::MaxNfe, t, solver.state().h));
            }
            *solver.config_mut().as_base_mut().minimum_timestep = smallest_step(t, t1, self.options);
            self.guard.clear();
            let newton = solver.get_statistics().number_of_nonlinear_solver_fails;
            let outcome = solver.step();
            let stats = solver.get_statistics();
            let converged = stats.number_of_nonlinear_solver_fails == newton;
            self.rejected =
                before + stats.number_of_error_test_failures + stats.number_of_nonlinear_solver_fails;
            let state = solver.state();
            let reason = outcome.map_err(|e| self.diagnose(&e, t, state.h, !converged))?;
            let reached = reason == OdeSolverStopReason::TstopReached;
            let next = if reached { t1 } else { self.direction * state.t };
            y.copy_from_slice(state.y.batch_as_slice(0));
            if let Some(entry) = y.iter().position(unusable) {
                self.guard.entry.set(entry);
                *self.guard.failed.borrow_mut() = Some((next, y.to_vec()));
                return Err(self.post_mortem(Failure::NonFinite, t, next - t));
            }
            self.accepted([t, next], reached && self.guard.last.get().is_some(), y);
            self.save_times(&solver, [t, next], y).map_err(|e| self.diagnose(&e, t, next - t, false))?;
            t = next;
            if reached {
                return Ok(());
            }
        }
    }

    /// Records an accepted step.
    fn accepted(&mut self, [t, t1]: [f64; 2], to_stop: bool, y: &[f64]) {
        let (h, error) = (t1 - t, f64::NAN);
        let (from_stop, iterations, member) = Default::default();
        let step = StepInfo { t, h, t1, to_stop, from_stop, error, iterations, member };
        self.solution.steps.push(step);
        if self.last.len() == KEPT {
            self.last.remove(0);
        }
        self.last.push(attempt(t, h, true));
        if self.options.save == Save::EveryStep {
            self.save(t1, y, (self.solution.steps.len() - 1, 1.0));
        }
    }

    /// Saves the times that lie in the step from `t` to `t1`, where the state is `y`.
    fn save_times<'s, E, S>(&mut self, solver: &S, [t, t1]: [f64; 2], y: &[f64]) -> Result<(), DiffsolError>
    where
        E: OdeEquations<T = f64, V = NalgebraVec<f64>> + 's,
        S: OdeSolverMethod<'s, E>,
    {
        let Save::At(times) = &self.options.save else {
            return Ok(());
        };
        let step = self.solution.steps.len() - 1;
        while let Some(&time) = times.get(self.next_save) {
            if self.direction * (time - t1) > 0.0 {
                break;
            }
            if time == t1 {
                self.save(time, y, (step, 1.0));
            } else {
                // A step that ends within rounding of the stretch's end is labelled with that end.
                let s = (self.direction * time).min(solver.state().t);
                let state = solver.interpolate(s)?;
                let theta = (time - t) / (t1 - t);
                self.save(time, state.batch_as_slice(0), (step, theta));
            }
            self.next_save += 1;
        }
        Ok(())
    }

    fn save(&mut self, t: f64, y: &[f64], (step, theta): (usize, f64)) {
        self.solution.t.push(t);
        self.solution.y.extend_from_slice(y);
        self.solution.located.push(Located { step, theta });
    }

    /// What a failed step of diffsol means.
    fn diagnose(&self, error: &DiffsolError, t: f64, h: f64, newton: bool) -> PostMortem {
        let failure = match error {
            _ if self.guard.failed.borrow().is_some() => Failure::NonFinite,
            _ if newton => Failure::Nonlinear,
            DiffsolError::OdeSolverError(
                OdeSolverError::StepSizeTooSmall { .. } | OdeSolverError::TooManyErrorTestFailures { .. },
            ) => Failure::StepTooSmall,
            _ => Failure::Nonlinear,
        };
        self.post_mortem(failure, t, h)
    }

    fn post_mortem(&self, failure: Failure, t: f64, h: f64) -> PostMortem {
        let h = self.direction * h.abs();
        let mut history = self.last.clone();
        if !matches!(failure, Failure::MaxSteps | Failure::MaxNfe) {
            history.push(attempt(t, h, false));
        }
        let entry = (failure == Failure::NonFinite).then(|| self.guard.entry.get());
        PostMortem {
            failure,
            t,
            step: self.solution.steps.len() + self.rejected,
            h,
            component: entry.map(|i| i % self.solution.dim),
            trajectory: entry.map(|i| i / self.solution.dim),
            part: None,
            history,
        }
    }
}

/// NaN, infinite or about to be.
fn unusable(v: &f64) -> bool {
    v.is_nan() || v.abs() >= OVERFLOW
}

fn attempt(t: f64, h: f64, accepted: bool) -> Attempt {
    let nan = f64::NAN;
    Attempt { t, h, error: nan, stiffness: nan, accepted, member: Default::default() }
}
