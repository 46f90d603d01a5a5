//! Classic stochastic equations in Itô's sense, ready to solve, with their usual data and, where they are
//! known, their exact moments and solutions.
//!
//! | problem | noise | known exactly |
//! |---|---|---|
//! | [`OrnsteinUhlenbeck`] | additive | mean, variance, covariance, the path from its noise |
//! | [`GeometricBrownian`] | diagonal | mean, variance, the path from W |
//! | [`DoubleWell`] | additive | the stationary moments |
//! | [`Heston`] | 2 × 2, correlated | E S, E v, Var v |
//! | [`AdditiveLorenz`], [`MultiplicativeLorenz`] | additive, diagonal | – |
//! | [`StochasticLotkaVolterra`] | diagonal | – |
//! | [`StochasticSpiral`] | diagonal | moments by simulation |
//!
//! Each has `Y0`, `THETA` = (drift's, diffusion's), `T_END` and `sde()`.

use super::noise::{Brownian, Levy};
use super::{Constant, Diagonal, General, Sde};
use crate::dynamics::gallery::{CubicSpiral, Lorenz, LotkaVolterra};
use crate::dynamics::generic::{Generic, VectorField};
use crate::error::{Error, Result};
use crate::num::{Real, Scalar};

/// A right-hand side without data of its own.
macro_rules! field {
    (
        $(#[$doc:meta])*
        $name:ident { dim: $dim:literal, params: $params:literal }
        |$y:ident, $p:ident, $dy:ident| $body:block
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl VectorField for $name {
            fn dim(&self) -> usize {
                $dim
            }
            fn num_params(&self) -> usize {
                $params
            }
            #[inline(always)]
            fn eval<S: Scalar>(&self, _: S, $y: &[S], $p: &[S], $dy: &mut [S]) $body
        }
    };
}

/// A problem with its usual data.
macro_rules! problem {
    (
        $(#[$doc:meta])*
        $name:ident { y0: $y0:expr, theta: $theta:expr, t_end: $t_end:expr } $sde:ty = $make:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl $name {
            /// The usual initial state.
            pub const Y0: [f64; $y0.len()] = $y0;
            /// The usual parameters, the drift's and then the diffusion's.
            pub const THETA: [f64; $theta.len()] = $theta;
            /// The usual end, from t = 0.
            pub const T_END: f64 = $t_end;

            /// The equation.
            pub fn sde() -> $sde {
                $make
            }
        }
    };
}

/// g_i = p_i y_i: noise in proportion to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportional {
    /// Rows of the state.
    pub dim: usize,
}

impl VectorField for Proportional {
    fn dim(&self) -> usize {
        self.dim
    }
    fn num_params(&self) -> usize {
        self.dim
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        for ((dy, y), p) in dy.iter_mut().zip(y).zip(p) {
            *dy = *p * *y;
        }
    }
}

/// Proportional noise in `dim` rows.
fn proportional(dim: usize) -> Diagonal<Generic<Proportional>> {
    Diagonal(Generic(Proportional { dim }))
}

field! {
    /// κ(μ − x), p = (κ, μ).
    MeanReversion { dim: 1, params: 2 }
    |y, p, dy| {
        dy[0] = p[0] * (p[1] - y[0]);
    }
}

problem! {
    /// Ornstein and Uhlenbeck's process dX = κ(μ − X) dt + σ dW, θ = (κ, μ, σ) (*Phys. Rev.* 36, 1930;
    /// Kloeden & Platen, section 4.4).
    OrnsteinUhlenbeck { y0: [2.0], theta: [1.5, 0.5, 0.6], t_end: 2.0 }
    Sde<Generic<MeanReversion>, Constant> = Sde::ito(Generic(MeanReversion), Constant::diagonal(1))
}

impl OrnsteinUhlenbeck {
    /// E X(t) = μ + (x₀ − μ)e^(−κt).
    pub fn mean([kappa, mu, _]: [f64; 3], x0: f64, t: f64) -> f64 {
        mu + (x0 - mu) * (-kappa * t).exp()
    }

    /// Var X(t) = σ²(1 − e^(−2κt))/(2κ).
    pub fn variance(theta: [f64; 3], t: f64) -> f64 {
        Self::covariance(theta, t, t)
    }

    /// Cov(X(s), X(t)) = σ²(e^(−κ|t−s|) − e^(−κ(s+t)))/(2κ); σ² min(s, t) for κ = 0.
    pub fn covariance([kappa, _, sigma]: [f64; 3], s: f64, t: f64) -> f64 {
        let x = 2.0 * kappa * s.min(t);
        let clock = if x == 0.0 { 1.0 } else { -(-x).exp_m1() / x };
        sigma * sigma * s.min(t) * clock * (-kappa * (t - s).abs()).exp()
    }

    /// X at `times` (increasing, after `t0`) along the motions of a source of one component that knows
    /// areas, one state for each time and path:
    /// X(t + h) = μ + (X − μ)e^(−κh) + σ∫e^(−κ(t+h−s)) dW(s), the integral being replaced by its conditional
    /// expectation φW + ψH given ΔW and H of the cell, φ = (1 − e^(−x))/x, ψ = 12(φ/2 − (1 − φ)/x), x = κh.
    /// What is left has the variance [`unresolved`](Self::unresolved) a cell.
    ///
    /// # Errors
    /// A source of other components, without areas or that does not answer; times that do not increase.
    pub fn path<T: Real>(
        [kappa, mu, sigma]: [f64; 3],
        x0: T,
        (t0, times): (T, &[T]),
        noise: &mut impl Brownian<T>,
    ) -> Result<Vec<T>> {
        if noise.components() != 1 || noise.levy() != Levy::SpaceTime {
            let given = format!("{} components, areas: {:?}", noise.components(), noise.levy());
            return Err(Error::invalid("the noise source", given, "one component with areas is needed"));
        }
        let paths = noise.paths();
        let (mut w, mut area) = (vec![T::zero(); paths], vec![T::zero(); paths]);
        let (mut x, mut t) = (vec![x0; paths], t0);
        let mut out = Vec::with_capacity(paths * times.len());
        for &end in times {
            if end <= t {
                return Err(Error::invalid("the times of a path", end, format!("more than {t} is needed")));
            }
            noise.increment(t, end, &mut w, &mut area)?;
            let h = (end - t).f64();
            let [phi, psi] = Self::weights(kappa * h).map(|c| T::of(sigma * c));
            let (decay, mean) = (T::of((-kappa * h).exp()), T::of(mu));
            for ((x, w), a) in x.iter_mut().zip(&w).zip(&area) {
                *x = mean + (*x - mean) * decay + phi * *w + psi * *a;
            }
            out.extend_from_slice(&x);
            t = end;
        }
        Ok(out)
    }

    /// Variance of what ΔW and H over a cell of size h do not tell of X at its end, about κ⁴σ²h⁵/720.
    pub fn unresolved([kappa, _, sigma]: [f64; 3], h: f64) -> f64 {
        let x = kappa * h;
        let [phi, psi] = Self::weights(x);
        let all = if x == 0.0 { 1.0 } else { -(-2.0 * x).exp_m1() / (2.0 * x) };
        (sigma * sigma * h * (all - phi * phi - psi * psi / 12.0)).max(0.0)
    }

    /// φ and ψ.
    fn weights(x: f64) -> [f64; 2] {
        if x == 0.0 {
            return [1.0, 0.0];
        }
        let phi = -(-x).exp_m1() / x;
        if x.abs() > 1.0 {
            return [phi, 6.0 * phi - 12.0 * (1.0 - phi) / x];
        }
        // ψ = Σ_k 6k(−x)^k/(k + 2)!, without the cancellation.
        let (mut term, mut psi) = (1.0, 0.0);
        for k in 1..24 {
            let k = f64::from(k);
            // (−x)^k/(k + 2)! from the term before; 0! · 2 = 2! at the start.
            term *= -x / if k == 1.0 { 6.0 } else { k + 2.0 };
            psi += 6.0 * k * term;
        }
        [phi, psi]
    }
}

field! {
    /// μx, p = (μ).
    Growth { dim: 1, params: 1 }
    |y, p, dy| {
        dy[0] = p[0] * y[0];
    }
}

problem! {
    /// Geometric Brownian motion dX = μX dt + σX dW, θ = (μ, σ) (Kloeden & Platen, eq. 4.4.6).
    GeometricBrownian { y0: [1.0], theta: [0.5, 0.4], t_end: 1.0 }
    Sde<Generic<Growth>, Diagonal<Generic<Proportional>>> = Sde::ito(Generic(Growth), proportional(1))
}

impl GeometricBrownian {
    /// X(t) = x₀ exp((μ − σ²/2)t + σW(t)).
    pub fn solution([mu, sigma]: [f64; 2], x0: f64, t: f64, w: f64) -> f64 {
        x0 * ((mu - 0.5 * sigma * sigma) * t + sigma * w).exp()
    }

    /// E X(t) = x₀e^(μt).
    pub fn mean([mu, _]: [f64; 2], x0: f64, t: f64) -> f64 {
        x0 * (mu * t).exp()
    }

    /// Var X(t) = x₀²e^(2μt)(e^(σ²t) − 1).
    pub fn variance([mu, sigma]: [f64; 2], x0: f64, t: f64) -> f64 {
        (x0 * (mu * t).exp()).powi(2) * (sigma * sigma * t).exp_m1()
    }
}

field! {
    /// ax − bx³, p = (a, b): minus the slope of bx⁴/4 − ax²/2.
    TwoWells { dim: 1, params: 2 }
    |y, p, dy| {
        dy[0] = y[0] * (p[0] - p[1] * y[0] * y[0]);
    }
}

problem! {
    /// The double well dX = (aX − bX³) dt + σ dW, θ = (a, b, σ), with wells at ±√(a/b).
    DoubleWell { y0: [1.0], theta: [1.0, 1.0, 0.8], t_end: 10.0 }
    Sde<Generic<TwoWells>, Constant> = Sde::ito(Generic(TwoWells), Constant::diagonal(1))
}

impl DoubleWell {
    /// The potential bx⁴/4 − ax²/2.
    pub fn potential([a, b, _]: [f64; 3], x: f64) -> f64 {
        x * x * (0.25 * b * x * x - 0.5 * a)
    }

    /// E Xⁿ in equilibrium, whose density goes with exp(−2V/σ²) (Risken, *The Fokker–Planck Equation*,
    /// eq. 5.13); for b > 0 and σ ≠ 0, by the trapezoidal rule, which is exact to rounding here.
    pub fn stationary_moment(theta: [f64; 3], n: i32) -> f64 {
        let [a, b, sigma] = theta;
        let well = (a / b).max(0.0).sqrt();
        let depth = Self::potential(theta, well);
        // Where the density is below 10⁻¹⁷ of its maximum.
        let reach = 2.0 * well + 3.0 * (40.0 * sigma * sigma / b).powf(0.25) + sigma;
        let points = 4000;
        let (mut mass, mut moment) = (0.0, 0.0);
        for i in -points..=points {
            let x = reach * f64::from(i) / f64::from(points);
            let density = (-2.0 * (Self::potential(theta, x) - depth) / (sigma * sigma)).exp();
            mass += density;
            moment += density * x.powi(n);
        }
        moment / mass
    }
}

/// v below which Heston's variance counts as zero.
const NO_VARIANCE: f64 = 1e-30;

/// √v⁺, with slope 0 (not 0 · ∞) where v ≤ 0.
#[inline(always)]
fn root<S: Scalar>(v: S) -> S {
    v.max(S::of(NO_VARIANCE)).sqrt()
}

field! {
    /// (μS, κ(ϑ − v⁺)), p = (μ, κ, ϑ), y = (S, v).
    HestonDrift { dim: 2, params: 3 }
    |y, p, dy| {
        dy[0] = p[0] * y[0];
        dy[1] = p[1] * (p[2] - y[1].max(S::zero()));
    }
}

/// A column of Heston's diffusion: (S√v⁺, a√v⁺) and (0, b√v⁺), p = (a) and (b).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HestonColumn {
    /// The motion of the price, which v follows with ρξ = a.
    Price,
    /// The part of v's motion that is independent of the price's.
    Variance,
}

impl VectorField for HestonColumn {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        let root = root(y[1]);
        dy[0] = if *self == Self::Price { root * y[0] } else { S::zero() };
        dy[1] = p[0] * root;
    }
}

problem! {
    /// Heston's model dS = μS dt + √v S dW₁, dv = κ(ϑ − v) dt + ξ√v dW₂ with E dW₁dW₂ = ρ dt (*Rev. Financ.
    /// Stud.* 6, 1993), θ = (μ, κ, ϑ, a, b), a = ρξ, b = √(1 − ρ²)ξ, on independent motions: the noise is
    /// general.
    ///
    /// A discrete step may take v below 0, where the exact v never goes. Guard: full truncation (Lord, Koekkoek &
    /// van Dijk, *Quant. Finance* 10, 2010, eq. 18): drift and diffusion see v⁺ = max(v, 0), the state itself is
    /// left alone. The bias falls with the step; it is small where 2κϑ ≥ ξ² (Feller). √v⁺ is cut at √10⁻³⁰, so
    /// that its slope is finite.
    Heston { y0: [1.0, 0.04], theta: [0.05, 2.0, 0.04, -0.15, 0.2], t_end: 1.0 }
    Sde<Generic<HestonDrift>, General<Generic<HestonColumn>>> = Sde::ito(
        Generic(HestonDrift),
        General(vec![Generic(HestonColumn::Price), Generic(HestonColumn::Variance)]),
    )
}

impl Heston {
    /// (a, b) = (ρξ, √(1 − ρ²)ξ).
    pub fn factors(xi: f64, rho: f64) -> [f64; 2] {
        [rho * xi, (1.0 - rho * rho).max(0.0).sqrt() * xi]
    }

    /// (E S(t), E v(t)) = (S₀e^(μt), ϑ + (v₀ − ϑ)e^(−κt)).
    pub fn mean([mu, kappa, level, ..]: [f64; 5], [s0, v0]: [f64; 2], t: f64) -> [f64; 2] {
        [s0 * (mu * t).exp(), level + (v0 - level) * (-kappa * t).exp()]
    }

    /// Var v(t) = ξ²(v₀(e^(−κt) − e^(−2κt)) + ϑ(1 − e^(−κt))²/2)/κ (Cox, Ingersoll & Ross, *Econometrica* 53,
    /// 1985, eq. 19).
    pub fn variance_of_variance([_, kappa, level, a, b]: [f64; 5], v0: f64, t: f64) -> f64 {
        let decay = (-kappa * t).exp();
        (a * a + b * b) / kappa * (v0 * decay * (1.0 - decay) + 0.5 * level * (1.0 - decay).powi(2))
    }
}

problem! {
    /// The Lorenz system with a constant noise σ_i dW_i, θ = (σ, ρ, β, σ₁, σ₂, σ₃).
    AdditiveLorenz { y0: Lorenz::Y0, theta: [10.0, 28.0, 8.0 / 3.0, 0.15, 0.15, 0.15], t_end: 2.0 }
    Sde<Generic<Lorenz>, Constant> = Sde::ito(Generic(Lorenz), Constant::diagonal(3))
}

problem! {
    /// The Lorenz system with the noise σ_i y_i dW_i, θ = (σ, ρ, β, σ₁, σ₂, σ₃).
    MultiplicativeLorenz { y0: Lorenz::Y0, theta: [10.0, 28.0, 8.0 / 3.0, 0.1, 0.1, 0.1], t_end: 2.0 }
    Sde<Generic<Lorenz>, Diagonal<Generic<Proportional>>> = Sde::ito(Generic(Lorenz), proportional(3))
}

problem! {
    /// Lotka and Volterra's with the noise σ_i y_i dW_i, which keeps both kinds positive,
    /// θ = (α, β, γ, δ, σ₁, σ₂).
    StochasticLotkaVolterra { y0: LotkaVolterra::Y0, theta: [1.5, 1.0, 3.0, 1.0, 0.1, 0.1], t_end: 4.0 }
    Sde<Generic<LotkaVolterra>, Diagonal<Generic<Proportional>>> =
        Sde::ito(Generic(LotkaVolterra), proportional(2))
}

problem! {
    /// The cubic spiral with the noise σ_i u_i dW_i, θ = (0.1, 2, σ₁, σ₂): the spiral NSDE of Pal, Ma, Shah &
    /// Rackauckas, *Opening the Blackbox* (ICML 2021).
    StochasticSpiral { y0: CubicSpiral::Y0, theta: [0.1, 2.0, 0.2, 0.2], t_end: 1.0 }
    Sde<Generic<CubicSpiral>, Diagonal<Generic<Proportional>>> = Sde::ito(Generic(CubicSpiral), proportional(2))
}

impl StochasticSpiral {
    /// (k, (E u₁, E u₂, Var u₁, Var u₂) at t = k/29) of the usual problem, by simulation.
    pub const MOMENTS: [(usize, [f64; 4]); 7] = [
        (1, [1.97090, 0.54151, 0.005145, 0.001317]),
        (5, [0.99645, 1.85056, 0.025343, 0.024460]),
        (10, [-1.09908, 1.63440, 0.245133, 0.030961]),
        (15, [-1.65819, 0.16914, 0.055271, 0.587363]),
        (20, [-1.11518, -1.06954, 0.434404, 0.500177]),
        (25, [-0.06216, -1.30046, 1.063408, 0.274365]),
        (29, [0.58377, -0.98506, 0.918453, 0.630944]),
    ];
}
