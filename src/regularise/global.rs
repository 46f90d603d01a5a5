//! [`Global`]: R = aggregate over the accepted steps j of w_j v_j, v_j a heuristic of the step.

use super::combine::HeuristicSum;
use crate::error::{Error, Result};
use crate::integrate::{ErrorEstimate, Heuristic, Penalty, StepCotangent, StepView, Stiffness};
use crate::num::Real;

/// How the weighted values x_j = w_j v_j of n steps become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Aggregation {
    /// Σ x_j.
    #[default]
    Sum,
    /// Σ x_j / n.
    Mean,
    /// max x_j; the gradient goes to the first largest.
    Max,
    /// τ ln Σ exp(x_j/τ): a smooth maximum, between max and max + τ ln n.
    SoftMax {
        /// τ > 0.
        temperature: f64,
    },
    /// (Σ |x_j|^p)^{1/p}.
    PNorm {
        /// p ≥ 1.
        p: f64,
    },
}

impl Aggregation {
    /// Checks the parameters.
    ///
    /// # Errors
    /// A temperature that is not positive, or p < 1.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::SoftMax { temperature } if !(temperature > 0.0 && temperature.is_finite()) => {
                Err(Error::invalid("the soft-max temperature", temperature, "it must be positive and finite"))
            }
            Self::PNorm { p } if !(p >= 1.0 && p.is_finite()) => {
                Err(Error::invalid("the p of the p-norm", p, "it must be finite and at least 1"))
            }
            _ => Ok(()),
        }
    }

    /// The aggregate of `x` (0 without steps).
    pub fn value<T: Real>(&self, x: &[T]) -> T {
        let sum = || x.iter().fold(T::zero(), |a, x| a + *x);
        if x.is_empty() {
            return T::zero();
        }
        match *self {
            Self::Sum => sum(),
            Self::Mean => sum() / T::of(x.len() as f64),
            Self::Max => largest(x).1,
            Self::SoftMax { temperature } => {
                let (_, max) = largest(x);
                T::of(temperature).mul_add(exponentials(x, max, temperature).ln(), max)
            }
            Self::PNorm { p } => {
                let scale = x.iter().fold(T::zero(), |a, x| a.max(x.abs()));
                if scale == T::zero() {
                    return scale;
                }
                let powers = x.iter().map(|x| power(x.abs() / scale, p));
                scale * powers.fold(T::zero(), |a, x| a + x).powf(T::of(1.0 / p))
            }
        }
    }

    /// ∂(aggregate)/∂x_j, given the aggregate `total` of `x`. Finite everywhere: 0 for a p-norm at 0.
    pub fn slope<T: Real>(&self, x: &[T], total: T, j: usize) -> T {
        match *self {
            Self::Sum => T::one(),
            Self::Mean => T::one() / T::of(x.len() as f64),
            Self::Max => T::of(f64::from(u8::from(largest(x).0 == j))),
            // exp((x_j − total)/τ) = exp(x_j/τ)/Σ exp(x_i/τ).
            Self::SoftMax { temperature } => ((x[j] - total) / T::of(temperature)).exp(),
            Self::PNorm { .. } if total == T::zero() || x[j] == T::zero() => T::zero(),
            Self::PNorm { p } => power(x[j].abs() / total, p - 1.0).copysign(x[j]),
        }
    }
}

/// xᵖ for x ≥ 0.
fn power<T: Real>(x: T, p: f64) -> T {
    if p == 0.0 {
        T::one()
    } else if x == T::zero() {
        x
    } else {
        x.powf(T::of(p))
    }
}

/// First largest entry; NaN wins, so that it is seen.
fn largest<T: Real>(x: &[T]) -> (usize, T) {
    let mut best = (0, x[0]);
    for (j, &x) in x.iter().enumerate().skip(1) {
        let smaller_or_equal = x <= best.1;
        if !smaller_or_equal && best.1.is_finite() {
            best = (j, x);
        }
    }
    best
}

/// Σ exp((x_j − max)/τ).
fn exponentials<T: Real>(x: &[T], max: T, temperature: f64) -> T {
    x.iter().fold(T::zero(), |a, x| a + ((*x - max) / T::of(temperature)).exp())
}

/// The weight w_j of a step's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepWeight {
    /// 1.
    One,
    /// |h_j|, a constant of the gradient: the sum is then a quadrature over time.
    #[default]
    StepSize,
}

/// R = aggregate_j (w_j v_j) over the accepted steps, v_j the value of heuristic `H`.
///
/// Only accepted steps count: rejected attempts and the initial state contribute nothing. Step sizes
/// are constants. Memory: one number a step.
///
/// ```
/// use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
/// use odeon::dynamics::{gallery, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::{ExplicitStepper, tableaux::Tsit5};
/// use odeon::regularise::Global;
///
/// let lorenz = Generic(gallery::Lorenz);
/// let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&lorenz, &Tsit5, 1), Memory::Unlimited);
/// let problem = Problem { y0: &[1.0, 0.0, 0.0], span: [0.0, 1.0], theta: &[10.0, 28.0, 8.0 / 3.0] };
/// // |y(1)|²/2 + 0.1 Σ E_j |h_j|
/// let mut error = Global::error();
/// let evaluation = adjoint.value_and_gradient(
///     &problem,
///     &Options::tol(1e-6, 1e-6),
///     &mut [Weighted { weight: 0.1, penalty: &mut error }],
///     |solution, y_bar| {
///         y_bar.copy_from_slice(&solution.y);
///         Ok(solution.y.iter().map(|y| 0.5 * y * y).sum())
///     },
/// )?;
/// assert!(evaluation.penalties[0] > 0.0);
/// assert_eq!(adjoint.theta_gradient().len(), 3);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Global<T, H> {
    heuristic: H,
    aggregation: Aggregation,
    weight: StepWeight,
    /// w_j v_j.
    values: Vec<T>,
    /// The aggregate, when it is up to date.
    total: Option<T>,
}

impl<T: Real, H: Heuristic<T>> Global<T, H> {
    /// A penalty on `heuristic`.
    ///
    /// # Errors
    /// An aggregation with parameters out of range ([`Aggregation::check`]).
    pub fn new(heuristic: H, aggregation: Aggregation, weight: StepWeight) -> Result<Self> {
        aggregation.check()?;
        Ok(Self::of(heuristic, aggregation, weight))
    }

    /// Σ_j v_j |h_j|.
    pub fn integral(heuristic: H) -> Self {
        Self::of(heuristic, Aggregation::Sum, StepWeight::StepSize)
    }

    /// Σ_j v_j.
    pub fn sum(heuristic: H) -> Self {
        Self::of(heuristic, Aggregation::Sum, StepWeight::One)
    }

    fn of(heuristic: H, aggregation: Aggregation, weight: StepWeight) -> Self {
        Self { heuristic, aggregation, weight, values: Vec::new(), total: None }
    }

    /// The heuristic.
    pub fn heuristic(&self) -> &H {
        &self.heuristic
    }

    /// The weighted values w_j v_j of the last solve's accepted steps.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    fn weight(&self, step: &StepView<'_, T>) -> T {
        match self.weight {
            StepWeight::One => T::one(),
            StepWeight::StepSize => step.h.abs(),
        }
    }
}

impl<T: Real> Global<T, ErrorEstimate<T>> {
    /// R_E = Σ_j E_j |h_j|.
    pub fn error() -> Self {
        Self::integral(ErrorEstimate::default())
    }

    /// R_E² = Σ_j E_j².
    pub fn error_squared() -> Self {
        Self::sum(ErrorEstimate { squared: true, ..ErrorEstimate::default() })
    }

    /// mean_j(E_j |h_j|), as the published code has it.
    pub fn mean_error() -> Self {
        Self::of(ErrorEstimate::default(), Aggregation::Mean, StepWeight::StepSize)
    }
}

impl<T: Real> Global<T, Stiffness<T>> {
    /// R_S = Σ_j S_j |h_j|.
    pub fn stiffness() -> Self {
        Self::integral(Stiffness::default())
    }

    /// max_j S_j / stability size (3.5068 for Tsit5), as the published code has it.
    pub fn max_stiffness() -> Self {
        Self::of(relative_stiffness(), Aggregation::Max, StepWeight::One)
    }
}

/// S / stability size.
fn relative_stiffness<T: Real>() -> Stiffness<T> {
    Stiffness { relative: true, ..Stiffness::default() }
}

impl<T: Real> Global<T, HeuristicSum<T>> {
    /// R_ES = R_E + w·R_S = Σ_j (E_j + w S_j) |h_j|.
    pub fn error_stiffness(w: T) -> Self {
        let sum = HeuristicSum::new("error+stiffness");
        let sum = sum.plus(T::one(), ErrorEstimate::default());
        Self::integral(sum.plus(w, Stiffness::default()))
    }

    /// mean_j(E_j |h_j| + 0.1 S_j / stability size), as the published code has it.
    pub fn mean_error_stiffness() -> Self {
        let sum = HeuristicSum::new("error+stiffness");
        let sum = sum.plus_integrated(T::one(), ErrorEstimate::default());
        let sum = sum.plus(T::of(0.1), relative_stiffness());
        Self::of(sum, Aggregation::Mean, StepWeight::One)
    }
}

impl<T: Real, H: Heuristic<T>> Penalty<T> for Global<T, H> {
    fn start(&mut self) {
        self.values.clear();
        self.total = None;
    }

    fn observe(&mut self, step: &StepView<'_, T>, scratch: &mut [T]) {
        let value = self.weight(step) * self.heuristic.value(step, scratch);
        self.values.push(value);
        self.total = None;
    }

    fn value(&self) -> T {
        self.total.unwrap_or_else(|| self.aggregation.value(&self.values))
    }

    fn pullback(&mut self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>) {
        if step.index >= self.values.len() {
            return;
        }
        let total = self.value();
        self.total = Some(total);
        let slope = self.aggregation.slope(&self.values, total, step.index);
        let seed = seed * slope * self.weight(step);
        if seed != T::zero() {
            self.heuristic.pullback(step, seed, bar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Aggregation; 6] = [
        Aggregation::Sum,
        Aggregation::Mean,
        Aggregation::Max,
        Aggregation::SoftMax { temperature: 0.3 },
        Aggregation::PNorm { p: 1.0 },
        Aggregation::PNorm { p: 2.5 },
    ];

    #[test]
    fn aggregates_are_their_formulas() {
        let x: [f64; 4] = [0.2, 1.5, 0.7, 1.1];
        let by_hand = [
            3.5,
            0.875,
            1.5,
            0.3 * x.iter().map(|x| (x / 0.3).exp()).sum::<f64>().ln(),
            3.5,
            x.iter().map(|x| x.powf(2.5)).sum::<f64>().powf(0.4),
        ];
        for (a, want) in ALL.iter().zip(by_hand) {
            assert!((a.value(&x) - want).abs() < 1e-14, "{a:?}");
            assert_eq!(a.value::<f64>(&[]), 0.0);
        }
        let huge = [1e200, 2e200];
        assert!(Aggregation::PNorm { p: 4.0 }.value(&huge).is_finite());
        let soft = Aggregation::SoftMax { temperature: 1e-3 };
        assert!((soft.value(&[900.0, 1000.0]) - 1000.0f64).abs() < 1e-9);
    }

    #[test]
    fn slopes_match_differences() {
        let x: [f64; 4] = [0.2, 1.5, -0.7, 1.1];
        for a in ALL {
            for j in 0..4 {
                let moved = |d: f64| {
                    let mut x = x;
                    x[j] += d;
                    a.value(&x)
                };
                let want = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                let got = a.slope(&x, a.value(&x), j);
                assert!((got - want).abs() < 1e-8, "{a:?} {j}: {got} {want}");
            }
        }
    }

    #[test]
    fn slopes_are_finite_at_zero() {
        for a in ALL {
            for j in 0..3 {
                let slope = a.slope(&[0.0f32; 3], a.value(&[0.0f32; 3]), j);
                assert!(slope.is_finite(), "{a:?}");
            }
        }
    }

    #[test]
    fn a_nan_is_not_hidden_by_the_largest() {
        assert!(Aggregation::Max.value(&[1.0, f64::NAN, 2.0]).is_nan());
        assert!(Aggregation::Max.value(&[f64::NAN, 2.0]).is_nan());
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for (a, part) in [
            (Aggregation::SoftMax { temperature: 0.0 }, "temperature"),
            (Aggregation::SoftMax { temperature: f64::NAN }, "temperature"),
            (Aggregation::PNorm { p: 0.5 }, "p-norm"),
        ] {
            let error = Global::<f64, _>::new(Stiffness::default(), a, StepWeight::One).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
