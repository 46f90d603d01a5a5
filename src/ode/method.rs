//! [`Method`]: a tableau laid out for stepping, and its estimates as functions of a step.

use super::tableau::Tableau;
use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::{Real, accumulate, combine_differences};

/// A [`Tableau`] laid out for stepping.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    pub(crate) order: usize,
    pub(crate) error_power: Option<usize>,
    /// Main stages.
    pub(crate) stages: usize,
    /// Extra stages of the dense output.
    pub(crate) extra: usize,
    /// Abscissae of main and extra stages.
    pub(crate) c: Vec<f64>,
    /// Row i of a, for main and extra stages.
    pub(crate) a: Vec<Vec<f64>>,
    /// Column i of (a over b): what k_i's cotangent takes from each stage's and from y1's.
    pub(crate) transposed: Vec<Vec<f64>>,
    /// The rows of a of a seven-stage first-same-as-last pair, one after the other, and its error weights.
    seven: Option<Box<([f64; 21], [f64; 7])>>,
    pub(crate) b: Vec<f64>,
    pub(crate) error: Vec<f64>,
    pub(crate) error_low: Vec<f64>,
    pub(crate) fsal: bool,
    /// The first extra stage is f(t + h, y1), which the next step can start from.
    pub(crate) extra_is_end: bool,
    /// Stage pair, a_j − a_i padded to the main stages, stability size.
    pub(crate) stiffness: Option<(usize, usize, Vec<f64>, f64)>,
    pub(crate) dense: Vec<Vec<f64>>,
}

impl Method {
    /// Lays out `tableau` (whose shape its constructor or [`Tableau`]'s check guarantees).
    pub fn new(tableau: &Tableau) -> Self {
        let stages = tableau.stages();
        let rows = tableau.a.iter().chain(tableau.dense.extra_a.iter());
        let a: Vec<Vec<f64>> = rows.map(|row| row.to_vec()).collect();
        let extra = tableau.dense.extra_c.len();
        let c: Vec<f64> = tableau.c.iter().chain(tableau.dense.extra_c.iter()).copied().collect();
        let total = stages + extra;
        let entry = |l: usize, i: usize| a[l].get(i).copied().unwrap_or(0.0);
        let transposed = (0..total)
            .map(|i| {
                let column = (0..total).map(|l| if l > i { entry(l, i) } else { 0.0 });
                column.chain([tableau.b.get(i).copied().unwrap_or(0.0)]).collect()
            })
            .collect();
        let has_error = tableau.error.iter().any(|&e| e != 0.0);
        let stiffness = tableau.stiffness.map(|p| {
            let difference = (0..stages).map(|l| entry(p.second, l) - entry(p.first, l)).collect();
            (p.first, p.second, difference, p.stability_size)
        });
        let b = tableau.b.to_vec();
        let extra_is_end = extra > 0 && c[stages] == 1.0 && a[stages][..] == b[..];
        let seven = (stages == 7 && tableau.fsal).then(|| {
            let rows = a[1..7].concat().try_into().ok()?;
            Some(Box::new((rows, tableau.error.to_vec().try_into().ok()?)))
        });
        let seven = seven.flatten();
        Self {
            seven,
            order: tableau.order,
            error_power: has_error.then(|| tableau.order.min(tableau.embedded_order) + 1),
            stages,
            extra,
            transposed,
            b,
            error: tableau.error.to_vec(),
            error_low: tableau.error_low.to_vec(),
            fsal: tableau.fsal,
            extra_is_end,
            stiffness,
            dense: tableau.dense.weights.iter().map(|w| w.to_vec()).collect(),
            c,
            a,
        }
    }

    /// Main and extra stages.
    pub fn total_stages(&self) -> usize {
        self.stages + self.extra
    }

    /// The packed rows and error weights of a seven-stage first-same-as-last pair.
    #[inline(always)]
    pub(crate) fn seven(&self) -> Option<&([f64; 21], [f64; 7])> {
        self.seven.as_deref()
    }

    fn error_weights(&self, low: bool) -> &[f64] {
        if low { &self.error_low } else { &self.error }
    }
}

/// ACCUMULATES the reverse of u = h Σ_{j≥1} w_j (k_j − k_0).
pub(super) fn differences_pullback<T: Real>(
    weights: &[f64],
    h: T,
    u_bar: &[T],
    bar: &mut StepCotangent<'_, T>,
) {
    for (j, &w) in weights.iter().enumerate().skip(1).filter(|(_, w)| **w != 0.0) {
        accumulate(bar.stage(j), h, &[w], u_bar);
        accumulate(bar.stage(0), h, &[-w], u_bar);
    }
}

impl<T: Real> Estimates<T> for Method {
    fn error_power(&self) -> Option<usize> {
        self.error_power
    }

    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        let weights = self.error_weights(low);
        if self.error_power.is_none() || weights.is_empty() {
            return false;
        }
        combine_differences(out, step.h, weights, step.stages);
        true
    }

    fn error_vector_pullback(
        &self,
        step: &StepView<'_, T>,
        low: bool,
        out_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        differences_pullback(self.error_weights(low), step.h, out_bar, bar);
    }

    fn stiffness_vectors(
        &self,
        step: &StepView<'_, T>,
        dk: &mut [T],
        dg: &mut [T],
    ) -> Option<StiffnessForms> {
        let (first, second, difference, stability_size) = self.stiffness.as_ref()?;
        for ((d, b), a) in dk.iter_mut().zip(step.stage(*second)).zip(step.stage(*first)) {
            *d = *b - *a;
        }
        combine_differences(dg, step.h, difference, step.stages);
        Some(StiffnessForms { stability_size: *stability_size })
    }

    fn stiffness_pullback(
        &self,
        step: &StepView<'_, T>,
        dk_bar: &[T],
        dg_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        if let Some((first, second, difference, _)) = &self.stiffness {
            accumulate(bar.stage(*second), T::one(), &[1.0], dk_bar);
            accumulate(bar.stage(*first), T::one(), &[-1.0], dk_bar);
            differences_pullback(difference, step.h, dg_bar, bar);
        }
    }

    fn weights(&self) -> &[f64] {
        &self.b
    }
}
