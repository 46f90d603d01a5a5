//! Rules 3 (accepted steps alone), 4 (aggregations) and 5 (the f32 floor) of the regularisation
//! specification's section 2.

mod regularise_support;

use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{
    BelowResolution, Controller, ErrorEstimate, Observer, Options, Penalty, Problem, StepView, Warning,
};
use odeon::num::Scalar;
use odeon::ode::tableau::ExplicitRk;
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, Solver};
use odeon::regularise::{Aggregation, Global, StepWeight};
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

/// y' = −p₀(y − sin 40t) with sudden starts: rejects steps.
struct Rough;
impl VectorField for Rough {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        let kink = (t - S::of(0.5)).abs() * S::of(60.0);
        dy[0] = p[0] * (y[0] * kink.sin() + (S::of(40.0) * t).sin());
    }
}

#[test]
fn rule_3_only_accepted_steps_contribute() {
    let field = Generic(Rough);
    let stepper = ExplicitStepper::new(&field, &Tsit5, 1);
    let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
    let problem = Problem { y0: &[1.0], span: [0.0, 1.0], theta: &[2.0] };
    let options = Options { h0: Some(0.8), ..Options::tol(1e-7, 1e-7) };
    let mut penalty = Global::error();
    let gradient = |adjoint: &mut DiscreteAdjoint<_, _>, penalty: &mut Global<f64, _>, replay| {
        let recorded = odeon::integrate::Solution::clone(adjoint.solution());
        let weighted = &mut [Weighted { weight: 1.0, penalty }];
        match replay {
            true => adjoint.replay(&problem, &recorded, &options, weighted),
            false => adjoint.forward(&problem, &options, weighted),
        }
        .unwrap();
        let y_bar = vec![1.0; adjoint.solution().y.len()];
        adjoint.reverse(&y_bar, &[], weighted).unwrap();
        adjoint.theta_gradient().to_vec()
    };
    let solved = gradient(&mut adjoint, &mut penalty, false);
    let steps = adjoint.solution().steps.clone();
    assert!(adjoint.solution().stats.rejected >= 3, "{:?}", adjoint.solution().stats);
    let values = penalty.values().to_vec();
    // One number an accepted step, none for the initial state, each from that step's own E.
    assert_eq!(values.len(), steps.len());
    for (value, step) in values.iter().zip(&steps) {
        let e = step.error;
        let smooth = (e * e + 1e-12).sqrt() - 1e-6;
        assert!((value - smooth * step.h).abs() <= 1e-12 * value.abs().max(1e-9), "{value} {e}");
    }
    // A replay takes the accepted steps alone, and gives the same bits.
    let replayed = gradient(&mut adjoint, &mut penalty, true);
    assert_eq!(adjoint.solution().stats.rejected, 0);
    assert_eq!(penalty.values(), values);
    assert_eq!(replayed, solved);
}

#[test]
fn rule_4_aggregations_are_their_formulas_over_the_accepted_steps() {
    let net = Net::field();
    let setup = Setup::default();
    let (y0, theta) = (setup.y0(), Net::theta());
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    let squares = ErrorEstimate { squared: true, ..ErrorEstimate::default() };
    let value = |aggregation, weight| {
        let stepper = ExplicitStepper::new(&net, &Tsit5, setup.batch);
        let mut adjoint = DiscreteAdjoint::new(stepper, setup.memory);
        let mut penalty = Global::new(squares.clone(), aggregation, weight).unwrap();
        let weighted = &mut [Weighted { weight: 1.0, penalty: &mut penalty }];
        adjoint.forward(&problem, &setup.options, weighted).unwrap();
        (penalty.value(), adjoint.solution().steps.clone())
    };
    for weight in [StepWeight::One, StepWeight::StepSize] {
        let (sum, steps) = value(Aggregation::Sum, weight);
        let x: Vec<f64> = steps
            .iter()
            .map(|s| match weight {
                StepWeight::One => s.error * s.error,
                StepWeight::StepSize => s.error * s.error * s.h.abs(),
            })
            .collect();
        let max = x.iter().copied().fold(0.0, f64::max);
        let exp: f64 = x.iter().map(|x| (x / 0.02).exp()).sum();
        let total: f64 = x.iter().sum();
        let (soft, norm) = (Aggregation::SoftMax { temperature: 0.02 }, Aggregation::PNorm { p: 4.0 });
        let fourth: f64 = x.iter().map(|x| x.powi(4)).sum();
        for (name, got, want) in [
            ("sum", sum, total),
            ("mean", value(Aggregation::Mean, weight).0, total / x.len() as f64),
            ("max", value(Aggregation::Max, weight).0, max),
            ("soft-max", value(soft, weight).0, 0.02 * exp.ln()),
            ("p-norm", value(norm, weight).0, fourth.powf(0.25)),
        ] {
            assert!((got - want).abs() < 1e-12 * want, "{name}: {got} {want}");
        }
    }
}

/// Mean E in f32 over small fixed steps, by our accumulation and by the plain sum h Σ b̃ k.
fn floors<F: VectorField>(field: F, y0: &[f32], theta: &[f32]) -> [f64; 2] {
    struct Floor(Vec<[f64; 2]>);
    impl Observer<f32> for Floor {
        fn accepted(&mut self, step: &StepView<'_, f32>) {
            let weights = &Tsit5.tableau().error;
            let plain: Vec<f32> = (0..step.len())
                .map(|c| {
                    let sum = weights.iter().enumerate();
                    step.h * sum.fold(0.0, |a, (i, w)| a + *w as f32 * step.stage(i)[c])
                })
                .collect();
            let mut ours = vec![0.0; step.len()];
            step.estimates.error_vector(step, false, &mut ours);
            let rms = |x: &[f32]| f64::from(step.norm.value(x, step.y0, step.y1, step.dim));
            self.0.push([rms(&ours), rms(&plain)]);
        }
    }
    let field = Generic(field);
    let span = [0.0, 1.0];
    let problem = Problem { y0, span, theta };
    // Steps so small that the true error is far below f32's rounding: what is left is the floor.
    let options =
        Options { controller: Controller::Fixed { h: 0.01 }, ..Options::<f32>::tol(1.4e-8, 1.4e-8) };
    let mut floor = Floor(Vec::new());
    let mut solver = Solver::new(&field, &Tsit5, 1);
    solver.observe(&problem, &options, &mut floor).unwrap();
    let mean = |k: usize| floor.0.iter().map(|f| f[k]).sum::<f64>() / floor.0.len() as f64;
    [mean(0), mean(1)]
}

#[test]
fn rule_5_the_f32_estimate_has_a_lower_floor_than_the_plain_sum() {
    let [ours, plain] = floors(Constant, &[0.5, -0.7], &[1.1, 2.3]);
    println!("f32 floor of E, constant f: {ours:.3e}, plain sum: {plain:.3e}");
    assert!(ours == 0.0 && plain > 0.0);
    let [ours, plain] = floors(Decay, &[0.9, 1.3], &[0.3]);
    println!("f32 floor of E, slow decay: {ours:.3e}, plain sum: {plain:.3e}");
    assert!(ours < plain);
}

#[test]
fn rule_5_a_tolerance_below_resolution_is_refused_or_warned_of_once() {
    let net = Net::field();
    let theta: Vec<f32> = Net::theta().into_iter().map(|x| x as f32).collect();
    let problem = Problem { y0: &[0.3f32, -0.2], span: [0.0, 1.0], theta: &theta };
    let refused = Options::<f32>::tol(1.4e-8, 1.4e-8);
    let error = odeon::ode::solve(&net, &Tsit5, &problem, &refused).unwrap_err();
    assert!(error.to_string().contains("f32 resolves"), "{error}");
    let options = Options { below_resolution: BelowResolution::Warn, ..refused };
    let solution = odeon::ode::solve(&net, &Tsit5, &problem, &options).unwrap();
    assert!(solution.stats.accepted > 3);
    assert!(matches!(solution.stats.warnings[..], [Warning::BelowResolution { .. }]));
}

#[test]
fn step_values_keep_their_memory_from_solve_to_solve() {
    let mut penalty = Global::<f64, _>::error();
    let net = Net::field();
    let setup = Setup::default();
    let (y0, theta) = (setup.y0(), Net::theta());
    let problem = Problem { y0: &y0, span: setup.span, theta: &theta };
    let stepper = ExplicitStepper::new(&net, &Tsit5, setup.batch);
    let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
    let mut place = None;
    for _ in 0..3 {
        let weighted = &mut [Weighted { weight: 1.0, penalty: &mut penalty }];
        adjoint.forward(&problem, &setup.options, weighted).unwrap();
        let now = penalty.values().as_ptr();
        assert!(place.is_none_or(|p| p == now));
        place = Some(now);
    }
}
