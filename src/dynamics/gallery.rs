//! Classic test systems, written once as [`VectorField`]s, with their usual data.
//!
//! Sources: Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I* (HNW I) and Hairer
//! & Wanner *II* (HW II), unless another is named.

use super::generic::VectorField;
use crate::num::Scalar;

macro_rules! system {
    (
        $(#[$doc:meta])*
        $name:ident { dim: $dim:literal, params: $params:literal, y0: $y0:expr, theta: $theta:expr, t_end: $t_end:expr }
        |$t:ident, $y:ident, $p:ident, $dy:ident| $body:block
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl $name {
            /// The usual initial state.
            pub const Y0: [f64; $dim] = $y0;
            /// The usual parameters.
            pub const THETA: [f64; $params] = $theta;
            /// The usual end of integration, from t = 0.
            pub const T_END: f64 = $t_end;
        }

        impl VectorField for $name {
            fn dim(&self) -> usize {
                $dim
            }
            fn num_params(&self) -> usize {
                $params
            }
            #[inline(always)]
            fn eval<S: Scalar>(&self, $t: S, $y: &[S], $p: &[S], $dy: &mut [S]) $body
        }
    };
}

system! {
    /// Lorenz (1963), p = (σ, ρ, β): x' = σ(y − x), y' = x(ρ − z) − y, z' = xy − βz. Chaotic at the
    /// usual (10, 28, 8/3).
    Lorenz { dim: 3, params: 3, y0: [1.0, 0.0, 0.0], theta: [10.0, 28.0, 8.0 / 3.0], t_end: 20.0 }
    |_t, y, p, dy| {
        dy[0] = p[0] * (y[1] - y[0]);
        dy[1] = y[0].mul_add(p[1] - y[2], -y[1]);
        dy[2] = y[0].mul_add(y[1], -(p[2] * y[2]));
    }
}

system! {
    /// Lotka–Volterra, p = (α, β, γ, δ): prey x' = αx − βxy, predator y' = δxy − γy.
    LotkaVolterra { dim: 2, params: 4, y0: [1.0, 1.0], theta: [1.5, 1.0, 3.0, 1.0], t_end: 10.0 }
    |_t, y, p, dy| {
        let meet = y[0] * y[1];
        dy[0] = p[0].mul_add(y[0], -(p[1] * meet));
        dy[1] = p[3].mul_add(meet, -(p[2] * y[1]));
    }
}

system! {
    /// Van der Pol, p = (μ): y₁' = y₂, y₂' = μ(1 − y₁²)y₂ − y₁. Stiff for large μ (HW II: 10³; its
    /// period is then about 1.614 μ).
    VanDerPol { dim: 2, params: 1, y0: [2.0, 0.0], theta: [5.0], t_end: 20.0 }
    |_t, y, p, dy| {
        dy[0] = y[1];
        let damping = y[0].mul_add(-y[0], S::one());
        dy[1] = (p[0] * damping).mul_add(y[1], -y[0]);
    }
}

system! {
    /// Cubic spiral, p = (a, b): u₁' = −a u₁³ − b u₂³, u₂' = b u₁³ − a u₂³. Chen et al., *Neural
    /// Ordinary Differential Equations* (2018), the demonstration problem; usual p = (0.1, 2).
    CubicSpiral { dim: 2, params: 2, y0: [2.0, 0.0], theta: [0.1, 2.0], t_end: 1.5 }
    |_t, y, p, dy| {
        let (a, b) = (y[0].powi(3), y[1].powi(3));
        dy[0] = -p[0].mul_add(a, p[1] * b);
        dy[1] = p[1].mul_add(a, -(p[0] * b));
    }
}

system! {
    /// Brusselator without diffusion, p = (A, B): y₁' = A + y₁²y₂ − (B + 1)y₁, y₂' = By₁ − y₁²y₂
    /// (HNW I, eq. I.16.12; a limit cycle for B > A² + 1).
    Brusselator { dim: 2, params: 2, y0: [1.5, 3.0], theta: [1.0, 3.0], t_end: 20.0 }
    |_t, y, p, dy| {
        let growth = y[0] * y[0] * y[1];
        dy[0] = (p[1] + S::one()).mul_add(-y[0], p[0] + growth);
        dy[1] = p[1].mul_add(y[0], -growth);
    }
}

system! {
    /// Robertson's kinetics, p = (k₁, k₂, k₃): y₁' = −k₁y₁ + k₃y₂y₃, y₂' = k₁y₁ − k₃y₂y₃ − k₂y₂²,
    /// y₃' = k₂y₂² (HW II, eq. IV.1.4). Stiff; y₁ + y₂ + y₃ is conserved.
    Robertson { dim: 3, params: 3, y0: [1.0, 0.0, 0.0], theta: [0.04, 3e7, 1e4], t_end: 40.0 }
    |_t, y, p, dy| {
        let slow = p[0].mul_add(y[0], -(p[2] * y[1] * y[2]));
        let fast = p[1] * y[1] * y[1];
        dy[0] = -slow;
        dy[1] = slow - fast;
        dy[2] = fast;
    }
}

system! {
    /// Van der Pol in the time of its slow motion, p = (μ): y₁' = y₂, y₂' = μ((1 − y₁²)y₂ − y₁), that
    /// is ε = 1/μ in VDPOL of the test set (HW II, eq. IV.1.5'; Mazzia & Magherini, *Test Set for IVP
    /// Solvers*). It is [`VanDerPol`] with √μ in place of μ, its time divided by √μ.
    StiffVanDerPol { dim: 2, params: 1, y0: [2.0, 0.0], theta: [1e6], t_end: 2.0 }
    |_t, y, p, dy| {
        dy[0] = y[1];
        let damping = y[0].mul_add(-y[0], S::one());
        dy[1] = p[0] * damping.mul_add(y[1], -y[0]);
    }
}

system! {
    /// HIRES: the response of a seedling to light by phytochrome (Schäfer, *J. Math. Biol.* 2 (1975); HW
    /// II, eq. IV.10.4), p = (k₁, …, k₆, k₊, k₋, k*, o):
    /// y₁' = −k₁y₁ + k₂y₂ + k₆y₃ + o, y₂' = k₁y₁ − (k₂ + k₃)y₂, y₃' = −(k₁ + k₆)y₃ + k₂y₄ + k₅y₅,
    /// y₄' = k₃y₂ + k₁y₃ − (k₂ + k₄)y₄, y₅' = −(k₁ + k₅)y₅ + k₂(y₆ + y₇),
    /// y₆' = k₄y₄ + k₁y₅ − k₂y₆ + k₋y₇ − k₊y₆y₈, y₇' = k₊y₆y₈ − (k₂ + k₋ + k*)y₇, y₈' = −y₇'. Stiff;
    /// y₇ + y₈ is conserved.
    Hires {
        dim: 8,
        params: 10,
        y0: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0057],
        theta: [1.71, 0.43, 8.32, 0.69, 0.035, 8.32, 280.0, 0.69, 0.69, 0.0007],
        t_end: 321.8122
    }
    |_t, y, p, dy| {
        let (to_fr, to_r) = (p[0], p[1]);
        let bind = p[6] * y[5] * y[7];
        let release = (to_r + p[7] + p[8]) * y[6];
        dy[0] = p[5] * y[2] + (to_r * y[1] - to_fr * y[0] + p[9]);
        dy[1] = to_fr * y[0] - (to_r + p[2]) * y[1];
        dy[2] = p[4] * y[4] + (to_r * y[3] - (to_fr + p[5]) * y[2]);
        dy[3] = p[2] * y[1] + (to_fr * y[2] - (to_r + p[3]) * y[3]);
        dy[4] = to_r * (y[5] + y[6]) - (to_fr + p[4]) * y[4];
        dy[5] = p[3] * y[3] + to_fr * y[4] + p[7] * y[6] - to_r * y[5] - bind;
        dy[6] = bind - release;
        dy[7] = release - bind;
    }
}

system! {
    /// OREGO: the Oregonator, Field & Noyes's model of the Belousov–Zhabotinskii reaction (*J. Chem. Phys.*
    /// 60 (1974); HW II, eq. IV.10.3), p = (s, q, w): y₁' = s(y₂ + y₁(1 − q y₁ − y₂)),
    /// y₂' = (y₃ − (1 + y₁)y₂)/s, y₃' = w(y₁ − y₃). Stiff, a limit cycle.
    Orego { dim: 3, params: 3, y0: [1.0, 2.0, 3.0], theta: [77.27, 8.375e-6, 0.161], t_end: 360.0 }
    |_t, y, p, dy| {
        let one = S::one();
        dy[0] = p[0] * y[0].mul_add(one - p[1] * y[0] - y[1], y[1]);
        dy[1] = (y[2] - (one + y[0]) * y[1]) / p[0];
        dy[2] = p[2] * (y[0] - y[2]);
    }
}

system! {
    /// Kepler's problem in the plane, p = (GM): q'' = −GM q/|q|³, y = (q₁, q₂, q₁', q₂'). The usual
    /// start is the pericentre of an orbit of eccentricity 0.6, semi-axis 1 and period 2π.
    Kepler { dim: 4, params: 1, y0: [0.4, 0.0, 0.0, 2.0], theta: [1.0], t_end: std::f64::consts::TAU }
    |_t, y, p, dy| {
        let r2 = y[0].mul_add(y[0], y[1] * y[1]);
        let pull = -p[0] / (r2 * r2.sqrt());
        dy[0] = y[2];
        dy[1] = y[3];
        dy[2] = pull * y[0];
        dy[3] = pull * y[1];
    }
}

system! {
    /// Arenstorf's periodic orbit of the restricted three-body problem, p = (μ), the mass of the
    /// moon, with μ' = 1 − μ and y = (y₁, y₂, y₁', y₂') (HNW I, eq. II.0.1):
    /// y₁'' = y₁ + 2y₂' − μ'(y₁ + μ)/D₁ − μ(y₁ − μ')/D₂, y₂'' = y₂ − 2y₁' − μ'y₂/D₁ − μy₂/D₂,
    /// D₁ = ((y₁ + μ)² + y₂²)^(3/2), D₂ = ((y₁ − μ')² + y₂²)^(3/2). Its period is the usual end.
    Arenstorf {
        dim: 4,
        params: 1,
        y0: [0.994, 0.0, 0.0, -2.001_585_106_379_082_5],
        theta: [0.012277471],
        t_end: 17.065_216_560_157_964
    }
    |_t, y, p, dy| {
        let (mu, earth) = (p[0], S::one() - p[0]);
        let (a, b) = (y[0] + mu, y[0] - earth);
        let y2 = y[1] * y[1];
        let (r1, r2) = (a.mul_add(a, y2), b.mul_add(b, y2));
        let (pull1, pull2) = (earth / (r1 * r1.sqrt()), mu / (r2 * r2.sqrt()));
        let two = S::of(2.0);
        dy[0] = y[2];
        dy[1] = y[3];
        dy[2] = two.mul_add(y[3], y[0]) - pull1.mul_add(a, pull2 * b);
        dy[3] = two.mul_add(-y[2], y[1]) - (pull1 + pull2) * y[1];
    }
}

system! {
    /// Pleiades: seven stars in the plane, pₖ = mₖ the masses (usually k), y = (x, y, x', y') of
    /// seven each: xᵢ'' = Σ_{j≠i} mⱼ(xⱼ − xᵢ)/r³ᵢⱼ, yᵢ'' likewise (HNW I, eq. II.10.3).
    Pleiades {
        dim: 28,
        params: 7,
        y0: [
            3.0, 3.0, -1.0, -3.0, 2.0, -2.0, 2.0, 3.0, -3.0, 2.0, 0.0, 0.0, -4.0, 4.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 1.75, -1.5, 0.0, 0.0, 0.0, -1.25, 1.0, 0.0, 0.0,
        ],
        theta: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        t_end: 3.0
    }
    |_t, y, p, dy| {
        let (q, v) = y.split_at(14);
        dy[..14].copy_from_slice(v);
        dy[14..].fill(S::zero());
        for i in 0..7 {
            for j in 0..i {
                let (dx, dz) = (q[j] - q[i], q[7 + j] - q[7 + i]);
                let r2 = dx.mul_add(dx, dz * dz);
                let inverse = S::one() / (r2 * r2.sqrt());
                let (toward, back) = (p[j] * inverse, -p[i] * inverse);
                dy[14 + i] = toward.mul_add(dx, dy[14 + i]);
                dy[21 + i] = toward.mul_add(dz, dy[21 + i]);
                dy[14 + j] = back.mul_add(dx, dy[14 + j]);
                dy[21 + j] = back.mul_add(dz, dy[21 + j]);
            }
        }
    }
}

system! {
    /// Decay, p = (λ): y' = −λy, with y(t) = y₀ e^(−λt).
    Decay { dim: 1, params: 1, y0: [1.0], theta: [1.0], t_end: 1.0 }
    |_t, y, p, dy| {
        dy[0] = -p[0] * y[0];
    }
}

system! {
    /// Harmonic oscillator, p = (ω): y₁' = y₂, y₂' = −ω²y₁, with y₁(t) = y₁₀ cos ωt + y₂₀ sin(ωt)/ω.
    Oscillator { dim: 2, params: 1, y0: [1.0, 0.0], theta: [1.0], t_end: 10.0 }
    |_t, y, p, dy| {
        dy[0] = y[1];
        dy[1] = -(p[0] * p[0]) * y[0];
    }
}

system! {
    /// Nonlinear, non-autonomous, with a known solution: y₁' = 2ωt y₁ ln y₂, y₂' = −2ωt y₂ ln y₁,
    /// p = (ω); from the usual start y₁(t) = exp(sin ωt²), y₂(t) = exp(cos ωt²).
    Swirl { dim: 2, params: 1, y0: [1.0, std::f64::consts::E], theta: [1.0], t_end: 2.0 }
    |t, y, p, dy| {
        let rate = S::of(2.0) * p[0] * t;
        dy[0] = rate * y[0] * y[1].ln();
        dy[1] = -rate * y[1] * y[0].ln();
    }
}

impl Swirl {
    /// The solution from [`Y0`](Swirl::Y0) with parameter `omega`.
    pub fn solution(omega: f64, t: f64) -> [f64; 2] {
        let (sin, cos) = (omega * t * t).sin_cos();
        [sin.exp(), cos.exp()]
    }
}

/// Work to do with every system of the gallery, for tests and surveys.
pub trait Visit {
    /// Called with a system's name, the system, its usual initial state and its usual parameters.
    fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]);
}

/// Calls `visitor` once for each system of the gallery.
pub fn visit_all(visitor: &mut impl Visit) {
    macro_rules! each {
        ($($name:ident),*) => {
            $(visitor.visit(stringify!($name), $name, &$name::Y0, &$name::THETA);)*
        };
    }
    each!(
        Lorenz,
        LotkaVolterra,
        VanDerPol,
        CubicSpiral,
        Brusselator,
        Robertson,
        StiffVanDerPol,
        Hires,
        Orego,
        Kepler,
        Arenstorf,
        Pleiades,
        Decay,
        Oscillator,
        Swirl
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rhs<F: VectorField, const N: usize>(field: F, t: f64, y: [f64; N], p: &[f64]) -> [f64; N] {
        let mut dy = [0.0; N];
        field.eval(t, &y, p, &mut dy);
        dy
    }

    #[test]
    fn right_hand_sides_match_their_formulas_at_a_point() {
        let close = |got: &[f64], want: &[f64]| {
            for (g, w) in got.iter().zip(want) {
                assert!((g - w).abs() <= 1e-13 * (1.0 + w.abs()), "{got:?} {want:?}");
            }
        };
        close(&rhs(Lorenz, 0.0, [1.0, 2.0, 3.0], &[10.0, 28.0, 2.0]), &[10.0, 23.0, -4.0]);
        close(&rhs(LotkaVolterra, 0.0, [2.0, 3.0], &[1.5, 1.0, 3.0, 0.5]), &[3.0 - 6.0, 3.0 - 9.0]);
        close(&rhs(VanDerPol, 0.0, [3.0, 2.0], &[5.0]), &[2.0, -83.0]);
        close(&rhs(CubicSpiral, 0.0, [2.0, 1.0], &[0.1, 2.0]), &[-2.8, 15.9]);
        close(&rhs(Brusselator, 0.0, [2.0, 3.0], &[1.0, 3.0]), &[5.0, -6.0]);
        close(&rhs(Robertson, 0.0, [1.0, 2.0, 3.0], &[0.5, 7.0, 10.0]), &[59.5, -87.5, 28.0]);
        close(&rhs(StiffVanDerPol, 0.0, [3.0, 2.0], &[5.0]), &[2.0, -95.0]);
        let fast = rhs(VanDerPol, 0.0, [0.3, 1.2], &[7.0]);
        close(&rhs(StiffVanDerPol, 0.0, [0.3, 8.4], &[49.0]), &[8.4, 49.0 * fast[1]]);
        close(
            &rhs(
                Hires,
                0.0,
                [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
                &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
            ),
            &[31.0, -9.0, 12.0, -15.0, -4.0, -271.0, 203.0, -203.0],
        );
        close(&rhs(Orego, 0.0, [2.0, 3.0, 4.0], &[5.0, 0.25, 7.0]), &[-10.0, -1.0, -14.0]);
        close(&rhs(Kepler, 0.0, [3.0, 4.0, 5.0, 6.0], &[2.0]), &[5.0, 6.0, -6.0 / 125.0, -8.0 / 125.0]);
        close(&rhs(Decay, 0.0, [3.0], &[2.0]), &[-6.0]);
        close(&rhs(Oscillator, 0.0, [3.0, 4.0], &[2.0]), &[4.0, -12.0]);
    }

    #[test]
    fn the_known_solution_satisfies_its_equation() {
        for t in [0.0, 0.4, 1.3] {
            let y = Swirl::solution(1.2, t);
            let (sin, cos) = (1.2 * t * t).sin_cos();
            let exact = [2.4 * t * cos * y[0], -2.4 * t * sin * y[1]];
            let got = rhs(Swirl, t, y, &[1.2]);
            for (g, e) in got.iter().zip(exact) {
                assert!((g - e).abs() < 1e-14 * (1.0 + e.abs()));
            }
        }
        assert_eq!(Swirl::solution(1.0, 0.0), Swirl::Y0);
    }

    /// Jacobi's integral y₁² + y₂² + 2μ'/r₁ + 2μ/r₂ − |y'|² is constant: its derivative along f is 0.
    #[test]
    fn arenstorf_conserves_the_jacobi_integral() {
        use crate::dynamics::dual::Dual;
        let (mu, y) = (0.3, [0.2, 0.7, -0.4, 0.9]);
        let dy = rhs(Arenstorf, 0.0, y, &[mu]);
        let y: [Dual<f64>; 4] = std::array::from_fn(|i| Dual::new(y[i], dy[i]));
        let m = Dual::constant(mu);
        let (a, b) = (y[0] + m, y[0] - (Dual::one() - m));
        let (r1, r2) = ((a * a + y[1] * y[1]).sqrt(), (b * b + y[1] * y[1]).sqrt());
        let two = Dual::of(2.0);
        let jacobi = y[0] * y[0] + y[1] * y[1] + two * (Dual::one() - m) / r1 + two * m / r2
            - y[2] * y[2]
            - y[3] * y[3];
        assert!(jacobi.dot.abs() < 1e-14, "{}", jacobi.dot);
    }

    /// The coefficients that the books print, from the rate constants.
    #[test]
    fn hires_has_the_published_coefficients() {
        let row =
            |i: usize| rhs(Hires, 0.0, std::array::from_fn(|j| f64::from(u8::from(i == j))), &Hires::THETA);
        let o = 0.0007;
        let close = |got: [f64; 8], want: [f64; 8]| {
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-14), "{got:?} {want:?}");
        };
        close(row(0), [o - 1.71, 1.71, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        close(row(1), [o + 0.43, -8.75, 0.0, 8.32, 0.0, 0.0, 0.0, 0.0]);
        close(row(2), [o + 8.32, 0.0, -10.03, 1.71, 0.0, 0.0, 0.0, 0.0]);
        close(row(3), [o, 0.0, 0.43, -1.12, 0.0, 0.69, 0.0, 0.0]);
        close(row(4), [o, 0.0, 0.035, 0.0, -1.745, 1.71, 0.0, 0.0]);
        close(row(5), [o, 0.0, 0.0, 0.0, 0.43, -0.43, 0.0, 0.0]);
        close(row(6), [o, 0.0, 0.0, 0.0, 0.43, 0.69, -1.81, 1.81]);
        close(row(7), [o, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn pleiades_conserves_momentum_and_energy() {
        use crate::dynamics::dual::Dual;
        let dy = rhs(Pleiades, 0.0, Pleiades::Y0, &Pleiades::THETA);
        let m = Pleiades::THETA;
        for axis in [14, 21] {
            let force: f64 = (0..7).map(|i| m[i] * dy[axis + i]).sum();
            assert!(force.abs() < 1e-14);
        }
        let y: [Dual<f64>; 28] = std::array::from_fn(|i| Dual::new(Pleiades::Y0[i], dy[i]));
        let mut energy = Dual::zero();
        for i in 0..7 {
            let speed2 = y[14 + i] * y[14 + i] + y[21 + i] * y[21 + i];
            energy += Dual::of(0.5 * m[i]) * speed2;
            for j in 0..i {
                let (dx, dz) = (y[i] - y[j], y[7 + i] - y[7 + j]);
                energy -= Dual::of(m[i] * m[j]) / (dx * dx + dz * dz).sqrt();
            }
        }
        assert!(energy.dot.abs() < 1e-13, "{}", energy.dot);
    }
}
