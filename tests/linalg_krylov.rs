//! Krylov iterations: true residuals, optimality against dense least squares over the Krylov space,
//! iteration counts of model problems, transposed solves, precisions.

mod linalg_support;

use linalg_support::*;
use odeon::linalg::krylov::solve_transpose;
use odeon::linalg::krylov::{BiCgStab, Cg, Gmres, Lsmr, Lsqr, Method, MinRes, Narrow, Normalised, Owned};
use odeon::linalg::{
    Claims, Csr, Deflation, Identity, LinearOperator, LinearSolver, Outcome, Preconditioner, Report,
};
use odeon::linalg::{Settings, Side};
use odeon::num::Real;

/// A call of one method.
type Solve<T> = fn(Settings, &Csr<T>, &[T], &mut [T]) -> Report;

fn plain<T: Real>(mut method: impl Method<T>, a: &Csr<T>, b: &[T], x: &mut [T]) -> Report {
    method.solve(a, &mut Identity(a.cols()), b, x).unwrap()
}

/// The one list of methods for square systems, with what Poisson 24² and convection–diffusion 24² cost
/// them at rtol 1e-8; CG and MINRES take only the first.
fn methods<T: Real>() -> [(&'static str, Solve<T>, [usize; 2]); 8] {
    [
        ("cg", |s, a, b, x| plain(Cg::new(a.rows(), s).unwrap(), a, b, x), [78, 0]),
        ("fcg", |s, a, b, x| plain(Cg::flexible(a.rows(), s, 1).unwrap(), a, b, x), [78, 0]),
        ("minres", |s, a, b, x| plain(MinRes::new(a.rows(), s).unwrap(), a, b, x), [77, 0]),
        ("gmres", |s, a, b, x| plain(Gmres::new(a.rows(), 30, s).unwrap(), a, b, x), [120, 116]),
        ("fgmres", |s, a, b, x| plain(Gmres::flexible(a.rows(), 30, s).unwrap(), a, b, x), [120, 116]),
        ("bicgstab", |s, a, b, x| plain(BiCgStab::new(a.rows(), s).unwrap(), a, b, x), [64, 45]),
        ("lsqr", |s, a, b, x| plain(Lsqr::new([a.rows(), a.cols()], s).unwrap(), a, b, x), [327, 395]),
        ("lsmr", |s, a, b, x| plain(Lsmr::new([a.rows(), a.cols()], s).unwrap(), a, b, x), [327, 398]),
    ]
}

fn true_residual<T: Real>(a: &Csr<T>, b: &[T], x: &[T]) -> f64 {
    let mut r = vec![T::zero(); b.len()];
    a.apply(x, &mut r);
    b.iter().zip(&r).map(|(b, r)| (b.f64() - r.f64()).powi(2)).sum::<f64>().sqrt()
}

/// Counts are pinned, and what the report says of the residual is true.
#[test]
fn model_problems_cost_what_they_cost() {
    let n = 24 * 24;
    let b: Vec<f64> = random(n, 7);
    for (which, a) in [poisson(24), convection(24, 0.4)].iter().enumerate() {
        for (name, solve, counts) in methods() {
            if which == 1 && ["cg", "fcg", "minres"].contains(&name) {
                continue;
            }
            let mut x: Vec<f64> = random(n, 8);
            let report = solve(Settings::tol(1e-8), a, &b, &mut x);
            let residual = true_residual(a, &b, &x);
            assert_eq!(report.outcome, Outcome::Converged, "{name}");
            assert!(residual <= 1e-8 * norm(&b) * (1.0 + 1e-6), "{name}: {residual}");
            assert!((report.residual() - residual).abs() < 1e-3 * residual, "{name}");
            assert_eq!(report.residuals.len(), report.iterations + 1, "{name}");
            assert!(report.residuals[0] > norm(&b), "{name}: the guess is used");
            assert!(report.iterations.abs_diff(counts[which]) <= 1, "{name}: {}", report.iterations);
        }
    }
}

#[test]
fn single_precision_reaches_its_accuracy() {
    let n = 12 * 12;
    let b: Vec<f32> = random(n, 7);
    let size = b.iter().map(|b| b * b).sum::<f32>().sqrt().f64();
    let a = poisson::<f32>(12);
    for (name, solve, _) in methods() {
        let mut x = vec![0.0; n];
        let report = solve(Settings::tol(1e-5), &a, &b, &mut x);
        assert!(report.converged(), "{name}: {:?}", report.outcome);
        assert!(true_residual(&a, &b, &x) <= 1.1e-5 * size, "{name}");
    }
}

/// The directions of CG are conjugate, the error is the smallest in the A-norm over the Krylov space,
/// and k distinct eigenvalues take k iterations.
#[test]
fn cg_is_optimal() {
    let spectrum: Vec<f64> = (0..30).map(|i| [1.0, 2.5, 7.0, 40.0, 100.0][i % 5]).collect();
    let a = with_spectrum(&spectrum, 3);
    let b: Vec<f64> = random(30, 9);
    let report = plain(Cg::new(30, Settings::tol(1e-10)).unwrap(), &a, &b, &mut [0.0; 30]);
    assert_eq!((report.outcome, report.iterations), (Outcome::Converged, 5));

    let spectrum: Vec<f64> = (0..30).map(|i| 1.15f64.powi(i)).collect();
    let a = with_spectrum(&spectrum, 4);
    let exact = eliminate(&dense(&a), &b);
    for (spd, seed) in [(false, 0), (true, 5)] {
        let mut m = DenseInverse::random(30, true, seed);
        if !spd {
            m.rows = (0..900).map(|k| if k / 30 == k % 30 { 1.0 } else { 0.0 }).collect();
        }
        let watched = Watched::new(&a, 0);
        let settings = Settings { max_iterations: 12, ..Settings::tol(1e-14) };
        let mut x = random::<f64>(30, 77);
        let start = x.clone();
        Cg::new(30, settings).unwrap().solve(&watched, &mut m.clone(), &b, &mut x).unwrap();
        let seen = watched.seen.borrow();
        let directions = &seen[1..13];
        for (i, p) in directions.iter().enumerate() {
            let ap = product(&a, p);
            for q in &directions[..i] {
                let cosine = inner(q, &ap) / (inner(p, &ap) * inner(q, &product(&a, q))).sqrt();
                assert!(cosine.abs() < 1e-10, "{i}: {cosine}");
            }
        }
        let r = minus(&b, &product(&a, &start));
        let basis = krylov(|v| m.times(&product(&a, v)), &m.times(&r), 12);
        let gram: Vec<Vec<f64>> =
            basis.iter().map(|p| basis.iter().map(|q| inner(p, &product(&a, q))).collect()).collect();
        let error = minus(&exact, &start);
        let rhs: Vec<f64> = basis.iter().map(|q| inner(q, &product(&a, &error))).collect();
        let best = plus(&start, &eliminate(&gram, &rhs), &basis);
        assert!(norm(&minus(&x, &best)) < 1e-10 * norm(&best));
    }
}

/// MINRES on an indefinite system: ‖r_k‖ is the least over the Krylov space, in the norm of M⁻¹.
#[test]
fn minres_minimises_the_residual() {
    let n = 24;
    let spectrum: Vec<f64> =
        (0..n).map(|i| if i % 3 == 0 { -1.0 - i as f64 } else { 2.0 + i as f64 }).collect();
    let a = with_spectrum(&spectrum, 2);
    let b: Vec<f64> = random(n, 1);
    let m = DenseInverse::random(n, true, 11);
    for preconditioned in [false, true] {
        let times = |v: &[f64]| if preconditioned { m.times(v) } else { v.to_vec() };
        for k in [1, 2, 3, 7, 15] {
            let mut method = MinRes::new(n, Settings::tol(1e-14).max_iterations(k)).unwrap();
            let mut x = random::<f64>(n, 5);
            let start = x.clone();
            let report = if preconditioned {
                method.solve(&a, &mut m.clone(), &b, &mut x).unwrap()
            } else {
                method.solve(&a, &mut Identity(n), &b, &mut x).unwrap()
            };
            assert_eq!(report.outcome, Outcome::MaxIterations);
            let r = minus(&b, &product(&a, &start));
            let basis = krylov(|v| times(&product(&a, v)), &times(&r), k);
            // argmin (r − A V y)ᵀ M⁻¹ (r − A V y) solves VᵀA M⁻¹A V y = VᵀA M⁻¹ r.
            let av: Vec<_> = basis.iter().map(|v| product(&a, v)).collect();
            let mav: Vec<_> = av.iter().map(|v| times(v)).collect();
            let gram: Vec<Vec<f64>> = mav.iter().map(|p| av.iter().map(|q| inner(p, q)).collect()).collect();
            let rhs: Vec<f64> = mav.iter().map(|q| inner(q, &r)).collect();
            let best = plus(&start, &eliminate(&gram, &rhs), &basis);
            assert!(norm(&minus(&x, &best)) < 1e-9 * norm(&best), "{preconditioned} {k}");
            if !preconditioned {
                let seen = report.residuals[k];
                assert!((seen - report.residual()).abs() < 1e-10 * seen, "{k}: {seen}");
            }
        }
    }
}

/// GMRES: the true residual is the least over x₀ + M⁻¹ K_k(A M⁻¹, r₀) from the right, the preconditioned
/// one over x₀ + K_k(M⁻¹A, M⁻¹r₀) from the left; both at once; and it ends after n iterations.
#[test]
fn gmres_minimises_the_residual() {
    let n = 18;
    let noise: Vec<f64> = random(n * n, 21);
    let a = from_dense([n, n], &noise);
    let b: Vec<f64> = random(n, 22);
    let identity = || Map(n, Claims::LINEAR, |r: &[f64], z: &mut [f64]| z.copy_from_slice(r));
    let [l, r] = [31, 32].map(|seed| DenseInverse::random(n, false, seed));
    let id = |v: &[f64]| v.to_vec();
    for k in [1, 2, 5, 11, n] {
        let settings = Settings::tol(1e-13).max_iterations(k);
        for (left, right) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut x = random::<f64>(n, 23);
            let start = x.clone();
            let mut method = Gmres::new(n, 50, settings).unwrap();
            match (left, right) {
                (false, false) => method.solve(&a, &mut identity(), &b, &mut x).unwrap(),
                (true, false) => {
                    let mut method = method.side(Side::Left).unwrap();
                    method.solve(&a, &mut l.clone(), &b, &mut x).unwrap()
                }
                (false, true) => method.solve(&a, &mut r.clone(), &b, &mut x).unwrap(),
                (true, true) => method.solve_split(&a, &mut l.clone(), &mut r.clone(), &b, &mut x).unwrap(),
            };
            let outer = |v: &[f64]| if left { l.times(v) } else { id(v) };
            let inner_times = |v: &[f64]| if right { r.times(v) } else { id(v) };
            let residual = outer(&minus(&b, &product(&a, &start)));
            let basis = krylov(|v| outer(&product(&a, &inner_times(v))), &residual, k);
            let corrections: Vec<_> = basis.iter().map(|v| inner_times(v)).collect();
            let images: Vec<_> = corrections.iter().map(|v| outer(&product(&a, v))).collect();
            let best = plus(&start, &least_squares(&images, &residual), &corrections);
            assert!(norm(&minus(&x, &best)) < 1e-8 * norm(&best), "{left} {right} {k}");
        }
    }
    let mut x = vec![0.0; n];
    let report = plain(Gmres::new(n, 50, Settings::tol(1e-11)).unwrap(), &a, &b, &mut x);
    assert_eq!((report.outcome, report.iterations), (Outcome::Converged, n));
}

/// A restarted GMRES is GMRES from where the last one ended; flexible GMRES with a fixed preconditioner
/// is GMRES from the right.
#[test]
fn restarts_and_flexibility_change_nothing_else() {
    let a = convection(10, 0.6);
    let n = a.rows();
    let b: Vec<f64> = random(n, 3);
    let (mut x, mut y) = (vec![0.0; n], vec![0.0; n]);
    let s = Settings::tol(1e-12);
    plain(Gmres::new(n, 7, s.max_iterations(21)).unwrap(), &a, &b, &mut x);
    for _ in 0..3 {
        plain(Gmres::new(n, 7, s.max_iterations(7)).unwrap(), &a, &b, &mut y);
    }
    assert!(norm(&minus(&x, &y)) < 1e-12 * norm(&x));
    let mut m = DenseInverse::random(n, false, 4);
    let (mut x, mut y) = (vec![0.0; n], vec![0.0; n]);
    let one = Gmres::new(n, 12, s).unwrap().solve(&a, &mut m, &b, &mut x).unwrap();
    let two = Gmres::flexible(n, 12, s).unwrap().solve(&a, &mut m, &b, &mut y).unwrap();
    assert_eq!(one.iterations, two.iterations);
    assert!(norm(&minus(&x, &y)) < 1e-11 * norm(&x));
}

/// Flexible GMRES with a preconditioner that changes: the residual is the least over what was proposed.
#[test]
fn flexible_gmres_minimises_over_its_proposals() {
    let a = convection(5, 0.6);
    let n = a.rows();
    let b: Vec<f64> = random(n, 3);
    let mut proposals = Vec::new();
    let mut x = vec![0.0; n];
    {
        let mut m = Map(n, Claims::NONE, |r: &[f64], z: &mut [f64]| {
            z.iter_mut().zip(r).for_each(|(z, r)| *z = r + 0.5 * (3.0 * r + proposals.len() as f64).sin());
            proposals.push(z.to_vec());
        });
        let refused = Gmres::new(n, 9, Settings::default()).unwrap().solve(&a, &mut m, &b, &mut x);
        assert!(refused.unwrap_err().to_string().contains("Gmres::flexible"));
        let mut method = Gmres::flexible(n, 9, Settings::tol(1e-12).max_iterations(9)).unwrap();
        method.solve(&a, &mut m, &b, &mut x).unwrap();
    }
    assert_eq!(proposals.len(), 9);
    let images: Vec<_> = proposals.iter().map(|z| product(&a, z)).collect();
    let best = plus(&vec![0.0; n], &least_squares(&images, &b), &proposals);
    assert!(norm(&minus(&x, &best)) < 1e-10 * norm(&best));
}

/// BiCGStab against the recurrences as they are printed (van der Vorst 1992), iterate by iterate.
#[test]
fn bicgstab_is_the_published_recurrence() {
    let a = convection(6, 0.5);
    let n = a.rows();
    let b: Vec<f64> = random(n, 13);
    let m = DenseInverse::random(n, false, 14);
    let mut x = vec![0.0; n];
    let mut r = b.clone();
    let shadow = r.clone();
    let (mut rho, mut alpha, mut omega) = (1.0, 1.0, 1.0);
    let (mut v, mut p) = (vec![0.0; n], vec![0.0; n]);
    for k in 1..=8 {
        let next = inner(&shadow, &r);
        let beta = next / rho * (alpha / omega);
        rho = next;
        p = plus(&r, &[beta, -beta * omega], &[p, v]);
        let y = m.times(&p);
        v = product(&a, &y);
        alpha = rho / inner(&shadow, &v);
        let s = plus(&r, &[-alpha], std::slice::from_ref(&v));
        let z = m.times(&s);
        let t = product(&a, &z);
        omega = inner(&t, &s) / inner(&t, &t);
        x = plus(&x, &[alpha, omega], &[y, z]);
        r = plus(&s, &[-omega], &[t]);
        let mut ours = vec![0.0; n];
        let mut method = BiCgStab::new(n, Settings::tol(1e-14).max_iterations(k)).unwrap();
        let report = method.solve(&a, &mut m.clone(), &b, &mut ours).unwrap();
        assert!(norm(&minus(&x, &ours)) < 1e-9 * norm(&x), "{k}");
        assert!((report.residuals[k] - norm(&r)).abs() < 1e-9 * norm(&b), "{k}");
        assert_eq!((report.applications, report.preconditions), (2 * k + 2, 2 * k));
    }
}

/// LSQR and LSMR solve the normal equations; consistent, overdetermined and underdetermined.
#[test]
fn least_squares_are_those_of_the_normal_equations() {
    for shape in [[12, 12], [20, 8], [8, 20]] {
        let [rows, cols] = shape;
        let a = from_dense(shape, &random::<f64>(rows * cols, 41));
        let b: Vec<f64> = random(rows, 42);
        let transposed = dense(&a.transpose());
        let best = if rows >= cols {
            let image = |x: &[f64]| product(&a.transpose(), &product(&a, x));
            let gram: Vec<Vec<f64>> = (0..cols)
                .map(|j| image(&(0..cols).map(|i| if i == j { 1.0 } else { 0.0 }).collect::<Vec<_>>()))
                .collect();
            eliminate(&gram, &product(&a.transpose(), &b))
        } else {
            // The shortest solution Aᵀ(AAᵀ)⁻¹b.
            let gram: Vec<Vec<f64>> = transposed.iter().map(|row| product(&a, row)).collect();
            product(&a.transpose(), &eliminate(&gram, &b))
        };
        for name in ["lsqr", "lsmr"] {
            let mut x = vec![0.0; cols];
            let s = Settings::tol(1e-12);
            let report = match name {
                "lsqr" => plain(Lsqr::new(shape, s).unwrap(), &a, &b, &mut x),
                _ => plain(Lsmr::new(shape, s).unwrap(), &a, &b, &mut x),
            };
            assert!(report.converged(), "{name}: {:?}", report.outcome);
            let inconsistent =
                matches!(report.outcome, Outcome::LeastSquares { optimality } if optimality <= 1e-12);
            assert_eq!(inconsistent, rows > cols, "{name} {:?}", report.outcome);
            assert!(norm(&minus(&x, &best)) < 1e-9 * norm(&best), "{name} {shape:?}");
        }
    }
}

/// LSQR's residual and LSMR's Aᵀr are the least over K_k(AᵀA, Aᵀr₀), and the histories are true; with a
/// preconditioner from the right the same of A M⁻¹.
#[test]
fn least_squares_are_optimal_at_every_step() {
    let shape = [20, 12];
    let a = from_dense(shape, &random::<f64>(240, 51));
    let at = a.transpose();
    let b: Vec<f64> = random(20, 52);
    let mut m = DenseInverse::random(12, false, 53);
    let mt = |m: &DenseInverse, v: &[f64]| {
        let mut z = vec![0.0; 12];
        m.clone().apply_transpose(v, &mut z).unwrap();
        z
    };
    for k in 1..=9 {
        let s = Settings { check_every: 1, ..Settings::tol(1e-14) }.max_iterations(k);
        for preconditioned in [false, true] {
            if !preconditioned {
                m.rows = (0..144).map(|k| if k / 12 == k % 12 { 1.0 } else { 0.0 }).collect();
            } else {
                m = DenseInverse::random(12, false, 53);
            }
            let forward = |v: &[f64]| product(&a, &m.times(v));
            let back = |v: &[f64]| mt(&m, &product(&at, v));
            let start: Vec<f64> = random(12, 54);
            let r = minus(&b, &product(&a, &start));
            let basis = krylov(|v| back(&forward(v)), &back(&r), k);
            let images: Vec<_> = basis.iter().map(|v| forward(v)).collect();
            let normals: Vec<_> = images.iter().map(|v| back(v)).collect();
            let corrections: Vec<_> = basis.iter().map(|v| m.times(v)).collect();
            let [by_r, by_normal] = [least_squares(&images, &r), least_squares(&normals, &back(&r))];
            let (mut x, mut y) = (start.clone(), start.clone());
            let one = Lsqr::new(shape, s).unwrap().solve(&a, &mut m.clone(), &b, &mut x).unwrap();
            let two = Lsmr::new(shape, s).unwrap().solve(&a, &mut m.clone(), &b, &mut y).unwrap();
            assert!(norm(&minus(&x, &plus(&start, &by_r, &corrections))) < 1e-9, "{preconditioned} {k}");
            assert!(norm(&minus(&y, &plus(&start, &by_normal, &corrections))) < 1e-9, "{preconditioned} {k}");
            for report in [one, two] {
                for &(k, truth) in &report.true_residuals {
                    assert!((report.residuals[k] - truth).abs() < 1e-10 * truth, "{k}: {truth}");
                }
            }
        }
    }
}

/// With directions of one vector and a fixed SPD preconditioner flexible CG is CG; a longer window
/// changes only rounding.
#[test]
fn flexible_cg_with_a_fixed_preconditioner_is_cg() {
    let a = poisson::<f64>(16);
    let n = a.rows();
    let b: Vec<f64> = random(n, 61);
    let mut x = vec![0.0; n];
    let mut m = Jacobi::new(&a);
    let cg = Cg::new(n, Settings::tol(1e-9)).unwrap().solve(&a, &mut m, &b, &mut x).unwrap();
    for window in [1, 2, 5] {
        let mut y = vec![0.0; n];
        let mut method = Cg::flexible(n, Settings::tol(1e-9), window).unwrap();
        let report = method.solve(&a, &mut m, &b, &mut y).unwrap();
        assert!(report.iterations.abs_diff(cg.iterations) <= 1, "{window}: {}", report.iterations);
        for k in 0..30 {
            let (one, two) = (cg.residuals[k], report.residuals[k]);
            assert!((one - two).abs() < 1e-8 * one, "{window} {k}: {one} {two}");
        }
    }
}

/// The deep conjugate direction method as it is printed, with a nonlinear proposer, against ours; no
/// step raises the A-norm of the error.
#[test]
fn the_deep_conjugate_direction_method_is_a_configuration() {
    let a = poisson::<f64>(7);
    let n = a.rows();
    let b: Vec<f64> = random(n, 71);
    let net = |r: &[f64], z: &mut [f64]| {
        for i in 0..r.len() {
            let near = r[i.saturating_sub(1)] + r[(i + 1).min(r.len() - 1)];
            z[i] = (3.0 * r[i] + 0.8 * near).tanh() + 0.05 * r[i].abs();
        }
    };
    let exact = eliminate(&dense(&a), &b);
    let energy = |x: &[f64]| {
        let e = minus(x, &exact);
        inner(&e, &product(&a, &e)).sqrt()
    };
    for window in [0, 1, 2, 4] {
        let mut x = vec![0.0; n];
        let mut kept: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
        let mut last = energy(&x);
        for k in 1..=14 {
            let r = minus(&b, &product(&a, &x));
            let unit: Vec<f64> = r.iter().map(|v| v / norm(&r)).collect();
            let mut q = vec![0.0; n];
            net(&unit, &mut q);
            let c: Vec<f64> = kept.iter().map(|(p, ap)| -inner(&q, ap) / inner(p, ap)).collect();
            let p = plus(&q, &c, &kept.iter().map(|(p, _)| p.clone()).collect::<Vec<_>>());
            let ap = product(&a, &p);
            x = plus(&x, &[inner(&p, &r) / inner(&p, &ap)], std::slice::from_ref(&p));
            kept.push((p, ap));
            if kept.len() > window {
                kept.remove(0);
            }
            let mut m = Normalised::new(Map(n, Claims::NONE, net));
            let mut ours = vec![0.0; n];
            let mut method = Cg::flexible(n, Settings::tol(1e-12).max_iterations(k), window).unwrap();
            method.solve(&a, &mut m, &b, &mut ours).unwrap();
            assert!(norm(&minus(&x, &ours)) < 1e-10 * norm(&x), "{window} {k}");
            assert!(energy(&ours) < last);
            last = energy(&ours);
        }
    }
}

/// Aᵀx = b by every method and with a preconditioner that is not symmetric.
#[test]
fn transposed_solves() {
    let a = convection::<f64>(8, 0.7);
    let n = a.rows();
    let b: Vec<f64> = random(n, 81);
    let exact = eliminate(&dense(&a.transpose()), &b);
    let m = DenseInverse::random(n, false, 82);
    let s = Settings::tol(1e-11);
    let check = |report: Report, x: &[f64], name: &str| {
        assert!(report.converged(), "{name}");
        assert!(norm(&minus(x, &exact)) < 1e-8 * norm(&exact), "{name}");
    };
    let mut x = vec![0.0; n];
    check(
        Owned::new(Gmres::new(n, 40, s).unwrap(), &a, m.clone()).solve_transpose(&b, &mut x).unwrap(),
        &x,
        "gmres",
    );
    let left = Gmres::new(n, 40, s).unwrap().side(Side::Left).unwrap();
    x.fill(0.0);
    check(Owned::new(left, &a, m.clone()).solve_transpose(&b, &mut x).unwrap(), &x, "left");
    x.fill(0.0);
    check(
        Owned::new(BiCgStab::new(n, s).unwrap(), &a, m.clone()).solve_transpose(&b, &mut x).unwrap(),
        &x,
        "bicgstab",
    );
    x.fill(0.0);
    check(Owned::new(Lsqr::new([n, n], s).unwrap(), &a, m).solve_transpose(&b, &mut x).unwrap(), &x, "lsqr");
    let mut one_way = Map(n, Claims::LINEAR, |r: &[f64], z: &mut [f64]| z.copy_from_slice(r));
    x.fill(0.0);
    let refused = solve_transpose(&mut Gmres::new(n, 40, s).unwrap(), &a, &mut one_way, &b, &mut x);
    assert!(refused.unwrap_err().to_string().contains("transpose"));
    assert!(x.iter().all(|x| x.is_finite()));
    let mut owned = Owned::new(Cg::new(n, s).unwrap(), poisson::<f64>(8), Identity(n));
    assert_eq!(owned.len(), n);
    let mut y = vec![0.0; n];
    let [one, two] =
        [owned.solve(&b, &mut y).unwrap(), owned.solve_transpose(&b, &mut vec![0.0; n]).unwrap()];
    assert_eq!(one.residuals, two.residuals);
}

/// An f32 preconditioner in an f64 iteration: the accuracy and the count of the f64 one, for b of any
/// size.
#[test]
fn mixed_precision() {
    let a = poisson::<f64>(20);
    let n = a.rows();
    for size in [1.0, 1e-60, 1e120] {
        let b: Vec<f64> = random::<f64>(n, 91).iter().map(|b| size * b).collect();
        let count = |m: &mut dyn Preconditioner<f64>| {
            let mut x = vec![0.0; n];
            let report = Cg::new(n, Settings::tol(1e-11)).unwrap().solve(&a, m, &b, &mut x).unwrap();
            assert!(report.converged());
            assert!(norm(&minus(&b, &product(&a, &x))) <= 1.01e-11 * norm(&b));
            report.iterations
        };
        let thirds = |n| {
            Map(n, Claims::SPD, |r: &[f32], z: &mut [f32]| {
                z.iter_mut().zip(r).for_each(|(z, r)| *z = r / 3.0)
            })
        };
        let narrow = count(&mut Narrow::new(thirds(n)));
        let wide = count(&mut Jacobi::new(&a));
        assert!(narrow.abs_diff(wide) <= 1, "{size}: {narrow} {wide}");
    }
    let claims = Narrow::new(Map(3, Claims::NONE, |_: &[f32], _: &mut [f32]| ())).claims();
    assert_eq!(claims, Claims::NONE);
    let mut m = Narrow::new(Map(3, Claims::NONE, |r: &[f32], z: &mut [f32]| z.copy_from_slice(r)));
    let mut z = [0.0; 3];
    m.apply(&[1e300, -2.5e300, 0.0], &mut z);
    assert_eq!(z.map(|z| (z / 1e293).round()), [1e7, -2.5e7, 0.0]);
    m.apply(&[f64::NAN, 1.0, 0.0], &mut z);
    assert!(z.iter().any(|z| z.is_nan()));
    m.apply(&[5e-324, 0.0, 0.0], &mut z);
    assert_eq!(z, [5e-324, 0.0, 0.0]);
}

/// Deflated eigenvectors leave the spectrum: with two of five distinct eigenvalues taken out, three
/// iterations; and any vectors give the solution.
#[test]
fn deflation_takes_eigenvalues_out() {
    let n = 30;
    let distinct = [1e-3, 1e-2, 2.0, 5.0, 9.0];
    let spectrum: Vec<f64> = (0..n).map(|i| distinct[i % 5]).collect();
    let a = with_spectrum(&spectrum, 3);
    let b: Vec<f64> = random(n, 9);
    let q = orthonormal(&(0..n).map(|j| random(n, 3500 + j as u64)).collect::<Vec<_>>());
    let slow: Vec<f64> = (0..n).filter(|i| i % 5 < 2).flat_map(|i| q[i].clone()).collect();
    let s = Settings::tol(1e-9);
    let mut x = vec![0.0; n];
    let report = Deflation::new(&a, &slow, s).unwrap().solve(&a, &mut Identity(n), &b, &mut x).unwrap();
    assert_eq!((report.outcome, report.iterations), (Outcome::Converged, 3));
    let plain = plain(Cg::new(n, s).unwrap(), &a, &b, &mut vec![0.0; n]);
    assert!(plain.iterations >= 5);
    // Indicators of strips, with a preconditioner and from a guess.
    let k = 24;
    let a = poisson::<f64>(k);
    let b: Vec<f64> = random(k * k, 19);
    let strips: Vec<f64> =
        (0..6).flat_map(|s| (0..k * k).map(move |i| f64::from(u8::from(i / (4 * k) == s)))).collect();
    let mut x: Vec<f64> = random(k * k, 20);
    let mut deflation = Deflation::new(&a, &strips, s).unwrap();
    let whole = Cg::new(k * k, s).unwrap().solve(&a, &mut Jacobi::new(&a), &b, &mut x.clone()).unwrap();
    let report = deflation.solve(&a, &mut Jacobi::new(&a), &b, &mut x).unwrap();
    assert!(report.converged() && report.iterations < whole.iterations, "{}", report.iterations);
    assert!(norm(&minus(&b, &product(&a, &x))) <= 1.01e-9 * norm(&b));
    assert_eq!(report.residuals.len(), report.iterations + 1);
    // Bad input.
    let twice = [&strips[..k * k], &strips[..k * k]].concat();
    assert!(Deflation::new(&a, &twice, s).unwrap_err().to_string().contains("pivot 1"));
    assert!(Deflation::new(&a, &strips[..7], s).is_err() && Deflation::<f64>::new(&a, &[], s).is_err());
    assert!(deflation.solve(&poisson(3), &mut Identity(9), &[1.0; 9], &mut [0.0; 9]).is_err());
    let few = Settings { max_iterations: 4, ..s };
    let report = Deflation::new(&a, &strips, few).unwrap().solve(&a, &mut Identity(k * k), &b, &mut x);
    assert!(report.unwrap().converged(), "x was the solution");
    let report =
        Deflation::new(&a, &strips, few).unwrap().solve(&a, &mut Identity(k * k), &b, &mut vec![0.0; k * k]);
    let report = report.unwrap();
    assert_eq!((report.outcome, report.iterations), (Outcome::MaxIterations, 4));
}
