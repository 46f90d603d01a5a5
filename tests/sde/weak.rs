//! Weak orders on geometric Brownian motion and the Ornstein–Uhlenbeck process, whose expectations under the
//! METHOD are sums of moments known in closed form: no sampling error. For dX = aX dt + bX dW one step of a
//! Runge–Kutta method is X ↦ X·P(ΔW, H), so that E X_N = E[P]^N, with E[P] by Gauss–Hermite quadrature over the
//! noise of one step.

use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem};
use odeon::num::Scalar as Number;
use odeon::sde::noise::{Brownian, Levy};
use odeon::sde::{Calculus, Diagonal, NoiseClass, Sde, solve, tableaux};
use odeon::{Error, Result};

struct Linear;

impl VectorField for Linear {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[0];
    }
}

/// Nodes and weights of ∫φ(x)w(x)dx ≈ Σ for a standard normal w: five points, exact to degree 9.
const NODES: [(f64, f64); 5] = [
    (0.0, 8.0 / 15.0),
    (1.355_626_179_974_266, 0.222_075_922_005_612_6),
    (-1.355_626_179_974_266, 0.222_075_922_005_612_6),
    (2.856_970_013_872_805_6, 0.011_257_411_327_720_69),
    (-2.856_970_013_872_805_6, 0.011_257_411_327_720_69),
];

/// One step's noise at the 25 points of the product rule, a path each.
struct Quadrature;

impl Brownian<f64> for Quadrature {
    fn components(&self) -> usize {
        1
    }
    fn paths(&self) -> usize {
        25
    }
    fn levy(&self) -> Levy {
        Levy::SpaceTime
    }
    fn prepare(&mut self, _: [f64; 2]) -> Result<()> {
        Ok(())
    }
    fn increment(&mut self, from: f64, to: f64, w: &mut [f64], area: &mut [f64]) -> Result<()> {
        let h = to - from;
        if h <= 0.0 {
            return Err(Error::invalid("h", h, "positive"));
        }
        for (i, w) in w.iter_mut().enumerate() {
            *w = h.sqrt() * NODES[i / 5].0;
        }
        for (i, area) in area.iter_mut().enumerate() {
            *area = (h / 12.0).sqrt() * NODES[i % 5].0;
        }
        Ok(())
    }
}

/// E[P^q] of one step of size h.
fn moment(method: &odeon::sde::srk::StochasticTableau, calculus: Calculus, h: f64, q: i32) -> f64 {
    let (drift, diffusion) = (Generic(Linear), Diagonal(Generic(Linear)));
    let sde = match calculus {
        Calculus::Ito => Sde::ito(drift, diffusion),
        Calculus::Stratonovich => Sde::stratonovich(drift, diffusion),
    };
    let problem = Problem { y0: &[1.0; 25], span: [0.0, h], theta: &[A, B] };
    let solution = solve(&sde, method, Quadrature, &problem, &Options::fixed(h)).unwrap();
    let weight = |i: usize| NODES[i / 5].1 * NODES[i % 5].1;
    solution.last().iter().enumerate().map(|(i, p)| weight(i) * p.powi(q)).sum()
}

const A: f64 = 0.7;
const B: f64 = 0.6;

#[test]
fn first_and_second_moments_converge_at_the_weak_order() {
    for method in tableaux::all() {
        let Some(strength) = method.strength(NoiseClass::Diagonal) else { continue };
        // The exact E X(1)^q in either sense.
        let a = match method.calculus {
            Calculus::Ito => A,
            Calculus::Stratonovich => A + 0.5 * B * B,
        };
        for q in [1, 2] {
            let f = f64::from(q);
            let exact = (f * a + 0.5 * f * (f - 1.0) * B * B).exp();
            let error = |k: i32| {
                let h = 0.5_f64.powi(k);
                (moment(method, method.calculus, h, q).powf(1.0 / h) - exact).abs()
            };
            let slope = (error(9) / error(11)).log2() / 2.0;
            let name = method.name;
            // Where a method does better on a linear equation it is no fault.
            assert!(slope > strength.weak - 0.1, "{name}, moment {q}: {slope:.3}, claims {}", strength.weak);
            assert!(slope < 3.2, "{name}, moment {q}: {slope:.3}");
        }
    }
}
