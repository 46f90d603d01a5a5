//! Stationary iterations and the preconditioners made of them, against their dense formulae.

use odeon::linalg::krylov::Cg;
use odeon::linalg::precondition::{
    Closure, FromRelaxation, Incomplete, IncompleteCholesky, IncompleteLu, Ssor,
};
use odeon::linalg::relax::{
    BlockGaussSeidel, BlockJacobi, Chebyshev, GaussSeidel, Jacobi, Multicolor, Richardson, Stationary, Sweep,
    optimal_omega, sor_radius,
};
use odeon::linalg::{
    Claims, Csr, LinearOperator, LinearSolver, Outcome, Preconditioner, Relaxation, Settings,
};
use odeon::num::{Real, parallel};
use std::f64::consts::PI;

/// Small dense matrices, by columns of nalgebra.
type Dense = nalgebra::DMatrix<f64>;

fn dense(a: &Csr<f64>) -> Dense {
    Dense::from_fn(a.rows(), a.cols(), |i, j| a.get(i, j))
}

/// Numbers without pattern in [−1, 1].
fn noise(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| ((i as f64 + 1.3) * 12.9898 * seed).sin() * 43758.5453 % 1.0).collect()
}

/// A sparse diagonally dominant matrix; symmetric or not. The rows are irregular: some have no
/// neighbour i ± 1, some only lower, some only upper entries.
fn random(n: usize, symmetric: bool) -> Csr<f64> {
    let mut triplets = Vec::new();
    for i in 0..n {
        triplets.push((i, i, 4.0 + (i as f64).sin()));
        for (k, step) in [1, 3, 7, 12].into_iter().enumerate() {
            let j = i + step;
            if j < n && (i * 7 + k * 5) % 4 != 0 {
                let v = ((i * 31 + k * 17) as f64).sin();
                triplets.push((i, j, v));
                if symmetric {
                    triplets.push((j, i, v));
                } else if (i + k) % 3 != 0 {
                    triplets.push((j, i, 0.7 * v + 0.1));
                }
            }
        }
    }
    Csr::from_triplets([n, n], &triplets).unwrap()
}

/// The 5-point Laplacian on an m × m grid, diagonal 4.
fn poisson(m: usize) -> Csr<f64> {
    let mut triplets = Vec::new();
    for i in 0..m * m {
        triplets.push((i, i, 4.0));
        for (j, there) in [(i + 1, i % m + 1 < m), (i + m, i + m < m * m)] {
            if there {
                triplets.extend([(i, j, -1.0), (j, i, -1.0)]);
            }
        }
    }
    Csr::from_triplets([m * m, m * m], &triplets).unwrap()
}

fn near(what: &str, a: &[f64], b: &[f64]) {
    let size = b.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= 1e-13 * size, "{what}: entry {i} is {a}, not {b}");
    }
}

fn vector(x: &[f64]) -> nalgebra::DVector<f64> {
    nalgebra::DVector::from_column_slice(x)
}

/// A sweep, its adjoint, the one from zero and the transposed one, against M.
fn check<R: Relaxation<f64, Csr<f64>>>(what: &str, a: &Csr<f64>, mut relaxation: R, m: &Dense) {
    let n = a.rows();
    let (b, x0) = (noise(n, 1.0), noise(n, 2.0));
    let inverse = m.clone().try_inverse().unwrap();
    let residual = vector(&b) - dense(a) * vector(&x0);
    let mut x = x0.clone();
    relaxation.sweep(a, &b, &mut x);
    near(&format!("{what}: sweep"), &x, (vector(&x0) + &inverse * &residual).as_slice());
    let mut x = vec![f64::NAN; n];
    relaxation.sweep_from_zero(a, &b, &mut x);
    near(&format!("{what}: from zero"), &x, (&inverse * vector(&b)).as_slice());
    let mut x = vec![f64::NAN; n];
    relaxation.transpose_from_zero(a, &b, &mut x).unwrap();
    near(&format!("{what}: transpose"), &x, (inverse.transpose() * vector(&b)).as_slice());
    if dense(a) == dense(a).transpose() {
        let mut x = x0.clone();
        relaxation.sweep_adjoint(a, &b, &mut x);
        let adjoint = vector(&x0) + inverse.transpose() * residual;
        near(&format!("{what}: adjoint"), &x, adjoint.as_slice());
    }
    let spd = m == &m.transpose() || (m - m.transpose()).norm() < 1e-12 * m.norm();
    let spd = spd && m.clone().cholesky().is_some();
    assert!(spd || !relaxation.is_spd(), "{what} claims to be SPD");
}

/// D, L, U as dense matrices.
fn split(a: &Csr<f64>) -> [Dense; 3] {
    let a = dense(a);
    [
        Dense::from_diagonal(&a.diagonal()),
        a.lower_triangle() - Dense::from_diagonal(&a.diagonal()),
        a.upper_triangle() - Dense::from_diagonal(&a.diagonal()),
    ]
}

#[test]
fn sweeps_are_their_formulae() {
    for a in [random(30, false), random(30, true), poisson(5)] {
        let [d, l, u] = split(&a);
        let n = a.rows();
        check("Richardson", &a, Richardson::new(&a, 0.2).unwrap(), &(Dense::identity(n, n) / 0.2));
        for omega in [1.0, 0.6] {
            check("Jacobi", &a, Jacobi::new(&a, omega).unwrap(), &(&d / omega));
        }
        for omega in [1.0, 0.6, 1.7] {
            let sor = |sweep| GaussSeidel::sor(&a, omega, sweep).unwrap();
            check("SOR", &a, sor(Sweep::Natural), &(&d / omega + &l));
            check("reverse SOR", &a, sor(Sweep::Reverse), &(&d / omega + &u));
            let inverse = d.clone().try_inverse().unwrap();
            let m = (&d + omega * &l) * inverse * (&d + omega * &u) / (omega * (2.0 - omega));
            check("SSOR", &a, sor(Sweep::Symmetric), &m);
        }
    }
}

/// The block diagonal for blocks of `size`, and what is left and right of it.
fn split_blocks(a: &Csr<f64>, size: usize) -> [Dense; 3] {
    let part = |keep: fn(usize, usize) -> bool| {
        Dense::from_fn(a.rows(), a.cols(), |i, j| if keep(i / size, j / size) { a.get(i, j) } else { 0.0 })
    };
    [part(|i, j| i == j), part(|i, j| j < i), part(|i, j| j > i)]
}

#[test]
fn block_sweeps_are_their_formulae() {
    for a in [random(31, false), random(31, true), poisson(5)] {
        for size in [1, 4, 31.min(a.rows())] {
            for omega in [1.0, 0.7, 1.4] {
                let [d, l, u] = split_blocks(&a, size);
                check("block Jacobi", &a, BlockJacobi::new(&a, size, omega).unwrap(), &(&d / omega));
                let sor = |sweep| BlockGaussSeidel::new(&a, size, omega, sweep).unwrap();
                check("block SOR", &a, sor(Sweep::Natural), &(&d / omega + &l));
                check("reverse block SOR", &a, sor(Sweep::Reverse), &(&d / omega + &u));
                let inverse = d.clone().try_inverse().unwrap();
                let m = (&d + omega * &l) * inverse * (&d + omega * &u) / (omega * (2.0 - omega));
                check("block SSOR", &a, sor(Sweep::Symmetric), &m);
                let claims = Preconditioner::<f64>::claims(&BlockJacobi::new(&a, size, omega).unwrap());
                let symmetric = dense(&a) == dense(&a).transpose();
                assert!(size == 1 || claims.spd == symmetric);
                assert_eq!(sor(Sweep::Symmetric).is_spd(), symmetric);
            }
        }
    }
}

#[test]
fn multicolour_sweeps_are_their_formulae() {
    for a in [random(30, false), random(30, true), poisson(5)] {
        let colours = Multicolor::new(&a, 1.0, Sweep::Natural).unwrap().colours().to_vec();
        for i in 0..a.rows() {
            for &j in a.row(i).0.iter().filter(|&&j| j as usize != i) {
                assert_ne!(colours[i], colours[j as usize], "rows {i} and {j} are coupled");
            }
        }
        let part =
            |keep: fn(u32, u32) -> bool| {
                Dense::from_fn(a.rows(), a.cols(), |i, j| {
                    if keep(colours[i], colours[j]) { a.get(i, j) } else { 0.0 }
                })
            };
        let d = split(&a)[0].clone();
        let (l, u) = (part(|i, j| j < i), part(|i, j| j > i));
        for omega in [1.0, 1.5] {
            let sor = |sweep| Multicolor::new(&a, omega, sweep).unwrap();
            check("multicolour SOR", &a, sor(Sweep::Natural), &(&d / omega + &l));
            check("reverse multicolour SOR", &a, sor(Sweep::Reverse), &(&d / omega + &u));
            let inverse = d.clone().try_inverse().unwrap();
            let m = (&d + omega * &l) * inverse * (&d + omega * &u) / (omega * (2.0 - omega));
            check("multicolour SSOR", &a, sor(Sweep::Symmetric), &m);
        }
    }
    let red_black = Multicolor::new(&poisson(6), 1.0, Sweep::Natural).unwrap();
    let expected: Vec<u32> = (0..36).map(|i| (i % 6 + i / 6) % 2).collect();
    assert_eq!(red_black.colours(), expected);
}

/// The error after one sweep is T_k(…)/T_k(…) of each eigenvector.
#[test]
fn chebyshev_is_its_polynomial() {
    let a = poisson(6);
    let n = a.rows();
    let bounds = [0.3, 1.9];
    let chebyshev = |k: usize, t: f64| {
        if t.abs() <= 1.0 {
            (k as f64 * t.acos()).cos()
        } else {
            (k as f64 * t.abs().acosh()).cosh() * t.signum().powi(k as i32)
        }
    };
    let wave = |p: usize, i: usize| ((p * (i + 1)) as f64 * PI / 7.0).sin();
    for degree in 1..=5 {
        let mut relaxation = Chebyshev::with_bounds(&a, degree, bounds).unwrap();
        for (p, q) in [(1, 1), (2, 5), (6, 6), (3, 3)] {
            let v: Vec<f64> = (0..n).map(|i| wave(p, i % 6) * wave(q, i / 6)).collect();
            let t = 1.0 - 0.5 * ((p as f64 * PI / 7.0).cos() + (q as f64 * PI / 7.0).cos());
            let scaled = |t: f64| (bounds[1] + bounds[0] - 2.0 * t) / (bounds[1] - bounds[0]);
            let factor = chebyshev(degree, scaled(t)) / chebyshev(degree, scaled(0.0));
            let mut x = v.clone();
            relaxation.sweep(&a, &vec![0.0; n], &mut x);
            let expected: Vec<f64> = v.iter().map(|v| factor * v).collect();
            near(&format!("degree {degree}, mode {p} {q}"), &x, &expected);
        }
        let (b, mut x, mut y) = (noise(n, 1.0), vec![f64::NAN; n], vec![0.0; n]);
        relaxation.sweep_from_zero(&a, &b, &mut x);
        relaxation.sweep(&a, &b, &mut y);
        near("from zero", &x, &y);
    }
}

#[test]
fn chebyshev_estimates_the_spectrum() {
    let a = poisson(40);
    let (min, max) = (1.0 - (PI / 41.0).cos(), 1.0 + (PI / 41.0).cos());
    let [low, high] = Chebyshev::smoother(&a, 3).unwrap().bounds();
    assert!(high >= max && high < 1.15 * max, "{high} for {max}");
    assert!((high / low - 30.0).abs() < 1e-9);
    let [low, high] = Chebyshev::estimated(&a, 3, 60).unwrap().bounds();
    assert!(high >= max && high < 1.01 * max && low < 1.01 * min && low > 0.5 * min, "{low} for {min}");
}

/// Claims hold where they should, too.
#[test]
fn spd_claims() {
    let (symmetric, skew) = (random(30, true), random(30, false));
    for order in [Sweep::Natural, Sweep::Reverse] {
        assert!(!GaussSeidel::new(&symmetric, order).unwrap().is_spd());
    }
    assert!(GaussSeidel::new(&symmetric, Sweep::Symmetric).unwrap().is_spd());
    assert!(GaussSeidel::new(&symmetric, Sweep::Symmetric).unwrap().sweeps_are_spd(2));
    assert!(!GaussSeidel::new(&skew, Sweep::Symmetric).unwrap().is_spd());
    let mut one_off = symmetric.clone();
    let last = one_off.nnz() - 2;
    one_off.values_mut()[last] += 1e-9;
    assert!(!GaussSeidel::new(&one_off, Sweep::Symmetric).unwrap().is_spd());
    let negative = Csr::from_triplets([2, 2], &[(0, 0, 1.0), (1, 1, -1.0)]).unwrap();
    assert!(!GaussSeidel::new(&negative, Sweep::Symmetric).unwrap().is_spd());
    let jacobi = Jacobi::new(&negative, 1.0).unwrap();
    assert!(!Relaxation::<f64, Csr<f64>>::is_spd(&jacobi));
}

/// M⁻¹ as a dense matrix, column by column.
fn inverse_of(p: &mut impl Preconditioner<f64>) -> Dense {
    let n = p.len();
    let mut m = Dense::zeros(n, n);
    for j in 0..n {
        let (mut e, mut z) = (vec![0.0; n], vec![f64::NAN; n]);
        e[j] = 1.0;
        p.apply(&e, &mut z);
        m.set_column(j, &vector(&z));
    }
    m
}

/// The dot-product test of the transpose, and that an SPD claim is true.
fn check_claims(what: &str, p: &mut impl Preconditioner<f64>, spd: bool) {
    assert_eq!(p.claims(), if spd { Claims::SPD } else { Claims::LINEAR }, "{what}");
    let n = p.len();
    for seed in [1.0, 1.7, 2.3] {
        let (r, s) = (noise(n, seed), noise(n, 3.0 * seed));
        let (mut z, mut w) = (vec![f64::NAN; n], vec![f64::NAN; n]);
        p.apply(&r, &mut z);
        p.apply_transpose(&s, &mut w).unwrap();
        let (left, right) = (vector(&z).dot(&vector(&s)), vector(&r).dot(&vector(&w)));
        let size = vector(&z).norm() * vector(&s).norm();
        assert!((left - right).abs() <= 1e-14 * size, "{what}: {left} {right}");
    }
    let m = inverse_of(p);
    if spd {
        assert!((&m - m.transpose()).norm() <= 1e-14 * m.norm(), "{what} is not symmetric");
        let least = m.symmetric_eigenvalues().min();
        assert!(least > 0.0, "{what} has the eigenvalue {least}");
    }
}

#[test]
fn preconditioners_keep_their_claims() {
    let (s, a) = (random(30, true), random(30, false));
    for omega in [1.0, 0.5, 1.6] {
        check_claims("SSOR", &mut Ssor::new(&s, omega).unwrap(), true);
        check_claims("SSOR of A ≠ Aᵀ", &mut Ssor::new(&a, omega).unwrap(), false);
        check_claims("Jacobi", &mut Jacobi::new(&a, omega).unwrap(), true);
        check_claims("block Jacobi", &mut BlockJacobi::new(&s, 4, omega).unwrap(), true);
        check_claims("block Jacobi of A ≠ Aᵀ", &mut BlockJacobi::new(&a, 4, omega).unwrap(), false);
    }
    for modified in [0.0, 0.9] {
        let options = Incomplete { shift: 0.1, modified };
        check_claims("IC", &mut IncompleteCholesky::with(&s, options).unwrap(), true);
        check_claims("ILU", &mut IncompleteLu::with(&a, options).unwrap(), false);
    }
    for sweeps in [1, 2, 3] {
        for omega in [1.0, 1.6] {
            let of = |a, order| {
                FromRelaxation::new(a, GaussSeidel::sor(a, omega, order).unwrap(), sweeps).unwrap()
            };
            check_claims("SSOR sweeps", &mut of(&s, Sweep::Symmetric), true);
            check_claims("SSOR sweeps of A ≠ Aᵀ", &mut of(&a, Sweep::Symmetric), false);
            check_claims("SOR sweeps", &mut of(&a, Sweep::Natural), false);
            check_claims("reverse SOR sweeps", &mut of(&a, Sweep::Reverse), false);
            let of =
                |a, order| FromRelaxation::new(a, Multicolor::new(a, omega, order).unwrap(), sweeps).unwrap();
            check_claims("multicolour sweeps", &mut of(&s, Sweep::Symmetric), true);
            check_claims("multicolour sweeps", &mut of(&a, Sweep::Symmetric), false);
            let of = |a, order| {
                FromRelaxation::new(a, BlockGaussSeidel::new(a, 4, omega, order).unwrap(), sweeps).unwrap()
            };
            check_claims("block sweeps", &mut of(&s, Sweep::Symmetric), true);
            check_claims("block sweeps", &mut of(&a, Sweep::Symmetric), false);
        }
        for degree in 1..=4 {
            let chebyshev = Chebyshev::smoother(&s, degree).unwrap();
            check_claims("Chebyshev", &mut FromRelaxation::new(&s, chebyshev, sweeps).unwrap(), true);
        }
        let jacobi = Jacobi::new(&a, 0.7).unwrap();
        check_claims("Jacobi sweeps", &mut FromRelaxation::new(&a, jacobi, sweeps).unwrap(), sweeps == 1);
    }
}

/// SSOR as a preconditioner of its own and as a relaxation from zero are one map.
#[test]
fn ssor_in_two_forms() {
    for a in [random(30, true), random(30, false), poisson(5)] {
        let n = a.rows();
        let r = noise(n, 1.0);
        let (mut z, mut w) = (vec![0.0; n], vec![0.0; n]);
        let mut ssor = Ssor::new(&a, 1.0).unwrap();
        ssor.set_omega(1.4).unwrap();
        ssor.apply(&r, &mut z);
        GaussSeidel::sor(&a, 1.4, Sweep::Symmetric).unwrap().sweep_from_zero(&a, &r, &mut w);
        near("SSOR", &z, &w);
    }
}

#[test]
fn incomplete_factors_are_exact_on_the_pattern() {
    for (a, symmetric) in [(random(30, true), true), (random(30, false), false), (poisson(5), true)] {
        let compare = |what: &str, m: Dense, shift: f64| {
            let mut dropped = 0.0f64;
            for i in 0..a.rows() {
                for j in 0..a.cols() {
                    let expected = if i == j { (1.0 + shift) * a.get(i, i) } else { a.get(i, j) };
                    if a.row(i).0.contains(&(j as u32)) {
                        assert!((m[(i, j)] - expected).abs() < 1e-12, "{what} at {i}, {j}: {}", m[(i, j)]);
                    } else {
                        dropped = dropped.max(m[(i, j)].abs());
                    }
                }
            }
            assert!(dropped > 1e-3, "{what}: nothing was dropped, the test shows nothing");
        };
        for shift in [0.0, 0.2] {
            let options = Incomplete { shift, modified: 0.0 };
            let ilu = inverse_of(&mut IncompleteLu::with(&a, options).unwrap()).try_inverse().unwrap();
            compare("ILU(0)", ilu.clone(), shift);
            if symmetric {
                let ic =
                    inverse_of(&mut IncompleteCholesky::with(&a, options).unwrap()).try_inverse().unwrap();
                assert!((&ic - &ilu).norm() < 1e-12 * ic.norm());
                compare("IC(0)", ic, shift);
            }
        }
    }
}

/// Without fill to drop they are direct solvers.
#[test]
fn tridiagonal_factors_are_exact() {
    let n = 20;
    let entries = |upper: f64| {
        let all = (0..n).flat_map(|i| [(i, i, 3.0 + i as f64), (i, i + 1, upper), (i + 1, i, -1.0)]);
        let inside: Vec<_> = all.filter(|&(i, j, _)| i < n && j < n).collect();
        Csr::from_triplets([n, n], &inside).unwrap()
    };
    let b = noise(n, 1.0);
    let solve = |a: &Csr<f64>, p: &mut dyn Preconditioner<f64>| {
        let (mut x, mut r) = (vec![0.0; n], vec![0.0; n]);
        p.apply(&b, &mut x);
        a.residual(&b, &x, &mut r);
        near("residual", &r, &vec![0.0; n]);
    };
    solve(&entries(-1.0), &mut IncompleteCholesky::new(&entries(-1.0)).unwrap());
    solve(&entries(0.5), &mut IncompleteLu::new(&entries(0.5)).unwrap());
}

/// M 1 = A 1 for the modified factorisations.
#[test]
fn modified_factors_keep_row_sums() {
    for (a, symmetric) in [(poisson(6), true), (random(30, true), true), (random(30, false), false)] {
        let options = Incomplete { shift: 0.0, modified: 1.0 };
        let ones = Dense::from_element(a.rows(), 1, 1.0);
        let check = |m: Dense| near("row sums", (m * &ones).as_slice(), (dense(&a) * &ones).as_slice());
        check(inverse_of(&mut IncompleteLu::with(&a, options).unwrap()).try_inverse().unwrap());
        if symmetric {
            check(inverse_of(&mut IncompleteCholesky::with(&a, options).unwrap()).try_inverse().unwrap());
        }
    }
}

fn stationary<R: Relaxation<f64, Csr<f64>>>(a: &Csr<f64>, relaxation: R, b: &[f64]) -> usize {
    let mut x = vec![0.0; b.len()];
    let report = Stationary::new(a, relaxation, Settings::tol(1e-8)).unwrap().solve(b, &mut x).unwrap();
    let mut r = vec![0.0; b.len()];
    a.residual(b, &x, &mut r);
    let true_norm = vector(&r).norm();
    assert!((true_norm - report.residual()).abs() <= 1e-12 * true_norm);
    assert!(true_norm <= 1e-8 * vector(b).norm());
    assert_eq!(report.residuals.len(), report.iterations + 1);
    report.ok().unwrap().iterations
}

/// Within one of the pinned counts.
fn pinned(what: &str, counts: &[usize], expected: &[usize]) {
    let close = counts.iter().zip(expected).all(|(&c, &e)| c.abs_diff(e) <= 1);
    assert!(close && counts.len() == expected.len(), "{what}: {counts:?}, not {expected:?}");
}

#[test]
fn young_finds_the_best_omega() {
    for (m, expected) in [(10, [186, 53, 38, 362]), (32, [1533, 510, 110, 364])] {
        let a = poisson(m);
        let b: Vec<f64> = noise(m * m, 1.0);
        let beta = (PI / (m + 1) as f64).cos();
        let best = optimal_omega(beta).unwrap();
        let count = |omega| stationary(&a, GaussSeidel::sor(&a, omega, Sweep::Natural).unwrap(), &b);
        pinned("SOR", &[1.0, 1.5, best, 1.95].map(count), &expected);
    }
}

/// ρ = lim ‖Cᵏ‖^(1/k), at k = 2²⁴ by repeated squaring.
fn radius(mut c: Dense) -> f64 {
    let mut log = 0.0;
    for square in 0..24 {
        let norm = c.norm();
        log += norm.ln() / f64::from(1 << square);
        c /= norm;
        c = &c * &c;
    }
    (log + c.norm().ln() / f64::from(1 << 24)).exp()
}

/// ρ of the dense iteration matrix is Young's.
#[test]
fn young_knows_the_radius() {
    let a = poisson(5);
    let [d, l, _] = split(&a);
    let beta = (PI / 6.0).cos();
    let best = optimal_omega(beta).unwrap();
    for omega in [0.5, 1.0, 1.2, best - 0.02, best + 0.02, 1.6, 1.9] {
        let inverse = (&d / omega + &l).try_inverse().unwrap();
        let iteration = Dense::identity(25, 25) - inverse * dense(&a);
        let (radius, young) = (radius(iteration), sor_radius(omega, beta).unwrap());
        assert!((radius - young).abs() < 1e-5, "ω = {omega}: {radius}, Young {young}");
    }
}

#[test]
fn iteration_counts_of_every_relaxation() {
    let a = poisson(16);
    let b = noise(256, 1.0);
    let best = optimal_omega((PI / 17.0).cos()).unwrap();
    let sor = |omega, order| stationary(&a, GaussSeidel::sor(&a, omega, order).unwrap(), &b);
    let colour = |omega, order| stationary(&a, Multicolor::new(&a, omega, order).unwrap(), &b);
    let ends = [1.0 - (PI / 17.0).cos(), 1.0 + (PI / 17.0).cos()];
    let counts = [
        stationary(&a, Richardson::optimal(&a, ends.map(|e| 4.0 * e)).unwrap(), &b),
        stationary(&a, Jacobi::new(&a, 1.0).unwrap(), &b),
        sor(1.0, Sweep::Natural),
        sor(1.0, Sweep::Reverse),
        sor(1.0, Sweep::Symmetric),
        sor(best, Sweep::Natural),
        sor(best, Sweep::Symmetric),
        colour(1.0, Sweep::Natural),
        colour(best, Sweep::Natural),
        stationary(&a, BlockJacobi::new(&a, 16, 1.0).unwrap(), &b),
        stationary(&a, BlockGaussSeidel::new(&a, 16, 1.0, Sweep::Natural).unwrap(), &b),
        stationary(&a, Chebyshev::with_bounds(&a, 10, ends).unwrap(), &b),
    ];
    pinned("relaxations", &counts, &[902, 902, 440, 438, 226, 58, 67, 450, 56, 447, 223, 15]);
}

fn cg(a: &Csr<f64>, p: &mut impl Preconditioner<f64>, rtol: f64) -> usize {
    let n = a.rows();
    let mut x = vec![0.0; n];
    let report = Cg::new(n, Settings::tol(rtol)).unwrap().solve(a, p, &noise(n, 1.0), &mut x).unwrap();
    report.ok().unwrap().iterations
}

/// Plausible beside learned-solvers.md: IC(0)-CG 37 to 1e-4 and 66 to 1e-8 on 64² with a random b.
#[test]
fn iteration_counts_of_preconditioned_cg() {
    let a = poisson(64);
    let n = a.rows();
    let mic = |modified| IncompleteCholesky::with(&a, Incomplete { modified, shift: 0.0 }).unwrap();
    let ssor = |omega| Ssor::new(&a, omega).unwrap();
    let two = FromRelaxation::new(&a, GaussSeidel::new(&a, Sweep::Symmetric).unwrap(), 2);
    let colours = FromRelaxation::new(&a, Multicolor::new(&a, 1.0, Sweep::Symmetric).unwrap(), 1);
    let chebyshev = FromRelaxation::new(&a, Chebyshev::smoother(&a, 4).unwrap(), 1);
    let blocks = &mut BlockJacobi::new(&a, 64, 1.0).unwrap();
    let plain = &mut Closure::new(n, Claims::SPD, |r: &[f64], z: &mut [f64]| z.copy_from_slice(r));
    let counts = [
        cg(&a, plain, 1e-4),
        cg(&a, plain, 1e-8),
        cg(&a, &mut mic(0.0), 1e-4),
        cg(&a, &mut mic(0.0), 1e-8),
        cg(&a, &mut mic(1.0), 1e-8),
        cg(&a, &mut ssor(1.0), 1e-8),
        cg(&a, &mut ssor(1.7), 1e-8),
        cg(&a, &mut ssor(1.9), 1e-8),
        cg(&a, &mut two.unwrap(), 1e-8),
        cg(&a, &mut colours.unwrap(), 1e-8),
        cg(&a, &mut chebyshev.unwrap(), 1e-8),
        cg(&a, blocks, 1e-8),
    ];
    let expected = [117, 189, 35, 64, 34, 74, 36, 32, 53, 95, 52, 147];
    pinned("preconditioned CG", &counts, &expected);
}

/// Bits of a sweep, an SSOR sweep and a solve on a grid large enough to be cut.
#[test]
fn multicolour_bits_do_not_depend_on_threads() {
    let a = poisson(150);
    let b = noise(150 * 150, 1.0);
    let run = |threads: usize| {
        parallel::with_threads(threads, || {
            let mut x = noise(b.len(), 2.0);
            for (omega, order) in [(1.0, Sweep::Natural), (1.7, Sweep::Symmetric), (0.8, Sweep::Reverse)] {
                let mut colours = Multicolor::new(&a, omega, order).unwrap();
                colours.sweep(&a, &b, &mut x);
                colours.sweep_adjoint(&a, &b, &mut x);
            }
            x.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        })
        .unwrap()
    };
    let one = run(1);
    assert!(run(2) == one && run(5) == one);
}

/// f32 sweeps are the f64 ones to single precision.
#[test]
fn single_precision() {
    let a = random(60, true);
    let single: Vec<f32> = a.values().iter().map(|&v| v as f32).collect();
    let a32 = Csr::new([60, 60], a.row_starts().to_vec(), a.columns().to_vec(), single).unwrap();
    let b = noise(60, 1.0);
    let b32: Vec<f32> = b.iter().map(|&v| v as f32).collect();
    fn run<T: Real>(a: &Csr<T>, b: &[T]) -> Vec<Vec<f64>> {
        let mut out = Vec::new();
        let mut sweep = |relaxation: &mut dyn Relaxation<T, Csr<T>>| {
            let mut x = vec![T::zero(); b.len()];
            (0..3).for_each(|_| relaxation.sweep(a, b, &mut x));
            out.push(x.iter().map(|x| x.f64()).collect());
        };
        sweep(&mut Jacobi::new(a, 0.8).unwrap());
        sweep(&mut GaussSeidel::sor(a, 1.3, Sweep::Symmetric).unwrap());
        sweep(&mut Multicolor::new(a, 1.3, Sweep::Natural).unwrap());
        sweep(&mut BlockGaussSeidel::new(a, 7, 1.0, Sweep::Natural).unwrap());
        sweep(&mut Chebyshev::smoother(a, 3).unwrap());
        let mut apply = |p: &mut dyn Preconditioner<T>| {
            let mut z = vec![T::zero(); b.len()];
            p.apply(b, &mut z);
            out.push(z.iter().map(|z| z.f64()).collect());
        };
        apply(&mut Ssor::new(a, 1.3).unwrap());
        apply(&mut IncompleteCholesky::new(a).unwrap());
        apply(&mut IncompleteLu::new(a).unwrap());
        out
    }
    let (double, single) = (run(&a, &b), run(&a32, &b32));
    assert_eq!(double.len(), 8);
    for (k, (x, y)) in double.iter().zip(&single).enumerate() {
        let difference = (vector(x) - vector(y)).norm() / vector(x).norm();
        assert!(difference > 1e-12 && difference < 2e-6, "{k}: {difference}");
    }
}

/// Chebyshev, Jacobi and Richardson need no matrix.
#[test]
fn matrix_free() {
    struct Stencil(Csr<f64>);
    impl LinearOperator<f64> for Stencil {
        fn rows(&self) -> usize {
            self.0.rows()
        }
        fn cols(&self) -> usize {
            self.0.cols()
        }
        fn apply(&self, x: &[f64], y: &mut [f64]) {
            self.0.apply(x, y);
        }
        fn apply_transpose(&self, y: &[f64], x: &mut [f64]) {
            self.0.apply_transpose(y, x);
        }
        fn diagonal(&self) -> Option<Vec<f64>> {
            self.0.diagonal()
        }
    }
    let a = Stencil(poisson(8));
    let b = noise(64, 1.0);
    let solve = |solver: &mut dyn LinearSolver<f64>| {
        let mut x = vec![0.0; 64];
        solver.solve(&b, &mut x).unwrap().ok().unwrap().iterations
    };
    let settings = Settings::tol(1e-8);
    let jacobi = solve(&mut Stationary::new(&a, Jacobi::new(&a, 1.0).unwrap(), settings).unwrap());
    assert!(jacobi > 100);
    let chebyshev = Chebyshev::estimated(&a, 8, 30).unwrap();
    assert!(solve(&mut Stationary::new(Box::new(a), chebyshev, settings).unwrap()) < 10);
}

#[test]
fn transposed_solves() {
    let a = random(40, false);
    let b = noise(40, 1.0);
    fn solve<R: Relaxation<f64, Csr<f64>>>(a: &Csr<f64>, b: &[f64], relaxation: R) {
        let mut x = vec![0.0; 40];
        let mut solver = Stationary::new(a, relaxation, Settings::tol(1e-12)).unwrap();
        let report = solver.solve_transpose(b, &mut x).unwrap().ok().unwrap();
        assert!(report.iterations < 100);
        let residual = vector(b) - dense(a).transpose() * vector(&x);
        assert!(residual.norm() < 1e-11 * vector(b).norm());
        assert!((residual.norm() - report.residual()).abs() < 1e-14);
    }
    solve(&a, &b, GaussSeidel::new(&a, Sweep::Natural).unwrap());
    solve(&a, &b, Jacobi::new(&a, 1.0).unwrap());
    solve(&a, &b, BlockGaussSeidel::new(&a, 6, 1.0, Sweep::Symmetric).unwrap());
    solve(&a, &b, Multicolor::new(&a, 1.1, Sweep::Reverse).unwrap());
}

#[test]
fn solves_say_why_they_end() {
    let solve = |a: &Csr<f64>, settings: Settings| {
        let b = noise(a.rows(), 1.0);
        let mut x = vec![0.0; a.rows()];
        let jacobi = Jacobi::new(a, 1.0).unwrap();
        Stationary::new(a, jacobi, settings).unwrap().solve(&b, &mut x).unwrap()
    };
    let entries = |off: f64| {
        let all = (0..9).flat_map(|i| (0..9).map(move |j| (i, j, if i == j { 1.0 } else { off })));
        Csr::from_triplets([9, 9], &all.collect::<Vec<_>>()).unwrap()
    };
    let short = solve(&poisson(8), Settings::tol(1e-8).max_iterations(7));
    assert_eq!((short.outcome, short.iterations), (Outcome::MaxIterations, 7));
    assert!(short.residual() < short.residuals[0] && short.preconditions == 7);
    let diverged = solve(&entries(0.9), Settings::default());
    assert_eq!(diverged.outcome, Outcome::Diverged);
    assert!(diverged.ok().unwrap_err().to_string().contains("does not contract"));
    // The Neumann problem with b outside the range.
    let singular =
        Csr::from_triplets([2, 2], &[(0, 0, 1.0), (0, 1, -1.0), (1, 0, -1.0), (1, 1, 1.0)]).unwrap();
    let mut x = [0.0; 2];
    let gs = GaussSeidel::new(&singular, Sweep::Natural).unwrap();
    let mut solver =
        Stationary::new(&singular, gs, Settings { stagnation: 20, ..Settings::default() }).unwrap();
    assert_eq!(solver.solve(&[1.0, 1.0], &mut x).unwrap().outcome, Outcome::Stagnated);
    assert_eq!(solver.solve(&[0.0, 0.0], &mut x).unwrap().iterations, 0);
    assert_eq!(x, [0.0; 2]);
    assert!(solver.solve(&[1.0], &mut x).is_err());
    let message = solver.solve(&[1.0, f64::NAN], &mut x).unwrap_err().to_string();
    assert!(message.contains("b[1]"), "{message}");
}

/// Every constructor of a method that divides by the diagonal.
fn constructors(a: &Csr<f64>, omega: f64) -> Vec<(&'static str, Option<odeon::Error>)> {
    vec![
        ("Jacobi", Jacobi::new(a, omega).err()),
        ("Gauss–Seidel", GaussSeidel::sor(a, omega, Sweep::Natural).err()),
        ("SSOR", GaussSeidel::sor(a, omega, Sweep::Symmetric).err()),
        ("Multicolor", Multicolor::new(a, omega, Sweep::Natural).err()),
        ("block Jacobi", BlockJacobi::new(a, 1, omega).err()),
        ("block Gauss–Seidel", BlockGaussSeidel::new(a, 1, omega, Sweep::Natural).err()),
        ("Ssor", Ssor::new(a, omega).err()),
        ("Chebyshev", Chebyshev::smoother(a, 2).err()),
        ("IC(0)", IncompleteCholesky::new(a).err()),
        ("ILU(0)", IncompleteLu::new(a).err()),
    ]
}

#[test]
fn bad_input_is_an_error_that_says_so() {
    let make = |shape, t: &[(usize, usize, f64)]| Csr::from_triplets(shape, t).unwrap();
    let all_fail = |a: &Csr<f64>, omega: f64, expected: &str, count: usize| {
        for (what, error) in constructors(a, omega).into_iter().take(count) {
            let message = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(message.contains(expected), "{what}: {message:?} should say {expected:?}");
        }
    };
    let missing = make([2, 2], &[(0, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0)]);
    let stored = make([2, 2], &[(0, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0), (1, 1, 0.0)]);
    for a in [missing, stored] {
        for (what, error) in constructors(&a, 1.0) {
            let message = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(message.contains("row 1") || message.contains("rows 1..2"), "{what}: {message}");
        }
    }
    all_fail(&make([2, 3], &[(0, 0, 1.0), (1, 1, 1.0)]), 1.0, "2 × 3", 10);
    all_fail(&make([0, 0], &[]), 1.0, "0 × 0", 10);
    for omega in [0.0, 2.0, -0.5, 2.5, f64::NAN, f64::INFINITY] {
        all_fail(&poisson(3), omega, "strictly between 0 and 2", 7);
        assert!(GaussSeidel::new(&poisson(3), Sweep::Natural).unwrap().set_omega(omega).is_err());
        assert!(Ssor::new(&poisson(3), 1.0).unwrap().set_omega(omega).is_err());
    }
    let says = |error: odeon::Error, expected: &str| {
        let message = error.to_string();
        assert!(message.contains(expected), "{message:?} should say {expected:?}");
    };
    // Symmetric with a positive diagonal, but indefinite: the second pivot is 1 − 4.
    let indefinite = make([2, 2], &[(0, 0, 1.0), (0, 1, 2.0), (1, 0, 2.0), (1, 1, 1.0)]);
    says(IncompleteCholesky::new(&indefinite).unwrap_err(), "the pivot of row 1 is -3");
    let shifted = Incomplete { shift: 1.5, modified: 0.0 };
    assert!(IncompleteCholesky::with(&indefinite, shifted).is_ok());
    says(Chebyshev::estimated(&indefinite, 2, 5).unwrap_err(), "MINRES");
    says(IncompleteCholesky::new(&random(9, false)).unwrap_err(), "not symmetric");
    says(Chebyshev::smoother(&random(9, false), 2).unwrap_err(), "symmetric");
    let singular = make([2, 2], &[(0, 0, 1.0), (0, 1, 2.0), (1, 0, 2.0), (1, 1, 4.0)]);
    says(IncompleteLu::new(&singular).unwrap_err(), "the pivot of row 1 is 0");
    says(BlockJacobi::new(&singular, 2, 1.0).unwrap_err(), "rows 0..2");
    for size in [0, 10] {
        says(BlockJacobi::new(&poisson(3), size, 1.0).unwrap_err(), "1..=9");
    }
    for options in [Incomplete { shift: -0.1, modified: 0.0 }, Incomplete { shift: 0.0, modified: 1.1 }] {
        assert!(IncompleteLu::with(&poisson(3), options).is_err());
        assert!(IncompleteCholesky::with(&poisson(3), options).is_err());
    }
    says(Richardson::<f64>::new(&poisson(3), 0.0).unwrap_err(), "not 0");
    says(Richardson::<f64>::optimal(&poisson(3), [2.0, 1.0]).unwrap_err(), "λmin ≤ λmax");
    says(Chebyshev::with_bounds(&poisson(3), 2, [0.0, 1.0]).unwrap_err(), "λmin ≤ λmax");
    says(Chebyshev::smoother(&poisson(3), 0).unwrap_err(), "at least 1");
    assert!(optimal_omega(1.0).is_err() && optimal_omega(f64::NAN).is_err() && sor_radius(2.0, 0.5).is_err());
    let a = poisson(3);
    says(FromRelaxation::new(&a, Jacobi::new(&a, 1.0).unwrap(), 0).unwrap_err(), "at least one");
    let mut closure = Closure::new(3, Claims::LINEAR, |_: &[f64], _: &mut [f64]| ());
    says(closure.apply_transpose(&[0.0; 3], &mut [0.0; 3]).unwrap_err(), "with_transpose");
    let double = |r: &[f64], z: &mut [f64]| z.iter_mut().zip(r).for_each(|(z, r)| *z = 2.0 * r);
    let mut z = [0.0; 3];
    closure.with_transpose(double).apply_transpose(&[1.0; 3], &mut z).unwrap();
    assert_eq!(z, [2.0; 3]);
}
