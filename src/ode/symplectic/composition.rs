//! The step of compositions of Störmer–Verlet.
//!
//! Stage 0 is f(t, y0), of which the momenta's half is the first kick; stages 2j − 1 and 2j are those of
//! drift j and of the kick after it. Three more serve the dense output: the slopes at the start and at the
//! end, and between them (y1 − y0)/h, so that the interpolant is linear in the stages.

use super::{Composition, HERMITE, NoEstimates};
use crate::dynamics::{Dynamics, Point};
use crate::error::{Error, Result};
use crate::integrate::{Estimates, Stepper, end_time, polynomial};
use crate::num::{ErrorNorm, Real, combine};

/// Compositions of Störmer–Verlet steps for one right-hand side.
pub struct CompositionStepper<'a, T: Real, D: Dynamics<T>> {
    pub(super) dynamics: &'a D,
    pub(super) theta: Vec<T>,
    pub(super) scratch: D::Scratch,
    /// Shares of h of the drifts, and of the kicks around them (one more).
    pub(super) drifts: Vec<f64>,
    pub(super) kicks: Vec<f64>,
    order: usize,
    estimates: NoEstimates,
    dense: Vec<Vec<f64>>,
    dense_weights: Vec<f64>,
    pub(super) k: Vec<T>,
    /// Arguments of the stages 0 … 2m, rebuilt for the reverse.
    pub(super) arguments: Vec<T>,
    pub(super) nfe: usize,
    pub(super) nvjp: usize,
    pub(super) extra_done: bool,
    pub(super) to_stop: bool,
    scratch_bytes: usize,
}

/// Which half of the state a stage moves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Positions,
    Momenta,
}

impl Half {
    /// Its rows in a column of `dim`.
    pub fn rows(self, dim: usize) -> std::ops::Range<usize> {
        match self {
            Self::Positions => 0..dim / 2,
            Self::Momenta => dim / 2..dim,
        }
    }
}

/// y ← y + weight · k on one half of every column.
pub(super) fn advance<T: Real>(half: Half, dim: usize, weight: T, k: &[T], y: &mut [T]) {
    for (y, k) in y.chunks_exact_mut(dim).zip(k.chunks_exact(dim)) {
        let rows = half.rows(dim);
        for (y, k) in y[rows.clone()].iter_mut().zip(&k[rows]) {
            *y = weight.mul_add(*k, *y);
        }
    }
}

impl<'a, T: Real, D: Dynamics<T>> CompositionStepper<'a, T, D> {
    /// Steps of `method` for `dynamics` on `batch` columns.
    pub fn new(dynamics: &'a D, method: &impl Composition, batch: usize) -> Self {
        let drifts = method.shares().to_vec();
        let m = drifts.len();
        let share = |i: usize| drifts.get(i).copied().unwrap_or(0.0);
        let kicks: Vec<f64> =
            (0..=m).map(|i| 0.5 * (share(i) + if i == 0 { 0.0 } else { share(i - 1) })).collect();
        let main = 2 * m + 1;
        let n = dynamics.dim() * batch;
        let mut weights = vec![0.0; main];
        kicks.iter().enumerate().for_each(|(j, w)| weights[2 * j] = *w);
        let mut dense = vec![vec![0.0; 3]; main];
        dense.extend(HERMITE.map(|row| row.to_vec()));
        Self {
            theta: vec![T::zero(); dynamics.num_params()],
            scratch: dynamics.scratch(batch),
            order: method.order(),
            estimates: NoEstimates { weights },
            dense_weights: vec![0.0; main + 3],
            dense,
            k: vec![T::zero(); (main + 3) * n],
            arguments: vec![T::zero(); main * n],
            nfe: 0,
            nvjp: 0,
            extra_done: false,
            to_stop: false,
            scratch_bytes: 0,
            drifts,
            kicks,
            dynamics,
        }
    }

    /// Number of main stages.
    pub(super) fn stages_main(&self) -> usize {
        2 * self.drifts.len() + 1
    }

    pub(super) fn n(&self) -> usize {
        self.arguments.len() / self.stages_main()
    }

    /// Counts the scratch in memory budgets from now on.
    pub(super) fn budget_scratch(&mut self) {
        self.scratch_bytes = self.dynamics.scratch_bytes(self.n() / self.dynamics.dim());
    }

    /// The time of stage `i`: kicks at the ends of their substeps, drifts in the middle.
    pub(super) fn stage_time(&self, (t, h): (T, T), i: usize) -> T {
        let j = i / 2;
        if j == self.drifts.len() {
            return end_time(t, h, self.to_stop);
        }
        let done: f64 = self.drifts[..j].iter().sum();
        let c = if i % 2 == 1 { done + 0.5 * self.drifts[j] } else { done };
        h.mul_add(T::of(c), t)
    }

    /// What stage `i` moves: its half, by which share of h.
    pub(super) fn moves(&self, i: usize) -> (Half, f64) {
        match i % 2 {
            1 => (Half::Positions, self.drifts[i / 2]),
            _ => (Half::Momenta, self.kicks[i / 2]),
        }
    }

    /// Evaluates f at (t, y) into slot `slot`.
    pub(super) fn eval(&mut self, t: T, y: &[T], slot: usize) {
        let n = y.len();
        let at = Point { t, y, theta: &self.theta };
        self.dynamics.eval(at, &mut self.k[slot * n..(slot + 1) * n], &mut self.scratch);
        self.nfe += 1;
    }

    /// The slopes of the dense output at the step's ends, once a step.
    pub(super) fn extra_stages(&mut self, (t, h): (T, T), start: T, [y, y1]: [&[T]; 2]) {
        if self.extra_done {
            return;
        }
        let (n, main) = (y.len(), self.stages_main());
        self.eval(start, y, main);
        self.eval(end_time(t, h, self.to_stop), y1, main + 2);
        let chord = &mut self.k[(main + 1) * n..(main + 2) * n];
        for ((k, y1), y) in chord.iter_mut().zip(y1).zip(y) {
            *k = (*y1 - *y) / h;
        }
        self.extra_done = true;
    }

    /// ∂f_q/∂q and ∂f_p/∂p must be 0: a pullback of a half must not reach the same half.
    fn check_separable(&mut self, t: T, y: &[T]) -> Result<()> {
        let dim = self.dynamics.dim();
        if !dim.is_multiple_of(2) {
            let needed = "a symplectic method needs positions and as many momenta";
            return Err(Error::invalid("the dimension of the right-hand side", dim, needed));
        }
        for (half, name) in [(Half::Positions, "positions"), (Half::Momenta, "momenta")] {
            let mut bar = vec![T::zero(); y.len()];
            for bar in bar.chunks_exact_mut(dim) {
                for (i, bar) in bar[half.rows(dim)].iter_mut().enumerate() {
                    *bar = T::of((1.0 + i as f64).sin());
                }
            }
            let (mut y_bar, mut theta_bar) = (vec![T::zero(); y.len()], vec![T::zero(); self.theta.len()]);
            let at = Point { t, y, theta: &self.theta };
            self.dynamics.vjp(at, &bar, &mut y_bar, &mut theta_bar, &mut self.scratch);
            if y_bar.chunks_exact(dim).any(|y| y[half.rows(dim)].iter().any(|b| *b != T::zero())) {
                let needed =
                    "this method needs a separable system, q' = f_q(p) and p' = f_p(q): use ImplicitMidpoint";
                let given = format!("such that the derivatives of the {name} depend on the {name}");
                return Err(Error::invalid("the right-hand side", given, needed));
            }
        }
        Ok(())
    }
}

impl<T: Real, D: Dynamics<T>> Stepper<T> for CompositionStepper<'_, T, D> {
    fn len(&self) -> usize {
        self.n()
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
    }
    fn bytes(&self) -> usize {
        let numbers = self.theta.len() + self.k.len() + self.arguments.len();
        numbers * size_of::<T>() + self.scratch_bytes
    }
    fn order(&self) -> usize {
        self.order
    }
    #[inline(always)]
    fn error_power(&self) -> usize {
        1
    }
    #[inline(always)]
    fn estimates(&self) -> &dyn Estimates<T> {
        &self.estimates
    }
    fn dense_weights(&self) -> &[Vec<f64>] {
        &self.dense
    }

    fn prepare(&mut self, t: T, y: &mut [T], _: &ErrorNorm<T>) -> Result<()> {
        crate::ode::explicit::refuse_mass(self.dynamics)?;
        self.check_separable(t, y)
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.eval(t, y, 0);
        self.extra_done = false;
    }

    fn derivative(&self) -> &[T] {
        &self.k[..self.n()]
    }

    fn evaluate(&mut self, t: T, y: &[T], dy: &mut [T]) {
        self.dynamics.eval(Point { t, y, theta: &self.theta }, dy, &mut self.scratch);
        self.nfe += 1;
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], _: &ErrorNorm<T>) -> T {
        let (n, dim) = (y.len(), self.dynamics.dim());
        self.extra_done = false;
        self.to_stop = to_stop;
        y1.copy_from_slice(y);
        for i in 0..self.stages_main() {
            if i > 0 {
                self.eval(self.stage_time(at, i), y1, i);
            }
            let (half, share) = self.moves(i);
            advance(half, dim, at.1 * T::of(share), &self.k[i * n..(i + 1) * n], y1);
        }
        // 0, or NaN when the state is not finite.
        y1.iter().fold(T::zero(), |sum, y| y.mul_add(T::zero(), sum))
    }

    #[inline(always)]
    fn stages(&self) -> &[T] {
        &self.k
    }

    fn interpolate(&mut self, step: (T, T), theta: T, [y, y1]: [&[T]; 2], out: &mut [T]) {
        self.extra_stages(step, step.0, [y, y1]);
        for (w, poly) in self.dense_weights.iter_mut().zip(&self.dense) {
            *w = polynomial(poly, theta.f64());
        }
        combine(out, y, step.1, &self.dense_weights, &self.k);
    }

    /// The last kick is the first of the next step; its other half, that of a momentum before the kick, is
    /// not used.
    #[inline]
    fn accept(&mut self, _: T, y1: &[T]) {
        let (n, last) = (y1.len(), self.stages_main() - 1);
        self.k.copy_within(last * n..(last + 1) * n, 0);
        self.extra_done = false;
    }

    fn nfe(&self) -> usize {
        self.nfe
    }

    fn locate_non_finite(&self, (t, _): (T, T), y: &[T]) -> Option<String> {
        self.dynamics.locate_non_finite(Point { t, y, theta: &self.theta })
    }
}
