//! One door for all adjoints: agreement, the automatic choice, refusals that say who can; checks of whole solves.

use crate::common::{TWIST, Twist, loss, off, wave};
use odeon::adjoint::{
    Adjoint, Gradient, Memory, SolveCheckOptions, Weighted, check_gradient, value_and_gradient,
};
use odeon::dynamics::compose::WithMass;
use odeon::dynamics::generic::Generic;
use odeon::dynamics::{Mass, gallery::Robertson};
use odeon::integrate::{ErrorEstimate, Options, Problem};
use odeon::ode::reversible::{AsynchronousLeapfrog, Coupled};
use odeon::ode::switch::AutoTsit5;
use odeon::ode::tableaux::Tsit5;
use odeon::ode::tableaux_rosenbrock::Rodas5P;
use odeon::regularise::{Aggregation, Global, StepWeight};

const F: Generic<Twist> = Generic(Twist);

fn options() -> Options<f64> {
    Options::tol(1e-9, 1e-9).save_at(vec![0.5, 1.5])
}

macro_rules! gradient {
    ($method:expr, $adjoint:expr, $penalties:expr) => {{
        let y0 = wave(4, 0.2);
        let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &TWIST };
        value_and_gradient(&F, $method, &$adjoint, &problem, &options(), $penalties, &mut loss)
    }};
}

fn flat(gradient: &Gradient<f64>) -> Vec<f64> {
    let times = gradient.times.map_or_else(Vec::new, |t| t.to_vec());
    [&gradient.y0[..], &gradient.theta, &times].concat()
}

#[test]
fn all_adjoints_agree_on_parameters_state_and_ends() {
    let want = gradient!(&Tsit5, Adjoint::discrete(), &mut []).unwrap();
    assert_eq!((want.adjoint, flat(&want).len()), ("discrete", 9));
    for adjoint in [Adjoint::backsolve(), Adjoint::interpolating(), Adjoint::quadrature(), Adjoint::Forward] {
        let got = gradient!(&Tsit5, adjoint, &mut []).unwrap();
        assert_eq!(got.adjoint, adjoint.name());
        assert!(off(&flat(&got), &flat(&want)) < 1e-6, "{}", adjoint.name());
        assert!((got.value.total - want.value.total).abs() < 1e-8 && got.solution.t == want.solution.t);
        assert!(got.statistics.nfe > 0 && got.warnings.is_empty());
    }
    for other in [
        gradient!(&Coupled::new(Tsit5), Adjoint::Reversible, &mut []).unwrap(),
        gradient!(&Rodas5P, Adjoint::discrete(), &mut []).unwrap(),
        gradient!(&AutoTsit5, Adjoint::discrete(), &mut []).unwrap(),
    ] {
        assert!(off(&flat(&other), &flat(&want)) < 1e-5, "{}", other.adjoint);
    }
}

#[test]
fn the_automatic_choice_follows_the_method_and_the_bytes() {
    let bytes = 20_000;
    let got = gradient!(&Tsit5, Adjoint::Auto { bytes }, &mut []).unwrap();
    let all = gradient!(&Tsit5, Adjoint::discrete(), &mut []).unwrap();
    assert_eq!(got.adjoint, "discrete");
    assert!(got.statistics.work_bytes + got.statistics.checkpoint_bytes <= bytes);
    assert_eq!(flat(&got), flat(&all));
    let got = gradient!(&AsynchronousLeapfrog::default(), Adjoint::Auto { bytes }, &mut []).unwrap();
    assert_eq!(got.adjoint, "reversible");
    let error = gradient!(&Tsit5, Adjoint::Auto { bytes: 10 }, &mut []).unwrap_err().to_string();
    assert!(error.contains("the memory budget") && error.contains("at least"), "{error}");
}

#[test]
fn refusals_name_who_can() {
    let refused = |outcome: odeon::Result<Gradient<f64>>, parts: &[&str]| {
        let text = outcome.err().unwrap().to_string();
        assert!(parts.iter().all(|p| text.contains(p)), "{text}");
    };
    for adjoint in [Adjoint::backsolve(), Adjoint::quadrature(), Adjoint::Forward] {
        let mut penalty = Global::new(ErrorEstimate::default(), Aggregation::Sum, StepWeight::One).unwrap();
        let mut penalties = [Weighted { weight: 0.1, penalty: &mut penalty }];
        let outcome = gradient!(&Tsit5, adjoint, &mut penalties);
        refused(outcome, &["a penalty on the steps", adjoint.name(), "Adjoint::Discrete"]);
    }
    refused(gradient!(&Tsit5, Adjoint::Reversible, &mut []), &["not a reversible one", "Coupled::new"]);
    refused(
        gradient!(&Rodas5P, Adjoint::Reversible, &mut []),
        &["not a reversible one", "Adjoint::Discrete"],
    );
    refused(gradient!(&Rodas5P, Adjoint::backsolve(), &mut []), &["not an explicit one", "DiscreteAdjoint"]);
    for adjoint in [Adjoint::discrete(), Adjoint::backsolve()] {
        refused(
            gradient!(&Coupled::new(Tsit5), adjoint, &mut []),
            &["a reversible one", "Adjoint::Reversible"],
        );
    }
    let f = WithMass { inner: Generic(Robertson), mass: Mass::Diagonal(vec![1.0, 1.0, 0.0]) };
    let problem = Problem { y0: &Robertson::Y0, span: [0.0, 0.1], theta: &Robertson::THETA };
    for adjoint in [Adjoint::backsolve(), Adjoint::Forward] {
        let outcome =
            value_and_gradient(&f, &Tsit5, &adjoint, &problem, &Options::default(), &mut [], &mut loss);
        refused(outcome, &["the mass matrix"]);
    }
}

#[test]
fn checks_of_whole_solves_pass_and_fail_where_they_should() {
    let y0 = wave(4, 0.2);
    let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &TWIST };
    let check = SolveCheckOptions::default();
    let options = options();
    let exact = gradient!(&Tsit5, Adjoint::Discrete(Memory::Unlimited), &mut []).unwrap();
    let run = |y0_bar: &[f64], theta_bar: &[f64]| {
        let recorded = (&exact.solution, &options);
        check_gradient(&F, &Tsit5, &problem, recorded, loss, [y0_bar, theta_bar], &check).unwrap()
    };
    let report = run(&exact.y0, &exact.theta);
    assert!(report.passed() && report.entries.len() == 7, "{report}");
    assert!(report.worst().unwrap().excess < 1e-9, "{report}");
    for i in 0..7 {
        let (mut y, mut p) = (exact.y0.clone(), exact.theta.clone());
        if i < 4 {
            y[i] += 1e-5
        } else {
            p[i - 4] += 1e-5
        }
        let report = run(&y, &p);
        assert!(!report.passed(), "{report}");
        let text = report.to_string();
        let place = if i < 4 { format!("y[{i}]") } else { format!("theta[{}]", i - 4) };
        assert!(text.contains("1 of 7") && text.contains(&place), "{text}");
    }
    let method = Coupled::new(Tsit5);
    let exact = gradient!(&method, Adjoint::Reversible, &mut []).unwrap();
    let recorded = (&exact.solution, &options);
    let report =
        check_gradient(&F, &method, &problem, recorded, loss, [&exact.y0, &exact.theta], &check).unwrap();
    assert!(report.passed(), "{report}");
}
