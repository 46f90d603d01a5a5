//! Rules 1 (exact gradients at frozen steps) and 2 (finite everywhere) of the regularisation
//! specification's section 2; rules 3 to 5 are in `regularise_rules.rs`, the estimators in
//! `regularise_local.rs`.

#[path = "regularise_support/differences.rs"]
mod differences;
mod regularise_support;

use differences::{difference, loss};
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{
    ErrorEstimate, Heuristic, Observer, Options, Penalty, Problem, StepCotangent, StepView, Stiffness,
    StiffnessKind,
};
use odeon::num::{Atol, ErrorNorm, Over, Scalar};
use odeon::ode::tableau::{ExplicitRk, Tableau};
use odeon::ode::tableaux::{self, Bs3, Dop853, Dp5, Tsit5};
use odeon::ode::{ExplicitStepper, Solver};
use odeon::regularise::{
    Aggregation, Combined, Global, HeuristicSum, KineticEnergy, StepCount, StepWeight, Surrogate,
    check_heuristic,
};
use regularise_support::{Net, Setup};

/// y' = c: every error and stiffness estimate is 0.
struct Constant;
impl VectorField for Constant {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, _: &[S], p: &[S], dy: &mut [S]) {
        dy.copy_from_slice(p);
    }
}

/// y' = −p y, at rest at 0.
struct Decay;
impl VectorField for Decay {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = -p[0] * y[0];
        dy[1] = -p[0] * y[1];
    }
}

fn global(
    heuristic: impl Heuristic<f64> + 'static,
    aggregation: Aggregation,
    weight: StepWeight,
) -> Box<dyn Penalty<f64>> {
    Box::new(Global::new(heuristic, aggregation, weight).unwrap())
}

fn squared_stiffness() -> Stiffness<f64> {
    Stiffness { squared: true, ..Stiffness::default() }
}

/// Largest deviation of the gradient of loss + Σ λR (with respect to θ and y0) from finite
/// differences at replayed steps, relative to its largest entry. The penalties must make up at least
/// a ten-thousandth of it.
fn gradient_error(
    setup: &Setup,
    method: &impl ExplicitRk,
    mut terms: Vec<(f64, Box<dyn Penalty<f64>>)>,
) -> f64 {
    let net = Net::field();
    let adjoint = |memory| DiscreteAdjoint::new(ExplicitStepper::new(&net, method, setup.batch), memory);
    let (y0, theta) = (setup.y0(), Net::theta());
    let mut weighted: Vec<Weighted<'_, f64>> = terms
        .iter_mut()
        .map(|(weight, penalty)| Weighted { weight: *weight, penalty: &mut **penalty })
        .collect();
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    // A budget in the setup is what checkpoints may take beyond the work space.
    let memory = match setup.memory {
        Memory::Unlimited => Memory::Unlimited,
        Memory::Bytes(checkpoints) => {
            let mut probe = adjoint(Memory::Unlimited);
            probe.forward(&problem, &setup.options, &mut weighted).unwrap();
            Memory::Bytes(probe.statistics().work_bytes + checkpoints)
        }
    };
    let mut adjoint = adjoint(memory);
    let mut gradient = |weighted: &mut [Weighted<'_, f64>]| {
        adjoint.value_and_gradient(&problem, &setup.options, weighted, |s, bar| Ok(loss(s, bar))).unwrap();
        [adjoint.theta_gradient(), adjoint.y0_gradient()].concat()
    };
    let plain = gradient(&mut []);
    let whole = gradient(&mut weighted);
    let recorded = adjoint.solution().clone();
    assert!(recorded.steps.len() > 2, "{} steps", recorded.steps.len());
    let replayed = adjoint.statistics().replayed;
    assert_eq!(replayed > 0, setup.memory != Memory::Unlimited, "{replayed} steps taken again");
    let mut value = |x: &[f64]| {
        let (theta, y0) = x.split_at(theta.len());
        let problem = Problem { y0, span: setup.span, theta };
        let solution = adjoint.replay(&problem, &recorded, &setup.options, &mut weighted).unwrap();
        let mut unused = vec![0.0; solution.y.len()];
        let loss = loss(solution, &mut unused);
        weighted.iter().fold(loss, |sum, w| sum + w.weight * w.penalty.value())
    };
    let mut x = [theta.as_slice(), &y0].concat();
    let mut largest: f64 = 0.0;
    for i in 0..x.len() {
        let at = x[i];
        let want = difference(|d| {
            x[i] = at + d;
            let v = value(&x);
            x[i] = at;
            v
        });
        largest = largest.max((whole[i] - want).abs());
    }
    let size = |g: &mut dyn Iterator<Item = f64>| g.fold(0.0f64, |a, x| a.max(x.abs()));
    let penalty = size(&mut whole.iter().zip(&plain).map(|(a, b)| a - b));
    let whole = size(&mut whole.iter().copied());
    assert!(penalty > 1e-4 * whole, "the penalties' gradient {penalty:e} is lost in {whole:e}");
    largest / whole
}

/// Every heuristic with some aggregation, every aggregation with some heuristic.
fn penalties() -> Vec<(&'static str, Box<dyn Penalty<f64>>)> {
    let error = ErrorEstimate::default;
    let kind = |kind| Stiffness { kind, ..Stiffness::default() };
    let probe = ErrorEstimate {
        norm: Some(ErrorNorm::new(1e-2, 1e-3)),
        h_ref: Some(0.2),
        ..ErrorEstimate::default()
    };
    let per_row = ErrorEstimate {
        norm: Some(ErrorNorm { rtol: 1e-4, atol: Atol::PerRow(vec![1e-4, 1e-3]), over: Over::Trajectory }),
        ..ErrorEstimate::default()
    };
    let (sum, one, size) = (Aggregation::Sum, StepWeight::One, StepWeight::StepSize);
    let soft = Aggregation::SoftMax { temperature: 0.05 };
    vec![
        ("R_E", Box::new(Global::<f64, _>::error())),
        ("R_E²", Box::new(Global::<f64, _>::error_squared())),
        ("R_S", Box::new(Global::<f64, _>::stiffness())),
        ("R_ES", Box::new(Global::<f64, _>::error_stiffness(0.1))),
        ("mean E", Box::new(Global::<f64, _>::mean_error())),
        ("max S", Box::new(Global::<f64, _>::max_stiffness())),
        ("mean ES", Box::new(Global::<f64, _>::mean_error_stiffness())),
        ("soft E", global(error(), soft, one)),
        ("p-norm E", global(error(), Aggregation::PNorm { p: 3.0 }, size)),
        ("max E", global(error(), Aggregation::Max, size)),
        ("probe", global(probe, sum, size)),
        ("per row", global(per_row, sum, size)),
        ("S²", global(squared_stiffness(), sum, size)),
        ("S max", global(kind(StiffnessKind::ElementwiseMax), sum, size)),
        ("hS", global(kind(StiffnessKind::StepTimesRms), sum, one)),
        ("hS scaled", global(kind(StiffnessKind::StepTimesScaled), sum, one)),
        ("kinetic", global(KineticEnergy, sum, size)),
        ("log E", global(StepCount::new(Surrogate::LogError), sum, one)),
        ("steps", global(StepCount::new(Surrogate::PredictedSteps), sum, one)),
        (
            "combined",
            Box::new(Combined::new().plus(0.3, Global::error()).plus(2.0, Global::integral(KineticEnergy))),
        ),
    ]
}

#[test]
fn rule_1_every_penalty_has_the_exact_gradient_at_frozen_steps() {
    for (name, penalty) in penalties() {
        let error = gradient_error(&Setup::default(), &Tsit5, vec![(2.0, penalty)]);
        assert!(error <= 1e-7, "{name}: {error:e}");
    }
}

#[test]
fn rule_1_holds_for_every_method() {
    for method in tableaux::all() {
        if method.embedded_order == 0 {
            continue;
        }
        let terms: Vec<(f64, Box<dyn Penalty<f64>>)> = vec![
            (2.0, Box::new(Global::error())),
            (0.3, Box::new(Global::stiffness())),
            (0.1, Box::new(Global::integral(KineticEnergy))),
        ];
        // Long steps: Δg of the stiffness pair, h^p small, keeps the digits that differences need.
        let setup = Setup { options: Options::fixed(0.75), ..Setup::default() };
        let error = gradient_error(&setup, method, terms);
        assert!(error <= 1e-7, "{}: {error:e}", method.name);
    }
}

#[test]
fn rule_1_holds_for_every_setting() {
    let base = Setup::default();
    let late = |k: f64| {
        Options { tstops: vec![0.85, 1.9], ..base.options.clone() }.save_at(vec![
            0.0,
            0.1 * k,
            0.35,
            0.5 * k,
            1.0,
        ])
    };
    let per_trajectory = ErrorNorm { over: Over::Trajectory, ..base.options.norm.clone() };
    let settings = [
        ("saves and stops", Setup { options: late(0.9), ..base.clone() }),
        (
            "backward",
            Setup {
                span: [3.0, 0.0],
                options: Options { tstops: vec![0.85, 1.9], ..base.options.clone() }
                    .save_at(vec![0.77, 0.35, 0.123, 0.0]),
                ..base.clone()
            },
        ),
        ("per trajectory", Setup { options: Options { norm: per_trajectory, ..late(1.1) }, ..base.clone() }),
        ("one column", Setup { batch: 1, ..base.clone() }),
        ("fixed steps", Setup { options: Options::fixed(0.27), ..base.clone() }),
        (
            "given first step",
            Setup { options: Options { h0: Some(0.4), ..base.options.clone() }, ..base.clone() },
        ),
        ("states only", Setup { memory: Memory::Bytes(600), ..base.clone() }),
    ];
    let methods: [(&str, &Tableau); 4] = [
        ("Tsit5", Tsit5.tableau()),
        ("Bs3", Bs3.tableau()),
        ("Dop853", Dop853.tableau()),
        ("Dp5", Dp5.tableau()),
    ];
    for (name, setup) in settings {
        for (method_name, method) in methods {
            // One at a time: a sum hides from differences where one term's digits end.
            let error: (f64, Box<dyn Penalty<f64>>) = (2.0, Box::new(Global::error()));
            let stiffness: (f64, Box<dyn Penalty<f64>>) = (0.3, Box::new(Global::stiffness()));
            let has_pair = method.stiffness.is_some();
            for term in [Some(error), has_pair.then_some(stiffness)].into_iter().flatten() {
                let error = gradient_error(&setup, method, vec![term]);
                assert!(error <= 1e-7, "{name}, {method_name}: {error:e}");
            }
        }
    }
}

/// E with a pullback that forgets the scale's dependence on the state.
struct Broken(ErrorEstimate<f64>);
impl Heuristic<f64> for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    fn value(&self, step: &StepView<'_, f64>, scratch: &mut [f64]) -> f64 {
        self.0.value(step, scratch)
    }
    fn pullback(&self, step: &StepView<'_, f64>, seed: f64, bar: &mut StepCotangent<'_, f64>) {
        let n = bar.y1.len();
        let (mut y0, mut y1) = (vec![0.0; n], vec![0.0; n]);
        let mut half = StepCotangent {
            y0: &mut y0,
            y1: &mut y1,
            stages: &mut *bar.stages,
            touched: &mut *bar.touched,
            scratch: &mut *bar.scratch,
        };
        self.0.pullback(step, seed, &mut half);
    }
}

#[test]
fn a_broken_pullback_is_caught_by_both_checks() {
    let setup = Setup { options: Options::tol(1e-2, 1e-6), ..Setup::default() };
    let broken = || Broken(ErrorEstimate::default());
    let terms: Vec<(f64, Box<dyn Penalty<f64>>)> = vec![(2.0, Box::new(Global::integral(broken())))];
    let error = gradient_error(&setup, &Tsit5, terms);
    assert!(error > 1e-5, "{error:e}");
    let mut caught = Vec::new();
    on_each_step(&Tsit5, |step| {
        if let Err(error) = check_heuristic(&broken(), step, 1e-6) {
            caught.push(error.to_string());
        }
    });
    let first = caught.first().expect("caught");
    assert!(first.contains("pullback of broken at y") && first.contains("differences"), "{first}");
}

/// Calls `f` with every accepted step of the default problem.
fn on_each_step(method: &impl ExplicitRk, f: impl FnMut(&StepView<'_, f64>)) {
    struct Each<F>(F);
    impl<F: FnMut(&StepView<'_, f64>)> Observer<f64> for Each<F> {
        fn accepted(&mut self, step: &StepView<'_, f64>) {
            (self.0)(step);
        }
    }
    let (setup, net) = (Setup::default(), Net::field());
    let (y0, theta) = (setup.y0(), Net::theta());
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    let mut solver = Solver::new(&net, method, setup.batch);
    let options = Options::tol(1e-2, 1e-3);
    solver.observe(&problem, &options, &mut Each(f)).unwrap();
}

#[test]
fn every_heuristic_passes_its_check_on_every_step() {
    let per_trajectory = ErrorEstimate {
        norm: Some(ErrorNorm { over: Over::Trajectory, ..ErrorNorm::new(1e-3, 1e-4) }),
        ..ErrorEstimate::default()
    };
    let sum = HeuristicSum::new("sum")
        .plus(0.5, ErrorEstimate::default())
        .plus_integrated(2.0, Stiffness::default());
    let heuristics: [&dyn Heuristic<f64>; 8] = [
        &ErrorEstimate::default(),
        &per_trajectory,
        &Stiffness::default(),
        &squared_stiffness(),
        &KineticEnergy,
        &StepCount::new(Surrogate::LogError),
        &StepCount::new(Surrogate::PredictedSteps),
        &sum,
    ];
    let mut seen = 0;
    for method in [Tsit5.tableau(), Dp5.tableau(), Dop853.tableau(), Bs3.tableau()] {
        on_each_step(method, |step| {
            // Where E is tiny, E and ln E bend within fewer digits than differences resolve.
            if step.error < 1e-3 {
                return;
            }
            for heuristic in heuristics {
                let checked = check_heuristic(heuristic, step, 1e-6);
                assert!(checked.is_ok(), "{}: {checked:?}", method.name);
                seen += 1;
            }
        });
    }
    assert!(seen > 32, "{seen}");
}

/// Solves in `T` with every penalty; all values and gradients must be finite.
fn finite_everywhere<F: VectorField>(field: F, y0: &[f64], theta: &[f64], options: &Options<f64>) {
    let field = Generic(field);
    for method in tableaux::all() {
        let fixed = Options::fixed(0.1);
        let options = match method.embedded_order {
            0 => &fixed,
            _ => options,
        };
        let stepper = ExplicitStepper::new(&field, method, 1);
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        let problem = Problem { y0, span: [0.0, 1.0], theta };
        for (name, mut penalty) in penalties() {
            let mut weighted = [Weighted { weight: 1.0, penalty: &mut *penalty }];
            let evaluation =
                adjoint.value_and_gradient(&problem, options, &mut weighted, |solution, y_bar| {
                    y_bar.copy_from_slice(&solution.y);
                    Ok(0.0)
                });
            let evaluation = evaluation.unwrap_or_else(|e| panic!("{}, {name}: {e}", method.name));
            assert!(evaluation.total.is_finite(), "{}, {name}", method.name);
        }
    }
}

#[test]
fn rule_2_values_and_gradients_are_finite_where_the_estimates_vanish() {
    let options = Options::tol(1e-6, 1e-6);
    finite_everywhere(Constant, &[1.0, -2.0], &[0.5, 0.25], &options);
    finite_everywhere(Constant, &[0.0, 0.0], &[0.0, 0.0], &options);
    finite_everywhere(Decay, &[0.0, 0.0], &[3.0], &options);
    finite_everywhere(Decay, &[1.0, 1e-300], &[3.0], &options);
    finite_everywhere(Decay, &[1.0, 1.0], &[0.0], &options);
    finite_everywhere(Decay, &[1.0, 1.0], &[1e-12], &options);
    let tiny = Options { dt_max: Some(1e-3), h0: Some(1e-13), ..options };
    finite_everywhere(Decay, &[1.0, 2.0], &[0.1], &tiny);
}

#[test]
fn rule_2_holds_without_smoothing() {
    let field = Generic(Constant);
    let stepper = ExplicitStepper::new(&field, &Tsit5, 1);
    let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
    let problem = Problem { y0: &[1.0f32, 2.0], span: [0.0, 1.0], theta: &[0.0, 0.0] };
    let mut error = Global::integral(ErrorEstimate::<f32> { epsilon: 0.0, ..ErrorEstimate::default() });
    let mut stiffness = Global::integral(Stiffness::<f32> { epsilon: 0.0, ..Stiffness::default() });
    let mut weighted = [
        Weighted { weight: 1.0, penalty: &mut error as &mut dyn Penalty<f32> },
        Weighted { weight: 1.0, penalty: &mut stiffness },
    ];
    let loss = |_: &_, _: &mut [f32]| Ok(0.0);
    let evaluation = adjoint.value_and_gradient(&problem, &Options::tol(1e-4, 1e-4), &mut weighted, loss);
    assert_eq!(evaluation.unwrap().total, 0.0);
}
