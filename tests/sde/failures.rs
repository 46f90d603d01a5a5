//! Bad input is an error that says what to do.

use super::problems::{Drift, Own, Shear, Still, start};
use odeon::Error;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Partial, Problem, Save};
use odeon::num::Scalar as Number;
use odeon::sde::noise::{FixedGrid, IntervalTree, Levy, VirtualTree};
use odeon::sde::{
    Additive, Commutative, Constant, Diagonal, General, Sde, check_class, solve, solve_paths, tableaux,
};

const THETA: [f64; 4] = [1.1, 0.8, 0.7, 0.6];

fn diagonal() -> Sde<Generic<Drift>, Diagonal<Generic<Own>>> {
    Sde::ito(Generic(Drift), Diagonal(Generic(Own)))
}

fn tree(m: usize, paths: usize) -> IntervalTree<f64> {
    IntervalTree::new(1, [0.0, 1.0], m, paths).unwrap().levy(Levy::SpaceTime)
}

fn says(result: Result<odeon::integrate::Solution<f64>, Partial<f64>>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "no '{part}' in: {message}");
    }
}

fn problem<'a>(y0: &'a [f64], theta: &'a [f64]) -> Problem<'a, f64> {
    Problem { y0, span: [0.0, 1.0], theta }
}

#[test]
fn what_a_method_cannot_integrate_is_refused() {
    let (y0, options) = (start(2), Options::fixed(0.1));
    let general = Sde::ito(Generic(Drift), General(vec![Generic(Shear(0)), Generic(Shear(1))]));
    let p = problem(&y0, &THETA);
    says(
        solve(&general, &tableaux::Sosri, tree(2, 2), &p, &options),
        &["the noise is general", "SOSRI takes additive, scalar, diagonal noise only"],
    );
    says(
        solve(&diagonal(), &tableaux::Heun, tree(2, 2), &p, &options),
        &["the calculus of the equation is Itô", "convert"],
    );
    let bare = IntervalTree::new(1, [0.0, 1.0], 2, 2).unwrap();
    says(solve(&diagonal(), &tableaux::Sosri, bare, &p, &options), &["needs the space–time Lévy area"]);
    says(solve(&diagonal(), &tableaux::Sosri, tree(3, 2), &p, &options), &["has 2 Brownian motions"]);
    says(
        solve(&diagonal(), &tableaux::EulerMaruyama, tree(2, 2), &p, &Options::tol(1e-2, 1e-2)),
        &["no error estimate"],
    );
    says(
        solve(&diagonal(), &tableaux::Sosri, tree(2, 2), &p, &options.clone().save(Save::Dense)),
        &["Save::At"],
    );
    let back = Problem { y0: &y0, span: [1.0, 0.0], theta: &THETA };
    says(solve(&diagonal(), &tableaux::Sosri, tree(2, 2), &back, &options), &["looks forward only"]);
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let y0 = start(2);
    let options = Options::fixed(0.1);
    says(
        solve(&diagonal(), &tableaux::Sosri, tree(2, 3), &problem(&y0, &THETA), &options),
        &["y0 has length 4"],
    );
    says(
        solve(&diagonal(), &tableaux::Sosri, tree(2, 2), &problem(&y0, &[1.0]), &options),
        &["theta has length 1"],
    );
    let rows = Sde::ito(Generic(Drift), Additive(Constant::diagonal(3)));
    let theta = [1.0; 5];
    says(
        solve(&rows, &tableaux::Sosra, tree(3, 2), &problem(&y0, &theta), &options),
        &["the rows of the diffusion"],
    );
    let none: Sde<_, General<Generic<Still>>> = Sde::ito(Generic(Drift), General(vec![]));
    let result = solve(&none, &tableaux::EulerMaruyama, tree(2, 2), &problem(&y0, &THETA[..2]), &options);
    says(result, &["the columns of the diffusion"]);
}

#[test]
fn a_source_that_cannot_resolve_the_step_ends_the_solve() {
    let y0 = start(2);
    let p = problem(&y0, &THETA);
    let grid = || FixedGrid::new(1, [0.0, 1.0], 10, 2, 2).unwrap().levy(Levy::SpaceTime);
    assert!(solve(&diagonal(), &tableaux::Sosri, grid(), &p, &Options::fixed(0.1)).is_ok());
    says(solve(&diagonal(), &tableaux::Sosri, grid(), &p, &Options::fixed(0.07)), &["grid"]);
    let coarse = VirtualTree::new(1, [0.0, 1.0], 2, 2, 1e-2).unwrap().levy(Levy::SpaceTime);
    says(solve(&diagonal(), &tableaux::Sosri, coarse, &p, &Options::fixed(1e-3)), &["resolution"]);
    let short = IntervalTree::new(1, [0.0, 0.5], 2, 2).unwrap().levy(Levy::SpaceTime);
    says(solve(&diagonal(), &tableaux::Sosri, short, &p, &Options::fixed(0.1)), &["0.5"]);
}

/// y' = y², which leaves every bound.
#[derive(Clone, Copy)]
struct Blow;

impl VectorField for Blow {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[0] * y[0];
    }
}

#[test]
fn a_path_that_leaves_is_named_with_its_component() {
    let sde = Sde::ito(Generic(Blow), Diagonal(Generic(Blow)));
    let noise = IntervalTree::new(1, [0.0, 1.0], 1, 3).unwrap().levy(Levy::SpaceTime);
    let p = Problem { y0: &[0.1, 5.0, 0.2], span: [0.0, 1.0], theta: &[1.0, 0.1] };
    let partial = solve(&sde, &tableaux::Sosri, noise, &p, &Options::tol(1e-4, 1e-4)).unwrap_err();
    let Error::Solve(post) = &partial.error else { panic!("{}", partial.error) };
    assert_eq!((post.trajectory, post.component), (Some(1), Some(0)), "{post}");
    assert!(post.t > 0.05 && post.t < 0.6, "{post}");
    assert!(!partial.solution.steps.is_empty());
}

#[test]
fn broken_promises_of_a_class_are_found() {
    let at = |theta| odeon::dynamics::Point { t: 0.3, y: &[0.4, -0.3], theta };
    assert!(check_class(&Diagonal(Generic(Own)), at(&[0.7, 0.5]), 1e-9).is_ok());
    let crossed = check_class(&Diagonal(Generic(super::problems::Other)), at(&[0.7, 0.5]), 1e-9);
    assert!(crossed.unwrap_err().to_string().contains("entry 1 of G depends on component 0"));
    let additive = check_class(&Additive(Diagonal(Generic(Own))), at(&[0.7, 0.5]), 1e-9);
    assert!(additive.is_err());
    let commute = Commutative(vec![Generic(super::problems::Turn(0)), Generic(super::problems::Turn(1))]);
    assert!(check_class(&commute, at(&[0.7, 0.5]), 1e-9).is_ok());
    let shear = Commutative(vec![Generic(Shear(0)), Generic(Shear(1))]);
    let message = check_class(&shear, at(&[0.7, 0.5]), 1e-9).unwrap_err().to_string();
    assert!(message.contains("columns 1 and 0 do not commute"), "{message}");
}

#[test]
fn a_path_that_leaves_does_not_take_the_others_along() {
    let sde = Sde::ito(Generic(Blow), Diagonal(Generic(Blow)));
    let noise = |paths: std::ops::Range<usize>| {
        FixedGrid::new(1, [0.0, 1.0], 64, 1, paths.len())?.paths_from(paths.start)
    };
    let y0 = [0.1_f64, 0.3, 500.0, 0.2, -0.1, 0.25];
    let p = Problem { y0: &y0, span: [0.0, 1.0], theta: &[1.0, 0.1] };
    let options = Options::fixed(1.0 / 64.0).save_at([0.5, 1.0]);
    let run = |block| solve_paths(&sde, &tableaux::EulerMaruyama, noise, &p, &options, block).unwrap();
    let [alone, blocks] = [1, 4].map(run);
    assert_eq!(blocks.failures.len(), 1);
    let (path, error) = &blocks.failures[0];
    let message = error.to_string();
    assert!(*path == 2 && message.contains("component 0"), "{path}: {message}");
    for i in [0, 1, 3, 4, 5] {
        assert_eq!(blocks.trajectory(i), alone.trajectory(i));
        assert!(blocks.trajectory(i).iter().all(|y: &f64| y.is_finite()));
    }
    // The columns of a block are placed by trajectory.
    let apart =
        solve_paths(&sde, &tableaux::EulerMaruyama, noise, &Problem { y0: &[0.1, 0.3], ..p }, &options, 2);
    assert_eq!(apart.unwrap().y, alone.y[..4]);
}
