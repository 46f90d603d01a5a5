//! [`SdirkLayout`]: a tableau laid out for stepping, and its estimates as functions of a step.
//!
//! A step records the stage derivatives k_i and, when the method is additive, after them the explicit
//! parts e_i = f_E(t_i, Y_i) (k_i is then the sum of both parts). With K the record,
//! Y_i = y + h Σ_j row_ij K_j + hγ(k_i − e_i): in an additive method row_i holds a_ij for k_j and
//! a^E_ij − a_ij for e_j.

use super::tableau::SdirkTableau;
use crate::integrate::{Estimates, StepCotangent, StepView, StiffnessForms};
use crate::num::{Real, accumulate, combine_differences};
use crate::ode::method::differences_pullback;

/// Largest Σ|α| of a stage predictor's weights: beyond it a lower order is used.
const PREDICTOR_SIZE: f64 = 8.0;

/// A [`SdirkTableau`] laid out for stepping.
#[derive(Clone, Debug, PartialEq)]
pub struct SdirkLayout {
    pub(super) order: usize,
    pub(super) error_power: usize,
    /// Stages.
    pub(super) stages: usize,
    /// Vectors that a step records: stages, twice as many when additive.
    pub(super) columns: usize,
    pub(super) additive: bool,
    pub(super) end: usize,
    pub(super) gamma: f64,
    pub(super) c: Vec<f64>,
    /// Row i over the record; the diagonal is not in it.
    pub(super) rows: Vec<Vec<f64>>,
    /// Column j of (rows over b): what K_j's cotangent takes from each stage's argument and from y1.
    pub(super) transposed: Vec<Vec<f64>>,
    /// Weights of the first guess of the implicit part of k_i.
    pub(super) predictor: Vec<Vec<f64>>,
    pub(super) b: Vec<f64>,
    pub(super) error: Vec<f64>,
    /// Stage pair, and Y_j − Y_i over the record.
    pub(super) stiffness: Option<(usize, usize, Vec<f64>)>,
    pub(super) dense: Vec<Vec<f64>>,
}

impl SdirkLayout {
    /// Lays out `tableau` (whose shape its check guarantees).
    pub fn new(tableau: &SdirkTableau) -> Self {
        let s = tableau.stages();
        let additive = tableau.is_additive();
        let columns = if additive { 2 * s } else { s };
        let padded = |w: &[f64]| w.iter().copied().chain(std::iter::repeat(0.0)).take(columns).collect();
        let rows: Vec<Vec<f64>> = (0..s)
            .map(|i| {
                let mut row: Vec<f64> = padded(&tableau.a[i]);
                if additive {
                    let pair = tableau.explicit[i].iter().zip(tableau.a[i].iter());
                    for (j, (e, a)) in pair.enumerate() {
                        row[s + j] = e - a;
                    }
                }
                row
            })
            .collect();
        let b: Vec<f64> = padded(&tableau.weights());
        let transposed = (0..columns).map(|j| (0..s).map(|l| rows[l][j]).chain([b[j]]).collect()).collect();
        let stiffness = tableau.stiffness.map(|(first, second)| {
            let [mut low, mut high] = [first, second].map(|i| tableau.full_row(i));
            low.resize(s, 0.0);
            high.resize(s, 0.0);
            let difference: Vec<f64> = high.iter().zip(&low).map(|(b, a)| b - a).collect();
            (first, second, padded(&difference))
        });
        let degree = tableau.dense.first().map_or(0, |row| row.len());
        let blank = vec![0.0; degree];
        let dense = (0..columns).map(|j| tableau.dense.get(j).map_or(blank.clone(), |row| row.to_vec()));
        Self {
            order: tableau.order,
            error_power: tableau.order.min(tableau.embedded_order) + 1,
            stages: s,
            columns,
            additive,
            end: tableau.end,
            gamma: tableau.gamma,
            c: tableau.c.to_vec(),
            rows,
            transposed,
            predictor: predictors(&tableau.c, columns, additive),
            b,
            error: padded(&tableau.error),
            stiffness,
            dense: dense.collect(),
        }
    }
}

/// Weights that extrapolate the implicit parts of earlier stages to each stage's abscissa.
fn predictors(c: &[f64], columns: usize, additive: bool) -> Vec<Vec<f64>> {
    let s = c.len();
    let rows = (0..s).map(|i| {
        let mut row = vec![0.0; columns];
        for (j, weight) in extrapolation(&c[..i], c[i]).into_iter().enumerate() {
            row[j] = weight;
            if additive {
                row[s + j] = -weight;
            }
        }
        row
    });
    rows.collect()
}

/// The shortest weights α with Σ α_j c_j^p = x^p, p = 0, 1, 2 (fewer where that needs large weights); a
/// stage at x itself is taken as it is (Kennedy & Carpenter 2003, section 2.2.2).
fn extrapolation(c: &[f64], x: f64) -> Vec<f64> {
    let mut alone = vec![0.0; c.len()];
    if let Some(same) = c.iter().rposition(|&c| c == x) {
        alone[same] = 1.0;
        return alone;
    }
    for conditions in (2..=3.min(c.len())).rev() {
        if let Some(weights) = shortest(c, x, conditions)
            && weights.iter().map(|w| w.abs()).sum::<f64>() <= PREDICTOR_SIZE
        {
            return weights;
        }
    }
    if let Some(last) = alone.last_mut() {
        *last = 1.0;
    }
    alone
}

/// α = Vᵀ (V Vᵀ)⁻¹ (1, x, …), V the Vandermonde matrix of `rows` rows; `None` when it is singular.
fn shortest(c: &[f64], x: f64, rows: usize) -> Option<Vec<f64>> {
    let power = |x: f64, p: usize| x.powi(p as i32);
    let mut m = vec![vec![0.0; rows + 1]; rows];
    for (p, row) in m.iter_mut().enumerate() {
        for (q, entry) in row.iter_mut().take(rows).enumerate() {
            *entry = c.iter().map(|&c| power(c, p + q)).sum();
        }
        row[rows] = power(x, p);
    }
    // Gauss–Jordan on at most three rows, with pivots by size.
    for k in 0..rows {
        let pivot = (k..rows).max_by(|&i, &j| m[i][k].abs().total_cmp(&m[j][k].abs()))?;
        m.swap(k, pivot);
        if m[k][k].abs() < 1e-10 {
            return None;
        }
        for i in (0..rows).filter(|&i| i != k) {
            let factor = m[i][k] / m[k][k];
            #[allow(clippy::needless_range_loop)] // Rows i and k of one array.
            for j in k..=rows {
                m[i][j] -= factor * m[k][j];
            }
        }
    }
    let weight = |c: f64| (0..rows).map(|p| power(c, p) * m[p][rows] / m[p][p]).sum();
    Some(c.iter().map(|&c| weight(c)).collect())
}

impl<T: Real> Estimates<T> for SdirkLayout {
    fn error_power(&self) -> Option<usize> {
        Some(self.error_power)
    }

    fn error_vector(&self, step: &StepView<'_, T>, low: bool, out: &mut [T]) -> bool {
        if low {
            return false;
        }
        combine_differences(out, step.h, &self.error, step.stages);
        true
    }

    fn error_vector_pullback(
        &self,
        step: &StepView<'_, T>,
        low: bool,
        out_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        if !low {
            differences_pullback(&self.error, step.h, out_bar, bar);
        }
    }

    /// The stability size is infinite: the methods are A-stable.
    fn stiffness_vectors(
        &self,
        step: &StepView<'_, T>,
        dk: &mut [T],
        dg: &mut [T],
    ) -> Option<StiffnessForms> {
        let (first, second, difference) = self.stiffness.as_ref()?;
        for ((d, b), a) in dk.iter_mut().zip(step.stage(*second)).zip(step.stage(*first)) {
            *d = *b - *a;
        }
        combine_differences(dg, step.h, difference, step.stages);
        Some(StiffnessForms { stability_size: f64::INFINITY })
    }

    fn stiffness_pullback(
        &self,
        step: &StepView<'_, T>,
        dk_bar: &[T],
        dg_bar: &[T],
        bar: &mut StepCotangent<'_, T>,
    ) {
        if let Some((first, second, difference)) = &self.stiffness {
            accumulate(bar.stage(*second), T::one(), &[1.0], dk_bar);
            accumulate(bar.stage(*first), T::one(), &[-1.0], dk_bar);
            differences_pullback(difference, step.h, dg_bar, bar);
        }
    }

    fn weights(&self) -> &[f64] {
        &self.b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictors_extrapolate_quadratics_and_take_equal_abscissae() {
        let quadratic = |c: f64| 2.0 - 3.0 * c + 0.5 * c * c;
        let c = [0.0, 0.5, 0.9, 0.3];
        let weights = extrapolation(&c, 0.7);
        let sum: f64 = weights.iter().zip(c).map(|(w, c)| w * quadratic(c)).sum();
        assert!((sum - quadratic(0.7)).abs() < 1e-12, "{sum}");
        assert_eq!(extrapolation(&[0.0, 1.0, 0.5], 1.0), [0.0, 1.0, 0.0]);
        assert_eq!(extrapolation(&[0.0], 0.5), [1.0]);
        // Nearly equal abscissae would need huge weights.
        let close = extrapolation(&[0.0, 1e-9], 1.0);
        assert!(close.iter().map(|w| w.abs()).sum::<f64>() <= PREDICTOR_SIZE);
        assert!((close.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
