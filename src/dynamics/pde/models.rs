//! The model problems.

use super::lines::{Edge, MethodOfLines};
use super::{Around, Medium};
use crate::error::Result;
use crate::num::{Real, Scalar};

/// Heat, p = (κ): u' = κ Δu.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heat;

impl Medium for Heat {
    const SPECIES: usize = 1;
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn rate<S: Scalar>(&self, _: S, u: &Around<'_, S>, p: &[S], rate: &mut [S]) {
        rate[0] = p[0] * u.laplacian(0);
    }
    fn diffusivity(&self, p: &[f64], _: usize) -> f64 {
        p[0]
    }
}

/// Advection, diffusion and logistic reaction (Fisher–KPP), p = (D, a, b, r):
/// u' = D Δu − a ∂u/∂x − b ∂u/∂y + r u (1 − u). Central differences: keep the cell Péclet number
/// |a| h/D below 2, or oscillations appear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transport;

impl Medium for Transport {
    const SPECIES: usize = 1;
    fn num_params(&self) -> usize {
        4
    }
    #[inline(always)]
    fn rate<S: Scalar>(&self, _: S, u: &Around<'_, S>, p: &[S], rate: &mut [S]) {
        let drift = p[1] * u.slope(0, 0) + p[2] * u.slope(0, 1);
        let growth = p[3] * u.at(0) * (S::one() - u.at(0));
        rate[0] = p[0].mul_add(u.laplacian(0), growth - drift);
    }
    fn diffusivity(&self, p: &[f64], _: usize) -> f64 {
        p[0]
    }
}

/// Viscous Burgers, p = (ν): u' = ν Δu − ∂(u²/2)/∂x, in conservation form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burgers;

impl Medium for Burgers {
    const SPECIES: usize = 1;
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn rate<S: Scalar>(&self, _: S, u: &Around<'_, S>, p: &[S], rate: &mut [S]) {
        let [a, b] = u.beside(0, 0);
        let flux = S::of(0.25 * u.inverse_spacing[0]) * (b * b - a * a);
        rate[0] = p[0].mul_add(u.laplacian(0), -flux);
    }
    fn diffusivity(&self, p: &[f64], _: usize) -> f64 {
        p[0]
    }
}

/// Allen–Cahn, p = (ε², r): u' = ε² Δu + r (u − u³). Allen & Cahn, *Acta Metall.* 27 (1979) 1085.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllenCahn;

impl Medium for AllenCahn {
    const SPECIES: usize = 1;
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn rate<S: Scalar>(&self, _: S, u: &Around<'_, S>, p: &[S], rate: &mut [S]) {
        let well = u.at(0).mul_add(-(u.at(0) * u.at(0)), u.at(0));
        rate[0] = p[0].mul_add(u.laplacian(0), p[1] * well);
    }
    fn diffusivity(&self, p: &[f64], _: usize) -> f64 {
        p[0]
    }
}

/// The two-dimensional Brusselator with a forcing switched on at t = 1.1, p = (α, A, B):
/// u' = B + u²v − (A + 1)u + α Δu + f, v' = Au − u²v + α Δv, where f = 5 inside the disc
/// (x − 0.3)² + (y − 0.6)² ≤ 0.1² once t ≥ 1.1, and 0 otherwise. (Hairer & Wanner II, §IV.10, as the
/// SciML benchmarks pose it, periodic.) Put a `tstop` at 1.1, where f jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brusselator;

impl Medium for Brusselator {
    const SPECIES: usize = 2;
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn rate<S: Scalar>(&self, t: S, u: &Around<'_, S>, p: &[S], rate: &mut [S]) {
        let [x, y] = u.position;
        let inside = (x - 0.3) * (x - 0.3) + (y - 0.6) * (y - 0.6) <= 0.01;
        let source = if inside { S::of(1.1).where_greater(t, S::zero(), S::of(5.0)) } else { S::zero() };
        let (a, b) = (u.at(0), u.at(1));
        let growth = a * a * b;
        let local = p[2] + growth - (p[1] + S::one()) * a + source;
        rate[0] = p[0].mul_add(u.laplacian(0), local);
        rate[1] = p[0].mul_add(u.laplacian(1), p[1] * a - growth);
    }
    fn diffusivity(&self, p: &[f64], _: usize) -> f64 {
        p[0]
    }
}

impl Brusselator {
    /// The usual parameters (α, A, B).
    pub const THETA: [f64; 3] = [10.0, 3.4, 1.0];
    /// The usual end of integration, from t = 0.
    pub const T_END: f64 = 11.5;
    /// When the forcing starts.
    pub const T_JUMP: f64 = 1.1;

    /// On `n × n` points x_i = i/(n − 1), wrapped round (the last and the first are neighbours, a
    /// spacing apart), as the benchmarks have it; n = 35 gives 2450 unknowns. Ordered as
    /// y[2(i n + j) + s] with i along x.
    ///
    /// # Errors
    /// n < 3.
    pub fn benchmark(n: usize) -> Result<MethodOfLines<Self>> {
        let spacing = 1.0 / (n.max(2) - 1) as f64;
        MethodOfLines::with_spacing(Self, &[n, n], &[spacing, spacing], &[0.0, 0.0], Edge::Periodic)
    }

    /// The usual start u = 22 (y(1 − y))^{3/2}, v = 27 (x(1 − x))^{3/2}.
    pub fn initial<T: Real>(grid: &MethodOfLines<Self>) -> Vec<T> {
        grid.sample(|[x, y], s| {
            let (scale, z) = if s == 0 { (22.0, y) } else { (27.0, x) };
            scale * (z * (1.0 - z)).abs().powf(1.5)
        })
    }
}

/// Gray–Scott, p = (D_u, D_v, F, k): u' = D_u Δu − uv² + F(1 − u), v' = D_v Δv + uv² − (F + k)v.
/// Pearson, *Science* 261 (1993) 189–192.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrayScott;

impl Medium for GrayScott {
    const SPECIES: usize = 2;
    fn num_params(&self) -> usize {
        4
    }
    #[inline(always)]
    fn rate<S: Scalar>(&self, _: S, u: &Around<'_, S>, p: &[S], rate: &mut [S]) {
        let (a, b) = (u.at(0), u.at(1));
        let growth = a * b * b;
        rate[0] = p[0].mul_add(u.laplacian(0), p[2] * (S::one() - a) - growth);
        rate[1] = p[1].mul_add(u.laplacian(1), growth - (p[2] + p[3]) * b);
    }
    fn diffusivity(&self, p: &[f64], s: usize) -> f64 {
        p[s]
    }
}

impl GrayScott {
    /// Pearson's diffusivities and a pair (F, k) with spots and stripes, on a domain of length 2.5.
    pub const THETA: [f64; 4] = [2e-5, 1e-5, 0.04, 0.06];
}
