//! Neural and stable SDEs.

use super::common::{OfDiffusion, OfDrift, agree, check_products, differences, scattered};
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::Point;
use odeon::integrate::{Options, Problem};
use odeon::model::{Moments, NeuralDiffusion, NeuralSde, NoiseForm, Range, StableClass, StableSde};
use odeon::nn::{Activation, Network};
use odeon::sde::noise::{FixedGrid, IntervalTree, Levy};
use odeon::sde::srk::SrkStepper;
use odeon::sde::tableaux::{EulerMaruyama, SOSRI_EMBEDDED, Sosra, Sriw1};
use odeon::sde::{NoiseClass, System, check_class, solve};
use odeon::{Error, Result};

fn network(inputs: usize, outputs: usize, time: bool) -> Result<Network> {
    let start = Network::builder(inputs);
    let start = if time { start.concat_time() } else { start };
    start.dense(4).activation(Activation::Tanh).dense(outputs).build()
}

const RANGES: [Range; 3] =
    [Range::Any, Range::Positive { floor: 0.1 }, Range::Between { low: 0.2, high: 0.7 }];

#[test]
fn diffusions_of_every_form_have_their_products_and_ranges() -> Result<()> {
    let forms = [
        (NoiseForm::Rows { dim: 2 }, [1, 1], NoiseClass::Diagonal),
        (NoiseForm::Diagonal, [2, 2], NoiseClass::Diagonal),
        (NoiseForm::Crossed, [2, 2], NoiseClass::General),
        (NoiseForm::Scalar, [2, 2], NoiseClass::Scalar),
        (NoiseForm::General { components: 3 }, [2, 6], NoiseClass::General),
    ];
    for (form, [inputs, outputs], class) in forms {
        for range in RANGES {
            use odeon::sde::Diffusion;
            let g = NeuralDiffusion::new(network(inputs, outputs, true)?, form, range)?;
            assert_eq!(Diffusion::<f64>::class(&g), class);
            let theta: Vec<f64> = g.init(Default::default(), 3)?;
            let y = scattered(6, 2.0);
            check_products(&format!("{form:?} {range:?}"), &OfDiffusion(&g), 0.4, &y, &theta)?;
            let mut values = vec![0.0; 3 * Diffusion::<f64>::entries(&g)];
            let wild: Vec<f64> = theta.iter().map(|p| 1e3 * p).collect();
            let at = Point { t: 0.4, y: &y[..], theta: &wild[..] };
            g.eval(at, &mut values, &mut g.scratch(3));
            let inside = |v: &f64| match range {
                Range::Any => true,
                Range::Positive { floor } => *v >= floor,
                Range::Between { low, high } => (low..=high).contains(v),
            };
            assert!(values.iter().all(inside), "{form:?} {range:?} {values:?}");
        }
    }
    // One network for each row is diagonal in truth; a network that mixes rows is not.
    let at = |theta: &[f64]| -> Vec<f64> { theta.to_vec() };
    for (form, inputs, honest) in [(NoiseForm::Rows { dim: 2 }, 1, true), (NoiseForm::Diagonal, 2, false)] {
        let g = NeuralDiffusion::new(network(inputs, inputs, false)?, form, Range::Any)?;
        let theta = at(&g.init(Default::default(), 3)?);
        let found = check_class(&g, Point { t: 0.0, y: &[0.3, -0.4], theta: &theta }, 1e-10);
        assert_eq!(found.is_ok(), honest, "{form:?}");
    }
    Ok(())
}

#[test]
fn parameters_have_names_and_rows_start_differently() -> Result<()> {
    let g = NeuralDiffusion::new(network(1, 1, false)?, NoiseForm::Rows { dim: 2 }, Range::Any)?;
    let model = NeuralSde::ito(network(2, 2, false)?, g)?;
    let theta: Vec<f64> = model.init(Default::default(), 9)?;
    assert_eq!(theta.len(), System::<f64>::num_params(&model));
    assert_eq!(theta.len(), model.layout().len());
    let view = |name: &str| model.layout().view(name, &theta);
    assert_ne!(view("diffusion.row0.0.weight")?, view("diffusion.row1.0.weight")?);
    assert!(model.layout().get("drift.2.bias").is_some());
    let say = |r: Result<NeuralDiffusion>| r.map(drop).unwrap_err().to_string();
    let bad = NeuralDiffusion::new(network(2, 2, false)?, NoiseForm::General { components: 2 }, Range::Any);
    assert!(say(bad).contains("2 in, 4 out"));
    let range = Range::Between { low: 1.0, high: 1.0 };
    let bad = NeuralDiffusion::new(network(2, 2, false)?, NoiseForm::Diagonal, range);
    assert!(say(bad).contains("low < high"));
    let three = NeuralDiffusion::new(network(3, 3, false)?, NoiseForm::Diagonal, Range::Any)?;
    assert!(NeuralSde::ito(network(2, 2, false)?, three).is_err());
    Ok(())
}

/// The moments' loss of an adaptive solve: its gradient against differences at the recorded steps and noise.
#[test]
fn gradients_of_a_neural_sde_are_those_of_the_recorded_solve() -> Result<()> {
    let range = Range::Positive { floor: 0.05 };
    let g = NeuralDiffusion::new(network(1, 1, true)?, NoiseForm::Rows { dim: 2 }, range)?;
    let model = NeuralSde::ito(network(2, 2, true)?, g)?;
    let theta: Vec<f64> = model.init(Default::default(), 1)?;
    let paths = 5;
    let y0 = scattered(2 * paths, 4.0);
    let noise = || -> Result<IntervalTree<f64>> {
        Ok(IntervalTree::new(2, [0.0, 1.0], 2, paths)?.levy(Levy::SpaceTime))
    };
    let adjoint = || -> Result<_> {
        Ok(DiscreteAdjoint::new(SrkStepper::new(&model, &SOSRI_EMBEDDED, noise()?)?, Memory::Unlimited))
    };
    // 0.37 lies inside a step, where the interpolant adds the Brownian bridge.
    let options = Options::tol(1e-3, 1e-3).save_at(vec![0.37, 1.0]);
    let target = Moments::new(2, vec![0.5, -0.2, 1.0, 0.3], vec![0.1, 0.2, 0.3, 0.4])?;
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let mut solve = adjoint()?;
    let loss =
        |s: &odeon::integrate::Solution<f64>, bar: &mut [f64]| target.value_and_cotangent(&s.y, paths, bar);
    solve.value_and_gradient(&problem, &options, &mut [], loss)?;
    assert!(solve.solution().stats.accepted > 5, "{:?}", solve.solution().stats);
    let recorded = solve.solution().clone();
    let mut again = adjoint()?;
    let mut value = |y0: &[f64], theta: &[f64]| -> Result<f64> {
        let problem = Problem { y0, span: [0.0, 1.0], theta };
        let solution = again.replay(&problem, &recorded, &options, &mut [])?;
        target.distance(&Moments::of(&solution.y, 2, paths)?)
    };
    let expected = differences(&theta, |theta| value(&y0, theta))?;
    agree("theta", solve.theta_gradient(), &expected, 1e-7);
    let expected = differences(&y0, |y0| value(y0, &theta))?;
    agree("y0", solve.y0_gradient(), &expected, 1e-7);
    Ok(())
}

fn stable(class: StableClass) -> Result<StableSde> {
    StableSde::new(class, network(2, 2, class != StableClass::Langevin)?, network(1, 2, false)?, 0.6)
}

const CLASSES: [StableClass; 3] =
    [StableClass::Langevin, StableClass::LinearNoise, StableClass::Geometric { rate: 2.0 }];

#[test]
fn stable_classes_have_their_products() -> Result<()> {
    for class in CLASSES {
        let model = stable(class)?;
        let theta: Vec<f64> = model.init(Default::default(), 5)?;
        let own = theta.len() - odeon::sde::Diffusion::<f64>::num_params(System::<f64>::diffusion(&model));
        let y = scattered(6, 2.0);
        let what = format!("{class:?}");
        check_products(&what, &OfDrift(System::<f64>::drift(&model)), 0.4, &y, &theta[..own])?;
        let g = System::<f64>::diffusion(&model);
        check_products(&what, &OfDiffusion(g), 0.4, &y, &theta[own..])?;
        check_class(g, Point { t: 0.4, y: &y[..2], theta: &theta[own..] }, 1e-12)?;
    }
    Ok(())
}

#[test]
fn stable_classes_keep_their_constraints() -> Result<()> {
    use odeon::dynamics::Dynamics;
    use odeon::sde::Diffusion;
    let y = scattered(6, 2.0);
    for class in CLASSES {
        let model = stable(class)?;
        let theta: Vec<f64> = model.init::<f64>(Default::default(), 5)?.iter().map(|p| 50.0 * p).collect();
        let g = System::<f64>::diffusion(&model);
        let own = theta.len() - Diffusion::<f64>::num_params(g);
        let mut values = vec![0.0; 6];
        g.eval(Point { t: 3.0, y: &y[..], theta: &theta[own..] }, &mut values, &mut g.scratch(3));
        for (g, z) in values.iter().zip(&y) {
            let sigma = if class == StableClass::Langevin { *g } else { g / z };
            assert!((0.0..=0.6 + 1e-12).contains(&sigma), "{class:?} {sigma}");
        }
        if let StableClass::Geometric { rate } = class {
            let f = System::<f64>::drift(&model);
            f.eval(Point { t: 3.0, y: &y[..], theta: &theta[..own] }, &mut values, &mut f.scratch(3));
            assert!(values.iter().zip(&y).all(|(f, z)| (f / z).abs() <= rate * (1.0 + 1e-12)));
        }
    }
    // The geometric class keeps zeros and signs along a path.
    let model = stable(StableClass::Geometric { rate: 2.0 })?;
    let theta: Vec<f64> = model.init(Default::default(), 6)?;
    let noise = FixedGrid::new(1, [0.0, 4.0], 400, 2, 50)?;
    let y0: Vec<f64> = [0.5, 0.0].repeat(50);
    let problem = Problem { y0: &y0, span: [0.0, 4.0], theta: &theta };
    let solution = solve(&model, &EulerMaruyama, noise, &problem, &Options::fixed(0.01))?;
    assert!(solution.last().chunks(2).all(|y| y[0] > 0.0 && y[1] == 0.0));
    // The Langevin class is additive, so that methods for additive noise take it.
    let model = stable(StableClass::Langevin)?;
    let theta: Vec<f64> = model.init(Default::default(), 6)?;
    let noise = FixedGrid::new(1, [0.0, 1.0], 20, 2, 50)?.levy(Levy::SpaceTime);
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    solve(&model, &Sosra, noise, &problem, &Options::fixed(0.05))?;
    Ok(())
}

#[test]
fn ill_posed_models_are_refused() -> Result<()> {
    let sigma = || network(1, 2, false);
    let say = |r: Result<StableSde, Error>| r.map(drop).unwrap_err().to_string();
    let cube = Network::builder(2).activation(Activation::Cube).dense(2).build()?;
    assert!(say(StableSde::new(StableClass::LinearNoise, cube, sigma()?, 1.0)).contains("Lipschitz"));
    let timed = network(2, 2, true)?;
    let bad = StableSde::new(StableClass::Langevin, timed.clone(), sigma()?, 1.0);
    assert!(say(bad).contains("does not depend on t"));
    let bad = StableSde::new(StableClass::Geometric { rate: 0.0 }, timed.clone(), sigma()?, 1.0);
    assert!(say(bad).contains("positive"));
    assert!(StableSde::new(StableClass::LinearNoise, timed.clone(), network(1, 3, false)?, 1.0).is_err());
    assert!(StableSde::new(StableClass::LinearNoise, timed.clone(), network(2, 2, false)?, 1.0).is_err());
    assert!(StableSde::new(StableClass::LinearNoise, timed, sigma()?, f64::NAN).is_err());
    Ok(())
}

/// Root mean square distance at t = 1 of SRIW1's paths with 16 and 64 steps from those with 1024, on the same noise.
fn strong_errors(form: NoiseForm, inputs: usize) -> Result<[f64; 2]> {
    let (paths, cells) = (200, 1024);
    let drift = Network::builder(2).dense(2).build()?;
    let g = NeuralDiffusion::new(Network::builder(inputs).dense(inputs).build()?, form, Range::Any)?;
    let model = NeuralSde::ito(drift, g)?;
    // A drift of −y, and g = (0.2 + 0.8 y_1, 0.2 + 0.8 y_2), or with the rows exchanged.
    let mut theta = vec![-1.0, 0.0, 0.0, -1.0, 0.0, 0.0];
    theta.extend(match form {
        NoiseForm::Rows { .. } => vec![0.8, 0.2, 0.8, 0.2],
        _ => vec![0.0, 0.8, 0.8, 0.0, 0.2, 0.2],
    });
    let y0 = [1.0, 0.5].repeat(paths);
    let end = |steps: usize| -> Result<Vec<f64>> {
        let noise = FixedGrid::new(11, [0.0, 1.0], cells, 2, paths)?.levy(Levy::SpaceTime);
        let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
        Ok(solve(&model, &Sriw1, noise, &problem, &Options::fixed(1.0 / steps as f64))?.last().to_vec())
    };
    let reference = end(cells)?;
    let error = |steps: usize| -> Result<f64> {
        let y = end(steps)?;
        let sum: f64 = y.iter().zip(&reference).map(|(a, b)| (a - b).powi(2)).sum();
        Ok((sum / y.len() as f64).sqrt())
    };
    Ok([error(16)?, error(64)?])
}

#[test]
fn a_diagonal_that_mixes_rows_costs_the_strong_order() -> Result<()> {
    // A quarter of the step: 4^1.5 = 8 for true diagonal noise, 4^½ = 2 where rows mix.
    let [coarse, fine] = strong_errors(NoiseForm::Rows { dim: 2 }, 1)?;
    let slope = (coarse / fine).log(4.0);
    assert!((1.3..1.75).contains(&slope), "{slope}");
    let [coarse, fine] = strong_errors(NoiseForm::Diagonal, 2)?;
    let slope = (coarse / fine).log(4.0);
    assert!((0.35..0.65).contains(&slope), "{slope}");
    Ok(())
}
