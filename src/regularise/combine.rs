//! Weighted sums: of heuristics within a step, and of penalties over the whole solve.

use crate::integrate::{Heuristic, Penalty, StepCotangent, StepView};
use crate::num::Real;

/// One term of a [`HeuristicSum`].
struct Term<T> {
    weight: T,
    /// Whether the value is multiplied by |h|.
    integrated: bool,
    heuristic: Box<dyn Heuristic<T>>,
}

impl<T: Real> Term<T> {
    fn factor(&self, step: &StepView<'_, T>) -> T {
        match self.integrated {
            true => self.weight * step.h.abs(),
            false => self.weight,
        }
    }
}

/// Σ_i w_i v_i of heuristics of one step, itself a heuristic.
pub struct HeuristicSum<T> {
    name: String,
    terms: Vec<Term<T>>,
}

impl<T: Real> HeuristicSum<T> {
    /// The empty sum, 0.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), terms: Vec::new() }
    }

    /// With `weight` · v added.
    pub fn plus(self, weight: T, heuristic: impl Heuristic<T> + 'static) -> Self {
        self.with(weight, false, Box::new(heuristic))
    }

    /// With `weight` · v · |h| added (h a constant).
    pub fn plus_integrated(self, weight: T, heuristic: impl Heuristic<T> + 'static) -> Self {
        self.with(weight, true, Box::new(heuristic))
    }

    fn with(mut self, weight: T, integrated: bool, heuristic: Box<dyn Heuristic<T>>) -> Self {
        self.terms.push(Term { weight, integrated, heuristic });
        self
    }
}

impl<T: Real> Heuristic<T> for HeuristicSum<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn value(&self, step: &StepView<'_, T>, scratch: &mut [T]) -> T {
        let value = |t: &Term<T>, scratch: &mut [T]| t.heuristic.value(step, scratch);
        self.terms.iter().fold(T::zero(), |sum, term| term.factor(step).mul_add(value(term, scratch), sum))
    }

    fn pullback(&self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>) {
        for term in &self.terms {
            term.heuristic.pullback(step, seed * term.factor(step), bar);
        }
    }
}

/// Σ_i w_i R_i of penalties, itself a penalty: for sums of differently aggregated terms.
#[derive(Default)]
pub struct Combined<T> {
    terms: Vec<(T, Box<dyn Penalty<T>>)>,
}

impl<T: Real> Combined<T> {
    /// The empty sum, 0.
    pub fn new() -> Self {
        Self { terms: Vec::new() }
    }

    /// With `weight` · R added.
    pub fn plus(mut self, weight: T, penalty: impl Penalty<T> + 'static) -> Self {
        self.terms.push((weight, Box::new(penalty)));
        self
    }

    /// The value of each term, unweighted.
    pub fn values(&self) -> impl Iterator<Item = T> + '_ {
        self.terms.iter().map(|(_, p)| p.value())
    }
}

impl<T: Real> Penalty<T> for Combined<T> {
    fn start(&mut self) {
        self.terms.iter_mut().for_each(|(_, p)| p.start());
    }

    fn observe(&mut self, step: &StepView<'_, T>, scratch: &mut [T]) {
        for (_, penalty) in &mut self.terms {
            penalty.observe(step, scratch);
        }
    }

    fn value(&self) -> T {
        self.terms.iter().fold(T::zero(), |sum, (w, p)| w.mul_add(p.value(), sum))
    }

    fn pullback(&mut self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>) {
        for (weight, penalty) in &mut self.terms {
            penalty.pullback(step, seed * *weight, bar);
        }
    }
}
