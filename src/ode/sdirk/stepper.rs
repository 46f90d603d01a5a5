//! The step of a diagonally implicit method.
//!
//! Stage i is solved for z = hγ k^I_i:  α M z = f_I(t_i, g + z),  α = 1/(hγ),  g = y + h Σ row_ij K_j, by
//! simplified Newton iteration with W = αM − J: W δ = f_I(t_i, g + z) − αM z. The Jacobian is that of an
//! earlier step's start until the iterations slow down; a stage that does not converge with an old
//! Jacobian is tried again with a new one, then with one at the stage itself, and only then the step
//! fails.

use super::method::SdirkLayout;
use super::part::Implicit;
use super::tableau::SdirkTableau;
use crate::dynamics::{Dynamics, Part, Point};
use crate::error::Result;
use crate::integrate::{Estimates, ImplicitWork, Iterations, Stepper, end_time, polynomial};
use crate::num::{ErrorNorm, Real, accumulate, combine, combine_differences};
use crate::ode::implicit::newton::{Equations, Iteration, Newton};
use crate::ode::implicit::{Algebraic, ImplicitOptions, IterationMatrix, Slope};
use std::borrow::Cow;

/// Factor on h after a stage that converged too slowly, and after one that broke down.
const SLOW: f64 = 0.5;
const BROKEN: f64 = 0.25;

/// Diagonally implicit Runge–Kutta steps for one right-hand side.
pub struct SdirkStepper<'a, T: Real, D: Dynamics<T>> {
    pub(super) layout: SdirkLayout,
    pub(super) dynamics: &'a D,
    pub(super) theta: Vec<T>,
    pub(super) scratch: D::Scratch,
    pub(super) options: ImplicitOptions<T>,
    /// Made by [`prepare`](Stepper::prepare), which can refuse.
    pub(super) matrix: Option<IterationMatrix<T>>,
    algebraic: Option<Algebraic<T>>,
    pub(super) slope: Option<Slope<T>>,
    newton: Iteration<T>,
    /// α of the factors; 0 when there are none.
    pub(super) factored: T,
    /// Whether J was evaluated at the start of the step in hand.
    pub(super) current: bool,
    /// Whether the last step's iterations ask for a new Jacobian.
    pub(super) stale: bool,
    batch: usize,
    /// The record of the step ([`SdirkLayout`]).
    pub(super) k: Vec<T>,
    /// Work space of a state each: the explicit part of a stage's argument, the argument, z, the
    /// residual.
    pub(super) base: Vec<T>,
    pub(super) g: Vec<T>,
    pub(super) z: Vec<T>,
    pub(super) r: Vec<T>,
    pub(super) nfe: usize,
    pub(super) nvjp: usize,
    failed: Option<T>,
    failures: usize,
    newton_iterations: usize,
    pub(super) to_stop: bool,
    scratch_bytes: usize,
    dense_weights: Vec<f64>,
}

/// The equations of a stage.
struct Stage<'s, T: Real, D: Dynamics<T>> {
    dynamics: &'s Implicit<'s, D>,
    theta: &'s [T],
    scratch: &'s mut D::Scratch,
    matrix: &'s mut IterationMatrix<T>,
    norm: &'s ErrorNorm<T>,
    t: T,
    alpha: T,
    /// Correction of the displacement for factors of another α.
    scale: T,
    y: &'s [T],
    base: &'s [T],
    g: &'s mut [T],
    nfe: usize,
}

impl<T: Real, D: Dynamics<T>> Equations<T> for Stage<'_, T, D> {
    #[inline(always)]
    fn residual(&mut self, z: &[T], r: &mut [T]) {
        for ((g, base), z) in self.g.iter_mut().zip(self.base).zip(z) {
            *g = *base + *z;
        }
        let at = Point { t: self.t, y: self.g, theta: self.theta };
        self.dynamics.eval(at, r, self.scratch);
        self.nfe += 1;
        self.matrix.add_mass(-self.alpha, z, r);
    }

    #[inline(always)]
    fn start(&mut self) {
        self.matrix.start_iteration();
    }

    #[inline(always)]
    fn inexactness(&self) -> T {
        self.matrix.inexactness()
    }

    #[inline(always)]
    fn correct(&mut self, r: &mut [T], wanted: T) -> bool {
        let solved = self.matrix.correct(self.dynamics, self.scratch, r, wanted);
        if self.scale != T::one() {
            r.iter_mut().for_each(|r| *r *= self.scale);
        }
        solved
    }

    #[inline(always)]
    fn mean_square(&self, dz: &[T]) -> T {
        mean_square(self.norm, dz, self.y, self.g, self.dynamics.dim())
    }

    fn state_square(&self) -> T {
        mean_square(self.norm, self.g, self.y, self.g, self.dynamics.dim())
    }
}

/// [`ErrorNorm::mean_square`], inlined for one trajectory.
#[inline(always)]
pub(crate) fn mean_square<T: Real>(norm: &ErrorNorm<T>, u: &[T], y0: &[T], y1: &[T], dim: usize) -> T {
    match u.len() == dim {
        true => norm.mean_square_inline(u, y0, y1),
        false => norm.mean_square(u, y0, y1, dim),
    }
}

/// `out` ← `base` + `scale` Σ_j row_j K_j: loops of its own for small states, where the call would cost
/// more than the sum.
#[inline(always)]
pub(crate) fn weighted<T: Real>(out: &mut [T], base: &[T], scale: T, row: &[f64], k: &[T]) {
    let n = out.len();
    if n > 16 {
        return combine(out, base, scale, row, k);
    }
    let mut sums = [T::zero(); 16];
    for (w, k) in row.iter().zip(k.chunks_exact(n)) {
        if *w != 0.0 {
            let w = T::of(*w);
            for (sum, k) in sums[..n].iter_mut().zip(k) {
                *sum = w.mul_add(*k, *sum);
            }
        }
    }
    for ((out, base), sum) in out.iter_mut().zip(base).zip(sums) {
        *out = scale.mul_add(sum, *base);
    }
}

impl<'a, T: Real, D: Dynamics<T>> SdirkStepper<'a, T, D> {
    /// Steps of the method in `tableau` for `dynamics` on `batch` columns.
    pub fn new(dynamics: &'a D, tableau: &SdirkTableau, batch: usize, options: &ImplicitOptions<T>) -> Self {
        // Without explicit parts a pair is its implicit method: stiffly accurate, so that the last stage
        // is carried and f is never evaluated at a rounded, stiff end.
        let layout = match D::SPLIT {
            true => SdirkLayout::new(tableau),
            false => SdirkLayout::new(&SdirkTableau { explicit: Cow::Borrowed(&[]), ..tableau.clone() }),
        };
        let n = dynamics.dim() * batch;
        let zeros = |n| vec![T::zero(); n];
        Self {
            scratch: dynamics.scratch(batch),
            theta: zeros(dynamics.num_params()),
            matrix: None,
            algebraic: None,
            slope: None,
            newton: Iteration::new(&options.newton),
            options: options.clone(),
            factored: T::zero(),
            current: false,
            stale: true,
            batch,
            k: zeros(layout.columns * n),
            base: zeros(n),
            g: zeros(n),
            z: zeros(n),
            r: zeros(n),
            nfe: 0,
            nvjp: 0,
            failed: None,
            failures: 0,
            newton_iterations: 0,
            to_stop: false,
            scratch_bytes: 0,
            dense_weights: vec![0.0; layout.columns],
            dynamics,
            layout,
        }
    }

    /// The method's layout.
    pub fn layout(&self) -> &SdirkLayout {
        &self.layout
    }

    /// Time at which stage i is evaluated: at c = 1 exactly t + h, or just before a discontinuity there.
    #[inline(always)]
    pub(super) fn stage_time(&self, (t, h): (T, T), i: usize) -> T {
        let c = self.layout.c[i];
        match c == 1.0 {
            true => end_time(t, h, self.to_stop),
            false => h.mul_add(T::of(c), t),
        }
    }

    /// Evaluates J of the implicit part at (t, y); false when it is not finite.
    pub(super) fn evaluate_jacobian(&mut self, t: T, y: &[T]) -> bool {
        let Some(matrix) = &mut self.matrix else {
            return false;
        };
        let at = Point { t, y, theta: &self.theta };
        self.factored = T::zero();
        matrix.evaluate(&Implicit(self.dynamics), at, &mut self.scratch)
    }

    /// Factors W for α; false when it is singular.
    pub(super) fn factor(&mut self, alpha: T) -> bool {
        self.newton.new_matrix();
        self.factored = T::zero();
        let done = self.matrix.as_mut().is_some_and(|matrix| matrix.factor(alpha));
        if done {
            self.factored = alpha;
        }
        done
    }

    /// Makes factors that serve α at the step's start (t, y).
    #[inline(always)]
    fn ready(&mut self, alpha: T, t: T, y: &[T]) -> bool {
        if self.stale && !self.current {
            return self.renew(alpha, t, y);
        }
        // A large matrix serves steps of nearly the same size.
        let slack = if y.len() > 64 { T::of(0.2) } else { T::zero() };
        let off = (alpha - self.factored).abs();
        if self.factored != T::zero() && off <= slack * self.factored.abs() {
            return true;
        }
        self.factor(alpha)
    }

    /// A new Jacobian and its factors.
    #[cold]
    fn renew(&mut self, alpha: T, t: T, y: &[T]) -> bool {
        self.current = true;
        self.stale = false;
        self.evaluate_jacobian(t, y) && self.factor(alpha)
    }

    /// Solves stage i; its argument is then in `g`, z in `z`.
    #[inline(always)]
    fn stage(&mut self, (t, h): (T, T), i: usize, alpha: T, y: &[T], norm: &ErrorNorm<T>) -> Newton {
        let t = self.stage_time((t, h), i);
        let Self { layout, k, base, g, z, r, theta, scratch, newton, .. } = self;
        let (dynamics, k) = (Implicit(self.dynamics), &k[..]);
        weighted(base, y, h, &layout.rows[i], k);
        r.fill(T::zero());
        weighted(z, r, T::one() / alpha, &layout.predictor[i], k);
        let Some(matrix) = &mut self.matrix else {
            return Newton::Broken;
        };
        let two = T::of(2.0);
        let scale = if matrix.shift(alpha) { T::one() } else { two / (T::one() + alpha / self.factored) };
        let dynamics = &dynamics;
        let mut stage = Stage { dynamics, theta, scratch, matrix, norm, t, alpha, scale, y, base, g, nfe: 0 };
        let outcome = newton.solve(&mut stage, z, r);
        self.nfe += stage.nfe;
        for ((g, base), z) in self.g.iter_mut().zip(&self.base).zip(&self.z) {
            *g = *base + *z;
        }
        outcome
    }

    /// Writes the solved stage i into the record.
    #[inline(always)]
    fn record(&mut self, (t, h): (T, T), i: usize, alpha: T) {
        let n = self.g.len();
        for (k, z) in self.k[i * n..(i + 1) * n].iter_mut().zip(&self.z) {
            *k = alpha * *z;
        }
        if self.layout.additive && D::SPLIT {
            let t = self.stage_time((t, h), i);
            let at = Point { t, y: &self.g, theta: &self.theta };
            let (k, e) = self.k.split_at_mut(self.layout.stages * n);
            let e = &mut e[i * n..(i + 1) * n];
            self.dynamics.eval_part(Part::Explicit, at, e, &mut self.scratch);
            self.nfe += 1;
            for (k, e) in k[i * n..(i + 1) * n].iter_mut().zip(e) {
                *k += *e;
            }
        }
    }

    #[cold]
    fn fail(&mut self, factor: f64) -> T {
        self.failed = Some(T::of(factor));
        self.failures += 1;
        self.stale = true;
        T::NAN
    }

    /// All stages; the factor on h when one cannot be solved.
    #[inline(always)]
    fn stages_of(&mut self, (t, h): (T, T), y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> Option<f64> {
        let alpha = T::one() / (h * T::of(self.layout.gamma));
        if !self.ready(alpha, t, y) {
            return Some(BROKEN);
        }
        for i in 1..self.layout.stages {
            let mut outcome = self.stage((t, h), i, alpha, y, norm);
            if outcome != Newton::Converged && (!self.current || self.factored != alpha) {
                if !self.renew(alpha, t, y) {
                    return Some(BROKEN);
                }
                outcome = self.stage((t, h), i, alpha, y, norm);
            }
            // The last resort before the step fails: the Jacobian where the iteration has led.
            if outcome == Newton::Slow && self.own_factors(self.stage_time((t, h), i), alpha) {
                self.current = false;
                outcome = self.stage((t, h), i, alpha, y, norm);
            }
            match outcome {
                Newton::Converged => self.record((t, h), i, alpha),
                Newton::Slow => return Some(SLOW),
                Newton::Broken => return Some(BROKEN),
            }
            if i == self.layout.end && !self.layout.additive {
                y1.copy_from_slice(&self.g);
            }
        }
        if self.layout.additive {
            weighted(y1, y, h, &self.layout.b, &self.k);
        }
        None
    }

    /// The derivative at (t, y), with its explicit part, into the record's first stage.
    fn first_stage(&mut self, t: T, y: &[T]) {
        let n = y.len();
        let Self { dynamics, theta, scratch, k, layout, slope, .. } = self;
        let at = Point { t, y, theta };
        dynamics.eval(at, &mut k[..n], scratch);
        self.nfe += 1;
        if layout.additive && D::SPLIT {
            let from = layout.stages * n;
            dynamics.eval_part(Part::Explicit, at, &mut k[from..from + n], scratch);
        }
        if let Some(slope) = slope {
            slope.solve(*dynamics, &mut k[..n]);
        }
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for SdirkStepper<'_, T, D> {
    fn len(&self) -> usize {
        self.g.len()
    }

    fn dim(&self) -> usize {
        self.dynamics.dim()
    }

    fn num_params(&self) -> usize {
        self.dynamics.num_params()
    }

    fn set_theta(&mut self, theta: &[T]) {
        self.theta.clear();
        self.theta.extend_from_slice(theta);
        self.current = false;
        self.stale = true;
    }

    fn bytes(&self) -> usize {
        let vectors = [&self.theta, &self.k, &self.base, &self.g, &self.z, &self.r];
        let own: usize = vectors.iter().map(|v| v.len() * size_of::<T>()).sum();
        own + self.scratch_bytes + self.matrix.as_ref().map_or(0, |m| m.bytes())
    }

    fn order(&self) -> usize {
        self.layout.order
    }

    #[inline(always)]
    fn error_power(&self) -> usize {
        self.layout.error_power
    }

    fn estimates(&self) -> &dyn Estimates<T> {
        &self.layout
    }

    fn dense_weights(&self) -> &[Vec<f64>] {
        &self.layout.dense
    }

    fn prepare(&mut self, t: T, y: &mut [T], norm: &ErrorNorm<T>) -> Result<()> {
        let part = Implicit(self.dynamics);
        if self.matrix.is_none() {
            self.matrix = Some(IterationMatrix::new(&part, self.batch, &self.options)?);
            self.algebraic = Algebraic::of(&part)?;
            if self.dynamics.mass().is_some() {
                self.slope = Some(Slope::of(&part, self.options.budget)?);
            }
        }
        self.factored = T::zero();
        if let Some(matrix) = &mut self.matrix {
            matrix.check(&part, Point { t, y, theta: &self.theta }, &mut self.scratch)?;
        }
        self.newton.prepare(&self.options.newton, norm);
        self.stale = true;
        match &mut self.algebraic {
            Some(algebraic) => algebraic.solve(&part, (t, &self.theta), y, norm, &mut self.scratch),
            None => Ok(()),
        }
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.first_stage(t, y);
        self.current = false;
    }

    fn derivative(&self) -> &[T] {
        &self.k[..self.g.len()]
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        self.dynamics.eval(Point { t, y, theta: &self.theta }, dy, &mut self.scratch);
        self.nfe += 1;
        if let Some(slope) = &self.slope {
            slope.solve(self.dynamics, dy);
        }
    }

    #[inline(always)]
    fn attempt(&mut self, (t, h): (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.to_stop = to_stop;
        self.failed = None;
        self.newton.start_step();
        if let Some(matrix) = &mut self.matrix {
            matrix.start_step();
        }
        let failed = self.stages_of((t, h), y, y1, norm);
        self.newton_iterations += self.newton.count as usize;
        if let Some(factor) = failed {
            // A replay, which cannot take a smaller step, must see it.
            y1.fill(T::NAN);
            return self.fail(factor);
        }
        let rate = self.options.newton.refresh_rate(self.dynamics.dim());
        self.stale |= self.newton.worst >= T::of(rate);
        combine_differences(&mut self.r, h, &self.layout.error, &self.k);
        mean_square(norm, &self.r, y, y1, self.dynamics.dim())
    }

    #[inline(always)]
    fn stages(&self) -> &[T] {
        &self.k
    }

    #[inline(always)]
    fn unsolved(&self) -> Option<T> {
        self.failed
    }

    #[inline(always)]
    fn iterations(&self) -> Iterations {
        let linear = self.matrix.as_ref().map_or(0, |m| m.linear_iterations());
        Iterations { newton: self.newton.count, linear }
    }

    fn implicit_work(&self) -> ImplicitWork {
        let counts = self.matrix.as_ref().map(|m| m.counts).unwrap_or_default();
        ImplicitWork { newton_iterations: self.newton_iterations, failures: self.failures, ..counts }
    }

    fn interpolate(&mut self, (_, h): (T, T), theta: T, [y, _]: [&[T]; 2], out: &mut [T]) {
        for (w, poly) in self.dense_weights.iter_mut().zip(&self.layout.dense) {
            *w = polynomial(poly, theta.f64());
        }
        combine(out, y, h, &self.dense_weights, &self.k);
    }

    #[inline]
    fn accept(&mut self, t1: T, y1: &[T]) {
        let n = y1.len();
        self.current = false;
        match self.layout.additive {
            true => self.first_stage(t1, y1),
            false => self.k.copy_within(self.layout.end * n..(self.layout.end + 1) * n, 0),
        }
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    /// Looks at the argument of the last stage that was tried.
    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        let theta = &self.theta;
        let first = self.dynamics.locate_non_finite(Point { t, y, theta });
        first.or_else(|| {
            let t = end_time(t, h, self.to_stop);
            self.dynamics.locate_non_finite(Point { t, y: &self.g, theta })
        })
    }
}

impl<T: Real, D: Dynamics<T>> SdirkStepper<'_, T, D> {
    /// The reverse of the consistent initial values ([`Reverse::prepare_pullback`](crate::integrate::Reverse)).
    pub(super) fn consistent_pullback(&mut self, t: T, y0: &[T], bars: [&mut [T]; 2]) -> Result<()> {
        let Self { algebraic, dynamics, theta, scratch, matrix, .. } = self;
        if let Some(matrix) = matrix {
            matrix.refused()?;
        }
        match algebraic {
            Some(algebraic) => algebraic.pullback(&Implicit(*dynamics), (t, theta), y0, bars, scratch),
            None => Ok(()),
        }
    }

    /// Counts the right-hand side's scratch, for memory budgets.
    pub(super) fn measure_scratch(&mut self) {
        self.scratch_bytes = self.dynamics.scratch_bytes(self.batch);
    }

    /// ACCUMULATES `out` += h Σ row_j K_j for the reverse.
    pub(super) fn stage_base(&mut self, h: T, i: usize, y: &[T]) {
        combine(&mut self.base, y, h, &self.layout.rows[i], &self.k);
    }

    /// `g` ← the argument of stage i of the step in hand, from its record.
    pub(super) fn stage_argument(&mut self, h: T, i: usize, y: &[T]) {
        let n = y.len();
        if i == 0 {
            return self.g.copy_from_slice(y);
        }
        self.stage_base(h, i, y);
        let scale = h * T::of(self.layout.gamma);
        let Self { g, base, k, layout, .. } = self;
        g.copy_from_slice(base);
        accumulate(g, scale, &[1.0], &k[i * n..(i + 1) * n]);
        if layout.additive {
            let from = (layout.stages + i) * n;
            accumulate(g, scale, &[-1.0], &k[from..from + n]);
        }
    }
}
