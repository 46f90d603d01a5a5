//! Bad input, and every way a Krylov solve may end without converging: each with its reason, and a
//! finite x.

mod linalg_support;

use linalg_support::*;
use odeon::linalg::krylov::{BiCgStab, Cg, Gmres, Lsmr, Lsqr, Method, MinRes};
use odeon::linalg::{Claims, Csr, Identity, Outcome, Report, Settings, Side};

fn error<K: Method<f64>>(method: &mut K, a: &Csr<f64>, b: &[f64], x: &mut [f64]) -> String {
    method.solve(a, &mut Identity(a.cols()), b, x).unwrap_err().to_string()
}

#[test]
fn bad_input_is_refused() {
    assert!(Cg::<f64>::new(0, Settings::default()).is_err());
    assert!(Gmres::<f64>::new(3, 0, Settings::default()).is_err());
    assert!(Lsqr::<f64>::new([3, 0], Settings::default()).is_err());
    for settings in [
        Settings::tol(0.0),
        Settings::tol(-1.0),
        Settings::tol(f64::NAN),
        Settings { check_every: 0, ..Settings::default() },
        Settings { stagnation: 0, ..Settings::default() },
        Settings { divergence: 0.5, ..Settings::default() },
    ] {
        assert!(MinRes::<f64>::new(3, settings).is_err(), "{settings:?}");
    }
    let flexible = Gmres::<f64>::flexible(3, 2, Settings::default()).unwrap();
    assert!(flexible.side(Side::Left).unwrap_err().to_string().contains("right"));
    let a = poisson::<f64>(2);
    let b = [1.0; 4];
    for bad in [f64::NAN, f64::INFINITY] {
        let mut cg = Cg::new(4, Settings::default()).unwrap();
        assert!(error(&mut cg, &a, &[1.0, bad, 1.0, 1.0], &mut [0.0; 4]).starts_with("b[1] is"));
        assert!(error(&mut cg, &a, &b, &mut [0.0, 0.0, bad, 0.0]).starts_with("x[2] is"));
    }
    macro_rules! each {
        ($($method:expr),*) => {$(
            let mut method = $method;
            assert!(error(&mut method, &a, &[1.0; 3], &mut [0.0; 4]).starts_with("b has length 3"));
            assert!(error(&mut method, &a, &b, &mut [0.0; 5]).starts_with("x has length 5"));
            assert!(error(&mut method, &poisson(3), &[1.0; 9], &mut [0.0; 9]).contains("9 × 9"));
            let short = method.solve(&a, &mut Identity(3), &b, &mut [0.0; 4]).unwrap_err();
            assert!(short.to_string().contains("preconditioner"));
            let mut x = [7.0; 4];
            let zero = method.solve(&a, &mut Identity(4), &[0.0; 4], &mut x).unwrap();
            assert!(zero.converged() && zero.iterations == 0 && x == [0.0; 4]);
            let exact = method.solve(&a, &mut Identity(4), &[2.0; 4], &mut [1.0; 4]).unwrap();
            assert_eq!((exact.outcome, exact.iterations), (Outcome::Converged, 0));
        )*};
    }
    let s = Settings::default();
    each!(
        Cg::new(4, s).unwrap(),
        Cg::flexible(4, s, 2).unwrap(),
        MinRes::new(4, s).unwrap(),
        Gmres::new(4, 2, s).unwrap(),
        BiCgStab::new(4, s).unwrap(),
        Lsqr::new([4, 4], s).unwrap(),
        Lsmr::new([4, 4], s).unwrap()
    );
}

#[test]
fn claims_are_checked() {
    let a = poisson::<f64>(3);
    let mut x = [0.0; 9];
    let s = Settings::default();
    let copy = |claims| Map(9, claims, |r: &[f64], z: &mut [f64]| z.copy_from_slice(r));
    let text = |result: odeon::Result<Report>| result.unwrap_err().to_string();
    let b = [1.0; 9];
    assert!(
        text(Cg::new(9, s).unwrap().solve(&a, &mut copy(Claims::LINEAR), &b, &mut x)).contains("flexible CG")
    );
    assert!(
        text(MinRes::new(9, s).unwrap().solve(&a, &mut copy(Claims::LINEAR), &b, &mut x))
            .contains("Gmres::flexible")
    );
    assert!(
        text(BiCgStab::new(9, s).unwrap().solve(&a, &mut copy(Claims::NONE), &b, &mut x))
            .contains("Gmres::flexible")
    );
    let mut flexible = Gmres::flexible(9, 4, s).unwrap();
    assert!(flexible.solve(&a, &mut copy(Claims::NONE), &b, &mut x).unwrap().converged());
    let left = flexible.solve_split(&a, &mut copy(Claims::NONE), &mut copy(Claims::NONE), &b, &mut x);
    assert!(text(left).contains("linear"));
    let no_transpose = Lsqr::new([9, 9], s).unwrap().solve(&a, &mut copy(Claims::LINEAR), &b, &mut [0.0; 9]);
    assert!(text(no_transpose).contains("transpose"));
}

#[test]
fn indefinite_operators_and_preconditioners_are_found() {
    let a = with_spectrum(&[3.0, 2.0, 1.0, -0.5, 4.0, 6.0], 2);
    let b: Vec<f64> = random(6, 3);
    let mut x = vec![0.0; 6];
    let report = Cg::new(6, Settings::default()).unwrap().solve(&a, &mut Identity(6), &b, &mut x).unwrap();
    let Outcome::Indefinite { curvature } = report.outcome else { panic!("{:?}", report.outcome) };
    assert!((-0.5..=0.0).contains(&curvature), "{curvature}");
    assert!(report.ok().unwrap_err().to_string().contains("MINRES"));
    assert!(x.iter().all(|x| x.is_finite()));
    let a = poisson::<f64>(4);
    let b: Vec<f64> = random(16, 4);
    let mut negative = Map(16, Claims::SPD, |r: &[f64], z: &mut [f64]| {
        z.iter_mut().zip(r).for_each(|(z, r)| *z = -r);
    });
    let mut x = vec![0.0; 16];
    let cg = Cg::new(16, Settings::default()).unwrap().solve(&a, &mut negative, &b, &mut x).unwrap();
    assert_eq!((cg.outcome, cg.iterations), (Outcome::IndefinitePreconditioner, 0));
    let minres = MinRes::new(16, Settings::default()).unwrap().solve(&a, &mut negative, &b, &mut x).unwrap();
    assert_eq!(minres.outcome, Outcome::IndefinitePreconditioner);
    assert_eq!(minres.true_residuals.last(), Some(&(0, norm(&b))));
}

/// NaN at the k-th application ends the solve, and x is the last iterate that was good.
#[test]
fn nan_ends_a_solve() {
    let a = poisson::<f64>(6);
    let b: Vec<f64> = random(36, 5);
    for at in 2..=7 {
        macro_rules! each {
            ($($method:expr),*) => {$(
                let watched = Watched::new(&a, at);
                let mut x = vec![0.0; 36];
                let report = $method.unwrap().solve(&watched, &mut Identity(36), &b, &mut x).unwrap();
                assert_eq!(report.outcome, Outcome::NonFinite, "{at}: {}", stringify!($method));
                assert!(x.iter().all(|x| x.is_finite()), "{at}: {}", stringify!($method));
            )*};
        }
        let s = Settings::tol(1e-10);
        each!(
            Cg::new(36, s),
            Cg::flexible(36, s, 3),
            MinRes::new(36, s),
            Gmres::new(36, 4, s),
            Gmres::flexible(36, 9, s),
            BiCgStab::new(36, s),
            Lsqr::new([36, 36], s),
            Lsmr::new([36, 36], s)
        );
    }
    let mut bad = Map(36, Claims::SPD, |_: &[f64], z: &mut [f64]| z.fill(f64::NAN));
    let mut x = vec![0.0; 36];
    let s = Settings::default();
    for report in [
        Cg::new(36, s).unwrap().solve(&a, &mut bad, &b, &mut x).unwrap(),
        Cg::flexible(36, s, 0).unwrap().solve(&a, &mut bad, &b, &mut x).unwrap(),
        Cg::flexible(36, s, 2).unwrap().solve(&a, &mut bad, &b, &mut x).unwrap(),
        MinRes::new(36, s).unwrap().solve(&a, &mut bad, &b, &mut x).unwrap(),
        Gmres::new(36, 5, s).unwrap().solve(&a, &mut bad, &b, &mut x).unwrap(),
        BiCgStab::new(36, s).unwrap().solve(&a, &mut bad, &b, &mut x).unwrap(),
    ] {
        assert_eq!(report.outcome, Outcome::NonFinite);
        assert_eq!(x, [0.0; 36]);
    }
}

/// A tolerance below what rounding allows is not reached, and said so; the budget and divergence too.
#[test]
fn unreachable_tolerances_stagnate() {
    let spectrum: Vec<f64> = (0..40).map(|i| 10f64.powf(i as f64 / 8.0)).collect();
    let a = with_spectrum(&spectrum, 6);
    let b: Vec<f64> = random(40, 7);
    let s = Settings::tol(1e-17);
    macro_rules! each {
        ($($method:expr),*) => {$(
            let mut x = vec![0.0; 40];
            let report = $method.unwrap().solve(&a, &mut Identity(40), &b, &mut x).unwrap();
            let name = stringify!($method);
            assert_eq!(report.outcome, Outcome::Stagnated, "{name}");
            assert!(report.iterations < 3000, "{name} {}", report.iterations);
            assert!(report.relative_residual() < 1e-10, "{name} {}", report.relative_residual());
        )*};
    }
    each!(
        Cg::new(40, s),
        Cg::flexible(40, s, 1),
        MinRes::new(40, s),
        Gmres::new(40, 40, s),
        BiCgStab::new(40, s)
    );
    let mut x = vec![0.0; 40];
    let few = Settings::tol(1e-8).max_iterations(3);
    let report = Cg::new(40, few).unwrap().solve(&a, &mut Identity(40), &b, &mut x).unwrap();
    assert_eq!((report.outcome, report.iterations), (Outcome::MaxIterations, 3));
    assert!((report.residual() - norm(&minus(&b, &product(&a, &x)))).abs() < 1e-12);
    // A proposer of nonsense: steepest descent along it stagnates.
    let mut nonsense = Map(40, Claims::NONE, |_: &[f64], z: &mut [f64]| {
        z.fill(0.0);
        z[0] = 1.0;
    });
    let mut method = Cg::flexible(40, Settings { stagnation: 20, ..Settings::default() }, 0).unwrap();
    let report = method.solve(&a, &mut nonsense, &b, &mut x).unwrap();
    assert_eq!(report.outcome, Outcome::Stagnated);
}

/// A system without a solution: GMRES breaks down, MINRES and CG do not pretend.
#[test]
fn singular_systems_do_not_converge() {
    let a = with_spectrum(&[1.0, 2.0, 3.0, 0.0, 5.0, 4.0], 8);
    let b: Vec<f64> = random(6, 9);
    let s = Settings { stagnation: 50, ..Settings::tol(1e-8) };
    let mut x = vec![0.0; 6];
    for report in [
        Cg::new(6, s).unwrap().solve(&a, &mut Identity(6), &b, &mut x).unwrap(),
        MinRes::new(6, s).unwrap().solve(&a, &mut Identity(6), &b, &mut x).unwrap(),
        Gmres::new(6, 6, s).unwrap().solve(&a, &mut Identity(6), &b, &mut x).unwrap(),
        BiCgStab::new(6, s).unwrap().solve(&a, &mut Identity(6), &b, &mut x).unwrap(),
    ] {
        println!("{:?} {} {}", report.outcome, report.iterations, report.relative_residual());
        assert!(!report.converged(), "{:?}", report.outcome);
        x.fill(0.0);
    }
    let report = Lsqr::new([6, 6], s).unwrap().solve(&a, &mut Identity(6), &b, &mut x).unwrap();
    assert!(matches!(report.outcome, Outcome::LeastSquares { .. }), "{:?}", report.outcome);
    // With a right-hand side in the range, CG and MINRES solve it.
    let b = product(&a, &b);
    for report in [
        Cg::new(6, s).unwrap().solve(&a, &mut Identity(6), &b, &mut [0.0; 6]).unwrap(),
        MinRes::new(6, s).unwrap().solve(&a, &mut Identity(6), &b, &mut [0.0; 6]).unwrap(),
        Gmres::new(6, 6, s).unwrap().solve(&a, &mut Identity(6), &b, &mut [0.0; 6]).unwrap(),
    ] {
        assert!(report.converged(), "{:?}", report.outcome);
    }
}

/// r̂ᵀAr = 0 for every r on a skew matrix: BiCGStab breaks down; one that loses its shadow recovers.
#[test]
fn bicgstab_breaks_down_on_skew_matrices() {
    let a = from_dense([2, 2], &[0.0, 1.0, -1.0, 0.0]);
    let mut x = [0.0; 2];
    let mut method = BiCgStab::new(2, Settings::default()).unwrap();
    let report = method.solve(&a, &mut Identity(2), &[1.0, 2.0], &mut x).unwrap();
    assert_eq!(report.outcome, Outcome::Breakdown);
    // (r̂, A r) = 0 at the start only: ω carries it over.
    let a = from_dense([3, 3], &[0.0, 1.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let mut gmres = Gmres::new(3, 3, Settings::default()).unwrap();
    assert!(gmres.solve(&a, &mut Identity(3), &[1.0, 0.0, 0.0], &mut [0.0; 3]).unwrap().converged());
}
