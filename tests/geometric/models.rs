//! Hamiltonian and Lagrangian networks: derivatives, invariants, known systems.

use super::Outcome;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Point};
use odeon::integrate::{Options, Problem, Save};
use odeon::model::{EulerLagrange, HamiltonianNetwork, Lagrangian, LagrangianNetwork};
use odeon::nn::{Activation, Network};
use odeon::num::Scalar;
use odeon::ode::StepMethod;
use odeon::ode::symplectic::{ImplicitMidpoint, Verlet};
use odeon::ode::{solve, tableaux::Tsit5};

fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

fn network(inputs: usize, time: bool) -> odeon::Result<Network> {
    let start = Network::builder(inputs);
    let start = if time { start.concat_time() } else { start };
    start.dense(6).activation(Activation::Tanh).dense(5).activation(Activation::Tanh).dense(1).build()
}

#[test]
fn hamiltonian_networks_have_the_derivatives_they_claim() -> Outcome {
    for model in [
        HamiltonianNetwork::joint(network(4, true)?)?,
        HamiltonianNetwork::separable(network(2, false)?, network(2, true)?)?,
    ] {
        let theta = wave(Dynamics::<f64>::num_params(&model), 0.3);
        let report = check_gradient(&model, 0.7, &wave(12, 0.9), &theta, &CheckOptions::default())?;
        assert!(report.passed(), "{report}");
        // ż is Ω times the differences of the energy.
        let (y, mut dy) = (wave(4, 0.2), vec![0.0; 4]);
        let mut scratch = Dynamics::<f64>::scratch(&model, 1);
        model.eval(Point { t: 0.4, y: &y, theta: &theta }, &mut dy, &mut scratch);
        let energy = |row: usize, by: f64| -> odeon::Result<f64> {
            let (mut y, mut out) = (y.clone(), [0.0]);
            y[row] += by;
            model.energy(Point { t: 0.4, y: &y, theta: &theta }, &mut out)?;
            Ok(out[0])
        };
        for row in 0..4 {
            let slope = (energy(row, 1e-5)? - energy(row, -1e-5)?) / 2e-5;
            let own = if row < 2 { -dy[row + 2] } else { dy[row - 2] };
            assert!((own - slope).abs() < 1e-8, "row {row}: {own} {slope}");
        }
    }
    assert!(HamiltonianNetwork::joint(network(3, false)?).is_err());
    assert!(HamiltonianNetwork::separable(network(2, false)?, network(1, false)?).is_err());
    let two = Network::builder(2).dense(2).build()?;
    let message = HamiltonianNetwork::joint(two).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("one number"), "{message}");
    Ok(())
}

#[test]
fn a_separable_network_is_integrated_by_verlet_with_its_gradient() -> Outcome {
    let model = HamiltonianNetwork::separable(network(1, false)?, network(1, false)?)?;
    let theta = wave(Dynamics::<f64>::num_params(&model), 0.3);
    let y0 = wave(6, 0.5);
    let problem = Problem { y0: &y0, span: [0.0, 2.0], theta: &theta };
    let options = Options::fixed(0.1).save(Save::At(vec![0.55, 2.0]));
    let mut adjoint = DiscreteAdjoint::new(Verlet.stepper(&model, 3), Memory::Unlimited);
    let value = |theta: &[f64]| -> odeon::Result<f64> {
        let s = solve(&model, &Verlet, &Problem { theta, ..problem }, &options)?;
        Ok(s.y.iter().map(|y| 0.5 * y * y).sum())
    };
    adjoint.value_and_gradient(&problem, &options, &mut [], |s, bar| {
        bar.copy_from_slice(&s.y);
        Ok(0.0)
    })?;
    let gradient = adjoint.theta_gradient();
    let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
    for e in (0..theta.len()).step_by(7) {
        let moved = |by: f64| {
            let mut theta = theta.clone();
            theta[e] += by;
            value(&theta)
        };
        let want = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
        assert!((gradient[e] - want).abs() < 1e-8 * size, "entry {e}: {} {want}", gradient[e]);
    }
    // A joint network is not separable.
    let joint = HamiltonianNetwork::joint(network(2, false)?)?;
    let theta = wave(Dynamics::<f64>::num_params(&joint), 0.3);
    let problem = Problem { y0: &y0, span: [0.0, 2.0], theta: &theta };
    assert!(solve(&joint, &Verlet, &problem, &options).is_err());
    let s = solve(&joint, &ImplicitMidpoint, &problem, &options)?;
    let (mut start, mut end) = ([0.0; 3], [0.0; 3]);
    joint.energy(Point { t: 0.0, y: &y0, theta: &theta }, &mut start)?;
    joint.energy(Point { t: 0.0, y: s.last(), theta: &theta }, &mut end)?;
    assert!(start.iter().zip(end).all(|(a, b)| (a - b).abs() < 1e-3));
    Ok(())
}

/// A double pendulum of unit masses and lengths under gravity p₀.
struct Double;
impl Lagrangian for Double {
    fn positions(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    fn value<S: Scalar>(&self, q: &[S], v: &[S], p: &[S]) -> S {
        let (half, two) = (S::of(0.5), S::of(2.0));
        let kinetic = v[0] * v[0] + half * v[1] * v[1] + v[0] * v[1] * (q[0] - q[1]).cos();
        kinetic + p[0] * (two * q[0].cos() + q[1].cos())
    }
}

#[test]
fn euler_lagrange_gives_the_known_equations_and_keeps_the_energy() -> Outcome {
    let field = EulerLagrange(Double);
    let (y, g) = ([0.7, -0.4, 1.1, 0.6], 9.81);
    let mut dy = [0.0; 4];
    VectorField::eval(&field, 0.0, &y, &[g], &mut dy);
    // M v' = force, written out.
    let [a, b, u, w] = y;
    let (c, s) = ((a - b).cos(), (a - b).sin());
    let force = [-w * w * s - 2.0 * g * a.sin(), u * u * s - g * b.sin()];
    let det = 2.0 - c * c;
    let wanted = [(force[0] - c * force[1]) / det, (2.0 * force[1] - c * force[0]) / det];
    assert_eq!(dy[..2], y[2..]);
    for (got, wanted) in dy[2..].iter().zip(wanted) {
        assert!((got - wanted).abs() < 1e-12 * wanted.abs(), "{got} {wanted}");
    }
    let problem = Problem { y0: &y, span: [0.0, 2.0], theta: &[g] };
    let solution = solve(&Generic(EulerLagrange(Double)), &Tsit5, &problem, &Options::tol(1e-10, 1e-10))?;
    let energy = |y: &[f64]| field.energy(y, &[g]);
    assert!((energy(solution.last()) - energy(&y)).abs() < 1e-6);
    let report = check_gradient(
        &Generic(EulerLagrange(Double)),
        0.0,
        &[y, y].concat(),
        &[g],
        &CheckOptions::default(),
    )?;
    assert!(report.passed(), "{report}");
    Ok(())
}

#[test]
fn lagrangian_networks_have_derivatives_and_positive_inertia() -> Outcome {
    for angles in [false, true] {
        let network = LagrangianNetwork::new(2, &[3], angles, 0.1)?;
        let theta: Vec<f64> = network.init(3);
        assert_eq!(theta.len(), Lagrangian::num_params(&network));
        let field = Generic(EulerLagrange(network));
        let report = check_gradient(&field, 0.0, &wave(4, 0.4), &theta, &CheckOptions::default())?;
        assert!(report.passed(), "{report}");
        let problem = Problem { y0: &wave(4, 0.4), span: [0.0, 1.0], theta: &theta };
        let solution = solve(&field, &Tsit5, &problem, &Options::tol(1e-8, 1e-8))?;
        let energy = |y: &[f64]| field.0.energy(y, &theta);
        assert!((energy(solution.last()) - energy(problem.y0)).abs() < 1e-6);
    }
    assert!(LagrangianNetwork::new(0, &[4], false, 0.1).is_err());
    assert!(LagrangianNetwork::new(1, &[4, 0], false, 0.1).is_err());
    assert!(LagrangianNetwork::new(1, &[4], false, 0.0).is_err());
    Ok(())
}
