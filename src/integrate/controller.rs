//! Step-size controllers: from the error estimate to the factor on h.
//!
//! h_{n+1} = h_n · clamp(safety · E_n^{−β1/k} · E_{n−1}^{−β2/k} · E_{n−2}^{−β3/k}),  k = min(p, p̂) + 1
//! (Söderlind, "Automatic control and adaptive time-stepping", 2002; Hairer & Wanner II, IV.2).
//! Forks: Diffrax's default is the I controller, OrdinaryDiffEq's is PI(0.7, −0.4). Ours is I, which takes
//! a fifth fewer steps where accuracy limits h (Lorenz at 1e-8, Tsit5: 364 against 462 at like error);
//! PI is the one to choose where stability limits h. A rejected step uses E_n alone and may not grow.

use crate::error::{Error, Result};
use crate::num::Real;

/// How the step size follows the error estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Controller {
    /// Constant step size (the last step before a stop is shortened).
    Fixed {
        /// The step size, positive.
        h: f64,
    },
    /// PID control of log E.
    Pid {
        /// Exponents (β1, β2, β3) of E_n, E_{n−1}, E_{n−2}, divided by k.
        beta: [f64; 3],
        /// Safety factor, in (0, 1].
        safety: f64,
        /// Smallest and largest factor on h.
        limits: [f64; 2],
    },
}

impl Default for Controller {
    fn default() -> Self {
        Self::integral()
    }
}

impl Controller {
    const SAFETY: f64 = 0.9;
    const LIMITS: [f64; 2] = [0.2, 10.0];

    /// Elementary (I) control: β = (1, 0, 0).
    pub fn integral() -> Self {
        Self::Pid { beta: [1.0, 0.0, 0.0], safety: Self::SAFETY, limits: Self::LIMITS }
    }

    /// PI control, β = (0.7, −0.4, 0) (Gustafsson; Hairer & Wanner II, IV.2).
    pub fn pi() -> Self {
        Self::Pid { beta: [0.7, -0.4, 0.0], safety: Self::SAFETY, limits: Self::LIMITS }
    }

    /// PID control, β = (1/18, 1/9, 1/18) (Söderlind's H312).
    pub fn pid() -> Self {
        Self::Pid { beta: [1.0 / 18.0, 1.0 / 9.0, 1.0 / 18.0], safety: Self::SAFETY, limits: Self::LIMITS }
    }

    /// Whether steps are accepted by their error.
    pub fn is_adaptive(&self) -> bool {
        matches!(self, Self::Pid { .. })
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// A non-positive fixed step, a safety outside (0, 1], or limits that do not bracket 1.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Fixed { h } if !(h.is_finite() && h > 0.0) => {
                Err(Error::invalid("the fixed step h", h, "it must be positive and finite"))
            }
            Self::Pid { safety, .. } if !(safety > 0.0 && safety <= 1.0) => {
                Err(Error::invalid("the safety factor", safety, "it must lie in (0, 1]"))
            }
            Self::Pid { limits: [low, high], .. }
                if !(low > 0.0 && low < 1.0 && high > 1.0 && high.is_finite()) =>
            {
                Err(Error::invalid(
                    "the step factor limits",
                    format!("[{low}, {high}]"),
                    "they must satisfy 0 < low < 1 < high",
                ))
            }
            Self::Pid { beta, .. } if !beta.iter().all(|b| b.is_finite()) => {
                Err(Error::invalid("the controller exponents", format!("{beta:?}"), "they must be finite"))
            }
            _ => Ok(()),
        }
    }

    /// The factor on h after a step with mean square error `square` = E², for an estimate of power
    /// `k` of h, whether the step is accepted, and the history for the next call. NaN counts as the
    /// largest possible error. The factor is good to 1e-5, which is far more than h needs.
    #[inline(always)]
    pub fn factor<T: Real>(&self, square: T, k: usize, history: &History<T>) -> (T, bool, History<T>) {
        let Self::Pid { .. } = *self else {
            return (T::one(), square.is_finite(), *history);
        };
        let accepted = square <= T::one();
        let log = log_error(square);
        let factor = exp2(self.exponent(log, accepted, k, history));
        let factor = self.bound(factor, square, accepted && !history.rejected);
        (factor, accepted, history.after(log, accepted))
    }

    /// log₂ of the unbounded factor over the safety. (The pieces of [`factor`](Self::factor) are
    /// branch-free, so that SIMD lanes run them too, with the same bits.)
    #[inline(always)]
    pub(crate) fn exponent<T: Real>(&self, log: T, accepted: bool, k: usize, history: &History<T>) -> T {
        let scale = -1.0 / k as f64;
        let (beta, zero) = (self.beta(), T::of(0.0));
        let mut steady = T::of(scale * beta[0]) * log;
        if beta[1] != 0.0 || beta[2] != 0.0 {
            let past = T::of(scale * beta[1]).mul_add(history.log1, T::of(scale * beta[2]) * history.log2);
            steady += if accepted { past } else { zero };
        }
        if accepted { steady } else { T::of(scale) * log }
    }

    /// Safety and limits; `may_grow` unless this or the last attempt was rejected.
    #[inline(always)]
    pub(crate) fn bound<T: Real>(&self, factor: T, square: T, may_grow: bool) -> T {
        let (safety, [low, high]) = match *self {
            Self::Pid { safety, limits, .. } => (safety, limits),
            Self::Fixed { .. } => (1.0, [1.0, 1.0]),
        };
        let top = if may_grow { T::of(high) } else { T::one() };
        let factor = (T::of(safety) * factor).max(T::of(low)).min(top);
        if square.is_finite() { factor } else { T::of(low) }
    }

    #[inline(always)]
    fn beta(&self) -> [f64; 3] {
        match *self {
            Self::Pid { beta, .. } => beta,
            Self::Fixed { .. } => [0.0; 3],
        }
    }
}

/// log₂(1 + r)/r on [√½ − 1, √2 − 1).
pub(super) const LOG_COEFFICIENTS: [f64; 7] = [
    1.4426964322205762,
    -0.7213640398472572,
    0.4806291469242939,
    -0.3593506528382748,
    0.2956336002613319,
    -0.2695062744398742,
    0.17212873067091522,
];

/// 2ˣ on [−½, ½].
pub(super) const EXP_COEFFICIENTS: [f64; 5] =
    [1.0000000754953493, 0.6931210339915467, 0.24022107355830324, 0.05592203564726202, 0.00967603709787742];

/// E² below which the controller sees no difference.
pub(super) const LEAST_SQUARE: f64 = 1e-20;

/// log₂ E from E², floored where the estimate is all rounding (NaN too: such a step is rejected anyway).
///
/// log₂ x = k + log₂(1 + r), x = 2ᵏ(1 + r), 1 + r ∈ [√½, √2), by a polynomial that interpolates
/// log₂(1 + r)/r at Chebyshev points: absolute error 6e-7. Short, since it stands in the way of every step.
#[inline(always)]
pub(crate) fn log_error<T: Real>(square: T) -> T {
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const C: [f64; 7] = LOG_COEFFICIENTS;
    let bits = square.max_number(T::of(LEAST_SQUARE)).f64().to_bits();
    let above = bits.wrapping_sub(ROOT_HALF);
    let r = f64::from_bits(bits.wrapping_sub(above & 0xfff0_0000_0000_0000)) - 1.0;
    // (above >> 52), signed, as a float: shifted into the mantissa of 1.5·2⁵², without a conversion.
    let whole = f64::from_bits(0x4338_0000_0000_0000u64.wrapping_add(((above as i64) >> 52) as u64)) - SHIFT;
    let r2 = r * r;
    let low = r2.mul_add(r.mul_add(C[3], C[2]), r.mul_add(C[1], C[0]));
    let high = r2.mul_add(C[6], r.mul_add(C[5], C[4]));
    T::of(0.5 * r.mul_add((r2 * r2).mul_add(high, low), whole))
}

/// 1.5·2⁵²: adding it leaves the nearest integer in the low bits.
const SHIFT: f64 = 6755399441055744.0;

/// 2ˣ for |x| < 1000 to 4e-6 relative: 2ⁿ·p(x − n), n the nearest integer, p a quartic through
/// Chebyshev points.
#[inline(always)]
pub(crate) fn exp2<T: Real>(x: T) -> T {
    const C: [f64; 5] = EXP_COEFFICIENTS;
    let x = x.f64();
    let shifted = x + SHIFT;
    let f = x - (shifted - SHIFT);
    let f2 = f * f;
    let p = (f2 * f2).mul_add(C[4], f2.mul_add(f.mul_add(C[3], C[2]), f.mul_add(C[1], C[0])));
    T::of(f64::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 52)))
}

/// What a controller remembers: log₂ E of the last two accepted steps, and whether the last attempt failed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct History<T> {
    /// log₂ E_{n−1}.
    pub log1: T,
    /// log₂ E_{n−2}.
    pub log2: T,
    /// Whether the last attempt was rejected.
    pub rejected: bool,
}

impl<T: Real> History<T> {
    /// The history after an attempt with log₂ E = `log`.
    #[inline(always)]
    pub(crate) fn after(&self, log: T, accepted: bool) -> Self {
        Self {
            log1: if accepted { log } else { self.log1 },
            log2: if accepted { self.log1 } else { self.log2 },
            rejected: !accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_the_formula() {
        let history = History { log1: 0.25f64.log2(), log2: 0.5f64.log2(), rejected: false };
        for (c, beta) in [
            (Controller::integral(), [1.0, 0.0, 0.0]),
            (Controller::pi(), [0.7, -0.4, 0.0]),
            (Controller::pid(), [1.0 / 18.0, 1.0 / 9.0, 1.0 / 18.0]),
        ] {
            let (factor, accepted, next) = c.factor(0.125 * 0.125, 5, &history);
            let want = 0.9
                * 0.125f64.powf(-beta[0] / 5.0)
                * 0.25f64.powf(-beta[1] / 5.0)
                * 0.5f64.powf(-beta[2] / 5.0);
            assert!(accepted && (factor - want).abs() < 1e-5 * want, "{factor} {want}");
            assert!((next.log1 + 3.0f64).abs() < 1e-6 && next.log2 == -2.0);
        }
    }

    #[test]
    fn logarithm_and_power_are_good_to_their_claims() {
        for i in 0..4000 {
            let x = f64::powf(10.0, -20.0 + 0.01 * i as f64);
            let log: f64 = log_error(x);
            assert!((log - 0.5 * x.log2()).abs() < 6e-7, "{x:e}");
            let y = -15.0 + 0.0077 * i as f64;
            assert!((exp2::<f64>(y) / y.exp2() - 1.0).abs() < 4e-6, "{y}");
        }
        assert_eq!(log_error(0.0f64), log_error(1e-20));
    }

    #[test]
    fn rejection_shrinks_by_the_error_alone_and_forbids_growth_after() {
        let c = Controller::pi();
        let start = History::default();
        let (factor, accepted, next) = c.factor(32.0 * 32.0, 5, &start);
        assert!(!accepted && (factor - 0.45f64).abs() < 1e-5);
        assert_eq!((next.log1, next.rejected), (0.0, true));
        let (factor, accepted, _) = c.factor(1e-12, 5, &next);
        assert!(accepted && factor == 1.0);
        let (factor, accepted, _) = c.factor(1e-18, 5, &start);
        assert!(accepted && factor == 10.0);
    }

    #[test]
    fn non_finite_errors_reject_with_the_smallest_factor() {
        for e in [f64::NAN, f64::INFINITY] {
            let (factor, accepted, next) = Controller::pi().factor(e, 5, &History::default());
            assert!(!accepted && factor == 0.2 && next.log1.is_finite());
        }
    }

    #[test]
    fn bad_parameters_are_refused() {
        let pid = |safety, limits| Controller::Pid { beta: [1.0, 0.0, 0.0], safety, limits };
        for c in [
            Controller::Fixed { h: 0.0 },
            Controller::Fixed { h: f64::NAN },
            pid(0.0, [0.2, 10.0]),
            pid(0.9, [1.2, 10.0]),
            pid(0.9, [0.2, 1.0]),
        ] {
            assert!(matches!(c.check(), Err(Error::Invalid { .. })), "{c:?}");
        }
        assert!(Controller::pi().check().is_ok());
    }
}
