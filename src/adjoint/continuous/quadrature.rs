//! θ̄ by Gauss's rule on the steps of the way back.
//!
//! θ̄ = ∫ (∂f/∂θ)ᵀλ dt is summed over the accepted steps of λ, in each with as many points as make the rule exact to
//! the order of the method, λ taken from the step's dense output and y from that of the way there. Θ needs no stages
//! that way: with many parameters they would be most of the memory (SUNDIALS integrates them as pure quadratures;
//! Gauss's rule: SciML's `GaussAdjoint`).

use super::augmented::{Augmented, AugmentedScratch};
use crate::dynamics::{Dynamics, Point};
use crate::integrate::{Observer, StepView, polynomial};
use crate::num::{Real, combine};

/// Points, weights and work space.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauss<T> {
    /// ϑ and weight on [0, 1].
    rule: Vec<[f64; 2]>,
    dense: Vec<Vec<f64>>,
    weights: Vec<f64>,
    lambda: Vec<T>,
    spare: Vec<T>,
    pub nvjp: usize,
}

impl<T: Real> Gauss<T> {
    /// For a method of order `order` with this dense output, on states of `n` numbers.
    pub fn prepare(&mut self, order: usize, dense: &[Vec<f64>], n: usize) {
        self.rule = rule(order.div_ceil(2).max(1));
        dense.clone_into(&mut self.dense);
        self.lambda.resize(n, T::zero());
        self.spare.resize(n, T::zero());
    }

    pub fn bytes(&self) -> usize {
        (self.lambda.len() + self.spare.len()) * size_of::<T>()
    }
}

/// Adds the integral over every accepted step to θ̄.
pub(super) struct Accumulate<'s, 'a, T: Real, D: Dynamics<T>> {
    system: &'s Augmented<'a, T, D>,
    scratch: AugmentedScratch<T, D::Scratch>,
    gauss: &'s mut Gauss<T>,
    theta: &'s [T],
    theta_bar: &'s mut [T],
}

impl<'s, 'a, T: Real, D: Dynamics<T>> Accumulate<'s, 'a, T, D> {
    pub fn new(
        system: &'s Augmented<'a, T, D>,
        gauss: &'s mut Gauss<T>,
        theta: &'s [T],
        theta_bar: &'s mut [T],
    ) -> Self {
        let scratch = system.scratch(1);
        Self { system, scratch, gauss, theta, theta_bar }
    }
}

impl<T: Real, D: Dynamics<T>> Observer<T> for Accumulate<'_, '_, T, D> {
    const DENSE: bool = true;

    fn accepted(&mut self, step: &StepView<'_, T>) {
        let Self { system, scratch, gauss, theta, theta_bar } = self;
        let Gauss { rule, dense, weights, lambda, spare, nvjp } = &mut **gauss;
        for [point, weight] in rule {
            weights.clear();
            weights.extend(dense.iter().map(|w| polynomial(w, *point)));
            combine(lambda, step.y0, step.h, weights, step.stages);
            // The step goes against the direction of the integral.
            let scale = -step.h * T::of(*weight);
            lambda.iter_mut().for_each(|l| *l *= scale);
            let t = step.h.mul_add(T::of(*point), step.t);
            system.read(t, scratch);
            spare.fill(T::zero());
            let at = Point { t, y: &scratch.y, theta };
            system.dynamics.vjp(at, lambda, spare, theta_bar, &mut scratch.inner);
            *nvjp += 1;
        }
    }
}

/// Points and weights of Gauss's rule with `m` points on [0, 1]: the zeros x of Legendre's polynomial P_m by Newton's
/// method, with weights 2/((1 − x²) P_m'(x)²) on [−1, 1] (Abramowitz & Stegun 25.4.29).
fn rule(m: usize) -> Vec<[f64; 2]> {
    let point = |i: usize| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (m as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..50 {
            let (mut p, mut before) = (x, 1.0);
            for k in 2..=m {
                let k = k as f64;
                (p, before) = (((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k, p);
            }
            slope = m as f64 * (x * p - before) / (x * x - 1.0);
            let change = p / slope;
            x -= change;
            if change.abs() < 1e-16 {
                break;
            }
        }
        [0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope)]
    };
    (0..m).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_exact_to_its_degree_and_not_beyond() {
        for m in 1..=7 {
            let integral = |d: i32| rule(m).iter().map(|[x, w]| w * x.powi(d)).sum::<f64>();
            for d in 0..2 * m as i32 {
                assert!((integral(d) - 1.0 / f64::from(d + 1)).abs() < 1e-15, "{m} {d}");
            }
            let d = 2 * m as i32;
            assert!((integral(d) - 1.0 / f64::from(d + 1)).abs() > 1e-9, "{m}");
        }
    }
}
