//! CG preconditioned by SSOR with Eisenstat's trick: the iterates of PCG with the same preconditioner, for
//! every form that the matrix is kept in; residuals that are true; what it refuses.

mod linalg_support;

use linalg_support::*;
use odeon::linalg::grid::{Boundary, Grid, Stencil, StencilOperator};
use odeon::linalg::krylov::{Cg, Matrix, SsorCg};
use odeon::linalg::precondition::Ssor;
use odeon::linalg::{Csr, LinearOperator, Outcome, Settings, model};
use odeon::num::Real;
use std::error::Error;

type Tested = Result<(), Box<dyn Error>>;

/// 4.5, −1.3 along x, −0.7 along y.
fn five_points(extents: [usize; 2]) -> Result<StencilOperator<f64>, odeon::Error> {
    let terms =
        [([0, 0, 0], 4.5), ([1, 0, 0], -1.3), ([-1, 0, 0], -1.3), ([0, 1, 0], -0.7), ([0, -1, 0], -0.7)];
    StencilOperator::constant(Grid::vertices(&extents, &[1.0; 2])?, Stencil::new(&terms)?)
}

/// SPD by its diagonal, entries anywhere: no levels to speak of.
fn scattered(n: usize) -> Result<Csr<f64>, odeon::Error> {
    let mut triplets = Vec::new();
    let values: Vec<f64> = random(4 * n, 3);
    for (k, v) in values.iter().enumerate() {
        let (i, j) = (k % n, (k * k * 7 + 3 * k) % n);
        if i != j {
            triplets.extend([(i, j, *v), (j, i, *v)]);
        }
    }
    let mut sums = vec![1.0; n];
    triplets.iter().for_each(|(i, _, v)| sums[*i] += v.abs());
    triplets.extend(sums.iter().enumerate().map(|(i, s)| (i, i, s * (1.0 + 0.1 * (i % 5) as f64))));
    Csr::from_triplets([n, n], &triplets)
}

/// The 5-point matrix with a diagonal and couplings that differ from point to point.
fn variable(extents: [usize; 2]) -> Result<Csr<f64>, odeon::Error> {
    let mut a = five_points(extents)?.to_csr();
    let scale: Vec<f64> = (0..a.rows()).map(|i| 1.0 + 0.5 * (1.7 * i as f64).sin()).collect();
    for i in 0..a.rows() {
        for k in a.row_starts()[i]..a.row_starts()[i + 1] {
            let j = a.columns()[k] as usize;
            a.values_mut()[k] *= scale[i] * scale[j];
        }
    }
    Ok(a)
}

fn matrices() -> Result<Vec<(String, Matrix<f64>)>, odeon::Error> {
    let mut all: Vec<(String, Matrix<f64>)> = Vec::new();
    for extents in [[2, 2], [3, 9], [9, 3], [7, 8], [8, 7], [16, 16], [33, 20], [20, 33]] {
        all.push((format!("stencil {extents:?}"), five_points(extents)?.into()));
        all.push((format!("matrix {extents:?}"), variable(extents)?.into()));
    }
    let nine = model::poisson_9::<f64>(Grid::vertices(&[21, 18], &[1.0; 2])?)?;
    all.push(("9 points".into(), nine.into()));
    let sides = Grid::cells(&[19, 17], &[1.0; 2])?.with_boundary(Boundary::Neumann)?;
    all.push(("Neumann".into(), model::poisson::<f64>(sides)?.affine(1.0, 0.1)?.into()));
    // What one axis takes from the diagonal of a corner, the other one adds.
    let mixed = Grid::cells(&[19, 17], &[1.0; 2])?.with_sides(0, [Boundary::Neumann; 2])?;
    all.push(("mixed sides".into(), model::poisson::<f64>(mixed)?.into()));
    let around = Grid::cells(&[12, 10], &[1.0; 2])?.with_boundary(Boundary::Periodic)?;
    all.push(("periodic".into(), model::poisson::<f64>(around)?.affine(1.0, 0.1)?.into()));
    all.push(("line".into(), model::poisson_1d::<f64>(40)?.into()));
    all.push(("box".into(), model::poisson_3d::<f64>([6, 5, 7])?.into()));
    all.push(("scattered".into(), scattered(150)?.into()));
    all.push(("diagonal".into(), Csr::from_diagonal(&[3.0, 1.0, 4.0])?.into()));
    all.push(("one unknown".into(), Csr::from_diagonal(&[2.0])?.into()));
    Ok(all)
}

fn assembled<T: Real>(a: &Matrix<T>) -> Csr<T> {
    match a {
        Matrix::Csr(a) => a.clone(),
        Matrix::Stencil(a) => a.to_csr(),
    }
}

#[test]
fn iterates_are_those_of_pcg() -> Tested {
    for (name, a) in matrices()? {
        let n = a.rows();
        let (b, guess): (Vec<f64>, Vec<f64>) = (random(n, 1), random(n, 2));
        let csr = assembled(&a);
        for omega in [0.3, 1.0, 1.5, 1.9] {
            for iterations in [1, 2, 3, 7] {
                let settings = Settings::tol(1e-14).max_iterations(iterations);
                let (mut x, mut want) = (guess.clone(), guess.clone());
                let pcg = Cg::new(n, settings)?.solve(&csr, &mut Ssor::new(&csr, omega)?, &b, &mut want)?;
                let report = SsorCg::new(&a, omega, settings)?.solve(&a, &b, &mut x)?;
                let apart = x.iter().zip(&want).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
                let size = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
                assert!(apart < 1e-11 * size, "{name}, ω = {omega}, {iterations}: {apart:e}");
                if pcg.converged() || report.converged() {
                    continue;
                }
                for (k, (got, want)) in report.residuals.iter().zip(&pcg.residuals).enumerate() {
                    assert!(
                        (got - want).abs() < 1e-9 * pcg.residuals[0],
                        "{name}, ω = {omega}, ‖r_{k}‖: {got} {want}"
                    );
                }
            }
        }
    }
    Ok(())
}

/// A second solve with another ω, right-hand side and matrix is that of a fresh solver, bit for bit.
#[test]
fn nothing_is_left_of_earlier_solves() -> Tested {
    let settings = Settings::tol(1e-10);
    let pairs: [[Matrix<f64>; 2]; 4] = [
        [five_points([14, 11])?.into(), five_points([14, 11])?.affine(0.3, 1.0)?.into()],
        [variable([14, 11])?.into(), five_points([14, 11])?.to_csr().into()],
        [five_points([14, 11])?.into(), five_points([11, 14])?.into()],
        [scattered(154)?.into(), variable([14, 11])?.into()],
    ];
    for [first, second] in pairs {
        let (b, c): (Vec<f64>, Vec<f64>) = (random(154, 1), random(154, 2));
        let mut solver = SsorCg::new(&first, 1.3, settings)?;
        solver.solve(&first, &b, &mut vec![0.0; 154])?.ok()?;
        solver.refill(&second)?;
        solver.set_omega(1.6)?;
        let [mut x, mut y] = [0, 1].map(|_| vec![0.0; 154]);
        let again = solver.solve(&second, &c, &mut x)?.ok()?;
        let fresh = SsorCg::new(&second, 1.6, settings)?.solve(&second, &c, &mut y)?.ok()?;
        assert_eq!(x, y);
        assert_eq!(again.residuals, fresh.residuals);
    }
    Ok(())
}

/// What it stops on is ‖b − A x‖, and the counts are PCG's.
#[test]
fn a_solve_stops_on_the_true_residual() -> Tested {
    for (name, a) in matrices()? {
        let (n, csr) = (a.rows(), assembled(&a));
        let b: Vec<f64> = random(n, 5);
        for omega in [1.0, 1.6] {
            let [mut x, mut y] = [0, 1].map(|_| vec![0.0; n]);
            let report = SsorCg::new(&a, omega, Settings::tol(1e-9))?.solve(&a, &b, &mut x)?.ok()?;
            let pcg =
                Cg::new(n, Settings::tol(1e-9))?.solve(&csr, &mut Ssor::new(&csr, omega)?, &b, &mut y)?;
            let mut r = vec![0.0; n];
            csr.residual(&b, &x, &mut r);
            assert!(norm(&r) <= 1e-9 * norm(&b) * (1.0 + 1e-6), "{name}: {}", norm(&r));
            assert!(report.iterations.abs_diff(pcg.iterations) <= 1, "{name}: {}", report.iterations);
            // The norm of the last iteration is summed from r̃, not from x.
            let seen = report.residuals[report.iterations];
            assert!((seen - norm(&r)).abs() < 1e-12 * norm(&b), "{name}: {seen} {}", norm(&r));
        }
    }
    Ok(())
}

/// The true residual replaces the recurrence's every few iterations, and the directions go on.
#[test]
fn replaced_residuals_do_not_restart_it() -> Tested {
    let a = Matrix::from(five_points([40, 30])?.affine(1.0, -0.45)?);
    let b: Vec<f64> = random(1200, 5);
    let run = |settings: Settings| SsorCg::new(&a, 1.5, settings)?.solve(&a, &b, &mut vec![0.0; 1200]);
    let settings = Settings::tol(1e-10);
    let often = run(Settings { check_every: 2, ..settings })?.ok()?;
    let seldom = run(settings)?.ok()?;
    assert!(often.iterations.abs_diff(seldom.iterations) <= 1, "{} {}", often.iterations, seldom.iterations);
    for (k, true_norm) in &often.true_residuals {
        assert!((often.residuals[*k] - true_norm).abs() < 1e-9 * true_norm.max(1e-3));
    }
    Ok(())
}

#[test]
fn single_precision_solves_to_its_resolution() -> Tested {
    let a = Matrix::from(model::poisson_2d::<f32>([23, 18])?);
    let stencil = Matrix::from(model::poisson::<f32>(Grid::vertices(&[23, 18], &[1.0; 2])?)?);
    for a in [a, stencil] {
        let b: Vec<f32> = random(414, 1);
        let report = SsorCg::new(&a, 1.6, Settings::tol(1e-5))?.solve(&a, &b, &mut vec![0.0; 414])?;
        assert!(report.converged() && report.relative_residual() <= 1e-5);
    }
    Ok(())
}

/// A solve that overflows ends, and the next one is not touched by it.
#[test]
fn a_solve_after_one_that_overflowed_is_that_of_a_fresh_solver() -> Tested {
    for a in [five_points([14, 11])?.into(), Matrix::from(variable([14, 11])?), scattered(154)?.into()] {
        let b: Vec<f64> = random(154, 1);
        let huge: Vec<f64> = b.iter().map(|b| 1e300 * b).collect();
        let mut solver = SsorCg::new(&a, 1.3, Settings::tol(1e-10))?;
        let report = solver.solve(&a, &huge, &mut vec![0.0; 154])?;
        assert_eq!(report.outcome, Outcome::NonFinite);
        let [mut x, mut y] = [0, 1].map(|_| vec![0.0; 154]);
        solver.solve(&a, &b, &mut x)?.ok()?;
        SsorCg::new(&a, 1.3, Settings::tol(1e-10))?.solve(&a, &b, &mut y)?.ok()?;
        assert_eq!(x, y);
    }
    Ok(())
}

#[test]
fn what_is_not_positive_definite_is_told() -> Tested {
    // Positive diagonal, eigenvalues 1 ± 2.
    let a = Matrix::from(Csr::from_triplets([2, 2], &[(0, 0, 1.0), (0, 1, 2.0), (1, 0, 2.0), (1, 1, 1.0)])?);
    let report = SsorCg::new(&a, 1.0, Settings::tol(1e-8))?.solve(&a, &[1.0, -1.0], &mut [0.0; 2])?;
    let Outcome::Indefinite { curvature } = report.outcome else { return Err(format!("{report:?}").into()) };
    // p = M⁻¹b ∝ (7, −3): pᵀAp/pᵀp = 1 − 4·21/58.
    assert!((curvature - (1.0 - 84.0 / 58.0)).abs() < 1e-12, "{curvature}");
    let stencil = Matrix::from(five_points([9, 8])?.affine(1.0, -2.0)?);
    let report =
        SsorCg::new(&stencil, 1.2, Settings::tol(1e-8))?.solve(&stencil, &[1.0; 72], &mut [0.0; 72])?;
    assert!(matches!(report.outcome, Outcome::Indefinite { .. }), "{:?}", report.outcome);
    Ok(())
}

#[test]
fn refusals_name_the_place() -> Tested {
    let settings = Settings::tol(1e-8);
    let message = |triplets: &[(usize, usize, f64)]| -> Result<String, Box<dyn Error>> {
        let a = Matrix::from(Csr::from_triplets([3, 3], triplets)?);
        SsorCg::new(&a, 1.0, settings).err().map(|e| e.to_string()).ok_or_else(|| "accepted".into())
    };
    let d = [(0, 0, 2.0), (1, 1, 2.0), (2, 2, 2.0)];
    let with = |more: &[(usize, usize, f64)]| [&d[..], more].concat();
    assert!(message(&d[..2])?.contains("row 2"));
    assert!(message(&[d[0], (1, 1, 0.0), d[2]])?.contains("row 1"));
    assert!(message(&[(0, 0, -2.0), d[1], d[2]])?.contains("-2 on the diagonal of row 0"));
    assert!(message(&with(&[(2, 1, 1.0)]))?.contains("(2, 1)"));
    assert!(message(&with(&[(2, 1, 1.0), (1, 2, 1.5)]))?.contains("1.5 at (1, 2)"));
    let a = Matrix::from(Csr::from_triplets([3, 3], &d)?);
    for omega in [0.0, 2.0, -0.5, f64::NAN] {
        assert!(SsorCg::new(&a, omega, settings).is_err_and(|e| e.to_string().contains('ω')));
    }
    let mut solver = SsorCg::new(&a, 1.0, settings)?;
    assert!(solver.set_omega(2.5).is_err_and(|e| e.to_string().contains("2.5")));
    assert!(solver.solve(&a, &[1.0; 2], &mut [0.0; 3]).is_err_and(|e| e.to_string().contains('b')));
    assert!(solver.solve(&a, &[f64::NAN; 3], &mut [0.0; 3]).is_err());
    let zero = Matrix::from(five_points([4, 4])?.affine(1.0, -4.5)?);
    assert!(SsorCg::new(&zero, 1.0, settings).is_err_and(|e| e.to_string().contains("diagonal")));
    // A matrix that is refused leaves the solver as it was.
    let bad = Matrix::from(Csr::from_triplets([3, 3], &[d[0], (1, 1, -1.0), d[2]])?);
    assert!(solver.refill(&bad).is_err());
    let mut x = [0.0; 3];
    solver.solve(&a, &[2.0, 4.0, 6.0], &mut x)?.ok()?;
    assert!(x.iter().zip([1.0, 2.0, 3.0]).all(|(x, y)| (x - y).abs() < 1e-14));
    assert!(solver.refill(&zero).is_err_and(|e| e.to_string().contains("16")));
    Ok(())
}
