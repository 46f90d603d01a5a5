//! Local regularisation: the estimators against the global penalty, and their gradients; baselines.

#[path = "regularise_support/differences.rs"]
mod differences;
mod regularise_support;

use differences::{difference, loss};
use odeon::adjoint::{DiscreteAdjoint, Injection, Memory, Weighted};
use odeon::dynamics::{check::CheckOptions, check::check_gradient, gallery, generic::Generic};
use odeon::integrate::{
    AcceptedSteps, ErrorEstimate, Options, Penalty, Problem, Save, SavedSteps, StepInfo, Stepper,
};
use odeon::num::Real;
use odeon::ode::tableaux::{Bs3, Tsit5};
use odeon::ode::{ExplicitStepper, solve};
use odeon::regularise::{Budget, ExtraStep, FirstStage, Global, KineticEnergy, Local, Rnode, Sampling, Size};
use regularise_support::{Net, Setup};

type Adjoint<'a> = DiscreteAdjoint<f64, ExplicitStepper<'a, f64, Generic<Net>>>;

fn adjoint(net: &Generic<Net>, setup: &Setup) -> Adjoint<'static> {
    let net: &'static Generic<Net> = Box::leak(Box::new(*net));
    DiscreteAdjoint::new(ExplicitStepper::new(net, &Tsit5, setup.batch), setup.memory)
}

const SAMPLINGS: [Sampling; 5] = [
    Sampling::UnbiasedInTime,
    Sampling::BiasedInTime,
    Sampling::UniformTime,
    Sampling::UniformStep,
    Sampling::ByError,
];

#[test]
fn averaged_over_all_steps_uniform_step_is_the_global_penalty() {
    let (net, setup) = (Net::field(), Setup::default());
    let (y0, theta) = (setup.y0(), Net::theta());
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    let mut adjoint = adjoint(&net, &setup);
    let mut global = Global::error();
    let weighted = &mut [Weighted { weight: 1.0, penalty: &mut global }];
    adjoint.forward(&problem, &setup.options, weighted).unwrap();
    let n = adjoint.solution().steps.len();
    let estimate = ErrorEstimate::default();
    let mut extra = ExtraStep::new(adjoint.parts().1);
    let (mut u, mut bar) = (vec![0.0; y0.len()], vec![0.0; theta.len()]);
    let mut sum = 0.0;
    for j in 0..n {
        adjoint.step_start(j, &mut u).unwrap();
        let (solution, stepper, norm) = adjoint.parts();
        let info: StepInfo<f64> = solution.steps[j];
        let size = (Size::Recorded(info), &u[..]);
        let v = extra.take(stepper, &estimate, size, norm).unwrap();
        sum += n as f64 * v * info.h.abs() / n as f64;
        let along = (&u[..], info.h.abs(), FirstStage::Differentiated);
        extra.pullback(stepper, &estimate, along, norm, &mut bar).unwrap();
    }
    assert!((sum - global.value()).abs() < 1e-12 * sum, "{sum} {}", global.value());
    // The global gradient at frozen u_j, by differences of each step alone.
    let recorded = adjoint.solution().clone();
    let states: Vec<Vec<f64>> = (0..n)
        .map(|j| {
            let mut u = vec![0.0; y0.len()];
            adjoint.step_start(j, &mut u).unwrap();
            u
        })
        .collect();
    let mut stepper = ExplicitStepper::new(&net, &Tsit5, setup.batch);
    let mut largest: f64 = 0.0;
    for i in 0..theta.len() {
        let want = difference(|d| {
            let mut theta = theta.clone();
            theta[i] += d;
            stepper.set_theta(&theta);
            let steps = recorded.steps.iter().zip(&states);
            let value = |(info, u): (&StepInfo<f64>, &Vec<f64>)| {
                let size = (Size::Recorded(*info), &u[..]);
                let norm = &setup.options.norm;
                extra.take(&mut stepper, &estimate, size, norm).unwrap() * info.h.abs()
            };
            steps.map(value).sum()
        });
        largest = largest.max((bar[i] - want).abs());
    }
    let size = bar.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    assert!(largest < 1e-7 * size, "{largest:e} of {size:e}");
}

#[test]
fn own_step_estimators_are_unbiased() {
    let (net, setup) = (Net::field(), Setup::default());
    let (y0, theta) = (setup.y0(), Net::theta());
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    let mut adjoint = adjoint(&net, &setup);
    let mut global = Global::error();
    let weighted = &mut [Weighted { weight: 1.0, penalty: &mut global }];
    adjoint.forward(&problem, &setup.options, weighted).unwrap();
    let mut bar = vec![0.0; theta.len()];
    for sampling in [Sampling::UniformTime, Sampling::UniformStep, Sampling::ByError] {
        for stratified in [false, true] {
            let mut local = Local::new(ErrorEstimate::default(), sampling, 5).draws(4).unwrap();
            if stratified {
                local = local.stratified();
            }
            let runs = 2000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..runs {
                let r = local.evaluate(&mut adjoint, 0.0, &mut bar).unwrap();
                sum += r;
                squares += r * r;
            }
            let mean = sum / runs as f64;
            let sd = ((squares / runs as f64 - mean * mean).max(0.0) / runs as f64).sqrt();
            let off = (mean - global.value()).abs();
            assert!(off < 4.0 * sd + 1e-12, "{sampling:?} {stratified}: {off:e} of sd {sd:e}");
        }
    }
    assert!(bar.iter().all(|b| *b == 0.0));
}

/// Gradient of loss + λ·local, through the states or not, against differences at the same draws.
fn local_error(sampling: Sampling, memory: Memory) -> f64 {
    let net = Net::field();
    let setup = Setup { memory, ..Setup::default() };
    let (y0, theta) = (setup.y0(), Net::theta());
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    let mut adjoint = adjoint(&net, &setup);
    // k_1 depends on θ and u, so only the differentiated form is a gradient of the value.
    let local = Local::new(ErrorEstimate::default(), sampling, 11).draws(3).unwrap();
    let mut local = local.through_state().first_stage(FirstStage::Differentiated);
    let (lambda, mut bar) = (0.7, vec![0.0; theta.len()]);
    adjoint.forward(&problem, &setup.options, &mut []).unwrap();
    local.evaluate(&mut adjoint, lambda, &mut bar).unwrap();
    let mut y_bar = vec![0.0; adjoint.solution().y.len()];
    loss(adjoint.solution(), &mut y_bar);
    let injections: Vec<Injection<'_, f64>> = local.injections().collect();
    assert_eq!(injections.len(), 3);
    let before = adjoint.statistics().replayed;
    adjoint.reverse(&y_bar, &injections, &mut []).unwrap();
    assert_eq!(adjoint.statistics().replayed > before, memory != Memory::Unlimited);
    bar.iter_mut().zip(adjoint.theta_gradient()).for_each(|(a, b)| *a += b);
    let gradient = [&bar[..], adjoint.y0_gradient()].concat();
    let recorded = adjoint.solution().clone();
    let mut x = [&theta[..], &y0].concat();
    let mut largest: f64 = 0.0;
    for i in 0..x.len() {
        let at = x[i];
        let want = difference(|d| {
            x[i] = at + d;
            let (theta, y0) = x.split_at(theta.len());
            let problem = Problem { y0, span: setup.span, theta };
            adjoint.replay(&problem, &recorded, &setup.options, &mut []).unwrap();
            let mut unused = vec![0.0; y_bar.len()];
            let data = loss(adjoint.solution(), &mut unused);
            let mut unused = vec![0.0; theta.len()];
            let value = data + lambda * local.replay(&mut adjoint, 0.0, &mut unused).unwrap();
            x[i] = at;
            value
        });
        largest = largest.max((gradient[i] - want).abs());
    }
    largest / gradient.iter().fold(0.0f64, |a, b| a.max(b.abs()))
}

#[test]
fn every_sampling_has_the_exact_gradient_through_its_states() {
    for sampling in SAMPLINGS {
        // All stages, and the work space (36 008 bytes) with room for a few states only.
        for memory in [Memory::Unlimited, Memory::Bytes(36_008 + 600)] {
            let error = local_error(sampling, memory);
            assert!(error < 1e-7, "{sampling:?} {memory:?}: {error:e}");
        }
    }
}

#[test]
fn published_form_holds_the_first_stage_constant() {
    let (net, setup) = (Net::field(), Setup::default());
    let theta = Net::theta();
    let u = setup.y0();
    let info = StepInfo {
        t: 0.2,
        h: 0.4,
        t1: 0.6,
        to_stop: false,
        from_stop: false,
        error: 0.0,
        iterations: Default::default(),
        member: Default::default(),
    };
    let gradient = |first, fsal: bool| {
        let mut stepper = match fsal {
            true => ExplicitStepper::new(&net, &Tsit5, setup.batch),
            false => ExplicitStepper::new(&net, &odeon::ode::tableaux::Heun, setup.batch),
        };
        stepper.set_theta(&theta);
        let mut extra = ExtraStep::new(&stepper);
        let mut bar = vec![0.0; theta.len()];
        let norm = &setup.options.norm;
        let size = (Size::Recorded(info), &u[..]);
        extra.take(&mut stepper, &KineticEnergy, size, norm).unwrap();
        let along = (&u[..], 1.0, first);
        extra.pullback(&mut stepper, &KineticEnergy, along, norm, &mut bar).unwrap();
        (bar, odeon::integrate::Reverse::nvjp(&stepper))
    };
    for fsal in [true, false] {
        let (whole, all) = gradient(FirstStage::Differentiated, fsal);
        let (part, fewer) = gradient(FirstStage::Constant, fsal);
        assert_eq!(all, fewer + 1);
        assert_ne!(whole, part);
    }
}

#[test]
fn saved_steps_serve_any_adjoint_and_seeds_repeat() {
    let (net, setup) = (Net::field(), Setup::default());
    let (y0, theta) = (setup.y0(), Net::theta());
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    let options = setup.options.clone().save(Save::EveryStep);
    let solution = solve(&net, &Bs3, &problem, &options).unwrap();
    let mut stepper = ExplicitStepper::new(&net, &Bs3, setup.batch);
    stepper.set_theta(&theta);
    let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&net, &Bs3, setup.batch), Memory::Unlimited);
    adjoint.forward(&problem, &setup.options, &mut []).unwrap();
    for sampling in SAMPLINGS {
        let new = || Local::new(ErrorEstimate::default(), sampling, 3).draws(2).unwrap();
        let (mut a, mut b) = (vec![0.0; theta.len()], vec![0.0; theta.len()]);
        let mut saved = SavedSteps { solution: &solution, stepper: &mut stepper, norm: options.norm.clone() };
        let ra = new().evaluate(&mut saved, 1.0, &mut a).unwrap();
        let rb = new().evaluate(&mut adjoint, 1.0, &mut b).unwrap();
        assert_eq!((ra, a), (rb, b), "{sampling:?}");
    }
    let ends = solve(&net, &Bs3, &problem, &setup.options).unwrap();
    let mut ends = SavedSteps { solution: &ends, stepper: &mut stepper, norm: options.norm };
    let error = ends.step_start(0, &mut vec![0.0; y0.len()]).unwrap_err();
    assert!(error.to_string().contains("Save::EveryStep"), "{error}");
    let mut local = Local::new(ErrorEstimate::default(), Sampling::UniformStep, 3);
    let mut bar = vec![0.0; theta.len()];
    assert!(local.evaluate(&mut adjoint, -1.0, &mut bar).unwrap_err().to_string().contains("λ is -1"));
}

#[test]
fn rnode_is_consistent_and_estimates_the_frobenius_norm() {
    let f = Generic(gallery::VanDerPol);
    let rnode = Rnode::new(&f, 3, 1);
    let mut y = Vec::new();
    rnode.augment(&[0.5, 0.2, -1.0, 0.7, 0.1, 0.9], &mut y).unwrap();
    let theta = gallery::VanDerPol::THETA.map(|p| 0.01 * p);
    let report = check_gradient(&rnode, 0.3, &y, &theta, &CheckOptions::default()).unwrap();
    assert!(report.passed(), "{report}");
    assert!(rnode.augment(&[1.0; 3], &mut y).is_err());
}

#[test]
fn kinetic_energy_is_its_integral() {
    let (net, setup) = (Net::field(), Setup::default());
    let (y0, theta) = (setup.y0(), Net::theta());
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    let mut adjoint = adjoint(&net, &setup);
    let mut energy = Global::integral(KineticEnergy);
    let weighted = &mut [Weighted { weight: 1.0, penalty: &mut energy }];
    adjoint.forward(&problem, &Options::tol(1e-9, 1e-9), weighted).unwrap();
    let rnode = Rnode::new(&net, setup.batch, 2);
    let mut y = Vec::new();
    rnode.augment(&y0, &mut y).unwrap();
    let augmented = Problem { y0: &y, ..problem };
    let norm = rnode.norm(&Options::<f64>::tol(1e-9, 1e-9).norm);
    let options = Options { norm, ..Options::default() };
    let solution = solve(&rnode, &Tsit5, &augmented, &options).unwrap();
    let mut bar = vec![0.0; y.len()];
    let [e, q] = rnode.read(solution.last(), [1.0, 1.0], &mut bar);
    assert!((e - energy.value()).abs() < 1e-7 * e, "{e} {}", energy.value());
    assert!(q > 0.0 && bar.iter().sum::<f64>().f64() > 1.99);
    // The additional rows do not choose the steps.
    assert_eq!(solution.steps.len(), adjoint.solution().steps.len());
}

#[test]
fn the_budget_brings_a_trained_equation_to_its_target() {
    let (net, setup) = (Net::field(), Setup::default());
    let (y0, mut theta) = (setup.y0(), Net::theta());
    let mut adjoint = adjoint(&net, &setup);
    let options = Options::tol(1e-7, 1e-7);
    let start = theta.clone();
    let mut budget = Budget::new(1, 1.0).unwrap();
    let mut nfe = Vec::new();
    for iteration in 0..600 {
        let mut penalty = Global::integral(KineticEnergy);
        let lambda = budget.lambda();
        let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
        let weighted = &mut [Weighted { weight: budget.lambda(), penalty: &mut penalty }];
        // The data term pulls θ back to where it started.
        adjoint.value_and_gradient(&problem, &options, weighted, |_, _| Ok(0.0)).unwrap();
        let count = adjoint.solution().stats.nfe;
        if iteration == 0 {
            let target = count * 3 / 4;
            budget = Budget::new(target, 1.0).unwrap();
            let step = odeon::regularise::DualStep::Multiplicative { gain: 0.2 };
            budget = budget.step(step).unwrap();
        }
        nfe.push(count);
        budget.update(count);
        for ((p, g), s) in theta.iter_mut().zip(adjoint.theta_gradient()).zip(&start) {
            *p -= 0.1 / (1.0 + lambda) * (g + (*p - s));
        }
    }
    let target = nfe[0] * 3 / 4;
    let mean = nfe[400..].iter().sum::<usize>() as f64 / 200.0;
    println!("NFE {} → {mean:.1}, target {target}, λ {:.3e}", nfe[0], budget.lambda());
    assert!((mean / target as f64 - 1.0).abs() < 0.05, "{mean} {target}");
}
