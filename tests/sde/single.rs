//! Solves and gradients in `f32` against `f64` on the same noise.
//!
//! The trees compute in `f64` and round at the end, and times here are multiples of 2⁻⁶, so that both types see
//! the same motion. What is left is the rounding of the steps. Each of the n steps rounds a state of size O(1) a
//! few times, by half an ε each, and the equations do not amplify much over a unit of time: the states differ by a
//! few √n ε to n ε. Asked is n ε of the largest number (64 steps: 7.6e-6), of states and of gradients.

use super::problems::{Drift, start};
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem};
use odeon::num::Real;
use odeon::sde::noise::{Levy, VirtualTree};
use odeon::sde::srk::{SrkStepper, StochasticTableau};
use odeon::sde::{Additive, Calculus, Diagonal, Diffusion, NoiseClass, Sde, System, solve, tableaux};

const PATHS: usize = 4;
const STEPS: usize = 64;
const THETA: [f64; 4] = [1.1, 0.8, 0.8, 0.7];

fn tree<T: Real>() -> VirtualTree<T> {
    let tree = VirtualTree::new(17, [T::zero(), T::one()], 2, PATHS, T::of(2.0_f64.powi(-16)));
    tree.unwrap().levy(Levy::SpaceTime)
}

fn values<T: Real>(
    sde: &impl System<T>,
    method: &StochasticTableau,
    options: &Options<T>,
) -> (Vec<f64>, usize) {
    let y0: Vec<T> = start(PATHS).into_iter().map(T::of).collect();
    let theta = THETA.map(T::of);
    let problem = Problem { y0: &y0, span: [T::zero(), T::one()], theta: &theta };
    let solution = solve(sde, method, tree(), &problem, options).unwrap();
    (solution.last().iter().map(|y| y.f64()).collect(), solution.stats.accepted)
}

/// Gradient of ½|y(1)|² with respect to y₀ and θ.
fn gradient<T: Real>(sde: &impl System<T>, method: &StochasticTableau) -> Vec<f64> {
    let y0: Vec<T> = start(PATHS).into_iter().map(T::of).collect();
    let theta = THETA.map(T::of);
    let problem = Problem { y0: &y0, span: [T::zero(), T::one()], theta: &theta };
    let mut adjoint = DiscreteAdjoint::new(SrkStepper::new(sde, method, tree()).unwrap(), Memory::Unlimited);
    let options = Options::fixed(1.0 / STEPS as f64);
    let half_square = |solution: &odeon::integrate::Solution<T>, bar: &mut [T]| {
        bar.copy_from_slice(&solution.y);
        Ok(solution.y.iter().fold(T::zero(), |sum, y| sum + T::of(0.5) * *y * *y))
    };
    adjoint.value_and_gradient(&problem, &options, &mut [], half_square).unwrap();
    adjoint.y0_gradient().iter().chain(adjoint.theta_gradient()).map(|g| g.f64()).collect()
}

/// The largest difference, relative to the largest number.
fn off(single: &[f64], double: &[f64]) -> f64 {
    let scale = double.iter().fold(0.0_f64, |s, x| s.max(x.abs()));
    single.iter().zip(double).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max) / scale
}

fn check<G>(method: &StochasticTableau, g: G)
where
    G: Diffusion<f32> + Diffusion<f64>,
{
    let sde = match method.calculus {
        Calculus::Ito => Sde::ito(Generic(Drift), g),
        Calculus::Stratonovich => Sde::stratonovich(Generic(Drift), g),
    };
    let n_epsilon = STEPS as f64 * f64::from(f32::EPSILON);
    let (single, _) = values::<f32>(&sde, method, &Options::fixed(1.0 / STEPS as f64));
    let (double, _) = values::<f64>(&sde, method, &Options::fixed(1.0 / STEPS as f64));
    let rounding = off(&single, &double);
    let of_gradient = off(&gradient::<f32>(&sde, method), &gradient::<f64>(&sde, method));
    println!(
        "{}: states {rounding:.1e}, gradients {of_gradient:.1e}, n epsilon {n_epsilon:.1e}",
        method.name
    );
    assert!(rounding > 0.0 && rounding < n_epsilon, "{}: {rounding:e}", method.name);
    assert!(of_gradient > 0.0 && of_gradient < n_epsilon, "{}: {of_gradient:e}", method.name);
    if method.has_error() {
        // The tolerance is far above the rounding, so that both types take the same steps.
        let tolerance = 1e-3_f64;
        let (single, n) = values::<f32>(&sde, method, &Options::tol(tolerance as f32, tolerance as f32));
        let (double, m) = values::<f64>(&sde, method, &Options::tol(tolerance, tolerance));
        let apart = off(&single, &double);
        println!("  adaptive: {n} and {m} steps, {apart:.1e} apart");
        assert_eq!(n, m, "{}", method.name);
        assert!(apart < m as f64 * f64::from(f32::EPSILON), "{}: {apart:e} after {m} steps", method.name);
    }
}

#[test]
fn single_precision_is_double_to_rounding_on_the_same_noise() {
    use super::problems::{Own, Timed};
    for method in tableaux::all() {
        if method.strength(NoiseClass::Diagonal).is_some() {
            check(method, Diagonal(Generic(Own)));
        } else if method.strength(NoiseClass::Additive).is_some() {
            check(method, Additive(Diagonal(Generic(Timed))));
        }
    }
}
