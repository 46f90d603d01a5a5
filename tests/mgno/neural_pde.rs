//! A network on a grid as a right-hand side.

use crate::{Tested, wave};
use odeon::adjoint::{DiscreteAdjoint, Memory, SolveCheckOptions, check_gradient as check_solve};
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::compose::{Frozen, Sum};
use odeon::dynamics::pde::{Burgers, Edge, MethodOfLines};
use odeon::dynamics::{Dynamics, Point};
use odeon::integrate::{Options, Problem};
use odeon::linalg::multigrid::Cycle;
use odeon::nn::conv::Padding;
use odeon::ode::{ExplicitStepper, tableaux::Tsit5};
use odeon::operator::baselines::Fno;
use odeon::operator::mgno::{Architecture, CycleSpec};
use odeon::operator::{NeuralPde, Surrogate};

fn periodic(fields: usize) -> Architecture {
    let cycle = CycleSpec {
        padding: [[Padding::Circular; 2]; 3],
        norm: true,
        visits: Cycle::V,
        ..CycleSpec::backslash(3)
    };
    Architecture { inputs: fields, outputs: fields, ..Architecture::darcy(2, 4, cycle) }
}

#[test]
fn products_are_those_of_differences() -> Tested {
    let models: [(&dyn Surrogate, &[usize]); 3] =
        [(&periodic(1), &[12]), (&periodic(2), &[6, 5]), (&Fno::darcy(3, 2), &[6, 6])];
    let check = CheckOptions { max_inputs: 12, max_outputs: 6, ..CheckOptions::default() };
    for (model, extents) in models {
        let pde = NeuralPde::new(model.compile(extents)?)?;
        let theta: Vec<f64> = pde.program().init(Default::default(), 5)?;
        let u = wave::<f64>(2 * Dynamics::<f64>::dim(&pde), 0.3);
        let report = check_gradient(&pde, 0.1, &u, &theta, &check)?;
        assert!(report.passed(), "{} {extents:?}: {report}", model.name());
    }
    Ok(())
}

#[test]
fn gradients_of_solves_are_those_of_the_replay() -> Tested {
    let pde = NeuralPde::new(periodic(1).compile(&[12])?)?;
    let known = MethodOfLines::new(Burgers, &[12], &[1.0], Edge::Periodic)?;
    let hybrid = Sum(Frozen::new(known, &[(0, 0.02)]), pde);
    let theta: Vec<f64> = hybrid.1.program().init(Default::default(), 5)?;
    let u = wave::<f64>(24, 0.3);
    let options = Options::tol(1e-6, 1e-6);
    let problem = Problem { y0: &u, span: [0.0, 0.3], theta: &theta };
    let loss = |solution: &odeon::integrate::Solution<f64>, bar: &mut [f64]| {
        let last = solution.last();
        let from = bar.len() - last.len();
        bar[from..].copy_from_slice(last);
        Ok(0.5 * last.iter().map(|u| u * u).sum::<f64>())
    };
    let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&hybrid, &Tsit5, 2), Memory::Unlimited);
    adjoint.value_and_gradient(&problem, &options, &mut [], loss)?;
    let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()];
    let recorded = (adjoint.solution(), &options);
    let check = SolveCheckOptions { max_inputs: 12, ..SolveCheckOptions::default() };
    let report = check_solve(&hybrid, &Tsit5, &problem, recorded, loss, gradient, &check)?;
    assert!(report.passed(), "{report}");
    Ok(())
}

/// A shift of the field shifts the rate of change, by as many points as the coarsest grid is apart.
#[test]
fn periodic_ones_commute_with_shifts() -> Tested {
    let pde = NeuralPde::new(periodic(1).compile(&[16])?)?;
    let theta: Vec<f64> = pde.program().init(Default::default(), 5)?;
    let u = wave::<f64>(16, 0.3);
    let mut scratch = Dynamics::<f64>::scratch(&pde, 1);
    let mut rate = |y: &[f64]| {
        let mut dy = vec![0.0; 16];
        pde.eval(Point { t: 0.0, y, theta: &theta }, &mut dy, &mut scratch);
        dy
    };
    let (mut shifted, mut expected) = (u.clone(), rate(&u));
    shifted.rotate_right(4);
    expected.rotate_right(4);
    let error = rate(&shifted).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(error < 1e-13, "{error}");
    Ok(())
}

#[test]
fn a_network_of_other_fields_is_refused() -> Tested {
    let program = Architecture { outputs: 2, ..periodic(1) }.compile(&[8])?;
    let error = NeuralPde::new(program).unwrap_err().to_string();
    assert!(error.contains("8 numbers in, 16 out"), "{error}");
    Ok(())
}

#[test]
fn scratch_is_counted() -> Tested {
    let pde = NeuralPde::new(periodic(1).compile(&[16])?)?;
    let least = 16 * 4 * 2 * size_of::<f32>();
    assert!(Dynamics::<f32>::scratch_bytes(&pde, 1) > least);
    assert!(Dynamics::<f64>::scratch_bytes(&pde, 1) > Dynamics::<f32>::scratch_bytes(&pde, 1));
    Ok(())
}
