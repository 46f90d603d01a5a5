//! Heuristics as pairs: a value the controller or a plot reads, and its pullback, which a
//! regulariser minimises. Users add their own by implementing [`Heuristic`].

use super::step::{StepCotangent, StepView};
use crate::num::{ErrorNorm, Real, rms};

/// A differentiable number computed from an accepted step.
///
/// ```
/// use odeon::integrate::{Heuristic, StepCotangent, StepView};
///
/// /// Σ k_1²: how fast the state moves where the step starts.
/// struct Speed;
/// impl Heuristic<f64> for Speed {
///     fn name(&self) -> &str {
///         "speed"
///     }
///     fn value(&self, step: &StepView<'_, f64>, _: &mut [f64]) -> f64 {
///         step.stage(0).iter().map(|k| k * k).sum()
///     }
///     fn pullback(&self, step: &StepView<'_, f64>, seed: f64, bar: &mut StepCotangent<'_, f64>) {
///         for (b, k) in bar.stage(0).iter_mut().zip(step.stage(0)) {
///             *b += 2.0 * seed * k;
///         }
///     }
/// }
/// ```
pub trait Heuristic<T: Real>: Send + Sync {
    /// A short name for tables and plots.
    fn name(&self) -> &str;

    /// The value at `step`. `scratch` is free memory of twice the state's length.
    fn value(&self, step: &StepView<'_, T>, scratch: &mut [T]) -> T;

    /// ACCUMULATES `seed` · ∂value/∂(y0, y1, stages); t and h are constants.
    fn pullback(&self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>);
}

/// The embedded error estimate E = ‖ũ‖ in the scaled norm (spec, section 1), of any embedded pair.
///
/// With [`squared`](Self::squared) the value is E², smooth everywhere; otherwise √(E² + ε²) − ε,
/// which is E up to ε and differentiable at E = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorEstimate<T> {
    /// The norm to measure in, decoupled from the controller's ("probe tolerance"); `None` for the
    /// controller's own.
    pub norm: Option<ErrorNorm<T>>,
    /// Whether to return E² instead of E.
    pub squared: bool,
    /// Smoothing ε.
    pub epsilon: T,
    /// Estimate the error that a step of this size would have, E·(h_ref/|h|)^p with p the
    /// estimate's power of h, instead of the step's own.
    pub h_ref: Option<T>,
}

impl<T: Real> Default for ErrorEstimate<T> {
    fn default() -> Self {
        Self { norm: None, squared: false, epsilon: T::of(1e-6), h_ref: None }
    }
}

impl<T: Real> ErrorEstimate<T> {
    fn norm<'a>(&'a self, step: &StepView<'a, T>) -> &'a ErrorNorm<T> {
        self.norm.as_ref().unwrap_or(step.norm)
    }

    /// (h_ref/|h|)^{2p}, the factor on E².
    fn probe(&self, step: &StepView<'_, T>) -> T {
        match (self.h_ref, step.estimates.error_power()) {
            (Some(h), Some(p)) if step.h != T::zero() => (h / step.h.abs()).powi(2 * p as i32),
            _ => T::one(),
        }
    }

    /// (E₅², E₃²): mean squares of the estimate and of its lower-order companion.
    fn mean_squares(&self, step: &StepView<'_, T>, scratch: &mut [T]) -> Option<[T; 2]> {
        let u = &mut scratch[..step.len()];
        let norm = self.norm(step);
        if !step.estimates.error_vector(step, false, u) {
            return None;
        }
        let high = norm.mean_square(u, step.y0, step.y1, step.dim);
        let low = match step.estimates.error_vector(step, true, u) {
            true => norm.mean_square(u, step.y0, step.y1, step.dim),
            false => T::zero(),
        };
        Some([high, low])
    }
}

/// √(x + ε²) − ε without cancellation: x/(√(x + ε²) + ε), exactly 0 at x = 0.
fn smooth_root<T: Real>(x: T, epsilon: T) -> T {
    if x == T::zero() {
        return x;
    }
    x / (epsilon.mul_add(epsilon, x).sqrt() + epsilon)
}

/// d/dx √(x + ε²); 0 (a subgradient's choice) at x = ε = 0.
fn smooth_root_slope<T: Real>(x: T, epsilon: T) -> T {
    let root = epsilon.mul_add(epsilon, x).sqrt();
    if root == T::zero() {
        return root;
    }
    T::of(0.5) / root
}

/// Keeps 0/0 zero; a normal number in f32 and f64.
const FLOOR: f64 = 1e-37;

/// E² from the mean squares of the estimate and its companion (DOP853; Hairer & Wanner).
#[inline(always)]
pub(crate) fn error_square<T: crate::num::Scalar>(high: T, low: T) -> T {
    high * (high / T::of(0.01).mul_add(low, high).max(T::of(FLOOR)))
}

impl<T: Real> Heuristic<T> for ErrorEstimate<T> {
    fn name(&self) -> &str {
        "error"
    }

    fn value(&self, step: &StepView<'_, T>, scratch: &mut [T]) -> T {
        let Some([high, low]) = self.mean_squares(step, scratch) else {
            return T::zero();
        };
        let square = error_square(high, low) * self.probe(step);
        if self.squared { square } else { smooth_root(square, self.epsilon) }
    }

    fn pullback(&self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>) {
        let n = step.len();
        let work = std::mem::take(&mut bar.scratch);
        if let Some([high, low]) = self.mean_squares(step, work) {
            let probe = self.probe(step);
            let square = error_square(high, low) * probe;
            let mut seed = seed * probe;
            if !self.squared {
                seed *= smooth_root_slope(square, self.epsilon);
            }
            let (mut high_bar, mut low_bar) = (seed, T::zero());
            if low > T::zero() {
                let r = high / T::of(0.01).mul_add(low, high).max(T::of(FLOOR));
                high_bar = seed * r * (T::of(2.0) - r);
                low_bar = -seed * T::of(0.01) * r * r;
            }
            let norm = self.norm(step);
            for (is_low, seed) in [(false, high_bar), (true, low_bar)] {
                if seed == T::zero() {
                    continue;
                }
                let u = &mut work[..n];
                step.estimates.error_vector(step, is_low, u);
                norm.mean_square_pullback(
                    u,
                    [step.y0, step.y1],
                    seed,
                    [&mut *bar.y0, &mut *bar.y1],
                    step.dim,
                );
                step.estimates.error_vector_pullback(step, is_low, u, bar);
            }
        }
        bar.scratch = work;
    }
}

/// Newton iterations of an implicit step, all stages together; 0 for steps without. A count: it can be
/// read and plotted, and its pullback is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewtonIterations;

/// Iterations of the linear solver in an implicit step, where it is an iterative one. A count, as
/// [`NewtonIterations`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinearIterations;

macro_rules! count {
    ($kind:ident $name:literal $field:ident) => {
        impl<T: Real> Heuristic<T> for $kind {
            fn name(&self) -> &str {
                $name
            }

            fn value(&self, step: &StepView<'_, T>, _: &mut [T]) -> T {
                T::of(f64::from(step.iterations.$field))
            }

            fn pullback(&self, _: &StepView<'_, T>, _: T, _: &mut StepCotangent<'_, T>) {}
        }
    };
}
count!(NewtonIterations "newton iterations" newton);
count!(LinearIterations "linear iterations" linear);

/// Which of the published quotients [`Stiffness`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StiffnessKind {
    /// S² = ‖Δk‖²/(‖Δg‖² + ε²) in the RMS norm (Shampine; Hairer & Wanner II, IV.2; the spec's S).
    #[default]
    Rms,
    /// S = max_i |Δk_i|/(|Δg_i| + ε) over components (OrdinaryDiffEq's variant).
    ElementwiseMax,
    /// |h|·S, dimensionless.
    StepTimesRms,
    /// |h|·S with S² = ‖Δk‖²/(‖Δg‖² + ε²) in the controller's scaled norm ([`ErrorNorm`]): sees stiff components
    /// that are many orders smaller than the smooth ones.
    StepTimesScaled,
}

/// The stiffness estimate S ≈ |λ_max| of the Jacobian from two stages at the same abscissa.
///
/// Zero for methods without such a pair. Differentiable at an equilibrium (Δg = 0).
#[derive(Clone, Debug, PartialEq)]
pub struct Stiffness<T> {
    /// Which quotient.
    pub kind: StiffnessKind,
    /// Whether to return S² instead of S.
    pub squared: bool,
    /// Smoothing ε, in the units of the state (of its scale, in the scaled norm).
    pub epsilon: T,
    /// Divide S by the method's stability size, as the published code does.
    pub relative: bool,
}

impl<T: Real> Default for Stiffness<T> {
    fn default() -> Self {
        Self { kind: StiffnessKind::Rms, squared: false, epsilon: T::of(1e-8), relative: false }
    }
}

impl<T: Real> Stiffness<T> {
    /// The factor on S: 1, 1/stability size, |h|, or both.
    fn factor(&self, step: &StepView<'_, T>, size: f64) -> T {
        let mut factor = T::one();
        if self.relative {
            factor /= T::of(size);
        }
        if matches!(self.kind, StiffnessKind::StepTimesRms | StiffnessKind::StepTimesScaled) {
            factor *= step.h.abs();
        }
        factor
    }

    /// Component where |Δk|/(|Δg| + ε) is largest, with the quotient.
    fn worst(&self, dk: &[T], dg: &[T]) -> (usize, T) {
        let quotient = |i: usize| dk[i].abs() / (dg[i].abs() + self.epsilon).max(T::MIN_POSITIVE);
        (0..dk.len()).map(|i| (i, quotient(i))).fold((0, T::zero()), |a, b| if b.1 > a.1 { b } else { a })
    }

    /// ‖Δk‖², and ‖Δg‖² + ε², never 0.
    fn squares(&self, step: &StepView<'_, T>, dk: &[T], dg: &[T]) -> (T, T) {
        let square = |x: &[T]| match self.kind {
            StiffnessKind::StepTimesScaled => step.norm.mean_square(x, step.y0, step.y1, step.dim),
            _ => rms(x).powi(2),
        };
        let eps = self.epsilon;
        (square(dk), eps.mul_add(eps, square(dg)).max(T::MIN_POSITIVE))
    }
}

impl<T: Real> Heuristic<T> for Stiffness<T> {
    fn name(&self) -> &str {
        "stiffness"
    }

    fn value(&self, step: &StepView<'_, T>, scratch: &mut [T]) -> T {
        let (dk, dg) = scratch.split_at_mut(step.len());
        let dg = &mut dg[..step.len()];
        let Some(forms) = step.estimates.stiffness_vectors(step, dk, dg) else {
            return T::zero();
        };
        let factor = self.factor(step, forms.stability_size);
        let square = match self.kind {
            StiffnessKind::ElementwiseMax => self.worst(dk, dg).1.powi(2),
            _ => {
                let (num, den) = self.squares(step, dk, dg);
                num / den
            }
        } * factor
            * factor;
        if self.squared { square } else { smooth_root(square, self.epsilon) }
    }

    fn pullback(&self, step: &StepView<'_, T>, seed: T, bar: &mut StepCotangent<'_, T>) {
        let n = step.len();
        let work = std::mem::take(&mut bar.scratch);
        let (dk, dg) = work.split_at_mut(n);
        let dg = &mut dg[..n];
        if let Some(forms) = step.estimates.stiffness_vectors(step, dk, dg) {
            let factor = self.factor(step, forms.stability_size).powi(2);
            let to_square = |square: T| match self.squared {
                true => seed,
                false => seed * smooth_root_slope(square, self.epsilon),
            };
            if self.kind == StiffnessKind::ElementwiseMax {
                let (i, q) = self.worst(dk, dg);
                let q_bar = to_square(q * q * factor) * factor * T::of(2.0) * q;
                let below = (dg[i].abs() + self.epsilon).max(T::MIN_POSITIVE);
                let (k, g) = (dk[i], dg[i]);
                dk.fill(T::zero());
                dg.fill(T::zero());
                if k != T::zero() {
                    dk[i] = (q_bar / below).copysign(q_bar * k);
                }
                if g != T::zero() {
                    dg[i] = (q_bar * q / below).copysign(-q_bar * g);
                }
            } else {
                let (num, den) = self.squares(step, dk, dg);
                let num_bar = to_square(num / den * factor) * factor / den;
                let den_bar = -num_bar * num / den;
                for (x, seed) in [(&mut *dk, num_bar), (&mut *dg, den_bar)] {
                    if self.kind == StiffnessKind::StepTimesScaled {
                        let (y, y_bar) = ([step.y0, step.y1], [&mut *bar.y0, &mut *bar.y1]);
                        step.norm.mean_square_pullback(x, y, seed, y_bar, step.dim);
                    } else {
                        x.iter_mut().for_each(|x| *x *= T::of(2.0 / n as f64) * seed);
                    }
                }
            }
            step.estimates.stiffness_pullback(step, dk, dg, bar);
        }
        bar.scratch = work;
    }
}
